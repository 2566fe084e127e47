//! Native histograms where a query looks and none was kept: as [`super::points`] does for numbers. Pure.
//!
//! | reads | where histograms are too far apart |
//! |---|---|
//! | growth of a counter | two per window on the line between neighbours, bucket by bucket; from zero after a reset |
//! | a line, or every sample | none |
//! | anything else, and gauges | the last known one in each window, held over one missing row |
//!
//! A bucket on the line never falls from one point to the next, so no reset is seen where there was none.

use std::sync::Arc;

use sidelight_promql::histogram::ResetHint;
use sidelight_promql::{Histogram, Reads};

use super::points::Looks;

type Sample = (i64, Arc<Histogram>);

/// Puts histograms where `looks` finds them into `out`, between those that `samples` has in `(after, until]`
/// and shortly before.
pub(in crate::store) fn densify_histograms(
    samples: &[Sample],
    looks: &Looks,
    resolution: i64,
    span: (i64, i64),
    out: &mut Vec<Sample>,
) {
    if matches!(looks.reads, Reads::Line | Reads::Every) {
        return;
    }
    // What is held is a sample to functions that count and sum: one in each window.
    for t in looks.times(span, looks.apart()) {
        let next = samples.partition_point(|(at, _)| *at < t);
        let later = samples.get(next).filter(|(_, histogram)| !histogram.is_stale());
        let earlier = next.checked_sub(1).and_then(|at| samples.get(at));
        let earlier = earlier.filter(|(_, histogram)| !histogram.is_stale());
        let found = match (earlier, later) {
            (_, Some((at, histogram))) if *at == t => Some(unhinted(histogram)),
            (Some(earlier), Some(later)) if is_growth(looks, &later.1) => {
                let near = later.0 - earlier.0 <= 3 * resolution;
                near.then(|| between(earlier, later, t)).flatten()
            }
            (_, Some((_, later))) if is_growth(looks, later) => None,
            (Some((at, histogram)), _) if !is_growth(looks, histogram) => {
                (t - at <= looks.held(resolution)).then(|| unhinted(histogram))
            }
            _ => None,
        };
        if let Some(histogram) = found
            && out.last().is_none_or(|(last, _)| *last < t)
        {
            out.push((t, Arc::new(histogram)));
        }
    }
}

/// Whether it is growth that is read, of something that grows.
fn is_growth(looks: &Looks, histogram: &Histogram) -> bool {
    looks.reads == Reads::Increase && looks.range > 0 && histogram.reset_hint != ResetHint::Gauge
}

/// What was known of a reset was known of another neighbour.
fn unhinted(histogram: &Histogram) -> Histogram {
    let gauge = histogram.reset_hint == ResetHint::Gauge;
    let reset_hint = if gauge { ResetHint::Gauge } else { ResetHint::Unknown };
    Histogram { reset_hint, ..histogram.clone() }
}

/// The histogram at `t` on the line between two neighbours; `None` when they cannot be compared.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of a few hours")]
fn between((from, before): &Sample, (to, after): &Sample, t: i64) -> Option<Histogram> {
    let part = (t - from) as f64 / (to - from) as f64;
    let mut grown = Histogram::clone(after);
    if after.is_reset_after(before) {
        grown.multiply(part);
    } else {
        grown.subtract(before).ok()?;
        grown.multiply(part);
        grown.add(before).ok()?;
    }
    grown.compact();
    Some(Histogram { reset_hint: ResetHint::Unknown, ..grown })
}

#[cfg(test)]
mod tests {
    use sidelight_promql::histogram::Buckets;

    use super::*;

    const HOUR: i64 = 3_600_000;

    fn sample(hours: i64, counts: [f64; 2]) -> Sample {
        let positive = Buckets(vec![(1, counts[0]), (2, counts[1])]);
        let count = counts[0] + counts[1];
        (hours * HOUR, Arc::new(Histogram { count, sum: count, positive, ..Histogram::default() }))
    }

    fn dense(reads: Reads, samples: &[Sample]) -> Vec<Sample> {
        let looks = Looks { first: HOUR / 2, step: HOUR, range: 300_000, lookback: 0, reads };
        let mut out = Vec::new();
        densify_histograms(samples, &looks, HOUR, (0, 4 * HOUR), &mut out);
        out
    }

    #[test]
    fn a_short_rate_is_the_rate_between_its_neighbours_and_begins_at_zero_after_a_reset() {
        let samples = [sample(1, [36.0, 0.0]), sample(2, [72.0, 360.0]), sample(3, [0.0, 36.0])];
        let out = dense(Reads::Increase, &samples);
        let times: Vec<_> = out.iter().map(|(t, _)| *t).collect();
        let half = HOUR / 2;
        let pairs = [HOUR + half, 2 * HOUR + half].map(|t| [t - 150_000, t]).concat();
        assert_eq!(times, pairs);
        for (pair, grown) in out.chunks(2).zip([[36.0, 360.0], [0.0, 36.0]]) {
            assert!(!pair[1].1.is_reset_after(&pair[0].1));
            let mut growth = Histogram::clone(&pair[1].1);
            growth.subtract(&pair[0].1).unwrap();
            // 150 s of an hour.
            let of = |index| growth.positive.0.iter().find(|b| b.0 == index).map_or(0.0, |b| b.1);
            assert!((of(1) * 24.0 - grown[0]).abs() < 1e-9, "{growth:?}");
            assert!((of(2) * 24.0 - grown[1]).abs() < 1e-9, "{growth:?}");
            assert!((growth.count * 24.0 - grown[0] - grown[1]).abs() < 1e-9);
        }
    }

    #[test]
    fn gauges_and_values_are_held_and_nothing_follows_an_end() {
        let mut gauge = sample(2, [5.0, 1.0]);
        Arc::make_mut(&mut gauge.1).reset_hint = ResetHint::Gauge;
        let ended = Histogram {
            sum: f64::from_bits(sidelight_promql::source::STALE_BITS),
            ..Histogram::default()
        };
        let samples = [sample(1, [1.0, 2.0]), gauge, (3 * HOUR, Arc::new(ended))];
        let out = dense(Reads::Last, &samples);
        assert!(out.iter().all(|(t, _)| *t <= 3 * HOUR), "{out:?}");
        assert_eq!(out.last().unwrap().1.count, 6.0);
        // A window of a gauge has a value to look at, though it cannot grow.
        let out = dense(Reads::Increase, &samples[1..]);
        assert!(out.iter().all(|(_, histogram)| histogram.reset_hint == ResetHint::Gauge));
        assert!(!out.is_empty());
    }
    #[test]
    fn windows_that_overlap_hold_one_histogram_each_and_the_two_of_a_line() {
        let samples = [0, 1, 2, 3, 4].map(|hours| sample(hours, [hours as f64, 1.0]));
        for (step, range) in
            [(600_000, 1_800_000), (60_000, HOUR), (7_000, 30_000), (HOUR, 300_000)]
        {
            for (reads, wanted) in [
                (Reads::Sum, 1),
                (Reads::Count, 1),
                (Reads::Average, 1),
                (Reads::Last, 1),
                (Reads::Increase, 2),
            ] {
                let looks = Looks { first: HOUR, step, range, lookback: 0, reads };
                let mut out = Vec::new();
                densify_histograms(&samples, &looks, HOUR, (0, 4 * HOUR), &mut out);
                for end in (0..50).map(|nth| HOUR + nth * step).filter(|end| *end < 4 * HOUR) {
                    let inside = out.iter().filter(|(t, _)| *t > end - range && *t <= end).count();
                    assert_eq!(inside, wanted, "{reads:?} {step} {range} {end}");
                }
            }
        }
    }
}
