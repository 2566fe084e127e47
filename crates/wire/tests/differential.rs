//! The validator and prost accept the same bytes and count the same items.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

mod support;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message as _;
use sidelight_wire::{FaultKind, Limits, Signal, Summary, repair_utf8, validate};
use support::{Rng, Style, mutate, request};

const STRICT: Limits =
    Limits { items_max: u32::MAX, refuse_invalid_utf8: true, refuse_without_ids: false };
const LENIENT: Limits = Limits { refuse_invalid_utf8: false, ..STRICT };

/// Items as prost sees them, or `None` if it refuses.
fn prost_counts(signal: Signal, bytes: &[u8]) -> Option<usize> {
    Some(match signal {
        Signal::Traces => {
            let request = ExportTraceServiceRequest::decode(bytes).ok()?;
            let scopes = request.resource_spans.iter().flat_map(|r| &r.scope_spans);
            scopes.flat_map(|s| &s.spans).count()
        }
        Signal::Metrics => {
            let request = ExportMetricsServiceRequest::decode(bytes).ok()?;
            let scopes = request.resource_metrics.iter().flat_map(|r| &r.scope_metrics);
            let points = scopes.flat_map(|s| &s.metrics).map(|m| match &m.data {
                None => 0,
                Some(Data::Gauge(data)) => data.data_points.len(),
                Some(Data::Sum(data)) => data.data_points.len(),
                Some(Data::Histogram(data)) => data.data_points.len(),
                Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
                Some(Data::Summary(data)) => data.data_points.len(),
            });
            points.sum()
        }
        Signal::Logs => {
            let request = ExportLogsServiceRequest::decode(bytes).ok()?;
            let scopes = request.resource_logs.iter().flat_map(|r| &r.scope_logs);
            scopes.flat_map(|s| &s.log_records).count()
        }
        Signal::Profiles => {
            let request = ExportProfilesServiceRequest::decode(bytes).ok()?;
            let scopes = request.resource_profiles.iter().flat_map(|r| &r.scope_profiles);
            scopes.flat_map(|s| &s.profiles).count()
        }
    })
}

/// What the validator says, if prost agrees.
fn agreed(signal: Signal, bytes: &[u8]) -> Option<Summary> {
    let expected = prost_counts(signal, bytes);
    match validate(signal, bytes, &STRICT) {
        Ok(summary) => {
            assert_eq!(Some(summary.items as usize), expected, "{signal} {bytes:02x?}");
            Some(summary)
        }
        // The documented difference.
        Err(invalid) if invalid.kind == FaultKind::Group => None,
        Err(invalid) => {
            assert_eq!(expected, None, "refused: {invalid}: {signal} {bytes:02x?}");
            assert!(invalid.offset <= bytes.len());
            None
        }
    }
}

#[test]
fn random_requests_are_accepted_with_the_counts_of_prost() {
    let mut rng = Rng(1);
    for round in 0..400 {
        let signal = Signal::ALL[round % 4];
        let style = Style { wild: round % 3 != 0, unknown: round % 2 == 0 };
        let bytes = request(&mut rng, signal, style);
        assert!(
            agreed(signal, &bytes).is_some(),
            "round {round}: {:?}",
            validate(signal, &bytes, &STRICT)
        );
    }
}

#[test]
fn mutated_requests_are_accepted_or_refused_as_prost_does() {
    let mut rng = Rng(2);
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..420 {
        let signal = Signal::ALL[round % 4];
        let style = Style { wild: rng.one_in(2), unknown: rng.one_in(2) };
        let original = request(&mut rng, signal, style);
        for _ in 0..50 {
            let mut bytes = original.clone();
            for _ in 0..1 + rng.below(3) {
                mutate(&mut rng, &mut bytes);
            }
            if agreed(signal, &bytes).is_some() {
                accepted += 1
            } else {
                refused += 1
            }
            // Any other signal's eyes, too.
            agreed(Signal::ALL[rng.below(4)], &bytes);
        }
    }
    assert!(
        accepted + refused == 21_000 && accepted > 2_000 && refused > 2_000,
        "{accepted} {refused}"
    );
}

#[test]
fn mutants_of_realistic_traffic_are_treated_as_prost_does() {
    let mut rng = Rng(3);
    let ascending = support::realistic::traces(&mut rng, 6).encode_to_vec();
    let root = sidelight_wire::tables::request(Signal::Traces);
    let descending = support::descending(root, &ascending);
    let mut accepted = 0;
    for round in 0..8_000 {
        let mut bytes = if round % 2 == 0 { ascending.clone() } else { descending.clone() };
        mutate(&mut rng, &mut bytes);
        accepted += u32::from(agreed(Signal::Traces, &bytes).is_some());
    }
    assert!((500..7_500).contains(&accepted), "{accepted}");
}

#[test]
fn what_is_only_bad_text_is_accepted_by_prost_after_repair() {
    let mut rng = Rng(4);
    let mut repaired = 0;
    for round in 0..3_000 {
        let signal = Signal::ALL[round % 4];
        let mut bytes = request(&mut rng, signal, Style { wild: true, unknown: false });
        for _ in 0..3 {
            let at = rng.below(bytes.len() + 1);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = 0x80 | rng.next() as u8;
            }
        }
        let Ok(summary) = validate(signal, &bytes, &LENIENT) else { continue };
        let before = bytes.clone();
        let replaced = repair_utf8(signal, &mut bytes);
        let changed = before.iter().zip(&bytes).filter(|(a, b)| a != b).count();
        assert_eq!(replaced as usize, changed);
        assert_eq!(summary.invalid_utf8 > 0, replaced > 0);
        let after = agreed(signal, &bytes).unwrap();
        assert_eq!(after, Summary { invalid_utf8: 0, ..summary });
        repaired += u32::from(replaced > 0);
    }
    assert!(repaired > 100, "{repaired}");
}
