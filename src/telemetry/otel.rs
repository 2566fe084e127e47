//! The agent's own traces and metrics over OTLP/gRPC, when asked, like any user's.
//!
//! Resource: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`, else service.name `sidelight`;
//! `OTEL_SDK_DISABLED=true` turns both off. Limits: [`ROOT_SPANS_PER_SECOND`] traces a second.
//!
//! The destination may be this agent. Three things keep its own spans from feeding themselves for
//! ever: the exporter's own client makes none (the SDK suppresses them), every request it sends
//! carries [`INTERNAL_HEADER`] so that a receiver makes none for it, and the sampler's limit bounds
//! what is left.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::metrics::{MeterProvider as _, ObservableCounter, ObservableGauge};
use opentelemetry::trace::{
    Link, SpanKind, TraceContextExt as _, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, SpanExporter, WithExportConfig as _, WithTonicConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{
    Sampler, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample,
};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Layer as _;

use super::config::{Config, Otlp};
use super::desc;
use super::desc::{Desc, Kind};
use super::logs::{self, Extra, Level};
use super::registry::{Counter, Registry, Value};
use super::stderr;
use crate::time::Clock;

/// The request header that marks the agent's own telemetry.
pub const INTERNAL_HEADER: &str = "sidelight-internal";
/// The most traces of its own that the agent begins in a second.
pub const ROOT_SPANS_PER_SECOND: u32 = 100;

/// The agent's own telemetry, running.
#[derive(Debug)]
pub struct Telemetry {
    level: Level,
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
}

/// The agent's own telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// Logging could not.
    #[error(transparent)]
    Logs(#[from] logs::InitError),
    /// The exporter could not be made.
    #[error("telemetry cannot be exported to {endpoint}")]
    Exporter {
        /// The configured endpoint.
        endpoint: String,
        /// Why.
        #[source]
        source: ExporterBuildError,
    },
    /// Only plain gRPC is spoken here.
    #[error(
        "telemetry endpoint {0} does not begin with http://: send it to this agent, which speaks TLS"
    )]
    Scheme(String),
}

/// Starts logging and, when configured, the export of the agent's own traces and metrics. Within a
/// tokio runtime, which the exporters use. In an application's process, `subscribe` is false: the events are its own to
/// write, and the agent's traces are not exported.
///
/// # Errors
/// [`InitError`]; the process may go on without telemetry of its own.
pub fn init(
    config: &Config,
    registry: &Registry,
    clock: Arc<dyn Clock>,
    subscribe: bool,
) -> Result<Telemetry, InitError> {
    let disabled = std::env::var("OTEL_SDK_DISABLED").is_ok_and(|v| v.eq_ignore_ascii_case("true"));
    let traces = config.traces.as_ref().filter(|_| !disabled);
    let metrics = config.metrics.as_ref().filter(|_| !disabled);
    let traces = traces.map(|to| tracer_provider(to, registry, clock)).transpose()?;
    let metrics = metrics.map(|to| meter_provider(to, registry)).transpose()?;
    stderr::observe(registry);
    let level = if subscribe {
        logs::init(&config.logs, traces.as_ref().map(span_layer))?
    } else {
        Level::of_nothing()
    };
    Ok(Telemetry { level, traces, metrics })
}

impl Telemetry {
    /// Changes the log level while running.
    #[must_use]
    pub const fn level(&self) -> &Level {
        &self.level
    }

    /// Sends what is pending, for at most `deadline`, and ends the exporters.
    pub async fn shutdown(self, deadline: Duration) {
        let Self { traces, metrics, .. } = self;
        let flush = tokio::task::spawn_blocking(move || {
            let metrics = metrics.map_or(Ok(()), |m| m.shutdown_with_timeout(deadline));
            (metrics, traces.map_or(Ok(()), |t| t.shutdown_with_timeout(deadline)))
        });
        match tokio::time::timeout(deadline, flush).await {
            Ok(Ok((Ok(()), Ok(())))) => {}
            outcome => tracing::warn!(?outcome, "the agent's own telemetry was not sent whole"),
        }
    }
}

fn resource() -> Resource {
    let resource = Resource::builder();
    let named = std::env::var_os("OTEL_SERVICE_NAME").is_some_and(|name| !name.is_empty())
        || std::env::var("OTEL_RESOURCE_ATTRIBUTES").is_ok_and(|v| v.contains("service.name="));
    let resource = if named { resource } else { resource.with_service_name("sidelight") };
    resource.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))).build()
}

fn marked() -> MetadataMap {
    let mut headers = http::HeaderMap::new();
    headers.insert(INTERNAL_HEADER, http::HeaderValue::from_static("telemetry"));
    MetadataMap::from_headers(headers)
}

fn plain(to: &Otlp) -> Result<String, InitError> {
    if to.endpoint.starts_with("http://") {
        Ok(to.endpoint.clone())
    } else {
        Err(InitError::Scheme(to.endpoint.clone()))
    }
}

fn tracer_provider(
    to: &Otlp,
    registry: &Registry,
    clock: Arc<dyn Clock>,
) -> Result<SdkTracerProvider, InitError> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(plain(to)?)
        .with_timeout(to.timeout)
        .with_metadata(marked())
        .build()
        .map_err(|source| InitError::Exporter { endpoint: to.endpoint.clone(), source })?;
    let skipped = registry.counter(&desc::TELEMETRY_SKIPPED_TRACES, &[]);
    let root = Limited::new(ROOT_SPANS_PER_SECOND, clock, skipped);
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::ParentBased(Box::new(root)))
        .with_resource(resource())
        .build())
}

fn span_layer(provider: &SdkTracerProvider) -> Extra {
    // Spans are made at DEBUG, where they cost nothing unless this layer wants them.
    let own = filter_fn(|metadata| {
        let level = if metadata.is_span() { tracing::Level::DEBUG } else { tracing::Level::INFO };
        metadata.target().starts_with("sidelight") && *metadata.level() <= level
    });
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("sidelight"))
        .with_filter(own)
        .boxed()
}

fn meter_provider(to: &Otlp, registry: &Registry) -> Result<SdkMeterProvider, InitError> {
    let exporter = MetricExporter::builder()
        .with_tonic()
        .with_endpoint(plain(to)?)
        .with_timeout(to.timeout)
        .with_metadata(marked())
        .build()
        .map_err(|source| InitError::Exporter { endpoint: to.endpoint.clone(), source })?;
    let reader = PeriodicReader::builder(exporter).with_interval(to.interval).build();
    let provider =
        SdkMeterProvider::builder().with_reader(reader).with_resource(resource()).build();
    instrument(&provider, registry);
    Ok(provider)
}

/// Makes one observable instrument per self-metric, which reads the registry at each export.
fn instrument(provider: &SdkMeterProvider, registry: &Registry) {
    let meter = provider.meter("sidelight");
    for desc in desc::all() {
        let registry = registry.clone();
        let name = desc.name;
        // Dropping the handles is fine: the meter keeps the callbacks.
        match desc.kind {
            Kind::Counter => {
                let _kept: ObservableCounter<u64> = meter
                    .u64_observable_counter(name)
                    .with_description(desc.help)
                    .with_callback(move |observer| {
                        each(&registry, name, |attributes, value| {
                            if let Value::Count(count) = value {
                                observer.observe(count, attributes);
                            }
                        });
                    })
                    .build();
            }
            Kind::Gauge => {
                let _kept: ObservableGauge<f64> = meter
                    .f64_observable_gauge(name)
                    .with_description(desc.help)
                    .with_callback(move |observer| {
                        each(&registry, name, |attributes, value| {
                            if let Value::Level(level) = value {
                                observer.observe(level, attributes);
                            }
                        });
                    })
                    .build();
            }
            Kind::Histogram => {}
        }
    }
}

fn each(registry: &Registry, name: &str, mut observe: impl FnMut(&[KeyValue], Value)) {
    let Some((Desc { labels, .. }, series)) = registry.family(name) else { return };
    for (values, value) in series {
        let pairs = labels.iter().zip(values).map(|(&name, text)| KeyValue::new(name, text));
        observe(&pairs.collect::<Vec<_>>(), value);
    }
}

/// Samples traces up to a rate: a token bucket of one second.
#[derive(Clone, Debug)]
struct Limited {
    per_second: u32,
    clock: Arc<dyn Clock>,
    bucket: Arc<Mutex<(f64, Duration)>>,
    skipped: Counter,
}

impl Limited {
    fn new(per_second: u32, clock: Arc<dyn Clock>, skipped: Counter) -> Self {
        let bucket = Arc::new(Mutex::new((f64::from(per_second), clock.monotonic())));
        Self { per_second, clock, bucket, skipped }
    }

    fn take(&self) -> bool {
        let now = self.clock.monotonic();
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, filled) = &mut *bucket;
        let rate = f64::from(self.per_second);
        *tokens = (*tokens + now.saturating_sub(*filled).as_secs_f64() * rate).min(rate);
        *filled = now;
        let taken = *tokens >= 1.0;
        if taken {
            *tokens -= 1.0;
        } else {
            self.skipped.add(1);
        }
        taken
    }
}

impl ShouldSample for Limited {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let decision =
            if self.take() { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop };
        let trace_state = parent
            .map_or_else(TraceState::default, |c| c.span().span_context().trace_state().clone());
        SamplingResult { decision, attributes: Vec::new(), trace_state }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
        MetricsService, MetricsServiceServer,
    };
    use opentelemetry_proto::tonic::collector::metrics::v1::{
        ExportMetricsServiceRequest, ExportMetricsServiceResponse,
    };

    use super::*;
    use crate::time::{ManualClock, UnixNano};

    #[test]
    fn traces_are_sampled_up_to_the_rate_and_no_further() {
        let clock = Arc::new(ManualClock::at(UnixNano(0)));
        let skipped = Counter::default();
        let limited = Limited::new(10, Arc::clone(&clock) as Arc<dyn Clock>, skipped.clone());
        let burst = |n: u32| (0..n).filter(|_| limited.take()).count();
        assert_eq!(burst(50), 10);
        clock.advance(Duration::from_millis(500));
        assert_eq!((burst(50), skipped.get()), (5, 40 + 45));
        clock.advance(Duration::from_secs(60));
        assert_eq!(burst(50), 10);
    }

    #[test]
    fn an_endpoint_that_needs_tls_is_refused_by_name() {
        let to = Otlp { endpoint: "https://collector:4317".to_owned(), ..Otlp::default() };
        let error = plain(&to).unwrap_err().to_string();
        assert!(error.contains("https://collector:4317"), "{error}");
    }

    struct Sink(tokio::sync::mpsc::Sender<tonic::Request<ExportMetricsServiceRequest>>);

    #[tonic::async_trait]
    impl MetricsService for Sink {
        async fn export(
            &self,
            request: tonic::Request<ExportMetricsServiceRequest>,
        ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
            self.0.send(request).await.map_err(|_| tonic::Status::unavailable("test over"))?;
            Ok(tonic::Response::new(ExportMetricsServiceResponse::default()))
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn self_metrics_leave_over_otlp_and_are_marked() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (sender, mut received) = tokio::sync::mpsc::channel(8);
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        let service = MetricsServiceServer::new(Sink(sender));
        let server = tonic::transport::Server::builder().add_service(service);
        let server = tokio::spawn(server.serve_with_incoming(incoming));

        let registry = Registry::default();
        registry.counter(&desc::RECEIVER_ACCEPTED_SPANS, &["otlp", "grpc"]).add(41);
        let provider = meter_provider(&Otlp { endpoint, ..Otlp::default() }, &registry).unwrap();
        tokio::task::spawn_blocking(move || provider.shutdown()).await.unwrap().unwrap();
        let request = received.recv().await.unwrap();
        assert!(request.metadata().contains_key(INTERNAL_HEADER));
        let resource_metrics = &request.get_ref().resource_metrics[0];
        let mut metrics = resource_metrics.scope_metrics.iter().flat_map(|scope| &scope.metrics);
        let spans = metrics.find(|m| m.name == "otelcol_receiver_accepted_spans").unwrap();
        let shown = format!("{:?}", spans.data);
        assert!(shown.contains("AsInt(41)") && shown.contains("is_monotonic: true"), "{shown}");
        server.abort();
    }
}
