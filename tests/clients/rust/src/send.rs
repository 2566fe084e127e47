//! What the program sends: every attribute type, events, links, states, every kind of data point.

use std::error::Error;
use std::time::SystemTime;

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{
    Link, Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags,
    TraceId, TraceState, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Array, Context, InstrumentationScope, Key, KeyValue, Value};
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{BatchLogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::metrics::{
    Aggregation, Instrument, PeriodicReader, SdkMeterProvider, Stream,
};
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracerProvider};

use super::both::Both;

type Made = Result<u32, Box<dyn Error>>;
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.37.0";

fn attributes() -> Vec<KeyValue> {
    let array = |array: Array| Value::Array(array);
    vec![
        KeyValue::new("string", "zażółć gęślą jaźń"),
        KeyValue::new("empty", ""),
        KeyValue::new("long", "x".repeat(5000)),
        KeyValue::new("true", true),
        KeyValue::new("false", false),
        KeyValue::new("zero", 0),
        KeyValue::new("smallest", i64::MIN),
        KeyValue::new("largest", i64::MAX),
        KeyValue::new("double", 0.1),
        KeyValue::new("negative.zero", -0.0),
        KeyValue::new("huge", f64::MAX),
        KeyValue::new("strings", array(Array::String(vec!["a".into(), "".into(), "ü".into()]))),
        KeyValue::new("integers", array(Array::I64(vec![1, -2, 1 << 40]))),
        KeyValue::new("doubles", array(Array::F64(vec![0.5, -1e-300]))),
        KeyValue::new("booleans", array(Array::Bool(vec![true, false]))),
        KeyValue::new("none", array(Array::I64(vec![]))),
    ]
}

fn remote() -> Result<SpanContext, Box<dyn Error>> {
    let state = TraceState::from_key_value([("vendor", "value"), ("ot", "th:8")])?;
    let (trace, span) = (TraceId::from(0xabcd_ef00_0000_0001_u128), SpanId::from(0x1234_u64));
    Ok(SpanContext::new(trace, span, TraceFlags::SAMPLED, true, state))
}

/// Sends spans; returns how many.
pub(crate) fn traces(resource: Resource, exporter: Both<SpanExporter>) -> Made {
    let provider = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_span_processor(BatchSpanProcessor::builder(exporter).build())
        .build();
    let scope = InstrumentationScope::builder("client.traces")
        .with_version("1.2.3")
        .with_schema_url(SCHEMA)
        .with_attributes([KeyValue::new("scope.attribute", 7)])
        .build();
    let (tracer, other) = (provider.tracer_with_scope(scope), provider.tracer("client.other"));
    let kinds = [
        SpanKind::Internal,
        SpanKind::Server,
        SpanKind::Client,
        SpanKind::Producer,
        SpanKind::Consumer,
    ];
    let mut made = 0;
    for (number, kind) in kinds.into_iter().cycle().take(12).enumerate() {
        let number = i64::try_from(number)?;
        let parent = Context::new().with_remote_span_context(remote()?);
        let parent = if number % 3 == 0 { parent } else { Context::new() };
        let links = vec![Link::new(remote()?, vec![KeyValue::new("link.number", number)], 2)];
        let mut span = tracer
            .span_builder(format!("operation {number}"))
            .with_kind(kind)
            .with_attributes(attributes())
            .with_links(if number % 2 == 0 { Vec::new() } else { links })
            .start_with_context(&tracer, &parent);
        span.add_event("event", attributes());
        span.add_event("bare event", Vec::new());
        if number % 4 == 0 {
            span.set_status(Status::error("it broke: ☂"));
            span.record_error(&std::io::Error::other("no such thing"));
        } else if number % 4 == 1 {
            span.set_status(Status::Ok);
        }
        let context = Context::new().with_remote_span_context(span.span_context().clone());
        other.start_with_context("child", &context).end();
        span.end();
        made += 2;
    }
    provider.shutdown()?;
    Ok(made)
}

/// Sends data points of every kind that the SDK makes, in two collections.
pub(crate) fn metrics(
    resource: Resource,
    exporter: Both<MetricExporter>,
) -> Result<(), Box<dyn Error>> {
    let exponential = |instrument: &Instrument| {
        let aggregation = Aggregation::Base2ExponentialHistogram {
            max_size: 160,
            max_scale: 20,
            record_min_max: true,
        };
        let wanted = instrument.name().starts_with("exponential");
        wanted.then(|| Stream::builder().with_aggregation(aggregation).build().ok()).flatten()
    };
    let provider = SdkMeterProvider::builder()
        .with_resource(resource)
        .with_view(exponential)
        .with_reader(PeriodicReader::builder(exporter).build())
        .build();
    let scope = InstrumentationScope::builder("client.metrics").with_schema_url(SCHEMA).build();
    let meter = provider.meter_with_scope(scope);
    let counter =
        meter.u64_counter("requests").with_unit("{request}").with_description("Requests").build();
    let doubles = meter.f64_counter("seconds").with_unit("s").build();
    let updown = meter.i64_up_down_counter("in.flight").build();
    let gauge = meter.f64_gauge("temperature").with_unit("Cel").build();
    let histogram = meter
        .f64_histogram("duration")
        .with_unit("s")
        .with_boundaries(vec![0.0, 0.1, 1.0, 10.0])
        .build();
    let exponential = meter.u64_histogram("exponential.size").with_unit("By").build();
    let _observed = meter
        .i64_observable_gauge("observed")
        .with_callback(|observer| observer.observe(-7, &[KeyValue::new("kind", "int")]))
        .build();
    for _ in 0..2 {
        for (number, value) in [0.0, 0.07, 0.14, 0.21, 400.0].into_iter().enumerate() {
            let route = [KeyValue::new("route", format!("/{number}"))];
            counter.add(u64::try_from(number)? << 40, &route);
            doubles.add(value, &attributes());
            updown.add(-i64::try_from(number)?, &[]);
            gauge.record(-value, &[KeyValue::new("room", "ü")]);
            histogram.record(value, &route);
            exponential.record(3_u64.pow(u32::try_from(number)?), &[]);
            exponential.record(0, &[]);
        }
        provider.force_flush()?;
    }
    provider.shutdown()?;
    Ok(())
}

/// Sends log records with every type of body; returns how many.
pub(crate) fn logs(resource: Resource, exporter: Both<LogExporter>) -> Made {
    let provider = SdkLoggerProvider::builder()
        .with_resource(resource)
        .with_log_processor(BatchLogProcessor::builder(exporter).build())
        .build();
    let logger = provider.logger("client.logs");
    let list =
        || AnyValue::from_iter([AnyValue::from("a"), AnyValue::from(1), AnyValue::from(2.5)]);
    let map = || AnyValue::from_iter([(Key::new("nested"), list())]);
    let bodies = [
        AnyValue::from("text"),
        AnyValue::from(""),
        AnyValue::from(42),
        AnyValue::from(-1.5),
        AnyValue::from(true),
        list(),
        map(),
        AnyValue::from(&[0_u8, 255, 254][..]),
    ];
    let severities = [Severity::Trace, Severity::Info3, Severity::Warn, Severity::Fatal4];
    let mut made = 0;
    for (body, severity) in bodies.into_iter().zip(severities.into_iter().cycle()) {
        let mut record = logger.create_log_record();
        record.set_timestamp(SystemTime::UNIX_EPOCH + std::time::Duration::from_nanos(1 << 60));
        record.set_severity_number(severity);
        record.set_severity_text(severity.name());
        record.set_body(body);
        record.set_event_name("client.event");
        record.set_trace_context(1_u128.into(), 2_u64.into(), Some(TraceFlags::SAMPLED));
        record.add_attribute("map", map());
        record.add_attribute("list", list());
        record.add_attribute("bytes", AnyValue::from(&[1_u8, 128][..]));
        record.add_attribute("largest", i64::MAX);
        logger.emit(record);
        let mut bare = logger.create_log_record();
        bare.set_body("without a span".into());
        logger.emit(bare);
        made += 2;
    }
    provider.shutdown()?;
    Ok(made)
}
