//! From one segment to the next: the old one is sealed, the new one begins with a state record.
//!
//! What was written to the old one and not synced is synced first; where that segment had to be given up, it is
//! written once more at the head of the new one, with the same sequences. The new one is complete on disk, its
//! name included, before anything refers to it.

use std::io::{self, IoSlice};
use std::sync::Arc;

use super::config::SLACK;
use super::format::{
    Header, Kind, RECORD_HEADER, SEAL, SEGMENT_HEADER, Salt, SegmentHeader, encode_seal,
    seal_header,
};
use super::fs::{allocate, is_full, write_all_at};
use super::group::Group;
use super::log::{Active, Log, push, segment_path};
use super::segment::Segment;
use super::state::State;
use super::{AppendError, Durability, snapshot};

impl Log {
    /// Makes room for and creates the next segment, with room for `need` bytes of records.
    pub(super) fn rotate(&mut self, need: u64) -> Result<(), AppendError> {
        let before = self.active.as_ref().map(|active| active.salt);
        self.flush();
        // Where the flush had to give the segment up, there is another one.
        let other = self.active.as_ref().filter(|active| Some(active.salt) != before);
        if other.is_some_and(|active| active.room.saturating_sub(active.offset) >= need) {
            return Ok(());
        }
        let (size, _) = self.next_segment(&self.shared.lock(), need);
        self.make_room(size)?;
        self.seal();
        loop {
            match self.create(need) {
                Ok(()) => return Ok(()),
                Err(error) if is_full(&error) => {
                    if self.step_towards_room().is_err() {
                        return Err(AppendError::Disk(Arc::new(error)));
                    }
                }
                Err(error) => return Err(AppendError::Disk(Arc::new(error))),
            }
        }
    }

    /// Ends the active segment. Nothing acknowledged depends on it, so errors do not matter.
    fn seal(&mut self) {
        if self.active.is_none() || self.write_acks(false).is_err() {
            return;
        }
        let Some(active) = self.active.take() else { return };
        let (header, seal) = {
            let mut state = self.shared.lock();
            let Some(segment) = state.segments.back_mut() else { return };
            segment.file.sealed = true;
            segment.size = active.offset + SEAL as u64;
            {
                let seal = encode_seal(segment);
                (seal_header(segment, &seal), seal)
            }
        };
        let mut group = Group::new(active.salt, active.offset);
        group.push(header, &[], &seal);
        let sealed =
            group.write(&*active.file, active.offset).and_then(|()| active.file.set_len(group.end));
        if let Err(error) = sealed {
            tracing::debug!(error = %error, "a segment was not sealed; the next start reads it whole");
        }
    }

    /// The size of a segment made at this instant with room for `need` bytes of records, and its
    /// state record.
    fn next_segment(&self, state: &State, need: u64) -> (u64, Vec<u8>) {
        let durable: Vec<_> = state.lanes.values().filter(|l| l.config.durable).collect();
        let payload = snapshot::encode(&state.accepted, durable.into_iter(), Some(&state.departed));
        let fixed = (SEGMENT_HEADER + RECORD_HEADER + payload.len()) as u64 + SLACK;
        (self.shared.segment_size.max(fixed + need + self.unsynced.bytes()), payload)
    }

    pub(super) fn create(&mut self, need: u64) -> io::Result<()> {
        let fs = Arc::clone(&self.shared.deps.fs);
        let (first_seq, journal, room, payload) = {
            let mut state = self.shared.lock();
            let (room, payload) = self.next_segment(&state, need);
            state.set_unsaved(false);
            (state.next_seq, state.identity, room, payload)
        };
        let salt: Salt = std::array::from_fn(|_| fastrand::u8(..));
        let created = self.shared.deps.clock.unix_nano();
        let header = SegmentHeader { first_seq, created, salt, journal, blocks: false };
        let path = segment_path(&self.directory, first_seq);
        let temporary = path.with_extension("seg.tmp");
        let fsync = self.shared.config.durability == Durability::Fsync;
        let make = || -> io::Result<Active> {
            let file = fs.create(&temporary)?;
            allocate(&*file, room)?;
            let mut group = Group::new(salt, SEGMENT_HEADER as u64);
            group.push(Header::of(Kind::State, first_seq, &payload), &[], &payload);
            let durable_seq = first_seq.saturating_sub(1);
            self.unsynced.iter().for_each(|entry| push(&mut group, entry, durable_seq));
            write_all_at(&*file, &mut [IoSlice::new(&header.encode())], 0)?;
            group.write(&*file, SEGMENT_HEADER as u64)?;
            if fsync {
                file.sync()?;
            }
            fs.rename(&temporary, &path)?;
            if fsync {
                fs.sync_dir(&self.directory)?;
            }
            Ok(Active { file, salt, offset: group.end, room, unsynced: false })
        };
        let made = make();
        let mut state = self.shared.lock();
        let active = match made {
            Ok(active) => active,
            Err(error) => {
                state.set_unsaved(true);
                drop(state);
                drop(fs.remove(&temporary));
                return Err(error);
            }
        };
        // A poisoned segment in which nothing was published had the same name.
        state.segments.pop_back_if(|last| last.first_seq == first_seq);
        state.segments.push_back(Segment { size: room, ..Segment::starting_at(first_seq) });
        state.full = false;
        drop(state);
        self.active = Some(active);
        if !self.unsynced.is_empty() {
            self.publish();
        }
        Ok(())
    }
}
