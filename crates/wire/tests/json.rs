//! OTLP/JSON means what protobuf means: beside prost, beside the examples of the specification, and under mutation.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

mod support;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::Value;
use sidelight_wire::json::{JsonOptions, from_protobuf, to_protobuf};
use sidelight_wire::{Limits, Signal, validate};
use support::{Rng, Style, mutate, realistic, request};

const ACCEPT: Limits =
    Limits { items_max: u32::MAX, refuse_invalid_utf8: true, refuse_without_ids: false };

fn to(signal: Signal, json: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    if let Err(error) = to_protobuf(signal, json, &mut out, &JsonOptions::default()) {
        panic!("{error}\n{}", String::from_utf8_lossy(json));
    }
    assert!(validate(signal, &out, &ACCEPT).is_ok(), "{}", String::from_utf8_lossy(json));
    out
}

fn from(signal: Signal, protobuf: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    from_protobuf(signal, protobuf, &mut out).unwrap();
    out
}

/// What prost decodes, for comparison. Encoded once more, so that doubles compare by their bits.
fn decoded(signal: Signal, protobuf: &[u8]) -> Vec<u8> {
    match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(protobuf).unwrap().encode_to_vec(),
        Signal::Metrics => ExportMetricsServiceRequest::decode(protobuf).unwrap().encode_to_vec(),
        Signal::Logs => ExportLogsServiceRequest::decode(protobuf).unwrap().encode_to_vec(),
        Signal::Profiles => ExportProfilesServiceRequest::decode(protobuf).unwrap().encode_to_vec(),
    }
}

#[test]
fn random_requests_survive_the_way_through_json_however_they_are_written() {
    let mut rng = Rng(1);
    for round in 0..40 {
        for signal in Signal::ALL {
            let wild = round % 2 == 1;
            let protobuf = request(&mut rng, signal, Style { wild, unknown: wild });
            let json = from(signal, &protobuf);
            let parsed: Value = serde_json::from_slice(&json).unwrap();
            assert_eq!(decoded(signal, &to(signal, &json)), decoded(signal, &protobuf));
            // serde_json sorts keys: another order of the same members.
            let sorted = serde_json::to_vec_pretty(&parsed).unwrap();
            assert_eq!(decoded(signal, &to(signal, &sorted)), decoded(signal, &protobuf));
            assert_eq!(from(signal, &to(signal, &json)), from(signal, &decoded(signal, &protobuf)));
        }
    }
}

#[test]
fn the_json_of_others_becomes_the_protobuf_of_others() {
    let mut rng = Rng(2);
    for spans in [0, 1, 7, 300] {
        let traces = realistic::traces(&mut rng, spans);
        let json = serde_json::to_vec(&traces).unwrap();
        assert_eq!(decoded(Signal::Traces, &to(Signal::Traces, &json)), traces.encode_to_vec());
        let ours = from(Signal::Traces, &traces.encode_to_vec());
        assert_eq!(serde_json::from_slice::<ExportTraceServiceRequest>(&ours).unwrap(), traces);
    }
    for _ in 0..50 {
        let style = Style { wild: false, unknown: false };
        let bytes = request(&mut rng, Signal::Traces, style);
        let traces = ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap();
        let json = serde_json::to_vec(&traces).unwrap();
        assert_eq!(decoded(Signal::Traces, &to(Signal::Traces, &json)), traces.encode_to_vec());
        let bytes = request(&mut rng, Signal::Logs, style);
        let logs = ExportLogsServiceRequest::decode(bytes.as_slice()).unwrap();
        let json = serde_json::to_vec(&logs).unwrap();
        assert_eq!(decoded(Signal::Logs, &to(Signal::Logs, &json)), logs.encode_to_vec());
        let bytes = request(&mut rng, Signal::Metrics, style);
        let metrics = ExportMetricsServiceRequest::decode(bytes.as_slice()).unwrap();
        let json = serde_json::to_vec(&metrics).unwrap();
        assert_eq!(decoded(Signal::Metrics, &to(Signal::Metrics, &json)), metrics.encode_to_vec());
    }
}

#[test]
fn the_examples_of_the_specification_are_read_as_others_read_them() {
    let trace = include_bytes!("../../../proto/examples/trace.json");
    let expected: ExportTraceServiceRequest = serde_json::from_slice(trace).unwrap();
    assert_eq!(decoded(Signal::Traces, &to(Signal::Traces, trace)), expected.encode_to_vec());
    let metrics = include_bytes!("../../../proto/examples/metrics.json");
    let expected: ExportMetricsServiceRequest = serde_json::from_slice(metrics).unwrap();
    assert_eq!(decoded(Signal::Metrics, &to(Signal::Metrics, metrics)), expected.encode_to_vec());
    for logs in [
        &include_bytes!("../../../proto/examples/logs.json")[..],
        include_bytes!("../../../proto/examples/events.json"),
    ] {
        let expected: ExportLogsServiceRequest = serde_json::from_slice(logs).unwrap();
        assert_eq!(decoded(Signal::Logs, &to(Signal::Logs, logs)), expected.encode_to_vec());
    }
}

/// Every string, number and null of a JSON document, in an order that does not depend on writers.
fn lowered(value: &Value) -> Value {
    match value {
        // Ids are upper-case in the examples and lower-case when written.
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Value::String(text.to_lowercase())
        }
        Value::Array(elements) => elements.iter().map(lowered).collect(),
        Value::Object(members) => {
            members.iter().map(|(key, value)| (key.clone(), lowered(value))).collect()
        }
        other => other.clone(),
    }
}

#[test]
fn the_examples_are_written_as_they_were_given() {
    for (signal, json) in [
        (Signal::Traces, &include_bytes!("../../../proto/examples/trace.json")[..]),
        (Signal::Logs, include_bytes!("../../../proto/examples/logs.json")),
        (Signal::Logs, include_bytes!("../../../proto/examples/events.json")),
        (Signal::Profiles, include_bytes!("data/profile.json")),
    ] {
        let given: Value = serde_json::from_slice(json).unwrap();
        let written: Value = serde_json::from_slice(&from(signal, &to(signal, json))).unwrap();
        assert_eq!(lowered(&written), lowered(&given));
    }
}

#[test]
fn a_profile_is_read_with_its_dictionary() {
    let protobuf = to(Signal::Profiles, include_bytes!("data/profile.json"));
    let request = ExportProfilesServiceRequest::decode(protobuf.as_slice()).unwrap();
    let dictionary = request.dictionary.unwrap();
    assert_eq!(dictionary.string_table, ["", "cpu", "nanoseconds", "handle", "src/handle.rs"]);
    assert_eq!(dictionary.stack_table[1].location_indices, [1]);
    assert_eq!(dictionary.link_table[1].span_id, [0xee, 0xe1, 0x9b, 0x7e, 0xc3, 0xc1, 0xb1, 0x74]);
    assert_eq!(dictionary.location_table[1].address, 0x7f3a_1c00_4d20);
    let profile = &request.resource_profiles[0].scope_profiles[0].profiles[0];
    assert_eq!(profile.profile_id.len(), 16);
    assert_eq!(profile.samples[0].values, [10_000_000, -1]);
    assert_eq!(profile.samples[0].timestamps_unix_nano, [1_544_712_660_300_000_000]);
    assert_eq!(profile.original_payload, b"pprof");
}

#[test]
fn every_spelling_of_a_value_is_the_same_protobuf() {
    let log = |time: &str, value: &str| {
        let record = format!(r#"{{"timeUnixNano":{time},"body":{{"intValue":{value}}}}}"#);
        format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{record}]}}]}}]}}"#)
    };
    let expected = to(Signal::Logs, log("1544712660300000000", "5893").as_bytes());
    for (time, value) in [
        ("\"1544712660300000000\"", "\"5893\""),
        ("15447126603e8", "5893.0"),
        ("\"1544712660.3e9\"", "589.3e1"),
        (" 1544712660300000000 ", "\t5893\n"),
    ] {
        assert_eq!(to(Signal::Logs, log(time, value).as_bytes()), expected);
    }
}

/// Changes that keep JSON nearly JSON.
fn mutate_json(rng: &mut Rng, json: &mut Vec<u8>) {
    const PIECES: [&[u8]; 14] = [
        b"null",
        b"{}",
        b"[]",
        b"\"",
        b"\\",
        b"\\ud800",
        b",",
        b":",
        b"1e5",
        b"-",
        b"\"x\":1,",
        b"}",
        b"]",
        b"\xff",
    ];
    if rng.one_in(3) {
        let at = rng.below(json.len() + 1);
        let end = (at + rng.below(4)).min(json.len());
        json.splice(at..end, PIECES[rng.below(PIECES.len())].iter().copied());
    } else {
        mutate(rng, json);
    }
}

#[test]
fn what_is_accepted_of_damaged_json_is_valid_and_stable() {
    let mut rng = Rng(3);
    let options = JsonOptions::default();
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..60 {
        let signal = Signal::ALL[rng.below(4)];
        let json = from(signal, &request(&mut rng, signal, Style { wild: false, unknown: false }));
        for _ in 0..40 {
            let mut damaged = json.clone();
            for _ in 0..=rng.below(3) {
                mutate_json(&mut rng, &mut damaged);
            }
            let mut protobuf = Vec::new();
            match to_protobuf(signal, &damaged, &mut protobuf, &options) {
                Ok(_) => {
                    accepted += 1;
                    assert!(validate(signal, &protobuf, &ACCEPT).is_ok());
                    let written = from(signal, &protobuf);
                    assert_eq!(from(signal, &to(signal, &written)), written);
                }
                Err(error) => {
                    refused += 1;
                    assert!(error.offset <= damaged.len());
                    assert!(!error.to_string().is_empty());
                    assert!(protobuf.is_empty());
                }
            }
        }
    }
    assert!(accepted > 100 && refused > 100, "{accepted} accepted, {refused} refused");
}

#[test]
fn damaged_protobuf_never_panics_and_what_is_valid_can_be_written() {
    let mut rng = Rng(4);
    for _ in 0..1_500 {
        let signal = Signal::ALL[rng.below(4)];
        let mut bytes = request(&mut rng, signal, Style { wild: true, unknown: true });
        mutate(&mut rng, &mut bytes);
        let mut json = Vec::new();
        let written = from_protobuf(signal, &bytes, &mut json);
        let valid = validate(signal, &bytes, &Limits { refuse_invalid_utf8: false, ..ACCEPT });
        if valid.is_ok() {
            assert_eq!(written, Ok(()));
            assert!(serde_json::from_slice::<Value>(&json).is_ok());
        }
    }
}
