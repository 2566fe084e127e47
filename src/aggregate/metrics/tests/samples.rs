//! What a point, a resource and a scope become, and what of them is refused.

use super::*;

#[test]
fn a_point_becomes_a_sample_of_its_series() {
    let mut world = World::new();
    let mut point = number(0, 500, 1.5);
    point.attributes = vec![text("pool.name", "a"), text("job", "mine")];
    let int = otlp::NumberDataPoint {
        value: Some(otlp::number_data_point::Value::AsInt(-3)),
        ..number(0, 600, 0.0)
    };
    world.metric("pool.size", "{connection}", gauge_of(vec![point, int]));
    world.shows(&expect![[r#"
        pool_size{job=shop,pool_name=a,service_name=shop} 1.5@500
        pool_size{job=shop,service_name=shop} -3@600
    "#]]);
    assert_eq!(world.kept.described, [r#"pool_size Gauge "Help." """#]);
    assert_eq!(world.count(desc::STORE_POINTS.name), 2);
}

#[test]
fn an_empty_service_name_or_instance_leaves_a_point_its_own() {
    let mut world = World::new();
    let mut point = number(0, 500, 1.0);
    point.attributes = vec![text("job", "mine"), text("instance", "my:1")];
    let metric = otlp::Metric {
        name: "up".to_owned(),
        data: Some(gauge_of(vec![point])),
        ..otlp::Metric::default()
    };
    let resource = [("service.name", ""), ("service.instance.id", "")];
    world.send(vec![resource_metrics(&resource, None, vec![metric])]);
    world.shows(&expect![[r#"
        up{instance=my:1,job=mine} 1@500
    "#]]);
}

#[test]
fn a_histogram_whose_buckets_are_empty_keeps_its_sum() {
    let mut world = World::new();
    let point = buckets(0, 1_000, &[0, 0, 0], Some(3.5));
    world.metric("wait", "s", histogram(CUMULATIVE, point));
    world.shows(&expect![[r#"
        wait_seconds{job=shop,service_name=shop} Classic (n0 sumSome(3.5) [1.0, 5.0] [0, 0, 0])@1000
    "#]]);
}

#[test]
fn target_info_goes_with_the_samples_of_a_resource() {
    let mut world = World::new();
    let resource =
        [("service.name", "shop"), ("host.name", "node-7"), ("service.instance.id", "i")];
    let metric = |times: &[u64]| otlp::Metric {
        name: "up".to_owned(),
        data: Some(gauge_of(times.iter().map(|&time| number(0, time, 1.0)).collect())),
        ..otlp::Metric::default()
    };
    world.send(vec![resource_metrics(&resource, None, vec![metric(&[100, 50])])]);
    world.received = UnixNano(nanos(400_000));
    world.send(vec![resource_metrics(&resource, None, vec![metric(&[200, 350_200])])]);
    // Nothing was stored, so there is nothing to describe.
    world.send(vec![resource_metrics(&resource, None, vec![metric(&[200])])]);
    world.shows(&expect![[r#"
        target_info{host_name=node-7,instance=i,job=shop} 1@100 1@200 1@150200 1@300200 1@350200
        up{instance=i,job=shop,service_name=shop} 1@100 1@200 1@350200
        dropped 2 out_of_order
    "#]]);
}

#[test]
fn a_summary_is_a_series_for_each_of_its_numbers() {
    let mut world = World::new();
    let at = |quantile, value| otlp::summary_data_point::ValueAtQuantile { quantile, value };
    let mut point = otlp::SummaryDataPoint {
        time_unix_nano: nanos(5_000),
        count: 10,
        sum: 2.5,
        quantile_values: vec![at(0.5, 0.2), at(0.99, 0.9), at(1.0, 1.0)],
        attributes: vec![text("quantile", "mine")],
        ..Default::default()
    };
    let data = |point: &otlp::SummaryDataPoint| {
        Data::Summary(otlp::Summary { data_points: vec![point.clone()] })
    };
    world.metric("rpc.latency", "ms", data(&point));
    (point.time_unix_nano, point.flags) = (nanos(6_000), 1);
    world.metric("rpc.latency", "ms", data(&point));
    world.shows(&expect![[r#"
        rpc_latency_milliseconds_count{job=shop,quantile=mine,service_name=shop} 10@5000 stale@6000
        rpc_latency_milliseconds_sum{job=shop,quantile=mine,service_name=shop} 2.5@5000 stale@6000
        rpc_latency_milliseconds{job=shop,quantile=0.5,service_name=shop} 0.2@5000 stale@6000
        rpc_latency_milliseconds{job=shop,quantile=0.99,service_name=shop} 0.9@5000 stale@6000
        rpc_latency_milliseconds{job=shop,quantile=1,service_name=shop} 1@5000 stale@6000
    "#]]);
}

#[test]
fn a_point_without_a_recorded_value_ends_its_series() {
    let mut world = World::new();
    let stale = otlp::NumberDataPoint { flags: 1, value: None, ..number(1_000, 20_000, 0.0) };
    world.metric("g", "", gauge_of(vec![number(0, 10_000, 1.0), stale.clone()]));
    world.metric("c", "", sum(CUMULATIVE, true, vec![number(1_000, 10_000, 1.0), stale]));
    let mut gone = buckets(1_000, 20_000, &[], None);
    gone.flags = 1;
    world.metric("h", "", histogram(2, gone));
    world.shows(&expect![[r#"
        c_total{job=shop,service_name=shop} 0@1000 1@10000 stale@20000
        g{job=shop,service_name=shop} 1@10000 stale@20000
        h{job=shop,service_name=shop} Classic stale@20000
    "#]]);
}

#[test]
fn odd_numbers_are_stored_and_a_senders_nan_ends_nothing() {
    let mut world = World::new();
    let stale = f64::from_bits(sidelight_promql::source::STALE_BITS);
    let values = [f64::NAN, stale, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MAX];
    let points = (1_000..).step_by(1_000).zip(values).map(|(t, value)| number(0, t, value));
    world.metric("g", "", gauge_of(points.collect()));
    world.shows(&expect![[r#"
        g{job=shop,service_name=shop} NaN@1000 NaN@2000 inf@3000 -inf@4000 -0@5000 179769313486231570000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000@6000
    "#]]);
}

#[test]
fn what_is_bad_is_dropped_with_a_reason_and_what_is_good_is_kept() {
    let mut world = World::new();
    world.metric("日本", "", gauge_of(vec![number(0, 1, 1.0), number(0, 2, 1.0)]));
    world.metric("sum", "", sum(0, true, vec![number(0, 1, 1.0)]));
    let empty = otlp::NumberDataPoint { value: None, ..number(0, 2, 0.0) };
    let mut timeless = number(0, 3, 0.0);
    timeless.time_unix_nano = 0;
    let mut unnamed = number(0, 4, 0.0);
    unnamed.attributes = vec![text("", "v")];
    let mut many = number(0, 5, 0.0);
    many.attributes = (0..300).map(|i| text(&format!("k{i}"), "v")).collect();
    let mut huge = number(0, 5, 0.0);
    huge.attributes = vec![text("k", &"v".repeat(70_000))];
    let future = number(0, 100_000 + 600_001, 0.0);
    let points =
        vec![empty, timeless, unnamed, many, huge, future, number(0, 7, 1.0), number(0, 7, 2.0)];
    world.metric("good", "", gauge_of(points));
    world.metric("good", "", gauge_of(vec![number(0, 6, 3.0), number(0, 8, 4.0)]));
    world.kept.series_max = Some(1);
    world.metric("another", "", gauge_of(vec![number(0, 6, 3.0)]));
    world.send(vec![resource_metrics(
        &[("service.name", "shop"), ("k", &"v".repeat(70_000))],
        None,
        vec![otlp::Metric { data: Some(gauge_of(vec![number(0, 1, 1.0)])), ..Default::default() }],
    )]);
    world.shows(&expect![[r#"
        good{job=shop,service_name=shop} 1@7 4@8
        dropped 3 attributes
        dropped 1 duplicate
        dropped 1 far_future
        dropped 1 label_name
        dropped 2 metric_name
        dropped 1 no_time
        dropped 1 no_value
        dropped 1 out_of_order
        dropped 1 overflow
        dropped 1 temporality
    "#]]);
}

#[test]
fn scopes_are_labels_only_when_asked_for() {
    let scope = || {
        Some(InstrumentationScope {
            name: "lib".to_owned(),
            version: "2".to_owned(),
            ..InstrumentationScope::default()
        })
    };
    let metric = || {
        let data = Some(gauge_of(vec![number(0, 1, 1.0)]));
        vec![otlp::Metric { name: "m".to_owned(), data, ..otlp::Metric::default() }]
    };
    for (scope_labels, expected) in [
        (false, "m{job=shop,service_name=shop} 1@1\n"),
        (true, "m{job=shop,otel_scope_name=lib,otel_scope_version=2,service_name=shop} 1@1\n"),
    ] {
        let mut world = World::with(Config { scope_labels, ..Config::default() });
        world.send(vec![resource_metrics(&[("service.name", "shop")], scope(), metric())]);
        assert_eq!(world.kept.show(), expected);
    }
}

#[test]
fn a_scope_with_an_endless_name_is_refused_and_its_neighbours_are_not() {
    let named = |len| InstrumentationScope { name: "s".repeat(len), ..Default::default() };
    let metric = |name: &str| otlp::Metric {
        name: name.to_owned(),
        data: Some(gauge_of(vec![number(0, 1, 1.0)])),
        ..otlp::Metric::default()
    };
    let mut world = World::new();
    let resource = [("service.name", "shop")];
    world.send(vec![
        resource_metrics(&resource, Some(named(5 << 20)), vec![metric("lost")]),
        resource_metrics(&resource, Some(named(5)), vec![metric("kept")]),
    ]);
    assert_eq!(world.kept.show(), "kept{job=shop,service_name=shop} 1@1\n");
    assert_eq!(world.dropped().values().sum::<u64>(), 1);
}

#[test]
fn bytes_that_are_no_request_do_no_harm() {
    let mut world = World::new();
    world.metric("m", "", gauge_of(vec![number(0, 1, 1.0)]));
    let metric = otlp::Metric {
        name: "m".to_owned(),
        data: Some(histogram(1, buckets(1, 2, &[1, 2, 3], Some(1.0)))),
        ..otlp::Metric::default()
    };
    let resource_metrics = vec![resource_metrics(&[("service.name", "shop")], None, vec![metric])];
    let bytes = ExportMetricsServiceRequest { resource_metrics }.encode_to_vec();
    for cut in 0..bytes.len() {
        world.translator.observe(&mut world.kept, &bytes[..cut], world.received);
        let mut flipped = bytes.clone();
        flipped[cut] ^= 0x55;
        world.translator.observe(&mut world.kept, &flipped, world.received);
    }
}
