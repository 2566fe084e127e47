//! Splitting a valid request makes up no item, and every part is valid and within the limit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidelight_wire::frame::split;
use sidelight_wire::{Limits, Signal, validate};

fuzz_target!(|input: &[u8]| {
    let Some((&[selector, low, high], bytes)) = input.split_first_chunk::<3>() else { return };
    let Some(signal) = Signal::from_code(1 + selector % 4) else { return };
    let max_bytes = usize::from(u16::from_le_bytes([low, high]));
    let limits =
        Limits { items_max: u32::MAX, refuse_invalid_utf8: false, refuse_without_ids: false };
    let Ok(summary) = validate(signal, bytes, &limits) else { return };
    let mut items = 0;
    for part in split(signal, bytes, max_bytes) {
        assert!(part.bytes.len() <= max_bytes);
        let found = validate(signal, &part.bytes, &limits).expect("a part is a request");
        assert_eq!(found.items, part.items);
        items += part.items;
    }
    assert!(items <= summary.items);
    assert!(items == summary.items || max_bytes < bytes.len());
});
