//! OTLP on the wire: what is needed to accept, look into, translate and re-frame a request without
//! decoding it into objects. No I/O, no clock, no allocation per span.

pub mod schema;
mod signal;
pub mod tables;

pub use signal::Signal;
