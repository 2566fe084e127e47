//! The files of the store. This part keeps nothing yet: every checkpoint succeeds and is gone.
//!
//! `checkpoint.rs` says what is asked of it.

use std::ops::ControlFlow;

use super::checkpoint::{Found, Record, Restored, Window};
use super::config::Config;
use super::handle::Deps;
use super::metadata::Metadata;
use super::samples::Samples;
use super::stats::FileSize;
use super::{Fingerprint, OpenError, StoreError};

/// The files. Shared by the one that commits and those that read.
#[derive(Debug)]
pub(super) struct Disk {}

impl Disk {
    /// Opens or makes the files, sets aside those that cannot be read. Blocks.
    pub(super) fn open(_config: &Config, _deps: &Deps) -> Result<(Self, Restored), OpenError> {
        Ok((Self {}, Restored::default()))
    }

    /// Begins a checkpoint at record `journal_seq` and received time `now_ms`. At most one at a time.
    pub(super) fn begin(&self, _journal_seq: u64, _now_ms: i64) -> Result<Commit<'_>, StoreError> {
        Ok(Commit { _disk: self })
    }

    /// Begins to read. One per query, on the query's thread; sees what is finished now.
    pub(super) fn reader(&self) -> Result<Reader<'_>, StoreError> {
        Ok(Reader { _disk: self })
    }

    /// The files and their sizes.
    pub(super) fn files(&self) -> Vec<FileSize> {
        Vec::new()
    }
}

/// A checkpoint in the making. Dropped before `finish`, it never was.
#[derive(Debug)]
pub(super) struct Commit<'a> {
    _disk: &'a Disk,
}

impl Commit<'_> {
    /// Writes a series: its sealed chunks and its state.
    pub(super) fn series(&mut self, _record: &Record<'_>) -> Result<(), StoreError> {
        Ok(())
    }

    /// Forgets the state of a series that left the head. Its chunks stay.
    pub(super) fn removed(&mut self, _fingerprint: Fingerprint) -> Result<(), StoreError> {
        Ok(())
    }

    /// Replaces the state named `key`.
    pub(super) fn state(&mut self, _key: &str, _bytes: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    /// Replaces the metadata of a family.
    pub(super) fn family(&mut self, _name: &str, _metadata: &Metadata) -> Result<(), StoreError> {
        Ok(())
    }

    /// Whether nothing is kept, so that the state of every series is wanted, not only what changed.
    pub(super) fn wants_all(&self) -> bool {
        false
    }

    /// Makes it durable.
    pub(super) fn finish(self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Reads for one query.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    _disk: &'a Disk,
}

impl Reader<'_> {
    /// Hands every series with samples in the window, but for those that `known` has, to `each`, once,
    /// until it breaks. With `name`, only series of that metric. Other matchers are the caller's.
    pub(super) fn series(
        &mut self,
        _window: &Window,
        _name: Option<&str>,
        _known: &dyn Fn(Fingerprint) -> bool,
        _each: &mut dyn FnMut(Found) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    /// Appends the samples of a series that are in the window and before `before_ms` to `into`, in
    /// ascending time, at the best resolution that is kept and that the window lets pass. Samples outside
    /// the window may come along. A chunk that cannot be read is left out, counted.
    pub(super) fn read(
        &mut self,
        _fingerprint: Fingerprint,
        _window: &Window,
        _before_ms: i64,
        _into: &mut Samples,
    ) -> Result<Sparse, StoreError> {
        Ok(Sparse::default())
    }
}

/// Where the samples of a histogram are further apart than the query looks.
#[derive(Debug, Default)]
pub(super) struct Sparse {}

impl Sparse {
    /// Puts floats where `window` looks, between those that were made of a histogram's samples there.
    pub(super) fn fill(&self, _window: &Window, _floats: &mut Vec<(i64, f64)>) {}
}
