//! Generates `src/tables.rs` and `src/validate/messages.rs` from `proto/`, and fails when a committed file is stale.
//!
//! `UPDATE_GENERATED=1 cargo test -p sidelight-wire --test generated` writes them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test generator may panic")]

mod reachable;
mod tables;
mod validator;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use protox::prost_reflect::DescriptorPool;
use reachable::{ROOTS, Reachable};

#[test]
fn the_committed_tables_are_those_of_the_proto_files() {
    check("src/tables.rs", tables::render);
}

#[test]
fn the_committed_validator_is_that_of_the_proto_files() {
    check("src/validate/messages.rs", validator::render);
}

fn check(path: &str, render: impl FnOnce(&Reachable) -> String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = ROOTS.map(|(_, package, version, _)| {
        format!("opentelemetry/proto/collector/{package}/{version}/{package}_service.proto")
    });
    let set = protox::compile(files, [root.join("../../proto")]).unwrap();
    let pool = DescriptorPool::from_file_descriptor_set(set).unwrap();
    let fresh = formatted(&render(&Reachable::new(&pool)));
    let file = root.join(path);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&file, &fresh).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap();
    assert!(committed == fresh, "{path} is stale: run this test with UPDATE_GENERATED=1");
}

fn formatted(source: &str) -> String {
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--config", "max_width=100,use_small_heuristics=Max"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    rustfmt.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
    let output = rustfmt.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}
