//! What must hold: conservation and liveness.
//!
//! An item that was acknowledged was taken by each destination of its signal, or this world says why not: the destination
//! answered a request with it and did not take it; its lane may lose its oldest; it lay where a bit rotted, and the
//! journal counted it; or the mode promised nothing about how the agent ended. Whatever it was, the ledger counts it. What
//! was taken had been sent.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use sidelight_agent::journal::{DropReason, Journal, ReaderLedger, WhenFull};
use sidelight_agent::signal::Signal;

use crate::destination::Destination;

/// What senders know.
#[derive(Debug, Default)]
pub struct Told {
    pub sent: BTreeMap<String, Signal>,
    /// Items that an agent was given: it took them or did not.
    pub offered: BTreeMap<Signal, u64>,
    pub acknowledged: BTreeSet<String>,
    /// Acknowledged before the agent ended in a way that its mode promises nothing about.
    pub forgiven: BTreeSet<String>,
    /// Requests acknowledged, per sender.
    pub acks: BTreeMap<usize, u64>,
}

impl Told {
    /// Acknowledged and not forgiven, of one signal.
    fn promised(&self, signal: Signal) -> u64 {
        let names = self.acknowledged.difference(&self.forgiven);
        names.filter(|name| self.sent.get(*name) == Some(&signal)).count() as u64
    }

    pub fn acknowledge(&mut self, sender: usize, names: Vec<String>) {
        self.acknowledged.extend(names);
        *self.acks.entry(sender).or_default() += 1;
    }

    /// What was acknowledged so far may be gone.
    pub fn forgive(&mut self) {
        self.forgiven.clone_from(&self.acknowledged);
    }
}

/// What one world, or many, came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub sent: u64,
    pub acknowledged: u64,
    pub taken: u64,
    pub duplicates: u64,
    /// Acknowledged and not taken, each for a reason.
    pub lost: u64,
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
            (&mut self.taken, other.taken),
            (&mut self.duplicates, other.duplicates),
            (&mut self.lost, other.lost),
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

/// What is known about one destination.
pub struct Judged<'a> {
    pub exporter: &'a str,
    pub destination: &'a Destination,
    pub when_full: WhenFull,
    /// What no request may be larger than.
    pub request_bytes_max: usize,
    /// Records that the journal said it cannot read, in all its lives.
    pub corrupt_records: u64,
}

/// Bytes of a request of one item beside its name.
const REQUEST_BESIDE: usize = 100;

/// Every lane's equation, at any moment, and that it counts what was sent: nothing twice, nothing less than promised, and
/// nothing as lost on a disk that is sound and has room.
pub fn check_balance(journal: &Journal, told: &Told, is_sound: bool) {
    let ledger = journal.ledger();
    for lane in &ledger.readers {
        assert!(lane.balances(), "{lane:#?}");
    }
    let lost = |lane: &&ReaderLedger| lane.dropped.contains_key(&DropReason::Corrupt);
    let lost = ledger.readers.iter().find(lost).filter(|_| is_sound);
    assert!(lost.is_none(), "lost, and nothing was damaged: {lost:#?}");
    for (&signal, &offered) in &told.offered {
        let (accepted, promised) = (ledger.accepted.get(signal).items, told.promised(signal));
        let between = promised..=offered;
        assert!(between.contains(&accepted), "{accepted} {signal:?} accepted, not in {between:?}");
    }
}

/// What was acknowledged and what one destination took.
pub fn judge(judged: &Judged<'_>, told: &Told, journal: &Journal, outcome: &mut Outcome) {
    let Judged { exporter, destination, .. } = judged;
    let received = destination.received();
    let of = |which: fn(&crate::destination::Received) -> bool| -> BTreeSet<&String> {
        received.iter().filter(|r| which(r)).flat_map(|r| &r.names).collect()
    };
    let (taken, refused) = (of(|r| r.taken), of(|r| r.refused));
    let unknown: Vec<_> = taken.iter().filter(|name| !told.sent.contains_key(**name)).collect();
    assert!(unknown.is_empty(), "{exporter} took what was never sent: {unknown:?}");
    let promised = told.acknowledged.iter().filter(|name| !told.forgiven.contains(*name));
    let lost: Vec<_> = promised.filter(|name| !taken.contains(name)).collect();

    let rows = journal.ledger().readers;
    let mut dropped: BTreeMap<DropReason, u64> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.exporter == *exporter) {
        assert_eq!(row.queued.items, 0, "{row:#?}");
        row.dropped.iter().for_each(|(&reason, n)| *dropped.entry(reason).or_default() += n);
    }
    let of_oldest = dropped.get(&DropReason::QueueFull).copied().unwrap_or(0);
    let corrupt = dropped.get(&DropReason::Corrupt).copied().unwrap_or(0);
    assert!(of_oldest == 0 || judged.when_full == WhenFull::DropOldest, "{exporter}: {dropped:?}");
    // What the journal cannot read it may know only as records, of up to four items here.
    let unread = corrupt.max(judged.corrupt_records * 4);
    // A metric's name is a header of its points, which may be half of a request.
    let too_large = |name: &String| name.len() + REQUEST_BESIDE >= judged.request_bytes_max / 2;
    let explained = |name: &&&String| refused.contains(**name) || too_large(name);
    let unexplained: Vec<_> = lost.iter().filter(|name| !explained(name)).collect();
    let counted = of_oldest + unread;
    assert!(
        unexplained.len() as u64 <= counted,
        "{exporter}: {counted} counted ({dropped:?}), lost without a reason: {unexplained:?}",
    );
    let all: u64 = dropped.values().sum::<u64>() + unread;
    assert!(lost.len() as u64 <= all, "{exporter}: {dropped:?}, lost: {lost:?}");

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
