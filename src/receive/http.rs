//! OTLP/HTTP: paths, media types, methods, and errors as `google.rpc.Status` in the request's encoding.
//!
//! A request is looked at from the outside in: path, preflight, method, token, media type, encoding,
//! length; the body is read only when all of these are right. What is left of one that is refused is read and dropped
//! first, within limits: an answer in the middle of a body ends the connection on HTTP/1.1 and the stream on HTTP/2, and many
//! senders then see that it was reset, not why, or when to come back.

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, EXPECT, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body;

use super::Append;
use super::body::{self, Framing};
use super::config::Paths;
use super::cors;
use super::inflate::Coding;
use super::ingest::{Envelope, Format};
use super::metrics::Transport;
use super::reply::Reply;
use super::service::Service;
use super::status::{Busy, Refusal, Refused};
use crate::signal::Signal;

const POST: HeaderValue = HeaderValue::from_static("POST");
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Bytes that are read of a body which is refused for good, or whose connection lives on.
const SMALL_BODY: usize = 64 << 10;

impl Paths {
    fn signal(&self, path: &str) -> Option<Signal> {
        Signal::ALL.into_iter().find(|signal| path == self.of(*signal))
    }

    fn of(&self, signal: Signal) -> &str {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Metrics => &self.metrics,
            Signal::Logs => &self.logs,
            Signal::Profiles => &self.profiles,
        }
    }
}

impl Format {
    /// Reads a `content-type`; parameters and case do not count.
    fn parse(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(CONTENT_TYPE)?.as_bytes();
        let name = value.split(|&byte| byte == b';').next()?.trim_ascii();
        if name.eq_ignore_ascii_case(b"application/x-protobuf") {
            Some(Self::Protobuf)
        } else if name.eq_ignore_ascii_case(b"application/json") {
            Some(Self::Json)
        } else {
            None
        }
    }

    const fn media_type(self) -> HeaderValue {
        match self {
            Self::Protobuf => PROTOBUF,
            Self::Json => JSON,
        }
    }
}

impl<A: Append> Service<A> {
    /// Answers one request.
    pub(super) async fn call_http<B>(&self, request: Request<B>) -> Response<Reply>
    where
        B: Body<Data = Bytes, Error: std::error::Error + 'static> + Unpin,
    {
        let (head, mut body) = request.into_parts();
        let cors = &self.listener.cors;
        let signal = self.listener.paths.signal(head.uri.path());
        if signal.is_some()
            && cors::is_preflight(&head.method, &head.headers)
            && let Some(headers) = cors::preflight(cors, &head.headers)
        {
            let mut response = Response::new(Reply::Full(Bytes::new()));
            *response.status_mut() = StatusCode::NO_CONTENT;
            *response.headers_mut() = headers;
            return response;
        }
        let format = Format::parse(&head.headers);
        let unanswered = self.unanswered(Transport::Http, signal);
        let taken = self.take_in(signal, format, &head, &mut body).await;
        unanswered.end();
        let mut response = match taken {
            Ok(format) => accept(format),
            Err(refused) => {
                self.count_refused(Transport::Http, signal, &refused);
                let is_silent = matches!(refused.refusal, Refusal::Busy(Busy::BodyTimeout));
                if !is_silent && !head.headers.contains_key(EXPECT) {
                    let again = refused.refusal.may_come_back() && head.version < Version::HTTP_2;
                    let largest = self.listener.message_bytes_max;
                    let most = if again { largest } else { largest.min(SMALL_BODY) };
                    body::discard(&mut body, most).await;
                }
                refuse(&refused.refusal, format.unwrap_or(Format::Protobuf))
            }
        };
        if let Some(allowed) = cors::allow(cors, &head.headers) {
            response.headers_mut().extend(allowed);
        }
        response
    }

    async fn take_in<B>(
        &self,
        signal: Option<Signal>,
        format: Option<Format>,
        head: &Parts,
        body: &mut B,
    ) -> Result<Format, Refused>
    where
        B: Body<Data = Bytes, Error: std::error::Error + 'static> + Unpin,
    {
        let elsewhere = || if head.method == Method::POST { Refusal::Path } else { Refusal::Probe };
        let signal = signal.ok_or_else(elsewhere)?;
        if head.method != Method::POST {
            return Err(Refusal::Method.into());
        }
        let headers = &head.headers;
        self.authorize(headers).await?;
        let format = format.ok_or(Refusal::ContentType)?;
        let coding = headers
            .get(CONTENT_ENCODING)
            .map_or(Some(Coding::Identity), |value| Coding::parse(value.as_bytes()));
        let envelope = Envelope {
            transport: Transport::Http,
            signal,
            framing: Framing::Plain { declared: body.size_hint().exact() },
            coding: coding.ok_or(Refusal::Encoding)?,
            format,
            headers,
        };
        self.ingest(&envelope, body).await?;
        Ok(format)
    }
}

/// Full success: an empty protobuf message, or `{}`.
fn accept(format: Format) -> Response<Reply> {
    let body = match format {
        Format::Protobuf => Bytes::new(),
        Format::Json => Bytes::from_static(b"{}"),
    };
    let mut response = Response::new(Reply::Full(body));
    response.headers_mut().insert(CONTENT_TYPE, format.media_type());
    response
}

fn refuse(refusal: &Refusal, format: Format) -> Response<Reply> {
    let delay = refusal.retry_delay();
    let body = match format {
        Format::Protobuf => refusal.to_protobuf(delay),
        Format::Json => refusal.to_json(delay),
    };
    let mut response = Response::new(Reply::Full(body.into()));
    *response.status_mut() = refusal.http();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, format.media_type());
    if let Some(delay) = delay {
        // Whole seconds, up: a sender told 0 would come back at once.
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    match refusal {
        Refusal::Method => {
            headers.insert(ALLOW, POST);
        }
        Refusal::Unauthenticated => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Refusal::Encoding => {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(Coding::ACCEPTED));
        }
        _ => {}
    }
    response
}
