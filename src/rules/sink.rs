//! Where the results of rules go: at once into the store, which is waited for, and behind it into the journal.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::evaluate::Sink;
use crate::journal::AppendError;
use crate::signal::{Record, Samples};
use crate::store::Inbox;
use crate::telemetry::Counter;

/// Puts samples into the store from a blocking thread.
pub(super) struct InboxSink<'a> {
    pub(super) inbox: &'a Inbox,
    pub(super) stopped: &'a watch::Receiver<bool>,
    pub(super) patience: Duration,
}

impl Sink for InboxSink<'_> {
    fn append(&self, samples: Samples) -> Result<(), String> {
        let mut stopped = self.stopped.clone();
        tokio::runtime::Handle::current().block_on(async {
            tokio::select! {
                applied = self.inbox.apply(samples) => applied.map_err(|error| error.to_string()),
                () = tokio::time::sleep(self.patience) => {
                    Err(format!("the store took longer than {:?}", self.patience))
                }
                _ = stopped.wait_for(|stop| *stop) => Err("stopping".to_owned()),
            }
        })
    }
}

/// Appends what evaluations made to the journal, one record after the other. When it is to end, it first appends what waits.
pub(super) async fn write_journal<A>(
    append: impl Fn(Record) -> A,
    mut waiting: mpsc::Receiver<Samples>,
    mut ending: watch::Receiver<bool>,
    dropped: Counter,
) where
    A: Future<Output = Result<u64, AppendError>>,
{
    let mut failing = false;
    loop {
        let samples = tokio::select! {
            biased;
            samples = waiting.recv() => samples,
            _ = ending.wait_for(|ending| *ending), if !waiting.is_closed() => {
                waiting.close();
                continue;
            }
        };
        let Some(samples) = samples else { return };
        let mut failed = None;
        for piece in samples.pieces() {
            if let Err(error) = append(Samples::record_of(piece)).await {
                dropped.add(piece.len() as u64);
                failed = Some(error);
            }
        }
        if let Some(error) = &failed {
            // Once, not for every group: a full journal may stay so for hours.
            if !failing {
                tracing::warn!(%error, "results of rules are not in the journal: a kill would lose them");
            }
        } else if failing {
            tracing::info!("results of rules are in the journal again");
        }
        failing = failed.is_some();
    }
}
