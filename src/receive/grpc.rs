//! Unary gRPC: the export services and the health service, as headers, one message and trailers.
//!
//! Why not tonic's server: it answers an oversize message with a retryable code, reads only the first
//! member of a gzip stream, reserves what a 5-byte header claims, and copies every frame.
//!
//! Source: gRPC over HTTP/2.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version};
use http_body::Body;

use super::Append;
use super::body::{self, Framing, Message};
use super::health;
use super::inflate::{Coding, inflate};
use super::ingest::{Envelope, Format};
use super::metrics::Transport;
use super::reply::Reply;
use super::service::Service;
use super::status::{GRPC_STATUS, Refusal, Refused, percent_encode};
use crate::signal::Signal;

const OK: HeaderValue = HeaderValue::from_static("0");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");

/// `Export*ServiceResponse` without `partial_success`: no bytes, behind a gRPC header.
const EMPTY_MESSAGE: Bytes = Bytes::from_static(&[0; 5]);

/// Whether a content type is gRPC's: `application/grpc`, alone or with `+proto` or parameters.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        let (name, rest) = value.as_bytes().split_at_checked(16).unwrap_or_default();
        name.eq_ignore_ascii_case(b"application/grpc")
            && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
    })
}

/// What a path asks for.
enum Rpc {
    Export(Signal),
    HealthCheck,
    HealthWatch,
}

/// Whether a path asks for health, which needs no token.
pub(super) fn is_health(path: &str) -> bool {
    matches!(rpc(path), Some(Rpc::HealthCheck | Rpc::HealthWatch))
}

fn rpc(path: &str) -> Option<Rpc> {
    Some(match path {
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => {
            Rpc::Export(Signal::Traces)
        }
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => {
            Rpc::Export(Signal::Metrics)
        }
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => Rpc::Export(Signal::Logs),
        "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export" => {
            Rpc::Export(Signal::Profiles)
        }
        "/grpc.health.v1.Health/Check" => Rpc::HealthCheck,
        "/grpc.health.v1.Health/Watch" => Rpc::HealthWatch,
        _ => return None,
    })
}

impl<A: Append> Service<A> {
    /// Answers one call.
    pub(super) async fn call_grpc<B>(&self, request: Request<B>) -> Response<Reply>
    where
        B: Body<Data = Bytes, Error: std::error::Error + 'static> + Unpin,
    {
        let (head, mut body) = request.into_parts();
        let known = rpc(head.uri.path());
        let signal = known.as_ref().and_then(Rpc::signal);
        let unanswered = self.unanswered(Transport::Grpc, signal);
        let deadline = head.headers.get(TIMEOUT).and_then(|value| timeout(value.as_bytes()));
        let work = async {
            if head.version < Version::HTTP_2 {
                return Err(Refusal::GrpcNeedsHttp2.into());
            }
            if head.method != Method::POST {
                return Err(Refusal::Method.into());
            }
            match &known {
                Some(Rpc::Export(signal)) => self.export(*signal, &head.headers, &mut body).await,
                Some(Rpc::HealthCheck) => {
                    let request = self.health_request(&head.headers, &mut body).await?;
                    Ok(unary(health::check(&request, &self.shared.serving)?))
                }
                Some(Rpc::HealthWatch) => {
                    let request = self.health_request(&head.headers, &mut body).await?;
                    let watching = health::watch(&request, self.shared.serving.clone())?;
                    Ok(Reply::Watch(watching.into()))
                }
                None => Err(Refusal::GrpcMethod.into()),
            }
        };
        let outcome = match deadline {
            None => work.await,
            Some(deadline) => tokio::time::timeout(deadline, work)
                .await
                .unwrap_or_else(|_| Err(Refusal::DeadlineExceeded.into())),
        };
        unanswered.end();
        outcome.map_or_else(
            |refused: Refused| {
                self.count_refused(Transport::Grpc, signal, &refused);
                refuse(&refused.refusal)
            },
            respond,
        )
    }

    async fn export<B>(
        &self,
        signal: Signal,
        headers: &HeaderMap,
        body: &mut B,
    ) -> Result<Reply, Refused>
    where
        B: Body<Data = Bytes, Error: std::error::Error + 'static> + Unpin,
    {
        self.authorize(headers).await?;
        let envelope = Envelope {
            transport: Transport::Grpc,
            signal,
            framing: Framing::Grpc,
            coding: coding(headers)?,
            format: Format::Protobuf,
            headers,
        };
        self.ingest(&envelope, body).await?;
        Ok(unary(EMPTY_MESSAGE))
    }

    async fn health_request<B>(&self, headers: &HeaderMap, body: &mut B) -> Result<Bytes, Refusal>
    where
        B: Body<Data = Bytes, Error: std::error::Error + 'static> + Unpin,
    {
        // Nobody needs a token to ask: what is asked must not fill the memory of those who have one.
        let mut admission = self.admission_up_to(health::REQUEST_BYTES_MAX);
        let timeout = self.listener.timeouts.body;
        let Message { bytes, compressed } =
            body::read(body, Framing::Grpc, timeout, &mut admission).await?;
        if !compressed {
            return Ok(bytes);
        }
        Ok(inflate(coding(headers)?, &bytes, &mut admission)?.into())
    }
}

/// How messages are compressed whose flag says that they are.
fn coding(headers: &HeaderMap) -> Result<Coding, Refusal> {
    headers.get(ENCODING).map_or(Ok(Coding::Identity), |value| {
        Coding::parse(value.as_bytes()).ok_or(Refusal::Encoding)
    })
}

impl Rpc {
    const fn signal(&self) -> Option<Signal> {
        match self {
            Self::Export(signal) => Some(*signal),
            Self::HealthCheck | Self::HealthWatch => None,
        }
    }
}

fn unary(message: Bytes) -> Reply {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(GRPC_STATUS, OK);
    Reply::Grpc { message, trailers: Some(trailers) }
}

fn respond(reply: Reply) -> Response<Reply> {
    let mut response = Response::new(reply);
    response.headers_mut().insert(CONTENT_TYPE, MEDIA_TYPE);
    response
}

/// A response of headers alone, which are its trailers too.
fn refuse(refusal: &Refusal) -> Response<Reply> {
    let mut response = respond(Reply::Full(Bytes::new()));
    if *refusal == Refusal::GrpcNeedsHttp2 {
        // Whoever sends this reads no gRPC status.
        *response.status_mut() = refusal.http();
    }
    let headers = response.headers_mut();
    headers.insert(GRPC_STATUS, HeaderValue::from(refusal.code() as u16));
    if let Ok(message) = HeaderValue::try_from(percent_encode(&refusal.to_string())) {
        headers.insert(MESSAGE, message);
    }
    let details = STANDARD_NO_PAD.encode(refusal.to_protobuf(refusal.retry_delay()));
    if let Ok(details) = HeaderValue::try_from(details) {
        headers.insert(DETAILS, details);
    }
    if *refusal == Refusal::Encoding {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip,zstd,identity"));
    }
    response
}

/// Reads a `grpc-timeout`: at most eight digits and a unit. What is not one is no deadline.
fn timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let amount: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(amount * 3600),
        b'M' => Duration::from_secs(amount * 60),
        b'S' => Duration::from_secs(amount),
        b'm' => Duration::from_millis(amount),
        b'u' => Duration::from_micros(amount),
        b'n' => Duration::from_nanos(amount),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_in_every_unit_and_garbage_is_none() {
        for (value, expected) in [
            ("2H", Some(Duration::from_secs(7200))),
            ("1M", Some(Duration::from_secs(60))),
            ("10S", Some(Duration::from_secs(10))),
            ("9990m", Some(Duration::from_millis(9990))),
            ("5u", Some(Duration::from_micros(5))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("", None),
            ("S", None),
            ("123456789S", None),
            ("-1S", None),
            ("1.5S", None),
            ("1x", None),
        ] {
            assert_eq!(timeout(value.as_bytes()), expected, "{value:?}");
        }
    }

    #[test]
    fn grpc_is_told_by_its_content_type() {
        for (value, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("Application/gRPC; charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/json", false),
            ("application/x-protobuf", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())]);
            assert_eq!(is_grpc(&headers), expected, "{value:?}");
        }
    }
}
