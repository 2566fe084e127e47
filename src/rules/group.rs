//! A group of rules and one evaluation of it: in order, each rule seeing what those before it made. Pure but for what it is
//! given.
//!
//! ```text
//! rule 1 ─ query ─▶ samples ┐                        every sample since the last append
//! rule 2 ─ query ─▶ samples ┴─▶ rule 3 reads one of them? ─▶ Sink::append ─▶ rule 3 ─ query ─▶ …
//! ```
//! A series that a rule made before and does not make any more ends with a staleness marker, also when the rule itself is
//! gone. What a rule cannot do is its own failure: the next one is evaluated.
//!
//! What several rules ask for is evaluated once ([`super::parts`]).
//!
//! Limits: [`QUERY_TIME_MAX`](super::evaluate::QUERY_TIME_MAX) for a rule, [`GROUP_TIME_MAX`] for a group, then what is left
//! of it fails, and the next evaluation begins there: no rule starves, and what it reads of rules before it may be an
//! interval older. A group that takes longer than its interval misses slots, so that its last rules are evaluated too.
//! [`SERIES_MAX`] series for a recording rule, [`DUE_MAX`] alerts that wait to be told until the last rule was evaluated.
//! Locks are held while a rule's result is taken over, never during a query.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sidelight_promql::Labels;

use super::alerting::Terms;
use super::error::EvaluationError;
use super::evaluate::{
    Asking, Found, Made, Outcome, SERIES_MAX, Surroundings, alerts_seen, recorded,
};
use super::file;
use super::file::Kind;
use super::parts::{Part, Results, Split};
use super::rule::{Last, Rule, sorted};
use super::texts::Texts;
use crate::alert::Alert;
use crate::signal::samples::Value;
use crate::signal::{Sample, Samples};
use crate::time::UnixNano;

/// The file of the groups that come with the agent.
pub const BUILTIN: &str = "builtin/sidelight.yaml";
/// The longest that a group may take, whatever its interval: others wait for its place.
const GROUP_TIME_MAX: Duration = Duration::from_secs(60);
/// The least time between two warnings of one rule: a minute, and a little less for slots that are not evaluated on time.
const WARN_INTERVAL: Duration = Duration::from_secs(59);
/// The alerts of a group that wait for its other rules before they are told, but for those of one rule.
const DUE_MAX: usize = 10_000;

/// A group that runs.
#[derive(Debug)]
pub struct Group {
    /// The file that it is from.
    pub file: String,
    /// Its name in that file.
    pub name: String,
    /// The time between two evaluations.
    pub interval: Duration,
    /// How long before an evaluation the data is looked at.
    pub query_offset: Duration,
    /// The most series or alerts that a rule may make; 0: no limit of its own.
    pub limit: usize,
    /// In order.
    pub rules: Vec<Rule>,
    /// What several of them ask for.
    parts: Vec<Part>,
    /// Series of rules that are gone, to be ended by the next evaluation.
    orphans: Mutex<Vec<Labels>>,
    /// Those of the series that its rules keep.
    texts: Mutex<Texts>,
    last: Mutex<Last>,
    /// The rule to begin with: the first that had no time.
    first: AtomicUsize,
    /// The last evaluation that is on disk, in nanoseconds since the Unix epoch.
    pub(super) evaluated_on_disk: AtomicU64,
    /// Another has its alerts, or they are over.
    replaced: AtomicBool,
    pub(super) counts: Counts,
}

/// Counts since the group is there.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Slots that came, missed ones among them.
    pub(super) iterations: AtomicU64,
    /// Slots that passed while the one before was evaluated.
    pub(super) missed: AtomicU64,
}

impl Group {
    /// A group of `file` that was never evaluated; without an interval of its own it has `interval`.
    #[must_use]
    pub fn new(file: &str, group: &file::Group, interval: Duration) -> Self {
        let split = Split::of(group.rules.iter().map(|rule| &rule.expr));
        let rules = group.rules.iter().cloned().zip(split.exprs);
        Self {
            file: file.to_owned(),
            name: group.name.text.clone(),
            interval: group.interval.unwrap_or(interval),
            query_offset: group.query_offset.unwrap_or_default(),
            limit: group.limit,
            rules: rules.map(|(spec, expr)| Rule::new(spec, expr)).collect(),
            parts: split.parts,
            orphans: Mutex::default(),
            texts: Mutex::default(),
            last: Mutex::default(),
            first: AtomicUsize::new(0),
            evaluated_on_disk: AtomicU64::new(0),
            replaced: AtomicBool::new(false),
            counts: Counts::default(),
        }
    }

    /// Whether it comes with the agent.
    pub(super) fn is_builtin(&self) -> bool {
        self.file == BUILTIN
    }

    /// Its name with that of its file, as self-metrics show it.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{};{}", self.file, self.name)
    }

    /// Its rules whose last evaluation failed.
    #[must_use]
    pub fn failing(&self) -> usize {
        self.rules.iter().filter(|rule| rule.live().error.is_some()).count()
    }

    /// The last evaluation.
    #[must_use]
    pub fn last(&self) -> Last {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn orphans(&self) -> MutexGuard<'_, Vec<Labels>> {
        self.orphans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn texts(&self) -> MutexGuard<'_, Texts> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what the rules of the same group had before a reload. The series of rules that are gone are ended by the
    /// next evaluation.
    pub fn take_over(&self, old: &Self) {
        old.replaced.store(true, Ordering::Relaxed);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = old.last();
        for (count, old) in [
            (&self.counts.iterations, &old.counts.iterations),
            (&self.counts.missed, &old.counts.missed),
            (&self.evaluated_on_disk, &old.evaluated_on_disk),
        ] {
            count.store(old.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        *self.texts() = std::mem::take(&mut *old.texts());
        let mut orphans = std::mem::take(&mut *old.orphans());
        let mut free: Vec<&Rule> = self.rules.iter().collect();
        for from in &old.rules {
            let mut from_live = from.live();
            let at = free.iter().position(|rule| rule.identity() == from.identity());
            let Some(to) = at.map(|at| free.remove(at)) else {
                orphans.extend(std::mem::take(&mut from_live.previous));
                continue;
            };
            let mut live = to.live();
            live.previous = std::mem::take(&mut from_live.previous);
            if matches!((&to.spec.kind, &from.spec.kind), (Kind::Alerting(_), Kind::Alerting(_))) {
                live.alerts = std::mem::take(&mut from_live.alerts);
                (live.saved, live.epoch) = (std::mem::take(&mut from_live.saved), from_live.epoch);
            }
        }
        self.orphans().append(&mut orphans);
    }

    /// Staleness markers for every series of the group: it is gone.
    #[must_use]
    pub fn end(&self, now: UnixNano) -> Samples {
        self.replaced.store(true, Ordering::Relaxed);
        let mut series = std::mem::take(&mut *self.orphans());
        for rule in &self.rules {
            series.extend(std::mem::take(&mut rule.live().previous));
        }
        let t_ms = now.before(self.query_offset).as_ms();
        Samples(series.iter().map(|labels| stale(labels, t_ms)).collect())
    }

    /// Evaluates every rule at `now`; the samples that it made, all of them appended.
    #[must_use]
    pub fn evaluate(&self, now: UnixNano, with: &Surroundings<'_>) -> Samples {
        let began = with.clock.monotonic();
        let until = began + GROUP_TIME_MAX;
        self.texts().forget();
        let mut due = Vec::new();
        let results = Results::new(&self.parts, with.source);
        let mut batch = Batch::new(self, with, now.before(self.query_offset).as_ms());
        let first = self.first.swap(0, Ordering::Relaxed);
        let (before, after) = self.rules.split_at_checked(first).unwrap_or((&[], &self.rules));
        let after = after.iter().zip(self.rules.len() - after.len()..);
        let mut late = None;
        for (rule, index) in after.chain(before.iter().zip(0..)) {
            if (with.stopped)() {
                break;
            }
            if rule.reads.any_of(&batch.names) {
                results.forget(&batch.names);
                batch.append();
            }
            let started = with.clock.monotonic();
            let outcome = if started > until {
                Err(EvaluationError::GroupTime { limit: until.saturating_sub(began) })
            } else {
                let asking = Asking::new(rule, now, self.query_offset, with, &results, until);
                self.evaluate_rule(&asking, &mut due)
            };
            results.release(index);
            let ended = with.clock.monotonic();
            if outcome.is_err() && ended > until {
                late.get_or_insert(index);
            }
            let took = ended.saturating_sub(started);
            batch.take(index, outcome, Last { at: Some(now), took, samples: 0 });
            if due.len() >= DUE_MAX {
                self.tell(std::mem::take(&mut due), with);
            }
        }
        // Once for all rules: alerts are on disk before they are told.
        self.tell(due, with);
        batch.append();
        batch.end_orphans();
        self.first.store(late.unwrap_or(0), Ordering::Relaxed);
        let took = with.clock.monotonic().saturating_sub(began);
        let last = Last { at: Some(now), took, samples: batch.appended.len() };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = last;
        Samples(batch.appended)
    }

    /// Hands alerts over, unless another group has them since: what waited here is not true any more, and that one tells it.
    fn tell(&self, due: Vec<Alert>, with: &Surroundings<'_>) {
        if !due.is_empty() && !self.replaced.load(Ordering::Relaxed) {
            with.outbox.notify(due);
        }
    }

    fn evaluate_rule(&self, asking: &Asking<'_>, due: &mut Vec<Alert>) -> Outcome {
        let Asking { rule, now, with, .. } = *asking;
        match &rule.spec.kind {
            Kind::Recording => recorded(asking, self.limit, &rule.labels),
            Kind::Alerting(alerting) => {
                let found = alerts_seen(asking, alerting, self.limit);
                let Found { seen, beyond } = found.inspect_err(|error| {
                    if error.is_limit() {
                        rule.live().alerts.clear();
                    }
                })?;
                let terms = Terms {
                    hold: alerting.hold,
                    keep_firing_for: alerting.keep_firing_for,
                    limit: self.limit,
                    interval: self.interval,
                };
                let mut live = rule.live();
                // A reload that did not wait for this has given the alerts to another group.
                if (with.stopped)() {
                    return Err(EvaluationError::Query("the evaluation was stopped".to_owned()));
                }
                let no_room = live.alerts.evaluate(seen, now, terms, &asking.generator_url())?;
                // From when it is told: an evaluation may come late, and take its time.
                let valid = self.interval.max(with.resend).saturating_mul(4);
                let valid_until = now.max(with.clock.unix_nano()).after(valid);
                due.extend(live.alerts.due(now, valid_until, with.resend));
                Ok(Made { series: live.alerts.samples(), beyond: beyond.or(no_room) })
            }
        }
    }
}

/// Results that are not appended yet.
struct Batch<'a> {
    group: &'a Group,
    with: &'a Surroundings<'a>,
    t_ms: i64,
    samples: Vec<Sample>,
    /// The names of metrics among them.
    names: BTreeSet<String>,
    /// The rules that they are of, and each one's series.
    rules: Vec<(usize, Vec<Labels>)>,
    appended: Vec<Sample>,
}

impl<'a> Batch<'a> {
    fn new(group: &'a Group, with: &'a Surroundings<'a>, t_ms: i64) -> Self {
        let (samples, rules, appended) = (Vec::new(), Vec::new(), Vec::new());
        Self { group, with, t_ms, samples, names: BTreeSet::new(), rules, appended }
    }

    fn take(&mut self, index: usize, outcome: Outcome, last: Last) {
        let Some(rule) = self.group.rules.get(index) else { return };
        let mut live = rule.live();
        live.evaluations += 1;
        live.last = last;
        let error = match outcome {
            Err(error) => Some(error),
            Ok(Made { series, beyond }) => {
                live.last.samples = series.len();
                let returned = self.kept(series, &live.previous);
                let mut left = returned.iter().peekable();
                for before in &live.previous {
                    while left.next_if(|labels| *labels < before).is_some() {}
                    if left.next_if_eq(&before).is_none() {
                        self.add(before, Value::Stale);
                    }
                }
                self.rules.push((index, returned));
                beyond
            }
        };
        if let Some(error) = &error {
            let now = self.with.clock.monotonic();
            if live.warned.is_none_or(|at| now.saturating_sub(at) >= WARN_INTERVAL) {
                live.warned = Some(now);
                tracing::warn!(
                    file = self.group.file, group = self.group.name, rule = rule.spec.name.text, %error,
                    "evaluating a rule failed"
                );
            }
            live.failures += 1;
        }
        live.error = error;
    }

    /// Adds the samples of a rule. Their series, sorted, have texts that are kept: those of the query go now, and not when all
    /// of the group is in the journal.
    fn kept(&mut self, mut series: Vec<(Labels, Value)>, before: &[Labels]) -> Vec<Labels> {
        series.sort_by(|a, b| a.0.cmp(&b.0));
        series.dedup_by(|a, b| a.0 == b.0);
        let (labels, values): (Vec<_>, Vec<_>) = series.into_iter().unzip();
        let kept = self.group.texts().kept(labels, before);
        for (labels, value) in kept.iter().zip(values) {
            self.add(labels, value);
        }
        kept
    }

    fn add(&mut self, labels: &Labels, value: Value) {
        let name = labels.metric_name();
        if !self.names.contains(name) {
            self.names.insert(name.to_owned());
        }
        self.samples.push(sample(labels, self.t_ms, value));
    }

    /// Appends what there is. Where that fails the rules are unhealthy, and the series that they had go on.
    fn append(&mut self) {
        self.names.clear();
        let rules = std::mem::take(&mut self.rules);
        let samples = std::mem::take(&mut self.samples);
        let appended = match samples.is_empty() {
            true => Ok(()),
            false => self.with.sink.append(Samples(samples.clone())),
        };
        if let Err(error) = &appended {
            let (file, group) = (&self.group.file, &self.group.name);
            tracing::warn!(file, group, %error, "the results of rules are not kept");
        }
        for (index, returned) in rules {
            let Some(rule) = self.group.rules.get(index) else { continue };
            let mut live = rule.live();
            match &appended {
                Ok(()) => live.previous = returned,
                Err(error) => {
                    // What came too late may be there yet: both end when they are gone, which costs nothing where there is none.
                    let before = std::mem::take(&mut live.previous);
                    live.previous = sorted(returned.into_iter().chain(before).take(2 * SERIES_MAX));
                    live.failures += 1;
                    live.error = Some(EvaluationError::Append(error.clone()));
                }
            }
        }
        if appended.is_ok() {
            self.appended.extend(samples);
        }
    }

    /// Ends the series of rules that are gone, unless another rule makes them.
    fn end_orphans(&mut self) {
        let mut orphans = std::mem::take(&mut *self.group.orphans());
        if orphans.is_empty() {
            return;
        }
        for rule in &self.group.rules {
            let live = rule.live();
            orphans.retain(|labels| live.previous.binary_search(labels).is_err());
        }
        self.samples.extend(orphans.iter().map(|labels| stale(labels, self.t_ms)));
        let before = self.appended.len();
        self.append();
        if self.appended.len() == before {
            self.group.orphans().append(&mut orphans);
        }
    }
}

fn stale(labels: &Labels, t_ms: i64) -> Sample {
    sample(labels, t_ms, Value::Stale)
}

fn sample(labels: &Labels, t_ms: i64, value: Value) -> Sample {
    Sample { labels: labels.clone(), t_ms, value }
}
