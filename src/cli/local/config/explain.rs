//! `sidelight config explain`: what an option is.

use serde_json::{Value, json};

use crate::cli::exit::{Exit, Failure};
use crate::cli::terminal::Terminal;
use crate::cli::text::{ReportFormat, table};
use crate::config::{Explained, Found, Unknown, explain};

/// What is explained.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sidelight config explain journal.durability\n  \
    sidelight config explain exporters.otlp_grpc/tempo.endpoint\n  sidelight config explain alerting.webhooks")]
pub(crate) struct Args {
    /// An option, or a key that options stand below; without one, everything.
    #[arg(value_name = "KEY", default_value = "")]
    key: String,
    /// The format.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: ReportFormat,
}

pub(super) fn execute(args: &Args, terminal: &Terminal) -> Result<Exit, Failure> {
    let found = explain(&args.key).map_err(|unknown| refusal(&unknown))?;
    terminal.data(&match (args.output, &found) {
        (ReportFormat::Text, Found::Option(option)) => text(option),
        (ReportFormat::Text, Found::Group(options)) => list(options, terminal),
        (ReportFormat::Json, Found::Option(option)) => {
            format!("{}\n", json!({ "schema_version": 1, "options": [document(option)] }))
        }
        (ReportFormat::Json, Found::Group(options)) => {
            let options: Vec<_> = options.iter().map(document).collect();
            format!("{}\n", json!({ "schema_version": 1, "options": options }))
        }
    })?;
    Ok(Exit::Ok)
}

fn refusal(unknown: &Unknown) -> Failure {
    let failure = Failure::new(Exit::Usage, unknown.to_string());
    let meant: Vec<String> = unknown.meant.iter().map(|key| format!("`{key}`")).collect();
    if meant.is_empty() {
        failure.help("`sidelight config explain` lists every option; docs/config.md")
    } else {
        failure.help(format!("did you mean {}?", meant.join(" or ")))
    }
}

/// What holds when it is not given.
fn default(option: &Explained) -> String {
    if option.default_is_value {
        option.default.to_owned()
    } else {
        format!("({})", option.default)
    }
}

fn text(option: &Explained) -> String {
    let mut rows = vec![
        ("takes", option.expects.clone()),
        ("default", default(option)),
        (
            "change",
            if option.reload { "taken up by a reload" } else { "needs a restart" }.to_owned(),
        ),
    ];
    if let Some(variable) = &option.variable {
        rows.push(("variable", variable.clone()));
        rows.push(("flag", format!("--set {}={}", option.key, flag_value(&option.example))));
    }
    if !option.also.is_empty() {
        rows.push(("also at", option.also.join(", ")));
    }
    let rows: String = rows.iter().map(|(name, value)| format!("  {name:<9} {value}\n")).collect();
    let snippet: String = option.snippet().lines().map(|line| format!("    {line}\n")).collect();
    format!("{}\n  {}\n\n{rows}\n  for example\n{snippet}", option.key, option.doc)
}

/// As a shell takes it.
fn flag_value(example: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:".contains(c);
    let bare = example.trim_matches('"');
    if bare.chars().all(plain) { bare.to_owned() } else { format!("'{bare}'") }
}

fn list(options: &[Explained], terminal: &Terminal) -> String {
    let first = |doc: &str| doc.split_once(". ").map_or(doc, |(first, _)| first).to_owned();
    let rows = options.iter().map(|option| {
        vec![
            option.key.clone(),
            default(option),
            first(option.doc).trim_end_matches('.').to_owned(),
        ]
    });
    table(&["OPTION", "DEFAULT", "MEANING"], &[], rows, terminal.width())
}

fn document(option: &Explained) -> Value {
    json!({
        "key": option.key,
        "also": option.also,
        "meaning": option.doc,
        "takes": option.expects,
        "default": option.default_is_value.then_some(option.default),
        "otherwise": (!option.default_is_value).then_some(option.default),
        "reload": option.reload,
        "variable": option.variable,
        "example": option.example,
    })
}
