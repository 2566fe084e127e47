//! Whether a counter began anew between two samples.

use super::arithmetic::{onto, shared_bounds};
use super::bounds::bound;
use super::buckets::reduced;
use super::{Histogram, ResetHint};

impl Histogram {
    /// Whether a counter was reset between `previous` and this sample: a count or a bucket is
    /// smaller, a bucket in use is gone, or the resolution is finer than it was. The hint is
    /// believed where it knows.
    #[must_use]
    pub fn is_reset_after(&self, previous: &Self) -> bool {
        match self.reset_hint {
            ResetHint::Reset => return true,
            ResetHint::NotReset => return false,
            ResetHint::Unknown | ResetHint::Gauge => {}
        }
        if self.count < previous.count || (self.is_custom() && !previous.is_custom()) {
            return true;
        }
        if self.is_custom() {
            return self.custom_shrank(previous);
        }
        if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        let (zero_count, threshold) = previous.zero_count_at(self.zero_threshold);
        if threshold != self.zero_threshold || self.zero_count < zero_count {
            return true;
        }
        let by = previous.schema.abs_diff(self.schema);
        [(&self.positive.0, &previous.positive.0), (&self.negative.0, &previous.negative.0)]
            .into_iter()
            .any(|(own, before)| {
                let outside = |&(i, _): &(i32, f64)| bound(i, self.schema) <= self.zero_threshold;
                shrank(own, reduced(before, by).skip_while(outside))
            })
    }

    /// Sets the hint of a sample of a series as Prometheus' storage gives it back: a gauge stays one;
    /// a counter says that it was not reset where the sample before has the same layout and shows it.
    pub fn settle_hint(&mut self, previous: Option<&Self>) {
        if self.reset_hint == ResetHint::Gauge {
            return;
        }
        let told = std::mem::take(&mut self.reset_hint);
        let continues = previous.is_some_and(|previous| {
            told != ResetHint::Reset
                && previous.reset_hint != ResetHint::Gauge
                && !previous.is_stale()
                && self.schema == previous.schema
                && self.zero_threshold == previous.zero_threshold
                && self.bounds() == previous.bounds()
                && !self.is_reset_after(previous)
        });
        if continues {
            self.reset_hint = ResetHint::NotReset;
        }
    }

    fn custom_shrank(&self, previous: &Self) -> bool {
        let (own, before) = (self.bounds(), previous.bounds());
        if own == before {
            return shrank(&self.positive.0, previous.positive.0.iter().copied());
        }
        let shared = shared_bounds(own, before);
        let sums = |buckets: &[(i32, f64)], bounds: &[f64]| {
            let mut sums = vec![0.0; shared.len() + 1];
            for (at, count) in onto(buckets, bounds, &shared) {
                if let Some(sum) = usize::try_from(at).ok().and_then(|at| sums.get_mut(at)) {
                    *sum += count;
                }
            }
            sums
        };
        let now = sums(&self.positive.0, own);
        now.iter().zip(sums(&previous.positive.0, before)).any(|(now, before)| *now < before)
    }
}

/// Whether some bucket of `before` holds more than that of `now`.
fn shrank(now: &[(i32, f64)], before: impl Iterator<Item = (i32, f64)>) -> bool {
    let mut rest = now.iter().peekable();
    before.into_iter().any(|(index, count)| {
        while rest.next_if(|(i, _)| *i < index).is_some() {}
        match rest.peek() {
            Some((i, own)) if *i == index => *own < count,
            _ => count != 0.0,
        }
    })
}
