//! Batch planning, pure: which records are sent together, which are split, which cannot be sent.
//!
//! Invariants: a batch holds records of equal pass-through headers; redelivered metrics, flagged and profile
//! records travel alone; in an ordered lane no record overtakes another; a request never exceeds
//! `max_request_size` bytes. Cost: one `Bytes` reference per record, no copy, unless a record is split.

use bytes::Bytes;
use tokio::time::Instant;

use crate::journal::Entry;
use crate::net::retry::Backoff;
use crate::signal::{Flags, Meta, Signal};

/// What bounds a batch.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Records are merged up to this many bytes.
    pub max_size: usize,
    /// The most bytes of one request.
    pub max_request_size: usize,
    /// Whether records keep the journal's order among each other.
    pub ordered: bool,
    /// Lower-case names of the request headers that are passed on.
    pub pass_headers: Vec<String>,
}

impl Limits {
    /// The most bytes of one request, as people set it.
    #[must_use]
    pub fn request_limit(&self) -> String {
        format!("sending_queue.batch.max_request_size, here {} bytes", self.max_request_size)
    }
}

/// Pass-through headers of a batch: lower-case names with their values, in canonical order.
pub type Headers = Vec<(String, Bytes)>;

/// A record, or the part of one that is sent in one request.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The record.
    pub seq: u64,
    /// Items in the piece.
    pub items: u32,
    /// A complete export request.
    pub payload: Bytes,
}

/// What is sent in one request.
#[derive(Debug)]
pub struct Batch {
    /// Sent with the request.
    pub headers: Headers,
    /// Concatenated in this order. Never empty.
    pub pieces: Vec<Piece>,
    /// Bytes of all pieces.
    pub bytes: usize,
    /// Whether it must not be merged.
    pub alone: bool,
    /// Whether it holds the agent's own telemetry and nothing else.
    pub internal: bool,
    /// What became of earlier attempts.
    pub history: History,
    /// The body as it goes out, once it was made.
    pub body: Option<super::compress::Encoded>,
}

/// What became of a batch's earlier attempts.
#[derive(Clone, Copy, Debug, Default)]
pub struct History {
    /// When it was first sent, or what it is a part of.
    pub first_sent: Option<Instant>,
    /// When it was last sent.
    pub last_sent: Option<Instant>,
    /// Failed attempts.
    pub failures: u32,
    /// Failed attempts while the lane delivered others …
    pub lone_failures: u32,
    /// … and when that began.
    pub lone_since: Option<Instant>,
    /// The lane's count of deliveries at the last failure.
    pub deliveries_seen: u64,
    /// Its own schedule, while the lane delivers others.
    pub backoff: Backoff,
}

impl Batch {
    pub(super) fn of(headers: Headers, piece: Piece, alone: bool) -> Self {
        let bytes = piece.payload.len();
        let history = History::default();
        Self { headers, pieces: vec![piece], bytes, alone, internal: false, history, body: None }
    }

    /// Items in all pieces.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.pieces.iter().map(|p| u64::from(p.items)).sum()
    }

    /// Each piece with how many of its items were lost, of `rejected` in all: those cannot be attributed, so the first ones
    /// bear them.
    pub fn bearing(&self, mut rejected: u64) -> impl Iterator<Item = (&Piece, u32)> {
        self.pieces.iter().map(move |piece| {
            let lost = u32::try_from(rejected).unwrap_or(u32::MAX).min(piece.items);
            rejected -= u64::from(lost);
            (piece, lost)
        })
    }

    /// The sequence number of its first record.
    #[must_use]
    pub fn first_seq(&self) -> u64 {
        self.pieces.first().map_or(u64::MAX, |p| p.seq)
    }

    /// Each piece as a batch of its own, exactly as its sender sent it.
    #[must_use]
    pub fn into_singles(mut self) -> Vec<Self> {
        std::mem::take(&mut self.pieces).into_iter().map(|piece| self.part(piece)).collect()
    }

    /// A part of it, to be sent by itself: as long tried as the whole.
    #[must_use]
    pub fn part(&self, piece: Piece) -> Self {
        let history = History { first_sent: self.history.first_sent, ..History::default() };
        Self { internal: self.internal, history, ..Self::of(self.headers.clone(), piece, true) }
    }

    fn takes(&self, headers: &Headers, bytes: usize, max: usize) -> bool {
        !self.alone && self.bytes + bytes <= max && self.headers == *headers
    }
}

/// What planning made of one record, or of a piece of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The record.
    pub seq: u64,
    /// The items of either.
    pub items: u32,
    /// Pieces that will be sent.
    pub pieces: u32,
    /// Items that are by themselves larger than a request may be.
    pub too_large: u32,
    /// Its payload.
    pub payload: Bytes,
}

/// Plans batches for `entries`, which are in journal order.
#[must_use]
pub fn plan(signal: Signal, entries: Vec<Entry>, limits: &Limits) -> (Vec<Batch>, Vec<Planned>) {
    let mut batches: Vec<Batch> = Vec::new();
    let mut records = Vec::with_capacity(entries.len());
    for entry in entries {
        let Entry { seq, redelivered, record, .. } = entry;
        let (items, payload) = (record.items, record.payload.clone());
        let mut planned = Planned { seq, items, pieces: 0, too_large: 0, payload };
        if items > 0 {
            // A sample that a backend has already makes it refuse the samples beside it; a span or a log record does not.
            let stale = redelivered && signal == Signal::Metrics;
            let alone = stale || record.flags.contains(Flags::ALONE) || !signal.concatenates();
            let internal = record.flags.contains(Flags::INTERNAL);
            let headers = passed(&record.meta, &limits.pass_headers);
            let piece = Piece { seq, items, payload: record.payload };
            let batch = Batch { internal, ..Batch::of(headers, piece, alone) };
            planned.place(&mut batches, signal, batch, limits);
        }
        records.push(planned);
    }
    (batches, records)
}

/// Plans `batch` anew, which was planned under other limits: without headers that are passed on no longer, and divided where
/// it is larger than a request may be. Says what became of each piece then.
#[must_use]
pub fn plan_anew(signal: Signal, mut batch: Batch, limits: &Limits) -> (Vec<Batch>, Vec<Planned>) {
    batch.headers.retain(|(name, _)| limits.pass_headers.contains(name));
    if batch.bytes <= limits.max_request_size {
        return (vec![batch], Vec::new());
    }
    let (mut batches, mut pieces) = (Vec::new(), Vec::new());
    for piece in std::mem::take(&mut batch.pieces) {
        let Piece { seq, items, payload } = piece.clone();
        let mut planned = Planned { seq, items, pieces: 0, too_large: 0, payload };
        let single = Batch { alone: batch.alone, ..batch.part(piece) };
        planned.place(&mut batches, signal, single, limits);
        pieces.push(planned);
    }
    (batches, pieces)
}

impl Planned {
    /// Puts its one piece, `single`, into `batches`, split where it is larger than a request may be.
    fn place(&mut self, batches: &mut Vec<Batch>, signal: Signal, single: Batch, limits: &Limits) {
        let max = limits.max_request_size;
        if single.bytes <= max {
            self.pieces = 1;
            return place(batches, single, limits.max_size.min(max), limits.ordered);
        }
        let parts = split(signal, self.payload.clone(), self.items, max);
        self.pieces = u32::try_from(parts.pieces.len()).unwrap_or(u32::MAX);
        self.too_large = parts.too_large;
        let part = |(payload, items)| single.part(Piece { seq: self.seq, items, payload });
        batches.extend(parts.pieces.into_iter().map(part));
    }
}

/// Puts what is in `single` into a batch that takes it; in an ordered lane only the last one may.
fn place(batches: &mut Vec<Batch>, single: Batch, max: usize, ordered: bool) {
    let candidates = if ordered { 1 } else { 8 };
    let mut last = batches.iter_mut().rev().take(candidates);
    match last.find(|b| b.takes(&single.headers, single.bytes, max)) {
        Some(batch) if !single.alone => {
            batch.bytes += single.bytes;
            batch.internal &= single.internal;
            batch.pieces.extend(single.pieces);
        }
        _ => batches.push(single),
    }
}

/// The headers of `meta` that are passed on.
fn passed(meta: &Meta, names: &[String]) -> Headers {
    if names.is_empty() {
        return Headers::new();
    }
    meta.headers()
        .filter(|(name, _)| names.iter().any(|n| n == name))
        .map(|(name, value)| (name.to_owned(), Bytes::copy_from_slice(value)))
        .collect()
}

/// A record in pieces that fit.
#[derive(Debug)]
pub struct Pieces {
    /// Complete requests with their items.
    pub pieces: Vec<(Bytes, u32)>,
    /// Items that are larger than a request may be.
    pub too_large: u32,
}

/// Splits `payload` into requests of at most `max` bytes.
#[must_use]
pub fn split(signal: Signal, payload: Bytes, items: u32, max: usize) -> Pieces {
    if payload.len() <= max {
        return Pieces { pieces: vec![(payload, items)], too_large: 0 };
    }
    let parts = sidelight_wire::frame::split(signal, &payload, max);
    let pieces: Vec<_> = parts.into_iter().map(|part| (part.bytes, part.items)).collect();
    // What was counted at ingress is what must be settled, whatever splitting finds.
    let sent = pieces.iter().map(|(_, n)| *n).sum::<u32>();
    Pieces { pieces, too_large: items.saturating_sub(sent) }
}

/// Divides a payload whose body came to `encoded` bytes so that each part's probably comes to at most `max`. An
/// item is left out only when it is alone in the payload.
#[must_use]
pub fn divide(signal: Signal, payload: &Bytes, items: u32, encoded: usize, max: usize) -> Pieces {
    if items <= 1 {
        return Pieces { pieces: Vec::new(), too_large: items };
    }
    let whole = payload.len();
    let fitting = whole.saturating_mul(max) / encoded.max(1);
    let fitting = (fitting - fitting / 16).min(whole.saturating_sub(1));
    let parts = |size| split(signal, payload.clone(), items, size);
    let gentle = [fitting, usize::midpoint(fitting, whole)].into_iter().map(parts);
    let mut gentle = gentle.filter(|pieces| pieces.too_large == 0);
    gentle.next().unwrap_or_else(|| parts(whole.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Record;
    use crate::time::UnixNano;

    fn entry(seq: u64, bytes: usize, tenant: &str) -> Entry {
        let (meta, _) = Meta::from_headers([("x-tenant", tenant.as_bytes()), ("x-noise", &[1])]);
        let payload = Bytes::from(vec![0; bytes]);
        let flags = Flags::default();
        let record = Record { signal: Signal::Traces, items: 2, flags, meta, payload };
        Entry { seq, received: UnixNano(0), redelivered: false, record }
    }

    fn limits() -> Limits {
        let pass_headers = vec!["x-tenant".to_owned()];
        Limits { max_size: 100, max_request_size: 1000, ordered: false, pass_headers }
    }

    fn seqs(signal: Signal, entries: Vec<Entry>, limits: &Limits) -> Vec<Vec<u64>> {
        let (batches, _) = plan(signal, entries, limits);
        batches.iter().map(|b| b.pieces.iter().map(|p| p.seq).collect()).collect()
    }

    #[test]
    fn records_are_merged_up_to_the_size() {
        let entries = vec![entry(1, 60, "a"), entry(2, 40, "a"), entry(3, 1, "a")];
        assert_eq!(seqs(Signal::Traces, entries, &limits()), [vec![1, 2], vec![3]]);
    }

    #[test]
    fn different_headers_are_never_merged_and_travel_with_their_batch() {
        let entries: Vec<_> =
            [(1, "a"), (2, "b"), (3, "a")].map(|(seq, t)| entry(seq, 10, t)).into();
        let (batches, _) = plan(Signal::Traces, entries.clone(), &limits());
        let headers: Vec<_> = batches.iter().map(|b| b.headers.clone()).collect();
        let tenant = |t: &'static [u8]| vec![("x-tenant".to_owned(), Bytes::from_static(t))];
        assert_eq!(headers, [tenant(b"a"), tenant(b"b")]);
        assert_eq!(seqs(Signal::Traces, entries.clone(), &limits()), [vec![1, 3], vec![2]]);
        let nothing_passed = Limits { pass_headers: Vec::new(), ..limits() };
        assert_eq!(seqs(Signal::Traces, entries, &nothing_passed), [vec![1, 2, 3]]);
    }

    #[test]
    fn in_an_ordered_lane_no_record_overtakes_another() {
        let mut entries: Vec<_> = (1..=5).map(|seq| entry(seq, 10, "a")).collect();
        entries[1].record.flags = Flags::ALONE;
        entries[3] = entry(4, 10, "b");
        let ordered = Limits { ordered: true, ..limits() };
        assert_eq!(
            seqs(Signal::Metrics, entries, &ordered),
            [vec![1], vec![2], vec![3], vec![4], vec![5]]
        );
    }

    #[test]
    fn odd_and_profile_records_travel_alone() {
        let mut entries: Vec<_> = (1..=4).map(|seq| entry(seq, 10, "a")).collect();
        entries[2].record.flags = Flags::ALONE;
        assert_eq!(seqs(Signal::Traces, entries.clone(), &limits()), [vec![1, 2, 4], vec![3]]);
        assert_eq!(seqs(Signal::Profiles, entries, &limits()).len(), 4);
    }

    #[test]
    fn a_backlog_of_spans_and_logs_is_merged_after_a_restart_and_one_of_metrics_is_not() {
        let mut entries: Vec<_> = (1..=4).map(|seq| entry(seq, 10, "a")).collect();
        entries[..3].iter_mut().for_each(|entry| entry.redelivered = true);
        for signal in [Signal::Traces, Signal::Logs] {
            assert_eq!(seqs(signal, entries.clone(), &limits()), [vec![1, 2, 3, 4]]);
        }
        let ordered = Limits { ordered: true, ..limits() };
        let alone: Vec<_> = (1..=4).map(|seq| vec![seq]).collect();
        assert_eq!(seqs(Signal::Metrics, entries, &ordered), alone);
    }

    #[test]
    fn what_lies_between_both_limits_is_sent_whole_and_alone() {
        let entries = vec![entry(1, 10, "a"), entry(2, 500, "a"), entry(3, 10, "a")];
        assert_eq!(seqs(Signal::Traces, entries, &limits()), [vec![1, 3], vec![2]]);
    }

    #[test]
    fn a_batch_is_internal_when_all_of_it_is() {
        let mut entries: Vec<_> = (1..=4).map(|seq| entry(seq, 50, "a")).collect();
        for own in [0, 1, 2] {
            entries[own].record.flags = Flags::INTERNAL;
        }
        let (batches, _) = plan(Signal::Traces, entries, &limits());
        assert_eq!(batches.iter().map(|b| b.internal).collect::<Vec<_>>(), [true, false]);
        let mut batches = batches.into_iter();
        assert!(batches.next().unwrap().into_singles().iter().all(|single| single.internal));
    }

    #[test]
    fn an_empty_request_is_not_sent() {
        let mut empty = entry(1, 5, "a");
        empty.record.items = 0;
        let (batches, records) = plan(Signal::Traces, vec![empty], &limits());
        assert!(batches.is_empty());
        assert_eq!(records.first().map(|r| r.pieces), Some(0));
    }

    /// A traces request: one resource with spans of `name_bytes` each.
    fn spans(name_bytes: &[usize]) -> Bytes {
        use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
        use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
        use prost::Message;
        let span = |&n: &usize| Span { name: "n".repeat(n), ..Span::default() };
        let spans = name_bytes.iter().map(span).collect();
        let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
        let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
        ExportTraceServiceRequest { resource_spans }.encode_to_vec().into()
    }

    #[test]
    fn a_record_above_the_limit_is_split_and_only_items_above_it_are_dropped() {
        let mut large = entry(1, 0, "a");
        large.record.payload = spans(&[400, 400, 2000, 400]);
        large.record.items = 4;
        let (batches, records) = plan(Signal::Traces, vec![large], &limits());
        assert_eq!(records.first().map(|r| (r.items, r.too_large)), Some((4, 1)));
        let sizes: Vec<_> = batches.iter().map(|b| (b.bytes, b.pieces.len())).collect();
        assert!(sizes.iter().all(|&(bytes, pieces)| bytes <= 1000 && pieces == 1), "{sizes:?}");
        assert_eq!(batches.iter().map(Batch::items).sum::<u64>(), 3);
        assert_eq!(records.first().map(|r| r.pieces as usize), Some(batches.len()));
    }

    #[test]
    fn a_body_that_is_too_large_is_divided_by_what_is_known_and_costs_no_item_that_fits() {
        let payload = spans(&[600, 100, 100, 100]);
        let sizes = |encoded, max| {
            let divided = divide(Signal::Traces, &payload, 4, encoded, max);
            assert_eq!(divided.too_large, 0);
            divided.pieces.iter().map(|(bytes, items)| (bytes.len(), *items)).collect::<Vec<_>>()
        };
        assert_eq!(sizes(2_100, 2_000).len(), 2, "half of it would have dropped the first");
        assert_eq!(sizes(9_000, 1_000).iter().map(|(_, items)| items).sum::<u32>(), 4);
        let alone = divide(Signal::Traces, &spans(&[600]), 1, 2_000, 1_000);
        assert_eq!((alone.pieces.len(), alone.too_large), (0, 1));
    }

    #[test]
    fn what_other_limits_made_is_planned_anew_where_it_does_not_fit() {
        let mut large = entry(3, 0, "a");
        large.record.payload = spans(&[400, 400, 2000]);
        large.record.items = 3;
        let entries = vec![entry(1, 60, "a"), entry(2, 60, "a"), large];
        let before = Limits { max_size: 9000, max_request_size: 9000, ..limits() };
        let (mut batches, _) = plan(Signal::Traces, entries, &before);
        let mut batch = batches.pop().unwrap();
        assert_eq!((batch.pieces.len(), batches.len()), (3, 0));
        let tried = History { first_sent: Some(Instant::now()), failures: 7, ..History::default() };
        batch.history = tried;
        let again = |batch: &Batch| Batch { history: tried, ..batch.part(batch.pieces[0].clone()) };

        let (same, pieces) = plan_anew(Signal::Traces, again(&batch), &limits());
        assert_eq!((same[0].history.failures, pieces.len()), (7, 0), "it fits");
        assert_eq!(same[0].headers.len(), 1);
        let passes_none = Limits { pass_headers: Vec::new(), ..limits() };
        let (same, _) = plan_anew(Signal::Traces, again(&batch), &passes_none);
        assert!(same[0].headers.is_empty());

        let (parts, pieces) =
            plan_anew(Signal::Traces, batch, &Limits { max_size: 120, ..limits() });
        let made: Vec<_> = pieces.iter().map(|p| (p.seq, p.items, p.pieces, p.too_large)).collect();
        assert_eq!(made, [(1, 2, 1, 0), (2, 2, 1, 0), (3, 3, 1, 1)]);
        let sent = |b: &Batch| b.pieces.iter().map(|p| (p.seq, p.items)).collect::<Vec<_>>();
        assert_eq!(
            parts.iter().map(sent).collect::<Vec<_>>(),
            [vec![(1, 2), (2, 2)], vec![(3, 2)]]
        );
        let histories = parts.iter().map(|b| (b.history.first_sent, b.history.failures));
        assert!(histories.eq([(tried.first_sent, 0); 2]));
    }

    #[test]
    fn singles_are_what_their_senders_sent() {
        let entries = vec![entry(1, 60, "a"), entry(2, 40, "a")];
        let (batches, _) = plan(Signal::Traces, entries, &limits());
        let singles = batches.into_iter().next().unwrap().into_singles();
        let sizes: Vec<_> = singles.iter().map(|b| (b.first_seq(), b.bytes)).collect();
        assert_eq!(sizes, [(1, 60), (2, 40)]);
    }
}
