//! Room for the next segment, under the cap and on the disk: what is delivered goes first, then what policies let go.
//!
//! Nothing is deleted before what allows it is durable, unless there is no room to say so.

use std::io;
use std::sync::Arc;

use super::AppendError;
use super::fs::{Space, is_full};
use super::log::{Log, segment_path};
use super::retention::{self, Step};

/// So many segments are written even where less than [`KEPT_FREE`] of the disk is free: an agent
/// that starts on an almost full disk works.
const SEGMENTS_MIN: u64 = 2;
/// One in so many bytes of the disk is left to others.
const KEPT_FREE: u64 = 20;

impl Log {
    /// Sheds, compacts or drops until a segment of `size` bytes fits under the cap and on the disk. Where it is the disk
    /// that has no room the journal is not full: another cap would not help.
    pub(super) fn make_room(&mut self, size: u64) -> Result<(), AppendError> {
        let before = self.shared.lock().size();
        let free = self.space().map_or(0, |space| space.free);
        loop {
            // Some file systems show only later what was deleted: waiting for that, all would go.
            let deleted = before.saturating_sub(self.shared.lock().size());
            let scarce = self.scarce(size, free.saturating_add(deleted));
            let capped = self.shared.lock().size().saturating_add(size) > self.shared.max_size;
            if !capped && scarce.is_none() {
                self.starved = false;
                return Ok(());
            }
            match self.step_towards_room() {
                Err(AppendError::Full) if !capped => {
                    self.starved = true;
                    let error = scarce.unwrap_or_else(|| io::ErrorKind::StorageFull.into());
                    return Err(AppendError::Disk(Arc::new(error)));
                }
                step => step?,
            }
        }
    }

    fn space(&self) -> Option<Space> {
        self.shared.deps.fs.space(&self.directory).ok()
    }

    /// That a segment of `size` bytes would take of the disk what is left to others. At least `free` bytes of it are free.
    fn scarce(&self, size: u64, free: u64) -> Option<io::Error> {
        let space = self.space()?;
        let free = space.free.max(free);
        let used = self.shared.lock().size();
        let taken = free < size.saturating_add(space.total / KEPT_FREE);
        let said = || format!("of its disk {free} bytes are free, and 5 % are left to others");
        (taken && used.saturating_add(size) > SEGMENTS_MIN * self.shared.segment_size)
            .then(|| io::Error::new(io::ErrorKind::StorageFull, said()))
    }

    /// Looks whether the disk has room again: a sender that is told to stay away does not try.
    pub(super) fn look_for_room(&mut self) {
        if self.starved {
            let none = retention::make_room(&self.shared.lock().candidates()).is_none();
            self.starved = none && self.scarce(self.shared.segment_size, 0).is_some();
            self.note_failure(None);
        }
    }

    /// Whether a copy of a segment could be written.
    pub(super) fn has_room_for_copy(&self) -> bool {
        self.space().is_some_and(|space| space.free >= self.shared.segment_size)
    }

    pub(super) fn step_towards_room(&mut self) -> Result<(), AppendError> {
        let step = retention::make_room(&self.shared.lock().candidates());
        match step {
            None => return Err(AppendError::Full),
            Some(Step::Compact(segment)) => super::compact::compact(self, segment),
            Some(Step::Shed(segment) | Step::DropOldest(segment)) => {
                self.shared.metrics.shed.add(1);
                self.delete(segment).map_err(|e| AppendError::Disk(Arc::new(e)))?;
            }
        }
        Ok(())
    }

    /// Deletes a segment after what allows it is durable. What readers hold in it is dropped.
    pub(super) fn delete(&mut self, first_seq: u64) -> io::Result<()> {
        self.shared.lock().release(first_seq);
        match self.write_acks(true) {
            // Only deleting makes room for what says that it may be deleted.
            Err(error) if is_full(&error) && self.active.is_none() => {}
            written => written?,
        }
        let removed = self.shared.lock().remove(first_seq);
        let path = segment_path(&self.directory, first_seq);
        let fs = &self.shared.deps.fs;
        let gone = match removed {
            Some(segment) if segment.file.damaged => {
                fs.rename(&path, &path.with_extension("corrupt"))
            }
            _ => fs.remove(&path),
        };
        if let Err(error) = gone {
            tracing::warn!(error = %error, path = %path.display(), "cannot delete a segment");
        }
        Ok(())
    }
}
