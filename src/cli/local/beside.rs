//! What the running agent says, or the files that it keeps: for commands that can ask and can read.
//!
//! The agent is asked, as by every command that reads. The files are read where they are named, by a directory or a
//! configuration, and where no agent answers and nothing said which one is meant: an address says that.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::cli::exit::{Exit, Failure};
use crate::cli::read::client::Connection;
use crate::cli::terminal::Terminal;

/// What to do where no agent answers.
const HELP: &str = "\
    start it with `sidelight run`, name its address with `--url`, or its configuration with `-c`: then its files are read";

/// What `agent` gives, or `files` with the directory that they are in.
///
/// # Errors
/// That of the one that was meant; of both, where neither gives anything.
pub(super) async fn agent_or_files<T>(
    connection: &Connection,
    files_named: bool,
    terminal: &Terminal,
    agent: impl AsyncFnOnce() -> Result<T, Failure>,
    files: impl FnOnce() -> Result<(T, PathBuf), Failure>,
) -> Result<T, Failure> {
    if files_named {
        if connection.is_named() {
            let what = "`--url` asks an agent, a directory or configuration names files";
            return Err(Failure::new(Exit::Usage, what).help("leave one of them out"));
        }
        return Ok(files()?.0);
    }
    let unanswered = match agent().await {
        Err(failure) if failure.exit == Exit::Unreachable => failure,
        outcome => return outcome,
    };
    if connection.has_address() {
        return Err(unanswered.help(HELP));
    }
    match files() {
        Ok((found, directory)) => {
            let (url, directory) = (connection.url(), directory.display());
            terminal.note(&format!(
                "no agent answers at {url}: this is what the files in {directory} say"
            ));
            Ok(found)
        }
        Err(failure) => Err(neither(unanswered, failure)),
    }
}

/// A document that says whether it is of the `agent` or of its `files`.
pub(super) fn of_source(mut document: Value, source: &str) -> Value {
    if let Value::Object(members) = &mut document {
        members.insert("source".to_owned(), json!(source));
    }
    document
}

/// Why there is neither an agent nor a file, and what to name.
fn neither(agent: Failure, files: Failure) -> Failure {
    let why = agent.why.into_iter().chain([files.what]).chain(files.why).collect();
    Failure { why, ..agent }.help(HELP)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::ColourChoice;

    #[derive(clap::Parser)]
    struct Typed {
        #[command(flatten)]
        connection: Connection,
    }

    /// What is found of an agent that answers so, and of files that are there or not.
    async fn found(
        typed: &[&str],
        named: bool,
        agent: Result<&'static str, Exit>,
        files: bool,
    ) -> Result<&'static str, Failure> {
        let connection = Typed::try_parse_from(typed).unwrap().connection;
        let terminal = Terminal::of_process(true, ColourChoice::Never);
        let agent = async || {
            agent.map_err(|exit| Failure {
                why: vec!["refused".to_owned()],
                ..Failure::new(exit, "cannot reach the agent")
            })
        };
        let absent = || Failure {
            why: vec!["no such file".to_owned()],
            ..Failure::new(Exit::Failed, "cannot read the journal")
        };
        let files = || files.then(|| ("files", PathBuf::from("/j"))).ok_or_else(absent);
        agent_or_files(&connection, named, &terminal, agent, files).await
    }

    #[tokio::test]
    async fn the_agent_is_asked_unless_files_are_named_or_none_answers_where_none_was_named() {
        let away = Err(Exit::Unreachable);
        assert_eq!(found(&["x"], false, Ok("agent"), true).await, Ok("agent"));
        assert_eq!(found(&["x"], true, Ok("agent"), true).await, Ok("files"));
        assert_eq!(found(&["x"], false, away, true).await, Ok("files"));
        for (typed, named, agent, exit) in [
            // Files of another agent are no answer of the one that was meant.
            (&["x", "--url", "h:1"][..], false, away, Exit::Unreachable),
            (&["x", "--url", "h:1"], true, Ok("agent"), Exit::Usage),
            (&["x"], false, Err(Exit::NotAuthorised), Exit::NotAuthorised),
            (&["x"], false, Err(Exit::Failed), Exit::Failed),
        ] {
            let failure = found(typed, named, agent, true).await.unwrap_err();
            assert_eq!(failure.exit, exit, "{typed:?}");
        }
    }

    #[tokio::test]
    async fn without_an_agent_and_without_files_both_reasons_are_said() {
        let failure = found(&["x"], false, Err(Exit::Unreachable), false).await.unwrap_err();
        assert_eq!((failure.exit, &*failure.what), (Exit::Unreachable, "cannot reach the agent"));
        assert_eq!(failure.why, ["refused", "cannot read the journal", "no such file"]);
        let help = failure.help.unwrap();
        assert!(help.contains("`-c`") && help.contains("`--url`"), "{help}");
    }
}
