//! When a group is evaluated: at fixed times an interval apart, shifted by what its name and file hash to, so that groups
//! of one interval do not run at once, and a restart changes nothing. Those that come with the agent and are evaluated as
//! often as it samples what it derives follow these samples, at multiples of 5 s, as closely as they are sure to be there;
//! they run one after the other. Pure.
//!
//! Source: Prometheus 3.15, `Group.EvalTimestamp` in `rules/group.go`.

use std::time::Duration;

use super::group::Group;
use crate::alert::fingerprint;
use crate::time::UnixNano;

/// The distance of samples of what the agent derives.
const SAMPLES: Duration = Duration::from_secs(5);
/// From a multiple of 5 s until what was derived before it is in the store: a record of the agent's own comes at the multiple,
/// and is written, read and counted within 200 ms.
const SAMPLED: Duration = Duration::from_millis(500);

/// The times of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slots {
    interval: u64,
    offset: u64,
}

impl Slots {
    pub(super) fn of(group: &Group) -> Self {
        let interval = u64::try_from(group.interval.as_nanos()).unwrap_or(u64::MAX).max(1_000_000);
        let offset = if group.is_builtin() && group.interval == SAMPLES {
            SAMPLED.as_nanos() as u64
        } else {
            let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            fingerprint(&[pair("file", &group.file), pair("name", &group.name)])
        };
        Self { interval, offset: offset % interval }
    }

    /// The last slot that is not after `now`.
    pub(super) const fn at_or_before(self, now: UnixNano) -> UnixNano {
        let shifted = now.0.saturating_sub(self.offset);
        UnixNano(shifted - shifted % self.interval + self.offset)
    }

    /// The first slot after `now`.
    pub(super) const fn after(self, now: UnixNano) -> UnixNano {
        UnixNano(self.at_or_before(now).0.saturating_add(self.interval))
    }

    /// How many slots there are between two of them; 0 when the clock went back.
    pub(super) const fn between(self, last: UnixNano, slot: UnixNano) -> u64 {
        (slot.0.saturating_sub(last.0) / self.interval).saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::super::group::BUILTIN;
    use super::*;

    const NOW: UnixNano = UnixNano(1_700_000_000_123_456_789);

    fn slots_of(of: &str, name: &str, seconds: u64) -> Slots {
        let file = file::parse(&format!("groups: [{{name: {name}, rules: []}}]")).unwrap();
        Slots::of(&Group::new(of, &file.groups[0], Duration::from_secs(seconds)))
    }

    #[test]
    fn slots_are_an_interval_apart_and_differ_between_groups() {
        let slots = slots_of("a.yaml", "g", 60);
        let slot = slots.at_or_before(NOW);
        assert!(slot <= NOW && NOW.since(slot) < Duration::from_secs(60));
        assert_eq!(slots.after(NOW), slot.after(Duration::from_secs(60)));
        assert_eq!(slots.at_or_before(slot), slot);
        assert_eq!(slots.after(slot), slot.after(Duration::from_secs(60)));
        let other = slots_of("a.yaml", "h", 60);
        assert_ne!(other.at_or_before(NOW), slot);
    }

    #[test]
    fn what_is_evaluated_at_each_sample_of_the_agent_is_so_half_a_second_after_it() {
        let after = |of, seconds| {
            let slot = slots_of(of, "sidelight-routes", seconds).at_or_before(NOW);
            slot.0 % (seconds * 1_000_000_000)
        };
        assert_eq!(after(BUILTIN, 5), 500_000_000);
        for other in [after("a.yaml", 5), after(BUILTIN, 15), after(BUILTIN, 60)] {
            assert_ne!(other, 500_000_000, "it has a time of its own");
        }
    }

    #[test]
    fn what_was_missed_is_what_lies_between() {
        let slots = slots_of("a.yaml", "g", 5);
        let slot = slots.at_or_before(NOW);
        let later = |n: u64| slot.after(Duration::from_secs(5 * n));
        assert_eq!(slots.between(slot, later(1)), 0);
        assert_eq!(slots.between(slot, later(4)), 3);
        assert_eq!(slots.between(later(4), slot), 0, "the clock went back");
    }
}
