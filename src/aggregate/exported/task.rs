//! From the aggregator's thread to the journal.
//!
//! What the journal refuses is not tried again: values are cumulative, and the next batch has all of them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::BATCHES_MAX;
use super::point::Request;
use crate::journal::Journal;
use crate::signal::{Flags, Meta, Record, Signal};
use crate::telemetry;
use crate::telemetry::{Registry, desc};
use crate::time::{Clock, UnixNano};

/// The values of one instant.
#[derive(Debug)]
pub(in super::super) struct Batch {
    pub(super) at_ms: i64,
    pub(super) requests: Vec<Request>,
}

/// What [`run`] takes from.
#[derive(Debug)]
pub struct Batches {
    waiting: mpsc::Receiver<Batch>,
    /// Older ones were sent before a crash.
    age_max: Duration,
}

#[cfg(test)]
impl Batches {
    /// What waits.
    pub(super) fn next(&mut self) -> Result<Batch, mpsc::error::TryRecvError> {
        self.waiting.try_recv()
    }
}

/// Both ends of a queue.
pub(in super::super) fn batches(interval: Duration) -> (mpsc::Sender<Batch>, Batches) {
    let (sender, waiting) = mpsc::channel(BATCHES_MAX);
    (sender, Batches { waiting, age_max: interval * 2 })
}

/// Appends batches to the journal for as long as there is an aggregator.
pub async fn run(batches: Batches, journal: Journal, clock: Arc<dyn Clock>, registry: Registry) {
    let append = |record| journal.append(record);
    append_all(batches, append, &*clock, &registry).await;
}

async fn append_all<A, T, E>(
    mut batches: Batches,
    append: impl Fn(Record) -> A,
    clock: &dyn Clock,
    registry: &Registry,
) where
    A: Future<Output = Result<T, E>>,
    E: std::error::Error,
{
    let exported = registry.counter(&desc::AGGREGATE_EXPORTED_POINTS, &[]);
    let dropped = |reason| registry.counter(&desc::AGGREGATE_EXPORT_DROPPED_POINTS, &[reason]);
    let (again, refused) = (dropped("replayed"), dropped("journal"));
    let mut failing = false;
    while let Some(Batch { at_ms, requests }) = batches.waiting.recv().await {
        let at = UnixNano(at_ms.unsigned_abs() * 1_000_000);
        let too_old = clock.unix_nano().since(at) > batches.age_max;
        for (items, request) in requests {
            if too_old {
                again.add(u64::from(items));
                continue;
            }
            let flags = Flags::INTERNAL.with(Flags::DERIVED);
            let (signal, meta, payload) = (Signal::Metrics, Meta::default(), request.into());
            let appended = append(Record { signal, items, flags, meta, payload }).await;
            match &appended {
                Ok(_) => exported.add(u64::from(items)),
                Err(error) => {
                    refused.add(u64::from(items));
                    if !failing {
                        let error = telemetry::chain(error);
                        tracing::warn!(error, "the journal does not take derived series");
                    }
                }
            }
            failing = appended.is_err();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::time::ManualClock;

    #[derive(Debug, thiserror::Error)]
    #[error("full")]
    struct Full;

    #[tokio::test]
    async fn what_was_sent_before_a_crash_is_not_sent_again_and_what_the_journal_refuses_is_counted()
     {
        let (sender, batches) = batches(Duration::from_secs(60));
        let now_ms = 1_700_000_000_000;
        let clock = ManualClock::at(UnixNano(1_700_000_000_000_000_000));
        let registry = Registry::default();
        for at_ms in [now_ms - 120_001, now_ms - 60_000] {
            let requests = vec![(2, b"two".to_vec()), (1, Vec::new())];
            sender.try_send(Batch { at_ms, requests }).unwrap();
        }
        drop(sender);
        let taken = RefCell::new(Vec::new());
        let append = async |record: Record| {
            if record.payload.is_empty() {
                return Err(Full);
            }
            taken.borrow_mut().push((record.flags, record.items));
            Ok(())
        };
        append_all(batches, append, &clock, &registry).await;
        assert_eq!(*taken.borrow(), [(Flags(10), 2)]);
        let dropped = |reason: &str| {
            registry.counter(&desc::AGGREGATE_EXPORT_DROPPED_POINTS, &[reason]).get()
        };
        assert_eq!((dropped("replayed"), dropped("journal")), (3, 1));
        assert_eq!(registry.counter(&desc::AGGREGATE_EXPORTED_POINTS, &[]).get(), 2);
    }
}
