//! The validator and prost accept the same requests and count the same items, but for groups and text that is not
//! UTF-8; such text is accepted by prost after repair.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message;
use sidelight_wire::{FaultKind, Limits, Signal, repair_utf8, validate};

fn prost_items(signal: Signal, bytes: &[u8]) -> Option<usize> {
    Some(match signal {
        Signal::Traces => {
            let request = ExportTraceServiceRequest::decode(bytes).ok()?;
            request.resource_spans.iter().flat_map(|r| &r.scope_spans).map(|s| s.spans.len()).sum()
        }
        Signal::Metrics => {
            let request = ExportMetricsServiceRequest::decode(bytes).ok()?;
            let scopes = request.resource_metrics.iter().flat_map(|r| &r.scope_metrics);
            let points = scopes.flat_map(|s| &s.metrics).map(|metric| match &metric.data {
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
            scopes.map(|s| s.log_records.len()).sum()
        }
        Signal::Profiles => {
            let request = ExportProfilesServiceRequest::decode(bytes).ok()?;
            let scopes = request.resource_profiles.iter().flat_map(|r| &r.scope_profiles);
            scopes.map(|s| s.profiles.len()).sum()
        }
    })
}

fuzz_target!(|input: &[u8]| {
    let Some((selector, bytes)) = input.split_first() else { return };
    let Some(signal) = Signal::from_code(1 + selector % 4) else { return };
    let mut limits =
        Limits { items_max: u32::MAX, refuse_invalid_utf8: true, refuse_without_ids: false };
    let expected = prost_items(signal, bytes);
    match validate(signal, bytes, &limits) {
        Ok(summary) => assert_eq!(Some(summary.items as usize), expected),
        Err(invalid) if invalid.kind == FaultKind::Group => return,
        Err(invalid) => assert_eq!(expected, None, "{invalid}"),
    }
    limits.refuse_invalid_utf8 = false;
    if let Ok(summary) = validate(signal, bytes, &limits) {
        let mut repaired = bytes.to_vec();
        assert_eq!(repair_utf8(signal, &mut repaired) > 0, summary.invalid_utf8 > 0);
        assert_eq!(prost_items(signal, &repaired), Some(summary.items as usize));
    }
});
