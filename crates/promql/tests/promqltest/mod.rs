//! Runs test files in Prometheus' grammar of them against the engine.
//!
//! ```text
//! load 5m                                   series with samples every five minutes from time 0
//!   requests{job="api"} 0+10x10 _ stale     values: a+bxN, a-bxN, axN, _, _xN, stale, {{histogram}}
//! eval instant at 50m rate(requests[5m])
//!   expect no_warn
//!   {job="api"} 0.0333
//! clear
//! ```
//!
//! As Prometheus does, every instant query is asked again with its time pinned by `@` at other times, and as
//! the middle step of a range query.

#![allow(
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and a file that cannot be read is one that fails"
)]

pub(crate) mod check;
pub(crate) mod memory;
pub(crate) mod pin;
pub(crate) mod run;
pub(crate) mod script;
