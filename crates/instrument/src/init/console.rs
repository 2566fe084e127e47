//! The console exporter: one line of text per span, log record and metric on standard output, for a look without any agent.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::UNIX_EPOCH;

use opentelemetry::KeyValue;
use opentelemetry::trace::Status;
use opentelemetry_sdk::logs::LogBatch;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::trace::SpanData;

/// Writes to standard output.
#[derive(Debug)]
pub(crate) struct Console;

impl Console {
    pub(crate) fn spans(&self, spans: &[SpanData]) {
        let lines: String = spans.iter().map(span_line).collect();
        print(&lines);
    }

    pub(crate) fn logs(&self, logs: &LogBatch<'_>) {
        let mut lines = String::new();
        for (record, _) in logs.iter() {
            let severity = record.severity_text().unwrap_or("-");
            let target = record.target().map_or("-", |target| target.as_ref());
            _ = write!(lines, "log {severity} {target}");
            if let Some(body) = record.body() {
                _ = write!(lines, " {body:?}");
            }
            for (key, value) in record.attributes_iter() {
                _ = write!(lines, " {key}={value:?}");
            }
            lines.push('\n');
        }
        print(&lines);
    }

    pub(crate) fn metrics(&self, metrics: &ResourceMetrics) {
        let mut lines = String::new();
        for metric in metrics.scope_metrics().flat_map(|scope| scope.metrics()) {
            let head = format!("metric {} [{}]", metric.name(), metric.unit());
            match metric.data() {
                AggregatedMetrics::F64(data) => points(&mut lines, &head, data),
                AggregatedMetrics::U64(data) => points(&mut lines, &head, data),
                AggregatedMetrics::I64(data) => points(&mut lines, &head, data),
            }
        }
        print(&lines);
    }
}

fn span_line(span: &SpanData) -> String {
    let start = span.start_time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let duration = span.end_time.duration_since(span.start_time).unwrap_or_default();
    let status = match &span.status {
        Status::Unset => String::new(),
        Status::Ok => " ok".to_owned(),
        Status::Error { description } => format!(" error {description:?}"),
    };
    let mut line = format!(
        "span {:?} {duration:?}{status} trace_id={} span_id={} parent={} start={}.{:09}",
        span.name,
        span.span_context.trace_id(),
        span.span_context.span_id(),
        span.parent_span_id,
        start.as_secs(),
        start.subsec_nanos(),
    );
    append(&mut line, span.attributes.iter());
    line.push('\n');
    line
}

fn points<T: std::fmt::Debug + Copy>(lines: &mut String, head: &str, data: &MetricData<T>) {
    let mut line = |value: String, attributes: Vec<&KeyValue>| {
        _ = write!(lines, "{head} {value}");
        append(lines, attributes.into_iter());
        lines.push('\n');
    };
    match data {
        MetricData::Gauge(gauge) => {
            gauge.data_points().for_each(|point| {
                line(format!("{:?}", point.value()), point.attributes().collect())
            });
        }
        MetricData::Sum(sum) => {
            sum.data_points().for_each(|point| {
                line(format!("{:?}", point.value()), point.attributes().collect())
            });
        }
        MetricData::Histogram(histogram) => histogram.data_points().for_each(|point| {
            line(
                format!("count={} sum={:?}", point.count(), point.sum()),
                point.attributes().collect(),
            );
        }),
        MetricData::ExponentialHistogram(histogram) => histogram.data_points().for_each(|point| {
            line(
                format!("count={} sum={:?}", point.count(), point.sum()),
                point.attributes().collect(),
            );
        }),
    }
}

fn append<'a>(line: &mut String, attributes: impl Iterator<Item = &'a KeyValue>) {
    for attribute in attributes {
        _ = write!(line, " {}={:?}", attribute.key, attribute.value.as_str());
    }
}

fn print(lines: &str) {
    // A closed output is no reason to end.
    _ = std::io::stdout().lock().write_all(lines.as_bytes());
}
