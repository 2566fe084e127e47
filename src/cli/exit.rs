//! How a command ends: the exit codes, and what is said when it fails.

use std::error::Error;
use std::process::ExitCode;

/// The exit codes, all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what was asked.
    Ok = 0,
    /// The operation failed, or the check did.
    Failed = 1,
    /// What was typed is wrong.
    Usage = 2,
    /// There are findings at or above the level that was asked for.
    Findings = 3,
    /// The agent does not answer, or not in time.
    Unreachable = 4,
    /// The configuration is not valid.
    InvalidConfiguration = 5,
    /// The agent asks for a token, or for another one.
    NotAuthorised = 6,
    /// SIGINT, a second time.
    Interrupted = 130,
    /// Nobody reads standard output any more; as if killed by SIGPIPE.
    BrokenPipe = 141,
    /// SIGTERM, a second time.
    Terminated = 143,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What failed, and where; empty where it has been said already.
    pub what: String,
    /// Why: the chain of causes.
    pub why: Vec<String>,
    /// How to fix it.
    pub help: Option<String>,
    /// Nobody listens where an agent was asked: not one that is slow, or broke off.
    pub is_absent: bool,
}

impl Failure {
    /// A failure without a cause beneath it.
    #[must_use]
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), why: Vec::new(), help: None, is_absent: false }
    }

    /// A failure of which everything has been said.
    #[must_use]
    pub fn said(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    /// With `error` and what caused it.
    #[must_use]
    pub fn because(mut self, error: &dyn Error) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            self.why.push(error.to_string());
            cause = error.source();
        }
        self
    }

    /// With a way out.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}
