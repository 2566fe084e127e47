//! The three signals that leave the process, and one value for each.

use std::fmt;

/// What an OTLP request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metric data points.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// All three, in the order in which they are shut down.
    pub const ALL: [Self; 3] = [Self::Metrics, Self::Traces, Self::Logs];

    /// `traces`, `metrics` or `logs`: the word in OTLP's HTTP paths.
    ///
    /// ```
    /// use sidelight::init::Signal;
    ///
    /// assert_eq!(Signal::ALL.map(Signal::as_str), ["metrics", "traces", "logs"]);
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    /// The word in environment variables.
    pub(crate) const fn in_variables(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
            Self::Logs => "LOGS",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One value for each signal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PerSignal<T> {
    pub(crate) traces: T,
    pub(crate) metrics: T,
    pub(crate) logs: T,
}

impl<T> PerSignal<T> {
    pub(crate) fn new(mut value: impl FnMut(Signal) -> T) -> Self {
        Self {
            traces: value(Signal::Traces),
            metrics: value(Signal::Metrics),
            logs: value(Signal::Logs),
        }
    }

    pub(crate) fn get(&self, signal: Signal) -> &T {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Metrics => &self.metrics,
            Signal::Logs => &self.logs,
        }
    }
}
