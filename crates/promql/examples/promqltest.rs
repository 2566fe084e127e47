//! Runs test files in Prometheus' grammar: `cargo run -p sidelight-promql --example promqltest -- FILE...`
//!
//! Prints each query that is not answered as expected, and for each file how many are, in all and of each kind.
//! Exits with 1 if any is not.

#![expect(clippy::print_stdout, reason = "it is what the program is for")]

use std::process::ExitCode;

#[path = "../tests/promqltest/mod.rs"]
mod promqltest;

fn main() -> ExitCode {
    let mut failed = false;
    for path in std::env::args().skip(1) {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                println!("{path}: {error}");
                failed = true;
                continue;
            }
        };
        let report = promqltest::run::run(&text);
        for (line, failure) in &report.failures {
            println!("{path}:{line}: {failure}");
        }
        failed |= !report.failures.is_empty();
        println!(
            "{path} {} (plain {}, histograms {}, experimental {})",
            report.all(),
            report.plain,
            report.histograms,
            report.experimental
        );
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
