//! Why notifications cannot be kept, or a silence is refused.

use crate::sqlite;

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] sqlite::OpenError),
    /// SQLite refuses.
    #[error("the database of notifications")]
    Sqlite(#[from] rusqlite::Error),
    /// It does not take what there is to write.
    #[error("the disk does not take what receivers were told")]
    Behind,
}

impl DatabaseError {
    /// Whether it may go well later though nobody mends it: the disk is full, or another process has the file.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Open(error) => error.may_pass(),
            Self::Sqlite(error) => sqlite::may_pass(error),
            Self::Behind => false,
        }
    }
}

/// Why a silence is refused, or cannot be found.
#[derive(Debug, thiserror::Error)]
pub enum SilenceError {
    /// What was asked for is not a silence.
    #[error("{0}")]
    Invalid(String),
    /// There is none of this id that is not over.
    #[error("there is no silence `{0}` that is not over")]
    Unknown(String),
    /// As many are there as there may be.
    #[error("there are {0} silences: expire one first")]
    Full(usize),
    /// It cannot be kept.
    #[error("the silence cannot be kept")]
    Keep(#[from] DatabaseError),
}
