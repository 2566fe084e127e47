//! Exemplars: a measurement with the trace it was made in. Pure.
//!
//! `trace_id` and `span_id` in hexadecimal; the attributes that the point does not have beside them while all labels are at
//! most 128 characters together, otherwise only the ids. Names are not sanitised. Source: OpenMetrics 1.0,
//! "Exemplars", and Prometheus 3.15.

use sidelight_wire::view::metrics::{Exemplar, Number};

use super::value;

/// The most characters of an exemplar's label names and values.
const CHARACTERS_MAX: usize = 128;
/// The most exemplars of one point that are looked at.
pub const PER_POINT_MAX: usize = 16;

/// The labels of an exemplar and its value; `None` without a value.
#[must_use]
pub fn read(exemplar: &Exemplar<'_>) -> Option<(Vec<(String, String)>, f64)> {
    let value = exemplar.value.map(Number::as_f64)?;
    let mut labels = Vec::new();
    for (name, id, bytes) in [("trace_id", exemplar.trace_id, 16), ("span_id", exemplar.span_id, 8)]
    {
        if id.len() == bytes && id.iter().any(|&byte| byte != 0) {
            labels.push((name.to_owned(), hexadecimal(id)));
        }
    }
    let ids = labels.len();
    for attribute in exemplar.filtered_attributes().take(CHARACTERS_MAX) {
        let key = attribute.key.to_string_lossy().into_owned();
        labels.push((key, value::text(attribute.value)));
    }
    let characters =
        |(name, value): &(String, String)| name.chars().count() + value.chars().count();
    if labels.iter().map(characters).sum::<usize>() > CHARACTERS_MAX {
        labels.truncate(ids);
    }
    Some((labels, value))
}

/// Bytes as ids are shown.
pub(in crate::aggregate) fn hexadecimal(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::metrics::v1 as otlp;
    use otlp::exemplar::Value;

    use super::super::tests::{exemplar_of, text};
    use super::*;

    fn written(exemplar: otlp::Exemplar) -> Option<String> {
        exemplar_of(exemplar, |exemplar| {
            let (labels, value) = read(&exemplar)?;
            let labels = labels.into_iter().map(|(name, value)| format!("{name}={value} "));
            Some(format!("{}{value}", labels.collect::<String>()))
        })
    }

    #[test]
    fn ids_are_kept_and_attributes_while_they_fit() {
        let exemplar = otlp::Exemplar {
            filtered_attributes: vec![text("user.id", "u1")],
            time_unix_nano: 5,
            span_id: vec![1; 8],
            trace_id: vec![0xab; 16],
            value: Some(Value::AsInt(3)),
        };
        let ids = format!("trace_id={} span_id={}", "ab".repeat(16), "01".repeat(8));
        assert_eq!(written(exemplar.clone()).unwrap(), format!("{ids} user.id=u1 3"));
        // The names and ids take 63 characters; 65 are left.
        let long = |n: usize| otlp::Exemplar {
            filtered_attributes: vec![text("k", &"é".repeat(n))],
            ..exemplar.clone()
        };
        assert_eq!(written(long(64)).unwrap(), format!("{ids} k={} 3", "é".repeat(64)));
        assert_eq!(written(long(65)).unwrap(), format!("{ids} 3"));
    }

    #[test]
    fn ids_that_are_empty_or_odd_and_exemplars_without_a_value_are_left_out() {
        let exemplar = otlp::Exemplar {
            span_id: vec![0; 8],
            trace_id: vec![1; 15],
            value: Some(Value::AsDouble(0.5)),
            ..otlp::Exemplar::default()
        };
        assert_eq!(written(exemplar.clone()).unwrap(), "0.5");
        assert_eq!(written(otlp::Exemplar { value: None, ..exemplar }), None);
    }
}
