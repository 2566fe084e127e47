//! Data points and what hangs on them.

use super::Numbers;
use crate::field::{Fields, RawValue};
use crate::view::{Attributes, Message, Run};

/// An integer or a floating-point number: the type of the value may change within a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// `as_int`.
    Int(i64),
    /// `as_double`.
    Double(f64),
}

impl Number {
    /// The value as a floating-point number, rounded beyond 2^53.
    #[must_use]
    pub const fn as_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Double(value) => value,
        }
    }
}

/// The `flags` bit that says the series has no value at this time: it ended.
const NO_RECORDED_VALUE: u32 = 1;

/// Methods and fields that all data points share.
macro_rules! point {
    ($point:ident, attributes: $attributes:literal, exemplars: $exemplars:literal) => {
        point!($point, attributes: $attributes);
        impl<'a> $point<'a> {
            /// The exemplars in order.
            pub fn exemplars(&self) -> impl Iterator<Item = Exemplar<'a>> + Clone + use<'a> {
                Message::Whole(self.bytes).elements($exemplars).map(Exemplar::new)
            }
        }
    };
    ($point:ident, attributes: $attributes:literal) => {
        impl<'a> $point<'a> {
            /// The attributes in order.
            #[must_use]
            pub fn attributes(&self) -> Attributes<'a> {
                Attributes::new(self.attributes.within(self.bytes), $attributes)
            }

            /// Whether `NO_RECORDED_VALUE` is set: the values mean nothing and the series ends.
            #[must_use]
            pub const fn is_stale(&self) -> bool {
                self.flags & NO_RECORDED_VALUE != 0
            }
        }
    };
}

/// A point of a gauge or sum.
#[derive(Clone, Copy, Debug, Default)]
pub struct NumberDataPoint<'a> {
    bytes: &'a [u8],
    /// When counting began, in nanoseconds since the Unix epoch; 0 if unknown.
    pub start_time_unix_nano: u64,
    /// When the value was taken, in nanoseconds since the Unix epoch.
    pub time_unix_nano: u64,
    /// The value; `None` makes the point invalid.
    pub value: Option<Number>,
    /// `DataPointFlags`.
    pub flags: u32,
    attributes: Run,
}

impl<'a> NumberDataPoint<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut point = Self { bytes, ..Self::default() };
        for field in Fields::new(bytes, 0) {
            match (field.number, field.value) {
                (2, RawValue::Fixed64(time)) => point.start_time_unix_nano = time,
                (3, RawValue::Fixed64(time)) => point.time_unix_nano = time,
                (4, RawValue::Fixed64(bits)) => {
                    point.value = Some(Number::Double(f64::from_bits(bits)))
                }
                (6, RawValue::Fixed64(bits)) => point.value = Some(Number::Int(bits as i64)),
                (7, RawValue::Len(_)) => point.attributes.extend(&field),
                (8, RawValue::Varint(flags)) => point.flags = flags as u32,
                _ => {}
            }
        }
        point
    }
}

point!(NumberDataPoint, attributes: 7, exemplars: 5);

/// A point of a histogram with explicit bounds.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistogramDataPoint<'a> {
    bytes: &'a [u8],
    /// When counting began, in nanoseconds since the Unix epoch; 0 if unknown.
    pub start_time_unix_nano: u64,
    /// When the value was taken, in nanoseconds since the Unix epoch.
    pub time_unix_nano: u64,
    /// Measurements.
    pub count: u64,
    /// Sum of the measurements, if known.
    pub sum: Option<f64>,
    /// Smallest measurement, if known.
    pub min: Option<f64>,
    /// Largest measurement, if known.
    pub max: Option<f64>,
    /// `DataPointFlags`.
    pub flags: u32,
    attributes: Run,
    bucket_counts: Run,
    explicit_bounds: Run,
}

impl<'a> HistogramDataPoint<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut point = Self { bytes, ..Self::default() };
        for field in Fields::new(bytes, 0) {
            match (field.number, field.value) {
                (2, RawValue::Fixed64(time)) => point.start_time_unix_nano = time,
                (3, RawValue::Fixed64(time)) => point.time_unix_nano = time,
                (4, RawValue::Fixed64(count)) => point.count = count,
                (5, RawValue::Fixed64(bits)) => point.sum = Some(f64::from_bits(bits)),
                (6, RawValue::Len(_) | RawValue::Fixed64(_)) => point.bucket_counts.extend(&field),
                (7, RawValue::Len(_) | RawValue::Fixed64(_)) => {
                    point.explicit_bounds.extend(&field)
                }
                (9, RawValue::Len(_)) => point.attributes.extend(&field),
                (10, RawValue::Varint(flags)) => point.flags = flags as u32,
                (11, RawValue::Fixed64(bits)) => point.min = Some(f64::from_bits(bits)),
                (12, RawValue::Fixed64(bits)) => point.max = Some(f64::from_bits(bits)),
                _ => {}
            }
        }
        point
    }

    /// Counts of the buckets, one more than there are bounds, or none.
    #[must_use]
    pub fn bucket_counts(&self) -> Numbers<'a, false> {
        Numbers::new(self.bucket_counts.within(self.bytes), 6)
    }

    /// Upper bounds of the buckets but the last, ascending, inclusive.
    pub fn explicit_bounds(&self) -> impl Iterator<Item = f64> + Clone + use<'a> {
        Numbers::<false>::new(self.explicit_bounds.within(self.bytes), 7).map(f64::from_bits)
    }
}

point!(HistogramDataPoint, attributes: 9, exemplars: 8);

/// A point of a base-2 exponential histogram.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExponentialHistogramDataPoint<'a> {
    bytes: &'a [u8],
    /// When counting began, in nanoseconds since the Unix epoch; 0 if unknown.
    pub start_time_unix_nano: u64,
    /// When the value was taken, in nanoseconds since the Unix epoch.
    pub time_unix_nano: u64,
    /// Measurements.
    pub count: u64,
    /// Sum of the measurements, if known.
    pub sum: Option<f64>,
    /// Bucket boundaries are powers of `2^(2^-scale)`.
    pub scale: i32,
    /// Measurements within the zero threshold.
    pub zero_count: u64,
    /// The width of the zero bucket.
    pub zero_threshold: f64,
    /// Smallest measurement, if known.
    pub min: Option<f64>,
    /// Largest measurement, if known.
    pub max: Option<f64>,
    /// `DataPointFlags`.
    pub flags: u32,
    attributes: Run,
}

impl<'a> ExponentialHistogramDataPoint<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut point = Self { bytes, ..Self::default() };
        for field in Fields::new(bytes, 0) {
            match (field.number, field.value) {
                (1, RawValue::Len(_)) => point.attributes.extend(&field),
                (2, RawValue::Fixed64(time)) => point.start_time_unix_nano = time,
                (3, RawValue::Fixed64(time)) => point.time_unix_nano = time,
                (4, RawValue::Fixed64(count)) => point.count = count,
                (5, RawValue::Fixed64(bits)) => point.sum = Some(f64::from_bits(bits)),
                (6, RawValue::Varint(bits)) => point.scale = zigzag(bits),
                (7, RawValue::Fixed64(count)) => point.zero_count = count,
                (10, RawValue::Varint(flags)) => point.flags = flags as u32,
                (12, RawValue::Fixed64(bits)) => point.min = Some(f64::from_bits(bits)),
                (13, RawValue::Fixed64(bits)) => point.max = Some(f64::from_bits(bits)),
                (14, RawValue::Fixed64(bits)) => point.zero_threshold = f64::from_bits(bits),
                _ => {}
            }
        }
        point
    }

    /// Buckets of positive measurements.
    #[must_use]
    pub fn positive(&self) -> Buckets<'a> {
        Buckets(Message::Whole(self.bytes).child(8).unwrap_or_default())
    }

    /// Buckets of negative measurements, by absolute value.
    #[must_use]
    pub fn negative(&self) -> Buckets<'a> {
        Buckets(Message::Whole(self.bytes).child(9).unwrap_or_default())
    }
}

point!(ExponentialHistogramDataPoint, attributes: 1, exemplars: 11);

/// One side of an exponential histogram.
#[derive(Clone, Copy, Debug, Default)]
pub struct Buckets<'a>(Message<'a>);

impl<'a> Buckets<'a> {
    /// Index of the first bucket.
    #[must_use]
    pub fn offset(self) -> i32 {
        let fields = self.0.fields().filter(|field| field.number == 1);
        fields.filter_map(|field| field.value.varint()).last().map_or(0, zigzag)
    }

    /// Counts of the buckets from the first on.
    #[must_use]
    pub fn bucket_counts(self) -> Numbers<'a, true> {
        Numbers::new(self.0, 2)
    }
}

const fn zigzag(bits: u64) -> i32 {
    let bits = bits as u32;
    (bits >> 1) as i32 ^ -((bits & 1) as i32)
}

/// A point of a summary.
#[derive(Clone, Copy, Debug, Default)]
pub struct SummaryDataPoint<'a> {
    bytes: &'a [u8],
    /// When counting began, in nanoseconds since the Unix epoch; 0 if unknown.
    pub start_time_unix_nano: u64,
    /// When the value was taken, in nanoseconds since the Unix epoch.
    pub time_unix_nano: u64,
    /// Measurements.
    pub count: u64,
    /// Sum of the measurements.
    pub sum: f64,
    /// `DataPointFlags`.
    pub flags: u32,
    attributes: Run,
}

impl<'a> SummaryDataPoint<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut point = Self { bytes, ..Self::default() };
        for field in Fields::new(bytes, 0) {
            match (field.number, field.value) {
                (2, RawValue::Fixed64(time)) => point.start_time_unix_nano = time,
                (3, RawValue::Fixed64(time)) => point.time_unix_nano = time,
                (4, RawValue::Fixed64(count)) => point.count = count,
                (5, RawValue::Fixed64(bits)) => point.sum = f64::from_bits(bits),
                (7, RawValue::Len(_)) => point.attributes.extend(&field),
                (8, RawValue::Varint(flags)) => point.flags = flags as u32,
                _ => {}
            }
        }
        point
    }

    /// The quantiles in order.
    pub fn quantile_values(&self) -> impl Iterator<Item = ValueAtQuantile> + Clone + use<'a> {
        Message::Whole(self.bytes).elements(6).map(ValueAtQuantile::new)
    }
}

point!(SummaryDataPoint, attributes: 7);

/// One quantile of a summary.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ValueAtQuantile {
    /// 0 to 1.
    pub quantile: f64,
    /// The value at the quantile.
    pub value: f64,
}

impl ValueAtQuantile {
    fn new(bytes: &[u8]) -> Self {
        let mut out = Self::default();
        for field in Fields::new(bytes, 0) {
            match (field.number, field.value) {
                (1, RawValue::Fixed64(bits)) => out.quantile = f64::from_bits(bits),
                (2, RawValue::Fixed64(bits)) => out.value = f64::from_bits(bits),
                _ => {}
            }
        }
        out
    }
}

/// A measurement with the span it was made in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exemplar<'a> {
    bytes: &'a [u8],
    /// When it was measured, in nanoseconds since the Unix epoch.
    pub time_unix_nano: u64,
    /// The measurement.
    pub value: Option<Number>,
    /// 8 bytes if usable.
    pub span_id: &'a [u8],
    /// 16 bytes if usable.
    pub trace_id: &'a [u8],
}

impl<'a> Exemplar<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let mut exemplar = Self { bytes, ..Self::default() };
        for field in Fields::new(bytes, 0) {
            match (field.number, field.value) {
                (2, RawValue::Fixed64(time)) => exemplar.time_unix_nano = time,
                (3, RawValue::Fixed64(bits)) => {
                    exemplar.value = Some(Number::Double(f64::from_bits(bits)));
                }
                (4, RawValue::Len(id)) => exemplar.span_id = id,
                (5, RawValue::Len(id)) => exemplar.trace_id = id,
                (6, RawValue::Fixed64(bits)) => exemplar.value = Some(Number::Int(bits as i64)),
                _ => {}
            }
        }
        exemplar
    }

    /// The attributes that were not kept on the point.
    #[must_use]
    pub fn filtered_attributes(&self) -> Attributes<'a> {
        Attributes::new(Message::Whole(self.bytes), 7)
    }
}
