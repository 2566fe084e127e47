//! Where one task of notifications gets its messages: a bounded [`Queue`] and a way to wait for it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::message::Message;
use super::queue::{Queue, Waiting};

#[derive(Debug)]
pub(super) struct Mailbox {
    queue: Mutex<Queue>,
    arrived: Notify,
}

impl Mailbox {
    pub(super) fn new(max: usize) -> Self {
        Self { queue: Mutex::new(Queue::new(max)), arrived: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds messages; the number of older ones dropped for them.
    pub(super) fn push(&self, messages: impl IntoIterator<Item = Message>, now: Duration) -> u64 {
        let mut queue = self.lock();
        let dropped = messages.into_iter().map(|message| queue.push(message, now)).sum();
        drop(queue);
        self.arrived.notify_one();
        dropped
    }

    pub(super) fn take(&self, max: usize) -> Vec<Waiting> {
        self.lock().take(max)
    }

    /// See [`Queue::put_back`].
    pub(super) fn put_back(&self, batch: Vec<Waiting>, now: Duration, age_max: Duration) -> u64 {
        self.lock().put_back(batch, now, age_max)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Resolves when something was pushed since the last time.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }
}
