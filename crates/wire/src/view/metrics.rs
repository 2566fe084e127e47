//! Views of a metrics request: metrics and the five kinds of data points.

use super::attribute::OneofMessage;
use super::scope::{envelope, last_text};
use super::{Attributes, Elements, Message, MessageFields, Resource, Scope, Text};
use crate::field::{Fields, RawField, RawValue};
use crate::varint;

mod point;

pub use point::{
    Buckets, Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Number, NumberDataPoint,
    SummaryDataPoint, ValueAtQuantile,
};

envelope!(Request, ResourceMetrics, ScopeMetrics, scope_metrics, Metric, metrics);

/// A metric: name, unit and data points of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Metric<'a> {
    bytes: &'a [u8],
    /// The metric's name.
    pub name: Text<'a>,
    /// What it measures.
    pub description: Text<'a>,
    /// UCUM unit.
    pub unit: Text<'a>,
    /// The data points.
    pub data: Data<'a>,
}

/// The data points of a metric.
#[derive(Clone, Copy, Debug, Default)]
pub enum Data<'a> {
    /// None, or of a kind this version does not know.
    #[default]
    Empty,
    /// Last values.
    Gauge(Points<'a>),
    /// Sums.
    Sum(Points<'a>),
    /// Histograms with explicit bounds.
    Histogram(Points<'a>),
    /// Base-2 exponential histograms.
    ExponentialHistogram(Points<'a>),
    /// Quantiles computed by the source.
    Summary(Points<'a>),
}

/// The data points of one metric and what they have in common.
#[derive(Clone, Copy, Debug)]
pub struct Points<'a>(Message<'a>);

impl<'a> Points<'a> {
    /// `AggregationTemporality`: 1 delta, 2 cumulative, 0 unspecified (or a gauge or summary).
    #[must_use]
    pub fn temporality(self) -> i32 {
        self.last_varint(2) as i32
    }

    /// Whether a sum only grows.
    #[must_use]
    pub fn is_monotonic(self) -> bool {
        self.last_varint(3) != 0
    }

    fn last_varint(self, number: u32) -> u64 {
        let fields = self.0.fields().filter(|field| field.number == number);
        fields.filter_map(|field| field.value.varint()).last().unwrap_or(0)
    }

    /// The points of a gauge or sum.
    pub fn numbers(self) -> impl Iterator<Item = NumberDataPoint<'a>> + Clone {
        self.elements().map(NumberDataPoint::new)
    }

    /// The points of a histogram.
    pub fn histograms(self) -> impl Iterator<Item = HistogramDataPoint<'a>> + Clone {
        self.elements().map(HistogramDataPoint::new)
    }

    /// The points of an exponential histogram.
    pub fn exponential_histograms(
        self,
    ) -> impl Iterator<Item = ExponentialHistogramDataPoint<'a>> + Clone {
        self.elements().map(ExponentialHistogramDataPoint::new)
    }

    /// The points of a summary.
    pub fn summaries(self) -> impl Iterator<Item = SummaryDataPoint<'a>> + Clone {
        self.elements().map(SummaryDataPoint::new)
    }

    /// How many points there are, of whatever kind.
    #[must_use]
    pub fn count(self) -> usize {
        self.elements().count()
    }

    fn elements(self) -> Elements<'a> {
        self.0.elements(1)
    }
}

impl<'a> Metric<'a> {
    /// A view of the bytes of one metric.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        let mut metric = Self { bytes, ..Self::default() };
        let mut oneof = OneofMessage::default();
        for field in Fields::new(bytes, 0) {
            match (field.number, field.value) {
                (1, RawValue::Len(text)) => metric.name = Text(text),
                (2, RawValue::Len(text)) => metric.description = Text(text),
                (3, RawValue::Len(text)) => metric.unit = Text(text),
                (5 | 7 | 9 | 10 | 11, RawValue::Len(part)) => {
                    metric.data = Self::data(&mut oneof, bytes, field.number, part);
                }
                _ => {}
            }
        }
        metric
    }

    fn data(oneof: &mut OneofMessage, bytes: &'a [u8], number: u32, part: &'a [u8]) -> Data<'a> {
        let Some(message) = oneof.member(Message::Whole(bytes), number, Some(part)) else {
            return Data::Empty;
        };
        let points = Points(message);
        match number {
            5 => Data::Gauge(points),
            7 => Data::Sum(points),
            9 => Data::Histogram(points),
            10 => Data::ExponentialHistogram(points),
            _ => Data::Summary(points),
        }
    }

    /// The metadata entries in order.
    #[must_use]
    pub fn metadata(&self) -> Attributes<'a> {
        Attributes::new(Message::Whole(self.bytes), 12)
    }
}

/// Repeated numbers, packed or not, in one part or several.
#[derive(Clone, Debug)]
pub struct Numbers<'a, const VARINT: bool> {
    fields: MessageFields<'a>,
    packed: &'a [u8],
    number: u32,
}

impl<'a, const VARINT: bool> Numbers<'a, VARINT> {
    fn new(message: Message<'a>, number: u32) -> Self {
        Self { fields: message.fields(), packed: &[], number }
    }

    fn next_packed(&mut self) -> Option<u64> {
        if VARINT {
            let (value, next) = varint::read(self.packed, 0)?;
            self.packed = self.packed.get(next..)?;
            return Some(value);
        }
        let (value, rest) = self.packed.split_first_chunk()?;
        self.packed = rest;
        Some(u64::from_le_bytes(*value))
    }
}

impl<const VARINT: bool> Iterator for Numbers<'_, VARINT> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        loop {
            if let Some(value) = self.next_packed() {
                return Some(value);
            }
            match self.fields.next()? {
                RawField { number, .. } if number != self.number => {}
                RawField { value: RawValue::Len(packed), .. } => self.packed = packed,
                RawField { value: RawValue::Fixed64(value), .. } if !VARINT => return Some(value),
                RawField { value: RawValue::Varint(value), .. } if VARINT => return Some(value),
                _ => {}
            }
        }
    }
}
