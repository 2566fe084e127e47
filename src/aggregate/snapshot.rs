//! The table at one instant, for /metrics and for people.
//!
//! A snapshot copies what is shown (about 250 B a series) so that the table is locked for
//! microseconds per series and writing text happens outside the lock.

use std::sync::Arc;

use serde::Serialize;
use sidelight_exphist::Histogram;

use super::key::Labels;
use super::table::{Measured, Table, Totals, UNIT};
use crate::telemetry::exposition::{Buckets, Label};
use crate::telemetry::{Exposition, desc};
use crate::time::UnixNano;

/// Tempo's bounds: 2 ms × 2^n.
pub(super) const BOUNDS: usize = 14;
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
}

/// Calls and latency of one series at one instant.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Spans.
    pub calls: u64,
    /// Spans with a latency.
    pub count: u64,
    /// Spans at or below 2 ms × 2^n.
    cumulative: [u64; BOUNDS],
    /// The latency in seconds.
    pub latency: Latency,
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

/// The classic buckets' bounds in units of [`UNIT`] and in seconds.
pub(super) fn bounds() -> [(f64, f64); BOUNDS] {
    let mut bound = 1.0;
    [(); BOUNDS].map(|()| {
        let this = bound;
        bound *= 2.0;
        // Divided, not multiplied, by what is exact in both: 0.002, 0.004, … as people write them.
        (this, this * 2.0 / 1_000.0)
    })
}

impl Figures {
    fn of(measured: &Measured) -> Self {
        let histogram = &measured.latency;
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
        let cumulative = bounds().map(|(units, _)| histogram.count_to(units));
        Self { calls: measured.calls, count: Histogram::count(histogram), cumulative, latency }
    }

    fn cumulative(&self) -> Vec<(f64, u64)> {
        bounds().into_iter().map(|(_, seconds)| seconds).zip(self.cumulative).collect()
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
                figures: Figures::of(&row.measured),
            })
            .collect();
        series.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        let overflow = (self.overflow().calls > 0).then(|| Figures::of(self.overflow()));
        Snapshot { series, overflow, totals: self.totals(), started: self.started() }
    }
}

impl Snapshot {
    /// Writes the families of span metrics.
    pub fn expose(&self, out: &mut Exposition) {
        let rows: Vec<Shown<'_>> = self.shown().collect();
        let mut calls = out.family(&desc::SPANMETRICS_CALLS);
        for row in &rows {
            calls.count(&row.labels(), row.figures.calls, Some(row.created));
        }
        let mut latency = out.family(&desc::SPANMETRICS_LATENCY);
        for row in &rows {
            let Figures { count, latency: Latency { sum, .. }, .. } = *row.figures;
            let cumulative = row.figures.cumulative();
            let buckets = Buckets { cumulative: &cumulative, count, sum };
            latency.histogram(&row.labels(), &buckets, Some(row.created));
        }
        let mut quantiles = out.family(&desc::SPAN_LATENCY_SECONDS);
        for row in &rows {
            let Latency { p50, p95, p99, .. } = row.figures.latency;
            for ((_, name), value) in QUANTILES.into_iter().zip([p50, p95, p99]) {
                let mut labels = row.labels();
                labels.push(("quantile", name));
                if let Some(value) = value {
                    quantiles.value(&labels, value);
                }
            }
        }
        self.expose_totals(out);
    }

    fn expose_totals(&self, out: &mut Exposition) {
        let Totals { spans, odd_spans, overflow_series, overflow_service, expired } = self.totals;
        out.family(&desc::AGGREGATE_SERIES).whole(&[], self.series.len() as u64);
        out.family(&desc::AGGREGATE_SPANS).count(&[], spans, Some(self.started));
        out.family(&desc::AGGREGATE_ODD_SPANS).count(&[], odd_spans, Some(self.started));
        out.family(&desc::AGGREGATE_EXPIRED_SERIES).count(&[], expired, Some(self.started));
        let mut overflow = out.family(&desc::AGGREGATE_OVERFLOW_SPANS);
        for (limit, spans) in [("series", overflow_series), ("service", overflow_service)] {
            overflow.count(&[("limit", limit)], spans, Some(self.started));
        }
    }

    fn shown(&self) -> impl Iterator<Item = Shown<'_>> {
        let overflow = self.overflow.iter();
        let overflow =
            overflow.map(|figures| Shown { figures, created: self.started, labels: Vec::new() });
        let series = self.series.iter().map(|series| {
            let of = &*series.labels;
            let values = [
                of.service().into_owned(),
                of.span_name().into_owned(),
                of.span_kind().to_owned(),
                of.status_code().to_owned(),
                of.http_route().into_owned(),
                of.http_request_method().to_owned(),
            ];
            let labels = desc::SPAN_LABELS.iter().copied().zip(values).collect();
            Shown { figures: &series.figures, created: series.created, labels }
        });
        series.chain(overflow)
    }

    /// The JSON document of `GET /api/sidelight/v1/routes`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let routes = self.series.iter().map(|series| {
            let of = &*series.labels;
            RouteDocument {
                service: of.service(),
                span_name: of.span_name(),
                span_kind: of.span_kind(),
                status_code: of.status_code(),
                http_route: of.http_route(),
                http_request_method: of.http_request_method(),
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

struct Shown<'a> {
    figures: &'a Figures,
    created: UnixNano,
    /// Empty for the overflow row.
    labels: Vec<(&'static str, String)>,
}

impl Shown<'_> {
    fn labels(&self) -> Vec<Label<'_>> {
        if self.labels.is_empty() {
            return vec![("otel_metric_overflow", "true")];
        }
        self.labels.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }
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
    calls: u64,
    latency_seconds: Latency,
}

#[derive(Serialize)]
struct OverflowDocument {
    calls: u64,
    latency_seconds: Latency,
}
