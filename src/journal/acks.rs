//! Which sequences one reader has settled: a contiguous watermark and ranges above it. Pure.
//!
//! Invariants: ranges are disjoint, not adjacent, not empty and lie above the watermark. Cost:
//! O(log ranges) per insertion. Limit: at [`MAX_RANGES`] the reader gets nothing new, so neither memory nor an ack
//! record can grow without bound.

use std::collections::BTreeMap;
use std::ops::Range;

/// Ranges above the watermark that one reader may have before it gets nothing above them.
pub(super) const MAX_RANGES: usize = 16_384;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Acks {
    watermark: u64,
    /// Start to end, the end excluded.
    ranges: BTreeMap<u64, u64>,
}

impl Acks {
    /// Everything below `watermark` is settled.
    pub(super) fn below(watermark: u64) -> Self {
        Self { watermark, ranges: BTreeMap::new() }
    }

    /// The first sequence that is not settled.
    pub(super) fn watermark(&self) -> u64 {
        self.watermark
    }

    /// Settled ranges above the watermark, ascending.
    pub(super) fn ranges(&self) -> impl ExactSizeIterator<Item = Range<u64>> {
        self.ranges.iter().map(|(&start, &end)| start..end)
    }

    pub(super) fn contains(&self, seq: u64) -> bool {
        seq < self.watermark
            || self.ranges.range(..=seq).next_back().is_some_and(|(_, &end)| seq < end)
    }

    /// How many sequences of `range` are not settled.
    pub(super) fn unsettled(&self, range: Range<u64>) -> u64 {
        let (start, end) = (range.start.max(self.watermark), range.end);
        let within = |(&from, &to): (&u64, &u64)| to.min(end).saturating_sub(from.max(start));
        let settled: u64 = self.ranges.range(..end.max(start)).map(within).sum();
        end.saturating_sub(start) - settled
    }

    /// The first sequence at or above `seq` that is not settled.
    pub(super) fn next_unsettled(&self, seq: u64) -> u64 {
        let seq = seq.max(self.watermark);
        match self.ranges.range(..=seq).next_back() {
            Some((_, &end)) if seq < end => end,
            _ => seq,
        }
    }

    pub(super) fn insert(&mut self, range: Range<u64>) {
        let (mut start, mut end) = (range.start, range.end);
        if start >= end || end <= self.watermark {
            return;
        }
        if let Some((&before, &before_end)) = self.ranges.range(..=start).next_back()
            && before_end >= start
        {
            start = before;
            end = end.max(before_end);
        }
        while let Some((&next, &next_end)) = self.ranges.range(start..=end).next() {
            self.ranges.remove(&next);
            end = end.max(next_end);
        }
        if start <= self.watermark {
            self.watermark = end;
        } else {
            self.ranges.insert(start, end);
        }
    }

    /// Whether so many ranges are open that `seq` may not be handed out. What lies below the last of them may: it closes them,
    /// and after a restart nothing else does.
    pub(super) fn is_crowded(&self, seq: u64) -> bool {
        self.ranges.len() >= MAX_RANGES
            && self.ranges.last_key_value().is_some_and(|(_, &end)| seq >= end)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_crowd_keeps_nothing_away_that_closes_it() {
        let mut acks = Acks::below(1);
        let last = 2 * MAX_RANGES as u64;
        (2..=last).step_by(2).for_each(|seq| acks.insert(seq..seq + 1));
        assert_eq!(acks.ranges().len(), MAX_RANGES);
        assert!([1, 3, last - 1].into_iter().all(|hole| !acks.is_crowded(hole)));
        assert!(acks.is_crowded(last + 1));
        acks.insert(1..2);
        assert!(!acks.is_crowded(last + 1));
    }

    proptest! {
        #[test]
        fn ranges_agree_with_a_set(inserts in prop::collection::vec((0_u64..200, 0_u64..20), 0..60)) {
            let mut acks = Acks::below(3);
            let mut model: BTreeSet<u64> = (0..3).collect();
            for (start, len) in inserts {
                acks.insert(start..start + len);
                model.extend(start..start + len);
                let watermark = (0..).find(|s| !model.contains(s)).unwrap();
                prop_assert_eq!(acks.watermark(), watermark);
                for seq in 0..240 {
                    prop_assert_eq!(acks.contains(seq), model.contains(&seq));
                    let next = (seq..).find(|s| !model.contains(s)).unwrap();
                    prop_assert_eq!(acks.next_unsettled(seq), next);
                    let unsettled = (seq / 2..seq).filter(|s| !model.contains(s)).count();
                    prop_assert_eq!(acks.unsettled(seq / 2..seq), unsettled as u64);
                }
                let mut last = acks.watermark();
                for range in acks.ranges() {
                    prop_assert!(range.start > last && range.end > range.start);
                    last = range.end;
                }
            }
        }
    }
}
