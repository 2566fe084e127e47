//! A lane on a journal on disk, or on one that is made up, without a destination.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

use super::*;
use crate::export::budget::Budget;
use crate::export::client::Client;
use crate::export::config::{ClientConfig, Protocol, Target};
use crate::export::disposition::Status;
use crate::export::status::LaneCell;
use crate::journal::fs::Roomy;
use crate::journal::{
    Config, Deps, Durability, Entry, Journal, Reader, ReaderConfig, Rejected, Settled, SignalSet,
    Start, WhenFull,
};
use crate::net::endpoint::Endpoint;
use crate::signal::{Flags, Meta, Record};
use crate::telemetry::Registry;
use crate::time::{SystemClock, UnixNano};

const READER: &str = "otlp_grpc/a:logs";

fn open(directory: &Path, clock: &Arc<dyn Clock>) -> Journal {
    let config =
        Config { directory: directory.into(), durability: Durability::Os, ..Config::default() };
    let reader = ReaderConfig {
        name: READER.to_owned(),
        signals: SignalSet::only(Signal::Logs),
        durable: true,
        start: Start::Oldest,
        when_full: WhenFull::Reject,
    };
    let (fs, registry) = (Arc::new(Roomy), Registry::default());
    let deps = Deps { fs, clock: Arc::clone(clock), registry };
    Journal::open(config, vec![reader], deps).unwrap().0
}

/// A lane that has read a record of 3 items, whose sequence is told.
async fn lane_with_a_record(directory: &Path) -> (Journal, Lane<Reader>, u64) {
    let (journal, lane, seqs) = lane_with_records(directory, 1).await;
    (journal, lane, seqs[0])
}

/// A lane that has read so many.
async fn lane_with_records(directory: &Path, count: usize) -> (Journal, Lane<Reader>, Vec<u64>) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let journal = open(directory, &clock);
    let (meta, _) = Meta::from_headers([("x-noise", &b"1"[..]), ("x-tenant", &b"shop"[..])]);
    let payload = bytes::Bytes::from_static(&[10, 0]);
    let record = Record { signal: Signal::Logs, items: 3, flags: Flags::default(), meta, payload };
    let mut seqs = Vec::new();
    for _ in 0..count {
        seqs.push(journal.append(record.clone()).await.unwrap());
    }
    let (parts, destination, _) = parts(clock);
    let intake = journal.reader(READER).unwrap();
    let mut lane = Lane::new(parts, &destination, Carry::fresh(intake));
    lane.limits.max_size = 1 << 10;
    lane.read().await;
    (journal, lane, seqs)
}

fn parts(clock: Arc<dyn Clock>) -> (Parts, Destination, watch::Sender<Mode>) {
    let endpoint =
        Endpoint::parse("http://127.0.0.1:9", false, Protocol::Grpc.default_port()).unwrap();
    let client = ClientConfig::new(Protocol::Grpc, endpoint);
    let sink = Sink::Otlp(Box::new(Client::new(&client, Arc::clone(&clock)).unwrap()));
    let mut destination = Destination::new("otlp_grpc/a", Target::Otlp(Box::new(client)));
    destination.headers_from_context = vec!["x-tenant".to_owned()];
    let cell = Arc::new(LaneCell::new("otlp_grpc/a", Signal::Logs, true));
    let (mode, told) = watch::channel(Mode::Run);
    let parts = Parts {
        signal: Signal::Logs,
        sink: Arc::new(sink),
        share: Budget::new(1 << 20).share(),
        metrics: LaneMetrics::new(&Registry::default(), "otlp_grpc/a", Signal::Logs),
        report: Report::new(cell, Arc::clone(&clock)),
        clock,
        mode: told,
    };
    (parts, destination, mode)
}

/// A journal whose disk never answers.
struct Hung {
    reads: tokio::sync::mpsc::Sender<()>,
}

impl Intake for Hung {
    async fn wait(&mut self, _: usize, _: Duration) -> bool {
        true
    }
    async fn next(&mut self, _: usize, _: usize) -> Result<Vec<Entry>, String> {
        self.reads.send(()).await.unwrap();
        std::future::pending().await
    }
    fn settle(&self, _: Vec<Settled>) {}
    fn keep_rejected(&self, _: Rejected) -> impl Future<Output = ()> + Send + 'static {
        std::future::pending()
    }
    fn not_kept(&self, _: usize) {}
}

#[tokio::test(start_paused = true)]
async fn a_lane_ends_though_the_disk_never_answers_its_read() {
    for last in [Mode::Stop, Mode::Release] {
        let (mut parts, destination, mode) = parts(Arc::new(SystemClock::new()));
        let budget = Budget::new(3 << 20);
        parts.share = budget.share();
        let (reads, mut reading) = tokio::sync::mpsc::channel(1);
        let mut lane = Lane::new(parts, &destination, Carry::fresh(Hung { reads }));
        lane.limits.max_size = 1 << 20;
        lane.weight = 100;
        let lane = tokio::spawn(lane.run());
        reading.recv().await.unwrap();
        mode.send_replace(Mode::Drain);
        reading.recv().await.unwrap();
        assert_eq!(budget.held(), 1 << 20, "the first read gave back what it had charged");
        mode.send_replace(last);
        let ended = tokio::time::timeout(Duration::from_secs(1), lane).await;
        assert_eq!(ended.expect("it ends").unwrap().unsettled(), 0);
    }
}

/// A journal that always has more: records of 3 items, from sequence 1 on, as large as `bytes` says.
struct Endless {
    next: u64,
    bytes: fn(u64) -> usize,
    settled: Outcomes,
}

type Outcomes = Arc<Mutex<Vec<Settled>>>;

impl Intake for Endless {
    async fn wait(&mut self, _: usize, _: Duration) -> bool {
        true
    }
    async fn next(&mut self, max_bytes: usize, max_records: usize) -> Result<Vec<Entry>, String> {
        let (mut entries, mut read) = (Vec::new(), 0);
        while entries.len() < max_records {
            let payload = bytes::Bytes::from([10_u8, 0].repeat((self.bytes)(self.next) / 2));
            read += payload.len();
            if read > max_bytes && !entries.is_empty() {
                break;
            }
            let (signal, flags, meta) = (Signal::Logs, Flags::default(), Meta::default());
            let record = Record { signal, items: 3, flags, meta, payload };
            let received = UnixNano(0);
            entries.push(Entry { seq: self.next, received, redelivered: false, record });
            self.next += 1;
        }
        Ok(entries)
    }
    fn settle(&self, settled: Vec<Settled>) {
        self.settled.lock().unwrap().extend(settled);
    }
    fn keep_rejected(&self, _: Rejected) -> impl Future<Output = ()> + Send + 'static {
        std::future::ready(())
    }
    fn not_kept(&self, _: usize) {}
}

/// A lane of such a journal, what it settled, and who tells it what to do.
fn endless(
    signal: Signal,
    budget: &Budget,
    bytes: fn(u64) -> usize,
) -> (Lane<Endless>, Outcomes, watch::Sender<Mode>) {
    let (mut parts, destination, mode) = parts(Arc::new(SystemClock::new()));
    (parts.signal, parts.share) = (signal, budget.share());
    let settled = Outcomes::default();
    let intake = Endless { next: 1, bytes, settled: Arc::clone(&settled) };
    (Lane::new(parts, &destination, Carry::fresh(intake)), settled, mode)
}

/// A second at most of a lane whose destination answers at once: requests in which it takes every record are delivered.
async fn step(lane: &mut Lane<Endless>, takes: impl Fn(u64) -> bool) {
    while let Some(batch) = lane.schedule.take(Instant::now()) {
        let taken = batch.pieces.iter().all(|piece| takes(piece.seq));
        let result = if taken { Ok(Response::default()) } else { Err(SendError::NoStatus) };
        lane.finish(Ok((batch, result)));
    }
    let (wants, ..) = lane.appetite(Mode::Run, Instant::now());
    if wants {
        lane.read().await;
    }
    while let Some(kept) = lane.kept.try_join_next() {
        lane.finish_kept(kept);
    }
    let free = tokio::time::timeout(Duration::from_secs(1), freed(&mut lane.starved)).await;
    if free.is_ok() {
        lane.starved = None;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_never_taken_is_given_up_and_the_rest_delivered_though_it_holds_all_the_memory() {
    const TOTAL: usize = 48 << 10;
    const LARGEST: usize = 100_000;
    for (signal, poison) in [(Signal::Logs, 3), (Signal::Metrics, 1)] {
        let budget = Budget::new(TOTAL);
        let bytes = |seq: u64| if seq == 1 { LARGEST } else { 300 };
        let (mut lane, settled, _mode) = endless(signal, &budget, bytes);
        let given_up = || -> BTreeSet<u64> {
            let settled = settled.lock().unwrap();
            let is_given_up = |s: &&Settled| s.dropped == [(DropReason::Rejected, 3)];
            settled.iter().filter(is_given_up).map(|s| s.seq).collect()
        };
        let (began, expected) = (Instant::now(), (1..=poison).collect::<BTreeSet<u64>>());
        while given_up() != expected {
            step(&mut lane, |seq| seq > poison).await;
            assert!(budget.held() <= TOTAL + 2 * LARGEST, "{}", budget.held());
            let took = began.elapsed();
            assert!(took < Duration::from_secs(4 * 3600), "{signal:?}: {:?}", given_up());
        }
        assert!(settled.lock().unwrap().len() > 1000, "the others are delivered meanwhile");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lane_reads_more_than_it_has_memory_for_once_nothing_is_in_flight_and_only_so_much() {
    let budget = Budget::new(48 << 10);
    let (mut lane, _settled, _mode) = endless(Signal::Logs, &budget, |_| 100_000);
    lane.read().await;
    let first = lane.schedule.take(Instant::now()).unwrap();
    lane.read().await;
    assert!(lane.starved.is_some(), "it waits for what is in flight");
    assert_eq!(lane.account.open_records(), 1);
    lane.finish(Ok((first, Err(SendError::NoStatus))));
    let (wants, ..) = lane.appetite(Mode::Run, Instant::now());
    assert!(wants, "all that it holds waits for a retry");
    lane.read().await;
    assert_eq!(lane.account.open_records(), 2);
    lane.read().await;
    assert!(lane.starved.is_some(), "a part beyond is taken");
    assert_eq!(lane.account.open_records(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_was_read_beyond_and_is_never_taken_leaves_room_for_another() {
    let budget = Budget::new(48 << 10);
    let bytes = |seq: u64| if seq == 1 { 30_000 } else { [300, 100_000][usize::from(seq == 2)] };
    let (mut lane, settled, _mode) = endless(Signal::Logs, &budget, bytes);
    let begun = Instant::now();
    // The first goes when the second was read beyond it.
    while settled.lock().unwrap().len() < 100 {
        let both = lane.account.open_records() > 1;
        step(&mut lane, |seq| seq != 2 && (seq != 1 || both)).await;
        let of = |s: &Settled| s.seq;
        let so_far: Vec<u64> = settled.lock().unwrap().iter().map(of).collect();
        assert!(begun.elapsed() < Duration::from_secs(3600), "{so_far:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn lanes_whose_destinations_are_down_hold_the_budget_together_and_two_records_each() {
    const TOTAL: usize = 192 << 10;
    const LANES: usize = 12;
    let sizes: [fn(u64) -> usize; 4] = [|_| 2, |_| 100, |_| 4_000, |_| 9_000];
    for bytes in sizes {
        let budget = Budget::new(TOTAL);
        let mut lanes: Vec<_> = (0..LANES).map(|_| endless(Signal::Logs, &budget, bytes)).collect();
        for _ in 0..100 {
            for (lane, ..) in &mut lanes {
                step(lane, |_| false).await;
            }
        }
        // With a body that is compressed.
        let record = 350 + bytes(1) * 13 / 10;
        let records: usize = lanes.iter().map(|(lane, ..)| lane.account.open_records()).sum();
        assert!(records >= LANES * 2, "{records}");
        assert!(records * record <= TOTAL + LANES * 2 * record, "{records} of {record} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_released_lane_ends_though_the_disk_never_takes_what_is_given_up_and_leaves_it_to_the_next()
 {
    let (parts, destination, mode) = parts(Arc::new(SystemClock::new()));
    let (reads, _reading) = tokio::sync::mpsc::channel(1);
    let mut lane = Lane::new(parts, &destination, Carry::fresh(Hung { reads }));
    for seq in [7, 8] {
        let payload = bytes::Bytes::from_static(&[10, 0]);
        let batch = Batch::of(Vec::new(), Piece { seq, items: 3, payload }, false);
        lane.keep(batch, &SendError::NoStatus, DropReason::Rejected);
    }
    let began = Instant::now();
    mode.send_replace(Mode::Release);
    let ended = tokio::time::timeout(Duration::from_secs(60), lane.run()).await;
    let left: Vec<_> = ended.expect("it ends").batches.iter().map(Batch::first_seq).collect();
    assert_eq!(left, [7, 8]);
    assert!(began.elapsed() >= Duration::from_secs(10), "a slow disk gets its time");
}

#[tokio::test]
async fn of_a_partial_success_those_records_are_samples_that_bear_the_loss() {
    for (rejected, dropped, sampled) in [(4, 4, 2), (0, 0, 0), (u64::MAX, 300, 50)] {
        let directory = tempfile::tempdir().unwrap();
        let (journal, mut lane, seqs) = lane_with_records(directory.path(), 100).await;
        let batch = lane.schedule.take(Instant::now()).unwrap();
        assert_eq!(batch.pieces.len(), 100);
        lane.delivered(&batch, Some(Partial { rejected, message: "no".to_owned() }));
        let samples: Vec<u64> = lane.parts.report.samples().iter().map(|s| s.seq).collect();
        assert_eq!(samples, seqs[..sampled]);
        let row = journal.ledger().readers.remove(0);
        assert_eq!(row.dropped.values().sum::<u64>(), dropped);
        assert!(row.balances());
    }
}

fn kept(directory: &Path, journal: &Journal) -> Rejected {
    let file = journal.rejected().remove(0);
    let path = directory.join("rejected").join(&file.name);
    Rejected::decode(&std::fs::read(path).unwrap().into()).unwrap()
}

#[tokio::test]
async fn a_rejected_batch_is_kept_with_its_headers_before_it_is_settled() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, mut lane, seq) = lane_with_a_record(directory.path()).await;
    let batch = lane.schedule.take(Instant::now()).unwrap();
    lane.keep(batch, &SendError::NoStatus, DropReason::Rejected);
    assert!(!lane.is_done(Mode::Drain), "it is waited for");
    assert_eq!(journal.ledger().readers[0].queued.items, 3);
    let done = lane.kept.join_next().await.unwrap();
    assert_eq!(journal.ledger().readers[0].queued.items, 3, "kept first");
    lane.finish_kept(done);
    let row = journal.ledger().readers.remove(0);
    assert_eq!(row.dropped, [(DropReason::Rejected, 3)].into());
    assert!(row.balances());

    let whole = kept(directory.path(), &journal);
    assert_eq!((whole.seq, whole.record.items, &*whole.exporter), (seq, 3, "otlp_grpc/a"));
    assert_eq!(whole.status, "the answer ended without a status");
    assert_eq!(whole.record.payload[..], [10, 0]);
    assert_eq!(whole.record.meta.headers().collect::<Vec<_>>(), [("x-tenant", &b"shop"[..])]);
    assert!(whole.at > UnixNano(0));
}

#[tokio::test]
async fn a_record_that_is_refused_for_good_is_kept_and_counted_as_before() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, mut lane, seq) = lane_with_a_record(directory.path()).await;
    let batch = lane.schedule.take(Instant::now()).unwrap();
    let refused = SendError::Answered {
        status: Status::Http(400),
        message: "too old".to_owned(),
        retry_after: None,
    };
    lane.refused(batch, &refused);
    let done = lane.kept.join_next().await.unwrap();
    lane.finish_kept(done);
    let row = journal.ledger().readers.remove(0);
    assert_eq!(row.dropped, [(DropReason::Permanent, 3)].into());
    assert!(row.balances());
    let whole = kept(directory.path(), &journal);
    assert_eq!(whole.seq, seq);
    assert!(whole.status.contains("400") && whole.status.contains("too old"), "{}", whole.status);
}

#[tokio::test]
async fn what_is_refused_faster_than_it_can_be_kept_is_dropped_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, mut lane, _) = lane_with_a_record(directory.path()).await;
    for _ in 0..KEEPING_MAX {
        lane.kept.spawn(std::future::pending());
    }
    let batch = lane.schedule.take(Instant::now()).unwrap();
    lane.keep(batch, &SendError::NoStatus, DropReason::Permanent);
    assert_eq!(lane.kept.len(), KEEPING_MAX);
    assert_eq!(journal.ledger().readers[0].dropped, [(DropReason::Permanent, 3)].into());
    assert!(journal.rejected().is_empty());
}

#[tokio::test]
async fn what_cannot_be_made_into_a_request_says_nothing_of_a_destination_that_is_down() {
    for unsent in [SendError::Encode("no".to_owned()), SendError::RequestTooLarge { bytes: 9 }] {
        let directory = tempfile::tempdir().unwrap();
        let (_journal, mut lane, _) = lane_with_a_record(directory.path()).await;
        let batch = lane.schedule.take(Instant::now()).unwrap();
        lane.finish(Ok((batch, Err(SendError::NoStatus))));
        let probe = lane.schedule.take(Instant::now() + Duration::from_secs(60)).unwrap();
        lane.finish(Ok((probe, Err(unsent))));
        assert_eq!(lane.schedule.outage().map(|outage| outage.failures), Some(1));
        assert_eq!(lane.schedule.in_flight(), 0);
    }
}
