//! Every self-metric, once: name, kind, help, labels. docs/metrics.md is written from this table; the
//! metric store's part of it is in `desc/store.rs`.
//!
//! Add an entry inside `table!`, in the group of its module; nothing else needs to know. Names:
//! the collector's where it has one, ours begin with `sidelight_`; no `_total`, units end the name.

/// What a metric is, in Prometheus' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by upper bound, with sum and count. Written by collectors, never held here.
    Histogram,
}

impl Kind {
    /// The word of a `# TYPE` line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The definition of one self-metric.
#[derive(Clone, Copy, Debug)]
pub struct Desc {
    /// The metric name without `_total`, which the exposition adds to counters.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// One sentence with the unit.
    pub help: &'static str,
    /// Label names, in the order in which values are given.
    pub labels: &'static [&'static str],
}

/// A constant for each entry, with its help as documentation, and the list of all that are in the file.
macro_rules! table {
    ($($name:ident = $kind:ident($metric:literal, $labels:expr), $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $name: Desc =
                Desc { name: $metric, kind: Kind::$kind, help: $help, labels: $labels };
        )*

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

TLS_CERTIFICATE_EXPIRY = Gauge("sidelight_tls_certificate_expiry_timestamp_seconds", &["file"]),
    "When a certificate file of the receivers ends: the first of a chain, the last of a bundle; Unix seconds.";
TLS_CERTIFICATE_START = Gauge("sidelight_tls_certificate_start_timestamp_seconds", &["file"]),
    "When a certificate file of the receivers begins: the last of a chain, the first of a bundle; Unix seconds.";
RECEIVER_ACCEPTED_SPANS = Counter("otelcol_receiver_accepted_spans", &["receiver", "transport"]),
    "Spans accepted: validated and durable in the journal.";
RECEIVER_ACCEPTED_METRIC_POINTS = Counter("otelcol_receiver_accepted_metric_points", &["receiver", "transport"]),
    "Metric data points accepted: validated and durable in the journal.";
RECEIVER_ACCEPTED_LOG_RECORDS = Counter("otelcol_receiver_accepted_log_records", &["receiver", "transport"]),
    "Log records accepted: validated and durable in the journal.";
RECEIVER_ACCEPTED_PROFILES = Counter("otelcol_receiver_accepted_profiles", &["receiver", "transport"]),
    "Profiles accepted: validated and durable in the journal.";
RECEIVER_REFUSED_SPANS = Counter("otelcol_receiver_refused_spans", &["receiver", "transport", "reason"]),
    "Spans refused, by reason; those of requests that were not understood are not counted.";
RECEIVER_REFUSED_METRIC_POINTS = Counter("otelcol_receiver_refused_metric_points", &["receiver", "transport", "reason"]),
    "Metric data points refused, by reason; those of requests that were not understood are not counted.";
RECEIVER_REFUSED_LOG_RECORDS = Counter("otelcol_receiver_refused_log_records", &["receiver", "transport", "reason"]),
    "Log records refused, by reason; those of requests that were not understood are not counted.";
RECEIVER_REFUSED_PROFILES = Counter("otelcol_receiver_refused_profiles", &["receiver", "transport", "reason"]),
    "Profiles refused, by reason; those of requests that were not understood are not counted.";
RECEIVER_REFUSED_REQUESTS = Counter("sidelight_receiver_refused_requests", &["receiver", "signal", "reason"]),
    "Requests refused, by reason; without a signal where they do not say one, and connections that fail in the TLS handshake \
     as reason tls.";
RECEIVER_REQUESTS = Counter("sidelight_receiver_requests", &["receiver", "transport", "signal", "code"]),
    "Export requests answered, by status code of the transport.";
RECEIVER_PAYLOAD_BYTES = Counter("sidelight_receiver_payload_bytes", &["receiver", "transport"]),
    "Protobuf bytes accepted, after inflating and transcoding.";
RECEIVER_CONNECTIONS = Counter("sidelight_receiver_connections", &["receiver"]),
    "Connections served.";
RECEIVER_EVICTED_CONNECTIONS = Counter("sidelight_receiver_evicted_connections", &["receiver", "state"]),
    "Connections closed for new ones while all were taken: idle, silent (no request yet), slow (a body), beginning (just come).";
RECEIVER_TLS_FAILURES = Counter("sidelight_receiver_tls_failures", &["receiver"]),
    "Connections that ended in the TLS handshake, for example for want of a client certificate.";
RECEIVER_LIMIT_REFUSALS = Counter("sidelight_receiver_limit_refusals", &["receiver", "limit"]),
    "Connections and requests that were refused or ended because of a limit.";
RECEIVER_REPAIRED_UTF8_BYTES = Counter("sidelight_receiver_repaired_utf8_bytes", &["receiver"]),
    "Bytes of strings that were not UTF-8 and were replaced by a question mark.";
RECEIVER_REPAIRED_JSON_STRINGS = Counter("sidelight_receiver_repaired_json_strings", &["receiver"]),
    "Strings of JSON requests that were not Unicode and were repaired.";
RECEIVER_ODD_IDS = Counter("sidelight_receiver_odd_ids", &["receiver"]),
    "Trace and span ids accepted whose length is neither 0 nor the right one; their requests travel alone.";
RECEIVER_HIGH_INFLATE_RATIO = Counter("sidelight_receiver_high_inflate_ratio", &["receiver"]),
    "Compressed requests that grew more than 200 times.";
RECEIVER_HEADERS_LEFT_OUT = Counter("sidelight_receiver_headers_left_out", &["receiver"]),
    "Request headers that should travel with a record but did not fit.";
RECEIVER_RELOADS = Counter("sidelight_receiver_reloads", &["receiver", "file", "outcome"]),
    "Changed or unusable certificate and token files, by what came of it.";

// configuration

CONFIG_LAST_RELOAD_SUCCESSFUL = Gauge("sidelight_config_last_reload_successful", &[]),
    "Whether the last reload of the configuration, or the start, succeeded: where it did not the one before is in force.";
CONFIG_LAST_RELOAD_SUCCESS = Gauge("sidelight_config_last_reload_success_timestamp_seconds", &[]),
    "When the configuration in force was read, in seconds since 1970.";

// journal

JOURNAL_BYTES = Gauge("sidelight_journal_bytes", &[]),
    "Bytes the journal takes of its cap: allocated on disk, or held in memory.";
JOURNAL_CAPACITY_BYTES = Gauge("sidelight_journal_capacity_bytes", &[]),
    "The cap on the journal, in bytes.";
JOURNAL_UNDELIVERED_BYTES = Gauge("sidelight_journal_undelivered_bytes", &[]),
    "Payload bytes that some destination has not taken: by signal, of the one that lacks most.";
JOURNAL_SECONDS_LEFT = Gauge("sidelight_journal_seconds_left", &[]),
    "Seconds until the journal is full if nothing more is delivered and data goes on arriving as in the last minute; +Inf \
     when nothing arrives.";
JOURNAL_SEGMENTS = Gauge("sidelight_journal_segments", &[]),
    "Segments kept.";
JOURNAL_TAIL_BYTES = Gauge("sidelight_journal_tail_bytes", &[]),
    "Bytes of the newest records held in memory for readers that keep up.";
JOURNAL_GROUPS = Counter("sidelight_journal_append_groups", &[]),
    "Groups of records written and made durable together.";
JOURNAL_FSYNCS = Counter("sidelight_journal_fsyncs", &[]),
    "Syncs of the active segment.";
JOURNAL_FSYNC_MICROSECONDS = Counter("sidelight_journal_fsync_microseconds", &[]),
    "Time spent in syncs of the active segment, in microseconds.";
JOURNAL_POISONED = Counter("sidelight_journal_poisoned_segments", &[]),
    "Segments given up after a failed write or sync.";
JOURNAL_QUARANTINED = Counter("sidelight_journal_quarantined_files", &[]),
    "Files set aside as .corrupt because they cannot be read.";
JOURNAL_LOST_RECORDS = Counter("sidelight_journal_lost_records", &[]),
    "Records in the journal that cannot be read.";
JOURNAL_MISSING_RECORDS = Counter("sidelight_journal_missing_records", &[]),
    "Records that were in no file any more at the start though nothing says that they were delivered.";
JOURNAL_SHED = Counter("sidelight_journal_shed_segments", &[]),
    "Segments deleted because the cap pressed, before retention let them go.";
JOURNAL_COMPACTED = Counter("sidelight_journal_compacted_segments", &[]),
    "Segments rewritten compressed because the cap pressed.";
JOURNAL_REFUSED = Counter("sidelight_journal_refused_records", &[]),
    "Records refused because the journal was full or the disk failed.";
JOURNAL_REJECTED_FILES = Gauge("sidelight_journal_rejected_files", &[]),
    "Rejected records that wait in journal/rejected to be sent again or removed, also of runs before; looked at every 10 s.";
JOURNAL_REJECTED_BYTES = Gauge("sidelight_journal_rejected_bytes", &[]),
    "Bytes of the files in journal/rejected.";
JOURNAL_REJECTED_KEPT = Counter("sidelight_journal_rejected_kept_files", &[]),
    "Rejected records written to journal/rejected since the start.";
JOURNAL_REJECTED_EVICTED = Counter("sidelight_journal_rejected_evicted_files", &[]),
    "Files of journal/rejected that went to make room for later ones.";
JOURNAL_REJECTED_NOT_KEPT = Counter("sidelight_journal_rejected_not_kept_records", &[]),
    "Rejected records that could not be written to journal/rejected.";

// export

EXPORTER_SENT_SPANS = Counter("otelcol_exporter_sent_spans", &["exporter"]),
    "Spans that the destination acknowledged.";
EXPORTER_SEND_FAILED_SPANS = Counter("otelcol_exporter_send_failed_spans", &["exporter"]),
    "Spans given up: refused for good, rejected, too large or expired.";
EXPORTER_ENQUEUE_FAILED_SPANS = Counter("otelcol_exporter_enqueue_failed_spans", &["exporter"]),
    "Spans that the journal dropped for this exporter at its cap (when_full: drop_oldest).";
EXPORTER_SENT_METRIC_POINTS = Counter("otelcol_exporter_sent_metric_points", &["exporter"]),
    "Data points that the destination acknowledged.";
EXPORTER_SEND_FAILED_METRIC_POINTS = Counter("otelcol_exporter_send_failed_metric_points", &["exporter"]),
    "Data points given up: refused for good, rejected, too large or expired.";
EXPORTER_ENQUEUE_FAILED_METRIC_POINTS = Counter("otelcol_exporter_enqueue_failed_metric_points", &["exporter"]),
    "Data points that the journal dropped for this exporter at its cap (when_full: drop_oldest).";
EXPORTER_SENT_LOG_RECORDS = Counter("otelcol_exporter_sent_log_records", &["exporter"]),
    "Log records that the destination acknowledged.";
EXPORTER_SEND_FAILED_LOG_RECORDS = Counter("otelcol_exporter_send_failed_log_records", &["exporter"]),
    "Log records given up: refused for good, rejected, too large or expired.";
EXPORTER_ENQUEUE_FAILED_LOG_RECORDS = Counter("otelcol_exporter_enqueue_failed_log_records", &["exporter"]),
    "Log records that the journal dropped for this exporter at its cap (when_full: drop_oldest).";
EXPORTER_SENT_PROFILES = Counter("sidelight_exporter_sent_profiles", &["exporter"]),
    "Profiles that the destination acknowledged.";
EXPORTER_SEND_FAILED_PROFILES = Counter("sidelight_exporter_send_failed_profiles", &["exporter"]),
    "Profiles given up: refused for good, rejected, too large or expired.";
EXPORTER_ENQUEUE_FAILED_PROFILES = Counter("sidelight_exporter_enqueue_failed_profiles", &["exporter"]),
    "Profiles that the journal dropped for this exporter at its cap (when_full: drop_oldest).";
EXPORTER_QUEUE_SIZE = Gauge("otelcol_exporter_queue_size", &["exporter", "data_type"]),
    "Bytes in the journal that the exporter has not delivered.";
EXPORTER_QUEUE_CAPACITY = Gauge("otelcol_exporter_queue_capacity", &["exporter", "data_type"]),
    "Bytes that the journal may hold, shared by all exporters.";
EXPORTER_OLDEST_UNDELIVERED_SECONDS = Gauge("sidelight_exporter_oldest_undelivered_seconds", &["exporter", "signal"]),
    "Age of the oldest record that the exporter has not delivered; 0 when there is none. The number to alert on.";
EXPORTER_REQUESTS = Counter("sidelight_exporter_requests", &["exporter", "signal"]),
    "Requests sent, whatever became of them.";
EXPORTER_RETRIES = Counter("sidelight_exporter_retries", &["exporter", "signal"]),
    "Requests that failed and wait to be sent again.";
EXPORTER_SENT_BYTES = Counter("sidelight_exporter_sent_bytes", &["exporter", "signal"]),
    "Bytes of acknowledged request bodies, as compressed.";
EXPORTER_REJECTED_ITEMS = Counter("sidelight_exporter_rejected_items", &["exporter", "signal"]),
    "Items that the destination rejected while it took their request (partial success).";
EXPORTER_IN_FLIGHT = Gauge("sidelight_exporter_in_flight", &["exporter", "signal"]),
    "Requests that wait for their answer.";
EXPORTER_BACKING_OFF = Gauge("sidelight_exporter_backing_off", &["exporter", "signal"]),
    "1 while the destination takes nothing and is probed.";
EXPORTER_HELD = Gauge("sidelight_exporter_held", &["exporter", "signal"]),
    "1 while the destination's answers condemn the configuration (credentials, path) and nothing but probes is sent.";

// the ledger: accepted = delivered + queued + dropped, per signal and exporter

LEDGER_ACCEPTED_ITEMS = Counter("sidelight_ledger_accepted_items", &["signal"]),
    "Spans, data points, log records or profiles acknowledged as durable, over restarts.";
LEDGER_DELIVERED_ITEMS = Counter("sidelight_ledger_delivered_items", &["signal", "exporter"]),
    "Items acknowledged by the destination, over restarts.";
LEDGER_QUEUED_ITEMS = Gauge("sidelight_ledger_queued_items", &["signal", "exporter"]),
    "Items in the journal that the destination has not acknowledged yet.";
LEDGER_DROPPED_ITEMS = Counter("sidelight_ledger_dropped_items", &["signal", "exporter", "reason"]),
    "Items that will not be delivered, by reason, over restarts.";

// aggregate

AGGREGATE_SERIES = Gauge("sidelight_aggregate_series", &[]),
    "Series in the table of span metrics.";
AGGREGATE_OVERFLOW_SPANS = Counter("sidelight_aggregate_overflow_spans", &["limit"]),
    "Spans counted without labels of their own because a limit on series was reached.";
AGGREGATE_SPANS = Counter("sidelight_aggregate_spans", &[]),
    "Spans read from the journal into the table of span metrics.";
AGGREGATE_ODD_SPANS = Counter("sidelight_aggregate_odd_spans", &[]),
    "Spans that end before they start; counted as calls, not in the latency.";
AGGREGATE_READ_ERRORS = Counter("sidelight_aggregate_read_errors", &[]),
    "Failed reads of the journal by the table of span metrics; each is tried again.";
AGGREGATE_EXPIRED_SERIES = Counter("sidelight_aggregate_expired_series", &[]),
    "Series removed because no span arrived within `aggregate.series_ttl`.";

// api

API_REQUESTS = Counter("sidelight_api_requests", &["route", "status"]),
    "Requests answered by the admin listener, by route and status; 499: the client went before the answer.";
API_REFUSED_CONNECTIONS = Counter("sidelight_api_refused_connections", &[]),
    "Connections closed at once by the admin listener because its limit was reached.";
API_EVICTED_CONNECTIONS = Counter("sidelight_api_evicted_connections", &["state"]),
    "Connections closed for new ones by the admin listener while its limit was reached: idle, silent, slow or beginning.";

// the process

PROCESS_MEMORY_RSS = Gauge("otelcol_process_memory_rss", &[]),
    "Resident memory of the agent, in bytes.";
PROCESS_CPU_SECONDS = Counter("otelcol_process_cpu_seconds", &[]),
    "User and system processor time of the agent, in seconds.";
PROCESS_UPTIME = Counter("otelcol_process_uptime", &[]),
    "Time since the agent started, in seconds.";
PROCESS_OPEN_FDS = Gauge("sidelight_process_open_fds", &[]),
    "Open file descriptors of the agent.";
PROCESS_THREADS = Gauge("sidelight_process_threads", &[]),
    "Threads of the agent.";
MEMORY_LIMIT_BYTES = Gauge("sidelight_memory_limit_bytes", &[]),
    "The memory ceiling (`limits.memory`), in bytes.";
MEMORY_IN_FLIGHT_BYTES = Gauge("sidelight_memory_in_flight_bytes", &[]),
    "Bytes of requests that are not durable yet.";
MEMORY_IN_FLIGHT_LIMIT_BYTES = Gauge("sidelight_memory_in_flight_limit_bytes", &[]),
    "Bytes that requests may hold; shrinks while the process is near its ceiling.";
BUILD_INFO = Gauge("sidelight_build_info", &["version"]),
    "Always 1; the label says which version runs.";

// telemetry

TELEMETRY_SKIPPED_TRACES = Counter("sidelight_telemetry_skipped_traces", &[]),
    "Traces of the agent's own that were not recorded because of the limit per second.";
TELEMETRY_SERIES_REFUSED = Counter("sidelight_telemetry_series_refused", &[]),
    "Self-metric series that are not shown because their family was full.";
TELEMETRY_PASSED_OVER_LINES = Counter("sidelight_telemetry_passed_over_lines", &[]),
    "Lines of logs and of `debug` exporters that standard error did not take: nobody read it, or it failed.";
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
