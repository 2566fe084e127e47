//! One destination: how it is configured, what it answers while the world is ill, and the weather on the way to it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use sidelight_agent::export::config::{
    ClientConfig, Compression, Destination as Configured, Protocol, Target,
};
use sidelight_agent::journal::{DropReason, Journal, WhenFull};
use sidelight_agent::net::endpoint::{Address, Endpoint};

use crate::destination::{Answer, Destination};
use crate::happened::Happened;
use crate::network::{Network, Weather};
use crate::told::Told;

/// Bytes of a request of one item beside its name.
const REQUEST_BESIDE: usize = 100;

/// A destination and the way to it.
pub struct Place {
    pub name: String,
    pub destination: Destination,
    pub network: Network,
    pub configured: Configured,
    pub poison: Poison,
    left: Left,
    is_there: bool,
    /// Items that were dropped when it left the configuration, as the journal said then.
    pub removed_items: u64,
    /// Items that its lanes had let go of at the cap, as the journal said when the last agent ended …
    let_go: u64,
    /// … and those of which a lying sync may have taken the count.
    pub let_go_uncounted: u64,
    /// What had been acknowledged when it left the configuration.
    known_at_removal: BTreeSet<String>,
    /// What may have been acknowledged while it was not configured, and is not for it.
    not_due: BTreeSet<String>,
}

/// What it was sent of several records at once and answered with more than is read of an answer: nobody looks which of them
/// that is about, and none is kept.
type Left = Arc<Mutex<BTreeSet<String>>>;

/// A request that its destination answers as if it were down, also once that is healed and takes every other. Cloning
/// shares it.
#[derive(Clone, Debug, Default)]
pub struct Poison {
    is_there: Arc<AtomicBool>,
    /// Requests of the same sender that were taken meanwhile.
    others: Arc<AtomicUsize>,
}

impl Poison {
    /// Of the first sender, sent early in each world.
    const SENDER: &str = "s0-";
    const REQUEST: &str = "s0-3-0-";
    /// More than wait beside it when everything heals.
    const OTHERS: usize = 6;

    pub fn set(&self, is_there: bool) {
        self.is_there.store(is_there, Ordering::Relaxed);
    }

    fn is_in(&self, names: &[String]) -> bool {
        self.is_there.load(Ordering::Relaxed) && Self::may_be(names)
    }

    /// Whether it is the request that has these names, where there is one.
    pub fn may_be(names: &[String]) -> bool {
        names.iter().any(|name| name.starts_with(Self::REQUEST))
    }

    fn note_taken(&self, names: &[String]) {
        if names.iter().any(|name| name.starts_with(Self::SENDER)) {
            self.others.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether others arrive though it is there.
    pub fn is_passed(&self) -> bool {
        !self.is_there.load(Ordering::Relaxed)
            || self.others.load(Ordering::Relaxed) >= Self::OTHERS
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.name, self.configured.queue)
    }
}

impl Place {
    pub fn new(
        nth: usize,
        random: &mut Rng,
        healed: &Arc<AtomicBool>,
        happened: &Happened,
    ) -> Self {
        let protocol = if random.bool() { Protocol::Grpc } else { Protocol::Http };
        let (seed, healed, told) = (random.u64(..), Arc::clone(healed), happened.clone());
        let poison = Poison::default();
        let left = Left::default();
        let (within, leaving) = (poison.clone(), Arc::clone(&left));
        let destination = Destination::within(move |n, names| {
            if within.is_in(names) {
                told.note("answer to poison");
                return down(protocol);
            }
            if healed.load(Ordering::Relaxed) {
                within.note_taken(names);
                return Answer::Ok;
            }
            let answer = answer(seed, n, protocol);
            told.note_variant("answer", &answer);
            if matches!(answer, Answer::Huge(_)) && is_merged(names) {
                leaving.lock().unwrap().extend(names.iter().cloned());
            }
            answer
        });
        let network = Network::out(happened.clone());
        let address = Address::Within(network.dial(destination.clone()));
        let endpoint = Endpoint { address, tls: false, path: "/".to_owned() };
        let mut client = ClientConfig::new(protocol, endpoint);
        client.compression = match random.u8(..3) {
            0 => Compression::None,
            1 => Compression::Gzip(1),
            _ => Compression::Zstd(1),
        };
        let name = format!("otlp/{nth}");
        let mut configured = Configured::new(name.clone(), Target::Otlp(Box::new(client)));
        configured.queue.num_consumers = random.usize(1..5);
        configured.queue.batch.max_size = batch_bytes_max(random);
        if random.u8(..3) == 0 {
            configured.queue.batch.max_request_size = 8 << 10;
        }
        if random.u8(..4) == 0 {
            configured.queue.when_full = WhenFull::DropOldest;
        }
        let (known_at_removal, not_due) = (BTreeSet::new(), BTreeSet::new());
        Self {
            name,
            destination,
            network,
            configured,
            poison,
            left,
            is_there: true,
            removed_items: 0,
            let_go: 0,
            let_go_uncounted: 0,
            known_at_removal,
            not_due,
        }
    }

    /// Whether it is configured.
    pub fn is_there(&self) -> bool {
        self.is_there
    }

    /// Takes it out of the configuration, or puts it back.
    pub fn toggle(&mut self) {
        self.is_there = !self.is_there;
    }

    /// From here on it gets what is acknowledged, or does not.
    pub fn note_toggled(&mut self, told: &Told) {
        if self.is_there {
            let since = told.sent.keys().filter(|name| !self.known_at_removal.contains(*name));
            self.not_due.extend(since.cloned());
        } else {
            self.known_at_removal.clone_from(&told.acknowledged);
        }
    }

    /// An agent ends.
    pub fn note_let_go(&mut self, journal: &Journal) {
        let rows = journal.ledger().readers;
        let own = rows.iter().filter(|row| row.exporter == self.name);
        let full = own.filter_map(|row| row.dropped.get(&DropReason::QueueFull));
        self.let_go = full.sum();
    }

    /// The power goes on a disk that lied.
    pub fn note_lied(&mut self) {
        self.let_go_uncounted += std::mem::take(&mut self.let_go);
    }

    /// Whether it was acknowledged for this destination, as far as is known.
    pub fn is_due(&self, name: &str) -> bool {
        !self.not_due.contains(name)
    }

    /// Sets its lanes otherwise, for which they are made anew.
    pub fn change(&mut self, random: &mut Rng) {
        self.configured.queue.num_consumers = random.usize(1..5);
        self.configured.queue.batch.max_size = batch_bytes_max(random);
    }

    /// Whether its lanes let go of nothing for want of room.
    pub fn holds_all(&self) -> bool {
        self.configured.queue.when_full == WhenFull::Reject
    }

    /// Whether it was given up with others beside it.
    pub fn has_left(&self, name: &str) -> bool {
        self.left.lock().unwrap().contains(name)
    }

    /// Whether no request may be as large as one of this item alone.
    pub fn is_too_large(&self, name: &str) -> bool {
        // A metric's name is a header of its points, which may be half of a request.
        name.len() + REQUEST_BESIDE >= self.configured.queue.batch.max_request_size / 2
    }
}

fn batch_bytes_max(random: &mut Rng) -> usize {
    [1 << 10, 64 << 10, 2 << 20][random.usize(..3)]
}

/// Whether items of these names are of several records.
fn is_merged(names: &[String]) -> bool {
    // `s0-3-0-1-x` is an item of the record `s0-3-0`.
    let record = |name: &String| name.splitn(4, '-').take(3).collect::<Vec<_>>().join("-");
    let records: BTreeSet<_> = names.iter().map(record).collect();
    let items: BTreeSet<_> = names.iter().collect();
    records.len() > 1 || items.len() < names.len()
}

/// The weather on the way to a destination.
pub fn weather(random: &mut Rng) -> Weather {
    match random.u8(..12) {
        0..5 => Weather::Fine,
        5 => Weather::Refused,
        6 => Weather::Partitioned,
        7 => Weather::Slow(Duration::from_millis(random.u64(1..4_000))),
        8..10 => Weather::Reset(random.usize(..40_000)),
        10 => Weather::HalfClosed(random.usize(..400)),
        _ => Weather::Garbage,
    }
}

/// The weather on the way from senders.
pub fn weather_in(random: &mut Rng) -> Weather {
    match weather(random) {
        // Few requests are as large as what a lane sends, and answers are short.
        Weather::Reset(after) => Weather::Reset(after / 20),
        other => other,
    }
}

/// To be tried again.
fn down(protocol: Protocol) -> Answer {
    match protocol {
        Protocol::Grpc => Answer::Grpc(14, None),
        Protocol::Http => Answer::Http(503, &[]),
    }
}

/// What a destination does with its `n`th request while the world is ill: phases of eight requests have one mood.
fn answer(seed: u64, n: usize, protocol: Protocol) -> Answer {
    let mut mood = Rng::with_seed(seed ^ (n as u64 / 8).wrapping_mul(0x9E37_79B9));
    let mut random = Rng::with_seed(seed ^ (n as u64).wrapping_mul(0x85EB_CA6B));
    // Export*Response{partial_success{rejected 1}}
    let partial = || Answer::Partial(vec![0x0a, 2, 8, 1]);
    match (mood.u32(0..12), protocol) {
        (0..5, _) => Answer::Ok,
        (5, _) => Answer::Cut,
        (6, _) => Answer::TakenThenCut,
        (7, _) => Answer::Hang,
        (8, _) => Answer::Goodbye,
        (9, _) => partial(),
        (10, Protocol::Grpc) => match random.u8(0..4) {
            0 => Answer::TrailersOnly(random.u8(1..17)),
            1 => Answer::NoStatus,
            2 => Answer::Huge(5 << 20),
            _ => Answer::Http(random.u16(400..512), &[]),
        },
        (_, Protocol::Grpc) => Answer::Grpc(random.u8(1..17), None),
        (10, Protocol::Http) => Answer::Http(429, &[("retry-after", "20")]),
        (_, Protocol::Http) => Answer::Http(random.u16(400..512), &[]),
    }
}
