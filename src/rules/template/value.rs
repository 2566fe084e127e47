//! What templates work with, and how it is written where a text is wanted.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;

use sidelight_promql::{Histogram, SampleValue};

use super::calendar;
use super::number::shortest;

/// A value. Cloning shares it.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Nothing: what a field of nothing is.
    Nil,
    Bool(bool),
    Int(i64),
    /// One byte of an indexed text.
    Byte(u8),
    Float(f64),
    Text(Rc<str>),
    Labels(Rc<BTreeMap<String, String>>),
    /// What `args` makes.
    Named(Rc<BTreeMap<String, Value>>),
    /// The answer to a query.
    Samples(Rc<[Rc<Sample>]>),
    Sample(Rc<Sample>),
    Histogram(Arc<Histogram>),
    /// Milliseconds since the Unix epoch.
    Time(i64),
    /// Nanoseconds.
    Duration(i64),
    /// What a rule's template begins with as `.`.
    Root(Rc<Root>),
}

/// One sample of a query's answer.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) labels: Rc<BTreeMap<String, String>>,
    pub(super) value: Value,
}

impl Sample {
    pub(super) fn new(sample: &sidelight_promql::Sample) -> Self {
        let labels = sample.labels.iter();
        let labels = labels.map(|label| (label.name.to_string(), label.value.to_string()));
        Self { labels: Rc::new(labels.collect()), value: (&sample.value).into() }
    }
}

impl From<&SampleValue> for Value {
    fn from(value: &SampleValue) -> Self {
        match value {
            SampleValue::Float(value) => Self::Float(*value),
            SampleValue::Histogram(histogram) => Self::Histogram(histogram.clone()),
        }
    }
}

/// The fields of `.`.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) labels: Rc<BTreeMap<String, String>>,
    pub(super) external_labels: Rc<BTreeMap<String, String>>,
    pub(super) external_url: Rc<str>,
    /// A number or a histogram.
    pub(super) value: Value,
}

impl Value {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// Its type as Go names it.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Byte(_) => "uint8",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Labels(_) => "map[string]string",
            Self::Named(_) => "map[string]interface {}",
            Self::Samples(_) => "template.queryResult",
            Self::Sample(_) => "*template.sample",
            Self::Histogram(_) => "*histogram.FloatHistogram",
            Self::Time(_) => "*time.Time",
            Self::Duration(_) => "*time.Duration",
            Self::Root(_) => {
                "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value interface {} }"
            }
        }
    }

    /// Whether it counts as true: neither nothing, nor zero, nor empty.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Byte(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Labels(labels) => !labels.is_empty(),
            Self::Named(named) => !named.is_empty(),
            Self::Samples(samples) => !samples.is_empty(),
            Self::Sample(_) | Self::Histogram(_) | Self::Time(_) | Self::Duration(_) => true,
            Self::Root(_) => true,
        }
    }

    /// As `{{.}}` writes it.
    pub(super) fn printed(&self) -> String {
        match self {
            Self::Nil => "<no value>".to_owned(),
            // A pointer is followed where it is printed by itself.
            Self::Sample(sample) => sample_fields(sample),
            other => other.plain(),
        }
    }

    /// As the verb `%v` writes it.
    pub(super) fn plain(&self) -> String {
        match self {
            Self::Nil => "<nil>".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Byte(value) => value.to_string(),
            Self::Float(value) => shortest(*value),
            Self::Text(text) => text.to_string(),
            Self::Labels(labels) => map(labels.iter().map(|(name, value)| (name, value.clone()))),
            Self::Named(named) => map(named.iter().map(|(name, value)| (name, value.plain()))),
            Self::Samples(samples) => {
                let each: Vec<String> =
                    samples.iter().map(|sample| sample_fields(sample)).collect();
                format!("[{}]", each.join(" "))
            }
            Self::Sample(sample) => format!("&{}", sample_fields(sample)),
            Self::Histogram(histogram) => histogram.to_string(),
            Self::Time(at) => calendar::time(*at),
            Self::Duration(nanoseconds) => calendar::duration(*nanoseconds),
            Self::Root(root) => {
                let labels = Self::Labels(root.labels.clone()).plain();
                let external = Self::Labels(root.external_labels.clone()).plain();
                format!("{{{labels} {external} {} {}}}", root.external_url, root.value.plain())
            }
        }
    }

    /// What a number is wanted of.
    pub(super) fn to_float(&self) -> Result<f64, String> {
        match self {
            Self::Float(value) => Ok(*value),
            #[expect(clippy::cast_precision_loss, reason = "as Go converts it")]
            Self::Int(value) => Ok(*value as f64),
            Self::Text(text) => parse_float(text),
            other => Err(format!("can't convert {} to float", other.kind())),
        }
    }
}

fn parse_float(text: &str) -> Result<f64, String> {
    let hint = sidelight_promql::quote::quote(text);
    text.parse().map_err(|_| format!("strconv.ParseFloat: parsing {hint}: invalid syntax"))
}

fn map<'a>(entries: impl Iterator<Item = (&'a String, String)>) -> String {
    let mut text = String::from("map[");
    for (at, (name, value)) in entries.enumerate() {
        // Writing to a text does not fail.
        let _ = write!(text, "{}{name}:{value}", if at == 0 { "" } else { " " });
    }
    text + "]"
}

fn sample_fields(sample: &Sample) -> String {
    format!("{{{} {}}}", Value::Labels(sample.labels.clone()).plain(), sample.value.plain())
}
