//! SQLite files that may be begun anew: opened, made, and set aside when they are damaged.
//!
//! A file says whose it is (`application_id`) and of which version (`user_version`); what is another's or another version's is
//! left as it is. It is for its owner only, as its directory is if that is made. Through the write-ahead log a killed
//! process loses nothing, a machine without power the last commits at most. Everything blocks on disk.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

/// Files set aside; the last one is replaced.
const ASIDE_MAX: u32 = 100;

/// What is in a file.
#[derive(Clone, Copy, Debug)]
pub struct Holds {
    /// Whose it is, in four letters.
    pub application_id: i32,
    /// The version of the schema.
    pub version: i32,
    /// Makes the tables.
    pub schema: &'static str,
    /// How long to wait for another process that writes it.
    pub busy: Duration,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or the file cannot be made, or the file not be set aside.
    #[error("cannot prepare {}", path.display())]
    Prepare {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// SQLite refuses.
    #[error("cannot open {}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// Leave it where it is.
    #[error("{} belongs to something else, or to another version", .0.display())]
    Foreign(PathBuf),
}

impl OpenError {
    /// Whether it may go well later though nobody mends it: the disk is full, or another process has the file.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        match self {
            Self::Prepare { source, .. } => matches!(source.kind(), StorageFull | QuotaExceeded),
            Self::Sqlite { source, .. } => may_pass(source),
            Self::Foreign(_) => false,
        }
    }
}

/// Opens or makes the file at `path`. A damaged one is set aside, and a new one made; under which name it is then.
///
/// # Errors
/// [`OpenError`].
pub fn open(path: &Path, holds: &Holds) -> Result<(Connection, Option<PathBuf>), OpenError> {
    let prepare = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Prepare { path, source }
    };
    if let Some(directory) = path.parent() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(prepare(directory))?;
    }
    let open = || {
        // SQLite gives its logs the mode of the file.
        let made = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        made.map_err(prepare(path))?;
        let opened = Connection::open(path).and_then(|opened| prepared(opened, holds));
        let opened = opened.map_err(|source| OpenError::Sqlite { path: path.to_owned(), source });
        opened?.ok_or_else(|| OpenError::Foreign(path.to_owned()))
    };
    match open() {
        Err(OpenError::Sqlite { source, .. }) if is_damaged(&source) => {
            let aside = set_aside(path).map_err(prepare(path))?;
            Ok((open()?, Some(aside)))
        }
        opened => Ok((opened?, None)),
    }
}

/// The same in memory.
///
/// # Errors
/// SQLite's.
pub fn in_memory(holds: &Holds) -> rusqlite::Result<Connection> {
    let made = prepared(Connection::open_in_memory()?, holds)?;
    made.ok_or(rusqlite::Error::InvalidQuery)
}

/// `None` where it is another's.
fn prepared(connection: Connection, holds: &Holds) -> rusqlite::Result<Option<Connection>> {
    connection.busy_timeout(holds.busy)?;
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let tables: i64 =
        connection.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let Holds { application_id, version, schema, .. } = holds;
    if tables > 0
        && (number("application_id")?, number("user_version")?) != (*application_id, *version)
    {
        return Ok(None);
    }
    for (name, value) in [
        ("journal_mode", "WAL"),
        ("synchronous", "NORMAL"),
        ("cache_size", "-256"),
        ("mmap_size", "0"),
        ("journal_size_limit", "1048576"),
        ("trusted_schema", "OFF"),
        ("cell_size_check", "ON"),
    ] {
        connection.pragma_update(None, name, value)?;
    }
    if tables == 0 {
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {schema} PRAGMA application_id = {application_id}; PRAGMA user_version = {version}; COMMIT"
        ))?;
    }
    Ok(Some(connection))
}

/// Moves a file out of the way, with its log; under which name it is then.
///
/// # Errors
/// The system's.
pub fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let beside = |path: &Path, suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let named = |nth: u32| beside(path, &format!(".corrupt-{nth}"));
    let free = (1..ASIDE_MAX).map(named).find(|name| fs::symlink_metadata(name).is_err());
    let aside = free.unwrap_or_else(|| named(ASIDE_MAX));
    fs::rename(path, &aside)?;
    // There need not be one; the index says nothing without them.
    drop(fs::rename(beside(path, "-wal"), beside(&aside, "-wal")));
    drop(fs::remove_file(beside(path, "-shm")));
    Ok(aside)
}

/// Whether an error says that the file is damaged: what is missing from one that says it has our tables was taken out of it.
#[must_use]
pub fn is_damaged(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        || error.to_string().starts_with("no such")
}

/// Whether it may go well later though nobody mends it.
#[must_use]
pub fn may_pass(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLDS: Holds = Holds {
        application_id: 7,
        version: 2,
        schema: "CREATE TABLE one (id INTEGER PRIMARY KEY);",
        busy: Duration::from_secs(1),
    };

    #[test]
    fn what_is_of_another_version_or_anothers_is_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deeper/a.db");
        let (connection, aside) = open(&path, &HOLDS).unwrap();
        connection.execute("INSERT INTO one VALUES (1)", []).unwrap();
        assert_eq!(aside, None);
        drop(connection);
        let foreign = |error: OpenError| error.to_string().contains("another version");
        for other in [Holds { version: 1, ..HOLDS }, Holds { application_id: 8, ..HOLDS }] {
            let error = open(&path, &other).unwrap_err();
            assert!(!error.may_pass() && foreign(error));
        }
        let (connection, _) = open(&path, &HOLDS).unwrap();
        let count: i64 =
            connection.query_row("SELECT COUNT(*) FROM one", [], |row| row.get(0)).unwrap();
        assert_eq!(count, 1);
    }

    #[test]
    fn each_damaged_file_is_kept_under_a_name_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        for nth in 1..=2 {
            fs::write(&path, "this is no database, but it is long enough ".repeat(100)).unwrap();
            let (_connection, aside) = open(&path, &HOLDS).unwrap();
            assert_eq!(aside, Some(directory.path().join(format!("a.db.corrupt-{nth}"))));
        }
    }
}
