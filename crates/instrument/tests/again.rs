//! A start after the end, in a process of its own: `tracing` has one subscriber for the life of a process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sidelight::init::{Deliver, Delivering, Signal, StartError};
use sidelight::logs::LogFormat;
use tracing_subscriber::layer::SubscriberExt;

struct Nowhere;

impl Deliver for Nowhere {
    fn deliver(&self, _: Signal, _: Vec<u8>) -> Delivering {
        Box::pin(async { Ok(()) })
    }
}

/// Whether there was any event.
#[derive(Clone, Default)]
struct Told(Arc<AtomicBool>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Told {
    fn on_event(&self, _: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_second_start_says_that_the_subscriber_of_the_first_stays() {
    let init = || sidelight::init("again").logs(LogFormat::Off).deliver(Nowhere);
    // Of a block that is over, as a test has it: it is none of the process.
    tracing::subscriber::with_default(tracing_subscriber::registry(), || {});
    init().start().unwrap().shutdown().unwrap();
    let refused = init().start().unwrap_err();
    assert!(matches!(refused, StartError::Ended), "{refused}");
    assert!(refused.to_string().contains(".without_subscriber()"), "{refused}");
    let again = init().without_subscriber().start().unwrap();
    assert!(sidelight::enabled());
    again.shutdown().unwrap();

    // A task that outlives the guard, at the end of a service.
    static LATE: sidelight::Counter<0> = sidelight::Counter::new("late");
    let told = Told::default();
    let subscriber = tracing_subscriber::registry().with(told.clone());
    tracing::subscriber::with_default(subscriber, || LATE.add(1, []));
    assert!(!told.0.load(Ordering::Relaxed), "nobody forgot to start telemetry");
}
