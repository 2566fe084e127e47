//! What there is: label names and values, series, metadata, exemplars.

use std::collections::BTreeMap;

use serde_json::json;
use sidelight_promql::ast::Matcher;

use super::encode;
use super::envelope::Success;
use super::query::expression;
use crate::api::call::Call;
use crate::api::failure::Failure;
use crate::api::reply::Reply;
use crate::store::{Listing, StoreError};

pub(super) fn label_names(call: &Call<'_>) -> Result<Reply, Failure> {
    let span = call.params.span()?;
    let limit = Limit::of(call)?;
    let selectors = call.params.selectors()?;
    let stop = || (call.stop)().is_some();
    let names = within(span, |start, end| {
        call.store.reading(&stop).label_names(&slices(&selectors), start, end, limit.rows())
    });
    let names = names.map_err(|error| call.failure(error))?;
    Ok(limit.reply(names, |names| json!(names).to_string()))
}

pub(super) fn label_values(call: &Call<'_>) -> Result<Reply, Failure> {
    let name = unescaped(call.open);
    if name.is_empty() {
        return Err(Failure::BadData("invalid label name: \"\"".to_owned()));
    }
    let span = call.params.span()?;
    let limit = Limit::of(call)?;
    let selectors = call.params.selectors()?;
    let stop = || (call.stop)().is_some();
    let values = within(span, |start, end| {
        let (reading, selectors) = (call.store.reading(&stop), slices(&selectors));
        reading.label_values(&name, &selectors, start, end, limit.rows())
    });
    let values = values.map_err(|error| call.failure(error))?;
    Ok(limit.reply(values, |values| json!(values).to_string()))
}

pub(super) fn series(call: &Call<'_>) -> Result<Reply, Failure> {
    let selectors = call.params.required_selectors()?;
    let span = call.params.span()?;
    let limit = Limit::of(call)?;
    let stop = || (call.stop)().is_some();
    let found = within(span, |start, end| {
        call.store.reading(&stop).series(&slices(&selectors), start, end, limit.rows())
    });
    let found = found.map_err(|error| call.failure(error))?;
    Ok(limit.reply(found, |found| {
        let mut data = String::from("[");
        encode::separated(&mut data, found, encode::labels);
        data + "]"
    }))
}

/// What there is of a span: nothing where it ends before it begins, which is no mistake for lists.
fn within<T>(
    (start, end): (i64, i64),
    list: impl FnOnce(i64, i64) -> Result<Listing<T>, StoreError>,
) -> Result<Listing<T>, StoreError> {
    if end < start { Ok(Listing { rows: Vec::new(), cut: false }) } else { list(start, end) }
}

/// How many rows are wanted. One more is asked for, so that it is known whether there are more.
struct Limit(usize);

impl Limit {
    fn of(call: &Call<'_>) -> Result<Self, Failure> {
        call.params.limit("limit").map(Self)
    }

    const fn rows(&self) -> usize {
        if self.0 == 0 { usize::MAX } else { self.0.saturating_add(1) }
    }

    fn reply<T>(&self, found: Listing<T>, data: impl Fn(&[T]) -> String) -> Reply {
        let Listing { mut rows, cut } = found;
        let mut warnings = Success::cut(&mut rows, self.0);
        if cut {
            warnings
                .push("not every series was looked at: narrow the matchers or the time".to_owned());
        }
        Success { warnings, ..Success::new(data(&rows)) }.into_reply()
    }
}

fn slices(selectors: &[Vec<Matcher>]) -> Vec<&[Matcher]> {
    selectors.iter().map(Vec::as_slice).collect()
}

pub(super) fn metadata(call: &Call<'_>) -> Result<Reply, Failure> {
    let limit = call.params.listed("limit")?.filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    // Of each metric there is one.
    call.params.listed("limit_per_metric")?;
    let families = call.store.metadata(call.params.first("metric"), limit);
    // Written as it goes: texts of help are most of it, and as a tree they would be there three times.
    let mut data = String::from("{");
    encode::separated(&mut data, &families, |out, (family, of)| {
        let told = json!([{ "type": of.kind.name(), "help": of.help, "unit": of.unit }]);
        out.push_str(&format!("{}:{told}", json!(family)));
    });
    data.push('}');
    drop(families);
    Ok(Success::new(data).into_reply())
}

pub(super) fn exemplars(call: &Call<'_>) -> Result<Reply, Failure> {
    let (start, end) = call.params.span()?;
    if end < start {
        let why = "end timestamp must not be before start timestamp";
        return Err(Failure::BadData(why.to_owned()));
    }
    let expr = expression(call)?;
    let mut selectors: Vec<&[Matcher]> = Vec::new();
    expr.selectors(&mut |selector, _| selectors.push(&selector.matchers));
    let mut data = String::from("[");
    let stop = || (call.stop)().is_some();
    let found = call.store.reading(&stop).exemplars(&selectors, start, end);
    let found = found.map_err(|error| call.failure(error))?;
    encode::separated(&mut data, &found, |out, series| {
        out.push_str(r#"{"seriesLabels":"#);
        encode::labels(out, &series.labels);
        out.push_str(r#","exemplars":["#);
        encode::separated(out, &series.exemplars, |out, exemplar| {
            let labels: BTreeMap<_, _> = exemplar.labels.iter().cloned().collect();
            out.push_str(&format!(r#"{{"labels":{},"value":""#, json!(labels)));
            encode::number(out, exemplar.value);
            out.push_str(r#"","timestamp":"#);
            encode::time(out, exemplar.time_ms);
            out.push('}');
        });
        out.push_str("]}");
    });
    data.push(']');
    Ok(Success::new(data).into_reply())
}

/// A label's name as clients without UTF-8 write it: `U__` in front, `_` doubled, other characters
/// as `_` code point in hexadecimal `_`. Source: Prometheus 3, "Escaping schemes".
fn unescaped(name: &str) -> String {
    let plain = || name.to_owned();
    let Some(escaped) = name.strip_prefix("U__") else { return plain() };
    let mut out = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some((before, after)) = rest.split_once('_') {
        out.push_str(before);
        let Some((code, next)) = after.split_once('_') else { return plain() };
        if code.is_empty() {
            out.push('_');
        } else {
            let code = u32::from_str_radix(code, 16).ok().and_then(char::from_u32);
            let Some(character) = code else { return plain() };
            out.push(character);
        }
        rest = next;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_label_names_are_understood() {
        for (name, expected) in [
            ("job", "job"),
            ("U__http_2e_route", "http.route"),
            ("U__a__b", "a_b"),
            ("U__caf_e9_", "café"),
            ("U__broken_", "U__broken_"),
            ("U__a_zz_", "U__a_zz_"),
            ("U__", ""),
        ] {
            assert_eq!(unescaped(name), expected, "{name}");
        }
    }
}
