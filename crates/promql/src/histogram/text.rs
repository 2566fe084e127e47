//! How a histogram is printed: for people, and in the notation of test files.

use std::fmt::{Display, Formatter, Result, Write};

use super::bounds::Bucket;
use super::{Buckets, Histogram, ResetHint};

/// Prints a number in the fewest digits that give it back, with an exponent below 1e-4 and from 1e6:
/// what Prometheus' messages use. (Values in the HTTP API have one from 1e21.)
#[derive(Clone, Copy, Debug)]
pub struct Shortest(pub f64);

impl Display for Shortest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let value = self.0;
        if value.is_nan() {
            return f.write_str("NaN");
        }
        if value.is_infinite() {
            return f.write_str(if value > 0.0 { "+Inf" } else { "-Inf" });
        }
        let written = format!("{value:e}");
        let (digits, exponent) = written.split_once('e').unwrap_or((&written, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        if (-4..6).contains(&exponent) {
            write!(f, "{value}")
        } else {
            let sign = if exponent < 0 { '-' } else { '+' };
            write!(f, "{digits}e{sign}{:02}", exponent.abs())
        }
    }
}

impl Display for Bucket {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let open = if self.lower_inclusive { '[' } else { '(' };
        let close = if self.upper_inclusive { ']' } else { ')' };
        let (lower, upper, count) =
            (Shortest(self.lower), Shortest(self.upper), Shortest(self.count));
        write!(f, "{open}{lower},{upper}{close}:{count}")
    }
}

impl Display for Histogram {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{{count:{}, sum:{}", Shortest(self.count), Shortest(self.sum))?;
        for bucket in self.written_buckets() {
            write!(f, ", {bucket}")?;
        }
        f.write_char('}')
    }
}

impl Histogram {
    /// Prints it as test files write it: `{{schema:1 count:3 buckets:[1 2]}}`. Gaps are filled with
    /// zeros, at most [`super::notation::BUCKETS_MAX`] a side.
    #[must_use]
    pub fn notation(&self) -> impl Display + '_ {
        std::fmt::from_fn(|f| self.write_notation(f))
    }

    fn write_notation(&self, f: &mut Formatter<'_>) -> Result {
        let mut parts: Vec<String> = Vec::new();
        if self.schema != 0 {
            parts.push(format!("schema:{}", self.schema));
        }
        for (name, value) in [
            ("count", self.count),
            ("sum", self.sum),
            ("z_bucket", self.zero_count),
            ("z_bucket_w", self.zero_threshold),
        ] {
            if value != 0.0 {
                parts.push(format!("{name}:{}", Shortest(value)));
            }
        }
        if self.is_custom() {
            parts.push(format!("custom_values:{}", listed(self.bounds().iter().copied())));
        }
        match self.reset_hint {
            ResetHint::Unknown => {}
            ResetHint::Reset => parts.push("counter_reset_hint:reset".into()),
            ResetHint::NotReset => parts.push("counter_reset_hint:not_reset".into()),
            ResetHint::Gauge => parts.push("counter_reset_hint:gauge".into()),
        }
        push_side(&mut parts, "offset", "buckets", &self.positive);
        push_side(&mut parts, "n_offset", "n_buckets", &self.negative);
        write!(f, "{{{{{}}}}}", parts.join(" "))
    }
}

fn push_side(parts: &mut Vec<String>, offset: &str, name: &str, side: &Buckets) {
    let in_use = || side.0.iter().filter(|(_, count)| *count != 0.0);
    let (Some(&(first, _)), Some(&(last, _))) = (in_use().next(), in_use().next_back()) else {
        return;
    };
    if first != 0 {
        parts.push(format!("{offset}:{first}"));
    }
    let mut rest = in_use().peekable();
    let dense = (first..=last)
        .take(super::notation::BUCKETS_MAX)
        .map(|index| rest.next_if(|(known, _)| *known == index).map_or(0.0, |&(_, count)| count));
    parts.push(format!("{name}:{}", listed(dense)));
}

fn listed(values: impl Iterator<Item = f64>) -> String {
    let values: Vec<String> = values.map(|value| Shortest(value).to_string()).collect();
    format!("[{}]", values.join(" "))
}
