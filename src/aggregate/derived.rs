//! Span metrics in the store: what the table counts, sampled on the grid of received time.
//!
//! When the first record at or after a multiple of 15 s arrives, the table as it was before is sampled at that multiple:
//! so the samples follow from the records alone, and reading them again gives the same. 15 s give a rate over
//! `[1m]` four samples, at a third of the bytes of 5 s; a series that did not change is sampled once a minute, well
//! within the 5 minutes that PromQL looks back. Without any telemetry there are no samples.
//!
//! A series begins with a zero at the multiple before its first sample, and ends when the table lets it go.
//! Limits: those of the table. Cost: about 1 µs per series and sample.

use std::collections::HashMap;
use std::sync::Arc;

use super::codec::{self, Read};
use super::key::Labels;
use super::metrics::sink::Sink;
use super::snapshot::{BOUNDS, bounds};
use super::table::{Measured, Table, UNIT};
use crate::store::{Classic, Kind, Metadata, MetricKind, Refused};
use crate::telemetry::desc;

/// The distance of samples.
pub(super) const INTERVAL_MS: i64 = 15_000;
/// The distance of samples that say the same.
const UNCHANGED_MS: i64 = 60_000;

/// What was sampled of the table.
#[derive(Debug)]
pub(super) struct Derived<Id> {
    /// By labels; `None` is the overflow row.
    rows: HashMap<Option<Arc<Labels>>, Sampled<Id>>,
    /// The last multiple sampled.
    at_ms: i64,
}

#[derive(Clone, Copy, Debug)]
struct Sampled<Id> {
    series: Option<(Id, Id)>,
    calls: u64,
    /// When it was sampled; 0 before.
    at_ms: i64,
    /// The last multiple at which the table had it.
    seen_ms: i64,
}

impl<Id> Default for Derived<Id> {
    fn default() -> Self {
        Self { rows: HashMap::new(), at_ms: 0 }
    }
}

impl<Id: Copy + Eq> Derived<Id> {
    /// Whether a record received at this time comes after a multiple that was not sampled.
    pub(super) fn is_due(&self, received_ms: i64) -> bool {
        received_ms.div_euclid(INTERVAL_MS) * INTERVAL_MS > self.at_ms
    }

    /// Samples the table before a record that was received at `received_ms`.
    pub(super) fn sample<S: Sink<Id = Id>>(
        &mut self,
        sink: &mut S,
        table: &Table,
        received_ms: i64,
    ) {
        let at_ms = received_ms.div_euclid(INTERVAL_MS) * INTERVAL_MS;
        sink.set_now(received_ms);
        if self.rows.is_empty() {
            describe(sink);
        }
        self.at_ms = at_ms;
        let overflow = (table.overflow().calls > 0).then(|| (None, table.overflow()));
        let rows = table.rows().iter().map(|row| (Some(Arc::clone(&row.labels)), &row.measured));
        for (labels, measured) in rows.chain(overflow) {
            let new = Sampled { series: None, calls: 0, at_ms: 0, seen_ms: at_ms };
            let sampled = self.rows.entry(labels.clone()).or_insert(new);
            sampled.seen_ms = at_ms;
            if measured.calls != sampled.calls || at_ms - sampled.at_ms >= UNCHANGED_MS {
                sampled.write(sink, labels.as_deref(), measured, at_ms);
            }
        }
        self.rows.retain(|_, sampled| {
            let gone = sampled.seen_ms != at_ms;
            if gone && let Some((calls, latency)) = sampled.series {
                sink.stale(calls, at_ms);
                sink.stale(latency, at_ms);
            }
            !gone
        });
    }

    /// Everything, for the checkpoint.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        codec::put(out, self.at_ms.unsigned_abs());
        for (labels, sampled) in &self.rows {
            out.push(u8::from(labels.is_some()));
            if let Some(labels) = labels {
                labels.encode(out);
            }
            codec::put(out, sampled.calls);
            codec::put(out, sampled.at_ms.unsigned_abs());
        }
    }

    /// What [`Derived::encode`] wrote, up to what cannot be read.
    pub(super) fn decode(bytes: &[u8]) -> Self {
        let mut read = Read(bytes);
        let at_ms = read.number().unwrap_or(0).cast_signed();
        let mut derived = Self { at_ms, ..Self::default() };
        while let Some((labels, sampled)) = Self::entry(&mut read, at_ms) {
            derived.rows.insert(labels, sampled);
        }
        derived
    }

    fn entry(read: &mut Read<'_>, seen_ms: i64) -> Option<(Option<Arc<Labels>>, Sampled<Id>)> {
        let labels = match read.byte()? {
            0 => None,
            _ => Some(Arc::new(Labels::decode(read)?)),
        };
        let (calls, at_ms) = (read.number()?, read.number()?.cast_signed());
        Some((labels, Sampled { series: None, calls, at_ms, seen_ms }))
    }
}

impl<Id: Copy> Sampled<Id> {
    fn write<S: Sink<Id = Id>>(
        &mut self,
        sink: &mut S,
        labels: Option<&Labels>,
        measured: &Measured,
        at_ms: i64,
    ) {
        // The series may have left the store since it was found.
        for _ in 0..2 {
            let Some(series) = self.series.or_else(|| find(sink, labels)) else { return };
            self.series = Some(series);
            if self.at_ms == 0 {
                append(sink, series, &Measured::default(), at_ms - INTERVAL_MS);
            }
            if append(sink, series, measured, at_ms) {
                (self.calls, self.at_ms) = (measured.calls, at_ms);
                return;
            }
            self.series = None;
        }
    }
}

/// Appends calls and latency; whether their series are there.
fn append<S: Sink>(
    sink: &mut S,
    (calls, latency): (S::Id, S::Id),
    measured: &Measured,
    at_ms: i64,
) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "every sample is f64")]
    let written = sink.append(calls, at_ms, measured.calls as f64);
    let (units, seconds): (Vec<f64>, Vec<f64>) = bounds().into_iter().unzip();
    let mut below = 0;
    let mut counts = Vec::with_capacity(BOUNDS + 1);
    for bound in units {
        let up_to = measured.latency.count_to(bound);
        counts.push(up_to.saturating_sub(below));
        below = up_to;
    }
    let count = measured.latency.count();
    counts.push(count.saturating_sub(below));
    let sum = Some(measured.latency.sum() * UNIT.as_secs_f64());
    let histogram = Classic { bounds: &seconds, counts: &counts, sum, count };
    let other = sink.append_classic(latency, at_ms, &histogram);
    ![written, other].contains(&Err(Refused::Gone))
}

fn find<S: Sink>(sink: &mut S, labels: Option<&Labels>) -> Option<(S::Id, S::Id)> {
    let values = labels.map(|of| {
        [
            of.service().into_owned(),
            of.span_name().into_owned(),
            of.span_kind().to_owned(),
            of.status_code().to_owned(),
            of.http_route().into_owned(),
            of.http_request_method().to_owned(),
        ]
    });
    let mut series = |name: &str, kind| {
        let mut all = vec![("__name__", name)];
        match &values {
            None => all.push(("otel_metric_overflow", "true")),
            Some(values) => {
                all.extend(
                    desc::SPAN_LABELS.iter().copied().zip(values.iter().map(String::as_str)),
                );
                all.push(("service_name", values.first().map_or("", String::as_str)));
            }
        }
        all.retain(|(_, value)| !value.is_empty());
        all.sort_unstable();
        sink.series(&all, kind)
    };
    Some((
        series(&calls_name(), Kind::Float)?,
        series(desc::SPANMETRICS_LATENCY.name, Kind::Classic)?,
    ))
}

fn calls_name() -> String {
    format!("{}_total", desc::SPANMETRICS_CALLS.name)
}

fn describe<S: Sink>(sink: &mut S) {
    let latency = desc::SPANMETRICS_LATENCY;
    for (name, kind, help, unit) in [
        (calls_name().as_str(), MetricKind::Counter, desc::SPANMETRICS_CALLS.help, ""),
        (latency.name, MetricKind::Histogram, latency.help, "seconds"),
    ] {
        sink.describe(name, Metadata { kind, help: help.to_owned(), unit: unit.to_owned() });
    }
}
