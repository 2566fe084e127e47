//! The writer: one OS thread that turns what arrives into groups.
//!
//! ```text
//! append ─▶ inbox (bounded) ─▶ writer thread ─▶ log.commit ─▶ one message ─▶ completer task ─▶ waiters
//! ```
//!
//! What arrives during a sync is the next group; an idle writer syncs at once; `group_window` is the
//! least time between two sync starts, unless [`GROUP_ENOUGH`] bytes wait: more would not make a sync
//! cheaper. A group that nobody waits to be durable is written and not synced before it is due. The thread wakes one
//! runtime task per group, which completes all of its waiters and wakes its readers. Limits:
//! [`INBOX_MAX`] records wait, [`GROUP_MAX`] bytes are one group.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::handle::ago;
use super::log::{Log, Outcome, encoded_len};
use super::{AppendError, Durability};
use crate::signal::Record;

/// Records that wait for the writer; further appends wait for room.
const INBOX_MAX: usize = 4096;
/// Bytes of a group; what is beyond is the next.
const GROUP_MAX: u64 = 16 << 20;
/// So many bytes do not wait for the window's end.
const GROUP_ENOUGH: u64 = 1 << 20;
/// Groups whose waiters are not answered yet.
const COMPLETIONS_MAX: usize = 64;
/// How often the writer looks at acknowledgements and retention.
const TICK: Duration = Duration::from_secs(1);

type Answer = Result<u64, AppendError>;

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
    waiting: std::collections::VecDeque<Waiting>,
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

#[derive(Debug)]
struct Waiting {
    record: Record,
    /// Whether its sender waits until it is durable; else until it is written.
    durable: bool,
    answer: oneshot::Sender<Answer>,
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
    fn group(&self, patience: Duration) -> Option<Vec<Waiting>> {
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
    fn pause(&self, pause: Duration) {
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

    fn idle(&self) {
        self.lock().busy_since = None;
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

/// A group's answers on their way to the runtime.
struct Completion {
    answers: Vec<(oneshot::Sender<Answer>, Answer)>,
    outcome: Outcome,
}

impl Completion {
    fn complete(self) {
        for (waiter, answer) in self.answers {
            // A sender that went away does not want its answer.
            drop(waiter.send(answer));
        }
        self.outcome.bells.iter().for_each(|bell| bell.notify_one());
    }
}

/// Starts the thread, and the task that answers for it when there is a runtime.
pub(super) fn start(log: Log, inbox: Arc<Inbox>) -> std::io::Result<()> {
    let (completions, mut groups) = mpsc::channel::<Completion>(COMPLETIONS_MAX);
    let completions = tokio::runtime::Handle::try_current().ok().map(|runtime| {
        runtime.spawn(async move {
            while let Some(group) = groups.recv().await {
                group.complete();
            }
        });
        completions
    });
    let thread = std::thread::Builder::new().name("journal".into());
    thread.spawn(move || Writer::new(log, inbox, completions).run()).map(drop)
}

/// What the thread does, turn by turn.
#[derive(Debug)]
struct Writer {
    log: Log,
    completions: Option<mpsc::Sender<Completion>>,
    /// The least time between two sync starts.
    window: Duration,
    last_tick: Duration,
    last_start: Option<Duration>,
    /// A panic or return must not leave anyone waiting. Dropped last: the directory is given up before anyone is told
    /// that it is.
    ended: Ended,
}

impl Writer {
    fn new(log: Log, inbox: Arc<Inbox>, completions: Option<mpsc::Sender<Completion>>) -> Self {
        let config = &log.shared.config;
        let window = match config.durability {
            Durability::Fsync => config.group_window,
            Durability::Os | Durability::Memory => Duration::ZERO,
        };
        let last_tick = log.shared.deps.clock.monotonic();
        Self { log, completions, window, last_tick, last_start: None, ended: Ended(inbox) }
    }

    fn run(mut self) {
        loop {
            let since_start = self.last_start.map_or(self.window, |t| ago(self.now(), t));
            if since_start < self.window {
                self.ended.0.pause(self.window - since_start);
            }
            let Some(group) = self.ended.0.group(self.patience()) else { break };
            self.turn(group);
        }
        self.log.close();
    }

    fn now(&self) -> Duration {
        self.log.shared.deps.clock.monotonic()
    }

    /// How long nothing has to be done unless something arrives.
    fn patience(&self) -> Duration {
        self.log.flush_in().map_or(TICK, |due| due.min(TICK))
    }

    /// Writes a group, if there is one, and does what is due.
    fn turn(&mut self, group: Vec<Waiting>) {
        if !group.is_empty() {
            self.write(group);
        }
        let now = self.now();
        let ticks = ago(now, self.last_tick) >= TICK;
        if ticks {
            self.last_tick = now;
            self.log.tick();
        }
        let due = self.log.flush_in() == Some(Duration::ZERO);
        if due {
            self.log.flush();
        }
        if !(ticks || due) {
            return;
        }
        let bells = self.log.shared.lock().bells();
        if !bells.is_empty() {
            let outcome = Outcome { results: Vec::new(), bells };
            send(self.completions.as_ref(), Completion { answers: Vec::new(), outcome });
        }
    }

    fn write(&mut self, group: Vec<Waiting>) {
        let durable = group.iter().any(|waiting| waiting.durable);
        if durable {
            self.last_start = Some(self.now());
        }
        let (records, waiters): (Vec<_>, Vec<_>) =
            group.into_iter().map(|w| (w.record, w.answer)).unzip();
        let mut outcome = self.log.commit(records, durable);
        let results = std::mem::take(&mut outcome.results);
        let refused = results.iter().filter(|r| r.is_err()).count();
        self.log.shared.metrics.refused.add(refused as u64);
        let answers = waiters.into_iter().zip(results).collect();
        send(self.completions.as_ref(), Completion { answers, outcome });
        self.ended.0.idle();
    }
}

/// The writer without its thread, for simulations: it works when it is told to, and where. Dropped before it has ended,
/// it ends like a thread whose process was killed.
#[derive(Debug)]
pub struct Stepper(Option<Writer>);

impl Stepper {
    pub(super) fn new(log: Log, inbox: Arc<Inbox>) -> Self {
        Self(Some(Writer::new(log, inbox, None)))
    }

    /// One that has nothing to do: `memory` mode needs no writer.
    pub(super) const fn ended() -> Self {
        Self(None)
    }

    /// Writes the group that waits, and does what is due. False once the journal was closed and everything is done.
    pub fn step(&mut self) -> bool {
        let Some(mut writer) = self.0.take() else { return false };
        let Some(group) = writer.ended.0.group(Duration::ZERO) else {
            writer.log.close();
            return false;
        };
        writer.turn(group);
        self.0 = Some(writer);
        true
    }

    /// How long it has nothing to do unless a record arrives or the journal is closed.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.0.as_ref().map_or(Duration::MAX, Writer::patience)
    }
}

fn send(completions: Option<&mpsc::Sender<Completion>>, completion: Completion) {
    match completions {
        None => completion.complete(),
        // The runtime is shutting down: answer from here.
        Some(sender) => {
            if let Err(refused) = sender.blocking_send(completion) {
                refused.0.complete();
            }
        }
    }
}

#[derive(Debug)]
struct Ended(Arc<Inbox>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.close();
        {
            let mut queue = self.0.lock();
            queue.waiting.clear();
            queue.bytes = 0;
        }
        self.0.ended.send_replace(true);
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
        for waiting in inbox.group(TICK).unwrap() {
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
