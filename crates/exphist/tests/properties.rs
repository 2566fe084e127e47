//! Properties against a naive model: the sorted values themselves.

use proptest::prelude::*;
use sidelight_exphist::{Histogram, MAX_BUCKETS, MAX_SCALE, Parts, PartsError, lower_bound};

/// Values over many shapes: any finite float, durations of two modes, a heavy tail, whole numbers.
fn value() -> impl Strategy<Value = f64> {
    let normal = (-6.0..6.0_f64, -6.0..6.0_f64).prop_map(|(a, b)| (a + b) / 2.0);
    prop_oneof![
        any::<f64>().prop_filter("finite", |v| v.is_finite()),
        normal.prop_map(f64::exp),
        (1e-9..1.0_f64).prop_map(|u| u.powf(-1.0 / 1.2)),
        prop_oneof![1e-3..2e-3_f64, 0.5..0.8_f64],
        (0..100_000_u64).prop_map(|n| n as f64),
        Just(0.0),
    ]
}

fn values() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(value(), 0..120)
}

fn positive_values() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(value().prop_map(|v| v.abs().max(1e-300)), 1..300)
}

fn recorded(values: &[f64], max_buckets: u32) -> Histogram {
    let mut histogram = Histogram::new(MAX_SCALE, max_buckets);
    for &value in values {
        assert!(histogram.record(value));
    }
    histogram
}

/// All but the sum, which depends on the order of additions.
fn same(a: &Histogram, b: &Histogram) -> bool {
    let key = |h: &Histogram| {
        let of = |(first, counts): (i32, &[u64])| {
            counts.iter().zip(i64::from(first)..).map(|(&n, i)| (i, n)).collect::<Vec<_>>()
        };
        (h.scale(), h.count(), h.zero_count(), h.min(), h.max(), of(h.positive()), of(h.negative()))
    };
    key(a) == key(b)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_quantile_is_within_the_stated_error_of_the_exact_one(
        mut values in positive_values(), q in 0.0..=1.0_f64,
    ) {
        let histogram = recorded(&values, MAX_BUCKETS);
        values.sort_by(f64::total_cmp);
        let rank = ((q * values.len() as f64).ceil() as usize).max(1);
        let exact = values[rank - 1];
        let estimate = histogram.quantile(q).unwrap();
        let bound = histogram.relative_error() * 1.000_001;
        prop_assert!((estimate - exact).abs() <= bound * exact, "{estimate} for {exact}");
    }

    #[test]
    fn nothing_is_lost_and_the_buckets_stay_bounded(values in values(), max in 4..200_u32) {
        let histogram = recorded(&values, max);
        prop_assert_eq!(histogram.count(), values.len() as u64);
        let sides = [histogram.positive().1, histogram.negative().1];
        let total: u64 = sides.into_iter().flatten().sum();
        prop_assert_eq!(total + histogram.zero_count(), histogram.count());
        prop_assert!(sides.iter().all(|side| side.len() <= max as usize));
        let exact = values.iter().copied().reduce(f64::min);
        prop_assert_eq!(histogram.min(), exact);
    }

    #[test]
    fn merging_equals_recording_everything_in_one(a in values(), b in values(), max in 4..200_u32) {
        let (x, y) = (recorded(&a, max), recorded(&b, max));
        let (mut xy, mut yx) = (x.clone(), y.clone());
        xy.merge(&y);
        yx.merge(&x);
        let together = recorded(&[a, b].concat(), max);
        prop_assert!(same(&xy, &together), "{xy:?} != {together:?}");
        prop_assert!(same(&xy, &yx));
    }

    #[test]
    fn merging_is_associative(a in values(), b in values(), c in values(), max in 4..60_u32) {
        let [x, y, z] = [a, b, c].map(|values| recorded(&values, max));
        let mut left = x.clone();
        left.merge(&y);
        left.merge(&z);
        let mut right = y;
        right.merge(&z);
        let mut whole = x;
        whole.merge(&right);
        prop_assert!(same(&left, &whole));
    }

    #[test]
    fn downscaling_a_merge_equals_merging_the_downscaled(
        a in values(), b in values(), by in 0..19_u32,
    ) {
        let (x, y) = (recorded(&a, 160), recorded(&b, 160));
        let mut merged = x.clone();
        merged.merge(&y);
        let (mut x, mut y) = (x, y);
        x.downscale(by);
        y.downscale(by);
        x.merge(&y);
        let lower = merged.scale() - x.scale();
        if lower >= 0 {
            merged.downscale(lower as u32);
            prop_assert!(same(&merged, &x));
        } else {
            // The merge needed less resolution than both were brought down to.
            x.downscale(lower.unsigned_abs());
            prop_assert!(same(&merged, &x));
        }
    }

    #[test]
    fn a_weight_counts_as_that_many_equal_values(values in values(), n in 0..50_u64) {
        let mut weighted = Histogram::default();
        let mut repeated = Histogram::default();
        for &value in &values {
            weighted.record_n(value, n);
            for _ in 0..n {
                repeated.record(value);
            }
        }
        prop_assert!(same(&weighted, &repeated));
    }

    #[test]
    fn whole_numbers_are_counted_like_their_floats(values in prop::collection::vec(any::<u64>(), 0..100)) {
        let (mut whole, mut float) = (Histogram::default(), Histogram::default());
        for value in values.into_iter().map(|v| v >> (v % 64)) {
            whole.record_u64(value & ((1 << 53) - 1));
            float.record((value & ((1 << 53) - 1)) as f64);
        }
        prop_assert_eq!(whole, float);
    }

    #[test]
    fn counts_up_to_a_power_of_two_are_exact(values in positive_values(), exponent in -30..30_i32) {
        let mut histogram = Histogram::new(3, 4096);
        for &value in &values {
            histogram.record(value);
        }
        if histogram.scale() >= 0 {
            let bound = 2_f64.powi(exponent);
            let exact = values.iter().filter(|&&value| value <= bound).count() as u64;
            prop_assert_eq!(histogram.count_to(bound), exact);
        }
    }

    #[test]
    fn a_point_survives_the_way_to_otlp_and_back(values in values(), max in 4..200_u32) {
        let histogram = recorded(&values, max);
        let back = Histogram::from_parts(&histogram.to_parts(), max).unwrap();
        prop_assert_eq!(&back, &histogram);
    }

    #[test]
    fn a_histogram_survives_the_way_to_bytes_and_back(
        values in values(), max in 4..400_u32, zero in prop_oneof![Just(0.0), 1e-6..10.0_f64],
        rest in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        let mut histogram = Histogram::new(MAX_SCALE, max);
        histogram.widen_zero(zero);
        histogram.merge(&recorded(&values, max));
        let mut bytes = Vec::new();
        histogram.encode(&mut bytes);
        bytes.extend(&rest);
        let mut left = &bytes[..];
        prop_assert_eq!(Histogram::decode(&mut left), Ok(histogram));
        prop_assert_eq!(left, &rest[..]);
    }

    #[test]
    fn hostile_bytes_are_an_error_or_encode_to_themselves(
        values in values(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut bytes = Vec::new();
        recorded(&values, 160).encode(&mut bytes);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if cut {
            bytes.truncate(at);
        }
        let mut left = &bytes[..];
        if let Ok(histogram) = Histogram::decode(&mut left) {
            let mut again = Vec::new();
            histogram.encode(&mut again);
            prop_assert_eq!(&again[..], &bytes[..bytes.len() - left.len()]);
            let _ = histogram.quantile(0.5);
        }
    }

    #[test]
    fn random_bytes_are_an_error_or_a_histogram(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let with_version = [&[1], &bytes[..]].concat();
        for mut bytes in [&bytes[..], &with_version] {
            if let Ok(histogram) = Histogram::decode(&mut bytes) {
                let _ = (histogram.quantile(0.9), histogram.to_parts());
            }
        }
    }

    #[test]
    fn odd_extremes_of_a_point_do_not_break_its_quantiles(
        min in prop::option::of(any::<f64>()), max in prop::option::of(any::<f64>()), q in 0.0..=1.0_f64,
    ) {
        let parts = Parts {
            scale: 0, zero_count: 1, zero_threshold: 0.0, positive: (0, &[3, 1]), negative: (0, &[]),
            count: 5, sum: None, min, max,
        };
        prop_assert!(Histogram::from_parts(&parts, 160).unwrap().quantile(q).is_some());
    }

    #[test]
    fn any_point_is_taken_bounded_or_refused(
        scale in -12..22_i32,
        first in any::<i32>(),
        counts in prop::collection::vec(0..5_u64, 0..400),
        zero_count in 0..3_u64,
    ) {
        let count = counts.iter().sum::<u64>() + zero_count;
        let side = (first >> (scale.clamp(0, 20) / 2), &counts[..]);
        let parts = Parts {
            scale, zero_count, zero_threshold: 0.0, positive: side, negative: (0, &[]),
            count, sum: None, min: None, max: None,
        };
        if let Ok(histogram) = Histogram::from_parts(&parts, 160) {
            prop_assert_eq!(histogram.count(), count);
            prop_assert!(histogram.positive().1.len() <= 160);
            if count > 0 {
                let (min, max) = (histogram.min().unwrap(), histogram.max().unwrap());
                prop_assert!(min <= max);
                let median = histogram.quantile(0.5).unwrap();
                prop_assert!((min..=max).contains(&median), "{} {} {}", min, median, max);
            }
        }
    }

    #[test]
    fn the_wider_zero_bucket_takes_what_lies_within_it(values in positive_values(), t in 1e-6..1e3_f64) {
        let narrow = recorded(&values, 160);
        let mut wide = Histogram::default();
        wide.widen_zero(t);
        wide.merge(&narrow);
        prop_assert_eq!(wide.count(), narrow.count());
        prop_assert!(wide.zero_threshold() >= t);
        let within = values.iter().filter(|&&v| v <= wide.zero_threshold()).count() as u64;
        prop_assert_eq!(wide.zero_count(), within);
    }
}

#[test]
fn what_is_not_finite_is_not_counted() {
    let mut histogram = Histogram::default();
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(!histogram.record(odd));
    }
    assert_eq!((histogram.count(), histogram.quantile(0.5), histogram.min()), (0, None, None));
}

#[test]
fn the_extremes_of_floats_fit_in_the_fewest_buckets() {
    let mut histogram = Histogram::new(MAX_SCALE, 0);
    for value in [f64::MAX, f64::from_bits(1), -f64::MAX, -f64::from_bits(1), 1.0, 0.0] {
        assert!(histogram.record(value));
    }
    assert_eq!(histogram.count(), 6);
    assert!(histogram.positive().1.len() <= 4, "{histogram:?}");
    assert_eq!(histogram.quantile(1.0), Some(f64::MAX));
    assert_eq!(histogram.quantile(0.0), Some(-f64::MAX));
}

#[test]
fn contradicting_points_are_refused_by_name() {
    let good = Parts {
        scale: 0,
        zero_count: 1,
        zero_threshold: 0.0,
        positive: (-2, &[0, 3, 0]),
        negative: (0, &[]),
        count: 4,
        sum: Some(2.0),
        min: None,
        max: None,
    };
    assert!(Histogram::from_parts(&good, 160).is_ok());
    for (bad, expected) in [
        (Parts { scale: 21, ..good }, PartsError::Scale),
        (Parts { scale: -11, ..good }, PartsError::Scale),
        (Parts { count: 5, ..good }, PartsError::Count),
        (Parts { positive: (0, &[u64::MAX, 1]), ..good }, PartsError::Count),
        (Parts { positive: (1100, &[3]), ..good }, PartsError::Index),
        (Parts { positive: (-1200, &[3]), ..good }, PartsError::Index),
        (Parts { zero_threshold: -1.0, ..good }, PartsError::ZeroThreshold),
        (Parts { zero_threshold: f64::NAN, ..good }, PartsError::ZeroThreshold),
    ] {
        assert_eq!(Histogram::from_parts(&bad, 160), Err(expected), "{bad:?}");
    }
}

#[test]
fn an_estimate_lies_in_the_bucket_of_the_value() {
    let mut histogram = Histogram::new(5, 160);
    histogram.record(0.5);
    histogram.record(1.0);
    let (first, counts) = histogram.positive();
    let last = first + counts.len() as i32 - 1;
    assert_eq!(lower_bound(last + 1, histogram.scale()), 1.0);
    assert!((histogram.relative_error() - 0.010_8).abs() < 1e-4);
}

#[test]
fn a_latency_takes_60_to_200_bytes() {
    let mut histogram = Histogram::new(5, 320);
    let mut seed = 7_u64;
    for _ in 0..5_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let uniform = ((seed >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        histogram.record(0.02 / uniform.powf(0.4));
    }
    let mut bytes = Vec::new();
    histogram.encode(&mut bytes);
    assert!((60..=200).contains(&bytes.len()), "{} bytes", bytes.len());
}

#[test]
fn the_bytes_of_a_histogram_do_not_change() {
    let mut histogram = Histogram::new(0, 160);
    for value in [1.0, 1.5, 1.5, 100.0, -3.0, 0.0] {
        histogram.record(value);
    }
    let mut bytes = Vec::new();
    histogram.encode(&mut bytes);
    let floats = [101.0_f64, -3.0, 100.0].map(f64::to_le_bytes).concat();
    let heads: [&[u8]; 3] = [&[1, 0, 160, 1, 1, 2], &floats, &[2, 1, 2, 1, 2, 5, 1, 1, 1, 2, 1, 1]];
    assert_eq!(bytes, heads.concat());
}
