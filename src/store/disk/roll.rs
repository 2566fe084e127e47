//! Rolling up one day, some series at a time.
//!
//! Reads the day's chunks; writes rows into both files of rows, with how far it got. A slice that is cut short is done
//! again: rows are replaced. Samples that come after their day is rolled up are noted in its file (`late`), and the
//! series they belong to are rolled up again. Cost: about 50 ns per sample; a slice is at most [`SERIES_MAX`] series or
//! [`SAMPLES_MAX`] samples, some tens of milliseconds.

use rusqlite::{Connection, OptionalExtension as _};
use sidelight_promql::Labels;

use super::Disk;
use super::catalog::Stretch;
use super::chunk_file::ChunkFile;
use super::file::{self, Access, Role, Trouble, trouble};
use super::layout::{Day, FileKey, Tier};
use super::read::{self, CHUNK_SPAN, ROWS};
use super::rollup::{self, Roller};
use super::{labels, thin};
use crate::store::chunk::{self, Chunk};
use crate::store::samples::Samples;
use crate::store::{Fingerprint, Kind};

const SERIES_MAX: usize = 256;
const SAMPLES_MAX: usize = 500_000;

/// A day that is being rolled up.
#[derive(Debug)]
pub(super) struct Roll {
    day: Day,
    samples: Connection,
    rows: [(Tier, ChunkFile); 2],
    /// Whether all of the day was rolled up before, so that only what is late is left.
    done: bool,
    /// Series up to this number are done.
    upto: i64,
    /// Notes of late samples up to this number are done, …
    late_upto: i64,
    /// … and will be up to this one.
    late_until: i64,
    /// The newest note when it was begun.
    newest_note: i64,
}

/// A series of the day.
struct Series {
    id: i64,
    fingerprint: Fingerprint,
    kind: Kind,
    labels: Labels,
}

/// What a file is in the way of rolling up.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) key: FileKey,
    pub(super) trouble: Trouble,
}

/// What a slice did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There is more.
    More,
    /// The day is rolled up; rows were written.
    Done,
    /// There was nothing to do.
    Nothing,
}

impl Roll {
    /// Begins, or goes on where it was left.
    pub(super) fn begin(disk: &Disk, day: Day) -> Result<Self, Fault> {
        let key = FileKey::of(Tier::Raw, day);
        let fault = |key| move |trouble| Fault { key, trouble };
        let samples =
            file::open(&disk.path(key), Role::Samples, Access::Read).map_err(fault(key))?;
        let newest_note = newest_note(&samples)
            .map_err(|error| fault(key)(trouble("read", &disk.path(key), error)))?;
        let open = |tier| {
            let key = FileKey::of(tier, day);
            let file = ChunkFile::open(disk.path(key), Role::of(tier)).map_err(fault(key))?;
            let progress = progress(&file.connection, day);
            let progress =
                progress.map_err(|error| fault(key)(trouble("read", &file.path, error)))?;
            Ok((file, progress))
        };
        let (fine, fine_progress) = open(Tier::FiveMinutes)?;
        let (coarse, coarse_progress) = open(Tier::OneHour)?;
        // Two files, two transactions: what both have is done.
        let done = fine_progress.done && coarse_progress.done;
        let upto = if done {
            i64::MIN
        } else {
            let upto = |progress: &Progress| if progress.done { i64::MAX } else { progress.upto };
            upto(&fine_progress).min(upto(&coarse_progress))
        };
        let late_upto = fine_progress.late_upto.min(coarse_progress.late_upto);
        // What goes on where it was left has only those notes behind it that were there when it began.
        let resumed = !done && upto > i64::MIN;
        let late_until = if resumed { late_upto } else { newest_note };
        let late_upto = if done { late_upto } else { late_until };
        let rows = [(Tier::FiveMinutes, fine), (Tier::OneHour, coarse)];
        Ok(Self { day, samples, rows, done, upto, late_upto, late_until, newest_note })
    }

    /// Whether notes of late samples are left when it is done.
    pub(super) const fn is_behind(&self) -> bool {
        self.newest_note > self.late_until
    }

    /// Whether it has `key` open.
    pub(super) fn uses(&self, key: FileKey) -> bool {
        FileKey::of(Tier::Raw, self.day) == key
            || Tier::ROLLUPS.iter().any(|&tier| FileKey::of(tier, self.day) == key)
    }

    pub(super) const fn day(&self) -> Day {
        self.day
    }

    /// Does a slice.
    pub(super) fn step(&mut self, disk: &Disk) -> Result<Step, Fault> {
        let raw = FileKey::of(Tier::Raw, self.day);
        let read = |error| Fault { key: raw, trouble: trouble("read", &disk.path(raw), error) };
        if self.done && self.late_upto >= self.late_until {
            return Ok(Step::Nothing);
        }
        let series = self.next_series().map_err(read)?;
        let last = series.len() < SERIES_MAX;
        let mut buffers = Buffers::new();
        let mut upto = self.upto;
        let mut cut = false;
        for one in &series {
            buffers.samples.clear();
            let corrupt = self.collect(one, &mut buffers.samples).map_err(read)?;
            disk.metrics.corrupt.add(corrupt);
            self.write(one, &mut buffers)?;
            upto = one.id;
            cut = buffers.taken > SAMPLES_MAX;
            if cut {
                break;
            }
        }
        let finished = last && !cut;
        self.commit(upto, finished)?;
        self.upto = upto;
        Ok(if finished { Step::Done } else { Step::More })
    }

    /// The next series in the order of their numbers.
    fn next_series(&self) -> rusqlite::Result<Vec<Series>> {
        let sql = if self.done {
            "SELECT id, fingerprint, kind, labels FROM series WHERE id > ?1 AND id IN \
             (SELECT series FROM late WHERE n > ?3) ORDER BY id LIMIT ?2"
        } else {
            "SELECT id, fingerprint, kind, labels FROM series WHERE id > ?1 AND ?3 = ?3 \
             ORDER BY id LIMIT ?2"
        };
        let mut statement = self.samples.prepare_cached(sql)?;
        let mut rows = statement.query((self.upto, SERIES_MAX as i64, self.late_upto))?;
        let mut series = Vec::new();
        while let Some(row) = rows.next()? {
            // A kind of a later version stays as samples for as long as those stay.
            let kind = Kind::from_code(row.get(2)?).unwrap_or(Kind::Float);
            let labels = labels::decode(row.get_ref(3)?.as_blob()?).unwrap_or_default();
            let fingerprint = Fingerprint::from_i64(row.get(1)?);
            series.push(Series { id: row.get(0)?, fingerprint, kind, labels });
        }
        Ok(series)
    }

    /// The samples of a series in the day. How many chunks cannot be read.
    fn collect(&self, series: &Series, into: &mut Samples) -> rusqlite::Result<u64> {
        let day =
            Stretch { tier: Tier::Raw, after: self.day.after_ms(), until: self.day.until_ms() };
        chunks(&self.samples, series.id, &day, into)
    }

    fn write(&mut self, series: &Series, buffers: &mut Buffers) -> Result<(), Fault> {
        let Self { day, rows, .. } = self;
        buffers.roll();
        for (tier, file) in rows {
            let chunks = buffers.chunks(series.kind, *day, *tier);
            let written = file.write(|file| {
                let id = file.id(series.fingerprint, series.kind, &series.labels)?;
                file.clear(id, *day)?;
                chunks.iter().try_for_each(|chunk| file.put(id, chunk))
            });
            written.map_err(|trouble| Fault { key: FileKey::of(*tier, *day), trouble })?;
        }
        Ok(())
    }

    /// Makes a slice stick; the last one durably, since samples may go after it.
    fn commit(&mut self, upto: i64, finished: bool) -> Result<(), Fault> {
        let Self { day, rows, done, late_upto, late_until, .. } = self;
        for (tier, file) in rows {
            let late_upto = if finished { *late_until } else { *late_upto };
            let done = *done || finished;
            let committed = file.write(|file| {
                let sql = "INSERT OR REPLACE INTO rolled (day, upto, late_upto, done) \
                           VALUES (?, ?, ?, ?)";
                let values = (day.0, upto, late_upto, done);
                file.connection.prepare_cached(sql)?.execute(values).map(drop)
            });
            let committed = committed.and_then(|()| file.commit()).and_then(|()| {
                let sync = "PRAGMA wal_checkpoint(TRUNCATE)";
                let sync = || file.connection.query_row(sync, [], |_| Ok(()));
                let synced = if finished { sync() } else { Ok(()) };
                synced.map_err(|error| trouble("write", &file.path, error))
            });
            committed.map_err(|trouble| Fault { key: FileKey::of(*tier, *day), trouble })?;
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Progress {
    upto: i64,
    late_upto: i64,
    done: bool,
}

fn progress(connection: &Connection, day: Day) -> rusqlite::Result<Progress> {
    let mut statement =
        connection.prepare("SELECT upto, late_upto, done FROM rolled WHERE day = ?")?;
    let found = statement.query_row([day.0], |row| {
        Ok(Progress { upto: row.get(0)?, late_upto: row.get(1)?, done: row.get(2)? })
    });
    Ok(found.optional()?.unwrap_or(Progress { upto: i64::MIN, ..Progress::default() }))
}

fn newest_note(samples: &Connection) -> rusqlite::Result<i64> {
    samples.query_row("SELECT coalesce(max(n), 0) FROM late", [], |row| row.get(0))
}

/// Appends a series' chunks in the day. How many cannot be read.
fn chunks(
    connection: &Connection,
    id: i64,
    day: &Stretch,
    into: &mut Samples,
) -> rusqlite::Result<u64> {
    let sql = "SELECT encoding, bytes FROM chunk WHERE series = ? AND start > ? AND start <= ? \
               AND \"end\" > ? ORDER BY start";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query((id, day.after - CHUNK_SPAN, day.until, day.after))?;
    let mut corrupt = 0;
    while let Some(row) = rows.next()? {
        let read = read::append(row.get(0)?, row.get_ref(1)?.as_blob()?, day, into);
        corrupt += u64::from(!read);
    }
    Ok(corrupt)
}

/// What one series after the other is rolled up in.
struct Buffers {
    samples: Samples,
    thinned: Samples,
    rollers: [(Tier, Roller); 2],
    taken: usize,
}

impl Buffers {
    fn new() -> Self {
        Self {
            samples: Samples::default(),
            thinned: Samples::default(),
            rollers: Tier::ROLLUPS.map(|tier| (tier, Roller::new(tier.resolution_ms()))),
            taken: 0,
        }
    }

    fn roll(&mut self) {
        let Samples { points, classics } = &self.samples;
        // A histogram costs as much as many numbers.
        self.taken += points.floats.len() + 16 * (points.histograms.len() + classics.rows.len());
        for (_, roller) in &mut self.rollers {
            roller.clear();
            points.floats.iter().for_each(|&(t, value)| roller.push(t, value));
            if roller.is_gauge() {
                roller.settle_gauge();
            }
        }
    }

    /// What goes into the file of `tier`.
    fn chunks(&mut self, kind: Kind, day: Day, tier: Tier) -> Vec<Chunk> {
        if kind != Kind::Float {
            thin::thin(&self.samples, tier.resolution_ms(), &mut self.thinned);
            return chunk::encode_day(&self.thinned);
        }
        let rows = self.rollers.iter().find(|(of, _)| *of == tier);
        let rows = rows.map_or(&[][..], |(_, roller)| roller.rows());
        let Some(last) = rows.last() else { return Vec::new() };
        let mut bytes = Vec::with_capacity(rows.len() * 12);
        rollup::encode(rows, day.after_ms(), tier.resolution_ms(), &mut bytes);
        vec![Chunk {
            start_ms: day.after_ms() + 1,
            end_ms: last.at,
            samples: u16::try_from(rows.len()).unwrap_or(u16::MAX),
            encoding: ROWS,
            bytes: bytes.into(),
        }]
    }
}
