//! SIGTERM and SIGINT: deliver, then end as the signal ends a process by default.

use std::io;
use std::sync::Arc;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use super::telemetry::Shared;

/// Starts the thread that waits for them.
pub(crate) fn install(shared: &Arc<Shared>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let shared = Arc::downgrade(shared);
    std::thread::Builder::new().name("sidelight-signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            if let Some(shared) = shared.upgrade() {
                _ = shared.shutdown();
            }
            _ = emulate_default_handler(signal);
        }
    })?;
    Ok(())
}
