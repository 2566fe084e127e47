//! Attribute values as text: what becomes of booleans, numbers, bytes, lists and maps in a label.
//!
//! Strings as they are; numbers as JavaScript writes them (`1e+21`); bytes in base64; lists and maps as JSON with
//! sorted keys. Recursion ends at 100 levels, which validation does not let pass. Source: OTLP "AnyValue to
//! string", as Prometheus 3.15 and the collector do it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sidelight_wire::view::{AnyValue, Value};

const DEPTH_MAX: u32 = 100;

/// The text of a value; empty for an empty one.
#[must_use]
pub fn text(value: AnyValue<'_>) -> String {
    match value.get() {
        Value::Empty => String::new(),
        Value::String(text) => text.to_string_lossy().into_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Double(value) => float(value),
        Value::Bytes(bytes) => STANDARD.encode(bytes),
        Value::Array(_) | Value::KeyValueList(_) => {
            let mut out = String::new();
            // What JSON cannot hold, such as NaN, leaves nothing.
            if json(value, DEPTH_MAX, &mut out).is_none() {
                out.clear();
            }
            out
        }
    }
}

/// A number as JavaScript writes it.
fn float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        let sign = if value > 0.0 { '+' } else { '-' };
        return format!("json: unsupported value: {sign}Inf");
    }
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
        return format!("{value}");
    }
    let written = format!("{value:e}");
    match written.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        _ => written,
    }
}

fn json(value: AnyValue<'_>, depth: u32, out: &mut String) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    match value.get() {
        Value::Empty => out.push_str("null"),
        Value::String(text) => quote(&text.to_string_lossy(), out),
        Value::Bool(value) => write!(out, "{value}").ok()?,
        Value::Int(value) => write!(out, "{value}").ok()?,
        Value::Double(value) if value.is_finite() => out.push_str(&float(value)),
        Value::Double(_) => return None,
        Value::Bytes(bytes) => quote(&STANDARD.encode(bytes), out),
        Value::Array(array) => {
            out.push('[');
            for (at, value) in array.values().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                json(value, depth, out)?;
            }
            out.push(']');
        }
        Value::KeyValueList(list) => {
            let entries = list.entries();
            let sorted: BTreeMap<_, _> =
                entries.map(|e| (e.key.to_string_lossy().into_owned(), e.value)).collect();
            out.push('{');
            for (at, (key, value)) in sorted.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                quote(&key, out);
                out.push(':');
                json(value, depth, out)?;
            }
            out.push('}');
        }
    }
    Some(())
}

/// Escapes what JSON must, and besides what JavaScript takes for the end of a line, as Prometheus does.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
    use prost::Message as _;
    use sidelight_wire::view::metrics::{Data, Metric};

    use super::*;

    fn any(value: Any) -> AnyValue {
        AnyValue { value: Some(value) }
    }

    fn entry(key: &str, value: Any) -> KeyValue {
        KeyValue { key: key.to_owned(), value: Some(any(value)), ..KeyValue::default() }
    }

    /// The text of `value` as the attribute of a point.
    fn written(value: Any) -> String {
        use opentelemetry_proto::tonic::metrics::v1 as otlp;
        let point = otlp::NumberDataPoint {
            attributes: vec![entry("k", value)],
            ..otlp::NumberDataPoint::default()
        };
        let gauge = otlp::metric::Data::Gauge(otlp::Gauge { data_points: vec![point] });
        let bytes = otlp::Metric { data: Some(gauge), ..otlp::Metric::default() }.encode_to_vec();
        let Data::Gauge(points) = Metric::new(&bytes).data else { panic!("not a gauge") };
        let point = points.numbers().next().unwrap();
        text(point.attributes().next().unwrap().value)
    }

    #[test]
    fn scalars_are_written_as_prometheus_writes_them() {
        for (value, expected) in [
            (Any::StringValue("a<b".into()), "a<b"),
            (Any::BoolValue(true), "true"),
            (Any::IntValue(-7), "-7"),
            (Any::DoubleValue(1.5), "1.5"),
            (Any::DoubleValue(1e21), "1e+21"),
            (Any::DoubleValue(1e20), "100000000000000000000"),
            (Any::DoubleValue(1e-7), "1e-7"),
            (Any::DoubleValue(1e-6), "0.000001"),
            (Any::DoubleValue(-1.25e-10), "-1.25e-10"),
            (Any::DoubleValue(0.0), "0"),
            (Any::DoubleValue(f64::INFINITY), "json: unsupported value: +Inf"),
            (Any::DoubleValue(f64::NAN), "NaN"),
            (Any::BytesValue(vec![1, 2, 255]), "AQL/"),
        ] {
            assert_eq!(written(value.clone()), expected, "{value:?}");
        }
    }

    #[test]
    fn lists_and_maps_are_json_with_sorted_keys() {
        let list = ArrayValue {
            values: vec![
                any(Any::IntValue(1)),
                any(Any::StringValue("a<&>\u{2028}\"\n".into())),
                AnyValue::default(),
            ],
        };
        assert_eq!(written(Any::ArrayValue(list.clone())), r#"[1,"a<&>\u2028\"\n",null]"#);
        let map = KeyValueList {
            values: vec![entry("z", Any::ArrayValue(list)), entry("a", Any::BoolValue(false))],
        };
        assert_eq!(written(Any::KvlistValue(map)), r#"{"a":false,"z":[1,"a<&>\u2028\"\n",null]}"#);
    }

    #[test]
    fn a_list_that_json_cannot_hold_is_empty() {
        let list = ArrayValue { values: vec![any(Any::DoubleValue(f64::NAN))] };
        assert_eq!(written(Any::ArrayValue(list)), "");
    }
}
