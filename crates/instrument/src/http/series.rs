//! Series of HTTP and RPC, bound once for each combination of their labels and then found by one word.
//!
//! Limits: [`SERIES_MAX`] combinations; what comes after is recorded into one series with `otel.metric.overflow`. Cost: a
//! shared lock and one hash of 8 bytes per exchange, no allocation once a combination is known.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use opentelemetry::metrics::{
    BoundCounter, BoundHistogram, BoundUpDownCounter, Counter, Histogram, UpDownCounter,
};
use opentelemetry::{KeyValue, StringValue};

use super::words::{Fault, Method, Scheme, Version, grpc_word};
use crate::interned::Name;
use crate::meter::{Cell, Instruments};
use crate::names;

/// Combinations of labels.
const SERIES_MAX: usize = 4000;
const METHODS: usize = 11;
const SCHEMES: usize = 3;

static SERIES: Cell<Series> = Cell::new();

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

/// The instruments of one combination of labels.
struct Bound {
    duration: BoundHistogram<f64>,
    sizes: Option<(BoundHistogram<f64>, BoundHistogram<f64>)>,
    rate_limited: Option<BoundCounter<u64>>,
}

impl Bound {
    fn new(kind: Kind, labels: &[KeyValue], made: &Made) -> Self {
        let (duration, sizes) = match kind {
            Kind::HttpServer => (&made.server, Some((&made.server_in, &made.server_out))),
            Kind::HttpClient => (&made.client, None),
            Kind::GrpcServer => (&made.rpc_server, None),
            Kind::GrpcClient => (&made.rpc_client, None),
        };
        Self {
            duration: duration.bind(labels),
            sizes: sizes.map(|(request, response)| (request.bind(labels), response.bind(labels))),
            rate_limited: None,
        }
    }
}

/// What an exchange was measured to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// None where it began before there was anything to record to.
    pub(crate) duration: Option<Duration>,
    /// Bytes of the bodies, where they are known.
    pub(crate) request: Option<u64>,
    pub(crate) response: Option<u64>,
}

/// Counts an exchange that is over.
pub(crate) fn record(key: Key, measured: Measured) {
    SERIES.with(Series::new, |series| {
        let bound = series.find(key);
        if let Some(duration) = measured.duration {
            bound.duration.record(duration.as_secs_f64());
        }
        if let Some((request, response)) = &bound.sizes {
            if let Some(bytes) = measured.request {
                request.record(float(bytes));
            }
            if let Some(bytes) = measured.response {
                response.record(float(bytes));
            }
        }
        if let Some(limited) = &bound.rate_limited {
            limited.add(1);
        }
    });
}

/// Counts an exchange as under way, or (-1) as no longer that.
pub(crate) fn active(kind: Kind, method: Method, scheme: Scheme, peer: Name, change: i64) {
    SERIES.with(Series::new, |series| {
        if kind.is_server() {
            let slot = method as usize * SCHEMES + scheme as usize;
            let Some(slot) = series.active.get(slot) else { return };
            let bound = slot.get_or_init(|| {
                series.made.server_active.bind(&[
                    KeyValue::new("http.request.method", method.text()),
                    KeyValue::new("url.scheme", scheme.text()),
                ])
            });
            bound.add(change);
        } else {
            series.client_active(method, scheme, peer).add(change);
        }
    });
}

#[expect(clippy::cast_precision_loss, reason = "bytes past 2^53 are not told apart")]
fn float(bytes: u64) -> f64 {
    bytes as f64
}

struct Made {
    server: Histogram<f64>,
    server_in: Histogram<f64>,
    server_out: Histogram<f64>,
    server_active: UpDownCounter<i64>,
    client: Histogram<f64>,
    client_active: UpDownCounter<i64>,
    rpc_server: Histogram<f64>,
    rpc_client: Histogram<f64>,
    rate_limited: Counter<u64>,
}

type ByNumber<T> = RwLock<HashMap<u64, T, BuildHasherDefault<OneWord>>>;

struct Series {
    made: Made,
    active: [OnceLock<BoundUpDownCounter<i64>>; METHODS * SCHEMES],
    /// By peer and method: as many as there are of these.
    client_active: ByNumber<Arc<BoundUpDownCounter<i64>>>,
    known: ByNumber<Arc<Bound>>,
    overflow: [OnceLock<Arc<Bound>>; 4],
}

impl Series {
    fn new(instruments: &Instruments) -> Self {
        let made = Made {
            server: instruments.histogram(&names::HTTP_SERVER_DURATION),
            server_in: instruments.histogram(&names::HTTP_SERVER_REQUEST_SIZE),
            server_out: instruments.histogram(&names::HTTP_SERVER_RESPONSE_SIZE),
            server_active: instruments.up_down(&names::HTTP_SERVER_ACTIVE),
            client: instruments.histogram(&names::HTTP_CLIENT_DURATION),
            client_active: instruments.up_down(&names::HTTP_CLIENT_ACTIVE),
            rpc_server: instruments.histogram(&names::RPC_SERVER_DURATION),
            rpc_client: instruments.histogram(&names::RPC_CLIENT_DURATION),
            rate_limited: instruments.counter(&names::HTTP_RATE_LIMITED),
        };
        Self {
            made,
            active: [const { OnceLock::new() }; METHODS * SCHEMES],
            client_active: RwLock::default(),
            known: RwLock::default(),
            overflow: [const { OnceLock::new() }; 4],
        }
    }

    fn client_active(
        &self,
        method: Method,
        scheme: Scheme,
        peer: Name,
    ) -> Arc<BoundUpDownCounter<i64>> {
        let number = (u64::from(peer.number) << 8) | (method as u64);
        let known = self.client_active.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(bound) = known.get(&number) {
            return Arc::clone(bound);
        }
        drop(known);
        let mut labels = vec![KeyValue::new("http.request.method", method.text())];
        if let Some((address, port)) = server_address(peer, scheme) {
            labels.push(KeyValue::new("server.address", address));
            labels.push(KeyValue::new("server.port", port));
        }
        let bound = Arc::new(self.made.client_active.bind(&labels));
        let mut known = self.client_active.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(number).or_insert(bound))
    }

    fn find(&self, key: Key) -> Arc<Bound> {
        let packed = key.packed();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(bound) = known.get(&packed) {
            return Arc::clone(bound);
        }
        drop(known);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= SERIES_MAX && !known.contains_key(&packed) {
            return self.overflow(key.kind);
        }
        Arc::clone(known.entry(packed).or_insert_with(|| {
            let mut bound = Bound::new(key.kind, &key.attributes(), &self.made);
            if key.kind == Kind::HttpServer && key.status == Some(429) {
                let route = key.route.text().map(|route| KeyValue::new("http.route", route));
                bound.rate_limited = Some(self.made.rate_limited.bind(route.as_slice()));
            }
            Arc::new(bound)
        }))
    }

    fn overflow(&self, kind: Kind) -> Arc<Bound> {
        let make = || {
            let labels = [KeyValue::new("otel.metric.overflow", true)];
            Arc::new(Bound::new(kind, &labels, &self.made))
        };
        self.overflow
            .get(kind as usize)
            .map_or_else(make, |slot| Arc::clone(slot.get_or_init(make)))
    }
}

/// Hashes one `u64` by a multiplication: keys are packed numbers of ours, nobody chooses them.
#[derive(Default)]
struct OneWord(u64);

impl Hasher for OneWord {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, word: u64) {
        let product = u128::from(word) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}
