//! SIGTERM and SIGINT: deliver, then end as the signal ends a process by default.

use std::io;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::{emulate_default_handler, exit};

/// Starts the thread that waits for them; `deliver` is run before one ends the process.
pub(crate) fn install(deliver: impl Fn() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    std::thread::Builder::new().name("sidelight-signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            deliver();
            end(signal);
        }
    })?;
    Ok(())
}

fn end(signal: i32) {
    // The kernel keeps signals by default from the first process of a container: raised again it would do nothing, and
    // what ends others in its stead is an abort by a forbidden instruction. Shells say it by this code.
    if std::process::id() == 1 {
        exit(128 + signal);
    }
    _ = emulate_default_handler(signal);
}
