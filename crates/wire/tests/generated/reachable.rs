//! The messages that a request of OTLP may hold, and what their fields are to us.

use std::collections::BTreeMap;

use protox::prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};

/// Signal, package, version and service of each request.
pub(crate) const ROOTS: [(&str, &str, &str, &str); 4] = [
    ("Traces", "trace", "v1", "ExportTraceService"),
    ("Metrics", "metrics", "v1", "ExportMetricsService"),
    ("Logs", "logs", "v1", "ExportLogsService"),
    ("Profiles", "profiles", "v1development", "ExportProfilesService"),
];

/// In the order of discovery.
pub(crate) struct Reachable {
    pub(crate) messages: Vec<MessageDescriptor>,
    /// Signal and message of each request.
    pub(crate) requests: Vec<(&'static str, MessageDescriptor)>,
    seen: BTreeMap<String, ()>,
}

impl Reachable {
    pub(crate) fn new(pool: &DescriptorPool) -> Self {
        let requests = ROOTS.map(|(signal, package, version, stem)| {
            let name = format!("opentelemetry.proto.collector.{package}.{version}.{stem}Request");
            (signal, pool.get_message_by_name(&name).unwrap())
        });
        let (requests, messages) = (requests.to_vec(), Vec::new());
        let mut all = Self { messages, requests, seen: BTreeMap::new() };
        for (_, request) in all.requests.clone() {
            all.visit(&request);
        }
        all
    }

    fn visit(&mut self, message: &MessageDescriptor) {
        if self.seen.insert(message.full_name().to_owned(), ()).is_some() {
            return;
        }
        self.messages.push(message.clone());
        for field in by_number(message) {
            if let Kind::Message(child) = field.kind() {
                self.visit(&child);
            }
        }
    }
}

pub(crate) fn by_number(message: &MessageDescriptor) -> Vec<FieldDescriptor> {
    let mut fields: Vec<_> = message.fields().collect();
    fields.sort_by_key(FieldDescriptor::number);
    fields
}

/// What the schema says only in comments: which bytes are ids, and what is an item.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Id16,
    Id8,
    Item,
}

pub(crate) fn mark(field: &FieldDescriptor) -> Option<Mark> {
    match (field.kind(), field.parent_message().name(), field.name()) {
        (Kind::Bytes, _, "trace_id" | "profile_id") => Some(Mark::Id16),
        (Kind::Bytes, _, "span_id" | "parent_span_id") => Some(Mark::Id8),
        (Kind::Message(_), "ScopeSpans", "spans")
        | (Kind::Message(_), "ScopeLogs", "log_records")
        | (Kind::Message(_), "ScopeProfiles", "profiles")
        | (Kind::Message(_), _, "data_points") => Some(Mark::Item),
        _ => None,
    }
}

/// `opentelemetry.proto.trace.v1.Span.Event` becomes `trace_span_event`.
pub(crate) fn snake_case(full_name: &str) -> String {
    let path = full_name.trim_start_matches("opentelemetry.proto.");
    let mut out = String::new();
    for part in path.split('.').filter(|part| !part.starts_with("v1")) {
        let mut previous_lower = false;
        if !out.is_empty() {
            out.push('_');
        }
        for c in part.chars() {
            if c.is_uppercase() && previous_lower {
                out.push('_');
            }
            previous_lower = c.is_lowercase();
            out.push(c.to_ascii_lowercase());
        }
    }
    out
}
