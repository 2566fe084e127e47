//! `sidelight doctor`: whether this machine and this configuration let the agent work, and what to do where not.
//!
//! It changes nothing but for a probe file in each directory that the agent writes to (journal, store, `file` exporters), which
//! is gone before it is written to, and takes free ports and a free journal for a moment, unless it waits for an agent. Each
//! network step may take `--timeout`. Exit codes: 0 fine or only warnings, 1 something failed, 5 the configuration.

mod agent;
mod alerting;
mod configuration;
mod destinations;
mod network;
mod report;
mod storage;

use std::time::Duration;

use crate::cli::configured::Configured;
use crate::cli::exit::{Exit, Failure};
use crate::cli::local::check_rules;
use crate::cli::read::client::{Connection, duration};
use crate::cli::terminal::Terminal;
use crate::cli::text::ReportFormat;
use crate::config::{Config, LoadError};
use crate::time::{Clock as _, SystemClock};
use report::{Group, Report, Verdict};

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
                let config = &loaded.config;
                let running = agent::look(&connection, &mut report.group("agent")).await;
                let may_bind = args.wait.is_none();
                network::look(config, &running, may_bind, &mut report.group("network")).await;
                let timeout = connection.timeout();
                destinations::look(config, timeout, &mut report.group("destinations")).await;
                rules(config, &mut report.group("rules"));
                alerting::look(&config.notify, timeout, &mut report.group("alerting")).await;
                storage::look(config, &running, may_bind, &mut report.group("storage"));
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

/// The rule files that the configuration names.
fn rules(config: &Config, group: &mut Group<'_>) {
    if config.rules.files.is_empty() {
        return group.skipped("files", "no rule files but those that the agent comes with");
    }
    let (files, wrong) = check_rules::configured(&config.rules.files);
    for text in &wrong {
        group.failed("files", text.as_str(), "`sidelight check rules FILE` shows where and why");
    }
    if wrong.is_empty() {
        group.passed("files", format!("{files} rule files are valid"));
    }
}

#[cfg(test)]
mod tests;
