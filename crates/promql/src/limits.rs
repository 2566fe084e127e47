//! What a query may hold in memory: samples, of 16 bytes each.
//!
//! A step of a column counts as one sample whether or not it holds one, since the memory is taken; a native
//! histogram as one per bucket and seven more; a series as 16 more and 2 for each label, since with many series their labels
//! are what takes the memory.

use std::cell::Cell;

use crate::error::QueryError;

/// The memory of one of the samples that [`Options::samples_max`](crate::Options::samples_max) counts.
pub const SAMPLE_BYTES: usize = 16;

/// As how many samples a series counts beside its own.
pub(crate) const SERIES_SAMPLES: usize = 16;

/// As how many each of its labels counts, whose texts are shared.
pub(crate) const LABEL_SAMPLES: usize = 2;

const TOO_MANY: &str =
    "query processing would load too many samples into memory in query execution";

/// Whether this is what a [`Budget`] says when it is spent.
pub(crate) fn is_too_many(error: &QueryError) -> bool {
    matches!(error, QueryError::Execution(message) if message == TOO_MANY)
}

/// The samples that a query holds.
#[derive(Debug)]
pub(crate) struct Budget {
    used: Cell<usize>,
    max: usize,
}

impl Budget {
    pub(crate) const fn new(max: usize) -> Self {
        Self { used: Cell::new(0), max }
    }

    /// What is taken.
    pub(crate) const fn used(&self) -> usize {
        self.used.get()
    }

    /// Takes `samples` more, before their memory is allocated.
    ///
    /// # Errors
    /// The limit is reached.
    pub(crate) fn take(&self, samples: usize) -> Result<(), QueryError> {
        self.settle(self.used.get(), samples)
    }

    /// Asks whether `samples` more would be too many, before any of them is made.
    ///
    /// # Errors
    /// They would.
    pub(crate) fn fits(&self, samples: usize) -> Result<(), QueryError> {
        let base = self.used.get();
        self.settle(base, samples)?;
        self.settle(base, 0)
    }

    /// Says that, beyond what was taken at `base`, only `samples` are left.
    ///
    /// # Errors
    /// The limit is reached.
    pub(crate) fn settle(&self, base: usize, samples: usize) -> Result<(), QueryError> {
        let used = base.saturating_add(samples);
        if used > self.max {
            return Err(QueryError::Execution(TOO_MANY.into()));
        }
        self.used.set(used);
        Ok(())
    }
}
