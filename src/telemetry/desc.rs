//! Every self-metric, once: name, kind, help, labels. docs/metrics.md is checked against this file.

use super::registry::{Desc, Kind};

/// Requests that a receiver took in and the journal made durable.
pub const RECEIVER_ACCEPTED_SPANS: Desc = Desc {
    name: "otelcol_receiver_accepted_spans",
    kind: Kind::Counter,
    help: "Spans accepted: validated and durable in the journal.",
    labels: &["receiver", "transport"],
};
