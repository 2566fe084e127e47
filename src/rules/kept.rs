//! The alerts of groups on disk and back.

use super::alerting::Alerts;
use super::file::Kind;
use super::group::Group;
use super::rule::Rule;
use super::state::{Change, RuleKey, Stamp, State, StateError};
use crate::alert::{Alert, Outbox};
use crate::telemetry;
use crate::telemetry::Counter;

/// The alerting rules of a group.
fn keys(group: &Group) -> Vec<(RuleKey, &Rule)> {
    let mut keys: Vec<(RuleKey, &Rule)> = Vec::new();
    for rule in &group.rules {
        if matches!(rule.spec.kind, Kind::Recording) {
            continue;
        }
        let same = keys.iter().filter(|(_, other)| other.identity() == rule.identity());
        let key = RuleKey {
            nth: u32::try_from(same.count()).unwrap_or(u32::MAX),
            file: group.file.clone(),
            group: group.name.clone(),
            rule: rule.spec.name.text.clone(),
            labels: rule.labels.clone(),
        };
        keys.push((key, rule));
    }
    keys
}

/// Gives the rules of groups that were never evaluated the alerts that they had when the agent ended.
pub(super) fn restore(groups: &[Group], state: &State) {
    let mut known = state.load();
    for (key, rule) in groups.iter().flat_map(keys) {
        if let Some(mut alerts) = known.remove(&key) {
            let saved = alerts.iter().map(|alert| (alert.labels.clone(), Stamp::of(alert)));
            let saved = saved.collect();
            // Handed over is not told: a kill may have been faster. Receivers know a repeated one.
            for alert in &mut alerts {
                alert.last_sent_at = None;
            }
            rule.restore(Alerts::restored(alerts), saved, state.epoch());
        }
    }
}

/// Writes what changed since the last time.
///
/// # Errors
/// [`StateError`]: the next call writes it.
pub(super) fn save(group: &Group, state: &State) -> Result<(), StateError> {
    let epoch = state.epoch();
    let changes: Vec<(RuleKey, Vec<Change>)> = keys(group)
        .into_iter()
        .map(|(key, rule)| (key, rule.live().changes(epoch)))
        .filter(|(_, changes)| !changes.is_empty())
        .collect();
    if changes.is_empty() {
        return Ok(());
    }
    state.save(&changes)?;
    state.note_success();
    for (_, rule) in keys(group) {
        // The one that the changes were found by: another group may have begun a new file since.
        rule.live().saved(epoch);
    }
    Ok(())
}

/// Tells of alerts that are on disk: one that is told and then forgotten by a kill would begin a second time.
#[derive(Debug)]
pub(super) struct SavedFirst<'a> {
    pub(super) group: &'a Group,
    pub(super) state: &'a State,
    /// Counts what the disk did not take.
    pub(super) failures: &'a Counter,
    pub(super) outbox: &'a dyn Outbox,
}

impl SavedFirst<'_> {
    /// Writes what changed. Where that fails alerts are told all the same.
    pub(super) fn save(&self) {
        let saved = save(self.group, self.state);
        if let Err(error) = saved {
            self.failures.add(1);
            let (group, error) = (&self.group.name, telemetry::chain(&error));
            if self.state.note_failure() {
                tracing::error!(group, error, "alerts are not on disk: a restart forgets them");
            } else {
                tracing::debug!(group, error, "alerts are not on disk: a restart forgets them");
            }
        }
    }
}

impl Outbox for SavedFirst<'_> {
    fn notify(&self, alerts: Vec<Alert>) {
        self.save();
        self.outbox.notify(alerts);
    }
}

/// Deletes the alerts of every rule that is not in `groups`.
///
/// # Errors
/// [`StateError`]: they are still there.
pub(super) fn forget_others<'a>(
    groups: impl IntoIterator<Item = &'a Group>,
    state: &State,
) -> Result<(), StateError> {
    let keys: Vec<RuleKey> = groups.into_iter().flat_map(keys).map(|(key, _)| key).collect();
    state.keep_only(&keys)
}
