//! The sum or the mean of many histograms.

use super::arithmetic::{Added, Incompatible, Sum};
use super::{Histogram, ResetHint};

/// Sums up histograms, or averages them without overflow.
#[derive(Clone, Debug)]
pub(crate) struct Total {
    sum: Sum,
    count: f64,
    average: bool,
    /// Whether `sum` is the mean so far, since the sum would be infinite.
    incremental: bool,
    reset_seen: bool,
    not_reset_seen: bool,
    bounds_reconciled: bool,
}

impl Total {
    /// The sum of `first` alone, or the mean if `average`.
    pub(crate) fn new(first: &Histogram, average: bool) -> Self {
        let mut total = Self {
            sum: Sum::new(first),
            count: 1.0,
            average,
            incremental: false,
            reset_seen: false,
            not_reset_seen: false,
            bounds_reconciled: false,
        };
        total.see(first);
        total
    }

    fn see(&mut self, histogram: &Histogram) {
        self.reset_seen |= histogram.reset_hint == ResetHint::Reset;
        self.not_reset_seen |= histogram.reset_hint == ResetHint::NotReset;
    }

    /// Adds another.
    ///
    /// # Errors
    /// [`Incompatible`]: exponential and custom buckets are mixed; there is no total.
    pub(crate) fn add(&mut self, histogram: &Histogram) -> Result<(), Incompatible> {
        self.see(histogram);
        self.count += 1.0;
        if self.average && !self.incremental && self.sum.overflows_with(histogram) {
            self.incremental = true;
            self.sum.divide(self.count - 1.0);
        }
        let added = if self.incremental {
            self.sum.multiply((self.count - 1.0) / self.count);
            let mut part = histogram.clone();
            part.divide(self.count);
            self.sum.add(&part)?
        } else {
            self.sum.add(histogram)?
        };
        self.bounds_reconciled |= added.bounds_reconciled;
        Ok(())
    }

    /// The sum or the mean, and what there is to say about it.
    pub(crate) fn finish(mut self) -> (Histogram, Added) {
        if self.average && !self.incremental {
            self.sum.divide(self.count);
        }
        let added = Added {
            reset_collision: self.reset_seen && self.not_reset_seen,
            bounds_reconciled: self.bounds_reconciled,
        };
        (self.sum.total(), added)
    }
}
