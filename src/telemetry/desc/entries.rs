//! The self-metrics of detailed entries.

use super::{Desc, Kind};

table! {
ENTRIES = Gauge("sidelight_entries", &["family"]),
    "Detailed entries kept, by family.";
ENTRIES_UTILIZATION = Gauge("sidelight_entries_utilization_ratio", &["family"]),
    "Share of what a family of detailed entries may hold, in entries or bytes, whichever is nearer.";
ENTRIES_EVICTED = Counter("sidelight_entries_evicted", &["family"]),
    "Detailed entries that went for newer ones.";
ENTRIES_EXPIRED = Counter("sidelight_entries_expired", &["family"]),
    "Detailed entries that went because they were older than store.entries_ttl.";
ENTRIES_SKIPPED = Counter("sidelight_entries_skipped", &[]),
    "Spans and log records not looked at for detailed entries because 1,000 of the same second were.";
}
