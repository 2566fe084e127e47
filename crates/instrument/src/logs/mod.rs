//! Log lines: for people on a terminal, as JSON elsewhere, and over OTLP; each with the request's id and the trace.
//!
//! Single measurements (`detailed` of handles) go over OTLP only. A line of JSON has these keys, in this order, where there is
//! something to say, then the fields of the event. A field whose name is one of these is written as `field.NAME`.
//!
//! | key | meaning |
//! |---|---|
//! | `timestamp` | RFC 3339, UTC, microseconds |
//! | `level` | `TRACE` to `ERROR` |
//! | `service.name`, `service.version` | who is speaking |
//! | `target` | the module, or what the event says |
//! | `span` | the name of the innermost span |
//! | `request_id` | of the [current](crate::current) request |
//! | `trace_id`, `span_id` | in hexadecimal |
//! | `message` | the text |

mod format;
#[cfg(feature = "otlp")]
mod otlp;
mod stdout;
mod timestamp;
mod trace;

use std::io::IsTerminal;

use opentelemetry::Key;
use opentelemetry_sdk::Resource;

use format::{Service, Style};
#[cfg(feature = "otlp")]
pub(crate) use otlp::OtlpLogs;
use stdout::Output;
pub(crate) use stdout::Stdout;

/// How log lines are written to standard output.
///
/// ```no_run
/// use sidelight::logs::LogFormat;
///
/// let telemetry = sidelight::init("checkout").logs(LogFormat::Text).start()?;
/// # drop(telemetry);
/// # Ok::<(), sidelight::init::StartError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One line of text for people.
    Text,
    /// One JSON object per line.
    Json,
    /// Nothing; over OTLP only.
    Off,
}

impl LogFormat {
    fn style(self) -> Option<Style> {
        match self {
            Self::Off => None,
            Self::Text => Some(Style::Text { colour: colour() }),
            Self::Auto if std::io::stdout().is_terminal() => Some(Style::Text { colour: colour() }),
            Self::Json | Self::Auto => Some(Style::Json),
        }
    }
}

/// As <https://no-color.org> asks.
fn colour() -> bool {
    std::io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The layer that writes lines of `format` to standard output.
pub(crate) fn stdout(format: LogFormat, resource: &Resource) -> Stdout {
    Stdout::new(format.style(), service(resource), Output::Process)
}

/// The layer that hands lines of JSON to `take`.
#[cfg(feature = "testing")]
pub(crate) fn handed_to(take: fn(&str), resource: &Resource) -> Stdout {
    Stdout::new(Some(Style::Json), service(resource), Output::To(take))
}

fn service(resource: &Resource) -> Service {
    let text = |key| resource.get(&Key::from_static_str(key)).map(|value| value.to_string());
    Service { name: text("service.name").unwrap_or_default(), version: text("service.version") }
}

/// An error with all that caused it, as `outer: inner`.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
