//! A query: head and disk, one series at a time through one buffer.
//!
//! The head is read before the disk, so that a chunk that moves in between is seen twice rather than not
//! at all; of a series that both have, the disk gives what is before the head's first sample. A series
//! that leaves the head between being found and being read is read from the disk.
//!
//! Label sets come once each: a number and a native histogram of the same labels are one series, and so
//! are the bucket of a histogram and a number that was stored under the bucket's name.
//!
//! No file is opened for a window that begins after the last sample of every series that left the head, as far as the
//! head has the samples of the others.
//!
//! Limit: [`SELECTED_MAX`] series. Cost: 1 µs per series and 5 ns per sample in memory.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::ControlFlow;

use sidelight_promql::ast::Matcher;
use sidelight_promql::labels::NAME;
use sidelight_promql::{Each, Labels, Points, Queryable, Selection, SourceError, Warnings};

use super::checkpoint::Window;
use super::chunk::{self, Chunk};
use super::disk::{AHEAD, Reader, Sparse};
use super::handle::Store;
use super::head::{Views, resolve};
use super::samples::Samples;
use super::shared::Shared;
use super::virtual_series::{self, LE, Suffix};
use super::{Fingerprint, Kind, SeriesId, StoreError};

/// The most stored series of one selection.
const SELECTED_MAX: usize = 1 << 16;

/// Series that are looked up in the head at once.
const LOOKED_UP: usize = 64;

/// A stored series that a query is about.
#[derive(Clone, Debug)]
pub(super) struct Selected {
    pub(super) fingerprint: Fingerprint,
    pub(super) kind: Kind,
    pub(super) views: Views,
    pub(super) place: Place,
}

/// Where a series is found first.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Head(SeriesId),
    Disk(Labels),
}

/// Reads the store until it is told to stop.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    pub(super) store: &'a Store,
    pub(super) stop: &'a dyn Fn() -> bool,
}

impl std::fmt::Debug for Reading<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").finish_non_exhaustive()
    }
}

impl Store {
    /// The store, read until `stop` says so: then what is asked ends with [`StoreError::Stopped`]. It is asked for
    /// every series that is looked at.
    #[must_use]
    pub const fn reading<'a>(&'a self, stop: &'a dyn Fn() -> bool) -> Reading<'a> {
        Reading { store: self, stop }
    }
}

impl Reading<'_> {
    /// Fails once it is to stop.
    pub(super) fn go_on(&self) -> Result<(), StoreError> {
        if (self.stop)() { Err(StoreError::Stopped) } else { Ok(()) }
    }
}

impl Queryable for Store {
    fn select(&self, selection: &Selection<'_>, each: Each<'_>) -> Result<Warnings, SourceError> {
        self.reading(&|| false).select(selection, each)
    }
}

impl Queryable for Reading<'_> {
    fn select(&self, selection: &Selection<'_>, each: Each<'_>) -> Result<Warnings, SourceError> {
        let failed = |error: StoreError| SourceError(Box::new(error));
        let window = Window::of(selection);
        let mut query = Query::new(*self, window);
        let selected = query.find(selection.matchers).map_err(failed)?;
        if selected.len() > SELECTED_MAX {
            return Err(failed(StoreError::TooMany(SELECTED_MAX)));
        }
        query.run(selection.matchers, selected, each).map_err(failed)?;
        Ok(query.reader.map_or_else(Vec::new, |reader| reader.lost(&window)))
    }
}

/// What a query reads with.
pub(super) struct Query<'a> {
    reading: Reading<'a>,
    shared: &'a Shared,
    window: Window,
    reader: Option<Reader<'a>>,
    /// Samples of the series at hand, as stored.
    pub(super) samples: Samples,
    /// Chunks copied out of the head.
    sealed: Vec<Chunk>,
    open: Vec<u8>,
    /// Samples of a virtual series.
    points: Points,
    /// Of the labels of virtual series.
    pub(super) texts: virtual_series::Texts,
    /// Numbers that may share their labels with something else, and whether they were handed over.
    numbers: BTreeMap<Fingerprint, (Selected, bool)>,
}

impl<'a> Query<'a> {
    pub(super) fn new(reading: Reading<'a>, window: Window) -> Self {
        Self {
            reading,
            shared: &reading.store.shared,
            window,
            reader: None,
            samples: Samples::default(),
            sealed: Vec::new(),
            open: Vec::new(),
            points: Points::default(),
            texts: virtual_series::Texts::default(),
            numbers: BTreeMap::new(),
        }
    }

    fn reader(&mut self) -> &mut Reader<'a> {
        let shared = self.shared;
        self.reader.get_or_insert_with(|| shared.disk.reader())
    }

    /// Whether a file of the window's days has a series.
    pub(super) fn is_on_disk(&mut self, of: Fingerprint) -> Result<bool, StoreError> {
        self.reading.go_on()?;
        let window = self.window;
        Ok(self.reader().labels(of, &window)?.is_some())
    }

    /// Every stored series that meets the matchers, at most one more than may be selected; conditions on bounds
    /// are left.
    pub(super) fn find(&mut self, matchers: &[Matcher]) -> Result<Vec<Selected>, StoreError> {
        let mut selected = Vec::new();
        self.find_each(matchers, &mut |found| {
            selected.push(found);
            if selected.len() > SELECTED_MAX {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        Ok(selected)
    }

    /// The same, one at a time: those in memory first.
    pub(super) fn find_each(
        &mut self,
        matchers: &[Matcher],
        take: &mut dyn FnMut(Selected) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let after = self.window.after;
        let born = self.shared.head().born;
        let targets = resolve(&self.shared.head, matchers);
        // Said after the targets: what left before they were found is considered.
        let mut whole = after >= self.shared.head().departed_ms;
        let mut in_head = Vec::with_capacity(targets.len());
        let mut there = Vec::with_capacity(targets.len().min(LOOKED_UP));
        for targets in targets.chunks(LOOKED_UP) {
            let head = self.shared.head();
            for target in targets {
                self.reading.go_on()?;
                let Some(series) = head.get(target.id) else {
                    // It left meanwhile: the disk has it.
                    whole = false;
                    continue;
                };
                in_head.push(series.fingerprint);
                if series.last_ms.is_some_and(|last| last > after) {
                    let (fingerprint, kind) = (series.fingerprint, series.kind);
                    let (views, place) = (target.views, Place::Head(target.id));
                    there.push(Selected { fingerprint, kind, views, place });
                }
            }
            drop(head);
            for selected in there.drain(..) {
                if take(selected).is_break() {
                    return Ok(());
                }
            }
        }
        if whole {
            return Ok(());
        }
        let in_head: HashSet<_> = in_head.into_iter().collect();
        // What is named is looked up: each name once, and those of the histograms that it may be of.
        let names = virtual_series::named(matchers).map(|named| {
            let bases = named.iter().filter_map(|name| virtual_series::base(name));
            let names: BTreeSet<_> = named.iter().map(String::as_str).chain(bases).collect();
            names.into_iter().collect::<Vec<_>>()
        });
        // Of those that were in the head all along, nothing else is wanted. One that came back may have
        // samples on disk that the head knows nothing of.
        let shared = self.shared;
        let known = |of: Fingerprint| in_head.contains(&of) || shared.head().has_since(of, born);
        let (window, stop) = (self.window, self.reading.stop);
        self.reader().series(&window, names.as_deref(), &known, &mut |found| {
            let others =
                |m: &&Matcher| m.name != NAME && (found.kind != Kind::Classic || m.name != LE);
            let fits = matchers.iter().filter(others).all(|m| m.matches(found.labels.get(&m.name)));
            let views = Views::of(found.kind, found.labels.metric_name(), matchers);
            let mut flow = ControlFlow::Continue(());
            if let Some(views) = views.filter(|_| fits) {
                let (fingerprint, kind) = (found.fingerprint, found.kind);
                let place = Place::Disk(found.labels);
                flow = take(Selected { fingerprint, kind, views, place });
            }
            if stop() { ControlFlow::Break(()) } else { flow }
        })?;
        self.reading.go_on()
    }

    /// Reads the samples of a series in the window; `None` when there are none.
    pub(super) fn read(&mut self, of: &Selected) -> Result<Option<(Labels, Sparse)>, StoreError> {
        self.reading.go_on()?;
        self.samples.clear();
        self.sealed.clear();
        self.open.clear();
        let (after, until) = (self.window.after, self.window.until);
        let mut before = i64::MAX;
        let mut encoding = None;
        let labels = match &of.place {
            Place::Disk(labels) => Some(labels.clone()),
            Place::Head(id) => 'live: {
                let head = self.shared.head();
                // One that left may be back under another number.
                let series = head.get(*id).or_else(|| head.find(of.fingerprint));
                let Some(series) = series else { break 'live None };
                before = series.first_ms().unwrap_or(i64::MAX);
                let overlaps = |chunk: &&Chunk| chunk.end_ms > after && chunk.start_ms <= until;
                self.sealed.extend(series.sealed.iter().filter(overlaps).cloned());
                if series.last_ms.is_some_and(|last| last > after) {
                    encoding = series.copy_open(&mut self.open);
                }
                Some(head.shared_labels(series))
            }
        };
        let mut sparse = Sparse::default();
        if before > after.saturating_add(1) {
            let window = self.window;
            let mut samples = std::mem::take(&mut self.samples);
            let read = self.reader().read(of.fingerprint, &window, before, &mut samples);
            self.samples = samples;
            sparse = read?;
        }
        let sealed = self.sealed.iter().map(|chunk| (chunk.encoding, &*chunk.bytes));
        for (encoding, bytes) in sealed.chain(encoding.map(|encoding| (encoding, &*self.open))) {
            // Written by this process; if it cannot be read, what was read of it stays.
            let read = chunk::decode(encoding, bytes, &mut self.samples);
            debug_assert!(read.is_ok(), "{read:?}");
        }
        // Where histograms are far apart, those around the window are what floats are filled in between.
        if sparse.is_empty() {
            self.samples.trim(after, until);
        } else {
            let histograms = std::mem::take(&mut self.samples.points.histograms);
            let classics = std::mem::take(&mut self.samples.classics.rows);
            self.samples.trim(after, until);
            self.samples.points.histograms = histograms;
            self.samples.classics.rows = classics;
        }
        if self.samples.is_empty() {
            return Ok(None);
        }
        let labels = match labels {
            Some(labels) => Some(labels),
            None => {
                let window = self.window;
                self.reader().labels(of.fingerprint, &window)?
            }
        };
        Ok(labels.map(|labels| (labels, sparse)))
    }

    fn run(
        &mut self,
        matchers: &[Matcher],
        mut selected: Vec<Selected>,
        each: Each<'_>,
    ) -> Result<(), StoreError> {
        // The same order wherever they are: a mean depends on it in its last digits.
        selected.sort_unstable_by_key(|of| of.fingerprint);
        let others = selected.iter().any(|series| series.kind != Kind::Float);
        let (numbers, others): (Vec<_>, Vec<_>) = if others {
            selected.into_iter().partition(|series| series.kind == Kind::Float)
        } else {
            (selected, Vec::new())
        };
        if others.is_empty() {
            return self.run_numbers(&numbers, each);
        }
        let by_fingerprint = numbers.into_iter().map(|of| (of.fingerprint, (of, false)));
        self.numbers = by_fingerprint.collect();
        for batch in others.chunks(AHEAD) {
            self.ahead(batch)?;
            for series in batch {
                let flow = match series.views {
                    Views::Plain => self.native(series, each)?,
                    Views::Virtual(suffixes) => self.classic(series, suffixes, matchers, each)?,
                };
                if flow.is_break() {
                    return Ok(());
                }
            }
        }
        let left = std::mem::take(&mut self.numbers).into_values();
        let left: Vec<_> = left.filter(|(_, handed)| !handed).map(|(series, _)| series).collect();
        self.run_numbers(&left, each)
    }

    fn run_numbers(&mut self, numbers: &[Selected], each: Each<'_>) -> Result<(), StoreError> {
        for batch in numbers.chunks(AHEAD) {
            self.ahead(batch)?;
            for series in batch {
                if self.number(series, each)?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Has the disk read together what comes next, of those whose samples the head does not all have.
    fn ahead(&mut self, batch: &[Selected]) -> Result<(), StoreError> {
        self.reading.go_on()?;
        let (after, window) = (self.window.after, self.window);
        let head = self.shared.head();
        let on_disk = |of: &&Selected| match of.place {
            Place::Disk(_) => true,
            Place::Head(id) => {
                let first = head.get(id).and_then(|series| series.first_ms());
                first.is_none_or(|first| first > after.saturating_add(1))
            }
        };
        let wanted: Vec<_> = batch.iter().filter(on_disk).map(|of| of.fingerprint).collect();
        drop(head);
        if !wanted.is_empty() {
            self.reader().ahead(&wanted, &window);
        }
        Ok(())
    }

    fn number(&mut self, of: &Selected, each: Each<'_>) -> Result<ControlFlow<()>, StoreError> {
        let read = self.read(of)?;
        Ok(match read {
            Some((labels, _)) => each(&labels, &self.samples.points),
            None => ControlFlow::Continue(()),
        })
    }

    fn native(&mut self, of: &Selected, each: Each<'_>) -> Result<ControlFlow<()>, StoreError> {
        let Some((labels, sparse)) = self.read(of)? else { return Ok(ControlFlow::Continue(())) };
        self.points.clear();
        self.points.histograms.append(&mut self.samples.points.histograms);
        sparse.fill_histograms(&self.window, &mut self.points.histograms);
        self.add_number(&labels)?;
        if self.points.floats.is_empty() && self.points.histograms.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        Ok(each(&labels, &self.points))
    }

    /// Adds the number that has the same labels as what is in `points`, if there is one.
    fn add_number(&mut self, labels: &Labels) -> Result<(), StoreError> {
        if self.numbers.is_empty() {
            return Ok(());
        }
        let texts = labels.iter().map(|label| (&*label.name, &*label.value));
        let Some((number, handed)) = self.numbers.get_mut(&Fingerprint::of(texts, Kind::Float))
        else {
            return Ok(());
        };
        *handed = true;
        let number = number.clone();
        let kept = std::mem::take(&mut self.samples);
        let read = self.read(&number);
        let read = read.map(|_| std::mem::replace(&mut self.samples, kept))?;
        self.points.floats.extend(read.points.floats);
        self.points.floats.sort_by_key(|sample| sample.0);
        self.points.floats.dedup_by_key(|sample| sample.0);
        let histograms = &self.points.histograms;
        self.points
            .floats
            .retain(|(time, _)| histograms.binary_search_by_key(time, |h| h.0).is_err());
        Ok(())
    }

    fn classic(
        &mut self,
        of: &Selected,
        suffixes: [bool; 3],
        matchers: &[Matcher],
        each: Each<'_>,
    ) -> Result<ControlFlow<()>, StoreError> {
        let Some((labels, sparse)) = self.read(of)? else { return Ok(ControlFlow::Continue(())) };
        let window = self.window;
        let fits = |le: &str| matchers.iter().all(|m| m.name != LE || m.matches(le));
        let mut of_whole = Suffix::ALL.into_iter().zip(suffixes);
        of_whole.next();
        for (suffix, _) in of_whole.filter(|(_, wanted)| *wanted) {
            if fits(labels.get(LE)) {
                self.points.clear();
                virtual_series::whole(&self.samples.classics, suffix, &mut self.points.floats);
                let labels = self.texts.whole(&labels, suffix);
                if self.hand(&labels, &sparse, &window, each)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        if !suffixes.first().is_some_and(|wanted| *wanted) {
            return Ok(ControlFlow::Continue(()));
        }
        let sets = self.samples.classics.bounds.iter().map(|bounds| &**bounds);
        for bound in virtual_series::bounds(sets) {
            let le = self.texts.bound(bound);
            if !fits(&le) {
                continue;
            }
            self.points.clear();
            virtual_series::bucket(&self.samples.classics, bound, &mut self.points.floats);
            let labels = self.texts.bucket(&labels, &le);
            if self.hand(&labels, &sparse, &window, each)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Hands over what is in `points` as a virtual series.
    fn hand(
        &mut self,
        labels: &Labels,
        sparse: &Sparse,
        window: &Window,
        each: Each<'_>,
    ) -> Result<ControlFlow<()>, StoreError> {
        sparse.fill(window, &mut self.points.floats);
        self.add_number(labels)?;
        if self.points.floats.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        Ok(each(labels, &self.points))
    }
}
