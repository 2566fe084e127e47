//! The retry schedule, pure: how long to wait after a failure, and what the peer asked for.
//!
//! Source: OTLP specification 1.11, "OTLP/gRPC Throttling" and "OTLP/HTTP Throttling"; RFC 9110
//! section 10.2.3 for Retry-After.

use std::time::Duration;

use crate::time::UnixNano;

/// How waits grow from one failure to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// The wait after the first failure.
    pub initial_interval: Duration,
    /// The longest wait that the schedule arrives at by itself.
    pub max_interval: Duration,
    /// Growth from one wait to the next.
    pub multiplier: f64,
    /// Each wait is drawn from `1 ± this` of its nominal length; 0 to 1.
    pub randomization_factor: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            initial_interval: Duration::from_secs(1),
            max_interval: Duration::from_secs(30),
            multiplier: 1.5,
            randomization_factor: 0.5,
        }
    }
}

/// The longest wait that a destination may ask for.
pub const ASKED_MAX: Duration = Duration::from_secs(600);
/// A shorter one is as if nothing had been asked: there are those that cut half a second to none.
const ASKED_MIN: Duration = Duration::from_millis(100);

/// Where a schedule stands: the nominal length of the wait that comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Backoff {
    nominal: Option<Duration>,
}

impl Backoff {
    /// The wait after one more failure. `asked` is what the destination asked for: never less than
    /// that is waited, and the schedule goes on from there. `random` is drawn from 0 to 1.
    #[must_use]
    pub fn next(&mut self, policy: Policy, asked: Option<Duration>, random: f64) -> Duration {
        let own = self.nominal.unwrap_or(policy.initial_interval).min(policy.max_interval);
        let random = random.clamp(0.0, 1.0);
        if let Some(asked) = asked.filter(|asked| *asked >= ASKED_MIN) {
            let asked = asked.min(ASKED_MAX);
            self.nominal = Some(grown(own.max(asked), policy));
            let spread = own.min(asked).mul_f64(policy.randomization_factor.clamp(0.0, 1.0));
            return (asked + spread.mul_f64(random)).min(ASKED_MAX);
        }
        self.nominal = Some(grown(own, policy));
        jittered(own, policy, random)
    }
}

/// `nominal` spread by the policy's randomization factor.
#[must_use]
pub fn jittered(nominal: Duration, policy: Policy, random: f64) -> Duration {
    let factor = policy.randomization_factor.clamp(0.0, 1.0);
    nominal.mul_f64(1.0 - factor + 2.0 * factor * random.clamp(0.0, 1.0))
}

fn grown(nominal: Duration, policy: Policy) -> Duration {
    let multiplier = policy.multiplier.clamp(1.0, 100.0);
    nominal.min(ASKED_MAX).mul_f64(multiplier).min(policy.max_interval)
}

/// Reads `Retry-After`: seconds or an HTTP date. Garbage, a negative number and a date in the past are as
/// if nothing had been asked; more than [`ASKED_MAX`] is cut.
#[must_use]
pub fn parse_retry_after(value: &str, now: UnixNano) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(ASKED_MAX));
    }
    let since_epoch = Duration::from_secs(http_date_seconds(value)?);
    let wait = since_epoch.checked_sub(Duration::from_nanos(now.0))?;
    Some(wait.min(ASKED_MAX))
}

/// The seconds since 1970 of a date as HTTP has it.
#[must_use]
pub fn http_date_seconds(value: &str) -> Option<u64> {
    let at = httpdate::parse_http_date(value).ok()?;
    Some(at.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs())
}

/// The delay of a `google.protobuf.Duration`; negative or malformed ones are absent.
#[must_use]
pub fn retry_delay(seconds: i64, nanos: i64) -> Option<Duration> {
    let seconds = u64::try_from(seconds).ok()?;
    let nanos = u32::try_from(nanos).ok().filter(|&n| n < 1_000_000_000)?;
    Some(Duration::new(seconds.min(ASKED_MAX.as_secs()), nanos).min(ASKED_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn waits_grow_up_to_the_cap() {
        let policy = Policy { multiplier: 2.0, ..Policy::default() };
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..8).map(|_| backoff.next(policy, None, 0.5)).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30].map(S));
        let policy = Policy { multiplier: 100.0, max_interval: S(300), ..Policy::default() };
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..3).map(|_| backoff.next(policy, None, 0.5)).collect();
        assert_eq!(waits, [1, 100, 300].map(S));
    }

    #[test]
    fn waits_are_spread_around_their_nominal_length() {
        let policy = Policy::default();
        let wait = |random| Backoff::default().next(policy, None, random);
        assert_eq!(wait(0.0), Duration::from_millis(500));
        assert_eq!(wait(1.0), Duration::from_millis(1500));
    }

    #[test]
    fn what_was_asked_for_is_waited_and_the_schedule_goes_on_from_there() {
        let policy = Policy { multiplier: 2.0, ..Policy::default() };
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(policy, Some(S(7)), 0.0), S(7));
        assert!(backoff.next(policy, Some(S(7)), 1.0) > S(7), "spread, never early");
        let mut backoff = Backoff::default();
        let _ = backoff.next(policy, Some(S(7)), 0.0);
        assert_eq!(backoff.next(policy, None, 0.5), S(14));
        assert_eq!(backoff.next(policy, Some(S(1_000_000_000)), 1.0), ASKED_MAX);
        assert_eq!(backoff.next(policy, None, 0.5), S(30), "the cap holds again");
    }

    #[test]
    fn who_asks_for_no_wait_gets_the_one_of_the_schedule() {
        let policy = Policy { multiplier: 2.0, ..Policy::default() };
        let mut backoff = Backoff::default();
        let asked = [0, 1, 50].map(|millis| Some(Duration::from_millis(millis)));
        assert_eq!(asked.map(|asked| backoff.next(policy, asked, 0.5)), [1, 2, 4].map(S));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_garbage_is_absent() {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = UnixNano(784_111_777_000_000_000);
        for (value, want) in [
            ("0", Some(S(0))),
            (" 12 ", Some(S(12))),
            ("1000000000", Some(ASKED_MAX)),
            ("99999999999999999999999", Some(ASKED_MAX)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(S(10))),
            ("Sun, 06 Nov 1994 08:49:00 GMT", None),
            ("Sat, 06 Nov 2094 08:49:00 GMT", Some(ASKED_MAX)),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(parse_retry_after(value, now), want, "{value:?}");
        }
    }

    #[test]
    fn a_retry_delay_is_bounded_and_never_negative() {
        assert_eq!(retry_delay(0, 500_000_000), Some(Duration::from_millis(500)));
        assert_eq!(retry_delay(i64::MAX, 0), Some(ASKED_MAX));
        for (seconds, nanos) in [(-1, 0), (0, -1), (0, 1_000_000_000), (i64::MIN, 0)] {
            assert_eq!(retry_delay(seconds, nanos), None);
        }
    }
}
