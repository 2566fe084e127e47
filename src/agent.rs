//! The wiring: every queue with its capacity, every task, start and shutdown order.
//!
//! ```text
//! start:  telemetry ─▶ sockets bound ─▶ journal recovered ─▶ store opened ─▶ readers (lanes, aggregate)
//!         ─▶ admin ─▶ receivers serve ─▶ ready        a store that cannot be had yet: opened again until it can
//! stop:   not ready ─▶ late requests, a quarter of the time ─▶ GOAWAY, at most another quarter
//!         ─▶ lanes flush and the store writes a last checkpoint until the deadline ─▶ journal closed ─▶ own telemetry flushed
//! ```
//! What is not delivered at the deadline stays in the journal. A second signal ends it at once.

mod alerts;
mod before;
mod certificates;
mod entries;
mod error;
mod judge;
mod keeping;
mod local;
mod own;
mod rejected;
mod reloads;
mod rule_files;
mod secret_file;
mod senders;
mod shown;
mod started;
mod stop;
mod token;
mod user_key;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::api;
use crate::blocking;
use crate::config::{Config, Loaded};
use crate::export;
use crate::journal;
use crate::journal::Journal;
use crate::memory;
use crate::memory::InFlight;
use crate::net::listen::listen;
use crate::notify::Notifier;
use crate::receive;
use crate::telemetry;
use crate::telemetry::Registry;
use crate::time::{Clock, SystemClock};

use before::{Before, open_journal, readers};
use keeping::{Again, Keeping};
use reloads::Reloads;
use rule_files::RuleFiles;
use senders::Senders;
use shown::View;
use stop::{Event, Events};

pub use error::Error;
pub use started::Started;
pub use stop::Cause;

/// Reads the configuration again: the new one, or every finding as text.
pub type Reload = dyn Fn() -> Result<Loaded, String> + Send + Sync;

/// What a run needs besides its configuration.
pub struct Options {
    /// For SIGHUP and `POST /-/reload`. It may block.
    pub reload: Arc<Reload>,
    /// Called once, when everything runs.
    pub started: Box<dyn FnOnce(&Started) + Send>,
    /// Set in an application's process, and ends the agent when it resolves. Signals, the panic hook, `tracing`'s subscriber,
    /// the service manager and the memory of the process are the application's then.
    pub embedded: Option<oneshot::Receiver<()>>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").finish_non_exhaustive()
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// As asked, drained.
    Drained,
    /// A second signal came before the drain was over.
    AtOnce(Cause),
    /// A task panicked.
    Panicked,
}

/// Requests of operators that wait while one is carried out.
const CONTROL_CAPACITY: usize = 8;

/// How often the admin token is read again.
const TOKEN_INTERVAL: Duration = Duration::from_secs(60);

/// Parts of a drain that come after the lanes: notifications, journal, admin, own telemetry.
const AFTER_LANES: u32 = 4;

/// Runs the agent until it is told to stop.
///
/// # Errors
/// [`Error`]: it did not start; nothing was accepted.
pub async fn run(loaded: Loaded, options: Options) -> Result<Stopped, Error> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let registry = Registry::default();
    let _ends = registry.ends();
    let alone = options.embedded.is_none();
    let own = telemetry::init(&loaded.config.telemetry, &registry, Arc::clone(&clock), alone)?;
    telemetry::process::observe(&registry, Arc::clone(&clock));
    let (control, controls) = mpsc::channel(CONTROL_CAPACITY);
    let mut events = Events::listen(controls, options.embedded).map_err(Error::Signals)?;
    let begun = tokio::select! {
        biased;
        // A disk that does not answer holds up no signal. What has begun ends as it is dropped, or with the process.
        cause = events.before_start() => {
            tracing::info!(cause = cause.name(), "stopping before everything runs: nothing was accepted");
            stop::notify_stopping();
            return Ok(if cause == Cause::Panic { Stopped::Panicked } else { Stopped::Drained });
        }
        begun = start(loaded, (own, registry, clock), control, alone) => begun?,
    };
    let Begun { mut running, receivers, recovery, _background } = begun;
    let started = Started::new(&running.started, &receivers, running.admin.address(), recovery);
    running.view.set_serving(true);
    (options.started)(&started);
    if alone {
        stop::notify_ready();
    }
    let cause = running.until_stopped(&mut events, &options.reload).await;

    let drained = running.drain(receivers, cause);
    Ok(tokio::select! {
        () = drained => if cause == Cause::Panic { Stopped::Panicked } else { Stopped::Drained },
        cause = events.again() => Stopped::AtOnce(cause),
    })
}

/// What a start gives.
struct Begun {
    running: Running,
    receivers: receive::Handle,
    recovery: journal::Recovery,
    /// Ends with it.
    _background: JoinSet<()>,
}

/// Starts everything in order. Nothing in it blocks the task: that one hears of signals.
async fn start(
    loaded: Loaded,
    (own, registry, clock): (telemetry::Telemetry, Registry, Arc<dyn Clock>),
    control: mpsc::Sender<api::Control>,
    alone: bool,
) -> Result<Begun, Error> {
    let config = loaded.config.clone();
    // Sockets first: two agents on one port are told so before either touches a journal.
    let in_flight = InFlight::new(config.memory.in_flight);
    telemetry::process::observe_memory(&registry, &config.memory, &in_flight);
    let (bound, admin) = bind(&config, &registry, &in_flight, &clock).await?;

    // Readers before receivers: what is accepted has somewhere to go from the first record on.
    let (journal, recovery) = open_journal(&config, &registry, &clock).await?;
    let before = Arc::new(Before::new(&journal, clock.unix_nano()));
    let exporters = start_exporters(&config, &journal, &registry, &clock)?;
    let store = local::open_store(&config, &registry, &clock).await;
    let mut notifier = alerts::start(&config, &journal, &registry, &clock).await?;

    let view = View {
        journal: journal.clone(),
        exporters: exporters.handle(),
        kept: Arc::default(),
        waiting: Arc::default(),
        store_off: config.why_no_store(),
        notifications: notifier.handle(),
        rules: Arc::default(),
        subquery_step_ms: Arc::new(config.rules.subquery_step_ms().into()),
        in_flight: in_flight.clone(),
        memory: config.memory,
        senders: Senders::default(),
        reload: Reloads::new(&registry, clock.unix_nano().as_seconds_f64()),
        rule_files: RuleFiles::new(&registry),
        before,
        registry,
        clock: Arc::clone(&clock),
        endpoints: bound.endpoints(),
        stale: bound.stale(),
        serving: Arc::default(),
    };
    let (admin, token_trouble) = serve_admin(&config, admin, view.sources(control)).await?;
    // The last that can fail: its thread outlives this function until the journal closes.
    let (mut keeping, mut threads) = (Keeping::new(&config), local::threads(&journal));
    keeping.start(store, &config, (&mut notifier, &mut threads), &view).await?;
    let receivers = bound.serve(journal.clone());
    let background = in_background(&config, alone, in_flight, &view);
    let running = Running {
        started: loaded,
        config,
        journal,
        exporters,
        keeping,
        threads,
        notifier,
        context_headers: receivers.context_headers(),
        admin,
        token_trouble,
        token_reads: JoinSet::new(),
        own,
        view,
    };
    Ok(Begun { running, receivers, recovery, _background: background })
}

/// What runs beside the data path, for as long as the set is held.
fn in_background(config: &Config, alone: bool, in_flight: InFlight, view: &View) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    if alone {
        let rss_bytes = telemetry::process::rss_bytes;
        tasks.spawn(memory::hold_ceiling(config.memory, in_flight, rss_bytes));
        tasks.spawn(stop::feed_watchdog());
    }
    let View { senders, registry, clock, journal, .. } = view;
    tasks.spawn(rejected::watch(journal.clone()));
    tasks.spawn(certificates::watch(registry.clone(), Arc::clone(clock)));
    tasks.spawn(senders::watch(senders.clone(), registry.clone(), Arc::clone(clock)));
    tasks
}

/// Sockets, unless a destination is one of them.
async fn bind(
    config: &Config,
    registry: &Registry,
    in_flight: &InFlight,
    clock: &Arc<dyn Clock>,
) -> Result<(receive::Bound, TcpListener), Error> {
    let (in_flight, registry) = (in_flight.clone(), registry.clone());
    let deps = receive::Deps { in_flight, registry, clock: Arc::clone(clock) };
    let bound = receive::bind(config.receive.clone(), deps).await?;
    let address = config.api.endpoint;
    let admin = listen(address).await.map_err(|source| Error::Admin { address, source })?;
    export::itself::refuse(&config.export, &listeners(&bound.endpoints())).await?;
    Ok((bound, admin))
}

/// The lanes, and what waits for each on `/metrics`.
fn start_exporters(
    config: &Config,
    journal: &Journal,
    registry: &Registry,
    clock: &Arc<dyn Clock>,
) -> Result<export::Exporters<journal::Reader>, export::StartError> {
    let memory = config.memory.export;
    let deps = export::Deps { clock: Arc::clone(clock), registry: registry.clone(), memory };
    let open = |name: &str| journal.reader(name);
    let exporters = export::Exporters::start(config.export.clone(), deps, open)?;
    export::queues::expose(registry, journal, &exporters.handle());
    Ok(exporters)
}

/// What reading the admin token gave.
type TokenRead = Result<Option<token::Found>, token::Unusable>;

/// What a reload changes and a drain takes down.
struct Running {
    /// What it was started with: what a reload does not take up stays so.
    started: Loaded,
    /// What is in force.
    config: Config,
    journal: Journal,
    exporters: export::Exporters<journal::Reader>,
    keeping: Keeping,
    threads: local::Threads,
    notifier: Notifier,
    context_headers: receive::ContextHeaders,
    admin: api::Api,
    token_trouble: token::Trouble,
    /// The token that is being read again.
    /// With the version of the token before each.
    token_reads: JoinSet<(u64, TokenRead)>,
    own: telemetry::Telemetry,
    view: View,
}

impl Running {
    async fn until_stopped(&mut self, events: &mut Events, load: &Arc<Reload>) -> Cause {
        let mut minutes = tokio::time::interval(TOKEN_INTERVAL);
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Event::Stop(cause) => return cause,
                    Event::Reload(answer) => {
                        // Lanes that it ended may wait for an answer for longer than a stop can. What
                        // they had taken is the journal's again.
                        let outcome = tokio::select! {
                            biased;
                            outcome = self.reload(load) => outcome,
                            cause = events.signalled() => return cause,
                        };
                        if let Some(answer) = answer {
                            // Whoever asked may have gone; the log says the same.
                            let _ = answer.send(outcome);
                        }
                    }
                },
                // Alone, the panic hook knows first; the hook of an application is its own.
                Some(Ok(thread)) = self.threads.join_next() => {
                    tracing::error!(thread, "a thread of the agent ended: stopping");
                    return Cause::Panic;
                }
                Some(again) = self.keeping.due() => {
                    // It reads and writes: a disk that hangs holds up no signal.
                    let kept = tokio::select! {
                        biased;
                        kept = self.keep(again) => kept,
                        cause = events.signalled() => return cause,
                    };
                    if let Err(error) = kept {
                        tracing::error!(error = telemetry::chain(&error), "stopping");
                        return Cause::Panic;
                    }
                },
                Some(Ok(read)) = self.token_reads.join_next() => self.take_token(read),
                _ = minutes.tick() => if self.token_reads.is_empty() {
                    self.read_token();
                },
            }
        }
    }

    /// Goes on with what the store was waited for.
    async fn keep(&mut self, again: Again) -> Result<(), Error> {
        let Self { keeping, notifier, threads, config, view, .. } = self;
        keeping.retry(again, config, (notifier, threads), view).await
    }

    /// Begins to read the token again: a disk that hangs holds up no signal.
    fn read_token(&mut self) {
        let source = token::Source::of(&self.config);
        let version = self.admin.token_version();
        self.token_reads.spawn_blocking(move || (version, source.read()));
    }

    fn take_token(&mut self, (version, read): (u64, TokenRead)) {
        if let Some(token) = self.token_trouble.take(read) {
            self.admin.replace_token(version, Some(token));
        }
    }

    /// Applies the configuration as it is on disk now. Listeners keep running, lanes that did not
    /// change are not touched, and the journal keeps every cursor.
    async fn reload(&mut self, load: &Arc<Reload>) -> Result<String, String> {
        stop::notify_reloading();
        tracing::info!("reading the configuration again");
        let outcome = self.try_reload(load).await;
        let trouble = outcome.as_ref().map(|_| ()).map_err(String::as_str);
        self.view.reload.note(trouble, self.view.now_seconds());
        match &outcome {
            Ok(summary) => tracing::info!(%summary, "configuration reloaded"),
            Err(error) => tracing::error!(%error, "configuration not reloaded: keeping the old"),
        }
        stop::notify_ready();
        outcome
    }

    async fn try_reload(&mut self, load: &Arc<Reload>) -> Result<String, String> {
        let load = Arc::clone(load);
        let newer = blocking::run(move || load()).await?;
        let export = newer.config.export.clone();
        export::itself::refuse(&export, &listeners(&self.view.endpoints))
            .await
            .map_err(|error| telemetry::chain(&error))?;
        let prepared = self.exporters.prepare(export).map_err(|error| telemetry::chain(&error))?;
        let anew: Vec<_> = prepared.lanes().map(str::to_owned).collect();
        let rules = judge::read(&newer.config).await?;
        let level = &newer.config.telemetry.logs.level;
        self.own.level().set(level).map_err(|error| telemetry::chain(&error))?;

        // Before the lanes that pass them on, so that no request reaches a lane without them.
        self.context_headers.set(newer.config.receive.headers_from_context.clone());
        self.exporters.release(&prepared).await;
        // Whether there is a store is settled at the start.
        let with_store = self.view.with_store();
        let changed = self.journal.reconfigure(readers(&newer.config.export, with_store));
        let journal = self.journal.clone();
        let applied = self.exporters.apply(prepared, |name| journal.reader(name));
        let mut summary = started::changes(&changed, &anew);
        if let Err(error) = applied {
            summary.push_str(&format!("; not all lanes run: {}", telemetry::chain(&error)));
        }
        self.notifier.reload(newer.config.notify.clone()).await;
        self.view.set_subquery_step(&newer.config.rules);
        if let Some(running) = &self.keeping.rules {
            running.reload(newer.config.rules.clone(), rules).await;
            self.view.rule_files.note(&[]);
        }
        for key in self.started.needs_restart(&newer) {
            summary.push_str(&format!("; {key} takes effect at the next start"));
        }
        let Config { api, journal, store, .. } = self.started.config.clone();
        self.config = Config { api, journal, store, ..newer.config };
        // One under way is of the configuration before.
        self.token_reads = JoinSet::new();
        self.read_token();
        if let Some(Ok(read)) = self.token_reads.join_next().await {
            self.take_token(read);
        }
        Ok(summary)
    }

    /// Takes everything down in order within `shutdown_timeout`.
    async fn drain(mut self, receivers: receive::Handle, cause: Cause) {
        let whole = self.config.shutdown_timeout;
        let deadline = tokio::time::Instant::now() + whole;
        tracing::info!(cause = cause.name(), within_seconds = whole.as_secs_f64(), "stopping");
        stop::notify_stopping();
        self.view.set_serving(false);
        receivers.set_serving(false);
        // A supervisor stops us while the applications beside us flush their last spans.
        if cause == Cause::Terminate {
            tokio::time::sleep(whole / 4).await;
        }
        let drained = receivers.drain(whole / 4).await;
        if !drained.complete {
            tracing::warn!("some requests were cut short; their senders will repeat them");
        }
        let last = last_of(whole);
        if let Some(rules) = self.keeping.rules.take() {
            // Evaluations end early; what they made belongs into the last checkpoint.
            let ended = tokio::time::timeout(last, rules.stop()).await;
            if ended.is_err() {
                tracing::warn!("an evaluation of rules did not end in time");
            }
        }
        let now = tokio::time::Instant::now();
        let left = deadline.duration_since(now).saturating_sub(last * AFTER_LANES);
        let saved = tokio::time::timeout(left, self.keeping.finish());
        let (undelivered, saved) = tokio::join!(self.exporters.shutdown(left), saved);
        for (lane, records) in undelivered.lanes {
            tracing::info!(lane, records, "cut short: what was being sent may arrive twice");
        }
        if saved.is_err() {
            tracing::warn!(
                "the metric store was not ready: it reads the journal again at the start"
            );
        }
        self.notifier.shutdown(last).await;
        if tokio::time::timeout(last, self.journal.close()).await.is_err() {
            tracing::warn!("the disk does not answer: what was delivered last may be sent again");
        }
        self.view.log_undelivered();
        self.admin.drain(last).await;
        tracing::info!("stopped");
        self.own.shutdown(last).await;
    }
}

/// Of a drain within `whole`: what each part gets at most that comes after the lanes.
fn last_of(whole: Duration) -> Duration {
    Duration::from_millis(500).min(whole / 16)
}

/// Where OTLP is taken, as the exporters want to know it.
fn listeners(endpoints: &[receive::Endpoint]) -> export::Listeners {
    let address = |endpoint: &receive::Endpoint| endpoint.address.parse().ok();
    let path =
        |endpoint: &receive::Endpoint| endpoint.address.strip_prefix("unix://").map(Into::into);
    export::Listeners {
        tcp: endpoints.iter().filter_map(address).collect(),
        unix: endpoints.iter().filter_map(path).collect(),
    }
}

async fn serve_admin(
    config: &Config,
    listener: TcpListener,
    sources: api::Sources,
) -> Result<(api::Api, token::Trouble), Error> {
    let error = |source| Error::Admin { address: config.api.endpoint, source };
    let (token, trouble) = token::at_start(config).await?;
    let api = api::serve(listener, config.api.clone(), token, sources).map_err(error)?;
    api.read_token_with(token::Source::of(config).reader());
    Ok((api, trouble))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_leaves_the_lanes_some_of_its_time_and_never_exceeds_it() {
        for millis in [100, 1_000, 2_000, 12_000, 60_000] {
            let whole = Duration::from_millis(millis);
            let around = whole / 4 * 2 + last_of(whole) * (1 + AFTER_LANES);
            assert!(whole - around >= whole / 8, "{whole:?}");
        }
    }
}
