//! A checkpoint: sealed chunks into the files of their days, then the head's state into `state.db`.
//!
//! Each file is one transaction with the journal's position in it. The state is committed last and is
//! what counts: a crash before leaves chunks that the same records give again, byte for byte or not, and
//! that replace what is there. A checkpoint that fails leaves the head as it was; the next one carries
//! more. Cost: 20,000 series with a chunk each in about half a second, once in five minutes.

use std::collections::BTreeSet;
use std::sync::MutexGuard;
use std::time::Duration;

use super::chunk_file::ChunkFile;
use super::file::{Role, Trouble};
use super::layout::{Day, FileKey, HOUR, Tier};
use super::{Disk, Files, retention};
use crate::store::checkpoint::Record;
use crate::store::chunk::Chunk;
use crate::store::metadata::Metadata;
use crate::store::{Fingerprint, StoreError};

/// The name under which seconds are kept for which ages are not believed.
pub(super) const HELD: &str = "disk.held";

/// Files of samples that are open to write at once: today's, yesterday's, and one for what is late.
const OPEN_MAX: usize = 3;

/// A day is over for the head this long after its end: the longest chunk, and time to write it.
pub(super) const GRACE: i64 = 2 * HOUR + HOUR / 4;

/// A checkpoint in the making. Dropped before `finish`, it never was.
#[derive(Debug)]
pub(in crate::store) struct Commit<'a> {
    disk: &'a Disk,
    files: MutexGuard<'a, Files>,
    journal_seq: u64,
    now_ms: i64,
    began: Duration,
    /// Days of files that were closed before the end.
    closed: BTreeSet<Day>,
    finished: bool,
}

impl<'a> Commit<'a> {
    pub(super) fn begin(disk: &'a Disk, journal_seq: u64, now_ms: i64) -> Result<Self, StoreError> {
        let began = disk.clock.monotonic();
        let mut files = disk.lock();
        disk.set_suspects_aside(&mut files);
        let mut commit = Self {
            disk,
            files,
            journal_seq,
            now_ms,
            began,
            closed: BTreeSet::new(),
            finished: false,
        };
        let begun = commit.with_state(|state| state.begin());
        begun.map_err(|trouble| commit.failed(trouble, None))?;
        Ok(commit)
    }

    /// Does something with `state.db`, which is made if it was set aside.
    fn with_state<T>(
        &mut self,
        with: impl FnOnce(&mut super::state::StateFile) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let state = match self.files.state.take() {
            Some(state) => state,
            None => super::state::StateFile::open(self.disk.state_path())?,
        };
        with(self.files.state.insert(state))
    }

    /// Whether nothing is kept, so that the state of every series is wanted, not only what changed.
    pub(in crate::store) fn wants_all(&self) -> bool {
        self.files.wants_all
    }

    /// Writes a series: its sealed chunks and its state.
    pub(in crate::store) fn series(&mut self, record: &Record<'_>) -> Result<(), StoreError> {
        let horizon = self.files.horizon;
        for chunk in record.sealed {
            // No chunk is longer than a day: it has samples of one day or of two.
            let (first, last) = (Day::of(chunk.start_ms), Day::of(chunk.end_ms));
            if last < horizon {
                self.disk.metrics.dropped_chunks.add(1);
            }
            let of_days = [Some(first), (last != first).then_some(last)];
            for day in of_days.into_iter().flatten().filter(|day| *day >= horizon) {
                self.make_room(day)?;
                self.chunk(day, record, chunk)
                    .map_err(|trouble| self.failed(trouble, Some(day)))?;
            }
        }
        if record.live.is_empty() {
            return Ok(());
        }
        let put = self.with_state(|state| state.attempt("write", |state| state.put(record)));
        put.map_err(|trouble| self.failed(trouble, None))
    }

    /// Writes a chunk into the file of a day that it has samples of.
    fn chunk(&mut self, day: Day, record: &Record<'_>, chunk: &Chunk) -> Result<(), Trouble> {
        // A day may be rolled up before it is over: by a clock that was wrong.
        let rolls = self.files.roll.as_ref().is_some_and(|roll| roll.day() == day)
            || self.disk.catalog().days(Tier::OneHour).contains(&day);
        let late = rolls || day.until_ms() + GRACE < self.now_ms;
        let Record { fingerprint, kind, labels, .. } = *record;
        self.day(day)?.write(|file| {
            let id = file.id(fingerprint, kind, labels)?;
            file.put(id, chunk)?;
            if late { file.note_late(id) } else { Ok(()) }
        })?;
        if late {
            self.files.late.insert(day);
        }
        Ok(())
    }

    /// Commits and closes the file that was not used for longest, where that of `day` would be one too many.
    fn make_room(&mut self, day: Day) -> Result<(), StoreError> {
        let samples = &mut self.files.samples;
        if samples.len() >= OPEN_MAX
            && samples.iter().all(|(open, _)| *open != day)
            && let Some((oldest, mut file)) = samples.pop()
        {
            self.closed.insert(oldest);
            return file.commit().map_err(|trouble| self.failed(trouble, Some(oldest)));
        }
        Ok(())
    }

    /// The file of a day, open to write.
    fn day(&mut self, day: Day) -> Result<&mut ChunkFile, Trouble> {
        let files = &mut *self.files;
        if let Some(at) = files.samples.iter().position(|(open, _)| *open == day) {
            files.samples.get_mut(..=at).unwrap_or_default().rotate_right(1);
        } else {
            let path = self.disk.path(FileKey::of(Tier::Raw, day));
            files.samples.insert(0, (day, ChunkFile::open(path, Role::Samples)?));
        }
        let first = files.samples.first_mut().map(|(_, file)| file);
        first.ok_or_else(|| Trouble::Unreadable(String::new()))
    }

    /// Forgets the state of a series that left the head. Its chunks stay.
    pub(in crate::store) fn removed(&mut self, fingerprint: Fingerprint) -> Result<(), StoreError> {
        let removed =
            self.with_state(|state| state.attempt("write", |state| state.remove(fingerprint)));
        removed.map_err(|trouble| self.failed(trouble, None))
    }

    /// Replaces the state named `key`.
    pub(in crate::store) fn state(&mut self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let put =
            self.with_state(|state| state.attempt("write", |state| state.put_state(key, bytes)));
        put.map_err(|trouble| self.failed(trouble, None))
    }

    /// Replaces the metadata of a family.
    pub(in crate::store) fn family(
        &mut self,
        name: &str,
        metadata: &Metadata,
    ) -> Result<(), StoreError> {
        let put = self
            .with_state(|state| state.attempt("write", |state| state.put_family(name, metadata)));
        put.map_err(|trouble| self.failed(trouble, None))
    }

    /// Forgets the metadata of a family.
    pub(in crate::store) fn forget_family(&mut self, name: &str) -> Result<(), StoreError> {
        let forgot =
            self.with_state(|state| state.attempt("write", |state| state.remove_family(name)));
        forgot.map_err(|trouble| self.failed(trouble, None))
    }

    /// Limits the files of samples to this many pages more than they have, as a full disk would.
    #[cfg(test)]
    pub(super) fn limit_pages(&mut self, more: u32, day: Day) {
        let file = self.day(day).unwrap();
        let pages: u32 =
            file.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        let limit = |row: &rusqlite::Row<'_>| row.get::<_, u32>(0);
        let sql = format!("PRAGMA max_page_count = {}", pages + more);
        file.connection.query_row(&sql, [], limit).unwrap();
    }

    /// Lets the file that is written to refuse to be committed.
    #[cfg(test)]
    pub(super) fn break_commit(&mut self) {
        let (_, file) = self.files.samples.first_mut().unwrap();
        let sql = "CREATE TEMP TABLE parent (id INTEGER PRIMARY KEY);
            CREATE TEMP TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
            INSERT INTO child VALUES (1)";
        file.connection.execute_batch("COMMIT; PRAGMA foreign_keys = ON; BEGIN IMMEDIATE").unwrap();
        file.connection.execute_batch(sql).unwrap();
    }

    /// Makes it durable.
    pub(in crate::store) fn finish(mut self) -> Result<(), StoreError> {
        let (journal_seq, now_ms) = (self.journal_seq, self.now_ms);
        let mut days = std::mem::take(&mut self.closed);
        for nth in 0..self.files.samples.len() {
            let Some((day, file)) = self.files.samples.get_mut(nth) else { break };
            let day = *day;
            if file.begun() {
                let written = file.write(|file| file.note_position(journal_seq, now_ms));
                let committed = written.and_then(|()| file.commit());
                committed.map_err(|trouble| self.failed(trouble, Some(day)))?;
            }
            days.insert(day);
        }
        let monotonic = self.disk.clock.monotonic();
        self.hold(monotonic)?;
        let committed = self.with_state(|state| state.commit(journal_seq, now_ms));
        committed.map_err(|trouble| self.failed(trouble, None))?;
        self.finished = true;
        // Before the head lets go of what is in these files: a query that misses it there finds it here.
        self.disk.change_catalog(|catalog| {
            catalog.committed();
            days.into_iter().for_each(|day| catalog.insert(Tier::Raw, day));
        });
        let files = &mut *self.files;
        files.wants_all = false;
        files.now_ms = now_ms;
        // Memory: one open file knows every series of its day.
        files.samples.truncate(1);
        self.disk.metrics.committed(monotonic.saturating_sub(self.began));
        Ok(())
    }

    /// Writes how long ages are not believed, where that changed: a restart knows of no leap.
    fn hold(&mut self, monotonic: Duration) -> Result<(), StoreError> {
        let (now_ms, files) = (self.now_ms, &mut *self.files);
        let before = files.held;
        let begin = || retention::clocks(now_ms, monotonic, Duration::ZERO);
        let clocks = files.clocks.get_or_insert_with(begin);
        clocks.trusted(retention::unix_nano(now_ms), monotonic);
        let held = clocks.held(monotonic);
        if held.as_secs() != before.as_secs() {
            self.state(HELD, held.as_secs().to_string().as_bytes())?;
        }
        self.files.held = held;
        Ok(())
    }

    /// What to say of it. A file that cannot be read is set aside.
    fn failed(&mut self, trouble: Trouble, day: Option<Day>) -> StoreError {
        let key = day.map(|day| FileKey::of(Tier::Raw, day));
        let path = key.map_or_else(|| self.disk.state_path(), |key| self.disk.path(key));
        if let Trouble::Unreadable(why) = &trouble {
            self.files.samples.clear();
            if key.is_none() {
                self.files.state = None;
                self.files.wants_all = true;
            }
            if let Some(key) = key {
                self.disk.change_catalog(|catalog| catalog.remove(key));
            }
            // Not being able to is said there; the next checkpoint tries again.
            let _ = self.disk.set_aside(&path, why);
        }
        trouble.into_error("write", &path)
    }
}

impl Drop for Commit<'_> {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        // Connections that are closed roll back; what they know of numbers was not written.
        self.files.samples.clear();
        if let Some(state) = &mut self.files.state
            && let Err(trouble) = state.roll_back()
        {
            self.files.state = None;
            tracing::debug!(?trouble, "the store's state is opened again");
        }
    }
}
