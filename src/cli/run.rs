//! `sidelight run`: configuration to a running agent.

use std::path::PathBuf;

use super::check::unreadable;
use super::exit::{Exit, Failure};
use super::generate;
use super::start;
use super::terminal::Terminal;
use crate::agent;
use crate::agent::{Cause, Started, Stopped};
use crate::config::{self, LoadError, Loaded, Recipe, Style};
use crate::telemetry;

/// What runs.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Args {
    /// A configuration file; `-` is standard input. Repeatable: later files win.
    #[arg(short, long = "config", value_name = "FILE")]
    config: Vec<PathBuf>,
    /// An option that wins over files and the environment, such as `journal.durability=os`.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Also make realistic traffic, to look around.
    #[arg(long)]
    demo: bool,
}

/// At most two worker threads: a sidecar gets a core or less.
pub(super) fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(2)
}

pub(super) async fn execute(args: Args, terminal: &Terminal) -> Result<Exit, Failure> {
    let mut set = Vec::new();
    if terminal.quiet() {
        set.push("telemetry.logs.level=error".to_owned());
    } else if terminal.verbose() {
        set.push("telemetry.logs.level=debug".to_owned());
    }
    set.extend(args.set);
    let recipe = Recipe::new(&args.config, set).map_err(|error| unreadable(&error))?;
    let loaded = load(&recipe, terminal)?;
    let options = agent::Options {
        reload: Box::new(move || match recipe.load() {
            Ok(loaded) => Ok(loaded),
            Err(LoadError::Read(error)) => Err(telemetry::chain(&error)),
            Err(LoadError::Findings(findings)) => Err(findings.render(&Style::default())),
        }),
        started: started(terminal.clone(), args.demo),
    };
    match agent::run(loaded, options).await {
        Ok(Stopped::Drained) => Ok(Exit::Ok),
        Ok(Stopped::AtOnce(Cause::Interrupt)) => Ok(Exit::Interrupted),
        Ok(Stopped::AtOnce(Cause::Terminate | Cause::Panic)) => Ok(Exit::Terminated),
        Ok(Stopped::Panicked) => Err(Failure::new(Exit::Failed, "the agent panicked").help(
            "this is a bug: please report the log lines above; what was acknowledged is kept",
        )),
        Err(error) => Err(not_started(&error)),
    }
}

/// Shows the start block, and begins the demonstration when it was asked for.
fn started(terminal: Terminal, demo: bool) -> Box<dyn FnOnce(&Started) + Send> {
    Box::new(move |started| {
        terminal.note(&start::block(started));
        let receiver = started.receivers.iter().find(|r| !r.address.starts_with("unix:") && !r.tls);
        match receiver.map(|receiver| format!("http://{}", receiver.address)) {
            Some(endpoint) if demo => drop(tokio::spawn(async move {
                if let Err(error) = generate::demo(&endpoint).await {
                    tracing::warn!(error, "the demonstration ended");
                }
            })),
            None if demo => terminal.note("no demonstration: no listener without TLS\n"),
            _ => {}
        }
    })
}

fn not_started(error: &agent::Error) -> Failure {
    let help = match error {
        agent::Error::Receive(_) | agent::Error::Admin { .. } => {
            "is another agent, or a collector, running? choose other addresses with \
             receivers.otlp.protocols.*.endpoint and admin.endpoint"
        }
        agent::Error::Journal(_) => {
            "one agent a directory: set journal.directory, or stop the other agent"
        }
        _ => "docs/config.md describes every option",
    };
    Failure::new(Exit::Failed, "the agent did not start").because(error).help(help)
}

fn load(recipe: &Recipe, terminal: &Terminal) -> Result<Loaded, Failure> {
    match recipe.load() {
        Ok(loaded) => {
            if !loaded.warnings.is_empty() {
                let Loaded { sources, warnings, .. } = &loaded;
                terminal.note(&config::render(sources, warnings, &terminal.style()));
            }
            Ok(loaded)
        }
        Err(LoadError::Read(error)) => Err(unreadable(&error)),
        Err(LoadError::Findings(findings)) => {
            terminal.say(&findings.render(&terminal.style()));
            Err(Failure::new(Exit::InvalidConfiguration, findings.to_string())
                .help("`sidelight check config FILE` checks without starting; docs/config.md"))
        }
    }
}
