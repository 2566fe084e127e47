//! A rule that runs: what it is from its file, and what its evaluations leave behind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sidelight_promql::{Expr, Labels};

use super::alerting::Alerts;
use super::error::EvaluationError;
use super::file;
use super::file::Kind;
use super::parts;
use super::reads::Reads;
use super::state::{Change, Stamp};
use super::template;
use crate::alert::Pairs;
use crate::time::UnixNano;

/// A rule that runs.
#[derive(Debug)]
pub struct Rule {
    /// As it is in the file.
    pub spec: file::Rule,
    /// Names and values of [`file::Rule::labels`].
    pub labels: Pairs,
    pub(super) reads: Reads,
    /// The expression with selectors of parts in it, and those parts.
    pub(super) expr: Expr,
    pub(super) needs: BTreeSet<usize>,
    /// Where the expression of an alert can be looked at, below the external URL: printed once, told at each evaluation.
    pub(super) link: String,
    live: Mutex<Live>,
}

/// What an evaluation leaves behind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Last {
    /// Its time slot; `None` before the first.
    pub at: Option<UnixNano>,
    /// How long it took.
    pub took: Duration,
    /// How many samples it made.
    pub samples: usize,
}

/// What changes with every evaluation of a rule.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) alerts: Alerts,
    /// What of them is on disk, in which epoch of [`State::epoch`](super::state::State::epoch); `None`: nobody knows whether
    /// it is there as it is, was, or at all.
    pub(super) saved: BTreeMap<Pairs, Option<Stamp>>,
    pub(super) epoch: u64,
    /// The series of the last evaluation, sorted.
    pub(super) previous: Vec<Labels>,
    pub(super) error: Option<EvaluationError>,
    /// When the log was last told of an error.
    pub(super) warned: Option<Duration>,
    pub(super) last: Last,
    pub(super) failures: u64,
    pub(super) evaluations: u64,
}

impl Live {
    /// What is not on disk as it is, in this epoch of it.
    pub(super) fn changes(&mut self, epoch: u64) -> Vec<Change> {
        if self.epoch != epoch {
            self.saved.clear();
            self.epoch = epoch;
        }
        let mut gone = self.saved.clone();
        let mut changes = Vec::new();
        for alert in self.alerts.all() {
            if gone.remove(&alert.labels) != Some(Some(Stamp::of(alert))) {
                changes.push(Change::Put(alert.clone()));
                // A write that fails may have come through, or does when the disk goes on.
                self.saved.insert(alert.labels.clone(), None);
            }
        }
        changes.extend(gone.into_keys().map(Change::Remove));
        changes
    }

    /// Everything is on disk as it is.
    pub(super) fn saved(&mut self, epoch: u64) {
        self.epoch = epoch;
        let stamps = self.alerts.all().map(|alert| (alert.labels.clone(), Some(Stamp::of(alert))));
        self.saved = stamps.collect();
    }
}

impl Rule {
    pub(super) fn new(spec: file::Rule, expr: Expr) -> Self {
        let labels = spec.labels.iter().map(|pair| (pair.name.clone(), pair.value.text.clone()));
        let (labels, reads, needs) = (labels.collect(), Reads::of(&spec), parts::needs(&expr));
        // Of what is written, which has no parts in it.
        let link = match &spec.kind {
            Kind::Recording => String::new(),
            Kind::Alerting(_) => template::table_link(&spec.expr),
        };
        Self { spec, labels, reads, expr, needs, link, live: Mutex::default() }
    }

    pub(super) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What makes it the same rule after a reload or a restart: its name and its labels, as Prometheus has it.
    pub(super) fn identity(&self) -> (&str, &Pairs) {
        (&self.spec.name.text, &self.labels)
    }

    /// Takes alerts over that were kept from before a restart.
    pub(super) fn restore(
        &self,
        alerts: Alerts,
        saved: BTreeMap<Pairs, Option<Stamp>>,
        epoch: u64,
    ) {
        let mut live = self.live();
        live.previous = sorted(alerts.samples().into_iter().map(|(labels, _)| labels));
        (live.alerts, live.saved, live.epoch) = (alerts, saved, epoch);
    }
}

/// Every label set once, in order.
pub(super) fn sorted(labels: impl Iterator<Item = Labels>) -> Vec<Labels> {
    let mut labels: Vec<Labels> = labels.collect();
    labels.sort_unstable();
    labels.dedup();
    labels
}
