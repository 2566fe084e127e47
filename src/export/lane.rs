//! One lane: a signal on its way to a destination, at its own pace.
//!
//! ```text
//! journal reader ─ next ─▶ plan ─▶ Schedule ─ take ─▶ request task (one per slot)
//!        ▲                            ▲                     │
//!        └── settle ◀── Account ◀─────┴───── result ◀───────┘
//! ```
//! The loop is one `select!` over a closed set of events; every decision is in [`Schedule`],
//! [`plan`](super::batch::plan) and [`Account`]. Invariant: a record is settled once, with
//! delivered + dropped = its items. Limits: records held count against the export [`Share`].

mod keeping;
mod reading;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::account::{Account, Closed};
use super::batch::{Batch, Limits, Piece, Planned, divide, plan_anew};
use super::budget::Share;
use super::client::{Partial, Response, SendError};
use super::config::Destination;
use super::disposition::Disposition;
use super::intake::Intake;
use super::metrics::LaneMetrics;
use super::refused::{Rejection, escaped};
use super::report::{Fate, Report};
use super::schedule::{Failure, Schedule, Verdict};
use super::spans::{note_outcome, own_span};
use super::target::Sink;
use crate::blocking;
use crate::journal::DropReason;
use crate::signal::Signal;
use crate::time::Clock;

/// Batches on their way to `journal/rejected/` at once: what is given up faster is dropped, counted.
const KEEPING_MAX: usize = 8;

/// What a lane should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Send what comes.
    Run,
    /// Send what is there, then end. During an outage, end.
    Drain,
    /// Send nothing more, wait for what is in flight, then end.
    Release,
    /// End.
    Stop,
}

/// What an ended lane leaves for one that goes on in its place.
#[derive(Debug)]
pub(super) struct Carry<I> {
    pub(super) intake: I,
    batches: Vec<Batch>,
    account: Account,
    charged: usize,
    beyond: usize,
}

impl<I> Carry<I> {
    pub(super) fn fresh(intake: I) -> Self {
        Self { intake, batches: Vec::new(), account: Account::default(), charged: 0, beyond: 0 }
    }

    /// Records read from the journal and not settled.
    pub(super) fn unsettled(&self) -> usize {
        self.account.open_records()
    }
}

/// What a lane is made of.
pub(super) struct Parts {
    pub(super) signal: Signal,
    pub(super) sink: Arc<Sink>,
    pub(super) share: Share,
    pub(super) metrics: LaneMetrics,
    pub(super) report: Report,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) mode: watch::Receiver<Mode>,
}

type Attempt = (Batch, Result<Response, SendError>);
type Freed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A lane while it runs.
pub(super) struct Lane<I> {
    parts: Parts,
    intake: I,
    retry: super::config::Retry,
    limits: Limits,
    linger: Duration,
    /// Memory that a byte of payload holds until it is settled, in percent.
    weight: usize,
    /// Bytes read though they did not fit, less what was given back since.
    beyond: usize,
    schedule: Schedule,
    account: Account,
    flight: JoinSet<Attempt>,
    /// Given up, on their way to `journal/rejected/`; without a reason where that took too long.
    kept: JoinSet<(Batch, Option<DropReason>)>,
    /// Set while nothing can be read: no memory is left, or the last read failed.
    starved: Option<Freed>,
    /// Set from a batch's first record until it is read.
    linger_until: Option<Instant>,
    /// Whether the last read gave nothing.
    dry: bool,
    closed: bool,
}

impl<I: Intake> Lane<I> {
    pub(super) fn new(parts: Parts, destination: &Destination, carry: Carry<I>) -> Self {
        let ordered = parts.signal == Signal::Metrics;
        let queue = &destination.queue;
        let max_request_size = queue.batch.max_request_size.min(super::config::REQUEST_BYTES_MAX);
        let limits = Limits {
            max_size: queue.batch.max_size,
            max_request_size,
            ordered,
            pass_headers: destination.headers_from_context.clone(),
        };
        parts.share.take(carry.charged);
        let mut lane = Self {
            intake: carry.intake,
            retry: destination.retry.clone(),
            linger: queue.batch.flush_timeout,
            weight: parts.sink.weight_percent(),
            beyond: carry.beyond,
            schedule: Schedule::new(destination.retry.clone(), ordered, queue.num_consumers),
            account: carry.account,
            flight: JoinSet::new(),
            kept: JoinSet::new(),
            starved: None,
            linger_until: None,
            dry: false,
            closed: false,
            limits,
            parts,
        };
        let limit = lane.limits.request_limit();
        for batch in carry.batches {
            let (batches, pieces) = plan_anew(lane.parts.signal, batch, &lane.limits);
            lane.schedule.offer(batches);
            pieces.into_iter().for_each(|piece| lane.divided(piece, &limit));
        }
        lane
    }

    /// Runs until told to end.
    pub(super) async fn run(mut self) -> Carry<I> {
        loop {
            let mode = *self.parts.mode.borrow_and_update();
            let now = Instant::now();
            let sends = matches!(mode, Mode::Run | Mode::Drain);
            if sends {
                self.fill(now);
            }
            if self.is_done(mode) {
                break;
            }
            self.show();
            let wake = self.schedule.wake().filter(|_| sends);
            let (wants, min_bytes, max_wait) = self.appetite(mode, now);
            tokio::select! {
                biased;
                changed = self.parts.mode.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    // An empty read says nothing about what came after it.
                    self.dry = false;
                }
                Some(attempt) = self.flight.join_next() => self.finish(attempt),
                Some(kept) = self.kept.join_next() => self.finish_kept(kept),
                () = tokio::time::sleep_until(wake.unwrap_or(now)), if wake.is_some() => {}
                () = freed(&mut self.starved), if self.starved.is_some() => self.starved = None,
                open = self.intake.wait(min_bytes, max_wait), if wants => {
                    self.closed = !open;
                    if open {
                        self.gather(mode).await;
                    }
                }
            }
        }
        self.end()
    }

    fn is_done(&self, mode: Mode) -> bool {
        let idle = self.flight.is_empty() && self.kept.is_empty();
        let empty = (self.closed || self.dry) && !self.schedule.holds_any();
        match mode {
            Mode::Stop => true,
            Mode::Release => idle,
            Mode::Drain => idle && (self.schedule.outage().is_some() || empty),
            Mode::Run => idle && empty && self.closed,
        }
    }

    fn end(self) -> Carry<I> {
        self.parts.report.stopped();
        let charged = self.account.charged();
        let batches = self.schedule.into_batches();
        let batches = batches.into_iter().map(|b| Batch { body: None, ..b }).collect();
        Carry { intake: self.intake, batches, account: self.account, charged, beyond: self.beyond }
    }

    /// Starts as many requests as there are slots for.
    fn fill(&mut self, now: Instant) {
        while let Some(mut batch) = self.schedule.take(now) {
            let (sink, signal) = (Arc::clone(&self.parts.sink), self.parts.signal);
            self.parts.metrics.requests.add(1);
            let span = own_span(self.parts.report.exporter(), signal, &batch);
            self.flight.spawn(async move {
                let result = sink.send(signal, &mut batch).instrument(span.clone()).await;
                note_outcome(&span, &result);
                (batch, result)
            });
        }
    }

    fn finish(&mut self, attempt: Result<Attempt, JoinError>) {
        self.dry = false;
        // It may have been the last in flight, after which more may be read than fits.
        self.starved = None;
        let Some((batch, result)) = blocking::joined(attempt) else { return };
        let error = match result {
            Ok(response) => return self.delivered(&batch, response.partial),
            Err(error) => error,
        };
        match (error.disposition(&self.retry), &error) {
            (Disposition::Delivered, _) => self.delivered(&batch, None),
            (_, SendError::RequestTooLarge { bytes }) => self.too_large(batch, *bytes),
            (Disposition::Refused, _) => self.refused(batch, &error),
            (Disposition::Retry, _) => self.retry(batch, &error, false),
            (Disposition::Hold, _) => self.retry(batch, &error, true),
        }
    }

    /// Counts a batch as delivered but for the items that the receiver rejected.
    fn delivered(&mut self, batch: &Batch, partial: Option<Partial>) {
        let metrics = &self.parts.metrics;
        metrics.sent_bytes.add(batch.body.as_ref().map_or(0, |body| body.bytes as u64));
        let mut rejected = 0;
        if let Some(partial) = partial {
            rejected = partial.rejected.min(batch.items());
            metrics.rejected.add(rejected);
            self.parts.report.partial(&partial);
            let lost = batch.bearing(rejected).take_while(|(_, lost)| *lost > 0);
            let lost = lost.map(|(piece, _)| piece);
            self.parts.report.sample(lost, "partial success", &partial.message);
        }
        self.schedule.delivered(Instant::now());
        self.parts.report.delivered();
        let mut closed = Vec::new();
        for (piece, lost) in batch.bearing(rejected) {
            let dropped = Some((DropReason::PartialSuccess, lost));
            closed.extend(self.account.end_piece(piece.seq, piece.items - lost, dropped));
        }
        self.settle(closed);
    }

    /// Refused for good. Merged records whose bytes are at fault go again, each as its sender sent it: that
    /// request was never sent.
    fn refused(&mut self, batch: Batch, error: &SendError) {
        if matches!(error, SendError::Encode(_)) {
            self.schedule.unsent();
        } else {
            self.schedule.ended(Instant::now());
            self.parts.report.reached();
        }
        self.parts.report.failed(error);
        if batch.pieces.len() > 1 && error.faults_the_data() {
            self.schedule.offer_first(batch.into_singles());
            return;
        }
        let alone = batch.pieces.len() == 1;
        let fate = if alone { Fate::of(self.intake.keeps_rejected()) } else { Fate::Left };
        self.parts.report.refused(error, &batch, fate);
        let (status, message) = match error {
            SendError::Answered { status, message, .. } => (status.to_string(), message.clone()),
            SendError::WebPage(status) => (status.to_string(), error.chain()),
            other => ("not sent".to_owned(), other.chain()),
        };
        self.parts.report.sample(&batch.pieces, &status, &message);
        match batch.pieces.len() {
            1 => self.keep(batch, error, DropReason::Permanent),
            // They are not at fault.
            _ => self.drop_batch(&batch, DropReason::Permanent),
        }
    }

    /// Its body of `bytes` is larger than any request may be: divided as far as possible.
    fn too_large(&mut self, mut batch: Batch, bytes: usize) {
        self.schedule.unsent();
        if batch.pieces.len() > 1 {
            self.schedule.offer_first(batch.into_singles());
            return;
        }
        let Some(Piece { seq, items, payload }) = batch.pieces.pop() else { return };
        let max = super::config::REQUEST_BYTES_MAX;
        let parts = divide(self.parts.signal, &payload, items, bytes, max);
        let pieces = u32::try_from(parts.pieces.len()).unwrap_or(0);
        let part = |(payload, items)| batch.part(Piece { seq, items, payload });
        self.schedule.offer_first(parts.pieces.into_iter().map(part).collect());
        let limit = format!("{max} bytes, the most that is sent in one");
        self.divided(Planned { seq, items, pieces, too_large: parts.too_large, payload }, &limit);
    }

    /// One piece was made into several, or into none.
    fn divided(&mut self, piece: Planned, limit: &str) {
        self.account.divide_piece(piece.seq, piece.pieces);
        let dropped = Some((DropReason::TooLarge, piece.too_large));
        let closed = self.account.end_piece(piece.seq, 0, dropped);
        self.parts.report.too_large(piece, limit);
        self.settle(closed.into_iter().collect());
    }

    fn retry(&mut self, batch: Batch, error: &SendError, held: bool) {
        let failure = Failure { held, asked: error.retry_after(), random: fastrand::f64() };
        let verdict = self.schedule.failed(Instant::now(), batch, failure);
        self.parts.report.failed(error);
        if let Some(outage) = self.schedule.outage() {
            self.parts.report.outage(outage, error);
        }
        match verdict {
            Verdict::Waits | Verdict::Divided => self.parts.metrics.retries.add(1),
            Verdict::Expired(batch) => {
                self.parts.report.refused(error, &batch, Fate::Left);
                self.drop_batch(&batch, DropReason::Expired);
            }
            Verdict::Rejected(batch) => {
                self.parts.report.sample(&batch.pieces, "rejected", &error.chain());
                let fate = Fate::of(self.intake.keeps_rejected());
                self.parts.report.refused(error, &batch, fate);
                self.keep(batch, error, DropReason::Rejected);
            }
        }
    }

    /// Keeps a batch that is given up where people can look at it and send it again; only then is it settled.
    fn keep(&mut self, batch: Batch, error: &SendError, reason: DropReason) {
        if self.kept.len() >= KEEPING_MAX {
            self.intake.not_kept(batch.pieces.len());
            return self.drop_batch(&batch, reason);
        }
        let about = Rejection {
            exporter: self.parts.report.exporter(),
            status: &escaped(&error.chain()),
            signal: self.parts.signal,
            at: self.parts.clock.unix_nano(),
        };
        let keep = |one| self.intake.keep_rejected(one);
        let keeping: Vec<_> = about.of(&batch).map(keep).collect();
        let all = keeping::all(keeping, self.parts.mode.clone());
        self.kept.spawn(async move { (batch, all.await.then_some(reason)) });
    }

    fn finish_kept(&mut self, kept: Result<(Batch, Option<DropReason>), JoinError>) {
        match blocking::joined(kept) {
            Some((batch, Some(reason))) => self.drop_batch(&batch, reason),
            // For who goes on: it is given up again.
            Some((batch, None)) => self.schedule.offer_first(vec![batch]),
            None => {}
        }
    }

    fn drop_batch(&mut self, batch: &Batch, reason: DropReason) {
        let end = |account: &mut Account, piece: &Piece| {
            account.end_piece(piece.seq, 0, Some((reason, piece.items)))
        };
        let closed =
            batch.pieces.iter().filter_map(|piece| end(&mut self.account, piece)).collect();
        self.settle(closed);
    }

    /// Tells the journal, counts, and gives the memory back.
    fn settle(&mut self, closed: Vec<Closed>) {
        if closed.is_empty() {
            return;
        }
        let (mut freed, mut settled) = (0, Vec::with_capacity(closed.len()));
        for record in closed {
            freed += record.charged;
            self.parts.metrics.sent.add(record.settled.delivered_items.into());
            let lost: u64 = record.settled.dropped.iter().map(|(_, n)| u64::from(*n)).sum();
            self.parts.metrics.failed.add(lost);
            settled.push(record.settled);
        }
        self.intake.settle(settled);
        self.beyond = self.beyond.saturating_sub(freed);
        self.parts.share.give_back(freed);
    }

    fn show(&self) {
        let (in_flight, waiting) = (self.schedule.in_flight(), self.schedule.waiting());
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        self.parts.metrics.in_flight.set(in_flight as f64);
        let outage = self.schedule.outage();
        self.parts.metrics.held.set(f64::from(u8::from(outage.is_some_and(|o| o.held))));
        self.parts.metrics.backing_off.set(f64::from(u8::from(outage.is_some_and(|o| !o.held))));
        self.parts.report.show(in_flight, waiting);
    }
}

/// Completes when memory was given back; never when none is wanted.
async fn freed(starved: &mut Option<Freed>) {
    match starved {
        Some(freed) => freed.await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
