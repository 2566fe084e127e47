//! Misuse of `test`.

use sidelight_instrument_macros as sidelight;

#[sidelight::test]
struct NotATest;

#[sidelight::test(flavor = "multi_thread")]
async fn misspelt() {}

#[sidelight::test("a name")]
fn named() {}

#[sidelight::test]
fn two(captured: &Capture, other: &Capture) {}

struct Shop;

impl Shop {
    #[sidelight::test]
    fn method(&self) {}
}

#[sidelight::test]
#[test]
fn twice() {}

#[sidelight::test]
#[tokio::test]
async fn on_a_runtime_of_another() {}

fn main() {}
