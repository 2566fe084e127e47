//! What makes spans one series, read from a span where it lies.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hasher as _};
use std::sync::Arc;

use super::clip::clip;
use super::codec::{self, Read};
use super::operation::Method;
use super::resource::{Dimensions, Resource};
use super::same::same;
use super::usual::Fields;
use crate::telemetry::desc::OWN_SPAN_LABELS;

const KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
const STATUSES: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];
/// The labels of a span but for its resource, borrowed from the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key<'a> {
    pub(super) name: &'a [u8],
    pub(super) route: &'a [u8],
    /// As [`Dimensions::read`] writes it.
    pub(super) dimensions: &'a str,
    pub(super) method: Method,
    pub(super) kind: u8,
    pub(super) status: u8,
    /// 100 to 999; 0 when there is none.
    pub(super) http_status: u16,
}

impl<'a> Key<'a> {
    /// The key of a span's fields, with values cut to `value_bytes_max`.
    #[inline]
    pub(super) fn of(span: &Fields<'a>, dimensions: &'a str, value_bytes_max: usize) -> Self {
        let known = |code: i32, names: usize| {
            u8::try_from(code).ok().filter(|&code| usize::from(code) < names).unwrap_or(0)
        };
        let http_status = span.http_status().unwrap_or(0);
        Self {
            name: clip(span.name, value_bytes_max),
            route: clip(span.route().unwrap_or_default(), value_bytes_max),
            dimensions,
            method: Method::of_span(span),
            kind: known(span.kind, KINDS.len()),
            status: known(span.status, STATUSES.len()),
            http_status: u16::try_from(http_status)
                .ok()
                .filter(|status| (100..1_000).contains(status))
                .unwrap_or(0),
        }
    }
}

impl Key<'_> {
    /// The hash of a series of this resource.
    #[inline]
    pub(super) fn hash(&self, resource: &Arc<Resource>, by: &impl BuildHasher) -> u64 {
        let mut hasher = by.build_hasher();
        hasher.write(self.name);
        hasher.write(self.route);
        if !self.dimensions.is_empty() {
            hasher.write(self.dimensions.as_bytes());
        }
        let numbers = u64::from(self.kind) << 40
            | u64::from(self.status) << 32
            | u64::from(self.http_status) << 16
            | u64::from(self.method.number());
        hasher.write_u128(u128::from(numbers) << 64 | Arc::as_ptr(resource).addr() as u128);
        hasher.finish()
    }
}

/// The labels of a series, owned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels {
    resource: Arc<Resource>,
    name: Box<[u8]>,
    route: Box<[u8]>,
    dimensions: Box<str>,
    method: Method,
    kind: u8,
    status: u8,
    http_status: u16,
}

impl Labels {
    pub(super) fn new(resource: &Arc<Resource>, key: &Key<'_>) -> Self {
        let Key { name, route, dimensions, method, kind, status, http_status } = *key;
        Self {
            resource: Arc::clone(resource),
            name: name.into(),
            route: route.into(),
            dimensions: dimensions.into(),
            method,
            kind,
            status,
            http_status,
        }
    }

    #[inline]
    pub(super) fn are(&self, resource: &Arc<Resource>, key: &Key<'_>) -> bool {
        same(&self.name, key.name)
            && same(&self.route, key.route)
            && self.kind == key.kind
            && self.status == key.status
            && self.http_status == key.http_status
            && self.method == key.method
            && (key.dimensions.is_empty() && self.dimensions.is_empty()
                || *self.dimensions == *key.dimensions)
            && Arc::ptr_eq(&self.resource, resource)
    }

    pub(super) fn resource(&self) -> &Arc<Resource> {
        &self.resource
    }

    /// All but the resource.
    pub(super) fn key(&self) -> Key<'_> {
        let Self { name, route, dimensions, method, kind, status, http_status, .. } = self;
        let (method, kind, status, http_status) = (*method, *kind, *status, *http_status);
        Key { name, route, dimensions, method, kind, status, http_status }
    }

    /// The labels of the series, the empty ones left out, without the metric's name.
    pub(super) fn pairs(&self, dimensions: &Dimensions) -> Vec<(String, String)> {
        // In the order of `OWN_SPAN_LABELS`.
        let values = [
            self.service(),
            self.span_name(),
            self.span_kind().into(),
            self.status_code().into(),
            self.http_route(),
            self.http_request_method().into(),
            self.http_response_status_code().into(),
        ];
        let own = OWN_SPAN_LABELS.iter().zip(values).filter(|(_, value)| !value.is_empty());
        let mut all: Vec<_> =
            own.map(|(name, value)| ((*name).to_owned(), value.into_owned())).collect();
        let others = self.resource.labels().iter().map(|(name, value)| (&**name, &**value));
        for (name, value) in dimensions.labels(&self.dimensions).chain(others) {
            // A span's own label comes before one of its resource.
            if !value.is_empty() && all.iter().all(|(known, _)| known != name) {
                all.push((name.to_owned(), value.to_owned()));
            }
        }
        all
    }

    /// Writes the labels but for the resource for a checkpoint.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for text in
            [&*self.name, &*self.route, self.dimensions.as_bytes(), self.method.name().as_bytes()]
        {
            codec::put_bytes(out, text);
        }
        out.extend_from_slice(&[self.kind, self.status]);
        codec::put(out, self.http_status.into());
    }

    /// What [`Labels::encode`] wrote.
    pub(super) fn decode(resource: &Arc<Resource>, read: &mut Read<'_>) -> Option<Self> {
        let (name, route) = (read.bytes()?, read.bytes()?);
        let dimensions = std::str::from_utf8(read.bytes()?).ok()?;
        let method = Method::of(read.bytes()?);
        let (kind, status) = (read.byte()?, read.byte()?);
        let http_status = u16::try_from(read.number()?).ok()?;
        let key = Key { name, route, dimensions, method, kind, status, http_status };
        Some(Self::new(resource, &key))
    }

    /// `service.name`, or `unknown_service`.
    #[must_use]
    pub fn service(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.resource.service())
    }

    /// The span's name.
    #[must_use]
    pub fn span_name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.name)
    }

    /// `SPAN_KIND_SERVER` and so on.
    #[must_use]
    pub fn span_kind(&self) -> &'static str {
        KINDS.get(usize::from(self.kind)).copied().unwrap_or_default()
    }

    /// `STATUS_CODE_ERROR` and so on.
    #[must_use]
    pub fn status_code(&self) -> &'static str {
        STATUSES.get(usize::from(self.status)).copied().unwrap_or_default()
    }

    /// `http.route`, or empty.
    #[must_use]
    pub fn http_route(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.route)
    }

    /// `http.request.method`, `_OTHER`, or empty.
    #[must_use]
    pub fn http_request_method(&self) -> &'static str {
        self.method.name()
    }

    /// `http.response.status_code`, or empty.
    #[must_use]
    pub fn http_response_status_code(&self) -> String {
        if self.http_status == 0 { String::new() } else { self.http_status.to_string() }
    }
}
