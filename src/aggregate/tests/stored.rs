//! What the store gets of the table, and when.

use super::*;

#[test]
fn the_store_gets_the_table_as_it_was_at_each_multiple_of_5_seconds() {
    let mut table = table(|_| {});
    let (mut derived, mut kept) = (Derived::default(), Kept::default());
    // The last three: unchanged, and said again after a minute.
    for (seconds, spans) in [(0, 2), (4, 1), (6, 4), (21, 0), (51, 0), (82, 0)] {
        let request = request("shop", vec![span("x", 1, 3_000_000, &[]); spans]);
        step((&mut derived, &mut kept), &mut table, at(seconds), &request);
    }
    expect![[r#"
        traces_spanmetrics_calls_total{job=shop,service=shop,service_name=shop,span_kind=SPAN_KIND_INTERNAL,span_name=x,status_code=STATUS_CODE_UNSET} 0@000000 3@005000 7@020000 7@080000
        traces_spanmetrics_latency{job=shop,service=shop,service_name=shop,span_kind=SPAN_KIND_INTERNAL,span_name=x,status_code=STATUS_CODE_UNSET} Classic (n0 sumSome(0.0) [0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384] [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@000000 (n3 sumSome(0.009000000000000001) [0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384] [0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@005000 (n7 sumSome(0.021) [0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384] [0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@020000 (n7 sumSome(0.021) [0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384] [0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@080000
        traces_spanmetrics_size_total{job=shop,service=shop,service_name=shop,span_kind=SPAN_KIND_INTERNAL,span_name=x,status_code=STATUS_CODE_UNSET} 0@000000 69@005000 161@020000 161@080000
    "#]].assert_eq(&only(&mut kept, "traces_"));
}

#[test]
fn a_series_that_the_table_lets_go_ends_in_the_store_and_begins_again() {
    let mut table = table(|config| config.series_ttl = Duration::from_secs(30));
    let (mut derived, mut kept) = (Derived::default(), Kept::default());
    for (seconds, name) in [(10, "a"), (20, "b"), (50, "b"), (80, "b"), (90, "a"), (110, "b")] {
        let request = request("shop", vec![span(name, 1, 3_000_000, &[])]);
        step((&mut derived, &mut kept), &mut table, at(seconds), &request);
    }
    expect![[r#"
        traces_spanmetrics_calls_total{job=shop,service=shop,service_name=shop,span_kind=SPAN_KIND_INTERNAL,span_name=a,status_code=STATUS_CODE_UNSET} 0@015000 1@020000 stale@080000 0@105000 1@110000
        traces_spanmetrics_calls_total{job=shop,service=shop,service_name=shop,span_kind=SPAN_KIND_INTERNAL,span_name=b,status_code=STATUS_CODE_UNSET} 0@045000 1@050000 2@080000 3@090000
    "#]].assert_eq(&only(&mut kept, "traces_spanmetrics_calls"));
}

#[test]
fn operations_have_outcomes_thresholds_and_windows() {
    let mut table = table(|config| {
        let threshold = Duration::from_millis(300);
        let (service, operation) = ("shop".to_owned(), "/pay".to_owned());
        config.thresholds.operations = vec![config::Threshold { service, operation, threshold }];
    });
    let (mut derived, mut kept) = (Derived::default(), Kept::default());
    let mut internal = http("/pay", "500", 9_000_000_000);
    internal.kind = 1;
    let mut grpc = span("pkg.Shop/Buy", 2, 2_000_000_001, &[("rpc.method", "pkg.Shop/Buy")]);
    grpc.attributes.push(attribute("rpc.grpc.status_code", "14"));
    let spans = vec![
        http("/pay", "200", 300_000_000),
        http("/pay", "404", 301_000_000),
        http("/pay", "503", 700_000_000),
        http("/healthz", "200", 1_000_000),
        internal,
        grpc,
    ];
    step((&mut derived, &mut kept), &mut table, at(1), &request("shop", spans));
    let one = request("shop", vec![http("/pay", "200", 20_000_000)]);
    step((&mut derived, &mut kept), &mut table, at(6), &one);
    step((&mut derived, &mut kept), &mut table, at(11), &request("shop", Vec::new()));
    let text = metrics(&table, Format::Text);
    let exceeded = r#"sidelight_operation_threshold_exceeded_total{job="shop",service_name="shop",operation_name="/pay",protocol="http",threshold="0.3"} 2"#;
    assert!(text.contains(exceeded), "{text}");
    assert!(text.contains("sidelight_route_excluded{http_route=\"/healthz\"} 1"), "{text}");
    assert!(!text.contains(r#"operation_name="/healthz",protocol="http",threshold"#), "{text}");
    expect![[r#"
        sidelight_operation_duration_max_seconds{job=shop,operation_name=/healthz,protocol=http,service_name=shop} 0.001@005000
        sidelight_operation_duration_max_seconds{job=shop,operation_name=/pay,protocol=http,service_name=shop} 0.7000000000000001@005000 0.02@010000
        sidelight_operation_duration_max_seconds{job=shop,operation_name=pkg.Shop/Buy,protocol=rpc,service_name=shop} 2.000000001@005000
        sidelight_operation_duration_min_seconds{job=shop,operation_name=/healthz,protocol=http,service_name=shop} 0.001@005000
        sidelight_operation_duration_min_seconds{job=shop,operation_name=/pay,protocol=http,service_name=shop} 0.3@005000 0.02@010000
        sidelight_operation_duration_min_seconds{job=shop,operation_name=pkg.Shop/Buy,protocol=rpc,service_name=shop} 2.000000001@005000
        sidelight_operation_duration_seconds{job=shop,operation_name=/healthz,outcome=ok,protocol=http,service_name=shop} Classic (n0 sumSome(0.0) [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0] [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@000000 (n1 sumSome(0.001) [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0] [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@005000
        sidelight_operation_duration_seconds{job=shop,operation_name=/pay,outcome=error,protocol=http,service_name=shop} Classic (n0 sumSome(0.0) [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0] [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@000000 (n1 sumSome(0.7000000000000001) [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0] [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0])@005000
        sidelight_operation_duration_seconds{job=shop,operation_name=/pay,outcome=ok,protocol=http,service_name=shop} Classic (n0 sumSome(0.0) [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0] [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@000000 (n2 sumSome(0.601) [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0] [0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0])@005000 (n3 sumSome(0.621) [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0] [0, 0, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0])@010000
        sidelight_operation_duration_seconds{job=shop,operation_name=pkg.Shop/Buy,outcome=error,protocol=rpc,service_name=shop} Classic (n0 sumSome(0.0) [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0] [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@000000 (n1 sumSome(2.000000001) [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0] [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0])@005000
        sidelight_operation_satisfied_total{job=shop,operation_name=/pay,protocol=http,service_name=shop,threshold=0.3} 0@000000 0@005000 1@010000
        sidelight_operation_satisfied_total{job=shop,operation_name=pkg.Shop/Buy,protocol=rpc,service_name=shop,threshold=2} 0@000000 0@005000
        sidelight_operation_threshold_exceeded_total{job=shop,operation_name=/pay,protocol=http,service_name=shop,threshold=0.3} 0@000000 2@005000 2@010000
        sidelight_operation_threshold_exceeded_total{job=shop,operation_name=pkg.Shop/Buy,protocol=rpc,service_name=shop,threshold=2} 0@000000 1@005000
    "#]].assert_eq(&only(&mut kept, "sidelight_operation"));
}

#[test]
fn http_metrics_are_made_of_spans_unless_another_source_has_them() {
    let mut table = table(|_| {});
    let (mut derived, mut kept) = (Derived::default(), Kept::default());
    let spans = vec![http("/pay", "200", 300_000_000), http("/pay", "200", 40_000_000)];
    table.observe(&request("shop", spans), at(1));
    for (second, admitted) in [(5, true), (10, false)] {
        let received_ms = i64::try_from(at(second).0 / 1_000_000).unwrap();
        derived.sample(&mut kept, &mut table, received_ms, &mut |family, resource| {
            assert_eq!(resource.service(), b"shop");
            family != crate::aggregate::derived::Family::Http || admitted
        });
    }
    expect![[r#"
        http_server_request_duration_seconds{http_request_method=GET,http_response_status_code=200,http_route=/pay,job=shop,service_name=shop} Classic (n0 sumSome(0.0) [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0] [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])@000000 (n2 sumSome(0.34) [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0] [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])@005000 stale@010000
    "#]].assert_eq(&only(&mut kept, "http_server"));
}

#[test]
fn exemplars_of_a_window_are_few_and_have_the_slowest_and_a_failed_one() {
    let mut table = table(|_| {});
    let (mut derived, mut kept) = (Derived::default(), Kept::default());
    let spans = (1..100).map(|i| http("/pay", "200", i * 37 % 100 * 1_000_000)).collect();
    step((&mut derived, &mut kept), &mut table, at(1), &request("shop", spans));
    for seconds in [6, 11, 16] {
        step((&mut derived, &mut kept), &mut table, at(seconds), &request("shop", Vec::new()));
    }
    let shown = only(&mut kept, "traces_spanmetrics_latency");
    let exemplars: Vec<_> = shown.lines().filter(|line| line.starts_with("  #")).collect();
    assert_eq!(exemplars.len(), 3, "{shown}");
    assert!(exemplars[0].contains(&"01".repeat(16)) && exemplars[0].contains("0.099"), "{shown}");
}

#[test]
fn what_another_source_said_meanwhile_is_not_said_when_spans_are_the_source_again() {
    let mut table = table(|_| {});
    let (mut derived, mut kept) = (Derived::default(), Kept::default());
    let rounds = [(6, 2, true), (11, 50, false), (16, 50, false), (21, 1, true), (26, 0, true)];
    for (seconds, spans, admitted) in rounds {
        let spans = vec![http("/pay", "200", 9_000_000_000); spans];
        table.observe(&request("shop", spans), at(seconds - 2));
        let received_ms = i64::try_from(at(seconds).0 / 1_000_000).unwrap();
        derived.sample(&mut kept, &mut table, received_ms, &mut |_, _| admitted);
        // A restart between any two says no more.
        let (mut rows, mut sampled) = (Vec::new(), Vec::new());
        table.encode(&mut rows);
        derived.encode(&mut sampled);
        table = Table::decode(Config::default(), &rows).unwrap();
        if !admitted {
            derived = Derived::decode(&sampled);
        }
    }
    let shown = only(&mut kept, "");
    for family in ["http_server", "sidelight_operation_duration_seconds"] {
        let of = shown.lines().find(|line| line.starts_with(family)).unwrap();
        let counts: Vec<_> = of.match_indices("(n").map(|(at, _)| &of[at + 2..at + 4]).collect();
        assert_eq!(counts, ["0 ", "2 ", "0 ", "1 "], "{of}");
    }
    let exceeded = shown.lines().find(|line| line.contains("_exceeded_total")).unwrap();
    assert!(exceeded.ends_with("0@015000 1@020000"), "{exceeded}");
    assert!(metrics(&table, Format::Text).contains("outcome=\"ok\"} 103"));
}

#[test]
fn a_sample_that_the_store_refuses_is_counted() {
    let mut kept = Kept::default();
    for (seconds, expected) in [(100, 0), (50, 3)] {
        let mut table = table(|config| config.routes_exclude = Default::default());
        let mut derived = Derived::default();
        table.observe(&request("shop", vec![span("x", 1, 1_000_000, &[])]), at(1));
        step((&mut derived, &mut kept), &mut table, at(seconds), &[]);
        let refused = derived.take_refused();
        let samples: u64 = refused.iter().map(|(_, samples)| samples).sum();
        assert_eq!(samples, expected, "{refused:?}");
    }
}

#[test]
fn what_an_operation_did_while_it_was_excluded_satisfies_nobody_once_it_is_not() {
    let excludes = |routes: &[&str]| Config {
        routes_exclude: routes.iter().map(|route| (*route).to_owned()).collect(),
        ..Config::default()
    };
    let mut table = table(|config| config.routes_exclude = Default::default());
    let (mut derived, mut kept) = (Derived::default(), Kept::default());
    let rounds = [(1, 2, &["/pay"][..]), (11, 50, &[]), (21, 3, &[])];
    for (seconds, calls, then) in rounds {
        let nanos = [1_000_000, 9_000_000_000].into_iter().cycle().take(2 * calls);
        let spans = nanos.map(|nanos| http("/pay", "200", nanos)).collect();
        step((&mut derived, &mut kept), &mut table, at(seconds), &request("shop", spans));
        step((&mut derived, &mut kept), &mut table, at(seconds + 5), &[]);
        // What is not rolled up yet is kept as well.
        table.observe(&request("shop", vec![http("/pay", "200", 1_000_000)]), at(seconds + 6));
        let mut rows = Vec::new();
        table.encode(&mut rows);
        table = Table::decode(excludes(then), &rows).unwrap();
    }
    let shown = only(&mut kept, "sidelight_operation_");
    for family in ["_satisfied_total", "_exceeded_total"] {
        let of = shown.lines().find(|line| line.contains(family)).unwrap();
        let samples = of.split_once("} ").unwrap().1;
        assert_eq!(samples, "0@000000 2@005000 stale@010000 0@015000 0@020000 3@025000", "{of}");
    }
}
