//! Which entries spans, their events and log records are: the same facts from which domain signals are made.
//!
//! | family | a span with | otherwise |
//! |---|---|---|
//! | llm | tokens, a model or a provider of `gen_ai.*` | |
//! | cache | a cache's name and result | |
//! | retry | a count of resends above 0 | |
//! | queue | a messaging operation or destination | |
//! | http | kind SERVER and a method or route | |
//! | connection | the name `connect` and a database | |
//! | feature | | an event `feature_flag.evaluation` |
//! | error | a failure, beside its own family | a log record of severity ERROR or above |
//! | alert | | a log event `sidelight.alert` |
//! | operation | anything else, but the internal halves of an ASGI request | |
//!
//! A log event `sidelight.entry` says its family itself (`entry.family`, `entry.name`, `entry.outcome`, `entry.duration` in
//! seconds). Limits: [`LOOKED_AT_MAX`](super::kept::LOOKED_AT_MAX) spans and log records per second of received time, the
//! first ones; the others are counted.

use std::borrow::Cow;
use std::sync::MutexGuard;
use std::time::Duration;

use sidelight_wire::view::traces::{ResourceSpans, Span};
use sidelight_wire::view::{Attributes, Resource, Text, Value, logs};

use super::kept::Kept;
use super::{ATTRIBUTES_MAX, Entry, Family, TEXT_BYTES_MAX};
use crate::aggregate::domain::facts::Facts;
use crate::aggregate::operation;
use crate::aggregate::usual::Fields;
use crate::aggregate::walk;
use crate::aggregate::walk::Visit;
use crate::time::UnixNano;

const SEVERITY_ERROR: i32 = 17;

/// Keys whose values name a person: by their beginnings.
const PERSONAL: [&str; 3] = ["user.", "enduser.", "user_"];

/// What all entries of a request's resource have in common.
struct At<'a> {
    service: &'a str,
    received: UnixNano,
}

/// Takes in the spans of a request.
pub(in crate::aggregate) struct Looking<'k, 'r> {
    kept: MutexGuard<'k, Kept>,
    received: UnixNano,
    resource: Resource<'r>,
    /// Its service, once a span of it was looked at.
    service: Option<String>,
}

impl<'k> Looking<'k, '_> {
    pub(super) fn new(kept: MutexGuard<'k, Kept>, received: UnixNano) -> Self {
        Self { kept, received, resource: Resource::default(), service: None }
    }
}

impl<'r> Visit<'r> for Looking<'_, 'r> {
    fn begin(&mut self, resource: ResourceSpans<'r>) {
        (self.resource, self.service) = (resource.resource(), None);
    }

    fn spans(&mut self, spans: &[walk::Span<'r>]) {
        for walk::Span { bytes, fields } in spans {
            if self.kept.may_look() {
                let service = self.service.get_or_insert_with(|| service(self.resource));
                let at = At { service, received: self.received };
                span_entries(&at, (&Span::new(bytes), fields), &mut self.kept);
            }
        }
    }
}

pub(super) fn logs(request: &[u8], received: UnixNano, kept: &mut Kept) {
    for resource in logs::Request::new(request).resources() {
        let service = service(resource.resource());
        let at = At { service: &service, received };
        for record in resource.scope_logs().flat_map(|scope| scope.log_records()) {
            if kept.may_look() {
                log_entries(&at, &record, kept);
            }
        }
    }
}

/// When something happened: not after it was received. A sender whose clock is ahead would stay above all others.
fn not_after(at: &At<'_>, time: u64) -> UnixNano {
    UnixNano(time).min(at.received)
}

fn service(resource: Resource<'_>) -> String {
    cut(resource.service_name().map_or(Cow::Borrowed(""), |name| name.to_string_lossy()))
}

fn span_entries(at: &At<'_>, (span, fields): (&Span<'_>, &Fields<'_>), kept: &mut Kept) {
    let facts = Facts::of(span.attributes());
    let failed = operation::span_failed(fields);
    let nanos = span.end_time_unix_nano.checked_sub(span.start_time_unix_nano);
    let of = |family, name: Cow<'_, str>, outcome: &str, kept: &Kept| Entry {
        time: not_after(at, span.end_time_unix_nano),
        received: at.received,
        family,
        service: at.service.to_owned(),
        name: cut(name),
        duration: nanos.map(Duration::from_nanos),
        outcome: cut(Cow::Borrowed(outcome)),
        trace_id: trace_id(span.trace_id),
        attributes: attributes(span.attributes(), kept),
    };
    let outcome = if failed { "error" } else { "ok" };
    if let Some((family, name)) = family(span, fields, &facts) {
        let own = facts.cache_result.as_deref().filter(|_| family == Family::Cache);
        kept.push(of(family, name, own.unwrap_or(outcome), kept));
    }
    if failed {
        let reason = facts.error_type.as_deref().unwrap_or("error");
        kept.push(of(Family::Error, operation::of(fields), reason, kept));
    }
    for event in span.events() {
        if !is_feature(event.name.as_bytes()) {
            continue;
        }
        let said = Facts::of(event.attributes());
        if let Some(flag) = said.flag.clone() {
            let attributes = attributes(event.attributes(), kept);
            kept.push(Entry { attributes, ..of(Family::Feature, flag, outcome, kept) });
        }
    }
}

/// The family of a span and the name of its entry.
fn family<'a>(
    span: &Span<'a>,
    fields: &Fields<'a>,
    facts: &Facts<'a>,
) -> Option<(Family, Cow<'a, str>)> {
    let operation = || operation::of(fields);
    let attribute = |key| span.attributes().get(key);
    if facts.model.is_some() || facts.input_tokens.is_some() || facts.provider.is_some() {
        return Some((Family::Llm, facts.model.clone().unwrap_or_else(operation)));
    }
    if let (Some(name), Some(_)) = (&facts.cache_name, &facts.cache_result) {
        return Some((Family::Cache, name.clone()));
    }
    if facts.resends.is_some_and(|resends| resends > 0) {
        return Some((Family::Retry, operation()));
    }
    let destination = fields.messaging_destination().map(String::from_utf8_lossy);
    if fields.messaging_operation().is_some() || destination.is_some() {
        return Some((Family::Queue, destination.unwrap_or_else(operation)));
    }
    let of_http = fields.method().is_some() || fields.route().is_some();
    if fields.kind == i32::from(operation::SERVER) && of_http {
        return Some((Family::Http, operation()));
    }
    let database = attribute("db.system.name").or_else(|| attribute("db.system"));
    if let (b"connect", Some(database)) = (span.name.as_bytes(), database.and_then(Value::text)) {
        return Some((Family::Connection, database.to_string_lossy()));
    }
    let half = attribute("asgi.event.type").is_some();
    (!half).then(|| (Family::Operation, operation()))
}

fn log_entries(at: &At<'_>, record: &logs::LogRecord<'_>, kept: &mut Kept) {
    let get = |key| record.attributes().get(key);
    let text = |key| get(key).and_then(Value::text).map(Text::to_string_lossy);
    let name = match record.event_name.as_bytes() {
        // Before events had a field they had an attribute.
        b"" => text("event.name").unwrap_or_default(),
        _ => record.event_name.to_string_lossy(),
    };
    let time = [record.time_unix_nano, record.observed_time_unix_nano, at.received.0];
    let of = |family, name: Cow<'_, str>, outcome: Cow<'_, str>| Entry {
        time: not_after(at, time.into_iter().find(|time| *time > 0).unwrap_or(0)),
        received: at.received,
        family,
        service: at.service.to_owned(),
        name: cut(name),
        duration: None,
        outcome: cut(outcome),
        trace_id: trace_id(record.trace_id),
        attributes: attributes(record.attributes(), kept),
    };
    let entry = match &*name {
        "sidelight.entry" => {
            let family = text("entry.family").and_then(|family| Family::named(&family));
            let named = text("entry.name").unwrap_or_default();
            let outcome = text("entry.outcome").unwrap_or(Cow::Borrowed("ok"));
            family.map(|family| Entry {
                duration: get("entry.duration").and_then(seconds),
                ..of(family, named, outcome)
            })
        }
        "sidelight.alert" => {
            let alert = text("alert.name").unwrap_or_default();
            let state = text("alert.state").unwrap_or_default();
            Some(of(Family::Alert, alert, state))
        }
        event if is_feature(event.as_bytes()) => {
            text("feature_flag.key").map(|flag| of(Family::Feature, flag, Cow::Borrowed("ok")))
        }
        _ if record.severity_number >= SEVERITY_ERROR => {
            let said = record.body.get().text().map(Text::to_string_lossy);
            let kind = text("exception.type").or(said).unwrap_or(name);
            Some(of(Family::Error, kind, Cow::Borrowed("error")))
        }
        _ => None,
    };
    if let Some(entry) = entry {
        kept.push(entry);
    }
}

fn is_feature(event: &[u8]) -> bool {
    matches!(event, b"feature_flag.evaluation" | b"feature_flag")
}

fn seconds(value: Value<'_>) -> Option<Duration> {
    match value {
        Value::Double(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Value::Int(seconds) => u64::try_from(seconds).ok().map(Duration::from_secs),
        _ => None,
    }
}

fn trace_id(bytes: &[u8]) -> Option<[u8; 16]> {
    bytes.try_into().ok().filter(|id| *id != [0; 16])
}

/// The first attributes, those that name a person as hashes; of what has parts only that it is there.
fn attributes(all: Attributes<'_>, kept: &Kept) -> Vec<(String, String)> {
    let pair = |attribute: sidelight_wire::view::Attribute<'_>| {
        let key = cut(attribute.key.to_string_lossy());
        let value = match attribute.value.get() {
            Value::Empty => return None,
            Value::String(text) => text.to_string_lossy(),
            Value::Bool(value) => value.to_string().into(),
            Value::Int(value) => value.to_string().into(),
            Value::Double(value) => value.to_string().into(),
            Value::Array(_) => "[…]".into(),
            Value::KeyValueList(_) => "{…}".into(),
            Value::Bytes(bytes) => format!("{} bytes", bytes.len()).into(),
        };
        let personal = PERSONAL.iter().any(|beginning| key.starts_with(beginning));
        let value = if personal { kept.hashed(&value) } else { cut(value) };
        Some((key, value))
    };
    all.filter_map(pair).take(ATTRIBUTES_MAX).collect()
}

/// At most [`TEXT_BYTES_MAX`] bytes of a text.
fn cut(text: Cow<'_, str>) -> String {
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    let mut text = text.into_owned();
    text.truncate(end);
    text
}
