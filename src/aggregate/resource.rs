//! Resources as the series of spans know them: a service and the labels that all its series carry.
//!
//! Looked up by the bytes of their attributes, so that a known resource costs one hash per request; resources whose
//! labels are equal are one. Limits: [`KNOWN_MAX`] by bytes, and [`LABEL_BYTES_MAX`] of labels over all; the spans of a
//! resource past that count in the overflow row. Resources that no series refers to make room for others first.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sidelight_wire::view;
use sidelight_wire::view::Text;

use super::clip::clip;
use super::codec::{self, Read};
use super::config::{Config, DIMENSIONS_MAX};
use super::metrics::labels::{LabelSet, label_name};
use super::metrics::target::Target;
use crate::telemetry::desc::SPAN_LABELS;

/// The service of a resource that names none, as SDKs write it.
const UNKNOWN_SERVICE: &[u8] = b"unknown_service";

/// The most resources that are known by the bytes of their attributes …
const KNOWN_MAX: usize = 1 << 10;
/// … which are at most this long; longer ones are read each time.
const KNOWN_BYTES_MAX: usize = 4 << 10;
/// The most bytes of labels of all resources …
const LABEL_BYTES_MAX: usize = 4 << 20;
/// … where those that nothing refers to are looked for once so much has come: each look costs a walk over all.
const SWEEP_BYTES_MIN: usize = LABEL_BYTES_MAX / 16;

/// Labels that a dimension may not take, besides those of every span.
const RESERVED: [&str; 6] =
    ["__name__", "le", "quantile", "otel_metric_overflow", "operation_name", "outcome"];

/// The service of a resource's attributes, cut to `value_bytes_max`.
pub(super) fn service<'a>(name: Option<Text<'a>>, value_bytes_max: usize) -> &'a [u8] {
    let name = name.unwrap_or_default().as_bytes();
    if name.is_empty() { UNKNOWN_SERVICE } else { clip(name, value_bytes_max) }
}

/// A resource by its labels.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Resource {
    service: Box<[u8]>,
    /// `job`, `instance`, `service_name` and what is promoted, in the order of names.
    labels: Box<[(String, String)]>,
}

/// What a resource has of the dimensions, for spans without them. Not part of the resource: series over spans do not have
/// these labels, and resources that differ in nothing else must be one there.
pub(super) type Defaults = Arc<[String]>;

impl Resource {
    fn of(resource: view::Resource<'_>, config: &Config) -> Self {
        let max = config.label_value_bytes_max;
        let service = service(resource.service_name(), max);
        let target = Target::of(resource, &config.promote, max);
        let mut labels = LabelSet::default();
        target.add_to(&mut labels);
        labels.set("service_name", String::from_utf8_lossy(service));
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            service: service.into(),
            labels: labels.as_sorted().into_iter().map(owned).collect(),
        }
    }

    /// `service.name`, or `unknown_service`.
    pub(super) fn service(&self) -> &[u8] {
        &self.service
    }

    /// The labels that all its series carry.
    pub(super) fn labels(&self) -> &[(String, String)] {
        &self.labels
    }

    fn label_bytes(&self) -> usize {
        self.labels.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    /// Writes it for a checkpoint.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        codec::put_bytes(out, &self.service);
        codec::put(out, self.labels.len() as u64);
        for (name, value) in &self.labels {
            codec::put_bytes(out, name.as_bytes());
            codec::put_bytes(out, value.as_bytes());
        }
        // Dimensions, which version 2 of the table has room for.
        codec::put(out, 0);
    }

    /// What [`Resource::encode`] wrote.
    pub(super) fn decode(read: &mut Read<'_>) -> Option<Self> {
        let service = read.bytes()?.into();
        let labels: Option<Box<_>> =
            (0..read.number()?).map(|_| Some((read.text()?, read.text()?))).collect();
        for _ in 0..read.number()? {
            read.bytes()?;
        }
        Some(Self { service, labels: labels? })
    }
}

/// Attributes that are labels besides the usual ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Dimensions(Arc<[Dimension]>);

/// One of them, and its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dimension {
    key: String,
    label: String,
}

impl Dimensions {
    /// Of these keys; those of [`Dimensions::sort`] that are useless are left out.
    pub(super) fn new(keys: &[String]) -> Self {
        Self(Self::sort(keys).0.into())
    }

    /// Those that make a label, and those that do not, with the reason.
    pub(super) fn sort(keys: &[String]) -> (Vec<Dimension>, Vec<(String, &'static str)>) {
        let (mut taken, mut useless): (Vec<Dimension>, Vec<_>) = (Vec::new(), Vec::new());
        for key in keys {
            let label = label_name(key).unwrap_or_default();
            let why = if label.is_empty() {
                "makes no label name"
            } else if SPAN_LABELS.contains(&&*label) || RESERVED.contains(&&*label) {
                "is a label already"
            } else if taken.iter().any(|dimension| dimension.label == label) {
                "is there twice"
            } else if taken.len() >= DIMENSIONS_MAX {
                "is one too many: there are at most 8"
            } else {
                taken.push(Dimension { key: key.clone(), label });
                continue;
            };
            useless.push((key.clone(), why));
        }
        (taken, useless)
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys in order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|dimension| dimension.key.as_str())
    }

    /// What a resource has of them, values cut to `max`.
    fn defaults(&self, resource: view::Resource<'_>, max: usize) -> Defaults {
        let of_dimension = |dimension: &Dimension| {
            let found = resource.attributes().get(&dimension.key);
            let mut text = String::new();
            found.inspect(|&found| dimension_text(found, max, &mut text));
            text
        };
        self.0.iter().map(of_dimension).collect()
    }

    /// Writes the values of a span's dimensions into `out`, each followed by [`END`]: those of the resource where the span
    /// has none. Another pass over the span's attributes.
    pub(super) fn read(&self, span: &[u8], defaults: &[String], max: usize, out: &mut String) {
        out.clear();
        if self.is_empty() {
            return;
        }
        let span = view::traces::Span::new(span);
        for (at, dimension) in self.0.iter().enumerate() {
            let before = out.len();
            if let Some(found) = span.attributes().get(&dimension.key) {
                dimension_text(found, max, out);
            }
            if out.len() == before {
                out.push_str(defaults.get(at).map_or("", String::as_str));
            }
            out.push(END);
        }
    }

    /// The labels of values that [`Dimensions::read`] wrote.
    pub(super) fn labels<'a>(
        &'a self,
        values: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().map(|dimension| dimension.label.as_str()).zip(values.split(END))
    }
}

/// The keys that make no dimension, with the reason.
#[must_use]
pub fn useless_dimensions(keys: &[String]) -> Vec<(String, &'static str)> {
    Dimensions::sort(keys).1
}

/// Ends a dimension's value; values do not contain it.
const END: char = '\u{1f}';

/// A text, number or truth value as a label has it, cut to `max` bytes; nothing for what is neither.
fn dimension_text(found: view::Value<'_>, max: usize, out: &mut String) {
    use std::fmt::Write as _;
    // Writing to a string does not fail.
    let _ = match found {
        view::Value::String(text) => {
            let text = text.to_string_lossy();
            let text = text.get(..text.floor_char_boundary(max)).unwrap_or_default();
            text.split(END).try_for_each(|part| out.write_str(part))
        }
        view::Value::Int(int) => write!(out, "{int}"),
        view::Value::Bool(bool) => write!(out, "{bool}"),
        view::Value::Double(double) if double.is_finite() => write!(out, "{double}"),
        _ => Ok(()),
    };
}

/// The resources that series refer to.
#[derive(Debug, Default)]
pub(super) struct Resources {
    known: HashMap<Box<[u8]>, (Arc<Resource>, Defaults), hashbrown::DefaultHashBuilder>,
    all: HashSet<Arc<Resource>>,
    label_bytes: usize,
    /// Of those that came since the last look for some that nothing refers to.
    new_bytes: usize,
    key: Vec<u8>,
}

impl Resources {
    /// The resource, which is kept, and what it has of the dimensions; `None` past the limit.
    pub(super) fn of(
        &mut self,
        resource: view::Resource<'_>,
        config: &Config,
        dimensions: &Dimensions,
    ) -> Option<(Arc<Resource>, Defaults)> {
        self.key.clear();
        for attribute in resource.attributes().bytes() {
            self.key.extend_from_slice(&(attribute.len() as u64).to_le_bytes());
            self.key.extend_from_slice(attribute);
        }
        if let Some(known) = self.known.get(&*self.key) {
            return Some(known.clone());
        }
        let defaults = dimensions.defaults(resource, config.label_value_bytes_max);
        let found = (self.intern(Resource::of(resource, config))?, defaults);
        if self.key.len() <= KNOWN_BYTES_MAX {
            if self.known.len() >= KNOWN_MAX {
                self.known.clear();
            }
            self.known.insert(self.key.as_slice().into(), found.clone());
        }
        Some(found)
    }

    /// The one resource with these labels; `None` past the limit.
    pub(super) fn intern(&mut self, resource: Resource) -> Option<Arc<Resource>> {
        if let Some(known) = self.all.get(&resource) {
            return Some(Arc::clone(known));
        }
        let bytes = resource.label_bytes();
        if self.label_bytes + bytes > LABEL_BYTES_MAX && self.new_bytes >= SWEEP_BYTES_MIN {
            self.sweep();
        }
        if self.label_bytes + bytes > LABEL_BYTES_MAX {
            return None;
        }
        self.label_bytes += bytes;
        self.new_bytes += bytes;
        let resource = Arc::new(resource);
        self.all.insert(Arc::clone(&resource));
        Some(resource)
    }

    /// Forgets the resources that nothing else holds.
    #[cold]
    fn sweep(&mut self) {
        self.known.clear();
        self.all.retain(|resource| Arc::strong_count(resource) > 1);
        self.counted_anew();
    }

    fn counted_anew(&mut self) {
        self.label_bytes = self.all.iter().map(|resource| resource.label_bytes()).sum();
        self.new_bytes = 0;
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Forgets the resources that are none of `used`.
    pub(super) fn retain<'a>(&mut self, used: impl Iterator<Item = &'a Arc<Resource>>) {
        let used: HashSet<*const Resource> = used.map(Arc::as_ptr).collect();
        self.known.clear();
        self.all.retain(|resource| used.contains(&Arc::as_ptr(resource)));
        self.counted_anew();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_that_nothing_refers_to_make_room_and_others_stay() {
        let mut resources = Resources::default();
        let of = |n: usize| {
            let labels = [("job".to_owned(), format!("{n:0>1021}"))];
            Resource { service: Box::default(), labels: labels.into() }
        };
        let used: Vec<_> = (0..100).map(|n| resources.intern(of(n)).unwrap()).collect();
        let most = LABEL_BYTES_MAX / 1_024;
        for n in 0..3 * most {
            assert!(resources.intern(of(n)).is_some(), "{n}");
        }
        assert!(resources.len() <= most);
        for (n, one) in used.iter().enumerate() {
            assert!(Arc::ptr_eq(one, &resources.intern(of(n)).unwrap()), "{n} stays");
        }
        // Where all are referred to there is no room.
        let all: Vec<_> = (0..2 * most).filter_map(|n| resources.intern(of(n))).collect();
        assert_eq!((all.len(), resources.len()), (most, most));
    }

    #[test]
    fn a_resource_without_a_name_is_the_unknown_service() {
        assert_eq!(service(None, 9), UNKNOWN_SERVICE);
        assert_eq!(service(Some(Text(b"")), 9), UNKNOWN_SERVICE);
        assert_eq!(service(Some(Text(b"shop-front")), 4), b"shop");
    }
}
