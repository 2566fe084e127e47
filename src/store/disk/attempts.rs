//! Which record was being read when the process died, so that one that kills it is not read for ever.
//!
//! The journal gives a record again until a checkpoint covers it. From the start until the first checkpoint the record at
//! hand is written down before it is read and struck out after; one that two processes died over is passed over.
//! A panic cannot be caught around a record instead: what it left half done would stay, and a stack that
//! overflows, or memory that runs out, is no panic.
//!
//! ```text
//! sequence + 1 u64 LE, 0: none │ how many died over it u64 │ records passed over: sequence + 1 u64 × 8
//! ```
//! Nothing is synced: the page cache outlives the process. Cost: two writes of 16 bytes per record, until the first
//! checkpoint. A file that cannot be written is done without.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The name of the file within the store's directory.
const FILE: &str = "reading";
/// A record that so many processes died over is passed over.
const DEATHS_MAX: u64 = 2;
/// The most records that are passed over until a checkpoint covers them.
const SKIPPED_MAX: usize = 8;
const WORD: usize = 8;

/// The file, as long as it is of use.
#[derive(Debug)]
pub(in crate::store) struct Attempts {
    path: PathBuf,
    file: Option<File>,
    /// The record that the process before died over, and how many did.
    suspect: Option<(u64, u64)>,
    skipped: Vec<u64>,
}

impl Attempts {
    /// Looks at what the process before left.
    pub(in crate::store) fn open(directory: &Path) -> Self {
        let path = directory.join(FILE);
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut bytes = Vec::new();
        let file = file.and_then(|mut file| {
            (&mut file).take((WORD * (2 + SKIPPED_MAX)) as u64).read_to_end(&mut bytes)?;
            Ok(file)
        });
        if let Err(error) = &file {
            tracing::warn!(%error, "a record that ends the process would be read again and again");
        }
        let (words, _) = bytes.as_chunks::<WORD>();
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let (reading, deaths) = (words.next().unwrap_or(0), words.next().unwrap_or(0));
        let suspect = reading.checked_sub(1).map(|seq| (seq, deaths));
        let skipped = words.filter_map(|word| word.checked_sub(1)).collect();
        Self { path, file: file.ok(), suspect, skipped }
    }

    /// Writes down that a record is about to be read; false when it is not to be.
    pub(in crate::store) fn begin(&mut self, seq: u64) -> bool {
        if self.file.is_none() {
            return true;
        }
        let deaths = self.suspect.filter(|(of, _)| *of == seq).map_or(0, |(_, deaths)| deaths);
        if self.skipped.contains(&seq) {
            return false;
        }
        if deaths >= DEATHS_MAX && self.skipped.len() < SKIPPED_MAX {
            let at = WORD * (2 + self.skipped.len());
            self.skipped.push(seq);
            self.write(&(seq + 1).to_le_bytes(), at);
            return false;
        }
        let [mut bytes, died] = [seq + 1, deaths + 1].map(|word| word.to_le_bytes().to_vec());
        bytes.extend(died);
        self.write(&bytes, 0);
        true
    }

    /// Says that the record was read.
    pub(in crate::store) fn end(&mut self) {
        self.write(&[0; 2 * WORD], 0);
    }

    /// Says that a checkpoint covers what was read: nothing of it comes again.
    pub(in crate::store) fn covered(&mut self) {
        if self.file.take().is_some() {
            // Left behind it says at most what is not so any more.
            let _ = std::fs::remove_file(&self.path);
        }
    }

    fn write(&mut self, bytes: &[u8], at: usize) {
        if let Some(file) = &self.file
            && let Err(error) = file.write_all_at(bytes, at as u64)
        {
            tracing::warn!(%error, "a record that ends the process would be read again and again");
            self.file = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_two_processes_died_over_is_passed_over_until_a_checkpoint() {
        let directory = tempfile::tempdir().unwrap();
        let read = |dies_at: u64| {
            let mut attempts = Attempts::open(directory.path());
            for seq in 0..5 {
                if attempts.begin(seq) {
                    if seq == dies_at {
                        return Err(seq);
                    }
                    attempts.end();
                }
            }
            Ok(attempts)
        };
        assert_eq!(read(3).err(), Some(3));
        assert_eq!(read(3).err(), Some(3));
        assert!(read(3).is_ok());
        // What is passed over stays so while others are read, and dies of something else.
        assert_eq!(read(4).err(), Some(4));
        let mut attempts = read(3).unwrap();
        assert_eq!(attempts.skipped, [3]);
        attempts.covered();
        assert!(read(3).is_err());
    }

    #[test]
    fn who_is_killed_over_another_record_each_time_loses_none() {
        let directory = tempfile::tempdir().unwrap();
        for seq in 0..20 {
            let mut attempts = Attempts::open(directory.path());
            assert!(attempts.begin(seq));
        }
        // Nor does a file that says nothing sensible stop anything.
        std::fs::write(directory.path().join(FILE), [0xff; 7]).unwrap();
        assert!(Attempts::open(directory.path()).begin(1));
        std::fs::write(directory.path().join(FILE), [0xff; 1_000]).unwrap();
        assert!(Attempts::open(directory.path()).begin(1));
    }
}
