//! Tests of the journal as its users see it.

mod crash;
mod damage;
mod disk;
mod faults;
mod document;
mod memory;
mod model;
mod room;
mod support;
