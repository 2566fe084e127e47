//! Our own files in `tests/data`, and those of Prometheus' own suite in `tests/prometheus`, with their licence.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

mod promqltest;

use promqltest::run::{Report, run};

/// Runs every file of `directory`: name and report.
fn run_all(directory: &str) -> Vec<(String, Report)> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    paths.sort();
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), run(&fs::read_to_string(path).unwrap()))).collect()
}

fn failures(reports: &[(String, Report)]) -> String {
    let each = reports.iter().flat_map(|(name, report)| {
        report.failures.iter().map(move |(line, failure)| format!("{name}:{line}: {failure}\n"))
    });
    each.collect()
}

#[test]
fn every_query_of_our_own_files_is_answered_as_expected() {
    let reports = run_all("tests/data");
    assert!(reports.iter().all(|(_, report)| report.all().total > 0) && !reports.is_empty());
    assert_eq!(failures(&reports), "");
}

#[test]
fn a_wrong_answer_is_a_failure() {
    let report =
        run("load 1m\n  a 1 2\n\neval instant at 1m a\n  a 3\n\neval instant at 1m a\n  a 2\n");
    assert_eq!((report.all().passed, report.all().total), (1, 2));
    assert_eq!(report.failures.len(), 1);
    assert_eq!(report.failures[0].0, 4);
}

#[test]
fn every_query_of_prometheus_own_suite_is_answered_as_expected() {
    let reports = run_all("tests/prometheus");
    let asked: usize = reports.iter().map(|(_, report)| report.all().total).sum();
    assert!(asked > 1_300, "{asked} queries");
    assert_eq!(failures(&reports), "");
}
