//! The process itself: its admin endpoint, its limits, its own telemetry, how it stops.

use super::{DAY, KIB, Kind, MIB, Opt, TIMEOUT, fixed, is, live, millis, size, unset};

pub(super) const ADMIN: &[Opt] = &[
    fixed(
        "endpoint",
        Kind::Listen,
        is("127.0.0.1:9464"),
        "Where to listen; port 0 takes a free one.",
    ),
    fixed(
        "token_file",
        Kind::Path,
        unset("`admin.token` beside the store, made at the first start, asked of others only"),
        "A file with a bearer token that all but /healthz and /readyz ask for; read every minute, and before another is refused.",
    ),
    fixed(
        "allowed_hosts",
        Kind::List(&Kind::Text),
        is("[]"),
        "`Host` names that requests may carry besides `localhost`, IP addresses and the endpoint's own.",
    ),
    fixed(
        "connections_max",
        Kind::Integer { min: 1, max: 10_000 },
        is("64"),
        "Connections at once. For one more the one is closed that has moved least, as with `limits.connections_max`.",
    ),
    fixed("header_size_max", size(KIB, MIB), is("16KiB"), "The most bytes of a request's head."),
    fixed(
        "header_timeout",
        TIMEOUT,
        is("10s"),
        "For a request's head, and for an idle connection.",
    ),
    fixed("response_timeout", TIMEOUT, is("30s"), "For a response."),
    fixed("query_timeout", TIMEOUT, is("10s"), "For a query, where it does not ask for less."),
];

pub(super) const LIMITS: &[Opt] = &[
    fixed(
        "memory",
        size(crate::memory::TOTAL_MIN as u64, u64::MAX),
        unset("the smaller of 128MiB and 75 % of the cgroup's limit"),
        "The memory that the agent may use, split between connections, requests, journal and export; below 128MiB 24MiB go to \
         the program first, and every part is smaller. Above it senders are refused, and retry. Where the cgroup cannot \
         be read, `SIDELIGHT_MEMORY_LIMIT` in the environment says its limit in bytes.",
    ),
    fixed(
        "connections_max",
        Kind::Integer { min: 1, max: 1_024 },
        unset("136 where `limits.memory` is 128MiB, 52 at 64MiB, 30 at 48MiB, at most 1024"),
        "OTLP connections served at once. For one more the one is closed that has sent least: idle for a second or more, silent, \
         or in a body that comes slower than 1 KiB/s; where there is none, one of which nothing was taken yet, or else the \
         newcomer. An SDK opens one for each signal. Each may hold 64KiB that nobody has read \
         yet, which `limits.memory` pays for up to the default.",
    ),
];

const OWN_EXPORTER: Kind = Kind::Enum(&["none", "otlp"]);

pub(super) const TELEMETRY: &[Opt] = &[
    live(
        "logs.level",
        Kind::Text,
        is("info"),
        "`error`, `warn`, `info`, `debug`, `trace`, or directives such as \
         `info,sidelight_agent::export=debug`.",
    ),
    fixed(
        "logs.format",
        Kind::Enum(&["auto", "pretty", "json"]),
        is("auto"),
        "`auto` is pretty on a terminal and JSON otherwise.",
    ),
    fixed("traces.exporter", OWN_EXPORTER, is("none"), "Where the agent's own spans go."),
    fixed("traces.endpoint", Kind::Text, is("http://127.0.0.1:4317"), "OTLP/gRPC, plain text."),
    fixed("traces.timeout", TIMEOUT, is("10s"), "For one export."),
    fixed(
        "metrics.exporter",
        OWN_EXPORTER,
        is("none"),
        "Where else a part of the agent's own metrics goes; `/metrics` has all of them.",
    ),
    fixed("metrics.endpoint", Kind::Text, is("http://127.0.0.1:4317"), "OTLP/gRPC, plain text."),
    fixed("metrics.timeout", TIMEOUT, is("10s"), "For one export."),
    fixed("metrics.interval", millis(1_000, DAY), is("60s"), "The time between two exports."),
];

pub(super) const PROCESS: &[Opt] = &[live(
    "shutdown_timeout",
    millis(0, 3_600_000),
    is("12s"),
    "From SIGTERM to the end of the process. What is not delivered by then stays in the journal. Keep \
     it below the orchestrator's grace period (Kubernetes: 30 s).",
)];
