//! Records that a lane took from the journal and has not settled: what became of each of their items.
//!
//! Invariant: when a record is settled, delivered + dropped = its items. Size: bounded by what the lane
//! may read ahead (its memory budget).

use std::collections::BTreeMap;

use super::batch::Planned;
use crate::journal::{DropReason, Settled};

/// The open records of one lane.
#[derive(Debug, Default)]
pub struct Account {
    open: BTreeMap<u64, Open>,
}

#[derive(Debug)]
struct Open {
    pieces: u32,
    delivered: u32,
    dropped: Vec<(DropReason, u32)>,
    charged: usize,
}

/// A record whose last piece ended.
#[derive(Debug)]
pub struct Closed {
    /// For the journal.
    pub settled: Settled,
    /// Bytes of the memory budget that it held.
    pub charged: usize,
}

impl Account {
    /// Opens a record that holds `charged` bytes of the memory budget. One without pieces closes at
    /// once.
    pub fn open(&mut self, record: &Planned, charged: usize) -> Option<Closed> {
        let mut open = Open { pieces: record.pieces, delivered: 0, dropped: Vec::new(), charged };
        if record.too_large > 0 {
            open.dropped.push((DropReason::TooLarge, record.too_large));
        }
        if open.pieces == 0 {
            return Some(open.close(record.seq));
        }
        self.open.insert(record.seq, open);
        None
    }

    /// Counts one piece of `seq`: `delivered` items arrived, `dropped` did not.
    pub fn end_piece(
        &mut self,
        seq: u64,
        delivered: u32,
        dropped: Option<(DropReason, u32)>,
    ) -> Option<Closed> {
        let open = self.open.get_mut(&seq)?;
        open.delivered += delivered;
        if let Some((reason, items)) = dropped.filter(|(_, items)| *items > 0) {
            match open.dropped.iter_mut().find(|(r, _)| *r == reason) {
                Some((_, sum)) => *sum += items,
                None => open.dropped.push((reason, items)),
            }
        }
        open.pieces -= 1;
        if open.pieces > 0 {
            return None;
        }
        self.open.remove(&seq).map(|open| open.close(seq))
    }

    /// Makes one piece of `seq` into `pieces`, of which none may be left.
    pub fn divide_piece(&mut self, seq: u64, pieces: u32) {
        if let Some(open) = self.open.get_mut(&seq) {
            open.pieces += pieces;
        }
    }

    /// Bytes of the memory budget that open records hold.
    #[must_use]
    pub fn charged(&self) -> usize {
        self.open.values().map(|open| open.charged).sum()
    }

    /// Records that are open.
    #[must_use]
    pub fn open_records(&self) -> usize {
        self.open.len()
    }
}

impl Open {
    fn close(self, seq: u64) -> Closed {
        let Self { delivered, dropped, charged, .. } = self;
        Closed { settled: Settled { seq, delivered_items: delivered, dropped }, charged }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(seq: u64, pieces: u32, too_large: u32) -> Planned {
        Planned { seq, items: 10, pieces, too_large, payload: bytes::Bytes::new() }
    }

    #[test]
    fn a_record_is_settled_once_with_its_last_piece() {
        let mut account = Account::default();
        assert!(account.open(&planned(7, 3, 1), 100).is_none());
        assert!(account.end_piece(7, 3, None).is_none());
        assert!(account.end_piece(7, 2, Some((DropReason::PartialSuccess, 1))).is_none());
        let closed = account.end_piece(7, 0, Some((DropReason::TooLarge, 3))).unwrap();
        assert_eq!((closed.settled.seq, closed.settled.delivered_items), (7, 5));
        assert_eq!(
            closed.settled.dropped,
            [(DropReason::TooLarge, 4), (DropReason::PartialSuccess, 1)]
        );
        assert_eq!(closed.charged, 100);
        assert!(account.end_piece(7, 1, None).is_none(), "never twice");
    }

    #[test]
    fn a_record_of_which_nothing_can_be_sent_closes_at_once() {
        let closed = Account::default().open(&planned(1, 0, 10), 5).unwrap();
        assert_eq!(closed.settled.dropped, [(DropReason::TooLarge, 10)]);
    }

    #[test]
    fn a_divided_piece_ends_with_its_last_part() {
        let mut account = Account::default();
        assert!(account.open(&planned(1, 1, 0), 0).is_none());
        account.divide_piece(1, 2);
        assert!(account.end_piece(1, 0, None).is_none());
        assert!(account.end_piece(1, 5, None).is_none());
        assert!(account.end_piece(1, 5, None).is_some());
    }
}
