//! Label names and label sets as Prometheus has them.
//!
//! A character that a label name cannot hold becomes an underscore, runs kept; a name that would begin with a digit
//! gets `key_` in front, one with a single underscore `key`. Attributes whose names become equal share a label,
//! their values joined by `;` in the order of keys. An empty value is an absent label. Pure; runs once per
//! series. Source: prometheus/otlptranslator 1.0 with the defaults of Prometheus 3.15.

use std::collections::BTreeMap;

use sidelight_wire::view::Attributes;

use super::value;
use crate::store::Fingerprint;

/// The most attributes of one point, resource or scope that are looked at.
pub const ATTRIBUTES_MAX: usize = 256;
/// The longest name of a label or metric.
pub const NAME_BYTES_MAX: usize = 1 << 10;

/// Why attributes make no label set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// A key is empty, too long, or holds nothing that can be written.
    Name,
    /// More than [`ATTRIBUTES_MAX`].
    TooMany,
}

/// The name of the label of an attribute, or `None` when nothing of the key can be written.
#[must_use]
pub fn label_name(key: &str) -> Option<String> {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut name: String = key.chars().map(|c| if valid(c) { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert_str(0, "key_");
    } else if name.starts_with('_') && !name.starts_with("__") {
        name.insert_str(0, "key");
    }
    let written = name == key || name.bytes().any(|byte| byte != b'_');
    (written && !name.is_empty() && name.len() <= NAME_BYTES_MAX).then_some(name)
}

/// Labels by name. No value is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSet(BTreeMap<String, String>);

impl LabelSet {
    /// The labels of `attributes`, values cut to `value_bytes_max`.
    ///
    /// # Errors
    /// [`Invalid`]: drop what they belong to, and count it.
    pub fn of(attributes: Attributes<'_>, value_bytes_max: usize) -> Result<Self, Invalid> {
        let mut sorted: Vec<(String, String)> = Vec::new();
        for attribute in attributes {
            if sorted.len() == ATTRIBUTES_MAX {
                return Err(Invalid::TooMany);
            }
            let value = cut(value::text(attribute.value), value_bytes_max);
            sorted.push((attribute.key.to_string_lossy().into_owned(), value));
        }
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        let mut set = Self::default();
        for (key, value) in sorted {
            set.join(label_name(&key).ok_or(Invalid::Name)?, &value);
        }
        Ok(set)
    }

    /// Adds a value to a label, after the one that it has.
    pub fn join(&mut self, name: String, value: &str) {
        match self.0.get_mut(&name) {
            Some(known) => {
                known.push(';');
                known.push_str(value);
            }
            None => self.set(name, value),
        }
    }

    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        if value.is_empty() {
            self.0.remove(&name);
        } else {
            self.0.insert(name, value);
        }
    }

    /// Sets a label that is not there.
    pub fn set_absent(&mut self, name: &str, value: &str) {
        if !value.is_empty() && !self.0.contains_key(name) {
            self.0.insert(name.to_owned(), value.to_owned());
        }
    }

    /// Removes a label.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Whether there is no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The labels in the order of names.
    #[must_use]
    pub fn as_sorted(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

/// At most `max` bytes of `text`, cut between characters. What was cut ends in `~` and a hash of all of it, so that texts
/// that differ stay different, unless `max` has no room for that.
pub(super) fn cut(mut text: String, max: usize) -> String {
    if text.len() <= max {
        return text;
    }
    let ending = format!("~{:016x}", Fingerprint::of_text(&text).0);
    let ending = Some(ending).filter(|ending| ending.len() * 2 <= max).unwrap_or_default();
    text.truncate(text.floor_char_boundary(max - ending.len()));
    text.push_str(&ending);
    // What is cut off is not kept in memory either.
    text.shrink_to_fit();
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::{point_attributes, text};
    use super::*;

    #[test]
    fn long_values_that_differ_at_their_ends_stay_different_labels() {
        let long = |end: &str| "é".repeat(40) + end;
        let (one, other) = (cut(long("1"), 64), cut(long("2"), 64));
        assert!(one != other && one.len() <= 64 && one.starts_with("éé"), "{one} {other}");
        assert_eq!(one, cut(long("1"), 64));
        assert_eq!(cut("short".to_owned(), 5), "short");
        assert_eq!(cut("short".to_owned(), 3), "sho");
    }

    #[test]
    fn label_names_are_those_that_prometheus_writes() {
        for (key, expected) in [
            ("http.route", "http_route"),
            ("_under", "key_under"),
            ("__reserved", "__reserved"),
            ("1digit", "key_1digit"),
            ("foo..bar", "foo__bar"),
            ("a:b", "a_b"),
            ("é", "key_"),
            ("日本", ""),
            ("日x", "key_x"),
            ("", ""),
            ("_", "key_"),
            ("___", "___"),
            ("...", ""),
            ("le", "le"),
        ] {
            assert_eq!(label_name(key).unwrap_or_default(), expected, "{key}");
        }
    }

    #[test]
    fn colliding_keys_join_their_values_in_key_order() {
        let attributes = [text("foo_bar", "under"), text("foo.bar", "dot"), text("foo/bar", "")];
        let set = point_attributes(&attributes, |a| LabelSet::of(a, 100)).unwrap();
        assert_eq!(set.as_sorted(), [("foo_bar", "dot;;under")]);
    }

    #[test]
    fn empty_values_are_absent_and_long_ones_are_cut_between_characters() {
        let attributes = [text("empty", ""), text("long", "aéé")];
        let set = point_attributes(&attributes, |a| LabelSet::of(a, 4)).unwrap();
        assert_eq!(set.as_sorted(), [("long", "aé")]);
    }

    #[test]
    fn attributes_that_are_too_many_or_have_no_name_make_no_set() {
        let many: Vec<_> = (0..=ATTRIBUTES_MAX).map(|i| text(&format!("k{i}"), "v")).collect();
        assert_eq!(point_attributes(&many, |a| LabelSet::of(a, 9)), Err(Invalid::TooMany));
        assert_eq!(
            point_attributes(&[text("日本", "v")], |a| LabelSet::of(a, 9)),
            Err(Invalid::Name)
        );
        let long = text(&"k".repeat(NAME_BYTES_MAX + 1), "v");
        assert_eq!(point_attributes(&[long], |a| LabelSet::of(a, 9)), Err(Invalid::Name));
    }
}
