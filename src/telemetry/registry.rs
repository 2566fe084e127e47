//! The registry of self-metrics: lock on creation and scrape, one atomic add per measurement.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a metric is, in Prometheus' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// The definition of one self-metric.
#[derive(Clone, Copy, Debug)]
pub struct Desc {
    /// The metric name without `_total`, which the exposition adds to counters.
    pub name: &'static str,
    /// Counter or gauge.
    pub kind: Kind,
    /// One sentence with the unit.
    pub help: &'static str,
    /// Label names, in the order in which values are given.
    pub labels: &'static [&'static str],
}

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

/// Holds every self-metric's series. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    families: Arc<Mutex<BTreeMap<&'static str, Family>>>,
}

#[derive(Debug)]
#[expect(dead_code, reason = "read by the exposition")]
struct Family {
    desc: Desc,
    series: BTreeMap<Vec<String>, Arc<AtomicU64>>,
}

impl Registry {
    /// The counter of `desc` with these label values, made on first use.
    #[must_use]
    pub fn counter(&self, desc: &Desc, labels: &[&str]) -> Counter {
        Counter(self.cell(desc, labels))
    }

    /// The gauge of `desc` with these label values, made on first use.
    #[must_use]
    pub fn gauge(&self, desc: &Desc, labels: &[&str]) -> Gauge {
        Gauge(self.cell(desc, labels))
    }

    fn cell(&self, desc: &Desc, labels: &[&str]) -> Arc<AtomicU64> {
        debug_assert_eq!(desc.labels.len(), labels.len(), "{}", desc.name);
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        let family = families
            .entry(desc.name)
            .or_insert_with(|| Family { desc: *desc, series: BTreeMap::new() });
        let values = labels.iter().map(|&v| v.to_owned()).collect();
        Arc::clone(family.series.entry(values).or_default())
    }
}
