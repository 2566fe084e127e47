//! What of an agent runs beside its lanes: the journal's writer, a local reader, its own records.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sidelight_agent::journal::{AppendError, Entry, Journal, Reader, Settled, Stepper, Waited};
use sidelight_agent::receive::Append;
use sidelight_agent::signal::{Flags, Meta, Record, Signal};
use tokio::sync::Notify;

use crate::disk::SimFs;

/// The way to the journal, which wakes its writer.
#[derive(Clone)]
pub struct Bell {
    pub journal: Journal,
    pub bell: Arc<Notify>,
}

impl Append for Bell {
    async fn append(&self, record: Record) -> Result<(), AppendError> {
        self.bell.notify_one();
        self.journal.append(record).await.map(drop)
    }
}

/// The journal's writer, on a disk that may be slow and may lose its power.
pub async fn write(
    mut stepper: Stepper,
    bell: Arc<Notify>,
    lag: Arc<Mutex<Duration>>,
    disk: SimFs,
    died: Arc<Notify>,
) {
    loop {
        drop(tokio::time::timeout(stepper.patience(), bell.notified()).await);
        let lag = *lag.lock().unwrap();
        if !lag.is_zero() {
            tokio::time::sleep(lag).await;
        }
        if !stepper.step() {
            return;
        }
        if disk.is_off() {
            died.notify_one();
        }
    }
}

/// A reader of its own, as the aggregator is: everything, in order.
pub async fn read_locally(mut reader: Reader) {
    let settler = reader.settler();
    let mut last = 0;
    while reader.wait(1, Duration::from_secs(60)).await == Waited::Ready {
        // An error is the disk's; tried again.
        let Ok(entries) = reader.next(64 << 10, 100).await else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        let settled = |entry: &Entry| Settled {
            seq: entry.seq,
            delivered_items: entry.record.items,
            dropped: Vec::new(),
        };
        for entry in &entries {
            assert!(entry.seq > last, "{} after {last}", entry.seq);
            last = entry.seq;
        }
        settler.settle(entries.iter().map(settled));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The agent's own records, which nobody waits for.
pub async fn beat(journal: Journal, bell: Arc<Notify>) {
    loop {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let record = Record {
            signal: Signal::Metrics,
            items: 0,
            flags: Flags::LOCAL,
            meta: Meta::default(),
            payload: crate::sender::request(Signal::Metrics, &["beat".to_owned()]),
        };
        bell.notify_one();
        // Of another refusal, the next is tried all the same.
        if let Err(AppendError::Closing) = journal.append_written(record).await {
            return;
        }
    }
}
