//! A series as it stands on a page of Prometheus text: its name and labels escaped or quoted as the request has it.
//!
//! What escaping makes one is written once: the one that needed none, else the first. Prometheus writes all of them, which its
//! own readers take and others do not.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use sidelight_promql::Labels;
use sidelight_promql::labels::NAME;

use super::encode;
use crate::telemetry::Escaping;
use crate::telemetry::escaping::{is_plain, quoted};

/// Labels as they are written.
pub(super) type Pairs<'a> = [(Cow<'a, str>, &'a str)];

/// A series as it is written: its name and labels escaped, each label once.
pub(super) struct Written<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) labels: Vec<(Cow<'a, str>, &'a str)>,
    /// Whether any name is another than it was.
    changed: bool,
}

impl<'a> Written<'a> {
    pub(super) fn of(
        name: &'a str,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        escaping: Escaping,
    ) -> Self {
        let (odd, plain): (Vec<_>, Vec<_>) =
            labels.partition(|(name, _)| escaping.changes_label(name));
        let mut labels: Vec<_> =
            plain.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)).collect();
        let changed = !odd.is_empty() || escaping.changes_metric(name);
        for (name, value) in odd {
            let name = escaping.label(name);
            if labels.iter().all(|(known, _)| *known != name) {
                labels.push((name, value));
            }
        }
        if changed {
            labels.sort_unstable();
        }
        Self { name: escaping.metric(name), labels, changed }
    }
}

/// Which of `series` to write so that none is written twice: where escaping made several one, that which it left alone, else
/// the first.
pub(super) fn once_each(series: &[Written<'_>]) -> Vec<bool> {
    if series.iter().all(|one| !one.changed) {
        return vec![true; series.len()];
    }
    let left_alone = series.iter().filter(|one| !one.changed);
    let mut taken: BTreeSet<_> = left_alone.map(|one| (&one.name, &one.labels)).collect();
    series.iter().map(|one| !one.changed || taken.insert((&one.name, &one.labels))).collect()
}

/// The labels but for the name.
pub(super) fn pairs(labels: &Labels) -> impl Iterator<Item = (&str, &str)> {
    let pairs = labels.iter().map(|label| (&*label.name, &*label.value));
    pairs.filter(|(name, _)| *name != NAME)
}

/// Writes `name{label="value"} 1.5`.
pub(super) fn line(out: &mut String, name: &str, labels: &Pairs<'_>, value: f64) {
    let plain = is_plain(name, true);
    let pairs = labels.iter().map(|(name, value)| {
        let name =
            if is_plain(name, false) { Cow::Borrowed(&**name) } else { Cow::Owned(quoted(name)) };
        format!("{name}={}", quoted(value))
    });
    let inner: Vec<String> = (!plain).then(|| quoted(name)).into_iter().chain(pairs).collect();
    out.push_str(if plain { name } else { "" });
    if !inner.is_empty() {
        let _ = write!(out, "{{{}}}", inner.join(","));
    }
    out.push(' ');
    encode::number(out, value);
}
