//! What a start tells: plain values, which the command line puts into words.

use std::net::SocketAddr;

use crate::config::Loaded;
use crate::journal;
use crate::receive;

/// Everything runs; this is where.
#[derive(Debug)]
pub struct Started {
    /// The configuration in force, with where each value came from.
    pub loaded: Loaded,
    /// Where OTLP is taken.
    pub receivers: Vec<receive::Endpoint>,
    /// The admin endpoint.
    pub admin: SocketAddr,
    /// What the journal found.
    pub recovery: journal::Recovery,
    /// The way in for requests of this process; none without a listener.
    pub within: Option<receive::Within>,
}

impl Started {
    pub(super) fn new(
        loaded: &Loaded,
        receivers: &receive::Handle,
        admin: SocketAddr,
        recovery: journal::Recovery,
    ) -> Self {
        Self {
            loaded: loaded.clone(),
            receivers: receivers.endpoints().to_vec(),
            admin,
            recovery,
            within: receivers.within(),
        }
    }
}

/// What a reload did to the journal's readers, in a sentence.
pub(super) fn changes(changed: &journal::Reconfigured) -> String {
    if changed.added.is_empty() && changed.removed.is_empty() {
        return "no lane was added or removed".to_owned();
    }
    let mut parts = Vec::new();
    if !changed.added.is_empty() {
        parts.push(format!("added {}", changed.added.join(", ")));
    }
    for removed in &changed.removed {
        let journal::Count { requests, items } = removed.dropped;
        parts.push(format!(
            "removed {}, dropping {items} undelivered items in {requests} requests",
            removed.reader
        ));
    }
    parts.join("; ")
}
