//! Middleware for reqwest, by `reqwest-middleware`.

use http::{Extensions, Uri};
use reqwest_middleware::reqwest::{Request, Response};
use reqwest_middleware::{Error, Middleware, Next, Result};
use tracing::Instrument as _;

use super::exchange::Exchange;
use super::words::{Fault, Version};
use super::{Resend, Route, client};

/// Measures the requests of a reqwest client, and takes the trace and the request's id along: what
/// [`client`](super::client) does, but that an exchange ends with the head of its answer.
///
/// Placed after middleware that retries, it sees every attempt. A [`Route`] among the request's extensions is `url.template`.
///
/// # Example
/// ```
/// let client = reqwest_middleware::ClientBuilder::new(reqwest_middleware::reqwest::Client::new())
///     .with(sidelight::http::Reqwest)
///     .build();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Reqwest;

fn begin(request: &mut Request, extensions: &Extensions) -> Exchange {
    let uri: Uri = request.url().as_str().parse().unwrap_or_default();
    let method = request.method().clone();
    let template = extensions.get().map(|Route(route)| *route);
    let resends = extensions.get().map(|Resend(count)| *count);
    let version = Version::of(request.version());
    client::begin(&method, &uri, version, request.headers_mut(), template, resends)
}

fn fault(error: &Error) -> Fault {
    match error {
        Error::Reqwest(error) if error.is_timeout() => Fault::Timeout,
        Error::Reqwest(error) if error.is_connect() => Fault::Connect,
        _ => Fault::Error,
    }
}

#[async_trait::async_trait]
impl Middleware for Reqwest {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let mut exchange = begin(&mut request, extensions);
        let (span, current) = (exchange.span.clone(), exchange.current);
        let answer = current.scope(next.run(request, extensions).instrument(span)).await;
        match &answer {
            Ok(response) => {
                exchange.key.version = Version::of(response.version());
                exchange.head(response.status(), response.headers());
                // A head is all that is seen of an answer: its body is as long as it says.
                exchange.announced(response.headers());
                exchange.finish();
            }
            Err(error) => exchange.fail(fault(error)),
        }
        answer
    }
}
