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
}
