//! The layer of servers.

use std::task::{Context, Poll};

use http::response::Parts;
use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::Route;
use super::answer::ResponseFuture;
use super::body::ResponseBody;
use super::exchange::{Asked, Exchange};
use super::propagate::{self, REQUEST_ID};
use super::series::Kind;
use super::spans;
use super::words::{Scheme, Version};
use crate::current::{Current, RequestId};
use crate::interned::{Name, Names};

static ROUTES: Names = Names::new("routes");

/// Measures what a server answers: see [`server`](super::server).
#[derive(Clone, Copy, Debug)]
pub struct ServerLayer {
    trusted: bool,
}

impl ServerLayer {
    pub(crate) const fn new() -> Self {
        Self { trusted: true }
    }

    /// Takes neither a trace, nor baggage, nor a request id from callers: for a server that strangers reach.
    ///
    /// # Example
    /// ```
    /// let layer = sidelight::http::server().untrusted();
    /// ```
    #[must_use]
    pub const fn untrusted(mut self) -> Self {
        self.trusted = false;
        self
    }
}

impl<S> Layer<S> for ServerLayer {
    type Service = Server<S>;

    fn layer(&self, inner: S) -> Server<S> {
        Server { inner, trusted: self.trusted }
    }
}

/// A service whose answers are measured.
#[derive(Clone, Debug)]
pub struct Server<S> {
    inner: S,
    trusted: bool,
}

impl<S, A, B> Service<Request<A>> for Server<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    B: Body,
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<A>) -> ResponseFuture<S::Future> {
        let told = propagate::request_id(request.headers()).filter(|_| self.trusted);
        let (id, header) = told.unwrap_or_else(|| {
            let id = RequestId::generate();
            let header = propagate::header(&id);
            request.headers_mut().insert(REQUEST_ID, header.clone());
            (id, header)
        });
        request.extensions_mut().insert(id);
        let mut exchange = begin(&request, id, self.trusted);
        exchange.id = Some(header);
        let future = exchange.enter(|| self.inner.call(request));
        ResponseFuture::new(future, exchange, note)
    }
}

fn begin<A>(request: &Request<A>, id: RequestId, trusted: bool) -> Exchange {
    let asked = Asked {
        method: request.method(),
        path: request.uri().path(),
        headers: request.headers(),
        scheme: Scheme::of(request.uri().scheme_str()),
        version: Version::of(request.version()),
        route: route(request),
        peer: Name::NONE,
    };
    let mut exchange = Exchange::start(Kind::HttpServer, &asked);
    exchange.current =
        Current { request_id: Some(id), route: exchange.key.route.text(), resends: 0 };
    exchange.span = spans::server(exchange.key, asked.method, asked.path, &id);
    if trusted {
        exchange.caller = spans::follow(&exchange.span, asked.headers);
    }
    exchange
}

/// What the router matched, where it says so before the request gets here.
fn route<A>(request: &Request<A>) -> Name {
    if let Some(Route(route)) = request.extensions().get() {
        return ROUTES.intern(route);
    }
    #[cfg(feature = "axum")]
    if let Some(matched) = request.extensions().get::<axum::extract::MatchedPath>() {
        return ROUTES.intern(matched.as_str());
    }
    Name::NONE
}

fn note(exchange: &mut Exchange, head: &mut Parts) {
    if let Some(Route(route)) = head.extensions.get() {
        exchange.routed(ROUTES.intern(route));
    }
    if let Some(id) = exchange.id.take() {
        head.headers.insert(REQUEST_ID, id);
    }
}
