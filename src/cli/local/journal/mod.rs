//! `sidelight journal`: how full it is, what stands in it, what destinations rejected.
//!
//! The running agent is asked, or the journal's files are read ([`beside`](super::beside)): without locking or writing them,
//! beside an agent that has them or without one. Only a rejected record that was sent again, or is let go, is removed.

mod dump;
mod rejected;
mod stats;

use std::path::{Path, PathBuf};

use super::beside::{agent_or_files, agent_or_named_files};
use crate::cli::configured::Configured;
use crate::cli::exit::{Exit, Failure};
use crate::cli::read::client::Connection;
use crate::cli::terminal::Terminal;
use crate::config::Loaded;
use crate::journal::{Durability, OpenError};

/// What about the journal.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum What {
    /// How full it is, who has not read what, and how long the room lasts.
    Stats(stats::Args),
    /// Write its requests as OTLP/JSON, one a line, as the `file` exporter does.
    Dump(dump::Args),
    /// Requests that a destination did not take: list, show, send again.
    #[command(subcommand)]
    Rejected(rejected::What),
}

pub(crate) async fn execute(what: &What, terminal: &Terminal) -> Result<Exit, Failure> {
    match what {
        What::Stats(args) => stats::execute(args, terminal).await,
        What::Dump(args) => dump::execute(args, terminal).await,
        What::Rejected(what) => rejected::execute(what, terminal).await,
    }
}

/// Which journal: that of the agent that is asked, or files.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Source {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    connection: Connection,
}

impl Source {
    /// What the agent says, or the files in a directory, with the configuration that names it.
    async fn read<T>(
        &self,
        terminal: &Terminal,
        agent: impl AsyncFnOnce(&Connection) -> Result<T, Failure>,
        files: impl FnOnce(&Path, Option<Loaded>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let agent = async || agent(&self.connection).await;
        let files = || {
            let (directory, loaded) = self.place.find(terminal)?;
            Ok((files(&directory, loaded)?, directory))
        };
        agent_or_files(&self.connection, self.place.is_named(), terminal, agent, files).await
    }

    /// The same of what is to be changed: files only where they were named.
    async fn of_change<T>(
        &self,
        terminal: &Terminal,
        agent: impl AsyncFnOnce(&Connection) -> Result<T, Failure>,
        files: impl FnOnce(&Path) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let agent = async || agent(&self.connection).await;
        let files = || {
            let (directory, _) = self.place.find(terminal)?;
            Ok((files(&directory)?, directory))
        };
        agent_or_named_files(&self.connection, self.place.is_named(), terminal, agent, files).await
    }
}

/// Which files.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Place {
    /// The journal's directory, whose files are read. Default: that of the configuration.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    #[command(flatten)]
    configured: Configured,
}

impl Place {
    /// Whether one was named.
    const fn is_named(&self) -> bool {
        self.directory.is_some() || self.configured.any()
    }

    /// Its directory, which has to be there, and the configuration that names it.
    fn find(&self, terminal: &Terminal) -> Result<(PathBuf, Option<Loaded>), Failure> {
        if let Some(directory) = &self.directory {
            there(directory)?;
            let configured = self.configured.any().then(|| self.configured.load(terminal));
            return Ok((directory.clone(), configured.transpose()?));
        }
        let loaded = self.configured.load(terminal)?;
        let journal = &loaded.config.journal;
        if journal.durability == Durability::Memory {
            return Err(Failure::new(
                Exit::Failed,
                "this configuration keeps its journal in memory",
            )
            .help(
                "there are no files: only the running agent knows, name its address with `--url`",
            ));
        }
        there(&journal.directory)?;
        Ok((journal.directory.clone(), Some(loaded)))
    }
}

fn there(directory: &Path) -> Result<(), Failure> {
    let listed = std::fs::read_dir(directory).map_err(|error| unreadable(directory, &error))?;
    let name =
        |entry: std::io::Result<std::fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
    let ours = |name: &String| name.ends_with(".seg") || name == "lock" || name == "rejected";
    if listed.filter_map(name).any(|name| ours(&name)) {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, format!("there is no journal in {}", directory.display())).help(
        "it is the directory `journal.directory` of the agent, with files that end in `.seg`; \
         `sidelight config print -c FILE` shows it",
    ))
}

fn unreadable(directory: &Path, error: &std::io::Error) -> Failure {
    let what = format!("cannot read the journal in {}", directory.display());
    let help = match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            "it belongs to the agent's user: run this as that user, or as root"
        }
        _ => "name the agent's configuration with `-c`, or the journal with `--directory`",
    };
    Failure::new(Exit::Failed, what).because(error).help(help)
}

fn unopened(directory: &Path, error: &OpenError) -> Failure {
    if let OpenError::Io { source, .. } = error
        && source.kind() == std::io::ErrorKind::PermissionDenied
    {
        return unreadable(directory, source);
    }
    Failure::new(Exit::Failed, format!("cannot read the journal in {}", directory.display()))
        .because(error)
}

#[cfg(test)]
mod tests;
