//! The OTLP schema as tables, generated from `proto/` (opentelemetry-proto v1.10.0): do not edit.
//!
//! `UPDATE_GENERATED=1 cargo test -p sidelight-wire --test generated` writes this file.

use crate::Signal;
use crate::schema::{Field, Kind, Mark, Message};

/// The message that a request of `signal` is.
#[must_use]
pub const fn request(signal: Signal) -> &'static Message {
    match signal {
        Signal::Traces => &COLLECTOR_TRACE_EXPORT_TRACE_SERVICE_REQUEST,
        Signal::Metrics => &COLLECTOR_METRICS_EXPORT_METRICS_SERVICE_REQUEST,
        Signal::Logs => &COLLECTOR_LOGS_EXPORT_LOGS_SERVICE_REQUEST,
        Signal::Profiles => &COLLECTOR_PROFILES_EXPORT_PROFILES_SERVICE_REQUEST,
    }
}

/// Every message.
pub static MESSAGES: [&Message; 48] = [
    &COLLECTOR_TRACE_EXPORT_TRACE_SERVICE_REQUEST,
    &TRACE_RESOURCE_SPANS,
    &RESOURCE_RESOURCE,
    &COMMON_KEY_VALUE,
    &COMMON_ANY_VALUE,
    &COMMON_ARRAY_VALUE,
    &COMMON_KEY_VALUE_LIST,
    &COMMON_ENTITY_REF,
    &TRACE_SCOPE_SPANS,
    &COMMON_INSTRUMENTATION_SCOPE,
    &TRACE_SPAN,
    &TRACE_SPAN_EVENT,
    &TRACE_SPAN_LINK,
    &TRACE_STATUS,
    &COLLECTOR_METRICS_EXPORT_METRICS_SERVICE_REQUEST,
    &METRICS_RESOURCE_METRICS,
    &METRICS_SCOPE_METRICS,
    &METRICS_METRIC,
    &METRICS_GAUGE,
    &METRICS_NUMBER_DATA_POINT,
    &METRICS_EXEMPLAR,
    &METRICS_SUM,
    &METRICS_HISTOGRAM,
    &METRICS_HISTOGRAM_DATA_POINT,
    &METRICS_EXPONENTIAL_HISTOGRAM,
    &METRICS_EXPONENTIAL_HISTOGRAM_DATA_POINT,
    &METRICS_EXPONENTIAL_HISTOGRAM_DATA_POINT_BUCKETS,
    &METRICS_SUMMARY,
    &METRICS_SUMMARY_DATA_POINT,
    &METRICS_SUMMARY_DATA_POINT_VALUE_AT_QUANTILE,
    &COLLECTOR_LOGS_EXPORT_LOGS_SERVICE_REQUEST,
    &LOGS_RESOURCE_LOGS,
    &LOGS_SCOPE_LOGS,
    &LOGS_LOG_RECORD,
    &COLLECTOR_PROFILES_EXPORT_PROFILES_SERVICE_REQUEST,
    &PROFILES_RESOURCE_PROFILES,
    &PROFILES_SCOPE_PROFILES,
    &PROFILES_PROFILE,
    &PROFILES_VALUE_TYPE,
    &PROFILES_SAMPLE,
    &PROFILES_PROFILES_DICTIONARY,
    &PROFILES_MAPPING,
    &PROFILES_LOCATION,
    &PROFILES_LINE,
    &PROFILES_FUNCTION,
    &PROFILES_LINK,
    &PROFILES_KEY_VALUE_AND_UNIT,
    &PROFILES_STACK,
];

/// `opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest`.
pub static COLLECTOR_TRACE_EXPORT_TRACE_SERVICE_REQUEST: Message = Message {
    index: 0,
    name: "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest",
    fields: &[Field::new(
        1,
        "resource_spans",
        "resourceSpans",
        Kind::Message(&TRACE_RESOURCE_SPANS),
    )
    .repeated()],
};

/// `opentelemetry.proto.trace.v1.ResourceSpans`.
pub static TRACE_RESOURCE_SPANS: Message = Message {
    index: 1,
    name: "opentelemetry.proto.trace.v1.ResourceSpans",
    fields: &[
        Field::new(1, "resource", "resource", Kind::Message(&RESOURCE_RESOURCE)),
        Field::new(2, "scope_spans", "scopeSpans", Kind::Message(&TRACE_SCOPE_SPANS)).repeated(),
        Field::new(3, "schema_url", "schemaUrl", Kind::String),
    ],
};

/// `opentelemetry.proto.resource.v1.Resource`.
pub static RESOURCE_RESOURCE: Message = Message {
    index: 2,
    name: "opentelemetry.proto.resource.v1.Resource",
    fields: &[
        Field::new(1, "attributes", "attributes", Kind::Message(&COMMON_KEY_VALUE)).repeated(),
        Field::new(2, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
        Field::new(3, "entity_refs", "entityRefs", Kind::Message(&COMMON_ENTITY_REF)).repeated(),
    ],
};

/// `opentelemetry.proto.common.v1.KeyValue`.
pub static COMMON_KEY_VALUE: Message = Message {
    index: 3,
    name: "opentelemetry.proto.common.v1.KeyValue",
    fields: &[
        Field::new(1, "key", "key", Kind::String),
        Field::new(2, "value", "value", Kind::Message(&COMMON_ANY_VALUE)),
        Field::new(3, "key_strindex", "keyStrindex", Kind::Int32),
    ],
};

/// `opentelemetry.proto.common.v1.AnyValue`.
pub static COMMON_ANY_VALUE: Message = Message {
    index: 4,
    name: "opentelemetry.proto.common.v1.AnyValue",
    fields: &[
        Field::new(1, "string_value", "stringValue", Kind::String).oneof(0),
        Field::new(2, "bool_value", "boolValue", Kind::Bool).oneof(0),
        Field::new(3, "int_value", "intValue", Kind::Int64).oneof(0),
        Field::new(4, "double_value", "doubleValue", Kind::Double).oneof(0),
        Field::new(5, "array_value", "arrayValue", Kind::Message(&COMMON_ARRAY_VALUE)).oneof(0),
        Field::new(6, "kvlist_value", "kvlistValue", Kind::Message(&COMMON_KEY_VALUE_LIST))
            .oneof(0),
        Field::new(7, "bytes_value", "bytesValue", Kind::Bytes).oneof(0),
        Field::new(8, "string_value_strindex", "stringValueStrindex", Kind::Int32).oneof(0),
    ],
};

/// `opentelemetry.proto.common.v1.ArrayValue`.
pub static COMMON_ARRAY_VALUE: Message = Message {
    index: 5,
    name: "opentelemetry.proto.common.v1.ArrayValue",
    fields: &[Field::new(1, "values", "values", Kind::Message(&COMMON_ANY_VALUE)).repeated()],
};

/// `opentelemetry.proto.common.v1.KeyValueList`.
pub static COMMON_KEY_VALUE_LIST: Message = Message {
    index: 6,
    name: "opentelemetry.proto.common.v1.KeyValueList",
    fields: &[Field::new(1, "values", "values", Kind::Message(&COMMON_KEY_VALUE)).repeated()],
};

/// `opentelemetry.proto.common.v1.EntityRef`.
pub static COMMON_ENTITY_REF: Message = Message {
    index: 7,
    name: "opentelemetry.proto.common.v1.EntityRef",
    fields: &[
        Field::new(1, "schema_url", "schemaUrl", Kind::String),
        Field::new(2, "type", "type", Kind::String),
        Field::new(3, "id_keys", "idKeys", Kind::String).repeated(),
        Field::new(4, "description_keys", "descriptionKeys", Kind::String).repeated(),
    ],
};

/// `opentelemetry.proto.trace.v1.ScopeSpans`.
pub static TRACE_SCOPE_SPANS: Message = Message {
    index: 8,
    name: "opentelemetry.proto.trace.v1.ScopeSpans",
    fields: &[
        Field::new(1, "scope", "scope", Kind::Message(&COMMON_INSTRUMENTATION_SCOPE)),
        Field::new(2, "spans", "spans", Kind::Message(&TRACE_SPAN)).repeated().mark(Mark::Item),
        Field::new(3, "schema_url", "schemaUrl", Kind::String),
    ],
};

/// `opentelemetry.proto.common.v1.InstrumentationScope`.
pub static COMMON_INSTRUMENTATION_SCOPE: Message = Message {
    index: 9,
    name: "opentelemetry.proto.common.v1.InstrumentationScope",
    fields: &[
        Field::new(1, "name", "name", Kind::String),
        Field::new(2, "version", "version", Kind::String),
        Field::new(3, "attributes", "attributes", Kind::Message(&COMMON_KEY_VALUE)).repeated(),
        Field::new(4, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
    ],
};

/// `opentelemetry.proto.trace.v1.Span`.
pub static TRACE_SPAN: Message = Message {
    index: 10,
    name: "opentelemetry.proto.trace.v1.Span",
    fields: &[
        Field::new(1, "trace_id", "traceId", Kind::Bytes).mark(Mark::Id16),
        Field::new(2, "span_id", "spanId", Kind::Bytes).mark(Mark::Id8),
        Field::new(3, "trace_state", "traceState", Kind::String),
        Field::new(4, "parent_span_id", "parentSpanId", Kind::Bytes).mark(Mark::Id8),
        Field::new(5, "name", "name", Kind::String),
        Field::new(6, "kind", "kind", Kind::Enum),
        Field::new(7, "start_time_unix_nano", "startTimeUnixNano", Kind::Fixed64),
        Field::new(8, "end_time_unix_nano", "endTimeUnixNano", Kind::Fixed64),
        Field::new(9, "attributes", "attributes", Kind::Message(&COMMON_KEY_VALUE)).repeated(),
        Field::new(10, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
        Field::new(11, "events", "events", Kind::Message(&TRACE_SPAN_EVENT)).repeated(),
        Field::new(12, "dropped_events_count", "droppedEventsCount", Kind::Uint32),
        Field::new(13, "links", "links", Kind::Message(&TRACE_SPAN_LINK)).repeated(),
        Field::new(14, "dropped_links_count", "droppedLinksCount", Kind::Uint32),
        Field::new(15, "status", "status", Kind::Message(&TRACE_STATUS)),
        Field::new(16, "flags", "flags", Kind::Fixed32),
    ],
};

/// `opentelemetry.proto.trace.v1.Span.Event`.
pub static TRACE_SPAN_EVENT: Message = Message {
    index: 11,
    name: "opentelemetry.proto.trace.v1.Span.Event",
    fields: &[
        Field::new(1, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
        Field::new(2, "name", "name", Kind::String),
        Field::new(3, "attributes", "attributes", Kind::Message(&COMMON_KEY_VALUE)).repeated(),
        Field::new(4, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
    ],
};

/// `opentelemetry.proto.trace.v1.Span.Link`.
pub static TRACE_SPAN_LINK: Message = Message {
    index: 12,
    name: "opentelemetry.proto.trace.v1.Span.Link",
    fields: &[
        Field::new(1, "trace_id", "traceId", Kind::Bytes).mark(Mark::Id16),
        Field::new(2, "span_id", "spanId", Kind::Bytes).mark(Mark::Id8),
        Field::new(3, "trace_state", "traceState", Kind::String),
        Field::new(4, "attributes", "attributes", Kind::Message(&COMMON_KEY_VALUE)).repeated(),
        Field::new(5, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
        Field::new(6, "flags", "flags", Kind::Fixed32),
    ],
};

/// `opentelemetry.proto.trace.v1.Status`.
pub static TRACE_STATUS: Message = Message {
    index: 13,
    name: "opentelemetry.proto.trace.v1.Status",
    fields: &[
        Field::new(2, "message", "message", Kind::String),
        Field::new(3, "code", "code", Kind::Enum),
    ],
};

/// `opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest`.
pub static COLLECTOR_METRICS_EXPORT_METRICS_SERVICE_REQUEST: Message = Message {
    index: 14,
    name: "opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest",
    fields: &[Field::new(
        1,
        "resource_metrics",
        "resourceMetrics",
        Kind::Message(&METRICS_RESOURCE_METRICS),
    )
    .repeated()],
};

/// `opentelemetry.proto.metrics.v1.ResourceMetrics`.
pub static METRICS_RESOURCE_METRICS: Message = Message {
    index: 15,
    name: "opentelemetry.proto.metrics.v1.ResourceMetrics",
    fields: &[
        Field::new(1, "resource", "resource", Kind::Message(&RESOURCE_RESOURCE)),
        Field::new(2, "scope_metrics", "scopeMetrics", Kind::Message(&METRICS_SCOPE_METRICS))
            .repeated(),
        Field::new(3, "schema_url", "schemaUrl", Kind::String),
    ],
};

/// `opentelemetry.proto.metrics.v1.ScopeMetrics`.
pub static METRICS_SCOPE_METRICS: Message = Message {
    index: 16,
    name: "opentelemetry.proto.metrics.v1.ScopeMetrics",
    fields: &[
        Field::new(1, "scope", "scope", Kind::Message(&COMMON_INSTRUMENTATION_SCOPE)),
        Field::new(2, "metrics", "metrics", Kind::Message(&METRICS_METRIC)).repeated(),
        Field::new(3, "schema_url", "schemaUrl", Kind::String),
    ],
};

/// `opentelemetry.proto.metrics.v1.Metric`.
pub static METRICS_METRIC: Message = Message {
    index: 17,
    name: "opentelemetry.proto.metrics.v1.Metric",
    fields: &[
        Field::new(1, "name", "name", Kind::String),
        Field::new(2, "description", "description", Kind::String),
        Field::new(3, "unit", "unit", Kind::String),
        Field::new(5, "gauge", "gauge", Kind::Message(&METRICS_GAUGE)).oneof(0),
        Field::new(7, "sum", "sum", Kind::Message(&METRICS_SUM)).oneof(0),
        Field::new(9, "histogram", "histogram", Kind::Message(&METRICS_HISTOGRAM)).oneof(0),
        Field::new(
            10,
            "exponential_histogram",
            "exponentialHistogram",
            Kind::Message(&METRICS_EXPONENTIAL_HISTOGRAM),
        )
        .oneof(0),
        Field::new(11, "summary", "summary", Kind::Message(&METRICS_SUMMARY)).oneof(0),
        Field::new(12, "metadata", "metadata", Kind::Message(&COMMON_KEY_VALUE)).repeated(),
    ],
};

/// `opentelemetry.proto.metrics.v1.Gauge`.
pub static METRICS_GAUGE: Message = Message {
    index: 18,
    name: "opentelemetry.proto.metrics.v1.Gauge",
    fields: &[Field::new(
        1,
        "data_points",
        "dataPoints",
        Kind::Message(&METRICS_NUMBER_DATA_POINT),
    )
    .repeated()
    .mark(Mark::Item)],
};

/// `opentelemetry.proto.metrics.v1.NumberDataPoint`.
pub static METRICS_NUMBER_DATA_POINT: Message = Message {
    index: 19,
    name: "opentelemetry.proto.metrics.v1.NumberDataPoint",
    fields: &[
        Field::new(2, "start_time_unix_nano", "startTimeUnixNano", Kind::Fixed64),
        Field::new(3, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
        Field::new(4, "as_double", "asDouble", Kind::Double).oneof(0),
        Field::new(5, "exemplars", "exemplars", Kind::Message(&METRICS_EXEMPLAR)).repeated(),
        Field::new(6, "as_int", "asInt", Kind::Sfixed64).oneof(0),
        Field::new(7, "attributes", "attributes", Kind::Message(&COMMON_KEY_VALUE)).repeated(),
        Field::new(8, "flags", "flags", Kind::Uint32),
    ],
};

/// `opentelemetry.proto.metrics.v1.Exemplar`.
pub static METRICS_EXEMPLAR: Message = Message {
    index: 20,
    name: "opentelemetry.proto.metrics.v1.Exemplar",
    fields: &[
        Field::new(2, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
        Field::new(3, "as_double", "asDouble", Kind::Double).oneof(0),
        Field::new(4, "span_id", "spanId", Kind::Bytes).mark(Mark::Id8),
        Field::new(5, "trace_id", "traceId", Kind::Bytes).mark(Mark::Id16),
        Field::new(6, "as_int", "asInt", Kind::Sfixed64).oneof(0),
        Field::new(
            7,
            "filtered_attributes",
            "filteredAttributes",
            Kind::Message(&COMMON_KEY_VALUE),
        )
        .repeated(),
    ],
};

/// `opentelemetry.proto.metrics.v1.Sum`.
pub static METRICS_SUM: Message = Message {
    index: 21,
    name: "opentelemetry.proto.metrics.v1.Sum",
    fields: &[
        Field::new(1, "data_points", "dataPoints", Kind::Message(&METRICS_NUMBER_DATA_POINT))
            .repeated()
            .mark(Mark::Item),
        Field::new(2, "aggregation_temporality", "aggregationTemporality", Kind::Enum),
        Field::new(3, "is_monotonic", "isMonotonic", Kind::Bool),
    ],
};

/// `opentelemetry.proto.metrics.v1.Histogram`.
pub static METRICS_HISTOGRAM: Message = Message {
    index: 22,
    name: "opentelemetry.proto.metrics.v1.Histogram",
    fields: &[
        Field::new(1, "data_points", "dataPoints", Kind::Message(&METRICS_HISTOGRAM_DATA_POINT))
            .repeated()
            .mark(Mark::Item),
        Field::new(2, "aggregation_temporality", "aggregationTemporality", Kind::Enum),
    ],
};

/// `opentelemetry.proto.metrics.v1.HistogramDataPoint`.
pub static METRICS_HISTOGRAM_DATA_POINT: Message = Message {
    index: 23,
    name: "opentelemetry.proto.metrics.v1.HistogramDataPoint",
    fields: &[
        Field::new(2, "start_time_unix_nano", "startTimeUnixNano", Kind::Fixed64),
        Field::new(3, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
        Field::new(4, "count", "count", Kind::Fixed64),
        Field::new(5, "sum", "sum", Kind::Double).optional(),
        Field::new(6, "bucket_counts", "bucketCounts", Kind::Fixed64).repeated().packed(),
        Field::new(7, "explicit_bounds", "explicitBounds", Kind::Double).repeated().packed(),
        Field::new(8, "exemplars", "exemplars", Kind::Message(&METRICS_EXEMPLAR)).repeated(),
        Field::new(9, "attributes", "attributes", Kind::Message(&COMMON_KEY_VALUE)).repeated(),
        Field::new(10, "flags", "flags", Kind::Uint32),
        Field::new(11, "min", "min", Kind::Double).optional(),
        Field::new(12, "max", "max", Kind::Double).optional(),
    ],
};

/// `opentelemetry.proto.metrics.v1.ExponentialHistogram`.
pub static METRICS_EXPONENTIAL_HISTOGRAM: Message = Message {
    index: 24,
    name: "opentelemetry.proto.metrics.v1.ExponentialHistogram",
    fields: &[
        Field::new(
            1,
            "data_points",
            "dataPoints",
            Kind::Message(&METRICS_EXPONENTIAL_HISTOGRAM_DATA_POINT),
        )
        .repeated()
        .mark(Mark::Item),
        Field::new(2, "aggregation_temporality", "aggregationTemporality", Kind::Enum),
    ],
};

/// `opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint`.
pub static METRICS_EXPONENTIAL_HISTOGRAM_DATA_POINT: Message = Message {
    index: 25,
    name: "opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint",
    fields: &[
        Field::new(1, "attributes", "attributes", Kind::Message(&COMMON_KEY_VALUE)).repeated(),
        Field::new(2, "start_time_unix_nano", "startTimeUnixNano", Kind::Fixed64),
        Field::new(3, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
        Field::new(4, "count", "count", Kind::Fixed64),
        Field::new(5, "sum", "sum", Kind::Double).optional(),
        Field::new(6, "scale", "scale", Kind::Sint32),
        Field::new(7, "zero_count", "zeroCount", Kind::Fixed64),
        Field::new(
            8,
            "positive",
            "positive",
            Kind::Message(&METRICS_EXPONENTIAL_HISTOGRAM_DATA_POINT_BUCKETS),
        ),
        Field::new(
            9,
            "negative",
            "negative",
            Kind::Message(&METRICS_EXPONENTIAL_HISTOGRAM_DATA_POINT_BUCKETS),
        ),
        Field::new(10, "flags", "flags", Kind::Uint32),
        Field::new(11, "exemplars", "exemplars", Kind::Message(&METRICS_EXEMPLAR)).repeated(),
        Field::new(12, "min", "min", Kind::Double).optional(),
        Field::new(13, "max", "max", Kind::Double).optional(),
        Field::new(14, "zero_threshold", "zeroThreshold", Kind::Double),
    ],
};

/// `opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint.Buckets`.
pub static METRICS_EXPONENTIAL_HISTOGRAM_DATA_POINT_BUCKETS: Message = Message {
    index: 26,
    name: "opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint.Buckets",
    fields: &[
        Field::new(1, "offset", "offset", Kind::Sint32),
        Field::new(2, "bucket_counts", "bucketCounts", Kind::Uint64).repeated().packed(),
    ],
};

/// `opentelemetry.proto.metrics.v1.Summary`.
pub static METRICS_SUMMARY: Message = Message {
    index: 27,
    name: "opentelemetry.proto.metrics.v1.Summary",
    fields: &[Field::new(
        1,
        "data_points",
        "dataPoints",
        Kind::Message(&METRICS_SUMMARY_DATA_POINT),
    )
    .repeated()
    .mark(Mark::Item)],
};

/// `opentelemetry.proto.metrics.v1.SummaryDataPoint`.
pub static METRICS_SUMMARY_DATA_POINT: Message = Message {
    index: 28,
    name: "opentelemetry.proto.metrics.v1.SummaryDataPoint",
    fields: &[
        Field::new(2, "start_time_unix_nano", "startTimeUnixNano", Kind::Fixed64),
        Field::new(3, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
        Field::new(4, "count", "count", Kind::Fixed64),
        Field::new(5, "sum", "sum", Kind::Double),
        Field::new(
            6,
            "quantile_values",
            "quantileValues",
            Kind::Message(&METRICS_SUMMARY_DATA_POINT_VALUE_AT_QUANTILE),
        )
        .repeated(),
        Field::new(7, "attributes", "attributes", Kind::Message(&COMMON_KEY_VALUE)).repeated(),
        Field::new(8, "flags", "flags", Kind::Uint32),
    ],
};

/// `opentelemetry.proto.metrics.v1.SummaryDataPoint.ValueAtQuantile`.
pub static METRICS_SUMMARY_DATA_POINT_VALUE_AT_QUANTILE: Message = Message {
    index: 29,
    name: "opentelemetry.proto.metrics.v1.SummaryDataPoint.ValueAtQuantile",
    fields: &[
        Field::new(1, "quantile", "quantile", Kind::Double),
        Field::new(2, "value", "value", Kind::Double),
    ],
};

/// `opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest`.
pub static COLLECTOR_LOGS_EXPORT_LOGS_SERVICE_REQUEST: Message = Message {
    index: 30,
    name: "opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest",
    fields: &[Field::new(1, "resource_logs", "resourceLogs", Kind::Message(&LOGS_RESOURCE_LOGS))
        .repeated()],
};

/// `opentelemetry.proto.logs.v1.ResourceLogs`.
pub static LOGS_RESOURCE_LOGS: Message = Message {
    index: 31,
    name: "opentelemetry.proto.logs.v1.ResourceLogs",
    fields: &[
        Field::new(1, "resource", "resource", Kind::Message(&RESOURCE_RESOURCE)),
        Field::new(2, "scope_logs", "scopeLogs", Kind::Message(&LOGS_SCOPE_LOGS)).repeated(),
        Field::new(3, "schema_url", "schemaUrl", Kind::String),
    ],
};

/// `opentelemetry.proto.logs.v1.ScopeLogs`.
pub static LOGS_SCOPE_LOGS: Message = Message {
    index: 32,
    name: "opentelemetry.proto.logs.v1.ScopeLogs",
    fields: &[
        Field::new(1, "scope", "scope", Kind::Message(&COMMON_INSTRUMENTATION_SCOPE)),
        Field::new(2, "log_records", "logRecords", Kind::Message(&LOGS_LOG_RECORD))
            .repeated()
            .mark(Mark::Item),
        Field::new(3, "schema_url", "schemaUrl", Kind::String),
    ],
};

/// `opentelemetry.proto.logs.v1.LogRecord`.
pub static LOGS_LOG_RECORD: Message = Message {
    index: 33,
    name: "opentelemetry.proto.logs.v1.LogRecord",
    fields: &[
        Field::new(1, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
        Field::new(2, "severity_number", "severityNumber", Kind::Enum),
        Field::new(3, "severity_text", "severityText", Kind::String),
        Field::new(5, "body", "body", Kind::Message(&COMMON_ANY_VALUE)),
        Field::new(6, "attributes", "attributes", Kind::Message(&COMMON_KEY_VALUE)).repeated(),
        Field::new(7, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
        Field::new(8, "flags", "flags", Kind::Fixed32),
        Field::new(9, "trace_id", "traceId", Kind::Bytes).mark(Mark::Id16),
        Field::new(10, "span_id", "spanId", Kind::Bytes).mark(Mark::Id8),
        Field::new(11, "observed_time_unix_nano", "observedTimeUnixNano", Kind::Fixed64),
        Field::new(12, "event_name", "eventName", Kind::String),
    ],
};

/// `opentelemetry.proto.collector.profiles.v1development.ExportProfilesServiceRequest`.
pub static COLLECTOR_PROFILES_EXPORT_PROFILES_SERVICE_REQUEST: Message = Message {
    index: 34,
    name: "opentelemetry.proto.collector.profiles.v1development.ExportProfilesServiceRequest",
    fields: &[
        Field::new(
            1,
            "resource_profiles",
            "resourceProfiles",
            Kind::Message(&PROFILES_RESOURCE_PROFILES),
        )
        .repeated(),
        Field::new(2, "dictionary", "dictionary", Kind::Message(&PROFILES_PROFILES_DICTIONARY)),
    ],
};

/// `opentelemetry.proto.profiles.v1development.ResourceProfiles`.
pub static PROFILES_RESOURCE_PROFILES: Message = Message {
    index: 35,
    name: "opentelemetry.proto.profiles.v1development.ResourceProfiles",
    fields: &[
        Field::new(1, "resource", "resource", Kind::Message(&RESOURCE_RESOURCE)),
        Field::new(2, "scope_profiles", "scopeProfiles", Kind::Message(&PROFILES_SCOPE_PROFILES))
            .repeated(),
        Field::new(3, "schema_url", "schemaUrl", Kind::String),
    ],
};

/// `opentelemetry.proto.profiles.v1development.ScopeProfiles`.
pub static PROFILES_SCOPE_PROFILES: Message = Message {
    index: 36,
    name: "opentelemetry.proto.profiles.v1development.ScopeProfiles",
    fields: &[
        Field::new(1, "scope", "scope", Kind::Message(&COMMON_INSTRUMENTATION_SCOPE)),
        Field::new(2, "profiles", "profiles", Kind::Message(&PROFILES_PROFILE))
            .repeated()
            .mark(Mark::Item),
        Field::new(3, "schema_url", "schemaUrl", Kind::String),
    ],
};

/// `opentelemetry.proto.profiles.v1development.Profile`.
pub static PROFILES_PROFILE: Message = Message {
    index: 37,
    name: "opentelemetry.proto.profiles.v1development.Profile",
    fields: &[
        Field::new(1, "sample_type", "sampleType", Kind::Message(&PROFILES_VALUE_TYPE)),
        Field::new(2, "samples", "samples", Kind::Message(&PROFILES_SAMPLE)).repeated(),
        Field::new(3, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
        Field::new(4, "duration_nano", "durationNano", Kind::Uint64),
        Field::new(5, "period_type", "periodType", Kind::Message(&PROFILES_VALUE_TYPE)),
        Field::new(6, "period", "period", Kind::Int64),
        Field::new(7, "profile_id", "profileId", Kind::Bytes).mark(Mark::Id16),
        Field::new(8, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
        Field::new(9, "original_payload_format", "originalPayloadFormat", Kind::String),
        Field::new(10, "original_payload", "originalPayload", Kind::Bytes),
        Field::new(11, "attribute_indices", "attributeIndices", Kind::Int32).repeated().packed(),
    ],
};

/// `opentelemetry.proto.profiles.v1development.ValueType`.
pub static PROFILES_VALUE_TYPE: Message = Message {
    index: 38,
    name: "opentelemetry.proto.profiles.v1development.ValueType",
    fields: &[
        Field::new(1, "type_strindex", "typeStrindex", Kind::Int32),
        Field::new(2, "unit_strindex", "unitStrindex", Kind::Int32),
    ],
};

/// `opentelemetry.proto.profiles.v1development.Sample`.
pub static PROFILES_SAMPLE: Message = Message {
    index: 39,
    name: "opentelemetry.proto.profiles.v1development.Sample",
    fields: &[
        Field::new(1, "stack_index", "stackIndex", Kind::Int32),
        Field::new(2, "attribute_indices", "attributeIndices", Kind::Int32).repeated().packed(),
        Field::new(3, "link_index", "linkIndex", Kind::Int32),
        Field::new(4, "values", "values", Kind::Int64).repeated().packed(),
        Field::new(5, "timestamps_unix_nano", "timestampsUnixNano", Kind::Fixed64)
            .repeated()
            .packed(),
    ],
};

/// `opentelemetry.proto.profiles.v1development.ProfilesDictionary`.
pub static PROFILES_PROFILES_DICTIONARY: Message = Message {
    index: 40,
    name: "opentelemetry.proto.profiles.v1development.ProfilesDictionary",
    fields: &[
        Field::new(1, "mapping_table", "mappingTable", Kind::Message(&PROFILES_MAPPING)).repeated(),
        Field::new(2, "location_table", "locationTable", Kind::Message(&PROFILES_LOCATION))
            .repeated(),
        Field::new(3, "function_table", "functionTable", Kind::Message(&PROFILES_FUNCTION))
            .repeated(),
        Field::new(4, "link_table", "linkTable", Kind::Message(&PROFILES_LINK)).repeated(),
        Field::new(5, "string_table", "stringTable", Kind::String).repeated(),
        Field::new(
            6,
            "attribute_table",
            "attributeTable",
            Kind::Message(&PROFILES_KEY_VALUE_AND_UNIT),
        )
        .repeated(),
        Field::new(7, "stack_table", "stackTable", Kind::Message(&PROFILES_STACK)).repeated(),
    ],
};

/// `opentelemetry.proto.profiles.v1development.Mapping`.
pub static PROFILES_MAPPING: Message = Message {
    index: 41,
    name: "opentelemetry.proto.profiles.v1development.Mapping",
    fields: &[
        Field::new(1, "memory_start", "memoryStart", Kind::Uint64),
        Field::new(2, "memory_limit", "memoryLimit", Kind::Uint64),
        Field::new(3, "file_offset", "fileOffset", Kind::Uint64),
        Field::new(4, "filename_strindex", "filenameStrindex", Kind::Int32),
        Field::new(5, "attribute_indices", "attributeIndices", Kind::Int32).repeated().packed(),
    ],
};

/// `opentelemetry.proto.profiles.v1development.Location`.
pub static PROFILES_LOCATION: Message = Message {
    index: 42,
    name: "opentelemetry.proto.profiles.v1development.Location",
    fields: &[
        Field::new(1, "mapping_index", "mappingIndex", Kind::Int32),
        Field::new(2, "address", "address", Kind::Uint64),
        Field::new(3, "lines", "lines", Kind::Message(&PROFILES_LINE)).repeated(),
        Field::new(4, "attribute_indices", "attributeIndices", Kind::Int32).repeated().packed(),
    ],
};

/// `opentelemetry.proto.profiles.v1development.Line`.
pub static PROFILES_LINE: Message = Message {
    index: 43,
    name: "opentelemetry.proto.profiles.v1development.Line",
    fields: &[
        Field::new(1, "function_index", "functionIndex", Kind::Int32),
        Field::new(2, "line", "line", Kind::Int64),
        Field::new(3, "column", "column", Kind::Int64),
    ],
};

/// `opentelemetry.proto.profiles.v1development.Function`.
pub static PROFILES_FUNCTION: Message = Message {
    index: 44,
    name: "opentelemetry.proto.profiles.v1development.Function",
    fields: &[
        Field::new(1, "name_strindex", "nameStrindex", Kind::Int32),
        Field::new(2, "system_name_strindex", "systemNameStrindex", Kind::Int32),
        Field::new(3, "filename_strindex", "filenameStrindex", Kind::Int32),
        Field::new(4, "start_line", "startLine", Kind::Int64),
    ],
};

/// `opentelemetry.proto.profiles.v1development.Link`.
pub static PROFILES_LINK: Message = Message {
    index: 45,
    name: "opentelemetry.proto.profiles.v1development.Link",
    fields: &[
        Field::new(1, "trace_id", "traceId", Kind::Bytes).mark(Mark::Id16),
        Field::new(2, "span_id", "spanId", Kind::Bytes).mark(Mark::Id8),
    ],
};

/// `opentelemetry.proto.profiles.v1development.KeyValueAndUnit`.
pub static PROFILES_KEY_VALUE_AND_UNIT: Message = Message {
    index: 46,
    name: "opentelemetry.proto.profiles.v1development.KeyValueAndUnit",
    fields: &[
        Field::new(1, "key_strindex", "keyStrindex", Kind::Int32),
        Field::new(2, "value", "value", Kind::Message(&COMMON_ANY_VALUE)),
        Field::new(3, "unit_strindex", "unitStrindex", Kind::Int32),
    ],
};

/// `opentelemetry.proto.profiles.v1development.Stack`.
pub static PROFILES_STACK: Message = Message {
    index: 47,
    name: "opentelemetry.proto.profiles.v1development.Stack",
    fields: &[Field::new(1, "location_indices", "locationIndices", Kind::Int32)
        .repeated()
        .packed()],
};
