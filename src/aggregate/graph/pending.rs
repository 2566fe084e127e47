//! Ends of requests that wait for the other end, in the order of receipt, found by trace and span.

use std::sync::Arc;

use super::super::operation::{CLIENT, PRODUCER};
use super::super::ring::Ring;
use crate::time::UnixNano;

/// A trace and the span at the client's end.
pub(super) type Key = [u8; 24];

/// One end of a request.
#[derive(Clone, Debug)]
pub(super) struct Half {
    pub(super) key: Key,
    pub(super) kind: u8,
    pub(super) service: u32,
    pub(super) failed: bool,
    /// Whether the other end has come: kept for others that may.
    pub(super) paired: bool,
    pub(super) nanos: Option<u64>,
    pub(super) weight: f64,
    pub(super) received: UnixNano,
    /// Whom a client says that it calls.
    pub(super) peer: Option<Arc<[u8]>>,
}

/// What an edge takes from one end.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) kind: u8,
    pub(super) service: u32,
    pub(super) failed: bool,
    pub(super) nanos: Option<u64>,
    pub(super) weight: f64,
}

impl Half {
    const fn is_client(&self) -> bool {
        matches!(self.kind, CLIENT | PRODUCER)
    }

    pub(super) const fn end(&self) -> End {
        let Self { kind, service, failed, nanos, weight, .. } = *self;
        End { kind, service, failed, nanos, weight }
    }
}

/// The key of usable ids.
pub(super) fn key(trace_id: &[u8], span_id: &[u8]) -> Option<Key> {
    let (trace_id, span_id): (&[u8; 16], &[u8; 8]) =
        (trace_id.try_into().ok()?, span_id.try_into().ok()?);
    let mut key = [0; 24];
    let (of_trace, of_span) = key.split_at_mut(16);
    of_trace.copy_from_slice(trace_id);
    of_span.copy_from_slice(span_id);
    (*trace_id != [0; 16] && *span_id != [0; 8]).then_some(key)
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Pending {
    ring: Ring<Half>,
}

impl Pending {
    /// Each side has hashes of its own: thousands of servers may wait for one client, and none of them looks at the others.
    #[inline]
    fn hash(&self, key: &Key, is_client: bool) -> u64 {
        let (words, _) = key.as_chunks();
        let word = |at: usize| words.get(at).map_or(0, |word| u64::from_le_bytes(*word));
        let hash = self.ring.hash((word(0), word(1), word(2)));
        if is_client { hash } else { !hash }
    }

    pub(super) fn len(&self) -> usize {
        self.ring.len()
    }

    /// When the front was received.
    pub(super) fn oldest(&self) -> Option<UnixNano> {
        self.ring.front().map(|half| half.received)
    }

    pub(super) fn push(&mut self, half: Half) {
        self.ring.push(self.hash(&half.key, half.is_client()), half);
    }

    /// Takes the front.
    pub(super) fn pop(&mut self) -> Option<Half> {
        self.ring.pop()
    }

    /// The client's end of this key.
    pub(super) fn client(&mut self, key: &Key) -> Option<&mut Half> {
        self.ring.find_mut(self.hash(key, true), |half| half.key == *key && half.is_client())
    }

    /// The servers' ends of this key that were not paired, the oldest first; from now on they are.
    pub(super) fn take_servers(&mut self, key: &Key) -> Vec<End> {
        let mut servers = Vec::new();
        self.ring.each_mut(self.hash(key, false), |half| {
            if half.key == *key && !half.is_client() && !std::mem::replace(&mut half.paired, true) {
                servers.push(half.end());
            }
        });
        servers
    }

    /// All of them, the oldest first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Half> {
        self.ring.iter()
    }

    /// The nodes that they refer to.
    pub(super) fn services(&self) -> impl Iterator<Item = u32> {
        self.all().map(|half| half.service)
    }
}
