//! Series made of spans in the store, sampled on the grid of received time.
//!
//! When the first record at or after a multiple of 5 s arrives, the table as it was before is sampled at that multiple:
//! so the samples follow from the records alone, and reading them again gives the same. A series that did
//! not change is sampled once a minute, well within the 5 minutes that PromQL looks back. Without any telemetry there are no
//! samples. [`sampler`] keeps what was said; here is what there is to say.
//!
//! A series begins with a zero at the multiple before its first sample, and ends when the table lets it go. Exemplars follow
//! every 15 s. Limits: those of the table. Cost: about 1 µs per series and sample.

use std::time::Duration;

use super::bounds::{CLASSIC, HTTP};
use super::graph::Edge;
use super::measured::UNIT;
use super::metrics::exemplar::hexadecimal;
use super::metrics::sink::Sink;
use super::resource::Resource;
use super::table::exemplars::{Exemplar, WINDOW_MS};
use super::table::views::{Http, Operation};
use super::table::{Counted, ROLL_MS, Table};
use crate::store;
use crate::telemetry::{Desc, desc};
use crate::time::UnixNano;

mod sampler;

pub(super) use sampler::Sampler;
use sampler::{Amount, Part, Shown};

/// The distance of samples: sums over rows are as of then.
pub(super) const INTERVAL_MS: i64 = ROLL_MS;

/// All families.
pub(super) const FAMILIES: [&Desc; 13] = [
    &desc::SPANMETRICS_CALLS,
    &desc::SPANMETRICS_LATENCY,
    &desc::SPANMETRICS_SIZE,
    &desc::OPERATION_DURATION,
    &desc::OPERATION_EXCEEDED,
    &desc::OPERATION_SATISFIED,
    &desc::OPERATION_MIN,
    &desc::OPERATION_MAX,
    &desc::ROUTE_EXCLUDED,
    &desc::SERVICE_GRAPH_REQUESTS,
    &desc::SERVICE_GRAPH_FAILED,
    &desc::SERVICE_GRAPH_SERVER,
    &desc::SERVICE_GRAPH_CLIENT,
];

/// A family of signals of which an instance has one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// `sidelight.operation.*`.
    Operation,
    /// `http.server.*`.
    Http,
}

/// Says whether spans are the source of a family for a resource.
pub(super) type Admits<'a> = dyn FnMut(Family, &Resource) -> bool + 'a;

/// Samples the table.
#[derive(Debug)]
pub(super) struct Derived<Id> {
    sampler: Sampler<Id>,
}

impl<Id> Default for Derived<Id> {
    fn default() -> Self {
        Self { sampler: Sampler::default() }
    }
}

impl<Id: Copy + Eq> Derived<Id> {
    /// Whether a record received at this time comes after a multiple that was not sampled.
    pub(super) fn is_due(&self, received_ms: i64) -> bool {
        received_ms.div_euclid(INTERVAL_MS) * INTERVAL_MS > self.sampler.at_ms()
    }

    /// Samples the table before a record that was received at `received_ms`.
    pub(super) fn sample<S: Sink<Id = Id>>(
        &mut self,
        sink: &mut S,
        table: &mut Table,
        received_ms: i64,
        admits: &mut Admits<'_>,
    ) {
        let at_ms = received_ms.div_euclid(INTERVAL_MS) * INTERVAL_MS;
        let window_over = at_ms.div_euclid(WINDOW_MS) > self.sampler.at_ms().div_euclid(WINDOW_MS);
        sink.set_now(received_ms);
        table.settle(UnixNano(received_ms.unsigned_abs() * 1_000_000));
        let sampler = &mut self.sampler;
        sampler.begin(sink, at_ms);
        if table.overflow_row().measured.calls > 0 {
            sampler.show(sink, &of_row(0, table.overflow_row()), overflow_labels);
        }
        for row in table.rows() {
            let labels = || row.labels.pairs(table.dimensions());
            sampler.show(sink, &of_row(row.id, &row.counted), labels);
        }
        // What another source said meanwhile is not said again when spans are the source.
        for (&id, operation) in table.operations() {
            if admits(Family::Operation, &operation.resource) {
                show_operation(sampler, sink, id, operation);
            } else {
                operation.withhold();
            }
        }
        for (&id, http) in table.http() {
            if admits(Family::Http, &http.key.resource) {
                sampler.show(sink, &of_http(id, http), || http_labels(http));
            } else {
                http.withhold();
            }
        }
        for (id, route) in (0..).zip(table.excluded_routes()) {
            let families = vec![(&desc::ROUTE_EXCLUDED, Amount::Gauge(1.0))];
            let shown = Shown { part: Part::Excluded, id, version: 1, families };
            sampler.show(sink, &shown, || vec![("http_route".to_owned(), route.clone())]);
        }
        for edge in table.graph().edges() {
            sampler.show(sink, &of_edge(edge), || table.graph().labels(edge));
        }
        if window_over {
            let latency = sampler.series_of(Part::Spans, LATENCY_AT);
            let window = usize::try_from(at_ms.div_euclid(WINDOW_MS)).unwrap_or(0);
            let most = table.exemplars_max();
            table.take_exemplars((window, most), |row, exemplar| {
                if let Some(series) = latency(row) {
                    sink.exemplar(series, written(&exemplar));
                }
            });
        }
        table.begin_windows();
        sampler.end(sink);
    }

    /// How many samples were not stored since the last call, by why.
    pub(super) fn take_refused(&mut self) -> Vec<(store::Refused, u64)> {
        self.sampler.take_refused()
    }

    /// Everything, for the checkpoint.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        self.sampler.encode(out);
    }

    /// What [`Derived::encode`] wrote, up to what cannot be read.
    pub(super) fn decode(bytes: &[u8]) -> Self {
        Self { sampler: Sampler::decode(bytes) }
    }
}

fn overflow_labels() -> Vec<(String, String)> {
    vec![("otel_metric_overflow".to_owned(), "true".to_owned())]
}

/// Where the latency is among the families of a row.
const LATENCY_AT: usize = 1;

fn of_row(id: u64, counted: &Counted) -> Shown<'_> {
    let Counted { measured, size, .. } = counted;
    Shown {
        part: Part::Spans,
        id,
        version: measured.calls,
        families: vec![
            (&desc::SPANMETRICS_CALLS, Amount::Count(measured.calls)),
            (&desc::SPANMETRICS_LATENCY, Amount::Latency(&measured.latency, &CLASSIC)),
            (&desc::SPANMETRICS_SIZE, Amount::Count(*size)),
        ],
    }
}

/// Its outcomes are histograms of their own; the others belong to both.
fn show_operation<S: Sink>(
    sampler: &mut Sampler<S::Id>,
    sink: &mut S,
    id: u64,
    operation: &Operation,
) where
    S::Id: Copy + Eq,
{
    let parts = [(Part::Succeeded, "ok"), (Part::Failed, "error")];
    let (outcomes, [exceeded, satisfied]) = operation.said();
    for ((part, outcome), measured) in parts.into_iter().zip(outcomes) {
        if measured.calls > 0 {
            let latency = Amount::Latency(&measured.latency, &HTTP);
            let families = vec![(&desc::OPERATION_DURATION, latency)];
            let shown = Shown { part, id, version: measured.calls, families };
            sampler.show(sink, &shown, || operation.labels(("outcome", outcome)));
        }
    }
    let calls = outcomes.iter().map(|outcome| outcome.calls).sum();
    if let Some(threshold) = operation.threshold_seconds() {
        let families = vec![
            (&desc::OPERATION_EXCEEDED, Amount::Count(exceeded)),
            (&desc::OPERATION_SATISFIED, Amount::Count(satisfied)),
        ];
        let shown = Shown { part: Part::Exceeded, id, version: exceeded + satisfied, families };
        sampler.show(sink, &shown, || operation.labels(("threshold", &threshold)));
    }
    if let Some((min, max)) = operation.window {
        let unit = UNIT.as_secs_f64();
        let families = vec![
            (&desc::OPERATION_MIN, Amount::Gauge(min * unit)),
            (&desc::OPERATION_MAX, Amount::Gauge(max * unit)),
        ];
        let shown = Shown { part: Part::Window, id, version: calls, families };
        sampler.show(sink, &shown, || operation.labels(("outcome", "")));
    } else {
        sampler.keep(Part::Window, id);
    }
}

fn of_http(id: u64, http: &Http) -> Shown<'_> {
    let measured = http.said();
    let latency = Amount::Latency(&measured.latency, &HTTP);
    let families = vec![(&desc::HTTP_SERVER_DURATION, latency)];
    Shown { part: Part::Http, id, version: measured.calls, families }
}

fn http_labels(http: &Http) -> Vec<(String, String)> {
    let mut labels = http.key.resource.labels().to_vec();
    for (name, value) in [
        ("http_route", &http.key.route),
        ("http_request_method", &http.key.method),
        ("http_response_status_code", &http.key.status),
    ] {
        labels.push((name.to_owned(), value.to_string()));
    }
    labels
}

fn of_edge(edge: &Edge) -> Shown<'_> {
    let mut families = vec![
        (&desc::SERVICE_GRAPH_REQUESTS, Amount::Count(edge.requests)),
        (&desc::SERVICE_GRAPH_FAILED, Amount::Count(edge.failed)),
        (&desc::SERVICE_GRAPH_SERVER, Amount::Latency(edge.server_latency(), &CLASSIC)),
        (&desc::SERVICE_GRAPH_CLIENT, Amount::Latency(edge.client_latency(), &CLASSIC)),
    ];
    families.truncate(if edge.client_latency().count() > 0 { 4 } else { 3 });
    Shown { part: Part::Edges, id: edge.id, version: edge.requests, families }
}

fn written(exemplar: &Exemplar) -> store::Exemplar {
    store::Exemplar {
        time_ms: i64::try_from(exemplar.received.0 / 1_000_000).unwrap_or(i64::MAX),
        value: Duration::from_nanos(exemplar.nanos).as_secs_f64(),
        labels: vec![
            ("trace_id".to_owned(), hexadecimal(&exemplar.trace_id)),
            ("span_id".to_owned(), hexadecimal(&exemplar.span_id)),
        ],
    }
}
