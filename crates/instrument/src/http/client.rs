//! The layer of clients.

use std::task::{Context, Poll};

use http::header::{HOST, HeaderMap};
use http::response::Parts;
use http::{Method, Request, Response, Uri};
use http_body::Body;
use opentelemetry::trace::TraceContextExt;
use tower_layer::Layer;
use tower_service::Service;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::answer::ResponseFuture;
use super::body::ResponseBody;
use super::exchange::{Asked, Exchange};
use super::series::Kind;
use super::words::{Scheme, Version};
use super::{Resend, Route, propagate, spans};
use crate::current::Current;
use crate::interned::{Name, Names};
use crate::layer::current_context;

static TEMPLATES: Names = Names::new("templates of URLs");
static PEERS: Names = Names::new("peers");

/// Measures what a client asks: see [`client`](super::client).
#[derive(Clone, Copy, Debug)]
pub struct ClientLayer;

impl<S> Layer<S> for ClientLayer {
    type Service = Client<S>;

    fn layer(&self, inner: S) -> Client<S> {
        Client { inner }
    }
}

/// A service whose requests are measured.
#[derive(Clone, Debug)]
pub struct Client<S> {
    inner: S,
}

impl<S, A, B> Service<Request<A>> for Client<S>
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

    fn call(&mut self, request: Request<A>) -> ResponseFuture<S::Future> {
        let (mut head, body) = request.into_parts();
        let template = head.extensions.get().map(|Route(route)| *route);
        let resends = head.extensions.get().map(|Resend(count)| *count);
        let version = Version::of(head.version);
        let mut exchange =
            begin(&head.method, &head.uri, version, &mut head.headers, template, resends);
        let request = Request::from_parts(head, body);
        let future = exchange.enter(|| self.inner.call(request));
        ResponseFuture::new(future, exchange, note)
    }
}

/// Begins an exchange with a request about to go out, and writes its trace and id into its headers.
pub(crate) fn begin(
    method: &Method,
    uri: &Uri,
    version: Version,
    headers: &mut HeaderMap,
    template: Option<&'static str>,
    resends: Option<u32>,
) -> Exchange {
    let current = Current::get();
    let server = address(uri, headers);
    let asked = Asked {
        method,
        path: uri.path(),
        headers,
        scheme: Scheme::of(uri.scheme_str()),
        version,
        route: template.map_or(Name::NONE, |template| TEMPLATES.intern(template)),
        peer: server.map_or(Name::NONE, |server| PEERS.intern(server)),
    };
    let mut exchange = Exchange::start(Kind::HttpClient, &asked);
    exchange.current = Current { resends: resends.unwrap_or(current.resends), ..current };
    let (key, resends) = (exchange.key, exchange.current.resends);
    exchange.span = spans::client(key, method, uri, server, exchange.rpc_method(), resends);
    let mut trace = exchange.span.context();
    if !trace.span().span_context().is_valid() {
        // A filter may leave out the span of the request, and not those around it.
        trace = current_context();
    }
    propagate::inject(&trace, &exchange.current, headers);
    exchange
}

/// The host that is asked, with its port where one is written.
fn address<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let asked = uri.authority().map(|authority| authority.as_str());
    let asked = asked.or_else(|| headers.get(HOST)?.to_str().ok());
    // What stands before an `@` is a secret.
    asked.map(|asked| asked.rsplit_once('@').map_or(asked, |(_, address)| address))
}

fn note(exchange: &mut Exchange, head: &mut Parts) {
    exchange.key.version = Version::of(head.version);
}
