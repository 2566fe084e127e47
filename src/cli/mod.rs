//! What was typed, and the commands that are not the agent.
//!
//! Every command is a file with its `Args` and `execute`; [`Command`] lists them. What a command
//! says for programs goes to standard output, what it says for people to standard error
//! ([`Terminal`]). A command that fails gives a [`Failure`]: what, why, how to fix it, and the exit
//! code ([`Exit`]).
//!
//! Conventions: <https://clig.dev>, <https://no-color.org>.

mod configured;
mod exit;
pub mod generate;
mod ids;
mod local;
mod read;
mod rows;
mod run;
mod sink;
mod terminal;
#[cfg(test)]
mod tests;
mod text;

use std::ffi::OsString;

use clap::{CommandFactory as _, Parser, Subcommand};

use local::{check, completions, config, db, doctor, journal, man, test_rules, version};
use read::{alerts, entries, health, query, series, spans, view};

pub use exit::{Exit, Failure};
pub use terminal::{ColourChoice, Terminal};

/// An OpenTelemetry-native observability agent: OTLP in, a durable journal, OTLP out.
///
/// Without a command it runs, as `sidelight run` does.
#[derive(Debug, Parser)]
#[command(
    name = "sidelight",
    version,
    after_help = "Configuration: docs/config.md. Exit codes: 0 ok, 1 failed, 2 usage, 3 findings, \
                  4 agent unreachable, 5 invalid configuration, 6 not authorised."
)]
struct Typed {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::Args,
    #[command(flatten)]
    global: Global,
}

/// Flags of every command.
#[derive(Clone, Debug, clap::Args)]
struct Global {
    /// Say less: only errors.
    #[arg(short, long, global = true)]
    quiet: bool,
    /// When to use colours; `NO_COLOR`, `FORCE_COLOR` and `TERM=dumb` are heeded.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: ColourChoice,
}

/// One arm per command.
#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agent.
    Run(run::Args),
    /// Check files without running anything.
    #[command(
        subcommand,
        after_help = "Examples:\n  sidelight check config config.yaml\n  sidelight check rules 'rules/*.yaml'\n  \
                      sidelight check expr 'rate(x[5m])'"
    )]
    Check(check::What),
    /// The configuration: a file to begin with, what holds and why, what an option is.
    #[command(subcommand)]
    Config(config::What),
    /// Look whether this machine and the configuration let the agent work, and say what to do where not.
    Doctor(doctor::Args),
    /// Test rules.
    #[command(subcommand)]
    Test(test_rules::What),
    /// Tell by the exit code whether the agent is alive, or ready: 0 yes, 1 no, 4 unreachable.
    Health(health::Args),
    /// Alerts of the running agent: what fires, who was told, silences.
    #[command(
        subcommand,
        after_help = "Examples:\n  sidelight alerts ls --exit-code\n  \
                      sidelight alerts history --since 1d --state firing\n  \
                      sidelight alerts silence add alertname=HighErrorRate 'route=~\"/a.*\"' --for 2h --comment deploy"
    )]
    Alerts(alerts::What),
    /// Services: traffic, errors, latency, health, alerts.
    Overview(view::Args),
    /// Routes: traffic, errors, latency, severity and impact, now or hour by hour.
    Routes(view::RoutesArgs),
    /// Caches, or routes by how often a cache serves them: hit rate, efficiency, time saved.
    Caches(view::CachesArgs),
    /// Queues: depth, capacity, overflows, waiting.
    Queues(view::Args),
    /// Connection pools: use, age, health.
    Conns(view::Args),
    /// Operations that are retried.
    Retries(view::Args),
    /// Features: uses, users, success, trend over a day.
    Features(view::Args),
    /// Health of services: score, grade and parts.
    Score(view::Args),
    /// Language models: requests and tokens as spans and metrics report them.
    Llm(view::Args),
    /// The last operations one by one, of a family, service or outcome.
    Entries(entries::Args),
    /// Write what is kept as a document.
    #[command(subcommand)]
    Export(view::Export),
    /// Calls and latency by service, span name, kind, status and route, as the running agent counts them.
    Spans(spans::Args),
    /// Ask the running agent PromQL: values in a table, or their course over a range.
    #[command(
        after_help = "Examples:\n  sidelight query 'sum by (service) (rate(traces_spanmetrics_calls_total[1m]))'\n  \
                            sidelight query --range 15m -o csv up"
    )]
    Query(query::Args),
    /// Series that the running agent keeps.
    Series(series::SeriesArgs),
    /// Labels of the series that the running agent keeps, or one label's values.
    Labels(series::LabelsArgs),
    /// The journal: how full it is, its requests, what destinations rejected.
    #[command(subcommand)]
    Journal(journal::What),
    /// The metric store's files: what they hold, rotation, compaction.
    #[command(subcommand)]
    Db(db::What),
    /// Send generated telemetry at a rate or flat out, and tell what became of it.
    #[command(
        after_help = "Examples:\n  sidelight gen --rate 1000 --for 10s\n  sidelight gen traces --for 5s"
    )]
    Gen(generate::Args),
    /// Receive OTLP, count it and keep nothing: the other end of tests and benchmarks.
    Sink(sink::Args),
    /// Write what a shell reads to complete these commands.
    Completions(completions::Args),
    /// Write manual pages.
    Man(man::Args),
    /// Print the version.
    Version(version::Args),
}

/// A command that is ready to be executed.
#[derive(Debug)]
pub struct Invocation {
    command: Command,
    terminal: Terminal,
}

/// Reads the command line.
///
/// # Errors
/// The exit code, when there is nothing to execute: help was asked for and printed, or what was
/// typed is wrong and that was said.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, Exit> {
    match Typed::try_parse_from(args).and_then(refuse_both) {
        Ok(typed) => {
            let Global { quiet, color } = typed.global;
            let terminal = Terminal::of_process(quiet, color);
            let command = typed.command.unwrap_or(Command::Run(typed.run));
            Ok(Invocation { command, terminal })
        }
        Err(error) => {
            // Nothing better can be done when standard error is closed.
            drop(error.print());
            Err(if error.use_stderr() { Exit::Usage } else { Exit::Ok })
        }
    }
}

/// Flags of `run` stand after `run`, or without any command.
fn refuse_both(typed: Typed) -> Result<Typed, clap::Error> {
    if typed.command.is_some() && typed.run.any() {
        let message = "flags of `run` stand after `run`, or without any command";
        return Err(Typed::command().error(clap::error::ErrorKind::ArgumentConflict, message));
    }
    Ok(typed)
}

impl Invocation {
    /// Threads that the command's runtime needs; 0 for one that runs on the calling thread.
    #[must_use]
    pub fn workers(&self) -> usize {
        match self.command {
            Command::Run(_) | Command::Gen(_) | Command::Sink(_) => run::workers(),
            _ => 0,
        }
    }

    /// Says that the system has no room for the command.
    #[must_use]
    pub fn without_runtime(&self, error: &std::io::Error) -> Exit {
        let failure = Failure::new(Exit::Failed, "cannot start threads and an event queue");
        let help = "look at the limits of processes and open files (`ulimit -u`, `ulimit -n`)";
        self.terminal.failure(&failure.because(error).help(help));
        Exit::Failed
    }

    /// Executes the command and says what went wrong.
    pub async fn execute(self) -> Exit {
        let Self { command, terminal } = self;
        let outcome = match command {
            Command::Run(args) => run::execute(args, &terminal).await,
            Command::Check(what) => check::execute(&what, &terminal).await,
            Command::Config(what) => config::execute(&what, &terminal),
            Command::Doctor(args) => Box::pin(doctor::execute(&args, &terminal)).await,
            Command::Test(what) => test_rules::execute(&what, &terminal),
            Command::Health(args) => health::execute(&args, &terminal).await,
            Command::Alerts(what) => alerts::execute(&what, &terminal).await,
            Command::Overview(args) => view::execute("overview", &args, &terminal).await,
            Command::Routes(args) => view::routes(&args, &terminal).await,
            Command::Caches(args) => view::caches(&args, &terminal).await,
            Command::Queues(args) => view::execute("queues", &args, &terminal).await,
            Command::Conns(args) => view::execute("connections", &args, &terminal).await,
            Command::Retries(args) => view::execute("retries", &args, &terminal).await,
            Command::Features(args) => view::execute("features", &args, &terminal).await,
            Command::Score(args) => view::execute("score", &args, &terminal).await,
            Command::Llm(args) => view::execute("llm", &args, &terminal).await,
            Command::Entries(args) => entries::execute(&args, &terminal).await,
            Command::Export(what) => view::export(&what, &terminal).await,
            Command::Spans(args) => spans::execute(&args, &terminal).await,
            Command::Query(args) => query::execute(&args, &terminal).await,
            Command::Series(args) => series::series(&args, &terminal).await,
            Command::Labels(args) => series::labels(&args, &terminal).await,
            Command::Journal(what) => journal::execute(&what, &terminal).await,
            Command::Db(what) => db::execute(&what, &terminal).await,
            Command::Gen(args) => generate::execute(args, &terminal).await,
            Command::Sink(args) => sink::execute(args, &terminal).await,
            Command::Completions(args) => completions::execute(&args, Typed::command(), &terminal),
            Command::Man(args) => man::execute(&args, Typed::command(), &terminal),
            Command::Version(args) => version::execute(&args, &terminal),
        };
        match outcome {
            Ok(exit) => exit,
            Err(failure) => {
                terminal.failure(&failure);
                failure.exit
            }
        }
    }
}
