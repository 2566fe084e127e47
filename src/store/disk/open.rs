//! Opening the store: looking at every file before changing any, then what the last checkpoint held.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::{Mutex, RwLock};
use std::time::Duration;

use hashbrown::HashMap;
use rusqlite::Connection;

use super::catalog::Catalog;
use super::damage::{Damage, is_set_aside};
use super::file::{self, Access, Role, Trouble, failed, trouble};
use super::layout::{Day, FileKey, STATE_FILE, Tier};
use super::metrics::Metrics;
use super::read;
use super::retention::{self, Space};
use super::state::StateFile;
use super::{Disk, Files};
use crate::store::checkpoint::Restored;
use crate::store::config::Config;
use crate::store::stats::FileSize;
use crate::store::{Deps, Fingerprint, OpenError, StoreError};

impl Disk {
    /// Opens or makes the files, sets aside those that cannot be read. Blocks.
    pub(in crate::store) fn open(
        config: &Config,
        deps: &Deps,
    ) -> Result<(Self, Restored), OpenError> {
        let directory = &config.directory;
        let io_error =
            |operation| move |source| OpenError::Io { operation, path: directory.clone(), source };
        file::make_directory(directory).map_err(io_error("create"))?;
        let keys = keys(directory).map_err(io_error("list"))?;
        refuse_newer(config, &keys)?;
        let disk = Self {
            config: config.clone(),
            clock: Arc::clone(&deps.clock),
            metrics: Metrics::new(&deps.registry),
            catalog: RwLock::default(),
            files: Mutex::default(),
            idle: Mutex::default(),
            space: Space::of,
            suspects: Mutex::default(),
            damage: Damage::default(),
        };
        let mut quarantined = Vec::new();
        // The lock comes with the state: nothing of another process's is touched before.
        let (state, mut restored) = disk.open_state(&mut quarantined)?;
        let held = restored.states.extract_if(.., |(name, _)| name == super::commit::HELD);
        let held = held.filter_map(|(_, seconds)| String::from_utf8(seconds).ok()?.parse().ok());
        let held = Duration::from_secs({ held }.next().unwrap_or(0));
        let catalog = disk.find_days(&keys, &mut quarantined)?;
        let gone = |day: &&Day| !catalog.days(Tier::Raw).contains(day);
        let horizon = catalog.days(Tier::OneHour).iter().rfind(gone).map(|day| day.next());
        *disk.lock() = Files {
            state: Some(state),
            wants_all: restored.journal_seq.is_none(),
            now_ms: restored.now_ms,
            clocks: (!held.is_zero())
                .then(|| retention::clocks(restored.now_ms, deps.clock.monotonic(), held)),
            held,
            horizon: horizon.unwrap_or(Day(i32::MIN)),
            // A look at each says whether there is something.
            late: catalog.days(Tier::Raw).clone(),
            stuck_ms: i64::MIN,
            judged_ms: i64::MIN,
            ..Files::default()
        };
        disk.change_catalog(|held| *held = catalog);
        disk.show_sizes();
        disk.damage.look(directory);
        let newest = disk.catalog().days(Tier::Raw).last().copied();
        let on_disk = newest.map_or(i64::MIN, |day| day.until_ms() + read::CHUNK_SPAN);
        if restored.journal_seq.is_none() {
            restored.departed_ms = on_disk;
            restored.ends = disk.ends();
        } else {
            // No sample was further ahead when the checkpoint was made.
            let future = i64::try_from(config.future_max.as_millis()).unwrap_or(i64::MAX);
            restored.departed_ms = restored.now_ms.saturating_add(future).min(on_disk);
        }
        restored.quarantined = quarantined;
        Ok((disk, restored))
    }

    fn open_state(
        &self,
        quarantined: &mut Vec<PathBuf>,
    ) -> Result<(StateFile, Restored), OpenError> {
        let path = self.state_path();
        let opened = || {
            let mut state = StateFile::open(path.clone())?;
            let restored = state.restore()?;
            Ok((state, restored))
        };
        let opened = match opened() {
            Err(Trouble::Unreadable(why)) => {
                quarantined.extend(self.set_aside(&path, &why));
                opened()
            }
            opened => opened,
        };
        opened.map_err(|trouble| open_error(path, trouble))
    }

    /// Up to when series have samples, as far as the newest two days say. A series past four times the limit
    /// of the head is left out.
    fn ends(&self) -> HashMap<Fingerprint, i64> {
        let mut ends = HashMap::new();
        let max = self.config.series_max.saturating_mul(4);
        for &day in self.catalog().days(Tier::Raw).iter().rev().take(2) {
            let path = self.path(FileKey::of(Tier::Raw, day));
            let read = file::open(&path, Role::Samples, Access::Read).and_then(|connection| {
                add_ends(&connection, max, &mut ends).map_err(|error| trouble("read", &path, error))
            });
            if let Err(found) = read {
                // A query that reads it says more.
                let error = crate::telemetry::chain(&found.into_error("read", &path));
                tracing::warn!(error, "samples may be hidden behind others that come again");
            }
        }
        ends
    }

    fn find_days(
        &self,
        keys: &[FileKey],
        quarantined: &mut Vec<PathBuf>,
    ) -> Result<Catalog, OpenError> {
        let mut catalog = Catalog::default();
        for &key in keys {
            let path = self.path(key);
            let days = if key.tier == Tier::Raw {
                file::check(&path).map(|()| vec![key.first])
            } else {
                rolled_days(&path)
            };
            match days {
                Ok(days) => {
                    // One that says to have another's days would be looked for in a file that may not be there.
                    let own = days.into_iter().filter(|day| key.days().contains(&day.0));
                    own.for_each(|day| catalog.insert(key.tier, day));
                }
                Err(Trouble::Unreadable(why)) => quarantined.extend(self.set_aside(&path, &why)),
                Err(trouble) => return Err(open_error(path, trouble)),
            }
        }
        Ok(catalog)
    }
}

fn open_error(path: PathBuf, trouble: Trouble) -> OpenError {
    match trouble {
        Trouble::InUse => OpenError::InUse { path },
        Trouble::Newer(found) => OpenError::Newer { path, found, known: file::SCHEMA_VERSION },
        trouble => OpenError::Store(trouble.into_error("open", &path)),
    }
}

/// Adds the time of the newest sample of each series, up to `max` in all.
fn add_ends(
    connection: &Connection,
    max: usize,
    ends: &mut HashMap<Fingerprint, i64>,
) -> rusqlite::Result<()> {
    let sql = "SELECT fingerprint, (SELECT \"end\" FROM chunk WHERE series = id ORDER BY start DESC LIMIT 1) \
               FROM series ORDER BY id DESC";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let fingerprint = Fingerprint::from_i64(row.get(0)?);
        let Some(end) = row.get::<_, Option<i64>>(1)? else { continue };
        if let Some(known) = ends.get_mut(&fingerprint) {
            *known = end.max(*known);
        } else if ends.len() < max {
            ends.insert(fingerprint, end);
        }
    }
    Ok(())
}

/// A later version's files are left as they are, all of them.
fn refuse_newer(config: &Config, keys: &[FileKey]) -> Result<(), OpenError> {
    let names = keys.iter().map(|key| key.name()).chain([STATE_FILE.to_owned()]);
    for path in names.map(|name| config.directory.join(name)) {
        if let Err(Trouble::Newer(found)) = file::check(&path) {
            return Err(OpenError::Newer { path, found, known: file::SCHEMA_VERSION });
        }
    }
    Ok(())
}

/// The days that a file of rows holds whole.
pub(super) fn rolled_days(path: &Path) -> Result<Vec<Day>, Trouble> {
    let connection = file::open(path, Role::Rows, Access::Look)?;
    let read = || {
        let mut statement = connection.prepare("SELECT day FROM rolled WHERE done")?;
        let days = statement.query_map([], |row| Ok(Day(row.get(0)?)))?;
        days.collect::<rusqlite::Result<_>>()
    };
    read().map_err(|error| trouble("read", path, error))
}

/// The files of chunks and rows in a directory, in order.
pub(super) fn keys(directory: &Path) -> io::Result<Vec<FileKey>> {
    let mut keys = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let key = entry.file_name().to_str().and_then(FileKey::parse);
        // What a kill left before anything was written to it is no file yet.
        keys.extend(key.filter(|_| entry.metadata().is_ok_and(|found| found.len() > 0)));
    }
    keys.sort_unstable();
    Ok(keys)
}

/// Every file of the store, those set aside among them, by name.
pub(super) fn list(directory: &Path) -> Result<Vec<FileSize>, StoreError> {
    let read = || {
        let mut files = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let ours = name == STATE_FILE || FileKey::parse(name).is_some() || is_set_aside(name);
            if ours {
                files.push(FileSize { bytes: file::bytes(&path), path });
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    };
    read().map_err(|error: io::Error| failed("list", directory, error))
}
