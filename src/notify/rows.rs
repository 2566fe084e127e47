//! What waits for the disk: history, which may be lost, and what a restart must know, of which the newest is kept.
//!
//! History is a log: when the disk does not take it in time, what is too much of it goes and is counted. The rest is
//! state: what each receiver was told and which alerts there are. Of that a row takes the place of an older one about
//! the same thing, and stays until it is written: a disk that is full for an hour costs history, and no receiver is
//! told twice after a restart. Limits: [`HISTORY_MAX`] rows of history, and rows of state as [`Rows::new`] is told.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::database::Row;

/// Rows of history that wait at most.
const HISTORY_MAX: usize = 10_000;

/// What a row of state is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    /// An alert as last seen.
    Known(u64),
    /// What a receiver was told of an alert; `None`: of any.
    Told(String, Option<u64>),
}

/// Rows in the order in which they came.
#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    history: Vec<Row>,
    state: BTreeMap<About, (u64, Row)>,
}

/// What waits, and a way to wait for it.
#[derive(Debug)]
pub(super) struct Rows {
    waiting: Mutex<Waiting>,
    state_max: usize,
    arrived: Notify,
}

impl Rows {
    /// For at most `state_max` rows of state.
    pub(super) fn new(state_max: usize) -> Self {
        Self { waiting: Mutex::default(), state_max, arrived: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has rows written; how many there is no room for.
    pub(super) fn push(&self, rows: Vec<Row>) -> usize {
        let mut waiting = self.lock();
        let mut lost = 0;
        for row in rows.into_iter().flat_map(single) {
            lost += usize::from(!waiting.add(row, self.state_max));
        }
        drop(waiting);
        self.arrived.notify_one();
        lost
    }

    /// All that waits.
    pub(super) fn take(&self) -> Vec<Row> {
        let mut waiting = self.lock();
        let state = waiting.take_state();
        state.into_iter().chain(std::mem::take(&mut waiting.history)).collect()
    }

    /// Puts back what could not be written, but for history and what is outdated; how many rows are lost.
    pub(super) fn put_back(&self, rows: Vec<Row>) -> usize {
        let mut waiting = self.lock();
        let newer = waiting.take_state();
        let mut lost = 0;
        for row in rows {
            let kept = about(&row).is_some() && waiting.add(row, self.state_max);
            lost += usize::from(!kept);
        }
        for row in newer {
            lost += usize::from(!waiting.add(row, self.state_max));
        }
        lost
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        let waiting = self.lock();
        waiting.history.is_empty() && waiting.state.is_empty()
    }

    /// Resolves when something was pushed since the last time.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }
}

impl Waiting {
    /// The rows of state, in their order.
    fn take_state(&mut self) -> Vec<Row> {
        let mut state: Vec<_> = std::mem::take(&mut self.state).into_values().collect();
        state.sort_unstable_by_key(|(at, _)| *at);
        state.into_iter().map(|(_, row)| row).collect()
    }

    /// Whether there is room for it.
    fn add(&mut self, row: Row, state_max: usize) -> bool {
        let Some(about) = about(&row) else {
            let room = self.history.len() < HISTORY_MAX;
            if room {
                self.history.push(row);
            }
            return room;
        };
        if let About::Told(gone, None) = &about {
            self.state.retain(|about, _| !matches!(about, About::Told(of, _) if of == gone));
        }
        if self.state.len() >= state_max && !self.state.contains_key(&about) {
            return false;
        }
        self.next += 1;
        self.state.insert(about, (self.next, row));
        true
    }
}

/// One row for each thing that a row is about.
fn single(row: Row) -> Vec<Row> {
    match row {
        Row::Told { receiver, at, messages } => messages
            .into_iter()
            .map(|message| Row::Told { receiver: receiver.clone(), at, messages: vec![message] })
            .collect(),
        Row::Untold { receiver, ids } => ids
            .into_iter()
            .map(|id| Row::Untold { receiver: receiver.clone(), ids: vec![id] })
            .collect(),
        row => vec![row],
    }
}

/// What a row of state is about; `None` for history.
fn about(row: &Row) -> Option<About> {
    match row {
        Row::Transition { .. } | Row::Delivery { .. } => None,
        Row::Known { message, .. } => Some(About::Known(message.id)),
        Row::Forgotten(id) => Some(About::Known(*id)),
        Row::Told { receiver, messages, .. } => {
            Some(About::Told(receiver.clone(), messages.first().map(|message| message.id)))
        }
        Row::Untold { receiver, ids } => Some(About::Told(receiver.clone(), ids.first().copied())),
        Row::Gone { receiver } => Some(About::Told(receiver.clone(), None)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::Message;
    use super::super::message::tests::{NOW, firing};
    use super::*;

    fn message(name: &str) -> Message {
        Message::of(&firing(&[("alertname", name)]), &[], NOW).unwrap()
    }

    fn told(to: &str, names: &[&str]) -> Row {
        let messages = names.iter().map(|name| message(name)).collect();
        Row::Told { receiver: to.to_owned(), at: NOW, messages }
    }

    fn untold(to: &str, name: &str) -> Row {
        Row::Untold { receiver: to.to_owned(), ids: vec![message(name).id] }
    }

    fn transition(name: &str) -> Row {
        Row::Transition { at: NOW, message: Box::new(message(name)), silenced_by: None }
    }

    /// What waits, in words.
    fn said(rows: &Rows) -> Vec<String> {
        let say = |row| match row {
            Row::Told { receiver, messages, .. } => {
                format!("{receiver} knows {}", messages[0].label("alertname"))
            }
            Row::Untold { receiver, .. } => format!("{receiver} forgets"),
            Row::Gone { receiver } => format!("{receiver} is gone"),
            Row::Known { .. } => "known".to_owned(),
            Row::Forgotten(_) => "forgotten".to_owned(),
            Row::Transition { .. } | Row::Delivery { .. } => "history".to_owned(),
        };
        rows.take().into_iter().map(say).collect()
    }

    #[test]
    fn a_failed_write_costs_history_and_no_state_and_what_is_newer_stays() {
        let rows = Rows::new(10);
        rows.push(vec![told("am", &["X", "Y"]), transition("X")]);
        let failed = rows.take();
        rows.push(vec![untold("am", "X"), transition("X")]);
        assert_eq!(rows.put_back(failed), 1);
        assert_eq!(said(&rows), ["am knows Y", "am forgets", "history"]);
        assert!(rows.is_empty());
    }

    #[test]
    fn a_receiver_that_is_gone_and_comes_back_knows_only_what_it_was_told_since() {
        let rows = Rows::new(10);
        let gone = Row::Gone { receiver: "am".to_owned() };
        rows.push(vec![told("am", &["X", "Y"]), gone, told("am", &["Y"]), told("b", &["X"])]);
        let failed = rows.take();
        rows.put_back(failed);
        assert_eq!(said(&rows), ["am is gone", "am knows Y", "b knows X"]);
    }

    #[test]
    fn more_than_there_is_room_for_is_counted() {
        let rows = Rows::new(2);
        assert_eq!(rows.push(vec![told("am", &["X", "Y", "Z"])]), 1);
        assert_eq!(rows.push(vec![untold("am", "X")]), 0, "in the place of what is there");
        let history = (0..=HISTORY_MAX).map(|_| transition("X")).collect();
        assert_eq!(rows.push(history), 1);
    }
}
