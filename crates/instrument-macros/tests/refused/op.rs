//! Misuse of `op`.

use sidelight_instrument_macros as sidelight;

#[sidelight::op(nmae = "order.place")]
fn misspelt() {}

#[sidelight::op(threshold = "2 seconds")]
fn threshold() {}

#[sidelight::op(span = "none")]
fn span() {}

#[sidelight::op(span = false, fields(id = 1))]
fn fields() {}

#[sidelight::op(err)]
fn err() {}

#[sidelight::op(ok_if = Option::is_some, error_if = Option::is_none)]
fn both() -> Option<u8> {
    None
}

#[sidelight::op]
const fn constant() {}

#[sidelight::op]
struct NotAFunction;

trait Shop {
    #[sidelight::op]
    fn declared(&self);
}

fn main() {}
