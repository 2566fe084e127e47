//! Which alerts one webhook is told of together, and when. Pure: times and alerts are arguments.
//!
//! A group is told when it has something new (an alert that fires, or one it was told of that is over), at the
//! earliest `wait` after it began and `interval` after it was last told; and again after `repeat` while it fires. A
//! firing alert of which nothing is heard until its `valid_until` is over. A silenced one is as if it were not there.
//!
//! Where there are more alerts than one notification may have, those that the receiver knows to be firing give way to news,
//! and ends to beginnings. News that do not fit are untold: the group is told of them as soon as it may be.
//!
//! Time is monotonic, so a jump of the wall clock neither delays nor repeats a notification. Limits: as many alerts
//! as configured, above which a new one is refused; so many in one notification. Cost: what a group holds, when it is due.
//!
//! Source: Alertmanager 0.28, `dispatch/dispatch.go` and `notify/notify.go` (`DedupStage`), but for one thing: there a
//! group is looked at every `interval`; here a change is told at once when the last notification is that long ago.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use super::config::Grouping;
use super::message::Message;
use crate::net::retry::Backoff;

/// A label and its value for each label that groups are made by.
pub(super) type Key = Vec<(String, String)>;

/// Every group of one webhook.
#[derive(Debug)]
pub(super) struct Groups {
    grouping: Grouping,
    alerts_max: usize,
    /// Alerts of one notification.
    told_max: usize,
    groups: BTreeMap<Key, Group>,
    alerts: usize,
    /// What the receiver was told of and is not told the end of.
    forgotten: Vec<u64>,
}

#[derive(Clone, Debug, Default)]
struct Group {
    alerts: BTreeMap<u64, Held>,
    /// Firing alerts that the receiver knows of.
    told: BTreeSet<u64>,
    told_at: Option<Duration>,
    /// When to look at it again; `None` while a notification is under way.
    due: Option<Duration>,
    under_way: bool,
    /// A receiver that failed is left alone until then.
    not_before: Duration,
    tries: Option<Tries>,
}

/// Failures to tell of one group in a row.
#[derive(Clone, Debug)]
pub(super) struct Tries {
    pub(super) backoff: Backoff,
    /// When the first of them was.
    pub(super) since: Duration,
}

#[derive(Clone, Debug)]
struct Held {
    message: Message,
    expires: Duration,
}

/// Something to tell.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Notification {
    pub(super) key: Key,
    /// Firing ones and those that are over, sorted as Alertmanager does.
    pub(super) messages: Vec<Message>,
    /// How many more there are.
    pub(super) cut: usize,
    /// Whether any alert fires, also of those.
    pub(super) is_firing: bool,
}

/// How telling went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The receiver knows.
    Told,
    /// To be tried again after this long.
    Again(Duration),
    /// Given up, until the interval is over.
    Failed,
}

impl Groups {
    /// For at most `alerts_max` alerts, of which one notification has at most `told_max`.
    pub(super) fn new(grouping: Grouping, alerts_max: usize, told_max: usize) -> Self {
        let (groups, forgotten) = (BTreeMap::new(), Vec::new());
        Self { grouping, alerts_max, told_max, groups, alerts: 0, forgotten }
    }

    /// Alerts known.
    pub(super) fn len(&self) -> usize {
        self.alerts
    }

    /// The failures to tell of a group since it was last told or given up; this is one at `now`.
    pub(super) fn tries(&mut self, key: &Key, now: Duration) -> Option<&mut Tries> {
        let group = self.groups.get_mut(key)?;
        let first = || Tries { backoff: Backoff::default(), since: now };
        Some(group.tries.get_or_insert_with(first))
    }

    /// Takes in an alert that is valid for `valid` from `now`. False when there is no room for it.
    pub(super) fn observe(&mut self, message: Message, valid: Duration, now: Duration) -> bool {
        let key = self.key(&message);
        let known =
            self.groups.get(&key).is_some_and(|group| group.alerts.contains_key(&message.id));
        // Nobody has heard of it, and it is over.
        if !known && !message.is_firing() {
            return true;
        }
        if !known && self.alerts >= self.alerts_max {
            return false;
        }
        self.alerts += usize::from(!known);
        let group = self.groups.entry(key).or_default();
        if !message.is_firing() && group.is_unheard(message.id) {
            // It makes room at once.
            group.alerts.remove(&message.id);
            self.alerts -= 1;
            group.look_soon(&self.grouping, now);
            return true;
        }
        let news = group.alerts.get(&message.id).is_none_or(|held| {
            held.message.is_firing() != message.is_firing() || !group.told.contains(&message.id)
        });
        group.alerts.insert(message.id, Held { message, expires: now + valid });
        if news {
            group.look_soon(&self.grouping, now);
        }
        true
    }

    /// Puts back what was known before a restart: told of `message` `ago`, valid for `valid` from `now`.
    pub(super) fn restore(
        &mut self,
        message: Message,
        ago: Duration,
        valid: Duration,
        now: Duration,
    ) {
        if self.alerts >= self.alerts_max {
            return;
        }
        let key = self.key(&message);
        let group = self.groups.entry(key).or_default();
        let id = message.id;
        if group.alerts.insert(id, Held { message, expires: now + valid }).is_none() {
            self.alerts += 1;
        }
        group.told.insert(id);
        let told_at = now.checked_sub(ago).unwrap_or_default();
        group.told_at = Some(group.told_at.map_or(told_at, |at| at.max(told_at)));
        group.due = Some(now);
    }

    /// Looks at every group as soon as it may be told: a silence began or ended.
    pub(super) fn touch(&mut self, now: Duration) {
        for group in self.groups.values_mut() {
            group.look_soon(&self.grouping, now);
        }
    }

    /// When a group is to be looked at next.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.groups.values().filter_map(|group| group.due).min()
    }

    /// A notification that is due, which is then under way until [`Groups::settle`]. `silenced` says which alerts
    /// nobody is told of.
    pub(super) fn next(
        &mut self,
        now: Duration,
        silenced: impl Fn(&Message) -> bool,
    ) -> Option<Notification> {
        let mut from = Bound::Unbounded;
        loop {
            let mut rest = self.groups.range_mut((from, Bound::Unbounded));
            let (key, group) = rest.find(|(_, group)| group.due.is_some_and(|due| due <= now))?;
            let key = key.clone();
            from = Bound::Excluded(key.clone());
            group.expire(now);
            let news = group.news(&key, &self.grouping, self.told_max, now, &silenced);
            if let Some(notification) = news {
                let soonest = group.soonest(&self.grouping, now);
                if group.told_at.is_some() && soonest > now {
                    group.due = Some(soonest);
                    continue;
                }
                group.due = None;
                group.under_way = true;
                return Some(notification);
            }
            let before = group.alerts.len();
            self.forgotten.extend(group.forget_ended());
            self.alerts -= before - group.alerts.len();
            group.due = group.next_look(&self.grouping, now);
            if group.alerts.is_empty() {
                self.groups.remove(&key);
            }
        }
    }

    /// Alerts that were told, and are over without a word: nothing more is to be kept of them.
    pub(super) fn take_forgotten(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.forgotten)
    }

    /// Takes in what became of a notification.
    pub(super) fn settle(&mut self, sent: &Notification, outcome: Outcome, now: Duration) {
        let Some(group) = self.groups.get_mut(&sent.key) else { return };
        group.under_way = false;
        if !matches!(outcome, Outcome::Again(_)) {
            group.tries = None;
        }
        match outcome {
            Outcome::Again(after) => {
                group.not_before = now + after;
                group.due = Some(now + after);
            }
            Outcome::Failed => {
                group.not_before = now + self.grouping.interval;
                group.due = Some(group.not_before);
            }
            Outcome::Told => {
                group.told_at = Some(now);
                for message in &sent.messages {
                    if message.is_firing() {
                        group.told.insert(message.id);
                    } else {
                        group.told.remove(&message.id);
                    }
                }
                let (told, before) = (&group.told, group.alerts.len());
                group.alerts.retain(|id, held| held.message.is_firing() || told.contains(id));
                self.alerts -= before - group.alerts.len();
                group.due = group.next_look(&self.grouping, now);
                if group.differs() {
                    group.look_soon(&self.grouping, now);
                }
                if group.alerts.is_empty() {
                    self.groups.remove(&sent.key);
                }
            }
        }
    }

    fn key(&self, message: &Message) -> Key {
        let present = |name: &String| {
            let value = message.label(name);
            (!value.is_empty()).then(|| (name.clone(), value.to_owned()))
        };
        let mut key: Key = self.grouping.by.iter().filter_map(present).collect();
        key.sort();
        key.dedup();
        key
    }
}

impl Group {
    /// When a change may be told.
    fn soonest(&self, grouping: &Grouping, now: Duration) -> Duration {
        let at = match self.told_at {
            None => now + grouping.wait,
            Some(at) => (at + grouping.interval).max(now),
        };
        at.max(self.not_before)
    }

    fn look_soon(&mut self, grouping: &Grouping, now: Duration) {
        if !self.under_way {
            let at = self.soonest(grouping, now);
            self.due = Some(self.due.map_or(at, |due| due.min(at)));
        }
    }

    /// Whether the receiver has not heard of an alert. What is under way may be telling it.
    fn is_unheard(&self, id: u64) -> bool {
        !self.under_way && !self.told.contains(&id)
    }

    /// Whether the receiver knows less than we do; silenced alerts make it so too.
    fn differs(&self) -> bool {
        self.alerts.iter().any(|(id, held)| held.message.is_firing() != self.told.contains(id))
    }

    /// Ends alerts of which nothing was heard for too long.
    fn expire(&mut self, now: Duration) {
        for held in self.alerts.values_mut() {
            if held.message.is_firing() && held.expires <= now {
                held.message.resolved_at = Some(held.message.valid_until);
            }
        }
    }

    /// What there is to tell, if there is: at most `told_max` alerts.
    fn news(
        &self,
        key: &Key,
        grouping: &Grouping,
        told_max: usize,
        now: Duration,
        silenced: impl Fn(&Message) -> bool,
    ) -> Option<Notification> {
        let heard = self.alerts.values().map(|held| &held.message).filter(|m| !silenced(m));
        let (firing, over): (Vec<&Message>, Vec<&Message>) = heard.partition(|m| m.is_firing());
        let is_firing = !firing.is_empty();
        let told = |message: &&Message| self.told.contains(&message.id);
        let (known, begun): (Vec<&Message>, Vec<&Message>) = firing.into_iter().partition(told);
        let over = over.into_iter().filter(|m| grouping.send_resolved && told(m));
        let news: Vec<&Message> = begun.into_iter().chain(over).collect();
        let repeat = self.told_at.is_some_and(|at| at + grouping.repeat <= now);
        if news.is_empty() && !(repeat && is_firing) {
            return None;
        }
        let all = news.len() + known.len();
        let first = news.into_iter().chain(known).take(told_max.max(1));
        let mut messages: Vec<Message> = first.cloned().collect();
        messages.sort_by_cached_key(|message| {
            let first = |name: &str| message.label(name).to_owned();
            (first("job"), first("instance"), message.labels.clone())
        });
        let cut = all - messages.len();
        Some(Notification { key: key.clone(), messages, cut, is_firing })
    }

    /// Drops what is over where there was nothing to tell: nobody was told that it began, it is silenced, or nobody
    /// is told of ends. Those of which it was told that they began.
    fn forget_ended(&mut self) -> BTreeSet<u64> {
        self.alerts.retain(|_, held| held.message.is_firing());
        let (told, forgotten) =
            std::mem::take(&mut self.told).into_iter().partition(|id| self.alerts.contains_key(id));
        self.told = told;
        forgotten
    }

    /// When something changes by itself. A repetition that is due and was not told is silenced: the end of the silence
    /// is looked at when it comes.
    fn next_look(&self, grouping: &Grouping, now: Duration) -> Option<Duration> {
        let firing = self.alerts.values().filter(|held| held.message.is_firing());
        let expiry = firing.map(|held| held.expires).min();
        let repeat = self.told_at.map(|at| at + grouping.repeat);
        let repeat = repeat.filter(|at| *at > now && !self.told.is_empty());
        [expiry, repeat].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::{NOW, firing, resolved};
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;
    const VALID: Duration = Duration::from_secs(86_400);

    fn groups() -> Groups {
        let grouping = Grouping { by: vec!["alertname".to_owned()], ..Grouping::default() };
        Groups::new(grouping, 100, 1_000)
    }

    fn fires(name: &str, route: &str) -> Message {
        Message::of(&firing(&[("alertname", name), ("route", route)]), &[], NOW).unwrap()
    }

    fn ends(name: &str, route: &str) -> Message {
        Message::of(&resolved(&[("alertname", name), ("route", route)]), &[], NOW).unwrap()
    }

    /// What is told at `at`, as `route status`; the receiver takes it.
    fn told(groups: &mut Groups, at: Duration) -> Vec<String> {
        let Some(sent) = groups.next(at, |_| false) else { return Vec::new() };
        groups.settle(&sent, Outcome::Told, at);
        sent.messages.iter().map(|m| format!("{} {}", m.label("route"), m.status())).collect()
    }

    #[test]
    fn a_group_waits_for_others_is_told_and_then_only_of_news() {
        let mut groups = groups();
        groups.observe(fires("X", "/a"), VALID, S(10));
        assert!(told(&mut groups, S(10)).is_empty(), "it waits");
        groups.observe(fires("X", "/b"), VALID, S(10));
        assert_eq!(groups.next_due(), Some(S(11)));
        assert_eq!(told(&mut groups, S(11)), ["/a firing", "/b firing"]);
        groups.observe(fires("X", "/a"), VALID, S(60));
        assert!(told(&mut groups, S(400)).is_empty(), "nothing new");
        groups.observe(ends("X", "/b"), VALID, S(500));
        assert_eq!(
            told(&mut groups, S(500)),
            ["/a firing", "/b resolved"],
            "told long ago: at once"
        );
        groups.observe(ends("X", "/a"), VALID, S(510));
        assert!(told(&mut groups, S(510)).is_empty(), "the interval is not over");
        assert_eq!(groups.next_due(), Some(S(800)));
        assert_eq!(told(&mut groups, S(800)), ["/a resolved"]);
        assert_eq!((groups.len(), groups.next_due()), (0, None), "nothing is kept");
    }

    #[test]
    fn each_combination_of_values_is_a_group_of_its_own() {
        let mut groups = groups();
        groups.observe(fires("X", "/a"), VALID, S(0));
        groups.observe(fires("Y", "/a"), VALID, S(0));
        let keys: Vec<Key> =
            std::iter::from_fn(|| groups.next(S(1), |_| false)).map(|sent| sent.key).collect();
        assert_eq!(
            keys,
            [[("alertname".to_owned(), "X".to_owned())], [("alertname".into(), "Y".into())]]
        );
    }

    #[test]
    fn what_still_fires_is_told_again_after_the_repeat_interval() {
        let mut groups = groups();
        groups.observe(fires("X", "/a"), VALID, S(0));
        assert_eq!(told(&mut groups, S(1)).len(), 1);
        assert_eq!(groups.next_due(), Some(S(4 * 3_600 + 1)));
        assert_eq!(told(&mut groups, S(4 * 3_600 + 1)), ["/a firing"]);
    }

    #[test]
    fn an_alert_of_which_nothing_is_heard_any_more_is_over() {
        let mut groups = groups();
        groups.observe(fires("X", "/a"), S(240), S(0));
        assert_eq!(told(&mut groups, S(1)), ["/a firing"]);
        assert_eq!(groups.next_due(), Some(S(240)));
        assert!(told(&mut groups, S(240)).is_empty(), "the interval holds for it too");
        assert_eq!(told(&mut groups, S(301)), ["/a resolved"]);
    }

    #[test]
    fn what_began_and_ended_unheard_is_not_told() {
        let mut groups = groups();
        groups.observe(fires("X", "/a"), VALID, S(0));
        groups.observe(ends("X", "/a"), VALID, S(0));
        assert!(told(&mut groups, S(1)).is_empty());
        groups.observe(ends("X", "/never"), VALID, S(2));
        assert_eq!((groups.len(), groups.next_due()), (0, None));
    }

    #[test]
    fn a_failure_is_tried_again_with_what_holds_then() {
        let mut groups = groups();
        groups.observe(fires("X", "/a"), VALID, S(0));
        let sent = groups.next(S(1), |_| false).unwrap();
        assert_eq!(groups.next(S(1), |_| false), None, "one notification of a group at a time");
        groups.settle(&sent, Outcome::Again(S(8)), S(2));
        groups.observe(fires("X", "/b"), VALID, S(3));
        assert!(told(&mut groups, S(9)).is_empty(), "news do not shorten the wait");
        assert_eq!(told(&mut groups, S(10)), ["/a firing", "/b firing"]);
        groups.observe(ends("X", "/a"), VALID, S(400));
        let sent = groups.next(S(400), |_| false).unwrap();
        groups.settle(&sent, Outcome::Failed, S(401));
        // Rules say what fires again and again.
        groups.observe(fires("X", "/b"), VALID, S(461));
        assert!(told(&mut groups, S(700)).is_empty(), "it is left alone for the interval");
        assert_eq!(told(&mut groups, S(701)), ["/a resolved", "/b firing"], "never lost");
    }

    #[test]
    fn news_that_come_while_a_notification_is_under_way_are_told_after_it() {
        let mut groups = groups();
        groups.observe(fires("X", "/a"), VALID, S(0));
        let sent = groups.next(S(1), |_| false).unwrap();
        groups.observe(ends("X", "/a"), VALID, S(2));
        groups.observe(fires("X", "/b"), VALID, S(2));
        groups.settle(&sent, Outcome::Told, S(3));
        assert_eq!(groups.next_due(), Some(S(303)));
        assert_eq!(told(&mut groups, S(303)), ["/a resolved", "/b firing"]);
    }

    #[test]
    fn a_silenced_alert_is_not_told_until_the_silence_ends() {
        let mut groups = groups();
        groups.observe(fires("X", "/a"), VALID, S(0));
        assert_eq!(groups.next(S(1), |_| true), None);
        assert_eq!(groups.next_due(), Some(VALID), "it is not looked at all the time");
        groups.touch(S(50));
        assert_eq!(told(&mut groups, S(51)), ["/a firing"]);
        // Silenced after it was told: neither news nor its end are told.
        groups.observe(ends("X", "/a"), VALID, S(400));
        assert_eq!(groups.next(S(400), |_| true), None);
        assert_eq!(groups.len(), 0);
        assert_eq!(groups.take_forgotten(), [fires("X", "/a").id], "nor kept");
    }

    #[test]
    fn what_is_silenced_for_longer_than_the_repeat_interval_is_looked_at_when_the_silence_ends() {
        let mut groups = groups();
        groups.observe(fires("X", "/a"), VALID, S(0));
        assert_eq!(told(&mut groups, S(1)), ["/a firing"]);
        let repeat = S(4 * 3_600 + 1);
        assert_eq!(groups.next_due(), Some(repeat));
        assert_eq!(groups.next(repeat, |_| true), None);
        assert_eq!(groups.next_due(), Some(VALID), "it is not looked at all the time");
        groups.touch(repeat + S(60));
        assert_eq!(told(&mut groups, repeat + S(60)), ["/a firing"]);
    }

    #[test]
    fn ends_are_not_told_where_nobody_wants_them() {
        let grouping = Grouping { send_resolved: false, ..groups().grouping };
        let mut groups = Groups::new(grouping, 100, 1_000);
        groups.observe(fires("X", "/a"), VALID, S(0));
        assert_eq!(told(&mut groups, S(1)), ["/a firing"]);
        groups.observe(ends("X", "/a"), VALID, S(2));
        assert!(told(&mut groups, S(400)).is_empty());
        assert_eq!(groups.len(), 0);
        assert_eq!(groups.take_forgotten(), [fires("X", "/a").id], "nor kept");
        groups.observe(fires("X", "/a"), VALID, S(500));
        assert_eq!(told(&mut groups, S(501)), ["/a firing"], "it is news again");
    }

    #[test]
    fn more_alerts_than_the_limit_are_refused_and_room_comes_back() {
        let mut groups = Groups::new(groups().grouping, 2, 1_000);
        let taken = ["/a", "/b", "/c"].map(|route| groups.observe(fires("X", route), VALID, S(0)));
        assert_eq!(taken, [true, true, false]);
        assert!(groups.observe(fires("X", "/b"), VALID, S(0)), "a known one is taken");
        assert_eq!(told(&mut groups, S(1)).len(), 2);
        groups.observe(ends("X", "/a"), VALID, S(400));
        assert_eq!(told(&mut groups, S(400)), ["/a resolved", "/b firing"]);
        assert!(groups.observe(fires("X", "/c"), VALID, S(401)));
    }

    #[test]
    fn what_ends_before_anybody_heard_of_it_makes_room_at_once() {
        let mut groups = Groups::new(groups().grouping, 1, 1_000);
        groups.observe(fires("X", "/a"), VALID, S(0));
        let sent = groups.next(S(1), |_| false).unwrap();
        groups.settle(&sent, Outcome::Again(S(60)), S(1));
        assert!(groups.observe(ends("X", "/a"), VALID, S(2)));
        assert_eq!(groups.len(), 0);
        assert!(groups.observe(fires("X", "/b"), VALID, S(3)));
        assert_eq!(told(&mut groups, S(61)), ["/b firing"]);
        // What is under way may be telling it, so that its end is news.
        groups.observe(ends("X", "/b"), VALID, S(400));
        assert_eq!(told(&mut groups, S(400)), ["/b resolved"]);
        groups.observe(fires("X", "/c"), VALID, S(500));
        let sent = groups.next(S(701), |_| false).unwrap();
        groups.observe(ends("X", "/c"), VALID, S(702));
        groups.settle(&sent, Outcome::Told, S(703));
        assert_eq!(told(&mut groups, S(1_003)), ["/c resolved"]);
    }

    #[test]
    fn news_that_do_not_fit_are_told_as_soon_as_may_be_and_what_is_known_gives_way() {
        let mut groups = Groups::new(groups().grouping, 100, 2);
        let routes = ["/a", "/b", "/c"];
        for route in routes {
            groups.observe(fires("X", route), VALID, S(0));
        }
        let sent = groups.next(S(1), |_| false).unwrap();
        assert_eq!((sent.messages.len(), sent.cut), (2, 1));
        groups.settle(&sent, Outcome::Told, S(1));
        let mut heard: BTreeSet<u64> = sent.messages.iter().map(|message| message.id).collect();
        let sent = groups.next(S(301), |_| false).unwrap();
        assert_eq!((sent.messages.len(), sent.cut), (2, 1));
        groups.settle(&sent, Outcome::Told, S(301));
        heard.extend(sent.messages.iter().map(|message| message.id));
        assert_eq!(heard.len(), 3);
        assert!(told(&mut groups, S(601)).is_empty(), "all are known");
        groups.observe(ends("X", "/a"), VALID, S(700));
        groups.observe(ends("X", "/b"), VALID, S(700));
        let sent = groups.next(S(700), |_| false).unwrap();
        assert!(sent.messages.iter().all(|message| !message.is_firing()));
        assert!(sent.cut == 1 && sent.is_firing, "one that is not in it fires");
    }

    #[test]
    fn an_end_that_does_not_fit_is_told_next() {
        let mut groups = Groups::new(groups().grouping, 100, 1);
        let routes = ["/a", "/b"];
        for route in routes {
            groups.observe(fires("X", route), VALID, S(0));
        }
        for at in [S(1), S(301)] {
            assert_eq!(told(&mut groups, at).len(), 1);
        }
        for route in routes {
            groups.observe(ends("X", route), VALID, S(700));
        }
        let ended = [S(700), S(1_000)].into_iter().flat_map(|at| told(&mut groups, at));
        let ended: BTreeSet<String> = ended.collect();
        assert_eq!(ended, BTreeSet::from(routes.map(|route| format!("{route} resolved"))));
        assert_eq!((groups.len(), groups.next_due()), (0, None), "nothing is kept");
    }

    #[test]
    fn what_was_told_before_a_restart_is_not_told_again_and_its_end_is() {
        let mut groups = groups();
        let start = S(1_000_000);
        groups.restore(fires("X", "/a"), S(100), S(240), start);
        assert!(told(&mut groups, start).is_empty());
        groups.observe(fires("X", "/a"), VALID, start + S(5));
        assert!(told(&mut groups, start + S(300)).is_empty());
        groups.observe(ends("X", "/a"), VALID, start + S(301));
        assert_eq!(told(&mut groups, start + S(301)), ["/a resolved"]);
        // One whose rule is gone ends by itself.
        groups.restore(fires("X", "/b"), S(1_000), S(240), start);
        assert!(told(&mut groups, start).is_empty());
        assert_eq!(told(&mut groups, start + S(240)), ["/b resolved"]);
    }
}
