//! A log record for each transition of an alert, appended to the journal like any other, so that exporters forward it.
//!
//! ```text
//! resource {service.name: sidelight} ─ scope sidelight.alerts ─ log record, event name sidelight.alert
//!   severity ERROR (severity="critical"), WARN or INFO (resolved) · body "HighErrorRate firing: summary"
//!   alert.name alert.state alert.value alert.fingerprint alert.label.* alert.annotation.*
//! ```
//! What waits when the process ends is made after the next start: of an alert that began and ended meanwhile, its end. Limits:
//! 16 batches wait, of 1,000 records at most each; one that is too large for the journal is divided, and what it does not take
//! within five minutes, or ever, is dropped and counted. Source: opentelemetry-proto 1.9, logs/v1/logs.proto.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Parts;
use super::known::Known;
use super::message::Message;
use crate::journal::{AppendError, Journal};
use crate::net::retry::Backoff;
use crate::signal::protobuf::Fields;
use crate::signal::{Flags, Meta, Record, Signal};
use crate::telemetry;
use crate::telemetry::desc;
use crate::time::UnixNano;

/// Batches of transitions that wait for the journal.
pub(super) const BATCHES_MAX: usize = 16;
/// Log records of one request.
const RECORDS_MAX: usize = 1_000;
/// What the label `receiver` calls it.
const NAME: &str = "otlp";

/// Appends what comes until nothing comes any more, and has it kept of what `known` has that its record is made.
pub(super) async fn run(
    mut batches: mpsc::Receiver<Vec<Message>>,
    journal: Journal,
    known: Arc<Known>,
    parts: Parts,
) {
    while let Some(batch) = batches.recv().await {
        let mut waiting: Vec<&[Message]> = batch.chunks(RECORDS_MAX).rev().collect();
        while let Some(messages) = waiting.pop() {
            let record = record(messages, parts.clock.unix_nano());
            match append(&journal, record, &parts).await {
                Ok(()) => {
                    let sent = parts.registry.counter(&desc::NOTIFICATIONS_SENT, &[NAME]);
                    sent.add(messages.len() as u64);
                }
                Err(AppendError::TooLarge { .. }) if messages.len() > 1 => {
                    let (first, second) = messages.split_at(messages.len() / 2);
                    waiting.extend([second, first]);
                    continue;
                }
                Err(error) => {
                    let error = telemetry::chain(&error);
                    tracing::warn!(error, "the journal takes no log records of alerts: dropped");
                    dropped(&parts, "given_up", messages.len());
                }
            }
            known.recorded(messages, &parts);
        }
    }
}

/// Counts records that nobody will see.
pub(super) fn dropped(parts: &Parts, reason: &str, records: usize) {
    let counter = parts.registry.counter(&desc::NOTIFICATIONS_DROPPED, &[NAME, reason]);
    counter.add(records as u64);
}

/// Tries it for five minutes, where it may be taken later.
async fn append(journal: &Journal, record: Record, parts: &Parts) -> Result<(), AppendError> {
    let (mut backoff, mut said) = (Backoff::default(), false);
    let until = parts.clock.monotonic() + Duration::from_secs(300);
    loop {
        let Err(error) = journal.append(record.clone()).await else { return Ok(()) };
        let never = matches!(error, AppendError::TooLarge { .. });
        if never || parts.clock.monotonic() >= until {
            return Err(error);
        }
        if !said {
            let error = telemetry::chain(&error);
            tracing::warn!(error, "the journal does not take the log records of alerts");
            said = true;
        }
        tokio::time::sleep(backoff.next(parts.config.retry, None, fastrand::f64())).await;
    }
}

fn record(messages: &[Message], now: UnixNano) -> Record {
    let mut scope = Fields::default();
    scope.nested(1, |scope| {
        scope.text(1, "sidelight.alerts");
        scope.text(2, env!("CARGO_PKG_VERSION"));
    });
    for message in messages {
        scope.nested(2, |record| log_record(record, message, now));
    }
    let mut request = Fields::default();
    request.nested(1, |resource_logs| {
        resource_logs.nested(1, |resource| resource.attribute(1, "service.name", "sidelight"));
        resource_logs.bytes(2, &scope.0);
    });
    Record {
        signal: Signal::Logs,
        items: u32::try_from(messages.len()).unwrap_or(u32::MAX),
        flags: Flags::INTERNAL,
        meta: Meta::default(),
        payload: request.0.into(),
    }
}

fn log_record(to: &mut Fields, message: &Message, now: UnixNano) {
    let (number, text) = match (message.is_firing(), message.label("severity")) {
        (false, _) => (9, "INFO"),
        (true, "critical" | "page" | "error") => (17, "ERROR"),
        (true, "info" | "none") => (9, "INFO"),
        (true, _) => (13, "WARN"),
    };
    let at = message.resolved_at.unwrap_or(message.starts_at);
    let summary = message.annotations.iter().find(|(name, _)| name == "summary");
    let summary = summary.map_or_else(String::new, |(_, text)| format!(": {text}"));
    let name = message.label("alertname");
    to.fixed64(1, at.0);
    to.varint(2, number);
    to.text(3, text);
    to.nested(5, |body| body.text(1, &format!("{name} {}{summary}", message.status())));
    to.attribute(6, "alert.name", name);
    to.attribute(6, "alert.state", message.status());
    to.attribute(6, "alert.fingerprint", &format!("{:016x}", message.fingerprint));
    to.nested(6, |attribute| {
        attribute.text(1, "alert.value");
        attribute.nested(2, |value| value.double(4, message.value));
    });
    for (kind, pairs) in [("label", &message.labels), ("annotation", &message.annotations)] {
        for (name, value) in pairs {
            to.attribute(6, &format!("alert.{kind}.{name}"), value);
        }
    }
    to.fixed64(11, now.0);
    to.text(12, "sidelight.alert");
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use prost::Message as _;

    use super::super::message::tests::{NOW, firing, resolved};
    use super::*;

    #[test]
    fn a_transition_is_a_log_record_that_others_can_read() {
        let labels =
            [("alertname", "HighErrorRate"), ("severity", "critical"), ("service_name", "shop")];
        let messages = [firing(&labels), resolved(&labels)]
            .map(|alert| Message::of(&alert, &[], NOW).unwrap());
        let record = record(&messages, NOW);
        assert_eq!((record.signal, record.items), (Signal::Logs, 2));
        let request = ExportLogsServiceRequest::decode(&record.payload[..]).unwrap();
        let logs = &request.resource_logs[0];
        assert_eq!(logs.resource.as_ref().unwrap().attributes[0].key, "service.name");
        let records = &logs.scope_logs[0].log_records;
        let shown: Vec<_> = records
            .iter()
            .map(|record| {
                let body = format!("{:?}", record.body.as_ref().unwrap().value.as_ref().unwrap());
                (record.severity_number, record.event_name.as_str(), body)
            })
            .collect();
        let body = |state| format!("StringValue(\"HighErrorRate {state}: 25 % of requests fail\")");
        assert_eq!(
            shown,
            [(17, "sidelight.alert", body("firing")), (9, "sidelight.alert", body("resolved"))]
        );
        let attributes: Vec<_> = records[0].attributes.iter().map(|a| a.key.as_str()).collect();
        assert_eq!(
            attributes,
            [
                "alert.name",
                "alert.state",
                "alert.fingerprint",
                "alert.value",
                "alert.label.alertname",
                "alert.label.service_name",
                "alert.label.severity",
                "alert.annotation.summary"
            ]
        );
        assert_eq!(
            sidelight_wire::validate(
                Signal::Logs,
                &record.payload,
                &sidelight_wire::Limits::default()
            )
            .unwrap()
            .items,
            2
        );
    }
}
