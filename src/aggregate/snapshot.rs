//! The table at one instant, for /metrics and for people.
//!
//! A snapshot copies what is shown (about 250 B a series) so that the table is locked for
//! microseconds per series and writing text happens outside the lock.

use std::sync::Arc;

use serde::Serialize;
use sidelight_exphist::Histogram;

use super::bounds::{CLASSIC, HTTP};
use super::graph;
use super::key::Labels;
use super::measured::{Measured, UNIT};
use super::table::{Counted, Table, Totals};
use crate::telemetry::exposition;
use crate::telemetry::exposition::Label;
use crate::telemetry::{Desc, Exposition, desc};
use crate::time::UnixNano;

/// The quantiles shown, as numbers and as label values.
const QUANTILES: [(f64, &str); 3] = [(0.5, "0.5"), (0.95, "0.95"), (0.99, "0.99")];

/// The table at one instant, in the order of labels.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// One per series.
    pub series: Vec<Series>,
    /// The spans past the limits; `None` when there are none.
    pub overflow: Option<Figures>,
    /// What the table has seen.
    pub totals: Totals,
    /// When it began.
    pub started: UnixNano,
    /// Operations and edges of the service graph.
    sums: Vec<Sum>,
    graph: graph::Totals,
    graph_waiting: usize,
}

/// One series of what is not span metrics.
#[derive(Clone, Debug)]
struct Sum {
    desc: &'static Desc,
    labels: Vec<(String, String)>,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    Count(u64),
    Level(u64),
    Latency(Buckets),
}

/// One series at one instant.
#[derive(Clone, Debug)]
pub struct Series {
    /// What it is of.
    pub labels: Arc<Labels>,
    /// When it began to count.
    pub created: UnixNano,
    /// Its figures.
    pub figures: Figures,
    /// All of its labels as the store has them.
    pairs: Vec<(String, String)>,
}

/// Calls and latency of one series at one instant.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Spans.
    pub calls: u64,
    /// Their bytes.
    pub size: u64,
    /// The latency by bucket.
    buckets: Buckets,
    /// The latency in seconds.
    pub latency: Latency,
}

/// A classic histogram in seconds.
#[derive(Clone, Debug)]
struct Buckets {
    cumulative: Vec<(f64, u64)>,
    count: u64,
    sum: f64,
}

impl Buckets {
    fn of(histogram: &Histogram, bounds: &[f64]) -> Self {
        let unit = UNIT.as_secs_f64();
        let cumulative =
            bounds.iter().map(|&bound| (bound, histogram.count_to(bound / unit))).collect();
        Self { cumulative, count: histogram.count(), sum: histogram.sum() * unit }
    }

    fn shown(&self) -> exposition::Buckets<'_> {
        let Self { cumulative, count, sum } = self;
        exposition::Buckets { cumulative, count: *count, sum: *sum }
    }
}

/// Latency in seconds; quantiles, minimum and maximum are absent when no span had one.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    /// The sum.
    pub sum: f64,
    /// The least.
    pub min: Option<f64>,
    /// The greatest.
    pub max: Option<f64>,
    /// The median.
    pub p50: Option<f64>,
    /// The 95th percentile.
    pub p95: Option<f64>,
    /// The 99th percentile.
    pub p99: Option<f64>,
}

impl Figures {
    fn of(counted: &Counted) -> Self {
        let Measured { calls, latency: histogram } = &counted.measured;
        let unit = UNIT.as_secs_f64();
        let seconds = |units: Option<f64>| units.map(|units| units * unit);
        let [p50, p95, p99] = QUANTILES.map(|(q, _)| seconds(histogram.quantile(q)));
        let latency = Latency {
            sum: histogram.sum() * unit,
            min: seconds(histogram.min()),
            max: seconds(histogram.max()),
            p50,
            p95,
            p99,
        };
        let buckets = Buckets::of(histogram, &CLASSIC);
        Self { calls: *calls, size: counted.size, buckets, latency }
    }

    /// Spans with a latency.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.buckets.count
    }
}

impl Table {
    /// The table as it is.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut series: Vec<Series> = self
            .rows()
            .iter()
            .map(|row| Series {
                labels: Arc::clone(&row.labels),
                created: row.created,
                figures: Figures::of(&row.counted),
                pairs: row.labels.pairs(self.dimensions()),
            })
            .collect();
        series.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        let overflow = self.overflow_row();
        let overflow = (overflow.measured.calls > 0).then(|| Figures::of(overflow));
        let mut sums = self.operation_sums();
        sums.extend(self.graph_sums());
        sums.extend(self.excluded_routes().iter().map(|route| Sum {
            desc: &desc::ROUTE_EXCLUDED,
            labels: vec![("http_route".to_owned(), route.clone())],
            value: Value::Level(1),
        }));
        sums.sort_by(|a, b| (a.desc.name, &a.labels).cmp(&(b.desc.name, &b.labels)));
        Snapshot {
            series,
            overflow,
            totals: self.totals(),
            started: self.started(),
            sums,
            graph: self.graph().totals(),
            graph_waiting: self.graph().waiting(),
        }
    }

    fn operation_sums(&self) -> Vec<Sum> {
        let mut sums = Vec::new();
        for operation in self.operations_at_once() {
            for (outcome, measured) in ["ok", "error"].into_iter().zip(&operation.outcomes) {
                if measured.calls > 0 {
                    sums.push(Sum {
                        desc: &desc::OPERATION_DURATION,
                        labels: operation.labels(("outcome", outcome)),
                        value: Value::Latency(Buckets::of(&measured.latency, &HTTP)),
                    });
                }
            }
            if let Some(threshold) = operation.threshold_seconds() {
                let counts = [
                    (&desc::OPERATION_EXCEEDED, operation.exceeded),
                    (&desc::OPERATION_SATISFIED, operation.satisfied),
                ];
                sums.extend(counts.map(|(desc, count)| Sum {
                    desc,
                    labels: operation.labels(("threshold", &threshold)),
                    value: Value::Count(count),
                }));
            }
        }
        sums
    }

    fn graph_sums(&self) -> impl Iterator<Item = Sum> {
        self.graph().edges().flat_map(|edge| {
            let latency = |histogram| Value::Latency(Buckets::of(histogram, &CLASSIC));
            let client = (edge.client_latency().count() > 0)
                .then(|| (&desc::SERVICE_GRAPH_CLIENT, latency(edge.client_latency())));
            let of_all = [
                (&desc::SERVICE_GRAPH_REQUESTS, Value::Count(edge.requests)),
                (&desc::SERVICE_GRAPH_FAILED, Value::Count(edge.failed)),
                (&desc::SERVICE_GRAPH_SERVER, latency(edge.server_latency())),
            ];
            let labels = self.graph().labels(edge);
            let all = of_all.into_iter().chain(client);
            all.map(move |(desc, value)| Sum { desc, labels: labels.clone(), value })
        })
    }
}

impl Snapshot {
    /// Writes the families of span metrics, operations and the service graph.
    pub fn expose(&self, out: &mut Exposition) {
        let rows: Vec<Shown<'_>> = self.shown().collect();
        let mut calls = out.family(&desc::SPANMETRICS_CALLS);
        for row in &rows {
            calls.count(&row.labels, row.figures.calls, Some(row.created));
        }
        let mut latency = out.family(&desc::SPANMETRICS_LATENCY);
        for row in &rows {
            latency.histogram(&row.labels, &row.figures.buckets.shown(), Some(row.created));
        }
        let mut size = out.family(&desc::SPANMETRICS_SIZE);
        for row in &rows {
            size.count(&row.labels, row.figures.size, Some(row.created));
        }
        let mut quantiles = out.family(&desc::SPAN_LATENCY_SECONDS);
        for row in &rows {
            let Latency { p50, p95, p99, .. } = row.figures.latency;
            for ((_, name), value) in QUANTILES.into_iter().zip([p50, p95, p99]) {
                let mut labels = row.labels.clone();
                labels.push(("quantile", name));
                if let Some(value) = value {
                    quantiles.value(&labels, value);
                }
            }
        }
        for sums in self.sums.chunk_by(|a, b| a.desc.name == b.desc.name) {
            expose_sums(sums, out);
        }
        self.expose_totals(out);
    }

    fn expose_totals(&self, out: &mut Exposition) {
        let Totals { spans, odd_spans, overflow_series, overflow_service, expired } = self.totals;
        let started = Some(self.started).filter(|started| started.0 > 0);
        out.family(&desc::AGGREGATE_SERIES).whole(&[], self.series.len() as u64);
        out.family(&desc::AGGREGATE_SPANS).count(&[], spans, started);
        out.family(&desc::AGGREGATE_ODD_SPANS).count(&[], odd_spans, started);
        out.family(&desc::AGGREGATE_EXPIRED_SERIES).count(&[], expired, started);
        let mut overflow = out.family(&desc::AGGREGATE_OVERFLOW_SPANS);
        for (limit, spans) in [("series", overflow_series), ("service", overflow_service)] {
            overflow.count(&[("limit", limit)], spans, started);
        }
        let graph::Totals { unpaired, early, overflow_edges, overflow_nodes } = self.graph;
        out.family(&desc::GRAPH_WAITING).whole(&[], self.graph_waiting as u64);
        out.family(&desc::GRAPH_UNPAIRED).count(&[], unpaired, started);
        out.family(&desc::GRAPH_EARLY).count(&[], early, started);
        let mut overflow = out.family(&desc::GRAPH_OVERFLOW);
        for (limit, requests) in [("edges", overflow_edges), ("nodes", overflow_nodes)] {
            overflow.count(&[("limit", limit)], requests, started);
        }
    }

    fn shown(&self) -> impl Iterator<Item = Shown<'_>> {
        let overflow = self.overflow.iter().map(|figures| {
            let labels = vec![("otel_metric_overflow", "true")];
            Shown { figures, created: self.started, labels }
        });
        let series = self.series.iter().map(|series| Shown {
            figures: &series.figures,
            created: series.created,
            labels: borrowed(&series.pairs),
        });
        series.chain(overflow)
    }

    /// The JSON document of `GET /api/sidelight/v1/spans`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let routes = self.series.iter().map(|series| {
            let of = &*series.labels;
            let pairs = series.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            RouteDocument {
                service: of.service(),
                span_name: of.span_name(),
                span_kind: of.span_kind(),
                status_code: of.status_code(),
                http_route: of.http_route(),
                http_request_method: of.http_request_method(),
                http_response_status_code: of.http_response_status_code(),
                labels: pairs.filter(|pair| tells_more(*pair, &of.service())).collect(),
                calls: series.figures.calls,
                latency_seconds: series.figures.latency,
            }
        });
        let overflow = self.overflow.as_ref().map(|figures| OverflowDocument {
            calls: figures.calls,
            latency_seconds: figures.latency,
        });
        let document = Document {
            schema_version: 1,
            started_unix_seconds: self.started.as_seconds_f64(),
            routes: routes.collect(),
            overflow,
        };
        // Strings and finite numbers: nothing here can fail to serialise.
        serde_json::to_string(&document).unwrap_or_default()
    }
}

/// Whether a label says what no field beside it does.
fn tells_more((name, value): (&str, &str), service: &str) -> bool {
    let again = matches!(name, "job" | "service_name") && value == service;
    !again && !desc::OWN_SPAN_LABELS.contains(&name)
}

/// Writes a family.
fn expose_sums(sums: &[Sum], out: &mut Exposition) {
    let Some(first) = sums.first() else { return };
    let mut family = out.family(first.desc);
    for Sum { labels, value, .. } in sums {
        let labels = borrowed(labels);
        match value {
            Value::Count(count) => family.count(&labels, *count, None),
            Value::Level(level) => family.whole(&labels, *level),
            Value::Latency(buckets) => family.histogram(&labels, &buckets.shown(), None),
        }
    }
}

fn borrowed(labels: &[(String, String)]) -> Vec<Label<'_>> {
    labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

struct Shown<'a> {
    figures: &'a Figures,
    created: UnixNano,
    labels: Vec<Label<'a>>,
}

#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    started_unix_seconds: f64,
    routes: Vec<RouteDocument<'a>>,
    overflow: Option<OverflowDocument>,
}

#[derive(Serialize)]
struct RouteDocument<'a> {
    service: std::borrow::Cow<'a, str>,
    span_name: std::borrow::Cow<'a, str>,
    span_kind: &'a str,
    status_code: &'a str,
    http_route: std::borrow::Cow<'a, str>,
    http_request_method: &'a str,
    http_response_status_code: String,
    /// What else tells it from others: dimensions, and labels of its resource.
    labels: std::collections::BTreeMap<&'a str, &'a str>,
    calls: u64,
    latency_seconds: Latency,
}

#[derive(Serialize)]
struct OverflowDocument {
    calls: u64,
    latency_seconds: Latency,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_labels_of_a_row_do_not_repeat_its_service() {
        for (pair, expected) in [
            (("job", "shop"), false),
            (("service_name", "shop"), false),
            (("job", "prod/shop"), true),
            (("span_name", "GET /"), false),
            (("zone", "shop"), true),
        ] {
            assert_eq!(tells_more(pair, "shop"), expected, "{pair:?}");
        }
    }
}
