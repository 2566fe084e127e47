//! The four OTLP signals.

/// Names one OTLP signal; fixes the root message of a request and what counts as an item.
///
/// The discriminants are written to disk by the journal and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Signal {
    /// `ExportTraceServiceRequest`; items are spans.
    Traces = 1,
    /// `ExportMetricsServiceRequest`; items are data points.
    Metrics = 2,
    /// `ExportLogsServiceRequest`; items are log records.
    Logs = 3,
    /// `ExportProfilesServiceRequest`; items are profiles. Forwarded opaque, never concatenated.
    Profiles = 4,
}

impl Signal {
    /// Every signal, in the order of the discriminants.
    pub const ALL: [Self; 4] = [Self::Traces, Self::Metrics, Self::Logs, Self::Profiles];

    /// The name used in configuration, labels and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
            Self::Profiles => "profiles",
        }
    }

    /// The signal with discriminant `code`, or `None` for a code this version does not know.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Traces),
            2 => Some(Self::Metrics),
            3 => Some(Self::Logs),
            4 => Some(Self::Profiles),
            _ => None,
        }
    }

    /// Whether concatenating two requests gives one valid request that means both.
    #[must_use]
    pub const fn concatenates(self) -> bool {
        !matches!(self, Self::Profiles)
    }

    /// A dense index for arrays with one slot per signal.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize - 1
    }
}

impl std::fmt::Display for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
