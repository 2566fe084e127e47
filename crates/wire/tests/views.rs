//! What the views show is what prost decodes, however the request was written.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

mod support;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1 as common;
use opentelemetry_proto::tonic::logs::v1 as plogs;
use opentelemetry_proto::tonic::metrics::v1 as pmetrics;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1 as ptraces;
use prost::Message as _;
use sidelight_wire::view::metrics::{Data, Exemplar, Number, Points};
use sidelight_wire::view::{AnyValue, Attributes, Scope, Text, Value, logs, metrics, traces};
use sidelight_wire::{Limits, Signal, validate};
use support::{Rng, Style, mutate, request};

const FRAMING: Limits =
    Limits { items_max: u32::MAX, refuse_invalid_utf8: true, refuse_without_ids: false };

fn text(text: Text<'_>) -> String {
    text.as_str().unwrap().to_owned()
}

fn attributes(attributes: Attributes<'_>) -> Vec<common::KeyValue> {
    let convert = |attribute: sidelight_wire::view::Attribute<'_>| common::KeyValue {
        key: text(attribute.key),
        value: any(attribute.value),
        ..Default::default()
    };
    attributes.map(convert).collect()
}

/// An absent value and an empty one look the same through a view, and to every reader of OTLP.
fn any(value: AnyValue<'_>) -> Option<common::AnyValue> {
    use common::any_value::Value as V;
    let value = match value.get() {
        Value::Empty => return None,
        Value::String(value) => V::StringValue(text(value)),
        Value::Bool(value) => V::BoolValue(value),
        Value::Int(value) => V::IntValue(value),
        Value::Double(value) => V::DoubleValue(value),
        Value::Array(value) => {
            let values = value.values().map(|value| any(value).unwrap_or_default()).collect();
            V::ArrayValue(common::ArrayValue { values })
        }
        Value::KeyValueList(value) => {
            V::KvlistValue(common::KeyValueList { values: attributes(value.entries()) })
        }
        Value::Bytes(value) => V::BytesValue(value.to_vec()),
    };
    Some(common::AnyValue { value: Some(value) })
}

/// Clears what the views do not show.
fn seen_attributes(attributes: &mut [common::KeyValue]) {
    for attribute in attributes {
        attribute.key_strindex = 0;
        seen_optional(&mut attribute.value);
    }
}

fn seen_optional(value: &mut Option<common::AnyValue>) {
    value.as_mut().map(seen_value);
    if value.as_ref().is_some_and(|value| value.value.is_none()) {
        *value = None;
    }
}

fn seen_value(value: &mut common::AnyValue) {
    use common::any_value::Value as V;
    match &mut value.value {
        Some(V::ArrayValue(array)) => array.values.iter_mut().for_each(seen_value),
        Some(V::KvlistValue(list)) => seen_attributes(&mut list.values),
        Some(V::StringValueStrindex(_)) => value.value = None,
        _ => {}
    }
}

fn seen_resource(resource: &mut Option<Resource>) {
    let resource = resource.get_or_insert_default();
    resource.dropped_attributes_count = 0;
    resource.entity_refs.clear();
    seen_attributes(&mut resource.attributes);
}

fn seen_scope(scope: &mut Option<common::InstrumentationScope>) {
    let scope = scope.get_or_insert_default();
    scope.dropped_attributes_count = 0;
    seen_attributes(&mut scope.attributes);
}

fn resource(resource: sidelight_wire::view::Resource<'_>) -> Option<Resource> {
    Some(Resource { attributes: attributes(resource.attributes()), ..Default::default() })
}

fn scope(scope: Scope<'_>) -> Option<common::InstrumentationScope> {
    Some(common::InstrumentationScope {
        name: text(scope.name()),
        version: text(scope.version()),
        attributes: attributes(scope.attributes()),
        ..Default::default()
    })
}

fn span(span: traces::Span<'_>) -> ptraces::Span {
    let event = |event: traces::Event<'_>| ptraces::span::Event {
        time_unix_nano: event.time_unix_nano,
        name: text(event.name),
        attributes: attributes(event.attributes()),
        dropped_attributes_count: event.dropped_attributes_count,
    };
    let link = |link: traces::Link<'_>| ptraces::span::Link {
        trace_id: link.trace_id.to_vec(),
        span_id: link.span_id.to_vec(),
        trace_state: text(link.trace_state),
        attributes: attributes(link.attributes()),
        dropped_attributes_count: link.dropped_attributes_count,
        flags: link.flags,
    };
    ptraces::Span {
        trace_id: span.trace_id.to_vec(),
        span_id: span.span_id.to_vec(),
        trace_state: text(span.trace_state),
        parent_span_id: span.parent_span_id.to_vec(),
        flags: span.flags,
        name: text(span.name),
        kind: span.kind,
        start_time_unix_nano: span.start_time_unix_nano,
        end_time_unix_nano: span.end_time_unix_nano,
        attributes: attributes(span.attributes()),
        dropped_attributes_count: span.dropped_attributes_count,
        events: span.events().map(event).collect(),
        dropped_events_count: span.dropped_events_count,
        links: span.links().map(link).collect(),
        dropped_links_count: span.dropped_links_count,
        status: Some(ptraces::Status {
            message: text(span.status.message),
            code: span.status.code,
        }),
    }
}

fn traces_through_views(bytes: &[u8]) -> ExportTraceServiceRequest {
    let scope_spans = |view: traces::ScopeSpans<'_>| ptraces::ScopeSpans {
        scope: scope(view.scope()),
        spans: view.spans().map(span).collect(),
        schema_url: text(view.schema_url()),
    };
    let resource_spans = |view: traces::ResourceSpans<'_>| ptraces::ResourceSpans {
        resource: resource(view.resource()),
        scope_spans: view.scope_spans().map(scope_spans).collect(),
        schema_url: text(view.schema_url()),
    };
    let request = traces::Request::new(bytes);
    ExportTraceServiceRequest { resource_spans: request.resources().map(resource_spans).collect() }
}

fn traces_through_prost(bytes: &[u8]) -> ExportTraceServiceRequest {
    let mut request = ExportTraceServiceRequest::decode(bytes).unwrap();
    for r in &mut request.resource_spans {
        seen_resource(&mut r.resource);
        for s in &mut r.scope_spans {
            seen_scope(&mut s.scope);
            for span in &mut s.spans {
                seen_attributes(&mut span.attributes);
                span.events.iter_mut().for_each(|event| seen_attributes(&mut event.attributes));
                span.links.iter_mut().for_each(|link| seen_attributes(&mut link.attributes));
                span.status.get_or_insert_default();
            }
        }
    }
    request
}

fn logs_through_views(bytes: &[u8]) -> ExportLogsServiceRequest {
    let log_record = |view: logs::LogRecord<'_>| plogs::LogRecord {
        time_unix_nano: view.time_unix_nano,
        observed_time_unix_nano: view.observed_time_unix_nano,
        severity_number: view.severity_number,
        severity_text: text(view.severity_text),
        body: any(view.body),
        attributes: attributes(view.attributes()),
        dropped_attributes_count: view.dropped_attributes_count,
        flags: view.flags,
        trace_id: view.trace_id.to_vec(),
        span_id: view.span_id.to_vec(),
        event_name: text(view.event_name),
    };
    let scope_logs = |view: logs::ScopeLogs<'_>| plogs::ScopeLogs {
        scope: scope(view.scope()),
        log_records: view.log_records().map(log_record).collect(),
        schema_url: text(view.schema_url()),
    };
    let resource_logs = |view: logs::ResourceLogs<'_>| plogs::ResourceLogs {
        resource: resource(view.resource()),
        scope_logs: view.scope_logs().map(scope_logs).collect(),
        schema_url: text(view.schema_url()),
    };
    let request = logs::Request::new(bytes);
    ExportLogsServiceRequest { resource_logs: request.resources().map(resource_logs).collect() }
}

fn logs_through_prost(bytes: &[u8]) -> ExportLogsServiceRequest {
    let mut request = ExportLogsServiceRequest::decode(bytes).unwrap();
    for r in &mut request.resource_logs {
        seen_resource(&mut r.resource);
        for s in &mut r.scope_logs {
            seen_scope(&mut s.scope);
            for record in &mut s.log_records {
                seen_attributes(&mut record.attributes);
                seen_optional(&mut record.body);
            }
        }
    }
    request
}

fn exemplar(view: Exemplar<'_>) -> pmetrics::Exemplar {
    use pmetrics::exemplar::Value as V;
    let value = view.value.map(|value| match value {
        Number::Int(value) => V::AsInt(value),
        Number::Double(value) => V::AsDouble(value),
    });
    pmetrics::Exemplar {
        filtered_attributes: attributes(view.filtered_attributes()),
        time_unix_nano: view.time_unix_nano,
        span_id: view.span_id.to_vec(),
        trace_id: view.trace_id.to_vec(),
        value,
    }
}

fn numbers(points: Points<'_>) -> Vec<pmetrics::NumberDataPoint> {
    use pmetrics::number_data_point::Value as V;
    let convert = |point: metrics::NumberDataPoint<'_>| pmetrics::NumberDataPoint {
        attributes: attributes(point.attributes()),
        start_time_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        exemplars: point.exemplars().map(exemplar).collect(),
        flags: point.flags,
        value: point.value.map(|value| match value {
            Number::Int(value) => V::AsInt(value),
            Number::Double(value) => V::AsDouble(value),
        }),
    };
    points.numbers().map(convert).collect()
}

fn histograms(points: Points<'_>) -> Vec<pmetrics::HistogramDataPoint> {
    let convert = |point: metrics::HistogramDataPoint<'_>| pmetrics::HistogramDataPoint {
        attributes: attributes(point.attributes()),
        start_time_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        count: point.count,
        sum: point.sum,
        bucket_counts: point.bucket_counts().collect(),
        explicit_bounds: point.explicit_bounds().collect(),
        exemplars: point.exemplars().map(exemplar).collect(),
        flags: point.flags,
        min: point.min,
        max: point.max,
    };
    points.histograms().map(convert).collect()
}

fn exponential(points: Points<'_>) -> Vec<pmetrics::ExponentialHistogramDataPoint> {
    use pmetrics::exponential_histogram_data_point::Buckets;
    let buckets = |view: metrics::Buckets<'_>| {
        Some(Buckets { offset: view.offset(), bucket_counts: view.bucket_counts().collect() })
    };
    let convert = |point: metrics::ExponentialHistogramDataPoint<'_>| {
        pmetrics::ExponentialHistogramDataPoint {
            attributes: attributes(point.attributes()),
            start_time_unix_nano: point.start_time_unix_nano,
            time_unix_nano: point.time_unix_nano,
            count: point.count,
            sum: point.sum,
            scale: point.scale,
            zero_count: point.zero_count,
            positive: buckets(point.positive()),
            negative: buckets(point.negative()),
            flags: point.flags,
            exemplars: point.exemplars().map(exemplar).collect(),
            min: point.min,
            max: point.max,
            zero_threshold: point.zero_threshold,
        }
    };
    points.exponential_histograms().map(convert).collect()
}

fn summaries(points: Points<'_>) -> Vec<pmetrics::SummaryDataPoint> {
    use pmetrics::summary_data_point::ValueAtQuantile;
    let convert = |point: metrics::SummaryDataPoint<'_>| pmetrics::SummaryDataPoint {
        attributes: attributes(point.attributes()),
        start_time_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        count: point.count,
        sum: point.sum,
        quantile_values: point
            .quantile_values()
            .map(|at| ValueAtQuantile { quantile: at.quantile, value: at.value })
            .collect(),
        flags: point.flags,
    };
    points.summaries().map(convert).collect()
}

fn metric(view: metrics::Metric<'_>) -> pmetrics::Metric {
    use pmetrics::metric::Data as P;
    let data = match view.data {
        Data::Empty => None,
        Data::Gauge(points) => Some(P::Gauge(pmetrics::Gauge { data_points: numbers(points) })),
        Data::Sum(points) => Some(P::Sum(pmetrics::Sum {
            data_points: numbers(points),
            aggregation_temporality: points.temporality(),
            is_monotonic: points.is_monotonic(),
        })),
        Data::Histogram(points) => Some(P::Histogram(pmetrics::Histogram {
            data_points: histograms(points),
            aggregation_temporality: points.temporality(),
        })),
        Data::ExponentialHistogram(points) => {
            Some(P::ExponentialHistogram(pmetrics::ExponentialHistogram {
                data_points: exponential(points),
                aggregation_temporality: points.temporality(),
            }))
        }
        Data::Summary(points) => {
            Some(P::Summary(pmetrics::Summary { data_points: summaries(points) }))
        }
    };
    pmetrics::Metric {
        name: text(view.name),
        description: text(view.description),
        unit: text(view.unit),
        metadata: attributes(view.metadata()),
        data,
    }
}

fn metrics_through_views(bytes: &[u8]) -> ExportMetricsServiceRequest {
    let scope_metrics = |view: metrics::ScopeMetrics<'_>| pmetrics::ScopeMetrics {
        scope: scope(view.scope()),
        metrics: view.metrics().map(metric).collect(),
        schema_url: text(view.schema_url()),
    };
    let resource_metrics = |view: metrics::ResourceMetrics<'_>| pmetrics::ResourceMetrics {
        resource: resource(view.resource()),
        scope_metrics: view.scope_metrics().map(scope_metrics).collect(),
        schema_url: text(view.schema_url()),
    };
    let request = metrics::Request::new(bytes);
    let resource_metrics = request.resources().map(resource_metrics).collect();
    ExportMetricsServiceRequest { resource_metrics }
}

fn seen_exemplars(exemplars: &mut [pmetrics::Exemplar]) {
    exemplars.iter_mut().for_each(|exemplar| seen_attributes(&mut exemplar.filtered_attributes));
}

fn seen_numbers(points: &mut [pmetrics::NumberDataPoint]) {
    for point in points {
        seen_attributes(&mut point.attributes);
        seen_exemplars(&mut point.exemplars);
    }
}

fn seen_data(data: &mut pmetrics::metric::Data) {
    use pmetrics::metric::Data as P;
    match data {
        P::Gauge(data) => seen_numbers(&mut data.data_points),
        P::Sum(data) => seen_numbers(&mut data.data_points),
        P::Histogram(data) => {
            for point in &mut data.data_points {
                seen_attributes(&mut point.attributes);
                seen_exemplars(&mut point.exemplars);
            }
        }
        P::ExponentialHistogram(data) => {
            for point in &mut data.data_points {
                seen_attributes(&mut point.attributes);
                seen_exemplars(&mut point.exemplars);
                point.positive.get_or_insert_default();
                point.negative.get_or_insert_default();
            }
        }
        P::Summary(data) => {
            data.data_points.iter_mut().for_each(|point| seen_attributes(&mut point.attributes));
        }
    }
}

fn metrics_through_prost(bytes: &[u8]) -> ExportMetricsServiceRequest {
    let mut request = ExportMetricsServiceRequest::decode(bytes).unwrap();
    for r in &mut request.resource_metrics {
        seen_resource(&mut r.resource);
        for s in &mut r.scope_metrics {
            seen_scope(&mut s.scope);
            for metric in &mut s.metrics {
                seen_attributes(&mut metric.metadata);
                metric.data.as_mut().map(seen_data);
            }
        }
    }
    request
}

/// Compares as text, in which NaN equals NaN.
fn compare(signal: Signal, bytes: &[u8]) {
    let (through_views, through_prost) = match signal {
        Signal::Traces => (
            format!("{:#?}", traces_through_views(bytes)),
            format!("{:#?}", traces_through_prost(bytes)),
        ),
        Signal::Metrics => (
            format!("{:#?}", metrics_through_views(bytes)),
            format!("{:#?}", metrics_through_prost(bytes)),
        ),
        _ => (
            format!("{:#?}", logs_through_views(bytes)),
            format!("{:#?}", logs_through_prost(bytes)),
        ),
    };
    if through_views != through_prost {
        let mut lines = through_views.lines().zip(through_prost.lines());
        let line = lines.position(|(a, b)| a != b);
        let around = |text: &str| {
            let lines: Vec<_> = text.lines().skip(line.unwrap_or(0).saturating_sub(8)).collect();
            lines.into_iter().take(16).collect::<Vec<_>>().join("\n")
        };
        panic!("{signal}\nviews:\n{}\nprost:\n{}", around(&through_views), around(&through_prost));
    }
}

const VIEWED: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

#[test]
fn the_views_show_what_prost_decodes_in_any_order_and_splitting() {
    let mut rng = Rng(31);
    for round in 0..300 {
        let signal = VIEWED[round % 3];
        let style = Style { wild: round % 4 != 0, unknown: round % 2 == 0 };
        compare(signal, &request(&mut rng, signal, style));
    }
}

#[test]
fn the_views_show_what_prost_decodes_of_realistic_traffic_either_way_round() {
    let bytes = support::realistic::traces(&mut Rng(32), 50).encode_to_vec();
    compare(Signal::Traces, &bytes);
    let root = sidelight_wire::tables::request(Signal::Traces);
    compare(Signal::Traces, &support::descending(root, &bytes));
}

#[test]
fn mutants_that_pass_validation_look_the_same_and_others_never_panic() {
    let mut rng = Rng(33);
    let mut compared = 0;
    for round in 0..2_000 {
        let signal = VIEWED[round % 3];
        let mut bytes = request(&mut rng, signal, Style { wild: true, unknown: false });
        for _ in 0..1 + rng.below(3) {
            mutate(&mut rng, &mut bytes);
        }
        if validate(signal, &bytes, &FRAMING).is_ok() {
            compare(signal, &bytes);
            compared += 1;
        } else {
            support::walk_views(&bytes);
        }
    }
    assert!(compared > 100, "{compared}");
}
