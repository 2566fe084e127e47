//! The files of the store: what the head does not hold in memory.
//!
//! ```text
//! store/
//!   state.db                  the head at the last checkpoint, and the record of the journal it stands for
//!   metrics-20261121.db       every sealed chunk that has a sample of a UTC day
//!   rollup-5m-20261121.db     a day of rows of 5 minutes
//!   rollup-1h-20261119.db     a week of hourly rows
//!   metrics-20261101.db.corrupt-1    set aside; the newest few stay
//! ```
//! - [`Commit`] is the one way in: chunks, then state, then the journal may forget ([`commit`]).
//! - A finished day is rolled up in small slices by [`Disk::tend`], which also lets go of what is too
//!   old or too much ([`retention`]). A day of samples goes by unlinking a file.
//! - [`Reader`] is the one way out; [`catalog`] says from which tier a query is answered.
//! - One lock for everything that writes, held for a checkpoint or a slice. Readers never take it.
//! - What cannot be read is renamed, counted, logged and said ([`damage`]), and never keeps the agent from starting. What a
//!   later version wrote is refused and left as it is.

mod ahead;
mod attempts;
mod catalog;
mod chunk_file;
mod commit;
mod damage;
mod file;
mod find;
mod labels;
mod layout;
mod metrics;
pub mod offline;
mod open;
mod read;
mod retention;
mod roll;
mod rollup;
mod state;
mod tend;
#[cfg(test)]
mod tests;
mod thin;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use rusqlite::Connection;

use super::StoreError;
use super::checkpoint::Live;
use super::config::Config;
use super::stats::FileSize;
use crate::time::{Clock, JumpGuard};
use catalog::Catalog;
use chunk_file::ChunkFile;
use damage::Damage;
use file::{Access, Role, Trouble};
use layout::{Day, FileKey, STATE_FILE, Tier};
use metrics::Metrics;
use retention::Space;
use roll::Roll;
use state::StateFile;

pub(super) use ahead::SERIES as AHEAD;
pub(super) use attempts::Attempts;
pub(super) use commit::Commit;
pub(super) use read::{Reader, Sparse};

/// The files. Shared by the one that commits and those that read.
#[derive(Debug)]
pub(super) struct Disk {
    config: Config,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    /// Replaced whole, so that a reader sees by the pointer whether it moved on.
    catalog: RwLock<Arc<Catalog>>,
    files: Mutex<Files>,
    idle: Mutex<Vec<(FileKey, Opened)>>,
    /// Looks at the disk.
    space: fn(&Path) -> io::Result<Space>,
    /// Files that a reader found damaged.
    suspects: Mutex<BTreeSet<FileKey>>,
    damage: Damage,
}

/// A connection to read, and how often files had gone when it was opened.
#[derive(Debug)]
struct Opened {
    connection: Connection,
    removals: u64,
}

/// What writes.
#[derive(Debug, Default)]
struct Files {
    /// `None` after it was set aside; made again by the next checkpoint.
    state: Option<StateFile>,
    /// Last used first.
    samples: Vec<(Day, ChunkFile)>,
    /// Whether `state.db` lacks series that have not changed.
    wants_all: bool,
    /// The received time of the last checkpoint.
    now_ms: i64,
    /// Whether ages may be believed; `None` before the first checkpoint since the start.
    clocks: Option<JumpGuard>,
    /// How long ages are not believed, as the last checkpoint has it.
    held: Duration,
    /// Samples of earlier days are not kept any more.
    horizon: Day,
    /// Days with samples that came after their time.
    late: BTreeSet<Day>,
    /// The day that is being rolled up.
    roll: Option<Roll>,
    /// Whether the disk is almost full.
    scarce: bool,
    /// The received time at which rolling up met a disk that refused.
    stuck_ms: i64,
    /// The received time that retention was last judged at.
    judged_ms: i64,
}

impl Disk {
    /// Begins a checkpoint at record `journal_seq` and received time `now_ms`. At most one at a time.
    pub(super) fn begin(&self, journal_seq: u64, now_ms: i64) -> Result<Commit<'_>, StoreError> {
        Commit::begin(self, journal_seq, now_ms)
    }

    /// Hands every series that the last checkpoint held to `each`.
    pub(super) fn each_live(&self, each: &mut dyn FnMut(&Live<'_>)) -> Result<(), StoreError> {
        let mut files = self.lock();
        let Some(state) = &mut files.state else { return Ok(()) };
        state.each_live(each).map_err(|trouble| trouble.into_error("read", &self.state_path()))
    }

    /// Begins to read. One per query, on the query's thread; sees what is finished now.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader::new(self)
    }

    /// The files and their sizes.
    pub(in crate::store) fn files(&self) -> Vec<FileSize> {
        open::list(&self.config.directory).unwrap_or_default()
    }

    /// That files are damaged, in a sentence, where some are.
    pub(in crate::store) fn trouble(&self) -> Option<String> {
        self.damage.trouble(&self.config.directory)
    }

    fn path(&self, key: FileKey) -> PathBuf {
        self.config.directory.join(key.name())
    }

    fn state_path(&self) -> PathBuf {
        self.config.directory.join(STATE_FILE)
    }

    fn lock(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the catalog, if `change` changes anything.
    fn change_catalog(&self, change: impl FnOnce(&mut Catalog)) {
        let mut shared = self.catalog.write().unwrap_or_else(PoisonError::into_inner);
        let mut catalog = Catalog::clone(&shared);
        change(&mut catalog);
        if catalog != **shared {
            *shared = Arc::new(catalog);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(FileKey, Opened)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether queries may still look for `key`.
    fn holds(&self, key: FileKey) -> bool {
        let catalog = self.catalog();
        catalog.days(key.tier).iter().any(|day| key.days().contains(&day.0))
    }

    fn open_to_read(&self, key: FileKey) -> Result<Opened, Trouble> {
        let removals = self.catalog().removals();
        let connection = file::open(&self.path(key), Role::of(key.tier), Access::Read)?;
        Ok(Opened { connection, removals })
    }

    fn take_idle(&self, key: FileKey) -> Option<Opened> {
        let removals = self.catalog().removals();
        let mut idle = self.idle();
        let fits = |(open, opened): &(FileKey, Opened)| *open == key && opened.removals == removals;
        let at = idle.iter().position(fits)?;
        Some(idle.swap_remove(at).1)
    }

    /// Keeps connections for the next query, but for those to files that may have been set aside meanwhile.
    fn give_back(&self, open: impl Iterator<Item = (FileKey, Opened)>) {
        let removals = self.catalog().removals();
        let open: Vec<_> = open.filter(|(_, opened)| opened.removals == removals).collect();
        let mut idle = self.idle();
        idle.extend(open);
        let excess = idle.len().saturating_sub(read::IDLE_MAX);
        let closed: Vec<_> = idle.drain(..excess).collect();
        drop(idle);
        drop(closed);
    }

    /// Takes a damaged file out of queries; whoever writes next sets it aside.
    fn suspect(&self, key: FileKey, why: &str) {
        tracing::error!(file = key.name(), why, "a file of the store is damaged");
        self.damage.found(&self.path(key), why);
        self.change_catalog(|catalog| catalog.remove(key));
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
    }

    fn set_suspects_aside(&self, files: &mut Files) {
        let suspects =
            std::mem::take(&mut *self.suspects.lock().unwrap_or_else(PoisonError::into_inner));
        for key in suspects {
            self.close(files, key);
            // Said there; queries do not see it any more.
            let _ = self.set_aside(&self.path(key), "found by a query");
        }
    }

    /// Closes every connection to a file that is about to go.
    fn close(&self, files: &mut Files, key: FileKey) {
        self.change_catalog(|catalog| catalog.remove(key));
        self.idle().retain(|(open, _)| *open != key);
        files.samples.retain(|(day, _)| FileKey::of(Tier::Raw, *day) != key);
        if files.roll.as_ref().is_some_and(|roll| roll.uses(key)) {
            files.roll = None;
        }
    }

    /// Renames a file that cannot be read.
    fn set_aside(&self, path: &Path, why: &str) -> Option<PathBuf> {
        match file::set_aside(path) {
            Ok(to) => {
                self.change_catalog(Catalog::renamed);
                self.metrics.quarantined.add(1);
                self.damage.set_aside(path, &to, why);
                tracing::error!(file = %path.display(), to = %to.display(), why, "file set aside");
                Some(to)
            }
            Err(error) => {
                self.damage.found(path, why);
                tracing::error!(file = %path.display(), why, %error, "cannot set a file aside");
                None
            }
        }
    }
}
