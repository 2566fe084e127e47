//! One request and its answer, from the first sight of it to the last byte.
//!
//! Invariant: every exchange is recorded once. It ends with the last byte of the answer's body; one that is dropped before
//! that was cancelled, or unwound by a panic, and is recorded as such. What had all its bytes when it was dropped is whole:
//! servers do not ask a body for its end once the announced length is written.

use std::sync::atomic::{AtomicI64, Ordering};

use http::StatusCode;
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use opentelemetry::Context;
use tracing::Span;

use super::active;
use super::series::{self, Key, Kind, Measured};
use super::words::{Fault, Method, Scheme, Version, grpc_status, is_grpc};
use crate::clock::Started;
use crate::current::Current;
use crate::interned::{Name, Names};

static METHODS: Names = Names::new("RPC methods");

/// What a request is known by before it is answered.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a http::Method,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) scheme: Scheme,
    pub(crate) version: Version,
    pub(crate) route: Name,
    pub(crate) peer: Name,
}

/// An exchange under way.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) key: Key,
    /// The method of a gRPC call that is no label yet.
    unnamed: Option<Box<str>>,
    /// The route of HTTP, should what looks like a gRPC call turn out to be none.
    route: Name,
    pub(crate) current: Current,
    /// The request's id, as the answer of a server has it.
    pub(crate) id: Option<HeaderValue>,
    pub(crate) span: Span,
    /// The caller's trace, where there is no span that continues it.
    pub(crate) caller: Option<Context>,
    /// How many are under way that count as this one does.
    under_way: &'static AtomicI64,
    started: Started,
    request: Option<u64>,
    response: u64,
    /// Bytes that the answer's body will have, where it says so.
    announced: Option<u64>,
    responded: bool,
    /// While the application's code runs: it still is when that panicked and somebody caught it.
    inside: bool,
    over: bool,
}

impl Exchange {
    /// Begins with a request's head: `kind` is that of HTTP, and becomes that of gRPC where the request is.
    pub(crate) fn start(kind: Kind, asked: &Asked<'_>) -> Self {
        let grpc = is_grpc(asked.headers);
        let called = asked.path.trim_start_matches('/');
        let known = grpc.then(|| METHODS.find(called));
        let key = Key {
            kind: if grpc { kind.grpc() } else { kind },
            route: known.map_or(asked.route, |known| known.unwrap_or(Name::NONE)),
            peer: asked.peer,
            method: Method::of(asked.method),
            scheme: asked.scheme,
            version: asked.version,
            status: None,
            fault: Fault::None,
        };
        Self {
            key,
            unnamed: (known == Some(None)).then(|| called.into()),
            route: asked.route,
            current: Current::default(),
            id: None,
            span: Span::none(),
            caller: None,
            under_way: active::begin(key),
            started: Started::now(),
            request: content_length(asked.headers),
            response: 0,
            announced: None,
            responded: false,
            inside: false,
            over: false,
        }
    }

    /// The method of a gRPC call, as its caller spells it.
    pub(crate) fn rpc_method(&self) -> Option<&str> {
        self.unnamed
            .as_deref()
            .or_else(|| self.key.route.text().filter(|_| self.key.kind.is_grpc()))
    }

    /// Takes the route that the answer tells of.
    pub(crate) fn routed(&mut self, route: Name) {
        self.route = route;
        if !self.key.kind.is_grpc() {
            self.key.route = route;
            super::spans::rename(&self.span, self.key);
        }
    }

    /// Runs `then` as part of this exchange: in its span, with its request and route.
    pub(crate) fn enter<R>(&mut self, then: impl FnOnce() -> R) -> R {
        let _current = self.current.enter_here();
        let _span = self.span.enter();
        let _caller = self.caller.clone().map(Context::attach);
        let inside = std::mem::replace(&mut self.inside, true);
        let value = then();
        // What is dropped after a panic was inside then, too.
        self.inside = inside;
        value
    }

    /// Takes the head of the answer. Says whether the exchange is over with it.
    pub(crate) fn responded(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &impl http_body::Body,
    ) -> bool {
        self.responded = true;
        self.head(status, headers);
        self.announced = body.size_hint().exact().or_else(|| content_length(headers));
        let bodiless = self.key.method == Method::Head
            || status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || (self.key.method == Method::Connect && status.is_success());
        bodiless || body.is_end_stream()
    }

    /// Takes the status of the answer.
    pub(crate) fn head(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.trailers(headers);
        if self.key.kind == Kind::GrpcServer
            && self.key.status.is_none()
            && !is_call(status, headers)
        {
            self.is_http();
        }
        if !self.key.kind.is_grpc() {
            self.key.status = Some(status.as_u16());
        }
    }

    /// Whoever asks can say that it is gRPC; who answered did not speak it.
    fn is_http(&mut self) {
        self.unnamed = None;
        (self.key.kind, self.key.route) = (Kind::HttpServer, self.route);
        super::spans::is_http(&self.span, self.key);
    }

    /// Takes the length of a body that is not seen.
    #[cfg(feature = "reqwest")]
    pub(crate) fn announced(&mut self, headers: &HeaderMap) {
        if let Some(bytes) = content_length(headers) {
            (self.responded, self.response) = (true, bytes);
        }
    }

    /// Takes a part of the answer's body.
    pub(crate) fn body(&mut self, bytes: usize) {
        self.response = self.response.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Takes what a gRPC call ended with, where these headers or trailers say it.
    pub(crate) fn trailers(&mut self, trailers: &HeaderMap) {
        if self.key.kind.is_grpc() {
            self.key.status = grpc_status(trailers).or(self.key.status);
        }
    }

    /// Ends well, as far as the status says.
    pub(crate) fn finish(mut self) {
        self.end(Fault::None);
    }

    /// Ends without an answer, or within one.
    pub(crate) fn fail(mut self, fault: Fault) {
        self.end(fault);
    }

    fn end(&mut self, fault: Fault) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        self.key.fault = fault;
        if self.key.kind.is_grpc() {
            self.end_grpc();
        }
        let measured = Measured {
            duration: self.started.elapsed_seconds(),
            request: self.request,
            response: self.responded.then_some(self.response),
        };
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        series::record(self.key, &measured);
        super::spans::end(&self.span, self.key, measured.response);
        // The span ends with the exchange, not with whatever still holds this.
        self.span = Span::none();
    }

    /// A call that ended in order without saying how is unknown. What a server never answered, or says that nobody
    /// implements, is no label, so that callers cannot fill the table. A head is answer enough: a subscription may always
    /// end by its caller going away.
    fn end_grpc(&mut self) {
        const UNKNOWN: u16 = 2;
        const UNIMPLEMENTED: u16 = 12;
        if let Some(called) = self.unnamed.take() {
            let foreign = !self.responded || self.key.status == Some(UNIMPLEMENTED);
            let foreign = foreign && self.key.kind.is_server();
            self.key.route = if foreign { Name::OTHER } else { METHODS.intern(&called) };
            if self.key.kind.is_server() {
                super::spans::rename(&self.span, self.key);
            }
        }
        if self.key.fault == Fault::None {
            self.key.status = self.key.status.or(Some(UNKNOWN));
        }
    }
}

/// Whether this head of an answer may be one to a gRPC call.
fn is_call(status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::OK && is_grpc(headers)
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let whole = self.responded && self.announced.is_some_and(|bytes| self.response >= bytes);
        self.end(match (self.inside || std::thread::panicking(), whole) {
            (true, _) => Fault::Panic,
            (false, true) => Fault::None,
            (false, false) => Fault::Cancelled,
        });
    }
}
