//! What is left of the samples of five minutes or an hour. Pure arithmetic.
//!
//! A row answers every range function that reads an aggregate: `min`, `max`, `sum` and `count` for
//! `*_over_time`, `last` for what samples show, and `first`, `last` and `increase` for `rate` and
//! `increase`. Growth between two rows is found from `last` and the next `first`, so a row needs to know
//! nothing of its neighbours and may be computed again alone. Merging rows is exact but for the rounding
//! of sums.

use sidelight_promql::source::is_stale;

/// The samples of one bucket of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::store) struct Row {
    /// The time of the last sample that is no staleness marker.
    pub(in crate::store) at: i64,
    /// How many samples there were, at least one.
    pub(in crate::store) count: u32,
    /// Whether the series was marked stale after the last of them.
    pub(in crate::store) ended: bool,
    /// The first sample.
    pub(in crate::store) first: f64,
    /// The last sample.
    pub(in crate::store) last: f64,
    /// The smallest, NaN only when all are.
    pub(in crate::store) min: f64,
    /// The largest, NaN only when all are.
    pub(in crate::store) max: f64,
    /// The sum.
    pub(in crate::store) sum: f64,
    /// The growth from `first` to `last`: a smaller sample than the one before is a counter that began
    /// again at zero.
    pub(in crate::store) increase: f64,
}

impl Row {
    const fn of(at: i64, value: f64) -> Self {
        Self {
            at,
            count: 1,
            ended: false,
            first: value,
            last: value,
            min: value,
            max: value,
            sum: value,
            increase: 0.0,
        }
    }

    /// Takes in what came after.
    pub(in crate::store) fn merge(&mut self, later: &Self) {
        self.increase += growth(self.last, later.first) + later.increase;
        self.at = later.at;
        self.count = self.count.saturating_add(later.count);
        self.ended = later.ended;
        self.last = later.last;
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        self.sum += later.sum;
    }

    /// What `increase` is when the counter did not begin again.
    pub(in crate::store) fn plain_increase(&self) -> f64 {
        growth(self.first, self.last)
    }
}

/// What a counter grew by between two samples.
pub(in crate::store) fn growth(earlier: f64, later: f64) -> f64 {
    if later < earlier { later } else { later - earlier }
}

/// The bucket of `t` among those of `resolution` milliseconds, open on the left.
pub(in crate::store) fn bucket(t: i64, resolution: i64) -> i64 {
    t.saturating_sub(1).div_euclid(resolution)
}

/// Makes rows of samples in ascending time.
#[derive(Debug)]
pub(in crate::store) struct Roller {
    resolution: i64,
    rows: Vec<Row>,
    samples: u32,
    drops: u32,
}

impl Roller {
    pub(in crate::store) const fn new(resolution: i64) -> Self {
        Self { resolution, rows: Vec::new(), samples: 0, drops: 0 }
    }

    pub(in crate::store) fn push(&mut self, t: i64, value: f64) {
        if is_stale(value) {
            if let Some(row) = self.rows.last_mut() {
                row.ended = true;
            }
        } else {
            self.samples += 1;
            self.drops += u32::from(self.rows.last().is_some_and(|row| value < row.last));
            self.merge(&Row::of(t, value));
        }
    }

    /// Whether the samples fell so often that no counter fell. One that falls once began again, however short its life.
    pub(in crate::store) const fn is_gauge(&self) -> bool {
        self.drops > 1 && self.drops > self.samples / 8
    }

    /// Lets `increase` be what it would be without resets, where it means nothing and would take space.
    pub(in crate::store) fn settle_gauge(&mut self) {
        for row in &mut self.rows {
            row.increase = row.plain_increase();
        }
    }

    /// Takes in a finer row.
    pub(in crate::store) fn merge(&mut self, row: &Row) {
        match self.rows.last_mut() {
            Some(last) if bucket(last.at, self.resolution) == bucket(row.at, self.resolution) => {
                last.merge(row);
            }
            _ => self.rows.push(*row),
        }
    }

    /// The rows, ascending.
    pub(in crate::store) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Forgets the rows and keeps the memory.
    pub(in crate::store) fn clear(&mut self) {
        self.rows.clear();
        (self.samples, self.drops) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sidelight_promql::source::STALE_BITS;

    use super::*;

    const RESOLUTION: i64 = 300_000;

    fn roll(samples: &[(i64, f64)]) -> Vec<Row> {
        let mut roller = Roller::new(RESOLUTION);
        samples.iter().for_each(|&(t, v)| roller.push(t, v));
        roller.rows().to_vec()
    }

    #[test]
    fn a_row_holds_what_its_samples_were() {
        let rows = roll(&[(1, 5.0), (2, 8.0), (3, 2.0), (300_000, 3.0), (300_001, 9.0)]);
        let first = Row {
            at: 300_000,
            count: 4,
            ended: false,
            first: 5.0,
            last: 3.0,
            min: 2.0,
            max: 8.0,
            sum: 18.0,
            increase: 3.0 + 2.0 + 1.0,
        };
        assert_eq!(rows, [first, Row::of(300_001, 9.0)]);
    }

    #[test]
    fn a_staleness_marker_ends_a_row_and_is_no_sample() {
        let stale = f64::from_bits(STALE_BITS);
        let rows = roll(&[(1, stale), (2, 7.0), (3, stale)]);
        assert_eq!(rows, [Row { ended: true, ..Row::of(2, 7.0) }]);
        let rows = roll(&[(2, 7.0), (3, stale), (4, 1.0)]);
        assert_eq!((rows[0].ended, rows[0].count, rows[0].increase), (false, 2, 1.0));
    }

    #[test]
    fn a_short_life_with_one_restart_is_still_that_of_a_counter() {
        let is_gauge = |samples: &[f64]| {
            let mut roller = Roller::new(RESOLUTION);
            (1..).zip(samples).for_each(|(t, &value)| roller.push(t, value));
            roller.is_gauge()
        };
        assert!(!is_gauge(&[5.0, 9.0, 2.0, 4.0]));
        assert!(!is_gauge(&[5.0, 2.0]));
        assert!(is_gauge(&[5.0, 9.0, 2.0, 4.0, 1.0]));
    }

    proptest! {
        #[test]
        fn rows_of_rows_are_rows_of_samples(
            steps in prop::collection::vec((1..400_000_i64, -50..50_i32), 1..200),
        ) {
            let mut t = 0;
            let samples = steps.iter().map(|&(step, v)| { t += step; (t, f64::from(v)) });
            let samples: Vec<_> = samples.collect();
            let mut hours = Roller::new(12 * RESOLUTION);
            samples.iter().for_each(|&(t, v)| hours.push(t, v));
            let mut merged = Roller::new(12 * RESOLUTION);
            roll(&samples).iter().for_each(|row| merged.merge(row));
            prop_assert_eq!(hours.rows(), merged.rows());
            let count: u32 = hours.rows().iter().map(|row| row.count).sum();
            prop_assert_eq!(count as usize, samples.len());
        }
    }
}
