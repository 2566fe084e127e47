//! The journal as a start finds it: who reads it, and what was counted before.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::error::Error;
use crate::aggregate;
use crate::blocking;
use crate::config::Config;
use crate::export;
use crate::journal;
use crate::journal::{DropReason, Journal, Ledger, ReaderLedger};
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

/// Readers of the journal, and why something was dropped for them.
pub(super) type Dropped = BTreeSet<(String, DropReason)>;

impl Before {
    /// To be made while nothing can have been counted yet.
    pub(super) fn new(journal: &Journal, now: UnixNano) -> Self {
        Self { at: now, dropped: dropped(&journal.ledger()) }
    }
}

/// For whom, and why, a ledger says that something was dropped.
pub(super) fn dropped(ledger: &Ledger) -> Dropped {
    let of = |lane: &ReaderLedger| {
        let reader = lane.reader.clone();
        lane.dropped.keys().map(move |reason| (reader.clone(), *reason)).collect::<Vec<_>>()
    };
    ledger.readers.iter().flat_map(of).collect()
}
