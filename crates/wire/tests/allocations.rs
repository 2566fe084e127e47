//! A request that is accepted was not copied and nothing was kept of it; naming a fault may allocate.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use sidelight_wire::json::from_protobuf;
use sidelight_wire::{Limits, Signal, validate};
use support::{Rng, Style, request};

#[test]
fn accepting_a_request_allocates_nothing() {
    let mut rng = Rng(7);
    for signal in Signal::ALL {
        let (mut accepted, mut refused) = (0, 0);
        for _ in 0..50 {
            let mut bytes = request(&mut rng, signal, Style { wild: true, unknown: true });
            let limits = Limits::default();
            for _ in 0..10 {
                let mut whole = false;
                let allocated = allocation_counter::measure(|| {
                    whole = validate(signal, &bytes, &limits).is_ok();
                });
                assert!(!whole || allocated.count_total == 0, "{signal:?}: {allocated:?}");
                *if whole { &mut accepted } else { &mut refused } += 1;
                bytes.truncate(rng.below(bytes.len() + 1));
            }
        }
        assert!(accepted > 0 && refused > 0, "{signal:?}: {accepted} {refused}");
    }
}

#[test]
fn parts_of_a_message_without_content_take_no_memory_while_its_json_is_written() {
    // resource_spans { resource {} … }, a hundred thousand times the same resource.
    let empty = [0x0a, 0].repeat(100_000);
    let mut bytes = vec![0x0a];
    sidelight_wire::varint::write(empty.len() as u64, &mut bytes);
    bytes.extend(empty);
    let mut json = Vec::with_capacity(2 * bytes.len());
    let allocated = allocation_counter::measure(|| {
        from_protobuf(Signal::Traces, &bytes, &mut json).unwrap();
    });
    assert_eq!(json, br#"{"resourceSpans":[{"resource":{}}]}"#);
    assert!(allocated.bytes_max < bytes.len() as u64, "{allocated:?}");
}
