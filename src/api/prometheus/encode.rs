//! Values as Prometheus writes them in JSON: times as numbers, values as strings.

use std::fmt::Write as _;

use sidelight_promql::value::{SampleValue, Series, Value, exponent};
use sidelight_promql::{Histogram, Labels};

/// Any value: `{"resultType":"…","result":…}`. A text is said to be of `time`; a scalar has one.
pub(super) fn value(value: &Value, time: i64) -> String {
    let mut out = String::with_capacity(256);
    let (kind, array) = match value {
        Value::Scalar(_) => ("scalar", false),
        Value::String(_) => ("string", false),
        Value::Vector(_) => ("vector", true),
        Value::Matrix(_) => ("matrix", true),
    };
    let _ = write!(out, r#"{{"resultType":"{kind}","result":"#);
    out.push_str(if array { "[" } else { "" });
    match value {
        Value::Scalar((at, value)) => sample(&mut out, *at, *value),
        Value::String(value) => {
            out.push('[');
            self::time(&mut out, time);
            out.push(',');
            text(&mut out, value);
            out.push(']');
        }
        Value::Vector(samples) => separated(&mut out, samples, |out, one| {
            out.push_str(r#"{"metric":"#);
            labels(out, &one.labels);
            match &one.value {
                SampleValue::Float(float) => {
                    out.push_str(r#","value":"#);
                    sample(out, one.time, *float);
                }
                SampleValue::Histogram(buckets) => {
                    out.push_str(r#","histogram":"#);
                    histogram(out, one.time, buckets);
                }
            }
            out.push('}');
        }),
        Value::Matrix(series) => separated(&mut out, series, whole),
    }
    out.push_str(if array { "]}" } else { "}" });
    out
}

fn whole(out: &mut String, series: &Series) {
    out.push_str(r#"{"metric":"#);
    labels(out, &series.labels);
    if !series.floats.is_empty() {
        out.push_str(r#","values":["#);
        separated(out, &series.floats, |out, (time, value)| sample(out, *time, *value));
        out.push(']');
    }
    if !series.histograms.is_empty() {
        out.push_str(r#","histograms":["#);
        separated(out, &series.histograms, |out, (time, value)| histogram(out, *time, value));
        out.push(']');
    }
    out.push('}');
}

pub(super) fn separated<T>(out: &mut String, all: &[T], write: impl Fn(&mut String, &T)) {
    for (index, one) in all.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out, one);
    }
}

/// Writes `{"name":"value",…}`.
pub(super) fn labels(out: &mut String, labels: &Labels) {
    out.push('{');
    let mut first = true;
    for label in labels {
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        text(out, &label.name);
        out.push(':');
        text(out, &label.value);
    }
    out.push('}');
}

/// Writes a JSON string.
pub(super) fn text(out: &mut String, text: &str) {
    // A string always serialises.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// Writes a time in seconds with up to three digits of fraction.
pub(super) fn time(out: &mut String, milliseconds: i64) {
    let (sign, magnitude) = (if milliseconds < 0 { "-" } else { "" }, milliseconds.unsigned_abs());
    let (seconds, fraction) = (magnitude / 1_000, magnitude % 1_000);
    // Writing to a String cannot fail, here and below.
    let _ = match fraction {
        0 => write!(out, "{sign}{seconds}"),
        _ => write!(out, "{sign}{seconds}.{fraction:03}"),
    };
}

/// Writes a number without quotes: shortest digits, an exponent only where it is very small or large.
pub(super) fn number(out: &mut String, value: f64) {
    let magnitude = value.abs();
    let _ = if value.is_nan() {
        write!(out, "NaN")
    } else if value.is_infinite() {
        write!(out, "{}Inf", if value > 0.0 { '+' } else { '-' })
    } else if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        out.write_str(&exponent(&format!("{value:e}")))
    } else {
        write!(out, "{value}")
    };
}

fn quoted(out: &mut String, value: f64) {
    out.push('"');
    number(out, value);
    out.push('"');
}

/// Writes `[time,"value"]`.
pub(super) fn sample(out: &mut String, milliseconds: i64, value: f64) {
    out.push('[');
    time(out, milliseconds);
    out.push(',');
    quoted(out, value);
    out.push(']');
}

/// Writes `[time,{"count":"…","sum":"…","buckets":[[rule,"lower","upper","count"],…]}]`.
pub(super) fn histogram(out: &mut String, milliseconds: i64, histogram: &Histogram) {
    out.push('[');
    time(out, milliseconds);
    out.push_str(r#",{"count":"#);
    quoted(out, histogram.count);
    out.push_str(r#","sum":"#);
    quoted(out, histogram.sum);
    let mut first = true;
    for bucket in histogram.buckets() {
        out.push_str(if first { r#","buckets":["# } else { "," });
        first = false;
        let _ = write!(out, "[{}", bucket.boundary_rule());
        for value in [bucket.lower, bucket.upper, bucket.count] {
            out.push(',');
            quoted(out, value);
        }
        out.push(']');
    }
    out.push_str(if first { "}]" } else { "]}]" });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn numbers_and_times_are_written_as_prometheus_writes_them() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (1e-6, "0.000001"),
            (1.25e-7, "1.25e-07"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(written(|out| number(out, value)), expected);
        }
        for (time_ms, expected) in [
            (0, "0"),
            (1_500, "1.500"),
            (1_435_781_451_781, "1435781451.781"),
            (-1, "-0.001"),
            (-2_000, "-2"),
        ] {
            assert_eq!(written(|out| time(out, time_ms)), expected);
        }
    }

    #[test]
    fn labels_are_escaped() {
        let set = Labels::new([("a", "x\"\\\n"), ("__name__", "up")]);
        assert_eq!(written(|out| labels(out, &set)), r#"{"__name__":"up","a":"x\"\\\n"}"#);
    }
}
