use std::ops::ControlFlow;

use sidelight_promql::ast::Type;
use sidelight_promql::functions::FUNCTIONS;
use sidelight_promql::{
    Engine, Labels, Options, Points, Queryable, Selection, SourceError, Value, Warnings, parse_with,
};

use super::super::row::Roller;
use super::*;

const HOUR: i64 = 3_600_000;

fn roll(resolution: i64, samples: &[(i64, f64)]) -> Vec<Row> {
    let mut roller = Roller::new(resolution);
    samples.iter().for_each(|&(t, v)| roller.push(t, v));
    roller.rows().to_vec()
}

fn points(rows: &[Row], resolution: i64, reads: Reads) -> Vec<(i64, f64)> {
    let mut out = Vec::new();
    samples(rows, resolution, reads, &mut out);
    out
}

fn growth_of(points: &[(i64, f64)]) -> f64 {
    points.windows(2).map(|pair| growth(pair[0].1, pair[1].1)).sum()
}

#[test]
fn growth_over_rows_is_growth_over_samples_wherever_resets_fall() {
    let mut random = 7_u64;
    for _ in 0..300 {
        let mut value = 0.0;
        let samples: Vec<_> = (1..400)
            .map(|nth| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
                let dice = random >> 33;
                value = if dice.is_multiple_of(37) {
                    (dice % 5) as f64
                } else {
                    value + (dice % 9) as f64
                };
                (nth * 15_000, value)
            })
            .collect();
        let rows = roll(300_000, &samples);
        let points = points(&rows, 300_000, Reads::Increase);
        assert!(points.is_sorted_by(|a, b| a.0 < b.0));
        assert!((growth_of(&points) - growth_of(&samples)).abs() < 1e-9);
    }
}

#[test]
fn aggregates_over_rows_are_those_over_samples() {
    let samples: Vec<_> = (1..=240).map(|n| (n * 15_000, f64::from(n as i32 * 7 % 31))).collect();
    let rows = roll(300_000, &samples);
    let values = |reads| points(&rows, 300_000, reads).into_iter().map(|(_, v)| v);
    let all = || samples.iter().map(|(_, v)| *v);
    assert_eq!(values(Reads::Min).fold(99.0, f64::min), all().fold(99.0, f64::min));
    assert_eq!(values(Reads::Max).fold(0.0, f64::max), all().fold(0.0, f64::max));
    assert_eq!(values(Reads::Sum).sum::<f64>(), all().sum::<f64>());
    assert_eq!(values(Reads::Count).count(), 240);
    let (mean, real) = (values(Reads::Average).sum::<f64>() / 12.0, all().sum::<f64>() / 240.0);
    assert!((mean - real).abs() < 1e-9);
}

fn dense(looks: Looks, points: &[(i64, f64)]) -> Vec<(i64, f64)> {
    let mut out = Vec::new();
    densify(points, &looks, HOUR, (0, 10 * HOUR), &mut out);
    out
}

const INSTANT: Looks =
    Looks { first: HOUR / 2, step: HOUR, range: 0, lookback: 300_000, reads: Reads::Last };

#[test]
fn an_instant_selector_sees_the_last_known_value_at_each_evaluation() {
    let points = [(HOUR - 5, 1.0), (2 * HOUR - 9, 2.0)];
    let half = HOUR / 2;
    assert_eq!(
        dense(INSTANT, &points),
        [(HOUR + half, 1.0), (2 * HOUR + half, 2.0), (3 * HOUR + half, 2.0)]
    );
    let ended = [(HOUR - 5, 1.0), (HOUR - 4, f64::from_bits(STALE_BITS)), (5 * HOUR, 3.0)];
    assert_eq!(dense(INSTANT, &ended), [(5 * HOUR + half, 3.0), (6 * HOUR + half, 3.0)]);
}

#[test]
fn a_short_rate_over_hours_is_the_mean_rate_of_the_hour() {
    let looks = Looks { range: 300_000, step: HOUR, reads: Reads::Increase, ..INSTANT };
    // 3,600 an hour, and a start from zero in the third.
    let points = [(HOUR, 3_600.0), (2 * HOUR, 7_200.0), (3 * HOUR, 1_800.0), (4 * HOUR, 5_400.0)];
    let out = dense(looks, &points);
    assert_eq!(out.len(), 6, "{out:?}");
    for (pair, rate) in out.chunks(2).zip([1.0, 0.5, 1.0]) {
        assert_eq!(pair[1].0 - pair[0].0, 150_000);
        assert!((growth(pair[0].1, pair[1].1) / 150.0 - rate).abs() < 1e-9, "{pair:?}");
    }
}

#[test]
fn windows_that_overlap_share_points_and_each_holds_two() {
    for (step, range) in [(60_000, 300_000), (300_000, 300_000), (HOUR, 300_000), (7, 30)] {
        let looks = Looks { first: HOUR, step, range, lookback: 0, reads: Reads::Increase };
        let span = (HOUR - range, 2 * HOUR.min(HOUR + 100 * step));
        let times: Vec<_> = looks.times(span, looks.spacing()).collect();
        assert!(times.is_sorted_by(|a, b| a < b), "{step} {range}");
        for nth in 0..20 {
            let t = HOUR + nth * step;
            let inside = times.iter().filter(|&&at| at > t - range && at <= t).count();
            assert!(t > *times.last().unwrap() || inside == 2, "{step} {range} {inside}");
        }
    }
}

#[test]
fn a_sum_over_a_part_of_a_row_is_that_part() {
    let looks = Looks { range: HOUR / 4, step: 0, reads: Reads::Sum, ..INSTANT };
    assert_eq!(dense(looks, &[(HOUR, 100.0)]), [(HOUR / 2, 25.0)]);
    let looks = Looks { first: HOUR + HOUR / 8, ..looks };
    let found = dense(looks, &[(HOUR, 100.0), (2 * HOUR, 50.0)]);
    assert_eq!(found, [(HOUR + HOUR / 8, 12.5 + 6.25)], "half of each");
}

/// One series, all of its samples or rows of them.
struct Source {
    samples: Vec<(i64, f64)>,
    rows: Option<Vec<Row>>,
}

impl Queryable for Source {
    fn select(
        &self,
        selection: &Selection<'_>,
        each: &mut dyn FnMut(&Labels, &Points) -> ControlFlow<()>,
    ) -> Result<Warnings, SourceError> {
        let Selection { after, until, step, range, lookback, reads, .. } = *selection;
        let mut points = Points::default();
        let inside = |&(t, _): &(i64, f64)| t > after && t <= until;
        if let Some(rows) = &self.rows {
            let first = after + range + lookback;
            let looks = Looks { first, step, range, lookback, reads };
            let near = |row: &&Row| row.at > after - 2 * HOUR && row.at <= until + 2 * HOUR;
            let rows: Vec<_> = rows.iter().filter(near).copied().collect();
            let mut kept = Vec::new();
            samples(&rows, HOUR, reads, &mut kept);
            if looks.finds(HOUR) {
                points.floats.extend(kept.into_iter().filter(inside));
            } else {
                densify(&kept, &looks, HOUR, (after, until), &mut points.floats);
            }
        } else {
            points.floats.extend(self.samples.iter().copied().filter(inside));
        }
        if !points.floats.is_empty() {
            let _ = each(&Labels::default(), &points);
        }
        Ok(Vec::new())
    }
}

/// The values of a query each `step` in `(from, until]`, and what is said of it.
fn ask(
    source: &Source,
    text: &str,
    (from, until): (i64, i64),
    step: i64,
) -> (Vec<(i64, f64)>, String) {
    let experimental = sidelight_promql::parse::Options { experimental: true };
    let expr = parse_with(text, experimental).unwrap();
    let options = Options { experimental: true, ..Options::default() };
    let answer = Engine { options }.range(&expr, from + step, until, step, source).unwrap();
    let Value::Matrix(series) = answer.value else { panic!("{text}") };
    let values = series.first().map(|series| series.floats.clone()).unwrap_or_default();
    (values, answer.annotations.infos().collect())
}

/// A sample each minute for a day.
fn day(value: impl Fn(i32) -> f64) -> [Source; 2] {
    let samples: Vec<_> =
        (1..=1_440).map(|minute| (i64::from(minute) * 60_000, value(minute))).collect();
    let rows = Some(roll(HOUR, &samples));
    [Source { samples: samples.clone(), rows: None }, Source { samples, rows }]
}

/// What answers over rows are off by at most: of a gauge between 0 and 9 ten times an hour, and of something that grows
/// by 2 a minute. `R` is the range. None: it cannot be known, which is said.
const OFF_BY: [(&str, bool, Option<f64>); 28] = [
    ("absent_over_time(x[R])", false, Some(0.0)),
    ("avg_over_time(x[R])", false, Some(1.5 + 1e-9)),
    ("changes(x[R])", false, None),
    ("count_over_time(x[R])", false, Some(1.0)),
    ("delta(x[R])", true, Some(1e-6)),
    ("deriv(x[R]) * 60", true, Some(1e-6)),
    ("double_exponential_smoothing(x[R], 0.5, 0.5)", true, None),
    ("first_over_time(x[R])", true, Some(124.0)),
    ("idelta(x[R])", true, None),
    ("increase(x[R])", true, Some(1e-6)),
    ("irate(x[R]) * 60", true, Some(1e-6)),
    ("last_over_time(x[R])", true, Some(124.0)),
    ("mad_over_time(x[R])", false, None),
    ("max_over_time(x[R])", false, Some(0.0)),
    ("min_over_time(x[R])", false, Some(0.0)),
    ("predict_linear(x[R], 3600)", true, Some(1e-6)),
    ("present_over_time(x[R])", true, Some(0.0)),
    ("quantile_over_time(0.9, x[R])", false, None),
    ("rate(x[R]) * 60", true, Some(1e-6)),
    ("resets(x[R])", false, None),
    ("stddev_over_time(x[R])", false, None),
    ("stdvar_over_time(x[R])", false, None),
    ("sum_over_time(x[R]) / count_over_time(x[R])", false, Some(4.5)),
    ("ts_of_first_over_time(x[R])", true, Some(3_600.0)),
    ("ts_of_last_over_time(x[R])", true, Some(3_600.0)),
    ("ts_of_max_over_time(x[R])", false, None),
    ("ts_of_min_over_time(x[R])", false, None),
    ("sum_over_time(x[R]) / 60", false, Some(4.5)),
];

#[test]
fn every_function_of_ranges_over_rows_is_near_that_over_samples_or_says_that_it_is_not_known() {
    let ranged = FUNCTIONS.iter().filter(|function| function.args.contains(&Type::Matrix));
    for function in ranged {
        let named = |text: &str| text.starts_with(&format!("{}(", function.name));
        assert!(OFF_BY.iter().any(|(text, ..)| named(text)), "{}", function.name);
    }
    let (gauge, grows) =
        (day(|minute| f64::from(minute % 10)), day(|minute| f64::from(minute * 2)));
    for (text, of_growth, bound) in OFF_BY {
        for (range, step) in
            ["5m", "30m", "1h", "2h", "6h"].iter().zip([HOUR, HOUR / 4, 420_000].iter().cycle())
        {
            let text = text.replace('R', range);
            let [raw, rows] = if of_growth { &grows } else { &gauge };
            let span = (8 * HOUR, 20 * HOUR);
            let ((right, _), (told, infos)) =
                (ask(raw, &text, span, *step), ask(rows, &text, span, *step));
            let Some(bound) = bound else {
                assert!(told.is_empty() && infos.contains("only rows"), "{text}: {told:?}");
                continue;
            };
            assert_eq!(told.len(), right.len(), "{text}");
            for ((t, told), (_, right)) in told.into_iter().zip(right) {
                let off = (told - right).abs();
                assert!(off <= bound, "{text} at {} min: {told}, not {right}", t / 60_000);
            }
        }
    }
}

#[test]
fn what_a_series_grew_by_in_its_first_row_counts() {
    for start in [0.0, 1e6] {
        let [raw, rows] = day(|minute| start + f64::from(minute * 6));
        let grown = |source| ask(source, "increase(x[6h])", (0, 3 * HOUR), HOUR).0;
        let (right, told) = (grown(&raw), grown(&rows));
        assert_eq!(told.len(), 3);
        for ((_, told), (_, right)) in told.into_iter().zip(right) {
            assert!((told - right).abs() < right / 20.0, "{told}, not {right}");
        }
    }
}
/// Samples of minutes 1 to 90, an end, and again from minute 125 on, past where they ended within an hour.
fn stopped_and_started() -> Vec<(i64, f64)> {
    let minute = |nth: i32| i64::from(nth) * 60_000;
    let first = (1..=90).map(|nth| (minute(nth), f64::from(nth * 10)));
    let second = (125..=720).map(|nth| (minute(nth), f64::from((nth - 124) * 60)));
    first.chain([(minute(91), f64::from_bits(STALE_BITS))]).chain(second).collect()
}

#[test]
fn a_counter_that_ended_and_began_again_in_the_next_row_counts_from_zero() {
    let samples = stopped_and_started();
    let rows = Source { samples: Vec::new(), rows: Some(roll(HOUR, &samples)) };
    let raw = Source { samples, rows: None };
    for text in ["increase(x[3h])", "increase(x[6h])"] {
        let grown = |source| ask(source, text, (2 * HOUR, 7 * HOUR), HOUR).0;
        let (right, told) = (grown(&raw), grown(&rows));
        assert_eq!(told.len(), 5, "{text}");
        for ((t, told), (_, right)) in told.into_iter().zip(right) {
            assert!((told - right).abs() < right / 20.0, "{text} {t}: {told}, not {right}");
        }
    }
}

#[test]
fn a_line_that_ended_begins_anew_in_the_next_row() {
    let points = points(&roll(HOUR, &stopped_and_started()), HOUR, Reads::Line);
    let ended = points.iter().position(|(_, value)| is_stale(*value)).unwrap();
    let (t, value) = points[ended + 1];
    assert_eq!(value, 60.0);
    assert!(t > 2 * HOUR && t < 2 * HOUR + 3 * 60_000, "{t}");
    assert!(points[ended + 2].0 < 3 * HOUR);
}

#[test]
fn a_count_that_cannot_be_takes_no_more_memory_than_ten_samples_a_second() {
    let rows = roll(HOUR, &[(HOUR - 1, 1.0), (2 * HOUR, 2.0)]);
    let many = Row { count: u32::MAX, ..rows[1] };
    assert_eq!(points(&[rows[0], many], HOUR, Reads::Count).len(), 1 + 36_001);
}

#[test]
fn a_window_holds_what_is_in_one_of_the_windows_and_nothing_else() {
    for (step, range) in [(0, 30), (7, 30), (30, 30), (100, 30)] {
        let looks = Looks { first: 1_000, step, range, lookback: 0, reads: Reads::Count };
        let ends = || (0..20).map(|nth| 1_000 + nth * step);
        for t in 900..=1_000 + 19 * step {
            let inside = ends().any(|end| t > end - range && t <= end);
            assert_eq!(looks.holds(t), inside, "{step} {range} {t}");
        }
    }
    let looks = Looks { first: 0, step: 0, range: 30, lookback: 0, reads: Reads::Count };
    assert!(!looks.holds(1) && !looks.holds(i64::MAX) && !looks.holds(i64::MIN));
}
