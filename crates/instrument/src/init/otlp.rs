//! The OTLP exporters, built on the I/O thread's runtime. Headers come from the environment, read by the exporters themselves.

use std::time::Duration;

use opentelemetry_otlp::{
    Compression, ExporterBuildError, LogExporter, MetricExporter, Protocol as Encoding,
    SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use tokio::runtime::Handle;
use tonic::metadata::{MetadataMap, MetadataValue};

use super::broken::Breaks;
use super::channel::connect;
#[cfg(not(feature = "tls"))]
use super::channel::without_tls;
use super::connector::{Hurry, Patient, tcp};
use super::endpoint::Endpoint;
use super::env::Environment;
use super::error::StartError;
use super::http::OnIoThread;
use super::signal::Signal;
#[cfg(feature = "tls")]
use super::tls::Https;

/// What one signal's exporter needs.
pub(crate) struct Wanted<'a> {
    pub(crate) signal: Signal,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) environment: &'a Environment,
    pub(crate) runtime: &'a Handle,
    pub(crate) hurry: &'a Hurry,
    pub(crate) breaks: &'a Breaks,
    /// One more header of each request.
    pub(crate) header: Option<(&'static str, &'static str)>,
}

fn own((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

macro_rules! exporter {
    ($name:ident -> $exporter:ty $(, $with:ident)?) => {
        pub(crate) fn $name(&self) -> Result<$exporter, StartError> {
            let timeout = *self.environment.timeout.get(self.signal);
            let built = match self.endpoint {
                Endpoint::Http(url) => {
                    let builder = <$exporter>::builder()$(.$with(self.environment.temporality))?.with_http();
                    let builder = self
                        .by_client(builder, url, timeout)?
                        .with_protocol(Encoding::HttpBinary)
                        .with_headers(self.header.map(own).into_iter().collect())
                        .with_endpoint(url)
                        .with_timeout(timeout);
                    match self.compression() {
                        Some(compression) => builder.with_compression(compression).build(),
                        None => builder.build(),
                    }
                }
                Endpoint::Unix(_) | Endpoint::Grpc(_) => {
                    let builder = <$exporter>::builder()$(.$with(self.environment.temporality))?
                        .with_tonic()
                        .with_channel(self.channel(timeout)?)
                        .with_metadata(self.metadata())
                        .with_timeout(timeout);
                    match self.compression() {
                        Some(compression) => builder.with_compression(compression).build(),
                        None => builder.build(),
                    }
                }
            };
            built.map_err(|error| self.refused(&error))
        }
    };
}

impl Wanted<'_> {
    exporter!(spans -> SpanExporter);
    exporter!(logs -> LogExporter);
    exporter!(metrics -> MetricExporter, with_temporality);

    fn metadata(&self) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        if let Some((name, value)) = self.header {
            metadata.insert(name, MetadataValue::from_static(value));
        }
        metadata
    }

    fn channel(&self, timeout: Duration) -> Result<tonic::transport::Channel, StartError> {
        let _in_runtime = self.runtime.enter();
        let files = self.environment.tls.get(self.signal);
        connect(self.endpoint, files, timeout, (self.hurry, self.breaks))
    }

    /// By a client that runs on the I/O thread.
    fn by_client<B: WithHttpConfig>(
        &self,
        builder: B,
        url: &str,
        timeout: Duration,
    ) -> Result<B, StartError> {
        let runtime = self.runtime.clone();
        let by = Patient::new(tcp(), timeout, self.hurry.clone());
        if !url.starts_with("https:") {
            return Ok(builder.with_http_client(OnIoThread::plain(runtime, timeout, by)));
        }
        #[cfg(feature = "tls")]
        {
            let https = Https::new(self.signal, self.environment.tls.get(self.signal), by)?;
            Ok(builder.with_http_client(OnIoThread::encrypted(runtime, timeout, https)))
        }
        #[cfg(not(feature = "tls"))]
        Err(without_tls(url))
    }

    fn compression(&self) -> Option<Compression> {
        self.environment.gzip.get(self.signal).then_some(Compression::Gzip)
    }

    fn refused(&self, error: &ExporterBuildError) -> StartError {
        StartError::Exporter { signal: self.signal.as_str(), reason: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Instant;

    use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};

    use crate::init::{Signal, init};

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "how long it takes is what is tested")]
    fn an_export_waits_for_a_connection_as_long_as_it_may_take_and_no_longer() {
        const TIMEOUT: Duration = Duration::from_secs(2);
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let waited = |protocol: &'static str| {
            let telemetry = init("waits").local().endpoint(format!("http://{nobody}"));
            let lookup = |name: &str| match name {
                "OTEL_EXPORTER_OTLP_PROTOCOL" => Some(protocol.to_owned()),
                "OTEL_EXPORTER_OTLP_TIMEOUT" => Some(TIMEOUT.as_millis().to_string()),
                _ => None,
            };
            let telemetry = telemetry.start_with(&lookup).unwrap();
            let (begun, tracer) = (Instant::now(), telemetry.tracer_provider().tracer("waits"));
            // A batch, which leaves at once.
            (0..512).for_each(|_| tracer.start("work").end());
            while telemetry.counts(Signal::Traces).failed == 0 && begun.elapsed() < 5 * TIMEOUT {
                std::thread::park_timeout(Duration::from_millis(10));
            }
            let waited = begun.elapsed();
            assert_eq!(telemetry.counts(Signal::Traces).failed, 512);
            drop(telemetry);
            waited
        };
        std::thread::scope(|scope| {
            let waits = ["grpc", "http/protobuf"].map(|by| (by, scope.spawn(move || waited(by))));
            for (by, waited) in waits {
                let waited = waited.join().unwrap();
                assert!((TIMEOUT..TIMEOUT.mul_f64(1.4)).contains(&waited), "{by}: {waited:?}");
            }
        });
    }
}
