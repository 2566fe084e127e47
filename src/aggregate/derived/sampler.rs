//! What was said of each row, so that only what changed is said again.
//!
//! A row is a part and a number that is never used again; it has one series per family. What is not shown between
//! [`Sampler::begin`] and [`Sampler::end`] has ended, and gets a stale mark.

use std::collections::BTreeMap;

use sidelight_exphist::Histogram;

use super::super::codec::{self, Read};
use super::super::measured::UNIT;
use super::super::metrics::sink::Sink;
use super::INTERVAL_MS;
use crate::store::{Classic, Kind, Metadata, MetricKind, Rank, Refused};
use crate::telemetry;
use crate::telemetry::Desc;

/// The distance of samples that say the same.
const UNCHANGED_MS: i64 = 60_000;
/// Of what is written for a checkpoint: a byte that no number of milliseconds of this century begins with.
const VERSION: u8 = 0;

/// What rows are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Part {
    /// Span metrics.
    Spans = 0,
    /// Operations that succeeded.
    Succeeded = 1,
    /// Operations that failed.
    Failed = 2,
    /// Operations above their threshold, and within a quarter of it.
    Exceeded = 3,
    /// The shortest and the longest of operations.
    Window = 4,
    /// HTTP server metrics.
    Http = 5,
    /// The service graph.
    Edges = 6,
    /// Routes left out of score and alerts.
    Excluded = 7,
}

impl Part {
    const ALL: [Self; 8] = [
        Self::Spans,
        Self::Succeeded,
        Self::Failed,
        Self::Exceeded,
        Self::Window,
        Self::Http,
        Self::Edges,
        Self::Excluded,
    ];
}

/// A value of a family.
#[derive(Clone, Copy, Debug)]
pub(super) enum Amount<'a> {
    Count(u64),
    Gauge(f64),
    /// In units of [`UNIT`]; the bounds in seconds.
    Latency(&'a Histogram, &'a [f64]),
}

/// A row at one instant.
#[derive(Debug)]
pub(super) struct Shown<'a> {
    pub(super) part: Part,
    pub(super) id: u64,
    /// Equal as long as nothing changed.
    pub(super) version: u64,
    pub(super) families: Vec<(&'static Desc, Amount<'a>)>,
}

/// What was sampled of all rows.
#[derive(Debug)]
pub(in super::super) struct Sampler<Id> {
    rows: BTreeMap<(Part, u64), Sampled<Id>>,
    /// The last multiple sampled.
    at_ms: i64,
    described: bool,
    /// How many samples were not stored, by why; those that the store has already are not among them.
    refused: Vec<(Refused, u64)>,
}

#[derive(Clone, Debug)]
struct Sampled<Id> {
    /// By family, as far as known.
    series: Vec<Option<Id>>,
    /// How many families had a sample.
    begun: usize,
    version: u64,
    /// When it was sampled; 0 before.
    at_ms: i64,
    /// The last multiple at which there was such a row.
    seen_ms: i64,
}

impl<Id> Default for Sampler<Id> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), at_ms: 0, described: false, refused: Vec::new() }
    }
}

impl<Id: Copy + Eq> Sampler<Id> {
    /// The last multiple sampled; 0 before.
    pub(super) const fn at_ms(&self) -> i64 {
        self.at_ms
    }

    /// Begins a round.
    pub(super) fn begin<S: Sink<Id = Id>>(&mut self, sink: &mut S, at_ms: i64) {
        self.at_ms = at_ms;
        if !std::mem::replace(&mut self.described, true) {
            super::FAMILIES.iter().for_each(|family| describe(sink, family));
        }
    }

    /// Samples a row if it changed, or was not sampled for a minute. `labels` without the name, in any order.
    pub(super) fn show<S: Sink<Id = Id>>(
        &mut self,
        sink: &mut S,
        shown: &Shown<'_>,
        labels: impl Fn() -> Vec<(String, String)>,
    ) {
        let at_ms = self.at_ms;
        let sampled = self.rows.entry((shown.part, shown.id)).or_insert_with(|| Sampled {
            series: Vec::new(),
            begun: 0,
            version: 0,
            at_ms: 0,
            seen_ms: at_ms,
        });
        sampled.seen_ms = at_ms;
        let same = shown.version == sampled.version && sampled.at_ms > 0;
        let repeat = shown.part != Part::Window && at_ms - sampled.at_ms >= UNCHANGED_MS;
        if same && !repeat {
            return;
        }
        sampled.series.resize(shown.families.len().max(sampled.series.len()), None);
        let mut written = false;
        for (at, (family, amount)) in shown.families.iter().enumerate() {
            let begins = at >= sampled.begun;
            let Some(slot) = sampled.series.get_mut(at) else { continue };
            match write(sink, slot, (family, amount), (begins, at_ms), &labels) {
                Ok(there) => written |= there,
                Err(refused) => {
                    written = true;
                    match self.refused.iter_mut().find(|(known, _)| *known == refused) {
                        Some((_, samples)) => *samples += 1,
                        None => self.refused.push((refused, 1)),
                    }
                }
            }
        }
        if written {
            sampled.begun = sampled.begun.max(shown.families.len());
            (sampled.version, sampled.at_ms) = (shown.version, at_ms);
        }
    }

    /// How many samples were not stored since the last call, by why.
    pub(super) fn take_refused(&mut self) -> Vec<(Refused, u64)> {
        std::mem::take(&mut self.refused)
    }

    /// Says that a row is still there though there is nothing to say of it.
    pub(super) fn keep(&mut self, part: Part, id: u64) {
        if let Some(sampled) = self.rows.get_mut(&(part, id)) {
            sampled.seen_ms = self.at_ms;
        }
    }

    /// The series of a family, by the number of the row.
    pub(super) fn series_of(&self, part: Part, family: usize) -> impl Fn(u64) -> Option<Id> {
        move |id| self.rows.get(&(part, id))?.series.get(family).copied().flatten()
    }

    /// Ends a round, and the series of rows that are no more.
    pub(super) fn end<S: Sink<Id = Id>>(&mut self, sink: &mut S) {
        let at_ms = self.at_ms;
        self.rows.retain(|_, sampled| {
            let gone = sampled.seen_ms != at_ms;
            if gone {
                sampled.series.iter().flatten().for_each(|&series| sink.stale(series, at_ms));
            }
            !gone
        });
    }

    /// Everything, for the checkpoint.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        codec::put(out, self.at_ms.unsigned_abs());
        for ((part, id), sampled) in &self.rows {
            out.push(*part as u8);
            codec::put(out, *id);
            codec::put(out, sampled.begun as u64);
            codec::put(out, sampled.version);
            codec::put(out, sampled.at_ms.unsigned_abs());
        }
    }

    /// What [`Sampler::encode`] wrote, up to what cannot be read. What an earlier version wrote says when it sampled last.
    pub(super) fn decode(bytes: &[u8]) -> Self {
        let earlier = bytes.first().is_some_and(|&version| version != VERSION);
        let mut read = Read(if earlier { bytes } else { bytes.get(1..).unwrap_or_default() });
        let at_ms = read.number().unwrap_or(0).cast_signed();
        let mut sampler = Self { at_ms, ..Self::default() };
        while !earlier && let Some((row, sampled)) = Self::row(&mut read, at_ms) {
            sampler.rows.insert(row, sampled);
        }
        sampler
    }

    fn row(read: &mut Read<'_>, seen_ms: i64) -> Option<((Part, u64), Sampled<Id>)> {
        let part = *Part::ALL.get(usize::from(read.byte()?))?;
        let (id, begun) = (read.number()?, usize::try_from(read.number()?).ok()?);
        let (version, at_ms) = (read.number()?, read.number()?.cast_signed());
        Some(((part, id), Sampled { series: Vec::new(), begun, version, at_ms, seen_ms }))
    }
}

/// Writes one value, finding its series if need be, after a zero where it begins. Whether its series is there.
fn write<S: Sink>(
    sink: &mut S,
    slot: &mut Option<S::Id>,
    (family, amount): (&Desc, &Amount<'_>),
    (begins, at_ms): (bool, i64),
    labels: &impl Fn() -> Vec<(String, String)>,
) -> Result<bool, Refused> {
    // The series may have left the store since it was found.
    for _ in 0..2 {
        let Some(series) = slot.or_else(|| find(sink, family, amount, &labels())) else {
            return Ok(false);
        };
        *slot = Some(series);
        if begins {
            match amount {
                Amount::Gauge(_) => {}
                // The zero of a series that returns may precede what it has.
                Amount::Count(_) => {
                    let _ = append(sink, series, &Amount::Count(0), at_ms - INTERVAL_MS);
                }
                Amount::Latency(_, bounds) => {
                    let none = Histogram::new(0, 4);
                    let none = Amount::Latency(&none, bounds);
                    let _ = append(sink, series, &none, at_ms - INTERVAL_MS);
                }
            }
        }
        match append(sink, series, amount, at_ms) {
            Err(Refused::Gone) => *slot = None,
            Ok(()) | Err(Refused::Duplicate) => return Ok(true),
            Err(refused) => return Err(refused),
        }
    }
    Ok(false)
}

fn append<S: Sink>(
    sink: &mut S,
    series: S::Id,
    amount: &Amount<'_>,
    at_ms: i64,
) -> Result<(), Refused> {
    match amount {
        #[expect(clippy::cast_precision_loss, reason = "every sample is f64")]
        Amount::Count(count) => sink.append(series, at_ms, *count as f64),
        Amount::Gauge(value) => sink.append(series, at_ms, *value),
        Amount::Latency(histogram, bounds) => {
            let unit = UNIT.as_secs_f64();
            let mut below = 0;
            let mut counts = Vec::with_capacity(bounds.len() + 1);
            for bound in *bounds {
                let up_to = histogram.count_to(bound / unit);
                counts.push(up_to.saturating_sub(below));
                below = up_to;
            }
            let count = histogram.count();
            counts.push(count.saturating_sub(below));
            let sum = Some(histogram.sum() * unit);
            sink.append_classic(series, at_ms, &Classic { bounds, counts: &counts, sum, count })
        }
    }
}

fn find<S: Sink>(
    sink: &mut S,
    family: &Desc,
    amount: &Amount<'_>,
    labels: &[(String, String)],
) -> Option<S::Id> {
    let kind = if matches!(amount, Amount::Latency(..)) { Kind::Classic } else { Kind::Float };
    let name = name_of(family);
    let labels = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut all: Vec<_> =
        labels.filter(|(_, value)| !value.is_empty()).chain([("__name__", &*name)]).collect();
    all.sort_unstable();
    sink.series(Rank::Derived, &all, kind)
}

/// The name of a family's samples.
fn name_of(family: &Desc) -> String {
    let total = if family.kind == telemetry::Kind::Counter { "_total" } else { "" };
    format!("{}{total}", family.name)
}

fn describe<S: Sink>(sink: &mut S, family: &Desc) {
    let kind = match family.kind {
        telemetry::Kind::Counter => MetricKind::Counter,
        telemetry::Kind::Gauge => MetricKind::Gauge,
        telemetry::Kind::Histogram => MetricKind::Histogram,
    };
    let unit = if family.name.ends_with("_seconds") || kind == MetricKind::Histogram {
        "seconds"
    } else {
        ""
    };
    let (help, unit) = (family.help.to_owned(), unit.to_owned());
    sink.describe(&name_of(family), Metadata { kind, help, unit });
}
