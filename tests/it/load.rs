//! `sidelight gen` and `sidelight sink` through their command lines: what one says it had acknowledged is
//! what the other says it took, item by item.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use super::support::{free_address, wait_for};

fn sidelight(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidelight"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A sink on two free addresses, ready to receive.
async fn sink(more: &[&str]) -> (Child, String, String) {
    let [grpc, http] = [(); 2].map(|()| free_address());
    let (grpc, http) = (grpc.to_string(), http.to_string());
    let mut args = vec!["sink", "-q", "-o", "json", "--grpc", &grpc, "--http", &http];
    args.extend(more);
    let child = sidelight(&args).spawn().unwrap();
    for address in [&grpc, &http] {
        wait_for("the sink listens", Duration::from_secs(20), || {
            std::net::TcpStream::connect(address).ok()
        })
        .await;
    }
    (child, format!("http://{grpc}"), format!("http://{http}"))
}

fn json(output: &Output) -> serde_json::Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text}\n{}", String::from_utf8_lossy(&output.stderr))
    })
}

fn ids(path: &Path) -> BTreeSet<(String, u64)> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut ids = BTreeSet::new();
    for line in text.lines() {
        let [signal, first, count]: [&str; 3] =
            line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let first = u64::from_str_radix(first, 16).unwrap();
        for id in first..first + count.parse::<u64>().unwrap() {
            assert!(ids.insert((signal.to_owned(), id)), "{signal} {id:016x} twice");
        }
    }
    ids
}

#[tokio::test]
async fn the_sink_receives_exactly_what_the_generator_says_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let runs = [
        ("grpc", "none"),
        ("grpc", "gzip"),
        ("http", "zstd"),
        ("http", "none"),
        ("json", "gzip"),
        ("json", "none"),
    ];
    for (protocol, compression) in runs {
        let (sent, received) = (directory.path().join("sent"), directory.path().join("received"));
        let (sink, grpc, http) =
            sink(&["--count", "1800", "--ids", received.to_str().unwrap()]).await;
        let endpoint = if protocol == "grpc" { &grpc } else { &http };
        let args =
            ["gen", "-q", "-o", "json", "--rate", "max", "--count", "1800", "--batch", "100"];
        let generated = sidelight(&args)
            .args(["--endpoint", endpoint, "--protocol", protocol, "--compression", compression])
            .args(["--ids", sent.to_str().unwrap()])
            .output()
            .unwrap();
        let account = json(&generated);
        assert!(generated.status.success(), "{protocol} {compression}: {account:#}");
        assert_eq!(account["acknowledged"]["items"], 1800, "{account:#}");
        let counts = json(&sink.wait_with_output().unwrap());
        for signal in ["traces", "metrics", "logs"] {
            assert_eq!(counts["signals"][signal]["items"], 600, "{protocol}: {counts:#}");
        }
        assert_eq!(ids(&sent), ids(&received), "{protocol} {compression}");
    }
}

#[tokio::test]
async fn a_generator_that_is_refused_says_so_and_fails() {
    let (mut sink, grpc, _) = sink(&["--fail-rate", "1"]).await;
    let args = ["gen", "traces", "-q", "-o", "json", "--rate", "max", "--count", "500"];
    let refused =
        sidelight(&args).args(["--endpoint", &grpc, "--retry-for", "0"]).output().unwrap();
    let account = json(&refused);
    assert_eq!(refused.status.code(), Some(1), "{account:#}");
    assert_eq!(account["given_up"]["UNAVAILABLE"]["items"], 500, "{account:#}");
    assert_eq!(account["acknowledged"]["items"], 0, "{account:#}");
    sink.kill().unwrap();
    sink.wait().unwrap();
}

#[test]
fn a_generator_without_a_receiver_has_an_exit_code_of_its_own() {
    let endpoint = format!("http://{}", free_address());
    let args = ["gen", "logs", "-q", "-o", "json", "--count", "10", "--retry-for", "0"];
    let alone = sidelight(&args).args(["--endpoint", &endpoint]).output().unwrap();
    assert_eq!(alone.status.code(), Some(4), "{:#}", json(&alone));
}
