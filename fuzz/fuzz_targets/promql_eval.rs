//! An expression of any text over series of every nature: an answer or an error within the limits, never a panic; a range of
//! one step answers as that instant does.
#![no_main]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use sidelight_promql::ast::Duration;
use sidelight_promql::engine::{Options, Stop};
use sidelight_promql::histogram::Buckets;
use sidelight_promql::memory::Memory;
use sidelight_promql::source::STALE_BITS;
use sidelight_promql::{Answer, Engine, Expr, Histogram, Labels, QueryError, SampleValue, Value, parse};

const STEP: i64 = 15_000;
const HOUR: i64 = 3_600_000;
/// How often a query may ask whether it should go on.
const ASKED_MAX: u32 = 20_000;

static SERIES: LazyLock<Memory> = LazyLock::new(|| {
    let mut memory = Memory::default();
    let odd = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -0.0,
        1e308,
        5e-324,
        f64::from_bits(STALE_BITS),
    ];
    for nth in 0..8_usize {
        let (x, y) = ((nth % 3).to_string(), (nth % 2).to_string());
        for (name, le) in [
            ("m", ""),
            ("n_total", ""),
            ("h_bucket", ["0.1", "1", "+Inf", "x"][nth % 4]),
            ("h", ""),
        ] {
            let labels = [("__name__", name), ("le", le), ("x", &x), ("y", &y)];
            let labels = Labels::new(labels.into_iter().filter(|(_, value)| !value.is_empty()));
            for at in (0..HOUR / STEP).filter(|at| at % 17 != nth as i64) {
                let value = match (name, at % 29) {
                    ("h", of) => SampleValue::Histogram(Arc::new(histogram(nth, at, of == 0))),
                    ("m", 0) => SampleValue::Float(odd[(at as usize + nth) % odd.len()]),
                    ("m", _) => SampleValue::Float((at as f64 / 7.0).sin() * nth as f64),
                    _ => SampleValue::Float((at % 100 * (nth as i64 + 1)) as f64),
                };
                memory.insert(&labels, at * STEP, value);
            }
        }
    }
    memory
});

fn histogram(nth: usize, at: i64, custom: bool) -> Histogram {
    let of = |from: i32| {
        Buckets(
            (from..from + 4).map(|index| (index, (at + i64::from(index).abs()) as f64)).collect(),
        )
    };
    let positive = if custom { of(0) } else { of(nth as i32 - 3) };
    let count = positive.0.iter().map(|(_, count)| count).sum();
    let custom_bounds = custom.then(|| Arc::from([-1.0, 0.5, 2.0]));
    let schema = if custom { -53 } else { nth as i32 % 9 - 2 };
    Histogram { schema, count, sum: at as f64, positive, custom_bounds, ..Histogram::default() }
}

fuzz_target!(|input: &[u8]| {
    let Some((&first, text)) = input.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    let asked = Cell::new(0);
    let stop = || {
        asked.set(asked.get() + 1);
        (asked.get() > ASKED_MAX).then_some(Stop::Timeout)
    };
    let options = Options {
        samples_max: 50_000,
        steps_max: 100,
        depth: 64,
        delayed_name_removal: first & 1 != 0,
        experimental: first & 2 != 0,
        type_and_unit_labels: first & 4 != 0,
        text: &text,
        stop: &stop,
        ..Options::default()
    };
    let parsed = parse::parse_with(&text, parse::Options { experimental: options.experimental });
    let Ok(expr) = parsed else { return };
    let engine = Engine::new(options);
    let ranged = engine.range(&expr, HOUR / 2, HOUR, HOUR / 50, &*SERIES);
    if let Ok(Answer { value: Value::Matrix(series), .. }) = &ranged {
        assert!(series.is_sorted_by(|a, b| a.labels < b.labels), "{text}: series twice");
    }
    asked.set(0);
    if computes_durations(&expr) {
        return;
    }
    let instant = engine.instant(&expr, HOUR, &*SERIES);
    asked.set(0);
    let one = engine.range(&expr, HOUR, HOUR, 1, &*SERIES);
    if let (Some(instant), Some(one)) = (values(&instant), values(&one)) {
        assert_eq!(instant, one, "{text}");
    }
});

/// Whether a duration in it may depend on the step, which an instant has not.
fn computes_durations(expr: &Expr) -> bool {
    let mut found = false;
    let mut look = |duration: &Duration| found |= duration.fixed().is_none();
    expr.walk(&mut |part| match part {
        Expr::Vector(selector) => look(&selector.offset),
        Expr::Matrix(matrix) => [&matrix.range, &matrix.selector.offset].into_iter().for_each(&mut look),
        Expr::Subquery(subquery) => {
            [&subquery.range, &subquery.offset].into_iter().chain(&subquery.step).for_each(&mut look);
        }
        _ => {}
    });
    found
}

/// The values of an answer that a range can have, by series; numbers by their bits, all NaN alike.
fn values(answer: &Result<Answer, QueryError>) -> Option<BTreeMap<String, String>> {
    let number = |value: f64| {
        if value.is_nan() { "NaN".to_owned() } else { format!("{:x}", value.to_bits()) }
    };
    let histogram = |histogram: &Histogram| histogram.to_string();
    match &answer.as_ref().ok()?.value {
        Value::Scalar((_, value)) => {
            Some(BTreeMap::from([(Labels::default().to_string(), number(*value))]))
        }
        Value::String(_) => None,
        Value::Vector(samples) => Some(
            samples
                .iter()
                .map(|sample| match &sample.value {
                    SampleValue::Float(value) => (sample.labels.to_string(), number(*value)),
                    SampleValue::Histogram(of) => (sample.labels.to_string(), histogram(of)),
                })
                .collect(),
        ),
        Value::Matrix(series) => {
            let floats = series
                .iter()
                .flat_map(|of| of.floats.iter().map(|(_, v)| (of.labels.to_string(), number(*v))));
            let others = series.iter().flat_map(|of| {
                of.histograms.iter().map(|(_, h)| (of.labels.to_string(), histogram(h)))
            });
            Some(floats.chain(others).collect())
        }
    }
}
