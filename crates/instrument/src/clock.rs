//! The clock of all measurements: the processor's time stamp counter where it is invariant, else the monotonic clock.
//!
//! A reading costs 9 ns by the counter, 22 ns by the clock; two readings are most of what a measurement costs. Finding out
//! the counter's frequency takes up to 200 ms, once: installing a meter does it, never a measurement. Elapsed time is never
//! negative: a counter that goes back gives 0.
//! What is recorded is seconds, by one multiplication: on the way to a histogram each step is waited for by the next.
//! Source: the crate `quanta`.

use std::sync::OnceLock;
use std::time::Duration;

static CLOCK: OnceLock<Clock> = OnceLock::new();

struct Clock {
    counter: quanta::Clock,
    seconds_per_tick: f64,
}

impl Clock {
    fn new() -> Self {
        const MANY: u64 = 1 << 56;
        let counter = quanta::Clock::new();
        let nanos = counter.delta_as_nanos(0, MANY);
        let seconds_per_tick = nanos as f64 / 1e9 / MANY as f64;
        Self { counter, seconds_per_tick }
    }
}

/// Makes the clock ready.
pub(crate) fn calibrate() {
    CLOCK.get_or_init(Clock::new);
}

/// A point in time, as the counter has it; 0 where it was before the first meter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Started(u64);

impl Started {
    /// What is never elapsed.
    pub(crate) const NEVER: Self = Self(0);

    /// The present.
    #[inline]
    pub(crate) fn now() -> Self {
        Self(CLOCK.get().map_or(0, |clock| clock.counter.raw()))
    }

    /// So much before.
    #[cfg(test)]
    pub(crate) fn sooner(self, by: Duration) -> Self {
        let ticks = CLOCK.get().map_or(0.0, |clock| by.as_secs_f64() / clock.seconds_per_tick);
        Self(self.0.saturating_sub(ticks as u64).max(1))
    }

    /// How long ago it was.
    #[inline]
    pub(crate) fn elapsed(self) -> Option<Duration> {
        let clock = CLOCK.get().filter(|_| self != Self::NEVER)?;
        Some(Duration::from_nanos(clock.counter.delta_as_nanos(self.0, clock.counter.raw())))
    }

    /// The same in seconds, to 2^-52 of them, at a third of the cost.
    #[inline]
    #[expect(clippy::cast_possible_wrap, reason = "ticks of less than 90 years")]
    pub(crate) fn elapsed_seconds(self) -> Option<f64> {
        let clock = CLOCK.get().filter(|_| self != Self::NEVER)?;
        let ticks = clock.counter.raw().saturating_sub(self.0);
        // A signed number is one instruction to convert.
        Some(ticks as i64 as f64 * clock.seconds_per_tick)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_and_one_from_the_future_is_no_time_ago() {
        assert_eq!(Started::NEVER.elapsed(), None);
        calibrate();
        let start = Started::now();
        let first = start.elapsed().unwrap();
        assert!(start.elapsed().unwrap() >= first);
        assert_eq!(Started(u64::MAX).elapsed(), Some(Duration::ZERO));
    }

    #[test]
    fn seconds_are_those_of_the_duration() {
        assert_eq!(Started::NEVER.elapsed_seconds(), None);
        calibrate();
        assert_eq!(Started(u64::MAX).elapsed_seconds(), Some(0.0));
        let start = Started::now();
        let before = start.elapsed().unwrap().as_secs_f64();
        let seconds = start.elapsed_seconds().unwrap();
        let after = start.elapsed().unwrap().as_secs_f64();
        // A duration has whole nanoseconds.
        assert!((before - 1e-9..=after + 1e-9).contains(&seconds), "{before} {seconds} {after}");
    }
}
