//! What is not as expected, in words.

use std::time::Duration;

use sidelight_promql::value::{Number, SampleValue};
use sidelight_promql::{Labels, duration};

use super::file::{AlertTest, Expected, ExprTest};
use crate::alert::Pairs;

/// Labels and annotations of an alert that fires.
pub(super) type Fired = (Pairs, Pairs);

/// A time since the start.
pub(super) fn time(since: Duration) -> String {
    duration::format(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The difference of the alerts that fire to those of `test`, if there is one.
pub(super) fn alerts(
    name: &str,
    test: &AlertTest,
    mut found: Vec<Fired>,
    diff: bool,
) -> Option<String> {
    let mut expected = test.expected.clone();
    expected.sort();
    found.sort();
    if expected == found {
        return None;
    }
    let head = format!(
        "    name: {name},\n    alertname: {}, time: {}, \n",
        test.alertname,
        time(test.eval_time)
    );
    let (expected, found) = (shown(&expected), shown(&found));
    Some(if diff {
        head + "        diff:\n" + &different(&expected, &found)
    } else {
        let body = |lines: &[String]| match lines {
            [] => "[]".to_owned(),
            lines => format!("[\n{}\n        ]", indented(lines, "            ")),
        };
        format!("{head}        exp:{}, \n        got:{}", body(&expected), body(&found))
    })
}

fn indented(lines: &[String], by: &str) -> String {
    lines.iter().map(|line| format!("{by}{line}")).collect::<Vec<_>>().join("\n")
}

fn shown(alerts: &[Fired]) -> Vec<String> {
    let set = |pairs: &Pairs| {
        let pairs: Vec<String> = pairs.iter().map(|(n, v)| format!("{n}={v:?}")).collect();
        format!("{{{}}}", pairs.join(", "))
    };
    let lines = alerts.iter().enumerate().flat_map(|(at, (labels, annotations))| {
        [format!("{at}: Labels:{}", set(labels)), format!("   Annotations:{}", set(annotations))]
    });
    lines.collect()
}

/// The lines of one that the other has not, and the other way round.
fn different(expected: &[String], found: &[String]) -> String {
    let only = |sign: char, these: &[String], those: &[String]| -> Vec<String> {
        let lines = these.iter().filter(|line| !those.contains(line));
        lines.map(|line| format!("{sign} {line}")).collect()
    };
    let mut lines = only('-', expected, found);
    lines.extend(only('+', found, expected));
    indented(&lines, "            ")
}

/// The difference of an answer to that of `test`, if there is one.
pub(super) fn samples(
    test: &ExprTest,
    mut found: Vec<(Labels, SampleValue)>,
    fuzzy: bool,
) -> Option<String> {
    let mut expected = test.expected.clone();
    expected.sort_by(|one, other| one.0.cmp(&other.0));
    found.sort_by(|one, other| one.0.cmp(&other.0));
    let equal = expected.len() == found.len()
        && expected.iter().zip(&found).all(|((labels, value), (found_labels, found))| {
            labels == found_labels && is_equal(value, found, fuzzy)
        });
    if equal {
        return None;
    }
    let list = |each: Vec<String>| if each.is_empty() { "nil".to_owned() } else { each.join(", ") };
    let wanted = expected.iter().map(|(labels, value)| match value {
        Expected::Float(value) => format!("{labels} {}", Number(*value)),
        Expected::Histogram(histogram) => format!("{labels} {histogram}"),
    });
    let got = found.iter().map(|(labels, value)| match value {
        SampleValue::Float(value) => format!("{labels} {}", Number(*value)),
        SampleValue::Histogram(histogram) => format!("{labels} {histogram}"),
    });
    let (text, time) = (&test.text, time(test.eval_time));
    let (wanted, got) = (list(wanted.collect()), list(got.collect()));
    Some(format!("    expr: {text:?}, time: {time},\n        exp: {wanted}\n        got: {got}"))
}

fn is_equal(expected: &Expected, found: &SampleValue, fuzzy: bool) -> bool {
    match (expected, found) {
        #[expect(clippy::float_cmp, reason = "the test says exactly what it expects")]
        (Expected::Float(expected), SampleValue::Float(found)) => {
            expected == found
                || (fuzzy && (expected.next_up() == *found || expected.next_down() == *found))
        }
        // Written, histograms with the same buckets are the same however these are held.
        (Expected::Histogram(expected), SampleValue::Histogram(found)) => {
            expected.to_string() == found.to_string()
        }
        _ => false,
    }
}
