//! Where series come from: what an evaluation asks of a store.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::ast::Matcher;
use crate::{Histogram, Labels};

pub use crate::marker::{LOST_BITS, STALE_BITS, is_stale};

/// What a selector of an expression needs.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a> {
    /// Every one must hold. Among them at least one that does not match the empty value.
    pub matchers: &'a [Matcher],
    /// Samples after this time are wanted, in milliseconds since the Unix epoch …
    pub after: i64,
    /// … up to and with this one. Offset, `@`, lookback, range and subquery are in both already.
    pub until: i64,
    /// The distance of two evaluations in milliseconds; 0 for an instant query. A store with several
    /// resolutions may answer from one not finer than this …
    pub step: i64,
    /// … but for a range selector not coarser than this, in milliseconds; 0 for an instant selector.
    pub range: i64,
    /// How far an instant selector looks back from each evaluation, in milliseconds; 0 for a range
    /// selector. The first evaluation is at `after` plus this plus `range`, the others follow by `step`.
    pub lookback: i64,
    /// What is made of the samples. A store that keeps only aggregates of old samples answers with the
    /// one that is meant; one that keeps every sample need not look.
    pub reads: Reads,
}

/// What an expression makes of the samples of a selector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reads {
    /// The last sample, the first, or whether there is one: an instant selector, and range functions of that kind.
    #[default]
    Last,
    /// The line through them: `delta`, `deriv`, `predict_linear`.
    Line,
    /// Their growth, resets counted: `rate`, `increase`, `irate`.
    Increase,
    /// `min_over_time`.
    Min,
    /// `max_over_time`.
    Max,
    /// `avg_over_time`.
    Average,
    /// `sum_over_time`.
    Sum,
    /// `count_over_time`.
    Count,
    /// Each of them: `quantile_over_time`, `changes` and others of which aggregates say nothing. A store that has only
    /// aggregates gives samples of [`LOST_BITS`] in their place.
    Every,
}

/// The samples of one series in ascending time; a time is in one of the two lists only.
#[derive(Clone, Debug, Default)]
pub struct Points {
    /// Time and value. Staleness markers ([`crate::source::STALE_BITS`]) are among them.
    pub floats: Vec<(i64, f64)>,
    /// Time and native histogram. A stale one has a stale `sum`.
    pub histograms: Vec<(i64, Arc<Histogram>)>,
}

impl Points {
    /// Forgets every sample and keeps the memory.
    pub fn clear(&mut self) {
        self.floats.clear();
        self.histograms.clear();
    }
}

/// What of a selection the store has lost, a sentence each: warnings of the answer.
pub type Warnings = Vec<String>;

/// Takes the series of a selection one by one, until it breaks.
pub type Each<'a> = &'a mut dyn FnMut(&Labels, &Points) -> ControlFlow<()>;

/// Gives the series of a selection.
pub trait Queryable {
    /// Hands every matching series with at least one sample in the wanted time to `each`, each label set once, until it
    /// breaks: in any order that is the same for the same series, since means depend on it in their last digits. The points
    /// belong to the store: `each` takes what it
    /// needs out of them, so that one buffer serves all series.
    ///
    /// # Errors
    /// [`SourceError`]: the store cannot answer; what was handed over is void.
    fn select(&self, selection: &Selection<'_>, each: Each<'_>) -> Result<Warnings, SourceError>;
}

/// A store that cannot answer.
#[derive(Debug)]
pub struct SourceError(pub Box<dyn std::error::Error + Send + Sync>);

impl std::fmt::Display for SourceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::error::Error for SourceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}
