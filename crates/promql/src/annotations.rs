//! What an evaluation has to say besides its answer, as Prometheus words it.

use std::collections::BTreeSet;

/// Warnings and infos, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    warnings: BTreeSet<String>,
    infos: BTreeSet<String>,
}

impl Annotations {
    /// Adds a warning: the answer is likely wrong. `message` without the `PromQL warning: ` in front.
    pub fn warn(&mut self, message: impl std::fmt::Display) {
        self.warnings.insert(format!("PromQL warning: {message}"));
    }

    /// Adds an info: the answer may not be what was meant. `message` without the `PromQL info: ` in front.
    pub fn info(&mut self, message: impl std::fmt::Display) {
        self.infos.insert(format!("PromQL info: {message}"));
    }

    /// Adds everything that `other` says.
    pub fn merge(&mut self, other: Self) {
        self.warnings.extend(other.warnings);
        self.infos.extend(other.infos);
    }

    /// The warnings, sorted.
    pub fn warnings(&self) -> impl ExactSizeIterator<Item = &str> {
        self.warnings.iter().map(String::as_str)
    }

    /// The infos, sorted.
    pub fn infos(&self) -> impl ExactSizeIterator<Item = &str> {
        self.infos.iter().map(String::as_str)
    }
}
