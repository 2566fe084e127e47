//! Why a rule has no result.

/// An evaluation without a result: the rule is unhealthy until one succeeds. Its words are those of Prometheus where
/// Prometheus has them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// The expression has no value.
    #[error("{0}")]
    Query(String),
    /// Two alerts with the same labels.
    #[error("vector contains metrics with the same labelset after applying alert labels")]
    DuplicateAlerts,
    /// Two series with the same labels.
    #[error("vector contains metrics with the same labelset after applying rule labels")]
    DuplicateSeries,
    /// More alerts than the rule may have: of its group none is left then, of the agent's own limit those within it.
    #[error("exceeded limit of {limit} with {found} alerts")]
    Alerts {
        /// The most.
        limit: usize,
        /// How many there were.
        found: usize,
    },
    /// More series than the rule may have.
    #[error("exceeded limit of {limit} with {found} series")]
    Series {
        /// The most.
        limit: usize,
        /// How many there were.
        found: usize,
    },
    /// More text in labels and annotations than the rule's alerts may have: those within it are left.
    #[error("exceeded limit of {limit} bytes of labels and annotations")]
    Text {
        /// The most.
        limit: usize,
    },
    /// The rules before it used up the time of their group.
    #[error(
        "the rules before it in the group took longer than the {limit:?} that all of them have"
    )]
    GroupTime {
        /// What they have.
        limit: std::time::Duration,
    },
    /// The result cannot be kept.
    #[error("cannot keep the result: {0}")]
    Append(String),
}

impl EvaluationError {
    /// Whether there is more than the group says.
    pub(super) const fn is_limit(&self) -> bool {
        matches!(self, Self::Alerts { .. } | Self::Series { .. })
    }
}
