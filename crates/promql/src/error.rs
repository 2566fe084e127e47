//! Why a query has no answer.

use std::fmt;

use crate::SourceError;

/// Why there is no answer. Its words are those of Prometheus.
#[derive(Debug)]
pub enum QueryError {
    /// The query cannot be asked: its times, or what it uses.
    BadData(String),
    /// The expression cannot be asked at these times: its durations, or its type.
    Expression(String),
    /// The query cannot be answered with the series there are.
    Execution(String),
    /// It took too long.
    Timeout,
    /// Nobody waits for the answer.
    Canceled,
    /// The store cannot answer.
    Source(SourceError),
}

impl QueryError {
    /// The `errorType` of the HTTP API.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::BadData(_) | Self::Expression(_) => "bad_data",
            Self::Execution(_) => "execution",
            Self::Timeout => "timeout",
            Self::Canceled => "canceled",
            Self::Source(_) => "internal",
        }
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadData(message) | Self::Expression(message) | Self::Execution(message) => {
                f.write_str(message)
            }
            Self::Timeout => f.write_str("query timed out in expression evaluation"),
            Self::Canceled => f.write_str("query was canceled in expression evaluation"),
            Self::Source(_) => f.write_str("expanding series"),
        }
    }
}

impl std::error::Error for QueryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Source(source) => Some(source),
            _ => None,
        }
    }
}
