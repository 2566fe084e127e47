//! `/metrics`: the store's series as text with types and without times, in Prometheus' format or OpenMetrics.
//!
//! Native histograms have no form in either: their sum and count are shown as a summary or, beside a classic histogram of the
//! name, as a histogram with the bucket `+Inf`. Families that escaping makes one are written once ([`super::written`]).
//!
//! Readers that check refuse a page for one line, so what cannot stand in a family of its type is left out: a series that is
//! named as a part of a histogram or summary but is none, and in OpenMetrics counts and sums that are negative or no number,
//! the sum and count of a histogram with negative buckets, and the count of one without a sum.
//!
//! Sources: Prometheus text format 0.0.4, OpenMetrics 1.0.0.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::ops::ControlFlow;

use sidelight_promql::Expr;
use sidelight_promql::ast::{Duration, MatchOp, Matcher, Span, VectorSelector};
use sidelight_promql::engine::{Engine, Options};
use sidelight_promql::labels::NAME;
use sidelight_promql::source::{Points, Queryable, Reads, Selection, is_stale};
use sidelight_promql::value::{Sample, Value};

use crate::store::{Metadata, MetricKind, Store};
use crate::telemetry::Exposition;
use crate::time::UnixNano;

#[cfg(test)]
mod tests;
mod typed;

use typed::typed;

const BUCKET: &str = "_bucket";
const SUM: &str = "_sum";
const COUNT: &str = "_count";

/// Series that are read at once, unless a family has more: a read of many may be a pass over the file of the day.
const SERIES_AT_ONCE: usize = 4_096;

/// Writes every stored family that `out` does not hold yet, as of `now`, under the limits of `options` for each. Some families
/// are held at a time.
pub(in crate::api) fn expose(
    store: &Store,
    now: UnixNano,
    options: Options<'_>,
    out: &mut Exposition,
) -> Result<(), Box<dyn Error>> {
    let engine = Engine::new(options);
    let stopped = || (options.stop)().is_some();
    let (now_ms, reading) = (now.as_ms(), store.reading(&stopped));
    let names = names(&reading, now_ms, options.lookback)?;
    let known: BTreeMap<String, Metadata> = store.metadata(None, usize::MAX).into_iter().collect();
    let unread = families(&names, &known, out, |parts| -> Result<_, Box<dyn Error>> {
        if stopped() {
            return Err(Box::from("who asked has gone"));
        }
        let matchers = vec![Matcher::one_of(NAME, parts)];
        let (offset, span) = (Duration::Fixed(0), Span::default());
        let selector = VectorSelector { name: None, matchers, offset, at: None, span };
        match engine.instant(&Expr::Vector(selector), now_ms, &reading)?.value {
            Value::Vector(samples) => Ok(samples),
            _ => Ok(Vec::new()),
        }
    });
    match &unread[..] {
        [] => Ok(()),
        [(family, error), ..] => {
            Err(format!("{} families cannot be read, such as {family}: {error}", unread.len())
                .into())
        }
    }
}

/// How many series of each name have a sample that is no marker of their end.
fn names(
    store: &dyn Queryable,
    until: i64,
    lookback: i64,
) -> Result<BTreeMap<String, usize>, Box<dyn Error>> {
    let matchers = [Matcher::new(NAME, MatchOp::NotEqual, "")?];
    let (after, reads) = (until.saturating_sub(lookback), Reads::Last);
    let every = Selection { matchers: &matchers, after, until, step: 0, range: 0, lookback, reads };
    let mut names = BTreeMap::new();
    store.select(&every, &mut |labels, points| {
        let name = labels.metric_name();
        if is_present(points) {
            match names.get_mut(name) {
                Some(series) => *series += 1,
                None => drop(names.insert(name.to_owned(), 1)),
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(names)
}

/// Whether the last sample is no marker of the series' end.
fn is_present(Points { floats, histograms }: &Points) -> bool {
    let float = floats.last().map(|(time, value)| (*time, *value));
    let histogram = histograms.last().map(|(time, histogram)| (*time, histogram.sum));
    let last = float.into_iter().chain(histogram).max_by_key(|(time, _)| *time);
    last.is_some_and(|(_, value)| !is_stale(value))
}

/// A family to be written: the names of its series, and how many there are.
#[derive(Debug, Default)]
struct Parts<'a> {
    family: &'a str,
    names: Vec<&'a str>,
    series: usize,
}

/// Writes the families of series that are named so, with the samples that `of` has of some names; says which of them it had
/// none of, and why. Those that are read with one that cannot be are read alone.
fn families<E>(
    names: &BTreeMap<String, usize>,
    known: &BTreeMap<String, Metadata>,
    out: &mut Exposition,
    of: impl Fn(&[&str]) -> Result<Vec<Sample>, E>,
) -> Vec<(String, E)> {
    let present: BTreeSet<&str> = names.keys().map(String::as_str).collect();
    let mut families: BTreeMap<&str, Parts<'_>> = BTreeMap::new();
    for (name, series) in names {
        let family = family(name, known, &present);
        let parts = families.entry(family).or_insert(Parts { family, ..Parts::default() });
        parts.names.push(name);
        parts.series += series;
    }
    // What needs no escaping has its name first.
    let mut families: Vec<_> = families.into_values().collect();
    families.sort_by_key(|parts| out.escaping().changes_metric(parts.family));
    let mut waiting = at_once(&families);
    waiting.reverse();
    let nothing = Metadata::default();
    let mut unread = Vec::new();
    while let Some(some) = waiting.pop() {
        let names: Vec<_> = some.iter().flat_map(|parts| &parts.names).copied().collect();
        match (of(&names), some) {
            (Ok(samples), _) => {
                for (parts, samples) in some.iter().zip(by_family(some, samples)) {
                    let of = known.get(parts.family).unwrap_or(&nothing);
                    typed(parts.family, of, &samples, out);
                }
            }
            (Err(error), [alone]) => unread.push((alone.family.to_owned(), error)),
            (Err(_), _) => waiting.extend(some.chunks(1).rev()),
        }
    }
    unread
}

/// Those that are read at once.
fn at_once<'a, 'p>(mut families: &'a [Parts<'p>]) -> Vec<&'a [Parts<'p>]> {
    let mut all = Vec::new();
    while !families.is_empty() {
        let mut series = 0;
        let fits = |parts: &&Parts<'_>| {
            series += parts.series;
            series <= SERIES_AT_ONCE
        };
        let (some, rest) = families.split_at(families.iter().take_while(fits).count().max(1));
        all.push(some);
        families = rest;
    }
    all
}

/// The samples of each family.
fn by_family(families: &[Parts<'_>], samples: Vec<Sample>) -> Vec<Vec<Sample>> {
    let of_name: HashMap<&str, usize> = (0..)
        .zip(families)
        .flat_map(|(nth, parts)| parts.names.iter().map(move |name| (*name, nth)))
        .collect();
    let mut of_family: Vec<_> = families.iter().map(|_| Vec::new()).collect();
    for sample in samples {
        let nth = of_name.get(sample.labels.metric_name());
        if let Some(family) = nth.and_then(|nth| of_family.get_mut(*nth)) {
            family.push(sample);
        }
    }
    of_family
}

/// The family of a series: its name, or what is before the suffix that its type gives it. A family of its own whose name is
/// that of a part of a histogram or summary is none while other parts of that are there: no reader takes both.
fn family<'a>(
    name: &'a str,
    known: &BTreeMap<String, Metadata>,
    present: &BTreeSet<&str>,
) -> &'a str {
    let split =
        [BUCKET, SUM, COUNT].into_iter().find_map(|part| Some((name.strip_suffix(part)?, part)));
    let Some((base, suffix)) = split else { return name };
    let is_split = match known.get(base).map(|of| of.kind) {
        Some(MetricKind::Histogram) => true,
        Some(MetricKind::Summary) => suffix != BUCKET,
        _ => false,
    };
    let mut others = ["", BUCKET, SUM, COUNT].into_iter().filter(|other| *other != suffix);
    let mut is_there = || others.any(|other| present.contains(&*format!("{base}{other}")));
    if is_split && (!known.contains_key(name) || is_there()) { base } else { name }
}
