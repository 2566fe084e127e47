//! Any spans against a naive count, and any bytes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Spans drawn from few enough labels that series repeat.
fn any_span() -> impl Strategy<Value = Span> {
    let nanos = prop_oneof![0..50_000_000_i64, 0..20_000_000_000_i64, -5..5_i64];
    let status = prop::option::of(0..4_i32);
    ("[ab]{0,2}", 0..7_i32, nanos, status, prop::option::of("/[xy]"), any::<bool>()).prop_map(
        |(name, kind, nanos, status, route, reversed)| {
            let mut span = span(&name, kind, nanos, &[("a", "1"), ("http.request.method", "GET")]);
            span.attributes.extend(route.map(|route| attribute("http.route", &route)));
            if reversed {
                span.attributes.reverse();
            }
            span.status = status.map(|code| Status { code, ..Status::default() });
            span
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_table_equals_a_naive_count_however_requests_are_cut(
        spans in prop::collection::vec(("[st]{1,2}", any_span()), 0..80),
        together in any::<bool>(),
    ) {
        let mut table = table(|_| {});
        let requests: Vec<_> =
            spans.iter().map(|(service, span)| request(service, vec![span.clone()])).collect();
        if together {
            table.observe(&requests.concat(), at(1));
        } else {
            requests.iter().for_each(|request| table.observe(request, at(1)));
        }
        let mut model = BTreeMap::<_, (u64, u64, f64)>::new();
        for (service, span) in &spans {
            let route = span.attributes.iter().find(|a| a.key == "http.route");
            let route = route.map(|a| a.value.clone().unwrap().value.unwrap());
            let Some(any_value::Value::StringValue(route)) =
                route.or(Some(any_value::Value::StringValue(String::new()))) else { panic!() };
            let kind = if (0..6).contains(&span.kind) { span.kind } else { 0 };
            let status = span.status.as_ref().map_or(0, |s| s.code);
            let status = if (0..3).contains(&status) { status } else { 0 };
            let row = model.entry((service.clone(), span.name.clone(), route, kind, status));
            let (calls, count, max) = row.or_default();
            *calls += 1;
            if let Some(nanos) = span.end_time_unix_nano.checked_sub(span.start_time_unix_nano) {
                *count += 1;
                *max = max.max(nanos as f64 / 1e9);
            }
        }
        let snapshot = table.snapshot();
        prop_assert_eq!(snapshot.series.len(), model.len());
        for (series, ((service, name, route, ..), (calls, count, max))) in
            snapshot.series.iter().zip(&model)
        {
            prop_assert_eq!(series.labels.service(), service.as_str());
            prop_assert_eq!(series.labels.span_name(), name.as_str());
            prop_assert_eq!(series.labels.http_route(), route.as_str());
            prop_assert_eq!((series.figures.calls, series.figures.count()), (*calls, *count));
            if *count > 0 {
                let shown = series.figures.latency.max.unwrap();
                prop_assert!((shown - max).abs() <= 1e-12 * max.max(1.0), "{} {}", shown, max);
            }
        }
    }

    #[test]
    fn bytes_that_are_no_request_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut table = table(|_| {});
        table.observe(&bytes, at(1));
        prop_assert!(!table.snapshot().to_json().is_empty());
    }
}
