//! What a receiver must accept and refuse, one test for each row that concerns bytes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

mod support;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use sidelight_wire::schema::{Field, Kind, Message};
use sidelight_wire::{FaultKind, Limits, Signal, tables, validate, varint};
use support::{Rng, realistic, unknown_of};

/// Judges framing only.
const FRAMING: Limits =
    Limits { items_max: u32::MAX, refuse_invalid_utf8: true, refuse_without_ids: false };

/// `bytes` as prost writes them after decoding.
fn through_prost(signal: Signal, bytes: &[u8]) -> Result<Vec<u8>, prost::DecodeError> {
    Ok(match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(bytes)?.encode_to_vec(),
        Signal::Metrics => ExportMetricsServiceRequest::decode(bytes)?.encode_to_vec(),
        Signal::Logs => ExportLogsServiceRequest::decode(bytes)?.encode_to_vec(),
        Signal::Profiles => ExportProfilesServiceRequest::decode(bytes)?.encode_to_vec(),
    })
}

fn framed(number: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint::write(u64::from(number) << 3 | 2, &mut out);
    varint::write(content.len() as u64, &mut out);
    out.extend_from_slice(content);
    out
}

/// Every message of a signal with the field numbers that lead to it from the request, each message once.
fn messages(signal: Signal) -> Vec<(&'static Message, Vec<u32>)> {
    let mut found = vec![(tables::request(signal), Vec::new())];
    let mut next = 0;
    while let Some((message, path)) = found.get(next).cloned() {
        next += 1;
        for field in message.fields {
            if let Kind::Message(child) = field.kind
                && !found.iter().any(|(known, _)| known.index == child.index)
            {
                found.push((child, [path.as_slice(), &[field.number]].concat()));
            }
        }
    }
    found
}

fn wrapped(path: &[u32], content: &[u8]) -> Vec<u8> {
    path.iter().rev().fold(content.to_vec(), |content, number| framed(*number, &content))
}

/// A value of `field` that is not its default, in the form that prost writes.
fn set(field: &Field, out: &mut Vec<u8>) {
    varint::write(field.key().into(), out);
    let mut value = Vec::new();
    match field.kind {
        Kind::String => value.extend(b"text"),
        Kind::Bytes => value.extend([7; 16].iter().take(field.mark.id_len().unwrap_or(5))),
        Kind::Message(_) => {}
        kind => {
            match kind.wire_type() as u8 {
                0 => value.push(1),
                1 => value.extend(1.5_f64.to_le_bytes()),
                _ => value.extend(3_u32.to_le_bytes()),
            }
            if !field.packed {
                out.extend(value);
                return;
            }
        }
    }
    varint::write(value.len() as u64, out);
    out.extend(value);
}

#[test]
fn every_field_of_every_message_set_once_is_accepted_and_known_to_prost() {
    let mut fields_seen = 0;
    for signal in Signal::ALL {
        for (message, path) in messages(signal) {
            let fields = message.fields;
            let members = fields.iter().filter(|field| field.oneof.is_some()).count().max(1);
            for member in 0..members {
                let mut content = Vec::new();
                let mut oneofs = 0;
                for field in fields {
                    oneofs += usize::from(field.oneof.is_some());
                    if field.oneof.is_none() || oneofs == member + 1 {
                        set(field, &mut content);
                        fields_seen += 1;
                    }
                }
                let bytes = wrapped(&path, &content);
                let verdict = validate(signal, &bytes, &FRAMING);
                assert!(verdict.is_ok(), "{}: {verdict:?}", message.name);
                // A oneof is written where its lowest member would be: the same bytes in another order.
                let mut back = through_prost(signal, &bytes).unwrap();
                let mut sent = bytes;
                back.sort_unstable();
                sent.sort_unstable();
                assert_eq!(back, sent, "{} member {member}", message.name);
            }
        }
    }
    assert!(fields_seen > 250, "{fields_seen}");
}

#[test]
fn unknown_fields_of_every_wire_type_are_accepted_at_every_level() {
    let mut rng = Rng(11);
    for signal in Signal::ALL {
        for (message, path) in messages(signal) {
            for wire in [0, 1, 2, 5] {
                let mut content = Vec::new();
                unknown_of(&mut rng, wire, &mut content);
                let bytes = wrapped(&path, &content);
                assert!(validate(signal, &bytes, &FRAMING).is_ok(), "{}", message.name);
                assert!(through_prost(signal, &bytes).is_ok());
            }
        }
    }
}

#[test]
fn a_known_field_in_another_wire_type_is_refused_by_name() {
    let mut rng = Rng(12);
    for signal in Signal::ALL {
        for (message, path) in messages(signal) {
            for field in message.fields {
                for wire in [0, 1, 2, 5] {
                    let packable = field.repeated && field.kind.is_packable() && wire == 2;
                    if packable || wire == field.kind.wire_type() as u64 {
                        continue;
                    }
                    let mut content = Vec::new();
                    unknown_of(&mut rng, wire, &mut content);
                    // The same value under the field's number.
                    let (_, value) = varint::read(&content, 0).unwrap();
                    let mut bytes = Vec::new();
                    varint::write(u64::from(field.number) << 3 | wire, &mut bytes);
                    bytes.extend(&content[value..]);
                    let bytes = wrapped(&path, &bytes);
                    let invalid = validate(signal, &bytes, &FRAMING).unwrap_err();
                    assert_eq!(
                        invalid.kind,
                        FaultKind::WrongWireType,
                        "{} {}",
                        message.name,
                        field.name
                    );
                    assert!(invalid.path.contains(field.name), "{invalid}: {}", field.name);
                    assert!(through_prost(signal, &bytes).is_err());
                }
            }
        }
    }
}

/// A log record whose body nests `levels` values; `step` is one level around `content`.
fn nested(levels: usize, step: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let body = (0..levels).fold(framed(1, b"end"), |content, _| step(&content));
    wrapped(&[1, 2, 2, 5], &body)
}

fn array(content: &[u8]) -> Vec<u8> {
    framed(5, &framed(1, content))
}

fn kvlist(content: &[u8]) -> Vec<u8> {
    framed(6, &framed(1, &framed(2, content)))
}

#[test]
fn arrays_nested_40_deep_are_accepted_and_200_deep_refused() {
    assert!(validate(Signal::Logs, &nested(40, array), &FRAMING).is_ok());
    let invalid = validate(Signal::Logs, &nested(200, array), &FRAMING).unwrap_err();
    assert_eq!(invalid.kind, FaultKind::TooDeep);
    assert!(validate(Signal::Logs, &nested(20_000, kvlist), &FRAMING).is_err());
}

#[test]
fn the_depth_limit_is_that_of_prost_to_the_level() {
    for levels in 25..55 {
        for (what, step) in [("array", array as fn(&[u8]) -> Vec<u8>), ("kvlist", kvlist)] {
            let bytes = nested(levels, step);
            let ours = validate(Signal::Logs, &bytes, &FRAMING).is_ok();
            assert_eq!(ours, through_prost(Signal::Logs, &bytes).is_ok(), "{what} {levels}");
            // An unknown field in the deepest message counts as a level of its own.
            let end = (0..levels).fold(b"\xf8\x7f\x01".to_vec(), |content, _| step(&content));
            let bytes = wrapped(&[1, 2, 2, 5], &end);
            let ours = validate(Signal::Logs, &bytes, &FRAMING).is_ok();
            assert_eq!(
                ours,
                through_prost(Signal::Logs, &bytes).is_ok(),
                "{what} {levels} unknown"
            );
        }
    }
}

#[test]
fn broken_framing_is_refused_with_its_place() {
    let span = |content: &[u8]| wrapped(&[1, 2, 2], content);
    let at = "resource_spans[0].scope_spans[0].spans[0]";
    for (content, kind, path) in [
        (&b"\x2a\x05abc"[..], FaultKind::Truncated, format!("{at}.name")),
        (b"\x39\x01\x02", FaultKind::Truncated, format!("{at}.start_time_unix_nano")),
        (b"\x30", FaultKind::Truncated, format!("{at}.kind")),
        (
            b"\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
            FaultKind::VarintOverflow,
            format!("{at}.kind"),
        ),
        (b"\x4a\x02\x0a\x05", FaultKind::Truncated, format!("{at}.attributes[0].key")),
        (b"\x00\x01", FaultKind::FieldZero, format!("{at}.field 0 of Span")),
        (b"\x9b\x01\x9c\x01", FaultKind::Group, format!("{at}.field 19 of Span")),
        (b"\x2e\x00", FaultKind::UndefinedWireType, format!("{at}.name")),
        (b"\xfa\xff\xff\xff\x1f\x00", FaultKind::KeyOverflow, at.to_owned()),
    ] {
        let bytes = span(content);
        let invalid = validate(Signal::Traces, &bytes, &FRAMING).unwrap_err();
        assert_eq!(invalid.kind, kind, "{invalid}");
        assert!(invalid.path.starts_with(&path), "{invalid}");
        assert!(invalid.offset < bytes.len());
        if kind != FaultKind::Group {
            assert!(through_prost(Signal::Traces, &bytes).is_err());
        }
    }
}

#[test]
fn a_field_that_runs_into_its_neighbour_is_refused() {
    // The key of the attribute claims more than the attribute has; the request has enough.
    let mut bytes = wrapped(&[1, 2, 2, 9], b"\x0a\x09abc");
    bytes.extend(wrapped(&[1], b""));
    bytes.extend(wrapped(&[1, 2, 2], b"\x2a\x0asome name"));
    let invalid = validate(Signal::Traces, &bytes, &FRAMING).unwrap_err();
    assert_eq!(invalid.kind, FaultKind::Truncated);
}

#[test]
fn packed_values_must_fill_their_field() {
    let point = |content: &[u8]| wrapped(&[1, 2, 2, 9, 1], content);
    for (content, fine) in [
        (&b"\x32\x10\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0"[..], true),
        (b"\x31\x01\0\0\0\0\0\0\0", true),
        (b"\x32\x00", true),
        (b"\x32\x09\x01\0\0\0\0\0\0\0\x02", false),
    ] {
        let bytes = point(content);
        let verdict = validate(Signal::Metrics, &bytes, &FRAMING);
        assert_eq!(verdict.is_ok(), fine, "{verdict:?}");
        assert_eq!(through_prost(Signal::Metrics, &bytes).is_ok(), fine);
    }
    let buckets = |content: &[u8]| wrapped(&[1, 2, 2, 10, 1, 8], content);
    assert!(validate(Signal::Metrics, &buckets(b"\x12\x03\x01\x80\x01"), &FRAMING).is_ok());
    assert!(validate(Signal::Metrics, &buckets(b"\x12\x02\x01\x80"), &FRAMING).is_err());
}

#[test]
fn text_that_is_not_utf8_is_counted_or_refused_with_its_place() {
    let attribute = [framed(1, b"key"), framed(2, &framed(1, b"caf\xe9"))].concat();
    let bytes = wrapped(&[1, 2, 2, 9], &attribute);
    let lenient = Limits { refuse_invalid_utf8: false, ..FRAMING };
    assert_eq!(validate(Signal::Traces, &bytes, &lenient).unwrap().invalid_utf8, 1);
    let invalid = validate(Signal::Traces, &bytes, &FRAMING).unwrap_err();
    assert_eq!(
        invalid.to_string(),
        "string is not UTF-8 at byte 17 in \
         resource_spans[0].scope_spans[0].spans[0].attributes[0].value.string_value"
    );
}

#[test]
fn the_body_of_another_signal_is_refused() {
    let mut rng = Rng(13);
    let traces = realistic::traces(&mut rng, 5).encode_to_vec();
    let log = wrapped(&[1, 2, 2], b"\x09\x01\0\0\0\0\0\0\0\x2a\x07\x0a\x05hello");
    let log_with_only_a_body = wrapped(&[1, 2, 2], b"\x2a\x07\x0a\x05hello");
    let point = framed(1, b"\x19\x01\0\0\0\0\0\0\0\x21\0\0\0\0\0\0\0\0");
    let sum = [framed(1, b"requests"), framed(7, &point)].concat();
    let gauge = [framed(1, b"temperature"), framed(5, &point)].concat();
    let (sum, gauge) = (wrapped(&[1, 2, 2], &sum), wrapped(&[1, 2, 2], &gauge));
    let limits = Limits::default();
    for (own, bytes) in [
        (Signal::Traces, &traces),
        (Signal::Logs, &log),
        (Signal::Logs, &log_with_only_a_body),
        (Signal::Metrics, &sum),
        (Signal::Metrics, &gauge),
    ] {
        assert!(validate(own, bytes, &limits).is_ok(), "{own}");
        for other in [Signal::Traces, Signal::Metrics, Signal::Logs] {
            assert!(other == own || validate(other, bytes, &limits).is_err(), "{own} as {other}");
        }
    }
    let invalid = validate(Signal::Traces, &log_with_only_a_body, &limits).unwrap_err();
    assert_eq!(invalid.kind, FaultKind::NoUsableIds);
}

#[test]
fn odd_ids_are_counted_by_their_length() {
    let span = |trace: &[u8], span: &[u8], parent: &[u8]| {
        let content = [framed(1, trace), framed(2, span), framed(4, parent)].concat();
        let bytes = wrapped(&[1, 2, 2], &content);
        validate(Signal::Traces, &bytes, &FRAMING).unwrap().odd_ids
    };
    let (trace, id) = ([1; 16], [1; 8]);
    for (odd, found) in [
        (0, span(&trace, &id, &id)),
        (0, span(&trace, &id, b"")),
        (1, span(&trace, &id, b"odd")),
        (1, span(&[1; 15], &id, &id)),
        (0, span(&[0; 16], &id, &[0; 8])),
        (0, span(b"", b"", b"")),
        (3, span(&id, &trace, &trace)),
    ] {
        assert_eq!(found, odd);
    }
    let log = |trace: &[u8], span: &[u8]| {
        let bytes = wrapped(&[1, 2, 2], &[framed(9, trace), framed(10, span)].concat());
        validate(Signal::Logs, &bytes, &Limits::default()).unwrap().odd_ids
    };
    assert_eq!((log(b"", b""), log(&[0; 16], b""), log(&trace, b"odd")), (0, 0, 1));
}

#[test]
fn spans_without_any_usable_id_are_refused_and_one_usable_id_saves_the_request() {
    let nameless = wrapped(&[1, 2, 2], &framed(5, b"name"));
    let limits = Limits::default();
    let invalid = validate(Signal::Traces, &nameless, &limits).unwrap_err();
    assert_eq!(
        invalid.to_string(),
        "no span has a usable id (the body of another signal?) at byte 0"
    );
    let with_id = wrapped(&[1, 2, 2], &framed(2, &[1; 8]));
    let both = [nameless, with_id].concat();
    assert_eq!(validate(Signal::Traces, &both, &limits).unwrap().items, 2);
    for id in [&[0; 8][..], &[1; 7]] {
        let unusable = wrapped(&[1, 2, 2], &framed(2, id));
        assert!(validate(Signal::Traces, &unusable, &limits).is_err(), "{id:?}");
    }
}

#[test]
fn items_above_the_limit_are_refused() {
    let mut rng = Rng(14);
    let bytes = realistic::traces(&mut rng, 20).encode_to_vec();
    let limit = |items_max| Limits { items_max, ..Limits::default() };
    assert_eq!(validate(Signal::Traces, &bytes, &limit(20)).unwrap().items, 20);
    let invalid = validate(Signal::Traces, &bytes, &limit(19)).unwrap_err();
    assert_eq!(invalid.kind, FaultKind::TooManyItems);
    assert!(invalid.path.ends_with("spans[19]"), "{invalid}");
}

#[test]
fn descending_fields_are_worth_the_same() {
    let mut rng = Rng(15);
    let bytes = realistic::traces(&mut rng, 30).encode_to_vec();
    let descending = support::descending(tables::request(Signal::Traces), &bytes);
    assert_ne!(bytes, descending);
    let limits = Limits::default();
    let summary = validate(Signal::Traces, &bytes, &limits);
    assert_eq!(validate(Signal::Traces, &descending, &limits), summary);
    assert_eq!(summary.unwrap().items, 30);
}

#[test]
fn envelopes_without_items_are_valid() {
    for signal in Signal::ALL {
        for bytes in
            [Vec::new(), wrapped(&[1], b""), wrapped(&[1, 1, 1], &framed(1, b"service.name"))]
        {
            assert_eq!(validate(signal, &bytes, &Limits::default()).unwrap().items, 0);
        }
    }
}
