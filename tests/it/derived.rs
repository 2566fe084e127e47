//! Series that the agent derives of spans, at a destination of tonic and prost, and across a SIGKILL.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use serde_json::Value;

use super::support::{Agent, free_address, wait_for};

const SOON: Duration = Duration::from_secs(40);

/// Start and value of cumulative sums, newest last, by resource and metric.
type Sums = BTreeMap<(String, String), Vec<(u64, f64)>>;

/// Keeps every cumulative sum that it is sent.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Sums>>);

impl Sink {
    async fn serve(&self) -> std::net::SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        let service = MetricsServiceServer::new(self.clone())
            .accept_compressed(tonic::codec::CompressionEncoding::Gzip)
            .accept_compressed(tonic::codec::CompressionEncoding::Zstd);
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(incoming));
        address
    }

    /// The newest calls of the shop: since when, and how many.
    fn calls(&self) -> Option<(u64, f64)> {
        let sums = self.0.lock().unwrap();
        let key = ("service.name=shop,service.instance.id=one".to_owned(), CALLS.to_owned());
        sums.get(&key)?.last().copied()
    }
}

const CALLS: &str = "traces_spanmetrics_calls_total";

#[tonic::async_trait]
impl MetricsService for Sink {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
        let mut sums = self.0.lock().unwrap();
        for of in request.into_inner().resource_metrics {
            let attributes = of.resource.unwrap().attributes;
            let resource: Vec<String> = attributes.iter().map(shown).collect();
            for metric in of.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
                let Some(Data::Sum(sum)) = metric.data else { continue };
                assert!(sum.is_monotonic && sum.aggregation_temporality == 2, "{}", metric.name);
                let key = (resource.join(","), metric.name);
                for point in sum.data_points {
                    let Some(Number::AsDouble(value)) = point.value else { continue };
                    let points = sums.entry(key.clone()).or_default();
                    points.push((point.start_time_unix_nano, value));
                }
            }
        }
        Ok(tonic::Response::new(ExportMetricsServiceResponse::default()))
    }
}

fn shown(attribute: &KeyValue) -> String {
    match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Any::StringValue(text)) => format!("{}={text}", attribute.key),
        other => panic!("{other:?}"),
    }
}

/// So many calls of one operation.
fn calls(count: u64) -> ExportTraceServiceRequest {
    let now = u64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos()).unwrap();
    let span = |n: u64| Span {
        trace_id: (u128::from(now) << 32 | u128::from(n + 1)).to_be_bytes().to_vec(),
        span_id: (now + n).to_be_bytes().to_vec(),
        name: "GET /".to_owned(),
        kind: 2,
        start_time_unix_nano: now - 1_000_000,
        end_time_unix_nano: now,
        ..Span::default()
    };
    let text = |key: &str, value: &str| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Any::StringValue(value.to_owned())) }),
        ..KeyValue::default()
    };
    let attributes = vec![text("service.name", "shop"), text("service.instance.id", "one")];
    let resource = Some(Resource { attributes, ..Resource::default() });
    let scope = ScopeSpans { spans: (0..count).map(span).collect(), ..ScopeSpans::default() };
    let of = ResourceSpans { resource, scope_spans: vec![scope], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![of] }
}

fn ledger(agent: &Agent) -> Option<Value> {
    let (_, body) = agent.get("/api/sidelight/v1/ledger")?;
    serde_json::from_str::<Value>(&body).ok()?["signals"]["metrics"].take().into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn derived_series_reach_a_destination_and_a_kill_is_no_reset_of_them() {
    let (directory, sink) = (tempfile::tempdir().unwrap(), Sink::default());
    let away = sink.serve().await;
    let [grpc, http, admin] = [(); 3].map(|()| free_address());
    let config = format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '{grpc}'}}, http: {{endpoint: '{http}'}}}}}}}}\n\
         journal: {{directory: '{}'}}\nadmin: {{endpoint: '{admin}'}}\n\
         exporters: {{otlp_grpc/away: {{endpoint: 'http://{away}', signals: [metrics]}}}}\n\
         aggregate: {{export: {{enabled: true, families: [spanmetrics], interval: 5s}}}}\n",
        directory.path().join("journal").display()
    );
    let agent = Agent::start(directory.path(), &config, admin).await;
    let send = async |count| {
        let mut client = TraceServiceClient::connect(format!("http://{grpc}")).await.unwrap();
        client.export(calls(count)).await.unwrap();
    };
    send(10).await;
    let arrived = |count: f64| move |sink: &Sink| sink.calls().filter(|(_, calls)| *calls == count);
    let (first, then) = (arrived(10.0), arrived(15.0));
    let (began, _) = wait_for("ten calls arrive", SOON, || first(&sink)).await;
    agent.kill();
    let agent = Agent::start(directory.path(), &config, admin).await;
    send(5).await;
    let (after, _) = wait_for("all fifteen arrive", SOON, || then(&sink)).await;
    assert_eq!(after, began, "it counts since the same time");
    let sums = sink.0.lock().unwrap().clone();
    let calls = sums.iter().filter(|((_, name), _)| name == CALLS);
    let values: Vec<f64> = calls.flat_map(|(_, points)| points).map(|point| point.1).collect();
    assert!(values.iter().all(|value| *value <= 15.0), "nothing is counted twice: {values:?}");
    let names: Vec<String> = sink.0.lock().unwrap().keys().map(|key| key.1.clone()).collect();
    assert!(names.iter().all(|name| name.starts_with("traces_spanmetrics_")), "{names:?}");
    // What the agent sends of itself is not what it derives from.
    let (_, answer) = agent.get("/api/v1/query?query=sum(traces_spanmetrics_calls_total)").unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["data"]["result"][0]["value"][1], "15");
    wait_for("everything accepted is delivered", SOON, || {
        let ledger = ledger(&agent)?;
        let of = &ledger["exporters"]["otlp_grpc/away"];
        let whole = of["delivered"]["items"].as_u64()? + of["queued"]["items"].as_u64()?;
        (ledger["accepted"]["items"].as_u64()? == whole && whole > 0).then_some(())
    })
    .await;
}
