//! One side's buckets: a dense run of counts that begins at some index.

/// Counts by bucket index. The first and the last count are not zero unless it was cleared.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Buckets {
    first: i32,
    counts: Vec<u64>,
}

impl Buckets {
    /// The run `counts` from index `first`, without the zeros at both ends.
    pub(crate) fn trimmed(first: i32, counts: &[u64]) -> Self {
        let lead = counts.iter().take_while(|&&n| n == 0).count();
        let (_, rest) = counts.split_at(lead);
        let kept = rest.iter().rposition(|&n| n > 0).map_or(0, |last| last + 1);
        let counts = rest.iter().take(kept).copied().collect();
        Self { first: first.saturating_add(i32::try_from(lead).unwrap_or(i32::MAX)), counts }
    }

    /// Adds `n` to the bucket `index` when it is within the run.
    #[inline]
    pub(crate) fn add(&mut self, index: i32, n: u64) -> bool {
        let slot = usize::try_from(i64::from(index) - i64::from(self.first));
        let Some(count) = slot.ok().and_then(|slot| self.counts.get_mut(slot)) else {
            return false;
        };
        *count = count.saturating_add(n);
        true
    }

    /// Adds `n` to the bucket `index`, extending the run to it. The caller has made sure that this
    /// stays within the limit.
    pub(crate) fn grow_and_add(&mut self, index: i32, n: u64) {
        self.cover(index, index);
        self.add(index, n);
    }

    fn cover(&mut self, low: i32, high: i32) {
        if self.counts.is_empty() {
            self.first = low;
        }
        let before = width(low, self.first) - 1;
        if before > 0 {
            self.counts.splice(0..0, std::iter::repeat_n(0, usize::try_from(before).unwrap_or(0)));
            self.first = low;
        }
        let needed = usize::try_from(width(self.first, high)).unwrap_or(0);
        if needed > self.counts.len() {
            self.counts.resize(needed, 0);
        }
    }

    /// The last index of the run; meaningless when it is empty.
    fn last(&self) -> i32 {
        let length = i32::try_from(self.counts.len()).unwrap_or(i32::MAX);
        self.first.saturating_add(length - 1)
    }

    /// By how many halvings the resolution must fall before `index` fits within `max` buckets.
    pub(crate) fn shift_to_take(&self, index: i32, max: u32) -> u32 {
        if self.counts.is_empty() {
            return 0;
        }
        shift_to_fit(self.first.min(index), self.last().max(index), max)
    }

    /// The same for the union with `other`, whose indexes are shifted right by `down` first.
    pub(crate) fn shift_to_join(&self, other: &Self, down: u32, max: u32) -> u32 {
        if other.counts.is_empty() {
            return 0;
        }
        let (low, high) = (shifted(other.first, down), shifted(other.last(), down));
        if self.counts.is_empty() {
            return shift_to_fit(low, high, max);
        }
        shift_to_fit(self.first.min(low), self.last().max(high), max)
    }

    /// Adds the counts of `other`, whose indexes are shifted right by `down`.
    pub(crate) fn join(&mut self, other: &Self, down: u32) {
        if !other.counts.is_empty() {
            self.cover(shifted(other.first, down), shifted(other.last(), down));
            for (index, count) in other.iter().filter(|&(_, count)| count > 0) {
                self.add(shifted(index, down), count);
            }
        }
    }

    /// Merges `2^by` neighbours into one.
    pub(crate) fn downscale(&mut self, by: u32) {
        let old = std::mem::take(self);
        self.counts = Vec::with_capacity(old.counts.len());
        self.join(&old, by);
    }

    /// Empties the buckets up to and including `last`; returns their total and whether the bucket
    /// `last` itself was in use.
    pub(crate) fn drain_through(&mut self, last: i32) -> (u64, bool) {
        let total = self.total_through(last);
        let used = self.iter().any(|(index, count)| index == last && count > 0);
        if total > 0 {
            let kept: Vec<u64> = self.iter().filter(|&(i, _)| i > last).map(|(_, n)| n).collect();
            *self = Self::trimmed(self.first.max(last.saturating_add(1)), &kept);
        }
        (total, used)
    }

    /// The sum of the counts up to and including the bucket `last`.
    pub(crate) fn total_through(&self, last: i32) -> u64 {
        let length = usize::try_from(width(self.first, last)).unwrap_or(0);
        self.counts.iter().take(length).fold(0, |sum, &n| sum.saturating_add(n))
    }

    /// The sum of all counts.
    pub(crate) fn total(&self) -> u64 {
        self.counts.iter().fold(0, |sum, &n| sum.saturating_add(n))
    }

    /// The sum of all counts, unless it is too large.
    pub(crate) fn checked_total(&self) -> Option<u64> {
        self.counts.iter().try_fold(0_u64, |sum, &n| sum.checked_add(n))
    }

    /// Indexes and counts, ascending.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (i32, u64)> {
        let first = self.first;
        let indexed = self.counts.iter().enumerate();
        indexed.map(move |(i, &n)| (first.saturating_add(i32::try_from(i).unwrap_or(i32::MAX)), n))
    }

    pub(crate) fn as_parts(&self) -> (i32, &[u64]) {
        (self.first, &self.counts)
    }

    pub(crate) fn clear(&mut self) {
        self.counts.clear();
    }
}

/// The number of indexes from `low` to `high`, both included; at most 0 when `high` is below.
fn width(low: i32, high: i32) -> i64 {
    i64::from(high) - i64::from(low) + 1
}

fn shifted(index: i32, by: u32) -> i32 {
    index >> by.min(31)
}

fn shift_to_fit(low: i32, high: i32, max: u32) -> u32 {
    let mut shift = 0;
    while width(shifted(low, shift), shifted(high, shift)) > i64::from(max) {
        shift += 1;
    }
    shift
}
