//! Tests of the journal as its users see it.

mod conservation;
mod crash;
mod damage;
mod disk;
mod document;
mod faults;
mod local;
mod memory;
mod model;
mod room;
mod support;
mod unsynced;
