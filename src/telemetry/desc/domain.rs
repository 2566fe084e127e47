//! The self-metrics of domain signals.

use super::{Desc, Kind};

table! {
/// What a better source said already.
pub const AGGREGATE_SOURCE_SUPPRESSED: Desc = Desc {
    name: "sidelight_aggregate_source_suppressed",
    kind: Kind::Counter,
    help: "Times that a metric, span or event was not counted because its instance has a better source of the family; \
           of series made of spans, each once in 5 s.",
    labels: &["family"],
};
/// Instances past the limit.
pub const AGGREGATE_REFUSED_RESOURCES: Desc = Desc {
    name: "sidelight_aggregate_refused_resources",
    kind: Kind::Counter,
    help: "Resources of requests of which no domain signals were derived because there were too many instances.",
    labels: &[],
};
/// What the derivation of domain signals had no room to remember.
pub const AGGREGATE_REFUSED_STATES: Desc = Desc {
    name: "sidelight_aggregate_refused_states",
    kind: Kind::Counter,
    help: "Points, queues and users of which no domain signals were derived because there was no room to remember them.",
    labels: &["of"],
};
/// Derived series on their way to destinations.
pub const AGGREGATE_EXPORTED_POINTS: Desc = Desc {
    name: "sidelight_aggregate_exported_points",
    kind: Kind::Counter,
    help: "Data points of derived series that the journal took for the exporters (aggregate.export).",
    labels: &[],
};
/// Derived series that did not get that far.
pub const AGGREGATE_EXPORT_DROPPED_POINTS: Desc = Desc {
    name: "sidelight_aggregate_export_dropped_points",
    kind: Kind::Counter,
    help: "Data points of derived series that were not exported, by why: queue_full, journal, or replayed for those of \
           before a restart. The next ones are cumulative.",
    labels: &["reason"],
};
/// Derived series past the limit.
pub const AGGREGATE_EXPORT_REFUSED_SERIES: Desc = Desc {
    name: "sidelight_aggregate_export_refused_series",
    kind: Kind::Counter,
    help: "Times that a derived series was not exported because there were too many.",
    labels: &[],
};
}
