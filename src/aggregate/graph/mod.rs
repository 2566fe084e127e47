//! The service graph: who calls whom, how often, how long it takes and how often it fails.
//!
//! ```text
//! CLIENT, PRODUCER (trace, span)        ┐
//!                                       ├─ both ends ─────────────▶ edge client ─▶ server
//! SERVER, CONSUMER (trace, parent span) ┘
//!   CLIENT of a database ─ at once ────────────────────────────────▶ edge to the database
//!   CLIENT, PRODUCER alone for 10 s ─ peer named ──────────────────▶ edge to a virtual node
//!   SERVER without a parent ─ at once ─────────────────────────────▶ edge from `user`
//! ```
//! Ends meet across requests and services, whichever comes first, by received time alone. Names and labels are those of
//! Tempo's service graphs. An edge without a server's span takes the client's duration for the server's.
//!
//! Limits: `pending_max` ends that wait ([`pending`]; past it the oldest waits no longer, counted), `edges_max` edges and
//! `virtual_nodes_max` virtual nodes (past them one overflow edge), [`nodes`]. Cost: about 40 ns for a span that waits.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};
use sidelight_exphist::Histogram;

use super::measured::{Measured, Took};
use super::operation;
use super::operation::{CLIENT, CONSUMER, PRODUCER, SERVER};
use super::usual::Fields;
use super::weight;
use crate::time::UnixNano;

mod nodes;
mod pending;
mod state;

#[cfg(test)]
mod tests;

use nodes::{Node, Nodes};
use pending::{End, Half, Pending};

/// The most names of peers that are known at once; past it they are learnt anew.
const PEERS_MAX: usize = 1_000;

/// `aggregate.graph` in the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whether there is a service graph. Default true.
    pub enabled: bool,
    /// How long an end waits for the other. Default 10 s.
    pub wait: Duration,
    /// The most ends that wait. Default 10,000; about 100 B each.
    pub pending_max: usize,
    /// The most edges. Default 1,000; up to 3 KiB each.
    pub edges_max: usize,
    /// The most databases, peers and other nodes that send no spans. Default 100.
    pub virtual_nodes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            wait: Duration::from_secs(10),
            pending_max: 10_000,
            edges_max: 1_000,
            virtual_nodes_max: 100,
        }
    }
}

/// What became of ends that made no edge of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Waited for nothing and say nothing of the other end, or have no usable ids.
    pub unpaired: u64,
    /// Waited less than they should have because of `pending_max`.
    pub early: u64,
    /// Requests in the overflow edge because of `edges_max`.
    pub overflow_edges: u64,
    /// Requests in the overflow edge because of `virtual_nodes_max`, or of the limit of nodes.
    pub overflow_nodes: u64,
}

/// `connection_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Connection {
    Direct = 0,
    Messaging = 1,
    Database = 2,
    Virtual = 3,
}

impl Connection {
    const ALL: [Self; 4] = [Self::Direct, Self::Messaging, Self::Database, Self::Virtual];

    const fn label(self) -> &'static str {
        match self {
            Self::Direct => "",
            Self::Messaging => "messaging_system",
            Self::Database => "database",
            Self::Virtual => "virtual_node",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Between {
    client: u32,
    server: u32,
    connection: Connection,
}

/// Requests from one node to another.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Never used again; 0 is the overflow edge.
    pub(super) id: u64,
    /// `None` for the overflow edge.
    between: Option<Between>,
    /// Requests, each as often as it stands for.
    pub(super) requests: u64,
    /// Those that failed at either end.
    pub(super) failed: u64,
    /// As the server saw it.
    pub(super) server: Measured,
    /// As the client saw it.
    pub(super) client: Measured,
    carry: f64,
    seen: UnixNano,
}

impl Edge {
    fn new(id: u64, between: Option<Between>) -> Self {
        let (server, client) = (Measured::default(), Measured::default());
        let seen = UnixNano(0);
        Self { id, between, requests: 0, failed: 0, server, client, carry: 0.0, seen }
    }

    /// The latency that the client saw.
    pub(super) const fn client_latency(&self) -> &Histogram {
        &self.client.latency
    }

    /// The latency that the server saw.
    pub(super) const fn server_latency(&self) -> &Histogram {
        &self.server.latency
    }
}

/// One request as both ends saw it.
#[derive(Clone, Copy, Debug)]
struct Call {
    weight: f64,
    failed: bool,
    server_nanos: Option<u64>,
    client_nanos: Option<u64>,
}

/// The service graph. See the module's documentation.
#[derive(Debug)]
pub(super) struct Graph {
    config: Config,
    nodes: Nodes,
    pending: Pending,
    /// Names of peers that ends wait with, each once.
    peers: HashSet<Arc<[u8]>>,
    index: HashMap<Between, usize>,
    edges: Vec<Edge>,
    overflow: Edge,
    last_edge: u64,
    totals: Totals,
    now: UnixNano,
    /// When nodes that nothing refers to were looked for.
    swept: UnixNano,
    /// The node that spans are of until another is asked for or the next [`Graph::expire`].
    current: Option<u32>,
}

impl Graph {
    pub(super) fn new(config: Config) -> Self {
        Self {
            nodes: Nodes::new(config.edges_max.saturating_mul(2), config.virtual_nodes_max),
            pending: Pending::default(),
            peers: HashSet::new(),
            index: HashMap::new(),
            edges: Vec::new(),
            overflow: Edge::new(0, None),
            last_edge: 0,
            totals: Totals::default(),
            now: UnixNano(0),
            swept: UnixNano(0),
            current: None,
            config,
        }
    }

    /// Moves the clock: ends that waited long enough wait no longer.
    pub(super) fn advance(&mut self, received: UnixNano) {
        self.now = self.now.max(received);
        while self.pending.oldest().is_some_and(|oldest| self.now.since(oldest) >= self.config.wait)
        {
            self.give_up();
        }
    }

    /// The node of a service, for the spans of one request; `None` without a graph or room.
    pub(super) fn service(&mut self, name: &[u8]) -> Option<u32> {
        if !self.config.enabled {
            return None;
        }
        self.current = None;
        self.current = self.node(Node::Service(name), None);
        self.current
    }

    /// The number of a node; `held` is that of another which stays besides.
    fn node(&mut self, node: Node<&[u8]>, held: Option<u32>) -> Option<u32> {
        if let Some(known) = self.nodes.find(node) {
            return Some(known);
        }
        if self.nodes.is_full() && self.now.since(self.swept) >= self.config.wait {
            self.sweep(held);
        }
        self.nodes.add(node)
    }

    /// Takes one end of a request.
    #[inline]
    pub(super) fn observe(&mut self, service: u32, span: &Fields<'_>) {
        let Ok(kind @ (SERVER | CLIENT | PRODUCER | CONSUMER)) = u8::try_from(span.kind) else {
            return;
        };
        self.observe_end(service, kind, span);
    }

    fn observe_end(&mut self, service: u32, kind: u8, span: &Fields<'_>) {
        let weight = weight::of(span.trace_state);
        let failed = operation::span_failed(span);
        let nanos = span.end_unix_nano.checked_sub(span.start_unix_nano);
        if kind == CLIENT && span.database() {
            let call = Call { weight, failed, server_nanos: nanos, client_nanos: nanos };
            return self.call_peer(service, span.peer(), Connection::Database, &call);
        }
        let is_client = matches!(kind, CLIENT | PRODUCER);
        let meeting = if is_client { span.span_id } else { span.parent_span_id };
        if kind == SERVER && meeting.iter().all(|&byte| byte == 0) {
            let call = Call { weight, failed, server_nanos: nanos, client_nanos: None };
            let user = self.node(Node::User, Some(service));
            return self.call(user, Some(service), Connection::Virtual, &call);
        }
        let Some(key) = pending::key(span.trace_id, meeting) else {
            self.totals.unpaired += 1;
            return;
        };
        let peer = span.peer().filter(|_| is_client).map(|peer| self.peer(peer));
        let received = self.now;
        let half =
            Half { key, kind, service, failed, paired: false, nanos, weight, received, peer };
        self.meet(half, is_client);
    }

    /// The name of a peer, which many ends share.
    fn peer(&mut self, name: &[u8]) -> Arc<[u8]> {
        let name = nodes::clipped(name);
        if let Some(known) = self.peers.get(name) {
            return Arc::clone(known);
        }
        if self.peers.len() >= PEERS_MAX {
            self.peers.clear();
        }
        let name: Arc<[u8]> = name.into();
        self.peers.insert(Arc::clone(&name));
        name
    }

    /// Pairs an end with those that wait for it, or lets it wait.
    fn meet(&mut self, mut half: Half, is_client: bool) {
        if is_client {
            for server in self.pending.take_servers(&half.key) {
                half.paired = true;
                self.pair(half.end(), server);
            }
            // Only what was sent to a queue is received more than once.
            if half.paired && half.kind == CLIENT {
                return;
            }
        } else if let Some(client) = self.pending.client(&half.key) {
            client.paired = true;
            let client = client.end();
            return self.pair(client, half.end());
        }
        if self.pending.len() >= self.config.pending_max.max(1) {
            self.totals.early += 1;
            self.give_up();
        }
        self.pending.push(half);
    }

    fn pair(&mut self, client: End, server: End) {
        let connection =
            if client.kind == PRODUCER { Connection::Messaging } else { Connection::Direct };
        let call = Call {
            // Both were sampled with the one that was less likely to be.
            weight: client.weight.max(server.weight),
            failed: client.failed || server.failed,
            server_nanos: server.nanos,
            client_nanos: client.nanos,
        };
        self.call(Some(client.service), Some(server.service), connection, &call);
    }

    /// The end that has waited longest waits no longer.
    fn give_up(&mut self) {
        let Some(half) = self.pending.pop() else { return };
        if half.paired {
            return;
        }
        let End { service, failed, nanos, weight, .. } = half.end();
        match half.peer {
            Some(peer) => {
                let call = Call { weight, failed, server_nanos: nanos, client_nanos: nanos };
                self.call_peer(service, Some(&*peer), Connection::Virtual, &call);
            }
            None => self.totals.unpaired += 1,
        }
    }

    fn call_peer(&mut self, client: u32, peer: Option<&[u8]>, by: Connection, call: &Call) {
        let Some(peer) = peer else {
            self.totals.unpaired += 1;
            return;
        };
        let server = self.node(Node::Virtual(nodes::clipped(peer)), Some(client));
        self.call(Some(client), server, by, call);
    }

    /// Counts a request. A node that there is no room for is `None`.
    fn call(&mut self, client: Option<u32>, server: Option<u32>, by: Connection, call: &Call) {
        let between = client.zip(server);
        let between = between.map(|(client, server)| Between { client, server, connection: by });
        let slot = between.and_then(|between| self.slot(between));
        let now = self.now;
        let edge = slot.and_then(|slot| self.edges.get_mut(slot)).unwrap_or(&mut self.overflow);
        let n = weight::whole(call.weight, &mut edge.carry);
        edge.seen = now;
        edge.requests = edge.requests.saturating_add(n);
        edge.failed = edge.failed.saturating_add(if call.failed { n } else { 0 });
        if call.server_nanos.is_some() {
            edge.server.add(n, call.server_nanos.map(Took::of));
        }
        if call.client_nanos.is_some() {
            edge.client.add(n, call.client_nanos.map(Took::of));
        }
        match (slot, between) {
            (Some(_), _) => {}
            (None, Some(_)) => self.totals.overflow_edges += 1,
            (None, None) => self.totals.overflow_nodes += 1,
        }
    }

    fn slot(&mut self, between: Between) -> Option<usize> {
        if let Some(&slot) = self.index.get(&between) {
            return Some(slot);
        }
        if self.edges.len() >= self.config.edges_max {
            return None;
        }
        self.last_edge += 1;
        self.edges.push(Edge::new(self.last_edge, Some(between)));
        self.index.insert(between, self.edges.len() - 1);
        Some(self.edges.len() - 1)
    }

    /// Removes edges without a request for `ttl`.
    pub(super) fn expire(&mut self, ttl: Duration) {
        let now = self.now;
        self.edges.retain(|edge| now.since(edge.seen) < ttl);
        self.reindex();
        self.current = None;
        self.sweep(None);
    }

    fn reindex(&mut self) {
        let edges = self.edges.iter().enumerate();
        self.index = edges.filter_map(|(slot, edge)| Some((edge.between?, slot))).collect();
    }

    /// Forgets nodes that nothing refers to.
    fn sweep(&mut self, held: Option<u32>) {
        self.swept = self.now;
        let ends = self.edges.iter().filter_map(|edge| edge.between);
        let ends = ends.flat_map(|between| [between.client, between.server]);
        let held = self.current.into_iter().chain(held);
        self.nodes.retain(ends.chain(self.pending.services()).chain(held));
    }

    /// The edges with requests, the overflow edge last.
    pub(super) fn edges(&self) -> impl Iterator<Item = &Edge> {
        self.edges.iter().chain([&self.overflow]).filter(|edge| edge.requests > 0)
    }

    /// The labels of an edge, the empty ones left out.
    pub(super) fn labels(&self, edge: &Edge) -> Vec<(String, String)> {
        let labels = match edge.between {
            None => vec![("otel_metric_overflow", "true".to_owned())],
            Some(Between { client, server, connection }) => vec![
                ("client", self.nodes.name(client)),
                ("server", self.nodes.name(server)),
                ("connection_type", connection.label().to_owned()),
            ],
        };
        let labels = labels.into_iter().filter(|(_, value)| !value.is_empty());
        labels.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// What made no edge.
    pub(super) const fn totals(&self) -> Totals {
        self.totals
    }

    /// Ends that wait.
    pub(super) fn waiting(&self) -> usize {
        self.pending.len()
    }
}
