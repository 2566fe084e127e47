//! The labels of a series: names and values, sorted by name.

use std::cmp::Ordering;
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Labels(Arc<[Label]>);

/// The most labels that room is made for before they are seen.
const EXPECTED_MAX: usize = 64;

impl Labels {
    /// The set of `labels` in any order. Empty values are left out; of equal names the last stays.
    pub fn new<N, V>(labels: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<Arc<str>>,
        V: Into<Arc<str>>,
    {
        let labels = labels.into_iter();
        let (least, most) = labels.size_hint();
        let mut sorted: Vec<Label> = Vec::with_capacity(most.unwrap_or(least).min(EXPECTED_MAX));
        for (name, value) in labels {
            let label = Label { name: name.into(), value: value.into() };
            // A store and the parts of another set have them in order.
            if sorted.last().is_none_or(|last| last.name < label.name) {
                sorted.push(label);
                continue;
            }
            match sorted.binary_search_by(|known| known.name.cmp(&label.name)) {
                Ok(at) => sorted.splice(at..=at, [label]).for_each(drop),
                Err(at) => sorted.insert(at, label),
            }
        }
        sorted.retain(|label| !label.value.is_empty());
        Self(sorted.into())
    }

    /// The set of `labels`, which are sorted by name as a rule: then they are put in place at once.
    #[must_use]
    pub fn sorted(labels: impl Iterator<Item = Label>) -> Self {
        let labels: Arc<[Label]> = labels.collect();
        let sorted = labels.is_sorted_by(|a, b| a.name < b.name);
        if sorted && labels.iter().all(|label| !label.value.is_empty()) {
            return Self(labels);
        }
        Self::new(labels.iter().map(|label| (label.name.clone(), label.value.clone())))
    }

    /// The set without the labels whose name is `unwanted`.
    pub(crate) fn without(&self, unwanted: impl Fn(&str) -> bool) -> Self {
        let Some(at) = self.iter().position(|label| unwanted(&label.name)) else {
            return self.clone();
        };
        let (before, rest) = self.0.split_at(at);
        let after = rest.get(1..).unwrap_or_default();
        if after.iter().any(|label| unwanted(&label.name)) {
            let after = after.iter().filter(|label| !unwanted(&label.name));
            return Self(before.iter().chain(after).cloned().collect());
        }
        // Of a length that is known: in one piece.
        Self(before.iter().chain(after).cloned().collect())
    }

    /// The value of label `name`; empty when absent, as everywhere in PromQL.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.find(name).map_or("", |value| value)
    }

    /// The same, shared.
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<str>> {
        let at = self.0.binary_search_by(|label| (*label.name).cmp(name)).ok();
        at.and_then(|at| self.0.get(at)).map(|label| &label.value)
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

/// Label by label, as texts. Series of one store share most of theirs, which are not looked at then.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            return Ordering::Equal;
        }
        let text = |a: &Arc<str>, b: &Arc<str>| {
            if Arc::ptr_eq(a, b) { Ordering::Equal } else { a.cmp(b) }
        };
        let differ = self
            .iter()
            .zip(other)
            .map(|(a, b)| text(&a.name, &b.name).then_with(|| text(&a.value, &b.value)));
        let first = { differ }.find(|order| order.is_ne());
        first.unwrap_or_else(|| self.len().cmp(&other.len()))
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_order_gives_the_same_set_and_the_last_of_a_name_stays() {
        let set = Labels::new([("a", "1"), ("b", "2"), ("c", "3")]);
        assert_eq!(Labels::new([("c", "3"), ("a", "0"), ("b", "2"), ("a", "1"), ("d", "")]), set);
        assert_eq!(set.to_string(), r#"{a="1", b="2", c="3"}"#);
    }

    #[test]
    fn sorted_labels_are_taken_as_they_are_and_others_are_put_in_order() {
        let label = |name: &str, value: &str| Label { name: name.into(), value: value.into() };
        let of = |labels: &[(&str, &str)]| {
            Labels::sorted(labels.iter().map(|(name, value)| label(name, value)))
        };
        let set = Labels::new([("a", "1"), ("b", "2"), ("c", "3")]);
        assert_eq!(of(&[("a", "1"), ("b", "2"), ("c", "3")]), set);
        assert_eq!(of(&[("c", "3"), ("a", "0"), ("b", "2"), ("a", "1"), ("d", "")]), set);
        assert_eq!(of(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "")]), set);
        let without = |names: &str| set.without(|name| names.contains(name));
        assert_eq!(without(""), set);
        assert_eq!(without("b"), of(&[("a", "1"), ("c", "3")]));
        assert_eq!(without("ac"), of(&[("b", "2")]));
        assert_eq!(without("abc"), Labels::default());
    }

    #[test]
    fn sets_are_ordered_by_their_texts_whoever_shares_them() {
        let one = Labels::new([("a", "1"), ("b", "2")]);
        let part = |from: &Labels, at: usize| from.iter().nth(at).cloned().unwrap();
        let pair = |label: Label| (label.name, label.value);
        let shared = Labels::new([pair(part(&one, 0)), ("b".into(), "10".into())]);
        let shorter = Labels::new([pair(part(&one, 0))]);
        let mut sorted = [&one, &shared, &shorter];
        sorted.sort();
        assert_eq!(sorted, [&shorter, &shared, &one]);
        assert_eq!(one.cmp(&Labels::new([("a", "1"), ("b", "2")])), Ordering::Equal);
        assert!(one < Labels::new([("aa", "1")]));
    }
}
