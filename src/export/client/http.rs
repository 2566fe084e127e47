//! One OTLP/HTTP request over HTTP/1.1 or HTTP/2.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Version, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::{RESPONSE_BYTES_MAX, Response, Route, SendError, reply};
use crate::export::compress::Encoded;
use crate::export::config::Encoding;
use crate::export::disposition::Status;
use crate::net::body::Chunks;
use crate::net::connect::Link;
use crate::net::retry::parse_retry_after;
use crate::time::UnixNano;

pub(super) async fn send(
    mut link: Link<'_>,
    route: &Route,
    headers: HeaderMap,
    body: &Encoded,
    encoding: Encoding,
    now: UnixNano,
) -> Result<Response, SendError> {
    let request = request(&link, route, headers, body, encoding)?;
    let response = match &mut link {
        Link::H2(sender, _) => sender.send_request(request).await,
        Link::H1(sender, _) => sender.send_request(request).await,
    };
    let (parts, body) = response.map_err(SendError::Transport)?.into_parts();
    let code = parts.status.as_u16();
    let text = |name| parts.headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    let json = text(header::CONTENT_TYPE).is_some_and(|t| t.contains("json"));
    let message = match read_answer(body).await {
        Ok(answer) => {
            link.keep();
            Some(answer.message)
        }
        Err(_) => None,
    };
    if (200..300).contains(&code) {
        if is_web_page(text(header::CONTENT_TYPE), message.as_deref()) {
            return Err(SendError::WebPage(Status::Http(code)));
        }
        // The status has arrived: it is the answer, whatever becomes of the rest.
        let Some(message) = message else { return Ok(Response::default()) };
        let partial = if json {
            reply::partial_from_json(&message)
        } else {
            reply::partial_from_protobuf(&message)
        };
        return Ok(Response { partial, date: parts.headers.get(header::DATE).cloned() });
    }
    let retry_after = text(header::RETRY_AFTER).and_then(|value| parse_retry_after(value, now));
    let status = Status::Http(code);
    let message = error_message(&message.unwrap_or_default(), json);
    Err(SendError::Answered { status, message, retry_after })
}

fn request(
    link: &Link<'_>,
    route: &Route,
    mut headers: HeaderMap,
    body: &Encoded,
    encoding: Encoding,
) -> Result<Request<Chunks>, SendError> {
    let content_type = match encoding {
        Encoding::Proto => "application/x-protobuf",
        Encoding::Json => "application/json",
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(coding) = body.coding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    let refuse = |e: http::Error| SendError::Encode(e.to_string());
    let builder = Request::builder().method(Method::POST);
    let builder = match link {
        Link::H2(..) => {
            let scheme = if route.pool.endpoint.tls { "https" } else { "http" };
            let uri = format!("{scheme}://{}{}", route.pool.authority, route.path);
            builder.uri(uri).version(Version::HTTP_2)
        }
        Link::H1(..) => {
            let host = HeaderValue::from_str(&route.pool.authority);
            headers.insert(header::HOST, host.map_err(|e| refuse(e.into()))?);
            builder.uri(&route.path).version(Version::HTTP_11)
        }
    };
    let mut request = builder.body(Chunks::new(None, &body.chunks)).map_err(refuse)?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Whether a 2xx answer is a page for people, of a portal or a proxy that answers every path, also one whose `body` could not
/// be read. Receivers that answer with nothing, or with a word of plain text, are left alone, also where their framework calls
/// it HTML: only markup is a page.
fn is_web_page(content_type: Option<&str>, body: Option<&[u8]>) -> bool {
    let kind = content_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
    let html = ["text/html", "application/xhtml+xml"];
    let is_markup = |body: &[u8]| {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        body.trim_ascii_start().starts_with(b"<")
    };
    html.iter().any(|html| kind.eq_ignore_ascii_case(html)) && body.is_none_or(is_markup)
}

/// The words of an error body: a Status in protobuf or JSON, or plain text.
fn error_message(body: &[u8], json: bool) -> String {
    if json {
        let value: Option<serde_json::Value> = serde_json::from_slice(body).ok();
        if let Some(message) = value.as_ref().and_then(|v| v.get("message")?.as_str()) {
            return message.chars().take(1024).collect();
        }
    }
    let (message, _) = reply::status_from_protobuf(body);
    if !message.is_empty() {
        return message;
    }
    String::from_utf8_lossy(body.get(..1024).unwrap_or(body)).into_owned()
}

/// A response body with its trailers.
pub(super) struct Answer {
    pub(super) message: Bytes,
    pub(super) trailers: Option<HeaderMap>,
}

/// Reads a response to its end, at most [`RESPONSE_BYTES_MAX`].
pub(super) async fn read_answer(mut body: Incoming) -> Result<Answer, SendError> {
    let mut message = BytesMut::new();
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        match frame.map_err(SendError::Transport)?.into_data() {
            Ok(data) if message.len() + data.len() > RESPONSE_BYTES_MAX => {
                return Err(SendError::ResponseTooLarge);
            }
            Ok(data) => message.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok(Answer { message: message.freeze(), trailers })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_that_is_called_html_is_a_web_page_and_nothing_else_is() {
        let page = b"<html>login</html>";
        for (kind, body, want) in [
            (Some("text/html"), &page[..], true),
            (Some("Text/HTML; charset=UTF-8"), b"\xef\xbb\xbf\r\n<!DOCTYPE html>", true),
            (Some("application/xhtml+xml"), b"<?xml version=\"1.0\"?>", true),
            (Some("text/html"), b"", false),
            (Some("text/html; charset=utf-8"), b"ok", false),
            (Some("text/plain"), b"ok", false),
            (Some("application/x-protobuf"), b"<", false),
            (Some("application/json"), b"{}", false),
            (None, page, false),
        ] {
            assert_eq!(is_web_page(kind, Some(body)), want, "{kind:?} {body:?}");
        }
        // Cut off, or too large to read.
        assert!(is_web_page(Some("text/html"), None));
        assert!(!is_web_page(Some("text/plain"), None) && !is_web_page(None, None));
    }
}
