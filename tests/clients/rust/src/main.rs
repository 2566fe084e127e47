//! A stock SDK client.
fn main() {}
