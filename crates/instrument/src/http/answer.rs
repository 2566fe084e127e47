//! The answer to a request, on both sides: what its head says, then a body that ends the exchange.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use http::response::Parts;
use http_body::Body;
use pin_project_lite::pin_project;

use super::body::ResponseBody;
use super::exchange::Exchange;
use super::words::Fault;

pin_project! {
    /// The answer of a [`Server`](super::Server), or to a [`Client`](super::Client), to come. Dropped before it came, the
    /// exchange is recorded with `error.type="cancelled"`.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        // None once it is over.
        #[pin]
        future: Option<F>,
        exchange: Option<Exchange>,
        note: fn(&mut Exchange, &mut Parts),
    }

    impl<F> PinnedDrop for ResponseFuture<F> {
        // What the application's future drops belongs to the request, too.
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(exchange) = this.exchange {
                exchange.enter(|| this.future.set(None));
            }
        }
    }
}

impl<F> ResponseFuture<F> {
    /// Of an exchange that began; `note` is what this side takes from the head of an answer, and puts into it.
    pub(crate) const fn new(
        future: F,
        exchange: Exchange,
        note: fn(&mut Exchange, &mut Parts),
    ) -> Self {
        Self { future: Some(future), exchange: Some(exchange), note }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // Asked again after its answer it never has another.
        let Some(exchange) = this.exchange.as_mut() else { return Poll::Pending };
        let answer = ready!(exchange.enter(|| {
            let Some(future) = this.future.as_mut().as_pin_mut() else { return Poll::Pending };
            let answer = ready!(future.poll(context));
            this.future.set(None);
            Poll::Ready(answer)
        }));
        let Some(mut exchange) = this.exchange.take() else { return Poll::Pending };
        Poll::Ready(match answer {
            Ok(response) => {
                let (mut head, body) = response.into_parts();
                (this.note)(&mut exchange, &mut head);
                let over = exchange.responded(head.status, &head.headers, &body);
                let under_way = if over {
                    exchange.finish();
                    None
                } else {
                    Some(exchange)
                };
                Ok(Response::from_parts(head, ResponseBody::new(body, under_way)))
            }
            Err(error) => {
                exchange.fail(Fault::Error);
                Err(error)
            }
        })
    }
}
