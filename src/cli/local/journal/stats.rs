//! `sidelight journal stats`: of the running agent, or of the files.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::{Source, unopened};
use crate::cli::exit::{Exit, Failure};
use crate::cli::local::beside::of_source;
use crate::cli::read::client::Connection;
use crate::cli::read::watch::Watch;
use crate::cli::rows::{self, Column, Shape, text};
use crate::cli::terminal::Terminal;
use crate::cli::text::{Format, long_time, size};
use crate::config::Loaded;
use crate::journal::inspect::{self, Inspection, SegmentReport};
use crate::time::{Clock as _, SystemClock, UnixNano};

/// Which journal, and how it is shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sidelight journal stats\n  \
    sidelight journal stats --directory /var/lib/sidelight/journal --segments\n\n\
    Without a directory or configuration the running agent is asked; if nobody listens there, the files are read. They say less: \
    SIZE and OLDEST of readers are upper bounds then, with `≤` before them, in JSON with `\"upper_bounds\":true`.")]
pub(crate) struct Args {
    /// List the segments instead of the readers.
    #[arg(long)]
    segments: bool,
    /// The format.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
    #[command(flatten)]
    watch: Watch,
    #[command(flatten)]
    source: Source,
}

const READERS: Shape = Shape {
    list: "readers",
    columns: &[
        Column::text("READER", |row| text(row, "name")),
        Column::number("QUEUED", |row| count(row, "/queued/requests")),
        Column::number("ITEMS", |row| count(row, "/queued/items")),
        Column::number("SIZE", |row| {
            row.get("queued_bytes").map_or_else(String::new, |size| at_most(row, bytes(size)))
        })
        .member("queued_bytes"),
        Column::number("OLDEST", |row| at_most(row, seconds(row, "oldest_age_seconds")))
            .member("oldest_age_seconds"),
        Column::number("PROGRESS", |row| seconds(row, "since_progress_seconds"))
            .member("since_progress_seconds"),
    ],
    none: "nobody reads this journal",
};

const SEGMENTS: Shape = Shape {
    list: "segment_list",
    columns: &[
        Column::text("SEGMENT", |row| text(row, "name")),
        Column::number("SIZE", |row| row.get("bytes").map_or_else(String::new, bytes))
            .member("bytes"),
        Column::number("REQUESTS", |row| text(row, "records")),
        Column::number("SPANS", |row| count(row, "/items/traces")),
        Column::number("POINTS", |row| count(row, "/items/metrics")),
        Column::number("LOGS", |row| count(row, "/items/logs")),
        Column::text("FIRST", |row| rows::time(row, "first_received_unix_seconds")),
        Column::text("LAST", |row| rows::time(row, "last_received_unix_seconds")),
        Column::text("STATE", |row| text(row, "state")),
    ],
    none: "the journal has no segments yet",
};

fn count(row: &Value, pointer: &str) -> String {
    row.pointer(pointer).map_or_else(String::new, rows::plain)
}

fn bytes(value: &Value) -> String {
    value.as_u64().map_or_else(String::new, size)
}

fn seconds(row: &Value, key: &str) -> String {
    row.get(key).and_then(Value::as_f64).map_or_else(|| "-".to_owned(), long_time)
}

/// Whether what is said of a reader's size and age are upper bounds: files say both of segments, not of records.
fn is_bound(row: &Value) -> bool {
    row.get("upper_bounds").and_then(Value::as_bool) == Some(true)
}

/// A size or an age, marked where it is an upper bound.
fn at_most(row: &Value, shown: String) -> String {
    if is_bound(row) { format!("≤ {shown}") } else { shown }
}

pub(super) async fn execute(args: &Args, terminal: &Terminal) -> Result<Exit, Failure> {
    args.watch
        .repeat(terminal, async || {
            let agent = async |agent: &Connection| of_agent(agent, args.segments).await;
            let document = args.source.read(terminal, agent, of_files).await?;
            Ok(shown(args, &document, terminal))
        })
        .await
}

async fn of_agent(agent: &Connection, segments: bool) -> Result<Value, Failure> {
    let body = agent.document("/api/sidelight/v1/status").await?;
    let mut document = rows::parsed(&body)?.get_mut("journal").map(Value::take).unwrap_or_default();
    if let Value::Object(members) = &mut document {
        members.insert("schema_version".to_owned(), json!(1));
        if segments {
            let body = agent.document("/api/sidelight/v1/journal/segments").await?;
            let list = rows::parsed(&body)?.get_mut(SEGMENTS.list).map(Value::take);
            members.insert(SEGMENTS.list.to_owned(), list.unwrap_or_default());
        }
    }
    Ok(of_source(document, "agent"))
}

fn of_files(directory: &Path, loaded: Option<Loaded>) -> Result<Value, Failure> {
    let found = inspect::inspect(directory).map_err(|error| unopened(directory, &error))?;
    let kept = inspect::rejected(directory).map(|kept| kept.files).unwrap_or_default();
    let max_size = loaded.and_then(|loaded| loaded.config.journal.max_size);
    let now = SystemClock::new().unix_nano();
    let mut document = document(directory, &found, now);
    if let Value::Object(members) = &mut document {
        members.insert("max_size_bytes".to_owned(), json!(max_size));
        let size: u64 = kept.iter().map(|file| file.bytes).sum();
        members.insert("rejected".to_owned(), json!({ "files": kept.len(), "bytes": size }));
    }
    Ok(of_source(document, "files"))
}

fn document(directory: &Path, found: &Inspection, now: UnixNano) -> Value {
    let readers = found.readers.iter().map(|reader| {
        json!({
            "name": reader.name,
            "queued": { "requests": reader.queued.requests, "items": reader.queued.items },
            "queued_bytes": reader.queued_bytes,
            "oldest_age_seconds": reader.oldest.map(|at| now.since(at).as_secs_f64()),
            "upper_bounds": reader.queued.requests > 0,
            "watermark": reader.watermark,
        })
    });
    let segments = found.segments.iter().map(SegmentReport::document);
    json!({
        "schema_version": 1,
        "directory": directory,
        "size_bytes": found.segments.iter().map(|segment| segment.bytes).sum::<u64>(),
        "segments": found.segments.len(),
        "next_seq": found.next_seq,
        "lost_records": found.lost_records,
        "unreadable": found.unreadable,
        "set_aside": { "files": found.set_aside.0, "bytes": found.set_aside.1 },
        "readers": readers.collect::<Vec<_>>(),
        "segment_list": segments.collect::<Vec<_>>(),
    })
}

fn shown(args: &Args, document: &Value, terminal: &Terminal) -> String {
    let shape = if args.segments { &SEGMENTS } else { &READERS };
    if args.output != Format::Table {
        return shape.shown(document, args.output, terminal);
    }
    let list = shape.shown(document, args.output, terminal);
    let note = if args.segments { "" } else { bounds(document) };
    format!("{}\n{list}{note}", head(document))
}

/// What `≤` in the table means, where it is there.
fn bounds(document: &Value) -> &'static str {
    if rows::rows(document, READERS.list).iter().any(is_bound) {
        "\n≤ is an upper bound: it counts from the beginning of a segment; a running agent knows better\n"
    } else {
        ""
    }
}

/// What holds for the whole journal, a line each.
fn head(document: &Value) -> String {
    let number = |pointer: &str| document.pointer(pointer).and_then(Value::as_u64);
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{name:<9} {value}");
    };
    let durability =
        document.get("durability").map_or_else(String::new, |d| format!(" ({})", rows::plain(d)));
    let source = if text(document, "source") == "agent" {
        "asked of the running agent"
    } else {
        "read from its files"
    };
    line(
        "journal",
        format!("{}{durability}, {source}", text(document, "directory")).trim_start().to_owned(),
    );
    let max =
        number("/max_size_bytes").map_or_else(String::new, |max| format!(" of {}", size(max)));
    let segments = text(document, "segments");
    line(
        "size",
        format!("{}{max} in {segments} segments", size(number("/size_bytes").unwrap_or(0))),
    );
    if let Some(left) = document.get("seconds_left").and_then(Value::as_f64) {
        line(
            "room",
            format!(
                "for {} at the rate of the last minute, if nothing is delivered",
                long_time(left)
            ),
        );
    }
    if document.get("full").and_then(Value::as_bool) == Some(true) {
        line(
            "full",
            "senders are refused: mend the destination, or raise `journal.max_size`".to_owned(),
        );
    }
    for (pointer, what) in [
        ("/lost_records", "records cannot be read"),
        ("/poisoned_segments", "segments were given up after a failed write"),
    ] {
        if let Some(count) = number(pointer).filter(|count| *count > 0) {
            line("lost", format!("{count} {what}"));
        }
    }
    for file in rows::rows(document, "unreadable") {
        line(
            "damaged",
            format!("{}: no segment can be read; the next start sets it aside", rows::plain(file)),
        );
    }
    if let Some(files) = number("/set_aside/files").filter(|files| *files > 0) {
        let bytes = size(number("/set_aside/bytes").unwrap_or(0));
        line(
            "aside",
            format!("{files} unreadable files (`.corrupt`), {bytes}; they may be deleted"),
        );
    }
    if let Some(files) = number("/rejected/files").filter(|files| *files > 0) {
        let bytes = size(number("/rejected/bytes").unwrap_or(0));
        line("rejected", format!("{files} requests, {bytes}: `sidelight journal rejected ls`"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Count;
    use crate::journal::inspect::ReaderReport;

    #[test]
    fn what_files_say_of_size_and_age_is_marked_as_an_upper_bound_and_what_an_agent_says_is_not() {
        let reader = |name: &str, requests, oldest: Option<u64>| ReaderReport {
            name: name.to_owned(),
            queued: Count { requests, items: requests },
            queued_bytes: 166 * requests,
            oldest: oldest.map(UnixNano),
            watermark: 1,
        };
        let found = Inspection {
            segments: Vec::new(),
            readers: vec![reader("b:traces", 1, Some(0)), reader("b:logs", 0, None)],
            next_seq: 3,
            lost_records: 0,
            unreadable: Vec::new(),
            set_aside: (0, 0),
        };
        let mut document = document(Path::new("/j"), &found, UnixNano(25_000_000_000));
        let table = READERS.table(&document);
        let age = format!("≤ {}", long_time(25.0));
        assert!(table.contains("≤ 166 B") && table.contains(&age), "{table}");
        assert!(!table.contains("≤ 0 B") && !table.contains("≤ -"), "{table}");
        assert!(bounds(&document).contains("upper bound"));
        let readers = rows::rows(&document, "readers");
        let marked: Vec<_> = readers.iter().map(|row| row["upper_bounds"].clone()).collect();
        assert_eq!(marked, [json!(true), json!(false)]);
        assert_eq!(readers[0]["queued_bytes"], 166);
        for row in document["readers"].as_array_mut().unwrap() {
            row.as_object_mut().unwrap().remove("upper_bounds");
        }
        assert!(!READERS.table(&document).contains('≤'));
        assert_eq!(bounds(&document), "");
    }
}
