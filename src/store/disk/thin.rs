//! What is kept of histograms that are too old to be kept one by one. Pure.
//!
//! Cumulative histograms need no aggregate: the last of each bucket of time gives growth, buckets and
//! quantiles over any longer window. Around a reset the last before and the first after are kept too, so
//! that growth over what is kept is growth over what was; and the first of all, and staleness markers.

use sidelight_promql::source::is_stale;

use super::rollup::bucket;
use crate::store::samples::{ClassicRow, Samples};

/// Puts what is kept of `samples` at `resolution` into `out`.
pub(super) fn thin(samples: &Samples, resolution: i64, out: &mut Samples) {
    out.clear();
    let histograms = &samples.points.histograms;
    let kept = kept(histograms, resolution, |(t, histogram)| {
        (*t, histogram.count, is_stale(histogram.sum))
    });
    out.points.histograms.extend(kept.cloned());

    let classics = &samples.classics;
    let looked = |row: &ClassicRow| {
        #[expect(clippy::cast_precision_loss, reason = "only compared with its neighbour")]
        let count = row.count as f64;
        (row.time_ms, count, row.stale)
    };
    out.classics.bounds.clone_from(&classics.bounds);
    for row in self::kept(&classics.rows, resolution, looked) {
        let (_, counts) = classics.buckets(row);
        let at = u32::try_from(out.classics.cumulative.len()).unwrap_or(u32::MAX);
        out.classics.cumulative.extend_from_slice(if row.stale { &[] } else { counts });
        out.classics.rows.push(ClassicRow { counts: at, ..*row });
    }
}

/// The samples that are kept, of which `looked` tells the time, the count, and whether one is stale.
fn kept<'a, T>(
    samples: &'a [T],
    resolution: i64,
    looked: impl Fn(&T) -> (i64, f64, bool) + 'a,
) -> impl Iterator<Item = &'a T> {
    samples.iter().enumerate().filter_map(move |(at, sample)| {
        let (t, count, stale) = looked(sample);
        let neighbour = |at: Option<usize>| at.and_then(|at| samples.get(at)).map(&looked);
        let before = neighbour(at.checked_sub(1));
        let after = neighbour(at.checked_add(1));
        // What comes first is kept too: the reset may be between it and the day before.
        let reset_here = before.is_none_or(|(_, before, stale)| !stale && count < before);
        let reset_next = after.is_some_and(|(_, after, stale)| stale || after < count);
        let last = after.is_none_or(|(next, ..)| bucket(next, resolution) != bucket(t, resolution));
        (stale || reset_here || reset_next || last).then_some(sample)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sidelight_promql::Histogram;
    use sidelight_promql::source::STALE_BITS;

    use super::*;

    #[test]
    fn the_last_of_each_bucket_stays_and_what_is_around_a_reset() {
        let counts = [1.0, 5.0, 9.0, 2.0, 3.0, 4.0, 8.0, 9.0];
        let mut samples = Samples::default();
        for (nth, count) in counts.into_iter().enumerate() {
            let histogram = Histogram { count, ..Histogram::default() };
            samples.points.histograms.push((nth as i64 * 100 + 50, Arc::new(histogram)));
        }
        let stale = Histogram { sum: f64::from_bits(STALE_BITS), ..Histogram::default() };
        samples.points.histograms.push((850, Arc::new(stale)));
        let mut out = Samples::default();
        thin(&samples, 400, &mut out);
        let times: Vec<_> = out.points.histograms.iter().map(|(t, _)| *t).collect();
        assert_eq!(times, [50, 250, 350, 750, 850]);
    }

    #[test]
    fn a_reset_at_midnight_counts_though_the_first_bucket_of_the_day_ends_above_the_old_total() {
        let mut growth = 0.0;
        let mut before = None;
        for counts in [[900.0, 1_000.0], [5.0, 1_500.0]] {
            let mut day = Samples::default();
            for (nth, count) in counts.into_iter().enumerate() {
                let histogram = Histogram { count, ..Histogram::default() };
                day.points.histograms.push((nth as i64 * 10 + 10, Arc::new(histogram)));
            }
            let mut out = Samples::default();
            thin(&day, 400, &mut out);
            for (_, histogram) in &out.points.histograms {
                let last = before.replace(histogram.count).unwrap_or(histogram.count);
                growth += histogram.count - if histogram.count < last { 0.0 } else { last };
            }
        }
        assert_eq!(growth, 1_600.0);
    }

    #[test]
    fn counts_of_classic_histograms_follow_their_rows() {
        let mut samples = Samples::default();
        let bounds = samples.classics.bounds_index(&[1.0, 2.0]);
        for nth in 1..=6_u64 {
            let counts = u32::try_from(samples.classics.cumulative.len()).unwrap();
            samples.classics.cumulative.extend([nth, nth * 2]);
            let row = ClassicRow {
                time_ms: nth.cast_signed() * 100,
                bounds,
                counts,
                count: nth * 3,
                sum: None,
                stale: false,
            };
            samples.classics.rows.push(row);
        }
        let mut out = Samples::default();
        thin(&samples, 300, &mut out);
        let rows = &out.classics.rows;
        assert_eq!(rows.iter().map(|row| row.time_ms).collect::<Vec<_>>(), [100, 300, 600]);
        assert_eq!(out.classics.buckets(&rows[2]), (&[1.0, 2.0][..], &[6, 12][..]));
    }
}
