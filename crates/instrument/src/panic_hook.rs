//! Panics counted, logged and flushed.
