//! The only place that reads a clock. Everything else takes a [`Clock`] or a time.

use std::time::{Duration, Instant, SystemTime};

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

    /// The time that passed since `earlier`; zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl UnixNano {
    /// The time in milliseconds, as PromQL counts.
    #[must_use]
    pub const fn as_ms(self) -> i64 {
        // A u64 of nanoseconds is far within an i64 of milliseconds.
        (self.0 / 1_000_000).cast_signed()
    }
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
