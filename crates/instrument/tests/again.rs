//! A start after the end, in a process of its own: `tracing` has one subscriber for the life of a process.

use sidelight::init::{Deliver, Delivering, Signal, StartError};
use sidelight::logs::LogFormat;

struct Nowhere;

impl Deliver for Nowhere {
    fn deliver(&self, _: Signal, _: Vec<u8>) -> Delivering {
        Box::pin(async { Ok(()) })
    }
}

#[test]
fn a_second_start_says_that_the_subscriber_of_the_first_stays() {
    let init = || sidelight::init("again").logs(LogFormat::Off).deliver(Nowhere);
    init().start().unwrap().shutdown().unwrap();
    let refused = init().start().unwrap_err();
    assert!(matches!(refused, StartError::Ended), "{refused}");
    assert!(refused.to_string().contains(".without_subscriber()"), "{refused}");
    let again = init().without_subscriber().start().unwrap();
    assert!(sidelight::enabled());
    again.shutdown().unwrap();
}
