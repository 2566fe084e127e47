//! Options of what is kept beside forwarding: span metrics and the metric store.

use std::time::Duration;

use super::{ANY_TIME, KIB, Kind, MIB, Opt, TIMEOUT, YEAR, fixed, is, millis, size, unset};
use crate::aggregate::exported;

const EXPORTED: Kind = Kind::Enum(&exported::NAMES);

pub(super) const AGGREGATE: &[Opt] = &[
    fixed(
        "series_max",
        Kind::Integer { min: 1, max: 1_000_000 },
        unset(
            "1310 where `limits.memory` is 128MiB, 907 at 96MiB, 504 at 64MiB; at least 100, at most 5000",
        ),
        "The most series; what is above goes to one overflow series. With what the store and rules make of it each takes up to \
         50 KiB, and rules by route fail where there are more than a rule may hold.",
    ),
    fixed(
        "series_per_service_max",
        Kind::Integer { min: 1, max: 1_000_000 },
        is("500"),
        "The most series of one service.",
    ),
    fixed(
        "series_ttl",
        ANY_TIME,
        is("15m"),
        "A series without a span for this long is removed; 0 keeps all.",
    ),
    fixed(
        "label_value_size_max",
        size(16, 64 * KIB),
        is("1KiB"),
        "Label values are cut to this many bytes.",
    ),
    fixed(
        "dimensions",
        Kind::List(&Kind::Text),
        is("[]"),
        "Attributes of spans, or else of their resources, that are labels of span metrics besides the usual ones; at most \
         8. Every value makes series of its own within the limits above.",
    ),
    fixed(
        "exemplars",
        Kind::Bool,
        is("true"),
        "Whether the latency of spans has exemplars: per series and 15 s at most 4, with the slowest and one that failed.",
    ),
    fixed(
        "exemplars_max",
        Kind::Integer { min: 1, max: 10_000 },
        is("500"),
        "The most exemplars of 15 s, over all series. The store keeps four times as many, those of metrics among them, in at \
         most 1/128 of `limits.memory`, about 500 B each. Where there is no more room the oldest goes of the series that holds \
         most, a whole histogram being one, and of all where none holds more than 16.",
    ),
    fixed(
        "thresholds.default",
        ANY_TIME,
        is("2s"),
        "An operation that takes longer counts as a violation of its threshold.",
    ),
    fixed(
        "routes.exclude",
        Kind::List(&Kind::Text),
        is("[/healthz, /livez, /readyz, /metrics]"),
        "Routes that neither score nor alerts look at: they have no thresholds, and are series of \
         `sidelight_route_excluded`.",
    ),
    fixed("graph.enabled", Kind::Bool, is("true"), "Whether there is a service graph."),
    fixed(
        "graph.wait",
        ANY_TIME,
        is("10s"),
        "How long one end of a request waits for the other, before it is an edge to a virtual node or none.",
    ),
    fixed(
        "graph.pending_max",
        Kind::Integer { min: 1, max: 1_000_000 },
        is("10000"),
        "The most ends that wait, about 100 B each; above it the oldest waits no longer.",
    ),
    fixed(
        "graph.edges_max",
        Kind::Integer { min: 1, max: 100_000 },
        is("1000"),
        "The most edges, up to 3 KiB each; what is above goes to one overflow edge.",
    ),
    fixed(
        "export.enabled",
        Kind::Bool,
        is("false"),
        "Whether the series that the agent derives are sent, as cumulative OTLP under the names that they are stored \
         under, to every exporter that takes metrics. Needs the store.",
    ),
    fixed("export.families", Kind::List(&EXPORTED), is("[]"), "Which of them; all when empty."),
    fixed(
        "export.interval",
        Kind::Time { min: Duration::from_secs(5), max: Duration::from_secs(300) },
        is("1m"),
        "How often each of them is sent.",
    ),
    fixed(
        "graph.virtual_nodes_max",
        Kind::Integer { min: 1, max: 100_000 },
        is("100"),
        "The most databases, peers and other nodes that send no spans.",
    ),
];

pub(super) const HOST: &[Opt] =
    &[fixed("enabled", Kind::Bool, is("true"), "Whether it is read. Without a store it is not.")];

pub(super) const THRESHOLD: &[Opt] = &[
    fixed("service", Kind::Text, unset("any"), "`service.name`."),
    fixed("operation", Kind::Text, unset("any"), "The operation."),
    fixed("threshold", ANY_TIME, unset("required"), "What takes longer is a violation."),
];

pub(super) const STORE: &[Opt] = &[
    fixed(
        "enabled",
        Kind::Bool,
        is("true"),
        "Whether metrics are kept. With `journal.durability: memory` they are not unless this or `directory` is \
         written, and a kill then costs what came since the last checkpoint. When the store cannot be opened, the \
         agent forwards without it and says so.",
    ),
    fixed("directory", Kind::Path, unset("`store` beside the journal's"), "Where its files are."),
    fixed(
        "series_max",
        Kind::Integer { min: 1, max: 10_000_000 },
        is("20000"),
        "The most series at a time, about 1 KiB each; what is above is counted and not kept. Labels and bounds of \
         histograms take at most 3/16 of `limits.memory`, which ends it as well. Beside both there is an eighth each \
         for what the agent derives from spans and signals, for what rules record, and for alerts with their \
         thresholds: a flood of series leaves those their room.",
    ),
    fixed(
        "series_ttl",
        millis(60_000, YEAR),
        is("1h"),
        "A series without a sample for this long leaves memory, and no older sample is taken.",
    ),
    fixed(
        "entries_max",
        Kind::Integer { min: 1, max: 10_000 },
        is("1000"),
        "The most detailed entries of a family, 1 MiB at most; the oldest go first.",
    ),
    fixed("entries_ttl", ANY_TIME, is("1d"), "How long a detailed entry is kept."),
    fixed("cleanup_interval", TIMEOUT, is("1h"), "How often detailed entries past their time go."),
    fixed("raw", ANY_TIME, is("2d"), "How long samples are kept as they came."),
    fixed("rollup_5m", ANY_TIME, is("14d"), "How long rollups of 5 minutes are kept."),
    fixed("rollup_1h", ANY_TIME, is("90d"), "How long rollups of an hour are kept."),
    fixed(
        "max_size",
        size(MIB, u64::MAX),
        is("1GiB"),
        "The most bytes of files; wins over the ages.",
    ),
    fixed(
        "checkpoint_interval",
        millis(100, YEAR),
        is("5m"),
        "The longest time between two checkpoints; the journal holds what came since the last.",
    ),
    fixed(
        "promote_resource_attributes",
        Kind::List(&Kind::Text),
        is(
            "[service.name, service.version, deployment.environment.name, deployment.environment, k8s.*]",
        ),
        "Resource attributes that become labels of every series; `*` at the end stands for any rest. All \
         others are labels of `target_info`.",
    ),
    fixed(
        "promote_scope_metadata",
        Kind::Bool,
        is("false"),
        "Whether every series carries `otel_scope_name`, `_version`, `_schema_url` and the scope's attributes.",
    ),
];
