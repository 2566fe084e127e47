//! Prometheus' envelope: `{"status":"success","data":…}` or `{"status":"error","errorType":…}`.

use http::StatusCode;
use serde_json::json;
use sidelight_promql::Annotations;

use crate::api::reply::Reply;

/// An answer: `data` as JSON text, and what is said besides.
#[derive(Debug, Default)]
pub(in crate::api) struct Success {
    pub(super) data: String,
    pub(super) annotations: Annotations,
    pub(super) warnings: Vec<String>,
}

impl Success {
    pub(super) fn new(data: String) -> Self {
        Self { data, ..Self::default() }
    }

    pub(super) fn value(data: &serde_json::Value) -> Self {
        Self::new(data.to_string())
    }

    /// Cuts `rows` at `limit` (0: none) and says so.
    pub(super) fn cut<T>(rows: &mut Vec<T>, limit: usize) -> Vec<String> {
        if limit == 0 || rows.len() <= limit {
            return Vec::new();
        }
        rows.truncate(limit);
        vec!["results truncated due to limit".to_owned()]
    }

    pub(super) fn into_reply(self) -> Reply {
        let Self { data: mut document, annotations, mut warnings } = self;
        warnings.extend(annotations.warnings().map(str::to_owned));
        let infos: Vec<_> = annotations.infos().collect();
        document.insert_str(0, r#"{"status":"success","data":"#);
        for (name, texts) in [("warnings", json!(warnings)), ("infos", json!(infos))] {
            if texts.as_array().is_some_and(|texts| !texts.is_empty()) {
                document.push_str(&format!(r#","{name}":{texts}"#));
            }
        }
        document.push('}');
        Reply::json(StatusCode::OK, document)
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::api) enum Failure {
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
    pub(in crate::api) fn parameter(name: &str, why: impl std::fmt::Display) -> Self {
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

    pub(in crate::api) fn into_reply(self) -> Reply {
        let (status, kind) = self.kind();
        let document = json!({ "status": "error", "errorType": kind, "error": self.to_string() });
        Reply::json(status, document.to_string())
    }
}
