//! The journal read, and read again from a checkpoint.

use std::sync::Arc;

use super::*;
use crate::journal;
use crate::journal::fs::Roomy;
use crate::journal::{Deps, Durability, Journal};
use crate::signal::{Flags, Meta, Record, Signal};
use crate::telemetry::Registry;
use crate::time::ManualClock;

#[tokio::test]
async fn what_the_journal_accepts_is_counted_and_settled() {
    let config = journal::Config { durability: Durability::Memory, ..journal::Config::default() };
    let registry = Registry::default();
    let clock = Arc::new(ManualClock::at(START));
    let deps = Deps { fs: Arc::new(Roomy), clock, registry: registry.clone() };
    let (journal, _) = Journal::open(config, vec![reader_config(false)], deps).unwrap();
    let aggregate = Aggregate::new(Config::default(), START, None, &registry);
    let (_stop, stopping) = stop();
    let reading = tokio::spawn({
        let (aggregate, reader) = (aggregate.clone(), journal.reader(READER).unwrap());
        async move { aggregate.run(reader, None, stopping).await }
    });
    for _ in 0..10 {
        let payload = request("shop", vec![span("x", 2, 1_000_000, &[]); 7]).into();
        let (flags, meta) = (Flags::default(), Meta::default());
        let record = Record { signal: Signal::Traces, items: 7, flags, meta, payload };
        journal.append(record).await.unwrap();
    }
    let counted = async {
        while aggregate.snapshot().totals.spans < 70 || journal.status().readers[0].queued.items > 0
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), counted).await.unwrap();
    let mut out = Exposition::new(Format::Text);
    registry.write(&mut out);
    assert!(out.finish().contains("\nsidelight_aggregate_spans_total 70\n"));
    journal.close().await;
    tokio::time::timeout(Duration::from_secs(10), reading).await.unwrap().unwrap();
}

#[test]
fn the_table_goes_on_where_a_checkpoint_left_it() {
    let config = Config { series_max: 3, ..Config::default() };
    let mut whole = Table::new(config.clone(), START);
    let mut first = Table::new(config.clone(), START);
    let requests = |from: u64, to: u64| {
        (from..to).map(|i| {
            let status = ["a", "b", "c", "d", "e"][i as usize % 5];
            let spans = vec![span(status, 2, i64::try_from(i * i).unwrap() * 1_000_003, &[])];
            (request("shop", spans), at(i))
        })
    };
    requests(0, 40).for_each(|(bytes, received)| whole.observe(&bytes, received));
    requests(0, 23).for_each(|(bytes, received)| first.observe(&bytes, received));
    let mut state = Vec::new();
    first.encode(&mut state);
    let mut second = Table::decode(config.clone(), &state).unwrap();
    requests(23, 40).for_each(|(bytes, received)| second.observe(&bytes, received));
    assert_eq!(metrics(&second, Format::Text), metrics(&whole, Format::Text));
    for cut in 0..state.len() {
        assert!(Table::decode(config.clone(), &state[..cut]).is_none(), "{cut} of {}", state.len());
    }
    // With fewer series allowed, what has no row any more is in the overflow.
    let fewer =
        Table::decode(Config { series_max: 1, ..config.clone() }, &state).unwrap().snapshot();
    let calls: u64 = fewer.series.iter().map(|series| series.figures.calls).sum();
    assert_eq!((fewer.series.len(), calls + fewer.overflow.unwrap().calls), (1, 23));
}

#[test]
fn a_table_without_a_beginning_begins_at_its_first_record() {
    let mut table = Table::new(Config::default(), UnixNano(0));
    table.observe(&request("shop", vec![span("x", 1, 1, &[])]), at(5));
    table.observe(&request("shop", vec![span("x", 1, 1, &[])]), at(9));
    assert_eq!((table.started(), table.snapshot().series[0].created), (at(5), at(5)));
}

#[test]
fn a_checkpoint_of_the_first_version_gives_its_totals() {
    let mut bytes = vec![1];
    for number in [START.0, START.0, at(9).0, START.0, 12, 1, 2, 3, 4] {
        codec::put(&mut bytes, number);
    }
    bytes.extend_from_slice(b"rows without a resource");
    let table = Table::decode(Config::default(), &bytes).unwrap();
    assert_eq!((table.started(), table.series()), (START, 0));
    assert_eq!((table.totals().spans, table.totals().expired), (12, 4));
    let mut derived = Vec::new();
    codec::put(&mut derived, at(9).0 / 1_000_000);
    let derived: Derived<usize> = Derived::decode(&derived);
    assert!(!derived.is_due(i64::try_from(at(9).0 / 1_000_000).unwrap()));
}

/// A few services that call each other, with samples and other things in between.
fn any_traffic() -> Vec<(Vec<u8>, UnixNano)> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut waiting: Vec<Span> = Vec::new();
    (0..300_u64)
        .map(|i| {
            let trace = i.to_be_bytes().repeat(2);
            let mut client = http("/out", "200", random.i64(1..3_000_000_000));
            (client.kind, client.trace_id) = (3, trace.iter().map(|byte| byte ^ 0x55).collect());
            client.attributes.push(attribute("server.address", &format!("host-{}", i % 7)));
            client.trace_state = ["", "ot=th:aaaaaaaaaaaaa"][random.usize(0..2)].to_owned();
            let mut server = http("/in", ["200", "500"][random.usize(0..2)], 5_000_000);
            server.trace_id.clone_from(&client.trace_id);
            server.parent_span_id.clone_from(&client.span_id);
            waiting.push(server);
            let ready = if random.bool() { std::mem::take(&mut waiting) } else { Vec::new() };
            let both = [request("front", vec![client]), request("back", ready)].concat();
            (both, at(i * 7 / 10))
        })
        .collect()
}

#[test]
fn a_process_killed_between_checkpoints_samples_the_same_when_it_reads_again() {
    let traffic = any_traffic();
    let run = |checkpoint: usize, killed: usize| {
        let mut table = table(|_| {});
        let (mut derived, mut kept) = (Derived::default(), Kept::default());
        let mut state = (Vec::new(), Vec::new());
        let mut live = traffic.iter().enumerate();
        for (at, (bytes, received)) in live.by_ref().take(killed) {
            if at == checkpoint {
                table.encode(&mut state.0);
                derived.encode(&mut state.1);
            }
            step((&mut derived, &mut kept), &mut table, *received, bytes);
        }
        if !state.0.is_empty() {
            table = Table::decode(Config::default(), &state.0).unwrap();
            derived = Derived::decode(&state.1);
            live = traffic.iter().enumerate();
            live.by_ref().take(checkpoint).for_each(drop);
        }
        for (_, (bytes, received)) in live {
            step((&mut derived, &mut kept), &mut table, *received, bytes);
        }
        only(&mut kept, "")
            .lines()
            .filter(|line| !line.starts_with("  #"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let whole = run(usize::MAX, traffic.len());
    assert!(whole.contains("traces_service_graph_request_total{client=front,server=back}"));
    for (checkpoint, killed) in [(1, 2), (40, 41), (57, 140), (200, 299)] {
        assert!(run(checkpoint, killed) == whole, "{checkpoint} {killed}");
    }
}
