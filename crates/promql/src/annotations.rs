//! What an evaluation has to say besides its answer, as Prometheus words it.

use std::collections::BTreeMap;
use std::fmt::Display;

/// Warnings and infos. Of equal ones at several places the last stays, as in Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    warnings: Texts,
    infos: Texts,
}

/// What is said, with the place behind it, by what is said.
type Texts = BTreeMap<String, String>;

impl Annotations {
    /// Adds a warning: the answer is likely wrong. `message` without the `PromQL warning: ` in front,
    /// `place` as in `1:14`.
    pub fn warn(&mut self, message: impl Display, place: impl Display) {
        insert(&mut self.warnings, format!("PromQL warning: {message}"), place);
    }

    /// Adds a warning of the store: the answer lacks something.
    pub fn lack(&mut self, message: String) {
        self.warnings.insert(message.clone(), message);
    }

    /// Adds an info: the answer may not be what was meant. `message` without the `PromQL info: ` in front,
    /// `place` as in `1:14`.
    pub fn info(&mut self, message: impl Display, place: impl Display) {
        insert(&mut self.infos, format!("PromQL info: {message}"), place);
    }

    /// Adds everything that `other` says.
    pub fn merge(&mut self, other: Self) {
        self.warnings.extend(other.warnings);
        self.infos.extend(other.infos);
    }

    /// The warnings, sorted.
    pub fn warnings(&self) -> impl ExactSizeIterator<Item = &str> {
        self.warnings.values().map(String::as_str)
    }

    /// The infos, sorted.
    pub fn infos(&self) -> impl ExactSizeIterator<Item = &str> {
        self.infos.values().map(String::as_str)
    }
}

fn insert(texts: &mut Texts, text: String, place: impl Display) {
    let whole = format!("{text} ({place})");
    texts.insert(text, whole);
}
