//! Histograms with explicit bounds: what is checked before one is stored. Pure.
//!
//! One bucket more than bounds (or neither), bounds ascending, counts that add up. A last bound of +Inf is folded into the
//! bucket that every histogram has. Minimum and maximum have no place in Prometheus and are left out.

use sidelight_exphist::Histogram;
use sidelight_wire::view::metrics::HistogramDataPoint;

use super::drops::Reason;
use crate::store::Classic;

/// The most bounds of one histogram.
pub const BOUNDS_MAX: usize = 1_024;

/// One histogram, reused from point to point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets {
    /// Upper bounds, inclusive, ascending, finite or -Inf; the last bucket has none.
    pub bounds: Vec<f64>,
    /// Per bucket, not cumulative: one more than there are bounds.
    pub counts: Vec<u64>,
    /// The sum, where it was recorded.
    pub sum: Option<f64>,
    /// All of them.
    pub count: u64,
}

impl Buckets {
    /// As the store takes it.
    #[must_use]
    pub fn as_stored(&self) -> Classic<'_> {
        let Self { bounds, counts, sum, count } = self;
        Classic { bounds, counts, sum: *sum, count: *count }
    }

    /// Reads a point over what was here.
    ///
    /// # Errors
    /// Why the point is not stored; what is here is void.
    pub fn read(&mut self, point: &HistogramDataPoint<'_>) -> Result<(), Reason> {
        self.bounds.clear();
        self.bounds.extend(point.explicit_bounds().take(BOUNDS_MAX + 1));
        self.counts.clear();
        self.counts.extend(point.bucket_counts().take(BOUNDS_MAX + 2));
        (self.sum, self.count) = (point.sum, point.count);
        if self.counts.is_empty() && self.bounds.is_empty() {
            self.counts.push(self.count);
        }
        let ascending = self.bounds.is_sorted_by(|a, b| a < b);
        if self.bounds.len() > BOUNDS_MAX || !ascending || self.bounds.iter().any(|b| b.is_nan()) {
            return Err(Reason::HistogramBounds);
        }
        let total = self.counts.iter().try_fold(0_u64, |sum, &count| sum.checked_add(count));
        if self.counts.len() != self.bounds.len() + 1 || total != Some(self.count) {
            return Err(Reason::HistogramCounts);
        }
        if self.bounds.last() == Some(&f64::INFINITY) {
            self.bounds.pop();
            let last = self.counts.pop().unwrap_or(0);
            if let Some(before) = self.counts.last_mut() {
                *before += last;
            }
        }
        Ok(())
    }

    /// Writes what an exponential histogram has below each of `bounds` over what was here: wrong by at most one of its buckets.
    pub fn put(&mut self, histogram: &Histogram, bounds: impl Iterator<Item = f64>) {
        self.bounds.clear();
        self.bounds.extend(bounds);
        self.counts.clear();
        let mut below = 0;
        for bound in &self.bounds {
            let up_to = histogram.count_to(*bound);
            self.counts.push(up_to.saturating_sub(below));
            below = up_to;
        }
        (self.count, self.sum) = (histogram.count(), Some(histogram.sum()));
        self.counts.push(self.count.saturating_sub(below));
    }

    /// The same bounds with nothing counted.
    pub fn clear_counts(&mut self) {
        self.counts.fill(0);
        (self.count, self.sum) = (0, self.sum.map(|_| 0.0));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::histogram_point;
    use super::*;

    fn read(bounds: &[f64], counts: &[u64], count: u64) -> Result<Buckets, Reason> {
        let mut classic = Buckets::default();
        histogram_point(bounds, counts, count, Some(1.5), |point| classic.read(&point))?;
        Ok(classic)
    }

    #[test]
    fn a_histogram_that_contradicts_itself_is_not_stored() {
        use Reason::{HistogramBounds as Bounds, HistogramCounts as Counts};
        let nan = f64::NAN;
        let many: Vec<f64> = (0..=BOUNDS_MAX).map(|i| i as f64).collect();
        for (bounds, counts, count, expected) in [
            (&[1.0, 2.0][..], &[1, 2, 3][..], 6, None),
            (&[], &[4], 4, None),
            (&[], &[], 4, None),
            (&[1.0, 2.0], &[1, 2, 3], 7, Some(Counts)),
            (&[1.0, 2.0], &[1, 2], 3, Some(Counts)),
            (&[1.0], &[], 3, Some(Counts)),
            (&[1.0], &[u64::MAX, 2], 1, Some(Counts)),
            (&[2.0, 1.0], &[1, 2, 3], 6, Some(Bounds)),
            (&[1.0, 1.0], &[1, 2, 3], 6, Some(Bounds)),
            (&[nan], &[1, 2], 3, Some(Bounds)),
            (&[1.0, nan], &[1, 2, 3], 6, Some(Bounds)),
            (&many, &[1], 1, Some(Bounds)),
        ] {
            assert_eq!(read(bounds, counts, count).err(), expected, "{bounds:?} {counts:?}");
        }
    }

    #[test]
    fn a_last_bound_of_infinity_is_the_bucket_that_is_there_anyway() {
        let classic = read(&[1.0, f64::INFINITY], &[1, 2, 0], 3).unwrap();
        assert_eq!((classic.bounds, classic.counts), (vec![1.0], vec![1, 2]));
    }
}
