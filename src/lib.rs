//! Sidelight: an OpenTelemetry-native observability agent.
//!
//! It takes OTLP in, acknowledges only what is durable, forwards it to any OTLP backend, and reads
//! its own log to say what passed. The life of a request, and where to read each step:
//!
//! 1. [`receive`] takes a request over gRPC or HTTP, inflates and transcodes it under a byte
//!    budget ([`memory`]), and has `sidelight_wire` validate it without decoding it.
//! 2. The result is a [`signal::Record`]: the sender's bytes, their signal, how many items they
//!    hold, and the headers that travel along.
//! 3. [`journal`] appends it, group-commits it to disk and completes the waiter: only then is the
//!    sender answered.
//! 4. [`export`] runs one lane per destination and signal. A lane is a reader of the journal with a
//!    cursor; it merges, compresses, sends, retries and settles.
//! 5. [`aggregate`] is a reader too: spans become calls and latency histograms.
//! 6. [`store`] keeps metrics: the newest in memory, older ones in day files, for PromQL.
//! 7. [`rules`] judges what is stored, [`notify`] tells whoever should know.
//! 8. [`api`] shows all of it: health, `/metrics`, [`views`], the ledger that says where every item is.
//!
//! [`config`] resolves files, environment and flags to one value; [`agent`] wires everything in one
//! function; [`cli`] holds the commands. `ARCHITECTURE.md` has the invariants and the layers.

pub mod agent;
pub mod aggregate;
pub mod alert;
pub mod api;
pub mod blocking;
pub mod cli;
pub mod config;
pub mod export;
pub mod host;
pub mod journal;
pub mod memory;
pub mod net;
pub mod notify;
pub mod receive;
pub mod rules;
pub mod signal;
pub mod sqlite;
pub mod store;
pub mod telemetry;
pub mod time;
pub mod views;
pub mod yaml;
