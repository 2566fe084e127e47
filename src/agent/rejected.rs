//! How many rejected records wait in the journal: people send them again and remove them beside the agent.

use std::time::Duration;

use crate::blocking;
use crate::journal::Journal;

const INTERVAL: Duration = Duration::from_secs(10);

/// Keeps the gauges of what waits as it is on disk: a listing of at most 1,000 names, of none while nothing waits.
pub(super) async fn watch(journal: Journal) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // A disk that hangs takes one thread, and no scrape waits for it.
        let journal = journal.clone();
        blocking::run(move || journal.look_at_rejected()).await;
    }
}
