//! Damaged files, said for as long as they are in the store's directory: what they held is missing from every answer, which
//! nobody sees in the answer.
//!
//! Those of others that keep files beside the store (`alerts.db`, `notifications.db`) are found by their names once they
//! are set aside.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::layout::{Day, FileKey, Tier};

/// Files that are shown by name; the others are counted.
const SHOWN: usize = 4;

/// What is wrong with each, by its name; nothing where an earlier run set it aside, or somebody else.
#[derive(Debug, Default)]
pub(super) struct Damage(Mutex<BTreeMap<String, String>>);

impl Damage {
    /// A file is damaged, and has its name still.
    pub(super) fn found(&self, path: &Path, why: &str) {
        self.lock().insert(name(path), why.to_owned());
    }

    /// A damaged file has another name now.
    pub(super) fn set_aside(&self, path: &Path, to: &Path, why: &str) {
        let mut files = self.lock();
        let found = files.remove(&name(path)).unwrap_or_else(|| why.to_owned());
        files.insert(name(to), found);
    }

    /// Looks which are there. Blocks on disk.
    pub(super) fn look(&self, directory: &Path) {
        let Ok(entries) = fs::read_dir(directory) else { return };
        // Listed before the lock is taken: whoever asks how the store is waits for no disk.
        let there: BTreeSet<String> =
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        let mut files = self.lock();
        files.retain(|name, _| there.contains(name));
        for name in there.into_iter().filter(|name| is_set_aside(name)) {
            files.entry(name).or_default();
        }
    }

    /// That some held samples of the days that `wanted` says, where they are missed: not rows of a day that is there whole.
    pub(super) fn missed(
        &self,
        wanted: &RangeInclusive<Day>,
        whole: &BTreeSet<Day>,
    ) -> Option<String> {
        let files = self.lock();
        let missed = files.iter().filter(|(name, _)| {
            let name = name.split_once(".corrupt-").map_or(&***name, |(name, _)| name);
            FileKey::parse(name).is_some_and(|key| {
                let is_there = |day: &Day| key.tier != Tier::Raw && whole.contains(day);
                key.days().map(Day).any(|day| wanted.contains(&day) && !is_there(&day))
            })
        });
        let listed = listed(missed);
        (!listed.is_empty())
            .then(|| format!("without what damaged files of the store held: {listed}"))
    }

    /// That there are some, in the store's `directory`.
    pub(super) fn trouble(&self, directory: &Path) -> Option<String> {
        let files = self.lock();
        (!files.is_empty()).then(|| {
            format!(
                "damaged files in {}, `.corrupt-N` where they were set aside: {}; queries, rules and alerts go on without what \
                 they held. Look after the disk; this is said until they are removed",
                directory.display(),
                listed(files.iter())
            )
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn listed<'a>(mut files: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    let file = |(name, why): (&String, &String)| {
        if why.is_empty() { name.clone() } else { format!("{name} ({why})") }
    };
    let mut shown: Vec<String> = files.by_ref().take(SHOWN).map(file).collect();
    match files.count() {
        0 => {}
        more => shown.push(format!("{more} more")),
    }
    shown.join(", ")
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Whether a file was set aside.
pub(super) fn is_set_aside(name: &str) -> bool {
    name.split_once(".db.corrupt-").is_some_and(|(_, n)| n.bytes().all(|b| b.is_ascii_digit()))
}
