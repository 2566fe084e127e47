//! An application that never starts telemetry, in a process of its own: handles do nothing, and one line says so.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sidelight::{
    Backoff, Cache, Counter, Feature, FeatureKind, Operation, Outcome, Pool, Queue, Retry,
};
use tracing::Level;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Message<'a>(&'a mut String);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            *self.0 = format!("{value:?}");
        }
    }
}

impl<S: tracing::Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut message = String::new();
        event.record(&mut Message(&mut message));
        let level: &Level = event.metadata().level();
        self.0.lock().unwrap().push(format!("{level} {}: {message}", event.metadata().target()));
    }
}

#[test]
fn without_a_start_every_handle_is_silent_but_for_one_line() {
    static ORDERS: Counter<1> = Counter::new("orders").labels(["kind"]);
    static PLACE: Operation = Operation::new("place").active().threshold(Duration::ZERO);
    static USERS: Cache = Cache::new("users");
    static JOBS: Queue = Queue::new("jobs").capacity(1);
    static PEERS: Pool = Pool::new("websocket", "peers");
    static CHAT: Retry = Retry::new("chat").spans();
    static EXPORT: Feature = Feature::new("export", FeatureKind::Api);
    let lines = Lines::default();
    let subscriber = tracing_subscriber::registry().with(lines.clone());
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..100 {
            ORDERS.add(1, ["book"]);
            drop(PLACE.start());
            PLACE.record(Outcome::Ok, Duration::from_secs(9));
            USERS.get(|| Some(1));
            JOBS.enqueued().start();
            drop(PEERS.track(()));
            let once = Backoff::new(Duration::ZERO).retries(1);
            _ = CHAT.run_blocking(&once, || Err::<(), _>("no"), |_| Some("no"));
            EXPORT.used().by("ada").fail();
            sidelight::intent("refund", 0.9);
        }
    });
    assert!(!sidelight::enabled());
    let lines = lines.0.lock().unwrap();
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert!(line.starts_with("WARN sidelight: no telemetry is running"), "{line}");
}
