//! Stored series as Prometheus text: `/federate` with times and without types, `/metrics` with types and without
//! times.
//!
//! Native histograms have no form in either format: `/federate` leaves them out, as Prometheus does, and
//! `/metrics` shows their sum and count as a summary or, beside a classic histogram of the name, as a histogram with the
//! bucket `+Inf`.
//!
//! Names beyond `[a-zA-Z_:][a-zA-Z0-9_:]*` are escaped or quoted as the request has it. What that makes one is written once:
//! of labels, series and, on `/metrics`, families the one that needed no escaping, else the first. Prometheus writes all of
//! them, which its own readers take and others do not.
//!
//! Readers that check refuse a page for one line, so `/metrics` leaves out what cannot stand in a family of its type: a
//! series that is named as a part of a histogram or summary but is none, and in OpenMetrics counts and sums that are negative or
//! no number, the sum and count of a histogram with negative buckets, and the count of one without a sum.
//!
//! Sources: Prometheus text format 0.0.4, OpenMetrics 1.0.0, Prometheus 3.15 "Federation".

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::ControlFlow;

use http::StatusCode;
use sidelight_promql::ast::{Duration, MatchOp, Matcher, Span, VectorSelector};
use sidelight_promql::engine::{Engine, Options, QueryError, Stop};
use sidelight_promql::labels::NAME;
use sidelight_promql::source::is_stale;
use sidelight_promql::value::{Sample, SampleValue, Value};
use sidelight_promql::{Expr, Labels, Queryable, Reads, Selection};

use super::encode;
use super::query::engine;
use crate::api::call::Call;
use crate::api::failure::Failure;
use crate::api::reply::{Reply, accepted};
use crate::store::{Metadata, MetricKind, Store};
use crate::telemetry::escaping::{is_plain, quoted};
use crate::telemetry::exposition::Format;
use crate::telemetry::{Escaping, Exposition};
use crate::time::UnixNano;

/// The most series of a federation.
const FEDERATED_MAX: usize = 100_000;

const LE: &str = "le";
const QUANTILE: &str = "quantile";
const INSTANCE: &str = "instance";
const BUCKET: &str = "_bucket";
const SUM: &str = "_sum";
const COUNT: &str = "_count";

/// The last sample of each matching series, with its own time. Every family is `untyped`: a selection need not hold
/// all the series that its type would need. Without `match[]` there are none, as in Prometheus.
pub(super) fn federate(call: &Call<'_>) -> Result<Reply, Failure> {
    let (format, escaping) = Format::negotiate(Some(&accepted(call.headers)), &[Format::Text]);
    let lookback = engine(call)?.options.lookback;
    let stop = || (call.stop)().is_some();
    let store = call.store.reading(&stop);
    let until = call.now_ms();
    let mut last: BTreeMap<Labels, (i64, f64)> = BTreeMap::new();
    for matchers in call.params.selectors()? {
        let (matchers, after, reads) = (&*matchers, until.saturating_sub(lookback), Reads::Last);
        let selection = Selection { matchers, after, until, step: 0, range: 0, lookback, reads };
        let selected = store.select(&selection, &mut |labels, points| {
            // A histogram after it is what the series is now.
            let histogram = points.histograms.last().map_or(i64::MIN, |(time, _)| *time);
            let newest = points.floats.last().filter(|(time, _)| *time > histogram);
            if let Some(&(time, value)) = newest.filter(|(_, value)| !is_stale(*value)) {
                last.insert(labels.clone(), (time, value));
            }
            let room = last.len() <= FEDERATED_MAX;
            if room { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        selected.map_err(|error| call.failure(QueryError::Source(error)))?;
    }
    if last.len() > FEDERATED_MAX {
        let why = format!("the selectors match more than {FEDERATED_MAX} series");
        return Err(Failure::Execution(why));
    }
    Ok(Reply::new(StatusCode::OK, format.content_type(escaping), untyped(&last, escaping)))
}

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

fn untyped(last: &BTreeMap<Labels, (i64, f64)>, escaping: Escaping) -> String {
    let named = last.iter().filter(|(labels, _)| !labels.metric_name().is_empty());
    let (mut series, samples): (Vec<_>, Vec<_>) = named
        .map(|(labels, sample)| {
            (Written::of(labels.metric_name(), pairs(labels), escaping), sample)
        })
        .unzip();
    for series in &mut series {
        // Else `honor_labels` would put the agent's own where there is none.
        if !series.labels.iter().any(|(name, _)| name == INSTANCE) {
            series.labels.push((Cow::Borrowed(INSTANCE), ""));
        }
    }
    let mut families: BTreeMap<&str, String> = BTreeMap::new();
    let kept = series.iter().zip(samples).zip(once_each(&series)).filter(|(_, kept)| *kept);
    for ((Written { name, labels, .. }, &(time, value)), _) in kept {
        let out = families.entry(name).or_default();
        line(out, name, labels, value);
        // Writing to a String cannot fail.
        let _ = writeln!(out, " {time}");
    }
    let mut out = String::new();
    for (name, lines) in families {
        let name =
            if is_plain(name, true) { Cow::Borrowed(name) } else { Cow::Owned(quoted(name)) };
        let _ = write!(out, "# TYPE {name} untyped\n{lines}");
    }
    out
}

/// A series as it is written: its name and labels escaped, each label once.
struct Written<'a> {
    name: Cow<'a, str>,
    labels: Vec<(Cow<'a, str>, &'a str)>,
    /// Whether any name is another than it was.
    changed: bool,
}

impl<'a> Written<'a> {
    fn of(
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
fn once_each(series: &[Written<'_>]) -> Vec<bool> {
    if series.iter().all(|one| !one.changed) {
        return vec![true; series.len()];
    }
    let left_alone = series.iter().filter(|one| !one.changed);
    let mut taken: BTreeSet<_> = left_alone.map(|one| (&one.name, &one.labels)).collect();
    series.iter().map(|one| !one.changed || taken.insert((&one.name, &one.labels))).collect()
}

fn pairs(labels: &Labels) -> impl Iterator<Item = (&str, &str)> {
    let pairs = labels.iter().map(|label| (&*label.name, &*label.value));
    pairs.filter(|(name, _)| *name != NAME)
}

/// Writes every stored family that `out` does not hold yet, as of `now`, unless `stop` ends it.
pub(in crate::api) fn expose(
    store: &Store,
    now: UnixNano,
    stop: &dyn Fn() -> Option<Stop>,
    out: &mut Exposition,
) -> Result<(), QueryError> {
    let every = Matcher::new(NAME, MatchOp::NotEqual, "");
    let Ok(every) = every else { return Ok(()) };
    let engine = Engine::new(Options { stop, ..Options::default() });
    let stopped = || stop().is_some();
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

/// What orders the series of a family as the formats ask for: those of one label set together, buckets by bound.
struct Order<'a> {
    /// The labels without the bound's.
    rest: Vec<(&'a str, &'a str)>,
    name: &'a str,
    bound: f64,
}

impl<'a> Order<'a> {
    fn of(labels: &'a Labels, bounded_by: Option<&str>) -> Self {
        let rest = pairs(labels).filter(|(name, _)| Some(*name) != bounded_by).collect();
        let bound = bounded_by.and_then(|name| bound(labels.get(name))).unwrap_or(0.0);
        Self { rest, name: labels.metric_name(), bound }
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let labels = (&self.rest, self.name).cmp(&(&other.rest, other.name));
        labels.then_with(|| self.bound.total_cmp(&other.bound))
    }
}

/// The bound that a label's value is: a number, and without an end only as the formats spell that.
fn bound(text: &str) -> Option<f64> {
    let bound: f64 = text.parse().ok()?;
    (bound.is_finite() || matches!(text, "+Inf" | "-Inf")).then_some(bound)
}

fn typed(name: &str, of: &Metadata, samples: &[&Sample], out: &mut Exposition) {
    let open_metrics = out.format() == Format::OpenMetrics;
    let escaping = out.escaping();
    let is_native = |sample: &&Sample| matches!(sample.value, SampleValue::Histogram(_));
    let classic = || samples.iter().any(|sample| of_family(name, sample) == Some(BUCKET));
    let unknown = if open_metrics { "unknown" } else { "untyped" };
    let written = escaping.metric(name);
    let counter = written.strip_suffix("_total").filter(|base| !base.is_empty());
    let (base, kind) = match (of.kind, counter) {
        // Also those of rules, which have no type.
        _ if samples.iter().all(is_native) => (&*written, "summary"),
        (MetricKind::Counter, Some(base)) => (base, "counter"),
        (MetricKind::Gauge, _) => (&*written, "gauge"),
        (MetricKind::Histogram, _) if samples.iter().any(is_native) && !classic() => {
            (&*written, "summary")
        }
        (MetricKind::Histogram, _) => (&*written, "histogram"),
        (MetricKind::Summary, _) => (&*written, "summary"),
        _ => (&*written, unknown),
    };
    let bounded_by = bounded_by(kind);
    // Floats named as parts of native histograms are another's: those have none.
    let natives = kind == "summary" && of.kind != MetricKind::Summary;
    let belonging = samples
        .iter()
        .filter(|sample| belongs(name, kind, sample) && (!natives || is_native(sample)));
    let mut ordered: Vec<_> =
        belonging.map(|sample| (Order::of(&sample.labels, bounded_by), *sample)).collect();
    ordered.sort_by(|(a, _), (b, _)| a.cmp(b));
    let groups: Vec<_> = ordered.chunk_by(|(a, _), (b, _)| a.rest == b.rest).collect();
    let rests = groups.iter().filter_map(|group| group.first()).map(|(order, _)| &order.rest);
    let series: Vec<_> =
        rests.map(|rest| Written::of(name, rest.iter().copied(), escaping)).collect();
    let mut group =
        Group { family: name, name: &written, open_metrics, escaping, lines: String::new() };
    for ((samples, series), _) in
        groups.iter().zip(&series).zip(once_each(&series)).filter(|(_, kept)| *kept)
    {
        match kind {
            "histogram" => group.histogram(&series.labels, samples),
            "summary" => group.summary(&series.labels, samples),
            _ => group.floats(kind == "counter", samples),
        }
    }
    let lines = group.lines;
    if !lines.is_empty() {
        out.foreign(base, kind, &of.help, &lines);
    }
}

type Pairs<'a> = [(Cow<'a, str>, &'a str)];

/// Writes the samples of one family, those of a label set after another.
struct Group<'a> {
    family: &'a str,
    /// The family as it is written, a counter with its suffix.
    name: &'a str,
    open_metrics: bool,
    escaping: Escaping,
    lines: String,
}

impl Group<'_> {
    fn floats(&mut self, is_counter: bool, samples: &[(Order<'_>, &Sample)]) {
        for (_, sample) in samples {
            if let SampleValue::Float(value) = sample.value
                && (!is_counter || self.is_total(value))
            {
                let written = Written::of(self.family, pairs(&sample.labels), self.escaping);
                self.line("", &written.labels, value);
            }
        }
    }

    fn histogram(&mut self, labels: &Pairs<'_>, samples: &[(Order<'_>, &Sample)]) {
        let mut buckets: Vec<_> = self
            .parts(samples, BUCKET)
            .map(|(order, sample, value)| (order.bound, sample.labels.get(LE), value))
            .collect();
        let native = native(samples);
        let of_parts = |suffix| self.parts(samples, suffix).map(|(.., value)| value).next();
        let all = buckets.last().filter(|(bound, ..)| bound.total_cmp(&f64::INFINITY).is_eq());
        let (all, count, sum) = match (all, native) {
            // Another series of the name may have stood in the count's place.
            (Some((.., all)), _) => (*all, of_parts(COUNT).map(|_| *all), of_parts(SUM)),
            (None, Some((count, sum))) => {
                buckets = vec![(f64::INFINITY, "+Inf", count)];
                (count, Some(count), Some(sum))
            }
            (None, None) => return,
        };
        if all.is_nan() || !self.is_count(all) {
            return;
        }
        let (mut last, mut least, mut first) = (f64::NAN, 0.0, 0.0_f64);
        for (bound, le, value) in buckets {
            let ascends = last.is_nan() || last < bound;
            if ascends && (least..=all).contains(&value) && self.is_count(value) {
                self.line(BUCKET, &with(labels, LE, le), value);
                (last, least, first) = (bound, value, first.min(bound));
            }
        }
        let (count, sum) = match (count, sum) {
            _ if !self.open_metrics => (count, sum),
            (Some(_), Some(total)) if total >= 0.0 && first >= 0.0 => (count, sum),
            // One without the other is refused, and a sum that need not grow.
            _ => (None, None),
        };
        self.totals(labels, count, sum);
    }

    fn summary(&mut self, labels: &Pairs<'_>, samples: &[(Order<'_>, &Sample)]) {
        let quantiles: Vec<_> = self.parts(samples, "").collect();
        for (order, sample, value) in quantiles {
            let is_one = (0.0..=1.0).contains(&order.bound) && (value >= 0.0 || value.is_nan());
            if is_one || !self.open_metrics {
                self.line("", &with(labels, QUANTILE, sample.labels.get(QUANTILE)), value);
            }
        }
        let of_parts = |suffix| self.parts(samples, suffix).map(|(.., value)| value).next();
        let native = native(samples);
        let count = of_parts(COUNT).or(native.map(|(count, _)| count));
        let sum = of_parts(SUM).or(native.map(|(_, sum)| sum));
        let count = count.filter(|count| self.is_count(*count));
        self.totals(labels, count, sum.filter(|sum| self.is_total(*sum)));
    }

    /// The floats of a part, and what they are.
    fn parts<'s>(
        &self,
        samples: &'s [(Order<'s>, &'s Sample)],
        suffix: &'static str,
    ) -> impl Iterator<Item = (&'s Order<'s>, &'s Sample, f64)> {
        let family = self.family;
        samples.iter().filter_map(move |(order, sample)| match sample.value {
            SampleValue::Float(value) if of_family(family, sample) == Some(suffix) => {
                Some((order, *sample, value))
            }
            _ => None,
        })
    }

    /// Whether a value may be that of a counter or a sum.
    fn is_total(&self, value: f64) -> bool {
        !self.open_metrics || value >= 0.0
    }

    /// Whether a value may be a number of observations.
    fn is_count(&self, value: f64) -> bool {
        !self.open_metrics || (value >= 0.0 && value.fract() == 0.0)
    }

    fn totals(&mut self, labels: &Pairs<'_>, count: Option<f64>, sum: Option<f64>) {
        for (suffix, value) in [(COUNT, count), (SUM, sum)] {
            if let Some(value) = value {
                self.line(suffix, labels, value);
            }
        }
    }

    fn line(&mut self, suffix: &str, labels: &Pairs<'_>, value: f64) {
        line(&mut self.lines, &format!("{}{suffix}", self.name), labels, value);
        self.lines.push('\n');
    }
}

/// Labels with one more, in order.
fn with<'a>(
    labels: &Pairs<'a>,
    name: &'static str,
    value: &'a str,
) -> Vec<(Cow<'a, str>, &'a str)> {
    let mut labels = labels.to_vec();
    let at = labels.partition_point(|(known, _)| &**known < name);
    labels.insert(at, (Cow::Borrowed(name), value));
    labels
}

/// Count and sum of the native histogram among a label set's samples.
fn native(samples: &[(Order<'_>, &Sample)]) -> Option<(f64, f64)> {
    samples.iter().find_map(|(_, sample)| match &sample.value {
        SampleValue::Histogram(histogram) => Some((histogram.count, histogram.sum)),
        SampleValue::Float(_) => None,
    })
}

/// What a sample's name has behind that of its family.
fn of_family<'a>(name: &str, sample: &'a Sample) -> Option<&'a str> {
    sample.labels.metric_name().strip_prefix(name)
}

/// The label that a type keeps for bounds.
fn bounded_by(kind: &str) -> Option<&'static str> {
    match kind {
        "histogram" => Some(LE),
        "summary" => Some(QUANTILE),
        _ => None,
    }
}

/// Whether a sample may stand in a family of its type: one whose own `le` or `quantile` is none makes readers that check
/// refuse the whole page.
fn belongs(name: &str, kind: &str, sample: &Sample) -> bool {
    let Some(label) = bounded_by(kind) else {
        return matches!(sample.value, SampleValue::Float(_));
    };
    let of_sample = sample.labels.get(label);
    match of_family(name, sample) {
        Some(SUM | COUNT) => of_sample.is_empty(),
        Some("") if matches!(sample.value, SampleValue::Histogram(_)) => of_sample.is_empty(),
        Some(BUCKET) if kind == "histogram" => bound(of_sample).is_some(),
        Some("") if kind == "summary" => bound(of_sample).is_some(),
        _ => false,
    }
}

/// Writes `name{label="value"} 1.5`.
fn line(out: &mut String, name: &str, labels: &Pairs<'_>, value: f64) {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use expect_test::expect;
    use sidelight_promql::Histogram;

    use super::*;

    fn sample(labels: &[(&'static str, &'static str)], value: f64) -> Sample {
        let value = SampleValue::Float(value);
        Sample { labels: Labels::new(labels.iter().copied()), time: 0, value }
    }

    fn native(labels: &[(&'static str, &'static str)]) -> Sample {
        let histogram = Histogram { count: 4.0, sum: 2.5, ..Histogram::default() };
        let value = SampleValue::Histogram(Arc::new(histogram));
        Sample { labels: Labels::new(labels.iter().copied()), time: 0, value }
    }

    fn of(kind: MetricKind) -> Metadata {
        Metadata { kind, ..Metadata::default() }
    }

    /// Families of one page, as they are given.
    fn page(mut out: Exposition, families: &[(&str, MetricKind, &[Sample])]) -> String {
        for (name, kind, samples) in families {
            typed(name, &of(*kind), &samples.iter().collect::<Vec<_>>(), &mut out);
        }
        out.finish()
    }

    /// All of a store's samples as `/metrics` shows them.
    fn shown(format: Format, kinds: &[(&str, MetricKind)], samples: &[Sample]) -> String {
        let known = kinds.iter().map(|(name, kind)| ((*name).to_owned(), of(*kind))).collect();
        let mut out = Exposition::new(format);
        families(samples, &known, &mut out);
        out.finish()
    }

    #[test]
    fn federated_families_stand_together_and_names_beyond_ascii_are_quoted_for_who_asks() {
        let series = [
            (Labels::new([("__name__", "up"), ("Zone", "b")]), (1_000, 1.0)),
            (
                Labels::new([("__name__", "up"), ("a", "x\"\\\n"), ("instance", "i")]),
                (2_000, f64::NAN),
            ),
            (Labels::new([("__name__", "http.requests"), ("http.route", "/é")]), (3_000, 1e21)),
            (Labels::new([("__name__", "bare")]), (4_000, f64::NEG_INFINITY)),
        ];
        let series = series.into_iter().collect();
        expect![[r#"
            # TYPE bare untyped
            bare{instance=""} -Inf 4000
            # TYPE "http.requests" untyped
            {"http.requests","http.route"="/é",instance=""} 1e+21 3000
            # TYPE up untyped
            up{Zone="b",instance=""} 1 1000
            up{a="x\"\\\n",instance="i"} NaN 2000
        "#]]
        .assert_eq(&untyped(&series, Escaping::Utf8));
        for (escaping, expected) in [
            (Escaping::Underscores, r#"http_requests{http_route="/é",instance=""} 1e+21 3000"#),
            (Escaping::Dots, r#"http_dot_requests{http_dot_route="/é",instance=""} 1e+21 3000"#),
            (
                Escaping::Values,
                r#"U__http_2e_requests{U__http_2e_route="/é",instance=""} 1e+21 3000"#,
            ),
        ] {
            let text = untyped(&series, escaping);
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn what_escaping_makes_one_is_federated_once() {
        let series = [
            (Labels::new([("__name__", "a.b"), ("x", "1")]), (1, 1.0)),
            (Labels::new([("__name__", "a.b"), ("x", "2")]), (1, 2.0)),
            (Labels::new([("__name__", "a_b"), ("x", "1")]), (1, 3.0)),
            (Labels::new([("__name__", "c"), ("l-m", "1"), ("l.m", "2"), ("l1", "3")]), (1, 4.0)),
            (Labels::new([("__name__", "c"), ("l1", "3"), ("l_m", "1")]), (1, 5.0)),
            (Labels::new([("__name__", "d"), ("l.m", "2"), ("l_m", "1")]), (1, 6.0)),
            (Labels::new([("__name__", "e"), ("--name--", "f")]), (1, 7.0)),
        ];
        expect![[r#"
            # TYPE a_b untyped
            a_b{x="2",instance=""} 2 1
            a_b{x="1",instance=""} 3 1
            # TYPE c untyped
            c{l1="3",l_m="1",instance=""} 5 1
            # TYPE d untyped
            d{l_m="1",instance=""} 6 1
            # TYPE e untyped
            e{_name__="f",instance=""} 7 1
        "#]]
        .assert_eq(&untyped(&series.into_iter().collect(), Escaping::Underscores));
    }

    #[test]
    fn a_family_or_series_that_escaping_makes_one_with_another_is_left_out() {
        let kinds =
            [("a.b", MetricKind::Gauge), ("a_b", MetricKind::Gauge), ("h", MetricKind::Histogram)];
        let samples = [
            sample(&[("__name__", "a.b")], 1.0),
            sample(&[("__name__", "a_b")], 2.0),
            sample(&[("__name__", "h_bucket"), ("l.m", "1"), ("le", "5")], 3.0),
            sample(&[("__name__", "h_bucket"), ("l.m", "1"), ("le", "+Inf")], 3.0),
            sample(&[("__name__", "h_bucket"), ("l_m", "1"), ("le", "+Inf")], 4.0),
            sample(&[("__name__", "only.here"), ("l.m", "1")], 5.0),
        ];
        expect![[r#"
            # TYPE a_b gauge
            a_b 2
            # TYPE h histogram
            h_bucket{l_m="1",le="+Inf"} 4
            # TYPE only_here untyped
            only_here{l_m="1"} 5
        "#]]
        .assert_eq(&shown(Format::Text, &kinds, &samples));
    }

    #[test]
    fn names_beyond_ascii_are_exposed_as_they_are_asked_for() {
        let counter = sample(&[("__name__", "http.calls_total"), ("a-b", "c")], 1.0);
        let summary = native(&[("__name__", "größe")]);
        let families: [(&str, _, &[Sample]); 2] = [
            ("http.calls_total", MetricKind::Counter, &[counter]),
            ("größe", MetricKind::Histogram, &[summary]),
        ];
        let of = |escaping| page(Exposition::new(Format::OpenMetrics).escaped(escaping), &families);
        expect![[r#"
            # TYPE http_calls counter
            http_calls_total{a_b="c"} 1
            # TYPE gr__e summary
            gr__e_count 4
            gr__e_sum 2.5
            # EOF
        "#]]
        .assert_eq(&of(Escaping::Underscores));
        expect![[r#"
            # TYPE U__http_2e_calls_ counter
            U__http_2e_calls__total{U__a_2d_b="c"} 1
            # TYPE U__gr_f6__df_e summary
            U__gr_f6__df_e_count 4
            U__gr_f6__df_e_sum 2.5
            # EOF
        "#]]
        .assert_eq(&of(Escaping::Values));
        expect![[r#"
            # TYPE "http.calls" counter
            {"http.calls_total","a-b"="c"} 1
            # TYPE "größe" summary
            {"größe_count"} 4
            {"größe_sum"} 2.5
            # EOF
        "#]]
        .assert_eq(&of(Escaping::Utf8));
    }

    /// A native histogram has no floats: those named as its parts are another's.
    #[test]
    fn a_gauge_named_as_a_part_of_a_native_histogram_gives_it_no_value() {
        let kinds = [("n", MetricKind::Histogram), ("n_count", MetricKind::Gauge)];
        let gauge = |labels: &[(&'static str, &'static str)]| sample(labels, 9.0);
        let all = [
            native(&[("__name__", "n")]),
            gauge(&[("__name__", "n_count")]),
            gauge(&[("__name__", "n_count"), ("a", "b")]),
        ];
        expect![[r#"
            # TYPE n summary
            n_count 4
            n_sum 2.5
        "#]]
        .assert_eq(&shown(Format::Text, &kinds, &all));
    }

    #[test]
    fn a_gauge_named_as_a_part_of_a_histogram_is_left_out_while_that_is_there() {
        let kinds = [
            ("hc", MetricKind::Histogram),
            ("hc_bucket", MetricKind::Gauge),
            ("hc_count", MetricKind::Gauge),
            ("s", MetricKind::Summary),
            ("s_bucket", MetricKind::Gauge),
            ("s_count", MetricKind::Gauge),
        ];
        let gauges = [
            sample(&[("__name__", "hc_bucket"), ("le", "0.5")], 9.0),
            sample(&[("__name__", "hc_bucket"), ("le", "inf")], 9.0),
            sample(&[("__name__", "hc_bucket"), ("le", "x")], 9.0),
            // What one service sent in the place of its own histogram's count.
            sample(&[("__name__", "hc_count")], 9.0),
            sample(&[("__name__", "hc_count"), ("a", "b")], 9.0),
            sample(&[("__name__", "s_bucket")], 9.0),
        ];
        let parts = [
            sample(&[("__name__", "hc_bucket"), ("le", "1")], 1.0),
            sample(&[("__name__", "hc_bucket"), ("le", "+Inf")], 2.0),
            sample(&[("__name__", "hc_sum")], 3.0),
            sample(&[("__name__", "s"), ("quantile", "0.5")], 1.0),
            sample(&[("__name__", "s_count")], 3.0),
        ];
        let all = [&gauges[..], &parts].concat();
        expect![[r#"
            # TYPE hc histogram
            hc_bucket{le="1"} 1
            hc_bucket{le="+Inf"} 2
            hc_count 2
            hc_sum 3
            # TYPE s summary
            s{quantile="0.5"} 1
            s_count 3
            # TYPE s_bucket gauge
            s_bucket 9
        "#]]
        .assert_eq(&shown(Format::Text, &kinds, &all));
        // Without the histogram they are what they are.
        let alone = shown(Format::Text, &kinds, &gauges[3..]);
        assert!(alone.contains("# TYPE hc_count gauge\nhc_count 9\n"), "{alone}");
    }

    #[test]
    fn negative_buckets_stand_by_bound_and_have_no_sum_in_openmetrics() {
        let bucket = |le, value| sample(&[("__name__", "d_bucket"), ("le", le)], value);
        let samples = [
            bucket("-0.5", 3.0),
            bucket("-10", 1.0),
            bucket("-5", 2.0),
            bucket("+Inf", 6.0),
            bucket("0", 4.0),
            bucket("2.5", 5.0),
            sample(&[("__name__", "d_count")], 6.0),
            sample(&[("__name__", "d_sum")], 3.5),
        ];
        let families: [(&str, _, &[Sample]); 1] = [("d", MetricKind::Histogram, &samples)];
        let text = page(Exposition::new(Format::Text), &families);
        expect![[r#"
            # TYPE d histogram
            d_bucket{le="-10"} 1
            d_bucket{le="-5"} 2
            d_bucket{le="-0.5"} 3
            d_bucket{le="0"} 4
            d_bucket{le="2.5"} 5
            d_bucket{le="+Inf"} 6
            d_count 6
            d_sum 3.5
        "#]]
        .assert_eq(&text);
        let open = text.replace("d_count 6\nd_sum 3.5\n", "# EOF\n");
        assert_eq!(page(Exposition::new(Format::OpenMetrics), &families), open);
    }

    #[test]
    fn openmetrics_has_no_counts_and_sums_that_its_readers_refuse() {
        let kinds = [
            ("c_total", MetricKind::Counter),
            ("g", MetricKind::Gauge),
            ("nosum", MetricKind::Histogram),
            ("lost", MetricKind::Histogram),
            ("s", MetricKind::Summary),
        ];
        let samples = [
            sample(&[("__name__", "c_total"), ("a", "1")], f64::NAN),
            sample(&[("__name__", "c_total"), ("a", "2")], -5.0),
            sample(&[("__name__", "c_total"), ("a", "3")], 5.5),
            sample(&[("__name__", "g")], -5.0),
            sample(&[("__name__", "lost_bucket"), ("le", "+Inf")], 1.0),
            sample(&[("__name__", "lost_count")], 1.0),
            sample(&[("__name__", "lost_sum")], f64::NAN),
            sample(&[("__name__", "nosum_bucket"), ("le", "+Inf")], 2.0),
            sample(&[("__name__", "nosum_count")], 2.0),
            sample(&[("__name__", "s"), ("quantile", "0.5")], -1.0),
            sample(&[("__name__", "s"), ("quantile", "0.9")], f64::NAN),
            sample(&[("__name__", "s"), ("quantile", "2")], 1.0),
            sample(&[("__name__", "s_count")], 2.0),
            sample(&[("__name__", "s_sum")], -2.0),
        ];
        expect![[r#"
            # TYPE c counter
            c_total{a="3"} 5.5
            # TYPE g gauge
            g -5
            # TYPE lost histogram
            lost_bucket{le="+Inf"} 1
            # TYPE nosum histogram
            nosum_bucket{le="+Inf"} 2
            # TYPE s summary
            s{quantile="0.9"} NaN
            s_count 2
            # EOF
        "#]]
        .assert_eq(&shown(Format::OpenMetrics, &kinds, &samples));
        let text = shown(Format::Text, &kinds, &samples);
        assert_eq!(text.lines().filter(|line| !line.starts_with('#')).count(), samples.len());
    }

    #[test]
    fn buckets_stand_by_bound_and_counters_lose_their_suffix_where_the_format_wants_it() {
        let of = |kind| Metadata { kind, help: "H.".to_owned(), unit: "s".to_owned() };
        let buckets = [
            sample(&[("__name__", "d_bucket"), ("le", "+Inf")], 3.0),
            sample(&[("__name__", "d_bucket"), ("le", "10")], 2.0),
            sample(&[("__name__", "d_bucket"), ("le", "5")], 1.0),
            sample(&[("__name__", "d_sum")], 20.5),
            sample(&[("__name__", "d_count")], 3.0),
        ];
        let total = sample(&[("__name__", "c_total"), ("a", "1")], 7.0);
        let mut out = Exposition::new(Format::OpenMetrics);
        typed("d", &of(MetricKind::Histogram), &buckets.iter().collect::<Vec<_>>(), &mut out);
        typed("c_total", &of(MetricKind::Counter), &[&total], &mut out);
        expect![[r#"
            # HELP d H.
            # TYPE d histogram
            d_bucket{le="5"} 1
            d_bucket{le="10"} 2
            d_bucket{le="+Inf"} 3
            d_count 3
            d_sum 20.5
            # HELP c H.
            # TYPE c counter
            c_total{a="1"} 7
            # EOF
        "#]]
        .assert_eq(&out.finish());
    }

    #[test]
    fn a_native_histogram_and_a_classic_one_of_a_name_are_one_histogram() {
        let samples = [
            sample(&[("__name__", "d_bucket"), ("a", "1"), ("le", "+Inf")], 1.0),
            sample(&[("__name__", "d_count"), ("a", "1")], 1.0),
            sample(&[("__name__", "d_sum"), ("a", "1")], 1.0),
            native(&[("__name__", "d"), ("a", "1")]),
            native(&[("__name__", "d"), ("a", "2")]),
        ];
        expect![[r#"
            # TYPE d histogram
            d_bucket{a="1",le="+Inf"} 1
            d_count{a="1"} 1
            d_sum{a="1"} 1
            d_bucket{a="2",le="+Inf"} 4
            d_count{a="2"} 4
            d_sum{a="2"} 2.5
        "#]]
        .assert_eq(&page(Exposition::new(Format::Text), &[("d", MetricKind::Histogram, &samples)]));
    }

    #[test]
    fn a_quantile_that_is_no_number_costs_its_own_series_only() {
        let samples = [
            sample(&[("__name__", "s"), ("quantile", "0.5")], 1.0),
            sample(&[("__name__", "s"), ("quantile", "x")], 1.0),
            sample(&[("__name__", "s_count"), ("quantile", "x")], 1.0),
            sample(&[("__name__", "s_sum"), ("quantile", "x")], 1.0),
            sample(&[("__name__", "s_sum")], 1.0),
        ];
        expect![[r#"
            # TYPE s summary
            s{quantile="0.5"} 1
            s_sum 1
        "#]]
        .assert_eq(&page(Exposition::new(Format::Text), &[("s", MetricKind::Summary, &samples)]));
    }
}
