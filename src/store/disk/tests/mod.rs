//! The files of the store, on a real disk with a clock that moves when told to.

mod ahead;
mod damage;
mod days;
mod document;
mod restart;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sidelight_promql::{Labels, Reads};

use super::Disk;
use crate::store::checkpoint::{Live, Record, Restored, Window};
use crate::store::chunk::{self, Chunk};
use crate::store::config::Config;
use crate::store::samples::Samples;
use crate::store::{Deps, Fingerprint, Kind, OpenError, StoreError};
use crate::telemetry::Registry;
use crate::time::{Clock, ManualClock, UnixNano};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// 2026-11-20T00:00:00Z.
const START: i64 = 1_795_132_800_000;

struct Setup {
    _directory: tempfile::TempDir,
    clock: Arc<ManualClock>,
    registry: Registry,
    config: Config,
}

impl Setup {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = Config::new(directory.path().join("store"));
        let clock = Arc::new(ManualClock::at(UnixNano(0)));
        Self { _directory: directory, clock, registry: Registry::default(), config }
    }

    fn try_open(&self) -> Result<(Disk, Restored), OpenError> {
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&self.clock);
        Disk::open(&self.config, &Deps { clock, registry: self.registry.clone() })
    }

    fn open(&self) -> (Disk, Restored) {
        self.try_open().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.config.directory.join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.config.directory).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let beside = |name: &String| name.ends_with("-wal") || name.ends_with("-shm");
        let mut names: Vec<_> = names.filter(|name| !beside(name)).collect();
        names.sort();
        names
    }

    fn count(&self, name: &str) -> u64 {
        let (_, series) = self.registry.family(name).unwrap();
        let count = |value| match value {
            crate::telemetry::registry::Value::Count(count) => count,
            crate::telemetry::registry::Value::Level(level) => level as u64,
        };
        series.iter().map(|(_, value)| count(*value)).sum()
    }

    /// The store as a kill would leave it now: what is written, without what would be on closing.
    fn killed(&self) -> Self {
        let copy = Self::new();
        copy_directory(&self.config.directory, &copy.config.directory);
        Self { clock: Arc::clone(&self.clock), ..copy }
    }
}

fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A series with what belongs to it.
#[derive(Clone)]
struct Series {
    labels: Labels,
    kind: Kind,
    fingerprint: Fingerprint,
}

impl Series {
    fn new(name: &str, instance: usize) -> Self {
        let instance = instance.to_string();
        let labels = Labels::new([("__name__", name), ("instance", &*instance)]);
        let pairs = labels.iter().map(|label| (&*label.name, &*label.value));
        let fingerprint = Fingerprint::of(pairs, Kind::Float);
        Self { labels, kind: Kind::Float, fingerprint }
    }

    fn record<'a>(&'a self, sealed: &'a [Chunk], live: &'a [u8]) -> Record<'a> {
        let Self { labels, kind, fingerprint } = self;
        Record { fingerprint: *fingerprint, kind: *kind, labels, sealed, live }
    }
}

/// Chunks of `value` every `step` in `(after, until]`.
fn chunks(after: i64, until: i64, step: i64, value: impl Fn(i64) -> f64) -> Vec<Chunk> {
    let mut samples = Samples::default();
    let times = (1..=(until - after) / step).map(|nth| after + nth * step);
    samples.points.floats.extend(times.map(|t| (t, value(t))));
    chunk::encode(&samples)
}

/// What of each series of the head is there after a start.
fn live<T>(disk: &Disk, of: impl Fn(&Live<'_>) -> T) -> Vec<T> {
    let mut found = Vec::new();
    disk.each_live(&mut |live| found.push(of(live))).unwrap();
    found
}

/// Their states.
fn states(disk: &Disk) -> Vec<Vec<u8>> {
    live(disk, |live| live.state.to_vec())
}

fn commit(disk: &Disk, seq: u64, now: i64, records: &[Record<'_>]) -> Result<(), StoreError> {
    let mut commit = disk.begin(seq, now)?;
    for record in records {
        commit.series(record)?;
    }
    commit.finish()
}

/// Everything in the window as an instant query at its end with a lookback as long would see it.
fn window(after: i64, until: i64) -> Window {
    let reads = Reads::Last;
    Window { after, until, step: 0, range: until - after, lookback: 0, reads }
}

fn floats(disk: &Disk, series: &Series, window: &Window) -> Vec<(i64, f64)> {
    let mut samples = Samples::default();
    let mut reader = disk.reader();
    reader.read(series.fingerprint, window, i64::MAX, &mut samples).unwrap();
    assert!(samples.points.floats.is_sorted_by(|a, b| a.0 < b.0));
    samples.points.floats
}

/// Does what is to be done in the background.
fn tend(disk: &Disk) {
    let mut slices = 0;
    while disk.tend() {
        slices += 1;
        assert!(slices < 10_000, "it never ends");
    }
}

fn advance(setup: &Setup, milliseconds: i64) {
    setup.clock.advance(Duration::from_millis(milliseconds.cast_unsigned()));
}
