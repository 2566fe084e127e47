//! Tests of the journal as its users see it.

mod crash;
mod memory;
mod support;
