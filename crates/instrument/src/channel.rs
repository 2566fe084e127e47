//! A bounded channel of tokio whose depth, high-water mark, waits and refusals are told: see [`bounded`].
//!
//! Limits: the capacity that is asked for. Cost: a ticket per entry, one allocation-free word beside it.

use std::fmt;

use tokio::sync::mpsc;
pub use tokio::sync::mpsc::error::{SendError, TryRecvError, TrySendError};

use crate::queue::Room;
use crate::{Queue, RejectReason, Ticket};

/// Makes a channel that `queue` tells of: `sidelight.queue.size`, `.capacity`, `.item.wait.duration`, and `.rejected` for
/// what was refused because it was full or closed, or was still in it when the receiver went. Several channels of one queue
/// are added up.
///
/// # Panics
/// If `capacity` is 0, as tokio's does.
///
/// # Example
/// ```
/// use sidelight::{Queue, QueueKind, channel};
///
/// static MAILS: Queue = Queue::new("mails").kind(QueueKind::Task);
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (sender, mut receiver) = channel::bounded::<String>(&MAILS, 100);
/// sender.send("welcome".to_owned()).await.unwrap();
/// assert_eq!(receiver.recv().await.as_deref(), Some("welcome"));
/// # });
/// ```
#[must_use]
pub fn bounded<T>(queue: &'static Queue, capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = mpsc::channel(capacity);
    let room = queue.channel(u64::try_from(capacity).unwrap_or(u64::MAX));
    (Sender { sender, queue }, Receiver { receiver, _room: room })
}

struct Entry<T> {
    value: T,
    ticket: Ticket,
}

impl<T> Entry<T> {
    fn taken(self) -> T {
        self.ticket.start();
        self.value
    }
}

/// The end that sends.
pub struct Sender<T> {
    sender: mpsc::Sender<Entry<T>>,
    queue: &'static Queue,
}

impl<T> Sender<T> {
    /// Sends once there is room.
    ///
    /// # Errors
    /// The value, if the receiver has gone.
    ///
    /// # Cancel safety
    /// Dropped before it is done, nothing was sent.
    pub async fn send(&self, value: T) -> Result<(), SendError<T>> {
        match self.sender.reserve().await {
            Ok(room) => {
                room.send(Entry { value, ticket: self.queue.enqueued() });
                Ok(())
            }
            Err(_) => {
                self.queue.rejected(RejectReason::Closed);
                Err(SendError(value))
            }
        }
    }

    /// Sends if there is room.
    ///
    /// ```
    /// use sidelight::{Queue, channel};
    ///
    /// static MAILS: Queue = Queue::new("mails");
    ///
    /// let (sender, mut receiver) = channel::bounded(&MAILS, 1);
    /// assert!(sender.try_send("first").is_ok());
    /// assert_eq!(sender.capacity(), 0);
    /// assert!(sender.try_send("second").is_err()); // counted: sidelight.queue.rejected{reason="full"}
    /// receiver.close();
    /// assert_eq!(receiver.try_recv(), Ok("first"));
    /// ```
    ///
    /// # Errors
    /// The value, if there is none or the receiver has gone.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        match self.sender.try_reserve() {
            Ok(room) => {
                room.send(Entry { value, ticket: self.queue.enqueued() });
                Ok(())
            }
            Err(TrySendError::Full(())) => {
                self.queue.rejected(RejectReason::Full);
                Err(TrySendError::Full(value))
            }
            Err(TrySendError::Closed(())) => {
                self.queue.rejected(RejectReason::Closed);
                Err(TrySendError::Closed(value))
            }
        }
    }

    /// How many more fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.sender.capacity()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), queue: self.queue }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Sender").field("queue", &self.queue.name()).finish_non_exhaustive()
    }
}

/// The end that receives.
pub struct Receiver<T> {
    receiver: mpsc::Receiver<Entry<T>>,
    /// Nothing can be in a channel whose receiver went.
    _room: Room,
}

impl<T> Receiver<T> {
    /// Waits for the next value. None once all senders have gone and all was received.
    ///
    /// # Cancel safety
    /// Dropped before it is done, nothing was taken.
    pub async fn recv(&mut self) -> Option<T> {
        self.receiver.recv().await.map(Entry::taken)
    }

    /// Takes the next value, if one is there.
    ///
    /// # Errors
    /// Says whether one may still come.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.receiver.try_recv().map(Entry::taken)
    }

    /// Lets nobody send any more; what was sent can still be received.
    pub fn close(&mut self) {
        self.receiver.close();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Receiver").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captured::capture;

    #[tokio::test]
    async fn what_waits_is_refused_or_left_behind_is_told() {
        static JOBS: Queue = Queue::new("channel.jobs");
        let captured = capture();
        let (sender, mut receiver) = bounded(&JOBS, 2);
        sender.send(1).await.unwrap();
        sender.try_send(2).unwrap();
        assert!(matches!(sender.try_send(3), Err(TrySendError::Full(3))));
        let of = |name: &str| {
            format!("sidelight.queue.{name}{{queue.name=channel.jobs,queue.type=task}}")
        };
        assert_eq!(captured.value(&of("size")), 2.0);
        assert_eq!(captured.value(&of("capacity")), 2.0);

        assert_eq!(receiver.recv().await, Some(1));
        drop(receiver);
        assert!(sender.send(4).await.is_err());
        assert_eq!(captured.value(&of("size")), 0.0);
        assert_eq!(captured.value(&of("item.wait.duration")), 1.0);
        let refused = |reason: &str| {
            captured.value(&format!(
                "sidelight.queue.rejected{{queue.name=channel.jobs,reason={reason}}}"
            ))
        };
        assert_eq!((refused("full"), refused("discarded"), refused("closed")), (1.0, 1.0, 1.0));
    }

    #[test]
    fn channels_of_one_queue_are_added_up_and_one_that_is_made_anew_forgets_nothing() {
        static SHARDS: Queue = Queue::new("channel.shards");
        let captured = capture();
        let of = |name: &str| {
            let labels = "queue.name=channel.shards,queue.type=task";
            captured.value(&format!("sidelight.queue.{name}{{{labels}}}"))
        };
        let (first, mut received) = bounded(&SHARDS, 3);
        first.try_send(1).unwrap();
        first.try_send(2).unwrap();
        let (second, other) = bounded(&SHARDS, 5);
        second.try_send(3).unwrap();
        assert_eq!((of("size"), of("capacity")), (3.0, 8.0));
        drop((second, other));
        assert_eq!((of("size"), of("capacity")), (2.0, 3.0));
        received.try_recv().unwrap();
        assert_eq!((of("size"), of("capacity")), (1.0, 3.0));
    }
}
