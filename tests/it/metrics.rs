//! Metrics from the SDK and from raw OTLP, answered by PromQL; and the same answers after SIGKILL.

use std::path::Path;
use std::time::{Duration, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_otlp::{MetricExporter, WithExportConfig as _};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue as Attribute};
use opentelemetry_proto::tonic::metrics::v1 as otlp;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_sdk::metrics::{Aggregation, Instrument, SdkMeterProvider, Stream, Temporality};
use otlp::metric::Data;
use otlp::number_data_point::Value as Number;
use serde_json::Value;

use super::support::{Agent, free_address, wait_for};

/// An agent with a store and no destination.
struct World {
    directory: tempfile::TempDir,
    config: String,
    grpc: std::net::SocketAddr,
    admin: std::net::SocketAddr,
}

impl World {
    fn new(store: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [grpc, http, admin] = [(); 3].map(|()| free_address());
        let config = format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '{grpc}'}}, http: {{endpoint: '{http}'}}}}}}}}\n\
             journal: {{directory: '{}'}}\nadmin: {{endpoint: '{admin}'}}\n{store}",
            directory.path().join("journal").display()
        );
        Self { directory, config, grpc, admin }
    }

    async fn start(&self) -> Agent {
        Agent::start(self.path(), &self.config, self.admin).await
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

/// The result of an instant query, in the order of labels.
fn query(agent: &Agent, expression: &str, at_ms: u64) -> Option<Vec<Value>> {
    let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let at = format!("{}.{:03}", at_ms / 1000, at_ms % 1000);
    let (status, body) = agent.get(&format!("/api/v1/query?query={encoded}&time={at}"))?;
    assert_eq!(status, 200, "{expression}: {body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    let mut result = answer["data"]["result"].as_array().unwrap().clone();
    result.sort_by_key(|series| series["metric"].to_string());
    Some(result)
}

/// The only value of an answer.
fn value(agent: &Agent, expression: &str) -> Option<f64> {
    let result = query(agent, expression, now_ms() + 1)?;
    let [series] = result.as_slice() else { return None };
    series["value"][1].as_str()?.parse().ok()
}

async fn expect(agent: &Agent, expression: &str, expected: f64) {
    let mut last = None;
    wait_for(&format!("{expression} is {expected}"), Duration::from_secs(20), || {
        last = value(agent, expression);
        last.filter(|found| (found - expected).abs() <= 1e-9 * expected.abs().max(1.0)).map(|_| ())
    })
    .await;
}

fn provider(world: &World, temporality: Temporality) -> SdkMeterProvider {
    let exporter = MetricExporter::builder()
        .with_tonic()
        .with_endpoint(format!("http://{}", world.grpc))
        .with_temporality(temporality)
        .build()
        .unwrap();
    let exponential = |instrument: &Instrument| {
        let aggregation = Aggregation::Base2ExponentialHistogram {
            max_size: 160,
            max_scale: 20,
            record_min_max: true,
        };
        let wanted = instrument.name() == "queue.wait";
        wanted.then(|| Stream::builder().with_aggregation(aggregation).build().unwrap())
    };
    let service = if temporality == Temporality::Delta { "delta" } else { "cumulative" };
    let resource = opentelemetry_sdk::Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", service),
            KeyValue::new("service.instance.id", "i1"),
            KeyValue::new("host.name", "node-7"),
        ])
        .build();
    SdkMeterProvider::builder()
        .with_periodic_exporter(exporter)
        .with_view(exponential)
        .with_resource(resource)
        .build()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_sdk_exports_is_answered_by_promql() {
    let world = World::new("");
    let agent = world.start().await;
    for temporality in [Temporality::Cumulative, Temporality::Delta] {
        let provider = provider(&world, temporality);
        let exporting = tokio::task::spawn_blocking(move || {
            let meter = provider.meter("it");
            let requests = meter.u64_counter("http.server.requests").build();
            let size = meter.f64_gauge("pool.size").with_unit("By").build();
            let active = meter.i64_up_down_counter("http.active").with_unit("{request}").build();
            let duration = meter.f64_histogram("http.duration").with_unit("s").build();
            let wait = meter.f64_histogram("queue.wait").with_unit("s").build();
            for round in 0..3 {
                let route = [KeyValue::new("http.route", "/a")];
                requests.add(2 + round, &route);
                requests.add(1, &[KeyValue::new("http.route", "/b")]);
                size.record(100.5, &[]);
                active.add(2, &[]);
                for seconds in [0.3, 0.3, 7.0] {
                    duration.record(seconds, &route);
                    wait.record(seconds, &route);
                }
                provider.force_flush().unwrap();
            }
            provider.shutdown().unwrap();
        });
        exporting.await.unwrap();
    }
    for job in ["cumulative", "delta"] {
        let of = format!("job='{job}',instance='i1',service_name='{job}'");
        let route = format!("{of},http_route='/a'");
        for (expression, expected) in [
            (format!("http_server_requests_total{{{route}}}"), 9.0),
            (format!("sum(http_server_requests_total{{{of}}})"), 12.0),
            (format!("pool_size_bytes{{{of}}}"), 100.5),
            (format!("http_active{{{of}}}"), 6.0),
            (format!("http_duration_seconds_count{{{route}}}"), 9.0),
            (format!("http_duration_seconds_sum{{{route}}}"), 22.8),
            (format!("http_duration_seconds_bucket{{{route},le='5'}}"), 6.0),
            (format!("http_duration_seconds_bucket{{{route},le='+Inf'}}"), 9.0),
            (format!("histogram_count(queue_wait_seconds{{{route}}})"), 9.0),
            (format!("histogram_sum(queue_wait_seconds{{{route}}})"), 22.8),
            (format!("histogram_quantile(0.5, queue_wait_seconds{{{route}}}) < bool 0.31"), 1.0),
            (format!("target_info{{job='{job}',host_name='node-7'}}"), 1.0),
            // Born within the window: the zero before it makes it count from the first.
            (format!("increase(http_server_requests_total{{{route}}}[1h]) >= bool 8.9"), 1.0),
        ] {
            expect(&agent, &expression, expected).await;
        }
    }
    let (_, metadata) = agent.get("/api/v1/metadata?metric=http_duration_seconds").unwrap();
    assert!(metadata.contains(r#""type":"histogram""#), "{metadata}");
    assert_eq!(agent.get("/readyz").unwrap().0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_cannot_be_opened_stops_nothing() {
    let world = World::new("");
    // A file where the directory should be.
    std::fs::write(world.path().join("store"), "in the way").unwrap();
    let agent = world.start().await;
    let (status, reasons) = agent.get("/readyz").unwrap();
    assert_eq!(status, 200);
    assert!(
        reasons.contains("the metric store in") && reasons.contains("store.enabled"),
        "{reasons}"
    );
    let mut client = MetricsServiceClient::connect(format!("http://{}", world.grpc)).await.unwrap();
    let base = now_ms() - 60_000;
    client.export(request(0, base, 1)).await.unwrap();
    assert!(agent.log().contains("there is no metric store"));
}

const SENDERS: u64 = 3;

/// The export number `n` of a sender: a counter that stands at `n`, and one more in each delta. The times of a
/// sender's exports are a tenth of a second apart.
fn request(sender: u64, base_ms: u64, n: u64) -> ExportMetricsServiceRequest {
    let nanos = |n: u64| (base_ms + n * 100) * 1_000_000;
    let text = Some(AnyValue { value: Some(Any::StringValue(format!("s{sender}"))) });
    let attributes =
        vec![Attribute { key: "service.name".to_owned(), value: text, ..Attribute::default() }];
    let number = |start: u64, value: i64| otlp::NumberDataPoint {
        start_time_unix_nano: nanos(start),
        time_unix_nano: nanos(n),
        value: Some(Number::AsInt(value)),
        ..Default::default()
    };
    let sum = |point, aggregation_temporality| {
        let data_points = vec![point];
        Data::Sum(otlp::Sum { data_points, aggregation_temporality, is_monotonic: true })
    };
    let bounds = otlp::HistogramDataPoint {
        start_time_unix_nano: nanos(n - 1),
        time_unix_nano: nanos(n),
        count: 1,
        sum: Some(2.0),
        explicit_bounds: vec![1.0, 4.0],
        bucket_counts: vec![0, 1, 0],
        ..Default::default()
    };
    let exponential = otlp::ExponentialHistogramDataPoint {
        start_time_unix_nano: nanos(n - 1),
        time_unix_nano: nanos(n),
        count: 1,
        sum: Some(2.0),
        scale: 2,
        positive: Some(otlp::exponential_histogram_data_point::Buckets {
            offset: (n % 7) as i32,
            bucket_counts: vec![1],
        }),
        ..Default::default()
    };
    let metric = |name: &str, data| otlp::Metric {
        name: name.to_owned(),
        data: Some(data),
        ..otlp::Metric::default()
    };
    let metrics = vec![
        metric("steps", sum(number(0, i64::try_from(n).unwrap()), 2)),
        metric("parts", sum(number(n - 1, 1), 1)),
        metric(
            "classic",
            Data::Histogram(otlp::Histogram {
                data_points: vec![bounds],
                aggregation_temporality: 1,
            }),
        ),
        metric(
            "native",
            Data::ExponentialHistogram(otlp::ExponentialHistogram {
                data_points: vec![exponential],
                aggregation_temporality: 1,
            }),
        ),
    ];
    let scope_metrics = vec![otlp::ScopeMetrics { metrics, ..Default::default() }];
    let resource = Some(Resource { attributes, ..Resource::default() });
    let resource_metrics =
        vec![otlp::ResourceMetrics { resource, scope_metrics, ..Default::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

/// Sends exports one after another, each until it is acknowledged, until told to stop; how many.
async fn send(
    world: (String, u64),
    sender: u64,
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
) -> u64 {
    let (endpoint, base_ms) = world;
    let channel = tonic::transport::Endpoint::from_shared(endpoint)
        .unwrap()
        .timeout(Duration::from_secs(5))
        .connect_lazy();
    let mut client = MetricsServiceClient::new(channel);
    let mut n = 1;
    loop {
        while client.export(request(sender, base_ms, n)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if stop.load(std::sync::atomic::Ordering::Relaxed) {
            return n;
        }
        n += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answers_are_the_same_after_the_agent_is_killed() {
    let rounds: u32 = std::env::var("KILL_ROUNDS").map_or(6, |rounds| rounds.parse().unwrap());
    let seed = std::env::var("KILL_SEED").map_or(std::process::id().into(), |s| s.parse().unwrap());
    let mut random = fastrand::Rng::with_seed(seed);
    // Checkpoints often, so that kills fall before, into and after them.
    let world = World::new("store: {checkpoint_interval: 100ms}\n");
    let base = now_ms() - 25 * 60_000;
    let stop = std::sync::Arc::<std::sync::atomic::AtomicBool>::default();
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let to = (format!("http://{}", world.grpc), base);
            tokio::spawn(send(to, sender, std::sync::Arc::clone(&stop)))
        })
        .collect();
    for _ in 0..rounds {
        let agent = world.start().await;
        tokio::time::sleep(Duration::from_millis(random.u64(20..400))).await;
        agent.kill();
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let agent = world.start().await;
    let mut exports = Vec::new();
    for sender in senders {
        exports.push(sender.await.unwrap());
    }
    for (sender, &n) in exports.iter().enumerate() {
        let last = base + n * 100;
        for what in ["steps_total", "parts_total", "classic_count", "histogram_count(native)"] {
            let of = format!("{{job='s{sender}'}}");
            let expression = match what.strip_suffix(')') {
                Some(call) => format!("{call}{of})"),
                None => format!("{what}{of}"),
            };
            wait_for(&format!("{expression} is {n}"), Duration::from_secs(30), || {
                let result = query(&agent, &expression, last)?;
                let found = result.first()?["value"][1].as_str()?.parse::<f64>().ok()?;
                (found == n as f64).then_some(())
            })
            .await;
        }
    }
    // Every export is a sample, once, after the zero at the start.
    let end = base + exports.iter().max().unwrap() * 100;
    let whole = |agent: &Agent| -> Vec<Vec<Value>> {
        [
            "steps_total[30m]",
            "parts_total[30m]",
            "classic_bucket[30m]",
            "native[30m]",
            "target_info",
        ]
        .map(|expression| query(agent, expression, end).unwrap())
        .into()
    };
    let before = whole(&agent);
    for (series, n) in before[0].iter().zip(&exports) {
        let samples = series["values"].as_array().unwrap();
        let values: Vec<String> =
            samples.iter().map(|sample| sample[1].as_str().unwrap().to_owned()).collect();
        let expected: Vec<String> = (0..=*n).map(|value| value.to_string()).collect();
        assert_eq!(values, expected, "seed {seed}");
    }
    agent.kill();
    let agent = world.start().await;
    let (mut after, started) = (Vec::new(), now_ms());
    while after != before && now_ms() < started + 30_000 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        after = whole(&agent);
    }
    assert_eq!(after, before, "seed {seed}");
    println!("{rounds} kills (seed {seed}): {exports:?} exports, all answered alike");
}
