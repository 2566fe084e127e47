//! Stored series as Prometheus text: `/federate` with times and without types, `/metrics` with types and without
//! times.
//!
//! Native histograms have no form in either format: `/federate` leaves them out, as Prometheus does, and
//! `/metrics` shows their sum and count as a summary or, beside a classic histogram of the name, as a histogram with the
//! bucket `+Inf`. Names beyond `[a-zA-Z_:][a-zA-Z0-9_:]*` are quoted as
//! Prometheus 3 writes them.
//!
//! Sources: Prometheus text format 0.0.4, OpenMetrics 1.0.0.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::ControlFlow;

use http::StatusCode;
use sidelight_promql::ast::{MatchOp, Matcher, Span, VectorSelector};
use sidelight_promql::engine::{Engine, Options, QueryError, Stop};
use sidelight_promql::labels::NAME;
use sidelight_promql::source::is_stale;
use sidelight_promql::value::{Sample, SampleValue, Value};
use sidelight_promql::{Expr, Labels, Queryable, Reads, Selection};

use super::encode;
use super::query::engine;
use crate::api::call::Call;
use crate::api::failure::Failure;
use crate::api::reply::Reply;
use crate::store::{Metadata, MetricKind, Store};
use crate::telemetry::Exposition;
use crate::telemetry::exposition::Format;
use crate::time::UnixNano;

/// The most series of a federation.
const FEDERATED_MAX: usize = 100_000;

/// The last sample of each matching series, with its own time. Every family is `untyped`: a selection need not hold
/// all the series that its type would need.
pub(super) fn federate(call: &Call<'_>) -> Result<Reply, Failure> {
    let lookback = engine(call)?.options.lookback;
    let stop = || (call.stop)().is_some();
    let store = call.store.reading(&stop);
    let until = call.now_ms();
    let mut last: BTreeMap<Labels, (i64, f64)> = BTreeMap::new();
    for matchers in call.params.required_selectors()? {
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
    Ok(Reply::new(StatusCode::OK, Format::Text.content_type(), untyped(&last)))
}

fn select(
    engine: &Engine<'_>,
    matchers: Vec<Matcher>,
    now_ms: i64,
    store: &dyn Queryable,
) -> Result<Vec<Sample>, QueryError> {
    let selector =
        VectorSelector { name: None, matchers, offset: 0, at: None, span: Span::default() };
    match engine.instant(&Expr::Vector(selector), now_ms, store)?.value {
        Value::Vector(samples) => Ok(samples),
        _ => Ok(Vec::new()),
    }
}

fn untyped(last: &BTreeMap<Labels, (i64, f64)>) -> String {
    let mut families: BTreeMap<&str, String> = BTreeMap::new();
    for (labels, (time, value)) in last {
        let out = families.entry(labels.metric_name()).or_default();
        line(out, labels.metric_name(), labels, *value);
        // Writing to a String cannot fail.
        let _ = writeln!(out, " {time}");
    }
    let mut out = String::new();
    for (name, lines) in families.iter().filter(|(name, _)| !name.is_empty()) {
        let name = if is_plain(name, true) { (*name).to_owned() } else { quoted(name) };
        let _ = write!(out, "# TYPE {name} untyped\n{lines}");
    }
    out
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
    let mut families: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    for sample in &samples {
        families.entry(family(sample.labels.metric_name(), &known)).or_default().push(sample);
    }
    let nothing = Metadata::default();
    for (name, mut samples) in families {
        samples.sort_by_cached_key(|sample| Order::of(&sample.labels));
        let of = known.get(name).unwrap_or(&nothing);
        typed(name, of, &samples, out);
    }
    Ok(())
}

/// The family of a series: its name, or what is before the suffix that its type gives it.
fn family<'a>(name: &'a str, known: &BTreeMap<String, Metadata>) -> &'a str {
    if known.contains_key(name) {
        return name;
    }
    let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
    let is_split = |base: &&str| {
        known
            .get(*base)
            .is_some_and(|of| matches!(of.kind, MetricKind::Histogram | MetricKind::Summary))
    };
    base.filter(is_split).unwrap_or(name)
}

/// Series of a family in the order that the formats ask for: those of one label set together, buckets by bound.
#[derive(PartialEq, PartialOrd, Eq, Ord)]
struct Order {
    rest: Vec<(String, String)>,
    name: String,
    /// The bits of `le` or `quantile`, which order as the numbers do where none is negative.
    bound: u64,
}

impl Order {
    fn of(labels: &Labels) -> Self {
        let is_bound = |name: &str| name == "le" || name == "quantile";
        let bound = labels.iter().find(|label| is_bound(&label.name));
        let bound = bound.and_then(|label| label.value.parse::<f64>().ok()).unwrap_or(0.0);
        let rest = labels.iter().filter(|label| !is_bound(&label.name) && &*label.name != NAME);
        let pair =
            |label: &sidelight_promql::Label| (label.name.to_string(), label.value.to_string());
        Self {
            rest: rest.map(pair).collect(),
            name: labels.metric_name().to_owned(),
            bound: bound.max(0.0).to_bits(),
        }
    }
}

fn typed(name: &str, of: &Metadata, samples: &[&Sample], out: &mut Exposition) {
    if !is_plain(name, true) {
        return;
    }
    let open_metrics = out.format() == Format::OpenMetrics;
    let native = samples.iter().any(|sample| matches!(sample.value, SampleValue::Histogram(_)));
    let classic = samples.iter().any(|sample| of_family(name, sample) == Some("_bucket"));
    let unknown = if open_metrics { "unknown" } else { "untyped" };
    let (base, kind) = match (of.kind, name.strip_suffix("_total")) {
        (MetricKind::Counter, Some(base)) => (base, "counter"),
        (MetricKind::Gauge, _) => (name, "gauge"),
        (MetricKind::Histogram, _) if native && !classic => (name, "summary"),
        (MetricKind::Histogram, _) => (name, "histogram"),
        (MetricKind::Summary, _) => (name, "summary"),
        _ => (name, unknown),
    };
    let mut lines = String::new();
    // Where there are both, it is the classic histogram that has buckets to show.
    let counted: BTreeSet<_> = samples
        .iter()
        .filter(|sample| native && of_family(name, sample) == Some("_count"))
        .map(|sample| Order::of(&sample.labels).rest)
        .collect();
    for sample in samples.iter().filter(|sample| belongs(name, kind, sample)) {
        let labels = &sample.labels;
        match &sample.value {
            SampleValue::Float(value) => {
                line(&mut lines, labels.metric_name(), labels, *value);
                lines.push('\n');
            }
            SampleValue::Histogram(_) if counted.contains(&Order::of(labels).rest) => {}
            SampleValue::Histogram(histogram) => {
                let mut put = |suffix: &str, labels: &Labels, value| {
                    line(&mut lines, &format!("{name}{suffix}"), labels, value);
                    lines.push('\n');
                };
                if kind == "histogram" {
                    let pairs = labels.iter().map(|label| (&*label.name, &*label.value));
                    let all = Labels::new(pairs.chain([("le", "+Inf")]));
                    put("_bucket", &all, histogram.count);
                }
                put("_sum", labels, histogram.sum);
                put("_count", labels, histogram.count);
            }
        }
    }
    if !lines.is_empty() {
        out.foreign(base, kind, &of.help, &lines);
    }
}

/// What a sample's name has behind that of its family.
fn of_family<'a>(name: &str, sample: &'a Sample) -> Option<&'a str> {
    sample.labels.metric_name().strip_prefix(name)
}

/// Whether a sample may stand in a family of its type: one whose own `le` or `quantile` is none makes readers that check
/// refuse the whole page.
fn belongs(name: &str, kind: &str, sample: &Sample) -> bool {
    let bound = match kind {
        "histogram" => "le",
        "summary" => "quantile",
        _ => return true,
    };
    let of_sample = sample.labels.get(bound);
    match of_family(name, sample) {
        Some("_sum" | "_count") => of_sample.is_empty(),
        Some("") if matches!(sample.value, SampleValue::Histogram(_)) => of_sample.is_empty(),
        Some("_bucket") if kind == "histogram" => of_sample.parse::<f64>().is_ok(),
        Some("") if kind == "summary" => of_sample.parse::<f64>().is_ok(),
        _ => false,
    }
}

/// Writes `name{label="value"} 1.5`.
fn line(out: &mut String, name: &str, labels: &Labels, value: f64) {
    let plain = is_plain(name, true);
    let pairs = labels.iter().filter(|label| &*label.name != NAME).map(|label| {
        let name = &*label.name;
        let name = if is_plain(name, false) { name.to_owned() } else { quoted(name) };
        format!("{name}={}", quoted(&label.value))
    });
    let inner: Vec<String> = (!plain).then(|| quoted(name)).into_iter().chain(pairs).collect();
    out.push_str(if plain { name } else { "" });
    if !inner.is_empty() {
        let _ = write!(out, "{{{}}}", inner.join(","));
    }
    out.push(' ');
    encode::number(out, value);
}

fn is_plain(name: &str, colons: bool) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':');
    !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(allowed)
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use expect_test::expect;
    use sidelight_promql::Histogram;

    use super::*;

    #[test]
    fn federated_families_stand_together_and_names_beyond_ascii_are_quoted() {
        let series = [
            (Labels::new([("__name__", "up"), ("Zone", "b")]), (1_000, 1.0)),
            (Labels::new([("__name__", "up"), ("a", "x\"\\\n")]), (2_000, f64::NAN)),
            (Labels::new([("__name__", "http.requests"), ("http.route", "/é")]), (3_000, 1e21)),
            (Labels::new([("__name__", "bare")]), (4_000, f64::NEG_INFINITY)),
        ];
        expect![[r#"
            # TYPE bare untyped
            bare -Inf 4000
            # TYPE "http.requests" untyped
            {"http.requests","http.route"="/é"} 1e+21 3000
            # TYPE up untyped
            up{Zone="b"} 1 1000
            up{a="x\"\\\n"} NaN 2000
        "#]]
        .assert_eq(&untyped(&series.into_iter().collect()));
    }

    #[test]
    fn buckets_stand_by_bound_and_counters_lose_their_suffix_where_the_format_wants_it() {
        let sample = |labels: &[(&'static str, &'static str)], value| Sample {
            labels: Labels::new(labels.iter().copied()),
            time: 0,
            value: SampleValue::Float(value),
        };
        let of = |kind| Metadata { kind, help: "H.".to_owned(), unit: "s".to_owned() };
        let buckets = [
            sample(&[("__name__", "d_bucket"), ("le", "+Inf")], 3.0),
            sample(&[("__name__", "d_bucket"), ("le", "10")], 2.0),
            sample(&[("__name__", "d_bucket"), ("le", "5")], 1.0),
            sample(&[("__name__", "d_sum")], 20.5),
            sample(&[("__name__", "d_count")], 3.0),
        ];
        let mut buckets: Vec<_> = buckets.iter().collect();
        buckets.sort_by_cached_key(|sample| Order::of(&sample.labels));
        let total = sample(&[("__name__", "c_total"), ("a", "1")], 7.0);
        let mut out = Exposition::new(Format::OpenMetrics);
        typed("d", &of(MetricKind::Histogram), &buckets, &mut out);
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
        let native = |labels: &[(&'static str, &'static str)]| Sample {
            labels: Labels::new(labels.iter().copied()),
            time: 0,
            value: SampleValue::Histogram(Arc::new(Histogram {
                count: 4.0,
                sum: 2.5,
                ..Histogram::default()
            })),
        };
        let float = |labels: &[(&'static str, &'static str)]| Sample {
            labels: Labels::new(labels.iter().copied()),
            time: 0,
            value: SampleValue::Float(1.0),
        };
        let samples = [
            float(&[("__name__", "d_bucket"), ("a", "1"), ("le", "+Inf")]),
            float(&[("__name__", "d_count"), ("a", "1")]),
            float(&[("__name__", "d_sum"), ("a", "1")]),
            native(&[("__name__", "d"), ("a", "1")]),
            native(&[("__name__", "d"), ("a", "2")]),
        ];
        let mut out = Exposition::new(Format::Text);
        let of = Metadata { kind: MetricKind::Histogram, ..Metadata::default() };
        typed("d", &of, &samples.iter().collect::<Vec<_>>(), &mut out);
        expect![[r#"
            # TYPE d histogram
            d_bucket{a="1",le="+Inf"} 1
            d_count{a="1"} 1
            d_sum{a="1"} 1
            d_bucket{a="2",le="+Inf"} 4
            d_sum{a="2"} 2.5
            d_count{a="2"} 4
        "#]]
        .assert_eq(&out.finish());
    }

    #[test]
    fn a_quantile_that_is_no_number_costs_its_own_series_only() {
        let sample = |labels: &[(&'static str, &'static str)]| Sample {
            labels: Labels::new(labels.iter().copied()),
            time: 0,
            value: SampleValue::Float(1.0),
        };
        let samples = [
            sample(&[("__name__", "s"), ("quantile", "0.5")]),
            sample(&[("__name__", "s"), ("quantile", "x")]),
            sample(&[("__name__", "s_count"), ("quantile", "x")]),
            sample(&[("__name__", "s_sum"), ("quantile", "x")]),
            sample(&[("__name__", "s_sum")]),
        ];
        let mut out = Exposition::new(Format::Text);
        let of = Metadata { kind: MetricKind::Summary, ..Metadata::default() };
        typed("s", &of, &samples.iter().collect::<Vec<_>>(), &mut out);
        expect![[r#"
            # TYPE s summary
            s{quantile="0.5"} 1
            s_sum 1
        "#]]
        .assert_eq(&out.finish());
    }
}
