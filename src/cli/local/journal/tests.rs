use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::cli::ColourChoice;
use crate::journal::fs::Roomy;
use crate::journal::inspect::{Kept, Records, Wanted, inspect, read_rejected, rejected};
use crate::journal::{
    Config, Deps, Journal, ReaderConfig, Rejected, Settled, SignalSet, Start, WhenFull,
};
use crate::signal::{Flags, Meta, Record, Signal};
use crate::telemetry::Registry;
use crate::time::{SystemClock, UnixNano};

/// A request with an empty resource.
fn request(signal: Signal, items: u32) -> Record {
    let payload = Bytes::from_static(&[0x0a, 0x00]);
    Record { signal, items, flags: Flags::default(), meta: Meta::default(), payload }
}

async fn journal(directory: &Path) -> Journal {
    let deps = Deps {
        fs: Arc::new(Roomy),
        clock: Arc::new(SystemClock::new()),
        registry: Registry::default(),
    };
    let config =
        Config { directory: directory.to_owned(), max_size: Some(8 << 20), ..Config::default() };
    let readers = [("otlp_grpc/a:traces", Signal::Traces), ("otlp_grpc/a:logs", Signal::Logs)];
    let readers = readers.map(|(name, signal)| ReaderConfig {
        name: name.to_owned(),
        signals: SignalSet::only(signal),
        durable: true,
        start: Start::Oldest,
        when_full: WhenFull::Reject,
    });
    let journal = Journal::open(config, readers.to_vec(), deps).unwrap().0;
    for (signal, items) in [(Signal::Traces, 3), (Signal::Logs, 5), (Signal::Traces, 4)] {
        journal.append(request(signal, items)).await.unwrap();
    }
    journal
}

/// Every file below a directory, with its bytes and when it was changed.
fn everything(directory: &Path) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(everything(&path));
        } else {
            let changed = path.metadata().unwrap().modified().unwrap();
            all.insert(path.clone(), (std::fs::read(&path).unwrap(), changed));
        }
    }
    all
}

fn dumped(directory: &Path, wanted: Wanted) -> (Vec<u64>, u64) {
    let mut records = Records::of(directory, wanted).unwrap();
    let mut seqs = Vec::new();
    while let Some(entry) = records.next_record().unwrap() {
        seqs.push(entry.seq);
    }
    (seqs, records.missing())
}

#[tokio::test]
async fn a_journal_is_read_beside_its_agent_and_without_one_and_nothing_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let journal = journal(directory.path()).await;
    let mut reader = journal.reader("otlp_grpc/a:traces").unwrap();
    let first = reader.next(1, 1).await.unwrap().remove(0);
    let settled = Settled { seq: first.seq, delivered_items: 3, dropped: Vec::new() };
    reader.settler().settle([settled]);
    drop(reader);
    assert_eq!(dumped(directory.path(), Wanted::default()), (vec![1, 2, 3], 0));
    journal.close().await;
    let before = everything(directory.path());
    let found = inspect(directory.path()).unwrap();
    let queued = |name: &str| {
        let reader = found.readers.iter().find(|reader| reader.name == name).unwrap();
        (reader.queued.requests, reader.queued.items)
    };
    assert_eq!(queued("otlp_grpc/a:traces"), (1, 4));
    assert_eq!(queued("otlp_grpc/a:logs"), (1, 5));
    assert_eq!((found.next_seq, found.segments.len(), found.lost_records), (4, 1, 0));
    for (wanted, seqs) in [
        (Wanted::default(), &[1, 2, 3][..]),
        (Wanted { signal: Some(Signal::Logs), ..Wanted::default() }, &[2]),
        (Wanted { first_seq: 2, ..Wanted::default() }, &[2, 3]),
        (Wanted { end_seq: Some(3), ..Wanted::default() }, &[1, 2]),
        (Wanted { end_seq: Some(1), ..Wanted::default() }, &[]),
        (Wanted { until: Some(UnixNano(1)), ..Wanted::default() }, &[]),
    ] {
        assert_eq!(dumped(directory.path(), wanted), (seqs.to_vec(), 0));
    }
    assert_eq!(everything(directory.path()), before);
}

#[tokio::test]
async fn what_is_damaged_is_counted_and_the_rest_is_read() {
    let directory = tempfile::tempdir().unwrap();
    journal(directory.path()).await.close().await;
    let segment = directory.path().join("00000000000000000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    let second = bytes
        .windows(4)
        .enumerate()
        .filter(|(_, four)| **four == [0xd5, 0x1d, 0x0e, 0xa7])
        .nth(2)
        .unwrap()
        .0;
    bytes[second + 20] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    assert_eq!(dumped(directory.path(), Wanted::default()), (vec![1, 3], 1));

    std::fs::write(&segment, vec![7; 4096]).unwrap();
    let found = inspect(directory.path()).unwrap();
    assert_eq!(found.unreadable, std::slice::from_ref(&segment));
    let error =
        Records::of(directory.path(), Wanted::default()).unwrap().next_record().unwrap_err();
    let failure = unopened(directory.path(), &error);
    assert!(failure.why.iter().any(|why| why.contains("not a segment")), "{failure:?}");
    assert_eq!(std::fs::read(&segment).unwrap(), vec![7; 4096], "it is not set aside");
}

#[test]
fn what_is_no_journal_is_said_with_the_way_out() {
    let directory = tempfile::tempdir().unwrap();
    let terminal = Terminal::of_process(true, ColourChoice::Never);
    let find = |path: PathBuf| {
        Place { directory: Some(path), ..Place::default() }.find(&terminal).unwrap_err()
    };
    let empty = find(directory.path().to_owned());
    assert!(empty.what.starts_with("there is no journal in") && empty.help.is_some(), "{empty:?}");
    let absent = find(directory.path().join("absent"));
    assert!(absent.what.starts_with("cannot read the journal in"), "{absent:?}");
    assert!(absent.why[0].contains("No such file"), "{absent:?}");
    assert!(absent.help.unwrap().contains("--directory"));
    let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    let denied = unreadable(directory.path(), &denied);
    assert!(denied.help.unwrap().contains("agent's user"));
    let set = vec!["journal.durability=memory".to_owned()];
    let place = Place { directory: None, configured: Configured::of(Vec::new(), set) };
    assert!(place.find(&terminal).unwrap_err().what.contains("in memory"));
}

#[tokio::test]
async fn rejected_requests_are_listed_shown_and_removed_and_a_damaged_one_hides_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let journal = journal(directory.path()).await;
    let kept = Rejected {
        exporter: "otlp_grpc/a".to_owned(),
        status: "400: no".to_owned(),
        seq: 2,
        at: UnixNano(5),
        record: request(Signal::Logs, 5),
    };
    journal.keep_rejected(&kept);
    let bad = directory.path().join("rejected/00000000000000000009-0.rejected");
    std::fs::write(&bad, b"SIDEREJ").unwrap();
    let Kept { files, unreadable } = rejected(directory.path()).unwrap();
    assert_eq!(
        files.iter().map(|file| &*file.name).collect::<Vec<_>>(),
        ["00000000000000000002-0.rejected"]
    );
    assert_eq!(unreadable.len(), 1);
    let name = &files[0].name;
    assert_eq!(read_rejected(directory.path(), name).unwrap().record.items, 5);
    let error = read_rejected(directory.path(), "00000000000000000009-0.rejected").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    crate::journal::inspect::remove_rejected(directory.path(), name).unwrap();
    assert!(rejected(directory.path()).unwrap().files.is_empty());
    // Whoever runs meanwhile goes on.
    journal.keep_rejected(&kept);
    assert_eq!(rejected(directory.path()).unwrap().files.len(), 1);
    journal.close().await;
}

/// An OTLP/HTTP server that takes everything with these words, however often it is asked.
async fn receiver(response: &'static [u8]) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 65_536];
            let _ = stream.read(&mut request).await.unwrap();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\nconnection: close\r\n\
                 content-length: {}\r\n\r\n",
                response.len()
            );
            stream.write_all(&[head.as_bytes(), response].concat()).await.unwrap();
        }
    });
    url
}

#[tokio::test]
async fn what_is_sent_again_is_removed_when_it_is_taken_and_one_that_fails_keeps_no_other() {
    #[derive(clap::Parser)]
    struct Typed {
        #[command(subcommand)]
        what: rejected::What,
    }
    use clap::Parser as _;
    let directory = tempfile::tempdir().unwrap();
    let journal = journal(directory.path()).await;
    for (seq, exporter) in [(1, "otlp_http/gone"), (2, "otlp_http/a"), (3, "otlp_http/a")] {
        journal.keep_rejected(&Rejected {
            exporter: exporter.to_owned(),
            status: "400: no".to_owned(),
            seq,
            at: UnixNano(5),
            record: request(Signal::Logs, 5),
        });
    }
    journal.close().await;
    let bad = directory.path().join("rejected/00000000000000000009-0.rejected");
    std::fs::write(&bad, b"SIDEREJ").unwrap();
    // partial_success { error_message: "w" }: nothing is rejected.
    let url = receiver(&[0x0a, 0x03, 0x12, 0x01, b'w']).await;
    let terminal = Terminal::of_process(true, ColourChoice::Never);
    let path = directory.path().to_str().unwrap();
    let set = format!("exporters.otlp_http/a.endpoint={url}");
    let run = async |line: &[&str]| {
        let typed = Typed::try_parse_from(line).unwrap();
        rejected::execute(&typed.what, &terminal).await
    };
    let resent = run(&["x", "resend", "--directory", path, "--set", &set, "--all"]).await;
    assert_eq!(resent, Ok(Exit::Failed), "one exporter is gone, one file is unreadable");
    let Kept { files, unreadable } = rejected(directory.path()).unwrap();
    assert_eq!((files.len(), unreadable.len()), (1, 1), "{files:?}");
    assert_eq!(run(&["x", "rm", "--directory", path, "--all", "--yes"]).await, Ok(Exit::Ok));
    let Kept { files, unreadable } = rejected(directory.path()).unwrap();
    assert_eq!((files.len(), unreadable.len()), (0, 0));
}
