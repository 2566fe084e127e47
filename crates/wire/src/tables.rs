//! The OTLP schema as tables, generated from `proto/` (opentelemetry-proto v1.10.0): do not edit.
//!
//! `UPDATE_TABLES=1 cargo test -p sidelight-wire --test tables` writes this file.

use crate::Signal;
use crate::schema::{Enum, EnumId, Field, Kind, Mark, Message, MessageId};

/// The message that a request of `signal` is.
#[must_use]
pub const fn request(signal: Signal) -> MessageId {
    match signal {
        Signal::Traces => MessageId(0),
        Signal::Metrics => MessageId(14),
        Signal::Logs => MessageId(30),
        Signal::Profiles => MessageId(34),
    }
}

/// The message that a response of `signal` is.
#[must_use]
pub const fn response(signal: Signal) -> MessageId {
    match signal {
        Signal::Traces => MessageId(48),
        Signal::Metrics => MessageId(50),
        Signal::Logs => MessageId(52),
        Signal::Profiles => MessageId(54),
    }
}

/// `opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest`.
pub const COLLECTOR_TRACE_EXPORT_TRACE_SERVICE_REQUEST: MessageId = MessageId(0);
/// `opentelemetry.proto.trace.v1.ResourceSpans`.
pub const TRACE_RESOURCE_SPANS: MessageId = MessageId(1);
/// `opentelemetry.proto.resource.v1.Resource`.
pub const RESOURCE_RESOURCE: MessageId = MessageId(2);
/// `opentelemetry.proto.common.v1.KeyValue`.
pub const COMMON_KEY_VALUE: MessageId = MessageId(3);
/// `opentelemetry.proto.common.v1.AnyValue`.
pub const COMMON_ANY_VALUE: MessageId = MessageId(4);
/// `opentelemetry.proto.common.v1.ArrayValue`.
pub const COMMON_ARRAY_VALUE: MessageId = MessageId(5);
/// `opentelemetry.proto.common.v1.KeyValueList`.
pub const COMMON_KEY_VALUE_LIST: MessageId = MessageId(6);
/// `opentelemetry.proto.common.v1.EntityRef`.
pub const COMMON_ENTITY_REF: MessageId = MessageId(7);
/// `opentelemetry.proto.trace.v1.ScopeSpans`.
pub const TRACE_SCOPE_SPANS: MessageId = MessageId(8);
/// `opentelemetry.proto.common.v1.InstrumentationScope`.
pub const COMMON_INSTRUMENTATION_SCOPE: MessageId = MessageId(9);
/// `opentelemetry.proto.trace.v1.Span`.
pub const TRACE_SPAN: MessageId = MessageId(10);
/// `opentelemetry.proto.trace.v1.Span.Event`.
pub const TRACE_SPAN_EVENT: MessageId = MessageId(11);
/// `opentelemetry.proto.trace.v1.Span.Link`.
pub const TRACE_SPAN_LINK: MessageId = MessageId(12);
/// `opentelemetry.proto.trace.v1.Status`.
pub const TRACE_STATUS: MessageId = MessageId(13);
/// `opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest`.
pub const COLLECTOR_METRICS_EXPORT_METRICS_SERVICE_REQUEST: MessageId = MessageId(14);
/// `opentelemetry.proto.metrics.v1.ResourceMetrics`.
pub const METRICS_RESOURCE_METRICS: MessageId = MessageId(15);
/// `opentelemetry.proto.metrics.v1.ScopeMetrics`.
pub const METRICS_SCOPE_METRICS: MessageId = MessageId(16);
/// `opentelemetry.proto.metrics.v1.Metric`.
pub const METRICS_METRIC: MessageId = MessageId(17);
/// `opentelemetry.proto.metrics.v1.Gauge`.
pub const METRICS_GAUGE: MessageId = MessageId(18);
/// `opentelemetry.proto.metrics.v1.NumberDataPoint`.
pub const METRICS_NUMBER_DATA_POINT: MessageId = MessageId(19);
/// `opentelemetry.proto.metrics.v1.Exemplar`.
pub const METRICS_EXEMPLAR: MessageId = MessageId(20);
/// `opentelemetry.proto.metrics.v1.Sum`.
pub const METRICS_SUM: MessageId = MessageId(21);
/// `opentelemetry.proto.metrics.v1.Histogram`.
pub const METRICS_HISTOGRAM: MessageId = MessageId(22);
/// `opentelemetry.proto.metrics.v1.HistogramDataPoint`.
pub const METRICS_HISTOGRAM_DATA_POINT: MessageId = MessageId(23);
/// `opentelemetry.proto.metrics.v1.ExponentialHistogram`.
pub const METRICS_EXPONENTIAL_HISTOGRAM: MessageId = MessageId(24);
/// `opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint`.
pub const METRICS_EXPONENTIAL_HISTOGRAM_DATA_POINT: MessageId = MessageId(25);
/// `opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint.Buckets`.
pub const METRICS_EXPONENTIAL_HISTOGRAM_DATA_POINT_BUCKETS: MessageId = MessageId(26);
/// `opentelemetry.proto.metrics.v1.Summary`.
pub const METRICS_SUMMARY: MessageId = MessageId(27);
/// `opentelemetry.proto.metrics.v1.SummaryDataPoint`.
pub const METRICS_SUMMARY_DATA_POINT: MessageId = MessageId(28);
/// `opentelemetry.proto.metrics.v1.SummaryDataPoint.ValueAtQuantile`.
pub const METRICS_SUMMARY_DATA_POINT_VALUE_AT_QUANTILE: MessageId = MessageId(29);
/// `opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest`.
pub const COLLECTOR_LOGS_EXPORT_LOGS_SERVICE_REQUEST: MessageId = MessageId(30);
/// `opentelemetry.proto.logs.v1.ResourceLogs`.
pub const LOGS_RESOURCE_LOGS: MessageId = MessageId(31);
/// `opentelemetry.proto.logs.v1.ScopeLogs`.
pub const LOGS_SCOPE_LOGS: MessageId = MessageId(32);
/// `opentelemetry.proto.logs.v1.LogRecord`.
pub const LOGS_LOG_RECORD: MessageId = MessageId(33);
/// `opentelemetry.proto.collector.profiles.v1development.ExportProfilesServiceRequest`.
pub const COLLECTOR_PROFILES_EXPORT_PROFILES_SERVICE_REQUEST: MessageId = MessageId(34);
/// `opentelemetry.proto.profiles.v1development.ResourceProfiles`.
pub const PROFILES_RESOURCE_PROFILES: MessageId = MessageId(35);
/// `opentelemetry.proto.profiles.v1development.ScopeProfiles`.
pub const PROFILES_SCOPE_PROFILES: MessageId = MessageId(36);
/// `opentelemetry.proto.profiles.v1development.Profile`.
pub const PROFILES_PROFILE: MessageId = MessageId(37);
/// `opentelemetry.proto.profiles.v1development.ValueType`.
pub const PROFILES_VALUE_TYPE: MessageId = MessageId(38);
/// `opentelemetry.proto.profiles.v1development.Sample`.
pub const PROFILES_SAMPLE: MessageId = MessageId(39);
/// `opentelemetry.proto.profiles.v1development.ProfilesDictionary`.
pub const PROFILES_PROFILES_DICTIONARY: MessageId = MessageId(40);
/// `opentelemetry.proto.profiles.v1development.Mapping`.
pub const PROFILES_MAPPING: MessageId = MessageId(41);
/// `opentelemetry.proto.profiles.v1development.Location`.
pub const PROFILES_LOCATION: MessageId = MessageId(42);
/// `opentelemetry.proto.profiles.v1development.Line`.
pub const PROFILES_LINE: MessageId = MessageId(43);
/// `opentelemetry.proto.profiles.v1development.Function`.
pub const PROFILES_FUNCTION: MessageId = MessageId(44);
/// `opentelemetry.proto.profiles.v1development.Link`.
pub const PROFILES_LINK: MessageId = MessageId(45);
/// `opentelemetry.proto.profiles.v1development.KeyValueAndUnit`.
pub const PROFILES_KEY_VALUE_AND_UNIT: MessageId = MessageId(46);
/// `opentelemetry.proto.profiles.v1development.Stack`.
pub const PROFILES_STACK: MessageId = MessageId(47);
/// `opentelemetry.proto.collector.trace.v1.ExportTraceServiceResponse`.
pub const COLLECTOR_TRACE_EXPORT_TRACE_SERVICE_RESPONSE: MessageId = MessageId(48);
/// `opentelemetry.proto.collector.trace.v1.ExportTracePartialSuccess`.
pub const COLLECTOR_TRACE_EXPORT_TRACE_PARTIAL_SUCCESS: MessageId = MessageId(49);
/// `opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceResponse`.
pub const COLLECTOR_METRICS_EXPORT_METRICS_SERVICE_RESPONSE: MessageId = MessageId(50);
/// `opentelemetry.proto.collector.metrics.v1.ExportMetricsPartialSuccess`.
pub const COLLECTOR_METRICS_EXPORT_METRICS_PARTIAL_SUCCESS: MessageId = MessageId(51);
/// `opentelemetry.proto.collector.logs.v1.ExportLogsServiceResponse`.
pub const COLLECTOR_LOGS_EXPORT_LOGS_SERVICE_RESPONSE: MessageId = MessageId(52);
/// `opentelemetry.proto.collector.logs.v1.ExportLogsPartialSuccess`.
pub const COLLECTOR_LOGS_EXPORT_LOGS_PARTIAL_SUCCESS: MessageId = MessageId(53);
/// `opentelemetry.proto.collector.profiles.v1development.ExportProfilesServiceResponse`.
pub const COLLECTOR_PROFILES_EXPORT_PROFILES_SERVICE_RESPONSE: MessageId = MessageId(54);
/// `opentelemetry.proto.collector.profiles.v1development.ExportProfilesPartialSuccess`.
pub const COLLECTOR_PROFILES_EXPORT_PROFILES_PARTIAL_SUCCESS: MessageId = MessageId(55);

/// Every message, by id.
pub static MESSAGES: [Message; 56] = [
    Message {
        name: "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest",
        fields: &[Field::new(1, "resource_spans", "resourceSpans", Kind::Message(MessageId(1)))
            .repeated()],
    },
    Message {
        name: "opentelemetry.proto.trace.v1.ResourceSpans",
        fields: &[
            Field::new(1, "resource", "resource", Kind::Message(MessageId(2))),
            Field::new(2, "scope_spans", "scopeSpans", Kind::Message(MessageId(8))).repeated(),
            Field::new(3, "schema_url", "schemaUrl", Kind::String),
        ],
    },
    Message {
        name: "opentelemetry.proto.resource.v1.Resource",
        fields: &[
            Field::new(1, "attributes", "attributes", Kind::Message(MessageId(3))).repeated(),
            Field::new(2, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
            Field::new(3, "entity_refs", "entityRefs", Kind::Message(MessageId(7))).repeated(),
        ],
    },
    Message {
        name: "opentelemetry.proto.common.v1.KeyValue",
        fields: &[
            Field::new(1, "key", "key", Kind::String),
            Field::new(2, "value", "value", Kind::Message(MessageId(4))),
            Field::new(3, "key_strindex", "keyStrindex", Kind::Int32),
        ],
    },
    Message {
        name: "opentelemetry.proto.common.v1.AnyValue",
        fields: &[
            Field::new(1, "string_value", "stringValue", Kind::String).oneof(0),
            Field::new(2, "bool_value", "boolValue", Kind::Bool).oneof(0),
            Field::new(3, "int_value", "intValue", Kind::Int64).oneof(0),
            Field::new(4, "double_value", "doubleValue", Kind::Double).oneof(0),
            Field::new(5, "array_value", "arrayValue", Kind::Message(MessageId(5))).oneof(0),
            Field::new(6, "kvlist_value", "kvlistValue", Kind::Message(MessageId(6))).oneof(0),
            Field::new(7, "bytes_value", "bytesValue", Kind::Bytes).oneof(0),
            Field::new(8, "string_value_strindex", "stringValueStrindex", Kind::Int32).oneof(0),
        ],
    },
    Message {
        name: "opentelemetry.proto.common.v1.ArrayValue",
        fields: &[Field::new(1, "values", "values", Kind::Message(MessageId(4))).repeated()],
    },
    Message {
        name: "opentelemetry.proto.common.v1.KeyValueList",
        fields: &[Field::new(1, "values", "values", Kind::Message(MessageId(3))).repeated()],
    },
    Message {
        name: "opentelemetry.proto.common.v1.EntityRef",
        fields: &[
            Field::new(1, "schema_url", "schemaUrl", Kind::String),
            Field::new(2, "type", "type", Kind::String),
            Field::new(3, "id_keys", "idKeys", Kind::String).repeated(),
            Field::new(4, "description_keys", "descriptionKeys", Kind::String).repeated(),
        ],
    },
    Message {
        name: "opentelemetry.proto.trace.v1.ScopeSpans",
        fields: &[
            Field::new(1, "scope", "scope", Kind::Message(MessageId(9))),
            Field::new(2, "spans", "spans", Kind::Message(MessageId(10)))
                .repeated()
                .mark(Mark::Item),
            Field::new(3, "schema_url", "schemaUrl", Kind::String),
        ],
    },
    Message {
        name: "opentelemetry.proto.common.v1.InstrumentationScope",
        fields: &[
            Field::new(1, "name", "name", Kind::String),
            Field::new(2, "version", "version", Kind::String),
            Field::new(3, "attributes", "attributes", Kind::Message(MessageId(3))).repeated(),
            Field::new(4, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
        ],
    },
    Message {
        name: "opentelemetry.proto.trace.v1.Span",
        fields: &[
            Field::new(1, "trace_id", "traceId", Kind::Bytes).mark(Mark::Id16),
            Field::new(2, "span_id", "spanId", Kind::Bytes).mark(Mark::Id8),
            Field::new(3, "trace_state", "traceState", Kind::String),
            Field::new(4, "parent_span_id", "parentSpanId", Kind::Bytes).mark(Mark::Id8),
            Field::new(5, "name", "name", Kind::String),
            Field::new(6, "kind", "kind", Kind::Enum(EnumId(0))),
            Field::new(7, "start_time_unix_nano", "startTimeUnixNano", Kind::Fixed64),
            Field::new(8, "end_time_unix_nano", "endTimeUnixNano", Kind::Fixed64),
            Field::new(9, "attributes", "attributes", Kind::Message(MessageId(3))).repeated(),
            Field::new(10, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
            Field::new(11, "events", "events", Kind::Message(MessageId(11))).repeated(),
            Field::new(12, "dropped_events_count", "droppedEventsCount", Kind::Uint32),
            Field::new(13, "links", "links", Kind::Message(MessageId(12))).repeated(),
            Field::new(14, "dropped_links_count", "droppedLinksCount", Kind::Uint32),
            Field::new(15, "status", "status", Kind::Message(MessageId(13))),
            Field::new(16, "flags", "flags", Kind::Fixed32),
        ],
    },
    Message {
        name: "opentelemetry.proto.trace.v1.Span.Event",
        fields: &[
            Field::new(1, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
            Field::new(2, "name", "name", Kind::String),
            Field::new(3, "attributes", "attributes", Kind::Message(MessageId(3))).repeated(),
            Field::new(4, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
        ],
    },
    Message {
        name: "opentelemetry.proto.trace.v1.Span.Link",
        fields: &[
            Field::new(1, "trace_id", "traceId", Kind::Bytes).mark(Mark::Id16),
            Field::new(2, "span_id", "spanId", Kind::Bytes).mark(Mark::Id8),
            Field::new(3, "trace_state", "traceState", Kind::String),
            Field::new(4, "attributes", "attributes", Kind::Message(MessageId(3))).repeated(),
            Field::new(5, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
            Field::new(6, "flags", "flags", Kind::Fixed32),
        ],
    },
    Message {
        name: "opentelemetry.proto.trace.v1.Status",
        fields: &[
            Field::new(2, "message", "message", Kind::String),
            Field::new(3, "code", "code", Kind::Enum(EnumId(1))),
        ],
    },
    Message {
        name: "opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest",
        fields: &[Field::new(
            1,
            "resource_metrics",
            "resourceMetrics",
            Kind::Message(MessageId(15)),
        )
        .repeated()],
    },
    Message {
        name: "opentelemetry.proto.metrics.v1.ResourceMetrics",
        fields: &[
            Field::new(1, "resource", "resource", Kind::Message(MessageId(2))),
            Field::new(2, "scope_metrics", "scopeMetrics", Kind::Message(MessageId(16))).repeated(),
            Field::new(3, "schema_url", "schemaUrl", Kind::String),
        ],
    },
    Message {
        name: "opentelemetry.proto.metrics.v1.ScopeMetrics",
        fields: &[
            Field::new(1, "scope", "scope", Kind::Message(MessageId(9))),
            Field::new(2, "metrics", "metrics", Kind::Message(MessageId(17))).repeated(),
            Field::new(3, "schema_url", "schemaUrl", Kind::String),
        ],
    },
    Message {
        name: "opentelemetry.proto.metrics.v1.Metric",
        fields: &[
            Field::new(1, "name", "name", Kind::String),
            Field::new(2, "description", "description", Kind::String),
            Field::new(3, "unit", "unit", Kind::String),
            Field::new(5, "gauge", "gauge", Kind::Message(MessageId(18))).oneof(0),
            Field::new(7, "sum", "sum", Kind::Message(MessageId(21))).oneof(0),
            Field::new(9, "histogram", "histogram", Kind::Message(MessageId(22))).oneof(0),
            Field::new(
                10,
                "exponential_histogram",
                "exponentialHistogram",
                Kind::Message(MessageId(24)),
            )
            .oneof(0),
            Field::new(11, "summary", "summary", Kind::Message(MessageId(27))).oneof(0),
            Field::new(12, "metadata", "metadata", Kind::Message(MessageId(3))).repeated(),
        ],
    },
    Message {
        name: "opentelemetry.proto.metrics.v1.Gauge",
        fields: &[Field::new(1, "data_points", "dataPoints", Kind::Message(MessageId(19)))
            .repeated()
            .mark(Mark::Item)],
    },
    Message {
        name: "opentelemetry.proto.metrics.v1.NumberDataPoint",
        fields: &[
            Field::new(2, "start_time_unix_nano", "startTimeUnixNano", Kind::Fixed64),
            Field::new(3, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
            Field::new(4, "as_double", "asDouble", Kind::Double).oneof(0),
            Field::new(5, "exemplars", "exemplars", Kind::Message(MessageId(20))).repeated(),
            Field::new(6, "as_int", "asInt", Kind::Sfixed64).oneof(0),
            Field::new(7, "attributes", "attributes", Kind::Message(MessageId(3))).repeated(),
            Field::new(8, "flags", "flags", Kind::Uint32),
        ],
    },
    Message {
        name: "opentelemetry.proto.metrics.v1.Exemplar",
        fields: &[
            Field::new(2, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
            Field::new(3, "as_double", "asDouble", Kind::Double).oneof(0),
            Field::new(4, "span_id", "spanId", Kind::Bytes).mark(Mark::Id8),
            Field::new(5, "trace_id", "traceId", Kind::Bytes).mark(Mark::Id16),
            Field::new(6, "as_int", "asInt", Kind::Sfixed64).oneof(0),
            Field::new(7, "filtered_attributes", "filteredAttributes", Kind::Message(MessageId(3)))
                .repeated(),
        ],
    },
    Message {
        name: "opentelemetry.proto.metrics.v1.Sum",
        fields: &[
            Field::new(1, "data_points", "dataPoints", Kind::Message(MessageId(19)))
                .repeated()
                .mark(Mark::Item),
            Field::new(
                2,
                "aggregation_temporality",
                "aggregationTemporality",
                Kind::Enum(EnumId(2)),
            ),
            Field::new(3, "is_monotonic", "isMonotonic", Kind::Bool),
        ],
    },
    Message {
        name: "opentelemetry.proto.metrics.v1.Histogram",
        fields: &[
            Field::new(1, "data_points", "dataPoints", Kind::Message(MessageId(23)))
                .repeated()
                .mark(Mark::Item),
            Field::new(
                2,
                "aggregation_temporality",
                "aggregationTemporality",
                Kind::Enum(EnumId(2)),
            ),
        ],
    },
    Message {
        name: "opentelemetry.proto.metrics.v1.HistogramDataPoint",
        fields: &[
            Field::new(2, "start_time_unix_nano", "startTimeUnixNano", Kind::Fixed64),
            Field::new(3, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
            Field::new(4, "count", "count", Kind::Fixed64),
            Field::new(5, "sum", "sum", Kind::Double).optional(),
            Field::new(6, "bucket_counts", "bucketCounts", Kind::Fixed64).repeated().packed(),
            Field::new(7, "explicit_bounds", "explicitBounds", Kind::Double).repeated().packed(),
            Field::new(8, "exemplars", "exemplars", Kind::Message(MessageId(20))).repeated(),
            Field::new(9, "attributes", "attributes", Kind::Message(MessageId(3))).repeated(),
            Field::new(10, "flags", "flags", Kind::Uint32),
            Field::new(11, "min", "min", Kind::Double).optional(),
            Field::new(12, "max", "max", Kind::Double).optional(),
        ],
    },
    Message {
        name: "opentelemetry.proto.metrics.v1.ExponentialHistogram",
        fields: &[
            Field::new(1, "data_points", "dataPoints", Kind::Message(MessageId(25)))
                .repeated()
                .mark(Mark::Item),
            Field::new(
                2,
                "aggregation_temporality",
                "aggregationTemporality",
                Kind::Enum(EnumId(2)),
            ),
        ],
    },
    Message {
        name: "opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint",
        fields: &[
            Field::new(1, "attributes", "attributes", Kind::Message(MessageId(3))).repeated(),
            Field::new(2, "start_time_unix_nano", "startTimeUnixNano", Kind::Fixed64),
            Field::new(3, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
            Field::new(4, "count", "count", Kind::Fixed64),
            Field::new(5, "sum", "sum", Kind::Double).optional(),
            Field::new(6, "scale", "scale", Kind::Sint32),
            Field::new(7, "zero_count", "zeroCount", Kind::Fixed64),
            Field::new(8, "positive", "positive", Kind::Message(MessageId(26))),
            Field::new(9, "negative", "negative", Kind::Message(MessageId(26))),
            Field::new(10, "flags", "flags", Kind::Uint32),
            Field::new(11, "exemplars", "exemplars", Kind::Message(MessageId(20))).repeated(),
            Field::new(12, "min", "min", Kind::Double).optional(),
            Field::new(13, "max", "max", Kind::Double).optional(),
            Field::new(14, "zero_threshold", "zeroThreshold", Kind::Double),
        ],
    },
    Message {
        name: "opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint.Buckets",
        fields: &[
            Field::new(1, "offset", "offset", Kind::Sint32),
            Field::new(2, "bucket_counts", "bucketCounts", Kind::Uint64).repeated().packed(),
        ],
    },
    Message {
        name: "opentelemetry.proto.metrics.v1.Summary",
        fields: &[Field::new(1, "data_points", "dataPoints", Kind::Message(MessageId(28)))
            .repeated()
            .mark(Mark::Item)],
    },
    Message {
        name: "opentelemetry.proto.metrics.v1.SummaryDataPoint",
        fields: &[
            Field::new(2, "start_time_unix_nano", "startTimeUnixNano", Kind::Fixed64),
            Field::new(3, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
            Field::new(4, "count", "count", Kind::Fixed64),
            Field::new(5, "sum", "sum", Kind::Double),
            Field::new(6, "quantile_values", "quantileValues", Kind::Message(MessageId(29)))
                .repeated(),
            Field::new(7, "attributes", "attributes", Kind::Message(MessageId(3))).repeated(),
            Field::new(8, "flags", "flags", Kind::Uint32),
        ],
    },
    Message {
        name: "opentelemetry.proto.metrics.v1.SummaryDataPoint.ValueAtQuantile",
        fields: &[
            Field::new(1, "quantile", "quantile", Kind::Double),
            Field::new(2, "value", "value", Kind::Double),
        ],
    },
    Message {
        name: "opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest",
        fields: &[
            Field::new(1, "resource_logs", "resourceLogs", Kind::Message(MessageId(31))).repeated()
        ],
    },
    Message {
        name: "opentelemetry.proto.logs.v1.ResourceLogs",
        fields: &[
            Field::new(1, "resource", "resource", Kind::Message(MessageId(2))),
            Field::new(2, "scope_logs", "scopeLogs", Kind::Message(MessageId(32))).repeated(),
            Field::new(3, "schema_url", "schemaUrl", Kind::String),
        ],
    },
    Message {
        name: "opentelemetry.proto.logs.v1.ScopeLogs",
        fields: &[
            Field::new(1, "scope", "scope", Kind::Message(MessageId(9))),
            Field::new(2, "log_records", "logRecords", Kind::Message(MessageId(33)))
                .repeated()
                .mark(Mark::Item),
            Field::new(3, "schema_url", "schemaUrl", Kind::String),
        ],
    },
    Message {
        name: "opentelemetry.proto.logs.v1.LogRecord",
        fields: &[
            Field::new(1, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
            Field::new(2, "severity_number", "severityNumber", Kind::Enum(EnumId(3))),
            Field::new(3, "severity_text", "severityText", Kind::String),
            Field::new(5, "body", "body", Kind::Message(MessageId(4))),
            Field::new(6, "attributes", "attributes", Kind::Message(MessageId(3))).repeated(),
            Field::new(7, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
            Field::new(8, "flags", "flags", Kind::Fixed32),
            Field::new(9, "trace_id", "traceId", Kind::Bytes).mark(Mark::Id16),
            Field::new(10, "span_id", "spanId", Kind::Bytes).mark(Mark::Id8),
            Field::new(11, "observed_time_unix_nano", "observedTimeUnixNano", Kind::Fixed64),
            Field::new(12, "event_name", "eventName", Kind::String),
        ],
    },
    Message {
        name: "opentelemetry.proto.collector.profiles.v1development.ExportProfilesServiceRequest",
        fields: &[
            Field::new(1, "resource_profiles", "resourceProfiles", Kind::Message(MessageId(35)))
                .repeated(),
            Field::new(2, "dictionary", "dictionary", Kind::Message(MessageId(40))),
        ],
    },
    Message {
        name: "opentelemetry.proto.profiles.v1development.ResourceProfiles",
        fields: &[
            Field::new(1, "resource", "resource", Kind::Message(MessageId(2))),
            Field::new(2, "scope_profiles", "scopeProfiles", Kind::Message(MessageId(36)))
                .repeated(),
            Field::new(3, "schema_url", "schemaUrl", Kind::String),
        ],
    },
    Message {
        name: "opentelemetry.proto.profiles.v1development.ScopeProfiles",
        fields: &[
            Field::new(1, "scope", "scope", Kind::Message(MessageId(9))),
            Field::new(2, "profiles", "profiles", Kind::Message(MessageId(37)))
                .repeated()
                .mark(Mark::Item),
            Field::new(3, "schema_url", "schemaUrl", Kind::String),
        ],
    },
    Message {
        name: "opentelemetry.proto.profiles.v1development.Profile",
        fields: &[
            Field::new(1, "sample_type", "sampleType", Kind::Message(MessageId(38))),
            Field::new(2, "samples", "samples", Kind::Message(MessageId(39))).repeated(),
            Field::new(3, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
            Field::new(4, "duration_nano", "durationNano", Kind::Uint64),
            Field::new(5, "period_type", "periodType", Kind::Message(MessageId(38))),
            Field::new(6, "period", "period", Kind::Int64),
            Field::new(7, "profile_id", "profileId", Kind::Bytes).mark(Mark::Id16),
            Field::new(8, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
            Field::new(9, "original_payload_format", "originalPayloadFormat", Kind::String),
            Field::new(10, "original_payload", "originalPayload", Kind::Bytes),
            Field::new(11, "attribute_indices", "attributeIndices", Kind::Int32)
                .repeated()
                .packed(),
        ],
    },
    Message {
        name: "opentelemetry.proto.profiles.v1development.ValueType",
        fields: &[
            Field::new(1, "type_strindex", "typeStrindex", Kind::Int32),
            Field::new(2, "unit_strindex", "unitStrindex", Kind::Int32),
        ],
    },
    Message {
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
    },
    Message {
        name: "opentelemetry.proto.profiles.v1development.ProfilesDictionary",
        fields: &[
            Field::new(1, "mapping_table", "mappingTable", Kind::Message(MessageId(41))).repeated(),
            Field::new(2, "location_table", "locationTable", Kind::Message(MessageId(42)))
                .repeated(),
            Field::new(3, "function_table", "functionTable", Kind::Message(MessageId(44)))
                .repeated(),
            Field::new(4, "link_table", "linkTable", Kind::Message(MessageId(45))).repeated(),
            Field::new(5, "string_table", "stringTable", Kind::String).repeated(),
            Field::new(6, "attribute_table", "attributeTable", Kind::Message(MessageId(46)))
                .repeated(),
            Field::new(7, "stack_table", "stackTable", Kind::Message(MessageId(47))).repeated(),
        ],
    },
    Message {
        name: "opentelemetry.proto.profiles.v1development.Mapping",
        fields: &[
            Field::new(1, "memory_start", "memoryStart", Kind::Uint64),
            Field::new(2, "memory_limit", "memoryLimit", Kind::Uint64),
            Field::new(3, "file_offset", "fileOffset", Kind::Uint64),
            Field::new(4, "filename_strindex", "filenameStrindex", Kind::Int32),
            Field::new(5, "attribute_indices", "attributeIndices", Kind::Int32).repeated().packed(),
        ],
    },
    Message {
        name: "opentelemetry.proto.profiles.v1development.Location",
        fields: &[
            Field::new(1, "mapping_index", "mappingIndex", Kind::Int32),
            Field::new(2, "address", "address", Kind::Uint64),
            Field::new(3, "lines", "lines", Kind::Message(MessageId(43))).repeated(),
            Field::new(4, "attribute_indices", "attributeIndices", Kind::Int32).repeated().packed(),
        ],
    },
    Message {
        name: "opentelemetry.proto.profiles.v1development.Line",
        fields: &[
            Field::new(1, "function_index", "functionIndex", Kind::Int32),
            Field::new(2, "line", "line", Kind::Int64),
            Field::new(3, "column", "column", Kind::Int64),
        ],
    },
    Message {
        name: "opentelemetry.proto.profiles.v1development.Function",
        fields: &[
            Field::new(1, "name_strindex", "nameStrindex", Kind::Int32),
            Field::new(2, "system_name_strindex", "systemNameStrindex", Kind::Int32),
            Field::new(3, "filename_strindex", "filenameStrindex", Kind::Int32),
            Field::new(4, "start_line", "startLine", Kind::Int64),
        ],
    },
    Message {
        name: "opentelemetry.proto.profiles.v1development.Link",
        fields: &[
            Field::new(1, "trace_id", "traceId", Kind::Bytes).mark(Mark::Id16),
            Field::new(2, "span_id", "spanId", Kind::Bytes).mark(Mark::Id8),
        ],
    },
    Message {
        name: "opentelemetry.proto.profiles.v1development.KeyValueAndUnit",
        fields: &[
            Field::new(1, "key_strindex", "keyStrindex", Kind::Int32),
            Field::new(2, "value", "value", Kind::Message(MessageId(4))),
            Field::new(3, "unit_strindex", "unitStrindex", Kind::Int32),
        ],
    },
    Message {
        name: "opentelemetry.proto.profiles.v1development.Stack",
        fields: &[Field::new(1, "location_indices", "locationIndices", Kind::Int32)
            .repeated()
            .packed()],
    },
    Message {
        name: "opentelemetry.proto.collector.trace.v1.ExportTraceServiceResponse",
        fields: &[Field::new(1, "partial_success", "partialSuccess", Kind::Message(MessageId(49)))],
    },
    Message {
        name: "opentelemetry.proto.collector.trace.v1.ExportTracePartialSuccess",
        fields: &[
            Field::new(1, "rejected_spans", "rejectedSpans", Kind::Int64),
            Field::new(2, "error_message", "errorMessage", Kind::String),
        ],
    },
    Message {
        name: "opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceResponse",
        fields: &[Field::new(1, "partial_success", "partialSuccess", Kind::Message(MessageId(51)))],
    },
    Message {
        name: "opentelemetry.proto.collector.metrics.v1.ExportMetricsPartialSuccess",
        fields: &[
            Field::new(1, "rejected_data_points", "rejectedDataPoints", Kind::Int64),
            Field::new(2, "error_message", "errorMessage", Kind::String),
        ],
    },
    Message {
        name: "opentelemetry.proto.collector.logs.v1.ExportLogsServiceResponse",
        fields: &[Field::new(1, "partial_success", "partialSuccess", Kind::Message(MessageId(53)))],
    },
    Message {
        name: "opentelemetry.proto.collector.logs.v1.ExportLogsPartialSuccess",
        fields: &[
            Field::new(1, "rejected_log_records", "rejectedLogRecords", Kind::Int64),
            Field::new(2, "error_message", "errorMessage", Kind::String),
        ],
    },
    Message {
        name: "opentelemetry.proto.collector.profiles.v1development.ExportProfilesServiceResponse",
        fields: &[Field::new(1, "partial_success", "partialSuccess", Kind::Message(MessageId(55)))],
    },
    Message {
        name: "opentelemetry.proto.collector.profiles.v1development.ExportProfilesPartialSuccess",
        fields: &[
            Field::new(1, "rejected_profiles", "rejectedProfiles", Kind::Int64),
            Field::new(2, "error_message", "errorMessage", Kind::String),
        ],
    },
];

/// Every enum, by id.
pub static ENUMS: [Enum; 4] = [
    Enum {
        name: "opentelemetry.proto.trace.v1.Span.SpanKind",
        values: &[
            (0, "SPAN_KIND_UNSPECIFIED"),
            (1, "SPAN_KIND_INTERNAL"),
            (2, "SPAN_KIND_SERVER"),
            (3, "SPAN_KIND_CLIENT"),
            (4, "SPAN_KIND_PRODUCER"),
            (5, "SPAN_KIND_CONSUMER"),
        ],
    },
    Enum {
        name: "opentelemetry.proto.trace.v1.Status.StatusCode",
        values: &[(0, "STATUS_CODE_UNSET"), (1, "STATUS_CODE_OK"), (2, "STATUS_CODE_ERROR")],
    },
    Enum {
        name: "opentelemetry.proto.metrics.v1.AggregationTemporality",
        values: &[
            (0, "AGGREGATION_TEMPORALITY_UNSPECIFIED"),
            (1, "AGGREGATION_TEMPORALITY_DELTA"),
            (2, "AGGREGATION_TEMPORALITY_CUMULATIVE"),
        ],
    },
    Enum {
        name: "opentelemetry.proto.logs.v1.SeverityNumber",
        values: &[
            (0, "SEVERITY_NUMBER_UNSPECIFIED"),
            (1, "SEVERITY_NUMBER_TRACE"),
            (2, "SEVERITY_NUMBER_TRACE2"),
            (3, "SEVERITY_NUMBER_TRACE3"),
            (4, "SEVERITY_NUMBER_TRACE4"),
            (5, "SEVERITY_NUMBER_DEBUG"),
            (6, "SEVERITY_NUMBER_DEBUG2"),
            (7, "SEVERITY_NUMBER_DEBUG3"),
            (8, "SEVERITY_NUMBER_DEBUG4"),
            (9, "SEVERITY_NUMBER_INFO"),
            (10, "SEVERITY_NUMBER_INFO2"),
            (11, "SEVERITY_NUMBER_INFO3"),
            (12, "SEVERITY_NUMBER_INFO4"),
            (13, "SEVERITY_NUMBER_WARN"),
            (14, "SEVERITY_NUMBER_WARN2"),
            (15, "SEVERITY_NUMBER_WARN3"),
            (16, "SEVERITY_NUMBER_WARN4"),
            (17, "SEVERITY_NUMBER_ERROR"),
            (18, "SEVERITY_NUMBER_ERROR2"),
            (19, "SEVERITY_NUMBER_ERROR3"),
            (20, "SEVERITY_NUMBER_ERROR4"),
            (21, "SEVERITY_NUMBER_FATAL"),
            (22, "SEVERITY_NUMBER_FATAL2"),
            (23, "SEVERITY_NUMBER_FATAL3"),
            (24, "SEVERITY_NUMBER_FATAL4"),
        ],
    },
];
