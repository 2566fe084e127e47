//! How something ended, and what kind of error it was.
//!
//! `error.type` has few values: what [`ErrorKind`] says, else what a known error of the standard library is, else the name of
//! the error's type. An erased type (`Box<dyn Error>`) has no name worth telling; it is `_OTHER`.
//! Source: semantic conventions, `error.type`.

use std::error::Error;
use std::io;

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It did what it was for.
    Ok,
    /// It said that it failed.
    Error,
    /// It panicked.
    Panic,
    /// It was dropped before it ended.
    Cancelled,
}

impl Outcome {
    /// The value of the attribute `outcome`.
    ///
    /// ```
    /// assert_eq!(sidelight::Outcome::Cancelled.as_str(), "cancelled");
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Panic => "panic",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Tells the kind of an error, for `error.type`: one of few words, never a text with an id or a name in it.
///
/// ```
/// use sidelight::ErrorKind;
///
/// enum OrderError {
///     SoldOut,
///     Refused { by: String },
/// }
///
/// impl ErrorKind for OrderError {
///     fn error_kind(&self) -> &'static str {
///         match self {
///             Self::SoldOut => "sold_out",
///             Self::Refused { .. } => "refused",
///         }
///     }
/// }
/// assert_eq!(OrderError::Refused { by: "bank".into() }.error_kind(), "refused");
/// ```
pub trait ErrorKind {
    /// A word in lower case; from a fixed set.
    fn error_kind(&self) -> &'static str;
}

/// What is not told.
pub const OTHER: &str = "_OTHER";

/// The kind of an error of a type that is not known to have one.
///
/// ```
/// let error: Box<dyn std::error::Error> = Box::new(std::io::Error::from(std::io::ErrorKind::TimedOut));
/// assert_eq!(sidelight::error_kind(error.as_ref()), "timed_out");
/// ```
#[must_use]
pub fn error_kind(error: &(dyn Error + 'static)) -> &'static str {
    let mut next = Some(error);
    // A wrapper's source tells what it is about; chains are short, and could be circles.
    for _ in 0..8 {
        let Some(error) = next else { break };
        if let Some(kind) = known(error) {
            return kind;
        }
        next = error.source();
    }
    OTHER
}

/// The kind of an error of a type that is known: else the name of the type.
pub(crate) fn kind_of<E: Error + 'static>(error: &E) -> &'static str {
    match error_kind(error) {
        OTHER => type_word(std::any::type_name::<E>()),
        kind => kind,
    }
}

/// `a::b::Name<c::D>` is `Name`.
fn type_word(name: &'static str) -> &'static str {
    let name = name.split('<').next().unwrap_or(name);
    name.rsplit("::").next().unwrap_or(name)
}

fn known(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return Some(io_kind(error.kind()));
    }
    let parsed = error.is::<std::num::ParseIntError>()
        || error.is::<std::num::ParseFloatError>()
        || error.is::<std::str::ParseBoolError>()
        || error.is::<std::net::AddrParseError>();
    let kinds = [
        (parsed, "parse_error"),
        (
            error.is::<std::str::Utf8Error>() || error.is::<std::string::FromUtf8Error>(),
            "invalid_utf8",
        ),
        (error.is::<std::num::TryFromIntError>(), "out_of_range"),
        (error.is::<std::env::VarError>(), "no_variable"),
        (error.is::<std::fmt::Error>(), "format_error"),
        (error.is::<std::sync::mpsc::RecvError>(), "disconnected"),
        (error.is::<tokio::task::JoinError>(), "join_error"),
    ];
    kinds.iter().find(|(is, _)| *is).map(|(_, kind)| *kind)
}

fn io_kind(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound => "not_found",
        io::ErrorKind::PermissionDenied => "permission_denied",
        io::ErrorKind::ConnectionRefused => "connection_refused",
        io::ErrorKind::ConnectionReset => "connection_reset",
        io::ErrorKind::ConnectionAborted => "connection_aborted",
        io::ErrorKind::NotConnected => "not_connected",
        io::ErrorKind::AddrInUse => "address_in_use",
        io::ErrorKind::AddrNotAvailable => "address_not_available",
        io::ErrorKind::HostUnreachable => "host_unreachable",
        io::ErrorKind::NetworkUnreachable => "network_unreachable",
        io::ErrorKind::BrokenPipe => "broken_pipe",
        io::ErrorKind::AlreadyExists => "already_exists",
        io::ErrorKind::WouldBlock => "would_block",
        io::ErrorKind::InvalidInput => "invalid_input",
        io::ErrorKind::InvalidData => "invalid_data",
        io::ErrorKind::TimedOut => "timed_out",
        io::ErrorKind::WriteZero => "write_zero",
        io::ErrorKind::StorageFull => "storage_full",
        io::ErrorKind::Interrupted => "interrupted",
        io::ErrorKind::Unsupported => "unsupported",
        io::ErrorKind::UnexpectedEof => "unexpected_eof",
        io::ErrorKind::OutOfMemory => "out_of_memory",
        _ => "io_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{Anything as _, Erased as _, Named as _, Probe, Told as _};

    #[derive(Debug, thiserror::Error)]
    #[error("no")]
    struct Plain;

    #[derive(Debug, thiserror::Error)]
    #[error("no")]
    struct Wraps(#[source] io::Error);

    struct Tells;
    impl ErrorKind for Tells {
        fn error_kind(&self) -> &'static str {
            "told"
        }
    }

    #[test]
    #[expect(clippy::needless_borrow, reason = "a macro does not know how many borrows it takes")]
    fn the_kind_is_told_known_named_or_other() {
        assert_eq!((&&&&Probe(&Tells)).kind(), "told");
        assert_eq!((&&&&Probe(&Plain)).kind(), "Plain");
        assert_eq!((&&&&Probe(&Wraps(io::ErrorKind::BrokenPipe.into()))).kind(), "broken_pipe");
        assert_eq!((&&&&Probe(&"x".parse::<u8>().unwrap_err())).kind(), "parse_error");
        let erased: Box<dyn Error + Send + Sync> = Box::new(Plain);
        assert_eq!((&&&&Probe(&erased)).kind(), "_OTHER");
        let erased: Box<dyn Error> = Box::new(io::Error::from(io::ErrorKind::TimedOut));
        assert_eq!((&&&&Probe(&erased)).kind(), "timed_out");
        assert_eq!((&&&&Probe(&String::from("user 7 is unknown"))).kind(), "_OTHER");
    }
}
