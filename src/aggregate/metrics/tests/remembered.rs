//! What is remembered from request to request: how much, for how long, and across a restart.

use super::*;

#[test]
fn the_steady_state_asks_for_no_series() {
    let mut world = World::new();
    for round in 1..=3 {
        for service in ["a", "b"] {
            let mut point = number(0, round * 10_000, 1.0);
            point.attributes = vec![text("pool", "p"), text("host", "h")];
            let metric = otlp::Metric {
                name: "m".to_owned(),
                data: Some(gauge_of(vec![point.clone(), number(0, round * 10_000, 2.0)])),
                ..otlp::Metric::default()
            };
            world.send(vec![resource_metrics(&[("service.name", service)], None, vec![metric])]);
        }
    }
    assert_eq!((world.kept.asked, world.kept.series.len()), (4, 4));
    assert_eq!(world.translator.entries(), [2, 2, 2, 4]);
    // The same attributes in another order are the same series.
    let mut point = number(0, 60_000, 1.0);
    point.attributes = vec![text("host", "h"), text("pool", "p")];
    let metric = otlp::Metric {
        name: "m".to_owned(),
        data: Some(gauge_of(vec![point])),
        ..otlp::Metric::default()
    };
    world.send(vec![resource_metrics(&[("service.name", "a")], None, vec![metric])]);
    assert_eq!((world.kept.asked, world.kept.series.len()), (5, 4));
}

#[test]
fn what_is_remembered_of_points_is_bounded() {
    let mut world = World::with(Config { series_max: 10, ..Config::default() });
    for round in 0..30 {
        let points = (0..10).map(|i| {
            let mut point = number(0, round * 1_000 + 1, 1.0);
            point.attributes = vec![text("k", &format!("{round}-{i}"))];
            point
        });
        world.metric("m", "", gauge_of(points.collect()));
        assert!(world.translator.entries()[3] <= 20);
    }
    assert_eq!(world.kept.series.len(), 300);
    assert!(world.count(desc::STORE_CACHE_RESETS.name) > 5);
}

#[test]
fn a_series_that_left_the_store_is_found_again() {
    let mut world = World::new();
    world.metric("m", "", gauge_of(vec![number(0, 10_000, 1.0)]));
    // The store lets the series go and makes another under the same labels.
    world.kept.series[0].gone = true;
    world.kept.ids.clear();
    world.metric("m", "", gauge_of(vec![number(0, 20_000, 2.0), number(0, 30_000, 3.0)]));
    world.shows(&expect![[r#"
        m{job=shop,service_name=shop} 2@20000 3@30000
    "#]]);
}

#[test]
fn after_a_restart_the_same_requests_give_the_same_samples() {
    let histograms = |world: &mut World, from: u64, to: u64| {
        for at in (from..to).map(|n| n * 10_000) {
            let bounds = buckets(at, at + 10_000, &[1, 2, 3], Some(1.0));
            world.metric("h", "s", histogram(DELTA, bounds));
            let data_points = vec![exponential(at, at + 10_000, 2, 3, &[1, 2])];
            let data = otlp::ExponentialHistogram { data_points, aggregation_temporality: DELTA };
            world.metric("e", "s", Data::ExponentialHistogram(data));
            world.metric("c", "", sum(DELTA, true, vec![number(at, at + 10_000, 2.0)]));
            if at > 40_000 {
                let born = number(1_000, at + 10_000, 1.0);
                world.metric("born", "", sum(CUMULATIVE, true, vec![born]));
            }
        }
    };
    let mut whole = World::new();
    histograms(&mut whole, 0, 7);
    let mut first = World::new();
    histograms(&mut first, 0, 5);
    first.translator.forget(&mut first.kept);
    let mut state: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    let mut put = |name: &str, piece: &[u8]| {
        state.entry(name.to_owned()).or_default().push(piece.to_vec());
        Ok(())
    };
    first.translator.encode(&first.kept, &mut put).unwrap();
    let mut second = World { kept: first.kept, ..World::new() };
    second.translator.restore(|name| state[name].clone(), &mut second.kept);
    // The last requests before the checkpoint come once more.
    histograms(&mut second, 3, 7);
    assert_eq!(second.kept.show(), whole.kept.show());
    second.shows(&expect![[r#"
        born_total{job=shop,service_name=shop} 0@50000 1@60000 1@70000
        c_total{job=shop,service_name=shop} 2@10000 4@20000 6@30000 8@40000 10@50000 12@60000 14@70000
        e_seconds{job=shop,service_name=shop} Native (s2 n3 sum1 z0 [(4, 1.0), (5, 2.0)])@10000 (s2 n6 sum2 z0 [(4, 2.0), (5, 4.0)])@20000 (s2 n9 sum3 z0 [(4, 3.0), (5, 6.0)])@30000 (s2 n12 sum4 z0 [(4, 4.0), (5, 8.0)])@40000 (s2 n15 sum5 z0 [(4, 5.0), (5, 10.0)])@50000 (s2 n18 sum6 z0 [(4, 6.0), (5, 12.0)])@60000 (s2 n21 sum7 z0 [(4, 7.0), (5, 14.0)])@70000
        h_seconds{job=shop,service_name=shop} Classic (n6 sumSome(1.0) [1.0, 5.0] [1, 2, 3])@10000 (n12 sumSome(2.0) [1.0, 5.0] [2, 4, 6])@20000 (n18 sumSome(3.0) [1.0, 5.0] [3, 6, 9])@30000 (n24 sumSome(4.0) [1.0, 5.0] [4, 8, 12])@40000 (n30 sumSome(5.0) [1.0, 5.0] [5, 10, 15])@50000 (n36 sumSome(6.0) [1.0, 5.0] [6, 12, 18])@60000 (n42 sumSome(7.0) [1.0, 5.0] [7, 14, 21])@70000
        dropped 6 delta_late
    "#]]);
    let longest = state.values().flatten().map(Vec::len).max().unwrap();
    for cut in 0..longest {
        let mut world = World::new();
        let piece =
            |name: &str| state[name].iter().map(|p| p[..cut.min(p.len())].to_vec()).collect();
        world.translator.restore(piece, &mut world.kept);
    }
}
