//! The active segment and the path of a group to disk. One owner: the writer thread. Synchronous.
//!
//! ```text
//! group ─▶ fits? ─no─▶ make room ─▶ seal ─▶ create next (tmp, state record, sync, rename, sync dir)
//!           │yes
//!           ▼
//! [ack record] record record … ─▶ one vectored write ─▶ fdatasync ─▶ publish in State
//!           │ error
//!           ▼
//! poison the segment, create the next, write the group there once more with the same sequences;
//! a second error is answered to its senders
//! ```
//!
//! Invariants: what is published is durable in the sense of the mode; a sequence that was not
//! published may be given out again, and only then; a poisoned file is never written to or synced
//! again. What only has to be written is published with the next group that is synced ([`Unsynced`]).

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::config::record_bytes_max;
use super::format::{Header, Kind, Salt, crc32c, encoded_len};
use super::fs::FsFile;
use super::group::Group;
use super::retention;
use super::shared::Shared;
use super::unsynced::Unsynced;
use super::{AppendError, Durability, Entry, snapshot};
use crate::signal::Record;
use crate::time::JumpGuard;

#[derive(Debug)]
pub(super) struct Log {
    pub(super) shared: Arc<Shared>,
    pub(super) directory: PathBuf,
    pub(super) active: Option<Active>,
    /// Written, and not published before the next sync: see [`Unsynced`].
    pub(super) unsynced: Unsynced,
    /// Below the cap, and the disk had no room for another segment.
    pub(super) starved: bool,
    pub(super) jumps: JumpGuard,
    /// Held until the log is dropped.
    _lock: Box<dyn std::fmt::Debug + Send + Sync>,
}

#[derive(Debug)]
pub(super) struct Active {
    pub(super) file: Arc<dyn FsFile>,
    pub(super) salt: Salt,
    /// Where the next record begins.
    pub(super) offset: u64,
    /// Data records end below this; ack and seal records may go beyond.
    pub(super) room: u64,
    /// Something was written since the last sync.
    pub(super) unsynced: bool,
}

/// A group's fate.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// One per record, in order.
    pub(super) results: Vec<Result<u64, AppendError>>,
    /// Readers to wake.
    pub(super) bells: Vec<Arc<Notify>>,
}

impl Log {
    pub(super) fn new(shared: Arc<Shared>, lock: Box<dyn std::fmt::Debug + Send + Sync>) -> Self {
        let directory = shared.config.directory.clone();
        let mut jumps = JumpGuard::new(shared.config.retention_age);
        // The clocks as they are at the start are what a leap is measured against.
        jumps.trusted(shared.deps.clock.unix_nano(), shared.deps.clock.monotonic());
        let (active, unsynced) = (None, Unsynced::default());
        let starved = false;
        Self { shared, directory, active, unsynced, starved, jumps, _lock: lock }
    }

    /// Writes a group. With `durable` it is made so and published, and with it what waits for that.
    pub(super) fn commit(&mut self, records: Vec<Record>, durable: bool) -> Outcome {
        let durable = durable || self.shared.config.durability != Durability::Fsync;
        let mut outcome = Outcome::default();
        let mut no_room = u64::MAX;
        let mut rest = records.into_iter().peekable();
        while let Some(first) = rest.peek() {
            let first_len = encoded_len(first);
            let max = record_bytes_max(self.shared.max_size);
            if first_len > max as u64 {
                let bytes = usize::try_from(first_len).unwrap_or(usize::MAX);
                outcome.results.push(Err(AppendError::TooLarge { bytes, max }));
                rest.next();
                continue;
            }
            // What needs as large a segment as one for which there was no room gets none either.
            let segment = first_len.max(self.shared.segment_size);
            let mut left = match self.room_for(first_len, segment < no_room) {
                Ok(room) => room,
                Err(AppendError::Full) => {
                    no_room = no_room.min(segment);
                    outcome.results.push(Err(AppendError::Full));
                    rest.next();
                    continue;
                }
                Err(error) => {
                    outcome.results.extend(rest.map(|_| Err(error.clone())));
                    break;
                }
            };
            let mut group = Vec::new();
            while let Some(record) = rest.next_if(|r| encoded_len(r) <= left) {
                left -= encoded_len(&record);
                group.push(record);
            }
            self.write_group(group, durable, &mut outcome);
            if self.unsynced.is_full() {
                self.flush();
            }
        }
        let disk = outcome.results.iter().find_map(|result| match result {
            Err(AppendError::Disk(error)) => Some(&**error),
            _ => None,
        });
        if disk.is_some() || outcome.results.iter().any(Result::is_ok) {
            self.note_failure(disk);
        }
        let mut state = self.shared.lock();
        // What still fits into the active segment says nothing about the next: only that one ends it.
        state.full |= outcome.results.iter().any(|r| matches!(r, Err(AppendError::Full)));
        outcome.bells = state.bells();
        outcome
    }

    /// Remembers whether the disk takes what is written, and says so when that changes.
    pub(super) fn note_failure(&self, error: Option<&io::Error>) {
        if error.is_none() && self.starved {
            // What fits into the active segment says nothing about the next.
            return;
        }
        let failure = error.map(|error| {
            let (directory, help) = (self.directory.display(), help(error.kind()));
            format!("the journal cannot write to {directory}: {error}: {help}")
        });
        let before = std::mem::replace(&mut self.shared.lock().failure, failure.clone());
        match (before, failure) {
            (None, Some(failure)) => tracing::error!("{failure}; senders are refused, and retry"),
            (Some(_), None) => tracing::info!("the journal writes again"),
            _ => {}
        }
    }

    /// How long what was only written may still wait for a group; `None` when nothing waits, or there is no segment to
    /// sync: the next one begins with it.
    pub(super) fn flush_in(&self) -> Option<Duration> {
        let now = self.shared.deps.clock.monotonic();
        self.active.as_ref().and_then(|_| self.unsynced.due_in(now))
    }

    /// Makes durable and publishes what was only written. What cannot be stays, for the next segment.
    pub(super) fn flush(&mut self) {
        if !self.unsynced.is_empty() && self.active.is_some() {
            self.write_group(Vec::new(), true, &mut Outcome::default());
        }
    }

    /// Bytes left in the active segment, which is made anew when `len` does not fit and it may be.
    fn room_for(&mut self, len: u64, anew: bool) -> Result<u64, AppendError> {
        if let Some(active) = &self.active {
            let left = active.room.saturating_sub(active.offset);
            if len <= left {
                return Ok(left);
            }
        }
        if !anew {
            return Err(AppendError::Full);
        }
        self.rotate(len)?;
        let active = self.active.as_ref().ok_or(AppendError::Closing)?;
        Ok(active.room.saturating_sub(active.offset))
    }

    fn write_group(&mut self, group: Vec<Record>, durable: bool, outcome: &mut Outcome) {
        let now = self.shared.deps.clock.unix_nano();
        let now = now.received_after(self.unsynced.last_received());
        let entries: Vec<Entry> = {
            let state = self.shared.lock();
            let written = self.unsynced.len();
            (written..).zip(group).map(|(nth, record)| state.number(nth, now, record)).collect()
        };
        let mut written = self.try_write(&entries, durable);
        if let Err(error) = &written {
            tracing::warn!(error = %error, "journal write failed: the segment is given up");
            self.poison();
            let len = entries.iter().map(|e| encoded_len(&e.record)).sum();
            written = match self.rotate(len) {
                Ok(()) => self.try_write(&entries, durable),
                Err(refused) => {
                    outcome.results.extend(entries.iter().map(|_| Err(refused.clone())));
                    return;
                }
            };
        }
        match written {
            Ok(()) => {
                outcome.results.extend(entries.iter().map(|entry| Ok(entry.seq)));
                self.unsynced.extend(entries, self.shared.deps.clock.monotonic());
                if durable {
                    self.publish();
                }
            }
            Err(error) => {
                self.poison();
                let error = AppendError::Disk(Arc::new(error));
                outcome.results.extend(entries.iter().map(|_| Err(error.clone())));
            }
        }
    }

    /// Publishes everything that was written: it is durable.
    pub(super) fn publish(&mut self) {
        self.shared.metrics.groups.add(1);
        let now = self.shared.deps.clock.monotonic();
        let mut state = self.shared.lock();
        if let (Some(segment), Some(active)) = (state.segments.back_mut(), &self.active) {
            segment.size = segment.size.max(active.offset);
        }
        let (entries, bytes) = self.unsynced.take();
        for entry in entries {
            state.commit(entry, false);
        }
        state.rate.add(bytes, now);
        state.progress = now;
    }

    /// Writes a group and, when it is to be `durable` in `fsync` mode, syncs it.
    fn try_write(&mut self, entries: &[Entry], durable: bool) -> io::Result<()> {
        let Some(active) = &mut self.active else { return Err(io::ErrorKind::NotConnected.into()) };
        let (ack, durable_seq) = pending_ack(&self.shared);
        let mut group = Group::new(active.salt, active.offset);
        if let Some(payload) = &ack {
            group.push(Header::of(Kind::Ack, durable_seq, payload), &[], payload);
        }
        entries.iter().for_each(|entry| push(&mut group, entry, durable_seq));
        active.unsynced = true;
        group.write(&*active.file, active.offset)?;
        active.offset = group.end;
        if durable && self.shared.config.durability == Durability::Fsync {
            sync(&self.shared, active)?;
        }
        Ok(())
    }

    /// Writes what readers settled, if anything, and with `durable` makes sure that it is on disk
    /// as the mode says.
    pub(super) fn write_acks(&mut self, durable: bool) -> io::Result<()> {
        if self.active.is_none() {
            // A new segment begins with all that readers settled.
            return if self.shared.lock().has_unsaved_acks() { self.create(0) } else { Ok(()) };
        }
        let (ack, durable_seq) = pending_ack(&self.shared);
        let fsync = self.shared.config.durability == Durability::Fsync;
        let Some(active) = &mut self.active else { return Ok(()) };
        let mut write = || {
            if let Some(payload) = &ack {
                let mut group = Group::new(active.salt, active.offset);
                group.push(Header::of(Kind::Ack, durable_seq, payload), &[], payload);
                active.unsynced = true;
                group.write(&*active.file, active.offset)?;
                active.offset = group.end;
            }
            if durable && fsync && active.unsynced {
                sync(&self.shared, active)?;
            }
            Ok(())
        };
        let written = write();
        match (&written, &self.active) {
            (Err(_), _) => self.poison(),
            (Ok(()), Some(active)) => {
                if let Some(segment) = self.shared.lock().segments.back_mut() {
                    segment.size = segment.size.max(active.offset);
                }
            }
            (Ok(()), None) => {}
        }
        written
    }

    /// Never writes to the active segment again.
    fn poison(&mut self) {
        if self.active.take().is_some() {
            self.shared.metrics.poisoned.add(1);
            let mut state = self.shared.lock();
            state.poisoned += 1;
            // What its last ack records say may not be on disk.
            state.set_unsaved(true);
            if let Some(segment) = state.segments.back_mut() {
                segment.file.sealed = true;
                segment.file.open_ended = true;
            }
        }
    }

    /// Gives up a segment whose file was taken away: what is written to it is durable nowhere.
    fn notice_removal(&mut self) {
        let active = self.active.as_ref().and_then(|_| {
            let state = self.shared.lock();
            state.segments.back().map(|segment| segment.first_seq)
        });
        let Some(first_seq) = active else { return };
        let path = segment_path(&self.shared.config.directory, first_seq);
        if let Err(error) = self.shared.deps.fs.open(&path)
            && error.kind() == io::ErrorKind::NotFound
        {
            let path = path.display();
            tracing::error!(%path, "the file that the journal writes to was removed: what is in it may be lost");
            self.poison();
        }
    }

    /// Once a second: settled records reach the disk, and delivered segments their end.
    pub(super) fn tick(&mut self) {
        let clock = &self.shared.deps.clock;
        let (now, monotonic) = (clock.unix_nano(), clock.monotonic());
        let config = &self.shared.config;
        let age = self.jumps.trusted(now, monotonic).then_some(config.retention_age);
        let limits = retention::Limits { age, size: config.retention_size };
        self.notice_removal();
        let copies = !self.shared.lock().compaction_fails || self.has_room_for_copy();
        let dirty = {
            let mut state = self.shared.lock();
            if copies {
                state.segments.iter_mut().for_each(|s| s.file.compaction_failed = false);
            }
            state.has_unsaved_acks()
        };
        if dirty {
            // Where nothing is appended, only this tells that the disk works again.
            let written = self.write_acks(false);
            self.note_failure(written.as_ref().err());
        }
        if self.active.as_ref().is_some_and(|active| active.offset > active.room)
            && let Err(error) = self.rotate(0)
        {
            tracing::debug!(error = %error, "ack records go on in a segment that is full");
        }
        self.look_for_room();
        let expired = retention::expired(&self.shared.lock().candidates(), now, limits);
        for segment in expired {
            if let Err(error) = self.delete(segment) {
                tracing::warn!(error = %error, "cannot let a delivered segment go");
                break;
            }
        }
    }

    /// Makes everything durable that was written; the next start reads the active segment whole.
    pub(super) fn close(&mut self) {
        let Err(error) = self.write_acks(true) else { return };
        // Without any there is nothing to lose: only who reads was to be written, which the next start does.
        if self.shared.lock().has_unsaved_settlements() {
            tracing::warn!(
                error = %error,
                "what was delivered last is not noted on disk: the next start sends it again"
            );
        }
    }
}

/// The payload of an ack record, if a durable reader settled anything since the last.
fn pending_ack(shared: &Shared) -> (Option<Vec<u8>>, u64) {
    let mut state = shared.lock();
    let durable_seq = state.next_seq.saturating_sub(1);
    let dirty: Vec<_> = state.lanes.values().filter(|l| l.dirty && l.config.durable).collect();
    let departed = Some(&state.departed).filter(|departed| departed.dirty);
    let ack = (!dirty.is_empty() || departed.is_some())
        .then(|| snapshot::encode(&state.accepted, dirty.into_iter(), departed));
    state.set_unsaved(false);
    (ack, durable_seq)
}

/// What to do about a disk that does not take a write.
const fn help(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::PermissionDenied => "give the directory to the agent's user",
        io::ErrorKind::ReadOnlyFilesystem => "mount it for writing",
        io::ErrorKind::NotFound => "its directory was removed: restart the agent, which makes it",
        _ => "make room there, or mend the disk",
    }
}

fn sync(shared: &Shared, active: &mut Active) -> io::Result<()> {
    let started = shared.deps.clock.monotonic();
    active.file.sync()?;
    active.unsynced = false;
    let took = shared.deps.clock.monotonic().saturating_sub(started);
    shared.metrics.synced(took);
    Ok(())
}

/// Adds a record to a group.
pub(super) fn push<'a>(group: &mut Group<'a>, entry: &'a Entry, durable_seq: u64) {
    let Entry { seq, received, record, .. } = entry;
    let meta = record.meta.as_tlv();
    let header = Header {
        signal: record.signal as u8,
        flags: record.flags.0,
        received: *received,
        durable_seq,
        items: record.items,
        meta_len: u16::try_from(meta.len()).unwrap_or(u16::MAX),
        body_crc: crc32c(&[meta, &record.payload]),
        payload_len: u32::try_from(record.payload.len()).unwrap_or(u32::MAX),
        ..Header::of(Kind::Data, *seq, &[])
    };
    group.push(header, meta, &record.payload);
}

/// Bytes of a segment that no single record makes larger, under a cap of `max_size`.
pub(super) fn segment_bytes(max_size: u64) -> u64 {
    (max_size / 8).clamp(64 << 10, 16 << 20)
}

/// The file of the segment that begins with `first_seq`.
pub(super) fn segment_path(directory: &std::path::Path, first_seq: u64) -> PathBuf {
    directory.join(format!("{first_seq:020}.seg"))
}
