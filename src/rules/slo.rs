//! Service level objectives as rules: a group for each, written as a rule file and read as one.
//!
//! ```text
//! events, bad events by 5 m ─ sums over a window ─▶ error ratio of 30m, 1h, 6h, 3d, 30d ─▶ burn-rate alerts, error budget
//! ```
//! Windows are sums of what is recorded every minute, so 30 days cost one series and the store's rollups. An event is a request
//! as the built-in rules count it; it is bad if it failed or, with a latency, took longer than the bound of its histogram
//! that is nearest. Where a histogram has no such bound, only failures are bad: nothing is made up.
//! Source: the SRE workbook, "Alerting on SLOs", multiwindow, multi-burn-rate alerts.

#[cfg(test)]
mod tests;

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

/// What HTTP servers say of their requests, when they do.
const HTTP: &str = "http_server_request_duration_seconds";

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
    // A few requests are no rate: one that failed of a handful would page.
    let events = match short {
        "5m" => format!("sidelight:slo_events:rate5m{{slo={name}}} * 300"),
        _ => format!("sum_over_time(sidelight:slo_events:rate5m{{slo={name}}}[{short}]) * 60"),
    };
    let enough = format!(
        "sum by (slo, service_name) ({events}) >= on () group_left () \
         (max(sidelight_threshold{{name=\"requests_min\"}}) or vector(20))"
    );
    let expr = format!("({}) and ({}) and ({enough})", above(long), above(short));
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

/// An `error.type` that is no failure of the service: none, and what is named for a client that went away.
const NO_FAULT: &str = "(?i)(|.*(abort|cancel|closed|disconnect|pipe|reset).*)";

fn events(slo: &Slo) -> String {
    total(slo, "count", &[String::new()], "")
}

/// Bad events a second; 0 where there are events and none of them is bad.
fn bad(slo: &Slo) -> String {
    // A 5xx; and an error without a status or behind one, as where a handler panics. What a client did wrong is neither.
    let failed = [
        ",http_response_status_code=~\"5..\"".to_owned(),
        format!(",http_response_status_code!~\"4..\",error_type!~\"{NO_FAULT}\""),
    ];
    let others = [
        ",http_response_status_code=~\"4..\"".to_owned(),
        format!(",http_response_status_code!~\"5..\",error_type=~\"{NO_FAULT}\""),
    ];
    let failed = total(slo, "count", &failed, ",outcome!=\"ok\"");
    let all = events(slo);
    let none = format!("({all}) * 0");
    let Some(latency) = slo.latency else { return format!("({failed}) or {none}") };
    let seconds = latency.as_secs_f64();
    let (http, span) = (nearest(&HTTP_BOUNDS, seconds), nearest(&SPAN_BOUNDS, seconds));
    let le = format!(",le=~\"{}|{}\"", pattern(&http), pattern(&span));
    let le = le.replace('\\', "\\\\");
    let fast = total(slo, "bucket", std::slice::from_ref(&le), &le);
    let good = others.map(|http| format!("{le}{http}"));
    let good = total(slo, "bucket", &good, &format!("{le},outcome=\"ok\""));
    // Good is fast and not failed. Without such a bucket `fast` is empty, and so is the difference.
    format!(
        "clamp_min(({all}) - on (service_name) (({good}) or ({fast}) * 0), 0) or ({failed}) or {none}"
    )
}

/// A rate by service of what the built-in rules count as requests: HTTP metrics that meet one of `http`, and spans that meet
/// `span` of services without. Series are summed before anything else is done with them.
fn total(slo: &Slo, suffix: &str, http: &[String], span: &str) -> String {
    let service = quoted(&slo.service);
    // What `sidelight:http_measured` is, for a service, and without the rules that come with the agent.
    let measured = format!("count by (service_name) ({HTTP}_count{{service_name={service}}})");
    let measured =
        format!("(label_replace({measured}, \"protocol\", \"http\", \"\", \"\") or {measured})");
    let all: Vec<String> = slo.operations.iter().map(|of| regex::escape(of)).collect();
    let pairs = slo.operations.iter().zip(&all);
    let routes = pairs.map(|(of, all)| if of == "<unmatched>" { "" } else { all.as_str() });
    let wanted = |label: &str, values: String| match values.is_empty() && all.is_empty() {
        true => String::new(),
        false => format!(",{label}=~{}", quoted(&values)),
    };
    let of_http = wanted("http_route", routes.collect::<Vec<_>>().join("|"));
    let of_span = wanted("operation_name", all.join("|"));
    let http = http
        .iter()
        .map(|http| format!("rate({HTTP}_{suffix}{{service_name={service}{of_http}{http}}}[5m])"));
    let http = http.collect::<Vec<_>>().join(" or ");
    let span = format!(
        "rate(sidelight_operation_duration_seconds_{suffix}{{service_name={service}{of_span}{span}}}[5m])"
    );
    let grouped = |by: &str, rate: &str| match slo.operations.is_empty() {
        true => included(rate, by),
        false => format!("sum by (service_name, {by}) ({rate})"),
    };
    let (http, span) = (grouped("http_route", &http), grouped("operation_name, protocol", &span));
    format!(
        "sum by (service_name) ({http} or {span} unless on (service_name, protocol) {measured})"
    )
}

/// The sum of `rate` by service and `by` without the routes that are excluded, where the first of `by` is the route.
fn included(rate: &str, by: &str) -> String {
    let by_route = format!("sum by (service_name, {by}) ({rate})");
    let routed = if by == "http_route" {
        format!("label_replace({by_route}, \"http_route\", \"<unmatched>\", \"http_route\", \"\")")
    } else {
        format!("label_replace({by_route}, \"http_route\", \"$1\", \"operation_name\", \"(.+)\")")
    };
    format!("({routed} unless on (http_route) sidelight:route_excluded)")
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
