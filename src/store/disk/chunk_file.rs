//! A file of chunks that is written to: of samples for a day, or of rows for some.
//!
//! Each file names its own series, so that it can be read when every other is gone. Within it a series
//! is a small number in the order of first use: chunks of one series lie side by side, and those of
//! series that came together lie together, which is the order in which they are written and read.

use std::path::PathBuf;

use hashbrown::HashMap;
use rusqlite::{Connection, params};
use sidelight_promql::Labels;

use super::file::{self, Access, Role, Trouble, trouble};
use super::labels;
use super::layout::Day;
use crate::store::chunk::Chunk;
use crate::store::{Fingerprint, Kind};

/// An open file and what is known of it.
#[derive(Debug)]
pub(super) struct ChunkFile {
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
    ids: HashMap<Fingerprint, i64>,
    next_id: i64,
    begun: bool,
    buffer: Vec<u8>,
}

impl ChunkFile {
    /// Opens or makes the file.
    pub(super) fn open(path: PathBuf, role: Role) -> Result<Self, Trouble> {
        let connection = file::open(&path, role, Access::Write)?;
        let ids = series(&connection).map_err(|error| trouble("read", &path, error))?;
        let next_id = ids.values().max().map_or(0, |id| id + 1);
        Ok(Self { path, connection, ids, next_id, begun: false, buffer: Vec::new() })
    }

    /// Runs `write` in the transaction, which is begun if it is not.
    pub(super) fn write<T>(
        &mut self,
        write: impl FnOnce(&mut Self) -> rusqlite::Result<T>,
    ) -> Result<T, Trouble> {
        let begun = if self.begun { Ok(()) } else { self.execute("BEGIN IMMEDIATE") };
        self.begun = true;
        let written = begun.and_then(|()| write(self));
        written.map_err(|error| trouble("write", &self.path, error))
    }

    /// Whether there is something to commit.
    pub(super) const fn begun(&self) -> bool {
        self.begun
    }

    /// Commits the transaction, if there is one.
    pub(super) fn commit(&mut self) -> Result<(), Trouble> {
        if self.begun {
            let committed = self.execute("COMMIT");
            committed.map_err(|error| trouble("write", &self.path, error))?;
            self.begun = false;
        }
        Ok(())
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }

    /// The number of a series, given if it has none.
    pub(super) fn id(
        &mut self,
        fingerprint: Fingerprint,
        kind: Kind,
        labels: &Labels,
    ) -> rusqlite::Result<i64> {
        if let Some(id) = self.ids.get(&fingerprint) {
            return Ok(*id);
        }
        let id = self.next_id;
        self.buffer.clear();
        labels::encode(labels, &mut self.buffer);
        let sql = "INSERT INTO series (id, fingerprint, kind, name, labels) VALUES (?, ?, ?, ?, ?)";
        let name = labels.metric_name();
        let values = params![id, fingerprint.to_i64(), kind as u8, name, self.buffer];
        self.connection.prepare_cached(sql)?.execute(values)?;
        self.next_id += 1;
        self.ids.insert(fingerprint, id);
        Ok(id)
    }

    /// Writes a chunk over what is there with its start.
    pub(super) fn put(&self, series: i64, chunk: &Chunk) -> rusqlite::Result<()> {
        let sql = "INSERT OR REPLACE INTO chunk (series, start, \"end\", samples, encoding, bytes) \
                   VALUES (?, ?, ?, ?, ?, ?)";
        let Chunk { start_ms, end_ms, samples, encoding, bytes } = chunk;
        let values = params![series, start_ms, end_ms, samples, encoding, &**bytes];
        self.connection.prepare_cached(sql)?.execute(values).map(drop)
    }

    /// Removes what a series has of a day.
    pub(super) fn clear(&self, series: i64, day: Day) -> rusqlite::Result<()> {
        let sql = "DELETE FROM chunk WHERE series = ? AND start > ? AND start <= ?";
        let values = (series, day.after_ms(), day.until_ms());
        self.connection.prepare_cached(sql)?.execute(values).map(drop)
    }

    /// Notes that a series of a day that is over has more samples.
    pub(super) fn note_late(&self, series: i64) -> rusqlite::Result<()> {
        let sql = "INSERT INTO late (series) VALUES (?)";
        self.connection.prepare_cached(sql)?.execute([series]).map(drop)
    }

    /// Notes up to which record of the journal the file is written.
    pub(super) fn note_position(&self, journal_seq: u64, now_ms: i64) -> rusqlite::Result<()> {
        let sql = "INSERT OR REPLACE INTO checkpoint (id, journal_seq, now_ms) VALUES (0, ?, ?)";
        let values = (journal_seq.cast_signed(), now_ms);
        self.connection.prepare_cached(sql)?.execute(values).map(drop)
    }
}

fn series(connection: &Connection) -> rusqlite::Result<HashMap<Fingerprint, i64>> {
    let mut statement = connection.prepare("SELECT fingerprint, id FROM series")?;
    let pairs =
        statement.query_map([], |row| Ok((Fingerprint::from_i64(row.get(0)?), row.get(1)?)))?;
    pairs.collect()
}
