//! `sidelight gen`: realistic telemetry at a rate or flat out, and an honest account of what became of it.
//!
//! ```text
//! shop → story → template ─ stamp ids and times ─▶ send (retries) ─▶ tally ─▶ report
//!                 metrics ─ collect ──────────────▶
//! ```
//!
//! Requests are made once and patched (see [`template`]), so a core generates far more than an agent takes.
//! The schedule is open: a slow receiver does not slow it until every slot (`connections × in-flight`) is
//! taken. [`demo`] is the same load, small and endless, for `run --demo`.

mod metrics;
mod protobuf;
mod report;
mod send;
mod shop;
mod story;
mod template;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;

use crate::export::config::{ClientConfig, Compression, Encoding, Protocol};
use crate::net::endpoint::Endpoint;
use crate::net::secret::Secret;
use crate::signal::Signal;
use crate::time::{Clock, SystemClock};

use super::exit::{Exit, Failure};
use super::ids::IdsFile;
use super::read::client::{duration, some_time};
use super::sink::asked_to_stop;
use super::terminal::Terminal;
use super::text::ReportFormat;

use self::send::{Load, Plan};

/// What `sidelight gen` was told.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// What to send.
    #[arg(value_enum, default_value_t = What::All)]
    what: What,
    /// Where to: http://, https:// or unix://; host:port is plain text. Without it 127.0.0.1, port 4317 for
    /// gRPC and 4318 for the others.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// How it is sent.
    #[arg(long, value_enum, default_value_t = Transport::Grpc)]
    protocol: Transport,
    /// Of request bodies.
    #[arg(long, value_enum, default_value_t = Coding::None)]
    compression: Coding,
    /// Spans, data points and log records a second, or `max` for flat out.
    #[arg(long, default_value = "1000", value_parser = rate, value_name = "N|max")]
    rate: Rate,
    /// Items per request.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    batch: u32,
    /// Connections to open.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    connections: u32,
    /// Requests that may wait for an answer, per connection.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=256))]
    in_flight: u32,
    /// How long, for example 10s or 5m; without it and --count until interrupted.
    #[arg(long = "for", value_parser = duration, value_name = "TIME")]
    time: Option<Duration>,
    /// How many items, rounded up to a whole request of each kind.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// A header of every request; may be given more than once.
    #[arg(long = "header", value_parser = header, value_name = "NAME=VALUE")]
    headers: Vec<(String, String)>,
    /// Certificate authorities in PEM for https:// endpoints.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// How long one request may take.
    #[arg(long, default_value = "10s", value_parser = some_time, value_name = "TIME")]
    timeout: Duration,
    /// How long a request is sent again while the answers are retryable.
    #[arg(long, default_value = "30s", value_parser = duration, value_name = "TIME")]
    retry_for: Duration,
    /// Write the ids of acknowledged items to this file.
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,
    /// Makes the same services, routes, latencies and errors again; ids and times always differ.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How the summary is written.
    #[arg(short, long, value_enum, default_value_t = ReportFormat::Text)]
    output: ReportFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    Traces,
    Metrics,
    Logs,
    All,
}

impl What {
    /// One round of requests.
    const fn round(self) -> &'static [Signal] {
        match self {
            Self::Traces => &[Signal::Traces],
            Self::Metrics => &[Signal::Metrics],
            Self::Logs => &[Signal::Logs],
            Self::All => &[Signal::Traces, Signal::Logs, Signal::Metrics],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Transport {
    Grpc,
    Http,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Coding {
    None,
    Gzip,
    Zstd,
}

/// Items a second; `None` is flat out.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rate(Option<f64>);

fn rate(text: &str) -> Result<Rate, String> {
    if text == "max" {
        return Ok(Rate(None));
    }
    let number =
        text.replace('_', "").parse().ok().filter(|rate: &f64| *rate > 0.0 && rate.is_finite());
    number.map(|rate| Rate(Some(rate))).ok_or_else(|| "a number above 0, or `max`".to_owned())
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a header is NAME=VALUE")?;
    Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}

impl Args {
    fn client(&self) -> Result<ClientConfig, String> {
        let protocol = match self.protocol {
            Transport::Grpc => Protocol::Grpc,
            Transport::Http | Transport::Json => Protocol::Http,
        };
        let default = match protocol {
            Protocol::Grpc => "http://127.0.0.1:4317",
            Protocol::Http => "http://127.0.0.1:4318",
        };
        let text = self.endpoint.as_deref().unwrap_or(default);
        let endpoint = Endpoint::parse(text, true, protocol.default_port())
            .map_err(|error| format!("--endpoint {text}: {error}"))?;
        let mut client = ClientConfig::new(protocol, endpoint);
        client.encoding =
            if self.protocol == Transport::Json { Encoding::Json } else { Encoding::Proto };
        client.compression = match self.compression {
            Coding::None => Compression::None,
            Coding::Gzip => Compression::Gzip(1),
            Coding::Zstd => Compression::Zstd(1),
        };
        client.headers =
            self.headers.iter().map(|(n, v)| (n.clone(), Secret::new(v.clone()))).collect();
        client.tls.ca_file.clone_from(&self.ca_file);
        client.timeout = self.timeout;
        Ok(client)
    }

    fn plan(&self) -> Plan {
        Plan {
            round: self.what.round(),
            batch: self.batch,
            items_per_second: self.rate.0,
            time: self.time,
            count: self.count,
            connections: self.connections,
            in_flight: self.in_flight,
            retry_for: self.retry_for,
            template_spans: 20_000,
            seed: self.seed,
        }
    }
}

/// Runs the command. [`Exit::Failed`] when something was refused, rejected or given up,
/// [`Exit::Unreachable`] when nothing answered at all.
pub(super) async fn execute(args: Args, terminal: &Terminal) -> Result<Exit, Failure> {
    let client = args.client().map_err(|error| Failure::new(Exit::Usage, error))?;
    let ids = args.ids.as_deref().map(IdsFile::create).transpose().map_err(|error| {
        Failure::new(Exit::Failed, "cannot write the file of ids").because(&error)
    })?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let load = Load::new(args.plan(), &client, ids, clock).map_err(|error| {
        Failure::new(Exit::Usage, "these arguments do not work").because(&error)
    })?;
    let load = Arc::new(load);
    let progress = report::Progress::start(&load, *terminal);
    let interrupted = {
        let load = Arc::clone(&load);
        tokio::spawn(async move {
            asked_to_stop().await;
            load.stop();
        })
    };
    load.run().await;
    interrupted.abort();
    progress.finish();
    let tally = load.tally();
    terminal.data(&report::summary(&tally, load.elapsed(), args.output))?;
    Ok(tally.exit())
}

/// Sends a modest mix of everything to a gRPC `endpoint`, until dropped. What is refused is sent again for a
/// while and then forgotten.
///
/// # Errors
/// An endpoint that cannot be used.
pub async fn demo(endpoint: &str) -> Result<(), String> {
    let endpoint = Endpoint::parse(endpoint, true, Protocol::Grpc.default_port())
        .map_err(|error| error.to_string())?;
    let mut client = ClientConfig::new(Protocol::Grpc, endpoint);
    client.compression = Compression::None;
    let plan = Plan {
        round: What::All.round(),
        batch: 60,
        items_per_second: Some(240.0),
        time: None,
        count: None,
        connections: 1,
        in_flight: 1,
        retry_for: Duration::from_secs(10),
        template_spans: 3_000,
        seed: 1,
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let load = Load::new(plan, &client, None, clock).map_err(|error| error.to_string())?;
    Arc::new(load).run().await;
    Ok(())
}

#[cfg(test)]
mod tests;
