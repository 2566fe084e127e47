//! `sidelight sink`: an OTLP receiver that counts what it gets and keeps nothing, for tests and benchmarks.
//!
//! It is the agent's own receiver with another end: [`Counter`] stands where the journal stands. It can be
//! slow (`--delay`), refuse a part (`--fail-rate`), stop at a number (`--count`), and write the ids of
//! the items that it took ([`ids`]), to be compared with those of `sidelight gen`.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sidelight_wire::view::metrics::Data;
use sidelight_wire::view::{logs, metrics, traces};
use tokio::sync::Notify;

use crate::journal::AppendError;
use crate::memory::{Budget, InFlight};
use crate::receive::{self, Append, Bind, Listener};
use crate::signal::{Record, Signal};
use crate::telemetry::Registry;
use crate::time::{Clock, SystemClock};

use super::exit::{Exit, Failure};
use super::ids::{self, IdsFile};
use super::read::client::{duration, some_time};
use super::terminal::Terminal;
use super::text::ReportFormat;

/// Split as the agent's: what a fast generator keeps in flight fits.
const MEMORY_BYTES: usize = 1 << 30;

/// Where and how it receives.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The address for gRPC; both addresses answer both protocols.
    #[arg(long, default_value = "127.0.0.1:14317", value_parser = address, value_name = "ADDRESS")]
    grpc: String,
    /// The address for HTTP.
    #[arg(long, default_value = "127.0.0.1:14318", value_parser = address, value_name = "ADDRESS")]
    http: String,
    /// How long every answer is held back.
    #[arg(long, default_value = "0", value_parser = duration, value_name = "TIME")]
    delay: Duration,
    /// The part of the requests that is refused as retryable, 0 to 1.
    #[arg(long, default_value_t = 0.0, value_parser = part, value_name = "PART")]
    fail_rate: f64,
    /// End after this many items.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// End after this time.
    #[arg(long = "for", value_parser = duration, value_name = "TIME")]
    time: Option<Duration>,
    /// Write the ids of the items to this file.
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,
    /// How often the counts are shown.
    #[arg(long, default_value = "10s", value_parser = some_time, value_name = "TIME")]
    every: Duration,
    /// How the counts are written at the end.
    #[arg(short, long, value_enum, default_value_t = ReportFormat::Text)]
    output: ReportFormat,
}

fn part(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|part| (0.0..=1.0).contains(part));
    number.ok_or_else(|| "a number from 0 to 1".to_owned())
}

/// A host or an address, and a port; whether it can be listened on only the system knows.
fn address(text: &str) -> Result<String, String> {
    let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    let known = port.is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    known.then(|| text.to_owned()).ok_or_else(|| "expected HOST:PORT".to_owned())
}

/// Takes records by counting them.
#[derive(Clone, Debug)]
struct Counter {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    counts: [Counts; 4],
    delay: Duration,
    fail_rate: f64,
    until: Option<u64>,
    items: AtomicU64,
    done: Notify,
    ids: Option<IdsFile>,
    ids_failed: AtomicBool,
    /// Monotonic times of the first and the last record.
    span: Mutex<Option<(Duration, Duration)>>,
    clock: SystemClock,
}

#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU64,
    items: AtomicU64,
    bytes: AtomicU64,
    refused: AtomicU64,
}

impl Append for Counter {
    async fn append(&self, record: Record) -> Result<(), AppendError> {
        let shared = &*self.shared;
        let Some(counts) = shared.counts.get(record.signal.index()) else { return Ok(()) };
        if !shared.delay.is_zero() {
            tokio::time::sleep(shared.delay).await;
        }
        if shared.fail_rate > 0.0 && fastrand::f64() < shared.fail_rate {
            counts.refused.fetch_add(1, Ordering::Relaxed);
            return Err(AppendError::Full);
        }
        if let Some(file) = &shared.ids
            && file.add(record.signal, ids::runs(ids_of(&record))).is_err()
        {
            shared.ids_failed.store(true, Ordering::Relaxed);
        }
        counts.requests.fetch_add(1, Ordering::Relaxed);
        counts.bytes.fetch_add(record.payload.len() as u64, Ordering::Relaxed);
        counts.items.fetch_add(record.items.into(), Ordering::Relaxed);
        let now = shared.clock.monotonic();
        shared.span.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert((now, now)).1 =
            now;
        let items = u64::from(record.items);
        let total = shared.items.fetch_add(items, Ordering::Relaxed) + items;
        if shared.until.is_some_and(|until| total >= until) {
            shared.done.notify_one();
        }
        Ok(())
    }
}

/// The ids of a record's items, see [`ids`]; items whose id is not 8 bytes are left out.
fn ids_of(record: &Record) -> Vec<u64> {
    let number = |id: &[u8]| id.try_into().ok().map(u64::from_be_bytes);
    let bytes = &record.payload;
    match record.signal {
        Signal::Traces => {
            let scopes = traces::Request::new(bytes).resources().flat_map(|r| r.scope_spans());
            scopes.flat_map(|s| s.spans()).filter_map(|span| number(span.span_id)).collect()
        }
        Signal::Logs => {
            let scopes = logs::Request::new(bytes).resources().flat_map(|r| r.scope_logs());
            scopes.flat_map(|s| s.log_records()).filter_map(|log| number(log.span_id)).collect()
        }
        Signal::Metrics => {
            let scopes = metrics::Request::new(bytes).resources().flat_map(|r| r.scope_metrics());
            let mut ids = Vec::new();
            for metric in scopes.flat_map(|s| s.metrics()) {
                match metric.data {
                    Data::Gauge(p) | Data::Sum(p) => {
                        ids.extend(p.numbers().map(|point| point.time_unix_nano));
                    }
                    Data::Histogram(p) => {
                        ids.extend(p.histograms().map(|point| point.time_unix_nano));
                    }
                    Data::ExponentialHistogram(p) => {
                        ids.extend(p.exponential_histograms().map(|point| point.time_unix_nano));
                    }
                    Data::Summary(p) => ids.extend(p.summaries().map(|point| point.time_unix_nano)),
                    Data::Empty => {}
                }
            }
            ids
        }
        Signal::Profiles => Vec::new(),
    }
}

/// Receives until interrupted, or until `--count` or `--for` says so; then prints the counts.
pub(super) async fn execute(args: Args, terminal: &Terminal) -> Result<Exit, Failure> {
    let ids = args.ids.as_deref().map(IdsFile::create).transpose().map_err(|error| {
        Failure::new(Exit::Failed, "cannot write the file of ids").because(&error)
    })?;
    let counter = Counter {
        shared: Arc::new(Shared {
            counts: Default::default(),
            delay: args.delay,
            fail_rate: args.fail_rate,
            until: args.count,
            items: AtomicU64::new(0),
            done: Notify::new(),
            ids,
            ids_failed: AtomicBool::new(false),
            span: Mutex::new(None),
            clock: SystemClock::new(),
        }),
    };
    let budget = Budget::split(MEMORY_BYTES);
    let listener = |address: &String| Listener {
        message_bytes_max: budget.message,
        ..Listener::new(Bind::Tcp(address.clone()))
    };
    let config = receive::Config {
        listeners: vec![listener(&args.grpc), listener(&args.http)],
        ..receive::Config::with_budget(&budget)
    };
    let in_flight = InFlight::new(budget.in_flight);
    let clock = Arc::new(SystemClock::new());
    let deps = receive::Deps { in_flight, registry: Registry::default(), clock };
    let bound = receive::bind(config, deps)
        .await
        .map_err(|error| Failure::new(Exit::Failed, "cannot listen").because(&error))?;
    for endpoint in bound.endpoints() {
        terminal.note(&format!("listening on {}", endpoint.address));
    }
    let handle = bound.serve(counter.clone());
    wait(&counter.shared, &args, terminal).await;
    handle.drain(Duration::from_secs(2)).await;
    terminal.data(&counter.shared.summary(args.output))?;
    let failed = counter.shared.ids_failed.load(Ordering::Relaxed);
    if failed {
        return Err(Failure::new(Exit::Failed, "not every id could be written"));
    }
    Ok(Exit::Ok)
}

async fn wait(shared: &Shared, args: &Args, terminal: &Terminal) {
    let end = async {
        match args.time {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    let lines = async {
        loop {
            tokio::time::sleep(args.every.max(Duration::from_millis(100))).await;
            terminal.note(&shared.line());
        }
    };
    tokio::select! {
        () = shared.done.notified() => {}
        () = end => {}
        () = asked_to_stop() => {}
        () = lines => {}
    }
}

/// SIGINT or SIGTERM.
pub(super) async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        _ => std::future::pending().await,
    }
}

impl Shared {
    fn rows(&self) -> impl Iterator<Item = (Signal, [u64; 4])> {
        Signal::ALL.into_iter().zip(&self.counts).map(|(signal, counts)| {
            let all = [&counts.requests, &counts.items, &counts.bytes, &counts.refused];
            (signal, all.map(|count| count.load(Ordering::Relaxed)))
        })
    }

    fn line(&self) -> String {
        let rows = self.rows().filter(|(_, [requests, ..])| *requests > 0);
        let parts: Vec<_> =
            rows.map(|(signal, [_, items, ..])| format!("{items} {signal}")).collect();
        if parts.is_empty() { "nothing yet".to_owned() } else { parts.join(", ") }
    }

    /// Seconds between the first and the last record.
    fn seconds(&self) -> f64 {
        let span = *self.span.lock().unwrap_or_else(PoisonError::into_inner);
        span.map_or(0.0, |(first, last)| last.saturating_sub(first).as_secs_f64())
    }

    fn summary(&self, output: ReportFormat) -> String {
        match output {
            ReportFormat::Text => {
                let mut text = format!(
                    "{:<9} {:>12} {:>14} {:>16} {:>10}\n",
                    "signal", "requests", "items", "bytes", "refused"
                );
                for (signal, [requests, items, bytes, refused]) in self.rows() {
                    if requests + refused > 0 {
                        text += &format!(
                            "{:<9} {requests:>12} {items:>14} {bytes:>16} {refused:>10}\n",
                            signal.name()
                        );
                    }
                }
                text + &format!("from first to last: {:.1} s\n", self.seconds())
            }
            ReportFormat::Json => {
                let signals: serde_json::Map<_, _> = self
                    .rows()
                    .map(|(signal, [requests, items, bytes, refused])| {
                        let counts = serde_json::json!({
                            "requests": requests, "items": items, "bytes": bytes, "refused": refused,
                        });
                        (signal.name().to_owned(), counts)
                    })
                    .collect();
                let seconds = self.seconds();
                format!(
                    "{:#}\n",
                    serde_json::json!({"schema_version": 1, "seconds": seconds, "signals": signals})
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Typed {
        #[command(flatten)]
        _args: Args,
    }

    #[test]
    fn an_address_or_a_time_that_is_none_is_a_mistake_in_what_was_typed() {
        for (flag, value, taken) in [
            ("--grpc", "foo", false),
            ("--http", ":1", false),
            ("--http", "127.0.0.1:99999", false),
            ("--grpc", "localhost:0", true),
            ("--every", "0s", false),
            ("--every", "1s", true),
        ] {
            let typed = Typed::try_parse_from(["sink", flag, value]);
            assert_eq!(typed.is_ok(), taken, "{flag} {value}");
        }
    }
}
