//! Single measurements told of one by one, as log events `sidelight.entry`: what the agent lists as entries, with their trace.
//!
//! They go by OTLP like any event of `tracing`, at the level `INFO` and the target `sidelight::entry`; they are no lines on
//! standard output. Cost: nothing where none are wanted, else a random number for each measurement, and an event (about a
//! microsecond) for each that is told.

use std::time::Duration;

/// What their lines would have as target.
pub(crate) const TARGET: &str = "sidelight::entry";

/// Which part of measurements is told of: of 2^32.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Detail(u32);

impl Detail {
    /// None of them.
    pub(crate) const NONE: Self = Self(0);

    /// That part of them, from 0 to 1.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast of floats saturates, and what is no number is 0"
    )]
    pub(crate) const fn of(rate: f64) -> Self {
        Self((rate * 4_294_967_296.0) as u32)
    }

    /// Whether this one is told of.
    #[inline]
    pub(crate) fn wanted(self) -> bool {
        self.0 != 0 && (self.0 == u32::MAX || fastrand::u32(..) < self.0)
    }
}

/// One measurement.
pub(crate) struct Entry<'a> {
    /// As the agent knows it: `operation`, `cache`, `queue`, `connection`, `retry`, `feature`.
    pub(crate) family: &'static str,
    pub(crate) name: &'a str,
    pub(crate) outcome: &'a str,
    pub(crate) duration: Option<Duration>,
    /// `error.type`, or why.
    pub(crate) reason: Option<&'a str>,
}

impl Entry<'_> {
    /// Tells of it, within the present span.
    #[cold]
    pub(crate) fn tell(&self) {
        tracing::event!(
            name: "sidelight.entry",
            target: TARGET,
            tracing::Level::INFO,
            entry.family = self.family,
            entry.name = self.name,
            entry.outcome = self.outcome,
            entry.duration = self.duration.map(|duration| duration.as_secs_f64()),
            error.type = self.reason.filter(|reason| !reason.is_empty()),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_none_some_or_all() {
        let told = |rate| (0..10_000).filter(|_| Detail::of(rate).wanted()).count();
        assert_eq!((told(0.0), told(f64::NAN), told(-1.0)), (0, 0, 0));
        assert_eq!((told(1.0), told(7.0)), (10_000, 10_000));
        assert!((3_500..=6_500).contains(&told(0.5)), "{}", told(0.5));
    }
}
