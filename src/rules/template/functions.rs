//! The functions of templates: Go's own and Prometheus', in one table.
//!
//! `tmpl` is here as well, which Prometheus knows in console templates only.
//!
//! Limits: compiled regular expressions up to [`PATTERN_BYTES_MAX`], what `args` makes up to [`ARGS_MAX`].

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;

use sidelight_promql::duration;

use super::value::Value;
use super::{OUTPUT_MAX, builtin, calendar, humanize, link, printf};

/// The size of a compiled regular expression, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// The values in what `args` makes, those of others within it too: a template that gives them to each other again and again
/// would make more than there is memory for, or something so deep that it cannot be written or let go of.
const ARGS_MAX: usize = 100;

/// What a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Any,
    Text,
    Sample,
    Samples,
}

impl Kind {
    /// As Go names it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Text => "string",
            Self::Sample => "*template.sample",
            Self::Samples => "template.queryResult",
        }
    }

    pub(super) const fn takes(self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::Text => matches!(value, Value::Text(_)),
            Self::Sample => matches!(value, Value::Sample(_)),
            Self::Samples => matches!(value, Value::Samples(_)),
        }
    }
}

/// What functions ask of the template that calls them.
pub(super) trait Caller {
    /// `$externalURL`.
    fn external_url(&self) -> &str;

    /// Seconds since the Unix epoch, in whole milliseconds.
    fn now(&self) -> f64;

    /// The samples that `expr` has.
    fn query(&self, expr: &str) -> Result<Value, String>;

    /// What the template `name` gives for `dot`.
    fn render(&mut self, name: &str, dot: &Value) -> Result<String, String>;
}

/// What a function does with arguments of its kinds.
type Call = fn(&mut dyn Caller, &[Value]) -> Result<Value, String>;

/// A function: what it takes, whether the last parameter may stand for none and many, and what it does.
pub(super) struct Function {
    name: &'static str,
    pub(super) parameters: &'static [Kind],
    pub(super) variadic: bool,
    pub(super) call: Call,
}

/// Whether there is a function `name`.
pub(super) fn is_known(name: &str) -> bool {
    find(name).is_some()
}

/// The names of all functions, for suggestions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|function| function.name)
}

pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

const fn fixed(name: &'static str, parameters: &'static [Kind], call: Call) -> Function {
    Function { name, parameters, variadic: false, call }
}

const fn variadic(name: &'static str, parameters: &'static [Kind], call: Call) -> Function {
    Function { name, parameters, variadic: true, call }
}

use Kind::{Any, Sample, Samples, Text};

static FUNCTIONS: &[Function] = &[
    // `and` and `or` end early; the execution evaluates them.
    variadic("and", &[Any, Any], |_, values| Ok(last(values))),
    variadic("or", &[Any, Any], |_, values| Ok(last(values))),
    fixed("not", &[Any], |_, values| Ok(Value::Bool(!last(values).is_true()))),
    variadic("call", &[Any, Any], |_, values| {
        let kind = values.first().map_or("<nil>", Value::kind);
        Err(format!("non-function of type {kind}"))
    }),
    variadic("eq", &[Any, Any], |_, values| builtin::equal_to_any(values).map(Value::Bool)),
    fixed("ne", &[Any, Any], |_, values| {
        builtin::equal_to_any(values).map(|equal| Value::Bool(!equal))
    }),
    fixed("lt", &[Any, Any], |_, values| builtin::less(values).map(Value::Bool)),
    fixed("le", &[Any, Any], |_, values| builtin::less_or_equal(values).map(Value::Bool)),
    fixed("gt", &[Any, Any], |_, values| {
        builtin::less_or_equal(values).map(|less| Value::Bool(!less))
    }),
    fixed("ge", &[Any, Any], |_, values| builtin::less(values).map(|less| Value::Bool(!less))),
    variadic("index", &[Any, Any], |_, values| builtin::index(values)),
    variadic("slice", &[Any, Any], |_, values| builtin::slice(values)),
    fixed("len", &[Any], |_, values| builtin::length(&last(values))),
    variadic("print", &[Any], |_, values| Ok(Value::text(&printf::print(values)))),
    variadic("println", &[Any], |_, values| Ok(Value::text(&printf::println(values)))),
    variadic("printf", &[Text, Any], |_, values| {
        let (format, values) = values.split_first().ok_or("wrong number of args")?;
        printf::printf(text(format), values, OUTPUT_MAX).map(|text| Value::text(&text))
    }),
    variadic("html", &[Any], |_, values| Ok(Value::text(&link::html(&printf::print(values))))),
    variadic("js", &[Any], |_, values| Ok(Value::text(&link::javascript(&printf::print(values))))),
    variadic("urlquery", &[Any], |_, values| Ok(Value::text(&link::query(&printf::print(values))))),
    fixed("query", &[Text], |caller, values| caller.query(text(&last(values)))),
    fixed("first", &[Samples], |_, values| match values {
        [Value::Samples(samples)] => {
            let first = samples.first().cloned().map(Value::Sample);
            first.ok_or_else(|| "first() called on vector with no elements".to_owned())
        }
        _ => Err("first() called on vector with no elements".to_owned()),
    }),
    fixed("label", &[Text, Sample], |_, values| match values {
        [Value::Text(name), Value::Sample(sample)] => {
            Ok(Value::text(sample.labels.get(&**name).map_or("", String::as_str)))
        }
        _ => Err(NIL_SAMPLE.to_owned()),
    }),
    fixed("value", &[Sample], |_, values| match values {
        [Value::Sample(sample)] => Ok(sample.value.clone()),
        _ => Err(NIL_SAMPLE.to_owned()),
    }),
    fixed("strvalue", &[Sample], |_, values| match values {
        [Value::Sample(sample)] => {
            Ok(Value::text(sample.labels.get("__value__").map_or("", String::as_str)))
        }
        _ => Err(NIL_SAMPLE.to_owned()),
    }),
    fixed("sortByLabel", &[Text, Samples], |_, values| match values {
        [Value::Text(name), Value::Samples(samples)] => {
            let mut sorted = samples.to_vec();
            sorted.sort_by(|one, other| one.labels.get(&**name).cmp(&other.labels.get(&**name)));
            Ok(Value::Samples(sorted.into()))
        }
        _ => Ok(Value::Samples(Rc::new([]))),
    }),
    variadic("args", &[Any], |_, values| {
        if values.iter().map(within).sum::<usize>() > ARGS_MAX {
            return Err(format!("more than {ARGS_MAX} values within each other"));
        }
        let named = values.iter().enumerate();
        let named: BTreeMap<_, _> =
            named.map(|(at, value)| (format!("arg{at}"), value.clone())).collect();
        Ok(Value::Named(Rc::new(named)))
    }),
    fixed("tmpl", &[Text, Any], |caller, values| match values {
        [Value::Text(name), dot] => caller.render(name, dot).map(|text| Value::text(&text)),
        _ => Err("wrong number of args".to_owned()),
    }),
    fixed("reReplaceAll", &[Text, Text, Text], |_, values| {
        let [pattern, replacement, subject] = values else { return Ok(Value::Nil) };
        let replaced =
            regex(text(pattern))?.replace_all(text(subject), text(replacement)).into_owned();
        Ok(Value::text(&replaced))
    }),
    fixed("match", &[Text, Text], |_, values| {
        let [pattern, subject] = values else { return Ok(Value::Nil) };
        Ok(Value::Bool(regex(text(pattern))?.is_match(text(subject))))
    }),
    fixed("safeHtml", &[Text], |_, values| Ok(last(values))),
    fixed("title", &[Text], |_, values| Ok(Value::text(&humanize::title(text(&last(values)))))),
    fixed("toUpper", &[Text], |_, values| Ok(mapped(values, humanize::upper))),
    fixed("toLower", &[Text], |_, values| Ok(mapped(values, humanize::lower))),
    fixed("graphLink", &[Text], |_, values| Ok(Value::text(&link::graph(text(&last(values)), 0)))),
    fixed("tableLink", &[Text], |_, values| Ok(Value::text(&link::graph(text(&last(values)), 1)))),
    fixed("urlQueryEscape", &[Text], |_, values| {
        Ok(Value::text(&link::query(text(&last(values)))))
    }),
    fixed("externalURL", &[], |caller, _| Ok(Value::text(caller.external_url()))),
    fixed("pathPrefix", &[], |caller, _| Ok(Value::text(&link::path(caller.external_url())))),
    fixed("stripPort", &[Text], |_, values| {
        let value = last(values);
        let host = link::split_host_port(text(&value)).map_or(text(&value), |(host, _)| host);
        Ok(Value::text(host))
    }),
    fixed("stripDomain", &[Text], |_, values| Ok(Value::text(&strip_domain(text(&last(values)))))),
    fixed("humanize", &[Any], |_, values| number(values, humanize::metric)),
    fixed("humanize1024", &[Any], |_, values| number(values, humanize::binary)),
    fixed("humanizePercentage", &[Any], |_, values| number(values, humanize::percentage)),
    fixed("humanizeDuration", &[Any], |_, values| number(values, calendar::humanized)),
    fixed("humanizeTimestamp", &[Any], |_, values| {
        let value = last(values).to_float()?;
        if !value.is_finite() {
            return Ok(Value::text(&humanize::four(value)));
        }
        timestamp(value).map(|at| Value::text(&calendar::time(at)))
    }),
    fixed("toTime", &[Any], |_, values| {
        let value = last(values).to_float()?;
        if !value.is_finite() {
            return Err("value is NaN or Inf".to_owned());
        }
        timestamp(value).map(Value::Time)
    }),
    fixed("toDuration", &[Any], |_, values| {
        Ok(Value::Duration(humanize::whole(last(values).to_float()? * 1e9)))
    }),
    fixed("now", &[], |caller, _| Ok(Value::Float(caller.now()))),
    fixed("parseDuration", &[Text], |_, values| {
        let value = last(values);
        let written = text(&value);
        let (sign, positive) = match written.strip_prefix('-') {
            Some(positive) => (-1.0, positive),
            None => (1.0, written),
        };
        #[expect(clippy::cast_precision_loss, reason = "as Go converts it")]
        let seconds = duration::parse(positive)? as f64 / 1e3;
        Ok(Value::Float(sign * seconds))
    }),
];

/// A value and those within it: few, as `args` keeps to [`ARGS_MAX`].
fn within(value: &Value) -> usize {
    match value {
        Value::Named(named) => 1 + named.values().map(within).sum::<usize>(),
        _ => 1,
    }
}

const NIL_SAMPLE: &str = "runtime error: invalid memory address or nil pointer dereference";

fn last(values: &[Value]) -> Value {
    values.last().cloned().unwrap_or(Value::Nil)
}

fn text(value: &Value) -> &str {
    match value {
        Value::Text(text) => text,
        _ => "",
    }
}

fn mapped(values: &[Value], map: fn(char) -> char) -> Value {
    Value::text(&text(&last(values)).chars().map(map).collect::<String>())
}

fn number(values: &[Value], write: fn(f64) -> String) -> Result<Value, String> {
    last(values).to_float().map(|value| Value::text(&write(value)))
}

/// Seconds since the Unix epoch in milliseconds.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn timestamp(seconds: f64) -> Result<i64, String> {
    let nanoseconds = seconds * 1e9;
    if nanoseconds.abs() >= 9_223_372_036_854_775_807.0 {
        let written = super::number::shortest(seconds);
        return Err(format!(
            "{written} cannot be represented as a nanoseconds timestamp since it overflows int64"
        ));
    }
    Ok((nanoseconds as i64).div_euclid(1_000_000))
}

fn regex(pattern: &str) -> Result<regex::Regex, String> {
    let compiled = regex::RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build();
    compiled.map_err(|_| {
        let pattern = sidelight_promql::quote::quote(pattern);
        format!("error parsing regexp: {pattern} is no regular expression")
    })
}

fn strip_domain(text: &str) -> String {
    let (host, port) = link::split_host_port(text).unwrap_or((text, ""));
    if host.parse::<IpAddr>().is_ok() {
        return text.to_owned();
    }
    let host = host.split('.').next().unwrap_or_default();
    match (port, host.contains(':')) {
        ("", _) => host.to_owned(),
        (port, false) => format!("{host}:{port}"),
        (port, true) => format!("[{host}]:{port}"),
    }
}
