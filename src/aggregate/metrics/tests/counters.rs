//! Counters: where they begin, and the totals that deltas become.

use super::*;

#[test]
fn a_counter_that_is_born_has_a_zero_before_it() {
    let mut world = World::new();
    // The process started long ago and another counter was exported: until 10,000 this one was zero.
    let early = sum(CUMULATIVE, true, vec![number(1_000, 10_000, 7.0)]);
    world.metric("requests", "", early);
    let counter = |points| sum(CUMULATIVE, true, points);
    world.metric("errors", "", counter(vec![number(1_000, 20_000, 1.0)]));
    world.metric("errors", "", counter(vec![number(1_000, 30_000, 3.0)]));
    // The process starts again: the value grew, and yet it was reset.
    world.metric("errors", "", counter(vec![number(35_000, 40_000, 5.0)]));
    world.shows(&expect![[r#"
        errors_total{job=shop,service_name=shop} 0@10000 1@20000 3@30000 0@35000 5@40000
        requests_total{job=shop,service_name=shop} 0@1000 7@10000
    "#]]);
}

#[test]
fn a_start_that_says_nothing_makes_no_zero() {
    let mut world = World::new();
    let counter = |points| sum(CUMULATIVE, true, points);
    world.metric("unknown", "", counter(vec![number(0, 10_000, 7.0)]));
    world.metric("same", "", counter(vec![number(11_000, 11_000, 7.0)]));
    world.metric("after", "", counter(vec![number(13_000, 12_000, 7.0)]));
    world.metric("not.monotonic", "", sum(CUMULATIVE, false, vec![number(1_000, 13_000, 7.0)]));
    world.received = UnixNano(nanos(5_000_000));
    let mut old = World::new();
    old.received = world.received;
    old.metric("long.ago", "", counter(vec![number(1_000, 3_700_000, 7.0)]));
    world.shows(&expect![[r#"
        after_total{job=shop,service_name=shop} 7@12000
        not_monotonic{job=shop,service_name=shop} 7@13000
        same_total{job=shop,service_name=shop} 7@11000
        unknown_total{job=shop,service_name=shop} 7@10000
    "#]]);
    old.shows(&expect![[r#"
        long_ago_total{job=shop,service_name=shop} 7@3700000
    "#]]);
}

#[test]
fn two_writers_on_one_counter_are_counted_and_stored() {
    let mut world = World::new();
    for (start, time, value) in
        [(1_000, 10_000, 5.0), (4_000, 11_000, 1.0), (1_000, 12_000, 6.0), (1_000, 13_000, 7.0)]
    {
        world.metric("c", "", sum(CUMULATIVE, true, vec![number(start, time, value)]));
    }
    world.shows(&expect![[r#"
        c_total{job=shop,service_name=shop} 0@1000 5@10000 1@11000 6@12000 7@13000
    "#]]);
    assert_eq!(world.count(desc::STORE_CONFLICTING_POINTS.name), 2);
}

#[test]
fn deltas_become_totals() {
    let mut world = World::new();
    for (start, time, value) in [
        (10_000, 20_000, 5.0),
        (20_000, 30_000, 2.0),
        (20_000, 30_000, 2.0), // again
        (5_000, 15_000, 9.0),  // late
        (25_000, 35_000, 4.0), // overlaps
        (0, 40_000, 1.0),      // start unknown
        (50_000, 60_000, 3.0), // a gap
        (60_000, 70_000, f64::NAN),
        (60_000, 70_000, -1.0),
        (60_000, 70_000, 1.0),
    ] {
        world.metric("c", "", sum(DELTA, true, vec![number(start, time, value)]));
    }
    world.shows(&expect![[r#"
        c_total{job=shop,service_name=shop} 0@10000 5@20000 7@30000 8@40000 0@50000 3@60000 4@70000
        dropped 2 delta_late
        dropped 1 delta_overlap
        dropped 2 delta_value
    "#]]);
    assert_eq!(world.count(desc::STORE_CONFLICTING_POINTS.name), 1);
}

#[test]
fn deltas_of_what_goes_up_and_down_survive_a_gap() {
    let mut world = World::new();
    for (start, time, value) in [(10_000, 20_000, 5.0), (50_000, 60_000, -2.0)] {
        world.metric("queue", "", sum(DELTA, false, vec![number(start, time, value)]));
    }
    world.shows(&expect![[r#"
        queue{job=shop,service_name=shop} 5@20000 3@60000
    "#]]);
}

#[test]
fn a_point_from_the_future_does_not_end_the_zeros_of_its_scope() {
    let counter = |start, time, value| sum(CUMULATIVE, true, vec![number(start, time, value)]);
    let mut world = World::new();
    world.metric("first_total", "", counter(1, 1 << 40, 1.0));
    for time in [10_000, 25_000] {
        world.metric("first_total", "", counter(1_000, time, 1.0));
    }
    world.metric("born_total", "", counter(1_000, 40_000, 1.0));
    let shown = world.kept.show();
    assert!(shown.contains("born_total{job=shop,service_name=shop} 0@25000 1@40000"), "{shown}");
}
