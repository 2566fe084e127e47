//! Handles that tell of single measurements: the log events `sidelight.entry` that go to the agent.

#![cfg(feature = "otlp")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use sidelight::init::{Deliver, Delivering, Signal};
use sidelight::logs::LogFormat;
use sidelight::{
    Cache, CloseReason, Feature, FeatureKind, Operation, Pool, Queue, RejectReason, Retry,
};

#[derive(Clone, Default)]
struct Kept(Requests, Requests);

type Requests = Arc<Mutex<Vec<Vec<u8>>>>;

impl Deliver for Kept {
    fn deliver(&self, signal: Signal, request: Vec<u8>) -> Delivering {
        match signal {
            Signal::Logs => self.0.lock().unwrap().push(request),
            Signal::Traces => self.1.lock().unwrap().push(request),
            Signal::Metrics => {}
        }
        Box::pin(async { Ok(()) })
    }
}

impl Kept {
    fn records(&self) -> Vec<LogRecord> {
        let requests = self.0.lock().unwrap();
        let requests =
            requests.iter().map(|bytes| ExportLogsServiceRequest::decode(&bytes[..]).unwrap());
        let scopes =
            requests.flat_map(|request| request.resource_logs).flat_map(|of| of.scope_logs);
        scopes.flat_map(|scope| scope.log_records).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let requests = self.1.lock().unwrap();
        let requests =
            requests.iter().map(|bytes| ExportTraceServiceRequest::decode(&bytes[..]).unwrap());
        let scopes =
            requests.flat_map(|request| request.resource_spans).flat_map(|of| of.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }
}

fn attribute(record: &LogRecord, key: &str) -> Option<String> {
    let found = record.attributes.iter().find(|attribute| attribute.key == key)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::DoubleValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

#[derive(Debug, thiserror::Error)]
#[error("the bank is unreachable")]
struct Unreachable(#[source] std::io::Error);

#[test]
fn each_family_tells_of_its_measurements_one_by_one_within_their_trace() {
    static PLACE: Operation = Operation::new("order.place").detailed(1.0);
    static QUIET: Operation = Operation::new("order.list");
    static USERS: Cache = Cache::new("users").detailed(1.0);
    static MAILS: Queue = Queue::new("mails").detailed(1.0);
    static CHAT: Retry = Retry::new("chat").detailed(1.0);
    static EXPORT: Feature = Feature::new("export", FeatureKind::Api).detailed(1.0);
    static PEERS: Pool = Pool::new("websocket", "peers").detailed(1.0);
    let kept = Kept::default();
    let telemetry =
        sidelight::init("entries").logs(LogFormat::Off).deliver(kept.clone()).start().unwrap();
    #[sidelight::op("report", detailed = 1.0, span = false)]
    fn report() {}
    tracing::info_span!("request").in_scope(|| {
        PLACE.record_error("sold_out", Duration::from_millis(250));
        drop(QUIET.start());
        USERS.get(|| Some(1));
        MAILS.enqueued().start();
        MAILS.rejected(RejectReason::Full);
        CHAT.start().succeeded();
        EXPORT.used().by("ada").fail();
        PEERS.track(()).close(CloseReason::Idle);
        report();
        let refused = std::io::Error::other(Unreachable(std::io::ErrorKind::TimedOut.into()));
        tracing::error!(name: "refused", error = &refused as &dyn std::error::Error, "no mail");
    });
    telemetry.shutdown().unwrap();
    let records = kept.records();
    let spans = kept.spans();
    let span = spans.iter().find(|span| span.name == "request").unwrap();
    let events: Vec<_> = span.events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(events, ["no mail"], "what is no error leaves once, as a log record");
    assert_eq!(span.status.as_ref().map(|status| status.code), Some(2));
    let refused = records.iter().find(|record| record.event_name == "refused").unwrap();
    let whole = "the bank is unreachable: timed out";
    assert_eq!(attribute(refused, "error").as_deref(), Some(whole), "with all that caused it");
    let entries = records.iter().filter(|record| record.event_name == "sidelight.entry");
    let of = |record: &LogRecord, key| attribute(record, key).unwrap_or_default();
    let told: Vec<_> = entries
        .clone()
        .map(|entry| {
            let parts = ["entry.family", "entry.name", "entry.outcome"].map(|key| of(entry, key));
            parts.join(" ")
        })
        .collect();
    assert_eq!(
        told,
        [
            "operation order.place error",
            "cache users hit",
            "queue mails ok",
            "queue mails full",
            "retry chat ok",
            "feature export error",
            "connection peers idle",
            "operation report ok",
        ]
    );
    let first = entries.clone().next().unwrap();
    assert_eq!(attribute(first, "entry.duration").as_deref(), Some("0.25"));
    assert_eq!(attribute(first, "error.type").as_deref(), Some("sold_out"));
    assert!(entries.into_iter().all(|entry| entry.trace_id == first.trace_id));
    assert_eq!(first.trace_id.len(), 16);
    let said = records.iter().flat_map(|record| &record.attributes);
    assert!(!said.into_iter().any(|attribute| format!("{attribute:?}").contains("ada")));
}
