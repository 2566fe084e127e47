//! Series of HTTP and RPC, bound once for each combination of their labels and then found by one word.
//!
//! Limits: as many combinations as the metric may have series (4,000 of HTTP servers, 1,000 of the others). Past them what is
//! left is kept for the route `_OTHER`, so that sums by status and method stay whole; then there is one series with
//! `otel.metric.overflow`. Both are counted. Cost: one hash of 8 bytes per exchange, no allocation once a combination is
//! known.

use std::sync::OnceLock;

use opentelemetry::metrics::{BoundCounter, BoundHistogram, Counter, Histogram};
use opentelemetry::{KeyValue, StringValue};

use super::words::{Fault, Method, Scheme, Version, grpc_word};
use crate::interned::Name;
use crate::limits;
use crate::meter::{Cell, Instruments};
use crate::names::{self, Metric};
use crate::table::Table;

/// Combinations that are kept for routes that have no series of their own.
const OTHERS: usize = 200;
/// What most services have; more make chains longer.
const USUAL: usize = 256;

static SERIES: [Cell<Series>; 4] = [const { Cell::new() }; 4];

/// Who speaks which protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    HttpServer,
    GrpcServer,
    HttpClient,
    GrpcClient,
}

impl Kind {
    pub(crate) fn is_grpc(self) -> bool {
        matches!(self, Self::GrpcServer | Self::GrpcClient)
    }

    pub(crate) fn is_server(self) -> bool {
        matches!(self, Self::HttpServer | Self::GrpcServer)
    }

    /// The same side, speaking gRPC.
    pub(crate) fn grpc(self) -> Self {
        if self.is_server() { Self::GrpcServer } else { Self::GrpcClient }
    }
}

/// What tells one series from another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    /// The route of HTTP, the method of gRPC.
    pub(crate) route: Name,
    /// Address and port of the server that a client asks.
    pub(crate) peer: Name,
    pub(crate) method: Method,
    pub(crate) scheme: Scheme,
    pub(crate) version: Version,
    /// Of HTTP or of gRPC, by the kind.
    pub(crate) status: Option<u16>,
    pub(crate) fault: Fault,
}

impl Key {
    fn packed(self) -> u64 {
        let status = self.status.map_or(0, |status| u64::from(status.min(998)) + 1);
        let parts = [
            (self.kind as u64, 2),
            (u64::from(self.route.number), 16),
            (u64::from(self.peer.number), 16),
            (self.method as u64, 4),
            (self.scheme as u64, 2),
            (self.version as u64, 3),
            (status, 10),
            (self.fault as u64, 3),
        ];
        parts.iter().fold(0, |packed, (value, bits)| (packed << bits) | value)
    }

    /// What went wrong, as `error.type` has it: the fault, else a status that is an error to this side.
    pub(crate) fn error_type(self) -> Option<StringValue> {
        if self.fault != Fault::None {
            return Some(self.fault.text().into());
        }
        let status = self.status?;
        match self.kind {
            Kind::HttpServer if status < 500 => None,
            Kind::HttpClient if status < 400 => None,
            Kind::HttpServer | Kind::HttpClient => Some(status.to_string().into()),
            Kind::GrpcServer => matches!(status, 2 | 4 | 12..=15).then(|| grpc_word(status).into()),
            Kind::GrpcClient => (status != 0).then(|| grpc_word(status).into()),
        }
    }

    /// The same of what exchanges under way are told apart by.
    pub(crate) fn packed_active(self) -> u64 {
        let peer = u64::from(self.peer.number);
        peer << 8 | (self.method as u64) << 4 | self.scheme as u64
    }

    /// The labels of an exchange under way, in the order of their names.
    pub(crate) fn active_attributes(self) -> Vec<KeyValue> {
        let mut labels = vec![KeyValue::new("http.request.method", self.method.text())];
        if let Some((address, port)) = self.server_address() {
            labels.push(KeyValue::new("server.address", address));
            labels.push(KeyValue::new("server.port", port));
        }
        labels
            .extend(self.kind.is_server().then(|| KeyValue::new("url.scheme", self.scheme.text())));
        labels
    }

    /// Address and port of the peer.
    pub(crate) fn server_address(self) -> Option<(&'static str, i64)> {
        server_address(self.peer, self.scheme)
    }

    /// The labels, in the order of their names.
    fn attributes(self) -> Vec<KeyValue> {
        let mut labels = Vec::with_capacity(8);
        labels.extend(self.error_type().map(|kind| KeyValue::new("error.type", kind)));
        if self.kind.is_grpc() {
            labels.extend(self.route.text().map(|method| KeyValue::new("rpc.method", method)));
            let status = self.status.map(grpc_word);
            labels.extend(status.map(|word| KeyValue::new("rpc.response.status_code", word)));
            labels.push(KeyValue::new("rpc.system.name", "grpc"));
        } else {
            labels.push(KeyValue::new("http.request.method", self.method.text()));
            let status = self.status.map(i64::from);
            labels.extend(status.map(|code| KeyValue::new("http.response.status_code", code)));
            if self.kind.is_server() {
                labels.extend(self.route.text().map(|route| KeyValue::new("http.route", route)));
            }
            labels.push(KeyValue::new("network.protocol.version", self.version.text()));
        }
        if let Some((address, port)) = self.server_address() {
            labels.push(KeyValue::new("server.address", address));
            labels.push(KeyValue::new("server.port", port));
        }
        if !self.kind.is_grpc() {
            labels.push(KeyValue::new("url.scheme", self.scheme.text()));
            let template = self.route.text().filter(|_| !self.kind.is_server());
            labels.extend(template.map(|template| KeyValue::new("url.template", template)));
        }
        labels
    }
}

fn server_address(peer: Name, scheme: Scheme) -> Option<(&'static str, i64)> {
    let peer = peer.text()?;
    let usual = if scheme == Scheme::Https { 443 } else { 80 };
    // An IPv6 address has colons of its own, and brackets around them.
    let port = peer.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    Some(port.map_or((peer, usual), |(address, port)| (address, port.parse().unwrap_or(usual))))
}

/// What an exchange was measured to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Seconds; none where it began before there was anything to record to.
    pub(crate) duration: Option<f64>,
    /// Bytes of the bodies, where they are known.
    pub(crate) request: Option<u64>,
    pub(crate) response: Option<u64>,
}

/// Counts an exchange that is over.
#[inline]
pub(crate) fn record(key: Key, measured: &Measured) {
    if let Some(cell) = SERIES.get(key.kind as usize) {
        let make = |instruments: &Instruments| Series::new(key.kind, instruments);
        cell.with(make, |series| series.find(key).record(measured));
    }
}

#[expect(clippy::cast_precision_loss, reason = "bytes past 2^53 are not told apart")]
fn float(bytes: u64) -> f64 {
    bytes as f64
}

/// The instruments of one combination of labels.
struct Bound {
    duration: BoundHistogram<f64>,
    sizes: Option<[BoundHistogram<f64>; 2]>,
    rate_limited: Option<BoundCounter<u64>>,
}

impl Bound {
    #[inline]
    fn record(&self, measured: &Measured) {
        if let Some(seconds) = measured.duration {
            self.duration.record(seconds);
        }
        if let Some([request, response]) = &self.sizes {
            if let Some(bytes) = measured.request {
                request.record(float(bytes));
            }
            if let Some(bytes) = measured.response {
                response.record(float(bytes));
            }
        }
        if let Some(limited) = &self.rate_limited {
            limited.add(1);
        }
    }
}

/// The exchanges of one kind.
struct Series {
    series_max: usize,
    duration: Histogram<f64>,
    /// Of requests and of answers.
    sizes: Option<[Histogram<f64>; 2]>,
    rate_limited: Option<Counter<u64>>,
    known: Table<u64, Bound>,
    overflow: OnceLock<Bound>,
}

impl Series {
    #[cold]
    fn new(kind: Kind, instruments: &Instruments) -> Self {
        type Sizes = Option<[&'static Metric; 2]>;
        let (duration, sizes): (&Metric, Sizes) = match kind {
            Kind::HttpServer => (
                &names::HTTP_SERVER_DURATION,
                Some([&names::HTTP_SERVER_REQUEST_SIZE, &names::HTTP_SERVER_RESPONSE_SIZE]),
            ),
            Kind::HttpClient => (
                &names::HTTP_CLIENT_DURATION,
                Some([&names::HTTP_CLIENT_REQUEST_SIZE, &names::HTTP_CLIENT_RESPONSE_SIZE]),
            ),
            Kind::GrpcServer => (&names::RPC_SERVER_DURATION, None),
            Kind::GrpcClient => (&names::RPC_CLIENT_DURATION, None),
        };
        let limited = kind == Kind::HttpServer;
        Self {
            series_max: duration.series_max,
            duration: instruments.histogram(duration),
            sizes: sizes.map(|sizes| sizes.map(|metric| instruments.histogram(metric))),
            rate_limited: limited.then(|| instruments.counter(&names::HTTP_RATE_LIMITED)),
            known: Table::new(USUAL),
            overflow: OnceLock::new(),
        }
    }

    #[inline]
    fn find(&self, key: Key) -> &Bound {
        let packed = key.packed();
        let found = self.known.find(self.known.hash(&packed), |known| *known == packed);
        found.unwrap_or_else(|| self.add(key))
    }

    #[cold]
    fn add(&self, key: Key) -> &Bound {
        let routed = key.route != Name::NONE && key.route != Name::OTHER;
        let room = if routed { self.series_max.saturating_sub(OTHERS) } else { self.series_max };
        if let Some(bound) = self.bound(key, room) {
            return bound;
        }
        limits::overflow("series of HTTP or RPC");
        let other = Key { route: Name::OTHER, ..key };
        let bound = if routed { self.bound(other, self.series_max) } else { None };
        bound.unwrap_or_else(|| {
            let labels = [KeyValue::new("otel.metric.overflow", true)];
            self.overflow.get_or_init(|| self.bind(key, &labels))
        })
    }

    fn bound(&self, key: Key, max: usize) -> Option<&Bound> {
        let packed = key.packed();
        let hash = self.known.hash(&packed);
        let known = self.known.find(hash, |known| *known == packed);
        if known.is_some() || self.known.len() >= max {
            return known;
        }
        let bound = self.bind(key, &key.attributes());
        self.known.add(hash, packed, max, |_, _| bound)
    }

    fn bind(&self, key: Key, labels: &[KeyValue]) -> Bound {
        let limited = self.rate_limited.as_ref().filter(|_| key.status == Some(429));
        let route = key.route.text().map(|route| KeyValue::new("http.route", route));
        Bound {
            duration: self.duration.bind(labels),
            sizes: self.sizes.as_ref().map(|sizes| sizes.each_ref().map(|size| size.bind(labels))),
            rate_limited: limited.map(|limited| limited.bind(route.as_slice())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captured::capture;
    use crate::interned::Names;

    fn key(route: Name, status: u16) -> Key {
        Key {
            kind: Kind::HttpServer,
            route,
            peer: Name::NONE,
            method: Method::Get,
            scheme: Scheme::Http,
            version: Version::Http11,
            status: Some(status),
            fault: Fault::None,
        }
    }

    #[test]
    fn routes_past_the_limit_of_series_are_one_and_sums_by_status_stay_whole() {
        let captured = capture();
        let routes = Names::new("routes");
        let before = limits::overflowed();
        let measured = Measured { duration: Some(0.001), request: None, response: Some(7) };
        let names: Vec<_> = (0..100).map(|at| routes.intern(&format!("/{at}"))).collect();
        for status in 200..260 {
            names.iter().for_each(|route| record(key(*route, status), &measured));
        }
        let all = captured.of("http.server.request.duration{");
        assert!(all.len() <= 4000, "{}", all.len());
        assert_eq!(all.iter().map(|(_, count)| count).sum::<f64>(), 6000.0);
        let of_last: f64 = all
            .iter()
            .filter(|(name, _)| name.contains("status_code=259"))
            .map(|(_, count)| count)
            .sum();
        assert_eq!(of_last, 100.0);
        let other = all
            .iter()
            .find(|(name, _)| name.contains("http.route=_OTHER,") && name.contains("=259"));
        assert_eq!(other.map(|(_, count)| *count), Some(100.0));
        assert!(limits::overflowed() - before >= 6000 - 3800);
    }
}
