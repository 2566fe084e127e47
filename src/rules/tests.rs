//! Groups over series in memory, with a clock that moves only when told to.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::time::Duration;

use sidelight_promql::source::STALE_BITS;
use sidelight_promql::{Labels, Points, Queryable, Selection, SourceError};

use super::group::{Group, Sink, Surroundings};
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
    fn select(
        &self,
        selection: &Selection<'_>,
        each: &mut dyn FnMut(&Labels, &Points) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
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
        Ok(())
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
        Ok(())
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

    fn surroundings<'a>(&'a self, outbox: &'a dyn Outbox) -> Surroundings<'a> {
        Surroundings {
            source: &self.memory,
            sink: &self.memory,
            outbox,
            clock: &self.clock,
            external_labels: &[],
            external_url: "http://agent:9464/",
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

fn group(text: &str) -> Group {
    let file = file::parse(text).unwrap();
    Group::new("rules.yaml", &file.groups[0], Duration::from_secs(60))
}

/// A group `g` with these rules.
fn rules(rules: &str) -> Group {
    group(&format!("groups:\n- name: g\n  rules:\n{rules}"))
}

fn states(group: &Group) -> Vec<State> {
    group
        .rules
        .iter()
        .flat_map(|rule| rule.live().alerts.all().map(|a| a.state).collect::<Vec<_>>())
        .collect()
}

const HELD: &str = "  - {alert: Down, expr: 'up == 0', for: 2m, keep_firing_for: 3m}\n";

#[test]
fn an_alert_is_pending_then_fires_then_is_kept_then_is_over_and_forgotten() {
    let (world, group) = (World::default(), rules(HELD));
    let mut seen = Vec::new();
    for minute in 0..26_u64 {
        let up = if (1..5).contains(&minute) { 0.0 } else { 1.0 };
        world.memory.put("up", &[("l", "a")], minute * 60, up);
        let _ = world.evaluate(&group, minute * 60);
        seen.push(states(&group).first().copied());
    }
    use State::{Firing, Inactive, Pending};
    let expected = [
        vec![None],
        vec![Some(Pending); 2],
        vec![Some(Firing); 5],
        vec![Some(Inactive); 16],
        vec![None; 2],
    ];
    assert_eq!(seen, expected.concat());
    // Sent when it fires and then no more often than every minute after the last time.
    let told = world.told();
    assert_eq!(told.first().map(String::as_str), Some("firing a"));
    assert_eq!(told.iter().filter(|told| *told == "firing a").count(), 3);
    assert!(told.last().unwrap().starts_with("inactive"));
}

#[test]
fn a_pending_alert_that_is_gone_was_never_there() {
    let (world, group) = (World::default(), rules(HELD));
    world.memory.put("up", &[], 0, 0.0);
    let _ = world.evaluate(&group, 0);
    assert_eq!(states(&group), [State::Pending]);
    world.memory.put("up", &[], 60, 1.0);
    let _ = world.evaluate(&group, 60);
    assert!(states(&group).is_empty());
    assert!(world.told().is_empty());
}

#[test]
fn an_alert_without_for_fires_at_once_and_is_told_once_a_minute_and_when_it_is_over() {
    let (world, group) = (World::default(), rules("  - {alert: Down, expr: 'up == 0'}\n"));
    world.memory.put("up", &[("l", "a")], 0, 0.0);
    for (seconds, expected) in
        [(0, vec!["firing a"]), (30, vec![]), (60, vec![]), (61, vec!["firing a"]), (90, vec![])]
    {
        let _ = world.evaluate(&group, seconds);
        assert_eq!(world.told(), expected, "{seconds}");
    }
    world.memory.put("up", &[("l", "a")], 100, 1.0);
    let _ = world.evaluate(&group, 100);
    assert_eq!(world.told(), ["inactive a"]);
    let told = world.evaluate(&group, 110);
    assert!(told.0.is_empty() && world.told().is_empty());
    let _ = world.evaluate(&group, 161);
    assert_eq!(world.told(), ["inactive a"], "told again, should the first have been lost");
}

#[test]
fn a_firing_alert_says_until_when_it_holds_and_where_to_look() {
    let (world, group) = (World::default(), rules("  - {alert: Down, expr: 'up == 0'}\n"));
    world.memory.put("up", &[], 0, 0.0);
    let _ = world.evaluate(&group, 0);
    let told = world.told.0.lock().unwrap();
    assert_eq!(told[0].valid_until, Some(at(240)));
    assert_eq!(told[0].generator_url, "http://agent:9464/graph?g0.expr=up+%3D%3D+0&g0.tab=1");
}

#[test]
fn alerts_are_series_with_their_state_and_since_when() {
    let (world, group) = (World::default(), rules(HELD));
    for minute in 0..4 {
        world.memory.put("up", &[("l", "a")], minute * 60, 0.0);
        let _ = world.evaluate(&group, minute * 60);
    }
    assert_eq!(
        world.memory.shown("ALERTS"),
        [
            "alertname=Down,alertstate=firing,l=a@120=1",
            "alertname=Down,alertstate=firing,l=a@180=1",
            "alertname=Down,alertstate=pending,l=a@0=1",
            "alertname=Down,alertstate=pending,l=a@60=1",
            "alertname=Down,alertstate=pending,l=a@120=stale",
        ]
    );
    assert_eq!(world.memory.shown("ALERTS_FOR_STATE").len(), 4);
    assert_eq!(world.memory.shown("ALERTS_FOR_STATE")[3], format!("alertname=Down,l=a@180={T0}"));
}

#[test]
fn rules_see_the_results_before_them_and_independent_ones_are_appended_together() {
    let world = World::default();
    let chain = rules(
        "  - {record: a, expr: 'up * 2'}\n\
         \x20 - {record: b, expr: 'up + 1'}\n  - {record: c, expr: 'a + b', labels: {k: v, l: ''}}\n",
    );
    world.memory.put("up", &[("l", "x")], 0, 3.0);
    let samples = world.evaluate(&chain, 0);
    assert_eq!(world.memory.shown("c"), ["k=v@0=10"]);
    assert_eq!(samples.0.len(), 3);
    assert_eq!(*world.memory.appends.lock().unwrap(), 2);
}

#[test]
fn a_series_that_is_not_made_any_more_ends() {
    let (world, group) = (World::default(), rules("  - {record: a, expr: 'up > 1'}\n"));
    world.memory.put("up", &[("l", "x")], 0, 3.0);
    world.memory.put("up", &[("l", "y")], 0, 3.0);
    let _ = world.evaluate(&group, 0);
    world.memory.put("up", &[("l", "y")], 60, 0.0);
    let _ = world.evaluate(&group, 60);
    let _ = world.evaluate(&group, 120);
    assert_eq!(
        world.memory.shown("a"),
        ["l=x@0=3", "l=x@60=3", "l=x@120=3", "l=y@0=3", "l=y@60=stale"]
    );
}

#[test]
fn a_rule_sees_that_the_series_of_an_earlier_one_ended_in_the_same_evaluation() {
    let world = World::default();
    let group =
        rules("  - {record: a, expr: 'up > 1'}\n  - {record: b, expr: 'a or vector(-1)'}\n");
    world.memory.put("up", &[], 0, 3.0);
    let _ = world.evaluate(&group, 0);
    world.memory.put("up", &[], 60, 0.0);
    let _ = world.evaluate(&group, 60);
    assert_eq!(world.memory.shown("b"), ["@0=3", "@60=-1"]);
}

#[test]
fn what_a_rule_cannot_do_is_its_own_failure() {
    let world = World::default();
    let group = rules(
        "  - {record: a, expr: 'up + on() group_left() many'}\n  - {record: b, expr: up, labels: {l: same}}\n  \
         - {alert: C, expr: up, labels: {l: same}}\n  - {record: d, expr: sum(up)}\n",
    );
    for l in ["x", "y"] {
        world.memory.put("up", &[("l", l)], 0, 1.0);
        world.memory.put("many", &[("l", l)], 0, 1.0);
    }
    let _ = world.evaluate(&group, 0);
    let errors: Vec<String> = group
        .rules
        .iter()
        .map(|rule| rule.live().error.as_ref().map(ToString::to_string).unwrap_or_default())
        .collect();
    assert!(errors[0].contains("many"), "{errors:?}");
    assert_eq!(
        errors[1],
        "vector contains metrics with the same labelset after applying rule labels"
    );
    assert_eq!(
        errors[2],
        "vector contains metrics with the same labelset after applying alert labels"
    );
    assert_eq!(errors[3], "");
    assert_eq!(world.memory.shown("d"), ["@0=2"]);
}

#[test]
fn a_limit_that_is_exceeded_leaves_nothing() {
    let world = World::default();
    let text = "groups:\n- name: g\n  limit: 1\n  rules:\n  - {record: a, expr: up}\n  - {alert: B, expr: up}\n";
    let limited = group(text);
    world.memory.put("up", &[("l", "x")], 0, 1.0);
    let _ = world.evaluate(&limited, 0);
    assert_eq!((states(&limited).len(), world.memory.shown("a").len()), (1, 1));
    world.memory.put("up", &[("l", "y")], 60, 1.0);
    let _ = world.evaluate(&limited, 60);
    assert!(states(&limited).is_empty());
    let error = |index: usize| limited.rules[index].live().error.clone().unwrap().to_string();
    assert_eq!(error(0), "exceeded limit of 1 with 2 series");
    assert_eq!(error(1), "exceeded limit of 1 with 2 alerts");
    // Its series stay as they are, and go on when the rule is well again.
    assert_eq!(world.memory.shown("a").len(), 1);
}

#[test]
fn thousands_of_alerts_are_cut_off_at_the_limit_of_a_rule() {
    let (world, group) = (World::default(), rules("  - {alert: B, expr: up}\n"));
    for n in 0..=alerting::ALERTS_MAX {
        world.memory.put("up", &[("n", &n.to_string())], 0, 1.0);
    }
    let _ = world.evaluate(&group, 0);
    assert!(states(&group).is_empty() && world.told().is_empty());
    assert_eq!(
        group.rules[0].live().error.clone().unwrap().to_string(),
        "exceeded limit of 10000 with 10001 alerts"
    );
}

#[test]
fn labels_of_telemetry_cannot_pose_as_those_of_a_rule() {
    let world = World::default();
    let group = rules(
        "  - {alert: Real, expr: up, labels: {severity: page}, annotations: {s: '{{ $labels.l }}'}}\n",
    );
    let injected = "{{ query \"up\" }}";
    let labels =
        [("alertname", "Fake"), ("severity", "none"), ("alertstate", "firing"), ("l", injected)];
    world.memory.put("up", &labels, 0, 1.0);
    let _ = world.evaluate(&group, 0);
    let told = world.told.0.lock().unwrap();
    let label = |name: &str| told[0].labels.iter().find(|(n, _)| n == name).unwrap().1.clone();
    assert_eq!((label("alertname"), label("severity")), ("Real".to_owned(), "page".to_owned()));
    assert_eq!(told[0].annotations, [("s".to_owned(), injected.to_owned())]);
    assert_eq!(world.memory.shown("ALERTS").len(), 1);
}

#[test]
fn templates_that_fail_fail_no_rule() {
    let world = World::default();
    let group = rules(
        "  - {alert: A, expr: up, annotations: {s: '{{ index $labels 1 2 }}', t: 'v {{ $value }}'}}\n",
    );
    world.memory.put("up", &[], 0, 1.5);
    let _ = world.evaluate(&group, 0);
    let told = world.told.0.lock().unwrap();
    assert!(told[0].annotations[0].1.starts_with("<error expanding template: "));
    assert_eq!(told[0].annotations[1].1, "v 1.5");
    assert!(group.rules[0].live().error.is_none());
}

#[test]
fn a_query_offset_looks_at_earlier_data_and_writes_there() {
    let world = World::default();
    let group = group(
        "groups: [{name: g, query_offset: 1m, rules: [{record: a, expr: up}, {alert: B, expr: up}]}]",
    );
    world.memory.put("up", &[], 0, 1.0);
    world.memory.put("up", &[], 60, 2.0);
    let _ = world.evaluate(&group, 60);
    assert_eq!(world.memory.shown("a"), ["@0=1"]);
    assert_eq!(world.memory.shown("ALERTS"), ["alertname=B,alertstate=firing@0=1"]);
    let since = group.rules[1].live().alerts.all().next().unwrap().active_at;
    assert_eq!(since, at(60));
}

#[test]
fn a_store_that_takes_nothing_makes_rules_unhealthy_and_loses_no_alert() {
    let (world, group) =
        (World::default(), rules("  - {alert: A, expr: 'up == 0'}\n  - {record: b, expr: up}\n"));
    world.memory.put("up", &[("l", "a")], 0, 0.0);
    *world.memory.full.lock().unwrap() = true;
    assert!(world.evaluate(&group, 0).0.is_empty());
    assert_eq!(world.told(), ["firing a"]);
    assert_eq!(
        group.rules[1].live().error.clone().unwrap().to_string(),
        "cannot keep the result: full"
    );
    *world.memory.full.lock().unwrap() = false;
    let _ = world.evaluate(&group, 60);
    assert!(group.rules[1].live().error.is_none());
}

#[test]
fn a_reload_keeps_alerts_by_name_and_labels_and_ends_what_is_gone() {
    let world = World::default();
    let old = rules(
        "  - {alert: A, expr: 'up == 0', labels: {s: x}}\n  - {alert: B, expr: 'up == 0'}\n  - {record: r, expr: up}\n",
    );
    world.memory.put("up", &[("l", "a")], 0, 0.0);
    let _ = world.evaluate(&old, 0);
    world.told();
    let new = rules(
        "  - {record: q, expr: up}\n  - {alert: A, expr: 'up < 1', for: 5m, labels: {s: x}}\n",
    );
    new.take_over(&old);
    let _ = world.evaluate(&new, 60);
    // `for` was raised: what fired is pending again, since when it was.
    assert_eq!(states(&new), [State::Pending]);
    assert_eq!(new.rules[1].live().alerts.all().next().unwrap().active_at, at(0));
    assert_eq!(world.memory.shown("r"), ["l=a@0=0", "l=a@60=stale"]);
    let ended: Vec<_> =
        world.memory.shown("ALERTS").into_iter().filter(|shown| shown.ends_with("stale")).collect();
    assert_eq!(ended.len(), 2, "{ended:?}");
    assert!(world.told().is_empty());
    let gone = new.end(at(120));
    assert_eq!(gone.0.len(), 3, "{gone:?}");
}

#[test]
fn a_clock_that_goes_back_leaves_no_time_of_the_future() {
    let (world, group) = (World::default(), rules(HELD));
    world.memory.put("up", &[], 0, 0.0);
    world.memory.put("up", &[], 7200, 0.0);
    let _ = world.evaluate(&group, 7200);
    let _ = world.evaluate(&group, 0);
    assert_eq!(group.rules[0].live().alerts.all().next().unwrap().active_at, at(0));
    let _ = world.evaluate(&group, 120);
    assert_eq!(states(&group), [State::Firing]);
}

/// Takes its time with every selection.
struct Slow<'a>(&'a World, Duration);

impl Queryable for Slow<'_> {
    fn select(
        &self,
        selection: &Selection<'_>,
        each: &mut dyn FnMut(&Labels, &Points) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        self.0.clock.advance(self.1);
        self.0.memory.select(selection, each)
    }
}

#[test]
fn a_rule_that_takes_too_long_is_ended() {
    let (world, group) =
        (World::default(), rules("  - {record: a, expr: up}\n  - {record: b, expr: '1'}\n"));
    world.memory.put("up", &[], 0, 1.0);
    let slow = Slow(&world, group::QUERY_TIME_MAX * 2);
    let _ = group.evaluate(
        at(0),
        &Surroundings {
            source: &slow,
            sink: &world.memory,
            outbox: &world.told,
            clock: &world.clock,
            external_labels: &[],
            external_url: "",
            stopped: &|| false,
            resend: Duration::from_secs(60),
        },
    );
    let error = group.rules[0].live().error.clone().unwrap().to_string();
    assert_eq!(error, "query timed out in expression evaluation");
    assert_eq!(world.memory.shown("b"), ["@0=1"]);
    assert_eq!(group.last().took, group::QUERY_TIME_MAX * 2);
}

#[test]
fn a_group_that_has_no_time_for_its_last_rules_begins_with_them_the_next_time() {
    let text: String =
        (0..9).map(|n| format!("  - {{record: r{n}, expr: 'up{{n=\"{n}\"}}'}}\n")).collect();
    let (world, group) = (World::default(), rules(&text));
    for n in 0..9 {
        world.memory.put("up", &[("n", &n.to_string())], 0, 1.0);
    }
    // Time for six rules, and a part of the seventh.
    let slow = Slow(&world, Duration::from_secs(9));
    let mut evaluated = Vec::new();
    for evaluation in 0..3 {
        let surroundings = Surroundings { source: &slow, ..world.surroundings(&world.told) };
        let _ = group.evaluate(at(evaluation), &surroundings);
        let failed = group.rules.iter().map(|rule| rule.live().error.is_some());
        evaluated.push(failed.map(|failed| if failed { '-' } else { 'x' }).collect::<String>());
    }
    assert_eq!(evaluated, ["xxxxxx---", "xxx---xxx", "---xxxxxx"]);
    let live = group.rules[1].live();
    let limit = "the rules before it in the group took longer than the 60s that all of them have";
    assert_eq!(live.error.clone().unwrap().to_string(), limit);
    assert_eq!(live.failures, 1);
}

/// A group whose alerts were written to `directory`, in a new process.
fn restarted(text: &str, directory: &std::path::Path) -> Group {
    let groups = [rules(text)];
    kept::restore(&groups, &state::State::open(directory));
    let [group] = groups;
    group
}

/// Kept as long as what fires when the agent ends is kept anyway.
const KEPT: &str = "  - {alert: Down, expr: 'up == 0', for: 2m, keep_firing_for: 5m}\n";

#[test]
fn every_state_of_an_alert_is_restored_exactly_after_a_kill() {
    // Seconds of the last evaluation before the kill, and what the alert is in then.
    for (minutes, expected) in [
        (1, Some(State::Pending)),
        (3, Some(State::Firing)),
        (5, Some(State::Firing)),
        (9, Some(State::Inactive)),
        (25, None),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let (world, group) = (World::default(), rules(KEPT));
        let state = state::State::open(directory.path());
        for minute in 0..=minutes {
            let up = if (1..4).contains(&minute) { 0.0 } else { 1.0 };
            world.memory.put("up", &[("l", "a")], minute * 60, up);
            let _ = world.evaluate(&group, minute * 60);
            kept::save(&group, &state).unwrap();
        }
        let before: Vec<Alert> = group.rules[0].live().alerts.all().cloned().collect();
        assert_eq!(before.first().map(|alert| alert.state), expected, "{minutes}");
        // A kill: nothing is said, the file stays as it is.
        std::mem::forget(state);
        let after = restarted(KEPT, directory.path());
        let restored: Vec<Alert> = after.rules[0].live().alerts.all().cloned().collect();
        // The value of the last evaluation is not written when nothing else changed.
        let same = |alert: &Alert| Alert { value: 0.0, last_sent_at: None, ..alert.clone() };
        assert_eq!(
            restored.iter().map(same).collect::<Vec<_>>(),
            before.iter().map(same).collect::<Vec<_>>()
        );
        // Both go on alike.
        let other = World::default();
        for minute in minutes + 2..minutes + 20 {
            other.memory.put("up", &[("l", "a")], minute * 60, 1.0);
            let _ = other.evaluate(&after, minute * 60);
            world.memory.put("up", &[("l", "a")], minute * 60, 1.0);
            let _ = world.evaluate(&group, minute * 60);
            assert_eq!(states(&after), states(&group), "{minutes} {minute}");
        }
        assert_eq!(
            other.told.0.lock().unwrap().len(),
            world
                .told
                .0
                .lock()
                .unwrap()
                .iter()
                .filter(|alert| { alert.last_sent_at > Some(at(minutes * 60)) })
                .count()
        );
    }
}

/// A rule whose alert `a` fired at 0, in a new process, whose store has nothing.
fn killed_while_firing() -> (World, Group) {
    const TEXT: &str = "  - {alert: Down, expr: 'up == 0'}\n";
    let directory = tempfile::tempdir().unwrap();
    let (world, group) = (World::default(), rules(TEXT));
    let state = state::State::open(directory.path());
    world.memory.put("up", &[("l", "a")], 0, 0.0);
    let _ = world.evaluate(&group, 0);
    assert_eq!(world.told(), ["firing a"]);
    kept::save(&group, &state).unwrap();
    std::mem::forget(state);
    (World::default(), restarted(TEXT, directory.path()))
}

#[test]
fn what_fired_before_a_short_downtime_fires_until_there_is_data_or_receivers_hold_it_for_over() {
    // It was told at 0, with an end four minutes later.
    let (world, group) = killed_while_firing();
    for seconds in [60, 120] {
        let _ = world.evaluate(&group, seconds);
        assert_eq!(states(&group), [State::Firing], "{seconds}");
    }
    world.memory.put("up", &[("l", "a")], 180, 0.0);
    let _ = world.evaluate(&group, 180);
    assert_eq!(states(&group), [State::Firing]);
    assert_eq!(group.rules[0].live().alerts.all().next().unwrap().active_at, at(0));
    // Seen since: what ends it is what ends any other.
    world.memory.put("up", &[("l", "a")], 200, 1.0);
    let _ = world.evaluate(&group, 200);
    assert_eq!(states(&group), [State::Inactive]);

    let (world, group) = killed_while_firing();
    for (seconds, expected) in
        [(60, State::Firing), (239, State::Firing), (240, State::Inactive), (300, State::Inactive)]
    {
        let _ = world.evaluate(&group, seconds);
        assert_eq!(states(&group), [expected], "{seconds}");
    }
    assert_eq!(world.told().last().unwrap(), "inactive a");
}

#[test]
fn what_ended_in_a_long_downtime_is_over_at_the_first_evaluation_and_told_so() {
    let (world, group) = killed_while_firing();
    let _ = world.evaluate(&group, 3600);
    assert_eq!(states(&group), [State::Inactive]);
    assert_eq!(world.told(), ["inactive a"]);
}

#[test]
fn a_restored_alert_is_told_again_at_once_as_a_kill_may_have_been_faster_than_the_telling() {
    let (world, group) = killed_while_firing();
    let _ = world.evaluate(&group, 10);
    assert_eq!(world.told(), ["firing a"]);
    let _ = world.evaluate(&group, 20);
    assert!(world.told().is_empty());
}

/// Counts what is asked, and says stop after some of it.
#[derive(Debug)]
struct Counted<'a> {
    memory: &'a Memory,
    asked: std::cell::Cell<usize>,
}

impl Queryable for Counted<'_> {
    fn select(
        &self,
        selection: &Selection<'_>,
        each: &mut dyn FnMut(&Labels, &Points) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        self.asked.set(self.asked.get() + 1);
        self.memory.select(selection, each)
    }
}

/// What is asked, and the error, of a rule with an annotation `summary` over `series` series, stopped after `most`.
fn expanded(summary: &str, series: usize, most: usize) -> (usize, String) {
    let world = World::default();
    let group = rules(&format!("  - {{alert: A, expr: up, annotations: {{s: '{summary}'}}}}\n"));
    for n in 0..series {
        world.memory.put("up", &[("n", &n.to_string())], 0, 1.0);
    }
    let source = Counted { memory: &world.memory, asked: std::cell::Cell::default() };
    let _ = group.evaluate(
        at(0),
        &Surroundings {
            source: &source,
            sink: &world.memory,
            outbox: &world.told,
            clock: &world.clock,
            external_labels: &[],
            external_url: "",
            stopped: &|| source.asked.get() >= most,
            resend: Duration::from_secs(60),
        },
    );
    let error = group.rules[0].live().error.clone().map(|error| error.to_string());
    (source.asked.get(), error.unwrap_or_default())
}

#[test]
fn templates_are_expanded_no_further_than_the_limits_of_a_rule_and_a_stop() {
    let query = "{{ query \"none\" }}";
    let (asked, error) = expanded(query, alerting::ALERTS_MAX + 1, usize::MAX);
    assert_eq!((asked, &*error), (1, "exceeded limit of 10000 with 10001 alerts"));
    let long = format!("{query}{}", "x".repeat(60 << 10));
    let (asked, error) = expanded(&long, 400, usize::MAX);
    assert!(asked < 300, "{asked}");
    assert_eq!(error, "exceeded limit of 16777216 bytes of labels and annotations");
    let (asked, error) = expanded(query, 400, 10);
    assert_eq!((asked, &*error), (10, "expanding the templates was stopped"));
}

#[test]
fn more_rule_files_than_there_may_be_are_said_where_a_pattern_matches_them() {
    let directory = tempfile::tempdir().unwrap();
    for n in 0..=load::FILES_MAX {
        std::fs::write(directory.path().join(format!("{n}.yaml")), "groups: []\n").unwrap();
    }
    let files = vec![format!("{}/*.yaml", directory.path().display())];
    let loaded = load(&Config { files, builtin: false, ..Config::default() });
    assert_eq!(loaded.errors, ["more than 500 rule files: the rest is left out"]);
}

#[test]
fn downtime_counts_and_a_restored_alert_fires_without_a_grace_period() {
    let directory = tempfile::tempdir().unwrap();
    let (world, group) = (World::default(), rules(HELD));
    let state = state::State::open(directory.path());
    world.memory.put("up", &[("l", "a")], 0, 0.0);
    let _ = world.evaluate(&group, 0);
    kept::save(&group, &state).unwrap();
    drop(state);
    let after = restarted(HELD, directory.path());
    world.memory.put("up", &[("l", "a")], 120, 0.0);
    let _ = world.evaluate(&after, 120);
    assert_eq!(world.told(), ["firing a"]);
    // The series of before the kill goes on, and the one of the old state ends.
    let shown = world.memory.shown("ALERTS");
    assert!(
        shown.contains(&"alertname=Down,alertstate=pending,l=a@120=stale".to_owned()),
        "{shown:?}"
    );
}

#[test]
fn only_what_changed_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let (world, group) = (World::default(), rules(HELD));
    let state = state::State::open(directory.path());
    for (seconds, changes) in [(0, 1), (10, 0), (120, 1), (130, 0), (185, 1)] {
        world.memory.put("up", &[("l", "a")], seconds, 0.0);
        let _ = world.evaluate(&group, seconds);
        assert_eq!(group.rules[0].live().changes(state.epoch()).len(), changes, "{seconds}");
        kept::save(&group, &state).unwrap();
    }
}

/// Says since when alerts fire that a start after a kill would find, at the moment that it is told of alerts.
#[derive(Debug)]
struct Killed<'a>(&'a std::path::Path, Mutex<Vec<(Vec<Alert>, Vec<Alert>)>>);

impl Outbox for Killed<'_> {
    fn notify(&self, told: Vec<Alert>) {
        let after = restarted(HELD, self.0);
        let kept = after.rules[0].live().alerts.all().cloned().collect();
        self.1.lock().unwrap().push((told, kept));
    }
}

#[test]
fn a_kill_at_the_moment_of_telling_gives_no_alert_a_second_beginning() {
    let directory = tempfile::tempdir().unwrap();
    let (world, group) = (World::default(), rules(HELD));
    let state = state::State::open(directory.path());
    let failures = crate::telemetry::Registry::default()
        .counter(&crate::telemetry::desc::RULE_STATE_FAILURES, &[]);
    let killed = Killed(directory.path(), Mutex::default());
    let outbox =
        kept::SavedFirst { group: &group, state: &state, failures: &failures, outbox: &killed };
    for seconds in [0, 120] {
        world.memory.put("up", &[("l", "a")], seconds, 0.0);
        let _ = world.evaluate_with(&group, seconds, &outbox);
    }
    let seen = killed.1.into_inner().unwrap();
    let [(told, kept)] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!((told[0].state, kept[0].state), (State::Firing, State::Firing));
    assert_eq!(kept[0].fired_at, told[0].fired_at);
}

#[test]
fn a_group_that_took_its_time_gives_it_up_for_the_others() {
    let world = World::default();
    let rule = "  - {record: 'r_%', expr: slow}\n";
    let group = rules(&(0..20).map(|n| rule.replace('%', &n.to_string())).collect::<String>());
    let slow = Slow(&world, Duration::from_secs(9));
    let _ =
        group.evaluate(at(0), &Surroundings { source: &slow, ..world.surroundings(&world.told) });
    let failed = group.rules.iter().filter(|rule| rule.live().error.is_some()).count();
    assert_eq!(failed, 20 - 6, "a minute is over in the seventh");
    let error = group.rules[19].live().error.clone().unwrap().to_string();
    assert!(error.contains("longer than the 60s"), "{error}");
}

#[test]
fn the_last_rules_of_a_group_that_takes_longer_than_its_interval_are_evaluated_too() {
    let world = World::default();
    let rule = "  - {record: 'r_%', expr: slow}\n";
    let all: String = (0..5).map(|n| rule.replace('%', &n.to_string())).collect();
    let group = group(&format!("groups:\n- name: g\n  interval: 5s\n  rules:\n{all}"));
    let slow = Slow(&world, Duration::from_secs(9));
    let _ =
        group.evaluate(at(0), &Surroundings { source: &slow, ..world.surroundings(&world.told) });
    assert!(group.rules.iter().all(|rule| rule.live().error.is_none()));
}

/// Counts how often it is told, and of how many alerts.
#[derive(Debug, Default)]
struct Times(Mutex<Vec<usize>>);

impl Outbox for Times {
    fn notify(&self, told: Vec<Alert>) {
        self.0.lock().unwrap().push(told.len());
    }
}

#[test]
fn what_is_due_in_one_evaluation_is_told_and_so_saved_once() {
    let world = World::default();
    let group = rules(&"  - {alert: Down, expr: 'up == 0'}\n".repeat(40));
    world.memory.put("up", &[("l", "a")], 0, 0.0);
    world.memory.put("up", &[("l", "b")], 0, 0.0);
    let times = Times::default();
    let _ = world.evaluate_with(&group, 0, &times);
    assert_eq!(*times.0.lock().unwrap(), [80]);
}

#[test]
fn of_equal_values_topk_chooses_the_same_whether_or_not_another_rule_asks_for_its_operand() {
    let chosen = |others: &str| {
        let world = World::default();
        world.memory.put("x", &[("a", "1"), ("route", "/z")], 0, 0.0);
        world.memory.put("x", &[("a", "2"), ("route", "/a")], 0, 0.0);
        let text = "  - {record: t, expr: 'topk(1, sum by (route) (x))'}\n";
        let _ = world.evaluate(&rules(&format!("{text}{others}")), 0);
        world.memory.shown("t")
    };
    let twice =
        "  - {record: u, expr: sum by (route) (x)}\n  - {record: v, expr: sum by (route) (x)}\n";
    assert_eq!(chosen(""), ["route=/z@0=0"]);
    assert_eq!(chosen(twice), chosen(""));
}

#[test]
fn what_several_rules_ask_for_is_asked_once_and_again_when_something_it_reads_was_recorded() {
    let world = World::default();
    world.memory.put("up", &[("l", "a")], 0, 2.0);
    let asked = |text: &str| {
        let group = rules(text);
        let source = Counted { memory: &world.memory, asked: std::cell::Cell::default() };
        let _ = group
            .evaluate(at(0), &Surroundings { source: &source, ..world.surroundings(&world.told) });
        source.asked.get()
    };
    let twice = "  - {record: a, expr: 'sum by (l) (up) + 1'}\n  - {record: b, expr: 'sum by (l) (up) * 3'}\n";
    assert_eq!(asked(twice), 1);
    assert_eq!(world.memory.shown("a"), ["l=a@0=3"]);
    assert_eq!(world.memory.shown("b"), ["l=a@0=6"]);
    // `c` is there only after the second rule.
    let between = "  - {record: d, expr: 'sum(c) or vector(7)'}\n  - {record: c, expr: vector(5)}\n\
                   \x20 - {record: e, expr: sum(c)}\n";
    assert_eq!(asked(between), 2);
    assert_eq!(world.memory.shown("d"), ["@0=7"]);
    assert_eq!(world.memory.shown("e"), ["@0=5"]);
}

#[test]
fn a_rule_file_that_is_too_long_or_no_file_is_left_out_and_said() {
    let directory = tempfile::tempdir().unwrap();
    let long = directory.path().join("long.yaml");
    let length = usize::try_from(load::FILE_BYTES_MAX).unwrap() + 1;
    std::fs::write(&long, "#".repeat(length)).unwrap();
    let files = [long.as_path(), directory.path()].map(|path| path.display().to_string());
    let loaded = load(&Config { files: files.into(), builtin: false, ..Config::default() });
    assert_eq!(loaded.errors.len(), 2, "{:?}", loaded.errors);
    assert!(loaded.errors[0].ends_with("it has more than 4194304 bytes"), "{:?}", loaded.errors);
    assert!(loaded.errors[1].ends_with("it is not a file"), "{:?}", loaded.errors);
}

#[test]
fn every_series_that_the_shipped_rules_record_is_in_their_page() {
    let page = include_str!("../../docs/rules.md");
    // `a_{b,c}_d` stands for `a_b_d` and `a_c_d`.
    let mut named = std::collections::BTreeSet::new();
    for word in page.split('`').filter(|word| word.starts_with("sidelight:")) {
        let braces = word.split_once("_{").and_then(|(before, rest)| {
            rest.split_once('}').map(|(parts, after)| (before, parts, after))
        });
        match braces {
            Some((before, parts, after)) => {
                named.extend(parts.split(',').map(|part| format!("{before}_{part}{after}")));
            }
            None => drop(named.insert(word.to_owned())),
        }
    }
    let file = file::parse(crate::rules::BUILTIN).unwrap();
    let rules = file.groups.iter().flat_map(|group| &group.rules);
    let recorded: Vec<&str> = rules
        .filter(|rule| matches!(rule.kind, file::Kind::Recording))
        .map(|rule| &*rule.name.text)
        .filter(|name| !named.contains(*name))
        .collect();
    assert!(recorded.is_empty(), "{recorded:?}");
}

#[test]
fn a_rule_that_asks_for_too_many_steps_fails_and_the_next_is_evaluated() {
    let world = World::default();
    let group = rules(
        "  - {record: a, expr: 'max_over_time(up[100y:1ms])'}\n  - {record: b, expr: 'vector(1)'}\n",
    );
    world.memory.put("up", &[], 0, 1.0);
    let _ = world.evaluate(&group, 60);
    let error = group.rules[0].live().error.clone().unwrap().to_string();
    assert!(error.contains("too many samples"), "{error}");
    assert!(group.rules[1].live().error.is_none());
}
