//! Rules over the metric store: cycles in which every group is evaluated once.
//!
//! `cargo bench --bench rules` first prints the 50th and 99th percentile of a cycle of 200 rules over 20,000 series, also just
//! after a checkpoint, when a part of what they look at is on disk, and of the rules that come with the agent over nothing
//! and over 200 routes: one group after the other, and as many at once as the engine evaluates; then times the former.
//! Budget: 50 ms at the 99th percentile for the 200. As a test everything is done once, smaller.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "the result")]

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use sidelight_agent::alert::Nowhere;
use sidelight_agent::rules::evaluate::{Sink, Surroundings};
use sidelight_agent::rules::{BUILTIN, Group, file};
use sidelight_agent::signal::Samples;
use sidelight_agent::store::{Config, Deps, Kind, Store};
use sidelight_agent::telemetry::Registry;
use sidelight_agent::time::{Clock as _, SystemClock, UnixNano};

/// As the program has it: much of an evaluation is small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const T0: i64 = 1_700_000_000_000;
const STEP: i64 = 15_000;
/// Samples of a series: ten minutes …
const SAMPLES: i64 = 40;
/// … or a full chunk, which a checkpoint took away, and half of what rules look at.
const CHUNK_AND_MORE: i64 = 130;
const RULES: usize = 200;
const INTERVAL: Duration = Duration::from_secs(15);
/// As many as the engine.
const AT_ONCE: usize = sidelight_agent::rules::engine::EVALUATIONS_MAX;

fn main() {
    let whole = std::env::args().any(|argument| argument == "--bench");
    let (series, cycles) = if whole { (20_000, 200) } else { (400, 2) };
    let shown = [
        ("200 rules", World::of_rules(series, SAMPLES)),
        ("200 rules after a checkpoint", World::of_rules(series, CHUNK_AND_MORE)),
        ("built-in, nothing", World::built_in(0)),
        ("built-in, routes", World::built_in(if whole { 200 } else { 5 })),
    ];
    for (name, world) in shown {
        for threads in [1, AT_ONCE] {
            let mut took: Vec<Duration> = (0..cycles).map(|_| world.cycle(threads)).collect();
            took.sort();
            let at = |share: usize| took[(took.len() - 1) * share / 100];
            println!("{name}, {threads} at once: p50 {:?}, p99 {:?}", at(50), at(99));
        }
    }
    divan::main();
}

/// Takes everything and keeps nothing.
struct Gone;

impl Sink for Gone {
    fn append(&self, samples: Samples) -> Result<(), String> {
        black_box(samples);
        Ok(())
    }
}

struct World {
    store: Store,
    groups: Vec<Group>,
    clock: SystemClock,
    now: UnixNano,
    _directory: tempfile::TempDir,
}

impl World {
    /// Counters of `RULES / 2` metrics, each with one rule that records and one that alerts.
    fn of_rules(series: usize, samples: i64) -> Self {
        let metrics = RULES / 2;
        let mut text = String::from("groups:\n");
        for metric in 0..metrics {
            if metric % 10 == 0 {
                writeln!(text, "- name: g{metric}\n  rules:").unwrap();
            }
            let sum = format!("sum by (http_route) (rate(requests_{metric}_total[5m]))");
            writeln!(text, "  - {{record: 'route:requests_{metric}:rate5m', expr: '{sum}'}}")
                .unwrap();
            let expr = format!("sum(rate(requests_{metric}_total[5m])) > 1e9");
            writeln!(text, "  - {{alert: Many{metric}, expr: '{expr}', for: 1m}}").unwrap();
        }
        let of =
            |n: usize| (format!("requests_{}_total", n % metrics), format!("/r/{}", n / metrics));
        Self::new(&text, (0..series).map(of), samples)
    }

    /// The rules of the agent over so many routes of a service, by the counts of their requests.
    fn built_in(routes: usize) -> Self {
        let counts =
            ["http_server_request_duration_seconds_count", "sidelight_cache_requests_total"];
        let of = |n: usize| (counts[n % 2].to_owned(), format!("/r/{}", n / 2));
        Self::new(BUILTIN, (0..routes * 2).map(of), SAMPLES)
    }

    fn new(rules: &str, series: impl Iterator<Item = (String, String)>, samples: i64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::new(directory.path().to_owned());
        config.memory.pending = 1 << 30;
        config.series_ttl = Duration::from_hours(1_000);
        let deps = Deps { clock: Arc::new(SystemClock::new()), registry: Registry::default() };
        let (store, mut writer, _) = Store::open(config, deps).unwrap();
        let series: Vec<_> = series
            .map(|(name, route)| {
                let labels = [
                    ("__name__", &*name),
                    ("http_request_method", "GET"),
                    ("http_response_status_code", "200"),
                    ("http_route", &*route),
                    ("instance", "627cc493-f310-47de-96bd-71410b7dec09"),
                    ("job", "shop"),
                    ("service_name", "shop"),
                ];
                writer.series(&labels, Kind::Float)
            })
            .collect();
        for n in 0..samples {
            let at = T0 + n * STEP;
            writer.set_now(at);
            if n == CHUNK_AND_MORE - 9 {
                writer.checkpoint(1).unwrap();
            }
            for id in &series {
                writer.append(*id, at, (n * 7) as f64).unwrap();
            }
        }
        let file = file::parse(rules).unwrap();
        let groups = file.groups.iter().map(|group| Group::new("bench", group, INTERVAL)).collect();
        let now = T0 + (samples - 1) * STEP;
        let now = UnixNano(u64::try_from(now).unwrap() * 1_000_000);
        Self { store, groups, clock: SystemClock::new(), now, _directory: directory }
    }

    /// Evaluates every group once, so many at a time.
    fn cycle(&self, threads: usize) -> Duration {
        let began = self.clock.monotonic();
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(group) = self.groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.evaluate(group);
            }
        };
        std::thread::scope(|scope| {
            (1..threads).for_each(|_| drop(scope.spawn(work)));
            work();
        });
        self.clock.monotonic() - began
    }

    fn evaluate(&self, group: &Group) {
        let with = Surroundings {
            source: &self.store,
            sink: &Gone,
            outbox: &Nowhere,
            clock: &self.clock,
            external_labels: &[],
            external_url: "",
            subquery_step_ms: 60_000,
            samples_max: 1_000_000,
            stopped: &|| false,
            resend: Duration::from_secs(60),
        };
        black_box(group.evaluate(self.now, &with));
    }
}

#[divan::bench(args = [20_000])]
fn two_hundred_rules(bencher: Bencher<'_, '_>, series: usize) {
    let world = World::of_rules(series, SAMPLES);
    bencher.counter(ItemsCount::new(RULES)).bench_local(|| world.cycle(1));
}

#[divan::bench(args = [0, 200])]
fn built_in(bencher: Bencher<'_, '_>, routes: usize) {
    let world = World::built_in(routes);
    bencher.bench_local(|| world.cycle(1));
}
