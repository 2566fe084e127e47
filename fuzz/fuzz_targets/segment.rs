//! A journal segment of any records, intact or not: never a panic, every walk ends, and what is found and
//! what is counted as lost add up.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| sidelight_agent::journal::fuzz::segment(input));
