//! Opening and making one SQLite file of the store.
//!
//! A file says what it is in its header: `application_id` and, in `user_version`, the version of its
//! schema. Both are read before SQLite sees the file, so that what a later version wrote is refused
//! without a byte of it changed, and what is no file of ours is set aside.
//!
//! All files are in WAL mode. A checkpoint inserts into pages all over a file, so a rollback journal
//! would be as large as the log; and with the log a commit waits for no reader and no reader for a
//! commit. `synchronous` is FULL where a commit is what the journal is told it may forget, NORMAL for
//! rows, which are computed again until the file of samples that they stand for goes.
//!
//! Files of hourly rows have pages of 16 KiB: a week of a series is then on one page, with few on the way to it, and
//! the system does not take reads here and there for the beginning of reading it all. Nothing else knows the size: files
//! with pages of 4 KiB are read and written as they are.
//!
//! Limits: a cache of 64 to 512 KiB per connection, the log is cut to 1 MiB after use.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::layout::Tier;
use crate::store::StoreError;

/// "SLmt": what `file(1)` and SQLite show as the application's id.
pub(super) const APPLICATION_ID: i32 = 0x534c_6d74;
/// The version of every schema below.
pub(super) const SCHEMA_VERSION: u32 = 1;
/// Bytes of a page in new files of hourly rows. Files of samples are written here and there by every checkpoint, and a
/// series' rows of five minutes would leave most of such a page empty: these have `SQLite`'s 4 KiB.
const HOURLY_PAGE_SIZE: u32 = 16 << 10;
/// How long a connection waits for a lock that another one holds; commits are the longest.
const BUSY: Duration = Duration::from_secs(5);

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The head.
    State,
    /// A day of samples.
    Samples,
    /// Days of rows.
    Rows,
    /// A week of hourly rows.
    HourlyRows,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// The only one that writes.
    Write,
    /// For queries.
    Read,
    /// For reports: a log that a kill left behind is read and stays as it is.
    Look,
}

/// Why a file cannot be used.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It is damaged, or not ours: to be set aside.
    Unreadable(String),
    /// A later version of the program wrote it.
    Newer(u32),
    /// Another process writes it.
    InUse,
    /// The disk or the system refuses; may pass.
    Refused(StoreError),
}

const SERIES: &str = "
CREATE TABLE series (
  id          INTEGER PRIMARY KEY,
  fingerprint INTEGER NOT NULL UNIQUE,
  kind        INTEGER NOT NULL,
  name        TEXT NOT NULL,
  labels      BLOB NOT NULL
);
CREATE INDEX series_name ON series (name);
CREATE TABLE chunk (
  series   INTEGER NOT NULL,
  start    INTEGER NOT NULL,
  \"end\"    INTEGER NOT NULL,
  samples  INTEGER NOT NULL,
  encoding INTEGER NOT NULL,
  bytes    BLOB NOT NULL,
  PRIMARY KEY (series, start)
) WITHOUT ROWID;";

const SAMPLES: &str = "
CREATE TABLE checkpoint (id INTEGER PRIMARY KEY CHECK (id = 0), journal_seq INTEGER NOT NULL, now_ms INTEGER NOT NULL);
CREATE TABLE late (n INTEGER PRIMARY KEY, series INTEGER NOT NULL);";

const ROWS: &str = "
CREATE TABLE rolled (
  day       INTEGER PRIMARY KEY,
  upto      INTEGER NOT NULL,
  late_upto INTEGER NOT NULL,
  done      INTEGER NOT NULL
);";

const STATE: &str = "
CREATE TABLE checkpoint (id INTEGER PRIMARY KEY CHECK (id = 0), journal_seq INTEGER NOT NULL, now_ms INTEGER NOT NULL);
CREATE TABLE series (
  id          INTEGER PRIMARY KEY,
  fingerprint INTEGER NOT NULL UNIQUE,
  kind        INTEGER NOT NULL,
  labels      BLOB NOT NULL
);
CREATE TABLE live (id INTEGER PRIMARY KEY, state BLOB NOT NULL);
CREATE TABLE state (key TEXT PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE family (name TEXT PRIMARY KEY, kind INTEGER NOT NULL, help TEXT NOT NULL, unit TEXT NOT NULL) WITHOUT ROWID;";

impl Role {
    pub(super) fn schema(self) -> String {
        match self {
            Self::State => STATE.to_owned(),
            Self::Samples => format!("{SERIES}{SAMPLES}"),
            Self::Rows | Self::HourlyRows => format!("{SERIES}{ROWS}"),
        }
    }

    /// What the files of `tier` are for.
    pub(super) const fn of(tier: Tier) -> Self {
        match tier {
            Tier::Raw => Self::Samples,
            Tier::FiveMinutes => Self::Rows,
            Tier::OneHour => Self::HourlyRows,
        }
    }
}

/// Opens a file, or makes it when `access` is to write.
///
/// # Errors
/// [`Trouble`].
pub(super) fn open(path: &Path, role: Role, access: Access) -> Result<Connection, Trouble> {
    check(path)?;
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let logged = fs::metadata(log).is_ok_and(|log| log.len() > 0);
    if access == Access::Write {
        touch(path).map_err(|source| refused("create", path, source))?;
    }
    // For readers as well: they may have to bring a log in order that a kill left behind.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags);
    let connection = connection.map_err(|error| trouble("open", path, error))?;
    connection.busy_timeout(BUSY).map_err(|error| trouble("open", path, error))?;
    // Eight of its pages.
    let cache = if role == Role::HourlyRows { "-128" } else { "-64" };
    match access {
        Access::Look if logged => connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
            .and_then(|_| settle(&connection, cache, "NORMAL")),
        Access::Read | Access::Look => settle(&connection, cache, "NORMAL"),
        Access::Write => {
            make(&connection, role).map_err(|error| trouble("set up", path, error))?;
            match role {
                Role::State | Role::Samples => settle(&connection, "-512", "FULL"),
                Role::Rows | Role::HourlyRows => settle(&connection, "-256", "NORMAL"),
            }
        }
    }
    .map_err(|error| trouble("open", path, error))?;
    Ok(connection)
}

fn settle(connection: &Connection, cache: &str, synchronous: &str) -> rusqlite::Result<()> {
    // Tests kill processes, not machines.
    let synchronous = if cfg!(test) { "OFF" } else { synchronous };
    for (name, value) in [
        ("cache_size", cache),
        ("synchronous", synchronous),
        ("mmap_size", "0"),
        ("temp_store", "MEMORY"),
        ("journal_size_limit", "1048576"),
        ("trusted_schema", "OFF"),
        ("cell_size_check", "ON"),
    ] {
        connection.pragma_update(None, name, value)?;
    }
    Ok(())
}

/// Makes the tables if there are none.
fn make(connection: &Connection, role: Role) -> rusqlite::Result<()> {
    if role == Role::State {
        // Held until the connection closes: two agents on one store would undo each other's work.
        connection.busy_timeout(Duration::ZERO)?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    }
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 0 {
        if role == Role::HourlyRows {
            connection.pragma_update(None, "page_size", HOURLY_PAGE_SIZE)?;
        }
        let schema = role.schema();
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {schema}
             PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT"
        ))?;
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    if role == Role::State {
        connection.execute_batch("BEGIN IMMEDIATE; COMMIT")?;
    }
    Ok(())
}

/// Makes an empty file that only its owner may read; SQLite gives its log the same mode.
fn touch(path: &Path) -> io::Result<()> {
    fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path).map(drop)
}

/// Makes the directory, with mode 0700.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Looks at a file's header without changing anything. A file that is not there is fine.
///
/// # Errors
/// [`Trouble`]: it is not for us.
pub(super) fn check(path: &Path) -> Result<(), Trouble> {
    let mut header = [0; 100];
    let mut file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(refused("open", path, error)),
    };
    let rolls_back = fs::symlink_metadata(beside(path, "-journal")).is_ok();
    let len = file.metadata().map_err(|error| refused("look at", path, error))?.len();
    if len == 0 || rolls_back {
        return Ok(());
    }
    match file.read_exact(&mut header) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(Trouble::Unreadable("shorter than a header".to_owned()));
        }
        Err(error) => return Err(refused("read", path, error)),
    }
    let word = |at: usize| {
        let bytes = header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_be_bytes)
    };
    if !header.starts_with(b"SQLite format 3\0") {
        return Err(Trouble::Unreadable("not an SQLite file".to_owned()));
    }
    if word(68) != APPLICATION_ID.cast_unsigned() {
        return Err(Trouble::Unreadable("an SQLite file of another application".to_owned()));
    }
    match word(60) {
        SCHEMA_VERSION => Ok(()),
        newer if newer > SCHEMA_VERSION => Err(Trouble::Newer(newer)),
        _ => Err(Trouble::Unreadable("no known schema".to_owned())),
    }
}

/// `path` with `suffix` at the end of its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Bytes of a file and of its log.
pub(super) fn bytes(path: &Path) -> u64 {
    let len = |path: &Path| fs::symlink_metadata(path).map_or(0, |found| found.len());
    len(path) + len(&beside(path, "-wal"))
}

/// Removes a file and what SQLite keeps beside it.
///
/// # Errors
/// The system's, unless it is gone already.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let gone = |error: io::Error| {
        if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
    };
    fs::remove_file(path).or_else(gone)?;
    for suffix in ["-wal", "-shm", "-journal"] {
        fs::remove_file(beside(path, suffix)).or_else(gone)?;
    }
    Ok(())
}

/// Sets a file aside under the first free name `<name>.corrupt-<n>`.
///
/// # Errors
/// The system's.
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let free = (1..).map(|n| beside(path, &format!(".corrupt-{n}")));
    let to = { free }.find(|to| fs::symlink_metadata(to).is_err()).unwrap_or_default();
    fs::rename(path, &to)?;
    for suffix in ["-wal", "-journal"] {
        // There need not be one.
        drop(fs::rename(beside(path, suffix), beside(&to, suffix)));
    }
    drop(fs::remove_file(beside(path, "-shm")));
    Ok(to)
}

/// What an error of SQLite means for the file.
pub(super) fn trouble(operation: &'static str, path: &Path, error: rusqlite::Error) -> Trouble {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            Trouble::Unreadable(error.to_string())
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Trouble::InUse,
        // What is missing from a file that says it has our schema was taken out of it.
        _ if error.to_string().starts_with("no such") => Trouble::Unreadable(error.to_string()),
        _ => Trouble::Refused(failed(operation, path, error)),
    }
}

fn refused(operation: &'static str, path: &Path, source: io::Error) -> Trouble {
    Trouble::Refused(failed(operation, path, source))
}

/// The error of an operation on a file.
pub(super) fn failed(
    operation: &'static str,
    path: &Path,
    source: impl std::error::Error + Send + Sync + 'static,
) -> StoreError {
    StoreError::File { operation, path: path.to_owned(), source: Arc::new(source) }
}

impl Trouble {
    /// The same for those to whom every trouble is an error.
    pub(super) fn into_error(self, operation: &'static str, path: &Path) -> StoreError {
        match self {
            Self::Refused(error) => error,
            Self::Unreadable(why) => failed(operation, path, io::Error::other(why)),
            Self::Newer(version) => {
                let why = format!("version {version} of the schema is newer than {SCHEMA_VERSION}");
                failed(operation, path, io::Error::other(why))
            }
            Self::InUse => failed(operation, path, io::Error::other("another process uses it")),
        }
    }
}
