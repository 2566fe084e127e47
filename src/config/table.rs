//! Every option, once.
//!
//! A default that is written here is the default of the module that it configures: a test compares.

use std::time::Duration;

use super::option::{Kind, Opt, Preset, Reload, Section};
use alerting::{ALERTING, RECEIVER, WEBHOOK};
use local::{AGGREGATE, HOST, STORE, THRESHOLD};
use process::{ADMIN, LIMITS, PROCESS, TELEMETRY};

mod alerting;
mod local;
mod process;
mod rules;
mod slos;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

const fn live(key: &'static str, kind: Kind, default: Preset, doc: &'static str) -> Opt {
    Opt { key, kind, default, doc, reload: Reload::Live }
}

const fn fixed(key: &'static str, kind: Kind, default: Preset, doc: &'static str) -> Opt {
    Opt { reload: Reload::Restart, ..live(key, kind, default, doc) }
}

const fn is(value: &'static str) -> Preset {
    Preset::Value(value)
}

const fn unset(words: &'static str) -> Preset {
    Preset::Words(words)
}

const fn size(min: u64, max: u64) -> Kind {
    Kind::Size { min, max }
}

const fn millis(min: u64, max: u64) -> Kind {
    Kind::Time { min: Duration::from_millis(min), max: Duration::from_millis(max) }
}

const DAY: u64 = 86_400_000;
const YEAR: u64 = 365 * DAY;
const ANY_TIME: Kind = millis(0, YEAR);
const TIMEOUT: Kind = millis(1, 3_600_000);

const SIGNAL: Kind = Kind::Enum(&["traces", "metrics", "logs", "profiles"]);

/// Types of exporters.
pub(super) const EXPORTER_TYPES: &[&str] = &["otlp_grpc", "otlp_http", "debug", "file"];

/// Every option in the order of the documentation.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        title: "Receiving: gRPC",
        intro: "Every listener answers OTLP over gRPC and over HTTP; what a port is for is a \
                convention.",
        places: &["receivers.otlp.protocols.grpc"],
        options: RECEIVE_GRPC,
    },
    Section {
        title: "Receiving: HTTP",
        intro: "Protobuf and JSON, told apart by `content-type`.",
        places: &["receivers.otlp.protocols.http"],
        options: RECEIVE_HTTP,
    },
    Section {
        title: "Receiving: Unix socket",
        intro: "Speaks gRPC and HTTP. There is none unless `path` is given.",
        places: &["receivers.otlp.protocols.unix"],
        options: RECEIVE_UNIX,
    },
    Section {
        title: "Receiving: paths and web pages",
        intro: "Under `http` or `unix`.",
        places: &["receivers.otlp.protocols.http", "receivers.otlp.protocols.unix"],
        options: RECEIVE_PATHS,
    },
    Section {
        title: "Receiving: for every protocol, or for one",
        intro: "Under `receivers.otlp` these hold for every protocol; under \
                `receivers.otlp.protocols.<protocol>` for that one, option by option. A Unix socket \
                takes `tls` only from its own place.",
        places: &[
            "receivers.otlp",
            "receivers.otlp.protocols.grpc",
            "receivers.otlp.protocols.http",
            "receivers.otlp.protocols.unix",
        ],
        options: RECEIVE_SHARED,
    },
    Section {
        title: "Journal",
        intro: "What is acknowledged stands in the journal until every destination has it.",
        places: &["journal"],
        options: JOURNAL,
    },
    Section {
        title: "Exporters: all types",
        intro: "A destination is named `<type>` or `<type>/<name>`; its name is its identity over \
                restarts. Without exporters everything stays local.",
        places: &[
            "exporters.otlp_grpc",
            "exporters.otlp_http",
            "exporters.debug",
            "exporters.file",
        ],
        options: EXPORT_ALL,
    },
    Section {
        title: "Exporters: otlp_grpc and otlp_http",
        intro: "The `OTEL_EXPORTER_OTLP_*` variables do not configure the agent: in a pod they point \
                at the agent itself.",
        places: &["exporters.otlp_grpc", "exporters.otlp_http"],
        options: EXPORT_OTLP,
    },
    Section {
        title: "Exporters: otlp_http",
        intro: "Paths `v1/traces`, `v1/metrics`, `v1/logs` are appended to `endpoint`; an endpoint of \
                one signal is used as it is.",
        places: &["exporters.otlp_http"],
        options: EXPORT_HTTP,
    },
    Section {
        title: "Exporters: debug",
        intro: "A log line per batch (level info), for looking. What standard error does not take is left out and told.",
        places: &["exporters.debug"],
        options: EXPORT_DEBUG,
    },
    Section {
        title: "Exporters: file",
        intro: "One OTLP/JSON request a line, rotated by size.",
        places: &["exporters.file"],
        options: EXPORT_FILE,
    },
    Section {
        title: "Admin endpoint",
        intro: "Health, `/metrics`, the ledger, reload.",
        places: &["admin"],
        options: ADMIN,
    },
    Section {
        title: "Limits",
        intro: "Every queue and buffer has a limit; these are shared by all of them.",
        places: &["limits"],
        options: LIMITS,
    },
    Section {
        title: "Span metrics",
        intro: "Calls and latency by service, span name, kind, status, route and method.",
        places: &["aggregate"],
        options: AGGREGATE,
    },
    Section {
        title: "Host metrics",
        intro: "Processor, memory, disks and network of the host or the container, and the agent's own use, every 5 s.",
        places: &["aggregate.host_metrics"],
        options: HOST,
    },
    Section {
        title: "Span metrics: thresholds of operations",
        intro: "The first entry that fits an operation is its threshold. An operation is the route; else the remote \
                procedure; else what is done with which messaging destination; else, for HTTP without a route, the \
                method and `<unmatched>`; else the span's name.",
        places: &["aggregate.thresholds.operations[]"],
        options: THRESHOLD,
    },
    Section {
        title: "Metric store",
        intro: "What passed, kept for PromQL: metrics as Prometheus would have them, and span metrics.",
        places: &["store"],
        options: STORE,
    },
    rules::SECTION,
    slos::SECTION,
    Section {
        title: "Alerting",
        intro: "Who is told that an alert fires or is over. Every transition is a log line in any case.",
        places: &["alerting"],
        options: ALERTING,
    },
    Section {
        title: "Alerting: receivers",
        intro: "Each entry of these lists is one receiver; each has its own queue, and none waits for another. \
                Alertmanagers get every alert, also silenced ones: they have silences of their own.",
        places: &["alerting.alertmanagers[]", "alerting.webhooks[]"],
        options: RECEIVER,
    },
    Section {
        title: "Alerting: webhooks",
        intro: "A webhook gets groups of alerts in the body that Alertmanager sends to its own webhooks.",
        places: &["alerting.webhooks[]"],
        options: WEBHOOK,
    },
    Section {
        title: "The agent's own telemetry",
        intro: "Its metrics are always on the admin endpoint's `/metrics`.",
        places: &["telemetry"],
        options: TELEMETRY,
    },
    Section { title: "Process", intro: "", places: &[""], options: PROCESS },
];

const RECEIVE_GRPC: &[Opt] = &[
    fixed("enabled", Kind::Bool, is("true"), "Whether the agent listens here."),
    fixed(
        "endpoint",
        Kind::Listen,
        is("127.0.0.1:4317"),
        "Where to listen; port 0 takes a free one.",
    ),
    fixed(
        "max_recv_msg_size",
        size(KIB, 64 * MIB),
        unset(
            "the smaller of 64MiB and a quarter of `limits.memory`, half of it with `journal.durability: memory`",
        ),
        "The largest message, on the wire and inflated. Larger ones get RESOURCE_EXHAUSTED. What is \
         above that part of `limits.memory` is lowered to it.",
    ),
];

const RECEIVE_HTTP: &[Opt] = &[
    fixed("enabled", Kind::Bool, is("true"), "Whether the agent listens here."),
    fixed(
        "endpoint",
        Kind::Listen,
        is("127.0.0.1:4318"),
        "Where to listen; port 0 takes a free one.",
    ),
    fixed(
        "max_request_body_size",
        size(KIB, 64 * MIB),
        unset(
            "the smaller of 64MiB and a quarter of `limits.memory`, half of it with `journal.durability: memory`",
        ),
        "The largest body, on the wire and inflated. Larger ones get 413. What is above that part of \
         `limits.memory` is lowered to it.",
    ),
];

const RECEIVE_UNIX: &[Opt] = &[
    fixed(
        "path",
        Kind::Path,
        unset("no socket"),
        "The socket, a path of at most 105 bytes. A stale socket there is replaced; a live one, or any other \
         file, is not.",
    ),
    fixed("mode", Kind::Mode, is("0660"), "Its permission bits. Quote them: `\"0660\"`."),
    fixed(
        "max_recv_msg_size",
        size(KIB, 64 * MIB),
        unset(
            "the smaller of 64MiB and a quarter of `limits.memory`, half of it with `journal.durability: memory`",
        ),
        "The largest message or body, on the wire and inflated.",
    ),
];

const RECEIVE_PATHS: &[Opt] = &[
    fixed("traces_url_path", Kind::Text, is("/v1/traces"), "Path of traces."),
    fixed("metrics_url_path", Kind::Text, is("/v1/metrics"), "Path of metrics."),
    fixed("logs_url_path", Kind::Text, is("/v1/logs"), "Path of logs."),
    fixed("profiles_url_path", Kind::Text, is("/v1development/profiles"), "Path of profiles."),
    fixed(
        "cors.allowed_origins",
        Kind::List(&Kind::Text),
        is("[]"),
        "Origins such as `https://shop.example` whose pages may send; one `*` in each stands for \
         anything. None may unless named.",
    ),
    fixed(
        "cors.allowed_headers",
        Kind::List(&Kind::Text),
        is("[]"),
        "Request headers that pages may set beyond `content-type`.",
    ),
    fixed(
        "cors.max_age",
        ANY_TIME,
        is("0s"),
        "How long a browser may remember the answer; 0 leaves it to the browser.",
    ),
];

const RECEIVE_SHARED: &[Opt] = &[
    fixed("tls.cert_file", Kind::Path, unset("plain text"), "Certificate chain in PEM."),
    fixed("tls.key_file", Kind::Path, unset("plain text"), "Its private key in PEM."),
    fixed(
        "tls.client_ca_file",
        Kind::Path,
        unset("clients need no certificate"),
        "Certificates in PEM of which one must have signed the client's (mTLS).",
    ),
    fixed(
        "tls.reload_interval",
        millis(1_000, DAY),
        is("1m"),
        "How often the certificate and token files are looked at for changes; a token also before another one is refused.",
    ),
    fixed(
        "auth.bearer_token_file",
        Kind::Path,
        unset("everybody who can connect may send"),
        "A file with the token that requests must carry as `authorization: Bearer …`; read again when it changes. A new token \
         is taken at once, the one before for one more `tls.reload_interval` after the change was seen.",
    ),
    fixed(
        "invalid_utf8",
        Kind::Enum(&["repair", "reject"]),
        is("repair"),
        "What happens to strings that are not UTF-8: each invalid byte becomes `?`, or the request is refused.",
    ),
    fixed("timeouts.header", TIMEOUT, is("10s"), "For request headers and the TLS handshake."),
    fixed(
        "timeouts.body",
        TIMEOUT,
        is("30s"),
        "For a body, beyond the time it takes at 1 KiB/s; at 64 KiB/s past 4 MiB, while other large ones are refused. A slower \
         one ends sooner while `limits.connections_max` are open.",
    ),
    fixed(
        "timeouts.idle",
        TIMEOUT,
        is("75s"),
        "For a connection without a request; SDKs send metrics once a minute.",
    ),
    fixed("keepalive.time", TIMEOUT, is("60s"), "How often a silent HTTP/2 peer is pinged."),
    fixed("keepalive.timeout", TIMEOUT, is("20s"), "How long it may take to answer."),
    fixed(
        "keepalive.max_connection_age",
        ANY_TIME,
        is("0s"),
        "A connection this old is told to go away, so that clients spread over replicas again; varied by 10 %. 0 is never.",
    ),
    fixed(
        "keepalive.max_connection_age_grace",
        ANY_TIME,
        is("30s"),
        "How long its last requests may take after that. HTTP/1.1 is told in its next answer, or closed without one.",
    ),
];

const JOURNAL: &[Opt] = &[
    fixed(
        "directory",
        Kind::Path,
        unset(
            "`journal` in the first of `$STATE_DIRECTORY`, `$XDG_STATE_HOME/sidelight`, \
             `~/.local/state/sidelight`, `/var/lib/sidelight`",
        ),
        "Where segments are kept; made with mode 0700. One agent at a time.",
    ),
    fixed(
        "durability",
        Kind::Enum(&["fsync", "os", "memory"]),
        is("fsync"),
        "What an acknowledgement means: on disk (survives power loss), with the operating system \
         (survives SIGKILL), in memory (survives nothing).",
    ),
    fixed("group_window", millis(0, 1_000), is("4ms"), "The least time between two fsync starts."),
    fixed(
        "max_size",
        size(32 * MIB, u64::MAX),
        unset(
            "10 % of the free disk or what the journal has already, at least 32MiB and at most 512MiB",
        ),
        "The disk cap. 5 % of the disk is kept free in any case.",
    ),
    live(
        "when_full",
        Kind::Enum(&["reject", "drop_oldest"]),
        is("reject"),
        "The default of every exporter's `sending_queue.when_full`.",
    ),
    fixed("retention.age", ANY_TIME, is("24h"), "Delivered data is kept at most this long."),
    fixed(
        "retention.size",
        size(0, u64::MAX),
        is("256MiB"),
        "Delivered data is kept up to this many bytes.",
    ),
    fixed(
        "memory_size",
        size(MIB, u64::MAX),
        unset("a quarter of `limits.memory`"),
        "The ring of `durability: memory`; at most half of `limits.memory`.",
    ),
];

const EXPORT_ALL: &[Opt] = &[
    live("signals", Kind::List(&SIGNAL), is("[traces, metrics, logs, profiles]"), "What it gets."),
    live(
        "sending_queue.num_consumers",
        Kind::Integer { min: 1, max: 256 },
        is("4"),
        "Requests in flight for traces and for logs. Metrics have one, in order.",
    ),
    live(
        "sending_queue.when_full",
        Kind::Enum(&["reject", "drop_oldest"]),
        unset("`journal.when_full`"),
        "When the journal is full of what this destination has not taken: refuse senders (they \
         retry), or drop its oldest records, counted.",
    ),
    live(
        "sending_queue.start",
        Kind::Enum(&["end", "oldest"]),
        is("end"),
        "Where a destination begins that the journal does not know.",
    ),
    live(
        "sending_queue.batch.max_size",
        size(KIB, 64 * MIB),
        is("2MiB"),
        "Requests are merged up to this size.",
    ),
    live(
        "sending_queue.batch.max_request_size",
        size(KIB, 64 * MIB),
        unset("3.5MiB for `otlp_grpc`, 16MiB for the others"),
        "The most bytes of one request, uncompressed; a larger one is split.",
    ),
    live(
        "sending_queue.batch.flush_timeout",
        millis(0, 60_000),
        is("200ms"),
        "How long a record waits for others.",
    ),
    live(
        "headers_from_context",
        Kind::HeaderNames,
        is("[]"),
        "Headers of incoming requests that are passed on. Requests with different values are never merged.",
    ),
    live(
        "retry_on_failure.enabled",
        Kind::Bool,
        is("true"),
        "Whether a failed batch is sent again.",
    ),
    live(
        "retry_on_failure.initial_interval",
        millis(1, 3_600_000),
        is("1s"),
        "The wait after the first failure.",
    ),
    live(
        "retry_on_failure.max_interval",
        millis(1, DAY),
        is("30s"),
        "The longest wait; also how often a destination that is down is tried.",
    ),
    live(
        "retry_on_failure.multiplier",
        Kind::Float { min: 1.0, max: 100.0 },
        is("1.5"),
        "Growth from one wait to the next.",
    ),
    live(
        "retry_on_failure.randomization_factor",
        Kind::Float { min: 0.0, max: 1.0 },
        is("0.5"),
        "Each wait is drawn from 1 ± this of its length.",
    ),
    live(
        "retry_on_failure.max_elapsed_time",
        ANY_TIME,
        is("0s"),
        "From the first attempt until a batch is given up; 0 is never, until the journal lets go, but for one that failed \
         20 times over 10 minutes or more while others were taken: it goes to `journal/rejected`.",
    ),
    live(
        "retry_on_failure.hold_on_config_error",
        Kind::Bool,
        is("true"),
        "Answers that condemn the destination (401, 403, 404, 405, UNAUTHENTICATED, PERMISSION_DENIED, \
         UNIMPLEMENTED) hold its data; `false` drops it, which is the letter of the specification.",
    ),
    live(
        "retry_on_failure.extra_http_statuses",
        Kind::List(&Kind::Integer { min: 400, max: 599 }),
        is("[]"),
        "HTTP statuses that are retried besides 429, 502, 503 and 504.",
    ),
];

const EXPORT_OTLP: &[Opt] = &[
    live(
        "endpoint",
        Kind::Endpoint,
        unset("required"),
        "Where to send. `host:port` uses TLS unless `tls.insecure`.",
    ),
    live(
        "compression",
        Kind::Enum(&["none", "gzip", "zstd"]),
        is("gzip"),
        "Of request bodies. zstd costs a quarter of gzip where the peer takes it.",
    ),
    live(
        "compression_params.level",
        Kind::Integer { min: 1, max: 19 },
        is("1"),
        "gzip 1 to 9, zstd 1 to 19.",
    ),
    live("headers", Kind::Headers, is("{}"), "Sent with every request. Values are never shown."),
    live(
        "auth.bearer_token_file",
        Kind::Path,
        unset("no token"),
        "A file with the token that is sent as `authorization: Bearer …`; read for every request. While it cannot be read \
         nothing is sent.",
    ),
    live(
        "timeout",
        TIMEOUT,
        is("10s"),
        "For one request, from connecting to the end of its answer.",
    ),
    live("keepalive.time", TIMEOUT, is("30s"), "Silence in a request after which it is pinged."),
    live("keepalive.timeout", TIMEOUT, is("10s"), "How long the answer to a probe may take."),
    live("tls.ca_file", Kind::Path, unset("the platform's"), "Certificate authorities in PEM."),
    live("tls.cert_file", Kind::Path, unset("none"), "The client's certificate chain in PEM."),
    live("tls.key_file", Kind::Path, unset("none"), "The client's private key in PEM."),
    live(
        "tls.server_name_override",
        Kind::Text,
        unset("the endpoint's host"),
        "The name that the server's certificate must carry.",
    ),
    live("tls.insecure", Kind::Bool, is("false"), "Plain text for an endpoint without a scheme."),
    live(
        "tls.insecure_skip_verify",
        Kind::Bool,
        is("false"),
        "Takes any certificate: for tests only.",
    ),
];

const EXPORT_HTTP: &[Opt] = &[
    live("encoding", Kind::Enum(&["proto", "json"]), is("proto"), "Protobuf or OTLP/JSON."),
    live("traces_endpoint", Kind::Endpoint, unset("`endpoint`/v1/traces"), "Of traces alone."),
    live("metrics_endpoint", Kind::Endpoint, unset("`endpoint`/v1/metrics"), "Of metrics alone."),
    live("logs_endpoint", Kind::Endpoint, unset("`endpoint`/v1/logs"), "Of logs alone."),
    live(
        "profiles_endpoint",
        Kind::Endpoint,
        unset("`endpoint`/v1development/profiles"),
        "Of profiles alone.",
    ),
];

const EXPORT_DEBUG: &[Opt] = &[live(
    "verbosity",
    Kind::Enum(&["basic", "detailed"]),
    is("basic"),
    "`basic` logs counts; `detailed` also writes each request to standard error, as a line of OTLP/JSON.",
)];

const EXPORT_FILE: &[Opt] = &[
    live(
        "path",
        Kind::Path,
        unset("required"),
        "The file, made with mode 0600. Its directory is made with mode 0700 if it is missing.",
    ),
    live(
        "rotation.max_size",
        size(KIB, u64::MAX),
        is("100MiB"),
        "Before a file would grow beyond this, it is rotated to `.1`; only a larger batch is written beyond it.",
    ),
    live(
        "rotation.max_backups",
        Kind::Integer { min: 0, max: 10_000 },
        is("3"),
        "Rotated files kept, `.1` is the newest; 0 keeps none.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docs_are_sentences() {
        for option in SECTIONS.iter().flat_map(|s| s.options) {
            assert!(option.doc.ends_with('.'), "{}: {}", option.key, option.doc);
        }
    }
}
