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
mod tests;
