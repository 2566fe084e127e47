//! How fast the journal grows: bytes appended over the last minute. Pure.

use std::collections::VecDeque;
use std::time::Duration;

/// The time that a rate looks back over.
const WINDOW: Duration = Duration::from_secs(60);
/// The least time between two marks: at most 61 are kept.
const STEP: Duration = Duration::from_secs(1);

/// Bytes appended, with marks of how many there were when.
#[derive(Debug, Default)]
pub(super) struct Rate {
    total: u64,
    marks: VecDeque<(Duration, u64)>,
}

impl Rate {
    /// Takes note of `bytes` that became durable at `now` (monotonic).
    pub(super) fn add(&mut self, bytes: u64, now: Duration) {
        if self.marks.back().is_none_or(|(at, _)| now.saturating_sub(*at) >= STEP) {
            self.marks.push_back((now, self.total));
        }
        self.total += bytes;
        while self.marks.front().is_some_and(|(at, _)| now.saturating_sub(*at) > WINDOW) {
            self.marks.pop_front();
        }
    }

    /// How long `room` bytes last at the rate of the last minute; `None` when nothing arrived in it.
    pub(super) fn time_left(&self, room: u64, now: Duration) -> Option<Duration> {
        let recent = |mark: &&(Duration, u64)| now.saturating_sub(mark.0) <= WINDOW;
        let &(since, before) = self.marks.iter().find(recent)?;
        let bytes = self.total - before;
        let elapsed = now.saturating_sub(since).max(STEP).as_millis();
        let millis = u128::from(room) * elapsed / u128::from(bytes.max(1));
        Some(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_room_lasts_as_long_as_the_last_minute_says() {
        let mut rate = Rate::default();
        assert_eq!(rate.time_left(1000, at(5)), None);
        for second in 0..10 {
            rate.add(100, at(second));
        }
        assert_eq!(rate.time_left(1000, at(10)), Some(at(10)));
        assert_eq!(rate.time_left(0, at(10)), Some(at(0)));
    }

    #[test]
    fn what_is_older_than_a_minute_says_nothing() {
        let mut rate = Rate::default();
        rate.add(1 << 40, at(0));
        assert_eq!(rate.time_left(1000, at(61)), None);
        for second in 100..110 {
            rate.add(10, at(second));
        }
        assert_eq!(rate.time_left(1000, at(110)), Some(at(100)));
        assert!(rate.marks.len() <= 61);
    }
}
