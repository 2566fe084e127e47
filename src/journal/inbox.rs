//! What waits for the writer: records, each with the sender that wants to know what became of it.
//!
//! The writer takes them a group at a time, and sleeps until there is one. A record whose sender went away before that is
//! withdrawn. Limits: [`INBOX_MAX`] records wait, [`GROUP_MAX`] bytes are one group.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot, watch};

use super::AppendError;
use super::format::encoded_len;
use crate::signal::Record;

/// Records that wait for the writer; further appends wait for room.
const INBOX_MAX: usize = 4096;
/// Bytes of a group; what is beyond is the next.
const GROUP_MAX: u64 = 16 << 20;
/// So many bytes do not wait for the window's end.
const GROUP_ENOUGH: u64 = 1 << 20;

/// What became of a record: its sequence, or why it has none.
pub(super) type Answer = Result<u64, AppendError>;

/// What waits for the writer.
#[derive(Debug)]
pub(super) struct Inbox {
    queue: Mutex<Queue>,
    arrived: Condvar,
    slots: Semaphore,
    ended: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Their encoded bytes.
    bytes: u64,
    closed: bool,
    /// The writer sleeps until so many bytes wait: the record that reaches them wakes it, and only
    /// that one.
    awaited: Option<u64>,
    /// When the group that is being written began, monotonic.
    busy_since: Option<Duration>,
}

impl Queue {
    /// Whether the writer has to sleep until `bytes` wait. Asked each time it wakes: the record that woke it may have
    /// been withdrawn, and then another one has to.
    fn awaits(&mut self, bytes: u64) -> bool {
        let short = self.bytes < bytes && !self.closed;
        self.awaited = short.then_some(bytes);
        short
    }
}

/// A record and who waits for it.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) record: Record,
    /// Whether its sender waits until it is durable; else until it is written.
    pub(super) durable: bool,
    pub(super) answer: oneshot::Sender<Answer>,
    since: Duration,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            queue: Mutex::default(),
            arrived: Condvar::new(),
            slots: Semaphore::new(INBOX_MAX),
            ended: watch::Sender::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a record to the writer and waits for its answer: until it is `durable`, or only written.
    pub(super) async fn append(&self, record: Record, durable: bool, now: Duration) -> Answer {
        let slot = self.slots.acquire().await.map_err(|_| AppendError::Closing)?;
        slot.forget();
        let (answer, answered) = oneshot::channel();
        let awaited = {
            let mut queue = self.lock();
            if queue.closed {
                return Err(AppendError::Closing);
            }
            queue.bytes += encoded_len(&record);
            queue.waiting.push_back(Waiting { record, durable, answer, since: now });
            let reached = queue.awaited.is_some_and(|bytes| queue.bytes >= bytes);
            reached && queue.awaited.take().is_some()
        };
        if awaited {
            self.arrived.notify_one();
        }
        let mut withdrawal = Withdrawal { inbox: self, answered };
        (&mut withdrawal.answered).await.unwrap_or(Err(AppendError::Closing))
    }

    /// Takes back what waits for senders that went away: nobody accounts for its memory any more.
    fn withdraw(&self) {
        let mut queue = self.lock();
        let before = queue.waiting.len();
        queue.waiting.retain(|waiting| !waiting.answer.is_closed());
        queue.bytes = queue.waiting.iter().map(|waiting| encoded_len(&waiting.record)).sum();
        let withdrawn = before - queue.waiting.len();
        drop(queue);
        self.slots.add_permits(withdrawn);
    }

    /// Takes no more records; the writer finishes what it has and ends.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.slots.close();
        self.arrived.notify_one();
    }

    /// Waits until the writer has ended.
    pub(super) async fn ended(&self) {
        // An error means that the sender is gone, and with it the writer.
        drop(self.ended.subscribe().wait_for(|&ended| ended).await);
    }

    /// When the oldest record that waits for the disk arrived, monotonic.
    pub(super) fn waiting_since(&self) -> Option<Duration> {
        let queue = self.lock();
        queue.busy_since.or_else(|| queue.waiting.front().map(|w| w.since))
    }

    /// The next group; empty after `patience` without one, `None` when closed and empty.
    pub(super) fn group(&self, patience: Duration) -> Option<Vec<Waiting>> {
        let mut queue = self.until(1, patience);
        if queue.waiting.is_empty() && queue.closed {
            return None;
        }
        let mut bytes = 0;
        let mut count = 0;
        for waiting in &queue.waiting {
            let more = bytes + encoded_len(&waiting.record);
            if count > 0 && more > GROUP_MAX {
                break;
            }
            (bytes, count) = (more, count + 1);
        }
        let group: Vec<_> = queue.waiting.drain(..count).collect();
        queue.bytes = queue.bytes.saturating_sub(bytes);
        queue.busy_since = group.first().map(|w| w.since);
        drop(queue);
        self.slots.add_permits(group.len());
        Some(group)
    }

    /// Lets more records arrive for `pause`; returns early when closed or when there is enough.
    pub(super) fn pause(&self, pause: Duration) {
        drop(self.until(GROUP_ENOUGH, pause));
    }

    /// The queue once `bytes` wait in it, it is closed, or the time is over.
    fn until(&self, bytes: u64, time: Duration) -> MutexGuard<'_, Queue> {
        let short = |queue: &mut Queue| queue.awaits(bytes);
        let waited = self.arrived.wait_timeout_while(self.lock(), time, short);
        let mut queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        queue.awaited = None;
        queue
    }

    /// Says that the group is written.
    pub(super) fn idle(&self) {
        self.lock().busy_since = None;
    }

    /// Says that the writer has ended: who still waits for it is answered by nobody.
    pub(super) fn end(&self) {
        self.close();
        {
            let mut queue = self.lock();
            queue.waiting.clear();
            queue.bytes = 0;
        }
        self.ended.send_replace(true);
    }
}

/// Withdraws a record from the inbox when its sender stops waiting for the answer.
struct Withdrawal<'a> {
    inbox: &'a Inbox,
    answered: oneshot::Receiver<Answer>,
}

impl Drop for Withdrawal<'_> {
    fn drop(&mut self) {
        if !self.answered.is_terminated() {
            self.answered.close();
            self.inbox.withdraw();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::FutureExt as _;

    use super::*;
    use crate::signal::{Flags, Meta, Signal};

    #[test]
    fn a_record_whose_sender_went_away_leaves_the_inbox() {
        let inbox = Inbox::new();
        let append = || {
            let record = Record {
                signal: Signal::Logs,
                items: 1,
                flags: Flags::default(),
                meta: Meta::default(),
                payload: Bytes::from_static(b"x"),
            };
            Box::pin(inbox.append(record, true, Duration::ZERO))
        };
        let (mut gone, mut stays) = (append(), append());
        assert!(gone.as_mut().now_or_never().is_none());
        assert!(stays.as_mut().now_or_never().is_none());
        drop(gone);
        assert_eq!(inbox.lock().waiting.len(), 1);
        assert_eq!(inbox.slots.available_permits(), INBOX_MAX - 1);
        for waiting in inbox.group(Duration::ZERO).unwrap() {
            waiting.answer.send(Ok(7)).unwrap();
        }
        assert_eq!(stays.now_or_never().unwrap().unwrap(), 7);
        assert_eq!(inbox.slots.available_permits(), INBOX_MAX);
    }

    #[test]
    fn a_record_that_woke_the_writer_and_was_withdrawn_leaves_it_to_the_next_to_wake_it() {
        let inbox = Inbox::new();
        let append = || {
            let (flags, meta, payload) = (Flags::default(), Meta::default(), Bytes::new());
            let record = Record { signal: Signal::Logs, items: 1, flags, meta, payload };
            Box::pin(inbox.append(record, true, Duration::ZERO))
        };
        let sleeps = || inbox.lock().awaits(1);
        assert!(sleeps());
        let mut first = append();
        assert!(first.as_mut().now_or_never().is_none());
        assert_eq!(inbox.lock().awaited, None, "it was notified");
        drop(first);
        assert!(sleeps(), "it wakes after all that, and there is nothing");
        assert_eq!(inbox.lock().awaited, Some(1));
        let mut second = append();
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!(inbox.lock().awaited, None, "it was notified again");
        assert!(!sleeps());
    }

    #[test]
    fn the_window_ends_as_soon_as_a_mebibyte_waits() {
        let inbox = Inbox::new();
        let append = |bytes: usize| {
            let (flags, meta, payload) = (Flags::default(), Meta::default(), vec![0; bytes].into());
            let record = Record { signal: Signal::Logs, items: 1, flags, meta, payload };
            Box::pin(inbox.append(record, true, Duration::ZERO))
        };
        let mut appends = [append(1000), append(1 << 20)];
        std::thread::scope(|scope| {
            let paused = scope.spawn(|| inbox.pause(Duration::MAX));
            for append in &mut appends {
                assert!(append.as_mut().now_or_never().is_none());
            }
            paused.join().unwrap();
        });
        let [_, second] = appends;
        drop(second);
        assert_eq!(inbox.lock().bytes, 1052, "what is withdrawn waits no more");
    }
}
