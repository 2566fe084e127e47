//! `sidelight series` and `sidelight labels`: what the running agent's metric store holds.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::client::Connection;
use super::promql::{self, Labels};
use crate::cli::exit::{Exit, Failure};
use crate::cli::rows::{limit, parsed, rows, unreadable};
use crate::cli::terminal::Terminal;
use crate::cli::text::{Format, csv, printable};

/// Which series and how they are shown.
#[derive(Debug, clap::Args)]
pub(crate) struct SeriesArgs {
    /// Selectors such as `http_server_request_duration_seconds{job="shop"}`. Default: all series.
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
    #[command(flatten)]
    list: List,
}

/// Which labels and how they are shown.
#[derive(Debug, clap::Args)]
pub(crate) struct LabelsArgs {
    /// The label whose values are shown. Default: the names of all labels.
    #[arg(value_name = "LABEL")]
    label: Option<String>,
    /// Only those of the series that this selects.
    #[arg(long = "match", value_name = "SELECTOR")]
    selectors: Vec<String>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, clap::Args)]
struct List {
    /// The format; `table` is a line each.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
    /// The most lines.
    #[arg(short = 'n', long, value_name = "LINES", default_value = "1000", value_parser = limit)]
    limit: usize,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Deserialize)]
struct Document<T> {
    data: Vec<T>,
    #[serde(default)]
    warnings: Vec<String>,
}

pub(crate) async fn series(args: &SeriesArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let all = [r#"{__name__!=""}"#.to_owned()];
    let selectors = if args.selectors.is_empty() { &all[..] } else { &args.selectors };
    let none = nothing(None, !args.selectors.is_empty());
    list::<Labels>(("/api/v1/series", "series", none), selectors, &args.list, terminal).await
}

pub(crate) async fn labels(args: &LabelsArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let path = match &args.label {
        None => "/api/v1/labels".to_owned(),
        Some(label) => {
            let label: String = form_urlencoded::byte_serialize(label.as_bytes()).collect();
            format!("/api/v1/label/{label}/values")
        }
    };
    let heading = args.label.as_deref().unwrap_or("label");
    let none = nothing(args.label.as_deref(), !args.selectors.is_empty());
    list::<String>((&path, heading, none), &args.selectors, &args.list, terminal).await
}

/// What is said when nothing is found: of a label, of selectors, or of all there is.
fn nothing(label: Option<&str>, selected: bool) -> String {
    match (label, selected) {
        (Some(label), false) => {
            format!(
                "no series has the label {label}; `sidelight labels` lists those that there are"
            )
        }
        (Some(label), true) => format!("no series that is selected has the label {label}"),
        (None, true) => "no series is selected; `sidelight series` lists all".to_owned(),
        (None, false) => {
            "nothing yet: point an OpenTelemetry SDK at the agent's OTLP endpoint".to_owned()
        }
    }
}

/// Asks for a list and writes a line for each of it.
async fn list<T: DeserializeOwned + ToString>(
    (path, heading, none): (&str, &str, String),
    selectors: &[String],
    args: &List,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for selector in selectors {
        promql::check(selector, terminal)?;
        query.append_pair("match[]", selector);
    }
    query.append_pair("limit", &args.limit.to_string());
    let answer = args.connection.document(&format!("{path}?{}", query.finish())).await?;
    if let Format::Json = args.output {
        let text = String::from_utf8_lossy(&answer);
        terminal.data(&format!("{}\n", text.trim_end()))?;
        return Ok(Exit::Ok);
    }
    if let Format::Ndjson = args.output {
        let document = parsed(&answer)?;
        let lines: String = rows(&document, "data").iter().map(|row| format!("{row}\n")).collect();
        terminal.data(&lines)?;
        if let Some(note) = cut(rows(&document, "data").len(), rows(&document, "warnings").len()) {
            terminal.note(&note);
        }
        return Ok(Exit::Ok);
    }
    let document: Document<T> =
        serde_json::from_slice(&answer).map_err(|error| unreadable(&error))?;
    let lines = document.data.iter().map(ToString::to_string);
    let text = match args.output {
        Format::Csv => csv(std::iter::once(heading.to_owned()).chain(lines).map(|line| vec![line])),
        _ => lines.map(|line| printable(&line) + "\n").collect(),
    };
    terminal.data(&text)?;
    if let Some(note) = cut(document.data.len(), document.warnings.len()) {
        terminal.note(&note);
    }
    if document.data.is_empty() {
        terminal.note(&none);
    }
    Ok(Exit::Ok)
}

/// What is said where a list was cut: the agent warns of nothing else in these.
fn cut(shown: usize, warnings: usize) -> Option<String> {
    (warnings > 0).then(|| format!("only the first {shown}; more with `-n`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_cut_says_so() {
        assert_eq!(cut(2, 1).as_deref(), Some("only the first 2; more with `-n`"));
        assert_eq!(cut(2, 0), None);
    }

    #[test]
    fn a_label_that_no_series_has_is_not_taken_for_a_store_without_series() {
        assert!(nothing(Some("nope"), false).starts_with("no series has the label nope"));
        assert!(nothing(None, true).starts_with("no series is selected"));
        assert!(nothing(None, false).starts_with("nothing yet"));
    }
}
