//! `sidelight entries`: the last operations one by one, as the running agent keeps them.

use std::time::Duration;

use serde_json::Value;

use super::client::{Connection, duration};
use super::watch::Watch;
use crate::aggregate::entries::Family;
use crate::cli::exit::{Exit, Failure};
use crate::cli::rows::{Column, Shape, limit, parsed, plain, text, time};
use crate::cli::terminal::Terminal;
use crate::cli::text::{Format, seconds};

/// Which entries, and how they are shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sidelight entries --family error --since 15m\n  \
    sidelight entries --family cache --outcome miss --service shop -o ndjson")]
pub(crate) struct Args {
    /// Only this family.
    #[arg(long, value_name = "FAMILY", value_parser = Family::ALL.map(Family::name))]
    family: Option<String>,
    /// Only this service.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Only this operation, cache, queue, feature …
    #[arg(long)]
    name: Option<String>,
    /// Only with this outcome: `ok`, `error`, or the family's own word, such as `hit`.
    #[arg(long)]
    outcome: Option<String>,
    /// Only what is younger than this.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    since: Option<Duration>,
    /// At most this many, the newest first.
    #[arg(short = 'n', long, value_name = "ROWS", default_value = "50", value_parser = limit)]
    limit: usize,
    /// The format.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
    #[command(flatten)]
    watch: Watch,
    #[command(flatten)]
    connection: Connection,
}

const ROWS: Shape = Shape {
    list: "entries",
    columns: &[
        Column::text("TIME", |row| time(row, "time_unix_seconds")).member("time_unix_seconds"),
        Column::text("FAMILY", |row| text(row, "family")),
        Column::text("SERVICE", |row| text(row, "service")),
        Column::text("NAME", |row| text(row, "name")),
        Column::text("OUTCOME", |row| text(row, "outcome")),
        Column::number("TOOK", |row| {
            let took = row.get("duration_seconds").and_then(Value::as_f64);
            took.map_or_else(String::new, seconds)
        })
        .member("duration_seconds"),
        Column::text("TRACE", |row| text(row, "trace_id")),
        Column::text("ATTRIBUTES", |row| {
            let attributes = row.get("attributes").and_then(Value::as_object);
            let pairs = attributes.into_iter().flatten();
            pairs
                .map(|(key, value)| format!("{key}={}", plain(value)))
                .collect::<Vec<_>>()
                .join(" ")
        }),
    ],
    none: "no entries of this kind; `sidelight overview` shows which services there are",
};

pub(crate) async fn execute(args: &Args, terminal: &Terminal) -> Result<Exit, Failure> {
    let path = path(args);
    args.watch
        .repeat(terminal, async || {
            let document = parsed(&args.connection.document(&path).await?)?;
            Ok(ROWS.shown(&document, args.output, terminal))
        })
        .await
}

/// What the agent is asked for.
fn path(args: &Args) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let given = [
        ("family", &args.family),
        ("service", &args.service),
        ("name", &args.name),
        ("outcome", &args.outcome),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    if let Some(since) = args.since {
        query.append_pair("since", &format!("{}ms", since.as_millis()));
    }
    query.append_pair("limit", &args.limit.to_string());
    format!("/api/sidelight/v1/entries?{}", query.finish())
}
