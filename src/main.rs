//! argv → configuration → agent; the only process exit.

use std::process::ExitCode;

use sidelight_agent::cli;
use tokio::runtime::Builder;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let invocation = match cli::parse(std::env::args_os()) {
        Ok(invocation) => invocation,
        Err(exit) => return exit.into(),
    };
    let mut builder = match invocation.workers() {
        0 => Builder::new_current_thread(),
        workers => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(workers);
            builder
        }
    };
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return invocation.without_runtime(&error).into(),
    };
    let exit = runtime.block_on(invocation.execute());
    // What still blocks a thread here has been given its time by the command.
    runtime.shutdown_background();
    exit.into()
}
