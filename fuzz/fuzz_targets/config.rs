//! A configuration file of any bytes is accepted or refused with findings that can be shown; never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| sidelight_agent::config::fuzz::any_bytes(input));
