//! The labels of series as queries want them. Those of series that are asked for again and again, by rules, are kept from one
//! query to the next: making them is a good part of reading a series, and readers at once wait for each other over the counts of
//! the texts that all series share.
//!
//! Limit: as much as series may take divided by [`SHARE`], beside it. What no query asked for from one checkpoint of its
//! series to the next goes.

use std::sync::atomic::Ordering;

use sidelight_promql::{Label, Labels};

use super::{Head, Series};

/// Labels that are kept take at most what series may divided by this.
const SHARE: usize = 4;

impl Head {
    /// The labels of a series.
    pub(in crate::store) fn labels(&self, series: &Series) -> Labels {
        let shared = |symbol| self.symbols.shared(symbol);
        let labels = series.labels.iter();
        Labels::sorted(
            labels.map(|&(name, value)| Label { name: shared(name), value: shared(value) }),
        )
    }

    /// The same, kept for the next who asks as long as someone does and there is room.
    pub(in crate::store) fn shared_labels(&self, series: &Series) -> Labels {
        if let Some(labels) = series.shared.get() {
            // Not written each time: those who read at once would wait for each other.
            if !series.asked.load(Ordering::Relaxed) {
                series.asked.store(true, Ordering::Relaxed);
            }
            return labels.clone();
        }
        let labels = self.labels(series);
        let bytes = Series::shared_bytes_of(&labels);
        // Read first: many who find no room would wait for each other over the count.
        if self.shared_bytes.load(Ordering::Relaxed) + bytes > self.memory.series / SHARE {
            return labels;
        }
        let before = self.shared_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > self.memory.series / SHARE || series.shared.set(labels.clone()).is_err()
        {
            self.shared_bytes.fetch_sub(bytes, Ordering::Relaxed);
        } else {
            series.asked.store(true, Ordering::Relaxed);
        }
        labels
    }

    /// What the labels take that are kept for queries.
    #[cfg(test)]
    pub(in crate::store) fn shared_bytes(&self) -> usize {
        self.shared_bytes.load(Ordering::Relaxed)
    }
}
