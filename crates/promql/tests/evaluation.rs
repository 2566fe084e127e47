//! Properties of the evaluator that hold for any samples, and its limits.

mod held;

use std::cell::Cell;
use std::sync::Arc;

use held::Held;
use proptest::prelude::*;
use sidelight_promql::ast::Type;
use sidelight_promql::functions::{FUNCTIONS, Function};
use sidelight_promql::parse::parse_with;
use sidelight_promql::source::STALE_BITS;
use sidelight_promql::{
    Each, Engine, Expr, Histogram, Labels, Options, Points, QueryError, Queryable, SampleValue,
    Selection, SourceError, Stop, Value, Warnings,
};

const MINUTE: i64 = 60_000;

fn options() -> Options<'static> {
    Options { experimental: true, delayed_name_removal: true, ..Options::default() }
}

fn expr(text: &str) -> Expr {
    let options = sidelight_promql::parse::Options { experimental: true };
    parse_with(text, options).unwrap_or_else(|error| panic!("{}", error.render(text)))
}

/// A call of `function` on `m`, or on the buckets `b`.
fn called(function: &Function) -> Option<String> {
    let histogram = function.name.starts_with("histogram_");
    let vector = if histogram { "b" } else { "m" };
    let mut texts = ["\"to\"", "\"$1\"", "\"job\"", "\"(.)\""].into_iter();
    let args: Option<Vec<&str>> = function
        .args
        .iter()
        .map(|arg| match arg {
            Type::Scalar => Some("0.5"),
            Type::Vector => Some(vector),
            Type::Matrix => Some("m[3m]"),
            Type::String => texts.next(),
        })
        .collect();
    // What these give depends on the query as a whole.
    let whole = ["end", "info", "range", "start", "step"].contains(&function.name);
    let args = args.filter(|_| !whole)?;
    Some(format!("{}({})", function.name, args.join(", ")))
}

/// Samples about every 20 s, some missing, some stale, with resets.
fn samples() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let value = prop_oneof![
        8 => (0..40_i32).prop_map(f64::from),
        1 => Just(f64::from_bits(STALE_BITS)),
        1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), any::<f64>()],
    ];
    let sample = proptest::option::weighted(0.8, (value, 0..20_000_i64));
    proptest::collection::vec(sample, 0..60).prop_map(|samples| {
        let timed = samples.into_iter().zip(0..);
        timed
            .filter_map(|(sample, at)| sample.map(|(v, jitter)| (at * 20_000 + jitter, v)))
            .collect()
    })
}

fn held() -> impl Strategy<Value = Held> {
    proptest::collection::vec(samples(), 6).prop_map(|series| {
        let labels = [
            [("__name__", "m"), ("job", "a"), ("instance", "1")],
            [("__name__", "m"), ("job", "a"), ("instance", "2")],
            [("__name__", "m"), ("job", "b"), ("instance", "1")],
            [("__name__", "b"), ("job", "a"), ("le", "1")],
            [("__name__", "b"), ("job", "a"), ("le", "5")],
            [("__name__", "b"), ("job", "a"), ("le", "+Inf")],
        ];
        let points = series.into_iter().map(|floats| Points { floats, ..Points::default() });
        Held(labels.into_iter().map(Labels::new).zip(points).collect())
    })
}

/// The floats of a step by labels; those of a number have none.
fn at(value: &Value, time: i64) -> Vec<(String, u64)> {
    let bits = |value: f64| if value.is_nan() { u64::MAX } else { value.to_bits() };
    let mut found: Vec<(String, u64)> = match value {
        Value::Scalar((_, value)) => vec![(Labels::default().to_string(), bits(*value))],
        Value::Vector(samples) => samples
            .iter()
            .filter_map(|sample| match &sample.value {
                SampleValue::Float(value) => Some((sample.labels.to_string(), bits(*value))),
                SampleValue::Histogram(_) => None,
            })
            .collect(),
        Value::Matrix(series) => series
            .iter()
            .filter_map(|series| {
                let (_, value) = series.floats.iter().find(|(t, _)| *t == time)?;
                Some((series.labels.to_string(), bits(*value)))
            })
            .collect(),
        Value::String(_) => Vec::new(),
    };
    found.sort();
    found
}

/// Asks for 20 minutes at once and step by step.
fn same_at_every_step(text: &str, held: &Held) -> Result<(), TestCaseError> {
    let expr = expr(text);
    let engine = Engine::new(options());
    let range = engine.range(&expr, 0, 20 * MINUTE, MINUTE / 2, held);
    let Ok(range) = range else {
        // Then some step fails as well.
        let steps = (0..=40).map(|step| engine.instant(&expr, step * MINUTE / 2, held));
        prop_assert!(steps.filter(Result::is_err).count() > 0, "{}", text);
        return Ok(());
    };
    for time in (0..=20 * MINUTE).step_by(30_000) {
        let instant = engine.instant(&expr, time, held);
        let instant = instant.map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        prop_assert_eq!(at(&range.value, time), at(&instant.value, time), "{} at {}", text, time);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_range_query_gives_at_each_step_what_an_instant_query_gives(held in held()) {
        for text in FUNCTIONS.iter().filter_map(called) {
            same_at_every_step(&text, &held)?;
        }
        for text in [
            "m", "m offset 1m", "m @ 300", "-m", "m + 1", "2 ^ m", "m > 10", "10 >= bool m", "m % 3 * m",
            "m + on (job, instance) m", "m * on (instance) group_left () m{job=\"b\"}", "m and m > 5",
            "m > 10 or m", "m unless m > 5", "m == bool on (job, instance) m", "vector(time()) - 5 > 3 or m",
            "sum(m)", "avg by (job) (m)", "min without (job) (m)", "max(m)", "count(m)", "group(m)",
            "stddev(m)", "stdvar by (job) (m)", "quantile(0.7, m)", "count_values(\"v\", m)",
            "topk(2, m)", "bottomk by (job) (1, m)", "limitk(1, m)", "limit_ratio(0.5, m)",
            "sum_over_time(m[4m:1m])", "max_over_time(rate(m[2m])[3m:30s] offset 1m)",
            "sum_over_time(m[2m] @ 400)", "avg_over_time(sum by (job) (m)[3m:])", "scalar(sum(m)) + 1",
        ] {
            same_at_every_step(text, &held)?;
        }
    }

    #[test]
    fn sums_over_a_partition_add_up_to_the_sum(held in held()) {
        let engine = Engine::new(options());
        let floats = |text: &str| {
            let answer = engine.range(&expr(text), 0, 20 * MINUTE, MINUTE, &held).unwrap();
            let Value::Matrix(mut series) = answer.value else { panic!("not a matrix") };
            series.pop().map(|series| series.floats).unwrap_or_default()
        };
        let bounded = "m{} > -1e9 < 1e9";
        for (whole, parts) in [
            (format!("sum({bounded})"), format!("sum(sum by (job) ({bounded}))")),
            (format!("count({bounded})"), format!("sum(count without (job) ({bounded}))")),
            (format!("max({bounded})"), format!("max(max by (instance) ({bounded}))")),
        ] {
            let (whole, parts) = (floats(&whole), floats(&parts));
            prop_assert_eq!(whole.len(), parts.len());
            for ((at, whole), (also_at, parts)) in whole.into_iter().zip(parts) {
                prop_assert_eq!(at, also_at);
                prop_assert!((whole - parts).abs() <= 1e-9 * whole.abs().max(1.0));
            }
        }
    }
}

/// One sample a minute for an hour.
fn hour(series: usize) -> Held {
    let floats: Vec<(i64, f64)> = (0..60).map(|at| (at * MINUTE, 1.0)).collect();
    let points = Points { floats, ..Points::default() };
    let labels = |at: usize| Labels::new([("__name__", "m".to_owned()), ("n", at.to_string())]);
    Held((0..series).map(|at| (labels(at), points.clone())).collect())
}

/// Counts how often it is read.
struct Counted<'a>(Held, &'a Cell<usize>);

impl Queryable for Counted<'_> {
    fn select(&self, selection: &Selection<'_>, each: Each<'_>) -> Result<Warnings, SourceError> {
        self.1.set(self.1.get() + 1);
        self.0.select(selection, each)
    }
}

/// Has lost something.
struct Damaged(Held);

impl Queryable for Damaged {
    fn select(&self, selection: &Selection<'_>, each: Each<'_>) -> Result<Warnings, SourceError> {
        self.0.select(selection, each)?;
        Ok(vec!["without one day".to_owned()])
    }
}

#[test]
fn what_a_store_has_lost_is_a_warning_of_the_answer_once() {
    let (engine, damaged) = (Engine::new(options()), Damaged(hour(2)));
    for text in ["m", "m + m", "rate(m[5m])", "max_over_time(m[10m:1m])", "timestamp(m)"] {
        let instant = engine.instant(&expr(text), 30 * MINUTE, &damaged).unwrap();
        let range = engine.range(&expr(text), 0, 60 * MINUTE, MINUTE, &damaged).unwrap();
        for answer in [instant, range] {
            let said: Vec<_> = answer.annotations.warnings().collect();
            assert_eq!(said, ["without one day"], "{text}");
        }
    }
    let answer = engine.instant(&expr("1 + 1"), 0, &damaged).unwrap();
    assert_eq!(answer.annotations.warnings().len(), 0);
}

fn failure(options: Options<'_>, text: &str, held: &Held) -> (&'static str, String) {
    match Engine::new(options).range(&expr(text), 0, 60 * MINUTE, MINUTE, held) {
        Err(error) => (error.kind(), error.to_string()),
        Ok(answer) => panic!("{answer:?}"),
    }
}

#[test]
fn a_query_holds_no_more_samples_than_allowed() {
    let too_many = "query processing would load too many samples into memory in query execution";
    let options = Options { samples_max: 1_000, ..options() };
    let engine = Engine::new(options);
    for text in ["m", "rate(m[5m])", "m + m"] {
        assert_eq!(failure(options, text, &hour(20)), ("execution", too_many.into()), "{text}");
    }
    // What comes out is little, so the steps are evaluated one part after the other.
    for text in
        ["sum(m)", "topk(2, m)", "count_values(\"n\", m)", "sum(rate(m[5m])) + 1", "scalar(sum(m))"]
    {
        let range = |engine: Engine<'_>| {
            engine.range(&expr(text), 0, 60 * MINUTE, MINUTE, &hour(20)).unwrap()
        };
        assert_eq!(range(engine), range(Engine::new(self::options())), "{text}");
    }
}

#[test]
fn labels_of_labels_do_not_grow_without_end() {
    let doubled = |times| {
        let start = "label_replace(vector(1), \"a\", \"xxxx\", \"\", \"\")".to_owned();
        (0..times).fold(start, |text, _| {
            format!("label_replace({text}, \"a\", \"$1$1\", \"a\", \"(.*)\")")
        })
    };
    let instant = |text: &str| Engine::new(options()).instant(&expr(text), 0, &Held(Vec::new()));
    assert!(instant(&doubled(12)).is_ok());
    let joined = doubled(12);
    let joined = format!("label_join({joined}, \"b\", \"\"{})", ", \"a\"".repeat(20));
    for (text, function) in [(doubled(25), "label_replace"), (joined, "label_join")] {
        let error = instant(&text).unwrap_err().to_string();
        let expected = format!("{function}() may make a label value of more than 65536 bytes");
        assert_eq!(error, expected);
    }
    // Many of those that are not too long take what samples take.
    let series = hour(20);
    let text = |of: &str| {
        let value = "x".repeat(1_000);
        format!("label_replace(m, \"a\", \"{value}$1\", \"{of}\", \"(.*)\")")
    };
    let engine = Engine::new(Options { samples_max: 1_000, ..options() });
    let error = engine.instant(&expr(&text("n")), 0, &series).unwrap_err().to_string();
    assert!(error.contains("too many samples"), "{error}");
    // What is made of the same text is there once.
    let answer = engine.instant(&expr(&text("__name__")), 0, &series).unwrap();
    let Value::Vector(samples) = answer.value else { panic!() };
    let at = |sample: &sidelight_promql::Sample| sample.labels.get("a").as_ptr();
    assert!(samples.len() == 20 && samples.iter().all(|sample| at(sample) == at(&samples[0])));
}

#[test]
fn a_name_that_goes_makes_no_two_series_of_an_aggregation_one() {
    let series = ["a", "b"].map(|kind| {
        let labels = Labels::new([("__name__", "m"), ("__type__", kind)]);
        (labels, Points { floats: vec![(0, 0.0), (MINUTE, 1.0)], ..Points::default() })
    });
    let held = Held(series.into());
    let options = Options { delayed_name_removal: false, ..options() };
    let sum = |text: &str| Engine::new(options).instant(&expr(text), MINUTE, &held);
    let error = sum("sum(rate(m[2m]))").unwrap_err().to_string();
    assert!(error.contains("same labelset"), "{error}");
    assert!(sum("sum(m)").is_ok());
}

#[test]
fn an_aggregation_of_one_metric_holds_its_groups_and_not_its_series() {
    let series = (0..1_000).map(|at| {
        let [route, pod] = [at % 5, at].map(|number| number.to_string());
        let others = ["a", "b", "c", "d", "e", "f"].map(|name| (name, "1"));
        let of = [("__name__", "m"), ("route", &*route), ("pod", &*pod)];
        let floats = vec![(0, 0.0), (MINUTE, f64::from(at))];
        (Labels::new(of.into_iter().chain(others)), Points { floats, ..Points::default() })
    });
    let held = Held(series.collect());
    for delayed_name_removal in [false, true] {
        let options = Options { samples_max: 500, delayed_name_removal, ..options() };
        let ask = |text: &str| Engine::new(options).instant(&expr(text), MINUTE, &held);
        for text in ["rate(m[2m])", "sum by (pod) (m)", "sum by (route) ({__name__=~\"m\"})"] {
            assert!(ask(text).unwrap_err().to_string().contains("too many samples"), "{text}");
        }
        for (text, expected) in [
            ("sum by (route) (m)", [99_500.0, 99_700.0, 99_900.0, 100_100.0, 100_300.0]),
            ("min without (pod) (last_over_time(m[2m]))", [0.0, 1.0, 2.0, 3.0, 4.0]),
            ("count by (route) (rate(m[2m]))", [200.0; 5]),
            ("avg by (route) (m)", [497.5, 498.5, 499.5, 500.5, 501.5]),
        ] {
            let Value::Vector(samples) = ask(text).unwrap().value else { panic!("{text}") };
            let of = |sample: &sidelight_promql::Sample| match sample.value {
                SampleValue::Float(value) => value,
                SampleValue::Histogram(_) => f64::NAN,
            };
            let values: Vec<f64> = samples.iter().map(of).collect();
            assert_eq!(values, expected, "{text}");
        }
    }
}

#[test]
fn infinity_is_clamped_by_no_number_as_go_does() {
    for (text, expected) in [
        ("clamp_min(vector(Inf), NaN)", f64::INFINITY),
        ("clamp_min(vector(1), NaN)", f64::NAN),
        ("clamp_min(vector(NaN), Inf)", f64::INFINITY),
        ("clamp_max(vector(-Inf), NaN)", f64::NEG_INFINITY),
        ("clamp_max(vector(Inf), NaN)", f64::NAN),
        ("clamp(vector(-Inf), 1, NaN)", 1.0),
        ("clamp(vector(Inf), NaN, 1)", f64::NAN),
    ] {
        let answer = Engine::new(options()).instant(&expr(text), 0, &Held(Vec::new())).unwrap();
        let Value::Vector(samples) = answer.value else { panic!("{text}") };
        let SampleValue::Float(value) = samples[0].value else { panic!("{text}") };
        assert!(value == expected || value.is_nan() && expected.is_nan(), "{text}: {value}");
    }
}

#[test]
fn what_needs_every_sample_has_no_answer_where_some_are_lost() {
    let lost = f64::from_bits(sidelight_promql::source::LOST_BITS);
    let floats = (1..=10).map(|at| (at * MINUTE, if at == 3 { lost } else { at as f64 }));
    let points = Points { floats: floats.collect(), ..Points::default() };
    let source = Held(vec![(Labels::new([("__name__", "m")]), points)]);
    let engine = Engine::new(options());
    for text in ["stddev_over_time(m[2m])", "changes(m[2m])", "quantile_over_time(0.5, m[2m])"] {
        let answer = engine.range(&expr(text), MINUTE, 10 * MINUTE, MINUTE, &source).unwrap();
        let Value::Matrix(series) = answer.value else { panic!("{text}") };
        let times: Vec<_> = series[0].floats.iter().map(|(t, _)| t / MINUTE).collect();
        assert_eq!(times, [1, 2, 5, 6, 7, 8, 9, 10], "{text}");
        let infos: Vec<_> = answer.annotations.infos().collect();
        assert!(infos.len() == 1 && infos[0].contains("only rows are kept"), "{infos:?}");
    }
}

#[test]
fn a_subquery_of_too_many_steps_is_refused_before_any_of_them_is_evaluated() {
    let too_many = "query processing would load too many samples into memory in query execution";
    for text in [
        "sum_over_time(vector(1)[1y:1s])",
        "m[100y:1ms]",
        "none[100y:1ms]",
        "vector(time())[100y:1ms]",
        "max_over_time(m[100y:1ms])",
        "max_over_time(vector(time())[100y:1ms])",
        "max_over_time(hour()[100y:1ms])",
        "max_over_time(vector(scalar(none))[100y:1ms])",
        "max_over_time(absent(none)[100y:1ms])",
        "absent_over_time(vector(time())[100y:1ms])",
        "max_over_time(timestamp(m)[100y:1ms])",
        "max_over_time(rate(m[5m])[100y:1ms])",
        "max_over_time(sum(m)[100y:1ms] offset 100y)",
        "max_over_time(m[100y:1ms] @ 1000000)",
        "max_over_time((m @ 60)[100y:1ms])",
        "max_over_time(max_over_time(m[100y:1ms])[5m:1m])",
        "max_over_time(max_over_time(m[5m:1m])[100y:1ms])",
        "max_over_time(quantile_over_time(scalar(max_over_time(vector(time())[100y:1ms])), m[5m])[5m:1m])",
        "max_over_time(m[1000000000s:1ms] @ 9223372036854775.0)",
    ] {
        let reads = Cell::new(0);
        let held = Counted(hour(1), &reads);
        let engine = Engine::new(options());
        let instant = engine.instant(&expr(text), 60 * MINUTE, &held).unwrap_err();
        assert_eq!(instant.to_string(), too_many, "{text}");
        if expr(text).value_type() != Type::Matrix {
            let range = engine.range(&expr(text), 0, 60 * MINUTE, MINUTE, &held).unwrap_err();
            assert_eq!(range.to_string(), too_many, "{text}");
        }
        assert_eq!(reads.get(), 0, "{text}");
    }
}

#[test]
fn a_native_histogram_counts_with_its_buckets() {
    let native = |count: i64| {
        let buckets = vec!["1"; 90].join(" ");
        let text = format!("{{{{count:{} sum:1 buckets:[{buckets}]}}}}", 90 + count);
        (count * MINUTE, Arc::new(text.parse::<Histogram>().unwrap()))
    };
    let histograms = (0..60).map(native).collect();
    let labels = Labels::new([("__name__", "m")]);
    let held = Held(vec![(labels, Points { histograms, ..Points::default() })]);
    let options = Options { samples_max: 5_000, ..options() };
    for text in ["m", "rate(m[5m])", "m + m"] {
        assert_eq!(failure(options, text, &held).0, "execution", "{text}");
    }
    // Without buckets it is small; one that stays from step to step is held once.
    let engine = Engine::new(options);
    for (text, step) in [("histogram_sum(m)", MINUTE), ("m @ 600", MINUTE)] {
        let answer = engine.range(&expr(text), 0, 60 * MINUTE, step, &held);
        assert!(answer.is_ok(), "{text}: {answer:?}");
    }
}

#[test]
fn a_duration_that_is_none_at_the_times_of_the_query_is_an_error() {
    for (text, message) in [
        ("m[5m:step()]", "5:11: duration must be greater than 0"),
        ("rate(m[range()])", "7:14: duration must be greater than 0"),
        ("m[1m -\n 1m]", "2:10: duration must be greater than 0"),
        ("m offset (1m / (0))", "10:17: division by zero"),
        ("m[1m % (0)]", "2:9: modulo by zero"),
        ("m offset (NaN)", "9:13: duration is NaN or infinite"),
        ("m offset max_of(1, 10 ^ 400)", "16:27: duration is NaN or infinite"),
        ("m offset (9e9 + 9e9)", "10:19: duration is out of range"),
    ] {
        let error = Engine::new(options()).instant(&expr(text), 0, &hour(1)).unwrap_err();
        assert_eq!((error.kind(), &*error.to_string()), ("bad_data", message), "{text}");
    }
    // Shorter than a millisecond: no samples, and for the step of a subquery the default.
    let at = |text: &str| {
        Engine::new(options()).instant(&expr(text), 60 * MINUTE, &hour(1)).unwrap().value
    };
    assert_eq!(at("count_over_time(m[0.0001 + 0.0001])"), Value::Vector(Vec::new()));
    assert_eq!(at("count_over_time(m[5m:0.0001 + 0.0001])"), at("count_over_time(m[5m:])"));
}

#[test]
fn a_query_ends_when_it_is_told_to() {
    let asked = Cell::new(0);
    let stop = || {
        asked.set(asked.get() + 1);
        (asked.get() > 5).then_some(Stop::Timeout)
    };
    let options = Options { stop: &stop, ..options() };
    let (kind, message) = failure(options, "sum(rate(m[5m]))", &hour(100));
    assert_eq!((kind, &*message), ("timeout", "query timed out in expression evaluation"));
    assert_eq!(asked.get(), 6);
    let options = Options { stop: &|| Some(Stop::Canceled), ..options };
    assert_eq!(failure(options, "m", &hour(1)).0, "canceled");
}

#[test]
fn the_times_of_a_query_are_checked() {
    let engine = Engine::new(options());
    let message = |start, end, step| {
        let error = engine.range(&expr("1"), start, end, step, &Held::default()).unwrap_err();
        assert!(matches!(error, QueryError::BadData(_)));
        error.to_string()
    };
    assert_eq!(message(1, 0, 1), "end timestamp must not be before start time");
    assert_eq!(
        message(0, 1, 0),
        "zero or negative query resolution step widths are not accepted. Try a positive integer"
    );
    assert_eq!(
        message(0, 11_001, 1),
        "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"
    );
    assert!(engine.range(&expr("1"), 0, 11_000, 1, &Held::default()).is_ok());
    assert!(engine.range(&expr("m[5m]"), 0, 1, 1, &Held::default()).is_err());
    assert!(engine.range(&expr("\"text\""), 0, 1, 1, &Held::default()).is_err());
}

#[test]
fn a_query_names_both_series_of_a_double_match() {
    let (kind, message) = failure(options(), "vector(1) * on () m", &hour(2));
    assert_eq!(kind, "execution");
    assert_eq!(
        message,
        "found duplicate series for the match group {} on the right hand-side of the operation: \
         [{__name__=\"m\", n=\"0\"}, {__name__=\"m\", n=\"1\"}];\
         many-to-many matching not allowed: matching labels must be unique on one side"
    );
    let (_, message) = failure(options(), "m * on () vector(1)", &hour(2));
    assert_eq!(
        message,
        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
    );
    let (_, message) = failure(options(), "m * on () group_left (n) vector(1)", &hour(2));
    assert_eq!(message, "multiple matches for labels: grouping labels must ensure unique matches");
}

#[test]
fn what_is_said_has_its_place_in_a_text_of_several_lines() {
    let text = "sum(\n  rate(m[5m])\n)";
    let infos = |options: Options<'_>| -> Vec<String> {
        let answer = Engine::new(options).instant(&expr(text), 10 * MINUTE, &hour(1)).unwrap();
        answer.annotations.infos().map(str::to_owned).collect()
    };
    let info = "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket:";
    assert_eq!(infos(Options { text, ..options() }), [format!("{info} \"m\" (2:8)")]);
    assert_eq!(infos(options()), [format!("{info} \"m\" (1:13)")]);
}

/// A counter that counts 3 every 7 s from its birth at 100 s on, and is reset to 0 at 408 s.
fn counter() -> Held {
    let born = 100_000;
    let floats = (0..100_i32).map(|nth| {
        let counted = if nth <= 43 { nth } else { nth - 44 };
        (born + 7_000 * i64::from(nth), 3.0 * f64::from(counted))
    });
    let points = Points { floats: floats.collect(), ..Points::default() };
    Held(vec![(Labels::new([("__name__", "m")]), points)])
}

#[test]
fn a_counted_increase_is_whole_from_birth_over_resets_and_adds_up() {
    let held = counter();
    let engine = Engine::new(Options { counts: true, ..options() });
    let increase = |time: i64, range: &str| -> Option<f64> {
        let answer = engine.instant(&expr(&format!("increase(m[{range}])")), time, &held).unwrap();
        let Value::Vector(samples) = answer.value else { panic!("a vector") };
        samples.first().map(|sample| match sample.value {
            SampleValue::Float(value) => value,
            SampleValue::Histogram(_) => panic!("a float"),
        })
    };
    assert_eq!(increase(99_000, "1h"), None);
    assert_eq!(increase(100_000, "1h"), None, "one sample tells of no growth");
    assert_eq!(increase(107_000, "1h"), Some(3.0));
    // At 110 s, the first window has a sample before it.
    assert_eq!(increase(112_000, "10s"), Some(3.0));
    assert_eq!(increase(120_000, "10s"), Some(3.0));
    // 98 times 3: at the reset nothing was counted.
    assert_eq!(increase(800_000, "1h"), Some(294.0));
    let minutes = (2..=14).map(|minute| increase(minute * MINUTE, "1m"));
    assert_eq!(minutes.flatten().sum::<f64>(), 294.0);
    let by_minute = expr("increase(m[1m])");
    let answer = engine.range(&by_minute, 2 * MINUTE, 14 * MINUTE, MINUTE, &held).unwrap();
    let Value::Matrix(series) = answer.value else { panic!("a matrix") };
    assert_eq!(series[0].floats.iter().map(|(_, value)| value).sum::<f64>(), 294.0);
}
