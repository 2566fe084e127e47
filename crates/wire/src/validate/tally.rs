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
    /// Spans whose trace id or span id is absent, empty, all zero or odd; log records with an id that is all
    /// zero or odd.
    pub unusable_ids: u32,
    /// String fields that are not UTF-8: [`repair_utf8`](super::repair_utf8) mends them.
    pub invalid_utf8: u32,
}

const TRACE_USABLE: u8 = 1;
const SPAN_USABLE: u8 = 2;
const BOTH_USABLE: u8 = TRACE_USABLE | SPAN_USABLE;

pub(super) struct Tally<'l> {
    pub(super) summary: Summary,
    limits: &'l Limits,
    /// Which own ids are usable in the item being read; settled when the next one starts.
    ids: u8,
    /// What an item starts with: logs without ids are ordinary, spans are not.
    ids_at_start: u8,
    any_id_usable: bool,
    items_before_metric: u32,
    /// The key of the data of the metric being read: another member of the `oneof` replaces it.
    metric_data: u32,
}

impl<'l> Tally<'l> {
    pub(super) fn new(signal: Signal, limits: &'l Limits) -> Self {
        let ids_at_start = if signal == Signal::Traces { 0 } else { BOTH_USABLE };
        Self {
            summary: Summary::default(),
            limits,
            ids: BOTH_USABLE,
            ids_at_start,
            any_id_usable: ids_at_start != 0,
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
        self.settle_ids();
        self.ids = self.ids_at_start;
        self.summary.items += 1;
        Ok(())
    }

    /// The trace id of an item itself.
    #[inline(always)]
    pub(super) fn trace_id(&mut self, id: &[u8]) {
        let usable = self.id::<16>(id);
        self.own_id(TRACE_USABLE, usable, id.is_empty());
    }

    /// The span id of an item itself.
    #[inline(always)]
    pub(super) fn span_id(&mut self, id: &[u8]) {
        let usable = self.id::<8>(id);
        self.own_id(SPAN_USABLE, usable, id.is_empty());
    }

    #[inline(always)]
    fn own_id(&mut self, flag: u8, usable: bool, empty: bool) {
        self.any_id_usable |= usable;
        let ordinary = usable || (empty && self.ids_at_start != 0);
        self.ids = if ordinary { self.ids | flag } else { self.ids & !flag };
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

    #[inline(always)]
    fn settle_ids(&mut self) {
        self.summary.unusable_ids += u32::from(self.ids != BOTH_USABLE);
    }

    pub(super) fn finish(mut self) -> Result<Summary, Fault> {
        self.settle_ids();
        if self.limits.refuse_without_ids && self.summary.items > 0 && !self.any_id_usable {
            return Err(Fault { offset: 0, kind: FaultKind::NoUsableIds });
        }
        Ok(self.summary)
    }
}
