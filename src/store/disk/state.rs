//! `state.db`: the head as the last checkpoint found it, and the record of the journal that it stands for.
//!
//! One transaction holds all of it, so a restart finds the head as it was at one record, and reading the
//! journal from there gives the same head again. The file is locked while it is open: one process writes a
//! store. About 300 bytes per series; a checkpoint writes those that changed, in the order of their numbers.

use std::path::PathBuf;

use hashbrown::HashMap;
use rusqlite::{Connection, params};

use super::file::{self, Access, Role, Trouble, trouble};
use super::labels;
use crate::store::checkpoint::{Live, Record, Restored};
use crate::store::metadata::{Metadata, MetricKind};
use crate::store::{Fingerprint, Kind};

/// The open file.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    connection: Connection,
    ids: HashMap<Fingerprint, i64>,
    next_id: i64,
    buffer: Vec<u8>,
}

impl StateFile {
    /// Opens or makes the file.
    pub(super) fn open(path: PathBuf) -> Result<Self, Trouble> {
        let connection = file::open(&path, Role::State, Access::Write)?;
        let mut opened =
            Self { path, connection, ids: HashMap::new(), next_id: 0, buffer: Vec::new() };
        opened.check()?;
        opened.attempt("read", |file| file.read_ids())?;
        Ok(opened)
    }

    /// The whole file is read at the start anyway; what is damaged in it is better found now.
    fn check(&mut self) -> Result<(), Trouble> {
        let verdict: String = self.attempt("read", |file| {
            file.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        })?;
        if verdict == "ok" { Ok(()) } else { Err(Trouble::Unreadable(verdict)) }
    }

    fn read_ids(&mut self) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare("SELECT fingerprint, id FROM series")?;
        let pair = |row: &rusqlite::Row<'_>| Ok((Fingerprint::from_i64(row.get(0)?), row.get(1)?));
        self.ids = statement.query_map([], pair)?.collect::<rusqlite::Result<_>>()?;
        self.next_id = self.ids.values().max().map_or(0, |id| id + 1);
        Ok(())
    }

    /// Does something with the file.
    pub(super) fn attempt<T>(
        &mut self,
        operation: &'static str,
        with: impl FnOnce(&mut Self) -> rusqlite::Result<T>,
    ) -> Result<T, Trouble> {
        with(self).map_err(|error| trouble(operation, &self.path, error))
    }

    pub(super) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Everything that the last checkpoint held but the series.
    pub(super) fn restore(&mut self) -> Result<Restored, Trouble> {
        self.attempt("read", |file| file.read_all())
    }

    fn read_all(&self) -> rusqlite::Result<Restored> {
        let mut restored = Restored::default();
        let mut statement =
            self.connection.prepare("SELECT journal_seq, now_ms FROM checkpoint")?;
        let mut rows = statement.query([])?;
        if let Some(row) = rows.next()? {
            restored.journal_seq = Some(row.get::<_, i64>(0)?.cast_unsigned());
            restored.now_ms = row.get(1)?;
        }
        let mut statement = self.connection.prepare("SELECT key, bytes FROM state")?;
        let states = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        restored.states = states.collect::<rusqlite::Result<_>>()?;
        let mut statement = self.connection.prepare("SELECT name, kind, help, unit FROM family")?;
        let families = statement.query_map([], |row| {
            let kind = MetricKind::from_code(row.get(1)?).unwrap_or_default();
            Ok((row.get(0)?, Metadata { kind, help: row.get(2)?, unit: row.get(3)? }))
        })?;
        restored.families = families.collect::<rusqlite::Result<_>>()?;
        Ok(restored)
    }

    /// Hands every series of the head to `each`, one at a time; what names none is left out.
    pub(super) fn each_live(&mut self, each: &mut dyn FnMut(&Live<'_>)) -> Result<(), Trouble> {
        self.attempt("read", |file| {
            let sql = "SELECT fingerprint, kind, labels, state FROM series JOIN live USING (id) ORDER BY id";
            let mut statement = file.connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let mut pairs = Vec::new();
                let read = labels::decode_pairs(row.get_ref(2)?.as_blob()?, &mut pairs);
                let Some((kind, ())) = Kind::from_code(row.get(1)?).zip(read) else { continue };
                let fingerprint = Fingerprint::from_i64(row.get(0)?);
                let state = row.get_ref(3)?.as_blob()?;
                each(&Live { fingerprint, kind, labels: &pairs, state });
            }
            Ok(())
        })
    }

    /// Begins the transaction.
    pub(super) fn begin(&mut self) -> Result<(), Trouble> {
        self.attempt("write", |file| file.execute("BEGIN IMMEDIATE"))
    }

    /// Commits it with the position that it stands for.
    pub(super) fn commit(&mut self, journal_seq: u64, now_ms: i64) -> Result<(), Trouble> {
        self.attempt("write", |file| {
            let sql =
                "INSERT OR REPLACE INTO checkpoint (id, journal_seq, now_ms) VALUES (0, ?, ?)";
            let values = (journal_seq.cast_signed(), now_ms);
            file.connection.prepare_cached(sql)?.execute(values)?;
            file.execute("COMMIT")
        })
    }

    /// Forgets what was written since the beginning.
    pub(super) fn roll_back(&mut self) -> Result<(), Trouble> {
        self.attempt("write", |file| {
            // Some errors end the transaction by themselves.
            if !file.connection.is_autocommit() {
                file.execute("ROLLBACK")?;
            }
            file.read_ids()
        })
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }

    /// Replaces the state of a series.
    pub(super) fn put(&mut self, record: &Record<'_>) -> rusqlite::Result<()> {
        let id = match self.ids.get(&record.fingerprint) {
            Some(id) => *id,
            None => self.insert(record)?,
        };
        let sql = "INSERT OR REPLACE INTO live (id, state) VALUES (?, ?)";
        self.connection.prepare_cached(sql)?.execute(params![id, record.live]).map(drop)
    }

    fn insert(&mut self, record: &Record<'_>) -> rusqlite::Result<i64> {
        let id = self.next_id;
        self.buffer.clear();
        labels::encode(record.labels, &mut self.buffer);
        let sql = "INSERT INTO series (id, fingerprint, kind, labels) VALUES (?, ?, ?, ?)";
        let values = params![id, record.fingerprint.to_i64(), record.kind as u8, self.buffer];
        self.connection.prepare_cached(sql)?.execute(values)?;
        self.next_id += 1;
        self.ids.insert(record.fingerprint, id);
        Ok(id)
    }

    /// Forgets a series.
    pub(super) fn remove(&mut self, fingerprint: Fingerprint) -> rusqlite::Result<()> {
        let Some(id) = self.ids.remove(&fingerprint) else { return Ok(()) };
        self.connection.prepare_cached("DELETE FROM series WHERE id = ?")?.execute([id])?;
        self.connection.prepare_cached("DELETE FROM live WHERE id = ?")?.execute([id]).map(drop)
    }

    /// Replaces a named state.
    pub(super) fn put_state(&self, key: &str, bytes: &[u8]) -> rusqlite::Result<()> {
        let sql = "INSERT OR REPLACE INTO state (key, bytes) VALUES (?, ?)";
        self.connection.prepare_cached(sql)?.execute(params![key, bytes]).map(drop)
    }

    /// Replaces the metadata of a family.
    pub(super) fn put_family(&self, name: &str, metadata: &Metadata) -> rusqlite::Result<()> {
        let sql = "INSERT OR REPLACE INTO family (name, kind, help, unit) VALUES (?, ?, ?, ?)";
        let Metadata { kind, help, unit } = metadata;
        let values = params![name, *kind as u8, help, unit];
        self.connection.prepare_cached(sql)?.execute(values).map(drop)
    }
    /// Forgets a family.
    pub(super) fn remove_family(&self, name: &str) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("DELETE FROM family WHERE name = ?")?
            .execute([name])
            .map(drop)
    }
}
