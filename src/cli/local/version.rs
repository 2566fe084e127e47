//! `sidelight version`.

use crate::cli::exit::{Exit, Failure};
use crate::cli::terminal::Terminal;
use crate::cli::text::ReportFormat;

/// How it is printed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The format.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: ReportFormat,
}

pub(crate) fn execute(args: &Args, terminal: &Terminal) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    terminal.data(&match args.output {
        ReportFormat::Text => format!("sidelight {version} ({os} {arch})\n"),
        ReportFormat::Json => {
            let document = serde_json::json!({
                "schema_version": 1, "version": version, "os": os, "arch": arch,
            });
            format!("{document}\n")
        }
    })?;
    Ok(Exit::Ok)
}
