//! Generates `src/tables.rs` from `proto/` and fails when the committed file is stale.
//!
//! `UPDATE_TABLES=1 cargo test -p sidelight-wire --test tables` writes it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test generator may panic")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use protox::prost_reflect::{
    Cardinality, DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor,
};

const ROOTS: [(&str, &str, &str, &str); 4] = [
    ("Traces", "trace", "v1", "ExportTraceService"),
    ("Metrics", "metrics", "v1", "ExportMetricsService"),
    ("Logs", "logs", "v1", "ExportLogsService"),
    ("Profiles", "profiles", "v1development", "ExportProfilesService"),
];

/// Messages and enums reachable from the requests and responses, in the order of discovery.
#[derive(Default)]
struct Reachable {
    messages: Vec<MessageDescriptor>,
    enums: Vec<EnumDescriptor>,
    message_ids: BTreeMap<String, usize>,
    enum_ids: BTreeMap<String, usize>,
}

impl Reachable {
    fn visit(&mut self, message: &MessageDescriptor) {
        if self.message_ids.contains_key(message.full_name()) {
            return;
        }
        self.message_ids.insert(message.full_name().to_owned(), self.messages.len());
        self.messages.push(message.clone());
        for field in by_number(message) {
            match field.kind() {
                Kind::Message(child) => self.visit(&child),
                Kind::Enum(child) if !self.enum_ids.contains_key(child.full_name()) => {
                    self.enum_ids.insert(child.full_name().to_owned(), self.enums.len());
                    self.enums.push(child);
                }
                _ => {}
            }
        }
    }

    fn kind(&self, field: &FieldDescriptor) -> String {
        match field.kind() {
            Kind::Message(m) => {
                format!("Kind::Message(MessageId({}))", self.message_ids[m.full_name()])
            }
            Kind::Enum(e) => format!("Kind::Enum(EnumId({}))", self.enum_ids[e.full_name()]),
            scalar => {
                let name = format!("{scalar:?}");
                format!("Kind::{}{}", name[..1].to_uppercase(), &name[1..])
            }
        }
    }
}

fn by_number(message: &MessageDescriptor) -> Vec<FieldDescriptor> {
    let mut fields: Vec<_> = message.fields().collect();
    fields.sort_by_key(FieldDescriptor::number);
    fields
}

/// The marks are ours: the schema says in comments only which bytes are ids and what is an item.
fn mark(field: &FieldDescriptor) -> Option<&'static str> {
    match (field.kind(), field.parent_message().name(), field.name()) {
        (Kind::Bytes, _, "trace_id" | "profile_id") => Some("Mark::Id16"),
        (Kind::Bytes, _, "span_id" | "parent_span_id") => Some("Mark::Id8"),
        (Kind::Message(_), "ScopeSpans", "spans")
        | (Kind::Message(_), "ScopeLogs", "log_records")
        | (Kind::Message(_), "ScopeProfiles", "profiles")
        | (Kind::Message(_), _, "data_points") => Some("Mark::Item"),
        _ => None,
    }
}

fn render_field(out: &mut String, all: &Reachable, field: &FieldDescriptor) {
    let (number, name, json) = (field.number(), field.name(), field.json_name());
    write!(out, "Field::new({number}, {name:?}, {json:?}, {})", all.kind(field)).unwrap();
    if field.cardinality() == Cardinality::Repeated {
        out.push_str(".repeated()");
    }
    if field.is_packed() {
        out.push_str(".packed()");
    }
    if field.field_descriptor_proto().proto3_optional() {
        out.push_str(".optional()");
    } else if let Some(oneof) = field.containing_oneof() {
        let index = field.parent_message().oneofs().position(|other| other == oneof).unwrap();
        write!(out, ".oneof({index})").unwrap();
    }
    if let Some(mark) = mark(field) {
        write!(out, ".mark({mark})").unwrap();
    }
    out.push(',');
}

fn render_message(out: &mut String, all: &Reachable, message: &MessageDescriptor) {
    let fields = by_number(message);
    write!(out, "Message {{ name: {:?}, fields: &[", message.full_name()).unwrap();
    for field in &fields {
        render_field(out, all, field);
    }
    writeln!(out, "] }},").unwrap();
}

/// `opentelemetry.proto.trace.v1.Span.Event` becomes `TRACE_SPAN_EVENT`.
fn constant_name(message: &MessageDescriptor) -> String {
    let path = message.full_name().trim_start_matches("opentelemetry.proto.");
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
            out.push(c.to_ascii_uppercase());
        }
    }
    out
}

fn render_roots(out: &mut String, pool: &DescriptorPool, all: &mut Reachable) {
    for what in ["Request", "Response"] {
        let mut arms = String::new();
        for (signal, package, version, stem) in ROOTS {
            let name = format!("opentelemetry.proto.collector.{package}.{version}.{stem}{what}");
            let root = pool.get_message_by_name(&name).unwrap();
            all.visit(&root);
            let id = all.message_ids[root.full_name()];
            writeln!(arms, "Signal::{signal} => MessageId({id}),").unwrap();
        }
        let function = what.to_lowercase();
        write!(
            out,
            "/// The message that a {function} of `signal` is.\n#[must_use]\n\
             pub const fn {function}(signal: Signal) -> MessageId {{\nmatch signal {{\n{arms}}}\n}}\n\n"
        )
        .unwrap();
    }
}

fn render(pool: &DescriptorPool) -> String {
    let mut all = Reachable::default();
    let mut out = String::from(
        "//! The OTLP schema as tables, generated from `proto/` (opentelemetry-proto v1.10.0): do not edit.\n\
         //!\n\
         //! `UPDATE_TABLES=1 cargo test -p sidelight-wire --test tables` writes this file.\n\n\
         use crate::Signal;\n\
         use crate::schema::{Enum, EnumId, Field, Kind, Mark, Message, MessageId};\n\n",
    );
    render_roots(&mut out, pool, &mut all);
    for (id, message) in all.messages.iter().enumerate() {
        let name = constant_name(message);
        let full = message.full_name();
        writeln!(out, "/// `{full}`.\npub const {name}: MessageId = MessageId({id});").unwrap();
    }
    let count = all.messages.len();
    writeln!(out, "\n/// Every message, by id.\npub static MESSAGES: [Message; {count}] = [")
        .unwrap();
    for message in &all.messages {
        render_message(&mut out, &all, message);
    }
    let count = all.enums.len();
    writeln!(out, "];\n\n/// Every enum, by id.\npub static ENUMS: [Enum; {count}] = [").unwrap();
    for e in &all.enums {
        let mut values: Vec<_> = e.values().map(|v| (v.number(), v.name().to_owned())).collect();
        values.sort();
        writeln!(out, "Enum {{ name: {:?}, values: &{values:?} }},", e.full_name()).unwrap();
    }
    out.push_str("];\n");
    out
}

fn formatted(source: &str) -> String {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--config", "max_width=100,use_small_heuristics=Max"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    rustfmt.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
    let output = rustfmt.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_committed_tables_are_those_of_the_proto_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let proto = root.join("../../proto");
    let files = ROOTS.map(|(_, package, version, _)| {
        format!("opentelemetry/proto/collector/{package}/{version}/{package}_service.proto")
    });
    let set = protox::compile(files, [&proto]).unwrap();
    let pool = DescriptorPool::from_file_descriptor_set(set).unwrap();
    let fresh = formatted(&render(&pool));
    let path = root.join("src/tables.rs");
    if std::env::var_os("UPDATE_TABLES").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(committed == fresh, "src/tables.rs is stale: run this test with UPDATE_TABLES=1");
}
