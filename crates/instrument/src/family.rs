//! Instruments bound to the values of labels: looked up without an allocation, bounded in number.
//!
//! Limits: as many as the metric may have series, values of at most [`VALUE_BYTES_MAX`] bytes. What is beyond is counted, and
//! recorded under `_OTHER` where one label of a handle is open, else in the series `otel.metric.overflow="true"`, as the SDK
//! does it.
//! Cost: a hash of the values for a known set, a binding for one that is not.

use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

use opentelemetry::KeyValue;

use crate::limits;
use crate::outcome::OTHER;
use crate::table::Table;

/// Sets beyond the limit that have no value that could be any: attempts are retried ten times and more, by one reason.
const FEW: usize = 16;

/// The longest value of a label that has a series of its own.
pub(crate) const VALUE_BYTES_MAX: usize = 256;

/// What was bound, by the values of `N` labels.
pub(crate) struct Family<const N: usize, B> {
    series_max: usize,
    /// Which label has any values, where the others have few.
    open: Option<usize>,
    by_values: Table<[Box<str>; N], B>,
    overflow: OnceLock<B>,
}

/// Values that hash as those that are kept.
struct Values<'a, const N: usize>(&'a [&'a str; N]);

impl<const N: usize> Hash for Values<'_, N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|value| value.hash(state));
    }
}

impl<const N: usize> Values<'_, N> {
    fn are(&self, known: &[Box<str>; N]) -> bool {
        self.0.iter().zip(known).all(|(value, known)| **value == **known)
    }
}

impl<const N: usize, B> Family<N, B> {
    pub(crate) fn new(series_max: usize) -> Self {
        Self::of(series_max, None)
    }

    /// One whose label at `open` alone has any values: past the limit that value is [`OTHER`], and the rest is as it is, so
    /// that sums over it stay whole.
    pub(crate) fn open(series_max: usize, open: usize) -> Self {
        Self::of(series_max, Some(open))
    }

    fn of(series_max: usize, open: Option<usize>) -> Self {
        // Most have a few series of the many that they may have.
        let by_values = Table::new(series_max.min(128));
        Self { series_max, open, by_values, overflow: OnceLock::new() }
    }

    /// What is bound to `values`; `bind` makes it of the attributes that are `fixed` and the labels with their values. An
    /// empty value is no attribute.
    #[inline]
    pub(crate) fn get(
        &self,
        fixed: &[KeyValue],
        labels: &[&'static str; N],
        values: [&str; N],
        bind: impl Fn(&[KeyValue]) -> B,
    ) -> &B {
        let wanted = Values(&values);
        let hash = self.by_values.hash(&wanted);
        match self.by_values.find(hash, |known| wanted.are(known)) {
            Some(bound) => bound,
            None => self.add(fixed, labels, values, &bind),
        }
    }

    #[cold]
    fn add(
        &self,
        fixed: &[KeyValue],
        labels: &[&'static str; N],
        values: [&str; N],
        bind: &dyn Fn(&[KeyValue]) -> B,
    ) -> &B {
        let wanted = Values(&values);
        let hash = self.by_values.hash(&wanted);
        if let Some(bound) = self.by_values.find(hash, |known| wanted.are(known)) {
            return bound;
        }
        let room = self.room(&values);
        let long = values.iter().any(|value| value.len() > VALUE_BYTES_MAX);
        if long || self.by_values.len() >= room {
            return self.past_limit(fixed, labels, values, bind);
        }
        let mut attributes = fixed.to_vec();
        let named = labels.iter().zip(&values).filter(|(_, value)| !value.is_empty());
        attributes.extend(named.map(|(label, value)| KeyValue::new(*label, (*value).to_owned())));
        attributes.sort_by(|a, b| a.key.as_str().cmp(b.key.as_str()));
        // Bound before the table is locked: the SDK has locks of its own, and logs.
        let bound = bind(&attributes);
        match self.by_values.add(hash, values.map(Box::from), room, |_, _| bound) {
            Some(bound) => bound,
            None => self.past_limit(fixed, labels, values, bind),
        }
    }

    /// Sets without a value that could be any are few.
    fn room(&self, values: &[&str; N]) -> usize {
        let open = self.open.and_then(|open| values.get(open));
        let few = open.is_some_and(|value| value.is_empty() || *value == OTHER);
        if few { self.series_max.saturating_add(FEW) } else { self.series_max }
    }

    fn past_limit(
        &self,
        fixed: &[KeyValue],
        labels: &[&'static str; N],
        mut values: [&str; N],
        bind: &dyn Fn(&[KeyValue]) -> B,
    ) -> &B {
        if let Some(open) = self.open.and_then(|open| values.get_mut(open))
            && !open.is_empty()
            && *open != OTHER
        {
            *open = OTHER;
            limits::overflow("values of a label");
            return self.add(fixed, labels, values, bind);
        }
        limits::overflow("values of a label");
        self.overflow.get_or_init(|| bind(&[KeyValue::new("otel.metric.overflow", true)]))
    }
}

/// One of each of `N` values of an attribute, bound when it is first recorded: the SDK exports what is bound, recorded or
/// not, and counts it among the series.
pub(crate) struct Each<const N: usize, B>([OnceLock<B>; N]);

impl<const N: usize, B> Each<N, B> {
    pub(crate) fn new() -> Self {
        Self([const { OnceLock::new() }; N])
    }

    /// What was bound before.
    #[inline]
    pub(crate) fn known(&self, index: usize) -> Option<&B> {
        self.0.get(index)?.get()
    }

    #[inline]
    pub(crate) fn with(&self, index: usize, bind: impl FnOnce() -> B, then: impl FnOnce(&B)) {
        if let Some(one) = self.0.get(index) {
            then(one.get_or_init(bind));
        }
    }
}

/// Attributes as the SDK looks them up: sorted by key.
pub(crate) fn sorted(
    attributes: &[KeyValue],
    more: &[(&'static str, &'static str)],
) -> Vec<KeyValue> {
    let mut all = attributes.to_vec();
    all.extend(more.iter().map(|(key, value)| KeyValue::new(*key, *value)));
    all.sort_by(|a, b| a.key.as_str().cmp(b.key.as_str()));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(family: &Family<2, String>, values: [&str; 2]) -> String {
        let bind = |attributes: &[KeyValue]| {
            let said = attributes.iter().map(|of| format!("{}={}", of.key, of.value));
            said.collect::<Vec<_>>().join(",")
        };
        let fixed = [KeyValue::new("m", "x")];
        family.get(&fixed, &["z", "a"], values, bind).clone()
    }

    #[test]
    fn attributes_are_sorted_and_empty_values_are_none() {
        let family = Family::new(10);
        assert_eq!(bound(&family, ["1", "2"]), "a=2,m=x,z=1");
        assert_eq!(bound(&family, ["1", ""]), "m=x,z=1");
        assert_eq!(bound(&family, ["", "1"]), "a=1,m=x");
    }

    #[test]
    fn past_the_limit_an_open_label_is_other_and_the_rest_stays() {
        let family = Family::open(1, 1);
        for value in ["1", "2", "3"] {
            bound(&family, ["retry", value]);
        }
        assert_eq!(bound(&family, ["retry", "4"]), "a=_OTHER,m=x,z=retry");
        assert_eq!(bound(&family, ["success", &"x".repeat(257)]), "a=_OTHER,m=x,z=success");
        assert_eq!(bound(&family, ["success", ""]), "m=x,z=success");
        assert_eq!(bound(&family, ["retry", "1"]), "a=1,m=x,z=retry");
        for end in 0..100 {
            bound(&family, [&end.to_string(), "5"]);
        }
        assert_eq!(family.by_values.len(), 1 + FEW);
        assert_eq!(bound(&family, ["another", "6"]), "otel.metric.overflow=true");
    }

    #[test]
    fn what_is_past_the_limit_or_too_long_goes_to_one_series() {
        let family = Family::new(2);
        let before = limits::overflowed();
        for value in ["1", "2", "3", "4"] {
            bound(&family, [value, ""]);
        }
        assert_eq!(bound(&family, ["5", ""]), "otel.metric.overflow=true");
        assert_eq!(bound(&family, ["1", ""]), "m=x,z=1");
        assert_eq!(family.by_values.len(), 2);
        assert_eq!(bound(&Family::new(9), ["", &"x".repeat(257)]), "otel.metric.overflow=true");
        assert!(limits::overflowed() >= before + 4);
    }
}
