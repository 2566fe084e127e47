//! The data path: what happens to one export request, whichever protocol it came by.
//!
//! ```text
//! read body ─▶ inflate ─▶ JSON to protobuf ─▶ validate ─▶ repair UTF-8 ─▶ Record ─▶ append ─▶ Ok
//! ```
//!
//! Everything between reading and appending is one synchronous stretch on bytes, which leaves the
//! runtime's workers to others when the body is a large one. An uncompressed
//! protobuf body that came in one frame is not changed, and not copied unless it is small. The bytes stay charged to the
//! in-flight budget until the journal has made them durable.

use bytes::Bytes;
use http::HeaderMap;
use http_body::Body;

use sidelight_wire::json::{InvalidText, JsonOptions, Reason, to_protobuf};
use sidelight_wire::view::logs;
use sidelight_wire::{FaultKind, Invalid, Limits, Signal, repair_utf8, validate};

use super::Append;
use super::admission::Admission;
use super::body::{self, Framing, Message};
use super::config::InvalidUtf8;
use super::inflate::{Coding, expected, inflate};
use super::metrics::Transport;
use super::service::Service;
use super::status::{Busy, Refusal, Refused};
use super::workers;
use crate::journal::AppendError;
use crate::signal::{Flags, Meta, Record, SKETCH};
use crate::telemetry::otel::INTERNAL_HEADER;

/// An inflated body above this many times its size on the wire is counted.
const HIGH_RATIO: usize = 200;
/// How many times its input the protobuf of JSON can be: an array of `0,` becomes doubles.
const JSON_GROWTH_MAX: usize = 4;
/// A body up to here is copied out of its connection's read buffer, which it would keep from being used again.
const COPY_BYTES_MAX: usize = 16 << 10;
/// So that a tiny request is not transcoded twice.
const JSON_SLACK: usize = 1 << 10;
/// What the transcoder writes beyond its limit before it looks: keys and lengths of messages within each other.
const JSON_OVERRUN: usize = 1 << 10;

/// How the message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Protobuf,
    Json,
}

/// What the protocol's headers said about the request.
#[derive(Debug)]
pub(super) struct Envelope<'a> {
    pub(super) transport: Transport,
    pub(super) signal: Signal,
    pub(super) framing: Framing,
    pub(super) coding: Coding,
    pub(super) format: Format,
    pub(super) headers: &'a HeaderMap,
}

impl<A: Append> Service<A> {
    /// Takes in one request. `Ok` means that it is as durable as promised, or that it was empty.
    pub(super) async fn ingest<B>(
        &self,
        envelope: &Envelope<'_>,
        body: &mut B,
    ) -> Result<(), Refused>
    where
        B: Body<Data = Bytes, Error: std::error::Error + 'static> + Unpin,
    {
        let mut admission = self.admission();
        let timeout = self.listener.timeouts.body;
        let message = body::read(body, envelope.framing, timeout, &mut admission).await?;
        let inflated = self.inflated(envelope, message, &mut admission)?;
        let long = self.is_long(inflated.len());
        let record = workers::beside(long, || self.examine(envelope, inflated, &mut admission))?;
        admission.assembled();
        let (items, bytes) = (record.items, record.payload.len());
        if says_something(&record) {
            let appended = self.shared.append.append(record).await;
            appended.map_err(|error| Refused { refusal: error.into(), items })?;
        }
        self.metrics().accepted(envelope.transport, envelope.signal, items, bytes);
        Ok(())
    }

    /// Whether so many bytes take so long to make or to examine that others would feel it.
    fn is_long(&self, inflated: usize) -> bool {
        inflated > self.shared.large_request_bytes
    }

    /// From the inflated body to what the journal keeps.
    fn examine(
        &self,
        envelope: &Envelope<'_>,
        inflated: Bytes,
        admission: &mut Admission<'_>,
    ) -> Result<Record, Refusal> {
        let signal = envelope.signal;
        let mut payload = match envelope.format {
            Format::Protobuf => inflated,
            Format::Json => {
                let reading = self.listener.invalid_utf8;
                let (protobuf, repaired) = transcode(signal, &inflated, reading, admission)?;
                self.metrics().repaired_json_strings.add(repaired.into());
                protobuf
            }
        };
        let limits = Limits {
            refuse_invalid_utf8: self.listener.invalid_utf8 == InvalidUtf8::Reject,
            ..Limits::default()
        };
        let summary = validate(signal, &payload, &limits)?;
        if summary.invalid_utf8 > 0 {
            let (repaired, replaced) = repair(signal, payload, admission)?;
            payload = repaired;
            self.metrics().repaired_utf8_bytes.add(replaced.into());
        }
        let mut flags = Flags::default();
        if summary.odd_ids > 0 {
            flags = flags.with(Flags::ALONE);
            self.metrics().odd_ids.add(summary.odd_ids.into());
        }
        flags = flags.with(internal(envelope.headers, signal));
        if flags.contains(Flags::LOCAL) {
            holds_sketches(&payload)?;
            // For the agent alone: in no ledger, and with nothing to pass on.
            return Ok(Record { signal, items: 0, flags, meta: Meta::default(), payload });
        }
        let meta = self.meta(envelope.headers);
        Ok(Record { signal, items: summary.items, flags, meta, payload })
    }

    fn inflated(
        &self,
        envelope: &Envelope<'_>,
        message: Message,
        admission: &mut Admission<'_>,
    ) -> Result<Bytes, Refusal> {
        let Message { bytes, compressed } = message;
        let coding = match (envelope.framing, compressed) {
            (Framing::Grpc, true) if envelope.coding == Coding::Identity => {
                return Err(Refusal::malformed("a compressed message without grpc-encoding"));
            }
            (Framing::Grpc, false) => Coding::Identity,
            _ => envelope.coding,
        };
        if coding == Coding::Identity || bytes.is_empty() {
            return match envelope.format {
                Format::Protobuf => Ok(out_of_its_buffer(bytes)),
                Format::Json => Ok(bytes),
            };
        }
        let long = self.is_long(expected(coding, &bytes));
        let inflated = workers::beside(long, || inflate(coding, &bytes, admission))?;
        if inflated.len() / HIGH_RATIO > bytes.len() {
            self.metrics().high_ratio.add(1);
        }
        admission.release(bytes.len());
        Ok(inflated.into())
    }

    /// The request headers that some exporter passes on.
    fn meta(&self, headers: &HeaderMap) -> Meta {
        let listed = self.shared.context_headers.names();
        if listed.is_empty() {
            return Meta::default();
        }
        let present = listed.iter().flat_map(|name| {
            headers.get_all(name).iter().map(|value| (name.as_str(), value.as_bytes()))
        });
        let (meta, left_out) = Meta::from_headers(present);
        self.metrics().headers_refused.add(left_out.into());
        meta
    }
}

/// A small body on its own: as a part of what was read with it, it would hold a buffer of 8 KiB or more for as long as
/// the journal keeps the record in memory. What was charged for the one is charged for the other.
fn out_of_its_buffer(bytes: Bytes) -> Bytes {
    if bytes.len() > COPY_BYTES_MAX { bytes } else { Bytes::copy_from_slice(&bytes) }
}

/// Whether there is anything to keep. Sketches are in no ledger: without counted items, they say something all the same.
fn says_something(record: &Record) -> bool {
    let uncounted = record.flags.contains(Flags::LOCAL);
    record.items > 0 || (uncounted && !record.payload.is_empty())
}

/// Refuses a request of sketches that holds something else, which would go nowhere.
fn holds_sketches(payload: &[u8]) -> Result<(), Refusal> {
    let scopes = logs::Request::new(payload).resources().flat_map(logs::ResourceLogs::scope_logs);
    let others = scopes.flat_map(logs::ScopeLogs::log_records);
    match others.filter(|record| record.event_name.as_bytes() != SKETCH).count() {
        0 => Ok(()),
        others => Err(Refusal::malformed(format!(
            "{others} log records in a request of sketches: only events sidelight.feature.sketch may be in one; \
             send the others without the header sidelight-internal"
        ))),
    }
}

/// What the header of Sidelight's own requests says of one: its telemetry, or sketches of users, which stay here.
fn internal(headers: &HeaderMap, signal: Signal) -> Flags {
    match headers.get(INTERNAL_HEADER).map(http::HeaderValue::as_bytes) {
        None => Flags::default(),
        Some(b"sketch") if signal == Signal::Logs => Flags::INTERNAL.with(Flags::LOCAL),
        Some(_) => Flags::INTERNAL,
    }
}

/// JSON as protobuf. The output rarely outgrows the input, and never fills more than was charged for: where
/// it would, it is made again with the room that the worst case needs.
fn transcode(
    signal: Signal,
    json: &[u8],
    invalid_utf8: InvalidUtf8,
    admission: &mut Admission<'_>,
) -> Result<(Bytes, u32), Refusal> {
    let limit = admission.message_bytes_max();
    // The protobuf of a large body is mostly much smaller: what can never be had beside that is not asked for, nor what can
    // be had only while nobody else holds anything.
    let attainable = admission.attainable();
    let most = limit.min((attainable - attainable / 8).saturating_sub(JSON_OVERRUN));
    let mut options = JsonOptions {
        output_bytes_max: json.len().saturating_add(JSON_SLACK).min(most),
        invalid_text: match invalid_utf8 {
            InvalidUtf8::Repair => InvalidText::Repair,
            InvalidUtf8::Reject => InvalidText::Refuse,
        },
    };
    let mut out = Vec::new();
    let room = options.output_bytes_max.saturating_add(JSON_OVERRUN);
    admission.make_room(&mut out, room, room)?;
    let mut result = to_protobuf(signal, json, &mut out, &options);
    if options.output_bytes_max < most
        && result.as_ref().is_err_and(|error| error.reason == Reason::TooLarge)
    {
        options.output_bytes_max = json.len().saturating_mul(JSON_GROWTH_MAX).min(most);
        let room = options.output_bytes_max.saturating_add(JSON_OVERRUN);
        admission.make_room(&mut out, room, room)?;
        result = to_protobuf(signal, json, &mut out, &options);
    }
    let transcoded = result.map_err(|error| match error.reason {
        Reason::TooLarge if most < limit => admission.above_budget(),
        Reason::TooLarge => Refusal::TooLarge { limit },
        _ => Refusal::Malformed { description: error.to_string(), field: error.path },
    })?;
    if transcoded.foreign {
        let what = format!("no key is one of a request of {signal} (the body of another signal?)");
        return Err(Refusal::malformed(what));
    }
    admission.trim(&mut out);
    admission.release(json.len());
    Ok((out.into(), transcoded.invalid_utf8))
}

/// Mends strings in place; the bytes are copied only if somebody else holds them too.
fn repair(
    signal: Signal,
    payload: Bytes,
    admission: &mut Admission<'_>,
) -> Result<(Bytes, u32), Refusal> {
    let mut owned = match payload.try_into_mut() {
        Ok(owned) => owned,
        Err(shared) => {
            admission.charge(shared.len())?;
            shared[..].into()
        }
    };
    let replaced = repair_utf8(signal, &mut owned);
    Ok((owned.freeze(), replaced))
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        let description = match invalid.kind {
            FaultKind::NoUsableIds => invalid.kind.to_string(),
            _ => format!("{} at byte {}", invalid.kind, invalid.offset),
        };
        Self::Malformed { field: invalid.path, description }
    }
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Full => Self::Busy(Busy::JournalFull),
            AppendError::Disk(_) => Self::Busy(Busy::JournalDisk),
            AppendError::Closing | AppendError::NotLocal => Self::Busy(Busy::Draining),
            AppendError::TooLarge { max, .. } => Self::TooLarge { limit: max },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use http_body_util::Full;
    use tokio::sync::{Semaphore, watch};

    use super::*;
    use crate::memory::InFlight;
    use crate::receive::config::{Bind, Config, Listener};
    use crate::receive::service::{ContextHeaders, Deps, Shared, Stale};
    use crate::telemetry::Registry;
    use crate::time::ManualClock;

    #[derive(Clone)]
    struct Forget;

    impl Append for Forget {
        async fn append(&self, _: Record) -> Result<(), AppendError> {
            Ok(())
        }
    }

    fn service() -> Service<Forget> {
        let clock = Arc::new(ManualClock::default());
        let deps = Deps { in_flight: InFlight::new(1 << 30), registry: Registry::default(), clock };
        let (_, serving) = watch::channel(true);
        let context_headers = ContextHeaders::new(Vec::new());
        let stale = Stale::default();
        let shared =
            Shared::new(Forget, &Config::default(), &deps, context_headers, serving, stale);
        Service::new(Arc::new(shared), Listener::new(Bind::Tcp("127.0.0.1:0".into())), None)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn others_go_on_while_a_small_body_becomes_a_large_one() {
        // A field that no request has, of 16 MiB.
        let large = [&b"\xfa\x7f\x80\x80\x80\x08"[..], &vec![0; 16 << 20]].concat();
        let in_two = [gzip(&large[..large.len() - 1]), gzip(&large[large.len() - 1..])].concat();
        let mut claims_nothing = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        claims_nothing.write_all(&large).unwrap();
        let bodies = [
            ("gzip", Coding::Gzip, gzip(&large)),
            ("gzip that claims one byte", Coding::Gzip, in_two),
            ("zstd", Coding::Zstd, zstd::bulk::compress(&large, 1).unwrap()),
            ("zstd that claims nothing", Coding::Zstd, claims_nothing.finish().unwrap()),
        ];
        // One that is cut short is inflated, and no more.
        let cases = bodies.iter().flat_map(|body| [(body, true), (body, false)]);
        for (&(name, coding, ref body), whole) in cases {
            let body = Bytes::copy_from_slice(&body[..body.len() - usize::from(!whole)]);
            assert!(body.len() < 100 << 10, "{name}: {}", body.len());
            let (service, ran) = (service(), Arc::new(AtomicBool::default()));
            let sender = tokio::spawn(async move {
                let other = Arc::clone(&ran);
                tokio::spawn(async move { other.store(true, Ordering::Relaxed) });
                let headers = HeaderMap::new();
                let envelope = Envelope {
                    transport: Transport::Http,
                    signal: Signal::Traces,
                    framing: Framing::Plain { declared: None },
                    coding,
                    format: Format::Protobuf,
                    headers: &headers,
                };
                // It is as if this task had the only worker, unless that is left to others.
                let mut left = 500;
                while left > 0 && !ran.load(Ordering::Relaxed) {
                    let mut body = Full::new(body.clone());
                    let taken = service.ingest(&envelope, &mut body).await;
                    assert_eq!(taken.is_ok(), whole, "{name}: {taken:?}");
                    left -= 1;
                }
                left
            });
            assert!(sender.await.unwrap() > 0, "{name}, whole: {whole}");
        }
    }

    #[test]
    fn of_requests_that_count_no_items_only_sketches_are_kept() {
        for (signal, flags, bytes, expected) in [
            (Signal::Logs, Flags::LOCAL, &b"x"[..], true),
            (Signal::Logs, Flags::LOCAL, b"", false),
            (Signal::Logs, Flags::default(), b"x", false),
            (Signal::Profiles, Flags::default(), b"x", false),
        ] {
            let (meta, payload) = (Meta::default(), Bytes::from_static(bytes));
            let record = Record { signal, items: 0, flags, meta, payload };
            assert_eq!(says_something(&record), expected, "{signal:?} {flags:?}");
        }
    }

    #[test]
    fn protobuf_that_outgrows_its_json_is_charged_in_full() {
        let bounds = "0,".repeat(100_000);
        let json = format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":
            {{"dataPoints":[{{"explicitBounds":[{bounds}0]}}]}}}}]}}]}}]}}"#
        );
        let (in_flight, large) = (InFlight::new(1 << 30), Semaphore::new(1));
        let mut admission = Admission::new(&in_flight, 1 << 30, 1 << 30, &large);
        admission.charge(json.len()).unwrap();
        let repair = InvalidUtf8::Repair;
        let (protobuf, _) =
            transcode(Signal::Metrics, json.as_bytes(), repair, &mut admission).unwrap();
        assert!(protobuf.len() > 800_000);
        assert_eq!(in_flight.used(), protobuf.try_into_mut().unwrap().capacity());
    }

    #[test]
    fn json_has_the_room_that_its_body_leaves_and_is_refused_for_good_where_that_is_too_little() {
        let (in_flight, large) = (InFlight::new(1 << 20), Semaphore::new(1));
        let taken = |signal, json: &str| {
            let mut admission = Admission::new(&in_flight, 1 << 20, 1 << 30, &large);
            admission.charge(json.len()).unwrap();
            transcode(signal, json.as_bytes(), InvalidUtf8::Repair, &mut admission).map(drop)
        };
        // Somebody has something at any time.
        let mut other = Admission::new(&in_flight, 1 << 20, 1 << 30, &large);
        other.charge(1_000).unwrap();
        let indented = format!(r#"{{"resourceSpans":[{}]}}"#, " ".repeat(600_000));
        assert_eq!(taken(Signal::Traces, &indented), Ok(()), "twice its size is never there");
        let bounds = "0,".repeat(100_000);
        let grows = format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":
            {{"dataPoints":[{{"explicitBounds":[{bounds}0]}}]}}}}]}}]}}]}}"#
        );
        let limit = (1 << 20) / 8 * 7;
        assert_eq!(taken(Signal::Metrics, &grows), Err(Refusal::AboveBudget { limit }));
        drop(other);
        assert_eq!(in_flight.used(), 0);
    }

    #[test]
    fn a_request_of_sketches_that_holds_other_log_records_is_refused() {
        // resource_logs { scope_logs { log_records { event_name } } } for each.
        let request = |names: &[&[u8]]| {
            let nest = |key: u8, content: Vec<u8>| {
                let length = u8::try_from(content.len()).unwrap();
                [vec![key, length], content].concat()
            };
            let records = names.iter().flat_map(|name| nest(0x12, nest(0x62, name.to_vec())));
            nest(0x0a, nest(0x12, records.collect()))
        };
        assert!(holds_sketches(&request(&[SKETCH, SKETCH])).is_ok());
        assert!(holds_sketches(b"").is_ok());
        let refusal = holds_sketches(&request(&[SKETCH, b"order.placed", b""])).unwrap_err();
        assert!(format!("{refusal:?}").contains("2 log records in a request of sketches"));
    }

    #[test]
    fn only_sketches_stay_here() {
        for (signal, header, expected) in [
            (Signal::Logs, None, Flags::default()),
            (Signal::Logs, Some("telemetry"), Flags::INTERNAL),
            (Signal::Logs, Some("sketch"), Flags::INTERNAL.with(Flags::LOCAL)),
            (Signal::Metrics, Some("sketch"), Flags::INTERNAL),
            (Signal::Traces, Some(""), Flags::INTERNAL),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = header {
                headers.insert(INTERNAL_HEADER, http::HeaderValue::from_static(value));
            }
            assert_eq!(internal(&headers, signal), expected, "{signal:?} {header:?}");
        }
    }
}
