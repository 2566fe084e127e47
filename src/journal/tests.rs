//! Tests of the journal as its users see it.

mod memory;
mod support;
