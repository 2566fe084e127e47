//! What is in memory: every live series with its newest samples, found by labels or by matchers.
//!
//! Bounded by [`Config::series_max`](super::Config::series_max); what is past it is counted by metric. One
//! lock guards all of it and is held for one append, one series of a query, or one pass over an index.
//! Histograms with explicit bounds have postings of their own, since they answer to other names.

mod offenders;
mod postings;
mod resolve;
mod series;
mod symbols;

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashTable;
use offenders::Offenders;
use postings::Postings;
pub(super) use resolve::{Views, resolve};
pub(super) use series::Series;
use sidelight_promql::Labels;
use symbols::{Symbol, Symbols};

use super::chunk::Corrupt;
use super::exemplars::Ring;
use super::metadata::Metadata;
use super::stats::{Offender, Stats};
use super::{Fingerprint, Kind, SeriesId, Stream};

/// The label that holds a metric's name.
const NAME: &str = sidelight_promql::labels::NAME;

/// Everything in memory.
#[derive(Debug)]
pub(super) struct Head {
    series_max: usize,
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_fingerprint: HashTable<u32>,
    symbols: Symbols,
    /// Numbers and native histograms.
    plain: Postings,
    /// Histograms with explicit bounds.
    classic: Postings,
    offenders: Offenders,
    pub(super) exemplars: Ring,
    /// Metadata by family, and whether a checkpoint has it.
    pub(super) families: BTreeMap<String, (Metadata, bool)>,
    /// Bytes of chunks that no checkpoint has.
    pub(super) pending_bytes: usize,
    /// Series made.
    pub(super) born: u32,
    /// Samples taken.
    pub(super) samples: u64,
    /// Samples of series past the limit.
    pub(super) overflow_samples: u64,
    pub(super) newest_ms: Option<i64>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    series: Option<Box<Series>>,
}

/// A series that cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Head {
    pub(super) fn new(series_max: usize, exemplars: Ring) -> Self {
        Self {
            series_max,
            slots: Vec::new(),
            free: Vec::new(),
            by_fingerprint: HashTable::new(),
            symbols: Symbols::default(),
            plain: Postings::default(),
            classic: Postings::default(),
            offenders: Offenders::default(),
            exemplars,
            families: BTreeMap::new(),
            pending_bytes: 0,
            born: 0,
            samples: 0,
            overflow_samples: 0,
            newest_ms: None,
        }
    }

    /// How many series there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The number of slots: every series has an index below it.
    pub(super) fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    pub(super) fn get(&self, id: SeriesId) -> Option<&Series> {
        let slot = self.slots.get(id.index as usize)?;
        slot.series.as_deref().filter(|_| slot.generation == id.generation)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: SeriesId) -> Option<&mut Series> {
        let slot = self.slots.get_mut(id.index as usize)?;
        slot.series.as_deref_mut().filter(|_| slot.generation == id.generation)
    }

    /// The series in a slot.
    pub(super) fn at(&self, index: u32) -> Option<(SeriesId, &Series)> {
        let slot = self.slots.get(index as usize)?;
        let id = SeriesId { index, generation: slot.generation };
        slot.series.as_deref().map(|series| (id, series))
    }

    /// Whether a live series has this fingerprint.
    fn has(&self, fingerprint: Fingerprint) -> bool {
        self.index(fingerprint).is_some()
    }

    /// The live series with this fingerprint.
    pub(super) fn find(&self, fingerprint: Fingerprint) -> Option<&Series> {
        self.at(self.index(fingerprint)?).map(|(_, series)| series)
    }

    /// Whether a series has been here since there were `born` of them.
    pub(super) fn has_since(&self, fingerprint: Fingerprint, born: u32) -> bool {
        self.find(fingerprint).is_some_and(|series| {
            // Numbers start over some day; a query does not last that long.
            born.wrapping_sub(series.born) <= u32::MAX / 2
        })
    }

    fn index(&self, fingerprint: Fingerprint) -> Option<u32> {
        let same = |&index: &u32| self.fingerprint(index) == Some(fingerprint);
        self.by_fingerprint.find(fingerprint.0, same).copied()
    }

    fn fingerprint(&self, index: u32) -> Option<Fingerprint> {
        let slot = self.slots.get(index as usize)?;
        slot.series.as_ref().map(|series| series.fingerprint)
    }

    /// Finds a series; labels with empty values are none.
    pub(super) fn find(&self, labels: &[(&str, &str)], kind: Kind) -> Option<SeriesId> {
        let present = labels.iter().copied().filter(|(_, value)| !value.is_empty());
        let index = self.index(Fingerprint::of(present.clone(), kind))?;
        let (id, series) = self.at(index)?;
        let text = |symbol| self.symbols.text(symbol);
        let texts = series.labels.iter().map(|&(name, value)| (text(name), text(value)));
        texts.eq(present).then_some(id)
    }

    /// Finds a series or makes it.
    pub(super) fn series(
        &mut self,
        labels: &[(&str, &str)],
        kind: Kind,
        now_ms: i64,
    ) -> Result<SeriesId, Full> {
        let present = labels.iter().copied().filter(|(_, value)| !value.is_empty());
        let fingerprint = Fingerprint::of(present.clone(), kind);
        if let Some(index) = self.index(fingerprint)
            && let Some((id, series)) = self.at(index)
        {
            let texts = series.labels.iter();
            let texts =
                texts.map(|&(name, value)| (self.symbols.text(name), self.symbols.text(value)));
            return if texts.eq(present) { Ok(id) } else { Err(Full) };
        }
        if self.len() >= self.series_max {
            let metric = labels.iter().find(|(name, _)| *name == NAME).map_or("", |label| label.1);
            self.offenders.refused(metric);
            return Err(Full);
        }
        Ok(self.make(fingerprint, present, kind, now_ms))
    }

    /// Makes a series beside the limit.
    pub(super) fn make<'a>(
        &mut self,
        fingerprint: Fingerprint,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        kind: Kind,
        now_ms: i64,
    ) -> SeriesId {
        let symbols = &mut self.symbols;
        let labels: Box<[_]> =
            labels.map(|(name, value)| (symbols.intern(name), symbols.intern(value))).collect();
        let index = self.free.pop().unwrap_or(self.slots.len() as u32);
        let postings = if kind == Kind::Classic { &mut self.classic } else { &mut self.plain };
        postings.insert(index, &labels);
        self.born = self.born.wrapping_add(1);
        let mut series = Box::new(Series::new(fingerprint, kind, labels, now_ms));
        series.born = self.born;
        if self.slots.len() <= index as usize {
            self.slots.push(Slot { generation: 0, series: None });
        }
        let generation = self.slots.get_mut(index as usize).map_or(0, |slot| {
            slot.generation = slot.generation.wrapping_add(1);
            slot.series = Some(series);
            slot.generation
        });
        let slots = &self.slots;
        let hash = |&index: &u32| {
            let series = slots.get(index as usize).and_then(|slot| slot.series.as_ref());
            series.map_or(0, |series| series.fingerprint.0)
        };
        self.by_fingerprint.insert_unique(fingerprint.0, index, hash);
        SeriesId { index, generation }
    }

    /// Puts back a series of a checkpoint. What cannot be read of it is left out.
    pub(super) fn restore(
        &mut self,
        fingerprint: Fingerprint,
        labels: &Labels,
        kind: Kind,
        state: &[u8],
    ) -> Result<(SeriesId, Stream), Corrupt> {
        // The one that counts what is past the limit may be beside it.
        if self.len() > self.series_max || self.has(fingerprint) {
            return Err(Corrupt("one series too many"));
        }
        let texts = labels.iter().map(|label| (&*label.name, &*label.value));
        let id = self.make(fingerprint, texts, kind, 0);
        let restored = self.get_mut(id).ok_or(Corrupt("no series")).and_then(|s| s.restore(state));
        match restored {
            Ok(stream) => {
                let series = self.get(id);
                let newest = series.and_then(|series| series.last_ms);
                let sealed = series.map_or(0, Series::sealed_bytes);
                self.pending_bytes += sealed;
                self.newest_ms = self.newest_ms.max(newest);
                Ok((id, stream))
            }
            Err(corrupt) => {
                self.remove(&[id]);
                Err(corrupt)
            }
        }
    }

    /// Takes series out.
    pub(super) fn remove(&mut self, gone: &[SeriesId]) {
        let mut out = Vec::with_capacity(gone.len());
        for id in gone {
            let Some(slot) = self.slots.get_mut(id.index as usize) else { continue };
            if slot.generation != id.generation {
                continue;
            }
            if let Some(series) = slot.series.take() {
                let found =
                    self.by_fingerprint.find_entry(series.fingerprint.0, |&at| at == id.index);
                if let Ok(entry) = found {
                    entry.remove();
                }
                self.pending_bytes -= series.sealed_bytes();
                self.free.push(id.index);
                out.push((id.index, series));
            }
        }
        out.sort_unstable_by_key(|(index, _)| *index);
        for (postings, classic) in [(&mut self.plain, false), (&mut self.classic, true)] {
            let of = out.iter().filter(|(_, series)| (series.kind == Kind::Classic) == classic);
            let of: Vec<_> = of.map(|(index, series)| (*index, &*series.labels)).collect();
            postings.remove(&of);
        }
        for (name, value) in out.iter().flat_map(|(_, series)| &series.labels) {
            self.symbols.release(*name);
            self.symbols.release(*value);
        }
    }

    /// The labels of a series.
    pub(super) fn labels(&self, series: &Series) -> Labels {
        Labels::new(
            series
                .labels
                .iter()
                .map(|&(name, value)| (self.symbols.shared(name), self.symbols.shared(value))),
        )
    }

    /// The values of label `name` with the series that have them: of plain series, or of histograms with
    /// explicit bounds.
    fn values(&self, name: &str, classic: bool) -> Vec<(Symbol, Arc<str>, usize)> {
        let postings = if classic { &self.classic } else { &self.plain };
        let Some(name) = self.symbols.find(name) else { return Vec::new() };
        let values = postings.values(name);
        values.map(|(value, series)| (value, self.symbols.shared(value), series)).collect()
    }

    /// Adds what is in memory to `stats`.
    pub(super) fn stats(&self, stats: &mut Stats) {
        stats.series = self.len();
        stats.samples = self.samples;
        stats.overflow_samples = self.overflow_samples;
        stats.newest_ms = self.newest_ms;
        let mut bytes = self.symbols.heap_bytes()
            + self.plain.heap_bytes()
            + self.classic.heap_bytes()
            + self.slots.capacity() * (size_of::<Slot>() + 5);
        for series in self.slots.iter().filter_map(|slot| slot.series.as_deref()) {
            stats.chunks += series.chunks();
            stats.chunk_bytes += series.chunk_bytes();
            bytes += series.heap_bytes();
        }
        stats.head_bytes = bytes;
        let names = [false, true].into_iter().flat_map(|classic| self.values(NAME, classic));
        stats.offenders = self.offenders.loudest(names.map(|(_, name, series)| Offender {
            metric: name.to_string(),
            series,
            refused: 0,
        }));
    }
}
