//! `sidelight config print`: every option as it holds.

use serde_json::json;

use crate::cli::configured::Configured;
use crate::cli::exit::{Exit, Failure};
use crate::cli::terminal::Terminal;
use crate::config::{Effective, SourceKind, effective_yaml};

/// Which configuration and how.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sidelight config print -c config.yaml --origin\n  \
    sidelight config print --set journal.durability=os -o json")]
pub(crate) struct Args {
    #[command(flatten)]
    configured: Configured,
    /// Say of each value where it comes from: `default`, file:line:column, the variable or the flag.
    #[arg(long)]
    origin: bool,
    /// Only what is written somewhere, without defaults.
    #[arg(long)]
    given: bool,
    /// The format.
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml")]
    output: Format,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Yaml,
    Json,
}

pub(super) fn execute(args: &Args, terminal: &Terminal) -> Result<Exit, Failure> {
    let mut options = args.configured.load(terminal)?.effective();
    options.retain(|option| !args.given || option.origin != SourceKind::Default);
    terminal.data(&match args.output {
        Format::Yaml => effective_yaml(&options, args.origin),
        Format::Json => document(&options),
    })?;
    Ok(Exit::Ok)
}

fn document(options: &[Effective]) -> String {
    let list = options.iter().map(|option| {
        let kind = match option.origin {
            SourceKind::Default => "default",
            SourceKind::File => "file",
            SourceKind::Environment => "environment",
            SourceKind::Flag => "flag",
        };
        let note = option.value.is_none().then_some(&option.yaml);
        json!({
            "key": option.key, "value": option.value, "otherwise": note,
            "origin": kind, "place": option.place,
        })
    });
    format!("{}\n", json!({ "schema_version": 1, "options": list.collect::<Vec<_>>() }))
}
