//! Responses: bytes that leave in bounded chunks, JSON errors, gzip where the client takes it.
//!
//! A page of metrics is compressed as it is made ([`Page`]) and, for who does not take that, unpacked as it is sent: one of
//! 100 MB, of thousands of series with long labels, is a few as it waits.

use std::convert::Infallible;
use std::io::{self, Read as _, Write};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::buf::Reader;
use bytes::{Buf as _, Bytes};
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::coop::poll_proceed;

use super::guard::Refusal;

const CHUNK_BYTES: usize = 64 << 10;
/// Below this, compressing costs more than it saves.
const GZIP_BYTES_MIN: usize = 1 << 10;

/// A response body: written a chunk at a time, so that hyper never queues more than a few.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    rest: Bytes,
    packed: Option<Unpacking>,
    /// Held until the last chunk is taken: bounds how many large bodies exist at once.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty()
            && let Some(packed) = &mut self.packed
        {
            // A reader that is faster than we unpack would keep all others of its thread waiting.
            let turn = ready!(poll_proceed(cx));
            self.rest = packed.next();
            turn.made_progress();
        }
        let size = self.rest.len().min(CHUNK_BYTES);
        let chunk = self.rest.split_to(size);
        Poll::Ready((!chunk.is_empty()).then(|| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        let packed = self.packed.as_ref().map_or(0, |packed| packed.left);
        SizeHint::with_exact(self.rest.len() as u64 + packed)
    }
}

/// A page being unpacked.
#[derive(Debug)]
struct Unpacking {
    text: GzDecoder<Reader<Bytes>>,
    left: u64,
}

impl Unpacking {
    fn next(&mut self) -> Bytes {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        // What we packed ourselves unpacks. Were it not so, the body would be shorter than was said, which ends the connection.
        let _ = self.text.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk);
        self.left = self.left.saturating_sub(chunk.len() as u64);
        chunk.into()
    }
}

/// A page that is compressed as it is written. Cloning shares it.
#[derive(Clone, Debug)]
pub(super) struct Page(Arc<Mutex<Packing>>);

#[derive(Debug)]
struct Packing {
    packed: GzEncoder<Vec<u8>>,
    bytes: u64,
}

impl Page {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        let packed = GzEncoder::new(Vec::new(), Compression::fast());
        Self(Arc::new(Mutex::new(Packing { packed, bytes: 0 })))
    }

    fn lock(&self) -> MutexGuard<'_, Packing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Page {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let mut packing = self.lock();
        let written = packing.packed.write(text)?;
        packing.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock().packed.flush()
    }
}

/// An answer before it is put on the wire.
#[derive(Debug)]
pub(super) struct Reply {
    status: StatusCode,
    content_type: &'static str,
    body: Vec<u8>,
    /// How long it is unpacked, if it is a [`Page`] and is sent so.
    page: Option<u64>,
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
        Self { status, content_type, body: body.into_bytes(), page: None, allow: None, gzip: false }
    }

    /// What was written to `page`, of which nobody has a clone any more.
    pub(super) fn page(content_type: &'static str, page: Page) -> Self {
        let packing = Arc::into_inner(page.0).map(Mutex::into_inner);
        let packing = packing.map(|packing| packing.unwrap_or_else(PoisonError::into_inner));
        let Some((Ok(body), bytes)) = packing.map(|of| (of.packed.finish(), of.bytes)) else {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            return Self::error(status, "internal", "the page is still being written");
        };
        Self { body, page: Some(bytes), ..Self::new(StatusCode::OK, content_type, String::new()) }
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

    /// Bytes of the body as it is sent.
    pub(super) fn len(&self) -> u64 {
        self.page.unwrap_or(self.body.len() as u64)
    }

    /// Compressed where `request` takes gzip and it is worth it. Blocking for as long as that takes.
    pub(super) fn encoded(mut self, request: &HeaderMap) -> Self {
        if let Some(bytes) = self.page {
            if bytes >= GZIP_BYTES_MIN as u64 && takes_gzip(request) {
                (self.page, self.gzip) = (None, true);
            }
        } else if self.body.len() >= GZIP_BYTES_MIN
            && let Some(packed) = takes_gzip(request).then(|| gzip(&self.body)).flatten()
        {
            (self.body, self.gzip) = (packed, true);
        }
        self
    }

    /// The response; `permit` is held until its last chunk is taken.
    pub(super) fn into_response(self, permit: Option<OwnedSemaphorePermit>) -> Response<Chunks> {
        let Self { status, content_type, body, page, allow, gzip } = self;
        let mut response = Response::new(Chunks::default());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if gzip || page.is_some() || body.len() >= GZIP_BYTES_MIN {
            headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
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
        let body = Bytes::from(body);
        let (rest, packed) = match page {
            Some(left) => (Bytes::new(), Some((body, left))),
            None => (body, None),
        };
        let packed =
            packed.map(|(body, left)| Unpacking { text: GzDecoder::new(body.reader()), left });
        *response.body_mut() = Chunks { rest, packed, _permit: permit };
        response
    }
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

fn takes_gzip(request: &HeaderMap) -> bool {
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

    /// All chunks of a body, and how long it said that it is.
    fn sent(reply: Reply, accepted: &str) -> (Vec<u8>, u64, usize) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, accepted.parse().unwrap());
        let mut body = reply.encoded(&headers).into_response(None).into_body();
        let said = body.size_hint().exact().unwrap();
        let (mut all, mut longest) = (Vec::new(), 0);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut cx) {
            let chunk = frame.into_data().unwrap();
            longest = longest.max(chunk.len());
            all.extend_from_slice(&chunk);
        }
        assert!(body.is_end_stream() && body.size_hint().exact() == Some(0));
        (all, said, longest)
    }

    #[test]
    fn a_page_is_sent_whole_and_its_length_is_said_packed_or_not() {
        for lines in [0, 1, 10, 300_000] {
            let text: String = (0..lines).map(|nth| format!("name{{a=\"{nth}\"}} 1\n")).collect();
            let mut page = Page::new();
            for piece in text.as_bytes().chunks(1_000) {
                page.write_all(piece).unwrap();
            }
            let (plain, said, longest) = sent(Reply::page("text/plain", page), "");
            assert!(plain == text.as_bytes() && longest <= CHUNK_BYTES, "{lines}");
            assert_eq!(said, text.len() as u64);

            let mut page = Page::new();
            page.write_all(text.as_bytes()).unwrap();
            let reply = Reply::page("text/plain", page);
            let held = reply.body.len();
            assert!(held < text.len() / 2 + 100, "{held} of {}", text.len());
            assert_eq!(reply.len(), text.len() as u64, "what is sent is what counts as large");
            let (packed, said, _) = sent(reply, "gzip");
            assert_eq!(said, packed.len() as u64);
            if text.len() < GZIP_BYTES_MIN {
                assert_eq!(packed, text.as_bytes());
            } else {
                let mut unpacked = String::new();
                GzDecoder::new(&packed[..]).read_to_string(&mut unpacked).unwrap();
                assert!(unpacked == text, "{lines}");
            }
        }
    }

    /// A reader that takes everything at once shares its thread all the same.
    #[tokio::test]
    async fn unpacking_takes_turns_with_others_of_the_thread() {
        let mut page = Page::new();
        let text = vec![b'a'; 1_000 * CHUNK_BYTES];
        page.write_all(&text).unwrap();
        let mut body = Reply::page("text/plain", page).into_response(None).into_body();
        let (mut read, mut turns) = (0, 0);
        std::future::poll_fn(|cx| {
            turns += 1;
            loop {
                match ready!(Pin::new(&mut body).poll_frame(cx)) {
                    Some(frame) => read += frame.unwrap().into_data().unwrap().len(),
                    None => break Poll::Ready(()),
                }
            }
        })
        .await;
        assert_eq!(read, text.len());
        assert!(turns > 4, "{turns}");
    }

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
