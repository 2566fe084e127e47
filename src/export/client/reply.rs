//! What an answer says: partial success and status messages, read without trusting them.
//!
//! Source: opentelemetry/proto/collector/*/v1/*_service.proto (Export*Response, one shape for all signals),
//! google/rpc/status.proto, google/rpc/error_details.proto.

use std::time::Duration;

use sidelight_wire::field::{Fields, RawValue};

use crate::net::retry::retry_delay;

/// Bytes of `grpc-status-details-bin` that are looked at.
pub const DETAILS_BYTES_MAX: usize = 16 << 10;

/// The receiver took the request, but …
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partial {
    /// … rejected this many items; 0 is a warning. As the receiver says: it may be more than were sent.
    pub rejected: u64,
    /// Its words, not escaped.
    pub message: String,
}

/// The `partial_success` of a protobuf response; `None` when unset, empty or unreadable.
#[must_use]
pub fn partial_from_protobuf(response: &[u8]) -> Option<Partial> {
    let mut partial = Partial::default();
    for (_, value) in fields(response).filter(|(field, _)| *field == 1) {
        let RawValue::Len(inner) = value else { continue };
        for field in fields(inner) {
            match field {
                (1, RawValue::Varint(n)) => {
                    partial.rejected = u64::try_from(n.cast_signed()).unwrap_or(0);
                }
                (2, RawValue::Len(text)) => partial.message = lossy(text),
                _ => {}
            }
        }
    }
    Some(partial).filter(|p| *p != Partial::default())
}

/// The `partialSuccess` of a JSON response.
#[must_use]
pub fn partial_from_json(response: &[u8]) -> Option<Partial> {
    let value: serde_json::Value = serde_json::from_slice(response).ok()?;
    let inner = value.get("partialSuccess")?.as_object()?;
    let rejected = inner
        .iter()
        .find(|(key, _)| key.starts_with("rejected"))
        .and_then(|(_, n)| n.as_u64().or_else(|| n.as_str()?.parse().ok()))
        .unwrap_or(0);
    let message = inner.get("errorMessage").and_then(|m| m.as_str()).map(lossy_str);
    let partial = Partial { rejected, message: message.unwrap_or_default() };
    Some(partial).filter(|p| *p != Partial::default())
}

/// The message of a `google.rpc.Status`, and the delay of its RetryInfo: zero if that names none, since it says all the same
/// that trying again can help.
#[must_use]
pub fn status_from_protobuf(status: &[u8]) -> (String, Option<Duration>) {
    let (mut message, mut delay) = (String::new(), None);
    for field in fields(status) {
        match field {
            (2, RawValue::Len(text)) => message = lossy(text),
            (3, RawValue::Len(any)) => delay = delay.or_else(|| retry_info(any)),
            _ => {}
        }
    }
    (message, delay)
}

fn retry_info(any: &[u8]) -> Option<Duration> {
    let (mut is_retry_info, mut value) = (false, None);
    for field in fields(any) {
        match field {
            (1, RawValue::Len(url)) => is_retry_info = url.ends_with(b"/google.rpc.RetryInfo"),
            (2, RawValue::Len(bytes)) => value = Some(bytes),
            _ => {}
        }
    }
    let info = value.filter(|_| is_retry_info)?;
    let duration = fields(info).find_map(|(field, value)| value.bytes().filter(|_| field == 1));
    let (mut seconds, mut nanos) = (0, 0);
    for field in fields(duration.unwrap_or_default()) {
        match field {
            (1, RawValue::Varint(n)) => seconds = n.cast_signed(),
            (2, RawValue::Varint(n)) => nanos = n.cast_signed(),
            _ => {}
        }
    }
    Some(retry_delay(seconds, nanos).unwrap_or_default())
}

/// The fields of a message; stops at the first that is malformed.
fn fields(message: &[u8]) -> impl Iterator<Item = (u32, RawValue<'_>)> {
    Fields::new(message, 0).map(|field| (field.number, field.value))
}

fn lossy(text: &[u8]) -> String {
    lossy_str(&String::from_utf8_lossy(text.get(..4096).unwrap_or(text)))
}

/// At most 4 KiB: what is kept is cut further when it is escaped.
fn lossy_str(text: &str) -> String {
    text.chars().take(4096).collect()
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceResponse,
    };
    use prost::Message;

    use super::*;

    fn response(rejected_spans: i64, error_message: &str) -> Vec<u8> {
        let error_message = error_message.to_owned();
        let partial_success = Some(ExportTracePartialSuccess { rejected_spans, error_message });
        ExportTraceServiceResponse { partial_success }.encode_to_vec()
    }

    #[test]
    fn partial_success_is_read_from_protobuf() {
        let partial =
            |rejected, message: &str| Some(Partial { rejected, message: message.to_owned() });
        assert_eq!(partial_from_protobuf(&response(3, "no")), partial(3, "no"));
        assert_eq!(partial_from_protobuf(&response(0, "hm")), partial(0, "hm"));
        assert_eq!(partial_from_protobuf(&response(-5, "x")), partial(0, "x"));
        assert_eq!(partial_from_protobuf(&response(0, "")), None);
        assert_eq!(partial_from_protobuf(&[]), None);
        assert_eq!(partial_from_protobuf(&[0x0a, 200, 1]), None);
    }

    #[test]
    fn partial_success_is_read_from_json() {
        for (text, want) in [
            (r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"no"}}"#, Some((3, "no"))),
            (r#"{"partialSuccess":{"rejectedLogRecords":4}}"#, Some((4, ""))),
            (r#"{"partialSuccess":{"rejectedDataPoints":-4}}"#, None),
            (r#"{"partialSuccess":{}}"#, None),
            ("{}", None),
            ("<html>", None),
        ] {
            let got = partial_from_json(text.as_bytes());
            assert_eq!(got.as_ref().map(|p| (p.rejected, p.message.as_str())), want, "{text}");
        }
    }

    #[test]
    fn a_retry_info_is_found_among_the_details() {
        let any = |url: &str, value: &[u8]| {
            let mut out = vec![0x0a, u8::try_from(url.len()).unwrap()];
            out.extend_from_slice(url.as_bytes());
            out.extend_from_slice(&[0x12, u8::try_from(value.len()).unwrap()]);
            out.extend_from_slice(value);
            out
        };
        // Duration { seconds: 2, nanos: 5 } in RetryInfo.retry_delay
        let info = any("type.googleapis.com/google.rpc.RetryInfo", &[0x0a, 4, 0x08, 2, 0x10, 5]);
        let other = any("type.googleapis.com/google.rpc.BadRequest", &[0x0a, 4, 0x08, 2, 0x10, 5]);
        let status = |details: &[Vec<u8>]| {
            let mut out = vec![0x08, 14, 0x12, 2, b'n', b'o'];
            for detail in details {
                out.extend_from_slice(&[0x1a, u8::try_from(detail.len()).unwrap()]);
                out.extend_from_slice(detail);
            }
            out
        };
        let (message, delay) = status_from_protobuf(&status(&[other.clone(), info]));
        assert_eq!((message.as_str(), delay), ("no", Some(Duration::new(2, 5))));
        assert_eq!(status_from_protobuf(&status(&[other])).1, None);
        // Without a delay, and with a negative one.
        let negative = [0x0a, 11, 0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
        for value in [&[][..], &negative] {
            let bare = any("type.googleapis.com/google.rpc.RetryInfo", value);
            assert_eq!(status_from_protobuf(&status(&[bare])).1, Some(Duration::ZERO), "{value:?}");
        }
    }
}
