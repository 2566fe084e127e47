//! Splitting keeps every item and what is around it; merging is concatenation.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

mod support;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::profiles::v1development::{
    Profile, ProfilesDictionary, ResourceProfiles, ScopeProfiles,
};
use proptest::prelude::*;
use prost::Message as _;
use sidelight_wire::frame::{Part, split};
use sidelight_wire::{Limits, Signal, validate};
use support::{Rng, Style, realistic, request};

const FRAMING: Limits =
    Limits { items_max: u32::MAX, refuse_invalid_utf8: true, refuse_without_ids: false };

/// Each item with everything that is said about it, in order.
fn items(signal: Signal, bytes: &[u8]) -> Vec<String> {
    match signal {
        Signal::Traces => traces(bytes),
        Signal::Metrics => metrics(bytes),
        Signal::Logs => logs(bytes),
        Signal::Profiles => profiles(bytes),
    }
}

fn traces(bytes: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    for r in ExportTraceServiceRequest::decode(bytes).unwrap().resource_spans {
        for s in r.scope_spans {
            for item in s.spans {
                let around = (&r.resource, &r.schema_url, &s.scope, &s.schema_url);
                out.push(format!("{around:?} {item:?}"));
            }
        }
    }
    out
}

fn logs(bytes: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    for r in ExportLogsServiceRequest::decode(bytes).unwrap().resource_logs {
        for s in r.scope_logs {
            for item in s.log_records {
                let around = (&r.resource, &r.schema_url, &s.scope, &s.schema_url);
                out.push(format!("{around:?} {item:?}"));
            }
        }
    }
    out
}

fn profiles(bytes: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    let request = ExportProfilesServiceRequest::decode(bytes).unwrap();
    for r in request.resource_profiles {
        for s in r.scope_profiles {
            for item in s.profiles {
                let around =
                    (&request.dictionary, &r.resource, &r.schema_url, &s.scope, &s.schema_url);
                out.push(format!("{around:?} {item:?}"));
            }
        }
    }
    out
}

fn metrics(bytes: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    for r in ExportMetricsServiceRequest::decode(bytes).unwrap().resource_metrics {
        for s in r.scope_metrics {
            for mut m in s.metrics {
                let mut data = m.data.take();
                let points: Vec<String> = match &mut data {
                    None => continue,
                    Some(Data::Gauge(d)) => {
                        d.data_points.drain(..).map(|p| format!("{p:?}")).collect()
                    }
                    Some(Data::Sum(d)) => {
                        d.data_points.drain(..).map(|p| format!("{p:?}")).collect()
                    }
                    Some(Data::Histogram(d)) => {
                        d.data_points.drain(..).map(|p| format!("{p:?}")).collect()
                    }
                    Some(Data::ExponentialHistogram(d)) => {
                        d.data_points.drain(..).map(|p| format!("{p:?}")).collect()
                    }
                    Some(Data::Summary(d)) => {
                        d.data_points.drain(..).map(|p| format!("{p:?}")).collect()
                    }
                };
                let around = (&r.resource, &r.schema_url, &s.scope, &s.schema_url, &m, &data);
                out.extend(points.into_iter().map(|point| format!("{around:?} {point}")));
            }
        }
    }
    out
}

fn total(parts: &[Part]) -> usize {
    parts.iter().map(|part| part.items as usize).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_parts_of_a_request_are_worth_the_request(
        seed: u64,
        signal in 0_usize..4,
        wild: bool,
        tenths in 1_usize..12,
    ) {
        let signal = Signal::ALL[signal];
        let mut rng = Rng(seed);
        let whole = request(&mut rng, signal, Style { wild, unknown: wild });
        let max = whole.len() * tenths / 10;
        let result = split(signal, &whole, max);
        let expected = items(signal, &whole);

        let mut found = Vec::new();
        for part in &result {
            prop_assert!(part.bytes.len() <= max && part.items > 0);
            let summary = validate(signal, &part.bytes, &FRAMING).unwrap();
            prop_assert_eq!(summary.items, part.items);
            found.extend(items(signal, &part.bytes));
        }
        if total(&result) == expected.len() {
            prop_assert_eq!(&found, &expected);
        } else {
            // What is left is in order.
            let mut rest = expected.iter();
            prop_assert!(found.iter().all(|item| rest.any(|other| other == item)));
        }
        if signal.concatenates() {
            let parts: Vec<&[u8]> = result.iter().map(|part| &part.bytes[..]).collect();
            prop_assert_eq!(items(signal, &parts.concat()), found);
        }
    }

    #[test]
    fn concatenated_requests_hold_the_items_of_both(first: u64, second: u64, signal in 0_usize..3) {
        let signal = Signal::ALL[signal];
        let style = Style { wild: true, unknown: true };
        let (first, second) =
            (request(&mut Rng(first), signal, style), request(&mut Rng(second), signal, style));
        let mut expected = items(signal, &first);
        expected.extend(items(signal, &second));
        prop_assert_eq!(items(signal, &[first, second].concat()), expected);
    }
}

#[test]
fn parts_are_filled_to_the_limit() {
    let bytes = realistic::traces(&mut Rng(22), 1_000).encode_to_vec();
    let max = 64 * 1024;
    let result = split(Signal::Traces, &bytes, max);
    assert_eq!(total(&result), 1_000);
    let (last, full) = result.split_last().unwrap();
    assert!(full.iter().all(|part| part.bytes.len() > max - 2_048));
    assert!(last.items > 0);
}

#[test]
fn only_the_item_that_cannot_fit_is_left_out() {
    let mut request = realistic::traces(&mut Rng(23), 9);
    let span = &mut request.resource_spans[0].scope_spans[0].spans[4];
    span.name = "x".repeat(10_000);
    assert_eq!(total(&split(Signal::Traces, &request.encode_to_vec(), 5_000)), 8);
}

#[test]
fn what_surrounds_small_items_does_not_multiply_the_request() {
    let mut request = realistic::traces(&mut Rng(24), 200);
    for (percent, all) in [(20, true), (45, true), (60, true), (95, false)] {
        request.resource_spans[0].schema_url = "x".repeat(1_000 * percent);
        let bytes = request.encode_to_vec();
        let result = split(Signal::Traces, &bytes, 100_000);
        let sum: usize = result.iter().map(|part| part.bytes.len()).sum();
        assert!(sum <= 3 * bytes.len(), "{percent}: {sum} of {}", bytes.len());
        assert_eq!(total(&result) == 200, all, "{percent}: {}", total(&result));
    }
}

#[test]
fn profiles_that_fit_with_their_dictionary_are_all_sent() {
    let string_table = vec!["x".repeat(190_000)];
    let profile = Profile { original_payload: vec![1; 4_000], ..Profile::default() };
    let scope = ScopeProfiles { profiles: vec![profile; 40], ..ScopeProfiles::default() };
    let resource = ResourceProfiles { scope_profiles: vec![scope], ..ResourceProfiles::default() };
    let request = ExportProfilesServiceRequest {
        resource_profiles: vec![resource],
        dictionary: Some(ProfilesDictionary { string_table, ..ProfilesDictionary::default() }),
    };
    let bytes = request.encode_to_vec();
    assert_eq!(total(&split(Signal::Profiles, &bytes, bytes.len() - 10_000)), 40);
}

#[test]
fn a_metric_with_many_points_is_split_between_its_points() {
    let point = "\x19\x01\0\0\0\0\0\0\0\x21\0\0\0\0\0\0\0\0";
    let frame = |number: u8, content: &[u8]| {
        let mut out = vec![number << 3 | 2];
        sidelight_wire::varint::write(content.len() as u64, &mut out);
        out.extend_from_slice(content);
        out
    };
    let points: Vec<u8> = (0..500).flat_map(|_| frame(1, point.as_bytes())).collect();
    let sum = [points, b"\x10\x02\x18\x01".to_vec()].concat();
    let metric = [frame(7, &sum), frame(1, b"requests")].concat();
    let bytes = frame(1, &frame(2, &frame(2, &metric)));
    let result = split(Signal::Metrics, &bytes, 1_000);
    assert_eq!(total(&result), 500);
    assert!(result.len() >= 10);
    assert!(
        items(Signal::Metrics, &result[3].bytes)
            .iter()
            .all(|item| { item.contains("\"requests\"") && item.contains("is_monotonic: true") })
    );
}
