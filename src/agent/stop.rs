//! What ends or changes a running agent: signals, the admin endpoint, a panic.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io;
use std::panic::PanicHookInfo;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use crate::api::Control;
use crate::telemetry::stderr;

/// How long a thread that panicked waits for the process to end: longer than a drain usually may take.
const HELD: Duration = Duration::from_secs(30);

/// Why the agent stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// SIGTERM: a supervisor ends us, and the applications beside us are still flushing.
    Terminate,
    /// SIGINT, or `POST /-/quit`: a person waits.
    Interrupt,
    /// A task panicked: a bug. What is durable stays so; the process ends non-zero.
    Panic,
}

impl Cause {
    /// Its name in the log.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Terminate => "terminate",
            Self::Interrupt => "interrupt",
            Self::Panic => "panic",
        }
    }
}

/// What the wiring waits for while everything runs.
#[derive(Debug)]
pub(super) enum Event {
    /// Stop.
    Stop(Cause),
    /// Read the configuration again, and tell whoever asked.
    Reload(Option<tokio::sync::oneshot::Sender<Result<String, String>>>),
}

/// The signals and requests that an agent listens to.
#[derive(Debug)]
pub(super) struct Events {
    terminate: Asked,
    interrupt: Asked,
    hangup: Asked,
    control: mpsc::Receiver<Control>,
    panicked: mpsc::Receiver<()>,
}

/// Who asks for one thing.
#[derive(Debug)]
enum Asked {
    By(tokio::signal::unix::Signal),
    /// The application whose process this is, at most once.
    Once(oneshot::Receiver<()>),
    Never,
}

impl Asked {
    fn by(kind: SignalKind) -> io::Result<Self> {
        signal(kind).map(Self::By)
    }

    async fn recv(&mut self) -> Option<()> {
        match self {
            Self::By(signal) => signal.recv().await,
            Self::Once(asked) => {
                // Gone is asked too: nobody is left who could.
                let _ = asked.await;
                *self = Self::Never;
                Some(())
            }
            Self::Never => std::future::pending().await,
        }
    }
}

impl Events {
    /// Begins to listen, and takes over the panic hook: a panic on any thread is reported as it would have been, without waiting
    /// for who reads that, and becomes an event. Where panics do not unwind (the release build) its thread
    /// is held meanwhile, at most [`HELD`]: the others drain and end the process, or it aborts. In an
    /// application's process only the application asks.
    ///
    /// # Errors
    /// The operating system refused a signal handler.
    pub(super) fn listen(
        control: mpsc::Receiver<Control>,
        embedded: Option<oneshot::Receiver<()>>,
    ) -> io::Result<Self> {
        let (panics, panicked) = mpsc::channel(1);
        if let Some(asked) = embedded {
            // As a person's wish: nobody beside the application is still sending.
            let interrupt = Asked::Once(asked);
            let (terminate, hangup) = (Asked::Never, Asked::Never);
            return Ok(Self { terminate, interrupt, hangup, control, panicked });
        }
        let drains = std::thread::current().id();
        std::panic::set_hook(Box::new(move |panic| {
            report(panic);
            tracing::error!(%panic, "this is a bug in sidelight: stopping");
            // Full means that an earlier panic is already on its way.
            let _ = panics.try_send(());
            // This thread may be the one that ends the process.
            stderr::flush();
            if cfg!(panic = "abort") && std::thread::current().id() != drains {
                let (_nobody, never) = std::sync::mpsc::sync_channel::<()>(0);
                let _ = never.recv_timeout(HELD);
            }
        }));
        Ok(Self {
            terminate: Asked::by(SignalKind::terminate())?,
            interrupt: Asked::by(SignalKind::interrupt())?,
            hangup: Asked::by(SignalKind::hangup())?,
            control,
            panicked,
        })
    }

    /// The next event.
    ///
    /// # Cancel safety
    /// Nothing is lost when this is cancelled.
    pub(super) async fn next(&mut self) -> Event {
        tokio::select! {
            biased;
            Some(()) = self.panicked.recv() => Event::Stop(Cause::Panic),
            Some(()) = self.terminate.recv() => Event::Stop(Cause::Terminate),
            Some(()) = self.interrupt.recv() => Event::Stop(Cause::Interrupt),
            Some(()) = self.hangup.recv() => Event::Reload(None),
            Some(control) = self.control.recv() => match control {
                Control::Quit => Event::Stop(Cause::Interrupt),
                Control::Reload(answer) => Event::Reload(Some(answer)),
            },
            else => Event::Stop(Cause::Interrupt),
        }
    }

    /// Resolves when a signal or a panic asks to stop; reloads and what the admin endpoint was asked
    /// wait their turn.
    ///
    /// # Cancel safety
    /// Nothing is lost when this is cancelled.
    pub(super) async fn signalled(&mut self) -> Cause {
        tokio::select! {
            biased;
            Some(()) = self.panicked.recv() => Cause::Panic,
            Some(()) = self.terminate.recv() => Cause::Terminate,
            Some(()) = self.interrupt.recv() => Cause::Interrupt,
            else => std::future::pending().await,
        }
    }

    /// The same until everything runs. What an application's start has begun would stay in its process, so it is not cut off:
    /// the application stops what has started.
    ///
    /// # Cancel safety
    /// Nothing is lost when this is cancelled.
    pub(super) async fn before_start(&mut self) -> Cause {
        match &self.interrupt {
            Asked::By(_) => self.signalled().await,
            Asked::Once(_) | Asked::Never => std::future::pending().await,
        }
    }

    /// Resolves when a second signal asks to stop at once.
    ///
    /// # Cancel safety
    /// Nothing is lost when this is cancelled.
    pub(super) async fn again(&mut self) -> Cause {
        loop {
            if let Event::Stop(cause) = self.next().await {
                return cause;
            }
        }
    }
}

/// Says what the hook of `std` would, which waits for who reads it.
fn report(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("<unnamed>");
    let trace = Backtrace::capture();
    let trace = match trace.status() {
        BacktraceStatus::Captured => format!("\n{trace}"),
        _ => String::new(),
    };
    stderr::say_last(&format!("thread '{thread}' {panic}{trace}"));
}

/// Tells systemd, where it started us, that everything runs (again).
pub(super) fn notify_ready() {
    notify(&[NotifyState::Ready]);
}

/// Tells systemd that the configuration is being read again; `Type=notify-reload` wants the time.
pub(super) fn notify_reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(_) => notify(&[NotifyState::Reloading]),
    }
}

/// Tells systemd that the drain has begun.
pub(super) fn notify_stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Feeds systemd's watchdog, where one is set, from the runtime that must stay alive.
pub(super) async fn feed_watchdog() {
    let Some(timeout) = sd_notify::watchdog_enabled() else { return };
    let mut ticks = tokio::time::interval(timeout / 3);
    loop {
        ticks.tick().await;
        notify(&[NotifyState::Watchdog]);
    }
}

fn notify(state: &[NotifyState<'_>]) {
    // Without systemd there is no socket and nothing to do; with it, a failure is worth a line.
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd was not notified");
    }
}
