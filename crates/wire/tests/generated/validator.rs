//! The validator's code: one function per message that requests reach, one arm per key that a known field may come with.

use std::fmt::Write as _;

use protox::prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::reachable::{Mark, Reachable, by_number, mark, snake_case};

pub(crate) fn render(all: &Reachable) -> String {
    let mut out = String::from(
        "//! One function for each message of OTLP requests, generated from `proto/` (opentelemetry-proto v1.10.0): \
         do not edit.\n\
         //!\n\
         //! `UPDATE_GENERATED=1 cargo test -p sidelight-wire --test generated` writes this file. What the arms call is in\n\
         //! [`super::scan`]; what no arm names is a field that the schema does not know, or one in another wire type \
         than its own.\n\n\
         use std::ops::Range;\n\n\
         use super::scan::{Checked, Scan};\n\
         use crate::{Signal, tables};\n\n",
    );
    let mut arms = String::new();
    for (signal, root) in &all.requests {
        writeln!(arms, "Signal::{signal} => {}(scan, within),", snake_case(root.full_name()))
            .unwrap();
    }
    writeln!(
        out,
        "/// Reads a request of `signal`.\n\
         pub(super) fn request(signal: Signal, scan: &mut Scan<'_>, within: Range<usize>) -> Checked {{\n\
         match signal {{\n{arms}}}\n}}\n"
    )
    .unwrap();
    for message in &all.messages {
        render_message(&mut out, message);
    }
    out
}

fn render_message(out: &mut String, message: &MessageDescriptor) {
    let function = snake_case(message.full_name());
    let table = function.to_uppercase();
    let mut arms = String::new();
    for field in by_number(message) {
        let name = field.name();
        let (wire, action) = unpacked(&field);
        let key = field.number() << 3 | wire;
        writeln!(arms, "{key:#04x} => {action}?, // {name}").unwrap();
        if let Some(action) = packed(&field, wire) {
            let key = field.number() << 3 | 2;
            writeln!(arms, "{key:#04x} => {action}?, // {name}, packed").unwrap();
        }
    }
    let enter = if message.name() == "Span" { "enter_span" } else { "enter" };
    writeln!(
        out,
        "/// `{}`.\n\
         fn {function}(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {{\n\
         let mut at = scan.{enter}(within);\n\
         while let Some(key) = at.key()? {{\n\
         match key {{\n{arms}_ => scan.other(&mut at, key, &tables::{table})?,\n}}\n}}\nOk(())\n}}\n",
        message.full_name()
    )
    .unwrap();
}

/// The wire type of one value of `field`, and what reads it.
fn unpacked(field: &FieldDescriptor) -> (u32, String) {
    let (wire, action) = match field.kind() {
        Kind::Message(child) => return (2, submessage(field, &child)),
        Kind::String => (2, "scan.text(&mut at)"),
        Kind::Bytes => (2, bytes(field)),
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => (1, "at.fixed64()"),
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => (5, "at.fixed32()"),
        _ => (0, "at.varint()"),
    };
    (wire, action.to_owned())
}

fn submessage(field: &FieldDescriptor, child: &MessageDescriptor) -> String {
    let method = match (field.parent_message().name(), child.name()) {
        _ if mark(field) == Some(Mark::Item) => "item",
        (_, "KeyValue") => "attributes",
        (_, "Metric") => "metric",
        ("Metric", _) if field.containing_oneof().is_some() => {
            return format!("scan.metric_data(&mut at, key, {})", snake_case(child.full_name()));
        }
        _ => "message",
    };
    format!("scan.{method}(&mut at, {})", snake_case(child.full_name()))
}

/// Ids of a span or log record itself say whether it can be correlated.
fn bytes(field: &FieldDescriptor) -> &'static str {
    let own = matches!(field.parent_message().name(), "Span" | "LogRecord");
    match (mark(field), field.name()) {
        (Some(Mark::Id16), "trace_id") if own => "scan.trace_id(&mut at)",
        (Some(Mark::Id8), "span_id") if own => "scan.span_id(&mut at)",
        (Some(Mark::Id16), _) => "scan.id::<16>(&mut at)",
        (Some(Mark::Id8), _) => "scan.id::<8>(&mut at)",
        _ => "at.bytes()",
    }
}

/// What reads packed values of `field`, which readers accept of every repeated number.
fn packed(field: &FieldDescriptor, wire: u32) -> Option<&'static str> {
    match wire {
        _ if !field.is_list() => None,
        0 => Some("at.packed_varints()"),
        1 => Some("at.packed::<8>()"),
        5 => Some("at.packed::<4>()"),
        _ => None,
    }
}
