//! The first local reader: spans to calls and latency.
