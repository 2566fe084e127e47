//! Pages of a journal on disk, and what is kept of rejected requests.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::api::tests::{ask, sources, text};
use crate::api::{Api, Config, Token, serve};
use crate::journal;
use crate::journal::fs::Roomy;
use crate::journal::{Journal, Rejected, SignalSet, Start, WhenFull};
use crate::signal::{Flags, Meta, Record, Signal};
use crate::telemetry::Registry;
use crate::time::{SystemClock, UnixNano};

const TOKEN: &str = "authorization: Bearer t\r\n";
const PATH: &str = "/api/sidelight/v1/journal";

/// A request whose payload is `bytes` long: one resource with an attribute.
fn request(signal: Signal, bytes: usize) -> Record {
    let payload = if bytes < 32 {
        vec![0x0a, 0x00]
    } else {
        // resource_logs { schema_url: "aaa…" }
        let mut body = vec![0x1a];
        varint(bytes, &mut body);
        body.resize(body.len() + bytes, b'a');
        let mut payload = vec![0x0a];
        varint(body.len(), &mut payload);
        payload.extend(body);
        payload
    };
    let (flags, meta) = (Flags::default(), Meta::default());
    Record { signal, items: 1, flags, meta, payload: Bytes::from(payload) }
}

fn varint(mut value: usize, out: &mut Vec<u8>) {
    while value > 127 {
        out.push(u8::try_from(value & 127).unwrap() | 128);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
}

async fn serving(directory: &Path) -> (Api, Journal) {
    let deps = journal::Deps {
        fs: Arc::new(Roomy),
        clock: Arc::new(SystemClock::new()),
        registry: Registry::default(),
    };
    let max_size = Some(64 << 20);
    let config =
        journal::Config { directory: directory.to_owned(), max_size, ..journal::Config::default() };
    // Somebody who has not read it: nothing is let go of.
    let reader = journal::ReaderConfig {
        name: "otlp_grpc/a:logs".to_owned(),
        signals: SignalSet::only(Signal::Logs),
        durable: true,
        start: Start::Oldest,
        when_full: WhenFull::Reject,
    };
    let journal = Journal::open(config, vec![reader], deps).unwrap().0;
    let (mut sources, _control) = sources(None);
    sources.journal = journal.clone();
    let config = Config { endpoint: ([127, 0, 0, 1], 0).into(), ..Config::default() };
    let listener = TcpListener::bind(config.endpoint).await.unwrap();
    let token = Token::from_file(b"t").unwrap().made_in("/state/admin.token".into());
    (serve(listener, config, Some(token), sources).unwrap(), journal)
}

async fn page(api: &Api, query: &str) -> Value {
    let (status, _, body) = ask(api, &format!("GET {PATH}?{query}"), TOKEN).await;
    let body = text(body);
    assert_eq!(status, 200, "{query}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// The sequences of a page, and where the next begins.
fn told(page: &Value) -> (Vec<u64>, Option<u64>) {
    let requests = page["requests"].as_array().unwrap().iter();
    (requests.map(|request| request["seq"].as_u64().unwrap()).collect(), page["next"].as_u64())
}

#[tokio::test]
async fn a_dump_is_given_a_page_at_a_time_and_each_says_where_the_next_begins() {
    let directory = tempfile::tempdir().unwrap();
    let (api, journal) = serving(directory.path()).await;
    for signal in [Signal::Traces, Signal::Logs, Signal::Traces] {
        journal.append(request(signal, 0)).await.unwrap();
    }
    assert_eq!(told(&page(&api, "").await), (vec![1, 2, 3], None));
    assert_eq!(told(&page(&api, "limit=2").await), (vec![1, 2], Some(3)));
    assert_eq!(told(&page(&api, "limit=2&seq=3").await), (vec![3], None));
    assert_eq!(told(&page(&api, "signal=logs").await), (vec![2], None));
    assert_eq!(told(&page(&api, "until=1970-01-01T00:00:01Z").await), (vec![], None));
    assert_eq!(told(&page(&api, "since=1h").await), (vec![1, 2, 3], None));

    let whole = page(&api, "seq=2&limit=1").await;
    assert_eq!((&whole["end_seq"], &whole["missing"]), (&4.into(), &0.into()));
    let request = &whole["requests"][0];
    assert_eq!((&request["signal"], &request["items"]), (&"logs".into(), &1.into()));
    assert_eq!(request["payload"].to_string(), r#"{"resourceLogs":[{}]}"#);
    let head = page(&api, "payload=false").await;
    assert!(head["requests"][0].get("payload").is_none(), "{head}");
    journal.close().await;
}

#[tokio::test]
async fn a_page_ends_behind_two_mebibytes_and_what_is_too_large_for_one_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let (api, journal) = serving(directory.path()).await;
    for bytes in [1_200 << 10, 1_200 << 10, 5 << 20, 0] {
        journal.append(request(Signal::Logs, bytes)).await.unwrap();
    }
    let first = page(&api, "").await;
    assert_eq!(told(&first), (vec![1, 2], Some(3)));
    assert!(first["requests"][1]["payload"]["resourceLogs"].is_array());
    let second = page(&api, "seq=3").await;
    // Its problem is short.
    assert_eq!(told(&second), (vec![3, 4], None));
    assert!(second["requests"][0].get("payload").is_none());
    assert!(second["requests"][1]["payload"].is_object());
    let problem = second["requests"][0]["problem"].as_str().unwrap();
    assert!(problem.contains("are above the 4194304 that are shown"), "{problem}");
    // Heads are small, whatever they are of.
    assert_eq!(told(&page(&api, "payload=false").await), (vec![1, 2, 3, 4], None));
    journal.close().await;
}

#[tokio::test]
async fn a_page_and_a_payload_are_as_large_as_their_json() {
    let directory = tempfile::tempdir().unwrap();
    let (api, journal) = serving(directory.path()).await;
    // Six times as long in JSON: 2.3, 15.8 and 16.4 MiB.
    for bytes in [400 << 10, 2_700 << 10, 2_800 << 10] {
        let mut record = request(Signal::Logs, bytes);
        let controls = record.payload.iter().map(|byte| if *byte == b'a' { 1 } else { *byte });
        record.payload = controls.collect();
        journal.append(record).await.unwrap();
    }
    assert_eq!(told(&page(&api, "").await), (vec![1], Some(2)));
    let long = page(&api, "seq=2").await;
    assert_eq!(told(&long), (vec![2], Some(3)));
    let url = long["requests"][0]["payload"]["resourceLogs"][0]["schemaUrl"].as_str().unwrap();
    assert_eq!(url.len(), 2_700 << 10);
    let longer = page(&api, "seq=3").await;
    assert_eq!(told(&longer), (vec![3], None));
    assert!(longer["requests"][0].get("payload").is_none());
    let problem = longer["requests"][0]["problem"].as_str().unwrap();
    assert!(problem.contains("JSON are above the 16777216 that are shown"), "{problem}");
    assert_eq!(told(&page(&api, "payload=false").await), (vec![1, 2, 3], None));
    journal.close().await;
}

#[tokio::test]
async fn what_is_rare_is_looked_for_in_a_few_segments_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let (api, journal) = serving(directory.path()).await;
    for _ in 0..7 {
        journal.append(request(Signal::Logs, 7 << 20)).await.unwrap();
    }
    let last = journal.append(request(Signal::Traces, 0)).await.unwrap();
    let segments = journal.segments().len();
    assert!(segments > super::PAGE_SEGMENTS, "{segments}");
    let (mut found, mut next, mut pages) = (Vec::new(), Some(0), 0);
    while let Some(seq) = next {
        let (requests, behind) = told(&page(&api, &format!("signal=traces&seq={seq}")).await);
        found.extend(requests);
        (next, pages) = (behind, pages + 1);
    }
    assert_eq!((found, pages), (vec![last], segments.div_ceil(super::PAGE_SEGMENTS)));
    let (status, _, body) = ask(&api, &format!("GET {PATH}/segments"), "").await;
    let list: Value = serde_json::from_str(&text(body)).unwrap();
    assert_eq!((status, list["segment_list"].as_array().unwrap().len()), (200, segments));
    journal.close().await;
}

#[tokio::test]
async fn what_is_damaged_is_counted_in_the_page_that_it_is_missing_in_and_in_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let (api, journal) = serving(directory.path()).await;
    for _ in 0..4 {
        journal.append(request(Signal::Logs, 0)).await.unwrap();
    }
    let segment = directory.path().join("00000000000000000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    let magic = bytes.windows(4).enumerate().filter(|(_, four)| **four == [0xd5, 0x1d, 0x0e, 0xa7]);
    let second = magic.map(|(at, _)| at).nth(2).unwrap();
    bytes[second + 20] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    for (query, seqs, next, missing) in [
        ("limit=1", vec![1], Some(2), 0),
        ("seq=2&limit=1", vec![3], Some(4), 1),
        ("seq=4", vec![4], None, 0),
    ] {
        let page = page(&api, query).await;
        assert_eq!((told(&page), &page["missing"]), ((seqs, next), &missing.into()), "{query}");
    }
    std::fs::write(&segment, vec![7; 4096]).unwrap();
    let page = page(&api, "").await;
    assert_eq!(told(&page), (vec![], None));
    let why = page["unreadable"][0].as_str().unwrap();
    assert!(why.contains("not a segment"), "{why}");
    journal.close().await;
}

#[tokio::test]
async fn payloads_are_private_and_what_is_asked_wrongly_or_not_there_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let (api, journal) = serving(directory.path()).await;
    journal.keep_rejected(&Rejected {
        exporter: "otlp_http/a".to_owned(),
        status: "400: no".to_owned(),
        seq: 2,
        at: UnixNano(5),
        record: request(Signal::Logs, 0),
    });
    let one = "/api/sidelight/v1/rejected/00000000000000000002-0.rejected";
    let other = "/api/sidelight/v1/rejected/00000000000000000003-0.rejected";
    std::fs::write(directory.path().join("secret.rejected"), "s").unwrap();
    let outside = "/api/sidelight/v1/rejected/..%2Fsecret.rejected";
    std::fs::write(directory.path().join("rejected/7.rejected"), "s").unwrap();
    let damaged = "/api/sidelight/v1/rejected/7.rejected";
    for (line, headers, status, said) in [
        (format!("GET {PATH}"), "", 401, "token"),
        (format!("GET {one}"), "", 401, "token"),
        (format!("GET {PATH}?limit=0"), TOKEN, 400, "`limit` is `0`"),
        (format!("GET {PATH}?signal=x"), TOKEN, 400, "traces, metrics, logs, profiles"),
        (format!("GET {PATH}?since=soon"), TOKEN, 400, "`since` is `soon`"),
        (format!("GET {one}"), TOKEN, 200, r#"{"resourceLogs":[{}]}"#),
        (format!("GET {other}"), TOKEN, 404, "no rejected request"),
        (format!("GET {outside}"), TOKEN, 404, "no rejected request"),
        (format!("GET {damaged}"), TOKEN, 500, "damaged or of another version"),
        (format!("DELETE {outside}"), TOKEN, 404, "no rejected request"),
        (format!("DELETE {one}"), "origin: http://evil\r\n", 403, "other origins"),
        (format!("DELETE {one}"), "", 200, "00000000000000000002-0.rejected"),
        (format!("DELETE {one}"), "", 404, "no rejected request"),
    ] {
        let (got, _, body) = ask(&api, &line, headers).await;
        let body = text(body);
        assert_eq!(got, status, "{line}: {body}");
        assert!(body.contains(said), "{line}: {body}");
    }
    assert!(directory.path().join("secret.rejected").try_exists().unwrap());
    assert!(journal.rejected().is_empty());
    journal.close().await;
}

#[tokio::test]
async fn a_journal_in_memory_has_segments_and_no_files() {
    let (sources, _control) = sources(None);
    let config = Config { endpoint: ([127, 0, 0, 1], 0).into(), ..Config::default() };
    let listener = TcpListener::bind(config.endpoint).await.unwrap();
    let api = serve(listener, config, Token::from_file(b"t"), sources).unwrap();
    let (status, _, body) = ask(&api, &format!("GET {PATH}"), TOKEN).await;
    assert_eq!(status, 404);
    assert!(text(body).contains("in memory"));
    assert_eq!(ask(&api, &format!("GET {PATH}/segments"), TOKEN).await.0, 200);
}
