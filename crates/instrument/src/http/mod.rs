//! Layers for HTTP and gRPC, server and client: durations, sizes, active requests, spans, request ids, trace context.
//!
//! One [`tower`](https://docs.rs/tower) layer each, for anything that speaks `http::Request` and `http::Response`: axum, hyper,
//! tonic. A call of gRPC is known by its content type and counted as `rpc.*`, by the status in its trailers. Limits: 200
//! routes, 200 RPC methods, 200 peers, 4,000 combinations of labels of HTTP servers and 1,000 of the others; what comes after
//! has the route `_OTHER`, then `otel.metric.overflow`, and is counted in `sidelight.sdk.overflowed`. Cost: no allocation of
//! the metrics' own per request, no box around the future.
//!
//! Source: OpenTelemetry semantic conventions 1.44.

mod active;
mod answer;
mod body;
mod client;
mod exchange;
mod propagate;
#[cfg(feature = "reqwest")]
mod reqwest;
mod series;
mod server;
mod spans;
mod words;

pub use answer::ResponseFuture;
pub use body::ResponseBody;
pub use client::{Client, ClientLayer};
#[cfg(feature = "reqwest")]
pub use reqwest::Reqwest;
pub use server::{Server, ServerLayer};

/// Measures every request of a server and gives it an id.
///
/// Records `http.server.request.duration` (until the last byte of the answer), `.active_requests`, the sizes of bodies, and
/// `sidelight.http.rate_limited` for each 429; for gRPC `rpc.server.call.duration`. An answer that is dropped before its end
/// counts as `error.type="cancelled"`, a handler that panics as `"panic"`.
///
/// The request's id is that of the header `x-request-id`, or a new one: it is in the request's extensions as
/// [`RequestId`](crate::current::RequestId), in its headers and those of the answer, in the span, and in every log line of the
/// handler. The span continues the caller's trace, and has the caller's baggage.
///
/// axum tells the route to layers that are added with `Router::layer`; other routers put a [`Route`] into the extensions of
/// the request or the answer.
///
/// # Example
/// ```
/// # #[cfg(feature = "axum")] {
/// use axum::{Router, routing::get};
///
/// let app: Router = Router::new()
///     .route("/orders/{id}", get(|| async { "an order" }))
///     .layer(sidelight::http::server());
/// # }
/// ```
#[must_use]
pub const fn server() -> ServerLayer {
    ServerLayer::new()
}

/// Measures every request of a client, and takes the trace and the request's id along.
///
/// Records `http.client.request.duration` by peer and status (until the last byte of the answer), `.active_requests` and the
/// sizes of bodies; for gRPC `rpc.client.call.duration`. A [`Route`] in a request's extensions becomes `url.template`, a
/// [`Resend`] `http.request.resend_count`. The span's `url.full` has neither the user nor the query of the URL.
///
/// # Example
/// ```
/// use tower_layer::Layer;
/// # struct HyperClient;
/// let client = sidelight::http::client().layer(HyperClient);
/// ```
#[must_use]
pub const fn client() -> ClientLayer {
    ClientLayer
}

/// A route or template of URLs, for routers and clients that are not known here.
///
/// # Example
/// ```
/// let mut request = http::Request::get("/orders/17").body(()).unwrap();
/// request.extensions_mut().insert(sidelight::http::Route("/orders/{id}"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route(pub &'static str);

/// How often a request was sent before: in the extensions of a request that is sent again.
///
/// # Example
/// ```
/// let mut request = http::Request::get("http://stock/17").body(()).unwrap();
/// request.extensions_mut().insert(sidelight::http::Resend(1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resend(pub u32);
