//! The alerts of one alerting rule: pending, firing, over. Pure.
//!
//! ```text
//!            there                    for >= hold                    gone, and kept long enough
//! (unknown) ───────▶ pending ────────────────────▶ firing ───────────────────────▶ inactive ─ 15 min ─▶ (unknown)
//!     ▲                 │ gone                        │ hold was raised
//!     └─────────────────┘                 pending ◀───┘
//! ```
//! An alert is the same one as long as its labels are. A clock that went back cannot leave a time of the future in an alert:
//! all its times go back with it, so that what fires is as old as before. What fired before a restart and is not there after
//! it fires until receivers hold it for over, as if nothing had been said since: a short downtime ends nothing, and what
//! ended in a long one is over at once. Prometheus says nothing more of it either, and its receivers end it at that time.
//! What was pending goes on: a downtime above [`DOWNTIME_COUNTED`] counts no further as time that it was there, and above
//! [`DOWNTIME_MAX`] it begins anew.
//!
//! Limits: [`ALERTS_MAX`] alerts that are active and [`TEXT_BYTES_MAX`] of text per rule. What is beyond does not begin; what
//! began goes on. The group's own `limit` leaves no alert of the rule, as in Prometheus.
//!
//! Source: Prometheus 3.15, `rules/alerting.go`.

use std::collections::BTreeMap;
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

/// The most alerts of a rule that are pending or firing.
pub(super) const ALERTS_MAX: usize = 10_000;
/// The most bytes of labels and annotations of a rule's alerts.
pub const TEXT_BYTES_MAX: usize = 16 << 20;

/// How long an alert is kept and told that is over.
const RESOLVED_RETENTION: Duration = Duration::from_secs(15 * 60);

/// The longest that receivers are told to hold an alert for firing, in seconds: four times an interval of 15 minutes.
const RESTORED_MAX: u64 = 3_600;

/// A downtime that counts for what is pending, or four intervals where these are longer: a restart delays no alert.
const DOWNTIME_COUNTED: Duration = Duration::from_secs(120);
/// The longest downtime after which something is still pending: the outage that Prometheus tolerates.
const DOWNTIME_MAX: Duration = Duration::from_secs(3_600);

/// When alerts fire, and how many there may be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Terms {
    pub(super) hold: Duration,
    pub(super) keep_firing_for: Duration,
    /// That of the group; 0: none.
    pub(super) limit: usize,
    /// The time between two evaluations.
    pub(super) interval: Duration,
}

/// An alert as the expression has it at one time: labels and annotations expanded.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) labels: Pairs,
    /// `None`: no others than before.
    pub(super) annotations: Option<Pairs>,
    pub(super) value: f64,
}

/// The alerts of one rule by their labels.
#[derive(Clone, Debug, Default)]
pub(super) struct Alerts {
    known: BTreeMap<Pairs, Alert>,
    /// Those that fired when the agent ended and were not there since, with when receivers hold them for over.
    unconfirmed: BTreeMap<Pairs, UnixNano>,
    /// When they were last evaluated before the agent ended, until they are evaluated again.
    left_at: Option<UnixNano>,
}

impl Alerts {
    /// Alerts as they were left, and when that was, where it is known.
    pub(super) fn restored(
        alerts: impl IntoIterator<Item = Alert>,
        left_at: Option<UnixNano>,
    ) -> Self {
        let known: BTreeMap<Pairs, Alert> =
            alerts.into_iter().map(|alert| (alert.labels.clone(), alert)).collect();
        let there =
            |alert: &&Alert| alert.state == State::Firing && alert.keep_firing_since.is_none();
        let until = |alert: &Alert| alert.valid_until.unwrap_or(alert.active_at);
        let unconfirmed = known.values().filter(there);
        let unconfirmed = unconfirmed.map(|alert| (alert.labels.clone(), until(alert)));
        Self { unconfirmed: unconfirmed.collect(), known, left_at }
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

    /// Whether one with these labels is pending or firing.
    pub(super) fn is_active(&self, labels: &Pairs) -> bool {
        self.known.get(labels).is_some_and(|alert| alert.state != State::Inactive)
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

    /// Moves every alert on to `now`, when the expression had `seen`; why some of it did not begin, where there was no room.
    ///
    /// # Errors
    /// Two of `seen` have the same labels: nothing changed. Or there are more than the group's limit: no alert is left.
    pub(super) fn evaluate(
        &mut self,
        seen: Vec<Seen>,
        now: UnixNano,
        terms: Terms,
        generator_url: &str,
    ) -> Result<Option<EvaluationError>, EvaluationError> {
        let mut there: BTreeMap<Pairs, Seen> = BTreeMap::new();
        for one in seen {
            if there.insert(one.labels.clone(), one).is_some() {
                return Err(EvaluationError::DuplicateAlerts);
            }
        }
        if let Some(left_at) = self.left_at.take() {
            self.resume(now.since(left_at), terms.interval);
        }
        let Self { known, unconfirmed, .. } = self;
        known.retain(|labels, alert| {
            clamp(alert, now);
            let seen = there.remove(labels);
            if seen.is_some() {
                unconfirmed.remove(labels);
            }
            match seen {
                // It begins another time, as any other does.
                Some(one) if alert.state == State::Inactive => {
                    there.insert(labels.clone(), one);
                    return false;
                }
                Some(one) => {
                    alert.value = one.value;
                    if let Some(annotations) = one.annotations {
                        alert.annotations = annotations;
                    }
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
        let beyond = self.begin(there.into_values(), now, generator_url);
        for alert in self.known.values_mut().filter(|alert| alert.state != State::Inactive) {
            fire(alert, now, terms);
        }
        let found = self.active().count();
        if terms.limit > 0 && found > terms.limit {
            self.clear();
            return Err(EvaluationError::Alerts { limit: terms.limit, found });
        }
        Ok(beyond)
    }

    /// Takes in what is there for the first time, as far as there is room; otherwise why not.
    fn begin(
        &mut self,
        new: impl ExactSizeIterator<Item = Seen>,
        now: UnixNano,
        generator_url: &str,
    ) -> Option<EvaluationError> {
        let (mut active, mut bytes) = (self.active().count(), self.text_bytes());
        let found = active + new.len();
        for one in new {
            if active >= ALERTS_MAX {
                return Some(EvaluationError::Alerts { limit: ALERTS_MAX, found });
            }
            let alert = first(one, now, generator_url);
            let own = alert_bytes(&alert);
            if bytes + own > TEXT_BYTES_MAX {
                // What is over, and told, gives way.
                self.known.retain(|_, alert| {
                    alert.state != State::Inactive || alert.last_sent_at < alert.resolved_at
                });
                bytes = self.text_bytes();
                if bytes + own > TEXT_BYTES_MAX {
                    return Some(EvaluationError::Text { limit: TEXT_BYTES_MAX });
                }
            }
            active += 1;
            bytes += own;
            self.known.insert(alert.labels.clone(), alert);
        }
        None
    }

    /// Goes on after nothing was evaluated for as long as `downtime`: of what is pending nobody knows whether it was there.
    fn resume(&mut self, downtime: Duration, interval: Duration) {
        let counted = interval.saturating_mul(4).max(DOWNTIME_COUNTED);
        if downtime > counted.max(DOWNTIME_MAX) {
            self.known.retain(|_, alert| alert.state != State::Pending);
        }
        let lost = downtime.saturating_sub(counted);
        for alert in self.known.values_mut().filter(|alert| alert.state == State::Pending) {
            alert.active_at = alert.active_at.after(lost);
        }
    }

    fn text_bytes(&self) -> usize {
        self.all().map(alert_bytes).sum()
    }

    /// Marks those as sent that someone must hear of at `now`, and gives copies of them, which are valid until then.
    pub(super) fn due(
        &mut self,
        now: UnixNano,
        valid_until: UnixNano,
        resend: Duration,
    ) -> Vec<Alert> {
        let due = self.known.values_mut().filter(|alert| is_due(alert, now, resend));
        due.map(|alert| {
            alert.last_sent_at = Some(now);
            alert.valid_until = Some(valid_until);
            alert.clone()
        })
        .collect()
    }
}

/// The newest of its times, but for the one until which it is valid.
pub(super) fn latest(alert: &Alert) -> UnixNano {
    let Alert { fired_at, keep_firing_since, resolved_at, last_sent_at, .. } = *alert;
    let times = [fired_at, keep_firing_since, resolved_at, last_sent_at];
    times.into_iter().flatten().fold(alert.active_at, UnixNano::max)
}

fn alert_bytes(alert: &Alert) -> usize {
    text_bytes(&alert.labels) + text_bytes(&alert.annotations)
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
        annotations: seen.annotations.unwrap_or_default(),
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

/// Lets no time of an alert be after `now`: where the clock went back all of them do, and what fires is as old as it was.
fn clamp(alert: &mut Alert, now: UnixNano) {
    let ahead = latest(alert).since(now);
    if ahead.is_zero() {
        return;
    }
    alert.active_at = alert.active_at.before(ahead);
    for time in [
        &mut alert.fired_at,
        &mut alert.keep_firing_since,
        &mut alert.resolved_at,
        &mut alert.last_sent_at,
    ] {
        *time = time.map(|time| time.before(ahead));
    }
}
