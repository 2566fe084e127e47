//! Rules that make too much, ask for too much and take too long.

use super::*;

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
    assert_eq!(error(&limited, 0), "exceeded limit of 1 with 2 series");
    assert_eq!(error(&limited, 1), "exceeded limit of 1 with 2 alerts");
    // Its series stay as they are, and go on when the rule is well again.
    assert_eq!(world.memory.shown("a").len(), 1);
}

/// The error, and what is told, of a rule with one alert after which `series` more come at once.
fn flooded(group: &Group, series: usize) -> (String, Vec<String>) {
    let world = World::default();
    // The last in the order of results.
    world.memory.put("up", &[("l", "z")], 0, 1.0);
    let _ = world.evaluate(group, 0);
    assert_eq!(world.told(), ["firing z"]);
    for n in 0..series {
        world.memory.put("up", &[("l", &n.to_string())], 70, 1.0);
    }
    let _ = world.evaluate(group, 70);
    assert!(states(group).iter().all(|state| *state == State::Firing));
    (error(group, 0), world.told())
}

#[test]
fn a_flood_of_alerts_is_cut_off_at_the_limits_of_the_agent_and_ends_none_that_fires() {
    let group = rules("  - {alert: B, expr: up}\n");
    let (error, told) = flooded(&group, alerting::ALERTS_MAX);
    assert_eq!(error, "exceeded limit of 10000 with 10001 alerts");
    assert_eq!(told.len(), alerting::ALERTS_MAX);
    assert!(told.contains(&"firing z".to_owned()));

    let long = "x".repeat(60 << 10);
    let group = rules(&format!("  - {{alert: A, expr: up, annotations: {{s: '{long}'}}}}\n"));
    let (error, told) = flooded(&group, 400);
    assert_eq!(error, "exceeded limit of 16777216 bytes of labels and annotations");
    assert!((200..300).contains(&told.len()), "{}", told.len());
    assert!(told.contains(&"firing z".to_owned()));
}

#[test]
fn what_templates_ask_when_the_time_of_a_rule_is_over_has_no_answer_and_the_alerts_are_told() {
    let world = World::default();
    let group = rules("  - {alert: A, expr: up, annotations: {s: '{{ query \"none\" }}'}}\n");
    for n in 0..50 {
        world.memory.put("up", &[("n", &n.to_string())], 0, 1.0);
    }
    let asked = world.evaluate_slowly(&group, 0, evaluate::QUERY_TIME_MAX / 20);
    assert!((19..40).contains(&asked), "{asked}");
    assert_eq!(error(&group, 0), "");
    let told = world.told.0.lock().unwrap();
    let failed = |alert: &Alert| alert.annotations[0].1.starts_with("<error expanding template: ");
    assert_eq!((told.len(), failed(&told[0]), failed(&told[49])), (50, false, true));
}

#[test]
fn labels_that_would_be_others_for_want_of_time_end_no_alert() {
    let world = World::default();
    let group = rules("  - {alert: A, expr: up, labels: {s: '{{ query \"none\" | len }}'}}\n");
    for n in 0..50 {
        world.memory.put("up", &[("n", &n.to_string())], 0, 1.0);
        world.memory.put("up", &[("n", &n.to_string())], 60, 1.0);
    }
    let _ = world.evaluate(&group, 0);
    assert_eq!(world.told().len(), 50);
    world.evaluate_slowly(&group, 60, evaluate::QUERY_TIME_MAX / 20);
    assert_eq!(error(&group, 0), "expanding the labels took too long");
    assert_eq!((world.told().len(), group.rules[0].live().alerts.active().count()), (0, 50));
}

#[test]
fn a_rule_that_takes_too_long_is_ended() {
    let (world, group) =
        (World::default(), rules("  - {record: a, expr: up}\n  - {record: b, expr: '1'}\n"));
    world.memory.put("up", &[], 0, 1.0);
    world.evaluate_slowly(&group, 0, evaluate::QUERY_TIME_MAX * 2);
    let error = error(&group, 0);
    assert_eq!(error, "query timed out in expression evaluation");
    assert_eq!(world.memory.shown("b"), ["@0=1"]);
    assert_eq!(group.last().took, evaluate::QUERY_TIME_MAX * 2);
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
    let mut evaluated = Vec::new();
    for evaluation in 0..3 {
        world.evaluate_slowly(&group, evaluation, Duration::from_secs(9));
        let failed = group.rules.iter().map(|rule| rule.live().error.is_some());
        evaluated.push(failed.map(|failed| if failed { '-' } else { 'x' }).collect::<String>());
    }
    assert_eq!(evaluated, ["xxxxxx---", "xxx---xxx", "---xxxxxx"]);
    let live = group.rules[1].live();
    let limit = "the rules before it in the group took longer than the 60s that all of them have";
    assert_eq!(live.error.clone().unwrap().to_string(), limit);
    assert_eq!(live.failures, 1);
}

/// What is asked, and the error, of a rule in a group with that limit, with an annotation `summary` over `series` series,
/// stopped after `most`.
fn expanded(limit: usize, summary: &str, series: usize, most: usize) -> (usize, String) {
    let world = World::default();
    let group = group(&format!(
        "groups:\n- name: g\n  limit: {limit}\n  rules:\n  \
         - {{alert: A, expr: up, annotations: {{s: '{summary}'}}}}\n"
    ));
    for n in 0..series {
        world.memory.put("up", &[("n", &n.to_string())], 0, 1.0);
    }
    let source = world.asked(Duration::ZERO);
    let stopped = || source.times.get() >= most;
    let surroundings = world.surroundings(&world.told);
    let surroundings = Surroundings { source: &source, stopped: &stopped, ..surroundings };
    let _ = group.evaluate(at(0), &surroundings);
    (source.times.get(), error(&group, 0))
}

#[test]
fn templates_are_expanded_no_further_than_the_limits_of_a_rule_and_a_stop() {
    let query = "{{ query \"none\" }}";
    let (asked, error) = expanded(20, query, 21, usize::MAX);
    assert_eq!((asked, &*error), (1, "exceeded limit of 20 with 21 alerts"));
    let long = format!("{query}{}", "x".repeat(60 << 10));
    let (asked, error) = expanded(0, &long, 400, usize::MAX);
    assert!(asked < 300, "{asked}");
    assert_eq!(error, "exceeded limit of 16777216 bytes of labels and annotations");
    let (asked, error) = expanded(0, query, 400, 10);
    assert_eq!((asked, &*error), (10, "expanding the templates was stopped"));
}

#[test]
fn a_group_that_took_its_time_gives_it_up_for_the_others() {
    let world = World::default();
    let rule = "  - {record: 'r_%', expr: slow}\n";
    let group = rules(&(0..20).map(|n| rule.replace('%', &n.to_string())).collect::<String>());
    world.evaluate_slowly(&group, 0, Duration::from_secs(9));
    let failed = group.rules.iter().filter(|rule| rule.live().error.is_some()).count();
    assert_eq!(failed, 20 - 6, "a minute is over in the seventh");
    let error = error(&group, 19);
    assert!(error.contains("longer than the 60s"), "{error}");
}

#[test]
fn the_last_rules_of_a_group_that_takes_longer_than_its_interval_are_evaluated_too() {
    let world = World::default();
    let rule = "  - {record: 'r_%', expr: slow}\n";
    let all: String = (0..5).map(|n| rule.replace('%', &n.to_string())).collect();
    let group = group(&format!("groups:\n- name: g\n  interval: 5s\n  rules:\n{all}"));
    world.evaluate_slowly(&group, 0, Duration::from_secs(9));
    assert!(group.rules.iter().all(|rule| rule.live().error.is_none()));
}

#[test]
fn a_rule_that_asks_for_too_many_steps_fails_and_the_next_is_evaluated() {
    let text = "  - {record: a, expr: 'max_over_time(up[100y:1ms])'}\n  - {record: b, expr: 'vector(1)'}\n";
    let (_, group) = evaluated(text, 1.0);
    let error_of_first = error(&group, 0);
    assert!(error_of_first.contains("too many samples"), "{error_of_first}");
    assert_eq!(error(&group, 1), "");
}
