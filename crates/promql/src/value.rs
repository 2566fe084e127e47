//! What an evaluation gives.

use std::fmt;
use std::sync::Arc;

use crate::{Annotations, Histogram, Labels};

/// The answer to a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The value.
    pub value: Value,
    /// What there is to say about it.
    pub annotations: Annotations,
}

/// A value. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// One number at one time; instant queries only.
    Scalar((i64, f64)),
    /// A text; instant queries only.
    String(String),
    /// Samples of one time, no two with the same labels, in the order of the expression (`sort`,
    /// `topk`); instant queries only.
    Vector(Vec<Sample>),
    /// Series with their samples, sorted by labels.
    Matrix(Vec<Series>),
}

/// One sample of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Whose.
    pub labels: Labels,
    /// When.
    pub time: i64,
    /// What.
    pub value: SampleValue,
}

/// A float or a native histogram.
#[derive(Clone, Debug, PartialEq)]
pub enum SampleValue {
    /// A float.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<Histogram>),
}

/// A series of a range query or a range vector. A time is in one of the two lists only.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Whose.
    pub labels: Labels,
    /// Floats in ascending time.
    pub floats: Vec<(i64, f64)>,
    /// Native histograms in ascending time.
    pub histograms: Vec<(i64, Arc<Histogram>)>,
}

/// A number as Prometheus writes values: shortest, without exponent, `+Inf`, `-Inf`, `NaN`.
#[derive(Clone, Copy, Debug)]
pub struct Number(pub f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            value if value == f64::INFINITY => f.write_str("+Inf"),
            value if value == f64::NEG_INFINITY => f.write_str("-Inf"),
            value => write!(f, "{value}"),
        }
    }
}

/// A number that Rust wrote with an exponent, `1.5e3`, as Go writes it: `1.5e+03`.
#[must_use]
pub fn exponent(text: &str) -> String {
    let (mantissa, power) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, power) = power.strip_prefix('-').map_or(('+', power), |power| ('-', power));
    format!("{mantissa}e{sign}{power:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_prometheus_writes_them() {
        let written = |value: f64| Number(value).to_string();
        assert_eq!(written(1.0), "1");
        assert_eq!(written(1e21), "1000000000000000000000");
        assert_eq!(written(0.000_000_1), "0.0000001");
        assert_eq!(written(f64::INFINITY), "+Inf");
        assert_eq!(written(f64::NEG_INFINITY), "-Inf");
        assert_eq!(written(f64::NAN), "NaN");
        assert_eq!(["1.5e3", "1e-7", "2e100"].map(exponent), ["1.5e+03", "1e-07", "2e+100"]);
    }
}
