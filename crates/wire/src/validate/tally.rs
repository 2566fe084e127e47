//! What the scanner counts: items, their ids, text that is not UTF-8.

use super::ops::{Code, Op};
use super::{FaultKind, Limits, Summary};
use crate::{Signal, tables};

/// What is wrong and where; the path is looked up afterwards.
pub(super) struct Fault {
    pub(super) offset: usize,
    pub(super) kind: FaultKind,
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
    metric_data: u64,
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

    #[cold]
    pub(super) fn invalid_text(&mut self) {
        self.summary.invalid_utf8 = self.summary.invalid_utf8.saturating_add(1);
    }

    /// Counts a span whose ids are both 16 and 8 bytes, and whether they are usable.
    #[inline(always)]
    pub(super) fn own_ids(&mut self, trace_usable: bool, span_usable: bool) {
        self.ids =
            if trace_usable { TRACE_USABLE } else { 0 } | if span_usable { SPAN_USABLE } else { 0 };
        self.any_id_usable |= trace_usable | span_usable;
    }

    #[inline(always)]
    pub(super) fn id(&mut self, code: Code, id: &[u8]) {
        let (len, flag) = match code {
            Code::TraceId => (16, TRACE_USABLE),
            Code::SpanId => (8, SPAN_USABLE),
            Code::Id16 => (16, 0),
            _ => (8, 0),
        };
        let empty = id.is_empty();
        let right = id.len() == len;
        let usable = right && id.iter().any(|byte| *byte != 0);
        self.summary.odd_ids = self.summary.odd_ids.saturating_add(u32::from(!right && !empty));
        self.any_id_usable |= usable && flag != 0;
        let ordinary = usable || (empty && self.ids_at_start != 0);
        self.ids = if ordinary { self.ids | flag } else { self.ids & !flag };
    }

    /// Called for each submessage but attributes.
    #[inline(always)]
    pub(super) fn descend(&mut self, op: Op, key: u64, offset: usize) -> Result<(), Fault> {
        if op.code == Code::Item {
            if self.summary.items >= self.limits.items_max {
                return Err(Fault { offset, kind: FaultKind::TooManyItems });
            }
            self.settle_ids();
            self.ids = self.ids_at_start;
            self.summary.items += 1;
        } else if op.code == Code::MetricData && self.metric_data != key {
            self.summary.items = self.items_before_metric;
            self.metric_data = key;
        } else if op.child == tables::METRICS_METRIC.0 {
            self.items_before_metric = self.summary.items;
            self.metric_data = 0;
        }
        Ok(())
    }

    #[inline(always)]
    fn settle_ids(&mut self) {
        self.summary.unusable_ids += u32::from(self.ids != BOTH_USABLE);
    }

    pub(super) fn finish(&mut self) -> Result<(), Fault> {
        self.settle_ids();
        if self.limits.refuse_without_ids && self.summary.items > 0 && !self.any_id_usable {
            return Err(Fault { offset: 0, kind: FaultKind::NoUsableIds });
        }
        Ok(())
    }
}
