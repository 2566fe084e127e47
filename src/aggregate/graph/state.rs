//! The service graph in a checkpoint, with the ends that wait: so that those on both sides of a restart meet.
//!
//! ```text
//! version u8 │ now swept │ 4 totals │ last edge │ nodes │ overflow │ edges │ ends that wait, each list after its number
//! node       0 free │ 1 service, name │ 2 virtual, name │ 3 user
//! edge       id │ client │ server │ connection │ requests │ failed │ server │ client │ carry │ seen
//! end        key │ kind │ service │ flags (failed 1, paired 2, duration 4, peer 8) │ duration │ weight │ received │ peer
//! ```

use super::super::codec::{Read, put, put_bytes, put_float};
use super::super::measured::Measured;
use super::nodes::Node;
use super::pending::Half;
use super::{Between, Config, Connection, Edge, Graph};
use crate::time::UnixNano;

const VERSION: u8 = 1;

const FAILED: u8 = 1;
const PAIRED: u8 = 2;
const NANOS: u8 = 4;
const PEER: u8 = 8;

impl Graph {
    /// Writes everything.
    pub(in crate::aggregate) fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        put(out, self.now.0);
        put(out, self.swept.0);
        let super::Totals { unpaired, early, overflow_edges, overflow_nodes } = self.totals;
        for total in [unpaired, early, overflow_edges, overflow_nodes, self.last_edge] {
            put(out, total);
        }
        put(out, self.nodes.all().len() as u64);
        for node in self.nodes.all() {
            match node {
                None => out.push(0),
                Some(Node::Service(name)) => {
                    out.push(1);
                    put_bytes(out, name);
                }
                Some(Node::Virtual(name)) => {
                    out.push(2);
                    put_bytes(out, name);
                }
                Some(Node::User) => out.push(3),
            }
        }
        self.overflow.encode(out);
        put(out, self.edges.len() as u64);
        self.edges.iter().for_each(|edge| edge.encode(out));
        put(out, self.pending.len() as u64);
        self.pending.all().for_each(|half| half.encode(out));
    }

    /// What [`Graph::encode`] wrote; `None` when it cannot be read. What is past the limits of `config` joins the overflow
    /// edge, or waits no longer.
    pub(in crate::aggregate) fn decode(config: Config, read: &mut Read<'_>) -> Option<Self> {
        let mut graph = Self::new(config);
        if read.byte()? != VERSION {
            return None;
        }
        (graph.now, graph.swept) = (UnixNano(read.number()?), UnixNano(read.number()?));
        let totals = &mut graph.totals;
        for total in [
            &mut totals.unpaired,
            &mut totals.early,
            &mut totals.overflow_edges,
            &mut totals.overflow_nodes,
            &mut graph.last_edge,
        ] {
            *total = read.number()?;
        }
        let mut nodes = Vec::new();
        for _ in 0..read.number()? {
            nodes.push(match read.byte()? {
                0 => None,
                1 => Some(Node::Service(read.bytes()?.into())),
                2 => Some(Node::Virtual(read.bytes()?.into())),
                _ => Some(Node::User),
            });
        }
        graph.nodes.restore(nodes);
        graph.overflow = Edge { between: None, ..Edge::decode(read)? };
        for _ in 0..read.number()? {
            let edge = Edge::decode(read)?;
            if graph.edges.len() < config.edges_max {
                graph.edges.push(edge);
            } else {
                graph.overflow.merge(&edge);
            }
        }
        graph.reindex();
        for _ in 0..read.number()? {
            let half = Half::decode(read)?;
            if graph.pending.len() >= config.pending_max.max(1) {
                graph.totals.early += 1;
                graph.give_up();
            }
            graph.pending.push(half);
        }
        Some(graph)
    }
}

impl Edge {
    fn encode(&self, out: &mut Vec<u8>) {
        put(out, self.id);
        let (client, server, connection) =
            self.between.map_or((0, 0, Connection::Direct), |between| {
                (between.client, between.server, between.connection)
            });
        put(out, client.into());
        put(out, server.into());
        out.push(connection as u8);
        put(out, self.requests);
        put(out, self.failed);
        self.server.encode(out);
        self.client.encode(out);
        put_float(out, self.carry);
        put(out, self.seen.0);
    }

    fn decode(read: &mut Read<'_>) -> Option<Self> {
        let id = read.number()?;
        let client = u32::try_from(read.number()?).ok()?;
        let server = u32::try_from(read.number()?).ok()?;
        let connection = *Connection::ALL.get(usize::from(read.byte()?))?;
        let between = Some(Between { client, server, connection });
        let (requests, failed) = (read.number()?, read.number()?);
        let (server, client) = (Measured::decode(read)?, Measured::decode(read)?);
        let (carry, seen) = (read.float()?, UnixNano(read.number()?));
        let carry = if (0.0..1.0).contains(&carry) { carry } else { 0.0 };
        Some(Self { id, between, requests, failed, server, client, carry, seen })
    }

    fn merge(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.failed = self.failed.saturating_add(other.failed);
        self.server.merge(&other.server);
        self.client.merge(&other.client);
    }
}

impl Half {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key);
        out.push(self.kind);
        put(out, self.service.into());
        let flags = [
            (self.failed, FAILED),
            (self.paired, PAIRED),
            (self.nanos.is_some(), NANOS),
            (self.peer.is_some(), PEER),
        ];
        out.push(flags.into_iter().filter(|(is, _)| *is).map(|(_, flag)| flag).sum());
        put(out, self.nanos.unwrap_or(0));
        put_float(out, self.weight);
        put(out, self.received.0);
        put_bytes(out, self.peer.as_deref().unwrap_or_default());
    }

    fn decode(read: &mut Read<'_>) -> Option<Self> {
        let key = read.array()?;
        let (kind, service) = (read.byte()?, u32::try_from(read.number()?).ok()?);
        let flags = read.byte()?;
        let (nanos, weight) = (read.number()?, read.float()?);
        let received = UnixNano(read.number()?);
        let peer = read.bytes()?;
        Some(Self {
            key,
            kind,
            service,
            failed: flags & FAILED != 0,
            paired: flags & PAIRED != 0,
            nanos: (flags & NANOS != 0).then_some(nanos),
            weight: if weight >= 1.0 { weight } else { 1.0 },
            received,
            peer: (flags & PEER != 0).then(|| peer.into()),
        })
    }
}
