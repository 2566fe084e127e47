//! Exchanges under way, counted here and only looked at by the SDK: one that begins before there is a meter, or ends while
//! recording is switched off, is taken off again like any other.
//!
//! Limits: as many series as the metrics may have (64 of servers, 256 of clients); past them there is one with
//! `otel.metric.overflow`. Cost: one hash of 8 bytes and two additions per exchange.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use opentelemetry::KeyValue;

use super::series::Key;
use crate::names::{self, Metric};
use crate::observe::{self, Observed, Seen};
use crate::table::Table;

static OF_SERVERS: OnceLock<Arc<Active>> = OnceLock::new();
static OF_CLIENTS: OnceLock<Arc<Active>> = OnceLock::new();

/// Counts an exchange as under way; whoever ends it takes it off what this returns.
#[inline]
pub(crate) fn begin(key: Key) -> &'static AtomicI64 {
    let active = if key.kind.is_server() {
        OF_SERVERS.get_or_init(|| Active::new(&names::HTTP_SERVER_ACTIVE))
    } else {
        OF_CLIENTS.get_or_init(|| Active::new(&names::HTTP_CLIENT_ACTIVE))
    };
    let count = active.find(key);
    count.fetch_add(1, Ordering::Relaxed);
    count
}

/// The exchanges under way of one side.
struct Active {
    metric: &'static Metric,
    known: Table<u64, Counted>,
    overflow: Counted,
}

struct Counted {
    /// None where another entry has these labels, and tells of this count: a scheme may show in nothing but the port.
    labels: Option<Vec<KeyValue>>,
    count: Arc<AtomicI64>,
}

impl Active {
    #[cold]
    fn new(metric: &'static Metric) -> Arc<Self> {
        let labels = vec![KeyValue::new("otel.metric.overflow", true)];
        let overflow = Counted { labels: Some(labels), count: Arc::default() };
        let active = Arc::new(Self { metric, known: Table::new(64), overflow });
        let observed: Weak<Self> = Arc::downgrade(&active);
        observe::register(observed);
        active
    }

    #[inline]
    fn find(&self, key: Key) -> &AtomicI64 {
        let packed = key.packed_active();
        let hash = self.known.hash(&packed);
        let found = self.known.find(hash, |known| *known == packed);
        &found.unwrap_or_else(|| self.add(hash, packed, key)).count
    }

    #[cold]
    fn add(&self, hash: u64, packed: u64, key: Key) -> &Counted {
        let make = |_, _: &u64| self.make(key.active_attributes());
        self.known.add(hash, packed, self.metric.series_max, make).unwrap_or(&self.overflow)
    }

    fn make(&self, labels: Vec<KeyValue>) -> Counted {
        let mut same = None;
        self.known.each(&mut |one| {
            if one.labels.as_ref() == Some(&labels) {
                same = Some(Arc::clone(&one.count));
            }
        });
        let labels = same.is_none().then_some(labels);
        Counted { labels, count: same.unwrap_or_default() }
    }
}

impl Observed for Active {
    #[expect(clippy::cast_precision_loss, reason = "nobody has 2^53 requests under way")]
    fn observe(&self, seen: &mut Seen) {
        let mut tell = |one: &Counted| {
            if let Some(labels) = &one.labels {
                seen.push(self.metric, labels, one.count.load(Ordering::Relaxed) as f64);
            }
        };
        self.known.each(&mut tell);
        if self.known.len() >= self.metric.series_max {
            tell(&self.overflow);
        }
    }
}
