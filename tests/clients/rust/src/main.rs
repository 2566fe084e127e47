//! A stock Rust SDK program: every item goes to a reference receiver and, the same item, to the subject.
//!
//! `sidelight-client-rust RUN...` with RUN = `(grpc | http/protobuf | http/json):(none | gzip)`.
//! `REFERENCE`, `SUBJECT_GRPC` and `SUBJECT_HTTP` hold base URLs. Exits non-zero if any export was
//! refused.

mod both;
mod send;

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};

use opentelemetry_otlp::{
    Compression, LogExporter, MetricExporter, Protocol, SpanExporter, WithExportConfig as _,
    WithHttpConfig as _, WithTonicConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::Temporality;

use self::both::Both;

/// Exports that any exporter reported as failed.
static FAILURES: AtomicU32 = AtomicU32::new(0);

/// Where and how one run sends.
struct Run<'a> {
    protocol: &'a str,
    gzip: bool,
    reference: String,
    grpc: String,
    http: String,
}

impl Run<'_> {
    fn protocol(&self) -> Protocol {
        if self.protocol == "http/json" { Protocol::HttpJson } else { Protocol::HttpBinary }
    }

    fn temporality(&self) -> Temporality {
        if self.gzip { Temporality::Delta } else { Temporality::Cumulative }
    }

    fn spans(&self) -> Result<Both<SpanExporter>, Box<dyn Error>> {
        let reference = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", self.reference))
            .build()?;
        let subject = if self.protocol == "grpc" {
            let builder = SpanExporter::builder().with_tonic().with_endpoint(&self.grpc);
            if self.gzip { builder.with_compression(Compression::Gzip) } else { builder }.build()?
        } else {
            let builder = SpanExporter::builder()
                .with_http()
                .with_protocol(self.protocol())
                .with_endpoint(format!("{}/v1/traces", self.http));
            if self.gzip { builder.with_compression(Compression::Gzip) } else { builder }.build()?
        };
        Ok(Both::new(reference, subject))
    }

    fn metrics(&self) -> Result<Both<MetricExporter>, Box<dyn Error>> {
        let reference = MetricExporter::builder()
            .with_temporality(self.temporality())
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/metrics", self.reference))
            .build()?;
        let builder = MetricExporter::builder().with_temporality(self.temporality());
        let subject = if self.protocol == "grpc" {
            let builder = builder.with_tonic().with_endpoint(&self.grpc);
            if self.gzip { builder.with_compression(Compression::Gzip) } else { builder }.build()?
        } else {
            let builder = builder
                .with_http()
                .with_protocol(self.protocol())
                .with_endpoint(format!("{}/v1/metrics", self.http));
            if self.gzip { builder.with_compression(Compression::Gzip) } else { builder }.build()?
        };
        Ok(Both::new(reference, subject))
    }

    fn logs(&self) -> Result<Both<LogExporter>, Box<dyn Error>> {
        let reference = LogExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/logs", self.reference))
            .build()?;
        let subject = if self.protocol == "grpc" {
            let builder = LogExporter::builder().with_tonic().with_endpoint(&self.grpc);
            if self.gzip { builder.with_compression(Compression::Gzip) } else { builder }.build()?
        } else {
            let builder = LogExporter::builder()
                .with_http()
                .with_protocol(self.protocol())
                .with_endpoint(format!("{}/v1/logs", self.http));
            if self.gzip { builder.with_compression(Compression::Gzip) } else { builder }.build()?
        };
        Ok(Both::new(reference, subject))
    }
}

fn one_run(name: &str) -> Result<(), Box<dyn Error>> {
    let (protocol, compression) = name.split_once(':').ok_or("a run is PROTOCOL:COMPRESSION")?;
    let run = Run {
        protocol,
        gzip: compression == "gzip",
        reference: std::env::var("REFERENCE")?,
        grpc: std::env::var("SUBJECT_GRPC")?,
        http: std::env::var("SUBJECT_HTTP")?,
    };
    let resource = Resource::builder()
        .with_service_name("rust-client")
        .with_attributes([opentelemetry::KeyValue::new("client.run", format!("rust {name}"))])
        .build();
    let traces = send::traces(resource.clone(), run.spans()?)?;
    let logs = send::logs(resource.clone(), run.logs()?)?;
    send::metrics(resource, run.metrics()?)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, r#"{{"run": "rust {name}", "made": {{"traces": {traces}, "logs": {logs}}}}}"#)?;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let runs: Vec<String> = std::env::args().skip(1).collect();
    // The SDK's shutdown blocks the thread that calls it; the exporters need the runtime's others.
    let result = tokio::task::spawn_blocking(move || {
        runs.iter().try_for_each(|name| one_run(name).map_err(|error| format!("{name}: {error}")))
    });
    let failures = match result.await {
        Ok(Ok(())) => FAILURES.load(Ordering::Relaxed),
        Ok(Err(error)) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            1
        }
        Err(_) => 1,
    };
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
