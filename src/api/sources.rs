//! What the admin endpoint shows and steers, as handles that `agent` gives it.
//!
//! Sources are called once per request, on a blocking thread, and must not wait for anything.

use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::ledger::Ledger;
use super::reply::Reply;
use crate::alert::status::GroupStatus;
use crate::journal::Journal;
use crate::store::Store;
use crate::telemetry::Registry;
use crate::time::Clock;
use crate::views::Definition;

/// Gives the present state of something.
pub type Source<T> = Arc<dyn Fn() -> T + Send + Sync>;

/// Everything behind the routes.
#[derive(Clone)]
pub struct Sources {
    /// Everything that /metrics shows: self-metrics and, as collectors, span metrics and the
    /// ledger's series.
    pub registry: Registry,
    /// The metric store; none where metrics are not kept, or not yet.
    pub store: Source<Option<Store>>,
    /// Why there is no store, for who asks it something.
    pub no_store: Source<String>,
    /// What recorded series mean, in the order of the rule file.
    pub definitions: Arc<[Definition]>,
    /// The step of a subquery that names none, in milliseconds.
    pub subquery_step_ms: Source<i64>,
    /// The most samples that a query holds.
    pub samples_max: usize,
    /// For queries that name no time.
    pub clock: Arc<dyn Clock>,
    /// The groups of rules as they are.
    pub rules: Source<Vec<GroupStatus>>,
    /// What /readyz answers.
    pub readiness: Source<Readiness>,
    /// What became of every item.
    pub ledger: Source<Ledger>,
    /// The table of span metrics, as a JSON document.
    pub spans: Source<String>,
    /// The last requests that a destination refused for good, as a JSON document.
    pub rejected: Source<String>,
    /// The journal, whose files are shown.
    pub journal: Journal,
    /// Journal, destinations, memory and listeners, as a JSON document.
    pub status: Source<String>,
    /// Alerts, silences and their history.
    pub alerts: Arc<dyn Alerts>,
    /// The last operations one by one.
    pub entries: Arc<dyn Entries>,
    /// Takes what operators ask for.
    pub control: mpsc::Sender<Control>,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").field("registry", &self.registry).finish_non_exhaustive()
    }
}

/// Alerts, silences and history as documents. Calls may block on the disk.
pub trait Alerts: Send + Sync {
    /// Alerts that are pending, firing or were over lately, with the silences that cover them.
    fn list(&self) -> String;
    /// How every receiver is doing.
    fn receivers(&self) -> String;
    /// The `data` of Prometheus' `/api/v1/alertmanagers`.
    fn alertmanagers(&self) -> Value;
    /// Silences.
    fn silences(&self) -> String;
    /// Makes a silence of a JSON document.
    ///
    /// # Errors
    /// [`Refused`]: it was not made.
    fn add_silence(&self, body: &[u8]) -> Result<String, Refused>;
    /// Ends a silence.
    ///
    /// # Errors
    /// [`Refused`]: there is none, or it cannot be kept.
    fn expire_silence(&self, id: &str) -> Result<String, Refused>;
    /// Transitions or delivery results.
    ///
    /// # Errors
    /// [`Refused`]: a parameter is wrong, or history cannot be read.
    fn history(&self, parameters: &[(String, String)]) -> Result<String, Refused>;
}

/// Detailed entries as documents.
pub trait Entries: Send + Sync {
    /// The newest that parameters let pass.
    ///
    /// # Errors
    /// [`Refused`]: a parameter says nothing, or nothing is kept.
    fn list(&self, parameters: &[(String, String)]) -> Result<String, Refused>;
    /// How full they are.
    ///
    /// # Errors
    /// [`Refused`]: nothing is kept.
    fn stats(&self) -> Result<String, Refused>;
    /// Lets what is past its time go.
    ///
    /// # Errors
    /// [`Refused`]: nothing is kept.
    fn cleanup(&self) -> Result<String, Refused>;
}

/// Why something that was asked for was not done, in words for whoever asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It cannot be asked like this.
    #[error("{0}")]
    Invalid(String),
    /// There is no such thing.
    #[error("{0}")]
    Unknown(String),
    /// There are too many already.
    #[error("{0}")]
    Full(String),
    /// It is larger than what is shown.
    #[error("{0}")]
    TooLarge(String),
    /// The disk refuses.
    #[error("{0}")]
    Failed(String),
}

impl Refused {
    pub(super) fn into_reply(self) -> Reply {
        let (status, code) = match self {
            Self::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid"),
            Self::Unknown(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::Full(_) => (StatusCode::TOO_MANY_REQUESTS, "full"),
            Self::TooLarge(_) => (StatusCode::UNPROCESSABLE_ENTITY, "too_large"),
            Self::Failed(_) => (StatusCode::INTERNAL_SERVER_ERROR, "failed"),
        };
        Reply::error(status, code, &self.to_string())
    }
}

/// Whether the agent can take in and pass on telemetry.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Readiness {
    /// Whether senders should send here.
    pub ready: bool,
    /// Why not, or what is wrong though it is ready, in a sentence each.
    pub reasons: Vec<String>,
    /// Those of the reasons for which it is not ready; absent when it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocking: Vec<String>,
    /// Until the journal is full if nothing more is delivered and data goes on arriving as in the last minute; absent when
    /// nothing arrives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal_seconds_left: Option<f64>,
}

impl Readiness {
    /// The document of /readyz.
    pub(super) fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Document<'a> {
            schema_version: u32,
            #[serde(flatten)]
            readiness: &'a Readiness,
        }
        let document = Document { schema_version: 1, readiness: self };
        serde_json::to_string(&document).unwrap_or_default()
    }
}

/// What an operator asked for.
#[derive(Debug)]
pub enum Control {
    /// Read the configuration again. The answer says what changed, or every finding.
    Reload(oneshot::Sender<Result<String, String>>),
    /// Drain and stop.
    Quit,
}
