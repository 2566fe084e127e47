//! [`Journal`]: what the agent holds.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::format::Identity;
use super::inbox::Inbox;
use super::inspect::{self, SegmentReport};
use super::lane::Lane;
use super::ledger::Ledger;
use super::log::{Log, segment_bytes};
use super::shared::Shared;
use super::state::{LaneId, State};
use super::writer::{self, Stepper};
use super::{
    AppendError, Config, Deps, Durability, OpenError, Reader, ReaderConfig, Recovery, Rejected,
    RejectedFile, Removed, Status, memory, recovery, status,
};
use crate::signal::{Flags, Record};

/// One append-only log with named readers. Cloning shares it; when the last clone is dropped the
/// writer ends.
#[derive(Clone, Debug)]
pub struct Journal {
    pub(super) shared: Arc<Shared>,
    _writer: Arc<Writer>,
}

/// Ends the writer when nobody can append any more.
#[derive(Debug)]
struct Writer(Arc<Inbox>);

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What [`Journal::reconfigure`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconfigured {
    /// Readers that the journal did not have.
    pub added: Vec<String>,
    /// Readers it has no more.
    pub removed: Vec<Removed>,
}

impl Journal {
    /// Opens or makes the journal. Blocks on disk.
    ///
    /// # Errors
    /// [`OpenError`]: the directory is in use, newer than this agent, or cannot be read or written.
    pub fn open(
        config: Config,
        readers: Vec<ReaderConfig>,
        deps: Deps,
    ) -> Result<(Self, Recovery), OpenError> {
        check_names(&readers)?;
        match config.durability {
            Durability::Memory => Ok((Self::in_memory(config, readers, deps), Recovery::default())),
            Durability::Fsync | Durability::Os => {
                let (shared, recovery, log) = Self::on_disk(config, readers, deps)?;
                let (inbox, path) = (Arc::clone(&shared.inbox), &shared.config.directory);
                let operation = "start the writer of";
                writer::start(log, inbox).map_err(|source| {
                    let path = path.clone();
                    OpenError::Io { operation, path, source }
                })?;
                Ok((Self::over(shared), recovery))
            }
        }
    }

    /// Like [`Journal::open`], but for the writer, which works where and when the caller says: for simulations.
    ///
    /// # Errors
    /// As [`Journal::open`].
    #[doc(hidden)]
    pub fn open_stepped(
        config: Config,
        readers: Vec<ReaderConfig>,
        deps: Deps,
    ) -> Result<(Self, Recovery, Stepper), OpenError> {
        check_names(&readers)?;
        if config.durability == Durability::Memory {
            let journal = Self::in_memory(config, readers, deps);
            return Ok((journal, Recovery::default(), Stepper::ended()));
        }
        let (shared, recovery, log) = Self::on_disk(config, readers, deps)?;
        let stepper = Stepper::new(log, Arc::clone(&shared.inbox));
        Ok((Self::over(shared), recovery, stepper))
    }

    fn in_memory(config: Config, readers: Vec<ReaderConfig>, deps: Deps) -> Self {
        warn_of_disk(&config, &deps);
        let mut state = State::new(config.tail_size, 1);
        memory::prepare(&mut state);
        for reader in readers {
            state.add_lane(reader);
        }
        let max_size = config.memory_size as u64;
        Self::over(Shared::new(config, deps, (max_size, max_size / 16), state))
    }

    fn on_disk(
        config: Config,
        readers: Vec<ReaderConfig>,
        deps: Deps,
    ) -> Result<(Arc<Shared>, Recovery, Log), OpenError> {
        let directory = config.directory.clone();
        let io = |operation| {
            let path = directory.clone();
            move |source| OpenError::Io { operation, path, source }
        };
        deps.fs.create_dir(&directory).map_err(io("make"))?;
        let lock = deps.fs.lock(&directory.join(LOCK)).map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock => OpenError::InUse { directory: directory.clone() },
            _ => io("lock")(error),
        })?;
        let (state, recovery) = recovery::recover(&config, readers, &deps)?;
        let sizes = match config.max_size {
            Some(max_size) => (max_size, segment_bytes(max_size)),
            None => {
                let space = deps.fs.space(&directory).map_err(io("look at the room of"))?;
                let room = default_room(space.free, state.size());
                (room.max(DEFAULT_MIN), segment_bytes(room))
            }
        };
        let shared = Arc::new(Shared::new(config, deps, sizes, state));
        shared.metrics.quarantined.add(recovery.quarantined.len() as u64);
        shared.metrics.lost.add(recovery.lost_records);
        shared.metrics.missing.add(recovery.missing_records);
        shared.rejected.load();
        let log = Log::new(Arc::clone(&shared), lock);
        Ok((shared, recovery, log))
    }

    fn over(shared: impl Into<Arc<Shared>>) -> Self {
        let shared = shared.into();
        status::expose(&shared);
        let writer = Arc::new(Writer(Arc::clone(&shared.inbox)));
        Self { shared, _writer: writer }
    }

    /// Appends a record; resolves with its sequence once it is as durable as the mode says.
    ///
    /// # Errors
    /// [`AppendError`]; nothing was acknowledged and the sender should try again, except after
    /// [`AppendError::TooLarge`].
    ///
    /// # Cancel safety
    /// A record whose append was cancelled may or may not be in the journal.
    pub async fn append(&self, record: Record) -> Result<u64, AppendError> {
        self.append_until(record, true).await
    }

    /// Appends a record that nobody waits for; resolves with its sequence once it is written, so that it survives the
    /// process. Five seconds later, or with the next record of [`Journal::append`], it becomes as durable as the mode says,
    /// and readers get it then. Only for the agent's own records ([`crate::signal::Flags::LOCAL`]), which are in no ledger.
    ///
    /// # Errors
    /// [`AppendError`]; see [`Journal::append`]. [`AppendError::NotLocal`] for a sender's record.
    ///
    /// # Cancel safety
    /// A record whose append was cancelled may or may not be in the journal.
    pub async fn append_written(&self, record: Record) -> Result<u64, AppendError> {
        if !record.flags.contains(Flags::LOCAL) {
            return Err(AppendError::NotLocal);
        }
        self.append_until(record, false).await
    }

    pub(super) async fn append_until(
        &self,
        record: Record,
        durable: bool,
    ) -> Result<u64, AppendError> {
        match self.shared.config.durability {
            Durability::Memory => memory::append(&self.shared, record),
            Durability::Fsync | Durability::Os => {
                let now = self.shared.deps.clock.monotonic();
                self.shared.inbox.append(record, durable, now).await
            }
        }
    }

    /// The reader of this name, unless it is unknown or taken. Dropping it gives it back: what it
    /// has not settled is then handed out again, marked `redelivered`.
    #[must_use]
    pub fn reader(&self, name: &str) -> Option<Reader> {
        let mut state = self.shared.lock();
        let mut lanes = state.lanes.iter_mut();
        let (&id, lane) = lanes.find(|(_, lane)| lane.config.name == name && !lane.taken)?;
        lane.taken = true;
        Some(Reader::new(Arc::clone(&self.shared), id))
    }

    /// Adds the readers that are new and removes those that are gone; the others keep their
    /// cursors, and take over `durable` and `when_full`. A removed reader's [`Reader`] ends. Of two
    /// with one name the later holds.
    #[must_use]
    pub fn reconfigure(&self, readers: Vec<ReaderConfig>) -> Reconfigured {
        let mut done = Reconfigured::default();
        let mut bells = Vec::new();
        {
            let mut state = self.shared.lock();
            let same = |lane: &Lane, reader: &ReaderConfig| {
                lane.config.name == reader.name && lane.config.signals == reader.signals
            };
            let gone: Vec<LaneId> = state
                .lanes
                .iter()
                .filter(|(_, lane)| !readers.iter().any(|reader| same(lane, reader)))
                .map(|(&id, _)| id)
                .collect();
            for id in gone {
                let Some(lane) = state.lanes.remove(&id) else { continue };
                bells.push(lane.any_bell());
                let reader = lane.config.name.clone();
                done.removed.push(Removed { reader, dropped: state.depart(lane) });
            }
            for reader in readers {
                match state.lanes.values_mut().find(|lane| same(lane, &reader)) {
                    Some(lane) => {
                        lane.dirty = true;
                        lane.config = reader;
                    }
                    None => {
                        done.added.push(reader.name.clone());
                        state.add_lane(reader);
                    }
                }
            }
        }
        bells.iter().for_each(|bell| bell.notify_one());
        done
    }

    /// Which journal it is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.shared.lock().identity
    }

    /// The conservation ledger at this instant.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.shared.lock().ledger()
    }

    /// How full the journal is, and how each reader does.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::of(&self.shared)
    }

    /// Every segment, oldest first.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentReport> {
        self.shared.lock().segments.iter().map(inspect::segment).collect()
    }

    /// Keeps a record that a destination did not take. What cannot be kept is logged and counted.
    /// Blocks on disk.
    pub fn keep_rejected(&self, rejected: &Rejected) {
        self.shared.rejected.keep(rejected);
    }

    /// Looks which of the rejected records people sent again or removed: the gauges of what is kept do not look by themselves.
    /// Blocks on disk.
    pub fn look_at_rejected(&self) {
        self.shared.rejected.forget_removed();
    }

    /// The rejected records that are kept, oldest first. Blocks on disk.
    #[must_use]
    pub fn rejected(&self) -> Vec<RejectedFile> {
        self.shared.rejected.list()
    }

    /// Resolves when the journal's thread has ended, by [`Journal::close`] or by a panic; never where there is none.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn ended(&self) {
        if self.shared.config.durability == Durability::Memory {
            std::future::pending::<()>().await;
        }
        self.shared.inbox.ended().await;
    }

    /// Takes no more appends, makes the last acknowledgements durable, and ends the readers.
    pub async fn close(&self) {
        let bells: Vec<_> = {
            let mut state = self.shared.lock();
            state.closed = true;
            state.lanes.values().map(Lane::any_bell).collect()
        };
        bells.iter().for_each(|bell| bell.notify_one());
        if self.shared.config.durability != Durability::Memory {
            self.shared.inbox.close();
            self.shared.inbox.ended().await;
        }
    }
}

/// The file in its directory that is locked while an agent has the journal.
pub const LOCK: &str = "lock";

/// The least cap when none is configured: what others have filled they may free again, and until then it is the disk that has
/// no room.
const DEFAULT_MIN: u64 = 32 << 20;

/// What the journal may take when no cap is configured, with so much `free` on the disk and `kept` in the journal: 512 MiB,
/// or a tenth of both, but never below what is kept, whoever else has filled the disk meanwhile, nor so little that nothing
/// fits. Segments are made for that.
fn default_room(free: u64, kept: u64) -> u64 {
    let tenth = free.saturating_add(kept) / 10;
    tenth.max(kept).clamp(1 << 20, 512 << 20)
}

/// Says that what was on disk before the mode was changed is not looked at.
fn warn_of_disk(config: &Config, deps: &Deps) {
    let names = deps.fs.list(&config.directory).unwrap_or_default();
    if names.iter().any(|name| name.ends_with(".seg")) {
        let directory = config.directory.display();
        tracing::warn!(
            %directory,
            "the journal is in memory, and there is one on disk from before: what of it is undelivered stays there"
        );
    }
}

fn check_names(readers: &[ReaderConfig]) -> Result<(), OpenError> {
    let mut names = BTreeSet::new();
    match readers.iter().find(|r| r.name.len() > 255 || !names.insert(&r.name)) {
        Some(bad) => Err(OpenError::ReaderName(bad.name.clone())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::default_room;

    #[test]
    fn the_default_cap_is_a_tenth_of_the_room_but_never_below_what_is_kept() {
        const MIB: u64 = 1 << 20;
        assert_eq!(default_room(100 << 30, 0), 512 * MIB);
        assert_eq!(default_room(1_000 * MIB, 0), 100 * MIB);
        assert_eq!(default_room(0, 0), MIB);
        // The disk has been filled by others since the last start.
        assert_eq!(default_room(700 * MIB, 400 * MIB), 400 * MIB);
        assert_eq!(default_room(700 * MIB, 600 * MIB), 512 * MIB);
        // It does not grow from start to start.
        assert_eq!(default_room(900 * MIB, 100 * MIB), 100 * MIB);
    }
}
