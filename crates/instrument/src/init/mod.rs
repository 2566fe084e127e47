//! Start and end of telemetry: resource, exporters, the I/O thread and the guard.
//!
//! ```no_run
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let telemetry = sidelight::init("checkout").version(env!("CARGO_PKG_VERSION")).start()?;
//!     tracing::info!("ready");
//!     // The application runs; when the guard goes, everything recorded is delivered.
//!     drop(telemetry);
//!     Ok(())
//! }
//! ```
//!
//! # Who decides
//!
//! What code says goes before the environment, but for what whoever runs the program decides without building it anew:
//! `OTEL_SERVICE_NAME` goes before the name given to [`init`](crate::init()), `OTEL_RESOURCE_ATTRIBUTES` before what was found
//! out, `RUST_LOG` before [`filter`](Init::filter), and `OTEL_SDK_DISABLED` and `OTEL_*_EXPORTER` of `none` or `console` before
//! [`deliver`](Init::deliver) and [`endpoint`](Init::endpoint). Without either, records go to the agent's Unix socket where its
//! directory `/run/sidelight` exists, else to `127.0.0.1:4317`. Nobody has to listen there: an export waits for a connection as
//! long as it may take (`OTEL_EXPORTER_OTLP_TIMEOUT`), longer than an agent takes to be restarted; then its records are
//! dropped and counted, as are those that find no room in the queues meanwhile. An export whose connection breaks within that
//! time, before it was answered, is sent again, and may arrive twice. Whoever flushes or ends telemetry does not wait for a
//! connection.
//!
//! | variable | meaning |
//! |---|---|
//! | `OTEL_SDK_DISABLED` | `true`: nothing is recorded or sent; logs are written, callers' traces are passed on as they came |
//! | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | who is speaking; the latter as `key=value,..`, with `%2C` for a comma |
//! | `OTEL_EXPORTER_OTLP_[TRACES_\|METRICS_\|LOGS_]ENDPOINT` | `http://host:4317`, `https://`, `unix:///path` |
//! | `.._PROTOCOL` | `grpc` (default) or `http/protobuf` |
//! | `.._HEADERS`, `.._TIMEOUT` (ms), `.._COMPRESSION` (`gzip`, `none`), `.._INSECURE` | as the specification says |
//! | `.._CERTIFICATE`, `.._CLIENT_CERTIFICATE`, `.._CLIENT_KEY` | PEM files; with the feature `tls` |
//! | `OTEL_{TRACES,METRICS,LOGS}_EXPORTER` | `otlp` (default), `console` or `none` |
//! | `OTEL_PROPAGATORS` | `tracecontext,baggage` (default), `none` |
//! | `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` | as the specification says |
//! | `OTEL_METRIC_EXPORT_INTERVAL` | ms; 10000 here, so that alerts react |
//! | `OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION` | `base2_exponential_bucket_histogram` |
//! | `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE` | `cumulative` (default), `delta`, `lowmemory` |
//! | `OTEL_[SPAN_\|LOGRECORD_]ATTRIBUTE_VALUE_LENGTH_LIMIT` | characters that are kept |
//! | `OTEL_BSP_*`, `OTEL_BLRP_*`, `OTEL_SPAN_*_COUNT_LIMIT` | queues, batches and limits |
//! | `OTEL_SEMCONV_STABILITY_OPT_IN` | `gen_ai_latest_experimental`: newer names of calls of language models |
//! | `RUST_LOG` | what is logged and traced; `info` where unset |
//!
//! What this crate makes itself (spans of requests, warnings, entries) is there at `info` whatever `RUST_LOG` says, unless that
//! names `sidelight` or switches everything `off`; the crates that export are silent unless it names them.
//!
//! Where `OTEL_SDK_DISABLED` leaves no spans, callers' traces are passed on as they came, but for tasks that are spawned: there
//! is no span to take them along.
//!
//! Sketches of the users of features ([`Feature`](crate::Feature)) go where logs go by OTLP, every minute: log records
//! `sidelight.feature.sketch` in requests of their own. An agent merges them and never passes them on; a collector treats them
//! as the log records that they are.
//!
//! A bad value is left out, and one warning names it (of headers their place in the list: they are secrets). Words may have
//! capitals. But a protocol, an endpoint or a TLS file that cannot be used is a [`StartError`]: nothing would arrive.
//!
//! # The end
//!
//! Dropping the guard delivers what was recorded: metrics first, then traces, then logs, then the I/O thread ends; at most
//! [`shutdown_timeout`](Init::shutdown_timeout) (5 s) in all, and half a second more where that thread hangs. It never panics.
//! That works wherever the guard is dropped: in an asynchronous `main` on a single-threaded runtime, in a task, in a program
//! without a runtime, while a panic unwinds. What does not drop it is `std::process::exit` and a signal:
//! [`Telemetry::install_signal_flush`] is for SIGTERM.
//!
//! A process has one subscriber of `tracing` for its life: a second start after the end is refused
//! ([`StartError::Ended`]), but [`without_subscriber`](Init::without_subscriber), where handles record again.
//!
//! A process that forks leaves its threads behind: telemetry is started after the fork. The child's copy of an earlier guard
//! delivers nothing, and says so ([`FlushError::Forked`]).

mod broken;
mod builder;
mod channel;
mod connector;
mod console;
mod delivery;
mod direct;
mod endpoint;
mod env;
mod error;
mod filter;
mod gate;
mod http;
mod io;
mod otlp;
mod outage;
mod pairs;
mod propagators;
mod providers;
mod resource;
mod sampling;
mod signal;
mod signals;
mod sketches;
mod subscriber;
mod telemetry;
#[cfg(feature = "tls")]
mod tls;
mod turns;

pub use builder::{Init, init};
pub use direct::{Deliver, DeliverError, Delivering};
pub use error::{FlushError, StartError};
pub use outage::Counts;
pub use signal::Signal;
pub use telemetry::Telemetry;
