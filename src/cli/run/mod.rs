//! `sidelight run`: configuration to a running agent.

mod start;

use crate::agent;
use crate::agent::{Cause, Started, Stopped};
use crate::cli::configured::{Configured, load};
use crate::cli::exit::{Exit, Failure};
use crate::cli::generate;
use crate::cli::read::client::reachable;
use crate::cli::terminal::Terminal;
use crate::receive::BindError;

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
    let loaded = load(&recipe, terminal)?;
    if args.check_only {
        terminal.note("the configuration is valid");
        return Ok(Exit::Ok);
    }
    let (say, demo) = (*terminal, args.demo);
    let options = agent::Options {
        reload: Box::new(move || recipe.load().map_err(|error| error.told())),
        started: Box::new(move |started| {
            say.note(&start::block(started));
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
        Err(error) => Err(start_failure(&error)),
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
        _ => return failure,
    };
    let host = address.rsplit_once(':').map_or("127.0.0.1", |(host, _)| host);
    failure.help(format!(
        "another agent or collector has {address}: stop it, or take a free port with \
         `--set {key}={host}:0`"
    ))
}
