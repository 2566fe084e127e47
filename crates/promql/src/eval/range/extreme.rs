//! The least and the greatest sample of windows that overlap: `min_over_time`, `max_over_time`.
//!
//! Cost: each sample comes and goes once, however long the windows are.

use std::collections::VecDeque;

use super::super::window::Window;
use super::{Call, floats};
use crate::value::SampleValue;

/// Whether a value is to be given rather than another.
pub(super) type Better = fn(f64, f64) -> bool;

/// Slides along one series.
pub(super) struct Extreme {
    better: Better,
    /// Samples that none after them is better than, with their positions; the first is the best. No NaN.
    best: VecDeque<(usize, f64)>,
    /// The position after the last sample that was looked at.
    next: usize,
}

impl Extreme {
    pub(super) const fn new(better: Better) -> Self {
        Self { better, best: VecDeque::new(), next: 0 }
    }

    /// The best of a window that ends no earlier than the one before; a NaN only if there is nothing else.
    pub(super) fn of(&mut self, window: &Window<'_>, call: &Call<'_>) -> Option<SampleValue> {
        let floats = floats(window, call)?;
        let first = window.first_float;
        while self.best.front().is_some_and(|(at, _)| *at < first) {
            self.best.pop_front();
        }
        let unseen = floats.get(self.next.saturating_sub(first)..).unwrap_or_default();
        for ((_, value), at) in unseen.iter().zip(self.next.max(first)..) {
            if value.is_nan() {
                continue;
            }
            while self.best.back().is_some_and(|(_, last)| !(self.better)(*last, *value)) {
                self.best.pop_back();
            }
            self.best.push_back((at, *value));
        }
        self.next = first + floats.len();
        Some(SampleValue::Float(self.best.front().map_or(f64::NAN, |(_, value)| *value)))
    }
}
