//! Misuse of the attributes that name a handle.

use sidelight_instrument_macros as sidelight;

#[sidelight::cached_lookup]
fn no_cache() -> Option<u8> {
    None
}

#[sidelight::cached_lookup(USERS)]
fn nothing() {}

#[sidelight::retry(STOCK)]
fn never_fails() {}

#[sidelight::retry(STOCK, attempts = 3)]
fn unknown() -> Result<(), u8> {
    Ok(())
}

#[sidelight::retry(STOCK)]
fn moved(stock: Stock) -> Pin<Box<dyn Future<Output = Result<(), u8>>>> {
    Box::pin(async move { stock.fetch() })
}

#[sidelight::feature("report.export")]
fn named_by_text() {}

#[sidelight::feature(EXPORT, user = id)]
fn misspelt(id: &str) {}

#[sidelight::connection]
async fn no_pool() {}

#[sidelight::connection(PEERS)]
struct Peer;

#[derive(sidelight::ErrorKind)]
enum Bare {
    #[error_kind]
    One,
}

#[derive(sidelight::ErrorKind)]
union Both {
    one: u8,
    other: i8,
}

#[derive(sidelight::ErrorKind)]
enum Wrong {
    #[error_kind(name = "x")]
    One,
}

fn main() {}
