//! The alerts of one alerting rule: pending, firing, over. Pure.
//!
//! ```text
//!            there                    for >= hold                    gone, and kept long enough
//! (unknown) ───────▶ pending ────────────────────▶ firing ───────────────────────▶ inactive ─ 15 min ─▶ (unknown)
//!     ▲                 │ gone                        │ hold was raised
//!     └─────────────────┘                 pending ◀───┘
//! ```
//! An alert is the same one as long as its labels are. A clock that went back cannot leave a time of the future in an
//! alert: such a time becomes the present one. What fired before a restart and is not there after it fires until receivers
//! hold it for over, as if nothing had been said since: a short downtime ends nothing, and what ended in a long one is over at
//! once. Prometheus says nothing more of it either, and its receivers end it at that time.
//!
//! Limits: [`ALERTS_MAX`] alerts and [`TEXT_BYTES_MAX`] of text per rule, or the group's `limit` if that is lower.
//!
//! Source: Prometheus 3.15, `rules/alerting.go`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use sidelight_promql::Labels;
use sidelight_promql::labels::NAME;

use super::error::EvaluationError;
use crate::alert::{Alert, Pairs, State, fingerprint};
use crate::signal::samples::Value;
use crate::time::UnixNano;

/// The series that are 1 while an alert is pending or firing.
const ALERTS: &str = "ALERTS";
/// Their label that says which.
const ALERT_STATE: &str = "alertstate";
/// The series that hold when an alert was first there, in seconds since the Unix epoch.
const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";

/// The most alerts of a rule.
pub(super) const ALERTS_MAX: usize = 10_000;
/// The most bytes of labels and annotations of a rule's alerts.
pub const TEXT_BYTES_MAX: usize = 16 << 20;

/// How long an alert is kept and told that is over.
const RESOLVED_RETENTION: Duration = Duration::from_secs(15 * 60);

/// The longest that receivers are told to hold an alert for firing, in seconds: four times an interval of 15 minutes.
const RESTORED_MAX: u64 = 3_600;

/// When alerts fire, and how many there may be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Terms {
    pub(super) hold: Duration,
    pub(super) keep_firing_for: Duration,
    /// 0: as many as [`ALERTS_MAX`].
    pub(super) limit: usize,
}

/// An alert as the expression has it at one time: labels and annotations expanded.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) labels: Pairs,
    pub(super) annotations: Pairs,
    pub(super) value: f64,
}

/// The alerts of one rule by their labels.
#[derive(Clone, Debug, Default)]
pub(super) struct Alerts {
    known: BTreeMap<Pairs, Alert>,
    /// Those that fired when the agent ended and were not there since, with when receivers hold them for over.
    unconfirmed: BTreeMap<Pairs, UnixNano>,
}

impl Alerts {
    /// Alerts as they were left.
    pub(super) fn restored(alerts: impl IntoIterator<Item = Alert>) -> Self {
        let known: BTreeMap<Pairs, Alert> =
            alerts.into_iter().map(|alert| (alert.labels.clone(), alert)).collect();
        let there =
            |alert: &&Alert| alert.state == State::Firing && alert.keep_firing_since.is_none();
        let until = |alert: &Alert| alert.valid_until.unwrap_or(alert.active_at);
        let unconfirmed = known.values().filter(there);
        let unconfirmed = unconfirmed.map(|alert| (alert.labels.clone(), until(alert)));
        Self { unconfirmed: unconfirmed.collect(), known }
    }

    /// Every alert, those that are over among them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Alert> {
        self.known.values()
    }

    /// Forgets every one.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Those that are pending or firing.
    pub(super) fn active(&self) -> impl Iterator<Item = &Alert> {
        self.all().filter(|alert| alert.state != State::Inactive)
    }

    /// [`ALERTS`] and [`ALERTS_FOR_STATE`] of those that are pending or firing.
    pub(super) fn samples(&self) -> Vec<(Labels, Value)> {
        let mut samples = Vec::new();
        for alert in self.active() {
            let mut labels = alert.labels.clone();
            let since = series(ALERTS_FOR_STATE, &labels);
            labels.retain(|(name, _)| name != ALERT_STATE);
            labels.push((ALERT_STATE.to_owned(), alert.state.name().to_owned()));
            samples.push((series(ALERTS, &labels), Value::Float(1.0)));
            #[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^53")]
            let seconds = (alert.active_at.0 / 1_000_000_000) as f64;
            samples.push((since, Value::Float(seconds)));
        }
        samples
    }

    /// Moves every alert on to `now`, when the expression had `seen`.
    ///
    /// # Errors
    /// Two of `seen` have the same labels: nothing changed. Or there are too many: no alert is left.
    pub(super) fn evaluate(
        &mut self,
        seen: Vec<Seen>,
        now: UnixNano,
        terms: Terms,
        generator_url: &str,
    ) -> Result<(), EvaluationError> {
        let mut there: BTreeMap<Pairs, Seen> = BTreeMap::new();
        for one in seen {
            if there.insert(one.labels.clone(), one).is_some() {
                return Err(EvaluationError::DuplicateAlerts);
            }
        }
        let Self { known, unconfirmed } = self;
        known.retain(|labels, alert| {
            clamp(alert, now);
            let seen = there.remove(labels);
            if seen.is_some() {
                unconfirmed.remove(labels);
            }
            match seen {
                Some(one) if alert.state == State::Inactive => {
                    *alert = first(one, now, generator_url)
                }
                Some(one) => {
                    (alert.value, alert.annotations) = (one.value, one.annotations);
                    generator_url.clone_into(&mut alert.generator_url);
                    alert.keep_firing_since = None;
                }
                None => {
                    // A clock that went back makes it no longer than what anyone is ever told.
                    let held =
                        |until: &UnixNano| (1..=RESTORED_MAX).contains(&until.since(now).as_secs());
                    if alert.state == State::Firing && unconfirmed.get(labels).is_some_and(held) {
                        if !terms.keep_firing_for.is_zero() {
                            alert.keep_firing_since.get_or_insert(now);
                        }
                        return true;
                    }
                    unconfirmed.remove(labels);
                    return gone(alert, now, terms.keep_firing_for);
                }
            }
            true
        });
        for (labels, one) in there {
            if let Entry::Vacant(entry) = self.known.entry(labels) {
                entry.insert(first(one, now, generator_url));
            }
        }
        for alert in self.known.values_mut().filter(|alert| alert.state != State::Inactive) {
            fire(alert, now, terms);
        }
        self.within_limits(terms)
    }

    fn within_limits(&mut self, terms: Terms) -> Result<(), EvaluationError> {
        let limit = most(terms.limit);
        let found = self.active().count();
        let text = |alert: &Alert| text_bytes(&alert.labels) + text_bytes(&alert.annotations);
        let bytes: usize = self.all().map(text).sum();
        let error = if found > limit {
            EvaluationError::Alerts { limit, found }
        } else if bytes > TEXT_BYTES_MAX {
            EvaluationError::Text { limit: TEXT_BYTES_MAX }
        } else {
            return Ok(());
        };
        self.clear();
        Err(error)
    }

    /// Marks those as sent that someone must hear of at `now`, and gives copies of them.
    pub(super) fn due(
        &mut self,
        now: UnixNano,
        interval: Duration,
        resend: Duration,
    ) -> Vec<Alert> {
        let valid = interval.max(resend).saturating_mul(4);
        let due = self.known.values_mut().filter(|alert| is_due(alert, now, resend));
        due.map(|alert| {
            alert.last_sent_at = Some(now);
            alert.valid_until = Some(now.after(valid));
            alert.clone()
        })
        .collect()
    }
}

/// The most alerts of a rule whose group has `limit`.
pub(super) fn most(limit: usize) -> usize {
    if limit == 0 { ALERTS_MAX } else { limit.min(ALERTS_MAX) }
}

/// The bytes of names and values.
pub(super) fn text_bytes(pairs: &Pairs) -> usize {
    pairs.iter().map(|(name, value)| name.len() + value.len()).sum()
}

fn is_due(alert: &Alert, now: UnixNano, resend: Duration) -> bool {
    match alert.last_sent_at {
        _ if alert.state == State::Pending => false,
        None => true,
        Some(sent) => alert.resolved_at > Some(sent) || sent.after(resend) < now,
    }
}

/// The labels of a series of `name`.
fn series(name: &str, labels: &[(String, String)]) -> Labels {
    let labels = labels.iter().map(|(name, value)| (&**name, &**value));
    Labels::new(labels.chain([(NAME, name)]))
}

/// An alert that is there for the first time.
fn first(seen: Seen, now: UnixNano, generator_url: &str) -> Alert {
    Alert {
        fingerprint: fingerprint(&seen.labels),
        labels: seen.labels,
        annotations: seen.annotations,
        state: State::Pending,
        value: seen.value,
        active_at: now,
        fired_at: None,
        keep_firing_since: None,
        resolved_at: None,
        last_sent_at: None,
        valid_until: None,
        generator_url: generator_url.to_owned(),
    }
}

/// An alert that is not there; whether it is kept.
fn gone(alert: &mut Alert, now: UnixNano, keep_firing_for: Duration) -> bool {
    match alert.state {
        State::Pending => false,
        State::Inactive => {
            alert.resolved_at.is_some_and(|since| now.since(since) <= RESOLVED_RETENTION)
        }
        State::Firing => {
            if !keep_firing_for.is_zero() {
                let since = *alert.keep_firing_since.get_or_insert(now);
                if now.since(since) < keep_firing_for {
                    return true;
                }
            }
            alert.state = State::Inactive;
            alert.resolved_at = Some(now);
            true
        }
    }
}

/// Whether an alert that is there, or is kept firing, fires.
fn fire(alert: &mut Alert, now: UnixNano, terms: Terms) {
    let long_enough = now.since(alert.active_at) >= terms.hold;
    match alert.state {
        State::Pending if long_enough => {
            alert.state = State::Firing;
            alert.fired_at = Some(now);
        }
        // `for` was raised.
        State::Firing if !long_enough => {
            alert.state = State::Pending;
            alert.fired_at = None;
            alert.last_sent_at = None;
            alert.keep_firing_since = None;
        }
        _ => {}
    }
}

/// Lets no time of an alert be after `now`.
fn clamp(alert: &mut Alert, now: UnixNano) {
    alert.active_at = alert.active_at.min(now);
    for time in [
        &mut alert.fired_at,
        &mut alert.keep_firing_since,
        &mut alert.resolved_at,
        &mut alert.last_sent_at,
    ] {
        *time = time.map(|time| time.min(now));
    }
}
