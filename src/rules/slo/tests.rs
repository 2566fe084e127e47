use std::cell::RefCell;
use std::sync::Arc;

use super::*;
use crate::alert::Nowhere;
use crate::rules::evaluate::{Sink, Surroundings};
use crate::rules::file;
use crate::rules::group::Group;
use crate::rules::unittest::{self, Options};
use crate::signal::samples::Value;
use crate::signal::{Sample, Samples};
use crate::store::{Config, Deps, Kind, Store, Writer};
use crate::telemetry::Registry;
use crate::time::{Clock, ManualClock, UnixNano};

fn slo() -> Slo {
    Slo {
        name: "check \"out\"".to_owned(),
        service: "shop".to_owned(),
        operations: vec!["/pay/{id}".to_owned()],
        ..Slo::default()
    }
}

/// Runs a test over the groups of `slo`; the series are of a minute each.
fn check(slo: &Slo, series: &str, expectations: &str) {
    let rules = file::parse(&text(std::slice::from_ref(slo))).unwrap();
    let tests = format!(
        "rule_files: [slos]\nevaluation_interval: 1m\nfuzzy_compare: true\ntests:\n  - interval: 1m\n    \
         input_series:\n{series}{expectations}"
    );
    let tests = unittest::parse(&tests).unwrap_or_else(|found| panic!("{found:?}\n{tests}"));
    let cases = unittest::run(&tests, &[(FILE.to_owned(), rules)], &Options::default());
    assert_eq!(cases.len(), 1);
    assert!(cases[0].failures.is_empty(), "{}", cases[0].failures.join("\n"));
}

fn http(suffix: &str, route: &str, status: u32, values: &str) -> String {
    format!(
        "      - {{series: 'http_server_request_duration_seconds_{suffix}service_name=\"shop\",http_route=\"{route}\",\
         http_response_status_code=\"{status}\"}}', values: '{values}'}}\n"
    )
}

fn expr(expr: &str, time: &str, samples: &str) -> String {
    format!("      - {{expr: '{expr}', eval_time: {time}, exp_samples: [{samples}]}}\n")
}

#[test]
fn an_outage_pages_by_the_short_pair_of_windows_and_takes_its_part_of_the_budget() {
    // 2 % of the calls of one route fail, which is 20 times what may; the other route is not in the objective.
    let series = http("count{", "/pay/{id}", 200, "0+980x70")
        + &http("count{", "/pay/{id}", 500, "0+20x70")
        + &http("count{", "/other", 500, "0+1000x70");
    let expectations = "    promql_expr_test:\n".to_owned()
        + &expr("sum(sidelight:slo_events:rate5m) * 60", "30m", "{labels: '{}', value: 1000}")
        + &expr(
            "sum by (window) (sidelight:slo_error_ratio{window=~\"5m|1h\"})",
            "65m",
            "{labels: '{window=\"5m\"}', value: 0.02}, {labels: '{window=\"1h\"}', value: 0.02}",
        )
        + &expr("sum(sidelight:slo_error_budget_remaining)", "65m", "{labels: '{}', value: -19}")
        + &expr(
            "sum by (severity, window) (ALERTS{alertname=\"SloBurnRate\",alertstate=\"firing\"})",
            "65m",
            "{labels: '{severity=\"critical\",window=\"1h\"}', value: 1}, \
             {labels: '{severity=\"critical\",window=\"6h\"}', value: 1}, \
             {labels: '{severity=\"warning\",window=\"3d\"}', value: 1}",
        );
    check(&slo(), &series, &expectations);
}

#[test]
fn what_is_slower_than_the_nearest_bound_is_bad_once_and_an_hour_without_calls_pages_nobody() {
    let slo = Slo { latency: Some(Duration::from_millis(300)), ..slo() };
    // 1,000 a minute: 10 fail and are slow, 20 more are slow.
    let series = http("count{", "/pay/{id}", 200, "0+990x10 9900+0x20")
        + &http("count{", "/pay/{id}", 500, "0+10x10 100+0x20")
        + &http("bucket{le=\"0.25\",", "/pay/{id}", 200, "0+970x10 9700+0x20")
        + &http("bucket{le=\"0.5\",", "/pay/{id}", 200, "0+990x10 9900+0x20")
        + &http("bucket{le=\"0.25\",", "/pay/{id}", 500, "0x30");
    let expectations = "    promql_expr_test:\n".to_owned()
        + &expr(
            "sum(sidelight:slo_error_ratio{window=\"5m\"})",
            "10m",
            "{labels: '{}', value: 0.03}",
        )
        + &expr("sidelight:slo_error_ratio{window=\"5m\"}", "30m", "");
    check(&slo, &series, &expectations);
}

#[test]
fn without_such_a_bound_only_failures_are_bad_and_spans_count_where_there_is_no_http() {
    let slo = Slo { latency: Some(Duration::from_millis(300)), ..slo() };
    let series = http("count{", "/pay/{id}", 200, "0+990x10")
        + &http("count{", "/pay/{id}", 500, "0+10x10")
        + &http("bucket{le=\"0.3\",", "/pay/{id}", 200, "0+10x10");
    let ratio = |value: &str| {
        "    promql_expr_test:\n".to_owned()
            + &expr(
                "sum(sidelight:slo_error_ratio{window=\"5m\"})",
                "10m",
                &format!("{{labels: '{{}}', value: {value}}}"),
            )
    };
    check(&slo, &series, &ratio("0.01"));
    let span = |suffix: &str, outcome: &str, values: &str| {
        format!(
            "      - {{series: 'sidelight_operation_duration_seconds_{suffix}service_name=\"shop\",\
             operation_name=\"/pay/{{id}}\",outcome=\"{outcome}\"}}', values: '{values}'}}\n"
        )
    };
    let series = span("count{", "ok", "0+90x10")
        + &span("count{", "error", "0+10x10")
        + &span("bucket{le=\"0.256\",", "ok", "0+70x10");
    check(&slo, &series, &ratio("0.3"));
}

#[test]
fn a_request_without_an_answer_is_bad_however_fast_it_broke_unless_the_client_went_away() {
    let series = |suffix: &str, labels: &str, values: &str| {
        format!(
            "      - {{series: 'http_server_request_duration_seconds_{suffix}service_name=\"shop\",http_route=\"/pay/{{id}}\",\
             {labels}}}', values: '{values}'}}\n"
        )
    };
    // Of 64 a minute: 3 panics, an answer that broke; 6 clients that left and 6 that asked for what is not there.
    let broken = [
        ("error_type=\"panic\"", 3),
        ("error_type=\"body\",http_response_status_code=\"200\"", 1),
        ("error_type=\"cancelled\"", 4),
        ("error_type=\"org.example.ClientAbortException\",http_response_status_code=\"200\"", 2),
        ("error_type=\"NotFound\",http_response_status_code=\"404\"", 6),
        ("http_response_status_code=\"200\"", 48),
    ];
    let ratio = "    promql_expr_test:\n".to_owned()
        + &expr(
            "round(10000 * sum(sidelight:slo_error_ratio{window=\"5m\"}))",
            "10m",
            "{labels: '{}', value: 625}",
        );
    let count: String =
        broken.map(|(labels, n)| series("count{", labels, &format!("0+{n}x10"))).concat();
    check(&slo(), &count, &ratio);
    let fast =
        broken.map(|(labels, n)| series("bucket{le=\"0.25\",", labels, &format!("0+{n}x10")));
    let slo = Slo { latency: Some(Duration::from_millis(250)), ..slo() };
    check(&slo, &(count + &fast.concat()), &ratio);
}

#[test]
fn the_built_in_rules_mean_the_same_failures() {
    let rules = include_str!("../../../deploy/rules/sidelight.yaml");
    let meant = format!("http_response_status_code!~\"4..\",error_type!~\"{NO_FAULT}\"");
    assert_eq!(rules.matches(&meant).count(), rules.matches("=~\"5..\"").count());
}

#[test]
fn a_few_requests_are_no_rate_and_page_nobody_however_many_of_them_fail() {
    let firing = |samples: &str| {
        "    promql_expr_test:\n".to_owned()
            + &expr(
                "count by (severity) (ALERTS{alertname=\"SloBurnRate\",alertstate=\"firing\"})",
                "9m",
                samples,
            )
    };
    check(&slo(), &http("count{", "/pay/{id}", 500, "0x5 1+0x30"), &firing(""));
    check(&slo(), &http("count{", "/pay/{id}", 500, "0x5 19+0x30"), &firing(""));
    let both = "{labels: '{severity=\"critical\"}', value: 2}, {labels: '{severity=\"warning\"}', value: 1}";
    check(&slo(), &http("count{", "/pay/{id}", 500, "0x5 40+0x30"), &firing(both));
}

#[test]
fn http_metrics_do_not_hide_the_other_protocols_of_a_service() {
    let span = |operation: &str, protocol: &str, outcome: &str, values: &str| {
        format!(
            "      - {{series: 'sidelight_operation_duration_seconds_count{{service_name=\"shop\",\
             operation_name=\"{operation}\",protocol=\"{protocol}\",outcome=\"{outcome}\"}}', values: '{values}'}}\n"
        )
    };
    let series = http("count{", "/pay/{id}", 200, "0+90x10")
        + &span("/pay/{id}", "http", "ok", "0+90x10")
        + &span("pkg.Shop/Buy", "rpc", "error", "0+10x10");
    let ratio = "    promql_expr_test:\n".to_owned()
        + &expr(
            "sum(sidelight:slo_error_ratio{window=\"5m\"})",
            "10m",
            "{labels: '{}', value: 0.1}",
        );
    let operations = ["/pay/{id}", "pkg.Shop/Buy"].map(str::to_owned).to_vec();
    check(&Slo { operations, ..slo() }, &series, &ratio);
    check(&Slo { operations: Vec::new(), ..slo() }, &series, &ratio);
}

#[test]
fn a_bound_is_nearest_by_ratio() {
    let of = |seconds| (nearest(&HTTP_BOUNDS, seconds), nearest(&SPAN_BOUNDS, seconds));
    assert_eq!(of(0.3), (0.25, 0.256));
    assert_eq!(of(1.0), (1.0, 1.024));
    assert_eq!(of(60.0), (10.0, 16.384));
}

/// Puts what a group made into the store, and keeps it.
struct Kept {
    writer: RefCell<Writer>,
    made: RefCell<Vec<Sample>>,
}

impl Sink for Kept {
    fn append(&self, samples: Samples) -> Result<(), String> {
        let mut writer = self.writer.borrow_mut();
        for Sample { labels, t_ms, value } in &samples.0 {
            let labels: Vec<_> = labels.iter().map(|l| (&*l.name, &*l.value)).collect();
            let Value::Float(value) = value else { panic!("{value:?}") };
            let series = writer.series(&labels, Kind::Float);
            writer.append(series, *t_ms, *value).map_err(|error| error.to_string())?;
        }
        self.made.borrow_mut().extend(samples.0);
        Ok(())
    }
}

const MINUTE: i64 = 60_000;
const DAY: i64 = 1_440 * MINUTE;
/// Midnight, UTC.
const START: i64 = 1_795_132_800_000;

fn nanos(ms: i64) -> UnixNano {
    UnixNano(ms.cast_unsigned() * 1_000_000)
}

/// A store after 30 days of 10 events a second: 1 % failed on the third day, 0.05 % on all others, and 2 % in the last two
/// hours.
fn thirty_days(directory: &std::path::Path, clock: &Arc<ManualClock>) -> (Store, Writer) {
    let mut config = Config::new(directory.to_owned());
    config.memory.pending = 1 << 30;
    let given = Arc::<ManualClock>::clone(clock) as Arc<dyn Clock>;
    let deps = Deps { clock: given, registry: Registry::default() };
    let (store, mut writer, _) = Store::open(config, deps).unwrap();
    let of = |name| [("__name__", name), ("service_name", "shop"), ("slo", "check \"out\"")];
    let [events, bad] = ["sidelight:slo_events:rate5m", "sidelight:slo_bad_events:rate5m"]
        .map(|name| writer.series(&of(name), Kind::Float));
    let share = |minute: i64| match minute / 1_440 {
        2 => 0.01,
        29 if minute % 1_440 >= 1_320 => 0.02,
        _ => 0.0005,
    };
    for day in 0..30 {
        for minute in day * 1_440..(day + 1) * 1_440 {
            let at = START + (minute + 1) * MINUTE;
            writer.set_now(at);
            writer.append(events, at, 10.0).unwrap();
            writer.append(bad, at, 10.0 * share(minute)).unwrap();
        }
        clock.set_unix(nanos(START + (day + 1) * DAY));
        writer.checkpoint(day.cast_unsigned() + 1).unwrap();
        while store.tend() {}
    }
    (store, writer)
}

#[test]
fn thirty_days_are_judged_from_rollups_after_the_samples_of_most_of_them_are_gone() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(nanos(START)));
    let (store, writer) = thirty_days(directory.path(), &clock);
    let file = file::parse(&text(&[slo()])).unwrap();
    let groups = file.groups.iter().map(|group| Group::new(FILE, group, INTERVAL));
    let sink = Kept { writer: RefCell::new(writer), made: RefCell::default() };
    let with = Surroundings {
        source: &store,
        sink: &sink,
        outbox: &Nowhere,
        clock: &*clock,
        external_labels: &[],
        external_url: "",
        subquery_step_ms: 60_000,
        samples_max: 1_000_000,
        stopped: &|| false,
        resend: Duration::from_secs(60),
    };
    for group in groups {
        let _ = group.evaluate(nanos(START + 30 * DAY), &with);
        let failed = group.rules.iter().find_map(|rule| rule.live().error.clone());
        assert_eq!(failed.map(|error| error.to_string()), None);
    }
    let made = sink.made.into_inner();
    let ratio = |window: &str| {
        let wanted = |sample: &&Sample| {
            sample.labels.metric_name() == "sidelight:slo_error_ratio"
                && sample.labels.get("window") == window
        };
        match made.iter().find(wanted).map(|sample| &sample.value) {
            Some(Value::Float(ratio)) => *ratio,
            other => panic!("{window}: {other:?}"),
        }
    };
    let usual = 0.0005;
    let of_month = (28.0 * usual + 0.01 + (22.0 * usual + 2.0 * 0.02) / 24.0) / 30.0;
    let of_three = (2.0 * usual + (22.0 * usual + 2.0 * 0.02) / 24.0) / 3.0;
    let of_six = (4.0 * usual + 2.0 * 0.02) / 6.0;
    for (window, expected) in [("30d", of_month), ("3d", of_three), ("6h", of_six), ("1h", 0.02)] {
        let found = ratio(window);
        assert!((found / expected - 1.0).abs() < 0.005, "{window}: {found}, {expected}");
    }
    let firing: Vec<(&str, &str)> = made
        .iter()
        .filter(|sample| sample.labels.metric_name() == "ALERTS")
        .map(|sample| (sample.labels.get("window"), sample.labels.get("alertstate")))
        .collect();
    // 20 times as fast as it may for an hour, 7 times for six, and 2 times for three days.
    assert_eq!(firing, [("1h", "firing"), ("6h", "firing"), ("3d", "firing")]);
}
