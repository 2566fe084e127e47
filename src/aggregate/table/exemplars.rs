//! Spans kept as examples of a series' latency.
//!
//! Within a window of 15 s of received time a series keeps the slowest span, the first that failed and the first two
//! others; at the end of the window they go to the store. Limits: 4 per series and window, 48 B each. Not in
//! checkpoints: those of a window that a restart cuts short are lost, while the store keeps what it was given.

use super::super::usual::Fields;
use crate::time::UnixNano;

/// The window.
pub(in crate::aggregate) const WINDOW_MS: i64 = 15_000;
const MAX: usize = 4;

/// A span with its duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::aggregate) struct Exemplar {
    pub(in crate::aggregate) trace_id: [u8; 16],
    pub(in crate::aggregate) span_id: [u8; 8],
    pub(in crate::aggregate) nanos: u64,
    pub(in crate::aggregate) received: UnixNano,
}

impl Exemplar {
    fn of(span: &Fields<'_>, nanos: u64, received: UnixNano) -> Option<Self> {
        let (trace_id, span_id) = (span.trace_id.try_into().ok()?, span.span_id.try_into().ok()?);
        (trace_id != [0; 16]).then_some(Self { trace_id, span_id, nanos, received })
    }
}

/// Those of a series in this window. What nearly every span is held against lies beside the series' counts.
#[derive(Clone, Debug, Default)]
pub(in crate::aggregate) struct Exemplars {
    /// A span that takes so long is one of those to keep: any, until there are enough.
    wanted_nanos: u64,
    has_failed: bool,
    kept: Option<Box<Kept>>,
}

#[derive(Clone, Debug, Default)]
struct Kept {
    slowest: Option<Exemplar>,
    failed: Option<Exemplar>,
    others: [Option<Exemplar>; MAX - 2],
}

impl Exemplars {
    /// Keeps a span if it is one of those to keep.
    #[inline]
    pub(super) fn note(&mut self, span: &Fields<'_>, nanos: u64, failed: bool, now: UnixNano) {
        if nanos >= self.wanted_nanos || failed && !self.has_failed {
            self.keep(span, nanos, failed, now);
        }
    }

    fn keep(&mut self, span: &Fields<'_>, nanos: u64, failed: bool, now: UnixNano) {
        let Some(exemplar) = Exemplar::of(span, nanos, now) else { return };
        let kept = self.kept.get_or_insert_default();
        let slower = kept.slowest.is_none_or(|slowest| nanos > slowest.nanos);
        let mut free = kept.others.iter_mut().filter(|other| other.is_none());
        if failed && kept.failed.is_none() {
            kept.failed = Some(exemplar);
        } else if slower {
            // The one that was slowest until now is as good an example as any.
            let before = kept.slowest.replace(exemplar);
            if let Some(free) = free.next() {
                *free = before;
            }
        } else if let Some(free) = free.next() {
            *free = Some(exemplar);
        }
        self.has_failed = kept.failed.is_some();
        if kept.others.iter().all(Option::is_some) {
            self.wanted_nanos = kept.slowest.map_or(0, |slowest| slowest.nanos.saturating_add(1));
        }
    }

    /// All of them, which are kept no longer: the failed one first, then the slowest.
    pub(in crate::aggregate) fn take(&mut self) -> impl Iterator<Item = Exemplar> + use<> {
        let kept = self.kept.as_deref_mut().map(std::mem::take).unwrap_or_default();
        (self.wanted_nanos, self.has_failed) = (0, false);
        [kept.failed, kept.slowest].into_iter().chain(kept.others).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_and_one_that_failed_are_among_four() {
        let mut kept = Exemplars::default();
        for i in 0..100_u8 {
            let (trace_id, span_id) = ([i + 1; 16], [i + 1; 8]);
            let span = Fields { trace_id: &trace_id, span_id: &span_id, ..Fields::default() };
            let nanos = u64::from(i) * 37 % 100 + 1;
            kept.note(&span, nanos, i >= 60, UnixNano(i.into()));
        }
        let all: Vec<_> = kept.take().collect();
        assert_eq!(all.len(), 4);
        assert_eq!(all[1].nanos, 100);
        assert_eq!(all[0].received, UnixNano(60));
        assert_eq!(kept.take().count(), 0);
    }

    #[test]
    fn a_span_without_usable_ids_is_no_example() {
        let mut kept = Exemplars::default();
        for (trace_id, span_id) in [(&[0; 16][..], &[1; 8][..]), (&[1; 15], &[1; 8]), (&[], &[])] {
            let span = Fields { trace_id, span_id, ..Fields::default() };
            kept.note(&span, 1, true, UnixNano(1));
        }
        assert_eq!(kept.take().count(), 0);
    }
}
