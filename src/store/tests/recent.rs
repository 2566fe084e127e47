//! What is asked again and again, the last minutes, is answered from memory.

use super::*;
use crate::memory::StoreBudget;

const STEP: i64 = 15_000;
const HOUR: i64 = 3_600_000;

/// Samples of `series` every 15 s, and a checkpoint every 5 minutes.
fn live(writer: &mut Writer, series: &[SeriesId], times: std::ops::Range<i64>) {
    for nth in times {
        let time = T0 + nth * STEP;
        writer.set_now(time);
        for &id in series {
            writer.append(id, time, nth as f64).unwrap();
        }
        if nth % 20 == 19 {
            writer.checkpoint(nth.unsigned_abs()).unwrap();
        }
    }
}

/// Makes every file of samples unreadable; what they were.
fn break_days(fixture: &Fixture) -> usize {
    let entries = std::fs::read_dir(fixture.directory.path()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let days = paths.filter(|path| path.to_string_lossy().contains("metrics-2023"));
    days.map(|path| std::fs::write(path, "no SQLite file").unwrap()).count()
}

#[test]
fn the_last_minutes_are_read_without_a_file_whenever_a_chunk_was_sealed() {
    for samples in [121, 139, 140, 141, 160, 241] {
        let mut fixture = open(|_| {});
        let ids: Vec<_> = ["a", "b"]
            .map(|host| fixture.writer.series(&[("__name__", "up"), ("host", host)], Kind::Float))
            .to_vec();
        live(&mut fixture.writer, &ids, 0..samples);
        let now = T0 + (samples - 1) * STEP;
        let whole = select(&fixture.store, &named("up"), now - HOUR, now);
        assert!(whole.values().all(|points| points.len() == samples.min(240) as usize));
        assert_eq!(break_days(&fixture) > 0, samples >= 140);
        let last = select(&fixture.store, &named("up"), now - 5 * 60_000, now);
        assert!(last.len() == 2 && last.values().all(|points| points.len() == 20), "{samples}");
    }
}

#[test]
fn what_is_kept_of_chunks_on_disk_is_bounded_and_goes() {
    let mut fixture = open(|_| {});
    let ids: Vec<_> = (0..50)
        .map(|nth: i32| {
            let labels = [("__name__", "up"), ("host", &*nth.to_string())];
            fixture.writer.series(&labels, Kind::Float)
        })
        .collect();
    let chunks = |store: &Store| store.stats().chunks;
    live(&mut fixture.writer, &ids, 0..140);
    assert_eq!(chunks(&fixture.store), 100);
    // The open chunk is ten minutes old.
    live(&mut fixture.writer, &ids, 140..180);
    assert_eq!(chunks(&fixture.store), 50);

    let none = StoreBudget { open_chunks: 1, ..StoreBudget::default() };
    let mut fixture = open(|config| config.memory = none);
    let id = fixture.writer.series(&[("__name__", "up")], Kind::Float);
    live(&mut fixture.writer, &[id], 0..140);
    assert_eq!(chunks(&fixture.store), 0);
    let now = T0 + 139 * STEP;
    assert_eq!(
        select(&fixture.store, &named("up"), now - HOUR, now)["{__name__=\"up\"}"].len(),
        140
    );
}

#[test]
fn a_series_that_left_is_found_by_every_window_that_has_its_samples() {
    let mut fixture = open(|_| {});
    let gone = fixture.writer.series(&[("__name__", "up"), ("host", "gone")], Kind::Float);
    fixture.writer.append(gone, T0, 1.0).unwrap();
    let stays = fixture.writer.series(&[("__name__", "up"), ("host", "stays")], Kind::Float);
    live(&mut fixture.writer, &[stays], 1..400);
    let now = T0 + 399 * STEP;
    let found = |store: &Store, after| select(store, &named("up"), after, now).len();
    let both = |fixture: &Fixture| {
        assert_eq!(fixture.store.stats().series, 1);
        assert_eq!(found(&fixture.store, T0 - 1), 2);
        assert_eq!(found(&fixture.store, T0), 1);
    };
    both(&fixture);
    let opened = fixture.restart(|_| {});
    assert_eq!(opened.series, 1);
    both(&fixture);
    // Without the state nothing is known of what left.
    let state = fixture.directory.path().join("state.db");
    drop(fixture.restart(|config| config.directory = config.directory.join("elsewhere")));
    std::fs::write(state, "no SQLite file").unwrap();
    fixture.restart(|_| {});
    assert_eq!(fixture.store.stats().series, 0);
    assert_eq!((found(&fixture.store, T0 - 1), found(&fixture.store, T0)), (2, 1));
}

/// Names that are looked up, in memory and in files, give what a pattern gives that is tried on every name.
#[test]
fn series_by_names_are_those_that_the_names_match() {
    let mut fixture = open(|_| {});
    let writer = &mut fixture.writer;
    let one = Classic { bounds: &[1.0], counts: &[1, 0], sum: Some(1.0), count: 1 };
    let mut stays = Vec::new();
    for host in ["gone", "stays"] {
        for name in ["a", "a_sum", "b_count", "c.d", "other"] {
            let number = writer.series(&[("__name__", name), ("host", host)], Kind::Float);
            let classic = writer.series(&[("__name__", name), ("host", host)], Kind::Classic);
            writer.append(number, T0, 1.0).unwrap();
            writer.append_classic(classic, T0, &one).unwrap();
            stays.extend([number].into_iter().filter(|_| host == "stays"));
        }
    }
    let compare = |fixture: &Fixture| {
        for (names, count) in [
            (&["a"][..], 2),
            (&["a", "none"], 2),
            (&["a_bucket"], 4),
            // Of what is stored as `a`, as a bucket of which a number is stored, and that number.
            (&["a", "a_count", "a_sum"], 6),
            (&["b_count", "b_count_sum", "c.d_bucket"], 8),
            (&["c|d", "cxd"], 0),
        ] {
            let names_pattern = names.join("|").replace('.', "[.]").replace("c|d", "c[|]d");
            let tried = format!("(?:{names_pattern})");
            let tried = [matcher("__name__", MatchOp::Regex, &tried)];
            assert!(tried[0].named().is_none());
            let all = |matchers: &[Matcher]| select(&fixture.store, matchers, T0 - 1, T0);
            let named = all(&[Matcher::one_of("__name__", names)]);
            assert_eq!(named, all(&tried), "{names:?}");
            assert_eq!(named.len(), count, "{names:?}");
        }
    };
    let conditions = |fixture: &Fixture| {
        let of = |op, names| matcher("__name__", op, names);
        for (conditions, same, count) in [
            (&[of(MatchOp::NotEqual, "a"), of(MatchOp::Regex, "a|a_sum")][..], "(?:a_sum)", 2),
            (&[of(MatchOp::Regex, "a|b|c"), of(MatchOp::Equal, "a")], "(?:a)", 2),
            (&[of(MatchOp::NotRegex, "|a")], "a_.*|b.*|c.*|other.*", 46),
            (&[of(MatchOp::Regex, "a|")], "(?:a)", 2),
        ] {
            let found = select(&fixture.store, conditions, T0 - 1, T0);
            let tried = [matcher("__name__", MatchOp::Regex, same)];
            assert_eq!(found, select(&fixture.store, &tried, T0 - 1, T0), "{conditions:?}");
            assert_eq!(found.len(), count, "{conditions:?}");
        }
    };
    let compare = |fixture: &Fixture| {
        compare(fixture);
        conditions(fixture);
    };
    compare(&fixture);
    live(&mut fixture.writer, &stays, 1..400);
    assert_eq!(fixture.store.stats().series, 5, "the others left");
    compare(&fixture);
    fixture.restart(|_| {});
    compare(&fixture);
}

#[test]
fn labels_are_kept_for_queries_as_long_as_one_asks_and_there_is_room() {
    const SERIES: usize = 50;
    let mut texts: Vec<(String, String)> =
        (0..20).map(|nth| (format!("label_{nth:02}"), "value".to_owned())).collect();
    texts.insert(0, ("__name__".to_owned(), "up".to_owned()));
    let made = |writer: &mut Writer| -> Vec<SeriesId> {
        let of = |nth: usize| {
            let nth = nth.to_string();
            let labels = texts.iter().map(|(name, value)| (&**name, &**value));
            let labels: Vec<_> = labels.chain([("nth", &*nth)]).collect();
            writer.series(&labels, Kind::Float)
        };
        (0..SERIES).map(of).collect()
    };
    let kept = |fixture: &Fixture| fixture.store.shared.head().shared_bytes();
    let ask = |fixture: &Fixture| {
        assert_eq!(select(&fixture.store, &named("up"), T0 - STEP, T0 + HOUR).len(), SERIES);
    };
    let mut fixture = open(|_| {});
    let ids = made(&mut fixture.writer);
    live(&mut fixture.writer, &ids, 0..1);
    assert_eq!(kept(&fixture), 0);
    ask(&fixture);
    let all = kept(&fixture);
    assert!(all >= SERIES * 22 * size_of::<[&str; 2]>());
    ask(&fixture);
    assert_eq!(kept(&fixture), all);
    live(&mut fixture.writer, &ids, 1..20);
    assert_eq!(kept(&fixture), all, "one asked since the last checkpoint");
    live(&mut fixture.writer, &ids, 20..40);
    assert_eq!(kept(&fixture), 0, "none did");

    let small = StoreBudget { series: 64 << 10, ..StoreBudget::default() };
    let mut fixture = open(|config| config.memory = small);
    let ids = made(&mut fixture.writer);
    live(&mut fixture.writer, &ids, 0..1);
    ask(&fixture);
    ask(&fixture);
    assert!((1..all.min(small.series / 4)).contains(&kept(&fixture)));
}
