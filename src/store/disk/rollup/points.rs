//! What a query reads from rows: points that give PromQL's functions the right answers. Pure.
//!
//! A row stands for `count` samples, evenly spread from the start of its bucket to the time of the last. Two steps
//! make points of rows. [`samples`] turns each into points up to the time of its last sample, with the value that the
//! function wants. Where rows lie further apart than the function looks, it would find one point or none; there
//! [`densify`] puts points where it looks:
//!
//! | reads | from rows | where rows are too far apart | off by at most |
//! |---|---|---|---|
//! | last | `last` | the last known value at each evaluation, held over one missing row | the change within a row |
//! | line | `last`, and `first` of the first | two points per window on the line between rows | how far samples are from it |
//! | increase | the same, and the resets between | the same, resets left out | the same |
//! | min, max | that of the row | those of the rows that the window touches | what the row has outside the window |
//! | average | that of the row | the mean of the rows that the window touches, by how much | the same; a row weighs as a row |
//! | sum | that of the row | the part of the rows that the window is | uneven samples within a row |
//! | count | `count` points, ten a second at most | those of them that are in windows | one sample, and uneven samples |
//! | every sample | that it cannot be known | the same | |
//!
//! Where windows hold rows whole, a row counts with the window that has its last sample. So `rate(x[5m])` over hourly
//! rows is the mean rate of the hour, not nothing. Staleness markers end a series as among samples.

use sidelight_promql::Reads;
use sidelight_promql::source::{LOST_BITS, STALE_BITS, is_stale};

use super::row::{Row, bucket, growth};

/// Points for each window of those that overlap, at most.
const TILES_MAX: i64 = 32;
/// Points before the last of a row that follows none, at most.
const BEGINNING: i64 = 12;
/// Milliseconds between two points that stand for samples, at least: a count that is damaged must not take all memory.
const COUNTED_APART: i64 = 100;

/// Appends the points of `rows`, in ascending time.
pub(in crate::store) fn samples(
    rows: &[Row],
    resolution: i64,
    reads: Reads,
    out: &mut Vec<(i64, f64)>,
) {
    for row in rows {
        let floor = bucket(row.at, resolution) * resolution;
        let near = |&(t, _): &(i64, f64)| t > floor - resolution;
        let before = out.last().copied().filter(near);
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
            Reads::Line => {
                // No line goes over an end.
                if before.is_none_or(|(_, value)| is_stale(value)) {
                    out.extend(begun(row, from));
                }
                out.push((row.at, row.last));
            }
            Reads::Increase => {
                // A counter goes on where it ended.
                let live = out.iter().rev().find(|(_, value)| !is_stale(*value));
                grown(row, live.copied().filter(near).map(|(_, value)| value), from, out);
            }
            Reads::Every => out.push((row.at, f64::from_bits(LOST_BITS))),
        }
        if row.ended {
            out.push((row.at + 1, f64::from_bits(STALE_BITS)));
        }
    }
}

/// As many points as there were samples, unless they were closer than [`COUNTED_APART`].
fn counted(row: &Row, from: i64, out: &mut Vec<(i64, f64)>) {
    let room = row.at - from;
    let count = i64::from(row.count).min(room / COUNTED_APART + 1);
    out.extend((1..=count).map(|nth| (from + room * nth / count, row.last)));
}

/// The way to the last sample of a row that follows none: without it, what the row grew by would be known to nobody. Of
/// some points, since what grew is thought to have done so for half their distance before the first.
fn begun(row: &Row, from: i64) -> impl Iterator<Item = (i64, f64)> {
    let (room, count) = (row.at - from, i64::from(row.count));
    let first = from + room / count;
    let parts = (count - 1).min(BEGINNING).min(row.at - first);
    let (first_value, growth) = (row.first, row.last - row.first);
    let points = (0..parts).map(move |nth| {
        let t = first + (row.at - first) * nth / parts;
        (t, first_value + growth * (nth as f64 / parts as f64))
    });
    points.filter(move |&(t, _)| t > from)
}

/// Points between which a counter grows as the samples did: a fall is a start from zero.
fn grown(row: &Row, before: Option<f64>, from: i64, out: &mut Vec<(i64, f64)>) {
    let room = row.at - from;
    let place = |quarters: i64| from + room * quarters / 4;
    let inner_reset = row.increase != row.plain_increase() || row.last < row.first;
    if inner_reset && room >= 4 {
        if before.is_none_or(|before| row.first < before) {
            out.push((place(1), row.first));
        }
        // Up by what it grew before its last start, down to zero, and up to where it ended.
        out.push((place(2), row.first + (row.increase - row.last).max(0.0)));
        out.push((place(3), 0.0));
    } else if !inner_reset && before.is_none_or(|before| row.first < before) {
        out.extend(begun(row, from));
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

    /// Whether lines are drawn, for which each window has two points.
    const fn is_line(&self) -> bool {
        self.range > 0 && matches!(self.reads, Reads::Increase | Reads::Line)
    }

    /// The distance of points of which each window holds one, or the two of a line.
    pub(super) const fn apart(&self) -> i64 {
        match (self.range, self.is_line()) {
            (0, _) => self.step,
            (1, true) => 1,
            (range, true) => range / 2,
            (range, false) => range,
        }
    }

    /// The distance of points that stand for the time before each: a whole number of them makes a window, and a step,
    /// where [`TILES_MAX`] are enough.
    fn spacing(&self) -> i64 {
        if self.is_line() || !self.shares() {
            return self.apart();
        }
        divisor(self.range, self.step).max(self.range / TILES_MAX).max(1)
    }

    /// How long the last known value is held.
    pub(super) const fn held(&self, resolution: i64) -> i64 {
        let held = if self.lookback > resolution { self.lookback } else { resolution };
        held.saturating_add(resolution)
    }

    /// Whether windows overlap.
    const fn shares(&self) -> bool {
        self.step > 0 && self.step < self.range
    }

    /// The times in `(after, until]` at which points are to be. Windows that overlap share them, each `spacing` after the
    /// one before; windows that do not have their own: one at the end, and where lines are drawn one `spacing` before it.
    pub(super) fn times(
        &self,
        (after, until): (i64, i64),
        spacing: i64,
    ) -> impl Iterator<Item = i64> + use<> {
        let Self { first, step, range, .. } = *self;
        let shared = self.shares() || range == 0;
        let stride = if shared { spacing } else { step };
        let lone = if !shared && self.is_line() { 2 } else { 1 };
        let start = if stride > 0 { (after - first).div_euclid(stride) } else { 0 };
        let end = if stride > 0 { (until - first).div_euclid(stride) + 1 } else { 0 };
        (start..=end)
            .flat_map(move |nth| {
                let t = first + nth * stride;
                (0..lone).rev().map(move |back| t - back * spacing)
            })
            .filter(move |&t| t > after && t <= until)
    }

    /// Whether a window holds `t`.
    const fn holds(&self, t: i64) -> bool {
        let behind = t.saturating_sub(self.first);
        if behind <= 0 {
            return t > self.first.saturating_sub(self.range);
        }
        let behind = if self.step > 0 { behind % self.step } else { return false };
        behind == 0 || self.step - behind < self.range
    }
}

/// The greatest common divisor.
const fn divisor(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Puts points where `looks` finds them into `out`, between rows that `points` has in `(after, until]`
/// and shortly before.
pub(in crate::store) fn densify(
    points: &[(i64, f64)],
    looks: &Looks,
    resolution: i64,
    span: (i64, i64),
    out: &mut Vec<(i64, f64)>,
) {
    let spacing = looks.spacing();
    let mut push = |t: i64, value: Option<f64>| {
        if let Some(value) = value.filter(|value| !is_stale(*value))
            && out.last().is_none_or(|&(last, _)| last < t)
        {
            out.push((t, value));
        }
    };
    match looks.reads {
        Reads::Count if looks.range > 0 => {
            let inside = |&&(t, _): &&(i64, f64)| t > span.0 && t <= span.1 && looks.holds(t);
            points.iter().filter(inside).for_each(|&(t, value)| push(t, Some(value)));
        }
        Reads::Increase | Reads::Line if looks.range > 0 => {
            let line = if looks.reads == Reads::Line { live(points) } else { totals(points) };
            looks.times(span, spacing).for_each(|t| push(t, between(&line, t, resolution)));
        }
        _ if looks.range == 0 || looks.reads == Reads::Last => {
            let held = |t| {
                let next = points.partition_point(|&(at, _)| at <= t);
                let (at, value) = *points.get(next.checked_sub(1)?)?;
                (t - at <= looks.held(resolution)).then_some(value)
            };
            looks.times(span, spacing).for_each(|t| push(t, held(t)));
        }
        reads => {
            let part = |t| of_part(points, (t - spacing, t), resolution, reads);
            looks.times(span, spacing).for_each(|t| push(t, part(t)));
        }
    }
}

/// What `reads` says of the time `(from, to]`, of which each of `points` has that since the one before or since its
/// row began; `None` when it has none of it.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of a few hours")]
fn of_part(
    points: &[(i64, f64)],
    (from, to): (i64, i64),
    resolution: i64,
    reads: Reads,
) -> Option<f64> {
    let mut found: Option<f64> = None;
    let mut weight = 0.0;
    let first = points.partition_point(|&(at, _)| at <= from);
    for nth in first..points.len() {
        let &(at, value) = points.get(nth)?;
        let floor = bucket(at, resolution) * resolution;
        let before = nth.checked_sub(1).and_then(|nth| points.get(nth));
        let floor = before.map_or(floor, |&(t, _)| t.max(floor));
        if floor >= to {
            break;
        }
        if is_stale(value) {
            continue;
        }
        let part = (at.min(to) - floor.max(from)) as f64;
        weight += part;
        found = Some(match (reads, found) {
            (Reads::Sum, found) => found.unwrap_or(0.0) + value * part / (at - floor) as f64,
            (Reads::Average, found) => found.unwrap_or(0.0) + value * part,
            (Reads::Min, Some(found)) => found.min(value),
            (Reads::Max, Some(found)) => found.max(value),
            (Reads::Every, _) => f64::from_bits(LOST_BITS),
            _ => value,
        });
    }
    found.map(|found| if reads == Reads::Average { found / weight } else { found })
}

/// The points but for the markers among them.
fn live(points: &[(i64, f64)]) -> Vec<(i64, f64)> {
    points.iter().copied().filter(|(_, value)| !is_stale(*value)).collect()
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
    use std::ops::ControlFlow;

    use sidelight_promql::ast::Type;
    use sidelight_promql::functions::FUNCTIONS;
    use sidelight_promql::{
        Engine, Labels, Options, Points, Queryable, Selection, SourceError, Value, parse_with,
    };

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
            assert!((growth_of(&points) - growth_of(&samples)).abs() < 1e-9);
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
            let span = (HOUR - range, 2 * HOUR.min(HOUR + 100 * step));
            let times: Vec<_> = looks.times(span, looks.spacing()).collect();
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
        let looks = Looks { first: HOUR + HOUR / 8, ..looks };
        let found = dense(looks, &[(HOUR, 100.0), (2 * HOUR, 50.0)]);
        assert_eq!(found, [(HOUR + HOUR / 8, 12.5 + 6.25)], "half of each");
    }

    /// One series, all of its samples or rows of them.
    struct Source {
        samples: Vec<(i64, f64)>,
        rows: Option<Vec<Row>>,
    }

    impl Queryable for Source {
        fn select(
            &self,
            selection: &Selection<'_>,
            each: &mut dyn FnMut(&Labels, &Points) -> ControlFlow<()>,
        ) -> Result<(), SourceError> {
            let Selection { after, until, step, range, lookback, reads, .. } = *selection;
            let mut points = Points::default();
            let inside = |&(t, _): &(i64, f64)| t > after && t <= until;
            if let Some(rows) = &self.rows {
                let first = after + range + lookback;
                let looks = Looks { first, step, range, lookback, reads };
                let near = |row: &&Row| row.at > after - 2 * HOUR && row.at <= until + 2 * HOUR;
                let rows: Vec<_> = rows.iter().filter(near).copied().collect();
                let mut kept = Vec::new();
                samples(&rows, HOUR, reads, &mut kept);
                if looks.finds(HOUR) {
                    points.floats.extend(kept.into_iter().filter(inside));
                } else {
                    densify(&kept, &looks, HOUR, (after, until), &mut points.floats);
                }
            } else {
                points.floats.extend(self.samples.iter().copied().filter(inside));
            }
            if !points.floats.is_empty() {
                let _ = each(&Labels::default(), &points);
            }
            Ok(())
        }
    }

    /// The values of a query each `step` in `(from, until]`, and what is said of it.
    fn ask(
        source: &Source,
        text: &str,
        (from, until): (i64, i64),
        step: i64,
    ) -> (Vec<(i64, f64)>, String) {
        let experimental = sidelight_promql::parse::Options { experimental: true };
        let expr = parse_with(text, experimental).unwrap();
        let options = Options { experimental: true, ..Options::default() };
        let answer = Engine { options }.range(&expr, from + step, until, step, source).unwrap();
        let Value::Matrix(series) = answer.value else { panic!("{text}") };
        let values = series.first().map(|series| series.floats.clone()).unwrap_or_default();
        (values, answer.annotations.infos().collect())
    }

    /// A sample each minute for a day.
    fn day(value: impl Fn(i32) -> f64) -> [Source; 2] {
        let samples: Vec<_> =
            (1..=1_440).map(|minute| (i64::from(minute) * 60_000, value(minute))).collect();
        let rows = Some(roll(HOUR, &samples));
        [Source { samples: samples.clone(), rows: None }, Source { samples, rows }]
    }

    /// What answers over rows are off by at most: of a gauge between 0 and 9 ten times an hour, and of something that grows
    /// by 2 a minute. `R` is the range. None: it cannot be known, which is said.
    const OFF_BY: [(&str, bool, Option<f64>); 28] = [
        ("absent_over_time(x[R])", false, Some(0.0)),
        ("avg_over_time(x[R])", false, Some(1.5 + 1e-9)),
        ("changes(x[R])", false, None),
        ("count_over_time(x[R])", false, Some(1.0)),
        ("delta(x[R])", true, Some(1e-6)),
        ("deriv(x[R]) * 60", true, Some(1e-6)),
        ("double_exponential_smoothing(x[R], 0.5, 0.5)", true, None),
        ("first_over_time(x[R])", true, Some(124.0)),
        ("idelta(x[R])", true, None),
        ("increase(x[R])", true, Some(1e-6)),
        ("irate(x[R]) * 60", true, Some(1e-6)),
        ("last_over_time(x[R])", true, Some(124.0)),
        ("mad_over_time(x[R])", false, None),
        ("max_over_time(x[R])", false, Some(0.0)),
        ("min_over_time(x[R])", false, Some(0.0)),
        ("predict_linear(x[R], 3600)", true, Some(1e-6)),
        ("present_over_time(x[R])", true, Some(0.0)),
        ("quantile_over_time(0.9, x[R])", false, None),
        ("rate(x[R]) * 60", true, Some(1e-6)),
        ("resets(x[R])", false, None),
        ("stddev_over_time(x[R])", false, None),
        ("stdvar_over_time(x[R])", false, None),
        ("sum_over_time(x[R]) / count_over_time(x[R])", false, Some(4.5)),
        ("ts_of_first_over_time(x[R])", true, Some(3_600.0)),
        ("ts_of_last_over_time(x[R])", true, Some(3_600.0)),
        ("ts_of_max_over_time(x[R])", false, None),
        ("ts_of_min_over_time(x[R])", false, None),
        ("sum_over_time(x[R]) / 60", false, Some(4.5)),
    ];

    #[test]
    fn every_function_of_ranges_over_rows_is_near_that_over_samples_or_says_that_it_is_not_known() {
        let ranged = FUNCTIONS.iter().filter(|function| function.args.contains(&Type::Matrix));
        for function in ranged {
            let named = |text: &str| text.starts_with(&format!("{}(", function.name));
            assert!(OFF_BY.iter().any(|(text, ..)| named(text)), "{}", function.name);
        }
        let (gauge, grows) =
            (day(|minute| f64::from(minute % 10)), day(|minute| f64::from(minute * 2)));
        for (text, of_growth, bound) in OFF_BY {
            for (range, step) in
                ["5m", "30m", "1h", "2h", "6h"].iter().zip([HOUR, HOUR / 4, 420_000].iter().cycle())
            {
                let text = text.replace('R', range);
                let [raw, rows] = if of_growth { &grows } else { &gauge };
                let span = (8 * HOUR, 20 * HOUR);
                let ((right, _), (told, infos)) =
                    (ask(raw, &text, span, *step), ask(rows, &text, span, *step));
                let Some(bound) = bound else {
                    assert!(told.is_empty() && infos.contains("only rows"), "{text}: {told:?}");
                    continue;
                };
                assert_eq!(told.len(), right.len(), "{text}");
                for ((t, told), (_, right)) in told.into_iter().zip(right) {
                    let off = (told - right).abs();
                    assert!(off <= bound, "{text} at {} min: {told}, not {right}", t / 60_000);
                }
            }
        }
    }

    #[test]
    fn what_a_series_grew_by_in_its_first_row_counts() {
        for start in [0.0, 1e6] {
            let [raw, rows] = day(|minute| start + f64::from(minute * 6));
            let grown = |source| ask(source, "increase(x[6h])", (0, 3 * HOUR), HOUR).0;
            let (right, told) = (grown(&raw), grown(&rows));
            assert_eq!(told.len(), 3);
            for ((_, told), (_, right)) in told.into_iter().zip(right) {
                assert!((told - right).abs() < right / 20.0, "{told}, not {right}");
            }
        }
    }
    /// Samples of minutes 1 to 90, an end, and again from minute 125 on, past where they ended within an hour.
    fn stopped_and_started() -> Vec<(i64, f64)> {
        let minute = |nth: i32| i64::from(nth) * 60_000;
        let first = (1..=90).map(|nth| (minute(nth), f64::from(nth * 10)));
        let second = (125..=720).map(|nth| (minute(nth), f64::from((nth - 124) * 60)));
        first.chain([(minute(91), f64::from_bits(STALE_BITS))]).chain(second).collect()
    }

    #[test]
    fn a_counter_that_ended_and_began_again_in_the_next_row_counts_from_zero() {
        let samples = stopped_and_started();
        let rows = Source { samples: Vec::new(), rows: Some(roll(HOUR, &samples)) };
        let raw = Source { samples, rows: None };
        for text in ["increase(x[3h])", "increase(x[6h])"] {
            let grown = |source| ask(source, text, (2 * HOUR, 7 * HOUR), HOUR).0;
            let (right, told) = (grown(&raw), grown(&rows));
            assert_eq!(told.len(), 5, "{text}");
            for ((t, told), (_, right)) in told.into_iter().zip(right) {
                assert!((told - right).abs() < right / 20.0, "{text} {t}: {told}, not {right}");
            }
        }
    }

    #[test]
    fn a_line_that_ended_begins_anew_in_the_next_row() {
        let points = points(&roll(HOUR, &stopped_and_started()), HOUR, Reads::Line);
        let ended = points.iter().position(|(_, value)| is_stale(*value)).unwrap();
        let (t, value) = points[ended + 1];
        assert_eq!(value, 60.0);
        assert!(t > 2 * HOUR && t < 2 * HOUR + 3 * 60_000, "{t}");
        assert!(points[ended + 2].0 < 3 * HOUR);
    }

    #[test]
    fn a_count_that_cannot_be_takes_no_more_memory_than_ten_samples_a_second() {
        let rows = roll(HOUR, &[(HOUR - 1, 1.0), (2 * HOUR, 2.0)]);
        let many = Row { count: u32::MAX, ..rows[1] };
        assert_eq!(points(&[rows[0], many], HOUR, Reads::Count).len(), 1 + 36_001);
    }

    #[test]
    fn a_window_holds_what_is_in_one_of_the_windows_and_nothing_else() {
        for (step, range) in [(0, 30), (7, 30), (30, 30), (100, 30)] {
            let looks = Looks { first: 1_000, step, range, lookback: 0, reads: Reads::Count };
            let ends = || (0..20).map(|nth| 1_000 + nth * step);
            for t in 900..=1_000 + 19 * step {
                let inside = ends().any(|end| t > end - range && t <= end);
                assert_eq!(looks.holds(t), inside, "{step} {range} {t}");
            }
        }
        let looks = Looks { first: 0, step: 0, range: 30, lookback: 0, reads: Reads::Count };
        assert!(!looks.holds(1) && !looks.holds(i64::MAX) && !looks.holds(i64::MIN));
    }
}
