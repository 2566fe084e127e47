//! The spans of exchanges, through `tracing`: what they are called and what they say.
//!
//! Source: OpenTelemetry semantic conventions 1.44, HTTP spans and RPC spans. The query of a URL is left out, and the user
//! before its host: they hold secrets more often than they help.

use std::borrow::Cow;

use http::{HeaderMap, Uri};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::TraceContextExt;
use tracing::field::{Empty, display};
use tracing::level_filters::LevelFilter;
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::propagate;
use super::series::{Key, Kind};
use super::words::{Method, grpc_word};
use crate::current::RequestId;
use crate::interned::Name;
use crate::layer::current_context;
use crate::meter::is_unwanted;

/// Characters of a method that nobody knows.
const METHOD_CHARACTERS_MAX: usize = 64;

/// The span of a request that came in. Which protocol it is tells the answer: until then what looks like gRPC has neither a
/// name of its own nor a method of HTTP.
pub(crate) fn server(key: Key, asked: &http::Method, path: &str, id: &RequestId) -> Span {
    let method = (!key.kind.is_grpc()).then(|| key.method.text());
    let span = info_span!(
        target: "sidelight::http",
        "http server",
        otel.name = Empty,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.request.method_original = original(asked),
        http.route = Empty,
        http.response.status_code = Empty,
        http.response.body.size = Empty,
        url.path = path,
        url.scheme = key.scheme.text(),
        network.protocol.version = key.version.text(),
        rpc.system.name = Empty,
        rpc.method = Empty,
        rpc.response.status_code = Empty,
        error.type = Empty,
        request_id = Empty,
    );
    if !span.is_disabled() {
        span.record("otel.name", &*name(key));
        span.record("request_id", id.as_str());
    }
    span
}

/// A method that is not one of the words, as it was sent.
fn original(method: &http::Method) -> Option<&str> {
    let sent = (Method::of(method) == Method::Other).then(|| method.as_str())?;
    // Of ASCII.
    sent.get(..METHOD_CHARACTERS_MAX).or(Some(sent))
}

/// Lets the span of a request that came in continue the caller's trace, and have the caller's baggage. Where there is no such
/// span, by a filter or without telemetry, gives both back, for spans within to continue and requests to take along.
pub(crate) fn follow(span: &Span, headers: &HeaderMap) -> Option<Context> {
    // Who wants no telemetry has none in between that the trace could end at.
    let nobody_listens = LevelFilter::current() == LevelFilter::OFF && !is_unwanted();
    if span.is_disabled() && nobody_listens {
        return None;
    }
    let mut caller = propagate::extract(&Context::new(), headers);
    if !caller.span().span_context().is_valid() {
        if caller.baggage().is_empty() {
            return None;
        }
        // What is around the span stays its parent.
        caller = propagate::extract(&current_context(), headers);
    }
    if span.is_disabled() {
        return Some(caller);
    }
    // Refused where no OpenTelemetry layer listens.
    span.set_parent(caller.clone()).is_err().then_some(caller)
}

/// The span of a request that goes out to `server`, a host with or without a port; `rpc_method` is that of a gRPC call, as its
/// caller spells it.
pub(crate) fn client(
    key: Key,
    method: &http::Method,
    uri: &Uri,
    server: Option<&str>,
    rpc_method: Option<&str>,
    resends: u32,
) -> Span {
    let (address, port) = key.server_address().unzip();
    let resends = Some(resends).filter(|resends| *resends > 0);
    let span = match rpc_method {
        Some(called) => info_span!(
            target: "sidelight::http",
            "rpc client",
            otel.name = called,
            otel.kind = "client",
            otel.status_code = Empty,
            rpc.system.name = "grpc",
            rpc.method = called,
            rpc.response.status_code = Empty,
            server.address = address,
            server.port = port,
            error.type = Empty,
        ),
        None => info_span!(
            target: "sidelight::http",
            "http client",
            otel.name = Empty,
            otel.kind = "client",
            otel.status_code = Empty,
            http.request.method = key.method.text(),
            http.request.method_original = original(method),
            http.request.resend_count = resends,
            http.response.status_code = Empty,
            http.response.body.size = Empty,
            url.template = key.route.text(),
            url.full = Empty,
            server.address = address,
            server.port = port,
            error.type = Empty,
        ),
    };
    if !span.is_disabled() && rpc_method.is_none() {
        span.record("otel.name", &*name(key));
        if let Some(server) = server {
            let scheme = uri.scheme_str().unwrap_or("http");
            span.record("url.full", display(format_args!("{scheme}://{server}{}", uri.path())));
        }
    }
    span
}

/// Says what only the answer told: that it is one of HTTP.
pub(crate) fn is_http(span: &Span, key: Key) {
    span.record("http.request.method", key.method.text());
    rename(span, key);
}

/// Names the span by what only the answer told: the route of HTTP, the method of gRPC.
pub(crate) fn rename(span: &Span, key: Key) {
    // Recorded, a name changes nothing of a span that was entered.
    if !span.is_disabled() {
        span.context().span().update_name(name(key));
    }
}

fn name(key: Key) -> Cow<'static, str> {
    match key.route.text() {
        // A method that is no label is no name either.
        called if key.kind.is_grpc() => {
            called.filter(|_| key.route != Name::OTHER).unwrap_or("grpc").into()
        }
        Some(route) => format!("{} {route}", key.method.span_word()).into(),
        None => key.method.span_word().into(),
    }
}

/// Says how the exchange ended, and what of it may have changed until then: an attribute that is recorded twice is there twice.
pub(crate) fn end(span: &Span, key: Key, response_bytes: Option<u64>) {
    if span.is_disabled() {
        return;
    }
    if key.kind == Kind::GrpcServer {
        span.record("rpc.system.name", "grpc");
        span.record("rpc.method", key.route.text());
    }
    if key.kind == Kind::HttpServer {
        span.record("http.route", key.route.text());
    }
    if let Some(status) = key.status {
        if key.kind.is_grpc() {
            span.record("rpc.response.status_code", grpc_word(status));
        } else {
            span.record("http.response.status_code", status);
        }
    }
    if let Some(bytes) =
        response_bytes.filter(|_| matches!(key.kind, Kind::HttpServer | Kind::HttpClient))
    {
        span.record("http.response.body.size", bytes);
    }
    if let Some(error) = key.error_type() {
        span.record("error.type", error.as_str());
        span.record("otel.status_code", "ERROR");
    }
}
