//! What a request may hold, and what is counted while it is read: items, their ids, text that is not UTF-8.

use super::fault::{Fault, FaultKind};
use crate::Signal;

/// What [`validate`](super::validate) refuses beyond malformed bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most spans, data points, log records or profiles in one request.
    pub items_max: u32,
    /// Whether text that is not UTF-8 is refused rather than counted.
    pub refuse_invalid_utf8: bool,
    /// Whether a traces request is refused when it has spans and no span has a usable trace id or span id.
    pub refuse_without_ids: bool,
}

impl Default for Limits {
    /// One million items; invalid UTF-8 is counted; spans without any id are refused.
    fn default() -> Self {
        Self { items_max: 1_000_000, refuse_invalid_utf8: false, refuse_without_ids: true }
    }
}

/// What a valid request holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Spans, data points, log records or profiles.
    pub items: u32,
    /// Ids, of items, parents, links and exemplars, whose length is neither 0 nor the right one. Strict
    /// backends refuse a request with one, so it is never merged with others.
    pub odd_ids: u32,
    /// String fields that are not UTF-8: [`repair_utf8`](super::repair_utf8) mends them.
    pub invalid_utf8: u32,
}

pub(super) struct Tally<'l> {
    pub(super) summary: Summary,
    limits: &'l Limits,
    /// Logs without ids are ordinary, spans are not.
    any_id_usable: bool,
    items_before_metric: u32,
    /// The key of the data of the metric being read: another member of the `oneof` replaces it.
    metric_data: u32,
}

impl<'l> Tally<'l> {
    pub(super) fn new(signal: Signal, limits: &'l Limits) -> Self {
        Self {
            summary: Summary::default(),
            limits,
            any_id_usable: signal != Signal::Traces,
            items_before_metric: 0,
            metric_data: 0,
        }
    }

    /// Counts a string from `start` on that is not UTF-8.
    pub(super) fn invalid_text(&mut self, start: usize) -> Result<(), Fault> {
        if self.limits.refuse_invalid_utf8 {
            return Err(Fault { offset: start, kind: FaultKind::InvalidUtf8 });
        }
        self.summary.invalid_utf8 = self.summary.invalid_utf8.saturating_add(1);
        Ok(())
    }

    /// Counts the item whose field is at `offset`.
    #[inline(always)]
    pub(super) fn item(&mut self, offset: usize) -> Result<(), Fault> {
        if self.summary.items >= self.limits.items_max {
            return Err(Fault { offset, kind: FaultKind::TooManyItems });
        }
        self.summary.items += 1;
        Ok(())
    }

    /// An id of an item itself.
    #[inline(always)]
    pub(super) fn own_id<const LEN: usize>(&mut self, id: &[u8]) {
        self.any_id_usable |= self.id::<LEN>(id);
    }

    /// Whether an id that should have `LEN` bytes is usable; counts an odd one.
    #[inline(always)]
    pub(super) fn id<const LEN: usize>(&mut self, id: &[u8]) -> bool {
        match <&[u8; LEN]>::try_from(id) {
            Ok(id) => *id != [0; LEN],
            Err(_) => {
                let odd = u32::from(!id.is_empty());
                self.summary.odd_ids = self.summary.odd_ids.saturating_add(odd);
                false
            }
        }
    }

    /// A metric begins.
    pub(super) fn metric(&mut self) {
        self.items_before_metric = self.summary.items;
        self.metric_data = 0;
    }

    /// The data of a metric begins, or goes on, under `key`.
    pub(super) fn metric_data(&mut self, key: u32) {
        if self.metric_data != key {
            self.summary.items = self.items_before_metric;
            self.metric_data = key;
        }
    }

    pub(super) fn finish(self) -> Result<Summary, Fault> {
        if self.limits.refuse_without_ids && self.summary.items > 0 && !self.any_id_usable {
            return Err(Fault { offset: 0, kind: FaultKind::NoUsableIds });
        }
        Ok(self.summary)
    }
}
