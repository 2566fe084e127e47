//! What is in memory: every live series with its newest samples, found by labels or by matchers.
//!
//! Bounded by [`Config::series_max`](super::Config::series_max) and by the bytes of a [`StoreBudget`], each with parts
//! beside it for what the agent makes itself ([`Rank`]); what is past them is counted by reason and by metric.
//! One lock guards all of it and is held for one append, one series of a query, or one pass over an index. Histograms
//! with explicit bounds have postings of their own, since they answer to other names.

mod bounds;
mod cardinality;
mod families;
mod labels;
mod offenders;
mod postings;
mod resolve;
mod series;
mod symbols;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use bounds::BoundSets;
use families::Families;
use hashbrown::{HashMap, HashTable};
use offenders::Offenders;
use postings::Postings;
pub(super) use resolve::{Views, resolve};
pub(super) use series::Series;
use symbols::{Symbol, Symbols};

use super::checkpoint::Live;
use super::chunk::{Corrupt, Sample};
use super::exemplars::Ring;
use super::metadata::Metadata;
use super::{Fingerprint, Kind, Rank, Refused, SeriesId, Stream};
use crate::memory::StoreBudget;

/// The label that holds a metric's name.
const NAME: &str = sidelight_promql::labels::NAME;

/// Everything in memory.
#[derive(Debug)]
pub(super) struct Head {
    series_max: usize,
    memory: StoreBudget,
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_fingerprint: HashTable<u32>,
    symbols: Symbols,
    bounds: BoundSets,
    /// What series take themselves, without texts, bounds and chunks.
    series_bytes: usize,
    /// What open chunks take.
    open_bytes: usize,
    /// Numbers and native histograms.
    plain: Postings,
    /// Histograms with explicit bounds.
    classic: Postings,
    offenders: Offenders,
    pub(super) exemplars: Ring,
    pub(super) families: Families,
    /// Bytes of sealed chunks that no checkpoint has …
    pub(super) pending_bytes: usize,
    /// … and of those that one has and that are kept for queries.
    kept_bytes: usize,
    /// Bytes of labels that are kept for queries.
    shared_bytes: AtomicUsize,
    /// Series made.
    pub(super) born: u32,
    /// Series that left have no sample after this, on disk.
    pub(super) departed_ms: i64,
    /// Series that are not here but have samples on disk up to these times, after the state of the head
    /// was lost: their samples go on from there.
    pub(super) ends: HashMap<Fingerprint, i64>,
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

/// Why a series is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// There are as many as there may be.
    Series,
    /// Its labels have no room.
    Memory,
    /// Another has its fingerprint.
    Clash,
}

impl Full {
    pub(super) const ALL: [Self; 3] = [Self::Series, Self::Memory, Self::Clash];

    /// The name used in labels.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Series => "series_max",
            Self::Memory => "memory",
            Self::Clash => "clash",
        }
    }
}

/// Why a series of the checkpoint is not put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    Unreadable,
    /// Less memory is given to the store than it had.
    NoRoom,
}

/// What a series takes without its labels: itself, its slot, its place by fingerprint.
const SERIES_BYTES: usize = size_of::<Series>() + 48;
/// What a label of a series takes: its symbols and its place in a list.
const LABEL_BYTES: usize = 16;

const fn bytes_of(labels: usize) -> usize {
    SERIES_BYTES + labels * LABEL_BYTES
}

impl Head {
    pub(super) fn new(series_max: usize, memory: StoreBudget, exemplars: Ring) -> Self {
        Self {
            series_max,
            memory,
            slots: Vec::new(),
            free: Vec::new(),
            by_fingerprint: HashTable::new(),
            symbols: Symbols::default(),
            bounds: BoundSets::default(),
            series_bytes: 0,
            open_bytes: 0,
            plain: Postings::default(),
            classic: Postings::default(),
            offenders: Offenders::default(),
            exemplars,
            families: Families::default(),
            pending_bytes: 0,
            kept_bytes: 0,
            shared_bytes: AtomicUsize::new(0),
            born: 0,
            departed_ms: i64::MIN,
            ends: HashMap::new(),
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
    pub(super) fn find_labels(&self, labels: &[(&str, &str)], kind: Kind) -> Option<SeriesId> {
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
        rank: Rank,
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
            if !texts.eq(present) {
                return Err(Full::Clash);
            }
            self.set_rank(id, rank);
            return Ok(id);
        }
        if let Err(full) = self.admit(present.clone(), rank, 0) {
            let metric = labels.iter().find(|(name, _)| *name == NAME).map_or("", |label| label.1);
            self.offenders.refused(metric);
            return Err(full);
        }
        let id = self.make(fingerprint, present, kind, now_ms);
        self.set_rank(id, rank);
        Ok(id)
    }

    /// Bounds of histograms count against the room of who asks for the series: a checkpoint does not say who did.
    fn set_rank(&mut self, id: SeriesId, rank: Rank) {
        if let Some(series) = self.get_mut(id) {
            series.rank = rank;
        }
    }

    /// Whether there is room for a series of `rank`, and for `beside` more than there may be.
    fn admit<'a>(
        &self,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        rank: Rank,
        beside: usize,
    ) -> Result<(), Full> {
        if self.len() >= rank.limit(self.series_max).saturating_add(beside) {
            return Err(Full::Series);
        }
        let cost = |(name, value)| LABEL_BYTES + self.symbols.cost(name) + self.symbols.cost(value);
        let labels: usize = labels.map(cost).sum();
        if labels + SERIES_BYTES > self.room(rank) { Err(Full::Memory) } else { Ok(()) }
    }

    /// The bytes that are left for series of `rank`, their labels and their bounds.
    fn room(&self, rank: Rank) -> usize {
        let used = self.series_bytes + self.symbols.used_bytes() + self.bounds.bytes();
        rank.limit(self.memory.series).saturating_sub(used)
    }

    /// Adds a sample. Returns the bytes of what that sealed.
    #[inline]
    pub(super) fn append(
        &mut self,
        id: SeriesId,
        time: i64,
        sample: &Sample<'_>,
    ) -> Result<usize, Refused> {
        let live = self.len();
        let slot = self.slots.get_mut(id.index as usize).ok_or(Refused::Gone)?;
        let series = slot.series.as_deref_mut().filter(|_| slot.generation == id.generation);
        let series = series.ok_or(Refused::Gone)?;
        let mark = series.check(time, sample)?;
        if let Sample::Classic(histogram) = sample
            && !series.has_bounds(histogram.bounds)
        {
            let used = self.series_bytes + self.symbols.used_bytes() + self.bounds.bytes();
            let room = series.rank.limit(self.memory.series).saturating_sub(used);
            let bounds = self.bounds.intern(histogram.bounds, room);
            series.bounds = Some(bounds.ok_or(Refused::Memory)?);
        }
        let before = series.open_bytes();
        let mut sealed = series.append(time, sample, mark);
        let after = series.open_bytes();
        self.open_bytes = self.open_bytes + after - before;
        // Who keeps below an equal share waits for no one's sake.
        if self.open_bytes > self.memory.open_chunks
            && after > self.memory.open_chunks / live.max(1)
        {
            sealed += series.seal();
            self.open_bytes -= after;
        }
        Ok(sealed)
    }

    /// Seals what is open of a series; its bytes.
    pub(super) fn seal(&mut self, id: SeriesId) -> usize {
        let Some(series) = self.get_mut(id) else { return 0 };
        let open = series.open_bytes();
        let sealed = series.seal();
        self.open_bytes -= open;
        sealed
    }

    /// Drops the oldest sealed chunk of a series that no checkpoint has; its bytes.
    pub(super) fn drop_oldest(&mut self, id: SeriesId) -> Option<usize> {
        self.get_mut(id)?.drop_oldest()
    }

    /// Says that a checkpoint has the sealed chunks of a series. The last is kept for queries while the open one begins
    /// after `after_ms` and there is room.
    pub(super) fn written(&mut self, id: SeriesId, after_ms: i64) {
        let room = self.memory.open_chunks.saturating_sub(self.open_bytes + self.kept_bytes);
        let Some(series) = self.get_mut(id) else { return };
        let labels = series.forget_labels();
        let (pending, before) = (series.pending_bytes(), series.kept_bytes());
        let after = series.written(after_ms, room + before);
        *self.shared_bytes.get_mut() -= labels;
        self.pending_bytes -= pending;
        self.kept_bytes = self.kept_bytes + after - before;
    }

    /// Lets go of bounds that no series has.
    pub(super) fn sweep_bounds(&mut self) {
        self.bounds.sweep();
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
        self.series_bytes += bytes_of(labels.len());
        let index = self.free.pop().unwrap_or(self.slots.len() as u32);
        let postings = if kind == Kind::Classic { &mut self.classic } else { &mut self.plain };
        postings.insert(index, &labels);
        self.born = self.born.wrapping_add(1);
        let mut series = Box::new(Series::new(fingerprint, kind, labels, now_ms));
        series.born = self.born;
        if let Some(end) = self.ends.remove(&fingerprint) {
            series.go_on_after(end);
        }
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

    /// Puts back a series of a checkpoint, which may have more than are let in by now: they leave as all do.
    pub(super) fn restore(&mut self, live: &Live<'_>) -> Result<(SeriesId, Stream), Lost> {
        let Live { fingerprint, kind, labels, state } = *live;
        let texts = labels.iter().copied();
        if self.has(fingerprint) {
            return Err(Lost::Unreadable);
        }
        self.admit(texts.clone(), Rank::Judged, usize::MAX).map_err(|_| Lost::NoRoom)?;
        let id = self.make(fingerprint, texts, kind, 0);
        let room = self.room(Rank::Derived);
        let mut full = false;
        let (slot, bounds) = (self.slots.get_mut(id.index as usize), &mut self.bounds);
        let series = slot.and_then(|slot| slot.series.as_deref_mut());
        let restored = series.ok_or(Corrupt("no series")).and_then(|series| {
            let stream = series.restore(state, |set| {
                let shared = bounds.intern(set, room);
                full = shared.is_none();
                shared
            });
            self.open_bytes += series.open_bytes();
            self.pending_bytes += series.pending_bytes();
            stream
        });
        match restored {
            Ok(stream) => {
                let newest = self.get(id).and_then(|series| series.last_ms);
                self.newest_ms = self.newest_ms.max(newest);
                Ok((id, stream))
            }
            Err(_) => {
                self.remove(&[id]);
                Err(if full { Lost::NoRoom } else { Lost::Unreadable })
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
                self.pending_bytes -= series.pending_bytes();
                self.kept_bytes -= series.kept_bytes();
                *self.shared_bytes.get_mut() -= series.shared_bytes();
                self.departed_ms = self.departed_ms.max(series.last_ms.unwrap_or(i64::MIN));
                self.open_bytes -= series.open_bytes();
                self.series_bytes -= bytes_of(series.labels.len());
                self.exemplars.remove_series(*id);
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

    /// The series with this fingerprint.
    pub(super) fn id(&self, fingerprint: Fingerprint) -> Option<SeriesId> {
        self.at(self.index(fingerprint)?).map(|(id, _)| id)
    }

    /// Exemplars for the checkpoint.
    pub(super) fn encoded_exemplars(&self) -> Vec<u8> {
        self.exemplars.encode(|id| self.get(id).map(|series| series.fingerprint))
    }

    /// Takes up what [`Head::encoded_exemplars`] gave.
    pub(super) fn take_back_exemplars(&mut self, bytes: &[u8]) {
        let mut exemplars = std::mem::replace(&mut self.exemplars, Ring::new(0, 0));
        exemplars.take_back(bytes, |of| self.id(of));
        self.exemplars = exemplars;
    }

    /// Keeps what is known of a family; false when there is no room.
    pub(super) fn describe(&mut self, name: &str, metadata: Metadata, families_max: usize) -> bool {
        let room = (families_max, self.memory.metadata);
        self.families.describe(name, metadata, room, &self.symbols)
    }

    /// The values of label `name` with the series that have them: of plain series, or of histograms with
    /// explicit bounds.
    fn counted(&self, name: &str, classic: bool) -> Vec<(Symbol, Arc<str>, usize)> {
        let postings = if classic { &self.classic } else { &self.plain };
        let Some(name) = self.symbols.find(name) else { return Vec::new() };
        let values = postings.values(name);
        values.map(|(value, series)| (value, self.symbols.shared(value), series)).collect()
    }
}
