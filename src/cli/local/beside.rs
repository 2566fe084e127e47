//! What the running agent says, or the files that it keeps: for commands that can ask and can read.
//!
//! The agent is asked, as by every command that reads. The files are read where they are named, by a directory or a
//! configuration, and where nobody listens and nothing said which agent is meant: an address says that. An agent that is slow or
//! breaks off is there, and its files may be elsewhere. What changes files changes none that were not named.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::cli::exit::{Exit, Failure};
use crate::cli::read::client::Connection;
use crate::cli::terminal::Terminal;

/// What to do where nobody listens.
const HELP: &str = "\
    start it with `sidelight run`, name its address with `--url`, or its configuration with `-c`: then its files are read";
/// What to do where nobody listens who could change something.
const HELP_TO_CHANGE: &str = "\
    start the agent or name its address with `--url`; to change its files, name them with `--directory`, or with its \
    configuration by `-c` or `--set`";

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
        Err(failure) if failure.is_absent => failure,
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

/// Where something is changed: at the `agent`, or in `files` that were named. Those of the default configuration may be another
/// agent's.
///
/// # Errors
/// That of the one that was meant.
pub(super) async fn agent_or_named_files<T>(
    connection: &Connection,
    files_named: bool,
    terminal: &Terminal,
    agent: impl AsyncFnOnce() -> Result<T, Failure>,
    files: impl FnOnce() -> Result<(T, PathBuf), Failure>,
) -> Result<T, Failure> {
    if files_named {
        return agent_or_files(connection, true, terminal, agent, files).await;
    }
    agent().await.map_err(
        |failure| {
            if failure.is_absent { failure.help(HELP_TO_CHANGE) } else { failure }
        },
    )
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
        agent: Result<&'static str, (Exit, bool)>,
        (files, changing): (bool, bool),
    ) -> Result<&'static str, Failure> {
        let connection = Typed::try_parse_from(typed).unwrap().connection;
        let terminal = Terminal::of_process(true, ColourChoice::Never);
        let agent = async || {
            agent.map_err(|(exit, is_absent)| Failure {
                is_absent,
                why: vec!["refused".to_owned()],
                ..Failure::new(exit, "cannot reach the agent")
            })
        };
        let absent = || Failure {
            why: vec!["no such file".to_owned()],
            ..Failure::new(Exit::Failed, "cannot read the journal")
        };
        let files = || files.then(|| ("files", PathBuf::from("/j"))).ok_or_else(absent);
        if changing {
            return agent_or_named_files(&connection, named, &terminal, agent, files).await;
        }
        agent_or_files(&connection, named, &terminal, agent, files).await
    }

    const AWAY: Result<&str, (Exit, bool)> = Err((Exit::Unreachable, true));
    const SLOW: Result<&str, (Exit, bool)> = Err((Exit::Unreachable, false));

    #[tokio::test]
    async fn the_agent_is_asked_unless_files_are_named_or_nobody_listens_where_none_was_named() {
        let there = (true, false);
        assert_eq!(found(&["x"], false, Ok("agent"), there).await, Ok("agent"));
        assert_eq!(found(&["x"], true, Ok("agent"), there).await, Ok("files"));
        assert_eq!(found(&["x"], false, AWAY, there).await, Ok("files"));
        for (typed, named, agent, exit) in [
            // Files of another agent are no answer of the one that was meant.
            (&["x", "--url", "h:1"][..], false, AWAY, Exit::Unreachable),
            (&["x", "--url", "h:1"], true, Ok("agent"), Exit::Usage),
            // One that is slow, or stops, is there.
            (&["x"], false, SLOW, Exit::Unreachable),
            (&["x"], false, Err((Exit::NotAuthorised, false)), Exit::NotAuthorised),
            (&["x"], false, Err((Exit::Failed, false)), Exit::Failed),
        ] {
            let failure = found(typed, named, agent, there).await.unwrap_err();
            assert_eq!(failure.exit, exit, "{typed:?}");
        }
    }

    #[tokio::test]
    async fn what_changes_files_changes_none_that_were_not_named() {
        let there = (true, true);
        assert_eq!(found(&["x"], false, Ok("agent"), there).await, Ok("agent"));
        assert_eq!(found(&["x"], true, AWAY, there).await, Ok("files"));
        for agent in [AWAY, SLOW] {
            let failure = found(&["x"], false, agent, there).await.unwrap_err();
            assert_eq!(
                (failure.exit, &*failure.what),
                (Exit::Unreachable, "cannot reach the agent")
            );
            let told = failure.help.is_some_and(|help| help.contains("`--directory`"));
            assert_eq!(told, agent == AWAY);
        }
        let both = found(&["x", "--url", "h:1"], true, AWAY, there).await.unwrap_err();
        assert_eq!(both.exit, Exit::Usage);
    }

    #[tokio::test]
    async fn without_an_agent_and_without_files_both_reasons_are_said() {
        let failure = found(&["x"], false, AWAY, (false, false)).await.unwrap_err();
        assert_eq!((failure.exit, &*failure.what), (Exit::Unreachable, "cannot reach the agent"));
        assert_eq!(failure.why, ["refused", "cannot read the journal", "no such file"]);
        let help = failure.help.unwrap();
        assert!(help.contains("`-c`") && help.contains("`--url`"), "{help}");
    }
}
