//! Reads the notation of test files: `{{schema:1 count:3 sum:5 buckets:[1 2] offset:-1}}`.
//!
//! Limits: [`BUCKETS_MAX`] buckets or bounds a list.

use super::{Buckets, CUSTOM_BUCKETS, Histogram, Invalid, MAX_SCHEMA, MIN_SCHEMA, ResetHint};

/// How many numbers a list may have.
pub(super) const BUCKETS_MAX: usize = 10_000;

/// A text that is not a histogram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotationError(String);

impl std::fmt::Display for NotationError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotationError {}

impl std::str::FromStr for Histogram {
    type Err = NotationError;

    /// Reads `{{...}}`. What is not named is 0, and the hint unknown.
    fn from_str(text: &str) -> Result<Self, NotationError> {
        let inside = text.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
        let Some(mut rest) = inside.map(str::trim) else {
            return fail(format!("a histogram is written {{{{...}}}}, not {text}"));
        };
        let (mut made, mut offsets) = (Self::default(), (0, 0));
        let (mut positive, mut negative) = (Vec::new(), Vec::new());
        while !rest.is_empty() {
            let Some((name, after)) = rest.split_once(':') else {
                return fail(format!("a value is missing: {rest}"));
            };
            let end = if after.starts_with('[') {
                after.find(']').map_or(after.len(), |at| at + 1)
            } else {
                after.find(char::is_whitespace).unwrap_or(after.len())
            };
            let (value, after) = after.split_at(end);
            rest = after.trim_start();
            match name.trim() {
                "schema" => made.schema = whole(name, value)?,
                "sum" => made.sum = number(value)?,
                "count" => made.count = number(value)?,
                "z_bucket" => made.zero_count = number(value)?,
                "z_bucket_w" => made.zero_threshold = number(value)?,
                "offset" => offsets.0 = whole(name, value)?,
                "n_offset" => offsets.1 = whole(name, value)?,
                "buckets" => positive = list(value)?,
                "n_buckets" => negative = list(value)?,
                "custom_values" => made.custom_bounds = Some(list(value)?.into()),
                "counter_reset_hint" => made.reset_hint = hint(value)?,
                other => return fail(format!("a histogram has no {other}")),
            }
        }
        made.positive = side(offsets.0, positive);
        made.negative = side(offsets.1, negative);
        if made.schema != CUSTOM_BUCKETS && !(MIN_SCHEMA..=MAX_SCHEMA).contains(&made.schema) {
            return fail(Invalid::Schema.to_string());
        }
        Ok(made)
    }
}

fn fail<T>(message: String) -> Result<T, NotationError> {
    Err(NotationError(message))
}

fn number(text: &str) -> Result<f64, NotationError> {
    text.parse().or_else(|_| fail(format!("{text} is not a number")))
}

fn whole(name: &str, text: &str) -> Result<i32, NotationError> {
    text.parse().or_else(|_| fail(format!("{name} is a whole number, not {text}")))
}

fn list(text: &str) -> Result<Vec<f64>, NotationError> {
    let inside = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let Some(inside) = inside else {
        return fail(format!("a list is written [...], not {text}"));
    };
    if inside.split_whitespace().count() > BUCKETS_MAX {
        return fail(format!("a list has at most {BUCKETS_MAX} numbers"));
    }
    inside.split_whitespace().map(number).collect()
}

fn hint(text: &str) -> Result<ResetHint, NotationError> {
    Ok(match text {
        "unknown" => ResetHint::Unknown,
        "reset" => ResetHint::Reset,
        "not_reset" => ResetHint::NotReset,
        "gauge" => ResetHint::Gauge,
        other => {
            return fail(format!("a reset is unknown, reset, not_reset or gauge, not {other}"));
        }
    })
}

fn side(first: i32, counts: Vec<f64>) -> Buckets {
    Buckets((0..).map(|i: i32| first.saturating_add(i)).zip(counts).collect())
}
