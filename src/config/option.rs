//! What an option is: its place, type, range, default and meaning. All of them: [`super::table`].

use std::time::Duration;

use super::value::{show_byte_size, show_duration};

/// One option.
#[derive(Debug)]
pub(super) struct Opt {
    /// Its place below its section, for example `batch.max_size`.
    pub(super) key: &'static str,
    pub(super) kind: Kind,
    pub(super) default: Preset,
    /// What it does: full sentences.
    pub(super) doc: &'static str,
    pub(super) reload: Reload,
}

/// What holds when an option is not given.
#[derive(Clone, Copy, Debug)]
pub(super) enum Preset {
    /// As if this were written.
    Value(&'static str),
    /// What happens then, in words.
    Words(&'static str),
}

/// What a change of an option needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reload {
    /// Taken up by a reload (SIGHUP, `POST /-/reload`).
    Live,
    /// Needs a restart; a reload says so.
    Restart,
}

/// The type of an option, with its range.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Bool,
    Integer {
        min: u64,
        max: u64,
    },
    Float {
        min: f64,
        max: f64,
    },
    /// Bytes.
    Size {
        min: u64,
        max: u64,
    },
    Time {
        min: Duration,
        max: Duration,
    },
    Enum(&'static [&'static str]),
    Text,
    Path,
    /// `IP:port`.
    Listen,
    /// A destination: `http://`, `https://`, `unix:///` or `host:port`.
    Endpoint,
    /// Permission bits in octal.
    Mode,
    /// Names of HTTP headers.
    HeaderNames,
    List(&'static Kind),
    /// HTTP header names to values, which are secrets.
    Headers,
    /// Label names to values.
    Labels,
    /// A URL of which everything but scheme and host may be a secret.
    Url,
}

impl Kind {
    /// Whether a value is one text, and not a list or a mapping.
    pub(super) const fn is_scalar(&self) -> bool {
        !matches!(self, Self::HeaderNames | Self::List(_) | Self::Headers | Self::Labels)
    }

    /// The type and the accepted values, for messages and the documentation.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Bool => "`true` or `false`".to_owned(),
            Self::Integer { min, max: u64::MAX } => format!("a whole number, at least {min}"),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Float { min, max } => format!("a number from {min} to {max}"),
            Self::Size { min, max: u64::MAX } => {
                format!("a size such as `64MiB`, at least {}", show_byte_size(*min))
            }
            Self::Size { min, max } => {
                let (min, max) = (show_byte_size(*min), show_byte_size(*max));
                format!("a size such as `64MiB`, from {min} to {max}")
            }
            Self::Time { min, max: Duration::MAX } => {
                format!("a duration such as `1m30s`, at least {}", show_duration(*min))
            }
            Self::Time { min, max } => {
                let (min, max) = (show_duration(*min), show_duration(*max));
                format!("a duration such as `1m30s`, from {min} to {max}")
            }
            Self::Enum(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                format!("one of {}", words.join(", "))
            }
            Self::Text => "text".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Listen => "an IP address and a port, such as `127.0.0.1:4317`".to_owned(),
            Self::Endpoint => {
                "an endpoint: `http://host:port`, `https://host:port`, `unix:///path` or `host:port`"
                    .to_owned()
            }
            Self::Mode => "permission bits in octal, such as `\"0660\"`".to_owned(),
            Self::HeaderNames => "a list of header names".to_owned(),
            Self::List(kind) => format!("a list; each: {}", kind.describe()),
            Self::Headers => "a mapping of header names to values".to_owned(),
            Self::Labels => "a mapping of label names to values".to_owned(),
            Self::Url => "a URL: `http://host:port/path` or `https://host/path`".to_owned(),
        }
    }
}

/// A part of the documentation: the places under which a list of options stands.
#[derive(Debug)]
pub(super) struct Section {
    /// The heading.
    pub(super) title: &'static str,
    /// What the options are about: full sentences.
    pub(super) intro: &'static str,
    /// Where they stand; for exporters `exporters.<type>`, one per type.
    pub(super) places: &'static [&'static str],
    pub(super) options: &'static [Opt],
}
