//! Which series meet matchers.
//!
//! Values are tried without the lock: it is held to list them and to join their postings, each a pass over an
//! index at most.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use sidelight_promql::ast::Matcher;

use super::symbols::Symbol;
use super::{Head, NAME};
use crate::store::virtual_series::{self, LE, Suffix, base, suffixed};
use crate::store::{Kind, SeriesId};

/// A series that meets matchers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Target {
    pub(in crate::store) id: SeriesId,
    pub(in crate::store) views: Views,
}

/// As what a series is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Views {
    /// As it is stored.
    Plain,
    /// As the virtual series of a histogram with explicit bounds: by [`Suffix`], whether its name fits.
    Virtual([bool; 3]),
}

impl Views {
    /// As what a series of this kind and stored name is seen, if `matchers` on the name let it.
    pub(in crate::store) fn of(kind: Kind, metric: &str, matchers: &[Matcher]) -> Option<Self> {
        let name_fits = |name: &str| matchers.iter().all(|m| m.name != NAME || m.matches(name));
        if kind != Kind::Classic {
            return name_fits(metric).then_some(Self::Plain);
        }
        let fit = Suffix::ALL.map(|suffix| name_fits(&suffixed(metric, suffix)));
        fit.contains(&true).then_some(Self::Virtual(fit))
    }
}

/// One condition, as far as postings go.
enum Condition<'a> {
    /// The series of one of these values.
    Any(&'a str, Vec<(Symbol, Arc<str>)>),
    /// But not the series of one of these.
    None(&'a str, Vec<(Symbol, Arc<str>)>),
}

/// Every series of the head that meets `matchers`, virtual names and bounds considered. Bounds themselves
/// are left to whoever reads the samples.
pub(in crate::store) fn resolve(head: &RwLock<Head>, matchers: &[Matcher]) -> Vec<Target> {
    let conditions: Vec<_> = matchers.iter().map(|m| condition(head, m, false)).collect();
    let mut targets = Vec::new();
    {
        let head = head.read().unwrap_or_else(PoisonError::into_inner);
        let found = head.meeting(&conditions, None, false);
        let ids = found.iter().filter_map(|&index| head.at(index));
        targets.extend(ids.map(|(id, _)| Target { id, views: Views::Plain }));
    }
    let names = {
        let head = head.read().unwrap_or_else(PoisonError::into_inner);
        match virtual_series::named(matchers) {
            Some(named) => {
                let bases: BTreeSet<_> = named.iter().filter_map(|name| base(name)).collect();
                head.known(bases)
            }
            None => head.values(NAME, true),
        }
    };
    let named: Vec<_> = names
        .into_iter()
        .filter_map(|(symbol, name)| {
            Views::of(Kind::Classic, &name, matchers).map(|views| (symbol, name, views))
        })
        .collect();
    if named.is_empty() {
        return targets;
    }
    // A bound is no label of what is stored.
    let others = matchers.iter().filter(|m| m.name != NAME && m.name != LE);
    let conditions: Vec<_> = others.map(|m| condition(head, m, true)).collect();
    for (symbol, name, views) in named {
        let head = head.read().unwrap_or_else(PoisonError::into_inner);
        let found = head.meeting(&conditions, Some((symbol, &*name)), true);
        let ids = found.iter().filter_map(|&index| head.at(index));
        targets.extend(ids.map(|(id, _)| Target { id, views }));
    }
    targets
}

fn condition<'a>(head: &RwLock<Head>, matcher: &'a Matcher, classic: bool) -> Condition<'a> {
    let name = &*matcher.name;
    let named = matcher.named().filter(|texts| texts.iter().all(|text| !text.is_empty()));
    let values: Vec<(Symbol, Arc<str>)> = {
        let head = head.read().unwrap_or_else(PoisonError::into_inner);
        match named {
            Some(texts) => head.known(texts.iter().map(String::as_str)),
            None => head.values(name, classic),
        }
    };
    let with = |wanted: bool| {
        values.into_iter().filter(|(_, text)| matcher.matches(text) == wanted).collect()
    };
    // What matches the empty value matches series without the label too.
    if matcher.matches("") {
        Condition::None(name, with(false))
    } else {
        Condition::Any(name, with(true))
    }
}

impl Head {
    /// The symbols of those texts that have one.
    fn known<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> Vec<(Symbol, Arc<str>)> {
        let symbols = texts.into_iter().filter_map(|text| self.symbols.find(text));
        symbols.map(|symbol| (symbol, self.symbols.shared(symbol))).collect()
    }

    /// The values of label `name`: of plain series, or of histograms with explicit bounds.
    fn values(&self, name: &str, classic: bool) -> Vec<(Symbol, Arc<str>)> {
        let values = self.counted(name, classic);
        values.into_iter().map(|(symbol, text, _)| (symbol, text)).collect()
    }

    /// The series that meet all conditions, ascending; with `metric`, only those of that name.
    fn meeting(
        &self,
        conditions: &[Condition<'_>],
        metric: Option<(Symbol, &str)>,
        classic: bool,
    ) -> Vec<u32> {
        let postings = if classic { &self.classic } else { &self.plain };
        let list = |name: &str, value: Symbol, text: &str| {
            let name = self.symbols.find(name).filter(|_| self.symbols.text(value) == text);
            name.map_or(&[][..], |name| postings.get(name, value))
        };
        let mut found: Option<Vec<u32>> =
            metric.map(|(symbol, text)| list(NAME, symbol, text).to_vec());
        let mut any: Vec<Vec<&[u32]>> = Vec::new();
        for condition in conditions {
            if let Condition::Any(name, values) = condition {
                any.push(values.iter().map(|(value, text)| list(name, *value, text)).collect());
            }
        }
        any.sort_by_key(|lists| lists.iter().map(|list| list.len()).sum::<usize>());
        for lists in any {
            let union;
            let series = match &lists[..] {
                [series] => series,
                _ => {
                    let mut joined = lists.concat();
                    joined.sort_unstable();
                    union = joined;
                    &*union
                }
            };
            match &mut found {
                Some(found) => intersect(found, series, true),
                None => found = Some(series.to_vec()),
            }
        }
        let mut found = found.unwrap_or_else(|| postings.all().to_vec());
        for condition in conditions {
            let Condition::None(name, values) = condition else { continue };
            for (value, text) in values {
                if found.is_empty() {
                    return found;
                }
                intersect(&mut found, list(name, *value, text), false);
            }
        }
        found
    }
}

/// Keeps of `kept` what is (or is not) in `others`; both ascending. `kept` is walked: the shortest list comes first.
fn intersect(kept: &mut Vec<u32>, others: &[u32], present: bool) {
    kept.retain(|series| others.binary_search(series).is_ok() == present);
}
