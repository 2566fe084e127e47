//! Every metric of ours, defined once: its name, kind, unit, description, buckets, attributes and how many series it may have.
//!
//! Names follow the semantic conventions (1.44) where these have one and start with `sidelight.` where not. The SDK reserves
//! memory for as many series as a metric may have (about 70 bytes each), so the limits here also bound what an unused
//! metric costs. Past its limit a metric has one more series, `otel.metric.overflow="true"`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use opentelemetry_sdk::metrics::{Instrument, Stream};

/// The scope of all instruments here.
pub const SCOPE: &str = "sidelight";

/// What an instrument measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A sum that only grows.
    Counter,
    /// A sum that grows and shrinks.
    UpDownCounter,
    /// The last value.
    Gauge,
    /// A distribution.
    Histogram,
    /// A sum that only grows, looked at when metrics are collected.
    ObservableCounter,
    /// The same of what is no whole number.
    ObservableSum,
    /// A sum that grows and shrinks, looked at when metrics are collected.
    ObservableUpDownCounter,
    /// A value, looked at when metrics are collected.
    ObservableGauge,
}

/// A metric as it is told to the SDK.
///
/// A document of one's own of everything that this crate records:
/// ```
/// for metric in sidelight::names::ALL {
///     println!("{} [{}] {}", metric.name, metric.unit, metric.description);
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Lowercase words separated by dots.
    pub name: &'static str,
    /// What it measures.
    pub kind: Kind,
    /// In UCUM: `s`, `By`, `{request}`.
    pub unit: &'static str,
    /// A sentence for those who read the exposition.
    pub description: &'static str,
    /// Upper bounds of a histogram's buckets, ascending; empty for the SDK's.
    pub buckets: &'static [f64],
    /// The attributes that its series can have.
    pub attributes: &'static [&'static str],
    /// How many series it may have.
    pub series_max: usize,
}

/// Limits of metrics that applications define.
static DEFINED: Mutex<Option<HashMap<String, usize>>> = Mutex::new(None);

/// Says how many series an instrument of an application may have; before the instrument is made.
pub(crate) fn define(name: &str, series_max: usize) {
    let mut defined = DEFINED.lock().unwrap_or_else(PoisonError::into_inner);
    defined.get_or_insert_default().insert(name.to_owned(), series_max);
}

/// Tells the SDK how many series a metric may have.
///
/// ```
/// use opentelemetry_sdk::metrics::SdkMeterProvider;
///
/// let provider = SdkMeterProvider::builder().with_view(sidelight::names::view).build();
/// # drop(provider);
/// ```
#[must_use]
pub fn view(instrument: &Instrument) -> Option<Stream> {
    let series_max = series_max(instrument.name())?;
    // The overflow series is one of those that the SDK counts.
    Stream::builder().with_cardinality_limit(series_max + 1).build().ok()
}

/// How many series a metric of ours, or a defined one, may have.
pub(crate) fn series_max(name: &str) -> Option<usize> {
    let defined = DEFINED.lock().unwrap_or_else(PoisonError::into_inner);
    let known = ALL.iter().find(|metric| metric.name == name).map(|metric| metric.series_max);
    known.or_else(|| defined.as_ref()?.get(name).copied())
}

/// Bounds of durations that people wait for, in seconds: those of HTTP in the semantic conventions, and the threshold.
pub const SECONDS: &[f64] =
    &[0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.0, 2.5, 5.0, 7.5, 10.0];
/// Those of HTTP in the semantic conventions, in seconds.
pub(crate) const HTTP_SECONDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Those of databases in the semantic conventions, in seconds.
pub(crate) const DB_SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];
/// Of lookups in memory and over a network, in seconds.
pub(crate) const LOOKUP_SECONDS: &[f64] = &[
    0.000_000_1,
    0.000_000_5,
    0.000_001,
    0.000_005,
    0.000_01,
    0.000_05,
    0.000_1,
    0.000_5,
    0.001,
    0.005,
    0.01,
    0.05,
    0.1,
    0.5,
    1.0,
    5.0,
];
/// Of lives of connections, in seconds: 1 s to 12 h.
pub(crate) const AGE_SECONDS: &[f64] =
    &[1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 43200.0];
/// Of numbers of entries in a queue.
pub(crate) const DEPTHS: &[f64] =
    &[0.0, 1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0];
/// Of numbers of retries.
pub(crate) const RETRIES: &[f64] = &[0.0, 1.0, 2.0, 3.0, 5.0, 10.0];
/// Of tokens, from the semantic conventions of generative AI.
pub(crate) const TOKENS: &[f64] = &[
    1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0,
    16777216.0, 67108864.0,
];
/// Of calls to language models, in seconds, from the semantic conventions of generative AI.
pub(crate) const GEN_AI_SECONDS: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Of the sizes of bodies, in bytes.
pub const BYTES: &[f64] =
    &[0.0, 128.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0];

/// The attributes of calls to language models, from the semantic conventions of generative AI.
pub(crate) const GEN_AI_CALL: &[&str] = &[
    "gen_ai.provider.name",
    "gen_ai.operation.name",
    "gen_ai.request.model",
    "gen_ai.response.model",
];

macro_rules! metrics {
    ($($name:ident = $kind:ident $metric:literal [$unit:literal] $attributes:tt $max:literal
        $(in $buckets:ident)?: $description:literal;)*) => {
        $(
            #[doc = concat!("`", $metric, "`, ", $unit, ": ", $description)]
            ///
            #[doc = metrics!(@told $attributes)]
            #[doc = concat!("At most ", $max, " series.")]
            pub(crate) static $name: Metric = Metric {
                name: $metric,
                kind: Kind::$kind,
                unit: $unit,
                description: $description,
                buckets: metrics!(@ $($buckets)?),
                attributes: metrics!(@of $attributes),
                series_max: $max,
            };
        )*
        /// All of them.
        pub static ALL: &[&Metric] = &[$(&$name),*];
    };
    (@) => { &[] };
    (@ $buckets:ident) => { $buckets };
    (@of ($($attribute:literal),*)) => { &[$($attribute),*] };
    (@of $attributes:ident) => { $attributes };
    (@told ()) => { "" };
    (@told ($first:literal $(, $attribute:literal)*)) => {
        concat!("By `", $first, "`", $(", `", $attribute, "`",)* ".")
    };
    (@told $attributes:ident) => { concat!("By [`", stringify!($attributes), "`].") };
}

metrics! {
    OPERATION_DURATION = Histogram "sidelight.operation.duration" ["s"]
        ("operation.name", "outcome", "error.type") 1000 in SECONDS: "Duration of operations.";
    OPERATION_ACTIVE = ObservableUpDownCounter "sidelight.operation.active" ["{operation}"]
        ("operation.name") 256: "Operations in flight.";
    OPERATION_MIN = ObservableGauge "sidelight.operation.duration.min" ["s"]
        ("operation.name") 256: "Shortest operation since the last collection.";
    OPERATION_MAX = ObservableGauge "sidelight.operation.duration.max" ["s"]
        ("operation.name") 256: "Longest operation since the last collection.";
    OPERATION_THRESHOLD_EXCEEDED = Counter "sidelight.operation.threshold.exceeded" ["{operation}"]
        ("operation.name", "threshold") 256: "Operations that took longer than their threshold.";

    CACHE_REQUESTS = Counter "sidelight.cache.requests" ["{request}"]
        ("cache.name", "cache.type", "cache.result", "http.route") 1000: "Lookups by result.";
    CACHE_REQUEST_DURATION = Histogram "sidelight.cache.request.duration" ["s"]
        ("cache.name", "cache.type", "cache.result", "http.route") 1000 in LOOKUP_SECONDS: "Duration of lookups by result.";
    CACHE_EVICTIONS = Counter "sidelight.cache.evictions" ["{eviction}"]
        ("cache.name", "reason") 256: "Entries that a cache let go.";
    CACHE_ENTRY_COUNT = ObservableUpDownCounter "sidelight.cache.entry.count" ["{entry}"]
        ("cache.name") 64: "Entries in a cache.";
    CACHE_ENTRY_LIMIT = ObservableUpDownCounter "sidelight.cache.entry.limit" ["{entry}"]
        ("cache.name") 64: "Entries that a cache can hold.";
    CACHE_SIZE = ObservableUpDownCounter "sidelight.cache.size" ["By"]
        ("cache.name") 64: "Bytes in a cache.";

    QUEUE_SIZE = ObservableUpDownCounter "sidelight.queue.size" ["{item}"]
        ("queue.name", "queue.type") 64: "Entries in a queue.";
    QUEUE_CAPACITY = ObservableUpDownCounter "sidelight.queue.capacity" ["{item}"]
        ("queue.name", "queue.type") 64: "Entries that a queue can hold.";
    QUEUE_SIZE_MAX = ObservableGauge "sidelight.queue.size.max" ["{item}"]
        ("queue.name", "queue.type") 64: "Most entries in a queue since the last collection.";
    QUEUE_SIZE_DISTRIBUTION = Histogram "sidelight.queue.size.distribution" ["{item}"]
        ("queue.name", "queue.type") 64 in DEPTHS: "Entries in a queue, looked at every 100 ms.";
    QUEUE_OVERFLOWS = Counter "sidelight.queue.overflows" ["{overflow}"]
        ("queue.name", "queue.type") 64:
        "Times that a queue became fuller than 80 %, counted again once it was below 70 %.";
    QUEUE_WAIT = Histogram "sidelight.queue.item.wait.duration" ["s"]
        ("queue.name", "queue.type") 64 in SECONDS: "Time that entries waited in a queue.";
    QUEUE_REJECTED = Counter "sidelight.queue.rejected" ["{item}"]
        ("queue.name", "reason") 256: "Entries that were refused or thrown away.";

    CONNECTION_COUNT = ObservableUpDownCounter "sidelight.connection.count" ["{connection}"]
        ("connection.type", "pool.name", "state") 128: "Open connections by state.";
    CONNECTION_DURATION = Histogram "sidelight.connection.duration" ["s"]
        ("connection.type", "pool.name", "close.reason", "error.type") 256 in AGE_SECONDS: "Age of connections at their end.";
    CONNECTION_AGE_MAX = ObservableGauge "sidelight.connection.age.max" ["s"]
        ("connection.type", "pool.name") 64: "Age of the oldest open connection.";
    CONNECTION_AGE_MEAN = ObservableGauge "sidelight.connection.age.mean" ["s"]
        ("connection.type", "pool.name") 64: "Mean age of open connections.";
    CONNECTION_LIVE_AGE = ObservableUpDownCounter "sidelight.connection.live_age.count" ["{connection}"]
        ("connection.type", "pool.name", "age.le") 896: "Open connections of at most an age.";
    CONNECTION_OPENED = Counter "sidelight.connection.opened" ["{connection}"]
        ("connection.type", "pool.name") 64: "Connections opened.";
    CONNECTION_CLOSED = Counter "sidelight.connection.closed" ["{connection}"]
        ("connection.type", "pool.name") 64: "Connections closed.";
    CONNECTION_REUSES = Counter "sidelight.connection.reuses" ["{connection}"]
        ("connection.type", "pool.name") 64: "Times that a connection was used again.";

    DB_CONNECTION_COUNT = ObservableUpDownCounter "db.client.connection.count" ["{connection}"]
        ("db.client.connection.pool.name", "db.client.connection.state") 128:
        "The number of connections that are currently in state described by the state attribute.";
    DB_CONNECTION_MAX = ObservableUpDownCounter "db.client.connection.max" ["{connection}"]
        ("db.client.connection.pool.name") 64: "The maximum number of open connections allowed.";
    DB_CONNECTION_IDLE_MIN = ObservableUpDownCounter "db.client.connection.idle.min" ["{connection}"]
        ("db.client.connection.pool.name") 64: "The minimum number of idle open connections allowed.";
    DB_CONNECTION_PENDING = ObservableUpDownCounter "db.client.connection.pending_requests" ["{request}"]
        ("db.client.connection.pool.name") 64: "Requests that wait for a connection.";
    DB_CONNECTION_TIMEOUTS = Counter "db.client.connection.timeouts" ["{timeout}"]
        ("db.client.connection.pool.name") 64: "Requests that waited for a connection in vain.";
    DB_CONNECTION_CREATE_TIME = Histogram "db.client.connection.create_time" ["s"]
        ("db.client.connection.pool.name") 64 in DB_SECONDS: "The time it took to create a new connection.";
    DB_CONNECTION_WAIT_TIME = Histogram "db.client.connection.wait_time" ["s"]
        ("db.client.connection.pool.name") 64 in DB_SECONDS: "The time it took to obtain an open connection from the pool.";
    DB_CONNECTION_USE_TIME = Histogram "db.client.connection.use_time" ["s"]
        ("db.client.connection.pool.name") 64 in DB_SECONDS:
        "The time between borrowing a connection and returning it to the pool.";

    RETRY_ATTEMPTS = Counter "sidelight.retry.attempts" ["{attempt}"]
        ("operation.name", "reason", "attempt.result") 512: "Attempts by result.";
    RETRY_RETRIES = Histogram "sidelight.retry.operation.retries" ["{retry}"]
        ("operation.name", "outcome") 128 in RETRIES: "Retries that an operation took.";
    RETRY_BACKOFF = Histogram "sidelight.retry.backoff.duration" ["s"]
        ("operation.name", "reason", "retry.attempt") 512 in SECONDS: "Time between attempts.";
    RETRY_CORRECTIONS = Counter "sidelight.retry.corrections" ["{correction}"]
        ("operation.name", "reason") 128: "Requests that were corrected before the next attempt.";

    FEATURE_USES = Counter "sidelight.feature.uses" ["{use}"]
        ("feature.name", "feature.type", "usage.pattern", "outcome") 1000: "Uses of features.";
    FEATURE_USE_DURATION = Histogram "sidelight.feature.use.duration" ["s"]
        ("feature.name", "outcome") 512 in SECONDS: "Duration of uses of features.";
    FEATURE_USERS = ObservableGauge "sidelight.feature.user.estimate" ["{user}"]
        ("feature.name", "window") 128: "Unique users of a feature within a window, estimated to 1.6 %.";

    INTENT_DETECTIONS = Counter "sidelight.intent.detections" ["{detection}"]
        ("intent.type", "confidence") 512: "Intents detected.";

    HTTP_SERVER_DURATION = Histogram "http.server.request.duration" ["s"]
        ("http.request.method", "http.response.status_code", "http.route", "error.type", "network.protocol.version",
         "url.scheme") 4000 in HTTP_SECONDS: "Duration of HTTP server requests.";
    HTTP_SERVER_ACTIVE = ObservableUpDownCounter "http.server.active_requests" ["{request}"]
        ("http.request.method", "url.scheme") 64: "Number of active HTTP server requests.";
    HTTP_SERVER_REQUEST_SIZE = Histogram "http.server.request.body.size" ["By"]
        ("http.request.method", "http.response.status_code", "http.route", "url.scheme") 4000 in BYTES:
        "Size of HTTP server request bodies.";
    HTTP_SERVER_RESPONSE_SIZE = Histogram "http.server.response.body.size" ["By"]
        ("http.request.method", "http.response.status_code", "http.route", "url.scheme") 4000 in BYTES:
        "Size of HTTP server response bodies.";
    HTTP_RATE_LIMITED = Counter "sidelight.http.rate_limited" ["{request}"]
        ("http.route") 201: "Requests answered with 429.";
    HTTP_CLIENT_DURATION = Histogram "http.client.request.duration" ["s"]
        ("http.request.method", "http.response.status_code", "server.address", "server.port", "error.type") 1000
        in HTTP_SECONDS: "Duration of HTTP client requests.";
    HTTP_CLIENT_REQUEST_SIZE = Histogram "http.client.request.body.size" ["By"]
        ("http.request.method", "http.response.status_code", "server.address", "server.port") 1000 in BYTES:
        "Size of HTTP client request bodies.";
    HTTP_CLIENT_RESPONSE_SIZE = Histogram "http.client.response.body.size" ["By"]
        ("http.request.method", "http.response.status_code", "server.address", "server.port") 1000 in BYTES:
        "Size of HTTP client response bodies.";
    HTTP_CLIENT_ACTIVE = ObservableUpDownCounter "http.client.active_requests" ["{request}"]
        ("http.request.method", "server.address", "server.port") 256: "Number of active HTTP client requests.";

    RPC_SERVER_DURATION = Histogram "rpc.server.call.duration" ["s"]
        ("error.type", "rpc.method", "rpc.response.status_code", "rpc.system.name") 1000 in HTTP_SECONDS:
        "Duration of gRPC calls that a server answered.";
    RPC_CLIENT_DURATION = Histogram "rpc.client.call.duration" ["s"]
        ("error.type", "rpc.method", "rpc.response.status_code", "rpc.system.name", "server.address", "server.port") 1000
        in HTTP_SECONDS: "Duration of gRPC calls that a client made.";

    GEN_AI_TOKENS = Counter "sidelight.gen_ai.tokens" ["{token}"]
        ("gen_ai.provider.name", "gen_ai.request.model", "gen_ai.token.type") 256: "Tokens that the provider counted.";
    GEN_AI_REQUESTS = Counter "sidelight.gen_ai.requests" ["{request}"]
        ("gen_ai.provider.name", "gen_ai.request.model", "outcome") 256: "Requests to language models.";
    GEN_AI_LAST_CALL = Gauge "sidelight.gen_ai.last_call.timestamp" ["s"]
        ("gen_ai.provider.name", "gen_ai.request.model") 256: "When the last request to a language model ended.";
    GEN_AI_TOKEN_USAGE = Histogram "gen_ai.client.token.usage" ["{token}"]
        ("gen_ai.provider.name", "gen_ai.operation.name", "gen_ai.request.model", "gen_ai.response.model",
         "gen_ai.token.type") 256 in TOKENS: "Number of input and output tokens used.";
    GEN_AI_DURATION = Histogram "gen_ai.client.operation.duration" ["s"]
        ("gen_ai.provider.name", "gen_ai.operation.name", "gen_ai.request.model", "gen_ai.response.model",
         "error.type") 256 in GEN_AI_SECONDS: "GenAI operation duration.";

    GEN_AI_TOKENS_DETAIL = Counter "sidelight.gen_ai.tokens.detail" ["{token}"]
        ("gen_ai.provider.name", "gen_ai.request.model", "gen_ai.token.type") 256:
        "Of the tokens that the provider counted: read from its cache, written to it, spent on reasoning.";
    GEN_AI_USAGE_MISSING = Counter "sidelight.gen_ai.usage.missing" ["{request}"]
        ("gen_ai.provider.name", "gen_ai.request.model") 256: "Answers of language models without a usage record.";
    GEN_AI_COST = Counter "sidelight.gen_ai.cost.usd" ["{USD}"]
        ("gen_ai.provider.name", "gen_ai.request.model") 256: "Cost of calls, by the application's own prices.";
    GEN_AI_UNPRICED = Counter "sidelight.gen_ai.unpriced.requests" ["{request}"]
        ("gen_ai.provider.name", "gen_ai.request.model") 256: "Calls that the application knew no price for.";
    GEN_AI_FIRST_CHUNK = Histogram "gen_ai.client.operation.time_to_first_chunk" ["s"]
        GEN_AI_CALL 256
        in GEN_AI_SECONDS: "Time to receive the first chunk of a streamed answer.";
    GEN_AI_PER_CHUNK = Histogram "gen_ai.client.operation.time_per_output_chunk" ["s"]
        ("gen_ai.provider.name", "gen_ai.operation.name", "gen_ai.request.model") 256
        in GEN_AI_SECONDS: "Time per output chunk after the first.";

    GEN_AI_INFERENCE_INPUT = Counter "gen_ai.client.inference.usage.input_tokens" ["{token}"]
        GEN_AI_CALL 256:
        "Input tokens of model calls.";
    GEN_AI_INFERENCE_OUTPUT = Counter "gen_ai.client.inference.usage.output_tokens" ["{token}"]
        GEN_AI_CALL 256:
        "Output tokens of model calls.";
    GEN_AI_INFERENCE_CACHE_READ = Counter "gen_ai.client.inference.usage.cache_read.input_tokens" ["{token}"]
        GEN_AI_CALL 256:
        "Input tokens that the provider read from its cache.";
    GEN_AI_INFERENCE_CACHE_WRITE = Counter "gen_ai.client.inference.usage.cache_write.input_tokens" ["{token}"]
        GEN_AI_CALL 256:
        "Input tokens that the provider wrote to its cache.";
    GEN_AI_INFERENCE_REASONING = Counter "gen_ai.client.inference.usage.reasoning.output_tokens" ["{token}"]
        GEN_AI_CALL 256:
        "Output tokens that were spent on reasoning.";
    GEN_AI_INFERENCE_INPUT_SIZE = Histogram "gen_ai.client.inference.operation.input_tokens" ["{token}"]
        GEN_AI_CALL 256
        in TOKENS: "Input tokens of a model call.";
    GEN_AI_INFERENCE_OUTPUT_SIZE = Histogram "gen_ai.client.inference.operation.output_tokens" ["{token}"]
        GEN_AI_CALL 256
        in TOKENS: "Output tokens of a model call.";
    GEN_AI_INFERENCE_DURATION = Histogram "gen_ai.client.inference.duration" ["s"]
        ("gen_ai.provider.name", "gen_ai.operation.name", "gen_ai.request.model", "gen_ai.response.model", "error.type") 256
        in GEN_AI_SECONDS: "Duration of model calls.";
    GEN_AI_INFERENCE_FIRST_CHUNK = Histogram "gen_ai.client.inference.time_to_first_chunk" ["s"]
        GEN_AI_CALL 256
        in GEN_AI_SECONDS: "Time to receive the first chunk of a streamed answer.";
    GEN_AI_INFERENCE_PER_CHUNK = Histogram "gen_ai.client.inference.time_per_output_chunk" ["s"]
        ("gen_ai.provider.name", "gen_ai.operation.name", "gen_ai.request.model") 256
        in GEN_AI_SECONDS: "Time per output chunk after the first.";

    PROCESS_CPU_TIME = ObservableSum "process.cpu.time" ["s"]
        ("cpu.mode") 2: "Total CPU seconds broken down by different CPU modes.";
    PROCESS_MEMORY_USAGE = ObservableUpDownCounter "process.memory.usage" ["By"]
        () 1: "The amount of physical memory in use.";
    PROCESS_MEMORY_VIRTUAL = ObservableUpDownCounter "process.memory.virtual" ["By"]
        () 1: "The amount of committed virtual memory.";
    PROCESS_THREADS = ObservableUpDownCounter "process.thread.count" ["{thread}"]
        () 1: "Process threads count.";
    PROCESS_FILES = ObservableUpDownCounter "process.unix.file_descriptor.count" ["{file_descriptor}"]
        () 1: "Number of unix file descriptors in use by the process.";
    PROCESS_UPTIME = ObservableGauge "process.uptime" ["s"]
        () 1: "The time the process has been running.";

    PANICS = Counter "sidelight.panics" ["{panic}"]
        ("location") 256: "Panics, by the place in the source.";
    EXPORT_DROPPED = Counter "sidelight.export.dropped" ["{record}"]
        ("signal", "reason") 16: "Spans, log records and requests of metrics that were not delivered, by reason.";
    SDK_DROPPED = ObservableCounter "sidelight.sdk.dropped" ["{record}"]
        ("reason") 8: "Records that went nowhere, by reason.";
    SDK_OVERFLOWED = ObservableCounter "sidelight.sdk.overflowed" ["{record}"]
        () 4: "Records beyond a limit of what is kept apart.";
    SDK_PANICS = ObservableCounter "sidelight.sdk.callback.panics" ["{panic}"]
        () 4: "Panics of an application's code that looks at caches, queues and the like.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_named_once_and_its_buckets_ascend() {
        let mut names: Vec<_> = ALL.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        for metric in ALL {
            assert!(metric.buckets.is_sorted() && metric.series_max > 0, "{metric:?}");
            assert_eq!(metric.kind == Kind::Histogram, !metric.buckets.is_empty(), "{metric:?}");
            let of_words = |c: char| c.is_ascii_lowercase() || c == '_' || c == '.';
            assert!(
                metric.name.chars().all(of_words) && !metric.name.ends_with("total"),
                "{metric:?}"
            );
        }
    }
}
