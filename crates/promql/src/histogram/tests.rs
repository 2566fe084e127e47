use proptest::prelude::*;
use sidelight_exphist::Parts;

use super::*;

fn read(text: &str) -> Histogram {
    text.parse().unwrap()
}

fn near(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-12 * b.abs()
}

#[test]
fn sums_and_differences_are_those_of_prometheus() {
    for [left, right, sum, difference] in SUMS {
        let mut added = read(left);
        let said = added.add(&read(right)).unwrap();
        added.compact();
        assert_eq!(added.notation().to_string(), sum, "{left} + {right}");
        assert_eq!(said.bounds_reconciled, left.contains("custom"));
        let mut subtracted = read(left);
        subtracted.subtract(&read(right)).unwrap();
        subtracted.compact();
        subtracted.reset_hint = ResetHint::Gauge;
        assert_eq!(subtracted.notation().to_string(), difference, "{left} - {right}");
    }
}

#[test]
fn quantiles_fractions_and_variances_are_those_of_prometheus() {
    for (text, quantiles, fractions, variance) in ANSWERS {
        let histogram = read(text);
        for (q, expected) in QUANTILES.into_iter().zip(quantiles) {
            let answer = histogram.quantile(q).value;
            assert!(near(answer, expected), "{q} of {text}: {answer}, not {expected}");
        }
        for ((lower, upper), expected) in RANGES.into_iter().zip(fractions) {
            let answer = histogram.fraction(lower, upper).value;
            assert!(near(answer, expected), "{lower} to {upper} of {text}: {answer}");
        }
        assert!(near(histogram.variance(), variance), "{text}: {}", histogram.variance());
    }
}

#[test]
fn resets_are_those_that_prometheus_sees() {
    for (before, after, expected) in RESETS {
        assert_eq!(read(after).is_reset_after(&read(before)), expected, "{before} {after}");
    }
}

#[test]
fn a_hint_that_knows_is_believed() {
    let (low, high) = (read("{{count:1}}"), read("{{count:2}}"));
    let with = |hint| Histogram { reset_hint: hint, ..high.clone() };
    assert!(with(ResetHint::Reset).is_reset_after(&low));
    let fallen = Histogram { reset_hint: ResetHint::NotReset, ..low.clone() };
    assert!(!fallen.is_reset_after(&high));
    assert!(low.is_reset_after(&high));
}

#[test]
fn stored_samples_say_whether_they_continue_the_one_before() {
    let settled = |text: &str, previous: Option<&str>| {
        let mut histogram = read(text);
        histogram.settle_hint(previous.map(read).as_ref());
        histogram.reset_hint
    };
    assert_eq!(settled("{{count:2}}", None), ResetHint::Unknown);
    assert_eq!(settled("{{count:2}}", Some("{{count:1}}")), ResetHint::NotReset);
    assert_eq!(settled("{{count:1}}", Some("{{count:2}}")), ResetHint::Unknown);
    assert_eq!(settled("{{count:2 schema:1}}", Some("{{count:1}}")), ResetHint::Unknown);
    let gauge = "{{count:1 counter_reset_hint:gauge}}";
    assert_eq!(settled("{{count:2}}", Some(gauge)), ResetHint::Unknown);
    assert_eq!(settled(gauge, Some(gauge)), ResetHint::Gauge);
}

#[test]
fn exponential_and_custom_buckets_do_not_add() {
    let custom = read("{{schema:-53 custom_values:[1] buckets:[1 2] count:3}}");
    let mut exponential = read("{{buckets:[1 2] count:3}}");
    let before = exponential.clone();
    assert_eq!(exponential.add(&custom), Err(Incompatible));
    assert_eq!(exponential, before);
}

#[test]
fn contradicting_hints_are_told_and_leave_none() {
    let reset = read("{{count:1 counter_reset_hint:reset}}");
    let mut sum = read("{{count:2 counter_reset_hint:not_reset}}");
    assert!(sum.add(&reset).unwrap().reset_collision);
    assert_eq!(sum.reset_hint, ResetHint::Unknown);
}

#[test]
fn a_sum_loses_nothing_to_rounding() {
    let mut sum = Sum::new(&read("{{sum:1e100 count:1}}"));
    for text in ["{{sum:1 count:1 buckets:[1]}}", "{{sum:-1e100 count:1 buckets:[1e-20]}}"] {
        sum.add(&read(text)).unwrap();
    }
    assert_eq!(sum.total().sum, 1.0);
    assert!(!sum.overflows_with(&read("{{sum:1}}")));
}

#[test]
fn histograms_print_as_prometheus_prints_them() {
    let histogram = read(
        "{{schema:1 sum:1234567 count:7.5 z_bucket:1 z_bucket_w:0.001 buckets:[1 0 2] n_buckets:[1]}}",
    );
    assert_eq!(
        histogram.to_string(),
        "{count:7.5, sum:1.234567e+06, [-1,-0.7071067811865475):1, [-0.001,0.001]:1, \
         (0.7071067811865475,1]:1, (1.414213562373095,2]:2}"
    );
    let custom = read("{{schema:-53 sum:1 count:3 custom_values:[1 2.5] buckets:[1 0 2]}}");
    assert_eq!(custom.to_string(), "{count:3, sum:1, [-Inf,1]:1, (2.5,+Inf]:2}");
    let rules: Vec<u8> = histogram.buckets().map(|bucket| bucket.boundary_rule()).collect();
    assert_eq!(rules, [1, 3, 0, 0]);
}

#[test]
fn numbers_print_shortest() {
    let cases = [
        (100_000.0, "100000"),
        (1_000_000.0, "1e+06"),
        (123_456_789.0, "1.23456789e+08"),
        (0.0001, "0.0001"),
        (0.000_01, "1e-05"),
        (-0.0, "-0"),
        (f64::INFINITY, "+Inf"),
        (1e-128, "1e-128"),
    ];
    for (value, expected) in cases {
        assert_eq!(Shortest(value).to_string(), expected);
    }
}

#[test]
fn what_is_not_a_histogram_is_refused_with_the_reason() {
    for (text, expected) in [
        ("{{schema:9}}", "the schema is neither"),
        ("{{count:x}}", "x is not a number"),
        ("{{buckets:[1 2}}", "a list is written"),
        ("{{colour:1}}", "a histogram has no colour"),
        ("{count:1}", "a histogram is written"),
        ("{{count}}", "a value is missing"),
    ] {
        let error = text.parse::<Histogram>().unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

fn parts<'a>(scale: i32, first: i32, counts: &'a [u64]) -> Parts<'a> {
    Parts {
        scale,
        zero_count: 0,
        zero_threshold: 0.0,
        positive: (first, counts),
        negative: (0, &[]),
        count: counts.iter().sum(),
        sum: Some(1.0),
        min: None,
        max: None,
    }
}

#[test]
fn an_otlp_point_moves_by_one_index_and_down_to_schema_8() {
    let same = Histogram::from_exponential(&parts(3, -1, &[1, 2])).unwrap();
    assert_eq!(same.positive.0, [(0, 1.0), (1, 2.0)]);
    assert_eq!(same.zero_threshold, ZERO_THRESHOLD);
    let finer = Histogram::from_exponential(&parts(10, -1, &[1, 2, 3, 0, 4, 5])).unwrap();
    assert_eq!((finer.schema, &finer.positive.0[..]), (8, &[(0, 1.0), (1, 9.0), (2, 5.0)][..]));
    assert_eq!(finer.check(), Ok(()));
    for (refused, expected) in [
        (parts(-5, 0, &[1]), Refused::Scale),
        (parts(21, 0, &[1]), Refused::Scale),
        (Parts { count: 3, ..parts(0, 0, &[1]) }, Refused::Count),
        (parts(0, i32::MAX, &[1]), Refused::Index),
        (parts(20, i32::MIN, &[1]), Refused::Index),
        (Parts { zero_threshold: f64::NAN, ..parts(0, 0, &[1]) }, Refused::ZeroThreshold),
    ] {
        assert_eq!(Histogram::from_exponential(&refused), Err(expected), "{refused:?}");
    }
}

#[test]
fn a_zero_bucket_is_shown_only_if_it_holds_more_than_nothing() {
    for (count, shown) in [(2.0, 3), (0.0, 2), (-2.0, 2), (f64::NAN, 2)] {
        let mut histogram =
            read("{{count:3 z_bucket:2 z_bucket_w:0.1 buckets:[-1 0] n_buckets:[2]}}");
        histogram.zero_count = count;
        assert_eq!(histogram.buckets().count(), shown, "{count}");
        assert_eq!(histogram.to_string().contains("[-0.1,0.1]"), count != 0.0, "{count}");
    }
}

#[test]
fn explicit_bounds_become_custom_buckets() {
    let bounds: Arc<[f64]> = [1.0, 2.5].into();
    let made = Histogram::from_explicit(bounds.clone(), [1.0, 0.0, 2.0], 7.0, None).unwrap();
    assert_eq!(
        made.notation().to_string(),
        "{{schema:-53 count:3 sum:7 custom_values:[1 2.5] buckets:[1 0 2]}}"
    );
    assert_eq!(made.check(), Ok(()));
    let too_few = Histogram::from_explicit(bounds, [1.0], 7.0, None);
    assert_eq!(too_few, Err(Refused::Bounds));
    let unsorted = Histogram::from_explicit([2.0, 1.0].into(), [1.0; 3], 7.0, None);
    assert_eq!(unsorted, Err(Refused::Bounds));
}

fn any_side() -> impl Strategy<Value = Buckets> {
    prop::collection::btree_map(-40..40_i32, 0..50_u32, 0..12)
        .prop_map(|side| Buckets(side.into_iter().map(|(i, n)| (i, f64::from(n))).collect()))
}

fn exponential() -> impl Strategy<Value = Histogram> {
    exponential_with(Just(0.0))
}

fn exponential_with(zero: impl Strategy<Value = f64>) -> impl Strategy<Value = Histogram> {
    (MIN_SCHEMA..=MAX_SCHEMA, zero, 0..9_u32, any_side(), any_side()).prop_map(
        |(schema, zero_threshold, zero_count, positive, negative)| {
            let zero_count = f64::from(zero_count);
            let counts = positive.0.iter().chain(&negative.0).map(|(_, count)| count);
            let count = counts.sum::<f64>() + zero_count;
            let sum = count / 2.0;
            Histogram {
                schema,
                count,
                sum,
                zero_threshold,
                zero_count,
                positive,
                negative,
                ..Histogram::default()
            }
        },
    )
}

fn custom() -> impl Strategy<Value = Histogram> {
    let bounds = prop::collection::btree_set(1..12_i32, 0..6);
    (bounds, prop::collection::vec(0..50_u32, 7)).prop_map(|(bounds, counts)| {
        let bounds: Arc<[f64]> = bounds.into_iter().map(f64::from).collect();
        let counts: Vec<f64> = counts.into_iter().take(bounds.len() + 1).map(f64::from).collect();
        Histogram::from_explicit(bounds, counts, 1.0, None).unwrap()
    })
}

fn sum_of(histograms: &[&Histogram]) -> Histogram {
    let mut sum = Sum::new(histograms[0]);
    for histogram in &histograms[1..] {
        sum.add(histogram).unwrap();
    }
    let mut total = sum.total();
    total.compact();
    total
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn merging_is_commutative_and_associative(
        [a, b, c] in prop_oneof![
            [exponential(), exponential(), exponential()].prop_map(|all| all),
            [custom(), custom(), custom()].prop_map(|all| all),
        ],
    ) {
        let bc = sum_of(&[&b, &c]);
        let whole = sum_of(&[&a, &b, &c]);
        prop_assert!(whole.same(&sum_of(&[&c, &b, &a])));
        prop_assert!(whole.same(&sum_of(&[&a, &bc])), "{whole:?}");
        prop_assert_eq!(whole.count, a.count + b.count + c.count);
    }

    #[test]
    fn reducing_a_merge_equals_merging_the_reduced(
        mut a in exponential(), mut b in exponential(), schema in MIN_SCHEMA..=MAX_SCHEMA,
    ) {
        let mut merged = sum_of(&[&a, &b]);
        merged.reduce(schema);
        a.reduce(schema);
        b.reduce(schema);
        prop_assert!(sum_of(&[&a, &b]).same(&merged));
    }

    #[test]
    fn a_zero_bucket_takes_what_lies_within_it(
        a in exponential_with(1e-3..4.0_f64), mut b in exponential_with(1e-3..4.0_f64),
    ) {
        // Of different schemas, a bucket that straddles the threshold is counted twice, as in Prometheus.
        b.schema = a.schema;
        let clean = |mut h: Histogram| {
            let (schema, threshold) = (h.schema, h.zero_threshold);
            for side in [&mut h.positive.0, &mut h.negative.0] {
                side.retain(|&(i, _)| bound(i - 1, schema) >= threshold);
            }
            h.count = h.zero_count + h.positive.0.iter().chain(&h.negative.0).map(|b| b.1).sum::<f64>();
            h
        };
        let (a, b) = (clean(a), clean(b));
        let sum = sum_of(&[&a, &b]);
        prop_assert!(sum.zero_threshold >= a.zero_threshold.max(b.zero_threshold));
        let sides = sum.positive.0.iter().chain(&sum.negative.0).map(|b| b.1).sum::<f64>();
        prop_assert_eq!(sides + sum.zero_count, a.count + b.count);
    }

    #[test]
    fn what_was_added_can_be_subtracted(a in exponential(), b in exponential()) {
        let mut sum = a.clone();
        sum.add(&b).unwrap();
        sum.subtract(&b).unwrap();
        prop_assert!((sum.count - a.count).abs() < 1e-9);
        prop_assert!(!sum_of(&[&a, &b]).is_reset_after(&b));
    }

    #[test]
    fn a_text_reads_back(a in prop_oneof![exponential_with(1e-3..4.0_f64), custom()]) {
        let mut compact = a;
        compact.compact();
        let mut back = read(&compact.notation().to_string());
        back.compact();
        prop_assert_eq!(back, compact);
    }

    #[test]
    fn a_quantile_is_within_the_stated_error_of_the_exact_one(
        mode in 0..3_u8, seeds in prop::collection::vec((0.0001..0.9999_f64, -3.0..3.0_f64), 20..200),
        q in 0.0..=1.0_f64, scale in 0..=8_i32,
    ) {
        let mut values: Vec<f64> = seeds.into_iter().map(|(u, n)| match mode {
            0 => n.exp(),
            1 => u.powf(-1.0 / 1.2),
            _ if u < 0.5 => 0.001 * (1.0 + u),
            _ => 0.5 + u,
        }).collect();
        let mut sketch = sidelight_exphist::Histogram::new(scale, 4096);
        for &value in &values {
            sketch.record(value);
        }
        let histogram = Histogram::from_exponential(&sketch.to_parts()).unwrap();
        values.sort_by(f64::total_cmp);
        let rank = ((q * values.len() as f64).ceil() as usize).max(1);
        let exact = values[rank - 1];
        let estimate = histogram.quantile(q).value;
        // Anywhere in the bucket: a whole bucket's width, not half of it as from its middle.
        let base = 2_f64.powf(2_f64.powi(-histogram.schema)) * (1.0 + 1e-9);
        prop_assert!(estimate <= exact * base && estimate >= exact / base, "{estimate} {exact}");
    }

    #[test]
    fn nothing_hostile_panics_or_hangs(
        schema in any::<i32>(), numbers in prop::collection::vec(any::<f64>(), 6),
        indexes in prop::collection::vec((any::<i32>(), any::<f64>()), 0..8),
        bounds in prop::option::of(prop::collection::vec(any::<f64>(), 0..5)),
        other in prop_oneof![exponential_with(1e-3..4.0_f64), custom()], custom in any::<bool>(),
    ) {
        let odd = Histogram {
            schema: if custom { CUSTOM_BUCKETS } else { schema },
            count: numbers[0], sum: numbers[1], zero_threshold: numbers[2], zero_count: numbers[3],
            positive: Buckets(indexes.clone()), negative: Buckets(indexes),
            custom_bounds: bounds.map(Into::into), reset_hint: ResetHint::Unknown,
        };
        for (a, b) in [(&odd, &other), (&other, &odd), (&odd, &odd)] {
            let mut sum = a.clone();
            let _ = (sum.add(b), sum.subtract(b), a.is_reset_after(b));
            sum.compact();
        }
        let _ = (odd.quantile(numbers[4]), odd.quantile(0.4), odd.fraction(numbers[4], numbers[5]));
        let _ = (odd.variance(), odd.to_string(), odd.notation().to_string(), odd.check());
    }
}

/// Left, right, sum, difference: as Prometheus 3.15 gives them.
const SUMS: [[&str; 4]; 7] = [
    [
        "{{schema:0 sum:5 count:4 buckets:[1 2 1]}}",
        "{{schema:1 sum:3 count:3 buckets:[1 0 1 1] n_buckets:[1 1]}}",
        "{{count:7 sum:8 buckets:[2 3 2] n_buckets:[1 1]}}",
        "{{count:1 sum:2 counter_reset_hint:gauge offset:1 buckets:[1] n_buckets:[-1 -1]}}",
    ],
    [
        "{{schema:0 sum:5 count:9 z_bucket:2 z_bucket_w:0.001 buckets:[1 2 1] n_buckets:[1 1 1]}}",
        "{{schema:1 sum:3 count:8 z_bucket:4 z_bucket_w:1.2 buckets:[1 1 1 1]}}",
        "{{count:17 sum:8 z_bucket:14 z_bucket_w:2 offset:2 buckets:[2] n_offset:2 n_buckets:[1]}}",
        "{{count:1 sum:2 z_bucket_w:2 counter_reset_hint:gauge n_offset:2 n_buckets:[1]}}",
    ],
    [
        "{{schema:0 sum:5 count:9 z_bucket:2 z_bucket_w:3 buckets:[0 0 0 1 2]}}",
        "{{schema:2 sum:3 count:8 z_bucket:4 z_bucket_w:0.1 offset:3 buckets:[1 1 1 1 0 0 2] \
         n_offset:6 n_buckets:[1 1 1 1 1 1]}}",
        "{{count:17 sum:8 z_bucket:12 z_bucket_w:3.3635856610148576 offset:2 buckets:[2 3 2] n_offset:2 n_buckets:[3 3]}}",
        "{{count:1 sum:2 z_bucket:-8 z_bucket_w:3.3635856610148576 \
         counter_reset_hint:gauge offset:2 buckets:[-2 -1 2] n_offset:2 n_buckets:[-3 -3]}}",
    ],
    [
        "{{schema:-53 sum:5 count:10 custom_values:[1 2 3 5 8] buckets:[1 2 3 0 1 3]}}",
        "{{schema:-53 sum:4 count:7 custom_values:[2 3 4 8] buckets:[1 2 1 1 2]}}",
        "{{schema:-53 count:17 sum:9 custom_values:[2 3 8] buckets:[4 5 3 5]}}",
        "{{schema:-53 count:3 sum:1 custom_values:[2 3 8] counter_reset_hint:gauge buckets:[2 1 -1 1]}}",
    ],
    [
        "{{schema:-53 sum:5 count:10 custom_values:[1 2] buckets:[1 2 7]}}",
        "{{schema:-53 sum:4 count:7 custom_values:[3] buckets:[5 2]}}",
        "{{schema:-53 count:17 sum:9 custom_values:[] buckets:[17]}}",
        "{{schema:-53 count:3 sum:1 custom_values:[] counter_reset_hint:gauge buckets:[3]}}",
    ],
    [
        "{{schema:-4 sum:5 count:3 offset:-3 buckets:[1 1 1]}}",
        "{{schema:8 sum:4 count:7 offset:-700 buckets:[1 2 1 1 2]}}",
        "{{schema:-4 count:10 sum:9 offset:-3 buckets:[1 1 1 7]}}",
        "{{schema:-4 count:-4 sum:1 counter_reset_hint:gauge offset:-3 buckets:[1 1 1 -7]}}",
    ],
    [
        "{{schema:0 sum:5 count:4 buckets:[1 2 1] counter_reset_hint:gauge}}",
        "{{schema:0 sum:5 count:4 buckets:[1 2 1]}}",
        "{{count:8 sum:10 counter_reset_hint:gauge buckets:[2 4 2]}}",
        "{{counter_reset_hint:gauge}}",
    ],
];

const QUANTILES: [f64; 5] = [0.0, 0.2, 0.5, 0.9, 1.0];
const RANGES: [(f64, f64); 5] =
    [(f64::NEG_INFINITY, 0.3), (0.5, 3.0), (-1.0, 1.5), (-0.001, 0.0005), (6.0, f64::INFINITY)];
/// A histogram, its quantiles at [`QUANTILES`], its fractions in [`RANGES`], its variance.
#[expect(clippy::approx_constant, reason = "answers, not constants")]
const ANSWERS: [(&str, [f64; 5], [f64; 5], f64); 13] = [
    (
        "{{schema:0 sum:5 count:4 buckets:[1 2 1]}}",
        [0.5, 0.8705505632961241, 1.414213562373095, 3.0314331330207964, 4.0],
        [0.0, 0.896240625180289, 0.5424812503605781, 0.0, 0.0],
        0.7100243558256704,
    ),
    (
        "{{schema:0 sum:5 count:10 z_bucket:3 z_bucket_w:0.001 buckets:[1 2 1] n_buckets:[1 2]}}",
        [-2.0, -1.0, 0.00033333333333333327, 2.0000000000000004, 4.0],
        [0.6, 0.3584962500721156, 0.6169925001442312, 0.225, 0.0],
        1.6671572875253813,
    ),
    (
        "{{schema:1 sum:5 count:6 z_bucket:3 z_bucket_w:0.001 buckets:[1 0 2]}}",
        [0.0, 0.0004000000000000001, 0.7071067811865475, 1.8025009252216604, 2.0],
        [0.5, 0.5, 0.7233083338141042, 0.25, 0.0],
        0.5871929283718843,
    ),
    (
        "{{schema:1 sum:-5 count:6 z_bucket:3 z_bucket_w:0.001 n_buckets:[1 0 2]}}",
        [-2.0, -1.624504792712471, -0.001, -0.00019999999999999987, 0.0],
        [1.0, 0.0, 0.6666666666666666, 0.5, 0.0],
        0.5871929283718843,
    ),
    (
        "{{schema:0 sum:5 count:5 z_bucket:3 z_bucket_w:0.001}}",
        [-0.001, -0.0003333333333333334, -0.0006666666666666668, 0.0006666666666666668, 0.001],
        [1.0, 0.0, 1.0, 0.45, 0.0],
        0.6,
    ),
    (
        "{{schema:0 sum:NaN count:6 buckets:[1 2 1]}}",
        [2.0, 2.29739670999407, 8.0, f64::NAN, f64::NAN],
        [0.0, 0.5974937501201927, 0.3616541669070521, 0.0, 0.0],
        f64::NAN,
    ),
    (
        "{{schema:0 sum:NaN count:4 buckets:[1 2 1]}}",
        [2.0, 3.4822022531844965, 4.0, 3.0314331330207964, 4.0],
        [0.0, 0.896240625180289, 0.5424812503605781, 0.0, 0.0],
        f64::NAN,
    ),
    (
        "{{schema:-53 sum:5 count:4 custom_values:[1 2 3] buckets:[1 1 1 1]}}",
        [0.0, 0.8, 2.0, 3.0, 3.0],
        [0.075, 0.625, 0.375, 0.000125, 0.25],
        f64::INFINITY,
    ),
    (
        "{{schema:-53 sum:5 count:4 custom_values:[-1 2 3] buckets:[1 1 1 1]}}",
        [-1.0, -1.0, 2.0, 3.0, 3.0],
        [0.2875, 0.4375, 0.1875, 6.250000000002087e-05, 0.25],
        f64::INFINITY,
    ),
    (
        "{{schema:-53 sum:5 count:4 custom_values:[2] buckets:[0 4]}}",
        [2.0, 2.0, 2.0, 2.0, 2.0],
        [0.0, 0.0, 0.0, 0.0, 1.0],
        f64::INFINITY,
    ),
    (
        "{{schema:-53 sum:5 count:4 buckets:[4]}}",
        [f64::NAN, f64::INFINITY, f64::INFINITY, f64::INFINITY, f64::INFINITY],
        [0.0, 0.0, 0.0, 0.0, 1.0],
        f64::NAN,
    ),
    (
        "{{schema:0 sum:5 count:5 z_bucket:3 z_bucket_w:0.75 buckets:[2]}}",
        [0.0, 0.25, 0.625, 0.9306048591020997, 1.0],
        [0.24, 0.6, 1.0, 0.0004, 0.0],
        0.6071796769724491,
    ),
    (
        "{{schema:2 sum:50 count:2 offset:-3 buckets:[1 0 0 0 0 0 1]}}",
        [0.5, 0.5358867312681466, 1.414213562373095, 1.624504792712471, 1.6817928305074288],
        [0.0, 1.0, 0.6699250014423129, 0.0, 0.0],
        574.1512407108637,
    ),
];

/// A sample, the next one, and whether it comes after a reset.
const RESETS: [(&str, &str, bool); 12] = [
    (
        "{{schema:0 sum:5 count:4 buckets:[1 2 1]}}",
        "{{schema:1 sum:3 count:6 buckets:[1 0 1 1]}}",
        true,
    ),
    (
        "{{schema:1 sum:5 count:4 buckets:[1 2 1]}}",
        "{{schema:0 sum:3 count:6 buckets:[1 3 1]}}",
        false,
    ),
    (
        "{{schema:1 sum:5 count:4 buckets:[1 2 1]}}",
        "{{schema:0 sum:3 count:6 buckets:[1 2 1]}}",
        true,
    ),
    (
        "{{schema:0 sum:5 count:4 z_bucket:2 z_bucket_w:0.1 buckets:[1 2 1]}}",
        "{{schema:0 sum:3 count:6 z_bucket:3 z_bucket_w:1 buckets:[0 2 1]}}",
        false,
    ),
    (
        "{{schema:0 sum:5 count:4 z_bucket:2 z_bucket_w:0.1 buckets:[1 2 1]}}",
        "{{schema:0 sum:3 count:6 z_bucket:3 z_bucket_w:1.5 buckets:[0 2 1]}}",
        true,
    ),
    (
        "{{schema:0 sum:5 count:4 z_bucket:2 z_bucket_w:1.0 buckets:[0 2 1]}}",
        "{{schema:0 sum:3 count:6 z_bucket:3 z_bucket_w:0.1 buckets:[0 2 1]}}",
        true,
    ),
    (
        "{{schema:-53 sum:5 count:10 custom_values:[1 2 3 5 8] buckets:[1 2 3 0 1 3]}}",
        "{{schema:-53 sum:5 count:11 custom_values:[1 3 8] buckets:[1 5 1 4]}}",
        false,
    ),
    (
        "{{schema:-53 sum:5 count:10 custom_values:[1 2 3 5 8] buckets:[1 2 3 0 1 3]}}",
        "{{schema:-53 sum:5 count:11 custom_values:[1 3 8] buckets:[1 4 2 4]}}",
        true,
    ),
    (
        "{{schema:-53 sum:5 count:10 custom_values:[1] buckets:[1 9]}}",
        "{{schema:0 sum:5 count:11 buckets:[1 4 2 4]}}",
        true,
    ),
    (
        "{{schema:0 sum:5 count:11 buckets:[1 4 2 4]}}",
        "{{schema:-53 sum:5 count:12 custom_values:[1] buckets:[1 11]}}",
        true,
    ),
    (
        "{{schema:0 sum:5 count:4 buckets:[1 0 1] n_buckets:[1]}}",
        "{{schema:0 sum:5 count:5 buckets:[1 0 1 1]}}",
        true,
    ),
    (
        "{{schema:0 sum:5 count:4 buckets:[1 0 1 0]}}",
        "{{schema:0 sum:5 count:5 offset:0 buckets:[1 0 3]}}",
        false,
    ),
];
