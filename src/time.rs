//! The only place that reads a clock. Everything else takes a [`Clock`] or a time.

use std::time::{Duration, Instant, SystemTime};

/// A clock that goes back by more than this was wrong before; one that leaps ahead by more may be wrong now.
const LEAP: Duration = Duration::from_hours(1);

/// 2020-01-01: no clock that is right is earlier.
const EARLIEST: UnixNano = UnixNano(1_577_836_800_000_000_000);

/// Nanoseconds since 1970-01-01T00:00:00Z, as OTLP counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixNano(pub u64);

impl UnixNano {
    /// The time in seconds, as Prometheus shows it.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a display value; f64 keeps microseconds")]
    pub fn as_seconds_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The time `by` later.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// The time `by` earlier, not before the epoch.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Whether a clock that says this after it said `last` was wrong then and was set right. One that says a time before
    /// this program was written, as a machine without a battery does at its start, is wrong now.
    #[must_use]
    pub fn sets_right(self, last: Self) -> bool {
        self >= EARLIEST && self.after(LEAP) < last
    }

    /// The time of receipt of what comes at this time after something that was received at `last`: a clock that goes back a
    /// little stands still for as long.
    #[must_use]
    pub fn received_after(self, last: Self) -> Self {
        if self.sets_right(last) { self } else { self.max(last) }
    }

    /// The time that passed since `earlier`; zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl UnixNano {
    /// The time as RFC 3339 has it, in UTC, with as many digits as it needs: `2026-11-21T10:20:21.5Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let format = &::time::format_description::well_known::Rfc3339;
        let time = ::time::OffsetDateTime::from_unix_timestamp_nanos(self.0.into());
        // A u64 of nanoseconds ends in the year 2554: every one can be written.
        time.ok().and_then(|time| time.format(format).ok()).unwrap_or_default()
    }

    /// The time in milliseconds, as PromQL counts.
    #[must_use]
    pub const fn as_ms(self) -> i64 {
        // A u64 of nanoseconds is far within an i64 of milliseconds.
        (self.0 / 1_000_000).cast_signed()
    }
}

/// Notices that the wall clock leapt ahead of the monotonic one: then ages mean nothing for a while.
///
/// After a leap of more than an hour nothing should be deleted by age until some monotonic time has passed, or the
/// clock went back: then the time is what it says.
#[derive(Debug)]
pub struct JumpGuard {
    /// Wall minus monotonic clock, nanoseconds.
    offset: Option<i128>,
    /// Until when ages are not believed, by the monotonic clock.
    until: Option<Duration>,
    hold: Duration,
}

impl JumpGuard {
    /// A guard that after a leap says no for `hold`.
    #[must_use]
    pub const fn new(hold: Duration) -> Self {
        Self { offset: None, until: None, hold }
    }

    /// How long ages are not believed yet.
    #[must_use]
    pub fn held(&self, monotonic: Duration) -> Duration {
        self.until.map_or(Duration::ZERO, |until| until.saturating_sub(monotonic))
    }

    /// Goes on after a restart, when ages were not believed for as long as `left`.
    pub fn hold(&mut self, wall: UnixNano, monotonic: Duration, left: Duration) {
        self.offset = Some(offset(wall, monotonic) - LEAP.as_nanos().cast_signed() - 1);
        self.until = Some(monotonic.saturating_add(left));
    }

    /// Whether ages may be believed.
    pub fn trusted(&mut self, wall: UnixNano, monotonic: Duration) -> bool {
        let offset = offset(wall, monotonic);
        if offset - *self.offset.get_or_insert(offset) > LEAP.as_nanos().cast_signed() {
            let until = *self.until.get_or_insert(monotonic.saturating_add(self.hold));
            if monotonic < until {
                return false;
            }
        }
        self.until = None;
        self.offset = Some(offset);
        true
    }
}

fn offset(wall: UnixNano, monotonic: Duration) -> i128 {
    i128::from(wall.0) - i128::try_from(monotonic.as_nanos()).unwrap_or(0)
}

/// A time as RFC 3339 has it, in UTC with milliseconds: `2026-11-21T10:00:00.000Z`.
#[must_use]
pub fn rfc3339(at: UnixNano) -> String {
    let Ok(time) = ::time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0)) else {
        return String::new();
    };
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.millisecond()
    )
}

/// What people write as a time, in milliseconds since the Unix epoch: seconds with a fraction, or RFC
/// 3339. `None` where it is neither, or hundreds of thousands of years away.
#[must_use]
pub fn parse_unix_ms(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        let milliseconds = (seconds * 1e3).round();
        #[expect(clippy::cast_possible_truncation, reason = "far within i64")]
        return (milliseconds.abs() < 9e15).then_some(milliseconds as i64);
    }
    let format = &::time::format_description::well_known::Rfc3339;
    let time = ::time::OffsetDateTime::parse(text, format).ok()?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

/// A time as [`parse_unix_ms`] reads it, or as long before `now` as a duration says: `90s`, `15m`, `2h`, `1d`. `None` where it is
/// neither.
#[must_use]
pub fn parse_time_or_ago(text: &str, now: UnixNano) -> Option<UnixNano> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    let ago = units.into_iter().find_map(|(unit, ms)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(ms)?.checked_mul(1_000_000)
    });
    if let Some(nanos) = ago {
        return Some(UnixNano(now.0.saturating_sub(nanos)));
    }
    let ms = u64::try_from(parse_unix_ms(text)?).ok()?;
    ms.checked_mul(1_000_000).map(UnixNano)
}

/// Milliseconds since the Unix epoch as people read them, in UTC, to the minute: `2026-11-21 09:30`.
#[must_use]
pub fn minute_utc(unix_ms: i64) -> String {
    let Ok(time) = ::time::OffsetDateTime::from_unix_timestamp(unix_ms.div_euclid(1_000)) else {
        return "-".to_owned();
    };
    let (month, (hour, minute, _)) = (u8::from(time.month()), time.to_hms());
    format!("{:04}-{month:02}-{:02} {hour:02}:{minute:02}", time.year(), time.day())
}

/// A source of wall-clock and monotonic time.
pub trait Clock: Send + Sync + std::fmt::Debug + 'static {
    /// The wall clock. May jump in either direction.
    fn unix_nano(&self) -> UnixNano;
    /// Time since some fixed point. Never decreases.
    fn monotonic(&self) -> Duration;
}

/// The operating system's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts at zero now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this file is the one that reads clocks")]
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this file is the one that reads clocks")]
    fn unix_nano(&self) -> UnixNano {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        UnixNano(since_epoch.map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that moves only when told to, for tests and simulation.
#[derive(Debug, Default)]
pub struct ManualClock {
    unix_nano: std::sync::atomic::AtomicU64,
    monotonic_nano: std::sync::atomic::AtomicU64,
}

impl ManualClock {
    /// A clock whose wall time is `now` and whose monotonic time is zero.
    #[must_use]
    pub fn at(now: UnixNano) -> Self {
        Self { unix_nano: now.0.into(), monotonic_nano: 0.into() }
    }

    /// Moves both clocks forward by `by`.
    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.unix_nano.fetch_add(nanos, std::sync::atomic::Ordering::SeqCst);
        self.monotonic_nano.fetch_add(nanos, std::sync::atomic::Ordering::SeqCst);
    }

    /// Sets the wall clock alone, as an operator or NTP would.
    pub fn set_unix(&self, now: UnixNano) {
        self.unix_nano.store(now.0, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn unix_nano(&self) -> UnixNano {
        UnixNano(self.unix_nano.load(std::sync::atomic::Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.monotonic_nano.load(std::sync::atomic::Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_of_the_clock_suspends_age_until_it_goes_back_or_time_has_passed() {
        let hour = Duration::from_hours(1);
        let at = |wall: u32, monotonic: u32| {
            (UnixNano((hour * wall).as_nanos().try_into().unwrap()), hour * monotonic)
        };
        let mut guard = JumpGuard::new(hour * 24);
        let mut trusted = |(wall, monotonic)| guard.trusted(wall, monotonic);
        assert!(trusted(at(100, 0)) && trusted(at(101, 1)));
        assert!(!trusted(at(5000, 2)) && !trusted(at(5001, 3)));
        assert!(trusted(at(104, 4)), "set back");
        assert!(!trusted(at(5005, 5)) && !trusted(at(5010, 10)));
        assert!(trusted(at(5029, 29)), "after a day it is the time");
        assert!(trusted(at(5030, 30)));
    }

    #[test]
    fn a_time_is_shown_as_it_is_read() {
        let at = UnixNano(1_709_251_198_999_000_000);
        assert_eq!(rfc3339(at), "2024-02-29T23:59:58.999Z");
        assert_eq!(parse_unix_ms(&rfc3339(at)), Some(at.as_ms()));
        assert_eq!(rfc3339(UnixNano(u64::MAX)), "2554-07-21T23:34:33.709Z");
    }

    #[test]
    fn a_clock_that_says_a_time_before_this_program_sets_nothing_right() {
        let (then, now) =
            (UnixNano(1_700_000_000_000_000_000), UnixNano(1_800_000_000_000_000_000));
        assert!(then.sets_right(now) && !now.sets_right(then));
        assert!(!UnixNano(5).sets_right(now), "a machine without a battery at its start");
        assert_eq!(UnixNano(5).received_after(now), now);
    }
}
