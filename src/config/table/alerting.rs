//! Options of notifications: who is told of alerts.

use super::{ANY_TIME, KIB, Kind, Opt, TIMEOUT, YEAR, fixed, is, live, millis, unset};

pub(super) const ALERTING: &[Opt] = &[
    live(
        "otlp",
        Kind::Bool,
        is("false"),
        "Whether every alert that fires or is over is a log record that exporters forward.",
    ),
    live(
        "external_labels",
        Kind::Labels,
        is("{}"),
        "Added to every alert that has no label of that name.",
    ),
    live(
        "external_url",
        Kind::Text,
        unset("none"),
        "Where this agent can be reached from elsewhere; stands in the bodies of webhooks.",
    ),
    fixed(
        "alerts_max",
        Kind::Integer { min: 1, max: 1_000_000 },
        is("10000"),
        "The most alerts that wait for one Alertmanager, that one webhook's groups hold, and that fire and are known at all. \
         Above it an Alertmanager's oldest are dropped; elsewhere those that are over make way, and new ones are not taken. \
         Counted.",
    ),
    live(
        "retry_time_max",
        ANY_TIME,
        is("5m"),
        "How long one notification is tried; what still fires then is due again within a minute, a webhook's group \
         after its `group_interval`.",
    ),
    fixed(
        "history.age",
        ANY_TIME,
        is("90d"),
        "How long transitions and delivery results are kept.",
    ),
    fixed(
        "history.rows_max",
        Kind::Integer { min: 1, max: 10_000_000 },
        is("50000"),
        "The most transitions, and the most delivery results, that are kept.",
    ),
];

pub(super) const RECEIVER: &[Opt] = &[
    live(
        "url",
        Kind::Url,
        unset("required"),
        "Where it listens, `http://` or `https://`. For an Alertmanager without `/api/v2/alerts`; for a webhook whole, \
         and shown nowhere but for its host.",
    ),
    live(
        "name",
        Kind::Text,
        unset("its kind, host and port"),
        "What the API, metrics and history call it. Keep it: what a receiver was told is known by its name.",
    ),
    live("timeout", TIMEOUT, is("10s"), "For one request; half of it for the connection."),
    live(
        "headers",
        Kind::Headers,
        is("{}"),
        "Sent with every request. Values are secrets: `${env:NAME}`.",
    ),
    live(
        "auth.bearer_token_file",
        Kind::Path,
        unset("no token"),
        "A file with the token that is sent as `authorization: Bearer …`; read for every request.",
    ),
    live("tls.ca_file", Kind::Path, unset("the platform's"), "Authorities in PEM."),
    live(
        "tls.cert_file",
        Kind::Path,
        unset("no certificate"),
        "The client's certificate chain in PEM.",
    ),
    live("tls.key_file", Kind::Path, unset("no certificate"), "Its private key in PEM."),
    live(
        "tls.server_name_override",
        Kind::Text,
        unset("the URL's host"),
        "The name that the server's certificate must carry.",
    ),
    live(
        "tls.insecure_skip_verify",
        Kind::Bool,
        is("false"),
        "Whether the server's certificate is taken unseen. For tests.",
    ),
];

pub(super) const WEBHOOK: &[Opt] = &[
    live(
        "group_by",
        Kind::List(&Kind::Text),
        is("[alertname, service_name]"),
        "Alerts with the same values of these labels are told together; `[]` tells all together.",
    ),
    live(
        "group_wait",
        millis(0, 3_600_000),
        is("1s"),
        "How long a group's first alert waits for others.",
    ),
    live(
        "group_interval",
        millis(1_000, YEAR),
        is("5m"),
        "The least time between two notifications of one group. What changes later than that after the last is told at \
         once.",
    ),
    live(
        "repeat_interval",
        millis(1_000, YEAR),
        is("4h"),
        "After this long a group that still fires is told again.",
    ),
    live("send_resolved", Kind::Bool, is("true"), "Whether it is told that alerts are over."),
    live(
        "max_alerts",
        Kind::Integer { min: 1, max: 10 * KIB },
        is("1000"),
        "The most alerts in one body; how many more there are stands in `truncatedAlerts`.",
    ),
];
