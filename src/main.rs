//! argv → configuration → agent; the only process exit.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sidelight_agent::cli;
use sidelight_agent::telemetry::stderr;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many milliseconds the allocator keeps what was freed; its own default is 1,000. With that a flood has the process stand
/// at 150 MiB where `limits.memory` is 128, and at 82 where it is 48; with this at 122 and 53, for no more CPU in ordinary
/// traffic.
const PURGE_DELAY: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "10");

fn main() -> ExitCode {
    let invocation = match cli::parse(std::env::args_os()) {
        Ok(invocation) => invocation,
        Err(exit) => return exit.into(),
    };
    let mut builder = match invocation.workers() {
        0 => Builder::new_current_thread(),
        workers => {
            give_memory_back();
            open_more_files();
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(workers);
            builder
        }
    };
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return invocation.without_runtime(&error).into(),
    };
    let exit = runtime.block_on(async {
        // Where the program could not be begun anew, the attempt has left SIGPIPE to end it when a peer goes away.
        let _ = signal(SignalKind::pipe());
        invocation.execute().await
    });
    // What still blocks a thread here has been given its time by the command.
    runtime.shutdown_background();
    stderr::flush();
    exit.into()
}

/// Begins the program anew with [`PURGE_DELAY`] in its environment, where it is not: the allocator reads it before `main`.
/// Where that cannot be done it goes on as it is.
fn give_memory_back() {
    let (name, value) = PURGE_DELAY;
    if std::env::var_os(name).is_none()
        && let Ok(program) = std::env::current_exe()
    {
        let mut arguments = std::env::args_os();
        let mut again = Command::new(program);
        if let Some(called) = arguments.next() {
            again.arg0(called);
        }
        let _ = again.args(arguments).env(name, value).exec();
    }
}

/// Raises the soft limit of open files to the hard one: each segment of a journal is one at the start, and each connection.
fn open_more_files() {
    let limit = getrlimit(Resource::Nofile);
    // It then goes on with those that it has.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
