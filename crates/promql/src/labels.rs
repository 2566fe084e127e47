//! The labels of a series: names and values, sorted by name.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
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

/// A label set. Cloning shares it, and so does leaving out what stands first.
#[derive(Clone, Default)]
pub struct Labels {
    all: Arc<[Label]>,
    /// How many of them, from the first, are not of the set.
    left_out: usize,
}

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
        Self::of(sorted.into())
    }

    const fn of(all: Arc<[Label]>) -> Self {
        Self { all, left_out: 0 }
    }

    fn as_slice(&self) -> &[Label] {
        self.all.get(self.left_out..).unwrap_or_default()
    }

    /// The set of `labels`, which are sorted by name as a rule: then they are put in place at once.
    #[must_use]
    pub fn sorted(labels: impl Iterator<Item = Label>) -> Self {
        let labels: Arc<[Label]> = labels.collect();
        let sorted = labels.is_sorted_by(|a, b| a.name < b.name);
        if sorted && labels.iter().all(|label| !label.value.is_empty()) {
            return Self::of(labels);
        }
        Self::new(labels.iter().map(|label| (label.name.clone(), label.value.clone())))
    }

    /// The set without the labels whose name is `unwanted`.
    pub(crate) fn without(&self, unwanted: impl Fn(&str) -> bool) -> Self {
        let Some(at) = self.iter().position(|label| unwanted(&label.name)) else {
            return self.clone();
        };
        let (before, rest) = self.as_slice().split_at(at);
        let after = rest.get(1..).unwrap_or_default();
        if after.iter().any(|label| unwanted(&label.name)) {
            let after = after.iter().filter(|label| !unwanted(&label.name));
            return Self::of(before.iter().chain(after).cloned().collect());
        }
        if before.is_empty() {
            return Self { all: Arc::clone(&self.all), left_out: self.left_out + 1 };
        }
        // Of a length that is known: in one piece.
        Self::of(before.iter().chain(after).cloned().collect())
    }

    /// The set of those labels whose name is one of `names`, which are sorted.
    pub(crate) fn only(&self, names: &[&str]) -> Self {
        match names {
            // In one piece.
            [name] => Self::of(self.label(name).into_iter().cloned().collect()),
            names => Self::of(names.iter().filter_map(|name| self.label(name)).cloned().collect()),
        }
    }

    fn label(&self, name: &str) -> Option<&Label> {
        let labels = self.as_slice();
        // The metric's name as a rule, which is asked for most.
        if let Some(first) = labels.first()
            && *first.name == *name
        {
            return Some(first);
        }
        let at = labels.binary_search_by(|label| (*label.name).cmp(name)).ok();
        at.and_then(|at| labels.get(at))
    }

    /// The value of label `name`; empty when absent, as everywhere in PromQL.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.find(name).map_or("", |value| value)
    }

    /// The same, shared.
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<str>> {
        self.label(name).map(|label| &label.value)
    }

    /// The metric's name; empty when absent.
    #[must_use]
    pub fn metric_name(&self) -> &str {
        self.get(NAME)
    }

    /// Every label, by name.
    pub fn iter(&self) -> std::slice::Iter<'_, Label> {
        self.as_slice().iter()
    }

    /// How many labels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }
}

impl std::fmt::Debug for Labels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Labels").field(&self.as_slice()).finish()
    }
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.cmp(other).is_eq()
    }
}

impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

/// Label by label, as texts. Series of one store share most of theirs, which are not looked at then.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.all, &other.all) && self.left_out == other.left_out {
            return Ordering::Equal;
        }
        for (a, b) in self.iter().zip(other) {
            for (a, b) in [(&a.name, &b.name), (&a.value, &b.value)] {
                let order = if Arc::ptr_eq(a, b) { Ordering::Equal } else { a.cmp(b) };
                if order.is_ne() {
                    return order;
                }
            }
        }
        self.len().cmp(&other.len())
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
        let rest = without("a");
        assert_eq!(rest, of(&[("b", "2"), ("c", "3")]));
        assert_eq!((rest.len(), rest.get("a"), rest.get("b"), rest.get("c")), (2, "", "2", "3"));
        assert_eq!(rest.without(|name| name == "b"), of(&[("c", "3")]));
        assert_eq!(rest.without(|name| name == "c"), of(&[("b", "2")]));
        assert!(rest > set && rest != set && set == set.clone());
        let known = std::collections::HashSet::from([of(&[("b", "2"), ("c", "3")])]);
        assert!(known.contains(&rest));
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
