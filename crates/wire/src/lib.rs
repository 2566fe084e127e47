//! OTLP on the wire: what is needed to accept, look into, translate and re-frame a request without
//! decoding it into objects. No I/O, no clock, no allocation per span.
//!
//! - [`schema`] and [`tables`]: the OTLP schema, generated from `proto/`; everything below is generated beside it, driven by
//!   it or checked against it.
//! - [`validate()`]: whether a request may be accepted, and what it holds; [`repair_utf8`].
//! - [`view`]: reading resources, spans, metrics and log records where they lie.
//! - [`frame`]: splitting at item boundaries; merging is concatenation.
//! - [`json`]: OTLP/JSON to protobuf and back.
//! - [`field`] and [`varint`]: walking the fields of any message.

pub mod field;
pub mod frame;
pub mod json;
pub mod schema;
mod signal;
pub mod tables;
pub mod utf8;
pub mod validate;
pub mod varint;
pub mod view;

pub use signal::Signal;
pub use validate::{FaultKind, Invalid, Limits, Summary, repair_utf8, validate};
