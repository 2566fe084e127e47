//! `sidelight journal dump`: the requests of a journal as OTLP/JSON lines, or as a table of what they are.
//!
//! The agent gives them a page at a time: memory is that of a page, however large the journal, and of the rows of a table.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Source, unopened};
use crate::cli::exit::{Exit, Failure};
use crate::cli::read::client::{Connection, duration};
use crate::cli::rows::{Column, Shape, limit, text, time, unreadable};
use crate::cli::terminal::Terminal;
use crate::cli::text::{Format, size};
use crate::journal::Entry;
use crate::journal::inspect::{Records, Wanted};
use crate::signal::Signal;
use crate::time::{Clock as _, SystemClock, UnixNano, parse_unix_ms};

/// Rows of a table are laid out together.
const TABLE_ROWS_MAX: usize = 10_000;

/// What to do about pages that do not go on.
const OTHER_AGENT: &str = "is it another version of the agent, or something else at this address?";

/// Which requests, and how they are written.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sidelight journal dump --signal traces --since 10m > spans.jsonl\n  \
    sidelight journal dump --directory /var/lib/sidelight/journal -o table -n 20\n\n\
    Without a directory or configuration the running agent is asked, up to the newest request of that moment; if nobody listens there, \
    the files are read."
)]
pub(crate) struct Args {
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
    #[command(flatten)]
    source: Source,
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

/// A page of requests, as the agent gives it.
#[derive(Debug, Deserialize)]
struct Page {
    requests: Vec<Box<RawValue>>,
    next: Option<u64>,
    end_seq: u64,
    missing: u64,
    unreadable: Vec<String>,
}

/// What of a request makes its line. The payload stays as the agent wrote it.
#[derive(Debug, Deserialize)]
struct Request {
    seq: u64,
    payload: Option<Box<RawValue>>,
    problem: Option<String>,
}

/// Where the requests come from.
enum Found {
    /// The first page.
    Agent(Page),
    Files(Box<Records>, PathBuf),
}

pub(super) async fn execute(args: &Args, terminal: &Terminal) -> Result<Exit, Failure> {
    let agent = async |agent: &Connection| {
        Ok(Found::Agent(args.page(agent, args.seq, args.limit()).await?))
    };
    let files = |directory: &Path, _| {
        let records = Records::of(directory, args.wanted());
        let records = records.map_err(|error| super::unreadable(directory, &error))?;
        Ok(Found::Files(Box::new(records), directory.to_owned()))
    };
    let found = args.source.read(terminal, agent, files).await?;
    let mut dump = Dump { args, terminal, listed: Vec::new(), taken: 0, missing: 0, failed: None };
    match found {
        Found::Agent(page) => dump.pages(page).await?,
        Found::Files(records, directory) => dump.records(*records, &directory)?,
    }
    dump.end()
}

impl Args {
    /// Whether requests are listed, not written.
    fn heads(&self) -> bool {
        matches!(self.output, Format::Table | Format::Csv)
    }

    fn limit(&self) -> usize {
        self.limit.unwrap_or(if self.heads() { TABLE_ROWS_MAX } else { usize::MAX })
    }

    fn wanted(&self) -> Wanted {
        let named = |name: &String| Signal::ALL.into_iter().find(|s| s.name() == name);
        Wanted {
            signal: self.signal.as_ref().and_then(named),
            first_seq: self.seq,
            end_seq: None,
            since: self.since.unwrap_or_default(),
            until: self.until,
        }
    }

    /// Asks for the page that begins with `seq`, of at most `limit` requests.
    async fn page(&self, agent: &Connection, seq: u64, limit: usize) -> Result<Page, Failure> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("seq", &seq.to_string());
        query.append_pair("limit", &limit.to_string());
        query.append_pair("payload", if self.heads() { "false" } else { "true" });
        if let Some(signal) = &self.signal {
            query.append_pair("signal", signal);
        }
        for (name, time) in [("since", self.since), ("until", self.until)] {
            if let Some(time) = time {
                query.append_pair(name, &time.as_seconds_f64().to_string());
            }
        }
        let page = agent.document(&format!("/api/sidelight/v1/journal?{}", query.finish())).await?;
        serde_json::from_slice(&page).map_err(|error| unreadable(&error))
    }
}

/// A dump under way.
struct Dump<'a> {
    args: &'a Args,
    terminal: &'a Terminal,
    /// The rows of a table.
    listed: Vec<Value>,
    /// Requests so far.
    taken: usize,
    /// Requests that should have been there and cannot be read.
    missing: u64,
    /// The exit code of what failed and was said.
    failed: Option<Exit>,
}

impl Dump<'_> {
    /// Takes this page and those behind it, up to what was the newest request when the first was read.
    async fn pages(&mut self, first: Page) -> Result<(), Failure> {
        let (end, mut seq, mut page) = (first.end_seq, self.args.seq, first);
        loop {
            self.missing += page.missing;
            for why in &page.unreadable {
                self.fail(&Failure {
                    why: vec![why.clone()],
                    ..Failure::new(Exit::Failed, "the agent cannot read a part of its journal")
                });
            }
            for request in &page.requests {
                self.request(request, end)?;
            }
            let left = self.args.limit().saturating_sub(self.taken);
            let Some(next) = page.next.filter(|next| *next < end && left > 0) else { break };
            if next <= seq {
                let what =
                    format!("the agent's page behind request {seq} begins with {next} again");
                return Err(Failure::new(Exit::Failed, what).help(OTHER_AGENT));
            }
            seq = next;
            page = self.args.page(&self.args.source.connection, next, left).await?;
        }
        Ok(())
    }

    /// Takes a request, unless it came after the dump began: then it is at `end` or behind it.
    fn request(&mut self, raw: &RawValue, end: u64) -> Result<(), Failure> {
        let request: Request =
            serde_json::from_str(raw.get()).map_err(|error| unreadable(&error))?;
        if request.seq >= end || self.taken >= self.args.limit() {
            return Ok(());
        }
        self.taken += 1;
        if self.args.heads() {
            let head = serde_json::from_str(raw.get()).map_err(|error| unreadable(&error))?;
            self.listed.push(head);
            return Ok(());
        }
        if let Some(payload) = request.payload {
            return self.terminal.data(&format!("{}\n", payload.get()));
        }
        let what = format!("request {} is left out", request.seq);
        let why = request.problem.into_iter().collect();
        self.fail(&Failure { why, ..Failure::new(Exit::Failed, what) });
        Ok(())
    }

    /// Takes the requests of files.
    fn records(&mut self, mut records: Records, directory: &Path) -> Result<(), Failure> {
        while self.taken < self.args.limit() {
            match records.next_record() {
                Ok(None) => break,
                Ok(Some(entry)) => {
                    self.taken += 1;
                    if self.args.heads() {
                        self.listed.push(entry.document());
                    } else {
                        self.terminal.data(&line(&entry)?)?;
                    }
                }
                Err(error) => self.fail(&unopened(directory, &error)),
            }
        }
        self.missing = records.missing();
        Ok(())
    }

    fn fail(&mut self, failure: &Failure) {
        self.terminal.failure(failure);
        self.failed = Some(failure.exit);
    }

    fn end(self) -> Result<Exit, Failure> {
        if self.args.heads() {
            let document = json!({ "requests": self.listed });
            ROWS.show(&document, self.args.output, self.terminal)?;
        } else if self.taken == 0 {
            self.terminal.note(ROWS.none);
        }
        match (self.failed, self.missing) {
            (Some(exit), _) => Err(Failure::said(exit)),
            (None, 0) => Ok(Exit::Ok),
            (None, missing) => Err(Failure::new(Exit::Failed, format!("{missing} requests in between cannot be read"))
                .help("the disk has damaged them; the next start of the agent counts them as dropped{corrupt}")),
        }
    }
}

/// A request as OTLP/JSON, with a line end.
fn line(entry: &Entry) -> Result<String, Failure> {
    let json = entry.record.to_json().map_err(|error| {
        Failure::new(Exit::Failed, format!("request {} is not OTLP", entry.seq)).because(&error)
    })?;
    Ok(json + "\n")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::ColourChoice;

    #[derive(clap::Parser)]
    struct Typed {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn a_request_that_the_agent_leaves_out_fails_the_dump_and_keeps_no_other() {
        let terminal = Terminal::of_process(true, ColourChoice::Never);
        let args = Typed::try_parse_from(["x"]).unwrap().args;
        let (listed, terminal, args) = (Vec::new(), &terminal, &args);
        let mut dump = Dump { args, terminal, listed, taken: 0, missing: 0, failed: None };
        for request in [r#"{"seq":7,"problem":"too large"}"#, r#"{"seq":8,"payload":{}}"#] {
            dump.request(&RawValue::from_string(request.to_owned()).unwrap(), 9).unwrap();
        }
        assert_eq!((dump.taken, dump.failed), (2, Some(Exit::Failed)));
        assert_eq!(dump.end().unwrap_err().exit, Exit::Failed);
    }

    #[tokio::test]
    async fn a_dump_ends_where_it_began_to_and_at_pages_that_do_not_go_on() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let page = |seqs: &[u64], next: Option<u64>| {
            let requests: Vec<Value> = seqs.iter().map(|seq| json!({ "seq": seq })).collect();
            let (next, end_seq, unreadable) = (next, 5, [""; 0]);
            json!({ "requests": requests, "next": next, "end_seq": end_seq, "missing": 0, "unreadable": unreadable })
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        // Whatever it is asked for: the page behind this one begins with 3, and is this one.
        let again = page(&[3, 4, 5, 6], Some(3)).to_string();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 4096]).await.unwrap();
                let length = again.len();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
                );
                stream.write_all(format!("{head}{again}").as_bytes()).await.unwrap();
            }
        });
        let terminal = Terminal::of_process(true, ColourChoice::Never);
        for (limit, first, taken, ends) in [
            ("9", page(&[1, 2], None), vec![1, 2], true),
            ("9", page(&[1, 5, 6], Some(7)), vec![1], true),
            ("2", page(&[1, 2, 3], Some(4)), vec![1, 2], true),
            ("9", page(&[1, 2], Some(3)), vec![1, 2, 3, 4], false),
        ] {
            let typed = ["x", "--url", &url, "-n", limit, "-o", "table"];
            let args = Typed::try_parse_from(typed).unwrap().args;
            let (listed, terminal, args) = (Vec::new(), &terminal, &args);
            let mut dump = Dump { args, terminal, listed, taken: 0, missing: 0, failed: None };
            let pages = dump.pages(serde_json::from_value(first).unwrap()).await;
            let seqs: Vec<u64> =
                dump.listed.iter().map(|row| row["seq"].as_u64().unwrap()).collect();
            assert_eq!((seqs, pages.is_ok()), (taken, ends));
            assert!(pages.err().is_none_or(|failure| failure.what.contains("begins with 3 again")));
        }
    }
}
