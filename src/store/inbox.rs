//! [`Inbox`]: samples that the agent makes itself on their way to the one [`Writer`](super::Writer).
//!
//! ```text
//! rules, host ─ apply ─▶ at most BATCHES_MAX batches, SAMPLES_MAX samples ─▶ Outlet ─▶ aggregate thread: appended ─▶ answered
//! ```
//! When [`Inbox::apply`] says so, the samples are in the head and every query sees them. A full inbox refuses,
//! counted; nobody waits for room.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::signal::Samples;
use crate::telemetry::{Counter, Registry, desc};

/// The most batches that wait.
const BATCHES_MAX: usize = 64;
/// The most samples that wait, of all batches: some tens of MiB at their usual size.
const SAMPLES_MAX: usize = 100_000;

/// Where samples are put in. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Inbox {
    sender: mpsc::Sender<Batch>,
    waiting: Arc<AtomicUsize>,
    refused: Counter,
}

/// Where the writer's thread takes them out.
#[derive(Debug)]
pub struct Outlet {
    receiver: mpsc::Receiver<Batch>,
    waiting: Arc<AtomicUsize>,
}

/// Samples, and who waits for them to be appended. Dropping it says that they were not.
#[derive(Debug)]
pub struct Batch {
    /// What to append.
    pub samples: Samples,
    done: oneshot::Sender<()>,
}

/// Samples that are not in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// There is no store, or it has ended: stop.
    #[error("the metric store is closed")]
    Closed,
    /// Too much waits already. These samples are counted as refused; later ones may find room.
    #[error("too many samples wait for the metric store")]
    Full,
}

/// Both ends of an inbox.
#[must_use]
pub fn inbox(registry: &Registry) -> (Inbox, Outlet) {
    let (sender, receiver) = mpsc::channel(BATCHES_MAX);
    let waiting = Arc::<AtomicUsize>::default();
    let refused = registry.counter(&desc::STORE_INBOX_REFUSED_SAMPLES, &[]);
    (Inbox { sender, waiting: Arc::clone(&waiting), refused }, Outlet { receiver, waiting })
}

impl Inbox {
    /// Hands samples to the store; resolves when every query sees them.
    ///
    /// # Errors
    /// [`ApplyError`]: they are not in the store.
    ///
    /// # Cancel safety
    /// When cancelled they may or may not be in the store.
    pub async fn apply(&self, samples: Samples) -> Result<(), ApplyError> {
        let count = samples.0.len();
        let waiting = self.waiting.fetch_add(count, Ordering::Relaxed);
        let sent = if waiting > 0 && waiting.saturating_add(count) > SAMPLES_MAX {
            Err(ApplyError::Full)
        } else {
            let (done, answer) = oneshot::channel();
            match self.sender.try_send(Batch { samples, done }) {
                Ok(()) => Ok(answer),
                Err(TrySendError::Full(_)) => Err(ApplyError::Full),
                Err(TrySendError::Closed(_)) => Err(ApplyError::Closed),
            }
        };
        match sent {
            Ok(answer) => answer.await.map_err(|_| ApplyError::Closed),
            Err(error) => {
                self.waiting.fetch_sub(count, Ordering::Relaxed);
                if error == ApplyError::Full {
                    self.refused.add(count as u64);
                }
                Err(error)
            }
        }
    }
}

impl Outlet {
    /// The next batch; `None` when no [`Inbox`] is left.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<Batch> {
        let batch = self.receiver.recv().await;
        self.took(batch.as_ref());
        batch
    }

    /// The next batch, if one waits.
    pub fn waiting(&mut self) -> Option<Batch> {
        let batch = self.receiver.try_recv().ok();
        self.took(batch.as_ref());
        batch
    }

    fn took(&self, batch: Option<&Batch>) {
        let count = batch.map_or(0, |batch| batch.samples.0.len());
        self.waiting.fetch_sub(count, Ordering::Relaxed);
    }
}

impl Batch {
    /// Says that the samples are in the store.
    pub fn applied(self) {
        // Whoever asked may have gone.
        let _ = self.done.send(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Sample;

    fn samples(count: usize) -> Samples {
        Samples((0..count).map(|_| Sample::float("m", &[], 1, 1.0)).collect())
    }

    fn refused(registry: &Registry) -> u64 {
        registry.counter(&desc::STORE_INBOX_REFUSED_SAMPLES, &[]).get()
    }

    #[tokio::test]
    async fn a_full_inbox_refuses_at_once_and_counts_what_it_refused() {
        let registry = Registry::default();
        let (inbox, mut outlet) = inbox(&registry);
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..BATCHES_MAX {
            let inbox = inbox.clone();
            waiting.spawn(async move { inbox.apply(samples(1)).await });
        }
        while inbox.sender.capacity() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(inbox.apply(samples(3)).await, Err(ApplyError::Full));
        assert_eq!(refused(&registry), 3);
        while let Some(batch) = outlet.waiting() {
            batch.applied();
        }
        assert!(waiting.join_all().await.into_iter().all(|applied| applied == Ok(())));

        // By samples as well; a single batch above the limit is taken, or it never could be.
        let big = tokio::spawn({
            let inbox = inbox.clone();
            async move { inbox.apply(samples(SAMPLES_MAX + 1)).await }
        });
        while inbox.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(inbox.apply(samples(1)).await, Err(ApplyError::Full));
        outlet.next().await.unwrap().applied();
        assert_eq!(big.await.unwrap(), Ok(()));
        assert_eq!(refused(&registry), 4);
    }

    #[tokio::test]
    async fn without_a_store_it_is_closed() {
        let (inbox, mut outlet) = inbox(&Registry::default());
        let lost = tokio::spawn({
            let inbox = inbox.clone();
            async move { inbox.apply(samples(1)).await }
        });
        drop(outlet.next().await);
        assert_eq!(lost.await.unwrap(), Err(ApplyError::Closed));
        drop(outlet);
        assert_eq!(inbox.apply(samples(1)).await, Err(ApplyError::Closed));
    }
}
