//! `sidelight run`: configuration to a running agent.

use std::path::PathBuf;

use super::check::unreadable;
use super::exit::{Exit, Failure};
use super::start;
use super::terminal::Terminal;
use crate::config::{self, LoadError, Loaded, Recipe};

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
    terminal.note(&start::block(&loaded.config, &start::Bound::default()));
    let _ = args.demo;
    Ok(Exit::Ok)
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
