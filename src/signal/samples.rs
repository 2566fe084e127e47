//! [`Samples`] that the agent makes itself: of rules, of its host. They travel as a [`Record`] that only local readers take.
//!
//! ```text
//! ExportMetricsServiceRequest, one resource and scope without attributes
//!   metric: name = `__name__`, a gauge      consecutive samples of one name share it
//!     data point: attributes = the other labels, time, value
//!       NO_RECORDED_VALUE: the series ended │ attribute `__native__`: a native histogram, see `put_native`
//! ```
//! What is written is read back to the bit. A record has no items: nobody sent them. What a record holds that is not of
//! this form is skipped. Labels are shared: a sample that is told on is not written again. Cost: the bytes of the labels per
//! sample.

use std::sync::Arc;

use sidelight_promql::histogram::{Buckets, ResetHint};
use sidelight_promql::labels::NAME;
use sidelight_promql::{Histogram, Labels};
use sidelight_wire::varint;
use sidelight_wire::view::Value as Any;
use sidelight_wire::view::metrics::{Data, NumberDataPoint, Request};

use super::{Flags, Meta, Record, Signal};

/// The attribute that holds a native histogram.
const NATIVE: &str = "__native__";
/// The most bytes of a record of many samples, about.
const RECORD_BYTES_MAX: usize = 256 << 10;
/// Milliseconds to nanoseconds.
const MS: u64 = 1_000_000;

/// Samples that were made together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples(pub Vec<Sample>);

/// One sample of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// `__name__` among them.
    pub labels: Labels,
    /// Milliseconds since the Unix epoch.
    pub t_ms: i64,
    /// What it says.
    pub value: Value,
}

/// What a sample says.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number.
    Float(f64),
    /// The series ended.
    Stale,
    /// A native histogram.
    Native(Arc<Histogram>),
}

impl Sample {
    /// A number of metric `name`.
    #[must_use]
    pub fn float(name: &str, labels: &[(&str, &str)], t_ms: i64, value: f64) -> Self {
        let named = std::iter::once((NAME, name)).chain(labels.iter().copied());
        Self { labels: Labels::new(named), t_ms, value: Value::Float(value) }
    }

    fn name(&self) -> &str {
        self.labels.metric_name()
    }

    /// What it takes in a record, about.
    fn bytes(&self) -> usize {
        let labels = self.labels.iter().map(|label| label.name.len() + label.value.len() + 8);
        let value = match &self.value {
            Value::Native(histogram) => 16 * histogram.samples(),
            Value::Float(_) | Value::Stale => 24,
        };
        labels.sum::<usize>() + value
    }
}

impl Samples {
    /// The samples in pieces for a record each, of [`RECORD_BYTES_MAX`] at most, or one sample: to write a record takes
    /// several times its length in memory, and labels may be long.
    pub fn pieces(&self) -> impl Iterator<Item = &[Sample]> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let mut bytes = 0;
            let fits = rest.iter().take_while(|sample| {
                bytes += sample.bytes();
                bytes <= RECORD_BYTES_MAX
            });
            let (piece, after) = rest.split_at_checked(fits.count().max(1))?;
            rest = after;
            Some(piece)
        })
    }

    /// The samples as one record for the journal, where they are few.
    #[must_use]
    pub fn record(&self) -> Record {
        Self::record_of(&self.0)
    }

    /// A piece of them as a record.
    #[must_use]
    pub fn record_of(samples: &[Sample]) -> Record {
        let mut metrics = Vec::new();
        let same_name = |a: &Sample, b: &Sample| a.name() == b.name();
        for samples in samples.chunk_by(same_name) {
            let (mut gauge, mut metric) = (Vec::new(), Vec::new());
            for sample in samples {
                put_bytes(&mut gauge, 1, &point(sample));
            }
            put_bytes(&mut metric, 1, samples.first().map_or("", Sample::name).as_bytes());
            put_bytes(&mut metric, 5, &gauge);
            put_bytes(&mut metrics, 2, &metric);
        }
        let (mut scope, mut request) = (Vec::new(), Vec::new());
        put_bytes(&mut scope, 2, &metrics);
        put_bytes(&mut request, 1, &scope);
        Record {
            signal: Signal::Metrics,
            items: 0,
            flags: Flags::LOCAL,
            meta: Meta::default(),
            payload: request.into(),
        }
    }

    /// What [`Samples::record`] wrote.
    #[must_use]
    pub fn read(payload: &[u8]) -> Self {
        let scopes = Request::new(payload).resources().flat_map(|of| of.scope_metrics());
        let mut samples = Vec::new();
        for metric in scopes.flat_map(|scope| scope.metrics()) {
            let Data::Gauge(points) = metric.data else { continue };
            let name = metric.name.to_string_lossy();
            samples.extend(points.numbers().filter_map(|point| sample(&name, &point)));
        }
        Self(samples)
    }
}

fn point(sample: &Sample) -> Vec<u8> {
    let mut out = Vec::new();
    put_fixed(&mut out, 3, u64::try_from(sample.t_ms).unwrap_or(0).saturating_mul(MS));
    for label in sample.labels.iter().filter(|label| *label.name != *NAME) {
        put_attribute(&mut out, &label.name, 1, label.value.as_bytes());
    }
    match &sample.value {
        Value::Float(value) => put_fixed(&mut out, 4, value.to_bits()),
        Value::Stale => out.extend([8 << 3, 1]),
        Value::Native(histogram) => {
            let mut bytes = Vec::new();
            put_native(&mut bytes, histogram);
            put_attribute(&mut out, NATIVE, 7, &bytes);
        }
    }
    out
}

fn sample(name: &str, point: &NumberDataPoint<'_>) -> Option<Sample> {
    let mut labels = vec![(NAME.to_owned(), name.to_owned())];
    let mut native = None;
    for attribute in point.attributes() {
        match attribute.value.get() {
            Any::Bytes(bytes) if attribute.key == NATIVE => native = Some(read_native(bytes)?),
            Any::String(text) => labels.push((
                attribute.key.to_string_lossy().into_owned(),
                text.to_string_lossy().into_owned(),
            )),
            _ => {}
        }
    }
    let value = match (native, point.value) {
        _ if point.is_stale() => Value::Stale,
        (Some(histogram), _) => Value::Native(Arc::new(histogram)),
        (None, value) => Value::Float(value?.as_f64()),
    };
    let t_ms = i64::try_from(point.time_unix_nano / MS).ok()?;
    Some(Sample { labels: Labels::new(labels), t_ms, value })
}

/// A length-delimited field.
fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    varint::write(field << 3 | 2, out);
    varint::write(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn put_fixed(out: &mut Vec<u8>, field: u64, bits: u64) {
    varint::write(field << 3 | 1, out);
    out.extend_from_slice(&bits.to_le_bytes());
}

/// An attribute of a number data point, its value in field `kind` of `AnyValue`.
fn put_attribute(out: &mut Vec<u8>, key: &str, kind: u64, value: &[u8]) {
    let (mut any, mut attribute) = (Vec::new(), Vec::new());
    put_bytes(&mut any, kind, value);
    put_bytes(&mut attribute, 1, key.as_bytes());
    put_bytes(&mut attribute, 2, &any);
    put_bytes(out, 7, &attribute);
}

/// ```text
/// schema i32 │ hint u8 │ count, sum, zero threshold, zero count: f64
/// positive, negative: n u32 × (index i32, count f64) │ custom bounds: 0xff_ff_ff_ff, or n u32 × f64        little-endian
/// ```
fn put_native(out: &mut Vec<u8>, histogram: &Histogram) {
    let Histogram { schema, count, sum, zero_threshold, zero_count, .. } = histogram;
    out.extend_from_slice(&schema.to_le_bytes());
    out.push(match histogram.reset_hint {
        ResetHint::Unknown => 0,
        ResetHint::Reset => 1,
        ResetHint::NotReset => 2,
        ResetHint::Gauge => 3,
    });
    for value in [count, sum, zero_threshold, zero_count] {
        out.extend_from_slice(&value.to_bits().to_le_bytes());
    }
    let len = |len: usize| u32::try_from(len).unwrap_or(NO_BOUNDS - 1).to_le_bytes();
    for Buckets(buckets) in [&histogram.positive, &histogram.negative] {
        out.extend_from_slice(&len(buckets.len()));
        for (index, count) in buckets {
            out.extend_from_slice(&index.to_le_bytes());
            out.extend_from_slice(&count.to_bits().to_le_bytes());
        }
    }
    match &histogram.custom_bounds {
        None => out.extend_from_slice(&NO_BOUNDS.to_le_bytes()),
        Some(bounds) => {
            out.extend_from_slice(&len(bounds.len()));
            for bound in &**bounds {
                out.extend_from_slice(&bound.to_bits().to_le_bytes());
            }
        }
    }
}

const NO_BOUNDS: u32 = u32::MAX;

fn read_native(bytes: &[u8]) -> Option<Histogram> {
    let rest = &mut &*bytes;
    let schema = i32::from_le_bytes(take(rest)?);
    let reset_hint = match take::<1>(rest)? {
        [1] => ResetHint::Reset,
        [2] => ResetHint::NotReset,
        [3] => ResetHint::Gauge,
        _ => ResetHint::Unknown,
    };
    let (count, sum, zero_threshold) = (take_f64(rest)?, take_f64(rest)?, take_f64(rest)?);
    let zero_count = take_f64(rest)?;
    let (positive, negative) = (take_buckets(rest)?, take_buckets(rest)?);
    let custom_bounds = match u32::from_le_bytes(take(rest)?) {
        NO_BOUNDS => None,
        len => Some((0..len).map(|_| take_f64(rest)).collect::<Option<_>>()?),
    };
    Some(Histogram {
        schema,
        count,
        sum,
        zero_threshold,
        zero_count,
        positive,
        negative,
        custom_bounds,
        reset_hint,
    })
}

fn take_buckets(rest: &mut &[u8]) -> Option<Buckets> {
    let len = u32::from_le_bytes(take(rest)?);
    let bucket = |_| Some((i32::from_le_bytes(take(rest)?), take_f64(rest)?));
    (0..len).map(bucket).collect::<Option<_>>().map(Buckets)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*bytes)
}

fn take_f64(rest: &mut &[u8]) -> Option<f64> {
    take(rest).map(|bytes| f64::from_bits(u64::from_le_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn native() -> Histogram {
        Histogram {
            schema: 3,
            count: 4.5,
            sum: -1.25,
            zero_threshold: 1e-9,
            zero_count: 0.5,
            positive: Buckets(vec![(-2, 1.5), (7, 2.0)]),
            negative: Buckets(vec![(0, 0.5)]),
            custom_bounds: None,
            reset_hint: ResetHint::Gauge,
        }
    }

    #[test]
    fn what_a_record_holds_is_what_was_put_in() {
        let custom = Histogram {
            schema: sidelight_promql::histogram::CUSTOM_BUCKETS,
            custom_bounds: Some([0.5, 2.0].into()),
            positive: Buckets(vec![(0, 1.0), (2, 3.0)]),
            count: 4.0,
            ..Histogram::default()
        };
        let of = |t_ms, value| Sample { labels: Labels::new([(NAME, "b")]), t_ms, value };
        let samples = Samples(vec![
            Sample::float("a", &[("job", "sidelight"), ("x", "ü\n\"")], 1_700_000_000_001, 0.1),
            Sample::float("a", &[("job", "")], 1_700_000_000_001, f64::NEG_INFINITY),
            of(5, Value::Stale),
            of(6, Value::Native(Arc::new(native()))),
            of(7, Value::Native(Arc::new(custom))),
        ]);
        let record = samples.record();
        assert_eq!((record.signal, record.items), (Signal::Metrics, 0));
        assert!(record.flags.contains(Flags::LOCAL));
        assert_eq!(Samples::read(&record.payload), samples);
        let limits = sidelight_wire::Limits::default();
        let validated = sidelight_wire::validate(Signal::Metrics, &record.payload, &limits);
        assert_eq!(validated.unwrap().items, 5);
    }

    #[test]
    fn many_samples_with_long_labels_are_records_of_bounded_length() {
        let long = "x".repeat(RECORD_BYTES_MAX / 10);
        let of = |n: usize| Sample::float("m", &[("long", &long), ("n", &n.to_string())], 0, 1.0);
        let mut samples = Samples((0..25).map(of).collect());
        let huge = "y".repeat(2 * RECORD_BYTES_MAX);
        samples.0.push(Sample::float("m", &[("huge", &huge)], 0, 1.0));
        let records: Vec<Record> = samples.pieces().map(Samples::record_of).collect();
        let lengths: Vec<usize> = records.iter().map(|record| record.payload.len()).collect();
        assert_eq!(lengths.len(), 4, "{lengths:?}");
        assert!(lengths[..3].iter().all(|length| *length < RECORD_BYTES_MAX + (4 << 10)));
        let read: Vec<Sample> = records.iter().flat_map(|r| Samples::read(&r.payload).0).collect();
        assert_eq!(Samples(read), samples);
        assert_eq!(Samples::default().pieces().count(), 0);
    }

    #[test]
    fn labels_are_sorted_and_empty_ones_left_out() {
        let sample = Sample::float("m", &[("z", "1"), ("b", ""), ("A", "2")], 0, 1.0);
        let labels: Vec<_> = sample.labels.iter().map(|l| (&*l.name, &*l.value)).collect();
        assert_eq!(labels, [("A", "2"), ("__name__", "m"), ("z", "1")]);
    }

    #[test]
    fn bytes_that_are_cut_short_give_fewer_samples_and_no_panic() {
        let labels = Labels::new([(NAME, "b")]);
        let samples =
            Samples(vec![Sample { labels, t_ms: 6, value: Value::Native(Arc::new(native())) }]);
        let whole = samples.record().payload;
        for len in 0..whole.len() {
            assert_eq!(Samples::read(&whole[..len]).0.len(), 0, "{len}");
        }
        let mut bytes = Vec::new();
        put_native(&mut bytes, &native());
        for len in 0..bytes.len() {
            assert_eq!(read_native(&bytes[..len]), None, "{len}");
        }
        assert_eq!(read_native(&bytes), Some(native()));
    }
}
