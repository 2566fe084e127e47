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

use std::collections::{BTreeMap, BTreeSet};
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

/// Writes every stored family that `out` does not hold yet, as of `now`, under the limits of `options` for each. One family is
/// held at a time.
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
    families(&names, &known, out, |parts| {
        if stopped() {
            return Err(Box::from("who asked has gone"));
        }
        let names: Vec<_> = parts.iter().map(|name| regex::escape(name)).collect();
        let matchers = vec![Matcher::new(NAME, MatchOp::Regex, names.join("|"))?];
        let (offset, span) = (Duration::Fixed(0), Span::default());
        let selector = VectorSelector { name: None, matchers, offset, at: None, span };
        match engine.instant(&Expr::Vector(selector), now_ms, &reading)?.value {
            Value::Vector(samples) => Ok(samples),
            _ => Ok(Vec::new()),
        }
    })
}

/// The names of series that have a sample which is no marker of their end.
fn names(
    store: &dyn Queryable,
    until: i64,
    lookback: i64,
) -> Result<BTreeSet<String>, Box<dyn Error>> {
    let matchers = [Matcher::new(NAME, MatchOp::NotEqual, "")?];
    let (after, reads) = (until.saturating_sub(lookback), Reads::Last);
    let every = Selection { matchers: &matchers, after, until, step: 0, range: 0, lookback, reads };
    let mut names = BTreeSet::new();
    store.select(&every, &mut |labels, points| {
        let name = labels.metric_name();
        if is_present(points) && !names.contains(name) {
            names.insert(name.to_owned());
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

/// Writes the families of series that are named `names`, with the samples that `of` has of some names. Where that fails,
/// the other families are there all the same.
fn families<E>(
    names: &BTreeSet<String>,
    known: &BTreeMap<String, Metadata>,
    out: &mut Exposition,
    of: impl Fn(&[&str]) -> Result<Vec<Sample>, E>,
) -> Result<(), E> {
    let present: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let mut families: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in names {
        families.entry(family(name, known, &present)).or_default().push(name);
    }
    let mut failed = Ok(());
    let nothing = Metadata::default();
    // What needs no escaping has its name first.
    let (odd, plain): (Vec<_>, Vec<_>) =
        families.into_iter().partition(|(name, _)| out.escaping().changes_metric(name));
    for (name, parts) in plain.into_iter().chain(odd) {
        match of(&parts) {
            Ok(samples) => typed(name, known.get(name).unwrap_or(&nothing), &samples, out),
            Err(error) => failed = failed.and(Err(error)),
        }
    }
    failed
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
