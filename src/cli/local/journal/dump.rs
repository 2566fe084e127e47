//! `sidelight journal dump`: the requests of a journal as OTLP/JSON lines, or as a table of what they are.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Place, unopened};
use crate::cli::exit::{Exit, Failure};
use crate::cli::read::client::duration;
use crate::cli::rows::{Column, Shape, limit, text, time};
use crate::cli::terminal::Terminal;
use crate::cli::text::{Format, size};
use crate::journal::Entry;
use crate::journal::inspect::{Records, Wanted};
use crate::signal::Signal;
use crate::time::{Clock as _, SystemClock, UnixNano, parse_unix_ms};

/// Rows of a table are laid out together.
const TABLE_ROWS_MAX: usize = 10_000;

/// Which requests, and how they are written.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sidelight journal dump --signal traces --since 10m > spans.jsonl\n  \
    sidelight journal dump --directory /var/lib/sidelight/journal -o table -n 20"
)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// Only this signal.
    #[arg(long, value_name = "SIGNAL", value_parser = Signal::ALL.map(Signal::name))]
    signal: Option<String>,
    /// Received since: a time (RFC 3339, or seconds since 1970), or as long ago as `15m`.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<UnixNano>,
    /// Received before: as `--since`.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<UnixNano>,
    /// From this sequence number on.
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    seq: u64,
    /// At most this many requests.
    #[arg(short = 'n', long, value_name = "REQUESTS", value_parser = limit)]
    limit: Option<usize>,
    /// `json` and `ndjson` are OTLP/JSON, a request a line; `table` and `csv` say what each request is.
    #[arg(short, long, value_name = "FORMAT", default_value = "ndjson")]
    output: Format,
}

fn moment(text: &str) -> Result<UnixNano, String> {
    if let Ok(ago) = duration(text) {
        return Ok(SystemClock::new().unix_nano().before(ago));
    }
    let ms = parse_unix_ms(text).and_then(|ms| u64::try_from(ms).ok());
    let at = ms.map(|ms| UnixNano::default().after(Duration::from_millis(ms)));
    at.ok_or_else(|| {
        "expected a time in RFC 3339, seconds since 1970, or a duration such as `15m`".to_owned()
    })
}

const ROWS: Shape = Shape {
    list: "requests",
    columns: &[
        Column::number("SEQ", |row| text(row, "seq")),
        Column::text("RECEIVED", |row| time(row, "received_unix_seconds"))
            .member("received_unix_seconds"),
        Column::text("SIGNAL", |row| text(row, "signal")),
        Column::number("ITEMS", |row| text(row, "items")),
        Column::number("SIZE", |row| {
            row.get("bytes").and_then(Value::as_u64).map_or_else(String::new, size)
        })
        .member("bytes"),
        Column::text("HEADERS", |row| text(row, "headers")),
    ],
    none: "no request fits",
};

pub(super) fn execute(args: &Args, terminal: &Terminal) -> Result<Exit, Failure> {
    let (directory, _) = args.place.find(terminal)?;
    let wanted = Wanted {
        signal: args
            .signal
            .as_ref()
            .and_then(|name| Signal::ALL.into_iter().find(|s| s.name() == name)),
        first_seq: args.seq,
        since: args.since.unwrap_or_default(),
        until: args.until,
    };
    let mut records =
        Records::of(&directory, wanted).map_err(|error| super::unreadable(&directory, &error))?;
    let heads = matches!(args.output, Format::Table | Format::Csv);
    let limit = args.limit.unwrap_or(if heads { TABLE_ROWS_MAX } else { usize::MAX });
    let (mut listed, mut written, mut failed) = (Vec::new(), 0, None);
    while written < limit {
        match records.next_record() {
            Ok(None) => break,
            Ok(Some(entry)) => {
                written += 1;
                if heads { listed.push(head(&entry)) } else { terminal.data(&line(&entry)?)? }
            }
            Err(error) => {
                let failure = unopened(&directory, &error);
                terminal.failure(&failure);
                failed = Some(failure);
            }
        }
    }
    if heads {
        ROWS.show(&json!({ "requests": listed }), args.output, terminal)?;
    } else if written == 0 {
        terminal.note(ROWS.none);
    }
    match (failed, records.missing()) {
        (Some(failure), _) => Err(Failure::said(failure.exit)),
        (None, 0) => Ok(Exit::Ok),
        (None, missing) => Err(Failure::new(Exit::Failed, format!("{missing} requests in between cannot be read"))
            .help("the disk has damaged them; the next start of the agent counts them as dropped{corrupt}")),
    }
}

/// A request as OTLP/JSON, with a line end.
fn line(entry: &Entry) -> Result<String, Failure> {
    let (signal, payload) = (entry.record.signal, &entry.record.payload);
    let mut line = Vec::with_capacity(payload.len().saturating_mul(5) / 2);
    sidelight_wire::json::from_protobuf(signal, payload, &mut line).map_err(|error| {
        Failure::new(Exit::Failed, format!("request {} is not OTLP", entry.seq)).because(&error)
    })?;
    line.push(b'\n');
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn head(entry: &Entry) -> Value {
    let headers = entry.record.meta.headers().map(|(name, _)| name).collect::<Vec<_>>().join(" ");
    json!({
        "seq": entry.seq,
        "received_unix_seconds": entry.received.as_seconds_f64(),
        "signal": entry.record.signal.name(),
        "items": entry.record.items,
        "bytes": entry.record.payload.len(),
        "headers": headers,
    })
}
