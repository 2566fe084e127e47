//! The thread `sidelight-io`: a runtime of its own, in which exporters do their input and output.
//!
//! An application's runtime may be single-threaded, blocked, or gone when the last records must leave; this one is not.
//! Telemetry about the exporters' own work is suppressed on all of its threads.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use opentelemetry::Context;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Name resolution.
const BLOCKING_THREADS_MAX: usize = 4;

/// The running thread.
#[derive(Debug)]
pub(crate) struct IoThread {
    handle: Handle,
    stop: Mutex<Option<oneshot::Sender<()>>>,
    ended: Mutex<Receiver<()>>,
    _thread: JoinHandle<()>,
}

impl IoThread {
    /// Starts it.
    pub(crate) fn start() -> std::io::Result<Self> {
        let (tell, told) = sync_channel(1);
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = sync_channel(1);
        let thread = Builder::new().name("sidelight-io".to_owned()).spawn(move || {
            let _suppressed = Context::enter_telemetry_suppressed_scope();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(BLOCKING_THREADS_MAX)
                .thread_name("sidelight-io-blocking")
                .on_thread_start(|| std::mem::forget(Context::enter_telemetry_suppressed_scope()))
                .build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => {
                    _ = tell.send(Err(error));
                    return;
                }
            };
            _ = tell.send(Ok(runtime.handle().clone()));
            _ = runtime.block_on(stopped);
            runtime.shutdown_background();
            _ = end.send(());
        })?;
        let handle = told.recv().map_err(std::io::Error::other)??;
        Ok(Self { handle, stop: Mutex::new(Some(stop)), ended: Mutex::new(ended), _thread: thread })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends the runtime; whether it ended within `bound`.
    pub(crate) fn stop(&self, bound: Duration) -> bool {
        let Some(stop) = self.stop.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return true;
        };
        _ = stop.send(());
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(bound);
        !matches!(ended, Err(RecvTimeoutError::Timeout))
    }
}
