//! A burst of panics that a runtime catches: each is counted and logged, and all of them together are flushed once.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![cfg(all(feature = "otlp", target_os = "linux"))]

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use prost::Message;
use sidelight::init::{Deliver, Delivering, Signal};
use sidelight::logs::LogFormat;

const BURST: usize = 100;

/// Takes what comes, but says of each request of metrics that it has come, and takes it when it is told to.
struct Held {
    came: SyncSender<()>,
    take: Mutex<Receiver<()>>,
    arrived: Arc<Mutex<Arrived>>,
}

#[derive(Default)]
struct Arrived {
    /// Of each request of metrics, how many panics it tells of.
    panics: Vec<i64>,
    /// Log records of panics.
    logged: usize,
}

impl Deliver for Held {
    fn deliver(&self, signal: Signal, request: Vec<u8>) -> Delivering {
        match signal {
            Signal::Metrics => {
                self.came.send(()).unwrap();
                self.take.lock().unwrap().recv().unwrap();
                self.arrived.lock().unwrap().panics.push(counted(&request));
            }
            Signal::Logs => self.arrived.lock().unwrap().logged += logged(&request),
            _ => {}
        }
        Box::pin(async { Ok(()) })
    }
}

fn counted(request: &[u8]) -> i64 {
    let request = ExportMetricsServiceRequest::decode(request).unwrap();
    let scopes = request.resource_metrics.iter().flat_map(|of| &of.scope_metrics);
    let metrics = scopes.flat_map(|scope| &scope.metrics);
    let panics = metrics.filter(|metric| metric.name == "sidelight.panics");
    let points = panics.flat_map(|metric| match &metric.data {
        Some(Data::Sum(sum)) => sum.data_points.clone(),
        _ => Vec::new(),
    });
    points.map(|point| if let Some(Value::AsInt(value)) = point.value { value } else { 0 }).sum()
}

fn logged(request: &[u8]) -> usize {
    let request = ExportLogsServiceRequest::decode(request).unwrap();
    let scopes = request.resource_logs.iter().flat_map(|of| &of.scope_logs);
    let records = scopes.flat_map(|scope| &scope.log_records);
    records.filter(|record| record.event_name == "panic").count()
}

/// Threads of this process that flush.
fn flushing() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        threads.filter_map(|one| std::fs::read_to_string(one.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "sidelight-flush").count()
}

/// As many as there are, all caught.
async fn panics(tasks: usize) {
    let tasks: Vec<_> = (0..tasks).map(|_| tokio::spawn(async { panic!("meant") })).collect();
    for task in tasks {
        assert!(task.await.unwrap_err().is_panic());
    }
}

#[test]
fn a_burst_of_panics_in_tasks_blocks_none_of_them_and_is_one_flush_after_the_one_on_its_way() {
    let (came, comes) = sync_channel(BURST * 2);
    let (go, take) = sync_channel(BURST * 2);
    let arrived = Arc::<Mutex<Arrived>>::default();
    let telemetry = sidelight::init("burst")
        .logs(LogFormat::Off)
        .deliver(Held { came, take: Mutex::new(take), arrived: Arc::clone(&arrived) })
        .metric_interval(Duration::from_secs(3600)) // what asks for metrics is a flush
        .shutdown_timeout(Duration::from_secs(60))
        .start()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();

    runtime.block_on(panics(1));
    comes.recv().unwrap();
    runtime.block_on(panics(BURST)); // while the first is held
    assert_eq!(flushing(), 1, "one thread flushes for all of them");
    go.send(()).unwrap();
    comes.recv().unwrap();
    go.send(()).unwrap();

    go.send(()).unwrap(); // the end collects once more
    telemetry.shutdown().unwrap();
    let arrived = arrived.lock().unwrap();
    let all = i64::try_from(1 + BURST).unwrap();
    assert_eq!(arrived.panics, [1, all, all], "a flush, one for the burst, the end");
    assert_eq!(arrived.logged, 1 + BURST);
}
