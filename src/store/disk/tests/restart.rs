//! What a checkpoint made durable is there after a restart, and nothing else.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::store::metadata::{Metadata, MetricKind};

#[test]
fn a_restart_finds_what_the_last_checkpoint_held() {
    let setup = Setup::new();
    let (disk, restored) = setup.open();
    assert!(restored.journal_seq.is_none() && states(&disk).is_empty());
    let (up, gone) = (Series::new("up", 1), Series::new("gone", 2));
    let sealed = chunks(START, START + HOUR, 15_000, |t| t as f64);
    let mut first = disk.begin(7, START + HOUR).unwrap();
    assert!(first.wants_all());
    first.series(&up.record(&sealed, b"one")).unwrap();
    first.series(&gone.record(&[], b"two")).unwrap();
    first.state("spans", b"opaque").unwrap();
    let metadata =
        Metadata { kind: MetricKind::Gauge, help: "Whether.".to_owned(), unit: "1".to_owned() };
    first.family("up", &metadata).unwrap();
    first.finish().unwrap();
    let mut second = disk.begin(9, START + HOUR + 1).unwrap();
    assert!(!second.wants_all());
    second.series(&up.record(&[], b"three")).unwrap();
    second.series(&up.record(&[], b"")).unwrap();
    second.removed(gone.fingerprint).unwrap();
    second.finish().unwrap();
    drop(disk);

    let (disk, restored) = setup.open();
    assert_eq!((restored.journal_seq, restored.now_ms), (Some(9), START + HOUR + 1));
    let of = |one: &Live<'_>| {
        (one.fingerprint, one.kind, Labels::new(one.labels.iter().copied()), one.state.to_vec())
    };
    let expected = (up.fingerprint, Kind::Float, up.labels.clone(), b"three".to_vec());
    assert_eq!(live(&disk, of), [expected]);
    assert_eq!(restored.states, [("spans".to_owned(), b"opaque".to_vec())]);
    assert_eq!(restored.families, [("up".to_owned(), metadata)]);
    let read = floats(&disk, &up, &window(START, START + HOUR));
    assert_eq!(read.len(), 240);
    assert!(read.iter().all(|&(t, value)| value == t as f64));
}

#[test]
fn a_kill_at_any_moment_leaves_one_checkpoint_or_the_next() {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    let series: Vec<_> = (0..50).map(|nth| Series::new("requests_total", nth)).collect();
    let until = |nth: i64| START + nth * HOUR;
    let sealed = |nth: i64| chunks(until(nth - 1), until(nth), 60_000, |t| t as f64);
    for round in 1..=6_i64 {
        let sealed = sealed(round);
        let live = round.to_be_bytes();
        let mut commit = disk.begin(round.cast_unsigned(), until(round)).unwrap();
        for (nth, one) in series.iter().enumerate() {
            commit.series(&one.record(&sealed, &live)).unwrap();
            if nth % 17 == 0 {
                verify(&setup.killed(), &series, round - 1);
            }
        }
        commit.finish().unwrap();
        verify(&setup.killed(), &series, round);
    }
}

/// The state is that of `round`; samples are all of it, and what came after can be written again.
fn verify(setup: &Setup, series: &[Series], round: i64) {
    let (disk, restored) = setup.open();
    assert!(restored.quarantined.is_empty());
    assert_eq!(restored.journal_seq.map(u64::cast_signed).unwrap_or(0), round);
    assert_eq!(states(&disk).len(), if round == 0 { 0 } else { series.len() });
    assert!(states(&disk).iter().all(|state| *state == round.to_be_bytes()));
    let until = START + (round + 1) * HOUR;
    let sealed = chunks(until - HOUR, until, 60_000, |t| t as f64);
    let records: Vec<_> = series.iter().map(|one| one.record(&sealed, b"")).collect();
    commit(&disk, 99, until, &records).unwrap();
    for one in series.iter().step_by(9) {
        let read = floats(&disk, one, &window(START, until));
        assert_eq!(read.len() as i64, (round + 1) * 60);
        assert!(read.iter().all(|&(t, value)| value == t as f64));
    }
}

#[test]
fn a_checkpoint_that_is_dropped_never_was() {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    let up = Series::new("up", 1);
    let sealed = chunks(START, START + HOUR, 60_000, |_| 1.0);
    let mut dropped = disk.begin(1, START).unwrap();
    dropped.series(&up.record(&sealed, b"one")).unwrap();
    drop(dropped);
    assert_eq!(floats(&disk, &up, &window(START, START + HOUR)), []);
    commit(&disk, 2, START, &[up.record(&sealed, b"two")]).unwrap();
    drop(disk);
    let (disk, restored) = setup.open();
    assert_eq!((restored.journal_seq, states(&disk).len()), (Some(2), 1));
    assert_eq!(floats(&disk, &up, &window(START, START + HOUR)).len(), 60);
}

#[test]
fn a_full_disk_and_another_process_may_pass_and_a_disk_that_fails_is_to_be_mended() {
    let error = |code| {
        let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        OpenError::Store(crate::store::StoreError::File {
            operation: "open",
            path: "state.db".into(),
            source: std::sync::Arc::new(error),
        })
    };
    assert!(error(rusqlite::ffi::SQLITE_FULL).may_pass());
    assert!(!error(rusqlite::ffi::SQLITE_IOERR).may_pass());
    assert!(OpenError::InUse { path: "state.db".into() }.may_pass());
    let io = |kind: std::io::ErrorKind| OpenError::Io {
        operation: "create",
        path: "store".into(),
        source: kind.into(),
    };
    assert!(io(std::io::ErrorKind::StorageFull).may_pass());
    assert!(!io(std::io::ErrorKind::PermissionDenied).may_pass());
}

#[test]
fn a_day_file_that_another_process_has_is_in_use_which_may_pass() {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    let up = Series::new("up", 1);
    let sealed = chunks(START, START + HOUR, 60_000, |_| 1.0);
    commit(&disk, 1, START + DAY + 3 * HOUR, &[up.record(&sealed, b"")]).unwrap();
    tend(&disk);
    drop(disk);
    let path = setup.path("rollup-5m-20261120.db");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT").unwrap();
    let error = setup.try_open().unwrap_err();
    assert!(matches!(&error, OpenError::InUse { path: of } if *of == path), "{error}");
    assert!(error.may_pass());
    drop(other);
    setup.open();
}

#[test]
fn two_processes_cannot_write_one_store() {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    assert!(matches!(setup.try_open(), Err(OpenError::InUse { .. })));
    drop(disk);
    setup.open();
}

#[test]
fn files_are_for_their_owner_only() {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    let up = Series::new("up", 1);
    commit(&disk, 1, START, &[up.record(&chunks(START, START + HOUR, 60_000, |_| 1.0), b"")])
        .unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&setup.config.directory), 0o700);
    for entry in std::fs::read_dir(&setup.config.directory).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn series_that_only_the_disk_knows_are_found_by_name_and_once() {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    let series = [Series::new("up", 1), Series::new("up", 2), Series::new("down", 1)];
    for day in 0..2 {
        let from = START + day * DAY;
        let sealed = chunks(from, from + HOUR, 60_000, |_| 1.0);
        let records: Vec<_> = series.iter().map(|one| one.record(&sealed, b"")).collect();
        commit(&disk, 1, from + HOUR, &records).unwrap();
    }
    let find = |name, known: &[Fingerprint], after, until| {
        let mut found = Vec::new();
        let known = |fingerprint| known.contains(&fingerprint);
        let mut reader = disk.reader();
        let each = &mut |one: crate::store::checkpoint::Found| {
            found.push(one.labels);
            std::ops::ControlFlow::Continue(())
        };
        reader.series(&window(after, until), name, &known, each).unwrap();
        found.sort();
        found
    };
    let end = START + 2 * DAY;
    let labels = |series: &[Series]| {
        let mut labels: Vec<_> = series.iter().map(|one| one.labels.clone()).collect();
        labels.sort();
        labels
    };
    assert_eq!(find(None, &[], START, end), labels(&series));
    assert_eq!(find(Some(&["up"]), &[], START, end), labels(&series[..2]));
    assert_eq!(find(Some(&["up"]), &[series[0].fingerprint], START, end), labels(&series[1..2]));
    assert_eq!(find(None, &[], START + 5 * DAY, START + 6 * DAY), []);
}

#[test]
fn names_of_series_are_looked_up_without_their_labels() {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    let many: Vec<_> = (0..300).map(|nth| Series::new("requests_total", nth)).collect();
    let series: Vec<_> = many.into_iter().chain([Series::new("up", 1)]).collect();
    let sealed = chunks(START, START + HOUR, 60_000, |_| 1.0);
    let records: Vec<_> = series.iter().map(|one| one.record(&sealed, b"")).collect();
    commit(&disk, 1, START + HOUR, &records).unwrap();
    // Few of a file and many of it are found in different ways.
    let both = ["none", "requests_total", "up"];
    for (names, count) in
        [(&both[2..], 1), (&both[1..2], 300), (&both[..1], 0), (&["none", "up"], 1), (&both, 301)]
    {
        let mut found = 0;
        let each = &mut |one: crate::store::checkpoint::Found| {
            assert!(names.contains(&one.labels.metric_name()));
            found += 1;
            std::ops::ControlFlow::Continue(())
        };
        let mut reader = disk.reader();
        reader.series(&window(START, START + DAY), Some(names), &|_| false, each).unwrap();
        assert_eq!(found, count, "{names:?}");
    }
    let connection = rusqlite::Connection::open(setup.path("metrics-20261120.db")).unwrap();
    for sql in [super::super::find::SERIES_NAMED, super::super::find::SERIES_SCANNED] {
        let plan: String = connection
            .query_row(&format!("EXPLAIN QUERY PLAN {}", sql.replace('?', "'up'")), [], |row| {
                row.get(3)
            })
            .unwrap();
        assert!(plan.contains("USING COVERING INDEX"), "{plan}");
    }
}
