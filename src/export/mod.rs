//! OTLP out: one lane per signal and destination.
//!
//! ```text
//! journal ──▶ lane otlp_grpc/tempo:traces ──▶ client ──▶ destination
//!        ╲──▶ lane otlp_grpc/tempo:metrics ─▶   …
//!         ╲─▶ lane otlp_http/backend:logs ──▶   …
//! ```
//! A lane has its own reader, slots, backoff and connections: none waits for another. What they hold in memory is
//! one [`budget`]. The cores are pure: [`batch`] says what is sent together, [`disposition`] what an
//! answer means, [`schedule`] and [`crate::net::retry`] when something is sent again; `lane` and [`client`] do the work.
//!
//! Invariant: accepted = delivered + queued + dropped{reason} for every lane, since each record that a lane
//! reads is settled once, or is still the journal's.

pub mod account;
pub mod batch;
pub mod budget;
pub mod client;
pub mod compress;
pub mod config;
pub mod disposition;
pub mod endpoint;
pub mod intake;
pub mod itself;
mod lane;
mod metrics;
pub mod queues;
pub mod refused;
mod report;
pub mod schedule;
mod spans;
pub mod status;
mod target;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use client::ClientError;
pub use config::Config;
pub use intake::Intake;
pub use itself::{Listeners, Loop};
pub use status::Handle;

use crate::journal::{ReaderConfig, SignalSet};
use crate::signal::Signal;
use crate::telemetry::Registry;
use crate::time::Clock;
use budget::Budget;
use config::{Destination, Target};
use lane::{Carry, Lane, Mode, Parts};
use metrics::LaneMetrics;
use report::Report;
use status::LaneCell;
use target::{Debug, File, Sink};

/// What lanes need besides their configuration.
#[derive(Clone, Debug)]
pub struct Deps {
    /// Wall and monotonic time.
    pub clock: Arc<dyn Clock>,
    /// Where self-metrics live.
    pub registry: Registry,
    /// Bytes that all lanes together may hold.
    pub memory: usize,
}

/// A configuration that cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A destination's own configuration.
    #[error("exporter {exporter}")]
    Client {
        /// Its name.
        exporter: String,
        /// What is wrong.
        source: ClientError,
    },
    /// The journal has no reader of that name, or it is taken.
    #[error("the journal has no reader {0}")]
    NoReader(String),
}

/// The name of a lane's journal reader.
#[must_use]
pub fn reader_name(exporter: &str, signal: Signal) -> String {
    format!("{exporter}:{signal}")
}

/// The journal readers that `config` needs.
#[must_use]
pub fn readers(config: &Config) -> Vec<ReaderConfig> {
    let of = |(destination, signal): (&Destination, Signal)| ReaderConfig {
        name: reader_name(&destination.name, signal),
        signals: SignalSet::only(signal),
        durable: true,
        start: destination.queue.start,
        when_full: destination.queue.when_full,
    };
    lanes_of(config).map(of).collect()
}

fn lanes_of(config: &Config) -> impl Iterator<Item = (&Destination, Signal)> {
    config.destinations.iter().flat_map(|destination| {
        let of_it = Signal::ALL.into_iter().filter(|&s| destination.signals.contains(s));
        of_it.map(move |signal| (destination, signal))
    })
}

/// Every lane, running.
#[derive(Debug)]
pub struct Exporters<I> {
    config: Config,
    deps: Deps,
    budget: Budget,
    handle: Handle,
    lanes: Vec<Running<I>>,
    released: Vec<(String, Carry<I>)>,
}

/// A configuration of which nothing can fail any more but the journal's readers.
#[derive(Debug)]
pub struct Prepared {
    config: Config,
    /// By the name of the lane; those that go on have none.
    sinks: Vec<(String, Arc<Sink>)>,
}

impl Prepared {
    /// The names of the lanes that begin with it: the others go on.
    pub fn lanes(&self) -> impl Iterator<Item = &str> {
        self.sinks.iter().map(|(name, _)| name.as_str())
    }
}

#[derive(Debug)]
struct Running<I> {
    name: String,
    exporter: String,
    signal: Signal,
    mode: watch::Sender<Mode>,
    cell: Arc<LaneCell>,
    task: JoinHandle<Carry<I>>,
}

/// What lanes left behind when they ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undelivered {
    /// Per lane: its reader's name, and the records that it had read and not settled. They stay in the
    /// journal, like everything that it had not read.
    pub lanes: Vec<(String, usize)>,
}

impl<I: Intake> Exporters<I> {
    /// Starts every lane; `open` gives the journal reader of a name.
    ///
    /// # Errors
    /// [`StartError`]: show it, start nothing.
    pub fn start(
        config: Config,
        deps: Deps,
        open: impl FnMut(&str) -> Option<I>,
    ) -> Result<Self, StartError> {
        let mut exporters = Self {
            config: Config::default(),
            budget: Budget::new(deps.memory),
            deps,
            handle: Handle::default(),
            lanes: Vec::new(),
            released: Vec::new(),
        };
        let prepared = exporters.prepare(config)?;
        exporters.apply(prepared, open)?;
        Ok(exporters)
    }

    /// Looks at every lane.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// The first step of a reload: makes everything of `config` that can fail, and changes nothing.
    ///
    /// # Errors
    /// [`StartError::Client`].
    pub fn prepare(&self, config: Config) -> Result<Prepared, StartError> {
        let mut sinks: Vec<(String, Arc<Sink>)> = Vec::new();
        let mut shared: Option<(&str, Arc<Sink>)> = None;
        for (destination, signal) in lanes_of(&config).filter(|(d, _)| !self.goes_on(d)) {
            let sink = match &shared {
                Some((of, sink)) if *of == destination.name => Arc::clone(sink),
                _ => Arc::new(sink(destination, &self.deps)?),
            };
            // Lanes have their own connections, but one file has one writer.
            if matches!(*sink, Sink::File(_)) {
                shared = Some((&destination.name, Arc::clone(&sink)));
            }
            sinks.push((reader_name(&destination.name, signal), sink));
        }
        Ok(Prepared { config, sinks })
    }

    /// Whether the lanes of `destination` run and need no change.
    fn goes_on(&self, destination: &Destination) -> bool {
        self.config.destinations.contains(destination)
    }

    /// The second step: ends the lanes that the new configuration changes or does not have. What they have in
    /// flight is awaited (at most their timeout, and 10 s for what goes to `journal/rejected/`), the rest is kept for their
    /// successors. Then reconfigure the journal and call [`Exporters::apply`].
    pub async fn release(&mut self, prepared: &Prepared) {
        let config = &prepared.config;
        let lanes = std::mem::take(&mut self.lanes);
        let stays =
            |name: &str| config.destinations.iter().any(|d| d.name == name && self.goes_on(d));
        let (staying, ending): (Vec<_>, Vec<_>) =
            lanes.into_iter().partition(|l| stays(&l.exporter));
        self.lanes = staying;
        for lane in &ending {
            lane.mode.send_replace(Mode::Release);
        }
        let kept: Vec<_> = readers(config).into_iter().map(|r| r.name).collect();
        for lane in ending {
            let Ok(carry) = lane.task.await else { continue };
            if kept.contains(&lane.name) {
                self.released.push((lane.name, carry));
            } else {
                metrics::remove(&self.deps.registry, &lane.exporter, lane.signal);
            }
        }
    }

    /// The last step: starts the lanes that were prepared.
    ///
    /// # Errors
    /// [`StartError::NoReader`] for a lane without one; every other one runs.
    pub fn apply(
        &mut self,
        prepared: Prepared,
        mut open: impl FnMut(&str) -> Option<I>,
    ) -> Result<(), StartError> {
        let Prepared { mut config, sinks } = prepared;
        let mut missing = None;
        for (destination, signal) in lanes_of(&config) {
            let name = reader_name(&destination.name, signal);
            let Some((_, sink)) = sinks.iter().find(|(of, _)| *of == name) else { continue };
            let released = self.released.iter().position(|(n, _)| *n == name);
            let carry = match released {
                Some(at) => self.released.swap_remove(at).1,
                None => match open(&name) {
                    Some(intake) => Carry::fresh(intake),
                    None => {
                        missing = Some((destination.name.clone(), name));
                        continue;
                    }
                },
            };
            let lane = self.spawn(destination, signal, Arc::clone(sink), carry);
            self.lanes.push(lane);
        }
        let order: Vec<_> = readers(&config).into_iter().map(|reader| reader.name).collect();
        self.lanes.sort_by_key(|lane| order.iter().position(|name| *name == lane.name));
        self.handle.set(self.lanes.iter().map(|lane| Arc::clone(&lane.cell)).collect());
        // The next reload makes it anew.
        config.destinations.retain(|d| missing.as_ref().is_none_or(|(name, _)| d.name != *name));
        self.config = config;
        missing.map_or(Ok(()), |(_, lane)| Err(StartError::NoReader(lane)))
    }

    fn spawn(
        &self,
        destination: &Destination,
        signal: Signal,
        sink: Arc<Sink>,
        carry: Carry<I>,
    ) -> Running<I> {
        let exporter = destination.name.clone();
        let cell =
            Arc::new(self.handle.successor(&exporter, signal, carry.intake.keeps_rejected()));
        let (mode, told) = watch::channel(Mode::Run);
        let parts = Parts {
            signal,
            sink,
            share: self.budget.share(),
            metrics: LaneMetrics::new(&self.deps.registry, &exporter, signal),
            report: Report::new(Arc::clone(&cell), Arc::clone(&self.deps.clock)),
            clock: Arc::clone(&self.deps.clock),
            mode: told,
        };
        let task = tokio::spawn(Lane::new(parts, destination, carry).run());
        let name = reader_name(&exporter, signal);
        Running { name, exporter, signal, mode, cell, task }
    }

    /// Sends what is there until nothing is left or `deadline` has passed, then ends every lane. A lane whose
    /// destination takes nothing ends at once. What is left stays in the journal.
    pub async fn shutdown(self, deadline: Duration) -> Undelivered {
        let until = tokio::time::Instant::now() + deadline;
        for lane in &self.lanes {
            lane.mode.send_replace(Mode::Drain);
        }
        let mut undelivered = Undelivered::default();
        for mut lane in self.lanes {
            let ended = match tokio::time::timeout_at(until, &mut lane.task).await {
                Ok(ended) => ended,
                Err(_) => {
                    lane.mode.send_replace(Mode::Stop);
                    lane.task.await
                }
            };
            let left = ended.map_or(0, |carry| carry.unsettled());
            if left > 0 {
                undelivered.lanes.push((lane.name, left));
            }
        }
        undelivered
    }
}

fn sink(destination: &Destination, deps: &Deps) -> Result<Sink, StartError> {
    let exporter = destination.name.clone();
    match &destination.target {
        Target::Otlp(config) => {
            let client = client::Client::new(config, Arc::clone(&deps.clock));
            let client = client.map_err(|source| StartError::Client { exporter, source })?;
            Ok(Sink::Otlp(Box::new(client)))
        }
        Target::Debug(config) => Ok(Sink::Debug(Debug::new(exporter, config))),
        Target::File(config) => Ok(Sink::File(Arc::new(File::new(config)))),
    }
}
