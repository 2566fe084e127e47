//! A disk that refuses in earnest: the kernel does not let files grow, in a process of its own.

use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;

const CHILD: &str = "SIDELIGHT_TEST_FILES_LIMITED";
const SERIES: usize = 300;
const ROUNDS: i64 = 400;

/// Appends and checkpoints; how many checkpoints were refused.
fn fill(writer: &mut Writer, rounds: std::ops::Range<i64>) -> usize {
    let mut refused = 0;
    for nth in rounds {
        let now = T0 + nth * 15_000;
        writer.set_now(now);
        for series in 0..SERIES {
            let host = series.to_string();
            let id = writer.series(&[("__name__", "a"), ("host", &*host)], Kind::Float);
            writer.append(id, now, (nth * 7919 % 1009) as f64 / 3.0).unwrap();
        }
        if nth % 40 == 39
            && let Err(error) = writer.checkpoint(nth.cast_unsigned())
        {
            let said = crate::telemetry::chain(&error);
            assert!(said.contains("cannot write") && said.contains("I/O error"), "{said}");
            refused += 1;
        }
    }
    refused
}

/// What a process does whose files may have 256 KiB, until they may have more.
fn in_the_child() {
    let mut fixture = open(|_| {});
    assert!(fill(&mut fixture.writer, 0..ROUNDS) >= 3);
    let whole = |store: &Store| {
        let found = everything(store);
        assert_eq!(found.len(), SERIES);
        assert!(found.values().all(|samples| samples.len() == ROUNDS as usize));
        found
    };
    let before = whole(&fixture.store);
    let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: maximum, maximum }).unwrap();
    fixture.writer.checkpoint(ROUNDS.cast_unsigned()).unwrap();
    assert!(whole(&fixture.store) == before);
    let opened = fixture.restart(|_| {});
    assert_eq!((opened.journal_seq, opened.series), (Some(ROUNDS.cast_unsigned()), SERIES));
    assert!(opened.quarantined.is_empty());
    assert!(whole(&fixture.store) == before);
}

#[test]
fn files_that_the_kernel_lets_grow_no_more_cost_nothing_and_go_on_when_it_does() {
    if std::env::var_os(CHILD).is_some() {
        return in_the_child();
    }
    let name = std::thread::current().name().unwrap().to_owned();
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -S -f 512; exec \"$0\" --exact \"$1\" --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = [child.stdout, child.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}
