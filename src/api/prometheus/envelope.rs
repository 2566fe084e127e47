//! Prometheus' envelope of an answer: `{"status":"success","data":…}`. Where there is none it is that of a
//! [`Failure`](crate::api::failure::Failure).

use http::StatusCode;
use serde_json::json;
use sidelight_promql::Annotations;

use crate::api::reply::Reply;

/// An answer: `data` as JSON text, and what is said besides.
#[derive(Debug, Default)]
pub(super) struct Success {
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
