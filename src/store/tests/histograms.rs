//! Histograms beside numbers, and the series they show as.

use super::*;

#[test]
fn numbers_and_native_histograms_of_the_same_labels_are_one_series() {
    let Fixture { store, mut writer, directory: _directory } = open(|_| {});
    let float = writer.series(&[("__name__", "a")], Kind::Float);
    let native = writer.series(&[("__name__", "a")], Kind::Native);
    assert_ne!(float, native);
    writer.append(float, T0, 1.0).unwrap();
    let histogram = Histogram {
        count: 1.0,
        sum: 2.0,
        positive: Buckets(vec![(3, 1.0)]),
        ..Histogram::default()
    };
    writer.append_native(native, T0 + 1, &histogram).unwrap();
    let found = everything(&store);
    assert_eq!(found["{__name__=\"a\"}"], [(T0, 1.0_f64.to_bits()), (T0 + 1, 2.0_f64.to_bits())]);
}

#[test]
fn a_number_under_the_name_of_a_bucket_joins_it() {
    let Fixture { store, mut writer, directory: _directory } = open(|_| {});
    let classic = writer.series(&[("__name__", "a")], Kind::Classic);
    let one = Classic { bounds: &[1.0], counts: &[1, 0], sum: Some(1.0), count: 1 };
    writer.append_classic(classic, T0, &one).unwrap();
    let float = writer.series(&[("__name__", "a_bucket"), ("le", "1")], Kind::Float);
    writer.append(float, T0 + 1, 5.0).unwrap();
    let found = select(&store, &named("a_bucket"), T0 - 1, T0 + 1);
    assert_eq!(
        found["{__name__=\"a_bucket\", le=\"1\"}"],
        [(T0, 1.0_f64.to_bits()), (T0 + 1, 5.0_f64.to_bits())]
    );
    assert_eq!(found.len(), 2);
}

#[test]
fn a_histogram_shows_as_its_virtual_series_in_labels() {
    let Fixture { store, mut writer, directory: _directory } = open(|_| {});
    let id = writer.series(&[("__name__", "h"), ("job", "j")], Kind::Classic);
    let one = Classic { bounds: &[0.5, 10.0], counts: &[1, 0, 0], sum: Some(0.1), count: 1 };
    writer.append_classic(id, T0, &one).unwrap();
    let names = |selectors: &[&[Matcher]]| {
        store.reading(&|| false).label_names(selectors, 0, i64::MAX, 10).unwrap().rows
    };
    let values =
        |name| store.reading(&|| false).label_values(name, &[], 0, i64::MAX, 10).unwrap().rows;
    assert_eq!(names(&[]), ["__name__", "job", "le"]);
    assert_eq!(names(&[&named("h_sum")]), ["__name__", "job"]);
    assert_eq!(values("__name__"), ["h_bucket", "h_count", "h_sum"]);
    assert_eq!(values("le"), ["+Inf", "0.5", "10"]);
    let buckets =
        store.reading(&|| false).series(&[&named("h_bucket")], 0, i64::MAX, 10).unwrap().rows;
    assert_eq!(buckets.len(), 3);
    assert!(
        store.reading(&|| false).series(&[&named("h")], 0, i64::MAX, 10).unwrap().rows.is_empty()
    );
    let exemplar = |value| Exemplar {
        time_ms: T0,
        value,
        labels: vec![("trace_id".into(), value.to_string())],
    };
    for value in [0.1, 0.2, 99.0] {
        writer.exemplar(id, exemplar(value));
    }
    let found = exemplars(&store, &named("h_bucket"), 0, i64::MAX);
    let found: Vec<_> = found.iter().map(|of| (of.labels.get("le"), of.exemplars.len())).collect();
    assert_eq!(found, [("0.5", 2), ("+Inf", 1)]);
}

#[test]
fn every_bucket_of_a_histogram_keeps_its_exemplars_while_there_is_room() {
    let Fixture { store, mut writer, directory: _directory } = open(|_| {});
    let bounds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
    let id = writer.series(&[("__name__", "h")], Kind::Classic);
    for minute in 0..30 {
        let time_ms = T0 + minute * 60_000;
        writer.set_now(time_ms);
        let one = Classic { bounds: &bounds, counts: &[1; 15], sum: None, count: 15 };
        writer.append_classic(id, time_ms, &one).unwrap();
        for (nth, bound) in bounds.iter().enumerate() {
            let labels = vec![("trace_id".to_owned(), format!("{minute} {nth}"))];
            let time_ms = time_ms - 30_000 + nth as i64;
            writer.exemplar(id, Exemplar { time_ms, value: bound * 0.9, labels });
        }
    }
    let found = exemplars(&store, &named("h_bucket"), 0, i64::MAX);
    let kept: Vec<_> = found.iter().map(|of| of.exemplars.len()).collect();
    assert_eq!(kept, [30; 14]);
}

#[test]
fn a_histogram_without_sums_has_no_sum_series_in_memory_or_on_disk() {
    let mut fixture = open(|_| {});
    let id = fixture.writer.series(&[("__name__", "h")], Kind::Classic);
    let other = fixture.writer.series(&[("__name__", "with")], Kind::Classic);
    for step in 0..3 {
        let one = Classic { bounds: &[1.0], counts: &[1, step], sum: None, count: 1 + step };
        fixture.writer.append_classic(id, T0 + step as i64, &one).unwrap();
        let one = Classic { sum: Some(1.0), ..one };
        fixture.writer.append_classic(other, T0 + step as i64, &one).unwrap();
    }
    fixture.writer.stale(id, T0 + 5);
    let check = |store: &Store| {
        let found =
            store.reading(&|| false).label_values("__name__", &[], 0, i64::MAX, 100).unwrap().rows;
        assert_eq!(found, ["h_bucket", "h_count", "with_bucket", "with_count", "with_sum"]);
        assert!(
            store
                .reading(&|| false)
                .series(&[&named("h_sum")], 0, i64::MAX, 100)
                .unwrap()
                .rows
                .is_empty()
        );
    };
    check(&fixture.store);
    fixture.writer.checkpoint(1).unwrap();
    fixture.restart(|_| {});
    check(&fixture.store);
    // The series leaves memory.
    fixture.writer.set_now(T0 + 4 * 3_600_000);
    fixture.writer.checkpoint(2).unwrap();
    assert_eq!(fixture.store.stats().series, 0);
    check(&fixture.store);
}

#[test]
fn a_zero_sample_after_the_state_was_lost_hides_nothing_of_what_is_on_disk() {
    let mut fixture = open(|_| {});
    let labels = [("__name__", "a")];
    let (until, step) = (T0 + 3 * 3_600_000, 15_000);
    let id = fixture.writer.series(&labels, Kind::Float);
    for t in (T0..until).step_by(step) {
        fixture.writer.set_now(t);
        fixture.writer.append(id, t, (t - T0) as f64).unwrap();
    }
    fixture.writer.checkpoint(1).unwrap();
    let nowhere = open(|_| {});
    (fixture.store, fixture.writer) = (nowhere.store, nowhere.writer);
    std::fs::remove_file(fixture.directory.path().join("state.db")).unwrap();
    let opened = fixture.restart(|_| {});
    assert_eq!((opened.journal_seq, opened.series), (None, 0));

    let Fixture { store, mut writer, .. } = fixture;
    let before = everything(&store)["{__name__=\"a\"}"].clone();
    assert!(before.len() > 500, "{}", before.len());
    writer.set_now(until);
    let id = writer.series(&labels, Kind::Float);
    // A counter that is new to the aggregator was zero some time ago.
    assert_eq!(writer.append(id, until - 50 * 60_000, 0.0), Err(Refused::OutOfOrder));
    // What the journal gives again is there already.
    let (last, bits) = *before.last().unwrap();
    assert_eq!(writer.append(id, last, f64::from_bits(bits)), Err(Refused::Duplicate));
    assert_eq!(writer.append(id, until, 7.0), Ok(()));
    let after = everything(&store)["{__name__=\"a\"}"].clone();
    assert_eq!((&after[..before.len()], after.len()), (&before[..], before.len() + 1));
    // One that was never there begins with its zero.
    let other = writer.series(&[("__name__", "b")], Kind::Float);
    assert_eq!(writer.append(other, until - 50 * 60_000, 0.0), Ok(()));
}
