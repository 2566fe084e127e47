//! When a group is evaluated: at fixed times an interval apart, shifted by what its name and file hash to, so that groups
//! of one interval do not run at once, and a restart changes nothing. Those that come with the agent run one after the
//! other anyway: they follow the samples of what the agent derives, which come at multiples of 5 s, as closely as those
//! are sure to be there. Pure.
//!
//! Source: Prometheus 3.15, `Group.EvalTimestamp` in `rules/group.go`.

use std::time::Duration;

use super::load::BUILTIN;
use crate::alert::fingerprint;
use crate::time::UnixNano;

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
    pub(super) fn of(file: &str, group: &str, interval: Duration) -> Self {
        let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1_000_000);
        if file == BUILTIN {
            return Self { interval, offset: SAMPLED.as_nanos() as u64 % interval };
        }
        let key = [("file".to_owned(), file.to_owned()), ("name".to_owned(), group.to_owned())];
        Self { interval, offset: fingerprint(&key) % interval }
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
    use super::*;

    const NOW: UnixNano = UnixNano(1_700_000_000_123_456_789);

    #[test]
    fn slots_are_an_interval_apart_and_differ_between_groups() {
        let slots = Slots::of("a.yaml", "g", Duration::from_secs(60));
        let slot = slots.at_or_before(NOW);
        assert!(slot <= NOW && NOW.since(slot) < Duration::from_secs(60));
        assert_eq!(slots.after(NOW), slot.after(Duration::from_secs(60)));
        assert_eq!(slots.at_or_before(slot), slot);
        assert_eq!(slots.after(slot), slot.after(Duration::from_secs(60)));
        let other = Slots::of("a.yaml", "h", Duration::from_secs(60));
        assert_ne!(other.at_or_before(NOW), slot);
    }

    #[test]
    fn what_comes_with_the_agent_is_evaluated_half_a_second_after_its_samples() {
        for seconds in [5, 15, 60] {
            let slots = Slots::of(BUILTIN, "sidelight-routes", Duration::from_secs(seconds));
            let after = slots.at_or_before(NOW).0 % (seconds * 1_000_000_000);
            assert_eq!(after, 500_000_000, "{seconds}");
        }
    }

    #[test]
    fn what_was_missed_is_what_lies_between() {
        let slots = Slots::of("a.yaml", "g", Duration::from_secs(5));
        let slot = slots.at_or_before(NOW);
        let later = |n: u64| slot.after(Duration::from_secs(5 * n));
        assert_eq!(slots.between(slot, later(1)), 0);
        assert_eq!(slots.between(slot, later(4)), 3);
        assert_eq!(slots.between(later(4), slot), 0, "the clock went back");
    }
}
