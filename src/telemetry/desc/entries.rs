//! The self-metrics of detailed entries.

use super::{Desc, Kind};

table! {
/// Entries kept.
pub const ENTRIES: Desc = Desc {
    name: "sidelight_entries",
    kind: Kind::Gauge,
    help: "Detailed entries kept, by family.",
    labels: &["family"],
};
/// How full a family is.
pub const ENTRIES_UTILIZATION: Desc = Desc {
    name: "sidelight_entries_utilization_ratio",
    kind: Kind::Gauge,
    help: "Share of what a family of detailed entries may hold, in entries or bytes, whichever is nearer.",
    labels: &["family"],
};
/// Entries that newer ones pushed out.
pub const ENTRIES_EVICTED: Desc = Desc {
    name: "sidelight_entries_evicted",
    kind: Kind::Counter,
    help: "Detailed entries that went for newer ones.",
    labels: &["family"],
};
/// Entries past their time.
pub const ENTRIES_EXPIRED: Desc = Desc {
    name: "sidelight_entries_expired",
    kind: Kind::Counter,
    help: "Detailed entries that went because they were older than store.entries_ttl.",
    labels: &["family"],
};
/// Spans and log records that became no entry.
pub const ENTRIES_SKIPPED: Desc = Desc {
    name: "sidelight_entries_skipped",
    kind: Kind::Counter,
    help: "Spans and log records not looked at for detailed entries because 1,000 of the same second were.",
    labels: &[],
};
}
