//! The ids of generated items, so that two ends of a path can be compared.
//!
//! An item's id is 8 bytes: a span's and a log record's span id, and a data point's time. They are handed out
//! in runs of consecutive numbers, one run per request. A file of ids has one line per run:
//!
//! ```text
//! traces 0192f1c2a4000001 1000        signal, first id in hexadecimal, how many
//! ```

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::signal::Signal;

/// Hands out ids that never repeat within a process, nor in a later one: they begin at the wall clock.
#[derive(Debug)]
pub(super) struct Ids {
    next: AtomicU64,
}

impl Ids {
    /// Ids from `now`, Unix time in nanoseconds.
    pub(super) const fn starting_at(now: u64) -> Self {
        Self { next: AtomicU64::new(now) }
    }

    /// The first of `count` ids; at least `now`, so that they can serve as times.
    pub(super) fn take(&self, count: u64, now: u64) -> u64 {
        let taken = self
            .next
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| Some(next.max(now) + count));
        taken.map_or(now, |previous| previous.max(now))
    }
}

/// A file of ids. Lines appear in it at once, so that they survive the end of this process.
#[derive(Debug)]
pub(super) struct IdsFile {
    file: Mutex<BufWriter<File>>,
}

impl IdsFile {
    /// A file at `path`, emptied.
    ///
    /// # Errors
    /// That of creating it.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: Mutex::new(BufWriter::new(File::create(path)?)) })
    }

    /// Adds runs of ids.
    ///
    /// # Errors
    /// That of writing: the file is no oracle any more.
    pub(super) fn add(
        &self,
        signal: Signal,
        runs: impl IntoIterator<Item = (u64, u64)>,
    ) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        for (first, count) in runs {
            writeln!(file, "{signal} {first:016x} {count}")?;
        }
        file.flush()
    }
}

/// Runs of consecutive numbers among `ids`: first and length, ascending.
pub(super) fn runs(mut ids: Vec<u64>) -> Vec<(u64, u64)> {
    ids.sort_unstable();
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for id in ids {
        match runs.last_mut() {
            Some((first, count)) if first.checked_add(*count) == Some(id) => *count += 1,
            _ => runs.push((id, 1)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_join_what_is_consecutive_and_keep_what_came_twice() {
        assert_eq!(runs(vec![7, 5, 6, 9, 6]), [(5, 2), (6, 2), (9, 1)]);
    }

    #[test]
    fn ids_never_repeat_and_never_fall_behind_the_clock() {
        let ids = Ids::starting_at(100);
        assert_eq!(ids.take(10, 90), 100);
        assert_eq!(ids.take(10, 90), 110);
        assert_eq!(ids.take(1, 500), 500);
        assert_eq!(ids.take(1, 500), 501);
    }
}
