//! The labels of a series: names and values, sorted by name.

use std::sync::Arc;

/// The label that holds the metric's name.
pub const NAME: &str = "__name__";

/// One label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// Any UTF-8; unique within a set.
    pub name: Arc<str>,
    /// Any UTF-8; never empty within a set, since an empty label is an absent one.
    pub value: Arc<str>,
}

/// A label set. Cloning shares it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Arc<[Label]>);

impl Labels {
    /// The set of `labels` in any order. Empty values are left out; of equal names the last stays.
    pub fn new<N, V>(labels: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<Arc<str>>,
        V: Into<Arc<str>>,
    {
        let mut sorted: Vec<Label> = Vec::new();
        for (name, value) in labels {
            let label = Label { name: name.into(), value: value.into() };
            match sorted.binary_search_by(|known| known.name.cmp(&label.name)) {
                Ok(at) => sorted.splice(at..=at, [label]).for_each(drop),
                Err(at) => sorted.insert(at, label),
            }
        }
        sorted.retain(|label| !label.value.is_empty());
        Self(sorted.into())
    }

    /// The value of label `name`; empty when absent, as everywhere in PromQL.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        let at = self.0.binary_search_by(|label| (*label.name).cmp(name)).ok();
        at.and_then(|at| self.0.get(at)).map_or("", |label| &label.value)
    }

    /// The metric's name; empty when absent.
    #[must_use]
    pub fn metric_name(&self) -> &str {
        self.get(NAME)
    }

    /// Every label, by name.
    pub fn iter(&self) -> std::slice::Iter<'_, Label> {
        self.0.iter()
    }

    /// How many labels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// As Prometheus writes a label set: `{__name__="up", job="x"}`.
impl std::fmt::Display for Labels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("{")?;
        for (at, label) in self.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            let mut letters = label.name.chars();
            let first = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
            if first && letters.all(|c| c.is_ascii_alphanumeric() || c == '_') {
                write!(f, "{comma}{}={:?}", label.name, label.value)?;
            } else {
                write!(f, "{comma}{:?}={:?}", label.name, label.value)?;
            }
        }
        f.write_str("}")
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = &'a Label;
    type IntoIter = std::slice::Iter<'a, Label>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
