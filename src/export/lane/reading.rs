//! What a lane reads from the journal, and when.
//!
//! Limits: a read asks for one part of the export budget at most, and for one record at least. It waits until that much is
//! free, unless all that the lane holds waits for a retry: then one part beyond is read, and beside a single record another one
//! however large that is. Where those, too, are never taken, the lane waits: it cannot be told from a destination that is down.

use std::time::Duration;

use tokio::time::Instant;

use super::{Lane, Mode};
use crate::export::batch::plan;
use crate::export::intake::Intake;

/// Records read at a time.
const READ_RECORDS_MAX: usize = 16_384;
/// What a record holds beside its payload until it is settled: its places in a batch, the account and the journal's reader.
const RECORD_BYTES: usize = 384;
/// How long a lane waits for a first record before it looks again.
const IDLE_WAIT: Duration = Duration::from_secs(60);
/// The wait after a read that gave nothing.
const EMPTY_WAIT: Duration = Duration::from_millis(20);
/// The wait after a read that failed.
const READ_RETRY: Duration = Duration::from_secs(1);

impl<I: Intake> Lane<I> {
    /// Whether to read, and what to wait for before: a first record, then a full batch or the end of the
    /// linger.
    pub(super) fn appetite(&self, mode: Mode, now: Instant) -> (bool, usize, Duration) {
        let able = !self.closed && self.starved.is_none() && self.schedule.wants_more(now);
        match mode {
            Mode::Run => match self.linger_until {
                None => (able, 1, IDLE_WAIT),
                Some(until) => (able, self.read_size(), until.saturating_duration_since(now)),
            },
            Mode::Drain => (able && !self.dry, 1, Duration::ZERO),
            Mode::Release | Mode::Stop => (false, 1, IDLE_WAIT),
        }
    }

    /// Begins to linger at the first record, reads at the end of it.
    pub(super) async fn gather(&mut self, mode: Mode) {
        if mode == Mode::Run && self.linger_until.is_none() && !self.linger.is_zero() {
            self.linger_until = Some(Instant::now() + self.linger);
            return;
        }
        self.linger_until = None;
        self.read().await;
    }

    /// Reads and plans; when the memory for it is taken, waits until some is given back.
    pub(super) async fn read(&mut self) {
        let freed = self.parts.share.freed();
        let (mut read_size, mut records_max) = (self.read_size(), self.read_records());
        let mut wanted = self.charge(read_size);
        let fits = self.parts.share.try_take(wanted);
        if !fits {
            if !self.may_go_beyond() {
                self.starved = Some(Box::pin(freed));
                return;
            }
            let left = self.parts.share.part().saturating_sub(self.beyond);
            read_size = read_size.min(left.saturating_mul(100) / self.weight).max(1);
            records_max = records_max.min(left / RECORD_BYTES).max(1);
            wanted = self.charge(read_size);
            self.parts.share.take(wanted);
        }
        let read = tokio::select! {
            biased;
            read = self.intake.next(read_size, records_max) => read,
            // A disk may never answer: who ends the lane does not wait for it.
            _ = self.parts.mode.changed() => {
                self.parts.share.give_back(wanted);
                self.dry = false;
                return;
            }
        };
        let entries = match read {
            Ok(entries) => entries,
            Err(why) => {
                self.parts.report.unreadable(&why);
                self.starved = Some(Box::pin(tokio::time::sleep(READ_RETRY)));
                Vec::new()
            }
        };
        self.dry = entries.is_empty();
        if self.dry && self.starved.is_none() {
            self.starved = Some(Box::pin(tokio::time::sleep(EMPTY_WAIT)));
        }
        if entries.len() == records_max && records_max > 1 {
            // There is more already: it does not wait for company.
            self.linger_until = Some(Instant::now());
        }
        let (batches, records) = plan(self.parts.signal, entries, &self.limits);
        let limit = self.limits.request_limit();
        let (mut charged, mut closed) = (0, Vec::new());
        for record in records {
            let bytes = RECORD_BYTES + self.charge(record.payload.len());
            charged += bytes;
            closed.extend(self.account.open(&record, bytes));
            self.parts.report.too_large(record, &limit);
        }
        self.parts.share.adjust(wanted, charged);
        if !fits {
            self.beyond += charged;
        }
        self.schedule.offer(batches);
        self.settle(closed);
    }

    /// Whether to read what does not fit. What could be sent would be in flight: all that is held failed, and without
    /// others to try it fails for ever, whether the destination is down or does not take just that.
    fn may_go_beyond(&self) -> bool {
        let room = self.beyond < self.parts.share.part();
        // A single record leaves room for another, however large it is: it may have been read beyond itself.
        self.schedule.in_flight() == 0 && (room || self.account.open_records() <= 1)
    }

    /// Bytes of payload to read at a time: a batch, or what the lane's part has room for.
    fn read_size(&self) -> usize {
        let fitting = self.parts.share.part().saturating_mul(100) / self.weight;
        self.limits.max_size.min(fitting).max(1)
    }

    /// Records to read at a time. What they hold beside their payload, a quarter of a part at most, is charged after.
    fn read_records(&self) -> usize {
        if self.schedule.searches() {
            return 1;
        }
        (self.parts.share.part() / 4 / RECORD_BYTES).clamp(1, READ_RECORDS_MAX)
    }

    const fn charge(&self, bytes: usize) -> usize {
        bytes.saturating_mul(self.weight) / 100
    }
}
