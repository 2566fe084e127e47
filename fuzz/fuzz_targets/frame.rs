//! Splitting a valid request loses no item, and every part is valid and within the limit.
#![no_main]

use bytes::Bytes;
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
    let result = split(signal, &Bytes::copy_from_slice(bytes), max_bytes);
    let mut items = result.oversize_items;
    for part in &result.parts {
        assert!(part.bytes.len() <= max_bytes);
        let found = validate(signal, &part.bytes, &limits).expect("a part is a request");
        assert_eq!(found.items, part.items);
        items += part.items;
    }
    assert_eq!(items, summary.items);
});
