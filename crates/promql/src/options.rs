//! How a query is evaluated: its limits, and what else is its caller's choice.

use std::fmt;

/// How expressions are evaluated. Times in milliseconds.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// How old the sample of an instant selector may be.
    pub lookback: i64,
    /// Samples in memory at once, 16 bytes each; a series counts as 16 more, and 2 for each of its labels.
    pub samples_max: usize,
    /// Steps of a range query.
    pub steps_max: usize,
    /// Expressions within expressions.
    pub depth: usize,
    /// The step of a subquery that names none.
    pub subquery_step: i64,
    /// Whether the metric's name is removed at the end only, so that `by (__name__)` and
    /// `label_replace` still see it.
    pub delayed_name_removal: bool,
    /// Whether experimental functions and aggregations are allowed.
    pub experimental: bool,
    /// Whether `increase` is what a counter counted, from its last sample before the window or else the first in it,
    /// instead of an estimate for the whole of the window: for bills, where 3 must not become 3.1.
    pub counts: bool,
    /// Whether `__type__` and `__unit__` are kept with each series, and tell what a counter is.
    pub type_and_unit_labels: bool,
    /// The text that the expression was parsed from, for the places in annotations; empty: one line.
    pub text: &'a str,
    /// Asked again and again, at the latest after each series; ends the query.
    pub stop: &'a dyn Fn() -> Option<Stop>,
}

/// Why a query is ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It took too long.
    Timeout,
    /// Nobody waits for the answer.
    Canceled,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            lookback: 300_000,
            samples_max: 1_000_000,
            steps_max: 11_000,
            depth: 256,
            subquery_step: 60_000,
            delayed_name_removal: false,
            experimental: false,
            counts: false,
            type_and_unit_labels: false,
            text: "",
            stop: &|| None,
        }
    }
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("lookback", &self.lookback)
            .field("samples_max", &self.samples_max)
            .field("steps_max", &self.steps_max)
            .field("depth", &self.depth)
            .field("subquery_step", &self.subquery_step)
            .field("delayed_name_removal", &self.delayed_name_removal)
            .field("experimental", &self.experimental)
            .field("counts", &self.counts)
            .field("type_and_unit_labels", &self.type_and_unit_labels)
            .field("text", &self.text)
            .finish_non_exhaustive()
    }
}
