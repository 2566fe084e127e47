use expect_test::expect;
use sidelight_promql::{
    Each, Labels, Options, Points, Queryable, Selection, SourceError, Warnings,
};

use super::*;

/// A counter of requests and a histogram of two routes, every 15 s for two hours.
struct Shop;

const STEP: i64 = 15_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const END: i64 = 500_000 * HOUR;

impl Queryable for Shop {
    fn select(&self, selection: &Selection<'_>, each: Each<'_>) -> Result<Warnings, SourceError> {
        // Twice as many in the second hour.
        let grown = |time: i64, per_step: f64| {
            let steps = |from: i64, to: i64| ((time.min(to) - from).max(0) / STEP) as f64;
            per_step * (steps(END - 2 * HOUR, END - HOUR) + 2.0 * steps(END - HOUR, END))
        };
        for (route, bucket, rate) in [("/cart", 1, 10.0), ("/pay", 2, 1.0), ("/healthz", 0, 50.0)] {
            let series = |name: &str, extra: &[(&'static str, &'static str)], share: f64| {
                let labels = [("__name__", name), ("service_name", "shop"), ("http_route", route)];
                let labels = Labels::new(labels.into_iter().chain(extra.iter().copied()));
                let times = (0..=2 * HOUR / STEP).map(|nth| END - 2 * HOUR + nth * STEP);
                let wanted =
                    times.filter(|time| (selection.after + 1..=selection.until).contains(time));
                let floats = wanted.map(|time| (time, grown(time, rate * share))).collect();
                (labels, Points { floats, ..Points::default() })
            };
            let name = "http_server_request_duration_seconds";
            let mut all = vec![
                series(&format!("{name}_count"), &[("http_response_status_code", "200")], 0.75),
                series(&format!("{name}_count"), &[("http_response_status_code", "500")], 0.25),
                series(&format!("{name}_sum"), &[], 0.2),
            ];
            for (nth, le) in ["0.1", "0.5", "2.5", "+Inf"].into_iter().enumerate() {
                let share = if nth >= bucket { 1.0 } else { 0.0 };
                all.push(series(&format!("{name}_bucket"), &[("le", le)], share));
            }
            for (labels, points) in all {
                let wanted = |m: &sidelight_promql::ast::Matcher| m.matches(labels.get(&m.name));
                if selection.matchers.iter().all(wanted) && each(&labels, &points).is_break() {
                    return Ok(Vec::new());
                }
            }
        }
        Ok(Vec::new())
    }
}

fn definitions() -> Vec<Definition> {
    [
        ("sidelight:excluded", r#"label_replace(vector(1), "http_route", "/healthz", "", "")"#),
        (
            "sidelight:route_requests:rate5m",
            "sum by (service_name, http_route) \
             (rate(http_server_request_duration_seconds_count[5m]) unless on (http_route) sidelight:excluded)",
        ),
        (
            "sidelight:route_p95_seconds",
            "histogram_quantile(0.95, sum by (service_name, http_route, le) \
             (rate(http_server_request_duration_seconds_bucket[5m]) unless on (http_route) sidelight:excluded))",
        ),
        (
            "sidelight:route_severity",
            "(sidelight:route_p95_seconds >= bool 0.1) + (sidelight:route_p95_seconds >= bool 0.5) \
             + (sidelight:route_p95_seconds >= bool 1)",
        ),
        ("sidelight:never_asked", "1 / 0 + rate(x[5m])"),
    ]
    .map(|(record, expr)| Definition {
        record: record.to_owned(),
        labels: Vec::new(),
        expr: sidelight_promql::parse(expr).unwrap(),
    })
    .into()
}

fn shown(name: &str, range: i64) -> String {
    let times = Times { end: END, range, step: HOUR };
    shown_of(name, &definitions(), times, Options::default())
}

fn shown_of(name: &str, definitions: &[Definition], times: Times, options: Options<'_>) -> String {
    let view = View::find(name).unwrap();
    let mut rows = evaluate(view, definitions, &Shop, times, options).unwrap();
    assert!(rows.sort(view.sort));
    let cell = |cell: &Cell| match cell {
        Cell::Empty => "-".to_owned(),
        Cell::Number(number) => format!("{number:.3}"),
        Cell::Text(text) => text.clone(),
    };
    let row = |row: &Row| {
        let time = row.time.map(|time| format!("{} h ", (time - END) / HOUR)).unwrap_or_default();
        let cells: Vec<_> = row.cells.iter().map(cell).collect();
        format!("{time}{} | {}\n", row.keys.join(" "), cells.join(" "))
    };
    rows.rows.iter().map(row).collect()
}

#[test]
fn a_rule_is_asked_again_over_the_window_and_rows_are_joined_by_their_keys() {
    expect![[r#"
        shop /cart | 1.333 - - - 0.480 - warning - - - -
        shop /pay | 0.133 - - - 2.400 - critical - - - -
    "#]]
    .assert_eq(&shown("routes", HOUR));
    // Half as many an hour before.
    let over_both = shown("routes", 2 * HOUR);
    assert!(over_both.starts_with("shop /cart | 1.000 "), "{over_both}");
}

#[test]
fn a_subquery_without_a_step_has_the_one_of_the_configuration() {
    let requests = "sidelight:route_requests:rate5m";
    let mut definitions = definitions();
    let defined = definitions.iter_mut().find(|of| of.record == requests).unwrap();
    let expr = "sum by (service_name, http_route) (count_over_time(http_server_request_duration_seconds_sum[5m:]))";
    defined.expr = sidelight_promql::parse(expr).unwrap();
    for (subquery_step, expected) in [(MINUTE, "| 5.000 "), (STEP, "| 20.000 ")] {
        let times = Times { end: END, range: HOUR, step: HOUR };
        let options = Options { subquery_step, ..Options::default() };
        let shown = shown_of("routes", &definitions, times, options);
        assert!(shown.contains(expected), "{shown}");
    }
}

#[test]
fn a_trend_has_a_row_for_each_hour() {
    expect![[r#"
        -1 h shop /cart | 0.667 - - - 0.480 -
        0 h shop /cart | 1.333 - - - 0.480 -
        -1 h shop /pay | 0.067 - - - 2.400 -
        0 h shop /pay | 0.133 - - - 2.400 -
    "#]]
    .assert_eq(&shown("routes/trend", 2 * HOUR));
}

#[test]
fn a_range_shorter_than_a_step_is_one_step() {
    let view = View::find("routes/trend").unwrap();
    let rows = |range| {
        let times = Times { end: END, range, step: HOUR };
        evaluate(view, &definitions(), &Shop, times, Options::default()).unwrap().rows
    };
    assert_eq!(rows(HOUR / 2), rows(HOUR));
    assert!(!rows(HOUR).is_empty());
}

#[test]
fn rows_without_a_value_come_last_whatever_the_direction() {
    let row =
        |key: &str, cell| Row { time: None, keys: vec![key.into(), key.into()], cells: vec![cell] };
    let view = View::find("logs").unwrap();
    let all =
        vec![row("a", Cell::Empty), row("b", Cell::Number(1.0)), row("c", Cell::Number(-2.0))];
    let mut rows = Rows { view, rows: all, cut: false };
    let mut sorted = |by: &str| {
        assert!(rows.sort(by), "{by}");
        rows.rows.iter().map(|row| row.keys[0].clone()).collect::<String>()
    };
    assert_eq!(sorted("records"), "cba");
    assert_eq!(sorted("-records"), "bca");
    assert_eq!(sorted("-service_name"), "cba");
    assert!(!rows.sort("nothing"));
}

#[test]
fn every_column_parses_and_every_order_is_that_of_a_column() {
    for view in VIEWS {
        let times = Times { end: END, range: HOUR, step: HOUR };
        let mut rows = evaluate(view, &definitions(), &Shop, times, Options::default())
            .unwrap_or_else(|error| panic!("{}: {error}", view.name));
        assert!(rows.sort(view.sort), "{}", view.name);
    }
}

/// A model that was asked once every 12 s, 1,237 tokens each time, until five seconds ago.
struct Model;

impl Queryable for Model {
    fn select(&self, selection: &Selection<'_>, each: Each<'_>) -> Result<Warnings, SourceError> {
        for (name, labels, of_each) in [
            ("sidelight_gen_ai_requests_total", ("outcome", "ok"), 1.0),
            ("sidelight_gen_ai_tokens_total", ("gen_ai_token_type", "input"), 1_237.0),
        ] {
            let labels = Labels::new([
                ("__name__", name),
                ("service_name", "shop"),
                ("gen_ai_provider_name", "acme"),
                ("gen_ai_request_model", "m1"),
                labels,
            ]);
            let wanted = |m: &sidelight_promql::ast::Matcher| m.matches(labels.get(&m.name));
            if !selection.matchers.iter().all(wanted) {
                continue;
            }
            let times = (0..=25).map(|nth| (END - 5_000 - (25 - nth) * 12_000, nth as f64));
            let within =
                times.filter(|(time, _)| *time > selection.after && *time <= selection.until);
            let floats = within.map(|(time, nth)| (time, nth * of_each)).collect();
            if each(&labels, &Points { floats, ..Points::default() }).is_break() {
                break;
            }
        }
        Ok(Vec::new())
    }
}

#[test]
fn what_a_provider_bills_is_counted_and_not_estimated() {
    let times = Times { end: END, range: HOUR, step: HOUR };
    let view = View::find("llm").unwrap();
    for (range, requests) in [(HOUR, 25.0), (60_000, 5.0), (100_000, 8.0)] {
        let rows =
            evaluate(view, &[], &Model, Times { range, ..times }, Options::default()).unwrap();
        let cells: Vec<_> = rows.rows[0].cells.iter().take(3).cloned().collect();
        let number = Cell::Number;
        assert_eq!(cells, [number(requests), Cell::Empty, number(requests * 1_237.0)]);
    }
}
