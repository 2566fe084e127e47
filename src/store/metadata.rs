//! What is known of a metric family besides its samples: type, help, unit.

/// The type of a family, as Prometheus names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MetricKind {
    /// Nothing is known.
    #[default]
    Unknown = 0,
    /// Only ever grows.
    Counter = 1,
    /// Goes up and down.
    Gauge = 2,
    /// Classic or native.
    Histogram = 3,
    /// Quantiles made by the sender.
    Summary = 4,
    /// Constant 1; its labels are what counts.
    Info = 5,
}

impl MetricKind {
    /// Every type, in the order of the discriminants.
    pub const ALL: [Self; 6] =
        [Self::Unknown, Self::Counter, Self::Gauge, Self::Histogram, Self::Summary, Self::Info];

    /// The word of `/api/v1/metadata`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Info => "info",
        }
    }

    /// The type with discriminant `code`, or `None` for a code this version does not know.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|&kind| kind as u8 == code)
    }
}

/// Metadata of one family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Its type.
    pub kind: MetricKind,
    /// OTLP's description; at most 1 KiB is kept.
    pub help: String,
    /// The unit as OTLP has it.
    pub unit: String,
}
