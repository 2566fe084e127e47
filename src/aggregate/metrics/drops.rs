//! Why a point is not in the store, each reason with its counter.

use crate::telemetry::{Counter, Registry, desc};

/// Declares the reasons with their names in labels.
macro_rules! reasons {
    ($($(#[$doc:meta])* $reason:ident = $name:literal,)*) => {
        /// Why a data point is not stored. Forwarding is never touched.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reason {
            $($(#[$doc])* $reason,)*
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$reason),*];

            /// The name in labels.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$reason => $name,)*
                }
            }
        }
    };
}

reasons! {
    /// Nothing of the metric's name can be written, or it is above 1 KiB.
    MetricName = "metric_name",
    /// A name that only the agent itself makes series of.
    ReservedName = "reserved_name",
    /// Nothing of an attribute's key can be written, or it is above 1 KiB.
    LabelName = "label_name",
    /// More than 256 attributes.
    Attributes = "attributes",
    /// A sum or histogram that is neither delta nor cumulative.
    Temporality = "temporality",
    /// A number without a value, or a kind of data this version does not know.
    NoValue = "no_value",
    /// `time_unix_nano` is 0.
    NoTime = "no_time",
    /// A histogram whose buckets do not add up to its count, or are not one more than its bounds.
    HistogramCounts = "histogram_counts",
    /// Bounds that do not ascend, or more buckets than are read.
    HistogramBounds = "histogram_bounds",
    /// A scale below -4 or above 20, or a bucket beyond every finite value.
    HistogramScale = "histogram_scale",
    /// A delta point that repeats or precedes what was counted.
    DeltaLate = "delta_late",
    /// A delta point over time that was counted: two writers on one stream.
    DeltaOverlap = "delta_overlap",
    /// A delta that is not a number or not finite, or a counter's that is negative.
    DeltaValue = "delta_value",
    /// Before the last sample of its series.
    OutOfOrder = "out_of_order",
    /// Its series has the same sample.
    Duplicate = "duplicate",
    /// Its series has another value at the same time: two writers.
    Conflict = "conflict",
    /// Too far ahead of the time of receipt.
    FarFuture = "far_future",
    /// Older than the store takes.
    TooOld = "too_old",
    /// A series past the store's limit.
    Overflow = "overflow",
    /// A histogram whose bounds have no room in the store's memory.
    Memory = "memory",
    /// Not what its series holds.
    Malformed = "malformed",
    /// Its series left the store while it was translated.
    Gone = "gone",
}

/// A counter for each reason, made at the first drop.
#[derive(Debug)]
pub(super) struct Drops {
    registry: Registry,
    counters: [Option<Counter>; Reason::ALL.len()],
}

impl Drops {
    pub(super) fn new(registry: &Registry) -> Self {
        Self { registry: registry.clone(), counters: [const { None }; Reason::ALL.len()] }
    }

    pub(super) fn count(&mut self, reason: Reason, points: u64) {
        if let Some(slot) = self.counters.get_mut(reason as usize) {
            let make = || self.registry.counter(&desc::STORE_DROPPED_POINTS, &[reason.name()]);
            slot.get_or_insert_with(make).add(points);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_documented() {
        let document = include_str!("../../../docs/otlp-to-prometheus.md");
        for reason in Reason::ALL {
            assert!(document.contains(&format!("`{}`", reason.name())), "{reason:?}");
        }
    }
}
