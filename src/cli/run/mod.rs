//! `sidelight run`: configuration to a running agent.

mod start;

use std::io::ErrorKind;

use crate::agent;
use crate::agent::{Cause, Started, Stopped};
use crate::cli::configured::{Configured, read, warn};
use crate::cli::exit::{Exit, Failure};
use crate::cli::generate;
use crate::cli::local::check::with_rule_files;
use crate::cli::read::client::reachable;
use crate::cli::terminal::Terminal;
use crate::receive::BindError;
use crate::telemetry::stderr;

/// What runs.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    configured: Configured,
    /// Check the configuration as it would run, and exit: 0 it would, 5 it would not.
    #[arg(long)]
    check_only: bool,
    /// Also make realistic traffic, to look around.
    #[arg(long)]
    demo: bool,
    /// Log more.
    #[arg(short, long, conflicts_with = "quiet")]
    verbose: bool,
}

impl Args {
    /// Whether anything was given.
    pub(crate) fn any(&self) -> bool {
        self.configured.any() || self.check_only || self.demo || self.verbose
    }
}

/// At most two worker threads: a sidecar gets a core or less.
pub(crate) fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(2)
}

pub(crate) async fn execute(args: Args, terminal: &Terminal) -> Result<Exit, Failure> {
    let mut configured = args.configured;
    if terminal.quiet() {
        configured = configured.unless_set("telemetry.logs.level=error");
    } else if args.verbose {
        configured = configured.unless_set("telemetry.logs.level=debug");
    }
    let recipe = configured.recipe()?;
    if args.check_only {
        let loaded = with_rule_files(read(&recipe, terminal)?);
        warn(&loaded, terminal);
        if loaded.warnings.iter().any(|finding| finding.stops_start) {
            let failure = Failure::new(
                Exit::InvalidConfiguration,
                "the agent would not start: a file that it needs is of no use",
            );
            return Err(failure.help("the warnings above say which, and what to do"));
        }
        terminal.note("the configuration is valid");
        return Ok(Exit::Ok);
    }
    let loaded = read(&recipe, terminal)?;
    // From here on nobody waits for standard error; where it has no thread, neither have logs, and the agent does not start.
    let _ = stderr::begin();
    let pretty = loaded.config.telemetry.logs.format.is_pretty();
    if pretty {
        warn(&loaded, terminal);
    }
    let of_start = loaded.clone();
    let (say, demo) = (*terminal, args.demo);
    let options = agent::Options {
        reload: std::sync::Arc::new(move || recipe.load().map_err(|error| error.told())),
        started: Box::new(move |started| {
            if pretty {
                say.note(&start::block(started));
            } else if !say.quiet() {
                start::log_warnings(&started.loaded);
                start::log(started);
            }
            if demo {
                start_demo(started, &say);
            }
        }),
        embedded: None,
    };
    match Box::pin(agent::run(loaded, options)).await {
        Ok(Stopped::Drained) => Ok(Exit::Ok),
        Ok(Stopped::AtOnce(Cause::Terminate)) => Ok(Exit::Terminated),
        Ok(Stopped::AtOnce(Cause::Interrupt)) => Ok(Exit::Interrupted),
        Ok(Stopped::AtOnce(Cause::Panic) | Stopped::Panicked) => {
            Err(Failure::new(Exit::Failed, "the agent panicked").help(
                "this is a bug: please report the log lines above; what was acknowledged is kept",
            ))
        }
        // Without its telemetry there is no log either.
        Err(error) if pretty || matches!(error, agent::Error::Telemetry(_)) => {
            Err(start_failure(&error))
        }
        Err(error) => {
            start::log_warnings(&of_start);
            start::log_failure(&start_failure(&error));
            Err(Failure::said(Exit::Failed))
        }
    }
}

/// Sends generated traffic to the first listener, for as long as the agent runs.
fn start_demo(started: &Started, terminal: &Terminal) {
    let open = started.receivers.iter().find(|endpoint| !endpoint.tls && !endpoint.auth);
    let Some(endpoint) = open else {
        return terminal.say("--demo sends nothing: every listener asks for TLS or a token");
    };
    let address = endpoint.address.parse().map(|address| reachable(address).to_string());
    let address = address.unwrap_or_else(|_| endpoint.address.clone());
    terminal.note(
        "demo       making 240 spans, points and log records a second; watch: sidelight routes",
    );
    let terminal = *terminal;
    tokio::spawn(async move {
        if let Err(error) = generate::demo(&address).await {
            terminal.say(&format!("--demo sends nothing: {error}"));
        }
    });
}

/// What to do about an error of a start other than a taken address.
fn cure(error: &agent::Error) -> &'static str {
    match error {
        agent::Error::Token(_) | agent::Error::Receive(BindError::Token(_)) => {
            return "the agent's user must be able to read the file, and it holds one line: the token";
        }
        agent::Error::Receive(BindError::Tls(_)) => {
            return "the files are PEM, readable by the agent's user, and the key is that of the certificate: \
                    `sidelight doctor` says which is not";
        }
        _ => {}
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        match error.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
            Some(ErrorKind::PermissionDenied) => {
                return "start it as the user that may write there, or give the place to the user that starts it";
            }
            Some(ErrorKind::AlreadyExists | ErrorKind::NotADirectory | ErrorKind::IsADirectory) => {
                return "something else has that name: move it away, or configure another place";
            }
            Some(ErrorKind::StorageFull) => return "make room on that file system",
            _ => cause = error.source(),
        }
    }
    "`sidelight doctor` with the same configuration looks at each part"
}

fn start_failure(error: &agent::Error) -> Failure {
    let failure = Failure::new(Exit::Failed, "the agent did not start").because(error);
    let in_use = |error: &std::io::Error| error.kind() == std::io::ErrorKind::AddrInUse;
    let (key, address) = match error {
        agent::Error::Receive(BindError::Tcp { endpoint, source }) if in_use(source) => {
            ("receivers.otlp.protocols.<protocol>.endpoint", endpoint.clone())
        }
        agent::Error::Admin { address, source } if in_use(source) => {
            ("admin.endpoint", address.to_string())
        }
        _ => return failure.help(cure(error)),
    };
    let host = address.rsplit_once(':').map_or("127.0.0.1", |(host, _)| host);
    failure.help(format!(
        "another agent or collector has {address}: stop it, or take a free port with \
         `--set {key}={host}:0`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::token::TokenError;

    #[test]
    fn every_start_that_failed_ends_with_what_to_do() {
        let admin = |kind: ErrorKind| agent::Error::Admin {
            address: ([127, 0, 0, 1], 9464).into(),
            source: kind.into(),
        };
        let said = |error: &agent::Error| start_failure(error).help.unwrap_or_default();
        assert!(said(&admin(ErrorKind::AddrInUse)).contains("--set admin.endpoint=127.0.0.1:0"));
        assert!(
            said(&admin(ErrorKind::PermissionDenied)).contains("the user that may write there")
        );
        assert!(said(&admin(ErrorKind::NotADirectory)).contains("something else has that name"));
        assert!(said(&admin(ErrorKind::Other)).contains("sidelight doctor"));
        let token = TokenError::Content("/t".into());
        let token = agent::Error::Receive(BindError::Token(token));
        assert!(said(&token).contains("one line: the token"));
    }
}
