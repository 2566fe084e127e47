//! The writer: one OS thread that turns what arrives into groups.
//!
//! ```text
//! append ─▶ inbox (bounded) ─▶ writer thread ─▶ log.commit ─▶ one message ─▶ completer task ─▶ waiters
//! ```
//!
//! What arrives during a sync is the next group; an idle writer syncs at once; `group_window` is the
//! least time between two sync starts, unless so much waits ([`Inbox::pause`]) that more would not make a sync
//! cheaper. A group that nobody waits to be durable is written and not synced before it is due. The thread wakes one
//! runtime task per group, which completes all of its waiters and wakes its readers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::Durability;
use super::inbox::{Answer, Inbox, Waiting};
use super::log::{Log, Outcome};

/// Groups whose waiters are not answered yet.
const COMPLETIONS_MAX: usize = 64;
/// How often the writer looks at acknowledgements and retention.
const TICK: Duration = Duration::from_secs(1);

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
            let since_start = self.last_start.map_or(self.window, |t| self.now().saturating_sub(t));
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
        let ticks = now.saturating_sub(self.last_tick) >= TICK;
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
        self.0.end();
    }
}
