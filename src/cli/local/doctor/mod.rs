//! `sidelight doctor`: whether this machine and this configuration let the agent work, and what to do where not.
//!
//! It changes nothing but for a probe file in the journal's directory, which is gone before it is written to. Each
//! network step may take `--timeout`. Exit codes: 0 fine or only warnings, 1 something failed, 5 the configuration.

mod agent;
mod configuration;
mod destinations;
mod network;
mod report;
mod storage;

use std::time::Duration;

use crate::cli::configured::Configured;
use crate::cli::exit::{Exit, Failure};
use crate::cli::read::client::{Connection, duration};
use crate::cli::terminal::Terminal;
use crate::cli::text::ReportFormat;
use crate::config::LoadError;
use crate::time::{Clock as _, SystemClock};
use report::{Report, Verdict};

/// The pause between two rounds of `--wait`.
const PAUSE: Duration = Duration::from_secs(1);

/// What is looked at and how it is said.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sidelight doctor -c /etc/sidelight/config.yaml\n  sidelight doctor --wait 30s -o json"
)]
pub(crate) struct Args {
    #[command(flatten)]
    configured: Configured,
    /// Look again until nothing fails, at most this long.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    wait: Option<Duration>,
    /// The format.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: ReportFormat,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn execute(args: &Args, terminal: &Terminal) -> Result<Exit, Failure> {
    let clock = SystemClock::new();
    let end = clock.monotonic() + args.wait.unwrap_or_default();
    let recipe = args.configured.recipe()?;
    let (report, exit) = loop {
        let mut report = Report::default();
        let exit = match recipe.load() {
            Err(LoadError::Read(error)) => return Err(crate::cli::configured::unreadable(&error)),
            Err(LoadError::Findings(findings)) => {
                configuration::refused(&findings, &mut report.group("configuration"));
                Exit::InvalidConfiguration
            }
            Ok(loaded) => {
                configuration::look(&loaded, &mut report.group("configuration"));
                let connection = args.connection.for_agent(&loaded.config);
                let running = agent::look(&connection, &mut report.group("agent")).await;
                network::look(&loaded.config, running, &mut report.group("network")).await;
                let timeout = connection.timeout();
                destinations::look(&loaded.config, timeout, &mut report.group("destinations"))
                    .await;
                storage::look(&loaded.config, &mut report.group("storage"));
                if report.count(Verdict::Failed) == 0 { Exit::Ok } else { Exit::Failed }
            }
        };
        if exit == Exit::Ok || clock.monotonic() >= end {
            break (report, exit);
        }
        tokio::time::sleep(PAUSE).await;
    };
    terminal.data(&match args.output {
        ReportFormat::Text => report.text(&terminal.style_of_data()),
        ReportFormat::Json => format!("{}\n", report.document()),
    })?;
    Ok(exit)
}

#[cfg(test)]
mod tests;
