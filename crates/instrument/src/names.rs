//! Every metric of ours, defined once: its name, kind, unit, description, buckets, attributes and how many series it may have.
//!
//! Names follow the semantic conventions where these have one and start with `sidelight.` where not. The SDK reserves memory
//! for as many series as a metric may have (about 70 bytes each), so the limits here also bound what an unused metric costs.
//! Past its limit a metric has one more series, `otel.metric.overflow="true"`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use opentelemetry_sdk::metrics::{Instrument, Stream};

/// The scope of all instruments here.
pub const SCOPE: &str = "sidelight";

/// What an instrument measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A sum that only grows.
    Counter,
    /// A sum that grows and shrinks.
    UpDownCounter,
    /// The last value.
    Gauge,
    /// A distribution.
    Histogram,
}

/// A metric as it is told to the SDK.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Lowercase words separated by dots.
    pub name: &'static str,
    /// What it measures.
    pub kind: Kind,
    /// In UCUM: `s`, `By`, `{request}`.
    pub unit: &'static str,
    /// A sentence for those who read the exposition.
    pub description: &'static str,
    /// Upper bounds of a histogram's buckets, ascending; empty for the SDK's.
    pub buckets: &'static [f64],
    /// The attributes that its series can have.
    pub attributes: &'static [&'static str],
    /// How many series it may have.
    pub series_max: usize,
}

/// Limits of metrics that applications define.
static DEFINED: Mutex<Option<HashMap<String, usize>>> = Mutex::new(None);

/// Says how many series an instrument of an application may have; before the instrument is made.
pub(crate) fn define(name: &str, series_max: usize) {
    let mut defined = DEFINED.lock().unwrap_or_else(PoisonError::into_inner);
    defined.get_or_insert_default().insert(name.to_owned(), series_max);
}

/// Tells the SDK how many series a metric may have. Give this to `MeterProviderBuilder::with_view`.
#[must_use]
pub fn view(instrument: &Instrument) -> Option<Stream> {
    let name = instrument.name();
    let defined = DEFINED.lock().unwrap_or_else(PoisonError::into_inner);
    let known = ALL.iter().find(|metric| metric.name == name).map(|metric| metric.series_max);
    let series_max = known.or_else(|| defined.as_ref()?.get(name).copied())?;
    Stream::builder().with_cardinality_limit(series_max).build().ok()
}

/// All of them.
pub static ALL: &[&Metric] = &[];
