//! The self-metrics of the metric store.

use super::{Desc, Kind};

table! {
/// Series in the store's head.
pub const STORE_SERIES: Desc = Desc {
    name: "sidelight_store_series",
    kind: Kind::Gauge,
    help: "Series in the metric store's memory.",
    labels: &[],
};
/// The most series.
pub const STORE_SERIES_LIMIT: Desc = Desc {
    name: "sidelight_store_series_limit",
    kind: Kind::Gauge,
    help: "The most received series in memory: store.series_max. The agent's own have three eighths of it beside.",
    labels: &[],
};
/// Memory of the store's head.
pub const STORE_HEAD_BYTES: Desc = Desc {
    name: "sidelight_store_head_bytes",
    kind: Kind::Gauge,
    help: "Memory of the metric store's series, indexes and newest samples, estimated.",
    labels: &[],
};
/// Samples past the limit of series.
pub const STORE_OVERFLOW_SAMPLES: Desc = Desc {
    name: "sidelight_store_overflow_samples",
    kind: Kind::Counter,
    help: "Samples not stored because their series were past store.series_max. Stored as a series as well.",
    labels: &[],
};
/// Series past a limit.
pub const STORE_REFUSED_SERIES: Desc = Desc {
    name: "sidelight_store_refused_series",
    kind: Kind::Counter,
    help: "Times that a series was asked for and not made: store.series_max, the memory for labels, or a clash of fingerprints.",
    labels: &["reason"],
};
/// Chunks that no checkpoint could take.
pub const STORE_UNWRITTEN_CHUNKS: Desc = Desc {
    name: "sidelight_store_unwritten_chunks",
    kind: Kind::Counter,
    help: "Chunks dropped from memory because no checkpoint could write them and their part of limits.memory was used up.",
    labels: &[],
};
/// Metadata past the limit.
pub const STORE_DROPPED_FAMILIES: Desc = Desc {
    name: "sidelight_store_dropped_families",
    kind: Kind::Counter,
    help: "Metadata not kept because 5,000 families had some, or their part of limits.memory was used up.",
    labels: &[],
};
/// Data points that became samples.
pub const STORE_POINTS: Desc = Desc {
    name: "sidelight_store_points",
    kind: Kind::Counter,
    help: "Metric data points that became samples of the store.",
    labels: &[],
};
/// Data points that did not.
pub const STORE_DROPPED_POINTS: Desc = Desc {
    name: "sidelight_store_dropped_points",
    kind: Kind::Counter,
    help: "Metric data points that are not in the store, by reason; forwarding is not touched.",
    labels: &["reason"],
};
/// Two writers on one stream.
pub const STORE_CONFLICTING_POINTS: Desc = Desc {
    name: "sidelight_store_conflicting_points",
    kind: Kind::Counter,
    help: "Metric data points whose start time lies within time that their series had counted: two writers on one stream.",
    labels: &[],
};
/// Exemplars read from metrics.
pub const STORE_EXEMPLARS: Desc = Desc {
    name: "sidelight_store_exemplars",
    kind: Kind::Counter,
    help: "Exemplars of metric data points handed to the store.",
    labels: &[],
};
/// What is remembered of points was forgotten.
pub const STORE_CACHE_RESETS: Desc = Desc {
    name: "sidelight_store_cache_resets",
    kind: Kind::Counter,
    help: "Times that the way from data points to series was forgotten because it had grown to its limit.",
    labels: &[],
};
/// Records acknowledged without a checkpoint.
pub const STORE_UNSAVED_RECORDS: Desc = Desc {
    name: "sidelight_store_unsaved_records",
    kind: Kind::Counter,
    help: "Records acknowledged to the journal though no checkpoint covers them, because too many waited for one.",
    labels: &[],
};
/// Records that ended the process.
pub const STORE_SKIPPED_RECORDS: Desc = Desc {
    name: "sidelight_store_skipped_records",
    kind: Kind::Counter,
    help: "Records passed over by the aggregator because two processes ended while they read them; forwarding is not touched.",
    labels: &[],
};
/// Checkpoints that failed.
pub const STORE_CHECKPOINT_FAILURES: Desc = Desc {
    name: "sidelight_store_checkpoint_failures",
    kind: Kind::Counter,
    help: "Checkpoints of the metric store that failed; each is tried again.",
    labels: &[],
};

/// What the store takes on disk.
pub const STORE_DISK_BYTES: Desc = Desc {
    name: "sidelight_store_disk_bytes",
    kind: Kind::Gauge,
    help: "Bytes of the store's files, by what they hold: raw samples, rows of 5m and 1h, and the state of the head.",
    labels: &["tier"],
};
/// What of it stays.
pub const STORE_DISK_PINNED_BYTES: Desc = Desc {
    name: "sidelight_store_disk_pinned_bytes",
    kind: Kind::Gauge,
    help: "Bytes of the store's files that are written to, and of the state of the head: what retention cannot drop.",
    labels: &[],
};
/// The most that the store may take on disk.
pub const STORE_DISK_LIMIT_BYTES: Desc = Desc {
    name: "sidelight_store_disk_limit_bytes",
    kind: Kind::Gauge,
    help: "The most bytes of the store's files: store.max_size.",
    labels: &[],
};
/// Checkpoints.
pub const STORE_COMMITS: Desc = Desc {
    name: "sidelight_store_checkpoints",
    kind: Kind::Counter,
    help: "Checkpoints of the store that are durable.",
    labels: &[],
};
/// Time in checkpoints.
pub const STORE_COMMIT_MICROSECONDS: Desc = Desc {
    name: "sidelight_store_checkpoint_microseconds",
    kind: Kind::Counter,
    help: "Time spent in checkpoints of the store, in microseconds.",
    labels: &[],
};
/// Files that could not be read.
pub const STORE_QUARANTINED_FILES: Desc = Desc {
    name: "sidelight_store_quarantined_files",
    kind: Kind::Counter,
    help: "Files of the store that could not be read and were renamed to `.corrupt-<n>`.",
    labels: &[],
};
/// Chunks that could not be read.
pub const STORE_CORRUPT_CHUNKS: Desc = Desc {
    name: "sidelight_store_corrupt_chunks",
    kind: Kind::Counter,
    help: "Chunks and rows in files of the store that could not be decoded and were left out.",
    labels: &[],
};
/// Chunks that found no room.
pub const STORE_DROPPED_CHUNKS: Desc = Desc {
    name: "sidelight_store_dropped_chunks",
    kind: Kind::Counter,
    help: "Chunks that are older than samples are kept, or went because today's alone are above `store.max_size`.",
    labels: &[],
};
/// Files that went.
pub const STORE_DROPPED_FILES: Desc = Desc {
    name: "sidelight_store_dropped_files",
    kind: Kind::Counter,
    help: "Files of the store that retention dropped, for their age, for `store.max_size`, or for a disk of which less \
           than 5 % is free.",
    labels: &["tier", "reason"],
};
/// Days rolled up.
pub const STORE_ROLLED_DAYS: Desc = Desc {
    name: "sidelight_store_rolled_days",
    kind: Kind::Counter,
    help: "Days of samples that were rolled up, again for those with late samples.",
    labels: &[],
};
/// Samples of the agent's own that found no room.
pub const STORE_INBOX_REFUSED_SAMPLES: Desc = Desc {
    name: "sidelight_store_inbox_refused_samples",
    kind: Kind::Counter,
    help: "Samples of rules and of the host that are not in the store because too many waited for it.",
    labels: &[],
};
}
