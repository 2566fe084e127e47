//! Requests made once and patched from then on: a copy and about five stores per item, so that the
//! generator costs little beside what it measures.
//!
//! A [`Pair`] tells the same spans twice: as a trace request and as the log records that the services wrote
//! meanwhile, with the ids of the spans.

use bytes::Bytes;

use super::protobuf::{Mark, Slot, Value, Writer};
use super::shop::{SERVICES, resource};
use super::story::{Span, kind};

/// The scale of a template's item ids and the clock of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    /// The id of the request's first item; the others follow.
    pub(super) first_id: u64,
    /// Told apart from other runs by the upper half of every trace id.
    pub(super) run: u64,
    pub(super) now: u64,
}

/// Bytes with the places that change.
#[derive(Debug)]
pub(super) struct Template {
    bytes: Vec<u8>,
    marks: Vec<Mark>,
}

/// One story as traces and as logs.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) traces: Template,
    pub(super) logs: Template,
}

impl Pair {
    /// Writes `spans`, grouped by service as a collector would send them.
    pub(super) fn new(spans: &[Span], instance: u32) -> Self {
        Self {
            traces: by_service(spans, instance, write_span),
            logs: by_service(spans, instance, write_log),
        }
    }
}

impl Template {
    /// A request of its own.
    pub(super) fn stamp(&self, stamp: Stamp) -> Bytes {
        let mut bytes = self.bytes.clone();
        for mark in &self.marks {
            match mark.slot {
                Slot::TraceId(root) => {
                    put(&mut bytes, mark.at, &trace_id(stamp, root));
                }
                Slot::ItemId(item) => {
                    put(&mut bytes, mark.at, &(stamp.first_id + u64::from(item)).to_be_bytes());
                }
                Slot::TimeBefore(nanos) => {
                    put(&mut bytes, mark.at, &stamp.now.saturating_sub(nanos).to_le_bytes());
                }
            }
        }
        bytes.into()
    }
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

/// Distinct for distinct roots; the lower half is spread, as samplers by trace id expect.
fn trace_id(stamp: Stamp, root: u32) -> [u8; 16] {
    let mut low = (stamp.first_id + u64::from(root)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    low = (low ^ (low >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    (u128::from(stamp.run) << 64 | u128::from(low ^ (low >> 32))).to_be_bytes()
}

/// One `Resource*` per service and one scope per library, each with its items.
fn by_service(spans: &[Span], instance: u32, item: fn(&mut Writer, u32, &Span)) -> Template {
    let mut writer = Writer::default();
    for (index, service) in SERVICES.iter().enumerate() {
        let mut scopes: Vec<&str> =
            spans.iter().filter(|span| span.service == index).map(|span| span.scope).collect();
        scopes.sort_unstable();
        scopes.dedup();
        if scopes.is_empty() {
            continue;
        }
        writer.message(1, |w| {
            w.message(1, |w| w.attributes(1, &resource(service, instance)));
            for scope in scopes {
                w.message(2, |w| {
                    w.message(1, |w| {
                        w.text(1, scope);
                        w.text(2, "1.4.0");
                    });
                    for (number, span) in (0_u32..).zip(spans) {
                        if span.service == index && span.scope == scope {
                            w.message(2, |w| item(w, number, span));
                        }
                    }
                });
            }
        });
    }
    Template { bytes: writer.bytes, marks: writer.marks }
}

/// `opentelemetry.proto.trace.v1.Span`.
fn write_span(w: &mut Writer, number: u32, span: &Span) {
    w.slot(1, Slot::TraceId(span.root));
    w.slot(2, Slot::ItemId(number));
    if let Some(parent) = span.parent {
        w.slot(4, Slot::ItemId(parent));
    }
    w.text(5, &span.name);
    w.varint(6, span.kind);
    w.slot(7, Slot::TimeBefore(span.age + span.start));
    w.slot(8, Slot::TimeBefore(span.age + span.end));
    w.attributes(9, &span.attributes);
    for (before, name, attributes) in &span.events {
        w.message(11, |w| {
            w.slot(1, Slot::TimeBefore(span.age + before));
            w.text(2, name);
            w.attributes(3, attributes);
        });
    }
    if let Some(root) = span.link {
        w.message(13, |w| {
            w.slot(1, Slot::TraceId(root));
            w.slot(2, Slot::ItemId(root));
            w.attributes(4, &[("link.reason", "same visitor".into())]);
        });
    }
    if let Some(error) = span.error {
        w.message(15, |w| {
            w.text(2, error);
            w.varint(3, 2);
        });
    }
    w.fixed32(16, 0x101);
}

/// `opentelemetry.proto.logs.v1.LogRecord`: what the service logged at the end of the span.
fn write_log(w: &mut Writer, number: u32, span: &Span) {
    let milliseconds = (span.start - span.end) / 1_000_000;
    let (severity, name) = match (span.error, span.kind) {
        (Some(_), _) => (17, "ERROR"),
        (None, _) if milliseconds > 1_000 => (13, "WARN"),
        (None, kind::SERVER) => (9, "INFO"),
        (None, _) => (5, "DEBUG"),
    };
    let body = match span.error {
        Some(error) => format!("{} failed after {milliseconds} ms: {error}", span.name),
        None => format!("{} took {milliseconds} ms", span.name),
    };
    w.slot(1, Slot::TimeBefore(span.age + span.end));
    w.varint(2, severity);
    w.text(3, name);
    w.message(5, |w| w.any_value(&Value::Text(body)));
    let known = ["http.route", "http.response.status_code", "db.collection.name", "error.type"];
    for attribute in span.attributes.iter().filter(|(key, _)| known.contains(key)) {
        w.attributes(6, std::slice::from_ref(attribute));
    }
    w.attributes(6, &[("thread.name", "worker-3".into()), ("code.function.name", "handle".into())]);
    w.fixed32(8, 1);
    w.slot(9, Slot::TraceId(span.root));
    w.slot(10, Slot::ItemId(number));
    w.slot(11, Slot::TimeBefore(span.age + span.end.saturating_sub(20_000)));
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message as _;
    use sidelight_wire::{Limits, Signal, validate};

    use super::super::story::tell;
    use super::*;

    const STAMP: Stamp = Stamp { first_id: 1 << 40, run: 77, now: 1_700_000_000_000_000_000 };

    fn pair(count: usize) -> Pair {
        Pair::new(&tell(count, &mut fastrand::Rng::with_seed(9)), 3)
    }

    #[test]
    fn stamped_requests_are_valid_and_hold_every_item_with_its_own_id() {
        let pair = pair(700);
        let (traces, logs) = (pair.traces.stamp(STAMP), pair.logs.stamp(STAMP));
        let limits = Limits::default();
        assert_eq!(validate(Signal::Traces, &traces, &limits).unwrap().items, 700);
        assert_eq!(validate(Signal::Logs, &logs, &limits).unwrap().items, 700);

        let request = ExportTraceServiceRequest::decode(traces).unwrap();
        let spans =
            request.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans);
        let mut ids: Vec<_> = spans.clone().map(|span| span.span_id.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 700);
        assert_eq!(ids[0], STAMP.first_id.to_be_bytes());
        for span in spans {
            assert!(span.end_time_unix_nano >= span.start_time_unix_nano, "{span:?}");
            assert!(span.end_time_unix_nano <= STAMP.now, "{span:?}");
            let parent = ids.binary_search(&span.parent_span_id).is_ok();
            assert!(parent || span.parent_span_id.is_empty(), "{span:?}");
        }
    }

    #[test]
    fn log_records_carry_the_ids_of_the_spans_of_the_same_story() {
        let pair = pair(300);
        let traces = ExportTraceServiceRequest::decode(pair.traces.stamp(STAMP)).unwrap();
        let logs = ExportLogsServiceRequest::decode(pair.logs.stamp(STAMP)).unwrap();
        let mut spans: Vec<_> = (traces.resource_spans.into_iter())
            .flat_map(|r| r.scope_spans)
            .flat_map(|s| s.spans)
            .map(|span| (span.trace_id, span.span_id))
            .collect();
        let mut records: Vec<_> = (logs.resource_logs.into_iter())
            .flat_map(|r| r.scope_logs)
            .flat_map(|s| s.log_records)
            .map(|record| (record.trace_id, record.span_id))
            .collect();
        spans.sort_unstable();
        records.sort_unstable();
        assert_eq!(spans, records);
    }

    #[test]
    fn a_span_has_the_size_of_a_real_one() {
        let bytes = pair(1_000).traces.bytes.len() / 1_000;
        assert!((450..650).contains(&bytes), "{bytes} bytes a span");
    }
}
