//! Runs tests: the rules' own engine over a store in memory, with the time given.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::time::Duration;

use sidelight_promql::engine::Options as QueryOptions;
use sidelight_promql::memory::Memory;
use sidelight_promql::notation;
use sidelight_promql::source::{STALE_BITS, is_stale};
use sidelight_promql::value::{Number, SampleValue};
use sidelight_promql::{Each, Engine, Labels, Queryable, Selection, SourceError, Warnings};

use super::compare::{self, Fired};
use super::file::{ExprTest, Test, TestFile};
use crate::alert::{Nowhere, State};
use crate::rules::evaluate::{Sink, Surroundings};
use crate::rules::file::{Kind, RuleFile};
use crate::rules::group::Group;
use crate::signal::samples::{Samples, Value};
use crate::time::{ManualClock, UnixNano};

/// The most evaluations of a test.
pub const EVALUATIONS_MAX: u128 = 1_000_000;

/// How tests are run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Only tests with a name that one of these finds; empty is all.
    pub run: &'a [regex::Regex],
    /// Whether what is different is shown line by line.
    pub diff: bool,
    /// Whether every sample is shown.
    pub debug: bool,
}

/// What came of a test.
#[derive(Debug)]
pub struct Case {
    /// The test's name.
    pub name: String,
    /// What was not as expected; none is good.
    pub failures: Vec<String>,
    /// Every sample, where that was asked for.
    pub dump: Option<String>,
}

/// Runs the tests of `file` with the rules of `rules`, which have names.
#[must_use]
pub fn run(file: &TestFile, rules: &[(String, RuleFile)], options: &Options<'_>) -> Vec<Case> {
    let wanted = |test: &&Test| {
        options.run.is_empty() || options.run.iter().any(|run| run.is_match(&test.name))
    };
    let tests = file.tests.iter().filter(wanted);
    tests.map(|test| Running::new(file, test, rules, *options).run()).collect()
}

/// The store: what the test gives, and what the rules add.
#[derive(Debug, Default)]
struct Store(RefCell<Memory>);

impl Queryable for Store {
    fn select(&self, selection: &Selection<'_>, each: Each<'_>) -> Result<Warnings, SourceError> {
        self.0.borrow().select(selection, each)
    }
}

impl Sink for Store {
    fn append(&self, samples: Samples) -> Result<(), String> {
        let mut memory = self.0.borrow_mut();
        for sample in samples.0 {
            let value = match sample.value {
                Value::Float(value) => SampleValue::Float(value),
                Value::Stale => SampleValue::Float(f64::from_bits(STALE_BITS)),
                Value::Native(histogram) => SampleValue::Histogram(histogram),
            };
            memory.insert(&sample.labels, sample.t_ms, value);
        }
        Ok(())
    }
}

/// A test under way.
struct Running<'a> {
    file: &'a TestFile,
    test: &'a Test,
    options: Options<'a>,
    store: Store,
    groups: Vec<Group>,
    clock: ManualClock,
    failures: Vec<String>,
}

impl<'a> Running<'a> {
    fn new(
        file: &'a TestFile,
        test: &'a Test,
        rules: &[(String, RuleFile)],
        options: Options<'a>,
    ) -> Self {
        let groups = rules.iter().flat_map(|(name, file)| {
            file.groups.iter().map(|group| Group::new(name, group, test.interval))
        });
        let mut groups: Vec<Group> = groups.collect();
        // A group that is not named goes with the first, as promtool has it.
        let place = |group: &Group| file.group_eval_order.iter().position(|n| *n == group.name);
        groups.sort_by_key(|group| place(group).unwrap_or(0));
        let clock = ManualClock::at(UnixNano(0));
        let store = Store::default();
        Self { file, test, options, store, groups, clock, failures: Vec::new() }
    }

    fn run(mut self) -> Case {
        self.load();
        if self.evaluate() {
            for test in &self.test.exprs {
                self.check_expr(test);
            }
        }
        let dump = self.options.debug.then(|| dump(&self.store.0.borrow()));
        Case { name: self.test.name.clone(), failures: self.failures, dump }
    }

    fn load(&mut self) {
        let memory = self.store.0.get_mut();
        let step = i64::try_from(self.test.interval.as_millis()).unwrap_or(i64::MAX);
        for line in &self.test.series {
            for (at, value) in (0_i64..).zip(&line.values) {
                let time = self.test.start.saturating_add(at.saturating_mul(step));
                let value = match value {
                    Some(notation::Value::Float(value)) => SampleValue::Float(*value),
                    Some(notation::Value::Histogram { histogram, .. }) => {
                        SampleValue::Histogram(histogram.clone())
                    }
                    None => continue,
                };
                memory.insert(&line.labels, time, value);
            }
            memory.settle(&line.labels);
        }
    }

    /// Evaluates every group again and again; whether no rule failed.
    fn evaluate(&mut self) -> bool {
        let interval = self.file.evaluation_interval;
        let alerts = self.test.alerts.iter().map(|test| test.eval_time);
        let exprs = self.test.exprs.iter().map(|test| test.eval_time);
        let end = alerts.chain(exprs).max().unwrap_or_default();
        if end.as_nanos() / interval.as_nanos().max(1) > EVALUATIONS_MAX {
            self.failures.push(format!("more than {EVALUATIONS_MAX} evaluations"));
            return false;
        }
        let mut since = Duration::ZERO;
        while since <= end {
            let errors = self.evaluate_at(since);
            if !errors.is_empty() {
                self.failures.extend(errors);
                return false;
            }
            self.check_alerts(since, since + interval);
            since += interval;
        }
        true
    }

    /// That of the file is the step of a subquery that names none, as promtool has it.
    fn subquery_step_ms(&self) -> i64 {
        i64::try_from(self.file.evaluation_interval.as_millis()).unwrap_or(i64::MAX)
    }

    fn evaluate_at(&self, since: Duration) -> Vec<String> {
        let with = Surroundings {
            source: &self.store,
            sink: &self.store,
            outbox: &Nowhere,
            clock: &self.clock,
            external_labels: &self.test.external_labels,
            external_url: &self.test.external_url,
            subquery_step_ms: self.subquery_step_ms(),
            samples_max: QueryOptions::default().samples_max,
            stopped: &|| false,
            resend: Duration::from_secs(60),
        };
        let now = UnixNano(self.test.start.unsigned_abs().saturating_mul(1_000_000));
        let now =
            UnixNano(now.0.saturating_add(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)));
        let mut errors = Vec::new();
        for group in &self.groups {
            let _ = group.evaluate(now, &with);
            for rule in &group.rules {
                if let Some(error) = &rule.live().error {
                    let (name, time) = (&rule.spec.name.text, compare::time(since));
                    errors.push(format!("    rule: {name}, time: {time}, err: {error}"));
                }
            }
        }
        errors
    }

    /// Compares the alerts of tests from `since` to before `next` with those that fire.
    fn check_alerts(&mut self, since: Duration, next: Duration) {
        let due = |time: Duration| since <= time && time < next;
        for test in self.test.alerts.iter().filter(|test| due(test.eval_time)) {
            let mut found: Vec<Fired> = Vec::new();
            for rule in self.groups.iter().flat_map(|group| &group.rules) {
                let alerts = matches!(rule.spec.kind, Kind::Alerting(_));
                if !alerts || rule.spec.name.text != test.alertname {
                    continue;
                }
                let live = rule.live();
                let firing = live.alerts.active().filter(|alert| alert.state == State::Firing);
                found.extend(firing.map(|a| (a.labels.clone(), a.annotations.clone())));
            }
            let failure = compare::alerts(&self.test.name, test, found, self.options.diff);
            self.failures.extend(failure);
        }
    }

    fn check_expr(&mut self, test: &ExprTest) {
        let (text, time) = (&test.text, compare::time(test.eval_time));
        let since = i64::try_from(test.eval_time.as_millis()).unwrap_or(i64::MAX);
        let subquery_step = self.subquery_step_ms();
        let engine = Engine::new(QueryOptions { text, subquery_step, ..QueryOptions::default() });
        let at = self.test.start.saturating_add(since);
        let found = match engine.instant(&test.expr, at, &self.store) {
            Err(error) => Err(error.to_string()),
            Ok(answer) => match answer.value {
                sidelight_promql::Value::Vector(samples) => {
                    Ok(samples.into_iter().map(|sample| (sample.labels, sample.value)).collect())
                }
                sidelight_promql::Value::Scalar((_, value)) => {
                    Ok(vec![(Labels::default(), SampleValue::Float(value))])
                }
                _ => Err("rule result is not a vector or scalar".to_owned()),
            },
        };
        let failure = match found {
            Err(error) => Some(format!("    expr: {text:?}, time: {time}, err: {error}")),
            Ok(found) => compare::samples(test, found, self.file.fuzzy_compare),
        };
        self.failures.extend(failure);
    }
}

/// Every sample of every series.
fn dump(memory: &Memory) -> String {
    let mut text = String::new();
    for (labels, samples) in memory.iter() {
        // Writing to a text does not fail.
        let _ = writeln!(text, "{labels} =>");
        for (time, value) in samples {
            let value = match value {
                SampleValue::Float(value) if is_stale(*value) => "stale".to_owned(),
                SampleValue::Float(value) => Number(*value).to_string(),
                SampleValue::Histogram(histogram) => histogram.to_string(),
            };
            let _ = writeln!(text, "{value} @[{time}]");
        }
    }
    text
}
