//! `sidelight overview`, `routes`, `caches`, `queues`, `conns`, `retries`, `features`, `score`, `llm`: the agent's
//! views as tables, and `sidelight export metrics`: all of them in one document.
//!
//! The agent says which columns there are and in what they are measured; this only lays them out.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::client::{Connection, duration};
use super::watch::Watch;
use crate::cli::exit::{Exit, Failure};
use crate::cli::rows::{self, limit, parsed, unreadable};
use crate::cli::terminal::Terminal;
use crate::cli::text::{Format, seconds, table};

/// What is shown and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The window that the numbers are over, up to now.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration)]
    range: Duration,
    /// Only this service.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// The column to sort by; `-` before it: the largest first.
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    sort: Option<String>,
    /// The format.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
    /// The most rows.
    #[arg(short = 'n', long, value_name = "ROWS", default_value = "50", value_parser = limit)]
    limit: usize,
    #[command(flatten)]
    watch: Watch,
    #[command(flatten)]
    connection: Connection,
}

/// The same, with what only some views have.
#[derive(Debug, clap::Args)]
pub(crate) struct RoutesArgs {
    /// Hour by hour over the range.
    #[arg(long)]
    trend: bool,
    #[command(flatten)]
    args: Args,
}

/// The same, with what only some views have.
#[derive(Debug, clap::Args)]
pub(crate) struct CachesArgs {
    /// What a row is.
    #[arg(long, value_name = "WHAT", default_value = "cache")]
    by: By,
    #[command(flatten)]
    args: Args,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum By {
    Cache,
    Route,
}

/// What is exported.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Export {
    /// Every view and the storage as one JSON document.
    Metrics {
        /// The window that the numbers are over, up to now.
        #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = duration)]
        range: Duration,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Debug, Deserialize)]
struct Document {
    keys: Vec<String>,
    columns: Vec<Column>,
    rows: Vec<Map<String, Value>>,
    rows_total: u64,
}

#[derive(Debug, Deserialize)]
struct Column {
    name: String,
    unit: String,
}

pub(crate) async fn routes(args: &RoutesArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    execute(if args.trend { "routes/trend" } else { "routes" }, &args.args, terminal).await
}

pub(crate) async fn caches(args: &CachesArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let view = match args.by {
        By::Cache => "caches",
        By::Route => "caches/routes",
    };
    execute(view, &args.args, terminal).await
}

pub(crate) async fn export(what: &Export, terminal: &Terminal) -> Result<Exit, Failure> {
    let Export::Metrics { range, connection } = what;
    let path = format!("/api/sidelight/v1/export.json?range={}", range.as_secs());
    let document = connection.document(&path).await?;
    terminal.data(&format!("{}\n", String::from_utf8_lossy(&document).trim_end()))?;
    Ok(Exit::Ok)
}

pub(crate) async fn execute(view: &str, args: &Args, terminal: &Terminal) -> Result<Exit, Failure> {
    let path = path(view, args);
    args.watch
        .repeat(terminal, async || {
            let answer = args.connection.document(&path).await?;
            Ok(match args.output {
                Format::Json => format!("{}\n", String::from_utf8_lossy(&answer).trim_end()),
                Format::Ndjson => {
                    let document = parsed(&answer)?;
                    let all = document.get("rows_total").and_then(Value::as_u64).unwrap_or(0);
                    left_out(rows::rows(&document, "rows").len() as u64, all, terminal);
                    rows::rows(&document, "rows").iter().map(|row| format!("{row}\n")).collect()
                }
                Format::Csv => String::from_utf8_lossy(&answer).into_owned(),
                Format::Table => laid_out(&answer, terminal)?,
            })
        })
        .await
}

/// What the agent is asked for.
fn path(view: &str, args: &Args) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("range", &args.range.as_secs().to_string());
    query.append_pair("limit", &args.limit.to_string());
    for (name, value) in [("service", &args.service), ("sort", &args.sort)] {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    let twin = if let Format::Csv = args.output { ".csv" } else { "" };
    format!("/api/sidelight/v1/{view}{twin}?{}", query.finish())
}

/// Says that there is more than was shown.
fn left_out(shown: u64, all: u64, terminal: &Terminal) {
    if all > shown {
        terminal.note(&format!("{shown} of {all} rows; more with `-n {all}`"));
    }
}

fn laid_out(answer: &[u8], terminal: &Terminal) -> Result<String, Failure> {
    let document: Document = serde_json::from_slice(answer).map_err(|error| unreadable(&error))?;
    if document.rows.is_empty() {
        terminal.note("nothing of this within the range; `sidelight series` lists what there is");
    }
    let shown = document.rows.len();
    left_out(shown as u64, document.rows_total, terminal);
    Ok(if shown == 0 { String::new() } else { columns(&document, terminal.width()) })
}

/// The table, without columns that are empty in every row.
fn columns(document: &Document, width: Option<u16>) -> String {
    let told = |name: &str| {
        document.rows.iter().any(|row| row.get(name).is_some_and(|value| !value.is_null()))
    };
    let time = told("time_unix_seconds").then_some("time_unix_seconds");
    let keys = time.into_iter().chain(document.keys.iter().map(String::as_str));
    let keys: Vec<&str> = keys.collect();
    let columns: Vec<&Column> = document.columns.iter().filter(|c| told(&c.name)).collect();
    let headings: Vec<String> =
        keys.iter().copied().chain(columns.iter().map(|c| c.name.as_str())).map(heading).collect();
    let numbers: Vec<usize> = (keys.len()..headings.len()).collect();
    let rows = document.rows.iter().map(|row| {
        let cell = |name: &str| row.get(name).unwrap_or(&Value::Null);
        let keys = keys.iter().map(|key| match cell(key) {
            Value::String(text) if text.is_empty() => "-".to_owned(),
            Value::String(text) => text.clone(),
            Value::Number(number) => time_text(number.as_f64().unwrap_or(0.0)),
            _ => "-".to_owned(),
        });
        let cells = columns.iter().map(|column| match cell(&column.name) {
            Value::Number(number) => number_text(number.as_f64().unwrap_or(0.0), &column.unit),
            Value::String(text) => text.clone(),
            _ => "-".to_owned(),
        });
        keys.chain(cells).collect()
    });
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    table(&headings, &numbers, rows, width)
}

/// A column's name over the column: without the unit, which its cells show.
fn heading(name: &str) -> String {
    let name = name.strip_suffix("_unix_seconds").unwrap_or(name);
    let name = match name {
        "service_name" => "service",
        "http_route" => "route",
        "requests_per_second" => "req/s",
        name => {
            name.strip_suffix("_seconds").or_else(|| name.strip_suffix("_name")).unwrap_or(name)
        }
    };
    name.replace("_per_second", "/s").replace('_', " ").to_uppercase()
}

fn number_text(value: f64, unit: &str) -> String {
    match unit {
        "s" if value >= 1e8 => time_text(value),
        "s" => seconds(value),
        "ratio" => format!("{:.1} %", value * 100.0),
        "0-100" => format!("{value:.0}"),
        _ if value == value.trunc() && value.abs() < 1e15 => format!("{value:.0}"),
        _ if value.abs() < 10.0 => format!("{value:.2}"),
        _ => format!("{value:.1}"),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "what is no time is shown as none")]
fn time_text(unix_seconds: f64) -> String {
    crate::time::minute_utc((unix_seconds * 1e3) as i64)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn rows_are_laid_out_in_the_units_of_their_columns_and_hostile_names_are_harmless() {
        let document: Document = serde_json::from_str(
            r#"{"keys":["service_name","http_route"],"rows_total":2,"columns":[
            {"name":"requests_per_second","unit":"1/s"},{"name":"error_ratio","unit":"ratio"},
            {"name":"p95_seconds","unit":"s"},{"name":"severity","unit":""},{"name":"apdex","unit":"ratio"}],
            "rows":[
            {"service_name":"shop","http_route":"/cart","requests_per_second":12.125,"error_ratio":0.25,"p95_seconds":0.0123,"severity":"good","apdex":null},
            {"service_name":"evil\u001b[31m","http_route":"","requests_per_second":1,"error_ratio":null,"p95_seconds":2,"severity":"critical","apdex":null}]}"#,
        )
        .unwrap();
        expect![[r#"
            SERVICE    ROUTE  REQ/S  ERROR RATIO      P95  SEVERITY
            shop       /cart   12.1       25.0 %  12.3 ms      good
            evil�[31m  -          1            -   2.00 s  critical
        "#]]
        .assert_eq(&columns(&document, None));
    }

    #[test]
    fn durations_have_three_digits() {
        let shown = [0.0, 0.000_012_34, 0.012_3, 0.5, 3.0, 250.0].map(seconds);
        assert_eq!(shown, ["0 s", "12.3 µs", "12.3 ms", "500 ms", "3.00 s", "250 s"]);
    }
}
