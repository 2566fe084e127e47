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

#[sidelight::op("order.place", name = "place")]
fn named_twice() {}

#[sidelight::op(ORDER, threshold = "2s")]
fn a_static_that_is_defined_elsewhere() {}

#[sidelight::op(threshold = 2)]
fn threshold_without_unit() {}

#[sidelight::op(active = true)]
fn flag_with_a_value() {}

#[sidelight::op(fields = id)]
fn fields_without_a_list(id: u8) {}

#[sidelight::op(ok_if)]
fn no_condition() {}

trait Shop {
    #[sidelight::op]
    fn declared(&self);
}

fn main() {}
