//! One webhook: groups of alerts in Alertmanager's own body, so that what was written for Alertmanager works here.
//!
//! At most 4 requests are under way, each of another group. A body has `max_alerts` at most; of the news that do not fit the
//! group is told after its interval. A group that was not taken is told again after a pause that
//! grows, and given up after `retry_time_max` or its interval, whichever is shorter; then it is due again after the
//! interval, with what holds then. So a receiver that was away for a day hears how things are, once.
//!
//! Source: Alertmanager 0.28, `notify/webhook/webhook.go` (`Message`, version 4) and `template/template.go` (`Data`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use sidelight_promql::quote::quote;
use tokio::sync::watch;
use tokio::task::{Id, JoinSet};

use super::client::{Client, PostError};
use super::config::Webhook as Config;
use super::database::{Row, counted};
use super::groups::{Groups, Key, Notification, Outcome};
use super::known::Known;
use super::mailbox::Mailbox;
use super::message::{Map, Message, NEVER};
use super::receiver::{Kind, Receiver};
use super::silence::Silences;
use super::{Parts, judged};
use crate::alert::Pairs;
use crate::time::{UnixNano, rfc3339};

/// Requests under way.
const IN_FLIGHT_MAX: usize = 4;
/// The longest time between two looks at what is due.
const LOOK_INTERVAL: Duration = Duration::from_secs(240);
/// An alert of which nothing is heard is ended for every receiver at once, by [`super::dispatch`]; here only when that word
/// did not fit.
const END_SLACK: Duration = Duration::from_secs(60);
/// How long an alert holds before rules run, as nobody could speak of it; how long from then on is told by [`super::dispatch`].
const UNTIL_RULES_RUN: Duration = Duration::from_secs(100 * 365 * 86_400);
/// Monotonic time begins with the process; what was told before it needs a time too.
const EPOCH: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The task of one webhook.
#[derive(Debug)]
pub(super) struct Webhook {
    client: Arc<Client>,
    mailbox: Arc<Mailbox>,
    receiver: Receiver,
    parts: Parts,
    groups: Groups,
    retry_time_max: Duration,
    silences: watch::Receiver<Arc<Silences>>,
}

/// How a request went, and how long it took.
type Posted = (Result<(), PostError>, Duration);

/// Requests under way, and what each tells.
#[derive(Debug, Default)]
struct UnderWay {
    posts: JoinSet<Posted>,
    sent: HashMap<Id, Notification>,
}

impl UnderWay {
    fn len(&self) -> usize {
        self.sent.len()
    }

    fn start(&mut self, sent: Notification, post: impl Future<Output = Posted> + Send + 'static) {
        let id = self.posts.spawn(post).id();
        self.sent.insert(id, sent);
    }

    /// Waits for one that is over: what it told, and how that went, which nobody knows after a panic. `None` where nothing is
    /// under way.
    ///
    /// # Cancel safety
    /// What is over stays until it is taken.
    async fn ended(&mut self) -> Option<(Notification, Option<Posted>)> {
        let (id, posted) = match self.posts.join_next_with_id().await? {
            Ok((id, posted)) => (id, Some(posted)),
            Err(error) => {
                tracing::error!(%error, "a notification ended in a panic");
                (error.id(), None)
            }
        };
        Some((self.sent.remove(&id)?, posted))
    }
}

impl Webhook {
    pub(super) fn new(
        config: &Config,
        parts: Parts,
        silences: watch::Receiver<Arc<Silences>>,
    ) -> Self {
        let alerts_max = parts.config.alerts_max;
        Self {
            client: Arc::new(Client::new(&config.peer, "")),
            mailbox: Arc::new(Mailbox::new(alerts_max)),
            receiver: Receiver::new(Kind::Webhook, &config.peer, &parts.registry),
            groups: Groups::new(config.grouping.clone(), alerts_max, config.alerts_max),
            retry_time_max: parts.config.retry_time_max.min(config.grouping.interval),
            parts,
            silences,
        }
    }

    pub(super) fn mailbox(&self) -> Arc<Mailbox> {
        Arc::clone(&self.mailbox)
    }

    pub(super) fn receiver(&self) -> Receiver {
        self.receiver.clone()
    }

    /// Takes up what a restart or a reload found: what it was told and when, and every alert as last seen. What it was told
    /// of and nobody knows any more is over.
    pub(super) fn restore(&mut self, told: Vec<(UnixNano, Message)>, known: &Known) {
        let (now, wall) = (self.now(), self.parts.clock.unix_nano());
        let rules_run = known.rules_run();
        let valid = |message: &Message| {
            let valid = message.valid_until.since(wall) + END_SLACK;
            if rules_run { valid } else { UNTIL_RULES_RUN }
        };
        let known = known.messages();
        let ids: HashSet<u64> = known.iter().map(|message| message.id).collect();
        for (at, mut message) in told {
            if !ids.contains(&message.id) {
                message.resolved_at.get_or_insert(message.valid_until.min(wall));
            }
            let valid = valid(&message);
            self.groups.restore(message, wall.since(at), valid, now);
        }
        for message in known {
            let valid = valid(&message);
            self.groups.observe(message, valid, now);
        }
    }

    pub(super) async fn run(mut self) {
        let mut under_way = UnderWay::default();
        loop {
            self.take_in();
            self.start_due(&mut under_way);
            self.forget();
            self.receiver.holds(self.groups.len());
            let due = self.groups.next_due().filter(|_| under_way.len() < IN_FLIGHT_MAX);
            let wait = due.map_or(LOOK_INTERVAL, |due| due.saturating_sub(self.now()));
            tokio::select! {
                () = self.mailbox.arrived() => {}
                Some((sent, posted)) = under_way.ended() => self.settle(&sent, posted),
                () = tokio::time::sleep(wait) => {}
                Ok(()) = self.silences.changed() => {
                    let now = self.now();
                    self.groups.touch(now);
                }
            }
        }
    }

    fn now(&self) -> Duration {
        EPOCH + self.parts.clock.monotonic()
    }

    fn take_in(&mut self) {
        let (now, wall) = (self.now(), self.parts.clock.unix_nano());
        let mut refused = 0;
        for waiting in self.mailbox.take(usize::MAX) {
            let valid = waiting.message.valid_until.since(wall) + END_SLACK;
            refused += u64::from(!self.groups.observe(waiting.message, valid, now));
        }
        self.receiver.dropped(refused);
    }

    fn start_due(&mut self, under_way: &mut UnderWay) {
        while under_way.len() < IN_FLIGHT_MAX {
            let (now, wall) = (self.now(), self.parts.clock.unix_nano());
            let silences = Arc::clone(&self.silences.borrow());
            let silenced = |message: &Message| silences.covering(message, wall).is_some();
            let next = judged(&silences, || self.groups.next(now, silenced));
            let Some(notification) = next else { return };
            let body = self.body(&notification);
            let (client, clock) = (Arc::clone(&self.client), Arc::clone(&self.parts.clock));
            under_way.start(notification, async move {
                let started = clock.monotonic();
                let posted = client.post(&body, wall).await;
                (posted, clock.monotonic().saturating_sub(started))
            });
        }
    }

    /// What ended untold is not to be told after a restart either.
    fn forget(&mut self) {
        let ids = self.groups.take_forgotten();
        if !ids.is_empty() {
            let receiver = self.receiver.name.to_string();
            self.parts.keep(vec![Row::Untold { receiver, ids }]);
        }
    }

    fn settle(&mut self, sent: &Notification, posted: Option<Posted>) {
        let (now, at) = (self.now(), self.parts.clock.unix_nano());
        let error = match posted {
            Some((Ok(()), latency)) => {
                if self.receiver.took(sent.messages.len(), latency, at) {
                    tracing::info!(receiver = %self.receiver.name, "alerts get through again");
                }
                self.groups.settle(sent, Outcome::Told, now);
                self.note_told(sent, at);
                return self.keep(sent, "ok", String::new());
            }
            Some((Err(error), _)) => error,
            // A defect of ours: the receiver is not to blame, and the group is told again after its interval.
            None => {
                self.receiver.gave_up(sent.messages.len() as u64);
                return self.groups.settle(sent, Outcome::Failed, now);
            }
        };
        let said = error.say();
        let news = self.receiver.refused(&error, &said, at);
        if news {
            tracing::warn!(receiver = %self.receiver.name, error = said, "a webhook takes no alerts");
        }
        let time_max = self.retry_time_max;
        let tries = self.groups.tries(&sent.key, now);
        let outcome = match tries.filter(|tries| now.saturating_sub(tries.since) < time_max) {
            Some(tries) if error.passes() => {
                let retry = self.parts.config.retry;
                Outcome::Again(tries.backoff.next(retry, error.retry_after(), fastrand::f64()))
            }
            _ => {
                self.receiver.gave_up(sent.messages.len() as u64);
                Outcome::Failed
            }
        };
        self.groups.settle(sent, outcome, now);
        if outcome == Outcome::Failed {
            self.keep(sent, "given_up", said);
        } else if news {
            self.keep(sent, "failed", said);
        }
    }

    fn note_told(&self, sent: &Notification, at: UnixNano) {
        let receiver = self.receiver.name.to_string();
        let (firing, over): (Vec<Message>, Vec<Message>) =
            sent.messages.iter().cloned().partition(Message::is_firing);
        let ids = over.iter().map(|message| message.id).collect();
        self.parts.keep(vec![
            Row::Told { receiver: receiver.clone(), at, messages: firing },
            Row::Untold { receiver, ids },
        ]);
    }

    fn keep(&self, sent: &Notification, outcome: &'static str, detail: String) {
        let firing = sent.messages.iter().filter(|message| message.is_firing()).count();
        self.parts.keep(vec![Row::Delivery {
            at: self.parts.clock.unix_nano(),
            receiver: self.receiver.name.to_string(),
            kind: self.receiver.kind.name(),
            outcome,
            firing: counted(firing),
            resolved: counted(sent.messages.len() - firing),
            subject: group_key(&sent.key),
            detail,
        }]);
    }

    fn body(&self, notification: &Notification) -> Bytes {
        let external_url = &self.parts.config.external_url;
        let body = Body::new(&self.receiver.name, notification, external_url);
        // Strings, numbers and lists of them are always JSON.
        serde_json::to_vec(&body).unwrap_or_default().into()
    }
}

/// Version 4 of the body.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body<'a> {
    receiver: &'a str,
    status: &'static str,
    alerts: Vec<Entry<'a>>,
    group_labels: Map<'a>,
    common_labels: OwnedMap,
    common_annotations: OwnedMap,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    version: &'static str,
    group_key: String,
    truncated_alerts: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    status: &'static str,
    labels: Map<'a>,
    annotations: Map<'a>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    fingerprint: String,
}

#[derive(Debug)]
struct OwnedMap(Pairs);

impl Serialize for OwnedMap {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Map(&self.0).serialize(serializer)
    }
}

impl<'a> Body<'a> {
    /// The body for `notification`.
    pub(super) fn new(
        receiver: &'a str,
        notification: &'a Notification,
        external_url: &'a str,
    ) -> Self {
        let Notification { key, messages, cut, is_firing } = notification;
        Self {
            receiver,
            status: if *is_firing { "firing" } else { "resolved" },
            alerts: messages.iter().map(entry).collect(),
            group_labels: Map(key),
            common_labels: common(messages, |message| &message.labels),
            common_annotations: common(messages, |message| &message.annotations),
            external_url,
            version: "4",
            group_key: group_key(key),
            truncated_alerts: *cut,
        }
    }
}

fn entry(message: &Message) -> Entry<'_> {
    Entry {
        status: message.status(),
        labels: Map(&message.labels),
        annotations: Map(&message.annotations),
        starts_at: rfc3339(message.starts_at),
        ends_at: message.resolved_at.map_or_else(|| NEVER.to_owned(), rfc3339),
        generator_url: &message.generator_url,
        fingerprint: format!("{:016x}", message.fingerprint),
    }
}

/// Pairs that all messages have.
fn common(messages: &[Message], of: impl Fn(&Message) -> &Pairs) -> OwnedMap {
    let Some((first, rest)) = messages.split_first() else { return OwnedMap(Vec::new()) };
    let everywhere = |pair: &&(String, String)| {
        rest.iter().all(|message| {
            of(message)
                .binary_search_by(|(name, _)| name.cmp(&pair.0))
                .is_ok_and(|at| of(message).get(at) == Some(*pair))
        })
    };
    OwnedMap(of(first).iter().filter(everywhere).cloned().collect())
}

/// What identifies a group in bodies: `{}` for the one route that there is, and the group's labels.
fn group_key(key: &Key) -> String {
    let labels: Vec<String> =
        key.iter().map(|(name, value)| format!("{name}={}", quote(value))).collect();
    format!("{{}}:{{{}}}", labels.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::config::{Grouping, Peer};
    use super::super::message::tests::{NOW, firing, resolved};
    use super::super::rows::Rows;
    use super::*;
    use crate::net::endpoint::Endpoint;
    use crate::telemetry::Registry;
    use crate::time::ManualClock;

    fn notification(alerts: &[crate::alert::Alert]) -> Notification {
        let key = vec![
            ("alertname".to_owned(), "HighErrorRate".to_owned()),
            ("service_name".to_owned(), "shop \"a\"".to_owned()),
        ];
        let messages: Vec<Message> =
            alerts.iter().map(|alert| Message::of(alert, &[], NOW).unwrap()).collect();
        let is_firing = messages.iter().any(Message::is_firing);
        Notification { key, messages, cut: 0, is_firing }
    }

    /// One that gives up after six seconds, and to which nobody answers.
    fn webhook() -> (Webhook, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(NOW));
        let grouping = Grouping { by: vec!["alertname".to_owned()], ..Grouping::default() };
        let peer = Peer::new("hook", Endpoint::parse("http://127.0.0.1:1", true, 80).unwrap());
        let config = Config { peer, grouping, alerts_max: 10 };
        let parts = Parts {
            config: Arc::new(super::super::Config {
                retry_time_max: Duration::from_secs(6),
                ..super::super::Config::default()
            }),
            clock: clock.clone(),
            registry: Registry::default(),
            rows: Arc::new(Rows::new(100)),
        };
        let silences = watch::Sender::new(Arc::new(Silences::default()));
        (Webhook::new(&config, parts, silences.subscribe()), clock)
    }

    #[tokio::test]
    async fn failures_of_a_group_that_is_gone_do_not_count_against_the_next_of_its_name() {
        let (mut webhook, clock) = webhook();
        let mut under_way = UnderWay::default();
        let alerts = [firing(&[("alertname", "X")]), resolved(&[("alertname", "X")])];
        let [fires, ends] = alerts.map(|alert| Message::of(&alert, &[], NOW).unwrap());
        let seconds = Duration::from_secs;
        for _ in 0..2 {
            webhook.groups.observe(fires.clone(), seconds(86_400), webhook.now());
            clock.advance(seconds(2));
            webhook.start_due(&mut under_way);
            let (sent, posted) = under_way.ended().await.unwrap();
            webhook.settle(&sent, posted);
            let next = webhook.groups.next_due().unwrap();
            assert!(next <= webhook.now() + seconds(6), "it is tried again, not given up");
            webhook.groups.observe(ends.clone(), seconds(86_400), webhook.now());
            clock.advance(seconds(14));
            webhook.start_due(&mut under_way);
            assert_eq!((under_way.len(), webhook.groups.len()), (0, 0));
        }
    }

    #[test]
    fn the_body_is_alertmanagers_version_4() {
        let labels = |route| {
            [
                ("alertname", "HighErrorRate"),
                ("service_name", "shop \"a\""),
                ("route", route),
                ("severity", "critical"),
            ]
        };
        let notification = notification(&[firing(&labels("/a")), resolved(&labels("/b"))]);
        let body = Body::new("ops", &notification, "http://agent:9464");
        expect_test::expect![[r#"
            {
              "receiver": "ops",
              "status": "firing",
              "alerts": [
                {
                  "status": "firing",
                  "labels": {
                    "alertname": "HighErrorRate",
                    "route": "/a",
                    "service_name": "shop \"a\"",
                    "severity": "critical"
                  },
                  "annotations": {
                    "summary": "25 % of requests fail"
                  },
                  "startsAt": "2026-11-21T09:59:50.000Z",
                  "endsAt": "0001-01-01T00:00:00Z",
                  "generatorURL": "http://agent/graph?g0.expr=up",
                  "fingerprint": "9814df8056112e11"
                },
                {
                  "status": "resolved",
                  "labels": {
                    "alertname": "HighErrorRate",
                    "route": "/b",
                    "service_name": "shop \"a\"",
                    "severity": "critical"
                  },
                  "annotations": {
                    "summary": "25 % of requests fail"
                  },
                  "startsAt": "2026-11-21T09:59:50.000Z",
                  "endsAt": "2026-11-21T10:00:30.000Z",
                  "generatorURL": "http://agent/graph?g0.expr=up",
                  "fingerprint": "9cd1ca4d68f46a3e"
                }
              ],
              "groupLabels": {
                "alertname": "HighErrorRate",
                "service_name": "shop \"a\""
              },
              "commonLabels": {
                "alertname": "HighErrorRate",
                "service_name": "shop \"a\"",
                "severity": "critical"
              },
              "commonAnnotations": {
                "summary": "25 % of requests fail"
              },
              "externalURL": "http://agent:9464",
              "version": "4",
              "groupKey": "{}:{alertname=\"HighErrorRate\", service_name=\"shop \\\"a\\\"\"}",
              "truncatedAlerts": 0
            }"#]]
        .assert_eq(&serde_json::to_string_pretty(&body).unwrap());
    }

    #[test]
    fn a_body_says_how_many_more_alerts_there_are_and_that_one_fires_which_is_not_in_it() {
        let alerts: Vec<_> =
            (0..10).map(|n| resolved(&[("alertname", "X"), ("n", &n.to_string())])).collect();
        let notification = Notification { cut: 20, is_firing: true, ..notification(&alerts) };
        let body = serde_json::to_value(Body::new("ops", &notification, "")).unwrap();
        assert_eq!(body["alerts"].as_array().unwrap().len(), 10);
        assert_eq!(body["truncatedAlerts"], 20);
        assert_eq!(body["status"], "firing");
        assert_eq!(body["commonLabels"], serde_json::json!({"alertname": "X"}));
    }

    #[tokio::test]
    async fn a_group_whose_notification_ended_in_a_panic_is_told_again() {
        async fn defect() -> Posted {
            panic!("a defect")
        }
        let seconds = Duration::from_secs;
        let (mut webhook, clock) = webhook();
        let fires = Message::of(&firing(&[("alertname", "X")]), &[], NOW).unwrap();
        webhook.groups.observe(fires, seconds(86_400), webhook.now());
        clock.advance(seconds(2));
        let sent = webhook.groups.next(webhook.now(), |_| false).unwrap();
        let mut under_way = UnderWay::default();
        under_way.start(sent, defect());
        let (sent, posted) = under_way.ended().await.unwrap();
        assert!(posted.is_none());
        webhook.settle(&sent, posted);
        assert_eq!(under_way.len(), 0);
        clock.advance(seconds(300));
        let again = webhook.groups.next(webhook.now(), |_| false).unwrap();
        assert_eq!(again.messages, sent.messages);
    }

    #[tokio::test]
    async fn a_restored_alert_of_which_nothing_is_heard_ends_only_where_rules_run() {
        let fires = Message::of(&firing(&[("alertname", "X")]), &[], NOW).unwrap();
        for (rules_run, told) in [(true, 1), (false, 0)] {
            let (mut webhook, clock) = webhook();
            let known = Known::new(vec![(fires.clone(), true)], &*clock);
            if rules_run {
                known.rules_begin(&*clock);
            }
            webhook.restore(vec![(NOW, fires.clone())], &known);
            clock.advance(Duration::from_secs(3_600));
            let mut under_way = UnderWay::default();
            webhook.start_due(&mut under_way);
            assert_eq!(under_way.len(), told);
        }
    }

    #[test]
    fn a_body_is_resolved_when_all_its_alerts_are() {
        let notification = notification(&[resolved(&[("alertname", "X")])]);
        let body = serde_json::to_value(Body::new("ops", &notification, "")).unwrap();
        assert_eq!(
            (&body["status"], &body["alerts"][0]["status"]),
            (&"resolved".into(), &"resolved".into())
        );
        assert_eq!(body["alerts"][0]["endsAt"], "2026-11-21T10:00:30.000Z");
    }
}
