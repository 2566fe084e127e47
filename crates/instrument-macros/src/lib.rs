//! Attribute macros of `sidelight-instrument`; use them through that crate (`sidelight::op` and its neighbours).
