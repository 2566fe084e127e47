//! Ends of requests that wait for the other end, in the order of receipt.
//!
//! ```text
//! ring    half │ half │ half │ …      appended behind, given up in front
//! index   hash of (trace, span) ─▶ number of the half; its place is the number less that of the front
//! ```
//! The ring is written and read in order, the index has 5 B per half: both stay in the cache while ids are spread over
//! all of memory. A request that waits costs one probe, one insertion and one removal.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hasher as _};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::super::operation::{CLIENT, PRODUCER};
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
    pub(super) peer: Option<Box<[u8]>>,
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
    ring: VecDeque<(u64, Half)>,
    index: HashTable<u32>,
    /// The number of the front; numbers wrap.
    front: u32,
    hasher: DefaultHashBuilder,
}

impl Pending {
    #[inline]
    pub(super) fn hash(&self, key: &Key) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        hasher.finish()
    }

    pub(super) fn len(&self) -> usize {
        self.ring.len()
    }

    /// When the front was received.
    pub(super) fn oldest(&self) -> Option<UnixNano> {
        self.ring.front().map(|(_, half)| half.received)
    }

    pub(super) fn push(&mut self, hash: u64, half: Half) {
        #[expect(clippy::cast_possible_truncation, reason = "numbers wrap; no ring is 2^32 long")]
        let number = self.front.wrapping_add(self.ring.len() as u32);
        self.ring.push_back((hash, half));
        let (ring, front) = (&self.ring, self.front);
        let rehash = |&number: &u32| {
            ring.get(number.wrapping_sub(front) as usize).map_or(0, |(hash, _)| *hash)
        };
        self.index.insert_unique(hash, number, rehash);
    }

    /// Takes the front.
    pub(super) fn pop(&mut self) -> Option<Half> {
        let (hash, half) = self.ring.pop_front()?;
        let front = self.front;
        if let Ok(entry) = self.index.find_entry(hash, |&number| number == front) {
            entry.remove();
        }
        self.front = front.wrapping_add(1);
        Some(half)
    }

    /// The client's end of this key.
    pub(super) fn client(&mut self, hash: u64, key: &Key) -> Option<&mut Half> {
        self.find(hash, |half| half.key == *key && matches!(half.kind, CLIENT | PRODUCER))
    }

    /// A server's end of this key that is not paired.
    pub(super) fn server(&mut self, hash: u64, key: &Key) -> Option<&mut Half> {
        self.find(hash, |half| {
            half.key == *key && !half.paired && !matches!(half.kind, CLIENT | PRODUCER)
        })
    }

    #[inline]
    fn find(&mut self, hash: u64, is: impl Fn(&Half) -> bool) -> Option<&mut Half> {
        let (ring, front) = (&self.ring, self.front);
        let place = |number: &u32| number.wrapping_sub(front) as usize;
        let number = self.index.find(hash, |number| {
            ring.get(place(number)).is_some_and(|(of, half)| *of == hash && is(half))
        })?;
        let place = place(number);
        self.ring.get_mut(place).map(|(_, half)| half)
    }

    /// All of them, the oldest first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Half> {
        self.ring.iter().map(|(_, half)| half)
    }

    /// The nodes that they refer to.
    pub(super) fn services(&self) -> impl Iterator<Item = u32> {
        self.all().map(|half| half.service)
    }
}
