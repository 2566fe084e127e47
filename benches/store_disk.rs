//! The metric store's files: what a checkpoint, a start, a query of samples and a query of ninety days cost.
//!
//! Budgets: 20,000 chunks in one checkpoint 500 ms; 24 h of one series at 15 s 0.1 ms; 1,000 series over
//! 6 h 10 ms of reading; 90 days of 100 series from hourly rows, cold, 100 ms; 48 h of 20,000 series raw within
//! 64 MiB resident, and opened within 1 s.
//!
//! `cargo bench --bench store_disk [-- PART ...]`, of `window`, `checkpoints`, `samples`, `days`; all take two to three
//! minutes. `SIDELIGHT_BENCH_DIR` is the disk (default: the build's), `SIDELIGHT_BENCH_KEEP=1` leaves the files there,
//! `SIDELIGHT_BENCH_SERIES`, `SIDELIGHT_BENCH_HOURS` and `SIDELIGHT_BENCH_DAYS` are the sizes, and
//! `SIDELIGHT_BENCH_MINUTES` is the time between two checkpoints of the window: an agent's is 5, and they are what takes
//! long. `--ask DIRECTORY` asks again of what `days` left. Without `--bench` a little of each shows that it still runs.
//! Cold: the store opened anew and its files dropped from the page cache.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "the result")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::cast_possible_wrap, clippy::cast_precision_loss, reason = "small numbers")]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sidelight_agent::memory::StoreBudget;
use sidelight_agent::store::{Config, Deps, Kind, SeriesId, Store, Writer};
use sidelight_agent::telemetry::{Registry, process};
use sidelight_agent::time::{ManualClock, UnixNano};
use sidelight_promql::ast::{MatchOp, Matcher};
use sidelight_promql::{Queryable as _, Reads, Selection};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// 2026-11-20T00:00:00Z.
const START: i64 = 1_795_132_800_000;

struct Bench {
    clock: Arc<ManualClock>,
    store: Store,
    writer: Writer,
    series: Vec<SeriesId>,
    now: i64,
}

impl Bench {
    fn open(directory: &Path, series: usize) -> Self {
        let config = Config {
            series_max: 100_000,
            memory: StoreBudget { pending: 1 << 30, ..StoreBudget::of(1 << 30) },
            max_size: 16 << 30,
            ..Config::new(directory.to_owned())
        };
        Self::open_with(config, series)
    }

    fn open_with(config: Config, series: usize) -> Self {
        let clock = Arc::new(ManualClock::at(UnixNano(0)));
        let deps = Deps { clock: clock.clone(), registry: Registry::default() };
        let (store, mut writer, _) = Store::open(config, deps).unwrap();
        let series = (0..series).map(|nth| add(&mut writer, nth)).collect();
        Self { clock, store, writer, series, now: START }
    }

    /// Samples of every series up to `until`, then a checkpoint. How long that took.
    fn live(&mut self, until: i64, step: i64) -> Duration {
        let from = self.now;
        while self.now < until {
            self.now += step;
            self.writer.set_now(self.now);
            for (nth, &id) in self.series.iter().enumerate() {
                let seconds = (self.now - START) / 1_000;
                let value = match nth % 4 {
                    0 => 20.0 + (seconds as f64 / 977.0 + nth as f64).sin(),
                    _ => (seconds * (nth as i64 % 17 + 1) + seconds * seconds % 13) as f64,
                };
                // Exporters' clocks jitter.
                let jitter = (self.now / step * 7 + nth as i64) % 10;
                self.writer.append(id, self.now - jitter, value).unwrap();
            }
        }
        self.clock.advance(Duration::from_millis((self.now - from).cast_unsigned()));
        let began = Instant::now();
        self.writer.checkpoint(1).unwrap();
        began.elapsed()
    }

    fn tend(&self) -> (Duration, Duration) {
        let (began, mut longest) = (Instant::now(), Duration::ZERO);
        loop {
            let slice = Instant::now();
            let more = self.store.tend();
            longest = longest.max(slice.elapsed());
            if !more {
                return (began.elapsed(), longest);
            }
        }
    }
}

fn add(writer: &mut Writer, nth: usize) -> SeriesId {
    let instance = format!("10.0.{}.{}:8080", nth / 250, nth % 250);
    let route = format!("/api/v1/orders/{}", nth % 40);
    let labels = [
        ("__name__", if nth.is_multiple_of(4) { "temperature_celsius" } else { "requests_total" }),
        ("deployment_environment", "production"),
        ("http_request_method", "GET"),
        ("http_response_status_code", "200"),
        ("http_route", &*route),
        ("instance", &*instance),
        ("job", "shop/checkout"),
        ("k8s_pod_name", &*instance),
        ("service_version", "1.44.2"),
    ];
    writer.series(&labels, Kind::Float)
}

struct Asked<'a> {
    name: &'a str,
    route: Option<&'a str>,
    span: (i64, i64),
    step: i64,
    range: i64,
}

/// Series and samples of an answer, and how long it took.
fn ask(store: &Store, asked: &Asked<'_>) -> (usize, usize, Duration) {
    let matcher = |name, value: &str| Matcher::new(name, MatchOp::Equal, value).unwrap();
    let mut matchers = vec![matcher("__name__", asked.name)];
    matchers.extend(asked.route.map(|route| matcher("http_route", route)));
    let selection = Selection {
        matchers: &matchers,
        after: asked.span.0,
        until: asked.span.1,
        step: asked.step,
        range: asked.range,
        lookback: if asked.range == 0 { 5 * MINUTE } else { 0 },
        reads: if asked.range == 0 { Reads::Last } else { Reads::Increase },
    };
    let (mut series, mut samples) = (0, 0);
    let began = Instant::now();
    let selected = store.select(&selection, &mut |_, points| {
        series += 1;
        samples += points.floats.len();
        ControlFlow::Continue(())
    });
    selected.unwrap();
    (series, samples, began.elapsed())
}

fn show(what: &str, (series, samples, took): (usize, usize, Duration)) {
    let took = took.as_secs_f64() * 1e3;
    println!("{what:<52} {took:>9.3} ms   {series:>6} series {samples:>8} samples");
}

fn bytes(store: &Store) -> u64 {
    store.stats().files.iter().map(|file| file.bytes).sum()
}

/// Lets the system forget what it read.
fn forget(directory: &Path) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let file = std::fs::File::open(entry.unwrap().path()).unwrap();
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    }
}

/// The window that is kept raw, by an agent's limits: what stays in memory.
fn window(directory: &Path, sizes: &Sizes) {
    let &Sizes { series, hours, minutes, .. } = sizes;
    let resident = || process::rss_bytes().unwrap_or_default();
    let before = resident();
    let config = Config { max_size: 16 << 30, ..Config::new(directory.to_owned()) };
    let mut bench = Bench::open_with(config, series);
    let (mut peak, mut longest, began) = (0, Duration::ZERO, Instant::now());
    for nth in 1..=hours * 60 / minutes {
        longest = longest.max(bench.live(START + nth * minutes * MINUTE, 15_000));
        bench.tend();
        peak = peak.max(resident());
        let now = nth * minutes;
        if now % (6 * 60) == 0 {
            let (took, now, held) = (began.elapsed().as_secs(), now / 60, resident() >> 20);
            println!(
                "  {now} of {hours} h after {took} s: {held} MiB resident, checkpoints up to {longest:?}"
            );
        }
    }
    let rate = Asked {
        name: "requests_total",
        route: Some("/api/v1/orders/7"),
        span: (bench.now - hours * HOUR, bench.now),
        step: 5 * MINUTE,
        range: 5 * MINUTE,
    };
    show(&format!("one route over {hours} h"), ask(&bench.store, &rate));
    let last = Asked { route: None, span: (bench.now - 5 * MINUTE, bench.now), step: 0, ..rate };
    show("the last 5 min of all counters", ask(&bench.store, &last));
    let samples = series as f64 * (hours * HOUR / 15_000) as f64;
    let files = bytes(&bench.store);
    println!(
        "{} series x {hours} h raw: {} MiB resident, {} at most, {} before; {} MiB of files, {:.2} B per sample",
        bench.store.stats().series,
        resident() >> 20,
        peak.max(resident()) >> 20,
        before >> 20,
        files >> 20,
        files as f64 / samples,
    );
    drop(bench);
    // In a process of its own, so that only what a start takes is seen.
    let program = std::env::current_exe().unwrap();
    let started = Command::new(program).arg("--start").arg(directory).status().unwrap();
    assert!(started.success());
}

/// Opens what `window` left.
fn start(directory: &Path) {
    forget(directory);
    let began = Instant::now();
    let bench = Bench::open_with(Config::new(directory.to_owned()), 0);
    let took = began.elapsed();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    println!(
        "opened with {} series in {took:?}, cold: {} MiB resident,{peak} at most",
        bench.store.stats().series,
        process::rss_bytes().unwrap_or_default() >> 20,
    );
}

fn checkpoints(directory: &Path, series: usize) {
    let mut bench = Bench::open(directory, series);
    let first = bench.live(START + 2 * MINUTE, 15_000);
    let took = first.as_secs_f64() * 1e3;
    println!("checkpoint of {series} new series{:>33.1} ms", took);
    let open = bench.live(START + 7 * MINUTE, 15_000);
    println!("checkpoint of {series} open chunks{:>32.1} ms", open.as_secs_f64() * 1e3);
    let sealed = bench.live(START + 32 * MINUTE, 15_000);
    println!("checkpoint of {series} sealed chunks{:>30.1} ms", sealed.as_secs_f64() * 1e3);
}

fn samples(directory: &Path, series: usize, hours: i64) {
    let mut bench = Bench::open(directory, series);
    let (mut total, mut longest) = (Duration::ZERO, Duration::ZERO);
    for hour in 1..=hours {
        let took = bench.live(START + hour * HOUR, 15_000);
        (total, longest) = (total + took, longest.max(took));
    }
    let appended = series as u64 * (hours * HOUR / 15_000).cast_unsigned();
    let per_sample = bytes(&bench.store) as f64 / appended as f64;
    println!("{appended} samples: {per_sample:.2} B each on disk, longest checkpoint {longest:?}");
    let now = bench.now;
    let one = Asked {
        name: "requests_total",
        route: Some("/api/v1/orders/1"),
        span: (now - hours * HOUR, now),
        step: 0,
        range: hours * HOUR,
    };
    for _ in 0..2 {
        show(&format!("{hours} h of the series of a route"), ask(&bench.store, &one));
    }
    let many = Asked { route: None, span: (now - 6 * HOUR, now), range: 6 * HOUR, ..one };
    for _ in 0..2 {
        show("6 h of all counters", ask(&bench.store, &many));
    }
}

fn days(directory: &Path, series: usize, days: i64) {
    let mut bench = Bench::open(directory, series);
    let (mut rolling, mut longest) = (Duration::ZERO, Duration::ZERO);
    for part in 1..=days * 4 {
        bench.live(START + part * 6 * HOUR, 5 * MINUTE);
        let (took, slice) = bench.tend();
        (rolling, longest) = (rolling + took, longest.max(slice));
        if part % 60 == 0 {
            println!("  {} of {days} days", part / 4);
        }
    }
    let mib = bytes(&bench.store) as f64 / f64::from(1 << 20);
    println!(
        "{days} days of {series} series: {mib:.1} MiB, rolled up in {rolling:?}, slices up to {longest:?}"
    );
    drop(bench);
    ask_days(directory, days);
}

/// Asks what `days` left, each query cold and again.
fn ask_days(directory: &Path, days: i64) {
    let now = START + days * DAY;
    let whole = |route, step, range| Asked {
        name: "requests_total",
        route,
        span: (now - days * DAY, now),
        step,
        range,
    };
    let route = Some("/api/v1/orders/1");
    for (what, asked) in [
        ("rate over a day, each 6 h, of a route", whole(route, 6 * HOUR, DAY)),
        ("rate over 5 min, each 6 h, of a route", whole(route, 6 * HOUR, 5 * MINUTE)),
        ("values, each 6 h, of a route", whole(route, 6 * HOUR, 0)),
        ("rate over a day, each 6 h, of all counters", whole(None, 6 * HOUR, DAY)),
    ] {
        forget(directory);
        let began = Instant::now();
        let bench = Bench::open(directory, 0);
        let opened = began.elapsed().as_secs_f64() * 1e3;
        show(&format!("{what}, cold"), ask(&bench.store, &asked));
        show(&format!("{what}, again"), ask(&bench.store, &asked));
        println!("  (opening took {opened:.1} ms)");
    }
}

/// How much of everything.
struct Sizes {
    series: usize,
    hours: i64,
    minutes: i64,
    days: i64,
}

/// What the environment says of a size.
fn size(name: &str, default: i64) -> i64 {
    let said = std::env::var(format!("SIDELIGHT_BENCH_{name}")).ok();
    said.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: {text}?")))
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, directory] = &arguments[..]
        && flag == "--start"
    {
        return start(Path::new(directory));
    }
    if let [flag, directory] = &arguments[..]
        && flag == "--ask"
    {
        return ask_days(Path::new(directory), size("DAYS", 90));
    }
    let measured = arguments.iter().any(|argument| argument == "--bench");
    let wanted = |part: &str| {
        let mut parts = arguments.iter().filter(|argument| !argument.starts_with('-')).peekable();
        parts.peek().is_none() || parts.any(|wanted| wanted == part)
    };
    let sizes = if measured {
        Sizes {
            series: usize::try_from(size("SERIES", 20_000)).unwrap(),
            hours: size("HOURS", 48),
            minutes: size("MINUTES", 15),
            days: size("DAYS", 90),
        }
    } else {
        Sizes { series: 20, hours: 1, minutes: 5, days: 5 }
    };
    let disk = std::env::var_os("SIDELIGHT_BENCH_DIR");
    let disk = disk.map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let mut directory = tempfile::tempdir_in(disk).unwrap();
    directory.disable_cleanup(size("KEEP", 0) != 0);
    let path = |name: &str| directory.path().join(name);
    println!("in {}", directory.path().display());
    // First: what the others leave in memory would count.
    if wanted("window") {
        window(&path("window"), &sizes);
    }
    if wanted("checkpoints") {
        checkpoints(&path("checkpoints"), if measured { sizes.series } else { 50 });
    }
    if wanted("samples") {
        samples(&path("samples"), if measured { 1_334 } else { 8 }, if measured { 24 } else { 7 });
    }
    if wanted("days") {
        days(&path("days"), if measured { 1_000 } else { 4 }, sizes.days);
    }
}
