//! The times of a query: milliseconds since the Unix epoch, and seconds where one is a value.

/// The times of an evaluation, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Steps {
    /// The first.
    pub(crate) start: i64,
    /// From one to the next; 0 for an instant query.
    pub(crate) step: i64,
    /// How many.
    pub(crate) len: usize,
}

impl Steps {
    /// The time of step `at`.
    pub(crate) const fn time(self, at: usize) -> i64 {
        self.start.saturating_add(self.step.saturating_mul(at.cast_signed() as i64))
    }

    /// Every time.
    pub(crate) fn times(self) -> impl Iterator<Item = i64> {
        (0..self.len).map(move |at| self.time(at))
    }

    /// The last time.
    pub(crate) const fn end(self) -> i64 {
        self.time(self.len.saturating_sub(1))
    }

    /// The earlier and the later half.
    pub(crate) const fn halves(self) -> (Self, Self) {
        let first = self.len / 2;
        let second = Self { start: self.time(first), step: self.step, len: self.len - first };
        (Self { len: first, ..self }, second)
    }

    /// The first time alone.
    pub(crate) const fn first(self) -> Self {
        Self { start: self.start, step: 0, len: 1 }
    }
}

/// Milliseconds in seconds.
#[expect(clippy::cast_precision_loss, reason = "times are far below 2^53 ms")]
pub(crate) fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}
