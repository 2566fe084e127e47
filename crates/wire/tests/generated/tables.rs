//! The schema as data: what walks messages of any kind reads it.

use std::fmt::Write as _;

use protox::prost_reflect::{Cardinality, FieldDescriptor, Kind, MessageDescriptor};

use crate::reachable::{Mark, Reachable, by_number, mark, snake_case};

pub(crate) fn render(all: &Reachable) -> String {
    let mut out = String::from(
        "//! The OTLP schema as tables, generated from `proto/` (opentelemetry-proto v1.10.0): do not edit.\n\
         //!\n\
         //! `UPDATE_GENERATED=1 cargo test -p sidelight-wire --test generated` writes this file.\n\n\
         use crate::Signal;\n\
         use crate::schema::{Field, Kind, Mark, Message};\n\n",
    );
    render_roots(&mut out, &all.requests);
    let count = all.messages.len();
    writeln!(out, "/// Every message.\npub static MESSAGES: [&Message; {count}] = [").unwrap();
    for message in &all.messages {
        write!(out, "&{},", constant(message.full_name())).unwrap();
    }
    writeln!(out, "];\n").unwrap();
    for (index, message) in all.messages.iter().enumerate() {
        render_message(&mut out, index, message);
    }
    out
}

fn render_roots(out: &mut String, roots: &[(&str, MessageDescriptor)]) {
    let mut arms = String::new();
    for (signal, root) in roots {
        writeln!(arms, "Signal::{signal} => &{},", constant(root.full_name())).unwrap();
    }
    write!(
        out,
        "/// The message that a request of `signal` is.\n#[must_use]\n\
         pub const fn request(signal: Signal) -> &'static Message {{\nmatch signal {{\n{arms}}}\n}}\n\n"
    )
    .unwrap();
}

fn render_message(out: &mut String, index: usize, message: &MessageDescriptor) {
    let name = message.full_name();
    write!(
        out,
        "/// `{name}`.\npub static {}: Message = Message {{ index: {index}, name: {name:?}, fields: &[",
        constant(name)
    )
    .unwrap();
    for field in by_number(message) {
        render_field(out, &field);
    }
    writeln!(out, "] }};\n").unwrap();
}

fn render_field(out: &mut String, field: &FieldDescriptor) {
    let (number, name, json) = (field.number(), field.name(), field.json_name());
    write!(out, "Field::new({number}, {name:?}, {json:?}, {})", kind(field)).unwrap();
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
    match mark(field) {
        Some(Mark::Id16) => out.push_str(".mark(Mark::Id16)"),
        Some(Mark::Id8) => out.push_str(".mark(Mark::Id8)"),
        Some(Mark::Item) => out.push_str(".mark(Mark::Item)"),
        None => {}
    }
    out.push(',');
}

fn kind(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Message(message) => format!("Kind::Message(&{})", constant(message.full_name())),
        Kind::Enum(_) => "Kind::Enum".to_owned(),
        scalar => {
            let name = format!("{scalar:?}");
            format!("Kind::{}{}", name[..1].to_uppercase(), &name[1..])
        }
    }
}

/// `opentelemetry.proto.trace.v1.Span.Event` becomes `TRACE_SPAN_EVENT`.
fn constant(full_name: &str) -> String {
    snake_case(full_name).to_uppercase()
}
