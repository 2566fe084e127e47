//! What the rules of a group make, see of each other and fail with.

use super::*;

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
fn what_waits_for_the_journal_has_the_texts_of_before_and_not_those_of_its_query() {
    let text = "  - {record: a, expr: 'label_replace(up, \"l\", \"of $1\", \"l\", \"(.*)\")'}\n\
                \x20 - {record: b, expr: a}\n";
    let (world, group) = (World::default(), rules(text));
    world.memory.put("up", &[("l", "x")], 0, 3.0);
    let at = |samples: &Samples| -> Vec<*const u8> {
        samples.0.iter().map(|sample| sample.labels.get("l").as_ptr()).collect()
    };
    let [first, second] = [0, 60].map(|seconds| world.evaluate(&group, seconds));
    assert_eq!(first.0[1].labels.get("l"), "of x");
    let once = at(&first)[0];
    assert_eq!([at(&first), at(&second)], [[once, once], [once, once]]);
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
    let text = "  - {record: a, expr: 'up > 1'}\n  - {record: b, expr: 'a or vector(-1)'}\n";
    let (world, group) = evaluated(text, 3.0);
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
    let errors: Vec<String> = (0..4).map(|nth| error(&group, nth)).collect();
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
    assert_eq!(since(&group, 1), at(60));
}

#[test]
fn a_store_that_takes_nothing_makes_rules_unhealthy_and_loses_no_alert() {
    let (world, group) =
        (World::default(), rules("  - {alert: A, expr: 'up == 0'}\n  - {record: b, expr: up}\n"));
    world.memory.put("up", &[("l", "a")], 0, 0.0);
    *world.memory.full.lock().unwrap() = true;
    assert!(world.evaluate(&group, 0).0.is_empty());
    assert_eq!(world.told(), ["firing a"]);
    assert_eq!(error(&group, 1), "cannot keep the result: full");
    *world.memory.full.lock().unwrap() = false;
    let _ = world.evaluate(&group, 60);
    assert_eq!(error(&group, 1), "");
}

#[test]
fn results_that_the_store_took_too_late_end_all_the_same() {
    let (world, group) = (World::default(), rules("  - {record: b, expr: up}\n"));
    world.memory.put("up", &[("l", "before")], 0, 1.0);
    let _ = world.evaluate(&group, 0);
    world.memory.put("up", &[("l", "late")], 400, 1.0);
    *world.memory.late.lock().unwrap() = true;
    assert!(world.evaluate(&group, 400).0.is_empty());
    *world.memory.late.lock().unwrap() = false;
    let _ = world.evaluate(&group, 1_000);
    assert_eq!(
        world.memory.shown("b"),
        [
            "l=before@0=1",
            "l=before@400=stale",
            "l=before@1000=stale",
            "l=late@400=1",
            "l=late@1000=stale"
        ]
    );
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
    assert_eq!(since(&new, 1), at(0));
    assert_eq!(world.memory.shown("r"), ["l=a@0=0", "l=a@60=stale"]);
    let ended: Vec<_> =
        world.memory.shown("ALERTS").into_iter().filter(|shown| shown.ends_with("stale")).collect();
    assert_eq!(ended.len(), 2, "{ended:?}");
    assert!(world.told().is_empty());
    let gone = new.end(at(120));
    assert_eq!(gone.0.len(), 3, "{gone:?}");
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
    assert_eq!(chosen(""), ["route=/a@0=0"]);
    assert_eq!(chosen(twice), chosen(""));
}

#[test]
fn what_several_rules_ask_for_is_asked_once_and_again_when_something_it_reads_was_recorded() {
    let world = World::default();
    world.memory.put("up", &[("l", "a")], 0, 2.0);
    let asked = |text: &str| world.evaluate_slowly(&rules(text), 0, Duration::ZERO);
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
fn a_subquery_without_a_step_has_the_one_of_the_configuration() {
    let world = World::default();
    let group = rules("  - {record: n, expr: 'count_over_time(vector(1)[5m:])'}\n");
    for (seconds, subquery_step_ms) in [(600, 60_000), (900, 15_000)] {
        let surroundings = world.surroundings(&world.told);
        let _ = group.evaluate(at(seconds), &Surroundings { subquery_step_ms, ..surroundings });
    }
    assert_eq!(world.memory.shown("n"), ["@600=5", "@900=20"]);
}
