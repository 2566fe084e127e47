//! What a metric's points are: kind, temporality, and what follows from them.

use sidelight_wire::view::metrics::{Data, Metric, Points};

use super::drops::Reason;
use super::names;
use crate::store::MetricKind;

/// What the points of a metric are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Gauge,
    Sum { monotonic: bool, delta: bool },
    Histogram { delta: bool },
    Exponential { delta: bool },
    Summary,
}

impl Form {
    pub(super) const fn number(self) -> u64 {
        match self {
            Self::Gauge => 0,
            Self::Sum { monotonic, delta } => 1 + monotonic as u64 + 2 * delta as u64,
            Self::Histogram { delta } => 5 + delta as u64,
            Self::Exponential { delta } => 7 + delta as u64,
            Self::Summary => 9,
        }
    }

    pub(super) const fn named_as(self) -> names::Kind {
        match self {
            Self::Gauge => names::Kind::Gauge,
            Self::Sum { monotonic: true, .. } => names::Kind::Counter,
            _ => names::Kind::Other,
        }
    }

    pub(super) const fn shown_as(self) -> MetricKind {
        match self {
            Self::Sum { monotonic: true, .. } => MetricKind::Counter,
            Self::Gauge | Self::Sum { .. } => MetricKind::Gauge,
            Self::Histogram { .. } | Self::Exponential { .. } => MetricKind::Histogram,
            Self::Summary => MetricKind::Summary,
        }
    }
}

/// The points of a metric and what they are.
pub(super) fn form_of<'a>(metric: &Metric<'a>) -> Result<(Points<'a>, Form), Reason> {
    let delta = |points: Points<'_>| match points.temporality() {
        1 => Ok(true),
        2 => Ok(false),
        _ => Err(Reason::Temporality),
    };
    Ok(match metric.data {
        Data::Empty => return Err(Reason::NoValue),
        Data::Gauge(points) => (points, Form::Gauge),
        Data::Sum(points) => {
            (points, Form::Sum { monotonic: points.is_monotonic(), delta: delta(points)? })
        }
        Data::Histogram(points) => (points, Form::Histogram { delta: delta(points)? }),
        Data::ExponentialHistogram(points) => (points, Form::Exponential { delta: delta(points)? }),
        Data::Summary(points) => (points, Form::Summary),
    })
}

/// The time of the first point.
pub(super) fn time_of(points: Points<'_>, form: Form) -> Option<u64> {
    let time = match form {
        Form::Gauge | Form::Sum { .. } => points.numbers().next()?.time_unix_nano,
        Form::Histogram { .. } => points.histograms().next()?.time_unix_nano,
        Form::Exponential { .. } => points.exponential_histograms().next()?.time_unix_nano,
        Form::Summary => points.summaries().next()?.time_unix_nano,
    };
    (time > 0).then_some(time)
}

pub(super) fn points_of(metric: &Metric<'_>) -> u64 {
    match metric.data {
        Data::Empty => 0,
        Data::Gauge(points)
        | Data::Sum(points)
        | Data::Histogram(points)
        | Data::ExponentialHistogram(points)
        | Data::Summary(points) => points.count() as u64,
    }
}
