//! Queries while checkpoints happen: every answer is whole.

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::store::checkpoint::Window;
use crate::store::select::Query;

const MINUTE: i64 = 60_000;
const STEP: i64 = 10 * MINUTE;

fn all_of(after: i64, until: i64) -> Window {
    let reads = Reads::Last;
    Window { after, until, step: 0, range: until - after, lookback: 0, reads }
}

/// Reads a series, which was found before `between` happened.
fn read_after(store: &Store, until: i64, between: impl FnOnce()) -> Vec<i64> {
    let mut query = Query::new(store.reading(&|| false), all_of(T0 - 1, until));
    let [found] = &query.find(&named("a")).unwrap()[..] else { panic!("not one series") };
    between();
    let (labels, _) = query.read(found).unwrap().expect("there are samples");
    assert_eq!(labels.metric_name(), "a");
    query.samples.points.floats.iter().map(|(t, _)| *t).collect()
}

#[test]
fn the_first_checkpoint_of_a_store_may_come_while_a_series_is_read() {
    let Fixture { store, mut writer, directory: _directory } = open(|_| {});
    let id = writer.series(&[("__name__", "a")], Kind::Float);
    let times: Vec<_> = (0..200).map(|nth| T0 + nth * MINUTE).collect();
    for &t in &times {
        writer.set_now(t);
        writer.append(id, t, 1.0).unwrap();
    }
    let until = T0 + 200 * MINUTE;
    assert_eq!(read_after(&store, until, || writer.checkpoint(1).unwrap()), times);
}

#[test]
fn a_series_may_leave_the_head_while_it_is_read() {
    let Fixture { store, mut writer, directory: _directory } = open(|_| {});
    let labels = [("__name__", "a"), ("host", "x")];
    let id = writer.series(&labels, Kind::Float);
    (0..9).for_each(|nth| writer.append(id, T0 + nth, 1.0).unwrap());
    let until = T0 + 9 * 3_600_000;
    let gone = read_after(&store, until, || {
        writer.set_now(T0 + 2 * 3_600_000);
        writer.checkpoint(1).unwrap();
        assert_eq!(store.stats().series, 0);
    });
    assert_eq!(gone, (0..9).map(|nth| T0 + nth).collect::<Vec<_>>());

    // And come back, under another number.
    let id = writer.series(&labels, Kind::Float);
    let back = T0 + 2 * 3_600_000;
    writer.append(id, back, 1.0).unwrap();
    let found = read_after(&store, until, || {
        writer.set_now(back + 2 * 3_600_000);
        writer.checkpoint(2).unwrap();
        let id = writer.series(&labels, Kind::Float);
        writer.append(id, back + 2 * 3_600_000, 1.0).unwrap();
    });
    assert_eq!(found.len(), 11);
    // The names of what left are still offered.
    let mut query = Query::new(store.reading(&|| false), all_of(T0 - 1, until));
    assert_eq!(query.find(&named("a")).unwrap().len(), 1);
    writer.set_now(back + 4 * 3_600_000);
    writer.checkpoint(3).unwrap();
    assert_eq!(
        store.reading(&|| false).label_values("host", &[], T0, until, 9).unwrap().rows,
        ["x"]
    );
}

#[test]
fn a_series_may_leave_the_head_while_others_are_found() {
    let Fixture { store, mut writer, directory: _directory } = open(|_| {});
    for n in 0..100 {
        let id = writer.series(&[("__name__", "a"), ("n", &n.to_string())], Kind::Float);
        writer.append(id, T0, 1.0).unwrap();
    }
    let mut found = Vec::new();
    let mut query = Query::new(store.reading(&|| false), all_of(T0 - 1, T0 + MINUTE));
    query
        .find_each(&named("a"), &mut |series| {
            if found.is_empty() {
                writer.set_now(T0 + 2 * 3_600_000);
                writer.checkpoint(1).unwrap();
                assert_eq!(store.stats().series, 0);
            }
            found.push(series.fingerprint);
            ControlFlow::Continue(())
        })
        .unwrap();
    found.sort_unstable_by_key(|of| of.0);
    found.dedup();
    assert_eq!(found.len(), 100);
}

/// What the test of all at once writes: one series for ever, and one after another for an hour each.
fn write_days(writer: &mut Writer, store: &Store, upto: &AtomicI64, rounds: i64) {
    let mut short = Vec::new();
    for nth in 1..=rounds {
        let now = T0 + nth * STEP;
        writer.set_now(now);
        let id = writer.series(&[("__name__", "long")], Kind::Float);
        writer.append(id, now, 1.0).unwrap();
        let host = (nth / 6).to_string();
        let id = writer.series(&[("__name__", "short"), ("host", &*host)], Kind::Float);
        writer.append(id, now, 1.0).unwrap();
        if !short.contains(&host) {
            short.push(host);
        }
        upto.store(nth, Ordering::Release);
        if nth % 3 == 0 {
            writer.checkpoint(nth.cast_unsigned()).unwrap();
            let _more = store.tend();
        }
    }
    upto.store(i64::MAX, Ordering::Release);
}

#[test]
fn every_answer_is_whole_while_checkpoints_happen_days_begin_and_series_leave() {
    let Fixture { store, mut writer, directory: _directory } = open(|config| {
        config.retention = std::time::Duration::from_hours(240);
    });
    const ROUNDS: i64 = 500;
    let upto = AtomicI64::new(0);
    std::thread::scope(|scope| {
        for name in ["long", "short"] {
            let (store, upto) = (&store, &upto);
            scope.spawn(move || {
                loop {
                    let there = upto.load(Ordering::Acquire);
                    let last = there.min(ROUNDS);
                    let found = select(store, &named(name), T0, T0 + last * STEP);
                    let mut times: Vec<_> = found.into_values().flatten().map(|(t, _)| t).collect();
                    times.sort_unstable();
                    let nths: Vec<_> = times.into_iter().map(|t| (t - T0) / STEP).collect();
                    assert_eq!(nths, (1..=last).collect::<Vec<_>>(), "{name}");
                    if there == i64::MAX {
                        break;
                    }
                }
            });
        }
        write_days(&mut writer, &store, &upto, ROUNDS);
    });
}
