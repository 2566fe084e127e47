//! The alerts of groups on disk and back.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::alerting::Alerts;
use super::file::Kind;
use super::group::Group;
use super::rule::Rule;
use super::state::{Change, Evaluated, Known, RuleKey, Stamp, State, StateError};
use crate::alert::{Alert, Outbox, State as AlertState};
use crate::telemetry;
use crate::telemetry::Counter;
use crate::time::UnixNano;

/// How often it is written that a group is evaluated: not with each evaluation, of which there may be one a second.
const EVALUATED_EVERY: Duration = Duration::from_secs(60);

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
pub(super) fn restore<'a>(groups: impl IntoIterator<Item = &'a Group>, known: Known) {
    let Known { mut alerts, evaluated, epoch } = known;
    for group in groups {
        let left_at = evaluated.get(&(group.file.clone(), group.name.clone())).copied();
        for (key, rule) in keys(group) {
            let Some(mut own) = alerts.remove(&key) else { continue };
            let saved = own.iter().map(|alert| (alert.labels.clone(), Some(Stamp::of(alert))));
            let saved = saved.collect();
            // Handed over is not told: a kill may have been faster. Receivers know a repeated one.
            for alert in &mut own {
                alert.last_sent_at = None;
            }
            rule.restore(Alerts::restored(own, left_at), saved, epoch);
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
    let evaluated = evaluated(group);
    if changes.is_empty() && evaluated.is_none() {
        return Ok(());
    }
    let at = evaluated.as_ref().map(|evaluated| evaluated.at);
    state.save(changes, evaluated)?;
    state.note_success();
    if let Some(at) = at {
        group.evaluated_on_disk.store(at.0, Ordering::Relaxed);
    }
    for (_, rule) in keys(group) {
        // The one that the changes were found by: another group may have begun a new file since.
        rule.live().saved(epoch);
    }
    Ok(())
}

/// The last evaluation, where that is to be written: an alert is pending, and what is on disk is too old.
fn evaluated(group: &Group) -> Option<Evaluated> {
    let at = group.last().at?;
    let before = UnixNano(group.evaluated_on_disk.load(Ordering::Relaxed));
    let is_pending = |alert: &Alert| alert.state == AlertState::Pending;
    let pending = |rule: &Rule| rule.live().alerts.active().any(is_pending);
    // Where the clock went back, too.
    let due = at < before || at.since(before) >= EVALUATED_EVERY;
    let wanted = due && group.rules.iter().any(pending);
    wanted.then(|| Evaluated { file: group.file.clone(), group: group.name.clone(), at })
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
    /// Writes what changed. Where that fails, or the disk takes too long, alerts are told all the same.
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

/// Deletes the alerts of every rule that is not in `groups`, but for those of files that were left out.
///
/// # Errors
/// [`StateError`]: they are still there.
pub(super) fn forget_others<'a>(
    groups: impl IntoIterator<Item = &'a Group>,
    left_out: Vec<String>,
    state: &State,
) -> Result<(), StateError> {
    let keys: Vec<RuleKey> = groups.into_iter().flat_map(keys).map(|(key, _)| key).collect();
    state.keep_only(keys, left_out)
}
