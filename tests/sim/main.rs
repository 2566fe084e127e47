//! Seeded simulation of an agent's core: the receiver's ingest path, the journal and the lanes, on a simulated disk, a
//! simulated clock and simulated destinations, one thread and one seed to a world.
//!
//! What happens to a world ([`world`]): power loss at any step of the disk and at any moment, kills, torn writes, bit
//! rot, syncs that fail or lie, full, failing and slow disks, clocks that jump, networks on both sides that are cut, slow,
//! reset, half closed or say garbage, senders that send again, destinations that are down, hang, refuse, answer nonsense, take
//! and do not say so, or never take one request of all, configurations that change, and lanes with hardly any memory. How
//! often each occurred is counted ([`happened`]): in 200 worlds each does, four that are rare in 1,000, or the campaign fails.
//!
//! The oracle ([`oracle`]): conservation at every look, by the journal's ledger and by what was sent, and after
//! everything has healed liveness within a bounded simulated time, first beside what is never taken. `SIM_SEEDS=10000`
//! runs more, `SIM_SEED=7` replays one and tells its story, `SIM_FIRST=` begins elsewhere. Cost: half a second a seed where
//! nothing is optimized, a thread for each processor.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "a test program has no outside")]
#![allow(clippy::print_stdout, reason = "the story of a world")]

mod client;
mod clock;
#[path = "../it/export/destination.rs"]
#[expect(dead_code, reason = "shared with tests/it, which looks at more of it")]
mod destination;
#[path = "../../src/journal/tests/disk.rs"]
#[expect(dead_code, reason = "shared with the journal's own tests, which look at more of it")]
mod disk;
mod happened;
mod kept;
mod names;
mod network;
mod oracle;
mod place;
mod sender;
mod tasks;
mod told;
mod world;

use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

// Where the shared files find what they name.
use sidelight_agent::{journal, time};

use oracle::Outcome;
use world::World;

/// What the tests have time for; `./check campaign` runs 10,000.
const SEEDS_DEFAULT: u64 = 200;
/// So many failing seeds are enough to begin with.
const FAILURES_MAX: usize = 20;

#[test]
fn nothing_acknowledged_is_lost_whatever_disks_clocks_and_destinations_do() {
    if let Some(seed) = number("SIM_SEED") {
        println!("seed {seed}: {:#?}", simulate(seed, true));
        return;
    }
    let (first, seeds) = (number("SIM_FIRST").unwrap_or(0), number("SIM_SEEDS"));
    let end = first + seeds.unwrap_or(SEEDS_DEFAULT);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, total, failed) = (AtomicU64::new(first), Mutex::default(), Mutex::default());
    let work = || {
        let total: &Mutex<Outcome> = &total;
        let failed: &Mutex<Vec<u64>> = &failed;
        while failed.lock().unwrap().len() < FAILURES_MAX {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                break;
            }
            match std::panic::catch_unwind(AssertUnwindSafe(|| simulate(seed, false))) {
                Ok(outcome) => total.lock().unwrap().add(&outcome),
                Err(_) => {
                    println!("seed {seed} failed; SIM_SEED={seed} replays it");
                    failed.lock().unwrap().push(seed);
                }
            }
        }
    };
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let (total, failed) = (total.into_inner().unwrap(), failed.into_inner().unwrap());
    println!("{} seeds from {first}, {} failed: {total:#?}", end - first, failed.len());
    assert!(failed.is_empty(), "seeds that failed: {failed:?}");
    assert!(total.acknowledged > 0 && total.taken > 0, "the simulation shows nothing");
    let never = happened::missing(&total.happened, end - first);
    assert!(never.is_empty(), "it never happened that {never:?}");
}

#[test]
fn a_seed_is_the_same_world_each_time() {
    for seed in (0..8).chain([42, 1_000_003]) {
        let (first, second) = (simulate(seed, false), simulate(seed, false));
        assert_eq!(first, second, "seed {seed}");
    }
}

/// One seed, from its beginning to its judgement.
fn simulate(seed: u64, tell: bool) -> Outcome {
    // Jitter and salts.
    fastrand::seed(seed);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    // Made within it, a world has its frozen clock, not the machine's.
    let outcome = runtime.block_on(async { World::new(seed, tell).run().await });
    // What a world left running ends with it.
    runtime.shutdown_background();
    outcome
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
