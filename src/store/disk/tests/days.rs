//! Days that pass: rows of old samples, what is dropped, and ninety days in seconds.

use super::super::Space;
use super::*;
use sidelight_promql::source::is_stale;

/// Commits a day of samples for each series and tends, as the agent would.
fn live_through(setup: &Setup, disk: &Disk, series: &[Series], day: i64, step: i64) {
    for part in 0..4 {
        let after = START + day * DAY + part * 6 * HOUR;
        let sealed = |nth: usize| {
            chunks(after, after + 6 * HOUR, step, move |t| {
                ((t - START) / 1_000 * (nth as i64 + 1)) as f64
            })
        };
        let sealed: Vec<_> = (0..series.len()).map(sealed).collect();
        let records: Vec<_> =
            series.iter().zip(&sealed).map(|(one, sealed)| one.record(sealed, b"state")).collect();
        advance(setup, 6 * HOUR);
        commit(disk, 1, after + 6 * HOUR, &records).unwrap();
        tend(disk);
    }
}

#[test]
fn a_day_that_is_over_becomes_rows_and_its_samples_go_after_two_days() {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    let series = [Series::new("requests_total", 0)];
    for day in 0..4 {
        live_through(&setup, &disk, &series, day, 60_000);
    }
    assert_eq!(
        setup.names(),
        [
            "metrics-20261121.db",
            "metrics-20261122.db",
            "metrics-20261123.db",
            "rollup-1h-20261119.db",
            "rollup-5m-20261120.db",
            "rollup-5m-20261121.db",
            "rollup-5m-20261122.db",
            "state.db"
        ]
    );
    let read = |step, range, after, until, reads| {
        floats(&disk, &series[0], &Window { after, until, step, range, lookback: 0, reads })
    };
    // Rows of five minutes stand for the first day, samples for the rest.
    let points = read(0, HOUR, START, START + 2 * DAY, Reads::Increase);
    assert_eq!(points.len(), 4 + 288 + 1440, "the first row begins with its first sample");
    assert_eq!((points[0], points[4]), ((START + 60_000, 60.0), (START + 300_000, 300.0)));
    assert!(points.iter().all(|&(t, value)| value == ((t - START) / 1_000) as f64));
    let sum: f64 =
        read(0, HOUR, START, START + DAY, Reads::Sum).iter().map(|(_, value)| value).sum();
    assert_eq!(sum, (1..=1440).map(|n| f64::from(n * 60)).sum::<f64>());
    let max = read(0, HOUR, START, START + HOUR, Reads::Max).last().copied();
    assert_eq!(max, Some((START + HOUR, 3_600.0)));
    // A rate over less than two rows is the rate around it.
    let until = START + 2 * HOUR;
    for step in [0, DAY] {
        let points = read(step, 300_000, until - 300_000, until, Reads::Increase);
        assert_eq!(points, [(until - 150_000, 7_050.0), (until, 7_200.0)], "{step}");
    }
    drop(disk);
    // All of it is there after a restart.
    let (disk, _) = setup.open();
    let window = Window { range: HOUR, ..window(START, START + 2 * DAY) };
    assert_eq!(floats(&disk, &series[0], &window).len(), 288 + 1440);
}

#[test]
fn a_short_rate_of_an_old_histogram_is_the_rate_of_its_hour() {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    let series = Series { kind: Kind::Classic, ..Series::new("request_duration_seconds", 0) };
    let mut samples = Samples::default();
    let bounds = samples.classics.bounds_index(&[0.5]);
    for minute in 1..=1440_u64 {
        let counts = u32::try_from(samples.classics.cumulative.len()).unwrap();
        samples.classics.cumulative.push(minute * 6);
        let time_ms = START + minute.cast_signed() * 60_000;
        let (count, sum, stale) = (minute * 9, None, false);
        let row = crate::store::samples::ClassicRow { time_ms, bounds, counts, count, sum, stale };
        samples.classics.rows.push(row);
    }
    commit(&disk, 1, START + DAY, &[series.record(&chunk::encode(&samples), b"")]).unwrap();
    let later = [Series::new("up", 1)];
    (1..4).for_each(|day| live_through(&setup, &disk, &later, day, 3_600_000));
    assert!(!setup.names().contains(&"metrics-20261120.db".to_owned()));
    let until = START + 10 * HOUR + HOUR / 2;
    for (step, range) in [(0, 300_000), (HOUR, 300_000), (0, 60_000)] {
        let (after, reads) = (until - range, Reads::Increase);
        let window = Window { after, until, step, range, lookback: 0, reads };
        samples.clear();
        let mut reader = disk.reader();
        let sparse = reader.read(series.fingerprint, &window, i64::MAX, &mut samples).unwrap();
        let rows = samples.classics.rows.iter();
        let mut floats: Vec<_> = rows.map(|row| (row.time_ms, row.count as f64)).collect();
        sparse.fill(&window, &mut floats);
        let [(from, before), (to, value)] = floats[..] else {
            panic!("{step} {range}: {floats:?}")
        };
        assert_eq!((from, to), (until - range / 2, until));
        let rate = (value - before) / ((to - from) as f64 / 60_000.0);
        assert!((rate - 9.0).abs() < 1e-6, "{rate}");
    }
}

#[test]
fn samples_that_come_late_are_in_the_rows_too() {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    let series = [Series::new("requests_total", 0), Series::new("requests_total", 1)];
    live_through(&setup, &disk, &series, 0, 60_000);
    live_through(&setup, &disk, &series, 1, 60_000);
    assert_eq!(setup.count("sidelight_store_rolled_days"), 1);
    let late = Series::new("late_total", 9);
    let sealed = chunks(START + HOUR, START + 2 * HOUR, 60_000, |_| 5.0);
    commit(&disk, 2, START + 2 * DAY, &[late.record(&sealed, b"")]).unwrap();
    tend(&disk);
    assert_eq!(setup.count("sidelight_store_rolled_days"), 2);
    live_through(&setup, &disk, &series, 2, 60_000);
    live_through(&setup, &disk, &series, 3, 60_000);
    let window = Window { range: HOUR, ..window(START, START + DAY) };
    let read = floats(&disk, &late, &window);
    assert_eq!(read.len(), 12);
    assert!(read.iter().all(|(_, value)| *value == 5.0));
    // What is older than samples are kept is not taken, and counted.
    commit(&disk, 3, START + 4 * DAY, &[late.record(&sealed, b"")]).unwrap();
    assert_eq!(setup.count("sidelight_store_dropped_chunks"), sealed.len() as u64);
}

#[test]
fn a_day_is_whole_from_midnight_on_when_the_day_before_is_gone() {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    let up = Series::new("up", 0);
    let midnight = START + DAY;
    let sealed = chunks(midnight - 11 * HOUR, midnight + 10 * HOUR, 60_000, |t| t as f64);
    assert!(sealed.iter().any(|chunk| chunk.start_ms < midnight && chunk.end_ms > midnight));
    commit(&disk, 1, midnight + 10 * HOUR, &[up.record(&sealed, b"")]).unwrap();
    let read = |disk: &Disk| floats(disk, &up, &window(START, midnight + DAY));
    assert_eq!(read(&disk).len(), 1_260, "none twice");
    drop(disk);
    std::fs::remove_file(setup.path("metrics-20261120.db")).unwrap();
    let (disk, _) = setup.open();
    let kept = read(&disk);
    assert_eq!((kept.len(), kept[0].0), (600, midnight + 60_000));
    // Its rows are whole, too, and so is what comes late.
    commit(&disk, 2, midnight + DAY + 3 * HOUR, &[]).unwrap();
    tend(&disk);
    let late = Series::new("late", 0);
    commit(&disk, 3, midnight + DAY + 3 * HOUR + 1, &[late.record(&sealed, b"")]).unwrap();
    tend(&disk);
    drop(disk);
    std::fs::remove_file(setup.path("metrics-20261121.db")).unwrap();
    let (disk, _) = setup.open();
    for series in [&up, &late] {
        let reads = Reads::Count;
        let day = Window { range: HOUR, reads, ..window(midnight, midnight + DAY) };
        assert_eq!(floats(&disk, series, &day).len(), 600, "a point for each sample");
    }
}

#[test]
fn a_roll_that_was_cut_short_goes_on_after_a_kill() {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    let series: Vec<_> = (0..600).map(|nth| Series::new("requests_total", nth)).collect();
    let sealed = chunks(START, START + DAY, 15 * 60_000, |t| (t - START) as f64);
    let records: Vec<_> = series.iter().map(|one| one.record(&sealed, b"")).collect();
    advance(&setup, DAY + 3 * HOUR);
    commit(&disk, 1, START + DAY + 3 * HOUR, &records).unwrap();
    for slices in 0..3 {
        let killed = setup.killed();
        let (again, _) = killed.open();
        tend(&again);
        assert_eq!(killed.count("sidelight_store_rolled_days"), 1);
        std::fs::remove_file(killed.path("metrics-20261120.db")).unwrap();
        drop(again);
        let (again, _) = killed.open();
        let window = Window { range: HOUR, ..window(START, START + DAY) };
        for one in series.iter().step_by(7) {
            assert_eq!(floats(&again, one, &window).len(), 96, "{slices}");
        }
        assert!(disk.tend());
    }
}

#[test]
fn the_disk_cap_takes_the_oldest_samples_first_and_shrinks_even_today() {
    let mut setup = Setup::new();
    setup.config.max_size = 300 << 10;
    let (disk, _) = setup.open();
    let series: Vec<_> = (0..20).map(|nth| Series::new("requests_total", nth)).collect();
    for day in 0..3 {
        live_through(&setup, &disk, &series, day, 60_000);
    }
    let names = setup.names();
    assert!(!names.contains(&"metrics-20261121.db".to_owned()), "{names:?}");
    assert!(names.contains(&"metrics-20261122.db".to_owned()), "{names:?}");
    let dropped = setup.count("sidelight_store_dropped_files");
    assert!(dropped >= 1, "{dropped}");
    drop(disk);

    setup.config.max_size = 30 << 10;
    let (disk, _) = setup.open();
    live_through(&setup, &disk, &series, 3, 60_000);
    assert!(setup.count("sidelight_store_dropped_chunks") > 0);
    let recent = window(START + 4 * DAY - HOUR, START + 4 * DAY);
    assert!(floats(&disk, &series[3], &recent).len() >= 30);
}

#[test]
fn rotation_by_hand_does_what_it_said_it_would_and_vacuum_gives_space_back() {
    use super::super::offline::{Offline, compactions, files, rotation};

    let setup = Setup::new();
    let (disk, _) = setup.open();
    let series: Vec<_> = (0..20).map(|nth| Series::new("requests_total", nth)).collect();
    let sealed = chunks(START, START + DAY, 60_000, |t| (t % 97) as f64);
    let records: Vec<_> = series.iter().map(|one| one.record(&sealed, b"")).collect();
    commit(&disk, 1, START + DAY, &records).unwrap();
    drop(disk);
    let now = UnixNano((START + 4 * DAY).cast_unsigned() * 1_000_000);
    let told = rotation(&setup.config, now).unwrap();
    assert_eq!(told.roll, ["2026-11-20"]);
    let [(name, bytes, reason)] = &told.drop[..] else { panic!("{told:?}") };
    assert_eq!((&**name, *reason), ("metrics-20261120.db", "age"));
    assert!(*bytes > 4096);
    let reports = files(&setup.config).unwrap();
    let counts: Vec<_> =
        reports.iter().map(|file| (file.holds, file.series, file.samples)).collect();
    assert_eq!(counts, [("raw", Some(20), Some(20 * 1440)), ("state", Some(0), None)]);

    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&setup.clock);
    let deps = Deps { clock, registry: setup.registry.clone() };
    let offline = Offline::open(&setup.config, &deps).unwrap();
    assert_eq!(offline.rotate(now).unwrap(), told);
    let names = ["rollup-1h-20261119.db", "rollup-5m-20261120.db", "state.db"];
    assert_eq!(setup.names(), names);
    let path = setup.path("rollup-5m-20261120.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute("DELETE FROM chunk WHERE series > 1", []).unwrap();
    drop(connection);
    let told = compactions(&setup.config).unwrap();
    let done = offline.vacuum().unwrap();
    assert!(told[1].after < told[1].before && done[1].after < done[1].before, "{told:?} {done:?}");
}

#[test]
fn what_a_kill_left_is_reported_and_not_changed() {
    use super::super::offline::{files, rotation};

    let setup = Setup::new();
    let (disk, _) = setup.open();
    let one = Series::new("requests_total", 1);
    let sealed = chunks(START, START + HOUR, 60_000, |t| (t % 97) as f64);
    commit(&disk, 1, START + HOUR, &[one.record(&sealed, b"")]).unwrap();
    // As a kill leaves it: the files with their logs.
    let left = tempfile::tempdir().unwrap();
    let content = |directory: &std::path::Path| {
        let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        let file = |path: std::path::PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (!name.ends_with("-shm")).then(|| (name, std::fs::read(path).unwrap()))
        };
        entries.filter_map(file).collect::<std::collections::BTreeMap<_, _>>()
    };
    for (name, bytes) in content(&setup.config.directory) {
        std::fs::write(left.path().join(name), bytes).unwrap();
    }
    let before = content(left.path());
    assert!(before.iter().any(|(name, bytes)| name.ends_with("-wal") && !bytes.is_empty()));
    let config = crate::store::Config { directory: left.path().to_owned(), ..setup.config.clone() };
    let samples: u64 = files(&config).unwrap().iter().filter_map(|file| file.samples).sum();
    assert_eq!(samples, 60);
    rotation(&config, UnixNano(START.cast_unsigned() * 1_000_000)).unwrap();
    assert_eq!(content(left.path()), before);
}

#[test]
fn files_are_counted_while_somebody_waits_and_one_that_went_meanwhile_is_passed_over() {
    use super::super::offline::files_of_agent;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    let setup = Setup::new();
    let (disk, _) = setup.open();
    let one = Series::new("requests_total", 1);
    let sealed = chunks(START, START + 2 * DAY, 60_000, |t| (t % 97) as f64);
    commit(&disk, 1, START + 2 * DAY, &[one.record(&sealed, b"")]).unwrap();
    drop(disk);
    let whole = files_of_agent(&setup.config, || false).unwrap();
    assert!(whole.len() > 2 && whole.iter().all(|file| file.problem.is_none()), "{whole:?}");
    // Asked before the first file, and then within it.
    let calls = Arc::new(AtomicUsize::new(0));
    let gone = move || calls.fetch_add(1, Ordering::Relaxed) > 0;
    let cut = files_of_agent(&setup.config, gone).unwrap();
    assert_eq!(cut.len(), 1);
    assert!(cut[0].problem.as_ref().is_some_and(|why| why.contains("interrupt")), "{cut:?}");
    let path = setup.path(&whole[0].name);
    let removing = move || {
        let _ = std::fs::remove_file(&path);
        false
    };
    assert_eq!(files_of_agent(&setup.config, removing).unwrap(), whole[1..]);
}

#[test]
fn ninety_days_are_answered_from_rows_within_the_cap() {
    let mut setup = Setup::new();
    setup.config.max_size = 8 << 20;
    let series: Vec<_> = (0..12).map(|nth| Series::new("requests_total", nth)).collect();
    let mut disk = setup.open().0;
    for day in 0..90 {
        live_through(&setup, &disk, &series, day, 60_000);
        if day % 13 == 5 {
            drop(disk);
            disk = setup.open().0;
        }
        let bytes: u64 = disk.files().iter().map(|file| file.bytes).sum();
        assert!(bytes <= setup.config.max_size + (1 << 20), "day {day}: {bytes} bytes");
    }
    let until = START + 90 * DAY;
    for (nth, one) in series.iter().enumerate() {
        let daily = |reads| {
            let (step, range) = (DAY, DAY);
            let window = Window { after: START, until, step, range, lookback: 0, reads };
            floats(&disk, one, &window)
        };
        let points = daily(Reads::Increase);
        assert!(points.iter().all(|(_, value)| !is_stale(*value)));
        let grown = points.last().unwrap().1 - points[0].1;
        let time = points.last().unwrap().0 - points[0].0;
        assert!(time > 89 * DAY, "{}", time / HOUR);
        assert_eq!(grown, (time / 1_000 * (nth as i64 + 1)) as f64);
        assert!((2_000..8_000).contains(&points.len()), "{}", points.len());
        // What an instant selector shows each six hours is there at every one of them.
        let (after, step, lookback) = (START + DAY - 300_000, 6 * HOUR, 300_000);
        let reads = Reads::Last;
        let window = Window { after, until: until - 2 * HOUR, step, range: 0, lookback, reads };
        let shown = floats(&disk, one, &window);
        for evaluation in (0..).map(|n| START + DAY + n * step).take_while(|t| *t < until - DAY) {
            let seen = shown.iter().rfind(|(t, _)| *t <= evaluation && *t > evaluation - lookback);
            assert!(seen.is_some(), "nothing at {}", (evaluation - START) / HOUR);
        }
    }
    assert_eq!(setup.count("sidelight_store_corrupt_chunks"), 0);
}

#[test]
fn samples_that_come_late_to_a_roll_cut_short_are_in_the_rows_too() {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    let series: Vec<_> = (0..600).map(|nth| Series::new("requests_total", nth)).collect();
    let sealed = chunks(START, START + 20 * HOUR, 15 * 60_000, |t| (t - START) as f64);
    let records: Vec<_> = series.iter().map(|one| one.record(&sealed, b"")).collect();
    let now = START + DAY + 3 * HOUR;
    commit(&disk, 1, now, &records).unwrap();
    assert!(disk.tend(), "there are more series than a slice takes");
    // The first series has its rows already.
    let late = chunks(START + 21 * HOUR, START + 22 * HOUR, 60_000, |_| 9.0);
    commit(&disk, 2, now + 1, &[series[0].record(&late, b"")]).unwrap();
    drop(disk);
    let (disk, _) = setup.open();
    commit(&disk, 3, now + 2, &[]).unwrap();
    tend(&disk);
    drop(disk);
    std::fs::remove_file(setup.path("metrics-20261120.db")).unwrap();
    let (disk, _) = setup.open();
    let window = Window { range: HOUR, ..window(START, START + DAY) };
    assert_eq!(floats(&disk, &series[0], &window).len(), 80 + 12);
    assert_eq!(floats(&disk, &series[1], &window).len(), 80);
}

#[test]
fn a_leap_of_the_clock_costs_no_file_and_a_day_later_ages_count_again() {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    let series = [Series::new("requests_total", 0)];
    live_through(&setup, &disk, &series, 0, HOUR);
    // A year passes for one clock, six hours for the other.
    let later = 365;
    live_through(&setup, &disk, &series, later, HOUR);
    let is_there = |day: &str| setup.names().iter().any(|name| name.contains(day));
    assert!(is_there("rollup-5m-20261120"), "{:?}", setup.names());
    live_through(&setup, &disk, &series, later + 1, HOUR);
    live_through(&setup, &disk, &series, later + 2, HOUR);
    assert!(!is_there("20261120"), "{:?}", setup.names());
    assert!(is_there("metrics-20271121"), "{:?}", setup.names());
}

#[test]
fn a_restart_in_the_day_after_a_leap_costs_no_file_either() {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    let series = [Series::new("requests_total", 0)];
    live_through(&setup, &disk, &series, 0, HOUR);
    live_through(&setup, &disk, &series, 365, HOUR);
    drop(disk);
    let is_there = || setup.names().iter().any(|name| name.contains("rollup-5m-20261120"));
    for hour in 1..=6 {
        // Of the day six hours were left.
        let (disk, _) = setup.open();
        assert!(is_there(), "{hour}: {:?}", setup.names());
        advance(&setup, HOUR);
        commit(&disk, 1, START + 366 * DAY + hour * HOUR, &[]).unwrap();
        tend(&disk);
    }
    assert!(!is_there(), "{:?}", setup.names());
}

#[test]
fn a_day_that_a_wrong_clock_rolled_up_too_soon_is_rolled_up_again() {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    let up = Series::new("up", 1);
    let part = |from: i64| chunks(START + from * HOUR, START + (from + 2) * HOUR, 60_000, |_| 1.0);
    commit(&disk, 1, START + 3 * DAY, &[up.record(&part(0), b"")]).unwrap();
    tend(&disk);
    commit(&disk, 2, START + 4 * HOUR, &[up.record(&part(2), b"")]).unwrap();
    commit(&disk, 3, START + 2 * DAY, &[]).unwrap();
    tend(&disk);
    let rows = rusqlite::Connection::open(setup.path("rollup-5m-20261120.db")).unwrap();
    let sql = "SELECT sum(samples) FROM chunk";
    assert_eq!(rows.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap(), 48);
}

#[test]
fn an_almost_full_disk_stops_rolling_up_and_costs_the_oldest_day_but_no_checkpoint() {
    let setup = Setup::new();
    let (mut disk, _) = setup.open();
    let series = [Series::new("requests_total", 0)];
    live_through(&setup, &disk, &series, 0, 60_000);
    disk.space = |_| Ok(Space { total: 1_000, free: 49 });
    live_through(&setup, &disk, &series, 1, 60_000);
    live_through(&setup, &disk, &series, 2, 60_000);
    assert_eq!(setup.count("sidelight_store_checkpoints"), 12);
    assert_eq!(setup.count("sidelight_store_rolled_days"), 0);
    assert!(!setup.names().iter().any(|name| name.contains("rollup")), "{:?}", setup.names());
    assert!(!setup.names().contains(&"metrics-20261120.db".to_owned()));
    assert!(setup.count("sidelight_store_dropped_files") > 0);
    // What is written stays, and with room there are rows again.
    disk.space = |_| Ok(Space { total: 1_000, free: 50 });
    live_through(&setup, &disk, &series, 3, 60_000);
    assert_eq!(setup.count("sidelight_store_rolled_days"), 1);
}

#[test]
fn a_day_of_a_histogram_is_one_chunk_of_hours() {
    let setup = Setup::new();
    let (disk, _) = setup.open();
    let series = Series { kind: Kind::Native, ..Series::new("request_duration_seconds", 0) };
    let mut samples = Samples::default();
    for minute in 1..=1440_i64 {
        let histogram = sidelight_promql::Histogram { count: minute as f64, ..Default::default() };
        samples.points.histograms.push((START + minute * 60_000, Arc::new(histogram)));
    }
    let now = START + DAY + 3 * HOUR;
    commit(&disk, 1, now, &[series.record(&chunk::encode(&samples), b"")]).unwrap();
    tend(&disk);
    let rows = |name| {
        let reader = rusqlite::Connection::open(setup.path(name)).unwrap();
        let sql = "SELECT count(*), sum(samples) FROM chunk";
        reader.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).unwrap()
    };
    assert_eq!(rows("rollup-1h-20261119.db"), (1, 25));
    assert_eq!(rows("rollup-5m-20261120.db"), (3, 289));
}
