//! The trace and request that a call belongs to, read from and written to headers.
//!
//! Which formats are spoken is the application's choice (`OTEL_PROPAGATORS`, by default W3C trace context and baggage):
//! the propagator that telemetry was started with does the work, this only lets it see headers. A header that is not text is
//! not there to it.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector};

use crate::current::{Current, RequestId};

/// Where a request's id travels.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct HeadersMut<'a>(&'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

/// The trace that a caller's headers continue, and their baggage; what they do not have is that of `around`.
pub(crate) fn extract(around: &Context, headers: &HeaderMap) -> Context {
    opentelemetry::global::get_text_map_propagator(|propagator| {
        propagator.extract_with_context(around, &Headers(headers))
    })
}

/// Makes whoever gets these headers continue `trace`, and know the request by its id.
pub(crate) fn inject(trace: &Context, current: &Current, headers: &mut HeaderMap) {
    opentelemetry::global::get_text_map_propagator(|propagator| {
        propagator.inject_context(trace, &mut HeadersMut(headers));
    });
    if let Some(id) = current.request_id.filter(|_| !headers.contains_key(REQUEST_ID)) {
        headers.insert(REQUEST_ID, header(&id));
    }
}

/// The id that a caller gave its request, if it can be one, and as it stands there.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<(RequestId, HeaderValue)> {
    let told = headers.get(REQUEST_ID)?;
    Some((RequestId::new(told.to_str().ok()?)?, told.clone()))
}

/// An id as it stands in headers.
pub(crate) fn header(id: &RequestId) -> HeaderValue {
    // Visible ASCII is never refused.
    HeaderValue::from_str(id.as_str()).unwrap_or(HeaderValue::from_static(""))
}
