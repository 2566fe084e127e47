//! The agent's own logs: one line per event on standard error, at a level that can change while it
//! runs, and a limit on lines that a flood of equal events would repeat. No event waits for standard error ([`stderr`]).

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry as Spans, fmt, reload};

use super::config::{LogFormat, Logs};
use super::stderr;
use super::stderr::Stderr;

/// Changes the level while the agent runs. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Level(reload::Handle<EnvFilter, Spans>);

/// The level or its directives cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("`{directives}` is not a log level")]
pub struct BadLevel {
    directives: String,
    #[source]
    source: tracing_subscriber::filter::ParseError,
}

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The configured level is wrong.
    #[error(transparent)]
    Level(#[from] BadLevel),
    /// What writes them has no thread.
    #[error("cannot start the thread that writes to standard error")]
    Thread(#[source] std::io::Error),
    /// The process has a subscriber already.
    #[error("a log subscriber is set already")]
    Set(#[source] tracing_subscriber::util::TryInitError),
}

impl Level {
    /// Of an application's own subscriber, which is the application's to set.
    pub(super) fn of_nothing() -> Self {
        Self(reload::Layer::new(EnvFilter::default()).1)
    }

    /// Applies a level or directives such as `info,sidelight_agent::export=debug`.
    ///
    /// # Errors
    /// [`BadLevel`] when they cannot be read; the former level stays.
    pub fn set(&self, directives: &str) -> Result<(), BadLevel> {
        let filter = parse(directives)?;
        // The only other failure is that the subscriber is gone: then nobody reads the logs.
        drop(self.0.reload(filter));
        Ok(())
    }
}

/// Reads a level or directives.
///
/// # Errors
/// [`BadLevel`] names what could not be read.
pub fn parse(directives: &str) -> Result<EnvFilter, BadLevel> {
    EnvFilter::builder()
        .parse(directives)
        .map_err(|source| BadLevel { directives: directives.to_owned(), source })
}

/// A further layer over the spans and events that pass the level.
pub type Extra = Box<dyn Layer<Spans> + Send + Sync>;

/// Sends the process's events to standard error, and what passes `extra` there too.
///
/// # Errors
/// [`InitError`]; nothing was set up.
pub fn init(config: &Logs, extra: Option<Extra>) -> Result<Level, InitError> {
    let (filter, handle) = reload::Layer::new(parse(&config.level)?);
    let to = stderr::begin().map_err(InitError::Thread)?;
    let lines = lines(config.format, to).with_filter(filter);
    let layers: Vec<Extra> = std::iter::once(lines.boxed()).chain(extra).collect();
    tracing_subscriber::registry().with(layers).try_init().map_err(InitError::Set)?;
    Ok(Level(handle))
}

fn lines(format: LogFormat, to: Stderr) -> Extra {
    let terminal = std::io::stderr().is_terminal();
    let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let lines = fmt::layer().with_writer(move || to.clone());
    if format.is_pretty() {
        lines.with_target(false).with_ansi(colours).boxed()
    } else {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
    }
}

/// Lets one of many equal events through per interval and counts the rest.
///
/// ```
/// # use std::time::Duration;
/// # use sidelight_agent::telemetry::logs::Seldom;
/// let seldom = Seldom::every(Duration::from_secs(10));
/// assert_eq!(seldom.pass_at(Duration::from_secs(1)), Some(0));
/// assert_eq!(seldom.pass_at(Duration::from_secs(2)), None);
/// assert_eq!(seldom.pass_at(Duration::from_secs(11)), Some(1));
/// ```
#[derive(Debug)]
pub struct Seldom {
    interval_nanos: u64,
    next_nanos: AtomicU64,
    suppressed: AtomicU64,
}

impl Seldom {
    /// At most one event per `interval`.
    #[must_use]
    pub fn every(interval: Duration) -> Self {
        Self { interval_nanos: nanos(interval), next_nanos: 0.into(), suppressed: 0.into() }
    }

    /// The number of events held back since the last one that passed, when this one may pass.
    /// `now` is monotonic.
    #[must_use]
    pub fn pass_at(&self, now: Duration) -> Option<u64> {
        let now = nanos(now);
        let next = self.next_nanos.load(Ordering::Relaxed);
        let after = now.saturating_add(self.interval_nanos);
        let won = now >= next
            && self
                .next_nanos
                .compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if won {
            return Some(self.suppressed.swap(0, Ordering::Relaxed));
        }
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_directives_are_read_and_others_named() {
        for good in ["info", "WARN", "off", "info,sidelight_agent::export=debug"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        let error = parse("info,=loud=").unwrap_err().to_string();
        assert_eq!(error, "`info,=loud=` is not a log level");
    }

    #[test]
    fn only_one_event_an_interval_passes_and_the_rest_are_counted() {
        let seldom = Seldom::every(Duration::from_secs(10));
        let passed: Vec<_> =
            (0..25).filter_map(|s| seldom.pass_at(Duration::from_secs(s))).collect();
        assert_eq!(passed, [0, 9, 9]);
    }
}
