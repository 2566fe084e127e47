//! The newest records, kept as they came so that a reader that keeps up never touches the disk.
//!
//! Limit: `tail_size` bytes of payload, metadata and bookkeeping. Sequences are contiguous, so a
//! lookup is an index.

use std::collections::VecDeque;

use super::Entry;

/// Charged per record beside its payload and metadata.
const OVERHEAD: usize = size_of::<Entry>();

#[derive(Debug, Default)]
pub(super) struct Tail {
    entries: VecDeque<Entry>,
    bytes: usize,
    limit: usize,
}

/// What a record costs in memory.
pub(super) fn cost(entry: &Entry) -> usize {
    OVERHEAD + entry.record.payload.len() + entry.record.meta.as_tlv().len()
}

impl Tail {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    pub(super) fn push(&mut self, entry: Entry) {
        let cost = cost(&entry);
        if cost > self.limit || self.entries.back().is_some_and(|last| last.seq + 1 != entry.seq) {
            self.entries.clear();
            self.bytes = 0;
        }
        if cost > self.limit {
            return;
        }
        self.bytes += cost;
        self.entries.push_back(entry);
        while self.bytes > self.limit
            && let Some(oldest) = self.entries.pop_front()
        {
            self.bytes -= self::cost(&oldest);
        }
    }

    pub(super) fn get(&self, seq: u64) -> Option<&Entry> {
        let first = self.entries.front()?.seq;
        self.entries.get(usize::try_from(seq.checked_sub(first)?).ok()?)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::signal::{Flags, Meta, Record, Signal};
    use crate::time::UnixNano;

    #[test]
    fn the_tail_keeps_the_newest_records_within_its_limit() {
        let mut tail = Tail::new(10 * (OVERHEAD + 100));
        for seq in 1..=25 {
            tail.push(Entry {
                seq,
                received: UnixNano(seq),
                redelivered: false,
                record: Record {
                    signal: Signal::Logs,
                    items: 1,
                    flags: Flags::default(),
                    meta: Meta::default(),
                    payload: Bytes::from(vec![0; 100]),
                },
            });
            assert!(tail.bytes() <= tail.limit);
        }
        assert_eq!((tail.get(15), tail.get(26)).0.map(|e| e.seq), None);
        assert_eq!(tail.get(16).map(|e| e.seq), Some(16));
        assert!(tail.get(26).is_none());
    }
}
