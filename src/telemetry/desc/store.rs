//! The self-metrics of the metric store.

use super::{Desc, Kind};

table! {
STORE_SERIES = Gauge("sidelight_store_series", &[]),
    "Series in the metric store's memory.";
STORE_SERIES_LIMIT = Gauge("sidelight_store_series_limit", &[]),
    "The most received series in memory: store.series_max. The agent's own have three eighths of it beside.";
STORE_HEAD_BYTES = Gauge("sidelight_store_head_bytes", &[]),
    "Memory of the metric store's series, indexes and newest samples, estimated.";
STORE_OVERFLOW_SAMPLES = Counter("sidelight_store_overflow_samples", &[]),
    "Samples not stored because their series were past store.series_max. Stored as a series as well.";
STORE_REFUSED_SERIES = Counter("sidelight_store_refused_series", &["reason"]),
    "Times that a series was asked for and not made: store.series_max, the memory for labels, or a clash of fingerprints.";
STORE_UNWRITTEN_CHUNKS = Counter("sidelight_store_unwritten_chunks", &[]),
    "Chunks dropped from memory because no checkpoint could write them and their part of limits.memory was used up.";
STORE_DROPPED_FAMILIES = Counter("sidelight_store_dropped_families", &[]),
    "Metadata not kept because 5,000 families had some, or their part of limits.memory was used up.";
STORE_POINTS = Counter("sidelight_store_points", &[]),
    "Metric data points that became samples of the store.";
STORE_DROPPED_POINTS = Counter("sidelight_store_dropped_points", &["reason"]),
    "Metric data points that are not in the store, by reason; forwarding is not touched.";
STORE_CONFLICTING_POINTS = Counter("sidelight_store_conflicting_points", &[]),
    "Metric data points whose start time lies within time that their series had counted: two writers on one stream.";
STORE_EXEMPLARS = Counter("sidelight_store_exemplars", &[]),
    "Exemplars of metric data points handed to the store.";
STORE_CACHE_RESETS = Counter("sidelight_store_cache_resets", &[]),
    "Times that the way from data points to series was forgotten because it had grown to its limit.";
STORE_UNSAVED_RECORDS = Counter("sidelight_store_unsaved_records", &[]),
    "Records acknowledged to the journal though no checkpoint covers them, because too many waited for one.";
STORE_SKIPPED_RECORDS = Counter("sidelight_store_skipped_records", &[]),
    "Records passed over by the aggregator because two processes ended while they read them; forwarding is not touched.";
STORE_CHECKPOINT_FAILURES = Counter("sidelight_store_checkpoint_failures", &[]),
    "Checkpoints of the metric store that failed; each is tried again.";

STORE_DISK_BYTES = Gauge("sidelight_store_disk_bytes", &["tier"]),
    "Bytes of the store's files, by what they hold: raw samples, rows of 5m and 1h, and the state of the head.";
STORE_DISK_PINNED_BYTES = Gauge("sidelight_store_disk_pinned_bytes", &[]),
    "Bytes of the store's files that are written to, and of the state of the head: what retention cannot drop.";
STORE_DISK_LIMIT_BYTES = Gauge("sidelight_store_disk_limit_bytes", &[]),
    "The most bytes of the store's files: store.max_size.";
STORE_COMMITS = Counter("sidelight_store_checkpoints", &[]),
    "Checkpoints of the store that are durable.";
STORE_COMMIT_MICROSECONDS = Counter("sidelight_store_checkpoint_microseconds", &[]),
    "Time spent in checkpoints of the store, in microseconds.";
STORE_QUARANTINED_FILES = Counter("sidelight_store_quarantined_files", &[]),
    "Files of the store that could not be read and were renamed to `.corrupt-<n>`.";
STORE_CORRUPT_CHUNKS = Counter("sidelight_store_corrupt_chunks", &[]),
    "Chunks and rows in files of the store that could not be decoded and were left out.";
STORE_DROPPED_CHUNKS = Counter("sidelight_store_dropped_chunks", &[]),
    "Chunks that are older than samples are kept, or went because today's alone are above `store.max_size`.";
STORE_DROPPED_FILES = Counter("sidelight_store_dropped_files", &["tier", "reason"]),
    "Files of the store that retention dropped, for their age, for `store.max_size`, or for a disk of which less than 5 % is \
     free.";
STORE_ROLLED_DAYS = Counter("sidelight_store_rolled_days", &[]),
    "Days of samples that were rolled up, again for those with late samples.";
STORE_INBOX_REFUSED_SAMPLES = Counter("sidelight_store_inbox_refused_samples", &[]),
    "Samples of rules and of the host that are not in the store because too many waited for it.";
}
