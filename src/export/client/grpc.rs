//! One unary gRPC call: a 5-byte frame out, a message and trailers back.
//!
//! ```text
//! compressed u8 │ length u32 BE │ message …
//! ```
//! Source: gRPC over HTTP/2 (PROTOCOL-HTTP2.md). A response that is trailers only carries its status in the
//! headers; an answer that is not 200 comes from a proxy.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version, header};
use hyper::body::Incoming;

use super::http::{Answer, read_answer};
use super::reply;
use super::{Response, Route, SendError};
use crate::export::compress::Encoded;
use crate::export::disposition::Status;
use crate::net::body::Chunks;
use crate::net::connect::Link;
use crate::net::retry::parse_retry_after;
use crate::time::UnixNano;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) async fn send(
    link: Link<'_>,
    route: &Route,
    headers: HeaderMap,
    body: &Encoded,
    now: UnixNano,
) -> Result<Response, SendError> {
    let Link::H2(mut sender, _) = link else {
        return Err(SendError::Encode("gRPC needs HTTP/2".to_owned()));
    };
    let request = request(route, headers, body)?;
    let response = sender.send_request(request).await.map_err(SendError::Transport)?;
    outcome(response, now).await
}

fn request(
    route: &Route,
    mut headers: HeaderMap,
    body: &Encoded,
) -> Result<Request<Chunks>, SendError> {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    if let Some(coding) = body.coding {
        headers.insert("grpc-encoding", HeaderValue::from_static(coding));
    }
    let length =
        u32::try_from(body.bytes).map_err(|_| SendError::RequestTooLarge { bytes: body.bytes })?;
    let mut prefix = vec![u8::from(body.coding.is_some())];
    prefix.extend_from_slice(&length.to_be_bytes());
    let scheme = if route.pool.endpoint.tls { "https" } else { "http" };
    let uri = format!("{scheme}://{}{}", route.pool.authority, route.path);
    let request = Request::builder().method(Method::POST).uri(uri).version(Version::HTTP_2);
    let chunks = Chunks::new(Some(prefix.into()), &body.chunks);
    let mut request = request.body(chunks).map_err(|e| SendError::Encode(e.to_string()))?;
    *request.headers_mut() = headers;
    Ok(request)
}

async fn outcome(response: http::Response<Incoming>, now: UnixNano) -> Result<Response, SendError> {
    let (parts, body) = response.into_parts();
    // The server's time is said where its answer begins.
    let date = parts.headers.get(header::DATE).cloned();
    let dated = |response| Response { date, ..response };
    if parts.headers.contains_key("grpc-status") {
        return read_status(&parts.headers, &Bytes::new()).map(dated);
    }
    if parts.status != StatusCode::OK {
        return Err(of_a_proxy(parts.status, &parts.headers, now));
    }
    let Answer { trailers: Some(trailers), message } = read_answer(body).await? else {
        return Err(SendError::NoStatus);
    };
    read_status(&trailers, &message).map(dated)
}

/// What an answer that is not 200 and has no status of gRPC says.
fn of_a_proxy(code: StatusCode, headers: &HeaderMap, now: UnixNano) -> SendError {
    let status = Status::from_http_to_grpc(code.as_u16());
    let message = format!("HTTP {} without a gRPC status", code.as_u16());
    let after = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = after.and_then(|value| parse_retry_after(value, now));
    SendError::Answered { status, message, retry_after }
}

/// The call's status, wherever it was.
fn read_status(headers: &HeaderMap, framed: &Bytes) -> Result<Response, SendError> {
    let text = |name| headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    let code = match headers.get("grpc-status") {
        None => return Err(SendError::NoStatus),
        Some(value) => value.to_str().ok().and_then(|v| v.parse().ok()).unwrap_or(2),
    };
    if code == 0 {
        let message = match framed.split_at_checked(5) {
            Some(([0, ..], message)) => message,
            _ => &[],
        };
        return Ok(Response { partial: reply::partial_from_protobuf(message), date: None });
    }
    let details = text("grpc-status-details-bin")
        .filter(|d| d.len() <= reply::DETAILS_BYTES_MAX)
        .and_then(|d| BASE64.decode(d).ok())
        .unwrap_or_default();
    let (detail, retry_after) = reply::status_from_protobuf(&details);
    let message = text("grpc-message").map_or(detail, percent_decoded);
    Err(SendError::Answered { status: Status::from_grpc_code(code), message, retry_after })
}

/// Undoes the percent-encoding of `grpc-message`; what is malformed stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let decoded =
            (byte == b'%').then(|| tail.split_at_checked(2)).flatten().and_then(|(hex, tail)| {
                let hex = std::str::from_utf8(hex).ok()?;
                Some((u8::from_str_radix(hex, 16).ok()?, tail))
            });
        let (byte, tail) = decoded.unwrap_or((byte, tail));
        out.push(byte);
        rest = tail;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(pairs: &[(&'static str, &'static str)], framed: &'static [u8]) -> String {
        let headers = pairs
            .iter()
            .map(|&(n, v)| (http::HeaderName::from_static(n), HeaderValue::from_static(v)))
            .collect();
        match read_status(&headers, &Bytes::from_static(framed)) {
            Ok(response) => format!("{:?}", response.partial),
            Err(error) => format!("{error} {:?}", error.retry_after()),
        }
    }

    #[test]
    fn a_proxy_says_when_to_come_back() {
        let headers = HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static("77"))]);
        let error = of_a_proxy(StatusCode::SERVICE_UNAVAILABLE, &headers, UnixNano(0));
        assert_eq!(error.retry_after(), Some(std::time::Duration::from_secs(77)));
        assert_eq!(error.to_string(), "UNAVAILABLE: HTTP 503 without a gRPC status");
    }

    #[test]
    fn statuses_are_read_as_they_stand() {
        assert_eq!(status(&[("grpc-status", "0")], b""), "None");
        assert_eq!(
            status(&[("grpc-status", "0")], &[0, 0, 0, 0, 4, 0x0a, 2, 0x08, 3]),
            "Some(Partial { rejected: 3, message: \"\" })"
        );
        assert_eq!(status(&[("grpc-status", "0")], &[1, 0, 0, 0, 4, 0x0a, 2, 0x08, 3]), "None");
        assert_eq!(
            status(&[("grpc-status", "14"), ("grpc-message", "go%20away%")], b""),
            "UNAVAILABLE: go away% None"
        );
        assert_eq!(status(&[("grpc-status", "x")], b""), "UNKNOWN:  None");
        assert_eq!(status(&[("grpc-status", "77")], b""), "UNKNOWN:  None");
        assert_eq!(status(&[], b""), "the answer ended without a status None");
    }
}
