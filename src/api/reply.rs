//! Responses: bytes that leave in bounded chunks, JSON errors, gzip where the client takes it.

use std::io::{self, Write as _};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use super::guard::Refusal;
use super::pipe::{CutShort, Reader, Writer};

const CHUNK_BYTES: usize = 64 << 10;
/// Below this, compressing costs more than it saves.
const GZIP_BYTES_MIN: usize = 1 << 10;

/// What the body depends on.
const NEGOTIATED: &str = "accept, accept-encoding";

/// A response body: written a chunk at a time, so that hyper never queues more than a few.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    rest: Bytes,
    /// Where more comes from.
    more: Option<Reader>,
    /// Held until the last chunk is taken: bounds how many large bodies exist at once.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = CutShort;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        if self.rest.is_empty()
            && let Some(more) = &mut self.more
        {
            match ready!(more.poll_next(cx)).transpose()? {
                Some(text) => self.rest = text,
                None => self.more = None,
            }
        }
        let size = self.rest.len().min(CHUNK_BYTES);
        let chunk = self.rest.split_to(size);
        Poll::Ready((!chunk.is_empty()).then(|| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.more.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.rest.len() as u64;
        match self.more {
            Some(_) => SizeHint::default(),
            None => SizeHint::with_exact(length),
        }
    }
}

/// An answer before it is put on the wire.
#[derive(Debug)]
pub(super) struct Reply {
    status: StatusCode,
    content_type: &'static str,
    body: Vec<u8>,
    allow: Option<HeaderValue>,
    gzip: bool,
}

impl Reply {
    /// A JSON document.
    pub(super) fn json(status: StatusCode, document: String) -> Self {
        Self::new(status, "application/json", document)
    }

    /// Any text.
    pub(super) fn new(status: StatusCode, content_type: &'static str, body: String) -> Self {
        Self { status, content_type, body: body.into_bytes(), allow: None, gzip: false }
    }

    /// An error: `{"error":{"code":"…","message":"…"}}`.
    pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Self {
        let document = json!({"error": {"code": code, "message": message}});
        Self::json(status, document.to_string())
    }

    /// 401 or 403; `token_file` is where whoever runs the agent finds what was missing.
    pub(super) fn refused(refusal: Refusal, token_file: Option<&Path>) -> Self {
        let mut error = json!({"code": "refused", "message": refusal.to_string()});
        if let (Some(path), Some(error)) = (token_file, error.as_object_mut()) {
            error.insert("token_file".to_owned(), json!(path));
        }
        Self::json(refusal.status(), json!({ "error": error }).to_string())
    }

    /// 405, with the methods that the path has.
    pub(super) fn not_allowed(methods: &str) -> Self {
        let message = format!("this path answers {methods}");
        let mut reply = Self::error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", &message);
        reply.allow = HeaderValue::from_str(methods).ok();
        reply
    }

    /// Bytes of the body, as they are.
    pub(super) const fn len(&self) -> usize {
        self.body.len()
    }

    /// Compressed where `request` takes gzip and it is worth it. Blocking for as long as that takes.
    pub(super) fn encoded(mut self, request: &HeaderMap) -> Self {
        if self.body.len() >= GZIP_BYTES_MIN
            && let Some(packed) = takes_gzip(request).then(|| gzip(&self.body)).flatten()
        {
            (self.body, self.gzip) = (packed, true);
        }
        self
    }

    /// The response; `permit` is held until its last chunk is taken.
    pub(super) fn into_response(self, permit: Option<OwnedSemaphorePermit>) -> Response<Chunks> {
        let Self { status, content_type, body, allow, gzip } = self;
        let mut response = Response::new(Chunks::default());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if gzip || body.len() >= GZIP_BYTES_MIN {
            headers.insert(VARY, HeaderValue::from_static(NEGOTIATED));
        }
        if gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if let Some(methods) = allow {
            headers.insert(ALLOW, methods);
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        *response.body_mut() = Chunks { rest: body.into(), more: None, _permit: permit };
        response
    }
}

/// A page that is sent as it is written, from its first piece on.
pub(super) fn piped(
    content_type: &'static str,
    gzip: bool,
    first: Bytes,
    more: Reader,
) -> Response<Chunks> {
    let reply = Reply { gzip, ..Reply::new(StatusCode::OK, content_type, String::new()) };
    let mut response = reply.into_response(None);
    response.headers_mut().insert(VARY, HeaderValue::from_static(NEGOTIATED));
    *response.body_mut() = Chunks { rest: first, more: Some(more), _permit: None };
    response
}

/// `page`, compressed where `packed`: all of it is there once what is returned is dropped.
pub(super) fn packing(page: Writer, packed: bool) -> Box<dyn io::Write + Send> {
    if packed { Box::new(GzEncoder::new(page, Compression::fast())) } else { Box::new(page) }
}

fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

/// What a request says of the formats that it takes, from as many lines as it says it in.
pub(super) fn accepted(request: &HeaderMap) -> String {
    let accepted: Vec<_> =
        request.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    accepted.join(",")
}

pub(super) fn takes_gzip(request: &HeaderMap) -> bool {
    let accepted = request.get_all(ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|coding| {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = parameters.trim().strip_prefix("q=").is_some_and(|quality| {
            quality.trim().parse::<f32>().is_ok_and(|quality| quality <= 0.0)
        });
        let name = name.trim();
        !refused && (name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_where_named_and_not_refused() {
        for (accepted, expected) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("br, deflate", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, accepted.parse().unwrap());
            assert_eq!(takes_gzip(&headers), expected, "{accepted}");
        }
    }
}
