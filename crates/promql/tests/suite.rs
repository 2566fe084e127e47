//! Test files in Prometheus' grammar, run against the engine.

mod promqltest;

use promqltest::run::run;

#[test]
fn a_wrong_answer_is_a_failure() {
    let report =
        run("load 1m\n  a 1 2\n\neval instant at 1m a\n  a 3\n\neval instant at 1m a\n  a 2\n");
    assert_eq!((report.all().passed, report.all().total), (1, 2));
    assert_eq!((report.failures.len(), report.failures[0].0), (1, 4));
}
