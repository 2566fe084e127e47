//! What happened to worlds, by kind: a campaign in which one kind never occurs proves less than it says, and fails.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex};

/// Each is to occur in [`crate::SEEDS_DEFAULT`] worlds. Those of the disk are named by its operation and its fault.
pub const KINDS: [&str; 72] = [
    "Allocate Full",
    "Allocate Io",
    "Create Full",
    "Create Io",
    "Open Io",
    "Read Flip",
    "Read Io",
    "Read Short",
    "Rename Io",
    "Sync Io",
    "Sync Lie",
    "Sync Slow",
    "SyncDir Io",
    "Write Full",
    "Write Io",
    "Write Short",
    "no room",
    "rot",
    "power off at Allocate",
    "power off at Create",
    "power off at Rename",
    "power off at Sync",
    "power off at SyncDir",
    "power off at Write",
    "power off after a lie",
    "bytes lost",
    "bytes torn",
    "names lost",
    "groups slow",
    "start refused",
    "clock back",
    "clock on",
    "end Kill",
    "end Orderly",
    "end OrderlyThenPower",
    "end Power",
    "journal resized",
    "reload adds",
    "reload changes",
    "reload removes",
    "network Garbage",
    "network HalfClosed",
    "network Partitioned",
    "network Refused",
    "network Reset",
    "network Slow",
    "way in Garbage",
    "way in HalfClosed",
    "way in Partitioned",
    "way in Refused",
    "way in Reset",
    "way in Slow",
    "sender put off",
    "sent again",
    "answer Cut",
    "answer Goodbye",
    "answer Grpc",
    "answer Hang",
    "answer Http",
    "answer Huge",
    "answer NoStatus",
    "answer Ok",
    "answer Partial",
    "answer TakenThenCut",
    "answer TrailersOnly",
    "answer to poison",
    "dropped corrupt",
    "dropped partial_success",
    "dropped permanent",
    "dropped queue_full",
    "dropped removed",
    "dropped too_large",
];

/// Each is to occur in [`RARE_WORLDS`].
pub const RARE: [&str; 4] =
    ["Remove Io", "SetLen Io", "power off at Remove", "power off at SetLen"];
pub const RARE_WORLDS: u64 = 1_000;

/// Counts of what happened to one world. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Happened(Arc<Mutex<BTreeMap<String, u64>>>);

impl Happened {
    pub fn note(&self, what: impl Display) {
        *self.0.lock().unwrap().entry(what.to_string()).or_default() += 1;
    }

    /// Counts what `of` was, by the name of its variant.
    pub fn note_variant(&self, of: &str, variant: &impl std::fmt::Debug) {
        let shown = format!("{variant:?}");
        let name = shown.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        self.note(format_args!("{of} {name}"));
    }

    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap().clone()
    }
}

/// What should have occurred in so many worlds and did not.
pub fn missing(counts: &BTreeMap<String, u64>, worlds: u64) -> Vec<&'static str> {
    let kinds = KINDS.into_iter().filter(|_| worlds >= crate::SEEDS_DEFAULT);
    let rare = RARE.into_iter().filter(|_| worlds >= RARE_WORLDS);
    kinds.chain(rare).filter(|kind| !counts.contains_key(*kind)).collect()
}
