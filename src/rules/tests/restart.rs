//! What of alerts is there after a kill.

use super::turn::until;
use super::*;

/// A group whose alerts were written to `directory`, in a new process.
fn restarted(text: &str, directory: &std::path::Path) -> Group {
    let groups = [rules(text)];
    kept::restore(&groups, state::State::open(directory).load().unwrap_or_default());
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
    assert_eq!(since(&group, 0), at(0));
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

/// In which state an alert with `for: 10m` is, and since when, that was pending at 0 when the agent ended, for `seconds`.
fn pending_after(seconds: u64) -> (State, UnixNano) {
    const TEXT: &str = "  - {alert: Down, expr: 'up == 0', for: 10m}\n";
    let directory = tempfile::tempdir().unwrap();
    let (world, group) = (World::default(), rules(TEXT));
    let state = state::State::open(directory.path());
    world.memory.put("up", &[("l", "a")], 0, 0.0);
    let _ = world.evaluate(&group, 0);
    kept::save(&group, &state).unwrap();
    drop(state);
    let after = restarted(TEXT, directory.path());
    world.memory.put("up", &[("l", "a")], seconds, 0.0);
    let _ = world.evaluate(&after, seconds);
    (states(&after)[0], since(&after, 0))
}

#[test]
fn an_outage_does_not_count_as_time_in_which_an_alert_was_there_and_a_long_one_begins_it_anew() {
    // Four intervals count in any case.
    assert_eq!(pending_after(240), (State::Pending, at(0)));
    assert_eq!(pending_after(900), (State::Pending, at(660)));
    assert_eq!(pending_after(3_600), (State::Pending, at(3_360)));
    assert_eq!(pending_after(3_660), (State::Pending, at(3_660)));
}

#[test]
fn a_disk_that_hangs_holds_up_no_alert_and_nothing_stays_that_it_took_too_late() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::default();
    let group = rules(&format!("{HELD}  - {{alert: Now, expr: 'up == 0'}}\n"));
    let state = state::State::open_within(directory.path(), Duration::from_millis(20));
    let failures = crate::telemetry::Registry::default()
        .counter(&crate::telemetry::desc::RULE_STATE_FAILURES, &[]);
    let outbox =
        kept::SavedFirst { group: &group, state: &state, failures: &failures, outbox: &world.told };
    let hanging = state.hang();
    world.memory.put("up", &[("l", "a")], 0, 0.0);
    let _ = world.evaluate_with(&group, 0, &outbox);
    assert_eq!(world.told(), ["firing a"]);
    assert_eq!(failures.get(), 1);
    drop(hanging);
    // What nobody waited for is written all the same, with the alert that is pending.
    until(|| state.load().unwrap().alerts.len() == 2);
    world.memory.put("up", &[("l", "a")], 60, 1.0);
    let _ = world.evaluate(&group, 60);
    until(|| kept::save(&group, &state).is_ok());
    let kept = state.load().unwrap().alerts.into_values().flatten();
    assert_eq!(kept.map(|alert| alert.state).collect::<Vec<_>>(), [State::Inactive]);
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
