//! The store's files without an agent: what they hold, what would go, and compaction.
//!
//! Looking ([`files`], [`rotation`]) takes no lock and works beside a running agent; doing
//! ([`Offline`]) takes the store's lock and refuses while an agent has it. The agent itself looks with [`files_of_agent`].

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::commit::GRACE;
use super::file::{self, Access, Role, Trouble, trouble};
use super::layout::{FileKey, STATE_FILE, Tier};
use super::retention::{self, Held, Space};
use super::{Disk, open};
use crate::store::config::Config;
use crate::store::{Deps, OpenError, StoreError};
use crate::time::UnixNano;

/// Steps of SQLite's after which it is asked whether somebody waits: some milliseconds' worth.
const STEPS: i32 = if cfg!(test) { 10 } else { 100_000 };

/// A file and what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileReport {
    /// Its name.
    pub name: String,
    /// `raw`, `5m`, `1h`, `state`, or `set aside`.
    pub holds: &'static str,
    /// The days that it spans, as `2026-11-21`; of files of days.
    pub days: Option<(String, String)>,
    /// Its size with its log.
    pub bytes: u64,
    /// Bytes in it that hold nothing.
    pub free_bytes: Option<u64>,
    /// Series that it names.
    pub series: Option<u64>,
    /// Chunks in it.
    pub chunks: Option<u64>,
    /// Samples, or rows, in those chunks.
    pub samples: Option<u64>,
    /// Why it cannot be read.
    pub problem: Option<String>,
    /// A running agent holds it: there are no numbers, and nothing is wrong.
    pub held: bool,
}

impl FileReport {
    /// What the API and the command tell of it.
    fn document(&self) -> Value {
        json!({
            "name": self.name,
            "holds": self.holds,
            "first_day": self.days.as_ref().map(|(first, _)| first),
            "last_day": self.days.as_ref().map(|(_, last)| last),
            "bytes": self.bytes,
            "free_bytes": self.free_bytes,
            "series": self.series,
            "chunks": self.chunks,
            "samples": self.samples,
            "held": self.held,
            "problem": self.problem,
        })
    }
}

/// What the API and the command tell of the files of a store.
#[must_use]
pub fn document(config: &Config, files: &[FileReport]) -> Value {
    json!({
        "schema_version": 1,
        "directory": config.directory,
        "bytes": files.iter().map(|file| file.bytes).sum::<u64>(),
        "max_size_bytes": config.max_size,
        "files": files.iter().map(FileReport::document).collect::<Vec<_>>(),
    })
}

/// What rotation does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Days that are over and are rolled up, as `2026-11-21`.
    pub roll: Vec<String>,
    /// Files that go: name, bytes, and `age` or `size`.
    pub drop: Vec<(String, u64, &'static str)>,
    /// Bytes above `store.max_size` even then.
    pub excess: u64,
}

/// A file that was compacted, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compaction {
    /// Its name.
    pub name: String,
    /// Its size before.
    pub before: u64,
    /// Its size after; estimated when nothing was done.
    pub after: u64,
}

/// Every file of the store and what is in it.
///
/// # Errors
/// [`StoreError`]: the directory cannot be listed.
pub fn files(config: &Config) -> Result<Vec<FileReport>, StoreError> {
    let listed = open::list(&config.directory)?;
    Ok(listed
        .into_iter()
        .filter_map(|file| report(&file.path, file.bytes, None::<fn() -> bool>))
        .collect())
}

/// The same in the agent that has the store, for as long as nobody has `gone` who waits for it; counting ends then, too.
///
/// # Errors
/// [`StoreError`]: the directory cannot be listed.
pub fn files_of_agent(
    config: &Config,
    gone: impl Fn() -> bool + Clone + Send + 'static,
) -> Result<Vec<FileReport>, StoreError> {
    let listed = open::list(&config.directory)?.into_iter().take_while(|_| !gone());
    Ok(listed.filter_map(|file| report(&file.path, file.bytes, Some(gone.clone()))).collect())
}

/// What a file holds; `None` of one that retention removed since it was listed.
///
/// A process that closes a file lets go of its locks on it, those of its other descriptors too: in the agent, which says when who
/// waits has `gone`, the file is left alone that it has locked.
fn report(
    path: &Path,
    bytes: u64,
    gone: Option<impl Fn() -> bool + Send + 'static>,
) -> Option<FileReport> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let report = FileReport { name: name.to_owned(), bytes, ..FileReport::default() };
    let (report, role) = match FileKey::parse(name) {
        Some(key) => {
            let days = Some((key.first.date(), key.last().date()));
            let role = Role::of(key.tier);
            (FileReport { holds: key.tier.name(), days, ..report }, role)
        }
        None if name == STATE_FILE && gone.is_some() => {
            return Some(FileReport { holds: "state", held: true, ..report });
        }
        None if name == STATE_FILE => (FileReport { holds: "state", ..report }, Role::State),
        None => return Some(FileReport { holds: "set aside", ..report }),
    };
    let counted = file::open(path, role, Access::Look).and_then(|mut connection| {
        let counted = connection.progress_handler(STEPS, gone);
        let counted = counted.and_then(|()| counts(&connection, role));
        counted.map_err(|error| trouble("read", path, error))
    });
    let removed = || {
        let found = std::fs::symlink_metadata(path);
        found.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    };
    Some(match counted {
        Err(_) if removed() => return None,
        Ok((free, series, chunks)) => {
            let (chunks, samples) = chunks.unzip();
            FileReport { free_bytes: Some(free), series: Some(series), chunks, samples, ..report }
        }
        Err(Trouble::InUse) => FileReport { held: true, ..report },
        Err(trouble) => {
            let error = trouble.into_error("read", path);
            FileReport { problem: Some(crate::telemetry::chain(&error)), ..report }
        }
    })
}

/// Free bytes, series, and chunks with their samples.
type Counts = (u64, u64, Option<(u64, u64)>);

fn counts(connection: &Connection, role: Role) -> rusqlite::Result<Counts> {
    if role == Role::State {
        connection.busy_timeout(Duration::ZERO)?;
    }
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let series = number("SELECT count(*) FROM series")?;
    let free = number("PRAGMA freelist_count")? * number("PRAGMA page_size")?;
    let chunks = if role == Role::State {
        None
    } else {
        let sql = "SELECT count(*), coalesce(sum(samples), 0) FROM chunk";
        let (chunks, samples): (i64, i64) =
            connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Some((chunks.cast_unsigned(), samples.cast_unsigned()))
    };
    Ok((free.cast_unsigned(), series.cast_unsigned(), chunks))
}

/// What rotation would do at `now`.
///
/// # Errors
/// [`StoreError`]: the directory cannot be listed.
pub fn rotation(config: &Config, now: UnixNano) -> Result<Rotation, StoreError> {
    let now_ms = milliseconds(now);
    let missing = Space::of(&config.directory).map_or(0, Space::missing);
    let mut rotation = Rotation::default();
    let (mut held, mut other_bytes) = (Vec::new(), 0);
    let rolled = rolled_days(config)?;
    for listed in open::list(&config.directory)? {
        let name = listed.path.file_name().and_then(|name| name.to_str());
        let Some(key) = name.and_then(FileKey::parse) else {
            other_bytes += listed.bytes;
            continue;
        };
        let over = key.first.until_ms() + GRACE <= now_ms;
        let waits = key.tier == Tier::Raw && !rolled.contains(&key.first);
        if over && waits && missing == 0 {
            rotation.roll.push(key.first.date());
        }
        held.push(Held { key, bytes: listed.bytes, rolled: over || !waits });
    }
    let verdict = retention::decide(&held, other_bytes, now_ms, (true, missing), config);
    rotation.excess = verdict.excess;
    for (key, reason) in verdict.drop {
        let bytes = held.iter().find(|held| held.key == key).map_or(0, |held| held.bytes);
        rotation.drop.push((key.name(), bytes, reason.name()));
    }
    Ok(rotation)
}

/// The days that both tiers of rows hold whole, as far as their files can be read.
fn rolled_days(config: &Config) -> Result<Vec<super::layout::Day>, StoreError> {
    let keys = open::keys(&config.directory)
        .map_err(|error| file::failed("list", &config.directory, error))?;
    let days = |tier| {
        let of_tier = keys.iter().filter(move |key| key.tier == tier);
        let days =
            of_tier.filter_map(|key| open::rolled_days(&config.directory.join(key.name())).ok());
        days.flatten().collect::<Vec<_>>()
    };
    let coarse = days(Tier::OneHour);
    Ok(days(Tier::FiveMinutes).into_iter().filter(|day| coarse.contains(day)).collect())
}

/// A store that is open to be tended by hand.
#[derive(Debug)]
pub struct Offline {
    disk: Disk,
    config: Config,
}

impl Offline {
    /// Takes the store's lock.
    ///
    /// # Errors
    /// [`OpenError::InUse`] while an agent runs; the others as for an agent.
    pub fn open(config: &Config, deps: &Deps) -> Result<Self, OpenError> {
        let (disk, _) = Disk::open(config, deps)?;
        Ok(Self { disk, config: config.clone() })
    }

    /// Rolls up days that are over and lets go of files, as an agent would at `now`.
    ///
    /// # Errors
    /// [`StoreError`]: the directory cannot be listed. What fails for one file is logged.
    pub fn rotate(&self, now: UnixNano) -> Result<Rotation, StoreError> {
        let rotation = rotation(&self.config, now)?;
        {
            let mut files = self.disk.lock();
            files.now_ms = files.now_ms.max(milliseconds(now));
            files.clocks =
                Some(retention::clocks(files.now_ms, self.disk.clock.monotonic(), files.held));
        }
        while self.disk.tend() {}
        Ok(rotation)
    }

    /// Writes every file anew without what is free in it.
    ///
    /// # Errors
    /// [`StoreError`]: a file cannot be written; those before it are done.
    pub fn vacuum(&self) -> Result<Vec<Compaction>, StoreError> {
        let mut compactions = Vec::new();
        for listed in open::list(&self.config.directory)? {
            let path = listed.path;
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let compacted = match FileKey::parse(name) {
                Some(key) => {
                    let role = Role::of(key.tier);
                    file::open(&path, role, Access::Write).and_then(|connection| {
                        compact(&connection).map_err(|error| trouble("compact", &path, error))
                    })
                }
                None if name == STATE_FILE => self.compact_state(),
                None => continue,
            };
            compacted.map_err(|trouble| trouble.into_error("compact", &path))?;
            let after = file::bytes(&path);
            compactions.push(Compaction { name: name.to_owned(), before: listed.bytes, after });
        }
        Ok(compactions)
    }

    fn compact_state(&self) -> Result<(), Trouble> {
        let mut files = self.disk.lock();
        let Some(state) = &mut files.state else { return Ok(()) };
        state.attempt("compact", |state| compact(state.connection()))
    }
}

/// What compaction would do.
///
/// # Errors
/// [`StoreError`]: the directory cannot be listed.
pub fn compactions(config: &Config) -> Result<Vec<Compaction>, StoreError> {
    let reports = files(config)?.into_iter();
    let free = reports.filter_map(|file| Some((file.name, file.bytes, file.free_bytes?)));
    Ok(free
        .map(|(name, before, free)| Compaction { name, before, after: before.saturating_sub(free) })
        .collect())
}

fn compact(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("VACUUM")?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

fn milliseconds(time: UnixNano) -> i64 {
    i64::try_from(time.0 / 1_000_000).unwrap_or(i64::MAX)
}
