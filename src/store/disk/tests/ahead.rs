//! What is read ahead, against what is read one at a time.

use std::ops::ControlFlow;

use super::super::ahead::{self, Chunks, Room};
use super::super::layout::{Day, FileKey, Tier};
use super::*;

/// Four days of three series: rows of an hour, of five minutes, and samples.
fn four_days(setup: &Setup, disk: &Disk) -> Vec<Series> {
    let series: Vec<_> = (0..3).map(|nth| Series::new("requests_total", nth)).collect();
    for part in 0..16 {
        let after = START + part * 6 * HOUR;
        let sealed: Vec<_> = (1..=3)
            .map(|nth| chunks(after, after + 6 * HOUR, 60_000, move |t| (t - START + nth) as f64))
            .collect();
        let records: Vec<_> =
            series.iter().zip(&sealed).map(|(one, sealed)| one.record(sealed, b"")).collect();
        advance(setup, 6 * HOUR);
        commit(disk, 1, after + 6 * HOUR, &records).unwrap();
        tend(disk);
    }
    series
}

fn read(reader: &mut super::super::Reader<'_>, of: &Series, window: &Window) -> Vec<(i64, f64)> {
    let mut samples = Samples::default();
    reader.read(of.fingerprint, window, i64::MAX, &mut samples).unwrap();
    samples.points.floats
}

#[test]
fn it_is_the_same_at_every_resolution_and_over_all_of_them() {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    let series = four_days(&setup, &disk);
    let unknown = Series::new("requests_total", 9);
    let asked: Vec<_> = series.iter().chain([&unknown]).map(|one| one.fingerprint).collect();
    let mut found = 0;
    for (step, range) in [(0, HOUR), (HOUR, HOUR), (DAY, 300_000), (60_000, 300_000)] {
        for (after, until) in [(0, 4 * DAY), (HOUR / 2, DAY + 1), (3 * DAY - HOUR, 4 * DAY)] {
            let (after, until) = (START + after, START + until);
            let reads = Reads::Increase;
            let window = Window { after, until, step, range, lookback: 0, reads };
            let mut reader = disk.reader();
            reader.ahead(&asked, &window);
            for one in series.iter().chain([&unknown]) {
                let alone = floats(&disk, one, &window);
                assert_eq!(read(&mut reader, one, &window), alone, "{window:?}");
                found += alone.len();
            }
        }
    }
    assert!(found > 10_000, "{found}");
}

#[test]
fn what_a_checkpoint_adds_after_it_is_found() {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    let series = Series::new("requests_total", 0);
    let first = chunks(START, START + HOUR, 60_000, |_| 1.0);
    commit(&disk, 1, START + HOUR, &[series.record(&first, b"")]).unwrap();
    let window = window(START, START + DAY);
    let mut reader = disk.reader();
    reader.ahead(&[series.fingerprint], &window);
    assert_eq!(read(&mut reader, &series, &window).len(), 60);
    let second = chunks(START + HOUR, START + 2 * HOUR, 60_000, |_| 2.0);
    commit(&disk, 2, START + 2 * HOUR, &[series.record(&second, b"")]).unwrap();
    assert_eq!(read(&mut reader, &series, &window).len(), 120);
}

#[test]
fn a_file_that_cannot_be_opened_is_left_to_who_reads() {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    let series = four_days(&setup, &disk);
    let whole = window(START, START + 4 * DAY);
    let before = floats(&disk, &series[0], &whole).len();
    drop(disk);
    let (disk, _) = setup.open();
    let name = "metrics-20261122.db";
    std::fs::write(setup.path(name), [7; 5_000]).unwrap();
    let mut reader = disk.reader();
    reader.ahead(&[series[0].fingerprint], &whole);
    let after = read(&mut reader, &series[0], &whole).len();
    // Its day is answered from rows.
    assert!(0 < after && after < before, "{after} of {before}");
    assert_eq!(disk.suspects.lock().unwrap().len(), 1);
}

#[test]
fn what_there_is_no_room_for_is_left_out_whole() {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    let series = four_days(&setup, &disk);
    let opened = disk.open_to_read(FileKey::of(Tier::Raw, Day::of(START + 3 * DAY))).unwrap();
    let asked: Vec<_> = series.iter().map(|one| one.fingerprint).collect();
    let starts = (START, START + 4 * DAY);
    let bytes = |chunks: &Chunks, of| {
        let pieces = chunks.of(of)?;
        Some(pieces.map(|piece| piece.bytes.len()).sum::<usize>())
    };
    let all = Chunks::read(&opened.connection, &asked, starts, &Room::default()).unwrap();
    let sizes: Vec<_> = asked.iter().map(|&of| bytes(&all, of).unwrap()).collect();
    assert!(sizes.iter().all(|size| *size > 0), "{sizes:?}");
    let room = Room::with(sizes[0] + sizes[1] - 1);
    let some = Chunks::read(&opened.connection, &asked, starts, &room).unwrap();
    let found: Vec<_> = asked.iter().map(|&of| bytes(&some, of)).collect();
    assert_eq!(found, [Some(sizes[0]), None, None]);
    // What was begun takes no room: there is some for what needs less.
    let half = (START, START + 2 * DAY + 12 * HOUR);
    let rest = Chunks::read(&opened.connection, &asked[1..2], half, &room).unwrap();
    assert!(bytes(&rest, asked[1]).is_some_and(|size| 0 < size && size < sizes[1]));
}

#[test]
fn nothing_is_read_behind_what_there_is_no_room_for() {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    let series = four_days(&setup, &disk);
    let opened = disk.open_to_read(FileKey::of(Tier::Raw, Day::of(START + 3 * DAY))).unwrap();
    let starts = (START, START + 4 * DAY);
    for (most, flow) in [(1, ControlFlow::Break(())), (usize::MAX, ControlFlow::Continue(()))] {
        let mut taken = 0;
        let ended = ahead::pieces(&opened.connection, series[0].fingerprint, starts, &mut |_| {
            taken += 1;
            if taken < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        assert_eq!((ended.unwrap(), taken == 1), (flow, most == 1));
    }
}

#[test]
fn hourly_files_with_the_small_pages_of_before_are_read_and_added_to() {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    let series = four_days(&setup, &disk);
    drop(disk);
    let name = "rollup-1h-20261119.db";
    let size = |sql: &str| {
        let connection = rusqlite::Connection::open(setup.path(name)).unwrap();
        connection.execute_batch(sql).unwrap();
        connection.query_row("PRAGMA page_size", [], |row| row.get::<_, u32>(0)).unwrap()
    };
    assert_eq!(size(""), 16_384);
    let small =
        "PRAGMA journal_mode = DELETE; PRAGMA page_size = 4096; VACUUM; PRAGMA journal_mode = WAL";
    assert_eq!(size(small), 4_096);
    let (disk, _) = setup.open();
    let window = Window { step: HOUR, ..window(START, START + 5 * DAY) };
    let hours = |disk: &Disk| disk.catalog().days(Tier::OneHour).len();
    let (before, days) = (floats(&disk, &series[0], &window), hours(&disk));
    // A fifth day lets the fourth be rolled up.
    let sealed = chunks(START + 4 * DAY, START + 5 * DAY, 60_000, |t| (t - START) as f64);
    advance(&setup, DAY);
    commit(&disk, 2, START + 5 * DAY + 3 * HOUR, &[series[0].record(&sealed, b"")]).unwrap();
    tend(&disk);
    let after = floats(&disk, &series[0], &window);
    assert_eq!(after[..24], before[..24]);
    assert_eq!(after.last(), Some(&(START + 5 * DAY, (5 * DAY) as f64)));
    drop(disk);
    assert_eq!(size(""), 4_096);
    let (disk, _) = setup.open();
    assert!(hours(&disk) > days, "{days} days before");
}

#[test]
fn series_that_are_found_share_the_texts_of_their_labels() {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    let sealed = chunks(START, START + HOUR, 60_000, |_| 1.0);
    let series: Vec<_> = (0..3).map(|nth| Series::new("up", nth)).collect();
    let records: Vec<_> = series.iter().map(|one| one.record(&sealed, b"")).collect();
    commit(&disk, 1, START + HOUR, &records).unwrap();
    let mut names = Vec::new();
    let each = &mut |found: crate::store::checkpoint::Found| {
        names.extend(found.labels.iter().map(|label| Arc::clone(&label.name)));
        std::ops::ControlFlow::Continue(())
    };
    disk.reader().series(&window(START, START + HOUR), None, &|_| false, each).unwrap();
    assert_eq!(names.len(), 6);
    assert!(names.chunks(2).all(|of| of.iter().zip(&names).all(|(a, b)| Arc::ptr_eq(a, b))));
}
