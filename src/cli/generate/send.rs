//! The load: who sends what when, and the tally of what became of it.
//!
//! Every slot is a task that takes the next round, waits until the round is due, and sends its requests one
//! after the other. A retryable answer is met with the same bytes again, after the delay that the receiver
//! asked for or a growing one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use sidelight_exphist::Histogram;
use tokio::task::JoinSet;

use crate::export::client::{Client, ClientError, SendError};
use crate::export::compress::Encoded;
use crate::export::config::{ClientConfig, Retry};
use crate::export::disposition::Disposition;
use crate::export::refused::escaped;
use crate::signal::Signal;
use crate::time::Clock;

use super::super::exit::Exit;
use super::super::ids::{Ids, IdsFile};
use super::metrics::Metrics;
use super::story;
use super::template::{Pair, Stamp};

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What is to be sent, resolved.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The requests of one round, in order.
    pub(super) round: &'static [Signal],
    /// Items per request.
    pub(super) batch: u32,
    /// `None` = flat out.
    pub(super) items_per_second: Option<f64>,
    pub(super) time: Option<Duration>,
    pub(super) count: Option<u64>,
    pub(super) connections: u32,
    pub(super) in_flight: u32,
    pub(super) retry_for: Duration,
    /// Spans in all templates together, about; a span is 1 KB of memory.
    pub(super) template_spans: u32,
    pub(super) seed: u64,
}

/// One run of the generator.
#[derive(Debug)]
pub(super) struct Load {
    plan: Plan,
    clients: Vec<Client>,
    pairs: Vec<Pair>,
    metrics: Mutex<Metrics>,
    ids: Ids,
    ids_file: Option<IdsFile>,
    clock: Arc<dyn Clock>,
    /// Upper half of every trace id.
    run: u64,
    started: Duration,
    rounds: AtomicU64,
    stopped: AtomicBool,
    stop: tokio::sync::Notify,
    refusal: tokio::sync::Notify,
    tally: Mutex<Tally>,
}

/// What became of the requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) requests: u64,
    pub(super) items: u64,
    /// Protobuf bytes, before compression.
    pub(super) bytes: u64,
    pub(super) acknowledged_requests: u64,
    pub(super) acknowledged_items: u64,
    /// Items of acknowledged requests that the receiver says it rejected.
    pub(super) rejected_items: u64,
    /// Requests and items refused for good, by answer.
    pub(super) refused: BTreeMap<String, (u64, u64)>,
    /// Requests and items whose last answer was retryable, or that had none, by answer.
    pub(super) given_up: BTreeMap<String, (u64, u64)>,
    /// Answers after which the same bytes were sent again.
    pub(super) retried: BTreeMap<String, u64>,
    /// The receiver's first words for each answer, escaped.
    pub(super) words: BTreeMap<String, String>,
    /// Seconds from sending to acknowledgement, last attempt only.
    pub(super) latency: Histogram,
    /// The file of ids could not be written.
    pub(super) ids_error: Option<String>,
    /// Whether anything ever answered.
    pub(super) answered: bool,
}

impl Tally {
    pub(super) fn exit(&self) -> Exit {
        let lost = !self.refused.is_empty() || !self.given_up.is_empty() || self.rejected_items > 0;
        if !self.answered && self.requests > 0 && self.refused.is_empty() {
            Exit::Unreachable
        } else if lost || self.ids_error.is_some() {
            Exit::Failed
        } else {
            Exit::Ok
        }
    }
}

struct Request {
    signal: Signal,
    first_id: u64,
    payload: Bytes,
    /// Whose metrics they are.
    fleet: Option<usize>,
}

impl Load {
    /// Makes the templates; connects to nothing.
    ///
    /// # Errors
    /// [`ClientError`] for a header that cannot be sent.
    pub(super) fn new(
        plan: Plan,
        client: &ClientConfig,
        ids_file: Option<IdsFile>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ClientError> {
        let connect = |_| Client::new(client, Arc::clone(&clock));
        let clients = (0..plan.connections).map(connect).collect::<Result<_, _>>()?;
        let mut random = fastrand::Rng::with_seed(plan.seed);
        let wanted = plan.round.iter().any(|signal| *signal != Signal::Metrics);
        let pairs = (plan.template_spans / plan.batch).clamp(2, 400) * u32::from(wanted);
        let batch = plan.batch as usize;
        let pairs =
            (0..pairs).map(|n| Pair::new(&story::tell(batch, &mut random), n % 3)).collect();
        let now = clock.unix_nano().0;
        Ok(Self {
            clients,
            pairs,
            metrics: Mutex::new(Metrics::new(batch, now, random)),
            ids: Ids::starting_at(now),
            ids_file,
            run: fastrand::u64(1..),
            started: clock.monotonic(),
            clock,
            rounds: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            stop: tokio::sync::Notify::new(),
            refusal: tokio::sync::Notify::new(),
            tally: Mutex::new(Tally::default()),
            plan,
        })
    }

    /// Sends until the plan is done or [`Load::stop`] was called, and everything is answered.
    pub(super) async fn run(self: &Arc<Self>) {
        let mut slots = JoinSet::new();
        for connection in 0..self.clients.len() {
            for _ in 0..self.plan.in_flight {
                let load = Arc::clone(self);
                slots.spawn(async move { load.slot(connection).await });
            }
        }
        while slots.join_next().await.is_some() {}
    }

    /// No further requests, and no further attempts for those that are under way.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.stop.notify_waiters();
    }

    /// The words of the first answer after which a request is sent again, once there is one.
    pub(super) async fn first_refusal(&self) -> String {
        self.refusal.notified().await;
        self.locked().words.values().next().cloned().unwrap_or_default()
    }

    pub(super) fn tally(&self) -> Tally {
        self.locked().clone()
    }

    pub(super) const fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.started)
    }

    fn locked(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn slot(&self, connection: usize) {
        let Some(client) = self.clients.get(connection) else { return };
        while let Some(round) = self.next_round().await {
            let stamp = self.stamp();
            for signal in self.plan.round {
                if self.stopped.load(Ordering::Relaxed) {
                    return;
                }
                if let Some(request) = self.make(*signal, round, stamp) {
                    let fleet = request.fleet;
                    self.deliver(client, request).await;
                    fleet.into_iter().for_each(|fleet| self.metrics().arrived(fleet));
                }
            }
        }
    }

    /// The number of the next round, once it is due; `None` at the end.
    async fn next_round(&self) -> Option<u64> {
        let round = self.rounds.fetch_add(1, Ordering::Relaxed);
        let items = round * self.plan.round.len() as u64 * u64::from(self.plan.batch);
        if self.plan.count.is_some_and(|count| items >= count) {
            return None;
        }
        let due = match self.plan.items_per_second {
            #[expect(clippy::cast_precision_loss, reason = "exact for the first 2^53 items")]
            Some(rate) => Duration::try_from_secs_f64(items as f64 / rate).ok()?,
            None => self.elapsed(),
        };
        if self.plan.time.is_some_and(|time| due.max(self.elapsed()) >= time) {
            return None;
        }
        self.sleep(due.saturating_sub(self.elapsed())).await;
        (!self.stopped.load(Ordering::Relaxed)).then_some(round)
    }

    /// Sleeps, or not any longer once stopped.
    async fn sleep(&self, time: Duration) {
        if time.is_zero() {
            return;
        }
        let stop = self.stop.notified();
        if !self.stopped.load(Ordering::Relaxed) {
            let _ = tokio::time::timeout(time, stop).await;
        }
    }

    fn stamp(&self) -> Stamp {
        let now = self.clock.unix_nano().0;
        Stamp { first_id: self.ids.take(self.plan.batch.into(), now), run: self.run, now }
    }

    fn make(&self, signal: Signal, round: u64, stamp: Stamp) -> Option<Request> {
        let pair = || {
            let count = u64::try_from(self.pairs.len()).ok()?;
            self.pairs.get(usize::try_from(round.checked_rem(count)?).ok()?)
        };
        let (payload, fleet) = match signal {
            Signal::Traces => (pair()?.traces.stamp(stamp), None),
            Signal::Logs => (pair()?.logs.stamp(stamp), None),
            Signal::Metrics => {
                let (payload, fleet) = self.metrics().collect(stamp.first_id);
                (payload, Some(fleet))
            }
            Signal::Profiles => return None,
        };
        Some(Request { signal, first_id: stamp.first_id, payload, fleet })
    }

    fn metrics(&self) -> MutexGuard<'_, Metrics> {
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends one request until it is acknowledged, refused or given up.
    async fn deliver(&self, client: &Client, request: Request) {
        let (signal, items) = (request.signal, u64::from(self.plan.batch));
        {
            let mut tally = self.locked();
            tally.requests += 1;
            tally.items += items;
            tally.bytes += request.payload.len() as u64;
        }
        let body = match client.encode(signal, vec![request.payload]).await {
            Ok(body) => body,
            Err(error) => return self.note_failure(&error, true, items),
        };
        if self.attempts(client, signal, &body, items).await
            && let Some(file) = &self.ids_file
            && let Err(error) = file.add(signal, [(request.first_id, items)])
        {
            self.locked().ids_error.get_or_insert(error.to_string());
        }
    }

    /// Whether the request was acknowledged in the end.
    async fn attempts(&self, client: &Client, signal: Signal, body: &Encoded, items: u64) -> bool {
        let policy = Retry::default();
        let (first, mut wait) = (self.clock.monotonic(), FIRST_WAIT);
        loop {
            let sent = self.clock.monotonic();
            let error = match client.send_encoded(signal, body, &[]).await {
                Ok(response) => {
                    let rejected = response.partial.map_or(0, |partial| partial.rejected);
                    self.note_success(self.clock.monotonic() - sent, items, rejected);
                    return true;
                }
                Err(error) => error,
            };
            let retryable = error.disposition(&policy) == Disposition::Retry;
            let spent = self.clock.monotonic().saturating_sub(first);
            let patience = self.patience();
            let over = spent >= patience || self.stopped.load(Ordering::Relaxed);
            if !retryable || over {
                self.note_failure(&error, !retryable, items);
                let bounded = self.plan.count.is_some() || self.plan.time.is_some();
                if bounded && !self.locked().answered {
                    // Nobody is there: the rest would only take as long again.
                    self.stop();
                }
                return false;
            }
            let asked = error.retry_after().unwrap_or(wait);
            let pause = asked.clamp(FIRST_WAIT, Duration::from_secs(30));
            *self.locked().noted(&error).retried.entry(label(&error)).or_default() += 1;
            self.refusal.notify_one();
            let pause = pause.mul_f64(0.5 + fastrand::f64());
            self.sleep(pause.min(patience.saturating_sub(spent))).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// How long a request is sent again: where nobody ever answered, no longer than the whole is to take.
    fn patience(&self) -> Duration {
        let whole = self.plan.time.filter(|_| !self.locked().answered);
        whole.map_or(self.plan.retry_for, |whole| whole.min(self.plan.retry_for))
    }

    fn note_success(&self, latency: Duration, items: u64, rejected: u64) {
        let mut tally = self.locked();
        tally.answered = true;
        tally.acknowledged_requests += 1;
        tally.acknowledged_items += items;
        tally.rejected_items += rejected;
        tally.latency.record(latency.as_secs_f64());
    }

    fn note_failure(&self, error: &SendError, for_good: bool, items: u64) {
        let mut tally = self.locked();
        let tally = tally.noted(error);
        let group = if for_good { &mut tally.refused } else { &mut tally.given_up };
        let (requests, lost) = group.entry(label(error)).or_default();
        *requests += 1;
        *lost += items;
    }
}

impl Tally {
    /// Keeps the first words of each kind of answer.
    fn noted(&mut self, error: &SendError) -> &mut Self {
        self.answered |= matches!(error, SendError::Answered { .. } | SendError::WebPage(_));
        let words = || escaped(&error.chain().chars().take(300).collect::<String>());
        self.words.entry(label(error)).or_insert_with(words);
        self
    }
}

/// A name for the kind of answer, of which there are few.
fn label(error: &SendError) -> String {
    match error {
        SendError::Answered { status, .. } => status.to_string(),
        SendError::WebPage(_) => "web page".to_owned(),
        SendError::Timeout(_) => "timeout".to_owned(),
        SendError::Connect(_) => "no connection".to_owned(),
        SendError::Token(_) => "no token".to_owned(),
        SendError::Transport(_) | SendError::HungUp(_) | SendError::NoStatus => {
            "connection lost".to_owned()
        }
        SendError::ResponseTooLarge => "response too large".to_owned(),
        SendError::RequestTooLarge { .. } => "request too large".to_owned(),
        SendError::Encode(_) => "cannot be encoded".to_owned(),
        SendError::Write(_) => "cannot be written".to_owned(),
    }
}
