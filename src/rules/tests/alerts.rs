//! Alerts from pending to forgotten, and what is told of them on the way.

use super::*;

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
    let (world, group) = evaluated(HELD, 0.0);
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
    let (world, _) = evaluated("  - {alert: Down, expr: 'up == 0'}\n", 0.0);
    let told = world.told.0.lock().unwrap();
    assert_eq!(told[0].valid_until, Some(at(240)));
    assert_eq!(told[0].generator_url, "http://agent:9464/graph?g0.expr=up+%3D%3D+0&g0.tab=1");
}

#[test]
fn an_alert_leads_to_its_expression_as_it_is_printed_and_not_as_it_is_written_or_evaluated() {
    let (world, _) = evaluated(
        "  - {record: all, expr: 'sum(up)'}\n  - alert: Down\n    expr: |\n      # Nobody is there.\n      \
         sum (up)\n        == 0 unless up{l=~\"~.*x\"}\n",
        0.0,
    );
    let told = world.told.0.lock().unwrap();
    let expr = "sum%28up%29+%3D%3D+0+unless+up%7Bl%3D~%22~.%2Ax%22%7D";
    let expected = format!("http://agent:9464/graph?g0.expr={expr}&g0.tab=1");
    assert_eq!(told[0].generator_url, expected);
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
    let rule = "  - {alert: A, expr: up, annotations: {s: '{{ index $labels 1 2 }}', t: 'v {{ $value }}'}}\n";
    let (world, group) = evaluated(rule, 1.5);
    let told = world.told.0.lock().unwrap();
    assert!(told[0].annotations[0].1.starts_with("<error expanding template: "));
    assert_eq!(told[0].annotations[1].1, "v 1.5");
    assert_eq!(error(&group, 0), "");
}

#[test]
fn a_clock_that_goes_back_leaves_no_time_of_the_future() {
    let (world, group) = (World::default(), rules(HELD));
    world.memory.put("up", &[], 0, 0.0);
    world.memory.put("up", &[], 7200, 0.0);
    let _ = world.evaluate(&group, 7200);
    let _ = world.evaluate(&group, 0);
    assert_eq!(since(&group, 0), at(0));
    let _ = world.evaluate(&group, 120);
    assert_eq!(states(&group), [State::Firing]);
}

#[test]
fn a_clock_that_is_set_back_leaves_an_alert_firing_that_fires() {
    let world = World::default();
    let group = rules("  - {alert: Down, expr: 'up == 0', for: 15m}\n");
    for seconds in [200, 600, 1_200, 1_500] {
        world.memory.put("up", &[("l", "a")], seconds, 0.0);
    }
    for seconds in [600, 1_200, 1_500] {
        let _ = world.evaluate(&group, seconds);
    }
    assert_eq!(states(&group), [State::Firing]);
    let _ = world.evaluate(&group, 200);
    assert_eq!(states(&group), [State::Firing]);
    // As old as it was.
    assert_eq!(since(&group, 0), at(200).before(Duration::from_secs(900)));
}

#[test]
fn an_alert_of_a_late_evaluation_is_valid_from_when_it_is_told() {
    let (world, group) = (World::default(), rules("  - {alert: Down, expr: 'up == 0'}\n"));
    world.memory.put("up", &[], 0, 0.0);
    world.clock.set_unix(at(90));
    let _ = world.evaluate(&group, 0);
    assert_eq!(world.told.0.lock().unwrap()[0].valid_until, Some(at(330)));
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
