//! `sidelight journal rejected`: requests that a destination refused while it took others, kept for people.
//!
//! They are in the ledger as dropped{rejected}, whatever becomes of them here. The agent lists, shows and removes them; sending
//! reads the files that a configuration names, since its destinations take them, and goes straight there, past the journal; what
//! is taken is removed. A running agent does not mind: it may let go of the oldest meanwhile, and finds out that one is gone.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::{Place, Source};
use crate::cli::configured::Configured;
use crate::cli::exit::{Exit, Failure};
use crate::cli::local::beside::of_source;
use crate::cli::read::client::Connection;
use crate::cli::rows::{self, Column, Shape, text};
use crate::cli::terminal::Terminal;
use crate::cli::text::{Format, size};
use crate::config::Loaded;
use crate::export::client::{Client, Partial, Response, SendError};
use crate::export::config::{ClientConfig, Target};
use crate::export::refused::escaped;
use crate::journal::inspect::{Kept, is_rejected_name, read_rejected, rejected, remove_rejected};
use crate::journal::{Rejected, RejectedFile};
use crate::time::SystemClock;

/// What is done with them.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum What {
    /// List them, with the destination's words.
    Ls(Ls),
    /// Write one as a line of OTLP/JSON.
    Show(Show),
    /// Send them again, from the files that a configuration names, and remove what is taken.
    #[command(
        after_help = "Examples:\n  sidelight journal rejected resend -c config.yaml --all\n  \
        sidelight journal rejected resend -c config.yaml --to otlp_http/other 00000000000000000042-0.rejected"
    )]
    Resend(Resend),
    /// Remove them; `--all` asks before.
    #[command(
        after_help = "Examples:\n  sidelight journal rejected rm 00000000000000000042-0.rejected\n  \
        sidelight journal rejected rm --all --yes\n\n\
        The running agent removes them. Files are changed only where `--directory`, `-c` or `--set` names them."
    )]
    Rm(Rm),
}

/// Where they are, and how they are shown.
#[derive(Debug, clap::Args)]
pub(crate) struct Ls {
    /// The format.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
    #[command(flatten)]
    source: Source,
}

/// Which one.
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// Its name, as `ls` shows it.
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,
    #[command(flatten)]
    source: Source,
}

/// Which ones.
#[derive(Debug, clap::Args)]
struct Chosen {
    /// Their names, as `ls` shows them.
    #[arg(value_name = "NAME", value_parser = name, required_unless_present = "all")]
    names: Vec<String>,
    /// All of them; of files those that cannot be read as well.
    #[arg(long, conflicts_with = "names")]
    all: bool,
}

/// Which ones, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct Resend {
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    place: Place,
    /// Another exporter of the configuration. Default: the one that rejected them.
    #[arg(long, value_name = "EXPORTER")]
    to: Option<String>,
    /// Keep the files of what is taken, too.
    #[arg(long)]
    keep: bool,
}

/// Which ones.
#[derive(Debug, clap::Args)]
pub(crate) struct Rm {
    #[command(flatten)]
    chosen: Chosen,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    source: Source,
}

/// The name of a file, never a path.
fn name(text: &str) -> Result<String, String> {
    is_rejected_name(text)
        .then(|| text.to_owned())
        .ok_or_else(|| "expected a name that `rejected ls` shows".to_owned())
}

const ROWS: Shape = Shape {
    list: "kept",
    columns: &[
        Column::text("NAME", |row| text(row, "file")),
        Column::text("AT", |row| rows::time_of_nanos(row, "at_unix_nano"))
            .plain("at_unix_seconds", seconds_at),
        Column::text("EXPORTER", |row| text(row, "exporter")),
        Column::text("SIGNAL", |row| text(row, "signal")),
        Column::number("ITEMS", |row| text(row, "items")),
        Column::number("SIZE", |row| {
            row.get("payload_bytes").and_then(Value::as_u64).map_or_else(String::new, size)
        })
        .member("payload_bytes"),
        Column::text("STATUS", |row| text(row, "status")),
    ],
    none: "no rejected request is kept",
};

/// The time as the requests of `journal dump` have it: in seconds.
fn seconds_at(row: &Value) -> String {
    let nanos = row.get("at_unix_nano").and_then(Value::as_u64);
    let at = nanos.map(|nanos| Duration::from_nanos(nanos).as_secs_f64());
    at.map_or_else(String::new, |at| rows::plain(&json!(at)))
}

/// Where the agent has them.
const REJECTED: &str = "/api/sidelight/v1/rejected";

fn path(name: &str) -> String {
    format!("{REJECTED}/{name}")
}

pub(super) async fn execute(what: &What, terminal: &Terminal) -> Result<Exit, Failure> {
    match what {
        What::Ls(args) => {
            let agent = async |agent: &Connection| {
                Ok(of_source(rows::parsed(&agent.document(REJECTED).await?)?, "agent"))
            };
            let files = |directory: &Path, _| {
                let kept = list(directory, terminal)?;
                let kept: Vec<Value> = kept.iter().map(RejectedFile::document).collect();
                Ok(of_source(json!({ "schema_version": 1, "kept": kept }), "files"))
            };
            let document = args.source.read(terminal, agent, files).await?;
            ROWS.show(&document, args.output, terminal)?;
            Ok(Exit::Ok)
        }
        What::Show(args) => {
            let agent = async |agent: &Connection| {
                let document = agent.document(&path(&args.name)).await?;
                Ok(String::from_utf8_lossy(&document).into_owned())
            };
            let files = |directory: &Path, _| {
                let kept = read(directory, &args.name)?;
                kept.record.to_json().map_err(|error| {
                    Failure::new(Exit::Failed, format!("{} is not OTLP", args.name)).because(&error)
                })
            };
            let request = args.source.read(terminal, agent, files).await?;
            terminal.data(&format!("{request}\n"))?;
            Ok(Exit::Ok)
        }
        What::Resend(args) => resend(args, terminal).await,
        What::Rm(args) => rm(args, terminal).await,
    }
}

/// Removes them where they are: by the agent, or in a directory.
async fn rm(args: &Rm, terminal: &Terminal) -> Result<Exit, Failure> {
    let agent = async |agent: &Connection| {
        let document = rows::parsed(&agent.document(REJECTED).await?)?;
        let kept = rows::rows(&document, ROWS.list).iter();
        Ok((None, kept.map(|row| text(row, "file")).collect()))
    };
    let files = |directory: &Path| Ok((Some(directory.to_owned()), names(directory)?));
    let (place, kept): (Option<PathBuf>, Vec<String>) =
        args.source.of_change(terminal, agent, files).await?;
    if args.chosen.all {
        let whose = place.as_ref().map_or_else(
            || format!("the agent at {}", args.source.connection.url()),
            |directory| directory.display().to_string(),
        );
        let question = format!("remove all {} rejected requests of {whose}, for good?", kept.len());
        if kept.is_empty() {
            terminal.note(ROWS.none);
        } else if !args.yes && !confirmed(terminal.ask(&question), &question)? {
            terminal.note("nothing was removed");
            return Ok(Exit::Failed);
        }
    }
    let mut exit = Exit::Ok;
    for name in if args.chosen.all { &kept } else { &args.chosen.names } {
        let removed = match &place {
            Some(directory) => remove(directory, name),
            None => {
                let (agent, path) = (&args.source.connection, path(name));
                agent.change(Method::DELETE, &path, Bytes::new()).await.map(|_| ())
            }
        };
        if let Err(failure) = removed {
            terminal.failure(&failure);
            exit = failure.exit;
        }
    }
    Ok(exit)
}

/// Whether people said yes. Where nobody can be asked, nothing is taken for it.
fn confirmed(answer: Option<bool>, question: &str) -> Result<bool, Failure> {
    answer.ok_or_else(|| {
        Failure::new(Exit::Usage, format!("nobody is there to be asked: {question}"))
            .help("`--yes` removes them without a question")
    })
}

/// The names of all that is kept in a directory, also of what cannot be read.
fn names(directory: &Path) -> Result<Vec<String>, Failure> {
    let Kept { files, unreadable } =
        rejected(directory).map_err(|error| super::unreadable(directory, &error))?;
    let readable = files.into_iter().map(|file| file.name);
    Ok(readable.chain(unreadable.into_iter().map(|(name, _)| name)).collect())
}

/// What is kept; what cannot be read is said.
fn list(directory: &Path, terminal: &Terminal) -> Result<Vec<RejectedFile>, Failure> {
    let Kept { files, unreadable } =
        rejected(directory).map_err(|error| super::unreadable(directory, &error))?;
    for (name, error) in unreadable {
        terminal.say(&format!("{name} cannot be read: {error}"));
    }
    Ok(files)
}

fn read(directory: &Path, name: &str) -> Result<Rejected, Failure> {
    read_rejected(directory, name).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot read the rejected request {name}"))
            .because(&error)
            .help(format!(
                "`sidelight journal rejected ls --directory {}` shows what there is",
                directory.display()
            ))
    })
}

fn remove(directory: &Path, name: &str) -> Result<(), Failure> {
    remove_rejected(directory, name).map_err(|error| {
        let what = format!("cannot remove {name} from {}", directory.display());
        Failure::new(Exit::Failed, what).because(&error).help("run this as the agent's user")
    })
}

async fn resend(args: &Resend, terminal: &Terminal) -> Result<Exit, Failure> {
    let (directory, loaded) = args.place.find(terminal)?;
    let names = if args.chosen.all { names(&directory)? } else { args.chosen.names.clone() };
    // A directory alone says nothing of destinations: those of the environment.
    let loaded = match loaded {
        Some(loaded) => loaded,
        None => Configured::default().load(terminal)?,
    };
    let (mut taken, mut refused, mut kept) = (0, 0, 0);
    let mut said: Option<Failure> = None;
    for name in &names {
        match send_again(args, &loaded, &directory, name).await {
            Err(failure) => {
                refused += 1;
                let same = said
                    .as_ref()
                    .is_some_and(|said| said.what == failure.what && said.why == failure.why);
                if same {
                    terminal.say(&format!("{name}: the same"));
                } else {
                    said = Some(failure.clone());
                    terminal
                        .failure(&Failure { what: format!("{name}: {}", failure.what), ..failure });
                }
            }
            Ok(warning) => {
                taken += 1;
                if let Some(words) = warning {
                    terminal.say(&format!("{name}: taken, with a warning: {words}"));
                }
                if !args.keep
                    && let Err(failure) = remove(&directory, name)
                {
                    kept += 1;
                    terminal.failure(&failure);
                }
            }
        }
    }
    let mut summary = format!("{taken} taken, {refused} not");
    if refused > 0 {
        summary += ": what was not is kept";
    }
    if kept > 0 {
        summary += &format!("; {kept} of what was taken cannot be removed");
    }
    terminal.note(&summary);
    Ok(if refused + kept > 0 { Exit::Failed } else { Exit::Ok })
}

/// Sends one; the words of a receiver that took it with a warning.
async fn send_again(
    args: &Resend,
    loaded: &Loaded,
    directory: &Path,
    name: &str,
) -> Result<Option<String>, Failure> {
    let kept = read(directory, name)?;
    let exporter = args.to.as_ref().unwrap_or(&kept.exporter);
    match send(client(loaded, exporter)?, &kept).await? {
        Ok(Response { partial: None, .. }) => Ok(None),
        Ok(Response { partial: Some(Partial { rejected: 0, message }), .. }) => {
            Ok(Some(escaped(&message)))
        }
        Ok(Response { partial: Some(Partial { rejected, message }), .. }) => {
            let what = format!("{exporter} rejected {rejected} items: {}", escaped(&message));
            Err(Failure::new(Exit::Failed, what))
        }
        Err(error) => {
            let what = format!("{exporter}: {}", escaped(&error.chain()));
            Err(Failure::new(Exit::Failed, what))
        }
    }
}

/// How to reach the exporter of that name.
fn client<'a>(loaded: &'a Loaded, exporter: &str) -> Result<&'a ClientConfig, Failure> {
    let destinations = &loaded.config.export.destinations;
    match destinations
        .iter()
        .find(|destination| destination.name == exporter)
        .map(|found| &found.target)
    {
        Some(Target::Otlp(client)) => Ok(client),
        Some(Target::Debug(_) | Target::File(_)) => {
            let what = format!("`{exporter}` is not a receiver of OTLP");
            Err(Failure::new(Exit::Usage, what)
                .help("`rejected show` writes a request as OTLP/JSON"))
        }
        None => {
            let known: Vec<_> = destinations.iter().map(|d| format!("`{}`", d.name)).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let what = format!("the configuration has no exporter `{exporter}`");
            let help = "name the agent's configuration with `-c`, or another exporter with `--to`";
            Err(Failure::new(Exit::Usage, what).help(format!("{help}; it has: {known}")))
        }
    }
}

/// Sends one as it would have been sent, its headers with it.
async fn send(
    client: &ClientConfig,
    kept: &Rejected,
) -> Result<Result<Response, SendError>, Failure> {
    let client = Client::new(client, Arc::new(SystemClock::new()))
        .map_err(|error| Failure::new(Exit::InvalidConfiguration, error.to_string()))?;
    let signal = kept.record.signal;
    let headers = kept.record.meta.headers();
    let headers: Vec<_> =
        headers.map(|(name, value)| (name.to_owned(), Bytes::copy_from_slice(value))).collect();
    let body = match client.encode(signal, vec![kept.record.payload.clone()]).await {
        Ok(body) => body,
        Err(error) => return Ok(Err(error)),
    };
    Ok(client.send_encoded(signal, &body, &headers).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_removed_without_a_yes_and_where_nobody_can_say_it_that_is_said() {
        assert_eq!(confirmed(Some(true), "q"), Ok(true));
        assert_eq!(confirmed(Some(false), "q"), Ok(false));
        let failure = confirmed(None, "remove all 3?").unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.help.unwrap().contains("--yes"));
    }

    #[test]
    fn times_for_programs_are_in_seconds_as_those_of_a_dump_are() {
        let row = json!({ "at_unix_nano": 1_795_375_012_250_000_000_u64 });
        assert_eq!(seconds_at(&row), "1795375012.25");
    }
}
