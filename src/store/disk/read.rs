//! Reading for one query: chunks of a series in a window, over the files of several days and tiers.
//!
//! Connections are taken from a pool and given back; each has its prepared statements. Limits: the files
//! of the window are open while the query runs (90 days: 14 of hourly rows), [`IDLE_MAX`] stay open
//! after it. Cost: two look-ups per series and file.
//!
//! Files come and go while a query runs. Each series is read by the catalog as it is then, so what a
//! checkpoint took out of the head is found in its file; a file that goes in the middle of a series lets
//! it be read again, by the catalog without that file.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _};
use sidelight_promql::{Histogram, Labels};

use super::catalog::{Catalog, Stretch};
use super::file::{self, Access, Role, Trouble, trouble};
use super::layout::{DAY, Day, FileKey, HOUR, Tier};
use super::rollup::{self, Depth, Looks, Row};
use super::{Disk, Opened, labels};
use crate::store::checkpoint::{Found, Window};
use crate::store::chunk;
use crate::store::samples::Samples;
use crate::store::{Fingerprint, Kind, StoreError};

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
    open: BTreeMap<FileKey, Option<Opened>>,
    plan: Option<(Window, Arc<[Planned]>)>,
    rows: Vec<Row>,
    points: Vec<(i64, f64)>,
}

/// A stretch and the files that may hold it.
type Planned = (Stretch, Vec<FileKey>);

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
        Self {
            disk,
            catalog: disk.catalog(),
            gone: false,
            open: BTreeMap::new(),
            plan: None,
            rows: Vec::new(),
            points: Vec::new(),
        }
    }

    /// Hands every series with samples in the window, but for those that `known` has, to `each`, once,
    /// until it breaks. With `name`, only series of that metric. Other matchers are the caller's.
    pub(in crate::store) fn series(
        &mut self,
        window: &Window,
        name: Option<&str>,
        known: &dyn Fn(Fingerprint) -> bool,
        each: &mut dyn FnMut(Found) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut seen = HashSet::new();
        let mut fresh = |of: Fingerprint| !known(of) && seen.insert(of);
        for _ in 0..ATTEMPTS_MAX {
            for key in self.files(window) {
                let mut flow = ControlFlow::Continue(());
                self.attempt(key, |connection| {
                    flow = series_of(connection, name, &mut fresh, each)?;
                    Ok(())
                })?;
                if flow.is_break() {
                    return Ok(());
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
        for key in self.files(window) {
            self.attempt(key, |connection| {
                let sql = "SELECT labels FROM series WHERE fingerprint = ?";
                let mut statement = connection.prepare_cached(sql)?;
                let mut rows = statement.query([fingerprint.to_i64()])?;
                if let Some(row) = rows.next()? {
                    found = labels::decode(row.get_ref(0)?.as_blob()?);
                }
                Ok(())
            })?;
            if found.is_some() {
                break;
            }
        }
        Ok(found)
    }

    /// Every file of the window, once.
    fn files(&mut self, window: &Window) -> Vec<FileKey> {
        let plan = self.plan(window);
        let mut files: Vec<FileKey> = plan.iter().flat_map(|(_, files)| files).copied().collect();
        files.sort_unstable();
        files.dedup();
        files
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
        for (stretch, files) in &*self.plan(window) {
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

    /// The files of the window as they are now, stretch by stretch.
    fn plan(&mut self, window: &Window) -> Arc<[Planned]> {
        self.gone = false;
        let current = self.disk.catalog();
        if let Some((planned, plan)) = &self.plan
            && planned == window
            && Arc::ptr_eq(&current, &self.catalog)
        {
            return Arc::clone(plan);
        }
        self.catalog = current;
        let stretches = self.catalog.stretches(window.after, window.until, &looks(window));
        let planned = stretches.into_iter().map(|stretch| {
            let files = self.catalog.files(&stretch);
            (stretch, files)
        });
        let plan: Arc<[_]> = planned.collect();
        self.plan = Some((*window, Arc::clone(&plan)));
        plan
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
        // Rows are written by the day, and the ones around the stretch are looked at too.
        let end = Day::of(stretch.until).until_ms().min(before_ms.saturating_sub(1));
        let wanted = Stretch {
            after: stretch.after - 2 * resolution,
            until: (stretch.until + 2 * resolution).min(end),
            ..*stretch
        };
        let reach = if stretch.tier == Tier::Raw { CHUNK_SPAN } else { DAY };
        let (after, until) = (wanted.after - reach, wanted.until);
        let mut rows = std::mem::take(&mut self.rows);
        let mut corrupt = 0;
        let read = self.attempt(key, |connection| {
            let sql = "SELECT id FROM series WHERE fingerprint = ?";
            let id = connection
                .prepare_cached(sql)?
                .query_row([fingerprint.to_i64()], |row| row.get::<_, i64>(0));
            let Some(id) = id.optional()? else { return Ok(()) };
            let sql = "SELECT start, \"end\", encoding, bytes FROM chunk \
                       WHERE series = ? AND start > ? AND start <= ? ORDER BY start";
            let mut statement = connection.prepare_cached(sql)?;
            let mut chunks = statement.query((id, after, until))?;
            while let Some(chunk) = chunks.next()? {
                let (start, end): (i64, i64) = (chunk.get(0)?, chunk.get(1)?);
                let encoding = chunk.get(2)?;
                let bytes = chunk.get_ref(3)?.as_blob()?;
                let read = if encoding == ROWS {
                    let origin = start - 1;
                    rollup::decode(bytes, origin, resolution, depth, &mut rows).is_ok()
                } else if end > wanted.after {
                    append(encoding, bytes, &wanted, into)
                } else {
                    true
                };
                corrupt += u64::from(!read);
            }
            Ok(())
        });
        rows.retain(|row| row.at > wanted.after);
        self.rows = rows;
        self.disk.metrics.corrupt.add(corrupt);
        read
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
            None => {
                let role = if key.tier == Tier::Raw { Role::Samples } else { Role::Rows };
                let removals = disk.catalog().removals();
                let opened = file::open(&path, role, Access::Read);
                opened.map(|connection| slot.insert(Opened { connection, removals }))
            }
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

/// Where one series in so many of a file is wanted, it is cheaper to look through the index of fingerprints, 300 to a
/// page, than at rows with labels, 15 to a page, of which most days have the same.
const SCANNED_MIN: i64 = 64;

pub(super) const SERIES_NAMED: &str = "SELECT id FROM series WHERE name = ? ORDER BY id";
pub(super) const SERIES_SCANNED: &str = "SELECT id, fingerprint FROM series";

/// Hands the series of a file that are `fresh` to `each`, with `name` those of that metric.
fn series_of(
    connection: &Connection,
    name: Option<&str>,
    fresh: &mut dyn FnMut(Fingerprint) -> bool,
    each: &mut dyn FnMut(Found) -> ControlFlow<()>,
) -> rusqlite::Result<ControlFlow<()>> {
    let mut named = None;
    if let Some(name) = name {
        let mut statement = connection.prepare_cached(SERIES_NAMED)?;
        let ids = statement.query_map([name], |row| row.get(0))?;
        named = Some(ids.collect::<rusqlite::Result<Vec<i64>>>()?);
    }
    let sql = "SELECT coalesce(max(id), 0) FROM series";
    let last: i64 = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    let few = |ids: &Vec<i64>| (ids.len() as i64) < last / SCANNED_MIN;
    let scanned = !named.as_ref().is_some_and(few);
    let ids = match named {
        Some(ids) if !scanned => ids,
        named => scan(connection, named.as_deref(), fresh)?,
    };
    let sql = "SELECT fingerprint, kind, labels FROM series WHERE id = ?";
    let mut statement = connection.prepare_cached(sql)?;
    for id in ids {
        let mut rows = statement.query([id])?;
        let Some(row) = rows.next()? else { continue };
        let fingerprint = Fingerprint::from_i64(row.get(0)?);
        if !scanned && !fresh(fingerprint) {
            continue;
        }
        let kind = Kind::from_code(row.get(1)?);
        let labels = labels::decode(row.get_ref(2)?.as_blob()?);
        let (Some(kind), Some(labels)) = (kind, labels) else { continue };
        if each(Found { fingerprint, kind, labels }).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The series of a file that are `fresh`, if there are `ids` those among them; in their order.
fn scan(
    connection: &Connection,
    ids: Option<&[i64]>,
    fresh: &mut dyn FnMut(Fingerprint) -> bool,
) -> rusqlite::Result<Vec<i64>> {
    let mut found = Vec::new();
    let mut statement = connection.prepare_cached(SERIES_SCANNED)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let asked = ids.is_none_or(|ids| ids.binary_search(&id).is_ok());
        if asked && fresh(Fingerprint::from_i64(row.get(1)?)) {
            found.push(id);
        }
    }
    found.sort_unstable();
    Ok(found)
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let open = std::mem::take(&mut self.open).into_iter();
        self.disk.give_back(open.filter_map(|(key, connection)| Some((key, connection?))));
    }
}

/// Appends the samples of a chunk that are in the stretch and after what is there already: chunks of a
/// day that was written twice may overlap. Whether it can be read.
pub(super) fn append(encoding: u8, bytes: &[u8], stretch: &Stretch, into: &mut Samples) -> bool {
    let floats = into.points.floats.len();
    let histograms = into.points.histograms.len();
    let classics = into.classics.rows.len();
    let read = chunk::decode(encoding, bytes, into).is_ok();
    trim(&mut into.points.floats, floats, stretch, |(t, _)| *t);
    trim(&mut into.points.histograms, histograms, stretch, |(t, _)| *t);
    trim(&mut into.classics.rows, classics, stretch, |row| row.time_ms);
    read
}

/// Removes from `samples`, of which those from `from` on are new, what does not belong there.
fn trim<T>(samples: &mut Vec<T>, from: usize, stretch: &Stretch, time: impl Fn(&T) -> i64) {
    let last = from.checked_sub(1).and_then(|at| samples.get(at)).map_or(i64::MIN, &time);
    let floor = last.max(stretch.after);
    let fits = |sample: &T| time(sample) > floor && time(sample) <= stretch.until;
    if !samples.get(from..).unwrap_or_default().iter().all(fits) {
        let fresh = samples.split_off(from.min(samples.len()));
        samples.extend(fresh.into_iter().filter(fits));
    }
}
