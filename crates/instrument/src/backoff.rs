//! How long to wait between attempts: 0.5 s, then twice as long each time, unless said otherwise.

use std::time::Duration;

/// Waits between attempts that grow by a factor.
///
/// ```
/// use sidelight::Backoff;
///
/// let seconds: Vec<_> = (0..5).map(|retry| Backoff::default().wait(retry).map(|wait| wait.as_secs_f64())).collect();
/// assert_eq!(seconds, [Some(0.5), Some(1.0), Some(2.0), None, None]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    first: Duration,
    factor: f64,
    max: Duration,
    retries: u32,
    jitter: bool,
}

impl Default for Backoff {
    /// 0.5 s, doubled each time without a bound, 3 retries, no jitter.
    fn default() -> Self {
        Self::new(Duration::from_millis(500))
    }
}

impl Backoff {
    /// Begins with a wait that is doubled each time; 3 retries, no bound, no jitter.
    ///
    /// ```
    /// use sidelight::Backoff;
    /// use std::time::Duration;
    ///
    /// let polite = Backoff::new(Duration::from_millis(100)).factor(3.0).max(Duration::from_secs(1)).retries(5).jitter();
    /// assert!(polite.wait(4) <= Some(Duration::from_secs(1)));
    /// assert_eq!(polite.wait(5), None);
    /// ```
    #[must_use]
    pub const fn new(first: Duration) -> Self {
        Self { first, factor: 2.0, max: Duration::MAX, retries: 3, jitter: false }
    }

    /// How many times longer each wait is than the one before; at least 1.
    #[must_use]
    pub const fn factor(mut self, factor: f64) -> Self {
        self.factor = if factor >= 1.0 { factor } else { 1.0 };
        self
    }

    /// No wait is longer.
    #[must_use]
    pub const fn max(mut self, max: Duration) -> Self {
        self.max = max;
        self
    }

    /// How many attempts may follow the first.
    #[must_use]
    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Each wait is a random part of what it would be, so that callers that failed together do not come back together.
    #[must_use]
    pub const fn jitter(mut self) -> Self {
        self.jitter = true;
        self
    }

    /// How long to wait before a retry, 0 the first; `None` when there are no more.
    #[must_use]
    pub fn wait(&self, retry: u32) -> Option<Duration> {
        if retry >= self.retries {
            return None;
        }
        // Grown without end it would be no number.
        if self.first.is_zero() {
            return Some(Duration::ZERO);
        }
        let power = i32::try_from(retry).unwrap_or(i32::MAX);
        let seconds = self.first.as_secs_f64() * self.factor.powi(power);
        let wait = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).min(self.max);
        Some(if self.jitter { wait.mul_f64(fastrand::f64()) } else { wait })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_bound_and_never_overflow() {
        let backoff =
            Backoff::new(Duration::from_secs(1)).factor(3.0).max(Duration::from_secs(5)).retries(9);
        let seconds: Vec<_> =
            (0..4).filter_map(|retry| backoff.wait(retry)).map(|wait| wait.as_secs()).collect();
        assert_eq!(seconds, [1, 3, 5, 5]);
        let long = Backoff::default().retries(u32::MAX);
        assert_eq!(long.wait(4_000_000_000), Some(Duration::MAX));
        assert!((0..100).all(|_| backoff.jitter().wait(3) <= Some(Duration::from_secs(5))));
        let at_once = Backoff::new(Duration::ZERO).retries(u32::MAX);
        assert_eq!(at_once.wait(1024), Some(Duration::ZERO));
        assert!(Backoff::new(Duration::MAX).jitter().wait(0).is_some());
    }
}
