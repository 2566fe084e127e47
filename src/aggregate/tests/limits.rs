//! What the table refuses, forgets and shares out.

use super::*;

#[test]
fn spans_past_a_limit_count_in_the_overflow_row() {
    let mut table = table(|config| {
        config.series_max = 3;
        config.series_per_service_max = 2;
    });
    let many = |n: usize| (0..n).map(|i| span(&format!("op-{i}"), 2, 1_000_000, &[])).collect();
    table.observe(&request("a", many(5)), at(1));
    table.observe(&request("b", many(5)), at(1));
    table.observe(&request("a", many(2)), at(2));
    let totals = table.totals();
    assert_eq!((table.series(), totals.spans), (3, 12));
    assert_eq!((totals.overflow_service, totals.overflow_series), (3, 4));
    let text = metrics(&table, Format::Text);
    assert!(text.contains("traces_spanmetrics_calls_total{otel_metric_overflow=\"true\"} 7\n"));
    let calls = table.snapshot().series.iter().map(|series| series.figures.calls).sum::<u64>();
    assert_eq!(calls + 7, 12);
}

#[test]
fn a_series_without_spans_ends_and_begins_anew_after_its_end() {
    let mut table = table(|config| config.series_ttl = Duration::from_secs(60));
    let one = |name| request("shop", vec![span(name, 2, 1_000_000, &[])]);
    table.observe(&one("old"), at(0));
    table.observe(&one("new"), at(59));
    table.expire();
    assert_eq!(table.series(), 2);
    table.observe(&one("new"), at(64));
    table.expire();
    assert_eq!((table.series(), table.totals().expired), (1, 1));
    table.observe(&one("old"), at(65));
    table.observe(&one("new"), at(65));
    let created: Vec<_> =
        table.snapshot().series.iter().map(|s| (s.figures.calls, s.created)).collect();
    assert_eq!(created, [(3, START), (1, at(64))]);
}

#[test]
fn every_series_has_an_exemplar_before_any_has_two_and_each_its_turn() {
    let mut table = table(|_| {});
    let mut first = Vec::new();
    for window in 0..4 {
        let spans = ["/a", "/b", "/c"]
            .map(|route| [5, 9, 7].map(|millis| http(route, "200", millis * 1_000_000)).to_vec());
        table.observe(&request("shop", spans.concat()), at(1));
        let mut taken = Vec::new();
        let max = if window == 3 { 4 } else { 2 };
        table.take_exemplars((window, max), |row, exemplar| taken.push((row, exemplar.nanos)));
        assert_eq!(taken.len(), max);
        assert!(taken.iter().take(3).all(|(_, nanos)| *nanos == 9_000_000), "{taken:?}");
        first.push(taken[0].0);
    }
    assert_eq!(first, [1, 3, 2, 1]);
}

#[test]
fn a_flood_of_distinct_labels_stays_within_the_limits() {
    let mut table = table(|config| config.dimensions = vec!["d".to_owned()]);
    for i in 0..2_000_u64 {
        let label = format!("{i}-{}", "x".repeat(300));
        let spans = (0..10)
            .map(|kind| {
                let mut span =
                    span(&label, kind % 6, 1, &[("d", &label), ("peer.service", &label)]);
                span.trace_id = [i.to_be_bytes(), [kind as u8 + 1; 8]].concat();
                span.span_id = vec![1; 8];
                span.parent_span_id = vec![2; 8];
                span
            })
            .collect();
        // Every service once; the clock stands still, so nothing expires.
        table.observe(&request(&label, spans), at(1));
    }
    let totals = table.totals();
    assert_eq!((table.series(), totals.spans), (5_000, 20_000));
    // Six series each of 833 services and two more, which have four of their ten spans.
    assert_eq!((totals.overflow_series, totals.overflow_service), (11_666, 0));
    assert_eq!((table.graph().waiting(), table.graph().totals().early), (10_000, 2_000));
}
