//! Routes of what stands in the journal's files: its segments, its requests, and those that a destination refused.
//!
//! A dump is read a page at a time, so that whoever reads slowly holds nothing here. Limits: a page ends behind [`PAGE_BYTES`] of
//! payload, [`PAGE_REQUESTS`] or [`PAGE_SEGMENTS`], whichever comes first, and says where the next begins; a payload above
//! [`PAYLOAD_BYTES_MAX`] is named and not shown. Its JSON is some two and a half times as long.

use std::io;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::route::{Methods, Route, ask, look, private, taking};
use super::sources::{Refused, Sources};
use crate::journal::Entry;
use crate::journal::inspect::{self, Records, Wanted};
use crate::signal::{Record, Signal};
use crate::telemetry;
use crate::time::{UnixNano, parse_time_or_ago};

/// Payload after which a page ends.
const PAGE_BYTES: usize = 1 << 20;
/// The most requests of a page.
const PAGE_REQUESTS: usize = 1_000;
/// The most segments that are read for a page: of a signal that is rare it may be empty.
const PAGE_SEGMENTS: usize = 4;
/// The largest payload that is shown: what gRPC takes in one message unless configured otherwise.
const PAYLOAD_BYTES_MAX: usize = 4 << 20;

const PARAMETERS: &[(&str, &str)] = &[
    ("signal", "Only this signal: `traces`, `metrics`, `logs` or `profiles`."),
    ("since", "Received since this time: RFC 3339, Unix seconds, or how long ago, such as 15m."),
    ("until", "Received before this time."),
    ("seq", "From this sequence number on: the `next` of the page before."),
    ("limit", "The most requests of a page, which has 1000 at most."),
    ("payload", "`false` leaves the payloads out."),
];

pub(super) const ROUTES: &[Route] = &[
    private(taking(
        look(
            "/api/sidelight/v1/journal",
            Methods::Get,
            "requests in the journal as OTLP/JSON, a page of about 1 MiB; `next` is the `seq` of the next one",
            |from, asked| requests(from, &asked.parameters),
        ),
        PARAMETERS,
    )),
    ask(
        "/api/sidelight/v1/journal/segments",
        Methods::Get,
        "every segment of the journal: its size, requests, items and times",
        |from, _| {
            let segments: Vec<Value> =
                from.journal.segments().iter().map(inspect::SegmentReport::document).collect();
            Ok(json!({ "schema_version": 1, "segment_list": segments }).to_string())
        },
    ),
    private(look(
        "/api/sidelight/v1/rejected/{name}",
        Methods::Get,
        "a rejected request that is kept, as OTLP/JSON, by its `file`",
        |from, asked| {
            let kept = inspect::read_rejected(&directory(from)?, &asked.open);
            let kept = kept.map_err(|error| unread(&asked.open, &error))?;
            shown(&kept.record)
        },
    )),
    look(
        "/api/sidelight/v1/rejected/{name}",
        Methods::Delete,
        "removes a rejected request that is kept",
        |from, asked| {
            let name = &asked.open;
            inspect::remove_rejected(&directory(from)?, name)
                .map_err(|error| unread(name, &error))?;
            Ok(json!({ "schema_version": 1, "removed": name }).to_string())
        },
    ),
];

fn directory(from: &Sources) -> Result<PathBuf, Refused> {
    let none = || Refused::Unknown("this agent keeps its journal in memory: no file".to_owned());
    from.journal.status().directory.ok_or_else(none)
}

fn unread(name: &str, error: &io::Error) -> Refused {
    match error.kind() {
        io::ErrorKind::NotFound => {
            Refused::Unknown(format!("no rejected request `{name}` is kept"))
        }
        _ => Refused::Failed(format!("{name}: {error}")),
    }
}

fn failed(error: &dyn std::error::Error) -> Refused {
    Refused::Failed(telemetry::chain(error))
}

/// A payload as OTLP/JSON, or why it is not shown.
fn shown(record: &Record) -> Result<String, Refused> {
    let bytes = record.payload.len();
    if bytes > PAYLOAD_BYTES_MAX {
        return Err(Refused::TooLarge(format!(
            "its {bytes} bytes are above the {PAYLOAD_BYTES_MAX} that are shown; on the agent's machine `--directory` reads it"
        )));
    }
    let failed = |why: &str| Refused::Failed(format!("it is not OTLP: {why}"));
    record.to_json().map_err(|error| failed(&telemetry::chain(&error)))
}

/// Which requests of a page, and whether with their payloads.
struct Query {
    wanted: Wanted,
    limit: usize,
    payload: bool,
}

impl Query {
    fn of(parameters: &[(String, String)], now: UnixNano) -> Result<Self, Refused> {
        let (wanted, limit, payload) = (Wanted::default(), PAGE_REQUESTS, true);
        let mut query = Self { wanted, limit, payload };
        for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
            let refuse = |expected: &str| {
                Refused::Invalid(format!("`{name}` is `{value}`: expected {expected}"))
            };
            let time = || {
                let expected = "RFC 3339, seconds since 1970, or a duration such as 15m";
                parse_time_or_ago(value, now).ok_or_else(|| refuse(expected))
            };
            match name.as_str() {
                "signal" => {
                    let signal = Signal::ALL.into_iter().find(|signal| signal.name() == value);
                    let known = Signal::ALL.map(Signal::name).join(", ");
                    query.wanted.signal = Some(signal.ok_or_else(|| refuse(&known))?);
                }
                "since" => query.wanted.since = time()?,
                "until" => query.wanted.until = Some(time()?),
                "seq" => {
                    let seq = value.parse().map_err(|_| refuse("a sequence number"))?;
                    query.wanted.first_seq = seq;
                }
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| *limit > 0);
                    let limit: usize = limit.ok_or_else(|| refuse("a whole number, at least 1"))?;
                    query.limit = limit.min(PAGE_REQUESTS);
                }
                "payload" => {
                    query.payload = value.parse().map_err(|_| refuse("true or false"))?;
                }
                _ => {}
            }
        }
        Ok(query)
    }
}

#[derive(Serialize)]
struct Page {
    schema_version: u32,
    directory: PathBuf,
    requests: Vec<Request>,
    /// Where the next page begins; none behind the last.
    next: Option<u64>,
    /// One past the newest request when this page was read.
    end_seq: u64,
    /// Requests between those of this page that cannot be read.
    missing: u64,
    /// Segments that cannot be read, and why.
    unreadable: Vec<String>,
}

#[derive(Serialize)]
struct Request {
    #[serde(flatten)]
    head: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
    /// Why there is no payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl Request {
    fn of(entry: &Entry, with_payload: bool) -> Self {
        let raw = |json| RawValue::from_string(json).map_err(|error| failed(&error));
        let shown = with_payload.then(|| shown(&entry.record).and_then(raw));
        let (payload, problem) = match shown.transpose() {
            Ok(payload) => (payload, None),
            Err(refused) => (None, Some(refused.to_string())),
        };
        Self { head: entry.document(), payload, problem }
    }
}

fn requests(from: &Sources, parameters: &[(String, String)]) -> Result<String, Refused> {
    let Query { wanted, limit, payload } = Query::of(parameters, from.clock.unix_nano())?;
    let directory = directory(from)?;
    let end_seq = from.journal.status().next_seq;
    let mut records = Records::of(&directory, wanted).map_err(|error| failed(&error))?;
    let mut next = records.only(PAGE_SEGMENTS);
    let (mut requests, mut unreadable, mut bytes) = (Vec::new(), Vec::new(), 0);
    loop {
        match records.next_record() {
            Ok(None) => break,
            Ok(Some(entry)) => {
                requests.push(Request::of(&entry, payload));
                bytes += entry.record.payload.len();
                if requests.len() == limit || payload && bytes >= PAGE_BYTES {
                    next = Some(entry.seq + 1);
                    break;
                }
            }
            Err(error) => unreadable.push(telemetry::chain(&error)),
        }
    }
    let missing = records.missing();
    let page = Page { schema_version: 1, directory, requests, next, end_seq, missing, unreadable };
    serde_json::to_string(&page).map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests;
