//! Why a call has no answer, as the Prometheus API says it: `{"status":"error","errorType":…}`.

use http::StatusCode;
use serde_json::json;
use sidelight_promql::engine::QueryError;

use super::reply::Reply;
use crate::store::StoreError;
use crate::telemetry;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// A parameter is missing or wrong.
    #[error("{0}")]
    BadData(String),
    /// The expression cannot be evaluated over these series, or needs more than a limit allows.
    #[error("{0}")]
    Execution(String),
    /// It took too long.
    #[error("{0}")]
    Timeout(String),
    /// Whoever asked has gone.
    #[error("{0}")]
    Canceled(String),
    /// There is no store to ask.
    #[error("{0}")]
    Unavailable(String),
    /// The store cannot answer.
    #[error("{0}")]
    Internal(String),
}

impl Failure {
    /// A parameter that cannot be used, worded as Prometheus does.
    pub(super) fn parameter(name: &str, why: impl std::fmt::Display) -> Self {
        Self::BadData(format!("invalid parameter \"{name}\": {why}"))
    }

    const fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::BadData(_) => (StatusCode::BAD_REQUEST, "bad_data"),
            Self::Execution(_) => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
            Self::Timeout(_) => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
            Self::Canceled(_) => (StatusCode::SERVICE_UNAVAILABLE, "canceled"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }

    pub(super) fn into_reply(self) -> Reply {
        let (status, kind) = self.kind();
        let document = json!({ "status": "error", "errorType": kind, "error": self.to_string() });
        Reply::json(status, document.to_string())
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        let message = error.to_string();
        match error {
            QueryError::BadData(_) => Self::BadData(message),
            QueryError::Expression(_) => Self::parameter("query", message),
            QueryError::Execution(_) => Self::Execution(message),
            QueryError::Timeout => Self::Timeout(message),
            QueryError::Canceled => Self::Canceled(message),
            QueryError::Source(source) => match source.0.downcast_ref::<StoreError>() {
                Some(limit @ StoreError::TooMany(_)) => Self::Execution(limit.to_string()),
                _ => Self::Internal(format!("{message}: {source}")),
            },
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Internal(telemetry::chain(&error))
    }
}

#[cfg(test)]
mod tests {
    use sidelight_promql::SourceError;

    use super::*;

    #[test]
    fn too_many_series_are_a_limit_of_the_query_and_no_fault_of_the_store() {
        let of = |error| Failure::from(QueryError::Source(SourceError(Box::new(error))));
        let limit = "the selector matches more than 5 series".to_owned();
        assert_eq!(of(StoreError::TooMany(5)), Failure::Execution(limit));
        assert!(matches!(of(StoreError::Stopped), Failure::Internal(_)));
    }
}
