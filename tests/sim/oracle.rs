//! What must hold: conservation and liveness.
//!
//! An item that was acknowledged was taken by each destination of its signal, or this world says why not: it is kept in
//! `journal/rejected/`, or counted as not kept there; no request may be as large; the destination was not configured, or
//! left; its lane may lose its oldest; it lay where a bit rotted, and the journal counted it; a sync lied about it and the
//! power went before an honest one; or the mode promised nothing about how the agent ended. Whatever it was, the ledger
//! counts it. What was taken had been sent. A full disk excuses nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use sidelight_agent::journal::{DropReason, Journal, ReaderLedger};

use crate::kept::Kept;
use crate::place::Place;
use crate::told::Told;

/// What one world, or many, came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub sent: u64,
    pub acknowledged: u64,
    pub forgiven: u64,
    pub taken: u64,
    pub duplicates: u64,
    /// Acknowledged and not taken, each for a reason.
    pub lost: u64,
    /// Of those, in `journal/rejected/`.
    pub kept: u64,
    pub dropped: BTreeMap<&'static str, u64>,
    pub corrupt_records: u64,
    pub rotted: u64,
    /// Faults and ends, by kind.
    pub happened: BTreeMap<String, u64>,
    pub steps: u64,
    pub simulated_seconds: u64,
    /// Of what each destination took, in its order.
    pub fingerprint: u64,
}

impl Outcome {
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.sent, other.sent),
            (&mut self.acknowledged, other.acknowledged),
            (&mut self.forgiven, other.forgiven),
            (&mut self.taken, other.taken),
            (&mut self.duplicates, other.duplicates),
            (&mut self.lost, other.lost),
            (&mut self.kept, other.kept),
            (&mut self.corrupt_records, other.corrupt_records),
            (&mut self.rotted, other.rotted),
            (&mut self.steps, other.steps),
            (&mut self.simulated_seconds, other.simulated_seconds),
        ] {
            *sum += more;
        }
        for (reason, more) in &other.dropped {
            *self.dropped.entry(*reason).or_default() += more;
        }
        for (what, more) in &other.happened {
            *self.happened.entry(what.clone()).or_default() += more;
        }
        self.fingerprint ^= other.fingerprint;
    }
}

/// Every lane's equation, at any moment, and that it counts what was sent: nothing twice, and nothing less than was
/// acknowledged.
pub fn check_balance(journal: &Journal, told: &Told) {
    assert!(told.refused.is_empty(), "refused for good: {:?}", told.refused);
    let ledger = journal.ledger();
    for lane in &ledger.readers {
        assert!(lane.balances(), "{lane:#?}");
    }
    for (&signal, &offered) in &told.offered {
        let (accepted, counted) = (ledger.accepted.get(signal).items, told.counted(signal));
        let between = counted..=offered;
        assert!(between.contains(&accepted), "{accepted} {signal:?} accepted, not in {between:?}");
    }
}

/// On a disk that nothing damaged nothing is lost. Where it was full at some time what was delivered may have gone before
/// what says so, and a start after that counts it as lost: no more than each destination has answered.
pub fn check_nothing_lost(journal: &Journal, told: &Told, places: &[Place], was_full: bool) {
    for lane in journal.ledger().readers {
        let lost = lane.dropped.get(&DropReason::Corrupt).copied().unwrap_or(0);
        if lost == 0 {
            continue;
        }
        assert!(was_full, "lost, and nothing was damaged: {lane:#?}");
        let queue = |place: &&Place| place.name == lane.exporter;
        // What the others let go of at the cap may lack its note as well.
        let Some(place) = places.iter().find(queue).filter(|place| place.holds_all()) else {
            continue;
        };
        let received = place.destination.received();
        let answered = received.iter().filter(|r| r.taken || r.refused).flat_map(|r| &r.names);
        let names = answered.chain(told.sent.keys().filter(|name| place.is_too_large(name)));
        let seen = names.filter(|name| told.sent.get(*name) == Some(&lane.signal)).count() as u64;
        assert!(lane.delivered.items + lost <= seen, "lost on a full disk, {seen} seen: {lane:#?}");
    }
}

/// What is known of what lanes gave up, beside what each destination saw.
pub struct GivenUp {
    /// What is in `journal/rejected/`.
    pub kept: Kept,
    /// Records that agents said are not kept there.
    pub not_kept: u64,
    /// Records that the journal said it cannot read, in all its lives; `None` where nothing rotted, so that there is to be
    /// none that was promised.
    pub corrupt: Option<u64>,
}

/// Items of a record, at most.
const RECORD_ITEMS_MAX: u64 = 4;

/// What was acknowledged and what one destination took.
pub fn judge(
    place: &Place,
    told: &Told,
    journal: &Journal,
    given_up: &GivenUp,
    outcome: &mut Outcome,
) {
    let exporter = &place.name;
    let received = place.destination.received();
    let taken: BTreeSet<_> = received.iter().filter(|r| r.taken).flat_map(|r| &r.names).collect();
    let unknown: Vec<_> = taken.iter().filter(|name| !told.sent.contains_key(**name)).collect();
    assert!(unknown.is_empty(), "{exporter} took what was never sent: {unknown:?}");
    let promised = told.acknowledged.iter().filter(|name| !told.forgiven.contains(*name));
    let promised = promised.filter(|name| place.is_due(name));
    let lost: Vec<_> = promised.filter(|name| !taken.contains(name)).collect();

    let rows = journal.ledger().readers;
    let mut dropped: BTreeMap<DropReason, u64> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.exporter == *exporter) {
        assert_eq!(row.queued.items, 0, "{row:#?}");
        row.dropped.iter().for_each(|(&reason, n)| *dropped.entry(reason).or_default() += n);
    }
    let mut of_oldest = dropped.get(&DropReason::QueueFull).copied().unwrap_or(0);
    let corrupt = dropped.get(&DropReason::Corrupt).copied().unwrap_or(0);
    assert!(of_oldest == 0 || !place.holds_all(), "{exporter}: {dropped:?}");
    if !place.holds_all() {
        // Let go of at the cap, and the disk had no room to say so.
        of_oldest += corrupt;
    }
    // What the journal cannot read it may know only as records. Where nothing rotted it counts as unread what is gone without
    // a note that it was delivered, and nothing else.
    let unread = given_up.corrupt.map_or(0, |records| corrupt.max(records * RECORD_ITEMS_MAX));
    let explained = |name: &&&String| {
        given_up.kept.has(exporter, name) || place.is_too_large(name) || place.has_left(name)
    };
    let unexplained: Vec<_> = lost.iter().filter(|name| !explained(name)).collect();
    let removed = dropped.get(&DropReason::Removed).copied().unwrap_or(0);
    // What said so may be gone with what the journal counted.
    let removed = if told.is_counted() { removed } else { removed.max(place.removed_items) };
    let let_go = of_oldest + place.let_go_uncounted;
    let counted = let_go + removed + unread + given_up.not_kept * RECORD_ITEMS_MAX;
    assert!(
        unexplained.len() as u64 <= counted,
        "{exporter}: {counted} counted ({dropped:?}), lost without a reason: {unexplained:?}",
    );
    outcome.kept += lost.iter().filter(|name| given_up.kept.has(exporter, name)).count() as u64;
    let all: u64 = dropped.values().sum::<u64>() + unread;
    let lost_of_counted = lost.iter().filter(|name| told.counts(name)).count() as u64;
    assert!(lost_of_counted <= all, "{exporter}: {dropped:?}, lost: {lost:?}");

    let copies: usize = received.iter().filter(|r| r.taken).map(|r| r.names.len()).sum();
    let own = |row: &&ReaderLedger| row.exporter == *exporter;
    let delivered: u64 = rows.iter().filter(own).map(|row| row.delivered.items).sum();
    assert!(delivered <= copies as u64, "{exporter} took {copies} items, {delivered} counted");
    outcome.taken += taken.len() as u64;
    outcome.duplicates += (copies - taken.len()) as u64;
    outcome.lost += lost.len() as u64;
    for (reason, items) in dropped {
        *outcome.dropped.entry(reason.name()).or_default() += items;
    }
    let mut hasher = DefaultHasher::new();
    received.iter().filter(|r| r.taken).for_each(|r| r.names.hash(&mut hasher));
    outcome.fingerprint ^= hasher.finish();
}
