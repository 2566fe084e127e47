//! One seed's world: a disk, a clock, one or two destinations, three senders and an agent that lives and ends among them.
//!
//! A world is a few phases of some simulated seconds or minutes, each with troubles drawn anew, some with an end of the
//! agent: a loss of power, a kill, an orderly restart. Then everything heals, and the world is judged.

mod reload;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use sidelight_agent::export::{self, Exporters};
use sidelight_agent::journal::{Deps, Durability, Journal, Reader};
use sidelight_agent::memory::InFlight;
use sidelight_agent::receive::{self, Bind, Listener};
use sidelight_agent::telemetry::Registry;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinHandle};

use crate::client::{Client, WayIn};
use crate::clock::SimClock;
use crate::disk::{Fault, Operation, SimFs};
use crate::happened::Happened;
use crate::kept::{Kept, not_kept};
use crate::names::ids_in;
use crate::network::{Network, Weather};
use crate::oracle::{GivenUp, Outcome, check_balance, check_nothing_lost, judge};
use crate::place::{Place, weather, weather_in};
use crate::sender::{SIGNALS, Sender};
use crate::tasks::{Bell, beat, read_locally, write};
use crate::told::Told;

/// Lanes back off for half a minute, requests take ten seconds to time out: a world that has healed and has not settled
/// in this simulated time is stuck.
const LIVENESS: Duration = Duration::from_secs(600);
const LOCAL: &str = "local";

/// The part of an agent that is simulated.
struct Agent {
    journal: Journal,
    exporters: Exporters<Reader>,
    /// What the journal counts.
    registry: Registry,
    tasks: Vec<JoinHandle<()>>,
}

/// How an agent ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Power,
    Kill,
    Orderly,
    /// The power goes right after.
    OrderlyThenPower,
}

pub struct World {
    tell: bool,
    random: Rng,
    clock: SimClock,
    disk: SimFs,
    config: sidelight_agent::journal::Config,
    /// What the lanes may hold.
    memory: usize,
    places: Vec<Place>,
    healed: Arc<AtomicBool>,
    /// How long the disk takes before a group.
    lag: Arc<Mutex<Duration>>,
    /// The disk lost its power under the agent.
    died: Arc<Notify>,
    way_in: WayIn,
    told: Arc<Mutex<Told>>,
    agent: Option<Agent>,
    /// A bit rotted where nothing tells it from a torn end: the next start may cost anything.
    rotted_newest: bool,
    /// The agent ended in a way that its mode promises nothing about, or on a disk that had lied about a sync.
    forgiven: bool,
    rot_anywhere: bool,
    /// Records that the agents before this one said are not kept in `rejected/`.
    not_kept: u64,
    happened: Happened,
    outcome: Outcome,
}

impl World {
    pub fn new(seed: u64, tell: bool) -> Self {
        let mut random = Rng::with_seed(seed);
        let clock = SimClock::new();
        let disk = SimFs::new(random.u64(..)).with_clock(clock.beside());
        let durability = match random.u8(..10) {
            0..6 => Durability::Fsync,
            6..9 => Durability::Os,
            _ => Durability::Memory,
        };
        let config = sidelight_agent::journal::Config {
            directory: "/journal".into(),
            durability,
            max_size: Some(random.u64(1..4) << 19),
            retention_size: random.u64(..2) << 19,
            tail_size: random.usize(..64 << 10),
            memory_size: 256 << 10,
            ..sidelight_agent::journal::Config::default()
        };
        let healed = Arc::new(AtomicBool::new(false));
        let happened = Happened::default();
        let count = random.usize(1..3);
        let places = (0..count).map(|nth| Place::new(nth, &mut random, &healed, &happened));
        let places: Vec<_> = places.collect();
        // Drawn beside the rest, of which a seed makes the same whatever is added here.
        let mut beside = Rng::with_seed(!seed);
        let memory = [24 << 10, 192 << 10, 1 << 20][beside.usize(..3)];
        places[0].poison.set(beside.u8(..4) == 0);
        let rot_anywhere = random.u8(..4) == 0;
        let network = Network::into_agent(happened.clone());
        Self {
            tell,
            clock,
            disk,
            config,
            memory,
            places,
            healed,
            lag: Arc::default(),
            died: Arc::default(),
            way_in: WayIn { receiver: Arc::default(), network },
            told: Arc::default(),
            agent: None,
            rotted_newest: false,
            forgiven: false,
            rot_anywhere,
            not_kept: 0,
            happened,
            outcome: Outcome::default(),
            random,
        }
    }

    pub async fn run(mut self) -> Outcome {
        self.say(format_args!("{:?}, {} for lanes", self.config, self.memory));
        for place in &self.places {
            self.say(format_args!("{place}"));
        }
        self.start().await;
        let senders = self.senders();
        for _ in 0..self.random.usize(4..12) {
            self.phase().await;
        }
        self.heal().await;
        self.wait_until("every sender is acknowledged again", {
            let before = self.told.lock().unwrap().acks.clone();
            move |world: &Self| {
                let acks = &world.told.lock().unwrap().acks;
                (0..SIGNALS.len()).all(|n| acks.get(&n) > before.get(&n))
            }
        })
        .await;
        self.wait_until("what a destination takes passes what it does not", |world: &Self| {
            world.places.iter().all(|place| place.poison.is_passed())
        })
        .await;
        self.places.iter().for_each(|place| place.poison.set(false));
        senders.iter().for_each(JoinHandle::abort);
        self.wait_until("nothing is queued", |world: &Self| {
            let ledger = world.journal().ledger();
            ledger.readers.iter().all(|lane| lane.queued.requests == 0)
        })
        .await;
        self.judge().await
    }

    fn senders(&mut self) -> Vec<JoinHandle<()>> {
        let name_bytes_max = [1, 200, 20_000][self.random.usize(..3)];
        let mut senders = Vec::new();
        for (number, signal) in SIGNALS.into_iter().enumerate() {
            let way = self.way_in.clone();
            let sender = Sender {
                signal,
                number,
                random: self.random.fork(),
                client: match self.random.u8(..4) {
                    0 => Client::Within(way),
                    1 => Client::Http(way),
                    _ => Client::Grpc(way, Mutex::default()),
                },
                told: Arc::clone(&self.told),
                happened: self.happened.clone(),
                patience: Duration::from_millis(self.random.u64(100..10_000)),
                attempts: self.random.usize(1..4),
                poison_once: self.memory < 64 << 10,
                name_bytes_max,
            };
            senders.push(tokio::spawn(sender.run()));
        }
        senders
    }

    /// One phase: troubles, time, and perhaps the agent's end.
    async fn phase(&mut self) {
        self.disk.heal();
        self.disk.set_capacity(1 << 30);
        *self.lag.lock().unwrap() = Duration::ZERO;
        for _ in 0..self.random.usize(..3) {
            self.trouble_the_disk();
        }
        for place in &self.places {
            if self.random.bool() {
                place.network.set(weather(&mut self.random));
            }
        }
        if self.random.bool() {
            self.way_in.network.set(weather_in(&mut self.random));
        }
        if self.random.u8(..6) == 0 {
            let size = self.random.u32(1..20);
            let by = Duration::from_secs(self.random.u64(1..1 << size));
            let back = self.random.bool();
            self.say(format_args!(
                "the wall clock jumps {by:?} {}",
                if back { "back" } else { "on" }
            ));
            self.happened.note(if back { "clock back" } else { "clock on" });
            self.clock.jump(by, back);
        }
        if self.random.u8(..6) == 0 {
            self.reload().await;
        }
        let time = Duration::from_millis(self.random.u64(10..60_000));
        let (died, disk) = (Arc::clone(&self.died), self.disk.clone());
        let powerless = async move {
            while !disk.is_off() {
                died.notified().await;
            }
        };
        if tokio::time::timeout(time, powerless).await.is_ok() || self.disk.is_off() {
            return self.end_and_start(End::Power).await;
        }
        self.check();
        match self.random.u8(..12) {
            0..2 => self.end_and_start(End::Power).await,
            2..4 => self.end_and_start(End::Kill).await,
            4 => self.end_and_start(End::Orderly).await,
            5 => self.end_and_start(End::OrderlyThenPower).await,
            _ => {}
        }
    }

    fn trouble_the_disk(&mut self) {
        const OPERATIONS: [Operation; 10] = [
            Operation::Create,
            Operation::Rename,
            Operation::Remove,
            Operation::SyncDir,
            Operation::Allocate,
            Operation::SetLen,
            Operation::Write,
            Operation::Sync,
            Operation::Open,
            Operation::Read,
        ];
        const CHANGING: usize = 8;
        let (disk, random) = (&self.disk, &mut self.random);
        let one_in = [1, 2, 5, 20, 100][random.usize(..5)];
        let operation = OPERATIONS[random.usize(..OPERATIONS.len())];
        let trouble = match random.u8(..13) {
            0..2 => {
                disk.power_off_at(disk.steps() + random.u64(1..60));
                "the power goes soon".to_owned()
            }
            2 => {
                let operation = OPERATIONS[random.usize(..CHANGING)];
                disk.fail_after(operation, random.u64(..3), Fault::Off);
                format!("the power goes at {operation:?}")
            }
            3..6 => {
                // What the disk has is lost to nobody when reading it fails for a while, or once.
                let reads = matches!(operation, Operation::Read | Operation::Open);
                let one_in = if reads && one_in > 1 { 200 } else { one_in };
                disk.fail_one_in(operation, one_in, Fault::Io);
                format!("one {operation:?} in {one_in} fails")
            }
            6 => {
                let full = [Operation::Create, Operation::Allocate, Operation::Write];
                let operation = full[random.usize(..3)];
                disk.fail_one_in(operation, one_in, Fault::Full);
                format!("for one {operation:?} in {one_in} there is no space")
            }
            7 => {
                disk.set_capacity(random.u64(..1 << 20));
                "the disk is full".to_owned()
            }
            8 => {
                disk.fail_one_in(Operation::Write, one_in, Fault::Short);
                disk.fail_one_in(Operation::Read, one_in, Fault::Short);
                format!("one call in {one_in} is short")
            }
            9 => {
                let took = Duration::from_millis(random.u64(1..2_000));
                *self.lag.lock().unwrap() = took;
                self.happened.note("groups slow");
                disk.fail_one_in(Operation::Sync, 2, Fault::Slow(took));
                format!("the disk takes {took:?}")
            }
            10 => {
                disk.fail_one_in(Operation::Read, 200, Fault::Flip);
                "one read in 200 is wrong".to_owned()
            }
            11 => {
                disk.fail_one_in(Operation::Sync, one_in, Fault::Lie);
                format!("one sync in {one_in} lies")
            }
            _ => {
                self.rot();
                return;
            }
        };
        self.say(format_args!("{trouble}"));
    }

    fn rot(&mut self) {
        let Some(is_newest) = self.disk.rot(self.rot_anywhere) else { return };
        self.say(format_args!("a bit rots"));
        self.outcome.rotted += 1;
        self.rotted_newest |= is_newest;
        // Between two agents it is the next start that finds it: of its last group no segment says that it was
        // acknowledged, so that it cannot but take it for a torn end.
        if is_newest && self.agent.is_none() {
            self.forgive();
        }
    }

    /// What was acknowledged so far may be gone.
    fn forgive(&mut self) {
        self.told.lock().unwrap().forgive();
        self.forgiven = true;
    }

    /// What is left of the disk when the agent is gone that had this journal.
    fn lose(&mut self, power: bool, journal: &Journal) {
        self.places.iter_mut().for_each(|place| place.note_let_go(journal));
        if power {
            self.lose_power();
        } else {
            self.disk = self.disk.kill();
        }
    }

    /// What is left of the disk when the power goes. What a sync lied about may be gone, and nothing else.
    fn lose_power(&mut self) {
        let lied_about = self.disk.lied_about();
        if !lied_about.is_empty() {
            let ids = lied_about.iter().flat_map(|bytes| ids_in(bytes)).collect();
            self.say(format_args!("a sync lied about {ids:?}"));
            self.told.lock().unwrap().forgive_lied_about(&ids);
            self.happened.note("power off after a lie");
            self.places.iter_mut().for_each(Place::note_lied);
            self.forgiven = true;
        }
        self.disk = self.disk.crash();
    }

    fn journal(&self) -> &Journal {
        &self.agent.as_ref().expect("it runs").journal
    }

    fn check(&self) {
        let (journal, told) = (self.journal(), self.told.lock().unwrap());
        check_balance(journal, &told);
        if self.outcome.rotted == 0 && !self.forgiven {
            // On a full disk what was delivered goes before what says so: a start after that takes it for lost.
            let is_full = |kind: &String| kind.ends_with("Full") || kind == "no room";
            let was_full = self.disk.met().keys().any(is_full);
            check_nothing_lost(journal, &told, &self.places, was_full);
        }
        let ended = self.agent.iter().flat_map(|agent| &agent.tasks).any(JoinHandle::is_finished);
        assert!(!ended, "a task of the agent ended");
        assert_eq!(self.disk.touched_after_failure(), 0, "a failed file was synced again");
    }

    /// Ends the agent, and starts one on what is left.
    async fn end_and_start(&mut self, how: End) {
        self.end(how).await;
        self.reconfigure();
        if self.random.u8(..8) == 0 {
            self.rot();
        }
        if self.random.u8(..16) == 0 {
            self.say(format_args!("nothing can be read"));
            self.disk.fail_one_in(Operation::Read, 1, Fault::Io);
        }
        // So seldom that no read fails each time it is tried again.
        let fault = [Fault::Io, Fault::Flip, Fault::Short][self.random.clone().usize(..3)];
        self.disk.fail_one_in(Operation::Read, 1_000, fault);
        tokio::time::sleep(Duration::from_millis(self.random.u64(..5_000))).await;
        self.start().await;
        // What that start did not find is not in the newest any more, or counted when it is found.
        self.rotted_newest = false;
    }

    async fn end(&mut self, how: End) {
        self.say(format_args!("the agent ends: {how:?}"));
        let agent = self.agent.take().expect("it runs");
        // Cut before the receiver is gone, which ends what is left in no order.
        let receiver = self.way_in.receiver.lock().unwrap().take();
        self.way_in.network.cut();
        self.happened.note_variant("end", &how);
        if matches!(how, End::Orderly | End::OrderlyThenPower) {
            agent.exporters.shutdown(Duration::from_millis(self.random.u64(..3_000))).await;
            agent.journal.close().await;
        } else {
            self.outcome.steps += self.disk.steps();
            self.lose(how == End::Power, &agent.journal);
            agent.tasks.iter().for_each(JoinHandle::abort);
            for task in agent.tasks {
                if let Some(Ok(panic)) = task.await.err().map(JoinError::try_into_panic) {
                    std::panic::resume_unwind(panic);
                }
            }
            agent.exporters.shutdown(Duration::ZERO).await;
        }
        drop(receiver);
        self.outcome.corrupt_records += agent.journal.status().lost_records;
        self.not_kept += not_kept(&agent.registry);
        let forgiven = match (self.config.durability, how) {
            (Durability::Memory, _) => true,
            (Durability::Fsync, _) | (_, End::Kill | End::Orderly) => self.rotted_newest,
            (Durability::Os, End::Power | End::OrderlyThenPower) => true,
        };
        if forgiven {
            self.forgive();
        }
        // The next process cannot know which sync of this one failed.
        if matches!(how, End::Orderly | End::OrderlyThenPower) {
            self.outcome.steps += self.disk.steps();
            self.lose(how == End::OrderlyThenPower, &agent.journal);
        }
    }

    /// An agent that starts on a disk that may refuse: it is started again until it runs.
    async fn start(&mut self) {
        for _ in 0..300 {
            match self.try_start().await {
                Ok(agent) => {
                    self.agent = Some(agent);
                    return;
                }
                Err(error) => {
                    self.happened.note("start refused");
                    self.say(format_args!("it does not start: {error}"));
                }
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            if self.disk.is_off() {
                self.lose_power();
            } else if self.random.u8(..10) == 0 {
                self.disk.heal();
            }
        }
        panic!("no journal opens on this disk");
    }

    async fn try_start(&mut self) -> Result<Agent, sidelight_agent::journal::OpenError> {
        let counted = Registry::default();
        let deps = Deps {
            fs: Arc::new(self.disk.clone()),
            clock: Arc::new(self.clock.clone()),
            registry: counted.clone(),
        };
        let (config, readers) = self.configured();
        let (journal, found, stepper) = Journal::open_stepped(self.config.clone(), readers, deps)?;
        self.say(format_args!("it starts: {found:?}"));
        self.note_removed(&found.removed);
        let mut tasks = Vec::new();
        let bell = Arc::new(Notify::new());
        if self.config.durability != Durability::Memory {
            let (disk, died) = (self.disk.clone(), Arc::clone(&self.died));
            tasks.push(tokio::spawn(write(
                stepper,
                Arc::clone(&bell),
                Arc::clone(&self.lag),
                disk,
                died,
            )));
        }
        tasks.push(tokio::spawn(read_locally(journal.reader(LOCAL).expect("it is there"))));
        tasks.push(tokio::spawn(beat(journal.clone(), Arc::clone(&bell))));
        let (clock, registry) = (Arc::new(self.clock.clone()), Registry::default());
        let deps = export::Deps { clock: clock.clone(), registry, memory: self.memory };
        let exporters = Exporters::start(config, deps, |name| journal.reader(name)).unwrap();
        let listeners = vec![Listener::new(Bind::Tcp("127.0.0.1:0".to_owned()))];
        let config = receive::Config { listeners, ..receive::Config::default() };
        let (in_flight, registry) = (InFlight::new(256 << 10), Registry::default());
        let deps = receive::Deps { in_flight, registry, clock };
        let bound = receive::bind(config, deps).await.expect("a port is free");
        let receiver = bound.serve(Bell { journal: journal.clone(), bell });
        *self.way_in.receiver.lock().unwrap() = Some(Arc::new(receiver));
        Ok(Agent { journal, exporters, registry: counted, tasks })
    }

    async fn heal(&mut self) {
        self.say(format_args!("everything heals"));
        self.healed.store(true, Ordering::Relaxed);
        self.disk.heal();
        self.disk.set_capacity(1 << 30);
        self.disk.power_off_at(u64::MAX);
        *self.lag.lock().unwrap() = Duration::ZERO;
        self.way_in.network.set(Weather::Fine);
        for place in &self.places {
            place.network.set(Weather::Fine);
        }
        if self.disk.is_off() {
            self.end_and_start(End::Power).await;
            self.disk.heal();
        }
        self.bring_all_back().await;
    }

    async fn wait_until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let so = async {
            while !is_so(self) {
                self.check();
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        let in_time = tokio::time::timeout(LIVENESS, so).await.is_ok();
        let lanes = || self.agent.as_ref().map(|agent| agent.exporters.handle().lanes());
        assert!(
            in_time,
            "after {LIVENESS:?} it is not so that {what}: {:#?} {:#?} {:#?}",
            self.journal().ledger(),
            self.journal().status(),
            lanes(),
        );
        self.say(format_args!("{what}: {:?}", self.journal().ledger()));
    }

    async fn judge(mut self) -> Outcome {
        self.check();
        let (journal, mut outcome) = (self.journal().clone(), std::mem::take(&mut self.outcome));
        outcome.corrupt_records += journal.status().lost_records;
        let corrupt_records = outcome.corrupt_records;
        let given_up = GivenUp {
            kept: Kept::on(&self.disk, &self.config.directory),
            not_kept: self.not_kept + not_kept(&self.agent.as_ref().expect("it runs").registry),
            corrupt: Some(corrupt_records).filter(|_| outcome.rotted > 0),
        };
        for place in &self.places {
            judge(place, &self.told.lock().unwrap(), &journal, &given_up, &mut outcome);
        }
        let is_damaged = outcome.rotted > 0 || self.forgiven;
        assert!(corrupt_records == 0 || is_damaged, "corrupt, and nothing rotted");
        // The next start knows all of it.
        let is_honest = self.disk.lied_about().is_empty();
        if self.config.durability == Durability::Fsync && is_honest && outcome.rotted == 0 {
            let accepted = |journal: &Journal| SIGNALS.map(|s| journal.ledger().accepted.get(s));
            let before = accepted(&journal);
            self.end(End::OrderlyThenPower).await;
            self.start().await;
            assert_eq!(before, accepted(self.journal()));
            let after = self.journal().ledger();
            assert!(after.readers.iter().all(|lane| lane.queued.requests == 0), "{after:#?}");
            given_up.kept.check_listed(self.journal());
            self.check();
        }
        let told = self.told.lock().unwrap();
        outcome.sent = told.sent.len() as u64;
        outcome.acknowledged = told.acknowledged.len() as u64;
        outcome.forgiven = told.forgiven.len() as u64;
        outcome.steps += self.disk.steps();
        outcome
            .dropped
            .keys()
            .for_each(|reason| self.happened.note(format_args!("dropped {reason}")));
        outcome.happened = self.happened.counts();
        outcome.happened.extend(self.disk.met());
        outcome.simulated_seconds = self.clock.elapsed().as_secs();
        outcome
    }

    fn say(&self, what: std::fmt::Arguments<'_>) {
        if self.tell {
            println!("{:>10.3} {what}", self.clock.elapsed().as_secs_f64());
        }
    }
}
