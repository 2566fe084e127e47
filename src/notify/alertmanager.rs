//! One Alertmanager: every alert that is due, in batches, again until it takes them.
//!
//! It is sent silenced alerts too: it has silences of its own, and `amtool` should see what is. Batches have at most
//! 256 alerts, one is under way at a time. One that is too large (413) is divided. What fails waits and is overtaken by newer
//! messages of the same alert; after `retry_time_max` it is given up, and rules bring what still fires again within a minute.
//!
//! Source: Alertmanager 0.28, `api/v2/openapi.yaml`, `postAlerts`; batches as Prometheus 3.15 makes them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Parts;
use super::client::Client;
use super::config::Peer;
use super::database::{Row, counted};
use super::mailbox::Mailbox;
use super::message::Message;
use super::queue::Waiting;
use super::receiver::{Kind, Receiver};
use crate::net::retry::Backoff;

/// Alerts of one request, where it takes as many.
const BATCH_MAX: usize = 256;
/// What is appended to the receiver's URL.
const PATH: &str = "/api/v2/alerts";

/// The task of one Alertmanager.
#[derive(Debug)]
pub(super) struct Alertmanager {
    client: Client,
    mailbox: Arc<Mailbox>,
    receiver: Receiver,
    parts: Parts,
    /// Alerts that it knows to be firing.
    told: HashSet<u64>,
    backoff: Backoff,
    /// Alerts of the next request: halved by one that was too large, doubled by one that was taken.
    batch_max: usize,
}

impl Alertmanager {
    pub(super) fn new(peer: &Peer, parts: Parts) -> Self {
        Self {
            client: Client::new(peer, PATH),
            mailbox: Arc::new(Mailbox::new(parts.config.alerts_max)),
            receiver: Receiver::new(Kind::Alertmanager, peer, &parts.registry),
            parts,
            told: HashSet::new(),
            backoff: Backoff::default(),
            batch_max: BATCH_MAX,
        }
    }

    pub(super) fn mailbox(&self) -> Arc<Mailbox> {
        Arc::clone(&self.mailbox)
    }

    pub(super) fn receiver(&self) -> Receiver {
        self.receiver.clone()
    }

    /// Takes up what a restart found: what it was told, and alerts of which it was not.
    pub(super) fn restore(&mut self, told: impl Iterator<Item = u64>, known: &[Message]) {
        // It ends by itself what it hears no more of.
        let ids: HashSet<u64> = known.iter().map(|message| message.id).collect();
        let (held, ended): (HashSet<u64>, HashSet<u64>) = told.partition(|id| ids.contains(id));
        self.told = held;
        if !ended.is_empty() {
            let receiver = self.receiver.name.to_string();
            let ids = ended.into_iter().collect();
            self.parts.keep(vec![Row::Untold { receiver, ids }]);
        }
        let news = known.iter().filter(|m| m.is_firing() != self.told.contains(&m.id)).cloned();
        self.mailbox.push(news.collect::<Vec<_>>(), self.parts.clock.monotonic());
    }

    pub(super) async fn run(mut self) {
        loop {
            let batch = self.mailbox.take(self.batch_max);
            self.receiver.holds(self.mailbox.len() + batch.len());
            if batch.is_empty() {
                self.mailbox.arrived().await;
                continue;
            }
            self.deliver(batch).await;
        }
    }

    async fn deliver(&mut self, batch: Vec<Waiting>) {
        let body = body(&batch);
        let started = self.parts.clock.monotonic();
        let posted = self.client.post(&body, self.parts.clock.unix_nano()).await;
        let (now, at) = (self.parts.clock.monotonic(), self.parts.clock.unix_nano());
        let error = match posted {
            Ok(()) => {
                self.backoff = Backoff::default();
                self.batch_max = (2 * self.batch_max).min(BATCH_MAX);
                let recovered = self.receiver.took(batch.len(), now.saturating_sub(started), at);
                if recovered {
                    tracing::info!(receiver = %self.receiver.name, "alerts get through again");
                }
                return self.note_success(&batch, recovered);
            }
            Err(error) => error,
        };
        if error.is_too_large() && batch.len() > 1 {
            // One that is too large by itself does not take the others along.
            self.batch_max = batch.len() / 2;
            let given_up = self.mailbox.put_back(batch, now, Duration::MAX);
            return self.receiver.gave_up(given_up);
        }
        let said = error.say();
        let news = self.receiver.refused(&error, &said, at);
        if news {
            tracing::warn!(receiver = %self.receiver.name, error = said, "an Alertmanager takes no alerts");
        }
        let age_max =
            if error.passes() { self.parts.config.retry_time_max } else { Duration::ZERO };
        let messages: Vec<Message> = batch.iter().map(|waiting| waiting.message.clone()).collect();
        let given_up = self.mailbox.put_back(batch, now, age_max);
        self.receiver.gave_up(given_up);
        if news || given_up > 0 {
            let outcome = if given_up > 0 { "given_up" } else { "failed" };
            self.keep(&messages, outcome, said);
        }
        let random = fastrand::f64();
        let wait = self.backoff.next(self.parts.config.retry, error.retry_after(), random);
        tokio::time::sleep(wait).await;
    }

    /// Keeps what is news: repetitions come every minute.
    fn note_success(&mut self, batch: &[Waiting], recovered: bool) {
        let messages = batch.iter().map(|waiting| &waiting.message);
        let news: Vec<Message> =
            messages.filter(|m| m.is_firing() != self.told.contains(&m.id)).cloned().collect();
        if news.is_empty() && !recovered {
            return;
        }
        let (firing, over): (Vec<Message>, Vec<Message>) =
            news.iter().cloned().partition(Message::is_firing);
        self.keep(&news, "ok", String::new());
        self.told.extend(firing.iter().map(|message| message.id));
        for message in &over {
            self.told.remove(&message.id);
        }
        let receiver = self.receiver.name.to_string();
        let at = self.parts.clock.unix_nano();
        let ids = over.iter().map(|message| message.id).collect();
        self.parts.keep(vec![
            Row::Told { receiver: receiver.clone(), at, messages: firing },
            Row::Untold { receiver, ids },
        ]);
    }

    fn keep(&self, messages: &[Message], outcome: &'static str, detail: String) {
        let firing = messages.iter().filter(|message| message.is_firing()).count();
        self.parts.keep(vec![Row::Delivery {
            at: self.parts.clock.unix_nano(),
            receiver: self.receiver.name.to_string(),
            kind: self.receiver.kind.name(),
            outcome,
            firing: counted(firing),
            resolved: counted(messages.len() - firing),
            subject: String::new(),
            detail,
        }]);
    }
}

fn body(batch: &[Waiting]) -> Bytes {
    let alerts: Vec<_> = batch.iter().map(|waiting| waiting.message.postable()).collect();
    // Strings, numbers and lists of them are always JSON.
    serde_json::to_vec(&alerts).unwrap_or_default().into()
}
