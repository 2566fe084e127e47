//! Decoded samples of one stored series: what chunks are decoded into and rollups are made of.

use std::sync::Arc;

use sidelight_promql::Points;

/// Samples of one series in ascending time. One buffer serves many series.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// Floats and native histograms.
    pub points: Points,
    /// Histograms with explicit bounds.
    pub classics: Classics,
}

/// Histograms with explicit bounds in ascending time, as columns.
#[derive(Clone, Debug, Default)]
pub struct Classics {
    /// One per sample.
    pub rows: Vec<ClassicRow>,
    /// The counts of every row one after another, cumulative, without the last (+Inf).
    pub cumulative: Vec<u64>,
    /// Each set of bounds once, in the order of first use.
    pub bounds: Vec<Arc<[f64]>>,
}

/// One sample of [`Classics`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassicRow {
    /// Milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// Its bounds, as an index of [`Classics::bounds`].
    pub bounds: u32,
    /// Where its counts begin in [`Classics::cumulative`]; as many as bounds, none of a stale one.
    pub counts: u32,
    /// How many observations there are: the bucket up to +Inf.
    pub count: u64,
    /// The sum of observations, if the sender keeps one.
    pub sum: Option<f64>,
    /// Whether the series ended here; all else is then of no meaning.
    pub stale: bool,
}

impl Classics {
    /// The bounds and cumulative counts of a row of this buffer.
    #[must_use]
    pub fn buckets(&self, row: &ClassicRow) -> (&[f64], &[u64]) {
        let bounds = self.bounds.get(row.bounds as usize).map_or(&[][..], |bounds| bounds);
        let counts = self.cumulative.get(row.counts as usize..).unwrap_or_default();
        (bounds, counts.get(..bounds.len()).unwrap_or_default())
    }

    /// The index of `bounds`, noted if it is not there.
    pub fn bounds_index(&mut self, bounds: &[f64]) -> u32 {
        let same = |known: &Arc<[f64]>| same_bounds(known, bounds);
        let at = self.bounds.iter().rposition(same).unwrap_or_else(|| {
            self.bounds.push(bounds.into());
            self.bounds.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }
}

/// Whether two sets of bounds are the same, bit by bit.
pub(super) fn same_bounds(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

impl Samples {
    /// Forgets every sample and keeps the memory.
    pub fn clear(&mut self) {
        self.points.clear();
        self.classics.rows.clear();
        self.classics.cumulative.clear();
        self.classics.bounds.clear();
    }

    /// Whether there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Points { floats, histograms } = &self.points;
        floats.is_empty() && histograms.is_empty() && self.classics.rows.is_empty()
    }
}

impl Samples {
    /// Leaves the samples after `after` and up to `until`, each time once and ascending.
    pub(super) fn trim(&mut self, after: i64, until: i64) {
        let Points { floats, histograms } = &mut self.points;
        cut(floats, after, until, |sample| sample.0);
        cut(histograms, after, until, |sample| sample.0);
        cut(&mut self.classics.rows, after, until, |row| row.time_ms);
    }
}

fn cut<T>(samples: &mut Vec<T>, after: i64, until: i64, time: fn(&T) -> i64) {
    // Those of one place are in order as they are.
    if samples.is_sorted_by(|a, b| time(a) < time(b)) {
        samples.truncate(samples.partition_point(|sample| time(sample) <= until));
        samples.drain(..samples.partition_point(|sample| time(sample) <= after));
    } else {
        samples.retain(ascending(after, until, time));
    }
}

/// Says of samples in turn whether they are in the window and after all before them.
fn ascending<T>(after: i64, until: i64, time: impl Fn(&T) -> i64) -> impl FnMut(&T) -> bool {
    let mut newest = after;
    move |sample| {
        let time = time(sample);
        let kept = time > newest && time <= until;
        newest = if kept { time } else { newest };
        kept
    }
}
