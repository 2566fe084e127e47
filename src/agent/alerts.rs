//! What the API shows of alerts: rules' list of what is active, and what notifications know.

use std::sync::Arc;

use crate::alert::Alert;
use crate::api::{Alerts, Refused};
use crate::config::Config;
use crate::journal::Journal;
use crate::notify::{Deps, Handle, HistoryError, Notifier, SilenceError};
use crate::telemetry;
use crate::telemetry::Registry;
use crate::time::Clock;

/// Starts a task for everyone who is told of alerts.
pub(super) async fn start(
    config: &Config,
    journal: &Journal,
    registry: &Registry,
    clock: &Arc<dyn Clock>,
) -> Result<Notifier, super::Error> {
    let deps =
        Deps { clock: Arc::clone(clock), registry: registry.clone(), journal: journal.clone() };
    Ok(Notifier::start(config.notify.clone(), deps).await?)
}

/// Gives the alerts that are pending or firing.
pub(super) type Active = Arc<dyn Fn() -> Vec<Alert> + Send + Sync>;

/// Both, as one.
pub(super) struct Shown {
    /// None where there are no rules.
    pub(super) active: Option<Active>,
    pub(super) notifications: Handle,
}

impl Alerts for Shown {
    fn list(&self) -> String {
        let active = self.active.as_ref().map(|active| active());
        self.notifications.alerts(active.as_deref())
    }

    fn receivers(&self) -> String {
        self.notifications.receivers()
    }

    fn alertmanagers(&self) -> serde_json::Value {
        self.notifications.alertmanagers()
    }

    fn silences(&self) -> String {
        self.notifications.silences()
    }

    fn add_silence(&self, body: &[u8]) -> Result<String, Refused> {
        self.notifications.add_silence(body).map_err(silence_refused)
    }

    fn expire_silence(&self, id: &str) -> Result<String, Refused> {
        self.notifications.expire_silence(id).map_err(silence_refused)
    }

    fn history(&self, parameters: &[(String, String)]) -> Result<String, Refused> {
        let parameters = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        self.notifications.history(parameters).map_err(|error| match error {
            HistoryError::Invalid(why) => Refused::Invalid(why),
            HistoryError::Database(_) => Refused::Failed(telemetry::chain(&error)),
        })
    }
}

fn silence_refused(error: SilenceError) -> Refused {
    match error {
        SilenceError::Invalid(why) => Refused::Invalid(why),
        SilenceError::Unknown(_) => Refused::Unknown(error.to_string()),
        SilenceError::Full(_) => Refused::Full(error.to_string()),
        SilenceError::Keep(_) => Refused::Failed(telemetry::chain(&error)),
    }
}
