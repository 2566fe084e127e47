//! What is sent, and who sends it: bursts of requests over a simulated network, or into the receiver's way in for its own
//! process, some of them again until they are acknowledged.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use sidelight_agent::signal::Signal;

use crate::client::{Client, NotTaken};
use crate::happened::Happened;
use crate::place::Poison;
use crate::told::Told;

/// The signals that are sent.
pub const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

/// A sender of one signal.
pub struct Sender {
    pub signal: Signal,
    pub number: usize,
    pub random: Rng,
    pub client: Client,
    pub told: Arc<Mutex<Told>>,
    pub happened: Happened,
    /// How long it waits for an answer.
    pub patience: Duration,
    /// How often it sends a request that is not acknowledged, at most …
    pub attempts: usize,
    /// … but for what is never taken: a lane with hardly any memory holds one such and one beside it, so there must not be two.
    pub poison_once: bool,
    /// Names are this long at most: what a request of theirs weighs.
    pub name_bytes_max: usize,
}

impl Sender {
    /// Sends until it is aborted.
    pub async fn run(mut self) {
        for burst in 0.. {
            let pause = 8_000.0 * -(1.0 - self.random.f64()).ln();
            tokio::time::sleep(Duration::from_millis(pause as u64 + 1)).await;
            let requests: Vec<_> = (0..self.random.usize(1..5))
                .map(|nth| (self.names(burst, nth), self.random.fork()))
                .collect();
            let sends = requests.into_iter().map(|(names, random)| self.send(names, random));
            futures_util::future::join_all(sends).await;
        }
    }

    fn names(&mut self, burst: usize, nth: usize) -> Vec<String> {
        let number = self.number;
        let filler = |random: &mut Rng| {
            let len = if random.u8(..4) == 0 { random.usize(..self.name_bytes_max) } else { 0 };
            std::iter::repeat_with(|| random.alphanumeric()).take(len).collect::<String>()
        };
        let random = &mut self.random;
        let items = random.usize(1..5);
        (0..items).map(|i| format!("s{number}-{burst}-{nth}-{i}-{}", filler(random))).collect()
    }

    /// One request, until it is acknowledged or given up: what is not acknowledged may be there or not, and more than once.
    async fn send(&self, names: Vec<String>, mut random: Rng) {
        let payload = request(self.signal, &names);
        let attempts = if self.poison_once && Poison::may_be(&names) { 1 } else { self.attempts };
        for attempt in 0..attempts {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(random.u64(50..3_000))).await;
                self.happened.note("sent again");
            }
            self.told.lock().unwrap().offer(self.signal, &names);
            let taking = self.client.send(self.signal, payload.clone());
            match tokio::time::timeout(self.patience, taking).await {
                Ok(Ok(())) => {
                    return self.told.lock().unwrap().acknowledge(self.number, names);
                }
                Ok(Err(NotTaken::Refused(why))) => self.told.lock().unwrap().refused.push(why),
                Ok(Err(NotTaken::Busy)) => self.happened.note("sender put off"),
                Ok(Err(NotTaken::Lost)) | Err(_) => self.client.give_up(),
            }
        }
    }
}

/// An export request whose items have these names.
pub fn request(signal: Signal, names: &[String]) -> Bytes {
    let names = names.iter().cloned();
    match signal {
        Signal::Metrics => {
            let metrics = names.map(metric_of).collect();
            let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
            let resource = ResourceMetrics { scope_metrics, ..ResourceMetrics::default() };
            let resource_metrics = vec![resource];
            ExportMetricsServiceRequest { resource_metrics }.encode_to_vec().into()
        }
        Signal::Logs => {
            let log_records =
                names.map(|event_name| LogRecord { event_name, ..LogRecord::default() }).collect();
            let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
            let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
            ExportLogsServiceRequest { resource_logs }.encode_to_vec().into()
        }
        _ => {
            let ids = (vec![1; 16], vec![2; 8]);
            let spans = names.map(|name| Span {
                name,
                trace_id: ids.0.clone(),
                span_id: ids.1.clone(),
                ..Span::default()
            });
            let spans = spans.collect();
            let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
            let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
            ExportTraceServiceRequest { resource_spans }.encode_to_vec().into()
        }
    }
}

fn metric_of(name: String) -> Metric {
    let value = Some(number_data_point::Value::AsInt(1));
    let points = vec![NumberDataPoint { value, ..NumberDataPoint::default() }];
    let data = Some(metric::Data::Gauge(Gauge { data_points: points }));
    Metric { name, data, ..Metric::default() }
}
