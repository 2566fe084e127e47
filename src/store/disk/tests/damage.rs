//! Files that cannot be read, disks that refuse.

use std::fs;

use super::super::catalog::Stretch;
use super::super::layout::Tier;
use super::super::read::{self, ROWS};
use super::super::rollup::{self, Roller};
use super::*;
use crate::store::samples::ClassicRow;

/// A store with a day of samples.
fn filled() -> (Setup, Series) {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    let up = Series::new("up", 1);
    let sealed = chunks(START, START + 20 * HOUR, 15_000, |t| (t % 1_000_003) as f64 / 7.0);
    commit(&disk, 1, START + 20 * HOUR, &[up.record(&sealed, b"live")]).unwrap();
    drop(disk);
    (setup, up)
}

const DAY_FILE: &str = "metrics-20261120.db";

#[test]
fn a_file_that_is_none_of_ours_is_set_aside_and_the_start_goes_on() {
    let foreign = |path: &Path| {
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.execute_batch("CREATE TABLE photos (id); PRAGMA user_version = 3").unwrap();
    };
    let garbage = |path: &Path| fs::write(path, [0x5a; 5000]).unwrap();
    let short = |path: &Path| fs::write(path, "SQLite format 3").unwrap();
    let spoils: [&dyn Fn(&Path); 3] = [&foreign, &garbage, &short];
    for spoil in spoils {
        for name in [DAY_FILE, "state.db"] {
            let (setup, up) = filled();
            fs::remove_file(setup.path(name)).unwrap();
            spoil(&setup.path(name));
            let before = fs::read(setup.path(name)).unwrap();
            let (disk, restored) = setup.open();
            let aside = setup.path(&format!("{name}.corrupt-1"));
            assert_eq!(&restored.quarantined[..], std::slice::from_ref(&aside));
            assert_eq!(fs::read(aside).unwrap(), before);
            assert_eq!(setup.count("sidelight_store_quarantined_files"), 1);
            assert_eq!(restored.journal_seq.is_none(), name == "state.db");
            let again = disk.begin(2, START + 21 * HOUR).unwrap();
            assert_eq!(again.wants_all(), name == "state.db");
            drop(again);
            let sealed = chunks(START + 20 * HOUR, START + 21 * HOUR, 60_000, |_| 1.0);
            commit(&disk, 2, START + 21 * HOUR, &[up.record(&sealed, b"again")]).unwrap();
            let read = floats(&disk, &up, &window(START, START + DAY));
            assert_eq!(read.len(), if name == "state.db" { 80 * 60 + 60 } else { 60 });
        }
    }
}

#[test]
fn damage_within_a_file_is_found_by_a_query_and_the_next_checkpoint_sets_it_aside() {
    let (setup, up) = filled();
    let mut bytes = fs::read(setup.path(DAY_FILE)).unwrap();
    let len = bytes.len();
    bytes[4096..len].iter_mut().step_by(3).for_each(|byte| *byte ^= 0x55);
    fs::write(setup.path(DAY_FILE), bytes).unwrap();
    let (disk, restored) = setup.open();
    assert!(restored.quarantined.is_empty());
    assert_eq!(floats(&disk, &up, &window(START, START + DAY)), []);
    let sealed = chunks(START + 20 * HOUR, START + 21 * HOUR, 60_000, |_| 1.0);
    commit(&disk, 2, START + 21 * HOUR, &[up.record(&sealed, b"")]).unwrap();
    assert_eq!(setup.names(), [DAY_FILE, &format!("{DAY_FILE}.corrupt-1"), "state.db"]);
    assert_eq!(floats(&disk, &up, &window(START, START + DAY)).len(), 60);
}

#[test]
fn a_damaged_file_is_said_from_when_it_is_found_until_it_is_removed() {
    let (setup, up) = filled();
    let mut bytes = fs::read(setup.path(DAY_FILE)).unwrap();
    bytes[4096..].iter_mut().step_by(3).for_each(|byte| *byte ^= 0x55);
    fs::write(setup.path(DAY_FILE), bytes).unwrap();
    fs::write(setup.path("rollup-5m-20261119.db"), [0x5a; 5000]).unwrap();
    // What others keep beside the store is looked at as well.
    fs::write(setup.path("alerts.db.corrupt-1"), "x").unwrap();
    let (disk, _) = setup.open();
    let said = disk.trouble().unwrap();
    assert!(said.contains("rollup-5m-20261119.db.corrupt-1 (not an SQLite file)"), "{said}");
    assert!(said.contains("alerts.db.corrupt-1") && !said.contains(DAY_FILE), "{said}");
    assert_eq!(floats(&disk, &up, &window(START, START + DAY)), []);
    let said = disk.trouble().unwrap();
    assert!(said.contains(&format!("{DAY_FILE} (")), "before it is set aside: {said}");
    tend(&disk);
    let said = disk.trouble().unwrap();
    assert!(said.contains(&format!("{DAY_FILE}.corrupt-1 (")), "{said}");
    assert!(!said.contains(&format!("{DAY_FILE} (")), "{said}");
    drop(disk);
    let (disk, _) = setup.open();
    assert!(disk.trouble().unwrap().contains(DAY_FILE), "also after the next start");
    for name in setup.names().iter().filter(|name| name.contains("corrupt")) {
        fs::remove_file(setup.path(name)).unwrap();
    }
    tend(&disk);
    assert_eq!(disk.trouble(), None);
}

/// What is said of an answer over `window`.
fn lost(disk: &Disk, series: &Series, window: &Window) -> Vec<String> {
    let mut reader = disk.reader();
    reader.read(series.fingerprint, window, i64::MAX, &mut Samples::default()).unwrap();
    reader.lost(window)
}

#[test]
fn an_answer_says_what_damaged_files_of_its_days_held() {
    let (setup, up) = filled();
    let (disk, _) = setup.open();
    commit(&disk, 2, START + DAY + 3 * HOUR, &[up.record(&[], b"")]).unwrap();
    tend(&disk);
    drop(disk);
    let rows = "rollup-5m-20261120.db";
    let spoil = |name: &str| {
        let mut bytes = fs::read(setup.path(name)).unwrap();
        bytes[4096..].iter_mut().step_by(3).for_each(|byte| *byte ^= 0x55);
        fs::write(setup.path(name), bytes).unwrap();
    };
    let (whole, later) = (window(START, START + DAY), window(START + DAY, START + 2 * DAY));
    // Rows of a day whose samples are all there.
    fs::write(setup.path(rows), [0x5a; 5000]).unwrap();
    let (disk, _) = setup.open();
    assert!(disk.trouble().unwrap().contains(rows));
    assert_eq!(lost(&disk, &up, &whole), [""; 0]);
    drop(disk);
    spoil(DAY_FILE);
    let (disk, _) = setup.open();
    let [said] = &lost(&disk, &up, &whole)[..] else { panic!("one sentence") };
    let begin = "without what damaged files of the store held: ";
    let found = said.strip_prefix(begin).unwrap();
    assert!(found.starts_with(&format!("{DAY_FILE} (")) && found.contains(rows), "{said}");
    assert_eq!(lost(&disk, &up, &later), [""; 0], "days of which nothing is lost");
    tend(&disk);
    let [said] = &lost(&disk, &up, &whole)[..] else { panic!("one sentence") };
    assert!(said.contains(&format!("{DAY_FILE}.corrupt-1 (")), "{said}");
}

#[test]
fn an_answer_says_that_pieces_of_a_file_are_damaged() {
    let (setup, up) = filled();
    spoil_chunks(&setup.path(DAY_FILE), 1, &[0xff; 7]);
    let (disk, _) = setup.open();
    let [said] = &lost(&disk, &up, &window(START, START + DAY))[..] else { panic!("one sentence") };
    assert!(said.ends_with(" damaged pieces in files of the store"), "{said}");
}

#[test]
fn a_connection_to_a_file_that_was_set_aside_meanwhile_is_not_used_for_the_one_that_took_its_name()
{
    let (setup, up) = filled();
    let (disk, _) = setup.open();
    let mut samples = Samples::default();
    let mut reader = disk.reader();
    let day = window(START, START + DAY);
    reader.read(up.fingerprint, &day, i64::MAX, &mut samples).unwrap();
    disk.suspect(super::super::layout::FileKey::parse(DAY_FILE).unwrap(), "another query says so");
    let sealed = chunks(START + 20 * HOUR, START + 21 * HOUR, 60_000, |_| 1.0);
    commit(&disk, 2, START + 21 * HOUR, &[up.record(&sealed, b"")]).unwrap();
    drop(reader);
    assert_eq!(floats(&disk, &up, &day).len(), 60, "what the new file holds");
}

#[test]
fn what_a_later_version_wrote_is_refused_and_not_touched() {
    for name in [DAY_FILE, "state.db"] {
        let (setup, _) = filled();
        // What would be set aside by a start that goes on.
        fs::write(setup.path("rollup-5m-20261119.db"), [0x5a; 5000]).unwrap();
        let path = setup.path(name);
        let newer = rusqlite::Connection::open(&path).unwrap();
        newer.execute_batch("PRAGMA user_version = 2").unwrap();
        newer.pragma_update(None, "journal_mode", "DELETE").unwrap();
        drop(newer);
        let names = setup.names();
        let bytes = fs::read(&path).unwrap();
        let error = setup.try_open().unwrap_err();
        assert!(error.to_string().contains("has schema 2, and this version knows 1"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
        assert_eq!(setup.names(), names);
    }
}

#[test]
fn a_disk_that_refuses_costs_nothing_once_it_takes_again() {
    let (setup, up) = filled();
    let (disk, _) = setup.open();
    // Tomorrow's file cannot be made.
    let tomorrow = setup.path("metrics-20261121.db");
    fs::create_dir(&tomorrow).unwrap();
    let from = START + DAY;
    let sealed = chunks(from, from + HOUR, 60_000, |_| 1.0);
    for seq in 2..5 {
        commit(&disk, seq, from + HOUR, &[up.record(&sealed, b"later")]).unwrap_err();
    }
    assert_eq!(setup.count("sidelight_store_checkpoints"), 1);
    assert_eq!(floats(&disk, &up, &window(START, from + DAY)).len(), 4800);
    fs::remove_dir(&tomorrow).unwrap();
    assert_eq!(setup.killed().open().1.journal_seq, Some(1));
    commit(&disk, 5, from + HOUR, &[up.record(&sealed, b"later")]).unwrap();
    assert_eq!(floats(&disk, &up, &window(START, from + DAY)).len(), 4860);
    drop(disk);
    let (disk, restored) = setup.open();
    assert_eq!((restored.journal_seq, states(&disk)), (Some(5), vec![b"later".to_vec()]));
}

#[test]
fn a_file_that_grows_past_what_the_disk_takes_fails_the_checkpoint_and_no_more() {
    let (setup, up) = filled();
    let (disk, _) = setup.open();
    let sealed = chunks(START + 20 * HOUR, START + 23 * HOUR, 2_000, |t| (t % 977) as f64 / 3.0);
    let record = up.record(&sealed, b"later");
    let mut full = disk.begin(2, START + 21 * HOUR).unwrap();
    full.limit_pages(1, super::super::layout::Day::of(START + HOUR));
    full.series(&record).and_then(|()| full.finish()).unwrap_err();
    assert_eq!(floats(&disk, &up, &window(START, START + DAY)).len(), 4800);
    commit(&disk, 2, START + 21 * HOUR, &[record]).unwrap();
    assert_eq!(floats(&disk, &up, &window(START, START + DAY)).len(), 10_200);
}

#[test]
fn of_files_that_were_set_aside_the_newest_few_stay() {
    let (setup, up) = filled();
    for n in 1..=7 {
        fs::write(setup.path(&format!("{DAY_FILE}.corrupt-{n}")), "x").unwrap();
    }
    let (disk, _) = setup.open();
    commit(&disk, 2, START + 21 * HOUR, &[up.record(&[], b"x")]).unwrap();
    tend(&disk);
    let aside = setup.names().iter().filter(|name| name.contains("corrupt")).count();
    assert_eq!(aside, 4);
}

#[test]
fn a_day_with_late_samples_is_rolled_up_again_when_the_disk_takes_again() {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    let up = Series::new("up", 1);
    let sealed = chunks(START, START + 20 * HOUR, 15 * 60_000, |_| 1.0);
    let now = START + DAY + 3 * HOUR;
    commit(&disk, 1, now, &[up.record(&sealed, b"")]).unwrap();
    tend(&disk);
    let rows = || {
        let day = START + DAY;
        let reader = rusqlite::Connection::open(setup.path("rollup-1h-20261119.db")).unwrap();
        let sql = "SELECT sum(samples) FROM chunk WHERE start <= ?";
        reader.query_row(sql, [day], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(rows(), 20);
    // The rows cannot be read while the late samples come.
    let (file, away) = (setup.path("rollup-5m-20261120.db"), setup.path("away"));
    fs::rename(&file, &away).unwrap();
    fs::create_dir(&file).unwrap();
    let late = chunks(START + 21 * HOUR, START + 22 * HOUR, 60_000, |_| 2.0);
    commit(&disk, 2, now + 1, &[up.record(&late, b"")]).unwrap();
    tend(&disk);
    assert_eq!(rows(), 20);
    fs::remove_dir(&file).unwrap();
    fs::rename(&away, &file).unwrap();
    commit(&disk, 3, now + 2, &[up.record(&[], b"")]).unwrap();
    tend(&disk);
    assert_eq!(rows(), 21);
}

/// Replaces every chunk of a file.
fn spoil_chunks(path: &Path, encoding: u8, bytes: &[u8]) {
    let connection = rusqlite::Connection::open(path).unwrap();
    let sql = "UPDATE chunk SET encoding = ?, bytes = ?";
    assert!(connection.execute(sql, (encoding, bytes)).unwrap() > 0);
}

#[test]
fn rows_in_a_file_of_samples_are_left_out_and_counted() {
    let (setup, up) = filled();
    let mut roller = Roller::new(HOUR);
    (1..1_000).for_each(|minute| roller.push(START + minute * 60_000, 1.0));
    let mut bytes = Vec::new();
    rollup::encode(roller.rows(), START, HOUR, &mut bytes);
    spoil_chunks(&setup.path(DAY_FILE), ROWS, &bytes);
    let (disk, _) = setup.open();
    for reads in [Reads::Last, Reads::Increase, Reads::Average, Reads::Count] {
        let window = Window { reads, ..window(START, START + DAY) };
        assert_eq!(floats(&disk, &up, &window), []);
    }
    assert!(setup.count("sidelight_store_corrupt_chunks") > 0);
}

#[test]
fn a_damaged_chunk_of_rows_is_left_out_whatever_is_asked_of_it() {
    let (setup, up) = filled();
    let (disk, _) = setup.open();
    commit(&disk, 2, START + DAY + 3 * HOUR, &[up.record(&[], b"")]).unwrap();
    tend(&disk);
    drop(disk);
    for name in ["metrics-20261120.db", "rollup-1h-20261119.db"] {
        fs::remove_file(setup.path(name)).unwrap();
    }
    let rows = setup.path("rollup-5m-20261120.db");
    let connection = rusqlite::Connection::open(&rows).unwrap();
    let bytes: Vec<u8> =
        connection.query_row("SELECT bytes FROM chunk", [], |row| row.get(0)).unwrap();
    drop(connection);
    let (whole, half) = (&bytes[..], &bytes[..bytes.len() / 8]);
    // Among the counts, and among the values.
    for (bytes, is_there) in [(whole, true), (&bytes[..300], false), (half, false)] {
        spoil_chunks(&rows, ROWS, bytes);
        let (disk, _) = setup.open();
        for reads in [Reads::Last, Reads::Line, Reads::Increase, Reads::Average, Reads::Count] {
            for range in [300_000, HOUR] {
                let window = Window { reads, range, ..window(START, START + DAY) };
                assert_eq!(floats(&disk, &up, &window).is_empty(), !is_there, "{reads:?} {range}");
            }
        }
        assert_eq!(setup.count("sidelight_store_corrupt_chunks") > 0, !is_there);
    }
}

#[test]
fn samples_of_a_damaged_chunk_that_go_back_in_time_are_left_out() {
    let (setup, up) = filled();
    let mut samples = Samples::default();
    let times = [1, 2, 5, 3, 4, 6, 6, 7].map(|minute| START + minute * 60_000);
    samples.points.floats.extend(times.map(|t| (t, 1.0)));
    let [chunk] = &chunk::encode(&samples)[..] else { panic!("one chunk") };
    spoil_chunks(&setup.path(DAY_FILE), chunk.encoding, &chunk.bytes);
    let (disk, _) = setup.open();
    let read = floats(&disk, &up, &window(START, START + DAY));
    let minutes: Vec<_> = read.iter().map(|(t, _)| (t - START) / 60_000).collect();
    assert_eq!(minutes, [1, 2, 5, 6, 7]);
    // One that ends early is no half of a chunk.
    spoil_chunks(&setup.path(DAY_FILE), chunk.encoding, &chunk.bytes[..chunk.bytes.len() - 2]);
    assert_eq!(floats(&disk, &up, &window(START, START + DAY)), []);
}

#[test]
fn days_that_a_file_of_rows_cannot_have_are_not_looked_for() {
    let (setup, up) = filled();
    let (disk, _) = setup.open();
    commit(&disk, 2, START + DAY + 3 * HOUR, &[up.record(&[], b"")]).unwrap();
    tend(&disk);
    let asked = Window { step: HOUR, ..window(START - 9 * DAY, START + 30 * DAY) };
    let before = floats(&disk, &up, &asked);
    drop(disk);
    for name in ["rollup-5m-20261120.db", "rollup-1h-20261119.db"] {
        let connection = rusqlite::Connection::open(setup.path(name)).unwrap();
        let sql = "INSERT INTO rolled VALUES (?, 0, 0, 1)";
        let today = i32::try_from(START / DAY).unwrap();
        for day in [i32::MIN, i32::MAX, today - 8, today + 9] {
            connection.execute(sql, [day]).unwrap();
        }
    }
    let (disk, _) = setup.open();
    assert_eq!(floats(&disk, &up, &asked), before);
}

#[test]
fn nothing_of_a_damaged_chunk_of_histograms_stays() {
    let of = |time_ms: i64, bound: f64| {
        let mut samples = Samples::default();
        let bounds = samples.classics.bounds_index(&[bound]);
        samples.classics.cumulative.push(1);
        let row = ClassicRow { time_ms, bounds, counts: 0, count: 2, sum: None, stale: false };
        samples.classics.rows.push(row);
        chunk::encode(&samples).remove(0)
    };
    let (whole, damaged) = (of(START + 1, 0.5), of(START + 2, 0.7));
    let day = Stretch { tier: Tier::Raw, after: START, until: START + DAY };
    let mut into = Samples::default();
    assert!(read::append(whole.encoding, &whole.bytes, &day, &mut into));
    let before = format!("{into:?}");
    for len in 0..damaged.bytes.len() {
        if !read::append(damaged.encoding, &damaged.bytes[..len], &day, &mut into) {
            assert_eq!(format!("{into:?}"), before, "{len}");
        }
    }
    assert!(read::append(damaged.encoding, &damaged.bytes, &day, &mut into));
    assert_eq!((into.classics.rows.len(), into.classics.bounds.len()), (2, 2));
}

#[test]
fn a_series_whose_labels_one_file_has_lost_is_found_in_another() {
    let (setup, up) = filled();
    let (disk, _) = setup.open();
    let sealed = chunks(START + DAY, START + DAY + HOUR, 60_000, |_| 1.0);
    commit(&disk, 2, START + DAY + HOUR, &[up.record(&sealed, b"live")]).unwrap();
    drop(disk);
    let file = rusqlite::Connection::open(setup.path(DAY_FILE)).unwrap();
    file.execute_batch("UPDATE series SET labels = x'ff'").unwrap();
    drop(file);
    let (disk, _) = setup.open();
    let mut found = Vec::new();
    let each = &mut |series: crate::store::checkpoint::Found| {
        found.push(series.labels);
        std::ops::ControlFlow::Continue(())
    };
    let both = window(START, START + 2 * DAY);
    disk.reader().series(&both, Some(&["up"]), &|_| false, each).unwrap();
    assert_eq!(found, [up.labels]);
}

#[test]
fn a_file_that_a_kill_left_before_anything_was_written_to_it_is_no_damage() {
    let (setup, up) = filled();
    for name in ["metrics-20261121.db", "rollup-5m-20261120.db"] {
        fs::write(setup.path(name), "").unwrap();
    }
    let (disk, restored) = setup.open();
    assert!(restored.quarantined.is_empty());
    let both = window(START, START + 2 * DAY);
    assert_eq!(floats(&disk, &up, &both).len(), 80 * 60);
    let sealed = chunks(START + DAY, START + DAY + HOUR, 60_000, |_| 1.0);
    commit(&disk, 2, START + DAY + 3 * HOUR, &[up.record(&sealed, b"live")]).unwrap();
    tend(&disk);
    assert_eq!(floats(&disk, &up, &both).len(), 80 * 60 + 60);
    assert_eq!(setup.count("sidelight_store_quarantined_files"), 0);
}

#[test]
fn the_file_that_refuses_is_the_one_that_is_named() {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    let up = Series::new("up", 1);
    let mut commit = disk.begin(1, START + 4 * DAY).unwrap();
    let day = |nth: i64| chunks(START + nth * DAY, START + nth * DAY + HOUR, 60_000, |_| 1.0);
    commit.series(&up.record(&day(0), b"")).unwrap();
    commit.break_commit();
    for nth in 1..3 {
        commit.series(&up.record(&day(nth), b"")).unwrap();
    }
    let error = commit.series(&up.record(&day(3), b"")).unwrap_err();
    assert!(error.to_string().contains(DAY_FILE), "{error}");
}
