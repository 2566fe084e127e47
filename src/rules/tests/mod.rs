//! Groups over series in memory, with a clock that moves only when told to.

mod alerts;
mod files;
mod groups;
mod limits;
mod restart;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use sidelight_promql::source::STALE_BITS;
use sidelight_promql::{Each, Labels, Points, Queryable, Selection, SourceError, Warnings};

use super::evaluate::{Sink, Surroundings};
use super::group::Group;
use super::*;
use crate::alert::{Alert, Outbox, State};
use crate::signal::Samples;
use crate::signal::samples::Value;
use crate::time::{ManualClock, UnixNano};

const T0: u64 = 1_700_000_000;

fn at(seconds: u64) -> UnixNano {
    UnixNano((T0 + seconds) * 1_000_000_000)
}

/// Series in memory; full when told to.
#[derive(Debug, Default)]
struct Memory {
    series: Mutex<BTreeMap<Labels, Vec<(i64, f64)>>>,
    full: Mutex<bool>,
    /// What it takes is said to be too late.
    late: Mutex<bool>,
    appends: Mutex<usize>,
}

impl Memory {
    fn put(&self, name: &str, labels: &[(&str, &str)], seconds: u64, value: f64) {
        let labels = Labels::new(labels.iter().copied().chain([("__name__", name)]));
        self.series.lock().unwrap().entry(labels).or_default().push((at(seconds).as_ms(), value));
    }

    /// Every sample of `name` as `labels@seconds=value`.
    fn shown(&self, name: &str) -> Vec<String> {
        let series = self.series.lock().unwrap();
        let named = series.iter().filter(|(labels, _)| labels.metric_name() == name);
        named
            .flat_map(|(labels, points)| {
                let own = labels.iter().filter(|label| &*label.name != "__name__");
                let text: Vec<String> =
                    own.map(|label| format!("{}={}", label.name, label.value)).collect();
                points.iter().map(move |(time, value)| {
                    let seconds = time / 1000 - T0.cast_signed();
                    let value = match value.to_bits() {
                        STALE_BITS => "stale".to_owned(),
                        _ => value.to_string(),
                    };
                    format!("{}@{seconds}={value}", text.join(","))
                })
            })
            .collect()
    }
}

impl Queryable for Memory {
    fn select(&self, selection: &Selection<'_>, each: Each<'_>) -> Result<Warnings, SourceError> {
        for (labels, points) in &*self.series.lock().unwrap() {
            if selection.matchers.iter().all(|m| m.matches(labels.get(&m.name))) {
                let wanted = |(time, _): &&(i64, f64)| {
                    (selection.after + 1..=selection.until).contains(time)
                };
                let floats: Vec<_> = points.iter().filter(wanted).copied().collect();
                if !floats.is_empty() {
                    let _ = each(labels, &Points { floats, histograms: Vec::new() });
                }
            }
        }
        Ok(Vec::new())
    }
}

impl Sink for Memory {
    fn append(&self, samples: Samples) -> Result<(), String> {
        if *self.full.lock().unwrap() {
            return Err("full".to_owned());
        }
        *self.appends.lock().unwrap() += 1;
        for sample in samples.0 {
            let value = match sample.value {
                Value::Float(value) => value,
                Value::Stale => f64::from_bits(STALE_BITS),
                Value::Native(histogram) => histogram.sum,
            };
            let mut series = self.series.lock().unwrap();
            series.entry(sample.labels).or_default().push((sample.t_ms, value));
        }
        if *self.late.lock().unwrap() { Err("late".to_owned()) } else { Ok(()) }
    }
}

/// Keeps what it is told.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<Alert>>);

impl Outbox for Told {
    fn notify(&self, alerts: Vec<Alert>) {
        self.0.lock().unwrap().extend(alerts);
    }
}

#[derive(Debug, Default)]
struct World {
    memory: Memory,
    told: Told,
    clock: ManualClock,
}

impl World {
    fn evaluate(&self, group: &Group, seconds: u64) -> Samples {
        self.evaluate_with(group, seconds, &self.told)
    }

    fn evaluate_with(&self, group: &Group, seconds: u64, outbox: &dyn Outbox) -> Samples {
        group.evaluate(at(seconds), &self.surroundings(outbox))
    }

    /// Evaluates with selections that take so long each; how many there were.
    fn evaluate_slowly(&self, group: &Group, seconds: u64, takes: Duration) -> usize {
        let source = self.asked(takes);
        let surroundings = Surroundings { source: &source, ..self.surroundings(&self.told) };
        let _ = group.evaluate(at(seconds), &surroundings);
        source.times.get()
    }

    fn asked(&self, takes: Duration) -> Asked<'_> {
        Asked { world: self, takes, times: Cell::default() }
    }

    fn surroundings<'a>(&'a self, outbox: &'a dyn Outbox) -> Surroundings<'a> {
        Surroundings {
            source: &self.memory,
            sink: &self.memory,
            outbox,
            clock: &self.clock,
            external_labels: &[],
            external_url: "http://agent:9464/",
            subquery_step_ms: 60_000,
            samples_max: 1_000_000,
            stopped: &|| false,
            resend: Duration::from_secs(60),
        }
    }

    /// What was told since it was last asked: state and the value of label `l`.
    fn told(&self) -> Vec<String> {
        let told = std::mem::take(&mut *self.told.0.lock().unwrap());
        let label = |alert: &Alert| {
            alert
                .labels
                .iter()
                .find(|(name, _)| name == "l")
                .map_or("", |(_, value)| value)
                .to_owned()
        };
        told.iter().map(|alert| format!("{} {}", alert.state.name(), label(alert))).collect()
    }
}

/// The series of a world: a selection is counted, and takes its time.
struct Asked<'a> {
    world: &'a World,
    takes: Duration,
    times: Cell<usize>,
}

impl Queryable for Asked<'_> {
    fn select(&self, selection: &Selection<'_>, each: Each<'_>) -> Result<Warnings, SourceError> {
        self.times.set(self.times.get() + 1);
        self.world.clock.advance(self.takes);
        self.world.memory.select(selection, each)
    }
}

fn group(text: &str) -> Group {
    let file = file::parse(text).unwrap();
    Group::new("rules.yaml", &file.groups[0], Duration::from_secs(60))
}

/// A group `g` with these rules.
fn rules(rules: &str) -> Group {
    group(&format!("groups:\n- name: g\n  rules:\n{rules}"))
}

/// A world in which `up` was `value` at 0, and a group with these rules that was evaluated then.
fn evaluated(text: &str, value: f64) -> (World, Group) {
    let (world, group) = (World::default(), rules(text));
    world.memory.put("up", &[], 0, value);
    let _ = world.evaluate(&group, 0);
    (world, group)
}

/// What that rule failed with; empty where it did not.
fn error(group: &Group, nth: usize) -> String {
    group.rules[nth].live().error.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// Since when the first alert of that rule is active.
fn since(group: &Group, nth: usize) -> UnixNano {
    group.rules[nth].live().alerts.all().next().unwrap().active_at
}

fn states(group: &Group) -> Vec<State> {
    group
        .rules
        .iter()
        .flat_map(|rule| rule.live().alerts.all().map(|a| a.state).collect::<Vec<_>>())
        .collect()
}

const HELD: &str = "  - {alert: Down, expr: 'up == 0', for: 2m, keep_firing_for: 3m}\n";
