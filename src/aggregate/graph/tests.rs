//! The graph against ends given by hand.

use sidelight_wire::view::{Text, Value};

use super::super::codec::Read;
use super::*;

const SECOND: u64 = 1_000_000_000;

fn at(seconds: u64) -> UnixNano {
    UnixNano(1_000 * SECOND + seconds * SECOND)
}

/// A span of a trace from its number, that of its parent, and its attributes.
struct End<'a> {
    kind: u8,
    trace: u8,
    span: u8,
    parent: u8,
    millis: u64,
    attributes: &'a [(&'a str, &'a str)],
}

const fn end(kind: u8, trace: u8, span: u8, parent: u8) -> End<'static> {
    End { kind, trace, span, parent, millis: 8, attributes: &[] }
}

fn give(graph: &mut Graph, service: &str, end: &End<'_>) {
    let (trace_id, span_id) = ([end.trace; 16], [end.span; 8]);
    let parent_span_id = [end.parent; 8];
    let mut fields = super::Fields {
        trace_id: &trace_id,
        span_id: &span_id,
        parent_span_id: if end.parent == 0 { &[] } else { &parent_span_id },
        kind: end.kind.into(),
        end_unix_nano: end.millis * 1_000_000,
        ..super::Fields::default()
    };
    for (key, value) in end.attributes {
        fields.take(key.as_bytes(), || Value::String(Text(value.as_bytes())));
    }
    let service = graph.service(service.as_bytes()).unwrap();
    graph.observe(service, &fields);
}

fn shown(graph: &Graph) -> Vec<String> {
    let edges = graph.edges().map(|edge| {
        let labels = graph.labels(edge).into_iter().map(|(_, value)| value);
        let labels = labels.collect::<Vec<_>>().join(" ");
        let [server, client] = [&edge.server, &edge.client].map(|of| of.latency.count());
        format!(
            "{labels}: {} failed {} server {server} client {client}",
            edge.requests, edge.failed
        )
    });
    edges.collect()
}

fn graph(change: impl FnOnce(&mut Config)) -> Graph {
    let mut config = Config::default();
    change(&mut config);
    let mut graph = Graph::new(config);
    graph.advance(at(0));
    graph
}

#[test]
fn both_ends_make_an_edge_whichever_comes_first() {
    let mut graph = graph(|_| {});
    give(&mut graph, "front", &end(CLIENT, 1, 2, 1));
    graph.advance(at(9));
    give(&mut graph, "back", &end(SERVER, 1, 3, 2));
    give(&mut graph, "back", &end(SERVER, 2, 3, 2));
    graph.advance(at(18));
    let failed = [("http.response.status_code", "404")];
    give(&mut graph, "front", &End { attributes: &failed, ..end(CLIENT, 2, 2, 1) });
    assert_eq!(shown(&graph), ["front back: 2 failed 1 server 2 client 2"]);
    graph.advance(at(60));
    assert_eq!((graph.waiting(), graph.totals()), (0, Totals::default()));
}

#[test]
fn ends_that_come_too_late_do_not_meet() {
    let mut graph = graph(|_| {});
    give(&mut graph, "front", &end(CLIENT, 1, 2, 1));
    graph.advance(at(10));
    give(&mut graph, "back", &end(SERVER, 1, 3, 2));
    graph.advance(at(20));
    assert_eq!((shown(&graph).len(), graph.totals().unpaired), (0, 2));
}

#[test]
fn what_was_sent_once_may_be_received_by_many() {
    let mut graph = graph(|_| {});
    give(&mut graph, "early", &end(CONSUMER, 1, 3, 2));
    give(&mut graph, "front", &end(PRODUCER, 1, 2, 1));
    give(&mut graph, "late", &end(CONSUMER, 1, 4, 2));
    assert_eq!(
        shown(&graph),
        [
            "front early messaging_system: 1 failed 0 server 1 client 1",
            "front late messaging_system: 1 failed 0 server 1 client 1"
        ]
    );
    graph.advance(at(60));
    assert_eq!(graph.totals().unpaired, 0);
}

#[test]
fn peers_databases_and_users_are_nodes_without_spans() {
    let mut graph = graph(|_| {});
    let database = [("server.address", "db.example"), ("db.system", "mysql"), ("db.name", "shop")];
    give(&mut graph, "front", &End { attributes: &database, ..end(CLIENT, 1, 2, 1) });
    give(&mut graph, "front", &end(SERVER, 1, 1, 0));
    let peer = [("server.address", "api.example"), ("peer.service", "bank")];
    give(&mut graph, "front", &End { attributes: &peer, ..end(CLIENT, 1, 4, 1) });
    give(&mut graph, "front", &end(CLIENT, 1, 5, 1));
    let before = [
        "front shop database: 1 failed 0 server 1 client 1",
        "user front virtual_node: 1 failed 0 server 1 client 0",
    ];
    assert_eq!(shown(&graph), before);
    graph.advance(at(10));
    let bank = "front bank virtual_node: 1 failed 0 server 1 client 1";
    assert_eq!(shown(&graph), [&before[..], &[bank]].concat());
    assert_eq!(graph.totals().unpaired, 1);
}

#[test]
fn every_limit_holds_and_counts() {
    let mut graph = graph(|config| {
        (config.pending_max, config.edges_max, config.virtual_nodes_max) = (10, 4, 3);
    });
    for i in 1..=20 {
        let peer = format!("peer-{i}");
        let attributes = [("server.address", peer.as_str())];
        give(&mut graph, "front", &End { attributes: &attributes, ..end(CLIENT, i, 2, 1) });
    }
    assert_eq!((graph.waiting(), graph.totals().early), (10, 10));
    assert_eq!(graph.totals().overflow_nodes, 7);
    give(&mut graph, "a", &end(SERVER, 99, 1, 0));
    give(&mut graph, "b", &end(SERVER, 99, 1, 0));
    assert_eq!(graph.totals().overflow_edges, 1);
    assert_eq!(
        shown(&graph),
        [
            "front peer-1 virtual_node: 1 failed 0 server 1 client 1",
            "front peer-2 virtual_node: 1 failed 0 server 1 client 1",
            "front peer-3 virtual_node: 1 failed 0 server 1 client 1",
            "user a virtual_node: 1 failed 0 server 1 client 0",
            "true: 8 failed 0 server 8 client 7"
        ]
    );
}

#[test]
fn a_million_traces_take_no_more_than_the_limit() {
    let mut graph = graph(|config| config.pending_max = 1_000);
    let service = graph.service(b"front").unwrap();
    for i in 0..1_000_000_u64 {
        let mut trace_id = [1; 16];
        trace_id[..8].copy_from_slice(&i.to_be_bytes());
        let fields = super::Fields {
            trace_id: &trace_id,
            span_id: &[1; 8],
            kind: CLIENT.into(),
            ..super::Fields::default()
        };
        graph.observe(service, &fields);
    }
    assert_eq!(graph.waiting(), 1_000);
    let totals = Totals { early: 999_000, unpaired: 999_000, ..Totals::default() };
    assert_eq!(graph.totals(), totals);
}

#[test]
fn thousands_of_spans_with_one_parent_that_nobody_sends_cost_what_others_do() {
    let took = |same: bool| {
        let mut graph = graph(|_| {});
        let service = graph.service(b"worker").unwrap();
        let began = tokio::time::Instant::now();
        for i in 1..=40_000_u64 {
            let parent = (if same { 1 } else { i }).to_be_bytes();
            let fields = super::Fields {
                trace_id: &[1; 16],
                parent_span_id: &parent,
                kind: CONSUMER.into(),
                ..super::Fields::default()
            };
            graph.observe(service, &fields);
        }
        began.elapsed()
    };
    let (different, same) = (took(false), took(true));
    println!("{different:?} with different parents, {same:?} with the same");
    assert!(same < different * 20, "{same:?} for {different:?}");
}

#[test]
fn what_thousands_received_before_their_sender_was_seen_is_an_edge_each() {
    let mut graph = graph(|_| {});
    for _ in 0..5_000 {
        give(&mut graph, "worker", &end(CONSUMER, 1, 3, 2));
    }
    give(&mut graph, "front", &end(PRODUCER, 1, 2, 1));
    give(&mut graph, "worker", &end(CONSUMER, 1, 4, 2));
    let edge = "front worker messaging_system: 5001 failed 0 server 5001 client 5001";
    assert_eq!(shown(&graph), [edge]);
}

#[test]
fn edges_without_requests_end_and_their_nodes_are_given_again() {
    let mut graph = graph(|config| config.edges_max = 2);
    for i in 0..20_u64 {
        graph.advance(at(i * 100));
        graph.expire(Duration::from_secs(60));
        give(&mut graph, &format!("service-{i}"), &end(SERVER, 1, 1, 0));
        let edge = format!("user service-{i} virtual_node: 1 failed 0 server 1 client 0");
        assert_eq!(shown(&graph), [edge]);
    }
    assert_eq!((graph.totals(), graph.nodes.all().len()), (Totals::default(), 2));
}

#[test]
fn the_node_of_the_request_at_hand_is_not_given_to_another() {
    let mut graph = graph(|config| config.edges_max = 1);
    give(&mut graph, "old", &end(1, 1, 1, 0));
    let database = [("db.system", "mysql"), ("db.name", "shop")];
    give(&mut graph, "front", &End { attributes: &database, ..end(CLIENT, 2, 2, 1) });
    assert_eq!(shown(&graph), ["front shop database: 1 failed 0 server 1 client 1"]);
}

#[test]
fn a_checkpoint_keeps_edges_and_ends_that_wait() {
    let mut graph = graph(|_| {});
    let peer = [("server.address", "api.example")];
    give(&mut graph, "gone", &end(CLIENT, 7, 7, 1));
    give(&mut graph, "front", &end(SERVER, 1, 1, 0));
    give(&mut graph, "front", &End { attributes: &peer, ..end(CLIENT, 1, 4, 1) });
    give(&mut graph, "front", &end(CLIENT, 1, 2, 1));
    let mut bytes = Vec::new();
    graph.encode(&mut bytes);
    let mut again = Graph::decode(graph.config, &mut Read(&bytes)).unwrap();
    for graph in [&mut graph, &mut again] {
        give(graph, "back", &end(SERVER, 1, 3, 2));
        graph.advance(at(11));
    }
    assert_eq!(shown(&again), shown(&graph));
    assert_eq!((shown(&again).len(), again.totals()), (3, graph.totals()));
    for cut in 0..bytes.len() {
        assert!(Graph::decode(graph.config, &mut Read(&bytes[..cut])).is_none(), "{cut}");
    }
    let fewer = Config { edges_max: 0, pending_max: 1, ..graph.config };
    let fewer = Graph::decode(fewer, &mut Read(&bytes)).unwrap();
    assert_eq!((fewer.waiting(), fewer.totals().early), (1, 2));
}
