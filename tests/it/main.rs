//! Integration tests: real sockets on 127.0.0.1, a real journal in a temporary directory, the real
//! binary. One program, so that it links once.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "a test program has no outside")]

mod alerts;
mod allocations;
mod commands;
mod deploy;
mod derived;
mod doctor;
mod export;
mod failures;
mod kill;
mod lifecycle;
mod load;
mod metrics;
mod receive;
mod reload;
mod rules;
mod support;
