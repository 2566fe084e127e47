//! What the host, the container and the agent itself use, read every 5 s and kept as local samples.
//!
//! ```text
//! /proc, cgroups ─ Root ─▶ Reading ─ Measured ─▶ Samples ─▶ store::Inbox (seen at once) and the journal (survives)
//! ```
//! In a cgroup with limits, utilization is against those: that is what the kernel throttles and kills by. An
//! application's own `process.*` and `container.*` have another job and are not touched. A source that cannot be read
//! shows as `sidelight_host_metrics_available` 0 and costs nothing else. The record every 5 s is also the beat by which
//! derived series are sampled and expire when no telemetry arrives.
//! Limits: 256 KiB of a file, [`MOUNTS_MAX`] file systems, [`DEVICES_MAX`] disks and interfaces each. Cost: about
//! 1 ms per reading, on a thread that may block.
//! Source: proc(5), cgroups(7), OpenTelemetry semantic conventions "system" and "process" 1.43.

mod cgroup;
mod measure;
mod proc;
mod read;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crate::blocking;
use crate::journal::Journal;
use crate::signal::Samples;
use crate::store::Inbox;
use crate::time::Clock;

pub use measure::Measured;
pub use read::{Reading, Root};

/// How often it is read.
pub const INTERVAL: Duration = Duration::from_secs(5);
/// File systems looked at.
pub const MOUNTS_MAX: usize = 32;
/// Disks, and network interfaces, looked at.
pub const DEVICES_MAX: usize = 64;

/// `aggregate.host_metrics` in the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whether the host is read (`enabled`). Default true.
    pub enabled: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// Reads the host until the store is gone.
pub async fn run(root: Root, inbox: Inbox, journal: Journal, clock: Arc<dyn Clock>) {
    let mut measured = Measured::default();
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let root = root.clone();
        let reading = blocking::run(move || root.read()).await;
        let samples = measured.take(&reading, clock.unix_nano().as_ms());
        if !keep(&inbox, &journal, samples).await {
            return;
        }
    }
}

/// Puts samples into the store and the journal; false when the store is gone.
async fn keep(inbox: &Inbox, journal: &Journal, samples: Samples) -> bool {
    let record = samples.record();
    match inbox.apply(samples).await {
        Ok(()) => {}
        Err(crate::store::ApplyError::Closed) => return false,
        // Counted; the journal's record brings them.
        Err(crate::store::ApplyError::Full) => {}
    }
    if let Err(error) = journal.append_written(record).await {
        tracing::debug!(%error, "samples of the host are in memory only");
    }
    true
}
