//! Every self-metric, once: name, kind, help, labels. docs/metrics.md is written from this table; the
//! metric store's part of it is in `desc/store.rs`.
//!
//! Add a `const` inside `table!`, in the group of its module; nothing else needs to know. Names:
//! the collector's where it has one, ours begin with `sidelight_`; no `_total`, units end the name.

use super::registry::{Desc, Kind};

/// Keeps each constant and lists those of its file.
macro_rules! table {
    ($($(#[$doc:meta])* pub const $name:ident: Desc = $desc:expr;)*) => {
        $($(#[$doc])* pub const $name: Desc = $desc;)*

        /// Every self-metric of this file.
        pub(super) const HERE: &[&Desc] = &[$(&$name),*];
    };
}

mod domain;
mod entries;
mod notify;
mod rules;
mod spans;
mod store;

pub use domain::*;
pub use entries::*;
pub use notify::*;
pub use rules::*;
pub use spans::*;
pub use store::*;

/// Every self-metric.
pub fn all() -> impl Iterator<Item = &'static Desc> {
    let apart = [domain::HERE, entries::HERE, notify::HERE, rules::HERE, spans::HERE, store::HERE];
    HERE.iter().chain(apart.into_iter().flatten()).copied()
}

table! {
// receive

/// When certificates end.
pub const TLS_CERTIFICATE_EXPIRY: Desc = Desc {
    name: "sidelight_tls_certificate_expiry_timestamp_seconds",
    kind: Kind::Gauge,
    help: "When a certificate file of the receivers ends: the first of a chain, the last of a bundle; Unix seconds.",
    labels: &["file"],
};
/// When certificates begin.
pub const TLS_CERTIFICATE_START: Desc = Desc {
    name: "sidelight_tls_certificate_start_timestamp_seconds",
    kind: Kind::Gauge,
    help: "When a certificate file of the receivers begins: the last of a chain, the first of a bundle; Unix seconds.",
    labels: &["file"],
};
/// Spans that a receiver took in and the journal made durable.
pub const RECEIVER_ACCEPTED_SPANS: Desc = Desc {
    name: "otelcol_receiver_accepted_spans",
    kind: Kind::Counter,
    help: "Spans accepted: validated and durable in the journal.",
    labels: &["receiver", "transport"],
};
/// Metric data points that a receiver took in and the journal made durable.
pub const RECEIVER_ACCEPTED_METRIC_POINTS: Desc = Desc {
    name: "otelcol_receiver_accepted_metric_points",
    kind: Kind::Counter,
    help: "Metric data points accepted: validated and durable in the journal.",
    labels: &["receiver", "transport"],
};
/// Log records that a receiver took in and the journal made durable.
pub const RECEIVER_ACCEPTED_LOG_RECORDS: Desc = Desc {
    name: "otelcol_receiver_accepted_log_records",
    kind: Kind::Counter,
    help: "Log records accepted: validated and durable in the journal.",
    labels: &["receiver", "transport"],
};
/// Profiles that a receiver took in and the journal made durable.
pub const RECEIVER_ACCEPTED_PROFILES: Desc = Desc {
    name: "otelcol_receiver_accepted_profiles",
    kind: Kind::Counter,
    help: "Profiles accepted: validated and durable in the journal.",
    labels: &["receiver", "transport"],
};
/// Spans that were not taken.
pub const RECEIVER_REFUSED_SPANS: Desc = Desc {
    name: "otelcol_receiver_refused_spans",
    kind: Kind::Counter,
    help: "Spans refused, by reason; those of requests that were not understood are not counted.",
    labels: &["receiver", "transport", "reason"],
};
/// Metric data points that were not taken.
pub const RECEIVER_REFUSED_METRIC_POINTS: Desc = Desc {
    name: "otelcol_receiver_refused_metric_points",
    kind: Kind::Counter,
    help: "Metric data points refused, by reason; those of requests that were not understood are not counted.",
    labels: &["receiver", "transport", "reason"],
};
/// Log records that were not taken.
pub const RECEIVER_REFUSED_LOG_RECORDS: Desc = Desc {
    name: "otelcol_receiver_refused_log_records",
    kind: Kind::Counter,
    help: "Log records refused, by reason; those of requests that were not understood are not counted.",
    labels: &["receiver", "transport", "reason"],
};
/// Profiles that were not taken.
pub const RECEIVER_REFUSED_PROFILES: Desc = Desc {
    name: "otelcol_receiver_refused_profiles",
    kind: Kind::Counter,
    help: "Profiles refused, by reason; those of requests that were not understood are not counted.",
    labels: &["receiver", "transport", "reason"],
};
/// Requests that were not taken, whatever was in them.
pub const RECEIVER_REFUSED_REQUESTS: Desc = Desc {
    name: "sidelight_receiver_refused_requests",
    kind: Kind::Counter,
    help: "Requests refused, by reason; without a signal where they do not say one, and connections that fail in the TLS \
           handshake as reason tls.",
    labels: &["receiver", "signal", "reason"],
};
/// Export requests by answer.
pub const RECEIVER_REQUESTS: Desc = Desc {
    name: "sidelight_receiver_requests",
    kind: Kind::Counter,
    help: "Export requests answered, by status code of the transport.",
    labels: &["receiver", "transport", "signal", "code"],
};
/// Bytes taken in.
pub const RECEIVER_PAYLOAD_BYTES: Desc = Desc {
    name: "sidelight_receiver_payload_bytes",
    kind: Kind::Counter,
    help: "Protobuf bytes accepted, after inflating and transcoding.",
    labels: &["receiver", "transport"],
};
/// Connections.
pub const RECEIVER_CONNECTIONS: Desc = Desc {
    name: "sidelight_receiver_connections",
    kind: Kind::Counter,
    help: "Connections served.",
    labels: &["receiver"],
};
/// Handshakes that failed.
pub const RECEIVER_TLS_FAILURES: Desc = Desc {
    name: "sidelight_receiver_tls_failures",
    kind: Kind::Counter,
    help: "Connections that ended in the TLS handshake, for example for want of a client certificate.",
    labels: &["receiver"],
};
/// What each limit refused.
pub const RECEIVER_LIMIT_REFUSALS: Desc = Desc {
    name: "sidelight_receiver_limit_refusals",
    kind: Kind::Counter,
    help: "Connections and requests that were refused or ended because of a limit.",
    labels: &["receiver", "limit"],
};
/// What `invalid_utf8: repair` changed.
pub const RECEIVER_REPAIRED_UTF8_BYTES: Desc = Desc {
    name: "sidelight_receiver_repaired_utf8_bytes",
    kind: Kind::Counter,
    help: "Bytes of strings that were not UTF-8 and were replaced by a question mark.",
    labels: &["receiver"],
};
/// What `invalid_utf8: repair` changed in JSON.
pub const RECEIVER_REPAIRED_JSON_STRINGS: Desc = Desc {
    name: "sidelight_receiver_repaired_json_strings",
    kind: Kind::Counter,
    help: "Strings of JSON requests that were not Unicode and were repaired.",
    labels: &["receiver"],
};
/// Ids of odd length.
pub const RECEIVER_ODD_IDS: Desc = Desc {
    name: "sidelight_receiver_odd_ids",
    kind: Kind::Counter,
    help: "Trace and span ids accepted whose length is neither 0 nor the right one; their requests travel alone.",
    labels: &["receiver"],
};
/// Suspiciously compressible requests.
pub const RECEIVER_HIGH_INFLATE_RATIO: Desc = Desc {
    name: "sidelight_receiver_high_inflate_ratio",
    kind: Kind::Counter,
    help: "Compressed requests that grew more than 200 times.",
    labels: &["receiver"],
};
/// Headers that did not fit.
pub const RECEIVER_HEADERS_LEFT_OUT: Desc = Desc {
    name: "sidelight_receiver_headers_left_out",
    kind: Kind::Counter,
    help: "Request headers that should travel with a record but did not fit.",
    labels: &["receiver"],
};
/// Reloads of secrets.
pub const RECEIVER_RELOADS: Desc = Desc {
    name: "sidelight_receiver_reloads",
    kind: Kind::Counter,
    help: "Changed or unusable certificate and token files, by what came of it.",
    labels: &["receiver", "file", "outcome"],
};

// configuration

/// Whether the last reload of the configuration, or the start, succeeded.
pub const CONFIG_LAST_RELOAD_SUCCESSFUL: Desc = Desc {
    name: "sidelight_config_last_reload_successful",
    kind: Kind::Gauge,
    help: "Whether the last reload of the configuration, or the start, succeeded: where it did not the one before is in force.",
    labels: &[],
};
/// When that was the case last.
pub const CONFIG_LAST_RELOAD_SUCCESS: Desc = Desc {
    name: "sidelight_config_last_reload_success_timestamp_seconds",
    kind: Kind::Gauge,
    help: "When the configuration in force was read, in seconds since 1970.",
    labels: &[],
};

// journal

/// Bytes the journal takes of its cap: allocated on disk, or held in memory.
pub const JOURNAL_BYTES: Desc = Desc {
    name: "sidelight_journal_bytes",
    kind: Kind::Gauge,
    help: "Bytes the journal takes of its cap: allocated on disk, or held in memory.",
    labels: &[],
};
/// The cap on the journal, in bytes.
pub const JOURNAL_CAPACITY_BYTES: Desc = Desc {
    name: "sidelight_journal_capacity_bytes",
    kind: Kind::Gauge,
    help: "The cap on the journal, in bytes.",
    labels: &[],
};
/// How long there is room.
pub const JOURNAL_SECONDS_LEFT: Desc = Desc {
    name: "sidelight_journal_seconds_left",
    kind: Kind::Gauge,
    help: "Seconds until the journal is full if nothing more is delivered and data goes on arriving as in the last minute; \
           +Inf when nothing arrives.",
    labels: &[],
};
/// Segments kept.
pub const JOURNAL_SEGMENTS: Desc = Desc {
    name: "sidelight_journal_segments",
    kind: Kind::Gauge,
    help: "Segments kept.",
    labels: &[],
};
/// Bytes of the newest records held in memory for readers that keep up.
pub const JOURNAL_TAIL_BYTES: Desc = Desc {
    name: "sidelight_journal_tail_bytes",
    kind: Kind::Gauge,
    help: "Bytes of the newest records held in memory for readers that keep up.",
    labels: &[],
};
/// Groups of records written and made durable together.
pub const JOURNAL_GROUPS: Desc = Desc {
    name: "sidelight_journal_append_groups",
    kind: Kind::Counter,
    help: "Groups of records written and made durable together.",
    labels: &[],
};
/// Syncs of the active segment.
pub const JOURNAL_FSYNCS: Desc = Desc {
    name: "sidelight_journal_fsyncs",
    kind: Kind::Counter,
    help: "Syncs of the active segment.",
    labels: &[],
};
/// Time spent in syncs of the active segment, in microseconds.
pub const JOURNAL_FSYNC_MICROSECONDS: Desc = Desc {
    name: "sidelight_journal_fsync_microseconds",
    kind: Kind::Counter,
    help: "Time spent in syncs of the active segment, in microseconds.",
    labels: &[],
};
/// Segments given up after a failed write or sync.
pub const JOURNAL_POISONED: Desc = Desc {
    name: "sidelight_journal_poisoned_segments",
    kind: Kind::Counter,
    help: "Segments given up after a failed write or sync.",
    labels: &[],
};
/// Files set aside as .corrupt because they cannot be read.
pub const JOURNAL_QUARANTINED: Desc = Desc {
    name: "sidelight_journal_quarantined_files",
    kind: Kind::Counter,
    help: "Files set aside as .corrupt because they cannot be read.",
    labels: &[],
};
/// Records in the journal that cannot be read.
pub const JOURNAL_LOST_RECORDS: Desc = Desc {
    name: "sidelight_journal_lost_records",
    kind: Kind::Counter,
    help: "Records in the journal that cannot be read.",
    labels: &[],
};
/// Segments deleted because the cap pressed, before retention let them go.
pub const JOURNAL_SHED: Desc = Desc {
    name: "sidelight_journal_shed_segments",
    kind: Kind::Counter,
    help: "Segments deleted because the cap pressed, before retention let them go.",
    labels: &[],
};
/// Segments rewritten compressed because the cap pressed.
pub const JOURNAL_COMPACTED: Desc = Desc {
    name: "sidelight_journal_compacted_segments",
    kind: Kind::Counter,
    help: "Segments rewritten compressed because the cap pressed.",
    labels: &[],
};
/// Records refused because the journal was full or the disk failed.
pub const JOURNAL_REFUSED: Desc = Desc {
    name: "sidelight_journal_refused_records",
    kind: Kind::Counter,
    help: "Records refused because the journal was full or the disk failed.",
    labels: &[],
};
/// Rejected records written to journal/rejected.
pub const JOURNAL_REJECTED_KEPT: Desc = Desc {
    name: "sidelight_journal_rejected_kept_files",
    kind: Kind::Counter,
    help: "Rejected records written to journal/rejected.",
    labels: &[],
};
/// Files of journal/rejected that went to make room for later ones.
pub const JOURNAL_REJECTED_EVICTED: Desc = Desc {
    name: "sidelight_journal_rejected_evicted_files",
    kind: Kind::Counter,
    help: "Files of journal/rejected that went to make room for later ones.",
    labels: &[],
};
/// Rejected records that could not be written to journal/rejected.
pub const JOURNAL_REJECTED_NOT_KEPT: Desc = Desc {
    name: "sidelight_journal_rejected_not_kept_records",
    kind: Kind::Counter,
    help: "Rejected records that could not be written to journal/rejected.",
    labels: &[],
};

// export

/// Spans that a destination took.
pub const EXPORTER_SENT_SPANS: Desc = Desc {
    name: "otelcol_exporter_sent_spans",
    kind: Kind::Counter,
    help: "Spans that the destination acknowledged.",
    labels: &["exporter"],
};
/// Spans that a destination will never get.
pub const EXPORTER_SEND_FAILED_SPANS: Desc = Desc {
    name: "otelcol_exporter_send_failed_spans",
    kind: Kind::Counter,
    help: "Spans given up: refused for good, rejected, too large or expired.",
    labels: &["exporter"],
};
/// Spans dropped before they were sent.
pub const EXPORTER_ENQUEUE_FAILED_SPANS: Desc = Desc {
    name: "otelcol_exporter_enqueue_failed_spans",
    kind: Kind::Counter,
    help: "Spans that the journal dropped for this exporter at its cap (when_full: drop_oldest).",
    labels: &["exporter"],
};
/// Data points that a destination took.
pub const EXPORTER_SENT_METRIC_POINTS: Desc = Desc {
    name: "otelcol_exporter_sent_metric_points",
    kind: Kind::Counter,
    help: "Data points that the destination acknowledged.",
    labels: &["exporter"],
};
/// Data points that a destination will never get.
pub const EXPORTER_SEND_FAILED_METRIC_POINTS: Desc = Desc {
    name: "otelcol_exporter_send_failed_metric_points",
    kind: Kind::Counter,
    help: "Data points given up: refused for good, rejected, too large or expired.",
    labels: &["exporter"],
};
/// Data points dropped before they were sent.
pub const EXPORTER_ENQUEUE_FAILED_METRIC_POINTS: Desc = Desc {
    name: "otelcol_exporter_enqueue_failed_metric_points",
    kind: Kind::Counter,
    help: "Data points that the journal dropped for this exporter at its cap (when_full: drop_oldest).",
    labels: &["exporter"],
};
/// Log records that a destination took.
pub const EXPORTER_SENT_LOG_RECORDS: Desc = Desc {
    name: "otelcol_exporter_sent_log_records",
    kind: Kind::Counter,
    help: "Log records that the destination acknowledged.",
    labels: &["exporter"],
};
/// Log records that a destination will never get.
pub const EXPORTER_SEND_FAILED_LOG_RECORDS: Desc = Desc {
    name: "otelcol_exporter_send_failed_log_records",
    kind: Kind::Counter,
    help: "Log records given up: refused for good, rejected, too large or expired.",
    labels: &["exporter"],
};
/// Log records dropped before they were sent.
pub const EXPORTER_ENQUEUE_FAILED_LOG_RECORDS: Desc = Desc {
    name: "otelcol_exporter_enqueue_failed_log_records",
    kind: Kind::Counter,
    help: "Log records that the journal dropped for this exporter at its cap (when_full: drop_oldest).",
    labels: &["exporter"],
};
/// Profiles that a destination took.
pub const EXPORTER_SENT_PROFILES: Desc = Desc {
    name: "sidelight_exporter_sent_profiles",
    kind: Kind::Counter,
    help: "Profiles that the destination acknowledged.",
    labels: &["exporter"],
};
/// Profiles that a destination will never get.
pub const EXPORTER_SEND_FAILED_PROFILES: Desc = Desc {
    name: "sidelight_exporter_send_failed_profiles",
    kind: Kind::Counter,
    help: "Profiles given up: refused for good, rejected, too large or expired.",
    labels: &["exporter"],
};
/// Profiles dropped before they were sent.
pub const EXPORTER_ENQUEUE_FAILED_PROFILES: Desc = Desc {
    name: "sidelight_exporter_enqueue_failed_profiles",
    kind: Kind::Counter,
    help: "Profiles that the journal dropped for this exporter at its cap (when_full: drop_oldest).",
    labels: &["exporter"],
};
/// What waits in the journal for a lane.
pub const EXPORTER_QUEUE_SIZE: Desc = Desc {
    name: "otelcol_exporter_queue_size",
    kind: Kind::Gauge,
    help: "Bytes in the journal that the exporter has not delivered.",
    labels: &["exporter", "data_type"],
};
/// What the journal may hold.
pub const EXPORTER_QUEUE_CAPACITY: Desc = Desc {
    name: "otelcol_exporter_queue_capacity",
    kind: Kind::Gauge,
    help: "Bytes that the journal may hold, shared by all exporters.",
    labels: &["exporter", "data_type"],
};
/// The age of a lane's oldest undelivered record.
pub const EXPORTER_OLDEST_UNDELIVERED_SECONDS: Desc = Desc {
    name: "sidelight_exporter_oldest_undelivered_seconds",
    kind: Kind::Gauge,
    help: "Age of the oldest record that the exporter has not delivered; 0 when there is none. The number to alert on.",
    labels: &["exporter", "signal"],
};
/// Requests that went out.
pub const EXPORTER_REQUESTS: Desc = Desc {
    name: "sidelight_exporter_requests",
    kind: Kind::Counter,
    help: "Requests sent, whatever became of them.",
    labels: &["exporter", "signal"],
};
/// Requests that will be sent again.
pub const EXPORTER_RETRIES: Desc = Desc {
    name: "sidelight_exporter_retries",
    kind: Kind::Counter,
    help: "Requests that failed and wait to be sent again.",
    labels: &["exporter", "signal"],
};
/// Bytes of bodies that a destination took.
pub const EXPORTER_SENT_BYTES: Desc = Desc {
    name: "sidelight_exporter_sent_bytes",
    kind: Kind::Counter,
    help: "Bytes of acknowledged request bodies, as compressed.",
    labels: &["exporter", "signal"],
};
/// Items rejected in a partial success.
pub const EXPORTER_REJECTED_ITEMS: Desc = Desc {
    name: "sidelight_exporter_rejected_items",
    kind: Kind::Counter,
    help: "Items that the destination rejected while it took their request (partial success).",
    labels: &["exporter", "signal"],
};
/// Requests in flight.
pub const EXPORTER_IN_FLIGHT: Desc = Desc {
    name: "sidelight_exporter_in_flight",
    kind: Kind::Gauge,
    help: "Requests that wait for their answer.",
    labels: &["exporter", "signal"],
};
/// Whether a lane backs off.
pub const EXPORTER_BACKING_OFF: Desc = Desc {
    name: "sidelight_exporter_backing_off",
    kind: Kind::Gauge,
    help: "1 while the destination takes nothing and is probed.",
    labels: &["exporter", "signal"],
};
/// Whether a lane is held.
pub const EXPORTER_HELD: Desc = Desc {
    name: "sidelight_exporter_held",
    kind: Kind::Gauge,
    help: "1 while the destination's answers condemn the configuration (credentials, path) and nothing but probes is sent.",
    labels: &["exporter", "signal"],
};

// the ledger: accepted = delivered + queued + dropped, per signal and exporter

/// What senders were told is durable.
pub const LEDGER_ACCEPTED_ITEMS: Desc = Desc {
    name: "sidelight_ledger_accepted_items",
    kind: Kind::Counter,
    help: "Spans, data points, log records or profiles acknowledged as durable, over restarts.",
    labels: &["signal"],
};
/// What destinations acknowledged.
pub const LEDGER_DELIVERED_ITEMS: Desc = Desc {
    name: "sidelight_ledger_delivered_items",
    kind: Kind::Counter,
    help: "Items acknowledged by the destination, over restarts.",
    labels: &["signal", "exporter"],
};
/// What waits in the journal.
pub const LEDGER_QUEUED_ITEMS: Desc = Desc {
    name: "sidelight_ledger_queued_items",
    kind: Kind::Gauge,
    help: "Items in the journal that the destination has not acknowledged yet.",
    labels: &["signal", "exporter"],
};
/// What will never be delivered.
pub const LEDGER_DROPPED_ITEMS: Desc = Desc {
    name: "sidelight_ledger_dropped_items",
    kind: Kind::Counter,
    help: "Items that will not be delivered, by reason, over restarts.",
    labels: &["signal", "exporter", "reason"],
};

// aggregate

/// Rows of the span table.
pub const AGGREGATE_SERIES: Desc = Desc {
    name: "sidelight_aggregate_series",
    kind: Kind::Gauge,
    help: "Series in the table of span metrics.",
    labels: &[],
};
/// Spans counted in the overflow row.
pub const AGGREGATE_OVERFLOW_SPANS: Desc = Desc {
    name: "sidelight_aggregate_overflow_spans",
    kind: Kind::Counter,
    help: "Spans counted without labels of their own because a limit on series was reached.",
    labels: &["limit"],
};
/// Spans that the table read.
pub const AGGREGATE_SPANS: Desc = Desc {
    name: "sidelight_aggregate_spans",
    kind: Kind::Counter,
    help: "Spans read from the journal into the table of span metrics.",
    labels: &[],
};
/// Spans without a usable duration.
pub const AGGREGATE_ODD_SPANS: Desc = Desc {
    name: "sidelight_aggregate_odd_spans",
    kind: Kind::Counter,
    help: "Spans that end before they start; counted as calls, not in the latency.",
    labels: &[],
};
/// Failed reads of the journal.
pub const AGGREGATE_READ_ERRORS: Desc = Desc {
    name: "sidelight_aggregate_read_errors",
    kind: Kind::Counter,
    help: "Failed reads of the journal by the table of span metrics; each is tried again.",
    labels: &[],
};
/// Series that ended for want of spans.
pub const AGGREGATE_EXPIRED_SERIES: Desc = Desc {
    name: "sidelight_aggregate_expired_series",
    kind: Kind::Counter,
    help: "Series removed because no span arrived within `aggregate.series_ttl`.",
    labels: &[],
};

// api

/// Requests answered by the admin listener.
pub const API_REQUESTS: Desc = Desc {
    name: "sidelight_api_requests",
    kind: Kind::Counter,
    help: "Requests answered by the admin listener, by route and status; 499: the client went before the answer.",
    labels: &["route", "status"],
};
/// Connections that the admin listener did not take.
pub const API_REFUSED_CONNECTIONS: Desc = Desc {
    name: "sidelight_api_refused_connections",
    kind: Kind::Counter,
    help: "Connections closed at once by the admin listener because its limit was reached.",
    labels: &[],
};

// the process

/// Resident memory.
pub const PROCESS_MEMORY_RSS: Desc = Desc {
    name: "otelcol_process_memory_rss",
    kind: Kind::Gauge,
    help: "Resident memory of the agent, in bytes.",
    labels: &[],
};
/// Processor time.
pub const PROCESS_CPU_SECONDS: Desc = Desc {
    name: "otelcol_process_cpu_seconds",
    kind: Kind::Counter,
    help: "User and system processor time of the agent, in seconds.",
    labels: &[],
};
/// Time since the start.
pub const PROCESS_UPTIME: Desc = Desc {
    name: "otelcol_process_uptime",
    kind: Kind::Counter,
    help: "Time since the agent started, in seconds.",
    labels: &[],
};
/// Open files.
pub const PROCESS_OPEN_FDS: Desc = Desc {
    name: "sidelight_process_open_fds",
    kind: Kind::Gauge,
    help: "Open file descriptors of the agent.",
    labels: &[],
};
/// Threads.
pub const PROCESS_THREADS: Desc = Desc {
    name: "sidelight_process_threads",
    kind: Kind::Gauge,
    help: "Threads of the agent.",
    labels: &[],
};
/// The declared ceiling.
pub const MEMORY_LIMIT_BYTES: Desc = Desc {
    name: "sidelight_memory_limit_bytes",
    kind: Kind::Gauge,
    help: "The memory ceiling (`limits.memory`), in bytes.",
    labels: &[],
};
/// What requests hold.
pub const MEMORY_IN_FLIGHT_BYTES: Desc = Desc {
    name: "sidelight_memory_in_flight_bytes",
    kind: Kind::Gauge,
    help: "Bytes of requests that are not durable yet.",
    labels: &[],
};
/// What requests may hold.
pub const MEMORY_IN_FLIGHT_LIMIT_BYTES: Desc = Desc {
    name: "sidelight_memory_in_flight_limit_bytes",
    kind: Kind::Gauge,
    help: "Bytes that requests may hold; shrinks while the process is near its ceiling.",
    labels: &[],
};
/// Which program this is.
pub const BUILD_INFO: Desc = Desc {
    name: "sidelight_build_info",
    kind: Kind::Gauge,
    help: "Always 1; the label says which version runs.",
    labels: &["version"],
};

// telemetry

/// Own traces that the sampler left out.
pub const TELEMETRY_SKIPPED_TRACES: Desc = Desc {
    name: "sidelight_telemetry_skipped_traces",
    kind: Kind::Counter,
    help: "Traces of the agent's own that were not recorded because of the limit per second.",
    labels: &[],
};
/// Series that a full family did not take.
pub const TELEMETRY_SERIES_REFUSED: Desc = Desc {
    name: "sidelight_telemetry_series_refused",
    kind: Kind::Counter,
    help: "Self-metric series that are not shown because their family was full.",
    labels: &[],
};
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn names_are_unique_and_follow_the_rules() {
        let mut seen = BTreeSet::new();
        for desc in all() {
            let name = desc.name;
            assert!(seen.insert(name), "{name} is defined twice");
            let known = [
                "otelcol_",
                "sidelight_",
                "traces_spanmetrics_",
                "traces_service_graph_",
                "http_server_",
            ];
            assert!(known.iter().any(|prefix| name.starts_with(prefix)), "{name}: prefix");
            assert!(!name.ends_with("_total"), "{name}: the exposition adds _total");
            let legal = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            assert!(legal(&name.replace(|c: char| c.is_ascii_digit(), "")), "{name}: characters");
            assert!(desc.labels.iter().all(|label| legal(label)), "{name}: labels");
            assert!(desc.help.ends_with('.') && !desc.help.contains('\n'), "{name}: help");
        }
    }

    #[test]
    fn the_documentation_lists_every_metric() {
        let mut rows: Vec<_> = all().collect();
        rows.sort_by_key(|desc| desc.name);
        let mut page = String::from(
            "# Metrics\n\nWhat `GET /metrics` on the admin endpoint shows, as Prometheus text 0.0.4 \
             or OpenMetrics 1.0 by the `Accept` header. Labels\nwith an empty value are left out. \
             Written from src/telemetry/desc.rs by its test (`UPDATE_DOCS=1 cargo test --lib \
             telemetry::desc`).\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n",
        );
        for Desc { name, kind, help, labels } in rows {
            let total = if *kind == Kind::Counter { "_total" } else { "" };
            let labels = labels.join(", ");
            writeln!(page, "| `{name}{total}` | {} | {labels} | {help} |", kind.name()).unwrap();
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == page, "docs/metrics.md is stale: run with UPDATE_DOCS=1");
    }
}
