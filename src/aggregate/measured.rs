//! Calls and how long they took: what every series of spans counts.

use std::time::Duration;

use sidelight_exphist::{Histogram, MAX_BUCKETS, Placed};

use super::codec::{Read, put};

/// Latencies are recorded in this unit, the first bound of Tempo's buckets: the others are its
/// doubles, so that all are bounds of the exponential histogram and the classic one is exact.
pub(super) const UNIT: Duration = Duration::from_millis(2);
const UNIT_NANOS: f64 = 2e6;
/// 1.08 % error while a series' latencies are within a factor of 32, doubling as they spread.
const SCALE: i32 = 5;

/// Calls and latency of one series.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// Spans, each as often as it stands for.
    pub(super) calls: u64,
    /// Their durations in units of [`UNIT`], but for those that end before they start.
    pub(super) latency: Histogram,
}

/// How long a span took, for all that count it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Took {
    pub(super) nanos: u64,
    placed: Placed,
}

impl Took {
    #[inline]
    #[expect(clippy::cast_precision_loss, reason = "exact for durations below 104 days")]
    pub(super) fn of(nanos: u64) -> Self {
        Self { nanos, placed: Placed::of(nanos as f64 / UNIT_NANOS).unwrap_or_default() }
    }
}

impl Default for Measured {
    fn default() -> Self {
        Self { calls: 0, latency: Histogram::new(SCALE, MAX_BUCKETS) }
    }
}

impl Measured {
    /// Counts a span `n` times.
    #[inline]
    pub(super) fn add(&mut self, n: u64, took: Option<Took>) {
        self.calls = self.calls.saturating_add(n);
        if let Some(took) = took {
            self.latency.record_placed(took.placed, n);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.latency.merge(&other.latency);
    }

    pub(super) fn clear(&mut self) {
        self.calls = 0;
        self.latency.clear();
    }

    /// Writes it for a checkpoint.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put(out, self.calls);
        self.latency.encode(out);
    }

    /// What [`Measured::encode`] wrote.
    pub(super) fn decode(read: &mut Read<'_>) -> Option<Self> {
        let calls = read.number()?;
        let kept = read.histogram()?;
        // Merged, so that the limits are those of this version.
        let mut latency = Histogram::new(kept.scale(), MAX_BUCKETS);
        latency.merge(&kept);
        Some(Self { calls, latency })
    }
}
