//! What rules hand over goes to every receiver; what changed is kept, logged and, if asked for, made telemetry.
//!
//! A transition is the first message of an alert that fires, or that it is over. The log line and the log record are
//! left out while a silence covers the alert; when the silence ends and it still fires, they come then. A firing alert of
//! which rules say nothing until its `valid_until` is over (its rule was removed or hit its limit), else it would be told
//! as news after every restart; but nothing ends for that before rules run. Where log records are asked for, a transition is
//! kept as announced once its record is with the journal, or counted as dropped: what the process ended before is announced
//! after the next start. Limits: as many alerts are known as may wait, those that are over for 15 minutes, or until one that
//! fires needs the room; 100 log lines for what comes at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::client::printable;
use super::database::Row;
use super::known::{Known, Seen};
use super::mailbox::Mailbox;
use super::message::Message;
use super::otlp;
use super::receiver::Kind;
use super::silence::Silences;
use super::{Parts, judged};
use crate::telemetry::desc;
use crate::time::UnixNano;

/// How long an alert that is over is shown and, after a restart, told.
const OVER_KEPT: Duration = Duration::from_secs(900);
/// Log lines for what comes at once.
const LINES_MAX: usize = 100;
/// What is taken from the mailbox at once.
const BATCH_MAX: usize = 1_000;
/// The longest time between two looks at silences and alerts that are over.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// The task between rules and receivers.
#[derive(Debug)]
pub(super) struct Dispatch {
    pub(super) inbox: Arc<Mailbox>,
    pub(super) receivers: Vec<(super::Receiver, Arc<Mailbox>)>,
    pub(super) known: Arc<Known>,
    pub(super) silences: watch::Sender<Arc<Silences>>,
    /// Transitions on their way to the journal.
    pub(super) otlp: Option<mpsc::Sender<Vec<Message>>>,
    pub(super) parts: Parts,
}

impl Dispatch {
    pub(super) async fn run(self: Arc<Self>) {
        let mut changed = self.silences.subscribe();
        let mut told = self.parts.clock.unix_nano();
        // What was to be announced when the process ended.
        let mut looked = self.look();
        loop {
            let now = self.parts.clock.unix_nano();
            // A clock that is set back is believed from there on.
            told = told.min(now);
            let next = self.silences.borrow().next_change(told);
            // Receivers look at silences when they are told that one began or ended, whatever this did meanwhile.
            if next.is_some_and(|at| at <= now) {
                told = now;
                self.silences.send_modify(|_| {});
                changed.mark_unchanged();
                looked = self.look();
                continue;
            }
            // Counted from the last look: what comes meanwhile, every few seconds perhaps, does not put it off.
            let due = looked + LOOK_INTERVAL;
            let due = self.known.next_expiry().map_or(due, |expiry| expiry.min(due));
            let wait = due.saturating_sub(self.parts.clock.monotonic());
            if wait.is_zero() {
                looked = self.look();
                continue;
            }
            let wait = next.map_or(wait, |at| at.since(now).min(wait));
            tokio::select! {
                () = self.inbox.arrived() => self.take_in(),
                Ok(()) = changed.changed() => looked = self.look(),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// From here on a firing alert of which nothing is heard is over. Webhooks are told how long each holds now; an
    /// Alertmanager ends by itself what it hears no more of.
    pub(super) fn rules_begin(&self) {
        let firing = self.known.rules_begin(&*self.parts.clock);
        let now = self.parts.clock.monotonic();
        for (receiver, mailbox) in &self.receivers {
            if receiver.kind == Kind::Webhook {
                receiver.dropped(mailbox.push(firing.iter().cloned(), now));
            }
        }
    }

    /// Passes on all that waits.
    pub(super) fn take_in(&self) {
        loop {
            let batch = self.inbox.take(BATCH_MAX);
            if batch.is_empty() {
                return;
            }
            let messages: Vec<Message> = batch.into_iter().map(|waiting| waiting.message).collect();
            self.pass_on(messages);
        }
    }

    fn pass_on(&self, messages: Vec<Message>) {
        let now = self.parts.clock.monotonic();
        // Receivers first: nothing that is kept or logged holds up a notification.
        for (receiver, mailbox) in &self.receivers {
            receiver.dropped(mailbox.push(messages.iter().cloned(), now));
        }
        self.note(messages);
    }

    /// Finds the transitions among what came, one message of each alert.
    fn note(&self, messages: Vec<Message>) {
        let at = self.parts.clock.unix_nano();
        let silences = Arc::clone(&self.silences.borrow());
        let (mut rows, mut announced) = (Vec::new(), Vec::new());
        let alerts_max = self.parts.config.alerts_max;
        let (changed, lost) = self.known.update(messages, alerts_max, &*self.parts.clock);
        if lost > 0 {
            self.parts.lost(lost);
        }
        let mut seen = Vec::new();
        // Whoever asks what there is does not wait for regular expressions.
        let covering =
            |(message, _): &(Message, bool)| silences.covering(message, at).map(str::to_owned);
        let silenced = judged(&silences, || changed.iter().map(covering).collect::<Vec<_>>());
        for ((message, told), silenced_by) in changed.into_iter().zip(silenced) {
            // Its end is announced where its beginning was.
            let announce = silenced_by.is_none() && (message.is_firing() || told);
            if announce {
                announced.push(message.clone());
            }
            // A beginning may be announced later, when no silence covers it; an end is now or never.
            let settled = announce || !message.is_firing();
            seen.push(Seen::of(message.clone(), settled, &*self.parts.clock));
            let message = Box::new(message);
            let kept = if announce { self.is_announced_at_once() } else { settled };
            rows.push(Row::Known { message: message.clone(), announced: kept });
            rows.push(Row::Transition { at, message, silenced_by });
        }
        self.known.lock().extend(seen.into_iter().map(|seen| (seen.message.id, seen)));
        rows.extend(self.known.make_way(alerts_max).into_iter().map(Row::Forgotten));
        self.parts.keep(rows);
        self.announce(announced);
    }

    /// Ends what nothing is heard of, announces what is not silenced any more, and forgets what is over for long. When that
    /// was, monotonic.
    fn look(&self) -> Duration {
        let looked = self.parts.clock.monotonic();
        let expired = self.known.expired(&*self.parts.clock);
        if !expired.is_empty() {
            self.pass_on(expired);
        }
        let at = self.parts.clock.unix_nano();
        let silences = Arc::clone(&self.silences.borrow());
        let holding = silences.0.iter().filter(|silence| silence.holds(at)).count();
        let gauge = self.parts.registry.gauge(&desc::NOTIFICATIONS_SILENCES, &[]);
        gauge.set(f64::from(u32::try_from(holding).unwrap_or(u32::MAX)));
        let mut rows = Vec::new();
        let mut announced = self.known.unannounced();
        judged(&silences, || announced.retain(|one| silences.covering(one, at).is_none()));
        let mut known = self.known.lock();
        for message in &announced {
            if let Some(seen) = known.get_mut(&message.id) {
                seen.announced = true;
            }
            let announced = self.is_announced_at_once();
            rows.push(Row::Known { message: Box::new(message.clone()), announced });
        }
        known.retain(|id, seen| {
            let over = seen.message.resolved_at.is_some_and(|over| at.since(over) >= OVER_KEPT);
            if over {
                rows.push(Row::Forgotten(*id));
            }
            !over
        });
        drop(known);
        self.parts.keep(rows);
        self.announce(announced);
        looked
    }

    fn announce(&self, messages: Vec<Message>) {
        for message in messages.iter().take(LINES_MAX) {
            log(message, self.parts.clock.unix_nano());
        }
        if let Some(more) = messages.len().checked_sub(LINES_MAX).filter(|more| *more > 0) {
            tracing::warn!(more, "alerts changed as well: see `sidelight alerts history`");
        }
        if let Some(otlp) = self.otlp.as_ref().filter(|_| !messages.is_empty())
            && let Err(error) = otlp.try_send(messages)
        {
            let messages = error.into_inner();
            otlp::dropped(&self.parts, "queue_full", messages.len());
            self.known.recorded(&messages, &self.parts);
        }
    }

    /// Whether a transition is announced with its log line: otherwise there is a record to make.
    const fn is_announced_at_once(&self) -> bool {
        self.otlp.is_none()
    }
}

fn log(message: &Message, now: UnixNano) {
    let labels = message.labels.iter().filter(|(name, _)| name != "alertname");
    let labels: Vec<String> = labels.map(|(name, value)| format!("{name}={value}")).collect();
    let labels = printable(&labels.join(" "), 500);
    let name = printable(message.label("alertname"), 100);
    let summary = message.annotations.iter().find(|(name, _)| name == "summary");
    let summary = printable(summary.map_or("", |(_, text)| text), 300);
    let lasted = message.resolved_at.unwrap_or(now).since(message.starts_at).as_secs();
    let value = message.value;
    if message.is_firing() && message.label("severity") == "none" {
        // As the Watchdog's, which always fires.
        tracing::info!(alert = name, state = "firing", labels, value, summary, "an alert fires");
    } else if message.is_firing() {
        tracing::warn!(alert = name, state = "firing", labels, value, summary, "an alert fires");
    } else {
        tracing::info!(
            alert = name,
            state = "resolved",
            labels,
            lasted,
            summary,
            "an alert is over"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{Config, Peer};
    use super::super::message::tests::{NOW, firing, resolved};
    use super::super::receiver::Receiver;
    use super::super::rows::Rows;
    use super::super::silence::Silence;
    use super::*;
    use crate::net::endpoint::Endpoint;
    use crate::telemetry::Registry;
    use crate::time::{Clock as _, ManualClock};

    const S: fn(u64) -> Duration = Duration::from_secs;

    /// Where rules run.
    fn dispatch(known: Vec<(Message, bool)>) -> (Dispatch, Arc<ManualClock>, Arc<Rows>) {
        let made = waiting(known);
        made.0.rules_begin();
        made
    }

    /// Where they do not run yet.
    fn waiting(known: Vec<(Message, bool)>) -> (Dispatch, Arc<ManualClock>, Arc<Rows>) {
        let rows = Arc::new(Rows::new(100));
        let clock = Arc::new(ManualClock::at(NOW));
        let registry = Registry::default();
        let peer = Peer::new("am", Endpoint::parse("http://127.0.0.1:1", true, 80).unwrap());
        let receiver = Receiver::new(Kind::Alertmanager, &peer, &registry);
        let parts = Parts {
            config: Arc::new(Config::default()),
            clock: Arc::<ManualClock>::clone(&clock),
            registry,
            rows: Arc::clone(&rows),
        };
        let dispatch = Dispatch {
            inbox: Arc::new(Mailbox::new(100)),
            receivers: vec![(receiver, Arc::new(Mailbox::new(100)))],
            known: Arc::new(Known::new(known, &*clock)),
            silences: watch::channel(Arc::new(Silences::default())).0,
            otlp: None,
            parts,
        };
        (dispatch, clock, rows)
    }

    fn told(dispatch: &Dispatch) -> Vec<&'static str> {
        let waiting = dispatch.receivers[0].1.take(100);
        waiting.iter().map(|waiting| waiting.message.status()).collect()
    }

    fn x() -> Message {
        Message::of(&firing(&[("alertname", "X")]), &[], NOW).unwrap()
    }

    #[test]
    fn an_alert_whose_rule_is_gone_ends_once_and_is_no_news_after_the_next_start() {
        let (dispatch, clock, written) = dispatch(vec![(x().restored(NOW), true)]);
        clock.advance(S(539));
        dispatch.look();
        assert!(told(&dispatch).is_empty(), "its rule may still be waiting");
        clock.advance(S(1));
        dispatch.look();
        assert_eq!(told(&dispatch), ["resolved"]);
        let rows = written.take();
        let [Row::Known { message: kept, .. }, Row::Transition { message, .. }] = &rows[..] else {
            panic!("{rows:?}")
        };
        assert_eq!((kept.is_firing(), message.is_firing()), (false, false));
        dispatch.look();
        assert!(told(&dispatch).is_empty() && written.is_empty(), "once");
        clock.advance(OVER_KEPT);
        dispatch.look();
        assert!(matches!(written.take()[..], [Row::Forgotten(_)]));
        assert!(dispatch.known.messages().is_empty());
    }

    #[test]
    fn nothing_is_over_for_want_of_a_word_before_rules_run_and_then_they_have_their_time() {
        let (mut dispatch, clock, _written) = waiting(vec![(x().restored(NOW), true)]);
        dispatch.receivers[0].0.kind = Kind::Webhook;
        clock.advance(S(86_400));
        dispatch.look();
        assert!(told(&dispatch).is_empty(), "nobody could speak of it");
        assert_eq!(dispatch.known.next_expiry(), None);
        dispatch.rules_begin();
        assert_eq!(told(&dispatch), ["firing"], "how long it holds now");
        clock.advance(S(539));
        dispatch.rules_begin();
        dispatch.look();
        assert!(told(&dispatch).is_empty(), "its rule may still be waiting");
        clock.advance(S(1));
        dispatch.look();
        assert_eq!(told(&dispatch), ["resolved"]);
    }

    #[test]
    fn alerts_that_are_over_make_way_for_those_that_fire() {
        let (mut dispatch, _clock, written) = dispatch(Vec::new());
        dispatch.parts.config = Arc::new(Config { alerts_max: 2, ..Config::default() });
        let fires = |name: &str| Message::of(&firing(&[("alertname", name)]), &[], NOW).unwrap();
        let ends = |name: &str| Message::of(&resolved(&[("alertname", name)]), &[], NOW).unwrap();
        let known = |dispatch: &Dispatch| {
            let said = |m: &Message| format!("{} {}", m.label("alertname"), m.status());
            let mut known: Vec<String> = dispatch.known.messages().iter().map(said).collect();
            known.sort();
            known
        };
        dispatch.pass_on(vec![fires("A"), fires("B")]);
        // An end leaves room also for what comes before it.
        dispatch.pass_on(vec![fires("C"), ends("A"), fires("D")]);
        assert_eq!(known(&dispatch), ["B firing", "C firing"]);
        let rows = written.take();
        assert!(rows.iter().any(|row| matches!(row, Row::Forgotten(id) if *id == fires("A").id)));
        dispatch.pass_on(vec![ends("B")]);
        assert_eq!(known(&dispatch), ["B resolved", "C firing"], "as long as there is room");
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_all_the_time_keeps_nothing_that_is_over() {
        let over = Message::of(&resolved(&[("alertname", "Over")]), &[], NOW).unwrap();
        let (dispatch, clock, _written) = dispatch(vec![(over, true)]);
        let dispatch = Arc::new(dispatch);
        let running = tokio::spawn(Arc::clone(&dispatch).run());
        let names = || {
            let known = dispatch.known.messages();
            known.iter().map(|m| m.label("alertname").to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(), ["Over"]);
        // As Watchdog and one other alert that fires are said again by turns.
        for _ in 0..24 {
            tokio::time::sleep(S(50)).await;
            clock.advance(S(50));
            let again = Message { valid_until: clock.unix_nano().after(S(240)), ..x() };
            dispatch.inbox.push([again], clock.monotonic());
        }
        tokio::time::sleep(S(1)).await;
        assert_eq!(names(), ["X"]);
        running.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn receivers_hear_that_a_silence_is_over_also_when_news_come_first() {
        let (dispatch, clock, _written) = dispatch(Vec::new());
        let silence = Silence {
            id: "ab".to_owned(),
            matchers: Vec::new(),
            starts_at: NOW,
            ends_at: NOW.after(S(30)),
            created_by: String::new(),
            comment: String::new(),
        };
        dispatch.silences.send_replace(Arc::new(Silences(vec![silence])));
        let mut heard = dispatch.silences.subscribe();
        let dispatch = Arc::new(dispatch);
        let running = tokio::spawn(Arc::clone(&dispatch).run());
        tokio::task::yield_now().await;
        clock.advance(S(31));
        dispatch.inbox.push([x()], clock.monotonic());
        tokio::time::timeout(S(5), heard.changed()).await.unwrap().unwrap();
        // And again by a clock that was ahead and is set right.
        clock.set_unix(NOW);
        dispatch.inbox.push([x()], clock.monotonic());
        tokio::time::sleep(S(1)).await;
        clock.advance(S(31));
        dispatch.inbox.push([x()], clock.monotonic());
        tokio::time::timeout(S(5), heard.changed()).await.unwrap().unwrap();
        running.abort();
    }

    #[test]
    fn an_alert_that_rules_speak_of_fires_on_and_a_jump_of_the_clock_does_not_end_it() {
        let (dispatch, clock, _written) = dispatch(vec![(x().restored(NOW), true)]);
        clock.advance(S(500));
        let again = Message { valid_until: clock.unix_nano().after(S(240)), ..x() };
        dispatch.pass_on(vec![again]);
        clock.advance(S(200));
        clock.set_unix(NOW.after(S(86_400)));
        dispatch.look();
        assert_eq!(told(&dispatch), ["firing"]);
        let over = Message::of(&resolved(&[("alertname", "X")]), &[], NOW).unwrap();
        dispatch.pass_on(vec![over]);
        assert_eq!(told(&dispatch), ["resolved"]);
    }
}
