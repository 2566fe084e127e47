//! Series as tests write them: `requests{job="api"} 0+10x10 _ stale`.
//!
//! ```text
//! 1 -2.5 NaN      a value each             _ _x3     no sample, three without
//! 1+2x3           1 3 5 7                  stale     the series ends
//! 4x2             4 4 4                    {{schema:0 sum:5 count:4 buckets:[1 2 1]}}   a native histogram; +, - and xN too
//! ```
//! Limits: [`VALUES_MAX`] values a line.
//!
//! Source: Prometheus 3.15, configuration/unit_testing_rules, "series".

use std::sync::Arc;

use crate::ast::MatchOp;
use crate::marker::STALE_BITS;
use crate::{Histogram, Labels, parse_selector};

/// The most values that a line may stand for.
pub const VALUES_MAX: usize = 1_000_000;

/// A series and its values, one a step; `None` is no sample.
#[derive(Clone, Debug)]
pub struct Line {
    /// Whose.
    pub labels: Labels,
    /// One a step.
    pub values: Vec<Option<Value>>,
}

/// A sample.
#[derive(Clone, Debug)]
pub enum Value {
    /// A float; also the one that says that the series ended.
    Float(f64),
    /// A native histogram.
    Histogram {
        /// The histogram.
        histogram: Arc<Histogram>,
        /// Whether the text says what is known of a reset, so that it is to be compared.
        hint: bool,
    },
}

/// Reads `name{label="value"} 1 2 3`.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> Result<Line, String> {
    let (selector, written) = text.split_at(selector_end(text));
    Ok(Line { labels: labels(selector)?, values: values(written)? })
}

/// Reads `1 2 3`.
///
/// # Errors
/// What is wrong with it.
pub fn values(text: &str) -> Result<Vec<Option<Value>>, String> {
    let mut parsed = Vec::new();
    for word in words(text) {
        expand(word, &mut parsed).map_err(|error| format!("{word}: {error}"))?;
        if parsed.len() > VALUES_MAX {
            return Err(format!("more than {VALUES_MAX} values"));
        }
    }
    Ok(parsed)
}

/// Reads `name{label="value"}`.
///
/// # Errors
/// What is wrong with it.
pub fn labels(selector: &str) -> Result<Labels, String> {
    let matchers = parse_selector(selector).map_err(|error| error.to_string())?;
    if let Some(matcher) = matchers.iter().find(|matcher| matcher.op != MatchOp::Equal) {
        return Err(format!("a series has labels, not {matcher}"));
    }
    Ok(Labels::new(matchers.into_iter().map(|matcher| (matcher.name, matcher.value))))
}

/// Where the name and the labels end: at the first space outside of braces and quotes.
fn selector_end(text: &str) -> usize {
    let (mut brace, mut quote, mut escaped) = (false, None, false);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some('"' | '\''), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '{') => brace = true,
            (None, '}') => brace = false,
            (None, c) if c.is_whitespace() && !brace => return at,
            (None, _) => {}
        }
    }
    text.len()
}

/// Words between spaces; a histogram is one word.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text.trim();
    std::iter::from_fn(move || {
        let mut end = 0;
        let at = |end: usize| rest.get(end..).unwrap_or_default();
        while let Some(c) = at(end).chars().next().filter(|c| !c.is_whitespace()) {
            end += match at(end).strip_prefix("{{") {
                Some(inside) => 2 + inside.find("}}").map_or(inside.len(), |at| at + 2),
                None => c.len_utf8(),
            };
        }
        let (word, after) = rest.split_at(end);
        rest = after.trim_start();
        (!word.is_empty()).then_some(word)
    })
}

fn expand(word: &str, to: &mut Vec<Option<Value>>) -> Result<(), String> {
    if let Some(count) = word.strip_prefix('_') {
        let count = if count.is_empty() { 1 } else { times(count)? };
        to.extend(std::iter::repeat_n(None, count));
        return Ok(());
    }
    if word == "stale" {
        to.push(Some(Value::Float(f64::from_bits(STALE_BITS))));
        return Ok(());
    }
    if word.starts_with("{{") {
        return expand_histograms(word, to);
    }
    let (mut value, rest) = number(word)?;
    let (step, rest) = if rest.starts_with(['+', '-']) { number(rest)? } else { (0.0, rest) };
    let count = if rest.is_empty() { 0 } else { times(rest)? };
    for _ in 0..=count {
        to.push(Some(Value::Float(value)));
        value += step;
    }
    Ok(())
}

fn expand_histograms(word: &str, to: &mut Vec<Option<Value>>) -> Result<(), String> {
    let (first, rest) = histogram(word)?;
    let subtract = rest.starts_with('-');
    let (step, rest) = match rest.strip_prefix(['+', '-']) {
        Some(rest) => {
            let (step, rest) = histogram(rest)?;
            (Some(step), rest)
        }
        None => (None, rest),
    };
    let count = if rest.is_empty() { 0 } else { times(rest)? };
    let hint = word.contains("counter_reset_hint");
    let mut current = first;
    for index in 0..=count {
        to.push(Some(Value::Histogram { histogram: Arc::new(current.clone()), hint }));
        let Some(step) = step.as_ref().filter(|_| index < count) else { continue };
        let added = if subtract { current.subtract(step) } else { current.add(step) };
        added.map_err(|error| format!("{error:?}"))?;
    }
    Ok(())
}

fn histogram(text: &str) -> Result<(Histogram, &str), String> {
    let end = text.find("}}").ok_or("a histogram ends with }}")? + 2;
    let (histogram, rest) = text.split_at(end);
    Ok((histogram.parse::<Histogram>().map_err(|error| error.to_string())?, rest))
}

/// Reads `xN`.
fn times(text: &str) -> Result<usize, String> {
    let count = text.strip_prefix('x').and_then(|count| count.parse().ok());
    count.filter(|count| *count <= VALUES_MAX).ok_or(format!("{text} is no number of repetitions"))
}

/// The number that `text` begins with.
fn number(text: &str) -> Result<(f64, &str), String> {
    let unsigned = text.trim_start_matches(['+', '-']);
    let mut end = text.len() - unsigned.len();
    if unsigned.starts_with(|c: char| c.is_ascii_alphabetic()) {
        // A word to its end, as promtool reads it.
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let word = unsigned.find(|c| !is_part(c)).unwrap_or(unsigned.len());
        if word != 3 {
            return Err(format!(
                "{text} is not a number; repeated, Inf and NaN are written `Inf+0x3`"
            ));
        }
        end += word;
    } else {
        let digits = |from: usize| {
            let rest = text.get(from..).unwrap_or_default();
            from + rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len())
        };
        end = digits(end);
        if let Some(exponent) = text.get(end..).and_then(|rest| rest.strip_prefix(['e', 'E'])) {
            let sign = usize::from(exponent.starts_with(['+', '-']));
            end = digits(end + 1 + sign);
        }
    }
    let (number, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    let number = number.parse().map_err(|_| format!("{text} is not a number"))?;
    Ok((number, rest))
}

#[cfg(test)]
mod tests {
    use super::{Value, parse};

    fn floats(text: &str) -> Vec<Option<f64>> {
        let values = parse(text).unwrap().values.into_iter();
        values
            .map(|value| match value {
                Some(Value::Float(float)) => Some(float),
                Some(Value::Histogram { histogram, .. }) => Some(histogram.count),
                None => None,
            })
            .collect()
    }

    #[test]
    fn values_are_expanded() {
        let some = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
        assert_eq!(
            floats("a 1 -2 .5 1e3 -Inf"),
            some(&[1.0, -2.0, 0.5, 1000.0, f64::NEG_INFINITY])
        );
        assert_eq!(floats("a{b=\"c d}\"}\t0+10x2 5-1x1"), some(&[0.0, 10.0, 20.0, 5.0, 4.0]));
        assert_eq!(floats("{} 3x2 1e-1+1e+0x1"), some(&[3.0, 3.0, 3.0, 0.1, 1.1]));
        assert_eq!(floats("a _ 1 _x2"), [None, Some(1.0), None, None]);
        assert!(floats("a stale")[0].unwrap().is_nan());
        assert_eq!(floats("a {{count:1}}+{{count:2 sum:1}}x2 {{}}"), some(&[1.0, 3.0, 5.0, 0.0]));
        assert_eq!(floats("a Inf+0x1"), some(&[f64::INFINITY, f64::INFINITY]));
        for bad in [
            "a b",
            "a Infx3",
            "a infinity",
            "a 1x",
            "a 1+x3",
            "a {{",
            "a{b!=\"c\"} 1",
            "a 1x99999999999",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
