//! A request body, gRPC or HTTP, in any frames and any coding: never a panic, never above the limit, and
//! nothing stays charged.
//!
//! Input: framing and coding u8 │ frame length u8 │ limit u16 │ body …
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidelight_agent::receive::fuzz;

thread_local! {
    static RUNTIME: tokio::runtime::Runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
}

fuzz_target!(|input: &[u8]| {
    let Some((&[selector, frame, low, high], body)) = input.split_first_chunk::<4>() else {
        return;
    };
    let frames: Vec<&[u8]> = body.chunks(usize::from(frame) + 1).collect();
    let coding = ["identity", "gzip", "zstd"][usize::from(selector / 2 % 3)];
    let limit = usize::from(u16::from_le_bytes([low, high]));
    RUNTIME.with(|runtime| {
        runtime.block_on(fuzz::body(&frames, selector % 2 == 0, coding, limit));
    });
});
