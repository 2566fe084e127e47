//! When each scope was exported before: until then, what is seen for the first time was not there.
//!
//! SDKs write every series at each export and start them all at the start of the process. A counter that appears after an
//! hour with the value 1 was therefore zero at the export before; a zero sample an hour back would be outside every
//! window that an alert looks at. A scope of which something was refused for want of room says nothing about the others:
//! one that gets room later is not new. A series that was away for longer than the store remembers
//! (`store.series_ttl`) is taken for a new one. Limit: [`SCOPES_MAX`]; past it the half goes that
//! was exported longest ago. Kept by the checkpoint.

use std::collections::HashMap;

use sidelight_wire::view::Resource;

/// The most scopes that are remembered, 40 B each.
const SCOPES_MAX: usize = 16_384;

/// Points of one export are this close together.
const EXPORT_NANOS: u64 = 500_000_000;

/// The exports of scopes, by a hash of resource and scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exports(HashMap<u64, Export>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Export {
    /// The first time of the last export.
    began: u64,
    /// The latest time of the last export.
    latest: u64,
    /// The latest time of the export before.
    previous: u64,
    /// Whether a series, or a histogram's bounds, had no room.
    refused: bool,
}

impl Exports {
    /// The key of a scope: the same in every run of the agent.
    #[must_use]
    pub fn key(resource: Resource<'_>, scope: &[u8]) -> u64 {
        let resource = resource.attributes().bytes().flat_map(|bytes| bytes.iter().chain(&[0xff]));
        // FNV-1a: a collision costs a zero sample at another time.
        resource.chain(scope).fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    /// Takes note of a point's time in nanoseconds.
    pub fn note(&mut self, key: u64, time: u64) {
        if !self.0.contains_key(&key) && self.0.len() >= SCOPES_MAX {
            self.forget_half();
        }
        let export = self.0.entry(key).or_default();
        if time > export.began.saturating_add(EXPORT_NANOS) {
            let previous = export.latest;
            *export = Export { began: time, latest: time, previous, ..*export };
        } else {
            export.latest = export.latest.max(time);
        }
    }

    /// Half at a time: a sender that invents scopes must not cost a search for each.
    fn forget_half(&mut self) {
        let mut ages: Vec<_> = self.0.iter().map(|(&key, export)| (export.latest, key)).collect();
        let (older, ..) = ages.select_nth_unstable(SCOPES_MAX / 2);
        for (_, key) in older {
            self.0.remove(key);
        }
    }

    /// Takes note that there was no room for something of the scope.
    pub fn refuse(&mut self, key: u64) {
        if let Some(export) = self.0.get_mut(&key) {
            export.refused = true;
        }
    }

    /// When the scope was exported before its last export; 0 if it was not, or if that says nothing.
    #[must_use]
    pub fn previous(&self, key: u64) -> u64 {
        let export = self.0.get(&key).filter(|export| !export.refused);
        export.map_or(0, |export| export.previous)
    }

    /// Everything, for the checkpoint.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut sorted: Vec<_> = self.0.iter().collect();
        sorted.sort_unstable_by_key(|(key, _)| **key);
        for (key, export) in sorted {
            let Export { began, latest, previous, refused } = *export;
            for number in [*key, began, latest, previous, refused.into()] {
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
    }

    /// What [`Exports::encode`] wrote; what is cut short is left out.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        let (entries, _) = bytes.as_chunks::<40>();
        let number = |entry: &[u8; 40], at: usize| {
            let bytes = entry.get(at * 8..).and_then(|rest| rest.first_chunk());
            bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
        };
        let entries = entries.iter().take(SCOPES_MAX).map(|entry| {
            let [key, began, latest, previous, refused] =
                [0, 1, 2, 3, 4].map(|at| number(entry, at));
            (key, Export { began, latest, previous, refused: refused != 0 })
        });
        Self(entries.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn the_export_before_is_the_last_one_that_is_not_this_one() {
        let mut exports = Exports::default();
        assert_eq!(exports.previous(7), 0);
        exports.note(7, 10 * SECOND);
        exports.note(7, 10 * SECOND + 3);
        assert_eq!(exports.previous(7), 0);
        exports.note(7, 20 * SECOND);
        exports.note(7, 20 * SECOND - 5);
        assert_eq!(exports.previous(7), 10 * SECOND + 3);
        assert_eq!(exports.previous(8), 0);
    }

    #[test]
    fn what_is_written_reads_back_and_a_cut_is_survived() {
        let mut exports = Exports::default();
        for key in 0..5 {
            exports.note(key, (key + 1) * SECOND);
            exports.note(key, (key + 9) * SECOND);
        }
        exports.refuse(3);
        assert_eq!((exports.previous(2), exports.previous(3)), (3 * SECOND, 0));
        let mut bytes = Vec::new();
        exports.encode(&mut bytes);
        assert_eq!(Exports::decode(&bytes), exports);
        assert_eq!(Exports::decode(&bytes[..130]).0.len(), 3);
    }

    #[test]
    fn the_scopes_exported_longest_ago_go_first() {
        let mut exports = Exports::default();
        for key in 0..=SCOPES_MAX as u64 {
            exports.note(key, (key + 1) * SECOND);
        }
        let half = SCOPES_MAX as u64 / 2;
        assert_eq!(exports.0.len() as u64, half + 1);
        assert!(!exports.0.contains_key(&(half - 1)) && exports.0.contains_key(&half));
    }
}
