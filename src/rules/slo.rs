//! Service level objectives as rules: a group for each, written as a rule file and read as one.
//!
//! ```text
//! events, bad events by 5 m ─ sums over a window ─▶ error ratio of 30m, 1h, 6h, 3d, 30d ─▶ burn-rate alerts, error budget
//! ```
//! Windows are sums of what is recorded every minute, so 30 days cost one series and the store's rollups. An event is a request
//! as the built-in rules count it; it is bad if it failed or, with a latency, took longer than the bound of its histogram
//! that is nearest. Where a histogram has no such bound, only failures are bad: nothing is made up.
//! Source: the SRE workbook, "Alerting on SLOs", multiwindow, multi-burn-rate alerts.

use std::fmt::Write as _;
use std::time::Duration;

use super::config::Slo;

/// The name of the file that the groups seem to be from.
pub const FILE: &str = "config/slos";
/// How often a group is evaluated.
pub const INTERVAL: Duration = Duration::from_secs(60);

/// Factor, long window, short window, severity.
const ALERTS: [(&str, &str, &str, &str); 3] = [
    ("14.4", "1h", "5m", "critical"),
    ("6", "6h", "30m", "critical"),
    ("1", "3d", "6h", "warning"),
];
const WINDOWS: [&str; 5] = ["30m", "1h", "6h", "3d", "30d"];

/// The bounds of histograms that OpenTelemetry's conventions advise for HTTP …
const HTTP_BOUNDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// … and of those that the agent makes of spans.
const SPAN_BOUNDS: [f64; 14] = [
    0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192,
    16.384,
];

/// The groups of `slos` as the text of a rule file.
#[must_use]
pub fn text(slos: &[Slo]) -> String {
    let mut out = String::from("groups:\n");
    for slo in slos {
        group(slo, &mut out);
    }
    if slos.is_empty() { "groups: []\n".to_owned() } else { out }
}

fn group(slo: &Slo, out: &mut String) {
    let (name, budget) = (quoted(&slo.name), budget(slo));
    // Writing to a text does not fail.
    let _ = write!(
        out,
        "  - name: {}\n    interval: 1m\n    labels: {{slo: {name}}}\n    rules:\n",
        quoted(&format!("slo-{}", slo.name))
    );
    record(out, "sidelight:slo_events:rate5m", "", &events(slo));
    record(out, "sidelight:slo_bad_events:rate5m", "", &bad(slo));
    let own = format!("{{slo={name}}}");
    record(
        out,
        "sidelight:slo_error_ratio",
        "5m",
        &format!("sidelight:slo_bad_events:rate5m{own} / (sidelight:slo_events:rate5m{own} > 0)"),
    );
    for window in WINDOWS {
        let sum = |of: &str| format!("sum_over_time(sidelight:slo_{of}:rate5m{own}[{window}])");
        let ratio = format!("{} / ({} > 0)", sum("bad_events"), sum("events"));
        record(out, "sidelight:slo_error_ratio", window, &ratio);
    }
    let whole = format!("sidelight:slo_error_ratio{{slo={name},window=\"30d\"}}");
    let remaining = format!("1 - sum by (slo, service_name) ({whole}) / {budget}");
    record(out, "sidelight:slo_error_budget_remaining", "", &remaining);
    for alert in ALERTS {
        burns(slo, alert, out);
    }
}

fn record(out: &mut String, name: &str, window: &str, expr: &str) {
    let _ = writeln!(out, "      - record: {name}\n        expr: {}", quoted(expr));
    if !window.is_empty() {
        let _ = writeln!(out, "        labels: {{window: {window}}}");
    }
}

fn burns(slo: &Slo, (factor, long, short, severity): (&str, &str, &str, &str), out: &mut String) {
    let (name, budget) = (quoted(&slo.name), budget(slo));
    let above = |window: &str| {
        format!(
            "sum by (slo, service_name) (sidelight:slo_error_ratio{{slo={name},window=\"{window}\"}}) > {factor} * {budget}"
        )
    };
    let expr = format!("({}) and ({})", above(long), above(short));
    let summary = "{{ $labels.service_name }} uses up the error budget of {{ $labels.slo }}";
    let description = format!(
        "Over {long} and over {short}, {{{{ $labels.service_name }}}} used the error budget of {{{{ $labels.slo }}}} \
         ({} %) at least {factor} times as fast as it may: {{{{ $value | humanizePercentage }}}} of its events over {long} \
         were bad.",
        slo.objective
    );
    let _ = write!(
        out,
        "      - alert: SloBurnRate\n        expr: {}\n        labels: {{severity: {severity}, window: {long}}}\n        \
         annotations:\n          summary: {}\n          description: {}\n          runbook_url: docs/runbooks.md#sloburnrate\n",
        quoted(&expr),
        quoted(summary),
        quoted(&description)
    );
}

/// The share of events that may be bad, without the noise of binary fractions.
fn budget(slo: &Slo) -> f64 {
    ((100.0 - slo.objective) * 1e7).round() / 1e9
}

fn events(slo: &Slo) -> String {
    total(slo, "count", "", "")
}

/// Bad events a second; 0 where there are events and none of them is bad.
fn bad(slo: &Slo) -> String {
    let failed = total(slo, "count", ",http_response_status_code=~\"5..\"", ",outcome!=\"ok\"");
    let all = events(slo);
    let none = format!("({all}) * 0");
    let Some(latency) = slo.latency else { return format!("({failed}) or {none}") };
    let seconds = latency.as_secs_f64();
    let (http, span) = (nearest(&HTTP_BOUNDS, seconds), nearest(&SPAN_BOUNDS, seconds));
    let le = format!(",le=~\"{}|{}\"", pattern(&http), pattern(&span));
    let le = le.replace('\\', "\\\\");
    let fast = total(slo, "bucket", &le, &le);
    let good = total(
        slo,
        "bucket",
        &format!("{le},http_response_status_code!~\"5..\""),
        &format!("{le},outcome=\"ok\""),
    );
    // Good is fast and not failed. Without such a bucket `fast` is empty, and so is the difference.
    format!(
        "clamp_min(({all}) - on (service_name) (({good}) or ({fast}) * 0), 0) or ({failed}) or {none}"
    )
}

/// A rate by service of what the built-in rules count as requests: HTTP metrics, and spans of services without.
fn total(slo: &Slo, suffix: &str, http: &str, span: &str) -> String {
    let service = quoted(&slo.service);
    let (of_http, of_span) = if slo.operations.is_empty() {
        (String::new(), String::new())
    } else {
        let all: Vec<String> = slo.operations.iter().map(|of| regex::escape(of)).collect();
        let routes: Vec<&str> = slo
            .operations
            .iter()
            .zip(&all)
            .map(|(of, pattern)| if of == "<unmatched>" { "" } else { pattern.as_str() })
            .collect();
        (
            format!(",http_route=~{}", quoted(&routes.join("|"))),
            format!(",operation_name=~{}", quoted(&all.join("|"))),
        )
    };
    let requests = "http_server_request_duration_seconds";
    let either = format!(
        "label_replace(rate({requests}_{suffix}{{service_name={service}{of_http}{http}}}[5m]), \"http_route\", \
         \"<unmatched>\", \"http_route\", \"\") or label_replace(rate(sidelight_operation_duration_seconds_{suffix}\
         {{service_name={service}{of_span}{span}}}[5m]), \"http_route\", \"$1\", \"operation_name\", \"(.+)\") unless on \
         (service_name) {requests}_count{{service_name={service}}}"
    );
    if slo.operations.is_empty() {
        format!(
            "sum by (service_name) (({either}) unless on (http_route) sidelight:route_excluded)"
        )
    } else {
        format!("sum by (service_name) ({either})")
    }
}

/// The bound that is nearest to `seconds`, by ratio.
fn nearest(bounds: &[f64], seconds: f64) -> f64 {
    let far = |bound: f64| (bound / seconds.max(1e-9)).ln().abs();
    let nearer = |a: &&f64, b: &&f64| far(**a).total_cmp(&far(**b));
    bounds.iter().min_by(nearer).copied().unwrap_or(f64::INFINITY)
}

fn pattern(bound: &f64) -> String {
    regex::escape(&bound.to_string())
}

/// A text in quotes for PromQL, and for YAML, whose double quotes know every escape of this.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            '\n' => out += "\\n",
            c => out.push(c),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::file;
    use crate::rules::unittest::{self, Options};

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
            + &expr(
                "sum(sidelight:slo_error_budget_remaining)",
                "65m",
                "{labels: '{}', value: -19}",
            )
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
    fn a_bound_is_nearest_by_ratio() {
        let of = |seconds| (nearest(&HTTP_BOUNDS, seconds), nearest(&SPAN_BOUNDS, seconds));
        assert_eq!(of(0.3), (0.25, 0.256));
        assert_eq!(of(1.0), (1.0, 1.024));
        assert_eq!(of(60.0), (10.0, 16.384));
    }
}
