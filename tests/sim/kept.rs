//! What destinations refused for good is in `journal/rejected/`, to be looked at and sent again, or was counted as not kept:
//! across restarts, and whatever the disk did.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bytes::Bytes;
use sidelight_agent::journal::{Journal, REJECTED, Rejected};
use sidelight_agent::telemetry::{Registry, desc};

use crate::disk::SimFs;
use crate::names::ids_in;

/// The files of rejected records on a disk.
#[derive(Debug, Default)]
pub struct Kept {
    /// The beginnings of the names in them, by exporter.
    ids: BTreeMap<String, BTreeSet<String>>,
    files: BTreeSet<String>,
}

impl Kept {
    /// What is on `disk` and whole.
    pub fn on(disk: &SimFs, journal: &Path) -> Self {
        let mut kept = Self::default();
        let directory = journal.join(REJECTED);
        let is_file = |path: &&std::path::PathBuf| {
            path.parent() == Some(&directory) && path.extension().is_some_and(|e| e == "rejected")
        };
        for path in disk.paths().iter().filter(is_file) {
            let bytes = Bytes::from(disk.bytes(path).expect("it is listed"));
            let Some(rejected) = Rejected::decode(&bytes) else { continue };
            let ids = ids_in(&rejected.record.payload);
            kept.ids.entry(rejected.exporter).or_default().extend(ids);
            kept.files.insert(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
        kept
    }

    /// Whether a record with the item of this name was kept for `exporter`.
    pub fn has(&self, exporter: &str, name: &str) -> bool {
        // An id ends with a dash, and what follows it in a name has none.
        let id = name.rfind('-').map(|end| &name[..=end]).unwrap_or_default();
        self.ids.get(exporter).is_some_and(|ids| ids.contains(id))
    }

    /// Asserts that a journal that was opened on them lists them all. What a sync lied about is none of them.
    pub fn check_listed(&self, journal: &Journal) {
        let listed: BTreeSet<String> = journal.rejected().into_iter().map(|f| f.name).collect();
        assert!(
            listed.is_superset(&self.files),
            "{:?} in rejected/, listed {listed:?}",
            self.files
        );
    }
}

/// Records that an agent said it did not keep, or let go of.
pub fn not_kept(journal: &Registry) -> u64 {
    let of = |desc| journal.counter(desc, &[]).get();
    of(&desc::JOURNAL_REJECTED_NOT_KEPT) + of(&desc::JOURNAL_REJECTED_EVICTED)
}
