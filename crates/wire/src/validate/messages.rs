//! One function for each message of OTLP requests, generated from `proto/` (opentelemetry-proto v1.10.0): do not edit.
//!
//! `UPDATE_GENERATED=1 cargo test -p sidelight-wire --test generated` writes this file. What the arms call is in
//! [`super::scan`]; what no arm names is a field that the schema does not know, or one in another wire type than its own.

use std::ops::Range;

use super::scan::{Checked, Scan};
use crate::{Signal, tables};

/// Reads a request of `signal`.
pub(super) fn request(signal: Signal, scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    match signal {
        Signal::Traces => collector_trace_export_trace_service_request(scan, within),
        Signal::Metrics => collector_metrics_export_metrics_service_request(scan, within),
        Signal::Logs => collector_logs_export_logs_service_request(scan, within),
        Signal::Profiles => collector_profiles_export_profiles_service_request(scan, within),
    }
}

/// `opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest`.
fn collector_trace_export_trace_service_request(
    scan: &mut Scan<'_>,
    within: Range<usize>,
) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.message(&mut at, trace_resource_spans)?, // resource_spans
            _ => scan.other(&mut at, key, &tables::COLLECTOR_TRACE_EXPORT_TRACE_SERVICE_REQUEST)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.trace.v1.ResourceSpans`.
fn trace_resource_spans(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.message(&mut at, resource_resource)?, // resource
            0x12 => scan.message(&mut at, trace_scope_spans)?, // scope_spans
            0x1a => scan.text(&mut at)?,                       // schema_url
            _ => scan.other(&mut at, key, &tables::TRACE_RESOURCE_SPANS)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.resource.v1.Resource`.
fn resource_resource(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.attributes(&mut at, common_key_value)?, // attributes
            0x10 => at.varint()?,                                // dropped_attributes_count
            0x1a => scan.message(&mut at, common_entity_ref)?,   // entity_refs
            _ => scan.other(&mut at, key, &tables::RESOURCE_RESOURCE)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.common.v1.KeyValue`.
fn common_key_value(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.text(&mut at)?,                      // key
            0x12 => scan.message(&mut at, common_any_value)?, // value
            0x18 => at.varint()?,                             // key_strindex
            _ => scan.other(&mut at, key, &tables::COMMON_KEY_VALUE)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.common.v1.AnyValue`.
fn common_any_value(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.text(&mut at)?,                           // string_value
            0x10 => at.varint()?,                                  // bool_value
            0x18 => at.varint()?,                                  // int_value
            0x21 => at.fixed64()?,                                 // double_value
            0x2a => scan.message(&mut at, common_array_value)?,    // array_value
            0x32 => scan.message(&mut at, common_key_value_list)?, // kvlist_value
            0x3a => at.bytes()?,                                   // bytes_value
            0x40 => at.varint()?,                                  // string_value_strindex
            _ => scan.other(&mut at, key, &tables::COMMON_ANY_VALUE)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.common.v1.ArrayValue`.
fn common_array_value(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.message(&mut at, common_any_value)?, // values
            _ => scan.other(&mut at, key, &tables::COMMON_ARRAY_VALUE)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.common.v1.KeyValueList`.
fn common_key_value_list(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.attributes(&mut at, common_key_value)?, // values
            _ => scan.other(&mut at, key, &tables::COMMON_KEY_VALUE_LIST)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.common.v1.EntityRef`.
fn common_entity_ref(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.text(&mut at)?, // schema_url
            0x12 => scan.text(&mut at)?, // type
            0x1a => scan.text(&mut at)?, // id_keys
            0x22 => scan.text(&mut at)?, // description_keys
            _ => scan.other(&mut at, key, &tables::COMMON_ENTITY_REF)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.trace.v1.ScopeSpans`.
fn trace_scope_spans(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.message(&mut at, common_instrumentation_scope)?, // scope
            0x12 => scan.item(&mut at, trace_span)?,                      // spans
            0x1a => scan.text(&mut at)?,                                  // schema_url
            _ => scan.other(&mut at, key, &tables::TRACE_SCOPE_SPANS)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.common.v1.InstrumentationScope`.
fn common_instrumentation_scope(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.text(&mut at)?,                         // name
            0x12 => scan.text(&mut at)?,                         // version
            0x1a => scan.attributes(&mut at, common_key_value)?, // attributes
            0x20 => at.varint()?,                                // dropped_attributes_count
            _ => scan.other(&mut at, key, &tables::COMMON_INSTRUMENTATION_SCOPE)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.trace.v1.Span`.
fn trace_span(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter_span(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.trace_id(&mut at)?,                     // trace_id
            0x12 => scan.span_id(&mut at)?,                      // span_id
            0x1a => scan.text(&mut at)?,                         // trace_state
            0x22 => scan.id::<8>(&mut at)?,                      // parent_span_id
            0x2a => scan.text(&mut at)?,                         // name
            0x30 => at.varint()?,                                // kind
            0x39 => at.fixed64()?,                               // start_time_unix_nano
            0x41 => at.fixed64()?,                               // end_time_unix_nano
            0x4a => scan.attributes(&mut at, common_key_value)?, // attributes
            0x50 => at.varint()?,                                // dropped_attributes_count
            0x5a => scan.message(&mut at, trace_span_event)?,    // events
            0x60 => at.varint()?,                                // dropped_events_count
            0x6a => scan.message(&mut at, trace_span_link)?,     // links
            0x70 => at.varint()?,                                // dropped_links_count
            0x7a => scan.message(&mut at, trace_status)?,        // status
            0x85 => at.fixed32()?,                               // flags
            _ => scan.other(&mut at, key, &tables::TRACE_SPAN)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.trace.v1.Span.Event`.
fn trace_span_event(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x09 => at.fixed64()?,                               // time_unix_nano
            0x12 => scan.text(&mut at)?,                         // name
            0x1a => scan.attributes(&mut at, common_key_value)?, // attributes
            0x20 => at.varint()?,                                // dropped_attributes_count
            _ => scan.other(&mut at, key, &tables::TRACE_SPAN_EVENT)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.trace.v1.Span.Link`.
fn trace_span_link(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.id::<16>(&mut at)?,                     // trace_id
            0x12 => scan.id::<8>(&mut at)?,                      // span_id
            0x1a => scan.text(&mut at)?,                         // trace_state
            0x22 => scan.attributes(&mut at, common_key_value)?, // attributes
            0x28 => at.varint()?,                                // dropped_attributes_count
            0x35 => at.fixed32()?,                               // flags
            _ => scan.other(&mut at, key, &tables::TRACE_SPAN_LINK)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.trace.v1.Status`.
fn trace_status(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x12 => scan.text(&mut at)?, // message
            0x18 => at.varint()?,        // code
            _ => scan.other(&mut at, key, &tables::TRACE_STATUS)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest`.
fn collector_metrics_export_metrics_service_request(
    scan: &mut Scan<'_>,
    within: Range<usize>,
) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.message(&mut at, metrics_resource_metrics)?, // resource_metrics
            _ => {
                scan.other(&mut at, key, &tables::COLLECTOR_METRICS_EXPORT_METRICS_SERVICE_REQUEST)?
            }
        }
    }
    Ok(())
}

/// `opentelemetry.proto.metrics.v1.ResourceMetrics`.
fn metrics_resource_metrics(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.message(&mut at, resource_resource)?, // resource
            0x12 => scan.message(&mut at, metrics_scope_metrics)?, // scope_metrics
            0x1a => scan.text(&mut at)?,                       // schema_url
            _ => scan.other(&mut at, key, &tables::METRICS_RESOURCE_METRICS)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.metrics.v1.ScopeMetrics`.
fn metrics_scope_metrics(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.message(&mut at, common_instrumentation_scope)?, // scope
            0x12 => scan.metric(&mut at, metrics_metric)?,                // metrics
            0x1a => scan.text(&mut at)?,                                  // schema_url
            _ => scan.other(&mut at, key, &tables::METRICS_SCOPE_METRICS)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.metrics.v1.Metric`.
fn metrics_metric(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.text(&mut at)?,                                // name
            0x12 => scan.text(&mut at)?,                                // description
            0x1a => scan.text(&mut at)?,                                // unit
            0x2a => scan.metric_data(&mut at, key, metrics_gauge)?,     // gauge
            0x3a => scan.metric_data(&mut at, key, metrics_sum)?,       // sum
            0x4a => scan.metric_data(&mut at, key, metrics_histogram)?, // histogram
            0x52 => scan.metric_data(&mut at, key, metrics_exponential_histogram)?, // exponential_histogram
            0x5a => scan.metric_data(&mut at, key, metrics_summary)?,               // summary
            0x62 => scan.attributes(&mut at, common_key_value)?,                    // metadata
            _ => scan.other(&mut at, key, &tables::METRICS_METRIC)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.metrics.v1.Gauge`.
fn metrics_gauge(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.item(&mut at, metrics_number_data_point)?, // data_points
            _ => scan.other(&mut at, key, &tables::METRICS_GAUGE)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.metrics.v1.NumberDataPoint`.
fn metrics_number_data_point(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x11 => at.fixed64()?,                               // start_time_unix_nano
            0x19 => at.fixed64()?,                               // time_unix_nano
            0x21 => at.fixed64()?,                               // as_double
            0x2a => scan.message(&mut at, metrics_exemplar)?,    // exemplars
            0x31 => at.fixed64()?,                               // as_int
            0x3a => scan.attributes(&mut at, common_key_value)?, // attributes
            0x40 => at.varint()?,                                // flags
            _ => scan.other(&mut at, key, &tables::METRICS_NUMBER_DATA_POINT)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.metrics.v1.Exemplar`.
fn metrics_exemplar(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x11 => at.fixed64()?,                               // time_unix_nano
            0x19 => at.fixed64()?,                               // as_double
            0x22 => scan.id::<8>(&mut at)?,                      // span_id
            0x2a => scan.id::<16>(&mut at)?,                     // trace_id
            0x31 => at.fixed64()?,                               // as_int
            0x3a => scan.attributes(&mut at, common_key_value)?, // filtered_attributes
            _ => scan.other(&mut at, key, &tables::METRICS_EXEMPLAR)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.metrics.v1.Sum`.
fn metrics_sum(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.item(&mut at, metrics_number_data_point)?, // data_points
            0x10 => at.varint()?,                                   // aggregation_temporality
            0x18 => at.varint()?,                                   // is_monotonic
            _ => scan.other(&mut at, key, &tables::METRICS_SUM)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.metrics.v1.Histogram`.
fn metrics_histogram(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.item(&mut at, metrics_histogram_data_point)?, // data_points
            0x10 => at.varint()?,                                      // aggregation_temporality
            _ => scan.other(&mut at, key, &tables::METRICS_HISTOGRAM)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.metrics.v1.HistogramDataPoint`.
fn metrics_histogram_data_point(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x11 => at.fixed64()?,                               // start_time_unix_nano
            0x19 => at.fixed64()?,                               // time_unix_nano
            0x21 => at.fixed64()?,                               // count
            0x29 => at.fixed64()?,                               // sum
            0x31 => at.fixed64()?,                               // bucket_counts
            0x32 => at.packed::<8>()?,                           // bucket_counts, packed
            0x39 => at.fixed64()?,                               // explicit_bounds
            0x3a => at.packed::<8>()?,                           // explicit_bounds, packed
            0x42 => scan.message(&mut at, metrics_exemplar)?,    // exemplars
            0x4a => scan.attributes(&mut at, common_key_value)?, // attributes
            0x50 => at.varint()?,                                // flags
            0x59 => at.fixed64()?,                               // min
            0x61 => at.fixed64()?,                               // max
            _ => scan.other(&mut at, key, &tables::METRICS_HISTOGRAM_DATA_POINT)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.metrics.v1.ExponentialHistogram`.
fn metrics_exponential_histogram(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.item(&mut at, metrics_exponential_histogram_data_point)?, // data_points
            0x10 => at.varint()?, // aggregation_temporality
            _ => scan.other(&mut at, key, &tables::METRICS_EXPONENTIAL_HISTOGRAM)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint`.
fn metrics_exponential_histogram_data_point(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.attributes(&mut at, common_key_value)?, // attributes
            0x11 => at.fixed64()?,                               // start_time_unix_nano
            0x19 => at.fixed64()?,                               // time_unix_nano
            0x21 => at.fixed64()?,                               // count
            0x29 => at.fixed64()?,                               // sum
            0x30 => at.varint()?,                                // scale
            0x39 => at.fixed64()?,                               // zero_count
            0x42 => scan.message(&mut at, metrics_exponential_histogram_data_point_buckets)?, // positive
            0x4a => scan.message(&mut at, metrics_exponential_histogram_data_point_buckets)?, // negative
            0x50 => at.varint()?,                             // flags
            0x5a => scan.message(&mut at, metrics_exemplar)?, // exemplars
            0x61 => at.fixed64()?,                            // min
            0x69 => at.fixed64()?,                            // max
            0x71 => at.fixed64()?,                            // zero_threshold
            _ => scan.other(&mut at, key, &tables::METRICS_EXPONENTIAL_HISTOGRAM_DATA_POINT)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint.Buckets`.
fn metrics_exponential_histogram_data_point_buckets(
    scan: &mut Scan<'_>,
    within: Range<usize>,
) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x08 => at.varint()?,         // offset
            0x10 => at.varint()?,         // bucket_counts
            0x12 => at.packed_varints()?, // bucket_counts, packed
            _ => {
                scan.other(&mut at, key, &tables::METRICS_EXPONENTIAL_HISTOGRAM_DATA_POINT_BUCKETS)?
            }
        }
    }
    Ok(())
}

/// `opentelemetry.proto.metrics.v1.Summary`.
fn metrics_summary(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.item(&mut at, metrics_summary_data_point)?, // data_points
            _ => scan.other(&mut at, key, &tables::METRICS_SUMMARY)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.metrics.v1.SummaryDataPoint`.
fn metrics_summary_data_point(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x11 => at.fixed64()?, // start_time_unix_nano
            0x19 => at.fixed64()?, // time_unix_nano
            0x21 => at.fixed64()?, // count
            0x29 => at.fixed64()?, // sum
            0x32 => scan.message(&mut at, metrics_summary_data_point_value_at_quantile)?, // quantile_values
            0x3a => scan.attributes(&mut at, common_key_value)?, // attributes
            0x40 => at.varint()?,                                // flags
            _ => scan.other(&mut at, key, &tables::METRICS_SUMMARY_DATA_POINT)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.metrics.v1.SummaryDataPoint.ValueAtQuantile`.
fn metrics_summary_data_point_value_at_quantile(
    scan: &mut Scan<'_>,
    within: Range<usize>,
) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x09 => at.fixed64()?, // quantile
            0x11 => at.fixed64()?, // value
            _ => scan.other(&mut at, key, &tables::METRICS_SUMMARY_DATA_POINT_VALUE_AT_QUANTILE)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest`.
fn collector_logs_export_logs_service_request(
    scan: &mut Scan<'_>,
    within: Range<usize>,
) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.message(&mut at, logs_resource_logs)?, // resource_logs
            _ => scan.other(&mut at, key, &tables::COLLECTOR_LOGS_EXPORT_LOGS_SERVICE_REQUEST)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.logs.v1.ResourceLogs`.
fn logs_resource_logs(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.message(&mut at, resource_resource)?, // resource
            0x12 => scan.message(&mut at, logs_scope_logs)?,   // scope_logs
            0x1a => scan.text(&mut at)?,                       // schema_url
            _ => scan.other(&mut at, key, &tables::LOGS_RESOURCE_LOGS)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.logs.v1.ScopeLogs`.
fn logs_scope_logs(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.message(&mut at, common_instrumentation_scope)?, // scope
            0x12 => scan.item(&mut at, logs_log_record)?,                 // log_records
            0x1a => scan.text(&mut at)?,                                  // schema_url
            _ => scan.other(&mut at, key, &tables::LOGS_SCOPE_LOGS)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.logs.v1.LogRecord`.
fn logs_log_record(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x09 => at.fixed64()?,                               // time_unix_nano
            0x10 => at.varint()?,                                // severity_number
            0x1a => scan.text(&mut at)?,                         // severity_text
            0x2a => scan.message(&mut at, common_any_value)?,    // body
            0x32 => scan.attributes(&mut at, common_key_value)?, // attributes
            0x38 => at.varint()?,                                // dropped_attributes_count
            0x45 => at.fixed32()?,                               // flags
            0x4a => scan.trace_id(&mut at)?,                     // trace_id
            0x52 => scan.span_id(&mut at)?,                      // span_id
            0x59 => at.fixed64()?,                               // observed_time_unix_nano
            0x62 => scan.text(&mut at)?,                         // event_name
            _ => scan.other(&mut at, key, &tables::LOGS_LOG_RECORD)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.collector.profiles.v1development.ExportProfilesServiceRequest`.
fn collector_profiles_export_profiles_service_request(
    scan: &mut Scan<'_>,
    within: Range<usize>,
) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.message(&mut at, profiles_resource_profiles)?, // resource_profiles
            0x12 => scan.message(&mut at, profiles_profiles_dictionary)?, // dictionary
            _ => scan.other(
                &mut at,
                key,
                &tables::COLLECTOR_PROFILES_EXPORT_PROFILES_SERVICE_REQUEST,
            )?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.profiles.v1development.ResourceProfiles`.
fn profiles_resource_profiles(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.message(&mut at, resource_resource)?, // resource
            0x12 => scan.message(&mut at, profiles_scope_profiles)?, // scope_profiles
            0x1a => scan.text(&mut at)?,                       // schema_url
            _ => scan.other(&mut at, key, &tables::PROFILES_RESOURCE_PROFILES)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.profiles.v1development.ScopeProfiles`.
fn profiles_scope_profiles(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.message(&mut at, common_instrumentation_scope)?, // scope
            0x12 => scan.item(&mut at, profiles_profile)?,                // profiles
            0x1a => scan.text(&mut at)?,                                  // schema_url
            _ => scan.other(&mut at, key, &tables::PROFILES_SCOPE_PROFILES)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.profiles.v1development.Profile`.
fn profiles_profile(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.message(&mut at, profiles_value_type)?, // sample_type
            0x12 => scan.message(&mut at, profiles_sample)?,     // samples
            0x19 => at.fixed64()?,                               // time_unix_nano
            0x20 => at.varint()?,                                // duration_nano
            0x2a => scan.message(&mut at, profiles_value_type)?, // period_type
            0x30 => at.varint()?,                                // period
            0x3a => scan.id::<16>(&mut at)?,                     // profile_id
            0x40 => at.varint()?,                                // dropped_attributes_count
            0x4a => scan.text(&mut at)?,                         // original_payload_format
            0x52 => at.bytes()?,                                 // original_payload
            0x58 => at.varint()?,                                // attribute_indices
            0x5a => at.packed_varints()?,                        // attribute_indices, packed
            _ => scan.other(&mut at, key, &tables::PROFILES_PROFILE)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.profiles.v1development.ValueType`.
fn profiles_value_type(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x08 => at.varint()?, // type_strindex
            0x10 => at.varint()?, // unit_strindex
            _ => scan.other(&mut at, key, &tables::PROFILES_VALUE_TYPE)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.profiles.v1development.Sample`.
fn profiles_sample(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x08 => at.varint()?,         // stack_index
            0x10 => at.varint()?,         // attribute_indices
            0x12 => at.packed_varints()?, // attribute_indices, packed
            0x18 => at.varint()?,         // link_index
            0x20 => at.varint()?,         // values
            0x22 => at.packed_varints()?, // values, packed
            0x29 => at.fixed64()?,        // timestamps_unix_nano
            0x2a => at.packed::<8>()?,    // timestamps_unix_nano, packed
            _ => scan.other(&mut at, key, &tables::PROFILES_SAMPLE)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.profiles.v1development.ProfilesDictionary`.
fn profiles_profiles_dictionary(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.message(&mut at, profiles_mapping)?, // mapping_table
            0x12 => scan.message(&mut at, profiles_location)?, // location_table
            0x1a => scan.message(&mut at, profiles_function)?, // function_table
            0x22 => scan.message(&mut at, profiles_link)?,    // link_table
            0x2a => scan.text(&mut at)?,                      // string_table
            0x32 => scan.message(&mut at, profiles_key_value_and_unit)?, // attribute_table
            0x3a => scan.message(&mut at, profiles_stack)?,   // stack_table
            _ => scan.other(&mut at, key, &tables::PROFILES_PROFILES_DICTIONARY)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.profiles.v1development.Mapping`.
fn profiles_mapping(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x08 => at.varint()?,         // memory_start
            0x10 => at.varint()?,         // memory_limit
            0x18 => at.varint()?,         // file_offset
            0x20 => at.varint()?,         // filename_strindex
            0x28 => at.varint()?,         // attribute_indices
            0x2a => at.packed_varints()?, // attribute_indices, packed
            _ => scan.other(&mut at, key, &tables::PROFILES_MAPPING)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.profiles.v1development.Location`.
fn profiles_location(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x08 => at.varint()?,                          // mapping_index
            0x10 => at.varint()?,                          // address
            0x1a => scan.message(&mut at, profiles_line)?, // lines
            0x20 => at.varint()?,                          // attribute_indices
            0x22 => at.packed_varints()?,                  // attribute_indices, packed
            _ => scan.other(&mut at, key, &tables::PROFILES_LOCATION)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.profiles.v1development.Line`.
fn profiles_line(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x08 => at.varint()?, // function_index
            0x10 => at.varint()?, // line
            0x18 => at.varint()?, // column
            _ => scan.other(&mut at, key, &tables::PROFILES_LINE)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.profiles.v1development.Function`.
fn profiles_function(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x08 => at.varint()?, // name_strindex
            0x10 => at.varint()?, // system_name_strindex
            0x18 => at.varint()?, // filename_strindex
            0x20 => at.varint()?, // start_line
            _ => scan.other(&mut at, key, &tables::PROFILES_FUNCTION)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.profiles.v1development.Link`.
fn profiles_link(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x0a => scan.id::<16>(&mut at)?, // trace_id
            0x12 => scan.id::<8>(&mut at)?,  // span_id
            _ => scan.other(&mut at, key, &tables::PROFILES_LINK)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.profiles.v1development.KeyValueAndUnit`.
fn profiles_key_value_and_unit(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x08 => at.varint()?,                             // key_strindex
            0x12 => scan.message(&mut at, common_any_value)?, // value
            0x18 => at.varint()?,                             // unit_strindex
            _ => scan.other(&mut at, key, &tables::PROFILES_KEY_VALUE_AND_UNIT)?,
        }
    }
    Ok(())
}

/// `opentelemetry.proto.profiles.v1development.Stack`.
fn profiles_stack(scan: &mut Scan<'_>, within: Range<usize>) -> Checked {
    let mut at = scan.enter(within);
    while let Some(key) = at.key()? {
        match key {
            0x08 => at.varint()?,         // location_indices
            0x0a => at.packed_varints()?, // location_indices, packed
            _ => scan.other(&mut at, key, &tables::PROFILES_STACK)?,
        }
    }
    Ok(())
}
