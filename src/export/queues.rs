//! What waits in the journal for each lane, shown at every scrape.

use crate::journal::{DropReason, Journal, ReaderStatus, Status};
use crate::signal::Signal;
use crate::telemetry::exposition::Exposition;
use crate::telemetry::{Desc, Registry, desc};

use super::reader_name;
use super::status::{Handle, LaneStatus};

/// Shows size, capacity and age of every lane's queue in `registry`, for as long as it lives.
pub fn expose(registry: &Registry, journal: &Journal, handle: &Handle) {
    let (journal, handle) = (journal.clone(), handle.clone());
    registry.collect(move |out| write(out, &journal, &handle));
}

/// How old the oldest record is that a lane has not delivered, in seconds, by exporter and signal; 0 where there is none.
#[must_use]
pub fn oldest_seconds(journal: &Journal, handle: &Handle) -> Vec<(String, Signal, f64)> {
    let status = journal.status();
    let lanes = lanes(&status, handle).into_iter();
    lanes.map(|(exporter, signal, reader)| (exporter, signal, oldest(reader))).collect()
}

fn oldest(reader: &ReaderStatus) -> f64 {
    reader.oldest_age.map_or(0.0, |age| age.as_secs_f64())
}

/// Every lane with its reader.
fn lanes<'a>(status: &'a Status, handle: &Handle) -> Vec<(String, Signal, &'a ReaderStatus)> {
    let with_reader = |lane: LaneStatus| {
        let signal = Signal::ALL.into_iter().find(|s| s.name() == lane.signal)?;
        let name = reader_name(&lane.exporter, signal);
        let reader = status.readers.iter().find(|r| r.config.name == name)?;
        Some((lane.exporter, signal, reader))
    };
    handle.lanes().into_iter().filter_map(with_reader).collect()
}

fn write(out: &mut Exposition, journal: &Journal, handle: &Handle) {
    let (status, ledger) = (journal.status(), journal.ledger());
    let lanes = lanes(&status, handle);
    let mut gauge = |desc: &Desc, value: &dyn Fn(&ReaderStatus) -> f64| {
        let mut family = out.family(desc);
        for (exporter, signal, reader) in &lanes {
            let labels = desc.labels.iter().copied().zip([exporter.as_str(), signal.name()]);
            family.value(&labels.collect::<Vec<_>>(), value(reader));
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "a display value")]
    let capacity = status.max_size as f64;
    #[expect(clippy::cast_precision_loss, reason = "a display value")]
    gauge(&desc::EXPORTER_QUEUE_SIZE, &|reader| reader.queued_bytes as f64);
    gauge(&desc::EXPORTER_QUEUE_CAPACITY, &|_| capacity);
    gauge(&desc::EXPORTER_OLDEST_UNDELIVERED_SECONDS, &oldest);
    for (signal, desc) in Signal::ALL.into_iter().zip(ENQUEUE_FAILED) {
        let mut family = out.family(desc);
        for (exporter, _, reader) in lanes.iter().filter(|(_, of, _)| *of == signal) {
            let of = ledger.readers.iter().find(|l| l.reader == reader.config.name);
            let dropped = of.and_then(|l| l.dropped.get(&DropReason::QueueFull));
            family.count(&[("exporter", exporter)], dropped.copied().unwrap_or(0), None);
        }
    }
}

/// In the order of [`Signal::ALL`].
const ENQUEUE_FAILED: [&Desc; 4] = [
    &desc::EXPORTER_ENQUEUE_FAILED_SPANS,
    &desc::EXPORTER_ENQUEUE_FAILED_METRIC_POINTS,
    &desc::EXPORTER_ENQUEUE_FAILED_LOG_RECORDS,
    &desc::EXPORTER_ENQUEUE_FAILED_PROFILES,
];
