//! Messages that wait for one receiver: bounded, and the newest of each alert only.
//!
//! A receiver that hangs for an hour wants to know how things are, not how they were: a message takes the place of
//! an older one of the same alert. At the limit the oldest goes. Pure.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::message::Message;

/// What waits.
#[derive(Debug)]
pub(super) struct Queue {
    order: VecDeque<u64>,
    waiting: HashMap<u64, Waiting>,
    max: usize,
}

/// A message, and since when its alert has been waiting.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) message: Message,
    pub(super) since: Duration,
}

impl Queue {
    pub(super) fn new(max: usize) -> Self {
        Self { order: VecDeque::new(), waiting: HashMap::new(), max: max.max(1) }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Adds a message; the number of those dropped for it.
    pub(super) fn push(&mut self, message: Message, now: Duration) -> u64 {
        if let Some(waiting) = self.waiting.get_mut(&message.id) {
            waiting.message = message;
            return 0;
        }
        let mut dropped = 0;
        while self.waiting.len() >= self.max {
            let Some(oldest) = self.order.pop_front() else { break };
            self.waiting.remove(&oldest);
            dropped += 1;
        }
        self.order.push_back(message.id);
        self.waiting.insert(message.id, Waiting { message, since: now });
        dropped
    }

    /// The oldest, at most `max` of them.
    pub(super) fn take(&mut self, max: usize) -> Vec<Waiting> {
        let count = self.order.len().min(max);
        let ids: Vec<u64> = self.order.drain(..count).collect();
        ids.iter().filter_map(|id| self.waiting.remove(id)).collect()
    }

    /// Puts back what could not be sent, in front; a newer message of the same alert stays. What waits longer than
    /// `age_max`, or has no room, is given up: the number of those.
    pub(super) fn put_back(
        &mut self,
        batch: Vec<Waiting>,
        now: Duration,
        age_max: Duration,
    ) -> u64 {
        let mut given_up = 0;
        for waiting in batch.into_iter().rev() {
            let id = waiting.message.id;
            if let Some(newer) = self.waiting.get_mut(&id) {
                newer.since = waiting.since;
            } else if now.saturating_sub(waiting.since) >= age_max || self.waiting.len() >= self.max
            {
                given_up += 1;
            } else {
                self.order.push_front(id);
                self.waiting.insert(id, waiting);
            }
        }
        given_up
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::{NOW, firing, resolved};
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn message(n: usize) -> Message {
        Message::of(&firing(&[("alertname", "X"), ("n", &n.to_string())]), &[], NOW).unwrap()
    }

    fn numbers(batch: &[Waiting]) -> Vec<&str> {
        batch.iter().map(|waiting| waiting.message.label("n")).collect()
    }

    #[test]
    fn the_oldest_goes_first_and_is_dropped_first() {
        let mut queue = Queue::new(3);
        let dropped: u64 = (0..5).map(|n| queue.push(message(n), S(0))).sum();
        assert_eq!((dropped, queue.len()), (2, 3));
        assert_eq!(numbers(&queue.take(2)), ["2", "3"]);
        assert_eq!(numbers(&queue.take(2)), ["4"]);
        assert!(queue.take(2).is_empty());
    }

    #[test]
    fn the_newest_of_an_alert_takes_the_place_of_older_ones() {
        let mut queue = Queue::new(3);
        queue.push(message(1), S(0));
        queue.push(message(2), S(0));
        let over = Message::of(&resolved(&[("alertname", "X"), ("n", "1")]), &[], NOW).unwrap();
        assert_eq!(queue.push(over.clone(), S(1)), 0);
        let batch = queue.take(9);
        assert_eq!(numbers(&batch), ["1", "2"]);
        assert_eq!(batch[0].message, over);
    }

    #[test]
    fn what_is_put_back_stands_in_front_until_it_is_too_old() {
        let mut queue = Queue::new(4);
        for n in 0..4 {
            queue.push(message(n), S(0));
        }
        let batch = queue.take(2);
        queue.push(message(1), S(5));
        assert_eq!(queue.put_back(batch, S(9), S(10)), 0);
        let batch = queue.take(9);
        assert_eq!(numbers(&batch), ["0", "2", "3", "1"]);
        assert_eq!(
            queue.put_back(batch, S(10), S(10)),
            4,
            "the newer one waits as long as its alert"
        );
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn what_is_put_back_never_exceeds_the_limit() {
        let mut queue = Queue::new(2);
        for n in 0..2 {
            queue.push(message(n), S(0));
        }
        let batch = queue.take(2);
        for n in 5..7 {
            queue.push(message(n), S(0));
        }
        assert_eq!(queue.put_back(batch, S(1), S(10)), 2);
        assert_eq!(numbers(&queue.take(9)), ["5", "6"]);
    }
}
