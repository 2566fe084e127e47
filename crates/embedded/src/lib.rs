//! The Sidelight agent inside an application's process: alerts, PromQL, traces and retention without a sidecar.
//!
//! What the application records is handed to the agent as the bytes that would have gone over a socket, and judged, journaled
//! and stored by the same code. The agent has a thread, a runtime and a journal of its own; signals, the panic hook,
//! `tracing`'s subscriber and the service manager stay the application's.
//!
//! ```no_run
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let agent = sidelight_embedded::agent().config("agent.yaml").start()?;
//!     let telemetry = sidelight::init("checkout").deliver(agent.ingest()).start()?;
//!     tracing::info!("its API is at http://{}", agent.admin());
//!     // The application runs. What it recorded last goes to the agent, then the agent ends.
//!     drop(telemetry);
//!     agent.stop()?;
//!     Ok(())
//! }
//! ```
//!
//! [`start`](Agents::start), [`Agent::stop`] and dropping an [`Agent`] block the thread: the first until the journal is read,
//! the others for up to `shutdown_timeout` (12 s) and 2 s. On a runtime's thread use `spawn_blocking`. The agent may end before
//! the application: [`Agent::ended`] tells.
//!
//! Limits: those of the agent's configuration, but for the ceiling on the memory of the process, which is the application's.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::Builder;
use std::time::Duration;

use bytes::Bytes;
use sidelight::init::{Deliver, DeliverError, Delivering, Signal};
use sidelight_agent::agent::{self, Options, Started, Stopped};
use sidelight_agent::config::{LoadError, Loaded, ReadError, Recipe};
use sidelight_agent::receive::{Taking, Within};
use sidelight_agent::signal;
use sidelight_agent::telemetry::stderr;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

/// As many as the agent has on its own.
const WORKERS: usize = 2;

/// How much longer than its own shutdown timeout the agent may take to end.
const GRACE: Duration = Duration::from_secs(2);

/// Why the agent did not start, or did not end as asked. `Debug`, which is what a `main` that returns it shows, is the whole
/// chain in words.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration file.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The configuration; the text has every finding.
    #[error("{}", .0.told().trim_end())]
    Config(LoadError),
    /// The runtime or its thread.
    #[error("cannot start the agent's runtime")]
    Runtime(#[source] io::Error),
    /// The agent itself.
    #[error("the agent did not start")]
    Agent(#[from] agent::Error),
    /// Every listener is off: the agent judges requests by the limits of one.
    #[error("the agent needs at least one OTLP listener")]
    NoListener,
    /// A part of it panicked, or somebody asked its admin endpoint to quit.
    #[error("the agent ended before the application asked it to")]
    Ended,
    /// It drains longer than its timeout; what is not delivered stays in its journal.
    #[error("the agent did not end within {0:?}")]
    Timeout(Duration),
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// How an agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// As asked, by the application or by `POST /-/quit` on its admin endpoint.
    Drained,
    /// A part of it panicked. What was durable is in its journal.
    Panicked,
}

/// Begins the description of an agent; [`start`](Agents::start) ends it.
///
/// ```no_run
/// let agent = sidelight_embedded::agent().set("admin.endpoint=127.0.0.1:9464").start()?;
/// # Ok::<(), sidelight_embedded::Error>(())
/// ```
pub fn agent() -> Agents {
    Agents::default()
}

/// What an agent is started with. Without a file it has the agent's defaults.
#[derive(Clone, Default)]
#[must_use = "nothing happens before .start()"]
pub struct Agents {
    files: Vec<PathBuf>,
    set: Vec<String>,
}

impl fmt::Debug for Agents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secrets.
        let set = format_args!("{} values", self.set.len());
        f.debug_struct("Agents").field("files", &self.files).field("set", &set).finish()
    }
}

impl Agents {
    /// One more configuration file; later ones win.
    pub fn config(mut self, file: impl Into<PathBuf>) -> Self {
        self.files.push(file.into());
        self
    }

    /// One value that wins over the files, such as `journal.durability=os`.
    pub fn set(mut self, assignment: impl Into<String>) -> Self {
        self.set.push(assignment.into());
        self
    }

    /// Starts the agent, and returns when everything of it runs: blocks for as long as the journal is read.
    ///
    /// # Errors
    ///
    /// [`Error`]; nothing runs then.
    pub fn start(self) -> Result<Agent, Error> {
        let recipe = Recipe::new(&self.files, self.set)?;
        let loaded = recipe.load().map_err(Error::Config)?;
        let shutdown_timeout = loaded.config.shutdown_timeout;
        let (tell, told) = sync_channel(1);
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = sync_channel(1);
        let (how, told_how) = watch::channel(None);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("sidelight-agent")
            .enable_all()
            .build()
            .map_err(Error::Runtime)?;
        let handle = runtime.handle().clone();
        let run = move || {
            let result = runtime.block_on(run(recipe, loaded, stopped, tell.clone()));
            let drained = result.is_ok();
            // Before the start was told of, whoever started it waits for this.
            _ = tell.try_send(result.map(|()| None));
            runtime.shutdown_background();
            stderr::flush();
            how.send_replace(Some(if drained { End::Drained } else { End::Panicked }));
            _ = end.send(());
        };
        Builder::new().name("sidelight-agent".to_owned()).spawn(run).map_err(Error::Runtime)?;
        let running = told.recv().map_err(|_| Error::Ended)??.ok_or(Error::Ended)?;
        Ok(Agent { stop: Some(stop), ended, how: told_how, shutdown_timeout, handle, running })
    }
}

type Told = Result<Option<Running>, Error>;

async fn run(
    recipe: Recipe,
    loaded: Loaded,
    stopped: oneshot::Receiver<()>,
    tell: SyncSender<Told>,
) -> Result<(), Error> {
    let options = Options {
        reload: std::sync::Arc::new(move || recipe.load().map_err(|error| error.told())),
        started: Box::new(move |started| _ = tell.try_send(Running::of(started).map(Some))),
        embedded: Some(stopped),
    };
    match Box::pin(agent::run(loaded, options)).await? {
        Stopped::Drained | Stopped::AtOnce(_) => Ok(()),
        Stopped::Panicked => Err(Error::Ended),
    }
}

#[derive(Clone, Debug)]
struct Running {
    within: Within,
    admin: SocketAddr,
    listeners: Vec<String>,
}

impl Running {
    fn of(started: &Started) -> Result<Self, Error> {
        let within = started.within.clone().ok_or(Error::NoListener)?;
        let listeners = started.receivers.iter().map(|one| one.address.clone()).collect();
        Ok(Self { within, admin: started.admin, listeners })
    }
}

/// A running agent. Dropping it ends it as [`stop`](Self::stop) does, and blocks as long: drop what delivers into it before.
#[derive(Debug)]
#[must_use = "dropping it ends the agent"]
pub struct Agent {
    stop: Option<oneshot::Sender<()>>,
    ended: Receiver<()>,
    how: watch::Receiver<Option<End>>,
    shutdown_timeout: Duration,
    handle: Handle,
    running: Running,
}

impl Agent {
    /// Where an application's telemetry is delivered: give it to [`deliver`](sidelight::init::Init::deliver).
    #[must_use]
    pub fn ingest(&self) -> Ingest {
        Ingest { within: self.running.within.clone(), runtime: self.handle.clone() }
    }

    /// Where PromQL and the rest of the HTTP API are.
    #[must_use]
    pub const fn admin(&self) -> SocketAddr {
        self.running.admin
    }

    /// Where OTLP of other processes is taken, such as `127.0.0.1:4317`.
    #[must_use]
    pub fn listeners(&self) -> &[String] {
        &self.running.listeners
    }

    /// Resolves when the agent has ended, whoever asked for it, on any runtime. What is delivered to it then is refused.
    pub fn ended(&self) -> impl Future<Output = End> + Send + use<> {
        let mut how = self.how.clone();
        async move {
            let ended = how.wait_for(Option::is_some).await;
            // Its thread is gone without a word.
            ended.ok().and_then(|ended| *ended).unwrap_or(End::Panicked)
        }
    }

    /// Ends the agent: it delivers what it can within its `shutdown_timeout`, and keeps the rest in its journal. Blocks until
    /// then, for `shutdown_timeout` and 2 s at most.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`]; [`Error::Ended`], when it had ended before.
    pub fn stop(mut self) -> Result<(), Error> {
        self.end()
    }

    fn end(&mut self) -> Result<(), Error> {
        let Some(stop) = self.stop.take() else { return Ok(()) };
        if stop.send(()).is_err() {
            return Err(Error::Ended);
        }
        let bound = self.shutdown_timeout + GRACE;
        match self.ended.recv_timeout(bound) {
            Err(RecvTimeoutError::Timeout) => Err(Error::Timeout(bound)),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Ok(()),
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        _ = self.end();
    }
}

/// Hands requests to the agent. When the agent has ended they are refused, and counted by whoever sends.
#[derive(Clone, Debug)]
pub struct Ingest {
    within: Within,
    runtime: Handle,
}

impl Ingest {
    /// In the agent's runtime.
    fn taken(&self, taking: Taking) -> Delivering {
        let taking = self.runtime.spawn(taking);
        Box::pin(async move { taking.await?.map_err(DeliverError::from) })
    }
}

impl Deliver for Ingest {
    fn deliver(&self, signal: Signal, request: Vec<u8>) -> Delivering {
        let signal = match signal {
            Signal::Traces => signal::Signal::Traces,
            Signal::Metrics => signal::Signal::Metrics,
            Signal::Logs => signal::Signal::Logs,
        };
        self.taken(self.within.take(signal, Bytes::from(request)))
    }

    fn deliver_sketches(&self, request: Vec<u8>) -> Delivering {
        self.taken(self.within.take_sketches(Bytes::from(request)))
    }
}
