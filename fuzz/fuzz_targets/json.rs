//! JSON never panics; what is accepted is valid protobuf; its JSON is read back as the same protobuf, and is
//! skipped as an unknown value too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidelight_wire::json::{InvalidText, JsonOptions, from_protobuf, to_protobuf};
use sidelight_wire::{Limits, Signal, validate};

const LIMITS: Limits =
    Limits { items_max: u32::MAX, refuse_invalid_utf8: true, refuse_without_ids: false };

fuzz_target!(|input: &[u8]| {
    let Some((&selector, json)) = input.split_first() else { return };
    let Some(signal) = Signal::from_code(1 + selector % 4) else { return };
    let options = JsonOptions {
        output_bytes_max: if selector & 8 != 0 { 64 } else { 1 << 20 },
        invalid_text: if selector & 16 != 0 { InvalidText::Refuse } else { InvalidText::Repair },
    };
    let mut protobuf = Vec::new();
    match to_protobuf(signal, json, &mut protobuf, &options) {
        Ok(_) => {
            assert!(protobuf.len() <= options.output_bytes_max);
            validate(signal, &protobuf, &LIMITS).expect("what is accepted is valid");
            let mut written = Vec::new();
            from_protobuf(signal, &protobuf, &mut written).expect("valid protobuf can be written");
            let strict = JsonOptions::default();
            let mut again = Vec::new();
            to_protobuf(signal, &written, &mut again, &strict).expect("what is written is read");
            let mut rewritten = Vec::new();
            from_protobuf(signal, &again, &mut rewritten).expect("and written again");
            assert_eq!(written, rewritten);
            // The same bytes as an unknown value: skipping accepts whatever reading does.
            let unknown = [b"{\"unknown\":", written.as_slice(), b"}"].concat();
            let skipped = to_protobuf(signal, &unknown, &mut Vec::new(), &strict);
            // Brackets count there, not messages.
            assert!(skipped.is_ok_and(|met| met.foreign) || unknown.len() > 500);
        }
        Err(error) => {
            assert!(error.offset <= json.len() && protobuf.is_empty());
            let _ = error.to_string();
        }
    }
    // As protobuf: whatever is valid can be written.
    let mut written = Vec::new();
    let result = from_protobuf(signal, json, &mut written);
    assert!(validate(signal, json, &LIMITS).is_err() || result.is_ok());
});
