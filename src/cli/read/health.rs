//! `sidelight health`: for container health checks where there is no curl.

use http::StatusCode;
use serde::Deserialize;

use super::client::{Answer, Connection};
use crate::cli::exit::{Exit, Failure};
use crate::cli::rows;
use crate::cli::terminal::Terminal;
use crate::cli::text::ReportFormat;

/// What is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Ask whether it is ready to take data, not only alive.
    #[arg(long)]
    ready: bool,
    /// The format: nothing, or why not, for people on standard error; or the agent's answer on standard output.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: ReportFormat,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Deserialize)]
struct Readiness {
    #[serde(default)]
    reasons: Vec<String>,
}

pub(crate) async fn execute(args: &Args, terminal: &Terminal) -> Result<Exit, Failure> {
    let path = if args.ready { "/readyz" } else { "/healthz" };
    let answer = args.connection.get(path).await?;
    match args.output {
        ReportFormat::Json => {
            // Whatever else answers at that address is no agent.
            rows::parsed(&answer.body)?;
            terminal.data(&format!("{}\n", String::from_utf8_lossy(&answer.body)))?;
        }
        ReportFormat::Text if answer.status == StatusCode::OK => {}
        ReportFormat::Text => terminal.note(&reasons(&answer)),
    }
    Ok(if answer.status == StatusCode::OK { Exit::Ok } else { Exit::Failed })
}

fn reasons(answer: &Answer) -> String {
    match serde_json::from_slice::<Readiness>(&answer.body) {
        Ok(Readiness { reasons }) if !reasons.is_empty() => {
            format!("not ready: {}", reasons.join("; "))
        }
        _ => format!("not ready: the agent answered {}", answer.status),
    }
}
