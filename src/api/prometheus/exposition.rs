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

use sidelight_promql::ast::{Duration, MatchOp, Matcher, Span, VectorSelector};
use sidelight_promql::engine::{Engine, Options, QueryError};
use sidelight_promql::labels::NAME;
use sidelight_promql::value::{Sample, Value};
use sidelight_promql::{Expr, Queryable};

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

fn select(
    engine: &Engine<'_>,
    matchers: Vec<Matcher>,
    now_ms: i64,
    store: &dyn Queryable,
) -> Result<Vec<Sample>, QueryError> {
    let (offset, span) = (Duration::Fixed(0), Span::default());
    let selector = VectorSelector { name: None, matchers, offset, at: None, span };
    match engine.instant(&Expr::Vector(selector), now_ms, store)?.value {
        Value::Vector(samples) => Ok(samples),
        _ => Ok(Vec::new()),
    }
}

/// Writes every stored family that `out` does not hold yet, as of `now`, under the limits of `options`.
pub(in crate::api) fn expose(
    store: &Store,
    now: UnixNano,
    options: Options<'_>,
    out: &mut Exposition,
) -> Result<(), QueryError> {
    let every = Matcher::new(NAME, MatchOp::NotEqual, "");
    let Ok(every) = every else { return Ok(()) };
    let engine = Engine::new(options);
    let stopped = || (options.stop)().is_some();
    let samples = select(&engine, vec![every], now.as_ms(), &store.reading(&stopped))?;
    let known: BTreeMap<String, Metadata> = store.metadata(None, usize::MAX).into_iter().collect();
    families(&samples, &known, out);
    Ok(())
}

fn families(samples: &[Sample], known: &BTreeMap<String, Metadata>, out: &mut Exposition) {
    let names = samples.iter().map(|sample| sample.labels.metric_name());
    let present: BTreeSet<&str> = names.collect();
    let mut families: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        let name = family(sample.labels.metric_name(), known, &present);
        families.entry(name).or_default().push(sample);
    }
    let nothing = Metadata::default();
    // What needs no escaping has its name first.
    let (odd, plain): (Vec<_>, Vec<_>) =
        families.into_iter().partition(|(name, _)| out.escaping().changes_metric(name));
    for (name, samples) in plain.into_iter().chain(odd) {
        typed(name, known.get(name).unwrap_or(&nothing), &samples, out);
    }
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
