//! Seeded simulation: a journal on a disk that is full, failing or slow, lanes to destinations that
//! are down, slow, flapping, lying and refusing, and restarts in between.
//!
//! The oracle, after everything has healed: what was acknowledged was delivered to each destination
//! or is counted as dropped by it with a reason; what was delivered had been sent; the ledger
//! balances at every look; and nothing stays queued. `SIM_SEEDS=1000` runs more, `SIM_SEED=7`
//! replays one (its faults; scheduling is the operating system's).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "a test program has no outside")]

#[path = "../it/export/destination.rs"]
#[expect(dead_code, reason = "shared with tests/it, which looks at more of it")]
mod destination;
mod disk;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use sidelight_agent::export::config::{
    ClientConfig, Config, Destination as Configured, Protocol, Retry, Target,
};
use sidelight_agent::export::endpoint::Endpoint;
use sidelight_agent::export::{self, Exporters};
use sidelight_agent::journal::{self, Durability, Journal, Reader, SignalSet};
use sidelight_agent::signal::{Flags, Meta, Record, Signal};
use sidelight_agent::telemetry::Registry;
use sidelight_agent::time::SystemClock;

use destination::{Answer, Destination};
use disk::{FaultyDisk, Odds};

const SEEDS_DEFAULT: u64 = 20;
const REQUESTS: usize = 60;
/// Lanes back off for 50 ms at most: a world that has healed and has not settled in this time is stuck.
const LIVENESS: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_whatever_disks_and_destinations_do() {
    let replay = std::env::var("SIM_SEED").ok().and_then(|seed| seed.parse().ok());
    let many = std::env::var("SIM_SEEDS").ok().and_then(|n| n.parse().ok());
    let seeds = match replay {
        Some(seed) => seed..seed + 1,
        None => 0..many.unwrap_or(SEEDS_DEFAULT),
    };
    let mut total = Outcome::default();
    for seed in seeds.clone() {
        println!("seed {seed}");
        total.add(&World::new(seed).await.run().await);
    }
    println!("{} seeds: {total:?}", seeds.count());
    assert!(total.acknowledged > 0 && total.delivered > 0, "the simulation shows nothing");
}

/// What one world, or many, came to.
#[derive(Debug, Default)]
struct Outcome {
    acknowledged: usize,
    refused: usize,
    delivered: usize,
    duplicates: usize,
    dropped: u64,
    disk_faults: u64,
    restarts: usize,
}

impl Outcome {
    fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.delivered += other.delivered;
        self.duplicates += other.duplicates;
        self.dropped += other.dropped;
        self.disk_faults += other.disk_faults;
        self.restarts += other.restarts;
    }
}

/// One seed's disk, destinations and agent.
struct World {
    random: fastrand::Rng,
    directory: tempfile::TempDir,
    disk: FaultyDisk,
    durability: Durability,
    healed: Arc<AtomicBool>,
    destinations: Vec<Destination>,
}

/// The part of an agent that is simulated.
struct Running {
    journal: Journal,
    exporters: Exporters<Reader>,
}

impl World {
    async fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut odds = || if random.bool() { random.u32(0..120) } else { 0 };
        let odds = Odds { full: odds(), failing: odds(), slow: odds() };
        let durability = if random.bool() { Durability::Fsync } else { Durability::Os };
        let healed = Arc::new(AtomicBool::new(false));
        let mut destinations = Vec::new();
        for index in 0..random.usize(1..3) {
            let (seed, healed) = (random.u64(..), Arc::clone(&healed));
            let protocol = protocol_of(index);
            let script = move |n: usize, _: &[String]| {
                if healed.load(Ordering::Relaxed) { Answer::Ok } else { answer(seed, n, protocol) }
            };
            destinations.push(Destination::serve(script).await);
        }
        let disk = FaultyDisk::new(random.u64(..), odds);
        let directory = tempfile::tempdir().unwrap();
        Self { random, directory, disk, durability, healed, destinations }
    }

    async fn run(mut self) -> Outcome {
        let mut outcome = Outcome::default();
        let mut acknowledged = BTreeSet::new();
        let mut sent = BTreeSet::new();
        let mut running = self.start().await;
        for request in 0..REQUESTS {
            let names: Vec<_> =
                (0..self.random.usize(1..6)).map(|i| format!("r{request:03}-{i}")).collect();
            sent.extend(names.iter().cloned());
            match running.journal.append(record(&names)).await {
                Ok(_) => acknowledged.extend(names),
                Err(_) => outcome.refused += names.len(),
            }
            running.check_balance();
            if self.random.u32(0..1000) < 40 {
                outcome.restarts += 1;
                running = self.restart(running).await;
            }
        }
        self.healed.store(true, Ordering::Relaxed);
        self.disk.heal();
        running.settled(self.directory.path()).await;
        outcome.acknowledged = acknowledged.len();
        outcome.disk_faults = self.disk.injected();
        for (index, destination) in self.destinations.iter().enumerate() {
            let taken = destination.taken();
            let distinct: BTreeSet<_> = taken.iter().cloned().collect();
            let unknown: Vec<_> = distinct.difference(&sent).collect();
            assert!(unknown.is_empty(), "delivered but never sent: {unknown:?}");
            let lost: Vec<_> = acknowledged.difference(&distinct).collect();
            let dropped = running.dropped(&name_of(index));
            assert!(lost.len() as u64 <= dropped, "{dropped} dropped, but lost: {lost:?}");
            outcome.delivered += distinct.len();
            outcome.duplicates += taken.len() - distinct.len();
            outcome.dropped += dropped;
        }
        outcome
    }

    /// An agent that starts on a disk that may refuse: it is started again until it runs.
    async fn start(&mut self) -> Running {
        let config = Config {
            destinations: self
                .destinations
                .iter()
                .enumerate()
                .map(|(index, destination)| configured(index, destination))
                .collect(),
        };
        let clock = Arc::new(SystemClock::new());
        for _ in 0..100 {
            let deps = journal::Deps {
                fs: Arc::new(self.disk.clone()),
                clock: clock.clone(),
                registry: Registry::default(),
            };
            let wanted = journal::Config {
                directory: self.directory.path().to_owned(),
                durability: self.durability,
                max_size: Some(256 << 20),
                tail_size: 4 << 10,
                ..journal::Config::default()
            };
            let readers = export::readers(&config);
            let Ok((journal, _)) = Journal::open(wanted, readers, deps) else { continue };
            let deps = export::Deps { clock, registry: Registry::default(), memory: 16 << 20 };
            let exporters = Exporters::start(config, deps, |name| journal.reader(name)).unwrap();
            return Running { journal, exporters };
        }
        panic!("a disk that fails sometimes let no journal open in 100 attempts");
    }

    /// Ends the agent with whatever is in flight, and starts one on the same directory.
    async fn restart(&mut self, running: Running) -> Running {
        let grace = Duration::from_millis(self.random.u64(0..20));
        running.exporters.shutdown(grace).await;
        running.journal.close().await;
        drop(running.journal);
        self.start().await
    }
}

impl Running {
    fn check_balance(&self) {
        for lane in self.journal.ledger().readers {
            assert!(lane.balances(), "{lane:?}");
        }
    }

    async fn settled(&self, directory: &Path) {
        let settled = async {
            while self.journal.ledger().readers.iter().any(|lane| lane.queued.items > 0) {
                self.check_balance();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let outcome = tokio::time::timeout(LIVENESS, settled).await;
        let (ledger, status) = (self.journal.ledger(), self.journal.status());
        let lanes = self.exporters.handle().lanes();
        assert!(outcome.is_ok(), "stuck in {directory:?}: {ledger:#?} {status:#?} {lanes:#?}");
    }

    fn dropped(&self, exporter: &str) -> u64 {
        let readers = self.journal.ledger().readers;
        let of_it = readers.iter().filter(|lane| lane.exporter == exporter);
        of_it.flat_map(|lane| lane.dropped.values()).sum()
    }
}

fn name_of(index: usize) -> String {
    format!("otlp/{index}")
}

fn protocol_of(index: usize) -> Protocol {
    if index == 0 { Protocol::Grpc } else { Protocol::Http }
}

fn configured(index: usize, destination: &Destination) -> Configured {
    let protocol = protocol_of(index);
    let address = format!("http://{}", destination.address);
    let endpoint = Endpoint::parse(&address, true, protocol.default_port()).unwrap();
    let mut client = ClientConfig::new(protocol, endpoint);
    client.timeout = Duration::from_millis(150);
    let mut configured = Configured::new(name_of(index), Target::Otlp(Box::new(client)));
    configured.signals = SignalSet::only(Signal::Traces);
    configured.queue.batch.flush_timeout = Duration::from_millis(2);
    configured.retry = Retry {
        initial_interval: Duration::from_millis(2),
        max_interval: Duration::from_millis(50),
        ..Retry::default()
    };
    configured
}

/// What a destination does with its `n`th request while the world is ill: phases of eight requests
/// have one mood.
fn answer(seed: u64, n: usize, protocol: Protocol) -> Answer {
    let mut mood = fastrand::Rng::with_seed(seed ^ (n as u64 / 8).wrapping_mul(0x9E37_79B9));
    let mut random = fastrand::Rng::with_seed(seed ^ (n as u64).wrapping_mul(0x85EB_CA6B));
    match (mood.u32(0..10), protocol) {
        (0..4, _) => Answer::Ok,
        (4, _) => Answer::Cut,
        (5, _) => Answer::TakenThenCut,
        (6, _) => Answer::Hang,
        (7, _) => Answer::Goodbye,
        (8, Protocol::Grpc) => match random.u8(0..4) {
            0 => Answer::TrailersOnly(random.u8(1..17)),
            1 => Answer::NoStatus,
            2 => Answer::Huge(5 << 20),
            _ => Answer::Http(random.u16(400..512), &[]),
        },
        (_, Protocol::Grpc) => Answer::Grpc(random.u8(1..17), None),
        (_, Protocol::Http) => Answer::Http(random.u16(400..512), &[]),
    }
}

fn record(names: &[String]) -> Record {
    let spans = names.iter().map(|name| Span { name: name.clone(), ..Span::default() }).collect();
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    let payload: Bytes = ExportTraceServiceRequest { resource_spans }.encode_to_vec().into();
    let items = u32::try_from(names.len()).unwrap();
    Record {
        signal: Signal::Traces,
        items,
        flags: Flags::default(),
        meta: Meta::default(),
        payload,
    }
}
