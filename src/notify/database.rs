//! `notifications.db`: silences, history, and what a restart must know. One SQLite file, one writer.
//!
//! ```text
//! silence     one row each, as JSON              transition  an alert began or ended   bounded by rows and age
//! known       alerts as last seen, told or not   delivery    a receiver took or not    bounded by rows and age
//! told        what each receiver was told of
//! ```
//! Without a directory it is kept in memory. A file that is damaged is set aside and a new one made: alerts go out in any
//! case. Commits are not waited for by anything that notifies, but for silences, which are kept before they are answered.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Transaction, params};

use super::error::DatabaseError;
use super::message::Message;
use super::silence::{Document, Silence};
use crate::sqlite;
use crate::time::UnixNano;

const HOLDS: sqlite::Holds = sqlite::Holds {
    // "SLno".
    application_id: 0x534c_6e6f,
    version: 1,
    schema: SCHEMA,
    busy: Duration::from_secs(5),
};

const KEEP_SILENCE: &str =
    "INSERT OR REPLACE INTO silence (id, ends_at, document) VALUES (?1, ?2, ?3)";

const SCHEMA: &str = "
CREATE TABLE silence (id TEXT PRIMARY KEY, ends_at INTEGER NOT NULL, document TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE known (id INTEGER PRIMARY KEY, message TEXT NOT NULL, announced INTEGER NOT NULL);
CREATE TABLE told (
  receiver TEXT NOT NULL, id INTEGER NOT NULL, at INTEGER NOT NULL, message TEXT NOT NULL,
  PRIMARY KEY (receiver, id)
) WITHOUT ROWID;
CREATE TABLE transition (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, fingerprint TEXT NOT NULL, name TEXT NOT NULL,
  state TEXT NOT NULL, value REAL, labels TEXT NOT NULL, annotations TEXT NOT NULL, silenced_by TEXT
);
CREATE INDEX transition_at ON transition (at);
CREATE TABLE delivery (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, receiver TEXT NOT NULL, kind TEXT NOT NULL,
  outcome TEXT NOT NULL, firing INTEGER NOT NULL, resolved INTEGER NOT NULL, subject TEXT NOT NULL,
  detail TEXT NOT NULL
);
CREATE INDEX delivery_at ON delivery (at);";

/// One thing to keep.
#[derive(Clone, Debug)]
pub(super) enum Row {
    /// An alert began or ended.
    Transition { at: UnixNano, message: Box<Message>, silenced_by: Option<String> },
    /// What became of a request to a receiver.
    Delivery {
        at: UnixNano,
        receiver: String,
        kind: &'static str,
        outcome: &'static str,
        firing: u32,
        resolved: u32,
        subject: String,
        detail: String,
    },
    /// An alert as last seen.
    Known { message: Box<Message>, announced: bool },
    /// An alert that is over and told.
    Forgotten(u64),
    /// A receiver knows that these fire.
    Told { receiver: String, at: UnixNano, messages: Vec<Message> },
    /// A receiver knows that these do not, or will not hear of them.
    Untold { receiver: String, ids: Vec<u64> },
    /// A receiver that is not configured any more.
    Gone { receiver: String },
}

/// What a start finds.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) silences: Vec<Silence>,
    pub(super) known: Vec<(Message, bool)>,
    pub(super) told: Vec<(String, UnixNano, Message)>,
    /// The file that was set aside.
    pub(super) set_aside: Option<PathBuf>,
}

impl Found {
    /// See [`Message::restored`].
    pub(super) fn restored(mut self, now: UnixNano) -> Self {
        let known = self.known.into_iter();
        self.known = known.map(|(message, told)| (message.restored(now), told)).collect();
        let told = self.told.into_iter();
        self.told = told.map(|(to, at, message)| (to, at, message.restored(now))).collect();
        self
    }
}

/// The open file.
#[derive(Debug)]
pub(super) struct Database {
    connection: Mutex<Connection>,
    age_max: Duration,
    rows_max: u64,
}

impl Database {
    /// Opens or makes the file at `path`, or one in memory. Blocks on disk.
    pub(super) fn open(
        path: Option<&Path>,
        age_max: Duration,
        rows_max: u64,
        now: UnixNano,
    ) -> Result<(Self, Found), DatabaseError> {
        let (connection, set_aside) = match path {
            None => (sqlite::in_memory(&HOLDS)?, None),
            Some(path) => sqlite::open(path, &HOLDS)?,
        };
        let found = Found { set_aside, ..found(&connection, now)? };
        let database = Self { connection: Mutex::new(connection), age_max, rows_max };
        database.purge(now)?;
        Ok((database, found))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What each receiver was told of, and when.
    pub(super) fn told(&self) -> Result<Vec<(String, UnixNano, Message)>, DatabaseError> {
        Ok(told(&self.lock())?)
    }

    /// Keeps rows in one transaction.
    pub(super) fn write(&self, rows: &[Row]) -> Result<(), DatabaseError> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        for row in rows {
            insert(&transaction, row)?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Keeps a silence, in place of an older one of its id.
    pub(super) fn keep_silence(
        &self,
        silence: &Silence,
        now: UnixNano,
    ) -> Result<(), DatabaseError> {
        let document = serde_json::to_string(&silence.document(now)).unwrap_or_default();
        self.lock().execute(KEEP_SILENCE, params![silence.id, time(silence.ends_at), document])?;
        Ok(())
    }

    /// Goes on in the file at `path` from memory, with the silences that were made meanwhile. What the file holds, those
    /// among it. Blocks on disk.
    pub(super) fn move_to(&self, path: &Path, now: UnixNano) -> Result<Found, DatabaseError> {
        let (disk, set_aside) = sqlite::open(path, &HOLDS)?;
        let mut held = self.lock();
        {
            let mut silences = held.prepare("SELECT id, ends_at, document FROM silence")?;
            let mut rows = silences.query([])?;
            while let Some(row) = rows.next()? {
                let (id, ends_at, document): (String, i64, String) = row.try_into()?;
                disk.execute(KEEP_SILENCE, params![id, ends_at, document])?;
            }
        }
        let found = Found { set_aside, ..found(&disk, now)? };
        *held = disk;
        Ok(found)
    }

    /// Drops what is too old or too much.
    pub(super) fn purge(&self, now: UnixNano) -> Result<(), DatabaseError> {
        let age = u64::try_from(self.age_max.as_nanos()).unwrap_or(u64::MAX);
        let oldest = time(UnixNano(now.0.saturating_sub(age)));
        let rows = i64::try_from(self.rows_max).unwrap_or(i64::MAX);
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        for table in ["transition", "delivery"] {
            transaction.execute(&format!("DELETE FROM {table} WHERE at < ?1"), [oldest])?;
            let surplus =
                format!("DELETE FROM {table} WHERE id <= (SELECT MAX(id) FROM {table}) - ?1");
            transaction.execute(&surplus, [rows])?;
        }
        transaction.execute("DELETE FROM silence WHERE ends_at < ?1", [oldest])?;
        transaction.commit()?;
        Ok(())
    }
}

/// A number of alerts as it is kept.
pub(super) fn counted(alerts: usize) -> u32 {
    u32::try_from(alerts).unwrap_or(u32::MAX)
}

/// A time as SQLite keeps numbers: nanoseconds until the year 2262.
pub(super) fn time(at: UnixNano) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

pub(super) fn untime(at: i64) -> UnixNano {
    UnixNano(u64::try_from(at).unwrap_or(0))
}

fn found(connection: &Connection, now: UnixNano) -> Result<Found, DatabaseError> {
    let mut found = Found::default();
    let mut statement =
        connection.prepare("SELECT id, document FROM silence WHERE ends_at > ?1")?;
    let rows = statement.query_map([time(now)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for row in rows {
        let (id, document): (String, String) = row?;
        let silence = Document::parse(document.as_bytes()).and_then(|it| it.silence(id, now));
        match silence {
            Ok(silence) => found.silences.push(silence),
            Err(error) => tracing::warn!(%error, "a silence that was kept cannot be read"),
        }
    }
    let mut statement = connection.prepare("SELECT message, announced FROM known")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for row in rows {
        let (message, announced): (String, bool) = row?;
        found.known.extend(Message::from_json(&message).map(|message| (message, announced)));
    }
    found.told = told(connection)?;
    Ok(found)
}

fn told(connection: &Connection) -> rusqlite::Result<Vec<(String, UnixNano, Message)>> {
    let mut told = Vec::new();
    let mut statement = connection.prepare("SELECT receiver, at, message FROM told")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    for row in rows {
        let (receiver, at, message): (String, i64, String) = row?;
        told.extend(Message::from_json(&message).map(|it| (receiver, untime(at), it)));
    }
    Ok(told)
}

fn insert(to: &Transaction<'_>, row: &Row) -> rusqlite::Result<()> {
    match row {
        Row::Transition { at, message, silenced_by } => {
            let statement = "INSERT INTO transition (at, fingerprint, name, state, value, labels, annotations, \
                             silenced_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
            let (labels, annotations) = message.pairs_json();
            to.prepare_cached(statement)?.execute(params![
                time(*at),
                format!("{:016x}", message.fingerprint),
                message.label("alertname"),
                message.status(),
                message.value,
                labels,
                annotations,
                silenced_by,
            ])?;
        }
        Row::Delivery { at, receiver, kind, outcome, firing, resolved, subject, detail } => {
            let statement = "INSERT INTO delivery (at, receiver, kind, outcome, firing, resolved, subject, detail) \
                             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
            to.prepare_cached(statement)?.execute(params![
                time(*at),
                receiver,
                kind,
                outcome,
                firing,
                resolved,
                subject,
                detail
            ])?;
        }
        Row::Known { message, announced } => {
            let statement =
                "INSERT OR REPLACE INTO known (id, message, announced) VALUES (?1, ?2, ?3)";
            let id = message.id.cast_signed();
            to.prepare_cached(statement)?.execute(params![id, message.to_json(), announced])?;
        }
        Row::Forgotten(id) => {
            to.prepare_cached("DELETE FROM known WHERE id = ?1")?.execute([id.cast_signed()])?;
        }
        Row::Told { receiver, at, messages } => {
            let statement =
                "INSERT OR REPLACE INTO told (receiver, id, at, message) VALUES (?1, ?2, ?3, ?4)";
            for message in messages {
                let id = message.id.cast_signed();
                let values = params![receiver, id, time(*at), message.to_json()];
                to.prepare_cached(statement)?.execute(values)?;
            }
        }
        Row::Gone { receiver } => {
            to.prepare_cached("DELETE FROM told WHERE receiver = ?1")?.execute([receiver])?;
        }
        Row::Untold { receiver, ids } => {
            let statement = "DELETE FROM told WHERE receiver = ?1 AND id = ?2";
            for id in ids {
                to.prepare_cached(statement)?.execute(params![receiver, id.cast_signed()])?;
            }
        }
    }
    Ok(())
}
