//! What a query reads from rows: points that give PromQL's functions the right answers. Pure.
//!
//! Two steps. [`samples`] turns rows into points at the times of their last samples, with the value
//! that the function wants. Where rows lie further apart than the function looks, it would find one
//! point or none; there [`densify`] puts points where it looks:
//!
//! | reads | from rows | where rows are too far apart |
//! |---|---|---|
//! | last | `last` | the last known value at each evaluation, held over one missing row |
//! | increase | `last`, and the resets between | two points per window on the line between rows |
//! | min, max, average | that of the row | that of the row in which the evaluation falls |
//! | sum, count | the sum; `count` points | the part of it that the window is of the row |
//!
//! So `rate(x[5m])` over hourly rows is the mean rate of the hour, not nothing. Staleness markers end a
//! series as among samples.

use sidelight_promql::Reads;
use sidelight_promql::source::{STALE_BITS, is_stale};

use super::row::{Row, bucket, growth};

/// Appends the points of `rows`, in ascending time.
pub(in crate::store) fn samples(
    rows: &[Row],
    resolution: i64,
    reads: Reads,
    out: &mut Vec<(i64, f64)>,
) {
    for row in rows {
        let floor = bucket(row.at, resolution) * resolution;
        let before = out.last().copied().filter(|&(t, _)| t > floor - resolution);
        // A row that was computed in parts may overlap what is there.
        let from = out.last().map_or(floor, |&(t, _)| t.max(floor));
        if row.at <= from {
            continue;
        }
        match reads {
            Reads::Last => out.push((row.at, row.last)),
            Reads::Min => out.push((row.at, row.min)),
            Reads::Max => out.push((row.at, row.max)),
            Reads::Average => out.push((row.at, row.sum / f64::from(row.count))),
            Reads::Sum => out.push((row.at, row.sum)),
            Reads::Count => counted(row, from, out),
            Reads::Increase => grown(row, before.map(|(_, value)| value), from, out),
        }
        if row.ended {
            out.push((row.at + 1, f64::from_bits(STALE_BITS)));
        }
    }
}

/// As many points as there were samples.
fn counted(row: &Row, from: i64, out: &mut Vec<(i64, f64)>) {
    let room = row.at - from;
    let count = i64::from(row.count).min(room);
    out.extend((1..=count).map(|nth| (from + room * nth / count, row.last)));
}

/// Points between which a counter grows as the samples did: a fall is a start from zero.
fn grown(row: &Row, before: Option<f64>, from: i64, out: &mut Vec<(i64, f64)>) {
    let room = row.at - from;
    let place = |quarters: i64| from + room * quarters / 4;
    let inner_reset = row.increase != row.plain_increase() || row.last < row.first;
    if room >= 4 {
        if before.is_some_and(|before| row.first < before) || before.is_none() && inner_reset {
            out.push((place(1), row.first));
        }
        if inner_reset {
            // Up by what it grew before its last start, down to zero, and up to where it ended.
            out.push((place(2), row.first + (row.increase - row.last).max(0.0)));
            out.push((place(3), 0.0));
        }
    }
    out.push((row.at, row.last));
}

/// Where a query looks.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Looks {
    /// The first evaluation …
    pub(in crate::store) first: i64,
    /// … and the distance to the next; 0 when there is one.
    pub(in crate::store) step: i64,
    /// The length of its windows; 0 for an instant selector.
    pub(in crate::store) range: i64,
    /// How far an instant selector looks back.
    pub(in crate::store) lookback: i64,
    /// What it reads.
    pub(in crate::store) reads: Reads,
}

impl Looks {
    /// Whether rows this far apart answer without more.
    pub(in crate::store) const fn finds(&self, resolution: i64) -> bool {
        self.range > 0 && resolution * 2 <= self.range
    }

    /// The times in `(after, until]` at which points are to be: each window holds one, or two where
    /// growth is read.
    pub(super) fn times(&self, after: i64, until: i64) -> impl Iterator<Item = i64> + use<> {
        let Self { first, step, range, .. } = *self;
        let pair = if matches!(self.reads, Reads::Increase | Reads::Last) { 2 } else { 1 };
        let spacing = if range == 0 { step } else { (range / pair).max(1) };
        // Windows that overlap share points; windows that do not have their own.
        let shared = step > 0 && step < range;
        let stride = if shared || range == 0 { spacing } else { step };
        let lone = if shared || range == 0 { 1 } else { pair };
        let start = if stride > 0 { (after - first).div_euclid(stride) } else { 0 };
        let end = if stride > 0 { (until - first).div_euclid(stride) + 1 } else { 0 };
        (start..=end)
            .flat_map(move |nth| {
                let t = first + nth * stride;
                (0..lone).rev().map(move |back| t - back * spacing)
            })
            .filter(move |&t| t > after && t <= until)
    }
}

/// Puts points where `looks` finds them into `out`, between rows that `points` has in `(after, until]`
/// and shortly before.
pub(in crate::store) fn densify(
    points: &[(i64, f64)],
    looks: &Looks,
    resolution: i64,
    (after, until): (i64, i64),
    out: &mut Vec<(i64, f64)>,
) {
    let grown = looks.reads == Reads::Increase && looks.range > 0;
    let total = if grown { totals(points) } else { Vec::new() };
    let share = match looks.reads {
        Reads::Sum | Reads::Count => looks.range as f64 / resolution as f64,
        _ => 1.0,
    };
    let mut next = 0;
    for t in looks.times(after, until) {
        while points.get(next).is_some_and(|&(at, _)| at < t) {
            next += 1;
        }
        let later = points.get(next).copied();
        let earlier = next.checked_sub(1).and_then(|at| points.get(at).copied());
        let value = if grown {
            between(&total, t, resolution)
        } else if looks.range > 0 && looks.reads != Reads::Last {
            // The row in which `t` falls, or the one before when there is none.
            let same = |&(at, _): &(i64, f64)| bucket(at, resolution) == bucket(t, resolution);
            later.filter(same).or_else(|| earlier.filter(same)).map(|(_, value)| value * share)
        } else {
            let held = later.filter(|&(at, _)| at == t).or(earlier);
            held.filter(|&(at, _)| t - at <= resolution + looks.lookback.max(resolution))
                .map(|(_, value)| value)
        };
        if let Some(value) = value.filter(|value| !is_stale(*value))
            && out.last().is_none_or(|&(last, _)| last < t)
        {
            out.push((t, value));
        }
    }
}

/// The points without resets, so that lines may be drawn between them: the last stays where it is, and
/// what came before a reset moves down.
fn totals(points: &[(i64, f64)]) -> Vec<(i64, f64)> {
    let mut totals: Vec<(i64, f64)> = Vec::with_capacity(points.len());
    let mut later: Option<(f64, f64)> = None;
    for &(t, value) in points.iter().rev().filter(|(_, value)| !is_stale(*value)) {
        let total = later.map_or(value, |(later, total)| total - growth(value, later));
        totals.push((t, total));
        later = Some((value, total));
    }
    totals.reverse();
    totals
}

/// The value at `t` on the line through the points around it, if they are neighbours.
fn between(totals: &[(i64, f64)], t: i64, resolution: i64) -> Option<f64> {
    let next = totals.partition_point(|&(at, _)| at < t);
    let (at, value) = *totals.get(next)?;
    if at == t {
        return Some(value);
    }
    let (from, before) = *totals.get(next.checked_sub(1)?)?;
    let near = at - from <= 3 * resolution;
    near.then(|| before + (value - before) * ((t - from) as f64 / (at - from) as f64))
}

#[cfg(test)]
mod tests {
    use super::super::row::Roller;
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn roll(resolution: i64, samples: &[(i64, f64)]) -> Vec<Row> {
        let mut roller = Roller::new(resolution);
        samples.iter().for_each(|&(t, v)| roller.push(t, v));
        roller.rows().to_vec()
    }

    fn points(rows: &[Row], resolution: i64, reads: Reads) -> Vec<(i64, f64)> {
        let mut out = Vec::new();
        samples(rows, resolution, reads, &mut out);
        out
    }

    fn growth_of(points: &[(i64, f64)]) -> f64 {
        points.windows(2).map(|pair| growth(pair[0].1, pair[1].1)).sum()
    }

    #[test]
    fn growth_over_rows_is_growth_over_samples_wherever_resets_fall() {
        let mut random = 7_u64;
        for _ in 0..300 {
            let mut value = 0.0;
            let samples: Vec<_> = (1..400)
                .map(|nth| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
                    let dice = random >> 33;
                    value = if dice.is_multiple_of(37) {
                        (dice % 5) as f64
                    } else {
                        value + (dice % 9) as f64
                    };
                    (nth * 15_000, value)
                })
                .collect();
            let rows = roll(300_000, &samples);
            let points = points(&rows, 300_000, Reads::Increase);
            assert!(points.is_sorted_by(|a, b| a.0 < b.0));
            // Nothing is known of the growth before the first point but that of the first row.
            let first_row = growth_of(&samples[..20]);
            let told = growth_of(&points) + if points[0].0 == rows[0].at { first_row } else { 0.0 };
            assert_eq!(told, growth_of(&samples));
        }
    }

    #[test]
    fn aggregates_over_rows_are_those_over_samples() {
        let samples: Vec<_> =
            (1..=240).map(|n| (n * 15_000, f64::from(n as i32 * 7 % 31))).collect();
        let rows = roll(300_000, &samples);
        let values = |reads| points(&rows, 300_000, reads).into_iter().map(|(_, v)| v);
        let all = || samples.iter().map(|(_, v)| *v);
        assert_eq!(values(Reads::Min).fold(99.0, f64::min), all().fold(99.0, f64::min));
        assert_eq!(values(Reads::Max).fold(0.0, f64::max), all().fold(0.0, f64::max));
        assert_eq!(values(Reads::Sum).sum::<f64>(), all().sum::<f64>());
        assert_eq!(values(Reads::Count).count(), 240);
        let (mean, real) = (values(Reads::Average).sum::<f64>() / 12.0, all().sum::<f64>() / 240.0);
        assert!((mean - real).abs() < 1e-9);
    }

    fn dense(looks: Looks, points: &[(i64, f64)]) -> Vec<(i64, f64)> {
        let mut out = Vec::new();
        densify(points, &looks, HOUR, (0, 10 * HOUR), &mut out);
        out
    }

    const INSTANT: Looks =
        Looks { first: HOUR / 2, step: HOUR, range: 0, lookback: 300_000, reads: Reads::Last };

    #[test]
    fn an_instant_selector_sees_the_last_known_value_at_each_evaluation() {
        let points = [(HOUR - 5, 1.0), (2 * HOUR - 9, 2.0)];
        let half = HOUR / 2;
        assert_eq!(
            dense(INSTANT, &points),
            [(HOUR + half, 1.0), (2 * HOUR + half, 2.0), (3 * HOUR + half, 2.0)]
        );
        let ended = [(HOUR - 5, 1.0), (HOUR - 4, f64::from_bits(STALE_BITS)), (5 * HOUR, 3.0)];
        assert_eq!(dense(INSTANT, &ended), [(5 * HOUR + half, 3.0), (6 * HOUR + half, 3.0)]);
    }

    #[test]
    fn a_short_rate_over_hours_is_the_mean_rate_of_the_hour() {
        let looks = Looks { range: 300_000, step: HOUR, reads: Reads::Increase, ..INSTANT };
        // 3,600 an hour, and a start from zero in the third.
        let points =
            [(HOUR, 3_600.0), (2 * HOUR, 7_200.0), (3 * HOUR, 1_800.0), (4 * HOUR, 5_400.0)];
        let out = dense(looks, &points);
        assert_eq!(out.len(), 6, "{out:?}");
        for (pair, rate) in out.chunks(2).zip([1.0, 0.5, 1.0]) {
            assert_eq!(pair[1].0 - pair[0].0, 150_000);
            assert!((growth(pair[0].1, pair[1].1) / 150.0 - rate).abs() < 1e-9, "{pair:?}");
        }
    }

    #[test]
    fn windows_that_overlap_share_points_and_each_holds_two() {
        for (step, range) in [(60_000, 300_000), (300_000, 300_000), (HOUR, 300_000), (7, 30)] {
            let looks = Looks { first: HOUR, step, range, lookback: 0, reads: Reads::Increase };
            let times: Vec<_> =
                looks.times(HOUR - range, 2 * HOUR.min(HOUR + 100 * step)).collect();
            assert!(times.is_sorted_by(|a, b| a < b), "{step} {range}");
            for nth in 0..20 {
                let t = HOUR + nth * step;
                let inside = times.iter().filter(|&&at| at > t - range && at <= t).count();
                assert!(t > *times.last().unwrap() || inside == 2, "{step} {range} {inside}");
            }
        }
    }

    #[test]
    fn a_sum_over_a_part_of_a_row_is_that_part() {
        let looks = Looks { range: HOUR / 4, step: 0, reads: Reads::Sum, ..INSTANT };
        assert_eq!(dense(looks, &[(HOUR, 100.0)]), [(HOUR / 2, 25.0)]);
    }
}
