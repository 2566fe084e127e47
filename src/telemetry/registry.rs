//! The registry of self-metrics: a lock on creation and scrape, one atomic add per measurement.
//!
//! Limits: [`SERIES_MAX`] series per family; past it a measurement goes to a cell that is not shown,
//! and `sidelight_telemetry_series_refused` counts it. Cost: 8 bytes and its labels per series.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::desc::{self, Desc, Kind};
use super::exposition::{Exposition, Label};

/// The most series of one family.
pub const SERIES_MAX: usize = 2_000;

/// A monotonic count. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The count so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A value that goes up and down. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// The value last set; 0 at first.
    #[must_use]
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// The value of one series when it was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A counter's.
    Count(u64),
    /// A gauge's.
    Level(f64),
}

/// One series when it was read: label values in the order of its [`Desc`], and the value.
pub type Series = (Vec<String>, Value);

/// Reads a gauge when it is scraped.
type Observe = Arc<dyn Fn() -> f64 + Send + Sync>;

/// Writes whole families when they are scraped.
type Collect = Arc<dyn Fn(&mut Exposition) + Send + Sync>;

/// Holds every self-metric's series. Cloning shares it.
#[derive(Clone, Default)]
pub struct Registry {
    families: Arc<Mutex<BTreeMap<&'static str, Family>>>,
    collectors: Arc<Mutex<Vec<Collect>>>,
}

struct Family {
    desc: Desc,
    series: BTreeMap<Vec<String>, Cell>,
}

#[derive(Clone)]
enum Cell {
    Stored(Arc<AtomicU64>),
    Observed(Observe),
}

impl Registry {
    /// The counter of `desc` with these label values, made on first use.
    #[must_use]
    pub fn counter(&self, desc: &Desc, labels: &[&str]) -> Counter {
        debug_assert_eq!(desc.kind, Kind::Counter, "{}", desc.name);
        Counter(self.stored(desc, labels))
    }

    /// The gauge of `desc` with these label values, made on first use.
    #[must_use]
    pub fn gauge(&self, desc: &Desc, labels: &[&str]) -> Gauge {
        debug_assert_eq!(desc.kind, Kind::Gauge, "{}", desc.name);
        Gauge(self.stored(desc, labels))
    }

    /// Shows what `read` returns at each scrape as the gauge of `desc` with these label values. The
    /// last registration of a series holds. `read` may use the registry; it must not block.
    pub fn observe(
        &self,
        desc: &Desc,
        labels: &[&str],
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        debug_assert_eq!(desc.kind, Kind::Gauge, "{}", desc.name);
        let cell = Cell::Observed(Arc::new(read));
        let _refused = self.with_series(desc, labels, |slot| *slot = cell);
    }

    /// Calls `collect` at each scrape, to write families that live elsewhere. It must not block, nor hold a lock while it
    /// writes, which takes its time: what is written is compressed.
    pub fn collect(&self, collect: impl Fn(&mut Exposition) + Send + Sync + 'static) {
        lock(&self.collectors).push(Arc::new(collect));
    }

    /// Ends a series, for example of an exporter that left the configuration. Handles to it keep
    /// working and are no longer shown.
    pub fn remove(&self, desc: &Desc, labels: &[&str]) {
        if let Some(family) = lock(&self.families).get_mut(desc.name) {
            family.series.remove(&owned(labels));
        }
    }

    /// Lets go of all that it shows, and of what that reads, when the answer is dropped: much of it has the registry itself.
    #[must_use]
    pub fn ends(&self) -> Ends {
        Ends(self.clone())
    }

    /// Every series held here, by family in the order of names; without those of collectors.
    #[must_use]
    pub fn snapshot(&self) -> Vec<(Desc, Vec<Series>)> {
        // Callbacks run after the lock is released: they may use the registry themselves.
        let families: Vec<Cells> = lock(&self.families).values().map(Family::cells).collect();
        families.into_iter().map(read).collect()
    }

    /// The series of one family, or `None` when it has none yet.
    #[must_use]
    pub fn family(&self, name: &str) -> Option<(Desc, Vec<Series>)> {
        let cells = lock(&self.families).get(name).map(Family::cells)?;
        Some(read(cells))
    }

    /// Writes every family, those of collectors last.
    pub fn write(&self, out: &mut Exposition) {
        for (desc, series) in self.snapshot() {
            let mut family = out.family(&desc);
            for (values, value) in &series {
                let labels: Vec<Label<'_>> =
                    desc.labels.iter().copied().zip(values.iter().map(String::as_str)).collect();
                match *value {
                    Value::Count(n) => family.count(&labels, n, None),
                    Value::Level(v) => family.value(&labels, v),
                }
            }
        }
        let collectors = lock(&self.collectors).clone();
        for collect in collectors {
            collect(out);
        }
    }

    fn stored(&self, desc: &Desc, labels: &[&str]) -> Arc<AtomicU64> {
        let shown = self.with_series(desc, labels, |slot| match slot {
            Cell::Stored(cell) => Arc::clone(cell),
            Cell::Observed(_) => {
                let cell = Arc::<AtomicU64>::default();
                *slot = Cell::Stored(Arc::clone(&cell));
                cell
            }
        });
        shown.unwrap_or_default()
    }

    /// Runs `with` on the series' slot, or returns `None` when the family is full.
    fn with_series<T>(
        &self,
        desc: &Desc,
        labels: &[&str],
        with: impl FnOnce(&mut Cell) -> T,
    ) -> Option<T> {
        debug_assert_eq!(desc.labels.len(), labels.len(), "{}", desc.name);
        let mut families = lock(&self.families);
        let family = families
            .entry(desc.name)
            .or_insert_with(|| Family { desc: *desc, series: BTreeMap::new() });
        let values = owned(labels);
        if family.series.len() >= SERIES_MAX && !family.series.contains_key(&values) {
            drop(families);
            self.counter(&desc::TELEMETRY_SERIES_REFUSED, &[]).add(1);
            return None;
        }
        Some(with(family.series.entry(values).or_insert_with(|| Cell::Stored(Arc::default()))))
    }
}

/// Ends what a registry shows; see [`Registry::ends`].
#[derive(Debug)]
pub struct Ends(Registry);

impl Drop for Ends {
    fn drop(&mut self) {
        // Dropped after the locks are: what they hold may use the registry.
        let (families, collectors) = (
            std::mem::take(&mut *lock(&self.0.families)),
            std::mem::take(&mut *lock(&self.0.collectors)),
        );
        drop((families, collectors));
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("families", &lock(&self.families).len())
            .field("collectors", &lock(&self.collectors).len())
            .finish()
    }
}

/// A family's series and where their values are.
type Cells = (Desc, Vec<(Vec<String>, Cell)>);

impl Family {
    fn cells(&self) -> Cells {
        let series = self.series.iter().map(|(labels, cell)| (labels.clone(), cell.clone()));
        (self.desc, series.collect())
    }
}

fn read((desc, cells): Cells) -> (Desc, Vec<Series>) {
    let series = cells.into_iter().map(|(labels, cell)| (labels, cell.read(desc.kind)));
    (desc, series.collect())
}

impl Cell {
    fn read(&self, kind: Kind) -> Value {
        match self {
            Self::Stored(cell) if kind == Kind::Counter => {
                Value::Count(cell.load(Ordering::Relaxed))
            }
            Self::Stored(cell) => Value::Level(f64::from_bits(cell.load(Ordering::Relaxed))),
            Self::Observed(read) => Value::Level(read()),
        }
    }
}

fn owned(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|&v| v.to_owned()).collect()
}

/// A panic elsewhere leaves a map that is whole: no update here can stop half way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: Desc =
        Desc { name: "t_count", kind: Kind::Counter, help: "Tests.", labels: &["which"] };
    const LEVEL: Desc = Desc { name: "t_level", kind: Kind::Gauge, help: "Tests.", labels: &[] };

    #[test]
    fn equal_labels_share_a_series_and_others_do_not() {
        let registry = Registry::default();
        registry.counter(&COUNT, &["a"]).add(2);
        registry.counter(&COUNT, &["a"]).add(3);
        registry.counter(&COUNT, &["b"]).add(1);
        let snapshot = registry.snapshot();
        let series: Vec<_> = snapshot.iter().flat_map(|(_, series)| series).collect();
        assert_eq!(series[0], &(vec!["a".to_owned()], Value::Count(5)));
        assert_eq!(series[1], &(vec!["b".to_owned()], Value::Count(1)));
    }

    #[test]
    fn an_observed_gauge_is_read_at_the_scrape_and_may_use_the_registry() {
        let registry = Registry::default();
        let inner = registry.clone();
        let count = registry.counter(&COUNT, &["a"]);
        registry.observe(&LEVEL, &[], move || inner.counter(&COUNT, &["a"]).get() as f64);
        count.add(7);
        assert_eq!(registry.snapshot()[1].1, [(vec![], Value::Level(7.0))]);
    }

    #[test]
    fn a_full_family_refuses_new_series_and_counts_them() {
        let registry = Registry::default();
        for i in 0..SERIES_MAX + 3 {
            registry.counter(&COUNT, &[&i.to_string()]).add(1);
        }
        let refused = registry.counter(&desc::TELEMETRY_SERIES_REFUSED, &[]);
        assert_eq!(refused.get(), 3);
        registry.counter(&COUNT, &["0"]).add(1);
        assert_eq!(registry.counter(&COUNT, &["0"]).get(), 2);
    }

    #[test]
    fn a_removed_series_is_no_longer_shown() {
        let registry = Registry::default();
        let count = registry.counter(&COUNT, &["a"]);
        registry.remove(&COUNT, &["a"]);
        count.add(1);
        assert!(registry.snapshot()[0].1.is_empty());
    }
}
