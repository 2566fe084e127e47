//! Pages, read as those read them that check.

use std::convert::Infallible;
use std::sync::Arc;

use expect_test::expect;
use sidelight_promql::value::SampleValue;
use sidelight_promql::{Histogram, Labels};

use super::*;
use crate::telemetry::Escaping;
use crate::telemetry::exposition::Format;

fn sample(labels: &[(&'static str, &'static str)], value: f64) -> Sample {
    let value = SampleValue::Float(value);
    Sample { labels: Labels::new(labels.iter().copied()), time: 0, value }
}

fn native(labels: &[(&'static str, &'static str)]) -> Sample {
    let histogram = Histogram { count: 4.0, sum: 2.5, ..Histogram::default() };
    let value = SampleValue::Histogram(Arc::new(histogram));
    Sample { labels: Labels::new(labels.iter().copied()), time: 0, value }
}

fn of(kind: MetricKind) -> Metadata {
    Metadata { kind, ..Metadata::default() }
}

/// Families of one page, as they are given.
fn page(mut out: Exposition, families: &[(&str, MetricKind, &[Sample])]) -> String {
    for (name, kind, samples) in families {
        typed(name, &of(*kind), samples, &mut out);
    }
    out.finish()
}

/// All of a store's samples as `/metrics` shows them.
fn shown(format: Format, kinds: &[(&str, MetricKind)], samples: &[Sample]) -> String {
    let known = kinds.iter().map(|(name, kind)| ((*name).to_owned(), of(*kind))).collect();
    let mut out = Exposition::new(format);
    let name = |sample: &Sample| sample.labels.metric_name().to_owned();
    let mut names = BTreeMap::new();
    for sample in samples {
        *names.entry(name(sample)).or_default() += 1;
    }
    let of = |wanted: &[&str]| -> Result<Vec<_>, Infallible> {
        let is_wanted = |sample: &&Sample| wanted.contains(&sample.labels.metric_name());
        Ok(samples.iter().filter(is_wanted).cloned().collect())
    };
    assert_eq!(families(&names, &known, &mut out, of), []);
    out.finish()
}

#[test]
fn a_family_or_series_that_escaping_makes_one_with_another_is_left_out() {
    let kinds =
        [("a.b", MetricKind::Gauge), ("a_b", MetricKind::Gauge), ("h", MetricKind::Histogram)];
    let samples = [
        sample(&[("__name__", "a.b")], 1.0),
        sample(&[("__name__", "a_b")], 2.0),
        sample(&[("__name__", "h_bucket"), ("l.m", "1"), ("le", "5")], 3.0),
        sample(&[("__name__", "h_bucket"), ("l.m", "1"), ("le", "+Inf")], 3.0),
        sample(&[("__name__", "h_bucket"), ("l_m", "1"), ("le", "+Inf")], 4.0),
        sample(&[("__name__", "only.here"), ("l.m", "1")], 5.0),
    ];
    expect![[r#"
        # TYPE a_b gauge
        a_b 2
        # TYPE h histogram
        h_bucket{l_m="1",le="+Inf"} 4
        # TYPE only_here untyped
        only_here{l_m="1"} 5
    "#]]
    .assert_eq(&shown(Format::Text, &kinds, &samples));
}

#[test]
fn names_beyond_ascii_are_exposed_as_they_are_asked_for() {
    let counter = sample(&[("__name__", "http.calls_total"), ("a-b", "c")], 1.0);
    let summary = native(&[("__name__", "größe")]);
    let families: [(&str, _, &[Sample]); 2] = [
        ("http.calls_total", MetricKind::Counter, &[counter]),
        ("größe", MetricKind::Histogram, &[summary]),
    ];
    let of = |escaping| page(Exposition::new(Format::OpenMetrics).escaped(escaping), &families);
    expect![[r#"
        # TYPE http_calls counter
        http_calls_total{a_b="c"} 1
        # TYPE gr__e summary
        gr__e_count 4
        gr__e_sum 2.5
        # EOF
    "#]]
    .assert_eq(&of(Escaping::Underscores));
    expect![[r#"
        # TYPE U__http_2e_calls_ counter
        U__http_2e_calls__total{U__a_2d_b="c"} 1
        # TYPE U__gr_f6__df_e summary
        U__gr_f6__df_e_count 4
        U__gr_f6__df_e_sum 2.5
        # EOF
    "#]]
    .assert_eq(&of(Escaping::Values));
    expect![[r#"
        # TYPE "http.calls" counter
        {"http.calls_total","a-b"="c"} 1
        # TYPE "größe" summary
        {"größe_count"} 4
        {"größe_sum"} 2.5
        # EOF
    "#]]
    .assert_eq(&of(Escaping::Utf8));
}

/// A native histogram has no floats: those named as its parts are another's.
#[test]
fn a_gauge_named_as_a_part_of_a_native_histogram_gives_it_no_value() {
    let kinds = [("n", MetricKind::Histogram), ("n_count", MetricKind::Gauge)];
    let gauge = |labels: &[(&'static str, &'static str)]| sample(labels, 9.0);
    let all = [
        native(&[("__name__", "n")]),
        gauge(&[("__name__", "n_count")]),
        gauge(&[("__name__", "n_count"), ("a", "b")]),
    ];
    expect![[r#"
        # TYPE n summary
        n_count 4
        n_sum 2.5
    "#]]
    .assert_eq(&shown(Format::Text, &kinds, &all));
}

#[test]
fn a_gauge_named_as_a_part_of_a_histogram_is_left_out_while_that_is_there() {
    let kinds = [
        ("hc", MetricKind::Histogram),
        ("hc_bucket", MetricKind::Gauge),
        ("hc_count", MetricKind::Gauge),
        ("s", MetricKind::Summary),
        ("s_bucket", MetricKind::Gauge),
        ("s_count", MetricKind::Gauge),
    ];
    let gauges = [
        sample(&[("__name__", "hc_bucket"), ("le", "0.5")], 9.0),
        sample(&[("__name__", "hc_bucket"), ("le", "inf")], 9.0),
        sample(&[("__name__", "hc_bucket"), ("le", "x")], 9.0),
        // What one service sent in the place of its own histogram's count.
        sample(&[("__name__", "hc_count")], 9.0),
        sample(&[("__name__", "hc_count"), ("a", "b")], 9.0),
        sample(&[("__name__", "s_bucket")], 9.0),
    ];
    let parts = [
        sample(&[("__name__", "hc_bucket"), ("le", "1")], 1.0),
        sample(&[("__name__", "hc_bucket"), ("le", "+Inf")], 2.0),
        sample(&[("__name__", "hc_sum")], 3.0),
        sample(&[("__name__", "s"), ("quantile", "0.5")], 1.0),
        sample(&[("__name__", "s_count")], 3.0),
    ];
    let all = [&gauges[..], &parts].concat();
    expect![[r#"
        # TYPE hc histogram
        hc_bucket{le="1"} 1
        hc_bucket{le="+Inf"} 2
        hc_count 2
        hc_sum 3
        # TYPE s summary
        s{quantile="0.5"} 1
        s_count 3
        # TYPE s_bucket gauge
        s_bucket 9
    "#]]
    .assert_eq(&shown(Format::Text, &kinds, &all));
    // Without the histogram they are what they are.
    let alone = shown(Format::Text, &kinds, &gauges[3..]);
    assert!(alone.contains("# TYPE hc_count gauge\nhc_count 9\n"), "{alone}");
}

#[test]
fn negative_buckets_stand_by_bound_and_have_no_sum_in_openmetrics() {
    let bucket = |le, value| sample(&[("__name__", "d_bucket"), ("le", le)], value);
    let samples = [
        bucket("-0.5", 3.0),
        bucket("-10", 1.0),
        bucket("-5", 2.0),
        bucket("+Inf", 6.0),
        bucket("0", 4.0),
        bucket("2.5", 5.0),
        sample(&[("__name__", "d_count")], 6.0),
        sample(&[("__name__", "d_sum")], 3.5),
    ];
    let families: [(&str, _, &[Sample]); 1] = [("d", MetricKind::Histogram, &samples)];
    let text = page(Exposition::new(Format::Text), &families);
    expect![[r#"
        # TYPE d histogram
        d_bucket{le="-10"} 1
        d_bucket{le="-5"} 2
        d_bucket{le="-0.5"} 3
        d_bucket{le="0"} 4
        d_bucket{le="2.5"} 5
        d_bucket{le="+Inf"} 6
        d_count 6
        d_sum 3.5
    "#]]
    .assert_eq(&text);
    let open = text.replace("d_count 6\nd_sum 3.5\n", "# EOF\n");
    assert_eq!(page(Exposition::new(Format::OpenMetrics), &families), open);
}

#[test]
fn openmetrics_has_no_counts_and_sums_that_its_readers_refuse() {
    let kinds = [
        ("c_total", MetricKind::Counter),
        ("g", MetricKind::Gauge),
        ("nosum", MetricKind::Histogram),
        ("lost", MetricKind::Histogram),
        ("s", MetricKind::Summary),
    ];
    let samples = [
        sample(&[("__name__", "c_total"), ("a", "1")], f64::NAN),
        sample(&[("__name__", "c_total"), ("a", "2")], -5.0),
        sample(&[("__name__", "c_total"), ("a", "3")], 5.5),
        sample(&[("__name__", "g")], -5.0),
        sample(&[("__name__", "lost_bucket"), ("le", "+Inf")], 1.0),
        sample(&[("__name__", "lost_count")], 1.0),
        sample(&[("__name__", "lost_sum")], f64::NAN),
        sample(&[("__name__", "nosum_bucket"), ("le", "+Inf")], 2.0),
        sample(&[("__name__", "nosum_count")], 2.0),
        sample(&[("__name__", "s"), ("quantile", "0.5")], -1.0),
        sample(&[("__name__", "s"), ("quantile", "0.9")], f64::NAN),
        sample(&[("__name__", "s"), ("quantile", "2")], 1.0),
        sample(&[("__name__", "s_count")], 2.0),
        sample(&[("__name__", "s_sum")], -2.0),
    ];
    expect![[r#"
        # TYPE c counter
        c_total{a="3"} 5.5
        # TYPE g gauge
        g -5
        # TYPE lost histogram
        lost_bucket{le="+Inf"} 1
        # TYPE nosum histogram
        nosum_bucket{le="+Inf"} 2
        # TYPE s summary
        s{quantile="0.9"} NaN
        s_count 2
        # EOF
    "#]]
    .assert_eq(&shown(Format::OpenMetrics, &kinds, &samples));
    let text = shown(Format::Text, &kinds, &samples);
    assert_eq!(text.lines().filter(|line| !line.starts_with('#')).count(), samples.len());
}

#[test]
fn buckets_stand_by_bound_and_counters_lose_their_suffix_where_the_format_wants_it() {
    let of = |kind| Metadata { kind, help: "H.".to_owned(), unit: "s".to_owned() };
    let buckets = [
        sample(&[("__name__", "d_bucket"), ("le", "+Inf")], 3.0),
        sample(&[("__name__", "d_bucket"), ("le", "10")], 2.0),
        sample(&[("__name__", "d_bucket"), ("le", "5")], 1.0),
        sample(&[("__name__", "d_sum")], 20.5),
        sample(&[("__name__", "d_count")], 3.0),
    ];
    let total = sample(&[("__name__", "c_total"), ("a", "1")], 7.0);
    let mut out = Exposition::new(Format::OpenMetrics);
    typed("d", &of(MetricKind::Histogram), &buckets, &mut out);
    typed("c_total", &of(MetricKind::Counter), &[total], &mut out);
    expect![[r#"
        # HELP d H.
        # TYPE d histogram
        d_bucket{le="5"} 1
        d_bucket{le="10"} 2
        d_bucket{le="+Inf"} 3
        d_count 3
        d_sum 20.5
        # HELP c H.
        # TYPE c counter
        c_total{a="1"} 7
        # EOF
    "#]]
    .assert_eq(&out.finish());
}

#[test]
fn a_native_histogram_and_a_classic_one_of_a_name_are_one_histogram() {
    let samples = [
        sample(&[("__name__", "d_bucket"), ("a", "1"), ("le", "+Inf")], 1.0),
        sample(&[("__name__", "d_count"), ("a", "1")], 1.0),
        sample(&[("__name__", "d_sum"), ("a", "1")], 1.0),
        native(&[("__name__", "d"), ("a", "1")]),
        native(&[("__name__", "d"), ("a", "2")]),
    ];
    expect![[r#"
        # TYPE d histogram
        d_bucket{a="1",le="+Inf"} 1
        d_count{a="1"} 1
        d_sum{a="1"} 1
        d_bucket{a="2",le="+Inf"} 4
        d_count{a="2"} 4
        d_sum{a="2"} 2.5
    "#]]
    .assert_eq(&page(Exposition::new(Format::Text), &[("d", MetricKind::Histogram, &samples)]));
}

#[test]
fn a_quantile_that_is_no_number_costs_its_own_series_only() {
    let samples = [
        sample(&[("__name__", "s"), ("quantile", "0.5")], 1.0),
        sample(&[("__name__", "s"), ("quantile", "x")], 1.0),
        sample(&[("__name__", "s_count"), ("quantile", "x")], 1.0),
        sample(&[("__name__", "s_sum"), ("quantile", "x")], 1.0),
        sample(&[("__name__", "s_sum")], 1.0),
    ];
    expect![[r#"
        # TYPE s summary
        s{quantile="0.5"} 1
        s_sum 1
    "#]]
    .assert_eq(&page(Exposition::new(Format::Text), &[("s", MetricKind::Summary, &samples)]));
}

#[test]
fn a_family_that_cannot_be_read_hides_no_other() {
    let names = ["a", "b", "c", "d"].map(|name| (name.to_owned(), 1)).into();
    let mut out = Exposition::new(Format::Text);
    let unread = families(&names, &BTreeMap::new(), &mut out, |names| {
        if names.contains(&"b") {
            return Err("it is damaged");
        }
        let of = |name: &&str| {
            let labels = Labels::new([("__name__", (*name).to_owned())]);
            Sample { labels, time: 0, value: SampleValue::Float(1.0) }
        };
        Ok(names.iter().map(of).collect())
    });
    assert_eq!(unread, [("b".to_owned(), "it is damaged")]);
    let family = |name: &str| format!("# TYPE {name} untyped\n{name} 1\n");
    assert_eq!(out.finish(), ["a", "c", "d"].map(family).concat());
}

#[test]
fn families_are_read_some_at_once_and_a_large_one_alone() {
    let parts = |series: &[usize]| -> Vec<_> {
        series.iter().map(|&series| Parts { series, ..Parts::default() }).collect()
    };
    let read = |series: &[usize]| -> Vec<_> {
        let families = parts(series);
        at_once(&families).into_iter().map(<[_]>::len).collect()
    };
    assert_eq!(read(&[]), [0; 0]);
    assert_eq!(read(&[1; 10_000]), [4_096, 4_096, 1_808]);
    assert_eq!(read(&[4_096, 1, 50_000, 1, 4_095, 1]), [1, 1, 1, 2, 1]);
}

#[test]
fn what_ended_is_not_present() {
    let stale = f64::from_bits(sidelight_promql::source::STALE_BITS);
    let floats = |values: &[f64]| {
        let floats = (0..).zip(values.iter().copied()).collect();
        Points { floats, ..Points::default() }
    };
    let histogram = |time, sum| {
        let histograms = vec![(time, Arc::new(Histogram { sum, ..Histogram::default() }))];
        Points { histograms, ..floats(&[1.0, stale]) }
    };
    assert!(is_present(&floats(&[stale, 1.0])));
    assert!(!is_present(&floats(&[1.0, stale])));
    assert!(!is_present(&floats(&[])));
    assert!(is_present(&histogram(2, 1.0)));
    assert!(!is_present(&histogram(0, 1.0)) && !is_present(&histogram(2, stale)));
}
