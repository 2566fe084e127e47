//! `sidelight config`: a file to begin with, what holds and why, and what every option is.

mod explain;
mod init;
mod print;
mod schema;

use crate::cli::exit::{Exit, Failure};
use crate::cli::terminal::Terminal;

/// What about the configuration.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum What {
    /// Write a commented configuration to begin with.
    Init(init::Args),
    /// Show every option as it holds, secrets redacted, as a configuration file.
    Print(print::Args),
    /// Write the JSON Schema of configuration files, for editors: `sidelight config schema > schema.json`.
    Schema,
    /// Say what an option is: type, range, default, example.
    Explain(explain::Args),
}

pub(crate) fn execute(what: &What, terminal: &Terminal) -> Result<Exit, Failure> {
    match what {
        What::Init(args) => init::execute(args, terminal),
        What::Print(args) => print::execute(args, terminal),
        What::Schema => schema::execute(terminal),
        What::Explain(args) => explain::execute(args, terminal),
    }
}
