//! Routes of what stands in the journal's files: its segments, its requests, and those that a destination refused.
//!
//! A dump is read a page at a time, so that whoever reads slowly holds nothing here. Limits: a page ends behind [`PAGE_BYTES`] of
//! JSON, [`PAGE_REQUESTS`] or [`PAGE_SEGMENTS`], whichever comes first, and says where the next begins; a payload above
//! [`PAYLOAD_BYTES_MAX`], or whose JSON is above [`JSON_BYTES_MAX`], is named and not shown. JSON is some two and a half times as
//! long as its payload, and ten times at worst. A page is written once, into one buffer.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};
use sidelight_wire::json::NotWritten;

use super::asked::Asked;
use super::route::{Methods, Route, ask, look, private, taking};
use super::sources::{Refused, Sources};
use crate::journal::Entry;
use crate::journal::inspect::{self, Records, Wanted};
use crate::signal::{Record, Signal};
use crate::telemetry;
use crate::time::{UnixNano, parse_time_or_ago};

/// JSON after which a page ends.
const PAGE_BYTES: usize = 2 << 20;
/// The most requests of a page.
const PAGE_REQUESTS: usize = 1_000;
/// The most segments that are read for a page: of a signal that is rare it may be empty.
const PAGE_SEGMENTS: usize = 4;
/// The largest payload that is shown: what gRPC takes in one message unless configured otherwise.
const PAYLOAD_BYTES_MAX: usize = 4 << 20;
/// The longest JSON of one payload that is shown.
const JSON_BYTES_MAX: usize = 16 << 20;

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
            "requests in the journal as OTLP/JSON, a page of about 2 MiB; `next` is the `seq` of the next one",
            requests,
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
            let mut json = Vec::new();
            append(&kept.record, &mut json)?;
            String::from_utf8(json).map_err(|error| failed(&error))
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

/// Appends a payload as OTLP/JSON, or says why it is not shown.
fn append(record: &Record, json: &mut Vec<u8>) -> Result<(), Refused> {
    let too_large = |what: &str, most: usize| {
        Refused::TooLarge(format!(
            "{what} above the {most} that are shown; on the agent's machine `--directory` reads it"
        ))
    };
    let bytes = record.payload.len();
    if bytes > PAYLOAD_BYTES_MAX {
        return Err(too_large(&format!("its {bytes} bytes are"), PAYLOAD_BYTES_MAX));
    }
    // What it most often is, so that the buffer seldom grows on the way.
    json.reserve(bytes.saturating_mul(5) / 2);
    record.append_json(JSON_BYTES_MAX, json).map_err(|error| match error {
        NotWritten::TooLong => too_large("the bytes of its JSON are", JSON_BYTES_MAX),
        NotWritten::Unreadable(why) => Refused::Failed(format!("it is not OTLP: {why}")),
    })
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

/// The document of a page, written as its requests are read.
struct Page {
    json: Vec<u8>,
    requests: usize,
}

impl Page {
    fn of(directory: &Path) -> Result<Self, Refused> {
        let mut page = Self { json: br#"{"schema_version":1,"directory":"#.to_vec(), requests: 0 };
        page.value(directory)?;
        page.json.extend_from_slice(br#","requests":["#);
        Ok(page)
    }

    /// Appends a request, and why it has no payload where it should.
    fn request(&mut self, entry: &Entry, with_payload: bool) -> Result<(), Refused> {
        if self.requests > 0 {
            self.json.push(b',');
        }
        self.requests += 1;
        self.value(&entry.document())?;
        if with_payload {
            // Into the object of its head.
            self.json.pop();
            let behind_head = self.json.len();
            self.json.extend_from_slice(br#","payload":"#);
            if let Err(refused) = append(&entry.record, &mut self.json) {
                self.json.truncate(behind_head);
                self.json.extend_from_slice(br#","problem":"#);
                self.value(&refused.to_string())?;
            }
            self.json.push(b'}');
        }
        Ok(())
    }

    /// Whether the next request is for the next page.
    fn is_full(&self, limit: usize) -> bool {
        self.requests >= limit || self.json.len() >= PAGE_BYTES
    }

    fn end(mut self, end: &End) -> Result<String, Refused> {
        self.json.extend_from_slice(b"],");
        let opened = self.json.len();
        self.value(end)?;
        // The page's object goes on: its end is that of this one.
        self.json.remove(opened);
        String::from_utf8(self.json).map_err(|error| failed(&error))
    }

    fn value(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Refused> {
        serde_json::to_writer(&mut self.json, value).map_err(|error| failed(&error))
    }
}

/// What a page says behind its requests.
#[derive(Serialize)]
struct End {
    /// Where the next page begins; none behind the last.
    next: Option<u64>,
    /// One past the newest request when this page was read.
    end_seq: u64,
    /// Requests between those of this page that cannot be read.
    missing: u64,
    /// Segments that cannot be read, and why.
    unreadable: Vec<String>,
}

fn requests(from: &Sources, asked: &Asked) -> Result<String, Refused> {
    let Query { mut wanted, limit, payload } =
        Query::of(&asked.parameters, from.clock.unix_nano())?;
    let directory = directory(from)?;
    let end_seq = from.journal.status().next_seq;
    wanted.end_seq = Some(end_seq);
    let mut page = Page::of(&directory)?;
    let mut records = Records::of(&directory, wanted).map_err(|error| failed(&error))?;
    let mut next = records.only(PAGE_SEGMENTS);
    let mut unreadable = Vec::new();
    loop {
        if asked.patience.ended().is_some() {
            return Err(Refused::Failed("nobody waits for this page any more".to_owned()));
        }
        match records.next_record() {
            Ok(None) => break,
            Ok(Some(entry)) => {
                page.request(&entry, payload)?;
                if page.is_full(limit) {
                    next = Some(entry.seq + 1).filter(|next| *next < end_seq);
                    break;
                }
            }
            Err(error) => unreadable.push(telemetry::chain(&error)),
        }
    }
    page.end(&End { next, end_seq, missing: records.missing(), unreadable })
}

#[cfg(test)]
mod tests;
