//! The self-metrics of domain signals.

use super::{Desc, Kind};

table! {
AGGREGATE_SOURCE_SUPPRESSED = Counter("sidelight_aggregate_source_suppressed", &["family"]),
    "Times that a metric, span or event was not counted because its instance has a better source of the family; of series \
     made of spans, each once in 5 s.";
AGGREGATE_REFUSED_RESOURCES = Counter("sidelight_aggregate_refused_resources", &[]),
    "Resources of requests of which no domain signals were derived because there were too many instances.";
AGGREGATE_REFUSED_STATES = Counter("sidelight_aggregate_refused_states", &["of"]),
    "Points, queues and users of which no domain signals were derived because there was no room to remember them.";
AGGREGATE_EXPORTED_POINTS = Counter("sidelight_aggregate_exported_points", &[]),
    "Data points of derived series that the journal took for the exporters (aggregate.export).";
AGGREGATE_EXPORT_DROPPED_POINTS = Counter("sidelight_aggregate_export_dropped_points", &["reason"]),
    "Data points of derived series that were not exported, by why: queue_full, journal, or replayed for those of before a \
     restart. The next ones are cumulative.";
AGGREGATE_EXPORT_REFUSED_SERIES = Counter("sidelight_aggregate_export_refused_series", &[]),
    "Times that a derived series was not exported because there were too many.";
}
