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

/// What a reload did to the lanes, in a sentence; `anew` are those that began with it, among them those that changed.
pub(super) fn changes(changed: &journal::Reconfigured, anew: &[String]) -> String {
    let mut parts = Vec::new();
    if !changed.added.is_empty() {
        parts.push(format!("added {}", changed.added.join(", ")));
    }
    let other = |lane: &&String| !changed.added.contains(*lane);
    let other: Vec<_> = anew.iter().filter(other).map(String::as_str).collect();
    if !other.is_empty() {
        parts.push(format!("changed {}", other.join(", ")));
    }
    for removed in &changed.removed {
        let journal::Count { requests, items } = removed.dropped;
        let dropped = match requests {
            0 => String::new(),
            _ => format!(", dropping {items} undelivered items in {requests} requests"),
        };
        parts.push(format!("removed {}{dropped}", removed.reader));
    }
    if parts.is_empty() { "no lane changed".to_owned() } else { parts.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_names_the_lanes_that_it_changed_and_says_where_there_are_none() {
        let mut changed = journal::Reconfigured::default();
        assert_eq!(changes(&changed, &[]), "no lane changed");
        changed.added.push("file/b:logs".to_owned());
        let anew = ["file/b:logs".to_owned(), "otlp_grpc/a:logs".to_owned()];
        assert_eq!(changes(&changed, &anew), "added file/b:logs; changed otlp_grpc/a:logs");
        let removed = |reader: &str, requests, items| {
            let dropped = journal::Count { requests, items };
            journal::Removed { reader: reader.to_owned(), dropped }
        };
        let removed = vec![removed("c:logs", 0, 0), removed("c:traces", 2, 7)];
        let changed = journal::Reconfigured { removed, ..journal::Reconfigured::default() };
        let expected =
            "removed c:logs; removed c:traces, dropping 7 undelivered items in 2 requests";
        assert_eq!(changes(&changed, &[]), expected);
    }
}
