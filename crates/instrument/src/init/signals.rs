//! SIGTERM and SIGINT: deliver, then end as the signal ends a process by default.

use std::io;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

/// Starts the thread that waits for them; `deliver` is run before one ends the process.
pub(crate) fn install(deliver: impl Fn() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    std::thread::Builder::new().name("sidelight-signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            deliver();
            _ = emulate_default_handler(signal);
        }
    })?;
    Ok(())
}
