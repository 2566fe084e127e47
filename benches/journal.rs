//! What the journal adds to the disk: 64 senders that each wait for their append, against the same bytes
//! written one block after the other, in the same run and on the same disk.
//!
//! Every line writes as many bytes as the plain writes beside it, and the rounds take turns, so that what
//! the disk does meanwhile for others meets both; the median of the rounds is shown. `fsync` stands beside
//! 1 MiB writes each with its own fdatasync, `os` beside 1 MiB writes into the page cache. 64 senders of
//! 1 KiB never have more than 64 KiB on their way, so plain writes of 64 KiB are shown, too. All of them wait for
//! the group window (4 ms between two starts of a sync, for the disk's sake) and so get 64 KiB through in each; the
//! line without a window shows what it costs them.
//!
//! Budget: half of the first; 1 GB/s or half of the second. `cargo bench --bench journal`, on the
//! disk of `SIDELIGHT_BENCH_DIR` (default: the build's); without `--bench` a few appends show that it
//! still runs.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "the result")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sidelight_agent::journal::fs::RealFs;
use sidelight_agent::journal::{Config, Deps, Durability, Journal};
use sidelight_agent::signal::{Flags, Meta, Record, Signal};
use sidelight_agent::telemetry::Registry;
use sidelight_agent::time::SystemClock;

const SENDERS: usize = 64;
const MIB: usize = 1 << 20;

/// Bytes that look like telemetry to neither a compressor nor the disk: all different.
fn noise(len: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(len).collect()
}

struct Outcome {
    bytes: usize,
    took: Duration,
    latencies: Vec<Duration>,
}

impl Outcome {
    fn rate(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.took.as_secs_f64()
    }

    fn quantile(&self, per_mille: usize) -> f64 {
        let at = (self.latencies.len() * per_mille / 1000).min(self.latencies.len() - 1);
        self.latencies[at].as_secs_f64() * 1e3
    }
}

/// `bytes` in blocks of `size` into a file allocated ahead, as segments are.
fn sequential(directory: &Path, size: usize, bytes: usize, sync: bool) -> Outcome {
    let path = directory.join("sequential");
    let file = std::fs::File::create(&path).unwrap();
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes as u64).unwrap();
    file.sync_all().unwrap();
    let block = noise(size);
    let mut latencies = Vec::new();
    let start = Instant::now();
    for at in (0..bytes).step_by(size) {
        let began = Instant::now();
        file.write_all_at(&block, at as u64).unwrap();
        if sync {
            file.sync_data().unwrap();
        }
        latencies.push(began.elapsed());
    }
    let took = start.elapsed();
    drop(file);
    std::fs::remove_file(path).unwrap();
    latencies.sort_unstable();
    Outcome { bytes: latencies.len() * size, took, latencies }
}

/// `each` appends of `size` bytes from every sender, after a few that warm it up.
async fn append(config: Config, size: usize, each: usize) -> Outcome {
    let directory = config.directory.clone();
    let clock = Arc::new(SystemClock::new());
    let deps = Deps { fs: Arc::new(RealFs), clock, registry: Registry::default() };
    let (journal, _) = Journal::open(config, Vec::new(), deps).unwrap();
    let payload = noise(size);
    let record = move || {
        let (flags, meta) = (Flags::default(), Meta::default());
        Record { signal: Signal::Traces, items: 10, flags, meta, payload: payload.clone() }
    };
    for _ in 0..8 {
        journal.append(record()).await.unwrap();
    }
    let start = Instant::now();
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let (journal, record) = (journal.clone(), record.clone());
            tokio::spawn(async move {
                let mut latencies = Vec::with_capacity(each);
                for _ in 0..each {
                    let began = Instant::now();
                    journal.append(record()).await.unwrap();
                    latencies.push(began.elapsed());
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for sender in senders {
        latencies.extend(sender.await.unwrap());
    }
    let took = start.elapsed();
    journal.close().await;
    std::fs::remove_dir_all(directory).unwrap();
    latencies.sort_unstable();
    Outcome { bytes: size * SENDERS * each, took, latencies }
}

fn show(name: &str, outcome: &Outcome, base: &Outcome) {
    println!(
        "{name:<30} {:>8.1} MB/s  ratio {:>5.2}  p50 {:>8.3} ms  p99 {:>8.3} ms",
        outcome.rate(),
        outcome.rate() / base.rate(),
        outcome.quantile(500),
        outcome.quantile(990),
    );
}

/// The round in the middle, by rate.
fn median(mut rounds: Vec<Outcome>) -> Outcome {
    rounds.sort_unstable_by(|a, b| a.rate().total_cmp(&b.rate()));
    let middle = rounds.len() / 2;
    rounds.swap_remove(middle)
}

fn main() {
    let measured = std::env::args().any(|argument| argument == "--bench");
    let disk = std::env::var_os("SIDELIGHT_BENCH_DIR");
    let disk = disk.map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let directory = tempfile::tempdir_in(disk).unwrap();
    let directory = directory.path();
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
    let rounds = if measured { 5 } else { 1 };
    for durability in [Durability::Fsync, Durability::Os] {
        let sync = durability == Durability::Fsync;
        for (size, each) in [(1 << 10, 512), (64 << 10, 32), (MIB, 2)] {
            let each = if measured { each } else { 1 };
            let bytes = (size * SENDERS * each).max(MIB);
            let config = Config {
                directory: directory.join("journal"),
                durability,
                max_size: Some(4 << 30),
                ..Config::default()
            };
            let unhurried = Config { group_window: Duration::ZERO, ..config.clone() };
            let (mut plain, mut small, mut senders) = (Vec::new(), Vec::new(), Vec::new());
            let mut without = Vec::new();
            for _ in 0..rounds {
                plain.push(sequential(directory, MIB, bytes, sync));
                if size == 1 << 10 {
                    small.push(sequential(directory, 64 << 10, bytes, sync));
                }
                if sync && size == 1 << 10 {
                    without.push(runtime.block_on(append(unhurried.clone(), size, each)));
                }
                senders.push(runtime.block_on(append(config.clone(), size, each)));
            }
            let (base, name) = (median(plain), durability.name());
            show(&format!("{name} 1 MiB, one by one"), &base, &base);
            if !small.is_empty() {
                show(&format!("{name} 64 KiB, one by one"), &median(small), &base);
            }
            show(&format!("{name} 64 x {size} B"), &median(senders), &base);
            if !without.is_empty() {
                show(&format!("{name} 64 x {size} B, no window"), &median(without), &base);
            }
        }
    }
}
