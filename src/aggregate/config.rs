//! Limits of the table of span metrics.

use std::time::Duration;

/// `aggregate` in the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The most series in all (`series_max`). Default 5,000; about 1 KiB each.
    pub series_max: usize,
    /// The most series of one service. Default 500.
    pub series_per_service_max: usize,
    /// A series without a span for this long is removed (`series_ttl`). Default 15 min; zero keeps
    /// series for ever.
    pub series_ttl: Duration,
    /// Label values are cut to this many bytes. Default 1 KiB.
    pub label_value_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            series_max: 5_000,
            series_per_service_max: 500,
            series_ttl: Duration::from_secs(15 * 60),
            label_value_bytes_max: 1 << 10,
        }
    }
}
