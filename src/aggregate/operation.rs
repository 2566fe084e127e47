//! What an operation is called, and when it failed: the one definition for everything that is measured by operation.
//!
//! Source: OpenTelemetry semantic conventions 1.44 (HTTP, RPC, messaging), with the attribute names before them.

use std::borrow::Cow;

use super::grpc;
use super::usual::Fields;

/// `SpanKind`.
pub(super) const SERVER: u8 = 2;
/// `SpanKind`.
pub(super) const CLIENT: u8 = 3;
/// `SpanKind`.
pub(super) const PRODUCER: u8 = 4;
/// `SpanKind`.
pub(super) const CONSUMER: u8 = 5;

/// `StatusCode`.
const ERROR: u8 = 2;
/// Known methods (RFC 9110, RFC 5789 and QUERY), sorted: a [`Method`] is a place here. The first is none, and any other is the
/// last, `_OTHER`, as semantic conventions say, so that a scanner's inventions make no series.
const METHODS: [&str; 12] = [
    "", "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE",
    "_OTHER",
];

/// A method as a label has it: its place among those that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Method(u8);

impl Method {
    /// Not a request of HTTP.
    pub(super) const NONE: Self = Self(0);

    /// The method of this name.
    #[inline]
    pub(super) const fn of(name: &[u8]) -> Self {
        Self(match name {
            b"" => 0,
            b"CONNECT" => 1,
            b"DELETE" => 2,
            b"GET" => 3,
            b"HEAD" => 4,
            b"OPTIONS" => 5,
            b"PATCH" => 6,
            b"POST" => 7,
            b"PUT" => 8,
            b"QUERY" => 9,
            b"TRACE" => 10,
            _ => 11,
        })
    }

    /// Of a span.
    #[inline]
    pub(super) fn of_span(span: &Fields<'_>) -> Self {
        span.method().map_or(Self::NONE, Self::of)
    }

    /// As a label has it: a known one, `_OTHER`, or empty.
    pub(super) fn name(self) -> &'static str {
        METHODS.get(usize::from(self.0)).copied().unwrap_or_default()
    }

    /// A number of its own.
    #[inline]
    pub(super) const fn number(self) -> u8 {
        self.0
    }
}

/// The route; else the remote procedure; else what is done with which destination; else, for HTTP without a route, the
/// method; else the span's name.
pub(super) fn name<'a>(span: &Fields<'a>, method: Method) -> Cow<'a, str> {
    let text = |bytes: &'a [u8]| String::from_utf8_lossy(bytes);
    if let Some(route) = span.route() {
        return text(route);
    }
    if let Some(called) = span.rpc_method() {
        let called = text(called);
        return match span.rpc_service().map(text) {
            Some(service) if !called.contains('/') => format!("{service}/{called}").into(),
            _ => called,
        };
    }
    let messaging = span.messaging_operation().zip(span.messaging_destination());
    if let Some((done, destination)) = messaging {
        return format!("{} {}", text(done), text(destination)).into();
    }
    if method != Method::NONE {
        return format!("{} <unmatched>", method.name()).into();
    }
    text(span.name)
}

/// What an operation is asked by. Requests of HTTP are in HTTP metrics as well, where a service has them; others are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Protocol {
    Http,
    Rpc,
    Messaging,
    Other,
}

impl Protocol {
    pub(super) const ALL: [Self; 4] = [Self::Http, Self::Rpc, Self::Messaging, Self::Other];

    /// Of a SERVER or CONSUMER span. `http` says that its row is one of HTTP server metrics.
    pub(super) fn of(span: &Fields<'_>, http: bool) -> Self {
        if http {
            Self::Http
        } else if span.rpc_method().is_some() || span.grpc_status().is_some() {
            Self::Rpc
        } else if span.messaging_destination().is_some() {
            Self::Messaging
        } else {
            Self::Other
        }
    }

    /// As a label has it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Rpc => "rpc",
            Self::Messaging => "messaging",
            Self::Other => "other",
        }
    }
}

/// The operation of a span.
pub(super) fn of<'a>(span: &Fields<'a>) -> Cow<'a, str> {
    name(span, Method::of_span(span))
}

/// Whether a span failed as far as its labels say: HTTP 5xx, for a client 4xx too, or its status.
pub(super) fn failed(kind: u8, status: u8, http_status: u16) -> bool {
    let least = if kind == CLIENT { 400 } else { 500 };
    status == ERROR || http_status >= least
}

/// Whether a span failed.
pub(super) fn span_failed(span: &Fields<'_>) -> bool {
    let code = |code: i32| u8::try_from(code).unwrap_or(0);
    let http_status = span.http_status().unwrap_or(0);
    failed(code(span.kind), code(span.status), u16::try_from(http_status).unwrap_or(0))
        || grpc_failed(span)
}

/// Whether gRPC says that a span failed.
#[inline]
pub(super) fn grpc_failed(span: &Fields<'_>) -> bool {
    span.grpc_status().is_some_and(grpc::is_failure)
}

#[cfg(test)]
mod tests {
    use sidelight_wire::view::{Text, Value};

    use super::*;

    fn named(attributes: &[(&str, &str)], method: &str) -> String {
        let mut span = Fields { name: b"the span", ..Fields::default() };
        for (key, value) in attributes {
            span.take(key.as_bytes(), || Value::String(Text(value.as_bytes())));
        }
        name(&span, Method::of(method.as_bytes())).into_owned()
    }

    #[test]
    fn the_best_attribute_names_the_operation() {
        let rpc = [("rpc.service", "pkg.Shop"), ("rpc.method", "Buy")];
        let send = [
            ("messaging.operation", "publish"),
            ("messaging.operation.name", "send"),
            ("messaging.destination.name", "orders"),
        ];
        assert_eq!(named(&[("http.route", "/cart"), rpc[1]], "GET"), "/cart");
        assert_eq!(named(&rpc, "POST"), "pkg.Shop/Buy");
        assert_eq!(named(&[rpc[0], ("rpc.method", "pkg.Shop/Buy")], ""), "pkg.Shop/Buy");
        assert_eq!(named(&send, ""), "send orders");
        assert_eq!(named(&send[..1], ""), "the span");
        assert_eq!(named(&[], "GET"), "GET <unmatched>");
        assert_eq!(named(&[], ""), "the span");
    }

    #[test]
    fn what_is_no_row_of_http_is_told_by_its_attributes() {
        let mut span = Fields::default();
        assert_eq!(Protocol::of(&span, false), Protocol::Other);
        assert_eq!(Protocol::of(&span, true), Protocol::Http);
        span.take(b"messaging.destination.name", || Value::String(Text(b"orders")));
        assert_eq!(Protocol::of(&span, false), Protocol::Messaging);
        span.take(b"rpc.method", || Value::String(Text(b"Buy")));
        assert_eq!(Protocol::of(&span, false), Protocol::Rpc);
        assert_eq!(Protocol::of(&span, true), Protocol::Http);
    }

    #[test]
    fn errors_are_those_of_the_side_that_answers() {
        let rows = [(SERVER, 0, 404, false), (CLIENT, 0, 404, true), (SERVER, 0, 500, true)];
        for (kind, status, http, expected) in rows {
            assert_eq!(failed(kind, status, http), expected, "{kind} {status} {http}");
        }
        assert!(failed(CONSUMER, 2, 0) && !failed(PRODUCER, 1, 0));
        let grpc = |status| {
            let mut span = Fields::default();
            span.take(b"rpc.grpc.status_code", || Value::Int(status));
            grpc_failed(&span)
        };
        assert_eq!([0, 1, 2, 5, 13, 16].map(grpc), [false, false, true, false, true, false]);
        let response = |status: Value<'static>| {
            let mut span = Fields::default();
            span.take(b"rpc.response.status_code", || status);
            (grpc_failed(&span), Protocol::of(&span, false))
        };
        let text = |text: &'static str| response(Value::String(Text(text.as_bytes())));
        for (status, fails) in [
            ("OK", false),
            ("NOT_FOUND", false),
            ("UNAVAILABLE", true),
            ("deadline_exceeded", true),
            ("14", true),
            // Of JSON-RPC.
            ("-32602", false),
        ] {
            assert_eq!(text(status), (fails, Protocol::Rpc), "{status}");
        }
        assert_eq!(response(Value::Int(14)), (true, Protocol::Rpc));
        assert_eq!(text("nonsense"), (false, Protocol::Other));
    }

    #[test]
    fn only_known_methods_make_series() {
        assert!(METHODS.is_sorted());
        for known in METHODS {
            assert_eq!(Method::of(known.as_bytes()).name(), known);
        }
        assert_eq!(Method::of(b"get").name(), "_OTHER");
        assert_eq!(Method::of(b"XYZZY").name(), "_OTHER");
    }
}
