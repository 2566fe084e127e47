//! Reading for one query: chunks of a series in a window, over the files of several days and tiers.
//!
//! Connections are taken from a pool and given back; each has its prepared statements. Limits: the files
//! of the window are open while the query runs (90 days: 14 of hourly rows), [`IDLE_MAX`] stay open
//! after it. Cost: two look-ups per series and file.
//!
//! A query says which series come next ([`Reader::ahead`]): what the files hold of them is then read by a few
//! threads at once, since a disk that is asked for one page at a time is idle most of the time.
//!
//! Files come and go while a query runs. Each series is read by the catalog as it is then, so what a
//! checkpoint took out of the head is found in its file; a file that goes in the middle of a series lets
//! it be read again, by the catalog without that file. What was read ahead counts for as long as the catalog is the
//! same one: every checkpoint replaces it before the head lets go.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use rusqlite::Connection;
use sidelight_promql::{Histogram, Labels, Warnings};

use super::ahead::{self, Chunks, Piece};
use super::catalog::{Catalog, Stretch};
use super::file::{Trouble, trouble};
use super::layout::{DAY, Day, FileKey, HOUR, Tier};
use super::rollup::{self, Depth, Looks, Row};
use super::{Disk, Opened, find, labels};
use crate::store::checkpoint::{Found, Window};
use crate::store::chunk;
use crate::store::samples::Samples;
use crate::store::{Fingerprint, StoreError};

/// Connections that stay open between queries.
pub(super) const IDLE_MAX: usize = 8;
/// The encoding of rows, beside those of chunks of samples.
pub(super) const ROWS: u8 = 255;
/// No chunk of samples is longer.
pub(super) const CHUNK_SPAN: i64 = 3 * HOUR;

/// How often a series is read because files went meanwhile; retention drops several at a time.
const ATTEMPTS_MAX: usize = 8;

/// Reads for one query.
#[derive(Debug)]
pub(in crate::store) struct Reader<'a> {
    disk: &'a Disk,
    catalog: Arc<Catalog>,
    /// Whether a file of the plan was gone.
    gone: bool,
    /// Chunks and rows that could not be read.
    corrupt: u64,
    open: BTreeMap<FileKey, Option<Opened>>,
    plan: Option<Plan>,
    /// What was read ahead, and by which catalog.
    ahead: (Arc<Catalog>, BTreeMap<FileKey, Chunks>),
    rows: Vec<Row>,
    points: Vec<(i64, f64)>,
}

/// A stretch and the files that may hold it.
type Planned = (Stretch, Vec<FileKey>);

/// What is read for a window.
#[derive(Clone, Debug)]
struct Plan {
    window: Window,
    stretches: Arc<[Planned]>,
    /// Every file, once.
    files: Arc<[FileKey]>,
}

/// Where the samples of a histogram are further apart than the query looks.
#[derive(Debug, Default)]
pub(in crate::store) struct Sparse(Vec<Stretch>);

impl Sparse {
    /// Whether all samples are as close as the query looks.
    pub(in crate::store) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts native histograms where `window` looks, between those that are kept there and around it.
    pub(in crate::store) fn fill_histograms(
        &self,
        window: &Window,
        histograms: &mut Vec<(i64, Arc<Histogram>)>,
    ) {
        for stretch in &self.0 {
            let from = histograms.partition_point(|(t, _)| *t <= stretch.after);
            let to = histograms.partition_point(|(t, _)| *t <= stretch.until);
            let (resolution, span) = (stretch.tier.resolution_ms(), (stretch.after, stretch.until));
            let mut filled = Vec::new();
            let looks = looks(window);
            rollup::densify_histograms(histograms, &looks, resolution, span, &mut filled);
            drop(histograms.splice(from..to, filled));
        }
        if !self.0.is_empty() {
            histograms.retain(|(t, _)| *t > window.after && *t <= window.until);
        }
    }

    /// Puts floats where `window` looks, between those that were made of a histogram's samples there.
    pub(in crate::store) fn fill(&self, window: &Window, floats: &mut Vec<(i64, f64)>) {
        for stretch in &self.0 {
            let from = floats.partition_point(|&(t, _)| t <= stretch.after);
            let to = floats.partition_point(|&(t, _)| t <= stretch.until);
            let resolution = stretch.tier.resolution_ms();
            let mut filled = Vec::new();
            // Those around it are what lines are drawn to and values are held from.
            let span = (stretch.after, stretch.until);
            rollup::densify(floats, &looks(window), resolution, span, &mut filled);
            drop(floats.splice(from..to, filled));
        }
        if !self.0.is_empty() {
            floats.retain(|(t, _)| *t > window.after && *t <= window.until);
        }
    }
}

fn looks(window: &Window) -> Looks {
    let Window { after, step, range, lookback, reads, .. } = *window;
    Looks { first: after + range + lookback, step, range, lookback, reads }
}

impl<'a> Reader<'a> {
    pub(super) fn new(disk: &'a Disk) -> Self {
        let catalog = disk.catalog();
        Self {
            disk,
            catalog: Arc::clone(&catalog),
            gone: false,
            corrupt: 0,
            open: BTreeMap::new(),
            plan: None,
            ahead: (catalog, BTreeMap::new()),
            rows: Vec::new(),
            points: Vec::new(),
        }
    }

    /// Hands every series with samples in the window, but for those that `known` has, to `each`, once,
    /// until it breaks. With `names`, each once, only series of these metrics. Other matchers are the caller's.
    pub(in crate::store) fn series(
        &mut self,
        window: &Window,
        names: Option<&[&str]>,
        known: &dyn Fn(Fingerprint) -> bool,
        each: &mut dyn FnMut(Found) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let seen = RefCell::new(HashSet::new());
        let mut fresh = |of: Fingerprint| !known(of) && !seen.borrow().contains(&of);
        // Not before its labels were read: where they cannot be, another file has them.
        let mut each = |found: Found| {
            seen.borrow_mut().insert(found.fingerprint);
            each(found)
        };
        // Most labels are those of other series, too.
        let mut texts = labels::Texts::default();
        for _ in 0..ATTEMPTS_MAX {
            for keys in self.plan(window).files.chunks(ahead::THREADS) {
                let all = |_, connection: &Connection| find::listed(connection, names);
                let mut listed = self.together(keys, &all);
                for &key in keys {
                    let listed = listed.remove(&key).flatten();
                    let mut flow = ControlFlow::Continue(());
                    self.attempt(key, |connection| {
                        flow = find::series(
                            connection,
                            (names, &mut texts),
                            listed,
                            &mut fresh,
                            &mut each,
                        )?;
                        Ok(())
                    })?;
                    if flow.is_break() {
                        return Ok(());
                    }
                }
            }
            if !self.gone {
                break;
            }
        }
        Ok(())
    }

    /// The labels of a series with samples in the window, if a file has them.
    pub(in crate::store) fn labels(
        &mut self,
        fingerprint: Fingerprint,
        window: &Window,
    ) -> Result<Option<Labels>, StoreError> {
        let mut found = None;
        for &key in &*self.plan(window).files {
            self.attempt(key, |connection| {
                found = find::labels(connection, fingerprint)?;
                Ok(())
            })?;
            if found.is_some() {
                break;
            }
        }
        Ok(found)
    }

    /// Reads what the files hold of `series` in the window, for [`Reader::read`] to find. What does not fit, and what
    /// cannot be read, is left to that.
    pub(in crate::store) fn ahead(&mut self, series: &[Fingerprint], window: &Window) {
        let mut wanted: BTreeMap<FileKey, (i64, i64)> = BTreeMap::new();
        for (stretch, files) in &*self.plan(window).stretches {
            let Stretch { after, until, .. } = around(stretch, i64::MAX);
            for &key in files {
                let of_file = wanted.entry(key).or_insert((i64::MAX, i64::MIN));
                *of_file = (of_file.0.min(after - reach(stretch.tier)), of_file.1.max(until));
            }
        }
        let keys: Vec<_> = wanted.keys().copied().collect();
        let room = ahead::Room::default();
        let chunks = self.together(&keys, &|key, connection| {
            let starts = wanted.get(&key).copied().unwrap_or_default();
            Chunks::read(connection, series, starts, &room)
        });
        self.ahead = (Arc::clone(&self.catalog), chunks);
    }

    /// Does something with each of several files on a few threads at once. What cannot be done is left out.
    fn together<T: Send>(
        &mut self,
        keys: &[FileKey],
        with: &(dyn Fn(FileKey, &Connection) -> rusqlite::Result<T> + Sync),
    ) -> BTreeMap<FileKey, T> {
        let disk = self.disk;
        let taken = keys.iter().map(|&key| {
            let open = self.open.remove(&key).flatten();
            (key, open.or_else(|| disk.take_idle(key)))
        });
        let taken = taken.collect();
        let done = ahead::together(taken, &|key, open| {
            let opened = match open {
                Some(opened) => opened,
                // Why not is found again, and said, by who reads without this.
                None => open.insert(disk.open_to_read(key).ok()?),
            };
            with(key, &opened.connection).ok()
        });
        let mut results = BTreeMap::new();
        for (key, open, result) in done {
            self.open.insert(key, open);
            results.extend(result.map(|result| (key, result)));
        }
        results
    }

    /// Puts the samples of a series that are in the window and before `before_ms` into `into`, in
    /// place of what is there, in ascending time, at the best resolution that is kept and that the window lets pass.
    /// Samples outside the window may come along. A chunk that cannot be read is left out, counted.
    pub(in crate::store) fn read(
        &mut self,
        fingerprint: Fingerprint,
        window: &Window,
        before_ms: i64,
        into: &mut Samples,
    ) -> Result<Sparse, StoreError> {
        let mut sparse = Sparse::default();
        for _ in 0..ATTEMPTS_MAX {
            into.clear();
            sparse = self.read_once(fingerprint, window, before_ms, into)?;
            if !self.gone {
                break;
            }
        }
        Ok(sparse)
    }

    fn read_once(
        &mut self,
        fingerprint: Fingerprint,
        window: &Window,
        before_ms: i64,
        into: &mut Samples,
    ) -> Result<Sparse, StoreError> {
        let mut sparse = Sparse::default();
        let (looks, depth) = (looks(window), Depth::of(window.reads));
        for (stretch, files) in &*self.plan(window).stretches {
            let until = stretch.until.min(before_ms.saturating_sub(1));
            if until <= stretch.after {
                continue;
            }
            let stretch = Stretch { until, ..*stretch };
            self.rows.clear();
            for &key in files {
                self.read_file(key, fingerprint, (&stretch, depth), before_ms, into)?;
            }
            if self.rows.is_empty() {
                if stretch.tier != Tier::Raw && !looks.finds(stretch.tier.resolution_ms()) {
                    sparse.0.push(stretch);
                }
                continue;
            }
            let resolution = stretch.tier.resolution_ms();
            self.points.clear();
            rollup::samples(&self.rows, resolution, window.reads, &mut self.points);
            let floats = &mut into.points.floats;
            let span = (stretch.after, stretch.until);
            if looks.finds(resolution) {
                let inside = self.points.iter().filter(|(t, _)| *t > span.0 && *t <= span.1);
                floats.extend(inside);
            } else {
                rollup::densify(&self.points, &looks, resolution, span, floats);
            }
        }
        Ok(sparse)
    }

    /// The files of the window as they are now.
    fn plan(&mut self, window: &Window) -> Plan {
        self.gone = false;
        let current = self.disk.catalog();
        if let Some(plan) = &self.plan
            && plan.window == *window
            && Arc::ptr_eq(&current, &self.catalog)
        {
            return plan.clone();
        }
        self.catalog = current;
        let stretches = self.catalog.stretches(window.after, window.until, &looks(window));
        let planned = stretches.into_iter().map(|stretch| {
            let files = self.catalog.files(&stretch);
            (stretch, files)
        });
        let stretches: Arc<[Planned]> = planned.collect();
        let files: BTreeSet<_> = stretches.iter().flat_map(|(_, files)| files).copied().collect();
        let plan = Plan { window: *window, stretches, files: files.into_iter().collect() };
        self.plan.insert(plan).clone()
    }

    fn read_file(
        &mut self,
        key: FileKey,
        fingerprint: Fingerprint,
        (stretch, depth): (&Stretch, Depth),
        before_ms: i64,
        into: &mut Samples,
    ) -> Result<(), StoreError> {
        let resolution = stretch.tier.resolution_ms();
        let wanted = around(stretch, before_ms);
        let starts = (wanted.after - reach(stretch.tier), wanted.until);
        let mut rows = std::mem::take(&mut self.rows);
        let mut corrupt = 0;
        let mut take = |piece: Piece<'_>| {
            let Piece { start, end, encoding, bytes } = piece;
            let read = if encoding == ROWS && stretch.tier != Tier::Raw {
                rollup::decode(bytes, start - 1, resolution, depth, &mut rows).is_ok()
            } else if end > wanted.after {
                append(encoding, bytes, &wanted, into)
            } else {
                true
            };
            corrupt += u64::from(!read);
            ControlFlow::Continue(())
        };
        let inside = |piece: &Piece<'_>| piece.start > starts.0 && piece.start <= starts.1;
        let pieces = self.found_ahead(key).and_then(|chunks| chunks.of(fingerprint));
        let ahead = pieces.map(|pieces| pieces.filter(inside).try_for_each(&mut take));
        let read = match ahead {
            Some(_) => Ok(()),
            None => self.attempt(key, |connection| {
                ahead::pieces(connection, fingerprint, starts, &mut take).map(drop)
            }),
        };
        rows.retain(|row| row.at > wanted.after);
        self.rows = rows;
        self.corrupt += corrupt;
        self.disk.metrics.corrupt.add(corrupt);
        read
    }

    /// What was read ahead of a file, as long as there cannot be more.
    fn found_ahead(&self, key: FileKey) -> Option<&Chunks> {
        let (catalog, chunks) = &self.ahead;
        chunks.get(&key).filter(|_| Arc::ptr_eq(catalog, &self.catalog))
    }

    /// What of the window is lost.
    pub(in crate::store) fn lost(&self, window: &Window) -> Warnings {
        let wanted = Day::of(window.after.saturating_add(1))..=Day::of(window.until);
        let files = self.disk.damage.missed(&wanted, self.disk.catalog().days(Tier::Raw));
        let pieces = (self.corrupt > 0)
            .then(|| format!("without {} damaged pieces in files of the store", self.corrupt));
        files.into_iter().chain(pieces).collect()
    }

    /// Does something with a file. One that is gone, or turns out to be damaged, is passed over, noted.
    fn attempt(
        &mut self,
        key: FileKey,
        with: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let disk = self.disk;
        let path = disk.path(key);
        let slot = self.open.entry(key).or_insert_with(|| disk.take_idle(key));
        let opened = match slot {
            Some(open) => Ok(open),
            None => disk.open_to_read(key).map(|opened| slot.insert(opened)),
        };
        let done = opened
            .and_then(|open| with(&open.connection).map_err(|error| trouble("read", &path, error)));
        match done {
            Ok(()) => Ok(()),
            Err(Trouble::Unreadable(why)) => {
                self.open.remove(&key);
                disk.suspect(key, &why);
                self.gone = true;
                Ok(())
            }
            // Retention was faster.
            Err(_) if !disk.holds(key) => {
                self.open.remove(&key);
                self.gone = true;
                Ok(())
            }
            Err(trouble) => Err(trouble.into_error("read", &path)),
        }
    }
}

/// A stretch with the rows around it, which are looked at too, before `before_ms`; rows are written by the day.
fn around(stretch: &Stretch, before_ms: i64) -> Stretch {
    let resolution = stretch.tier.resolution_ms();
    let end = Day::of(stretch.until).until_ms().min(before_ms.saturating_sub(1));
    Stretch {
        after: stretch.after - 2 * resolution,
        until: (stretch.until + 2 * resolution).min(end),
        ..*stretch
    }
}

/// How far before its last sample a chunk may begin.
const fn reach(tier: Tier) -> i64 {
    match tier {
        Tier::Raw => CHUNK_SPAN,
        Tier::FiveMinutes | Tier::OneHour => DAY,
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let open = std::mem::take(&mut self.open).into_iter();
        self.disk.give_back(open.filter_map(|(key, connection)| Some((key, connection?))));
    }
}

/// Appends the samples of a chunk that are in the stretch and after what is there already: chunks of a
/// day that was written twice may overlap. Whether it can be read: else nothing is appended.
pub(super) fn append(encoding: u8, bytes: &[u8], stretch: &Stretch, into: &mut Samples) -> bool {
    let floats = into.points.floats.len();
    let histograms = into.points.histograms.len();
    let classics = into.classics.rows.len();
    let (bounds, counts) = (into.classics.bounds.len(), into.classics.cumulative.len());
    if chunk::decode(encoding, bytes, into).is_err() {
        into.points.floats.truncate(floats);
        into.points.histograms.truncate(histograms);
        into.classics.rows.truncate(classics);
        into.classics.bounds.truncate(bounds);
        into.classics.cumulative.truncate(counts);
        return false;
    }
    trim(&mut into.points.floats, floats, stretch, |(t, _)| *t);
    trim(&mut into.points.histograms, histograms, stretch, |(t, _)| *t);
    trim(&mut into.classics.rows, classics, stretch, |row| row.time_ms);
    true
}

/// Removes from `samples`, of which those from `from` on are new, what does not belong there or is out of order.
fn trim<T>(samples: &mut Vec<T>, from: usize, stretch: &Stretch, time: impl Fn(&T) -> i64) {
    let last = from.checked_sub(1).and_then(|at| samples.get(at)).map_or(i64::MIN, &time);
    let mut floor = last.max(stretch.after);
    let fits = |floor: &mut i64, sample: &T| {
        let t = time(sample);
        let fits = t > *floor && t <= stretch.until;
        *floor = if fits { t } else { *floor };
        fits
    };
    let mut all = floor;
    if !samples.get(from..).unwrap_or_default().iter().all(|sample| fits(&mut all, sample)) {
        let fresh = samples.split_off(from.min(samples.len()));
        samples.extend(fresh.into_iter().filter(|sample| fits(&mut floor, sample)));
    }
}
