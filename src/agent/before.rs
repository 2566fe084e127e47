//! The journal as a start finds it: who reads it, and what was counted before.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::Error;
use crate::aggregate;
use crate::blocking;
use crate::config::Config;
use crate::export;
use crate::journal;
use crate::journal::{DropReason, Journal, Ledger};
use crate::signal::Signal;
use crate::telemetry::Registry;
use crate::time::{Clock, UnixNano};

pub(super) async fn open_journal(
    config: &Config,
    registry: &Registry,
    clock: &Arc<dyn Clock>,
) -> Result<(Journal, journal::Recovery), Error> {
    let deps = journal::Deps {
        fs: Arc::new(journal::fs::RealFs),
        clock: Arc::clone(clock),
        registry: registry.clone(),
    };
    let readers = readers(&config.export, config.store.is_some());
    let config = config.journal.clone();
    Ok(blocking::run(move || Journal::open(config, readers, deps)).await?)
}

/// Every journal reader: the lanes, and the aggregator, which never blocks.
pub(super) fn readers(export: &export::Config, with_store: bool) -> Vec<journal::ReaderConfig> {
    let mut readers = export::readers(export);
    readers.push(aggregate::reader_config(with_store));
    readers
}

/// What was counted before this start.
#[derive(Debug)]
pub(super) struct Before {
    pub(super) at: UnixNano,
    pub(super) dropped: Dropped,
}

/// Items that were dropped, by the reader of the journal, the signal and the reason.
pub(super) type Dropped = BTreeMap<(String, Signal, DropReason), u64>;

impl Before {
    /// To be made while nothing can have been counted yet.
    pub(super) fn new(journal: &Journal, now: UnixNano) -> Self {
        Self { at: now, dropped: dropped(&journal.ledger()) }
    }
}

/// What a ledger says was dropped.
pub(super) fn dropped(ledger: &Ledger) -> Dropped {
    let mut all = Dropped::new();
    for lane in &ledger.readers {
        for (&reason, &items) in &lane.dropped {
            *all.entry((lane.reader.clone(), lane.signal, reason)).or_default() += items;
        }
    }
    all
}
