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

#[derive(sidelight::ErrorKind)]
enum Wrong {
    #[error_kind(name = "x")]
    One,
}

fn main() {}
