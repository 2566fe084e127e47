//! What the store holds, in numbers.

use std::path::PathBuf;

/// The store at one instant.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Series in the head.
    pub series: usize,
    /// Chunks in the head, open and sealed.
    pub chunks: usize,
    /// Bytes of those chunks.
    pub chunk_bytes: usize,
    /// Bytes of the head in all, estimated.
    pub head_bytes: usize,
    /// Samples taken since the start.
    pub samples: u64,
    /// Samples refused because their series were past the limit, since the start.
    pub overflow_samples: u64,
    /// The time of the oldest sample in the head, in milliseconds since the Unix epoch.
    pub oldest_ms: Option<i64>,
    /// The time of the newest sample, likewise.
    pub newest_ms: Option<i64>,
    /// Metric names by series, most first; at most 20.
    pub offenders: Vec<Offender>,
    /// Files by name.
    pub files: Vec<FileSize>,
}

/// What labels cost in the head: each list most first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cardinality {
    /// Different pairs of a name and a value.
    pub label_pairs: usize,
    /// Series by metric name, as stored: a histogram with explicit bounds is one.
    pub series_by_metric: Vec<(String, u64)>,
    /// Different values by label name.
    pub values_by_label: Vec<(String, u64)>,
    /// Bytes of values by label name, counted for every series.
    pub bytes_by_label: Vec<(String, u64)>,
    /// Series by `name=value`.
    pub series_by_pair: Vec<(String, u64)>,
}

/// A metric name and what it costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offender {
    /// The metric's name.
    pub metric: String,
    /// Its series in the head.
    pub series: usize,
    /// How often a series of it was refused for the limit.
    pub refused: u64,
}

/// A file of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSize {
    /// Where it is.
    pub path: PathBuf,
    /// Its size, with what `SQLite` keeps beside it.
    pub bytes: u64,
}
