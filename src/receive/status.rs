//! What a refusal looks like on the wire: the one place that knows status codes.
//!
//! | condition | gRPC | HTTP |
//! |---|---|---|
//! | malformed, too deep, wrong signal | INVALID_ARGUMENT + BadRequest | 400 |
//! | too large, on the wire, inflated, or with all it becomes | RESOURCE_EXHAUSTED | 413 |
//! | journal full or failing, no memory, too slow, draining | UNAVAILABLE + RetryInfo | 503 + Retry-After |
//! | no or wrong token | UNAUTHENTICATED | 401 |
//! | unknown method, path, type, encoding | UNIMPLEMENTED | 405 + Allow, 404, 415, 415 |
//! | the sender's deadline passed | DEADLINE_EXCEEDED | 503 |
//! | the sender went away (nobody reads the answer) | CANCELLED | 400 |
//!
//! A sender that retries by the OTLP specification does the right thing on either transport: RetryInfo
//! and 503 only where sending the same bytes again can succeed.
//!
//! Bodies and `grpc-status-details-bin` are `google.rpc.Status`. Refusals that only gRPC knows have the HTTP status 200, but
//! for gRPC over HTTP/1.1.
//!
//! Source: opentelemetry-proto docs/specification.md, failures; google/rpc/{status,error_details}.proto.

use std::time::Duration;

use http::{HeaderName, StatusCode};
use serde_json::json;

use super::reason;
use crate::signal::protobuf::Fields;

/// The trailer that says how a call ended.
pub(super) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// gRPC status codes that are used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Code {
    Cancelled = 1,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// The bytes are not what they should be; `field` is a path into the request, or empty.
    #[error("{description}")]
    Malformed { field: String, description: String },
    #[error("the message is larger than {limit} bytes")]
    TooLarge { limit: usize },
    /// The message is within its limit, but never fits together with what it becomes.
    #[error(
        "read, inflated and as protobuf the message takes more than the {limit} bytes that one request may hold"
    )]
    AboveBudget { limit: usize },
    #[error("the zstd window is larger than {limit} bytes")]
    WindowTooLarge { limit: usize },
    #[error("{0}")]
    Busy(Busy),
    #[error("the sender went away before it was answered")]
    Disconnected,
    #[error("the deadline of the request passed")]
    DeadlineExceeded,
    #[error("a valid bearer token is needed")]
    Unauthenticated,
    #[error("only POST is answered here")]
    Method,
    #[error("nothing is served at this path")]
    Path,
    /// Who asks for a path that is not served, and sends nothing: a browser, a load balancer.
    #[error("nothing is served at this path")]
    Probe,
    #[error("the content type is neither application/x-protobuf nor application/json")]
    ContentType,
    #[error("the content encoding is none of gzip, zstd and identity")]
    Encoding,
    #[error("gRPC needs HTTP/2")]
    GrpcNeedsHttp2,
    #[error("unknown service or method")]
    GrpcMethod,
    #[error("unknown service")]
    HealthService,
    #[error("{0}")]
    Internal(String),
}

/// Why nothing can be taken at the moment. All are retryable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Busy {
    #[error("the journal is full")]
    JournalFull,
    #[error("the journal cannot write")]
    JournalDisk,
    #[error("shutting down")]
    Draining,
    #[error("the memory for requests in flight is used up")]
    InFlight,
    #[error("another large request is being received")]
    LargeRequest,
    #[error("the request body arrived too slowly")]
    BodyTimeout,
}

/// A refusal, and how many items it concerns: 0 when they were not counted.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    pub(super) items: u32,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, items: 0 }
    }
}

impl Refusal {
    pub(super) fn malformed(description: impl Into<String>) -> Self {
        Self::Malformed { field: String::new(), description: description.into() }
    }

    /// The gRPC status.
    pub(super) const fn code(&self) -> Code {
        match self {
            Self::Malformed { .. } => Code::InvalidArgument,
            Self::TooLarge { .. } | Self::AboveBudget { .. } | Self::WindowTooLarge { .. } => {
                Code::ResourceExhausted
            }
            Self::Disconnected => Code::Cancelled,
            Self::Busy(_) => Code::Unavailable,
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::Unauthenticated => Code::Unauthenticated,
            Self::Method
            | Self::Path
            | Self::Probe
            | Self::ContentType
            | Self::Encoding
            | Self::GrpcNeedsHttp2
            | Self::GrpcMethod => Code::Unimplemented,
            Self::HealthService => Code::NotFound,
            Self::Internal(_) => Code::Internal,
        }
    }

    /// The HTTP status.
    pub(super) const fn http(&self) -> StatusCode {
        match self {
            Self::Malformed { .. } | Self::Disconnected => StatusCode::BAD_REQUEST,
            Self::TooLarge { .. } | Self::AboveBudget { .. } | Self::WindowTooLarge { .. } => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::Busy(_) | Self::DeadlineExceeded => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Path | Self::Probe | Self::GrpcMethod | Self::HealthService => {
                StatusCode::NOT_FOUND
            }
            Self::ContentType | Self::Encoding | Self::GrpcNeedsHttp2 => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The `reason` label of self-metrics.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => reason::MALFORMED,
            Self::TooLarge { .. } | Self::AboveBudget { .. } | Self::WindowTooLarge { .. } => {
                reason::TOO_LARGE
            }
            Self::Disconnected => "disconnected",
            Self::Busy(Busy::JournalFull) => "queue_full",
            Self::Busy(Busy::JournalDisk) => "disk",
            Self::Busy(Busy::Draining) => "draining",
            Self::Busy(Busy::InFlight | Busy::LargeRequest) => "memory",
            Self::Busy(Busy::BodyTimeout) => "body_timeout",
            Self::DeadlineExceeded => "deadline",
            Self::Unauthenticated => reason::UNAUTHENTICATED,
            Self::Path
            | Self::ContentType
            | Self::Encoding
            | Self::GrpcNeedsHttp2
            | Self::GrpcMethod => reason::UNIMPLEMENTED,
            // Nothing was sent that could be refused.
            Self::Method | Self::Probe | Self::HealthService => reason::PROBE,
            Self::Internal(_) => "internal",
        }
    }

    /// Whether the same bytes may be taken another time, and this sender is not slow.
    pub(super) const fn may_come_back(&self) -> bool {
        matches!(self, Self::Busy(busy) if !matches!(busy, Busy::BodyTimeout))
    }

    /// The limit that was reached, as self-metrics name it.
    pub(super) const fn limit(&self) -> Option<&'static str> {
        Some(match self {
            Self::TooLarge { .. } => "message_bytes",
            Self::WindowTooLarge { .. } => "zstd_window_bytes",
            Self::AboveBudget { .. } | Self::Busy(Busy::InFlight) => "in_flight_bytes",
            Self::Busy(Busy::LargeRequest) => "large_requests",
            Self::Busy(Busy::BodyTimeout) => "body_time",
            _ => return None,
        })
    }

    /// How long the sender should wait before it sends the same again; `None` = never, or its own
    /// affair. Spread over 1 to 5 s so that refused senders do not come back as one.
    pub(super) fn retry_delay(&self) -> Option<Duration> {
        matches!(self, Self::Busy(_)).then(|| Duration::from_millis(fastrand::u64(1000..=5000)))
    }

    /// `google.rpc.Status` as protobuf.
    pub(super) fn to_protobuf(&self, retry_delay: Option<Duration>) -> Vec<u8> {
        let mut status = Fields::default();
        status.varint(1, (self.code() as u8).into());
        status.text(2, &self.to_string());
        let mut detail = |type_url, write: &dyn Fn(&mut Fields)| {
            status.nested(3, |any| {
                any.text(1, type_url);
                any.nested(2, write);
            });
        };
        if let Self::Malformed { field, description } = self {
            detail(BAD_REQUEST, &|bad_request| {
                bad_request.nested(1, |violation| {
                    violation.text(1, field);
                    violation.text(2, description);
                });
            });
        }
        if let Some(delay) = retry_delay {
            detail(RETRY_INFO, &|retry_info| {
                retry_info.nested(1, |duration| {
                    duration.varint(1, delay.as_secs());
                    duration.varint(2, delay.subsec_nanos().into());
                });
            });
        }
        status.0
    }

    /// `google.rpc.Status` as JSON.
    pub(super) fn to_json(&self, retry_delay: Option<Duration>) -> Vec<u8> {
        let mut details = Vec::new();
        if let Self::Malformed { field, description } = self {
            let violations = json!([{"field": field, "description": description}]);
            details.push(json!({"@type": BAD_REQUEST, "fieldViolations": violations}));
        }
        if let Some(delay) = retry_delay {
            let delay = format!("{}.{:03}s", delay.as_secs(), delay.subsec_millis());
            details.push(json!({"@type": RETRY_INFO, "retryDelay": delay}));
        }
        let (code, message) = (self.code() as u8, self.to_string());
        json!({"code": code, "message": message, "details": details}).to_string().into_bytes()
    }
}

const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// Percent-encodes a `grpc-message`.
pub(super) fn percent_encode(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    for byte in message.bytes() {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            out.push(byte.into());
        } else {
            let digit = |n: u8| char::from_digit(n.into(), 16).unwrap_or('0').to_ascii_uppercase();
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_one_of_the_specification() {
        let table: &[(Refusal, u8, u16, bool)] = &[
            (Refusal::malformed("x"), 3, 400, false),
            (Refusal::TooLarge { limit: 1 }, 8, 413, false),
            (Refusal::AboveBudget { limit: 1 }, 8, 413, false),
            (Refusal::Busy(Busy::JournalFull), 14, 503, true),
            (Refusal::Busy(Busy::JournalDisk), 14, 503, true),
            (Refusal::Busy(Busy::Draining), 14, 503, true),
            (Refusal::Busy(Busy::InFlight), 14, 503, true),
            (Refusal::Busy(Busy::LargeRequest), 14, 503, true),
            (Refusal::Busy(Busy::BodyTimeout), 14, 503, true),
            (Refusal::DeadlineExceeded, 4, 503, false),
            (Refusal::Unauthenticated, 16, 401, false),
            (Refusal::Method, 12, 405, false),
            (Refusal::Path, 12, 404, false),
            (Refusal::ContentType, 12, 415, false),
            (Refusal::Encoding, 12, 415, false),
            (Refusal::GrpcNeedsHttp2, 12, 415, false),
        ];
        for (refusal, grpc, http, retry) in table {
            assert_eq!(refusal.code() as u8, *grpc, "{refusal:?}");
            assert_eq!(refusal.http(), *http, "{refusal:?}");
            assert_eq!(refusal.retry_delay().is_some(), *retry, "{refusal:?}");
        }
    }

    #[test]
    fn a_delay_is_between_one_and_five_seconds_and_differs() {
        let delays: Vec<_> =
            (0..100).filter_map(|_| Refusal::Busy(Busy::InFlight).retry_delay()).collect();
        assert!(delays.iter().all(|d| (1..=5).contains(&d.as_secs())));
        assert!(delays.windows(2).any(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn another_decoder_reads_the_protobuf_status() {
        use tonic::Code;
        let refusal = Refusal::Malformed { field: "a[0].b".into(), description: "bad".into() };
        let bytes = refusal.to_protobuf(Some(Duration::from_millis(1500)));
        let status = <StatusMessage as prost::Message>::decode(&bytes[..]).unwrap();
        assert_eq!((status.code, status.message.as_str()), (Code::InvalidArgument as i32, "bad"));
        assert_eq!(status.details[0].type_url, BAD_REQUEST);
        assert_eq!(status.details[0].value, b"\x0a\x0d\x0a\x06a[0].b\x12\x03bad");
        assert_eq!(status.details[1].type_url, RETRY_INFO);
        assert_eq!(status.details[1].value, b"\x0a\x08\x08\x01\x10\x80\xca\xb5\xee\x01");
    }

    #[test]
    fn the_json_status_says_the_same() {
        let refusal = Refusal::Malformed { field: "a".into(), description: "say \"b\"".into() };
        let json: serde_json::Value =
            serde_json::from_slice(&refusal.to_json(Some(Duration::from_millis(1050)))).unwrap();
        let expected = json!({"code": 3, "message": "say \"b\"", "details": [
            {"@type": BAD_REQUEST,
             "fieldViolations": [{"field": "a", "description": "say \"b\""}]},
            {"@type": RETRY_INFO, "retryDelay": "1.050s"},
        ]});
        assert_eq!(json, expected);
    }

    #[test]
    fn a_grpc_message_is_percent_encoded() {
        assert_eq!(percent_encode("50 % é\n"), "50 %25 %C3%A9%0A");
    }

    #[derive(prost::Message)]
    struct StatusMessage {
        #[prost(int32, tag = "1")]
        code: i32,
        #[prost(string, tag = "2")]
        message: String,
        #[prost(message, repeated, tag = "3")]
        details: Vec<AnyMessage>,
    }

    #[derive(prost::Message)]
    struct AnyMessage {
        #[prost(string, tag = "1")]
        type_url: String,
        #[prost(bytes = "vec", tag = "2")]
        value: Vec<u8>,
    }
}
