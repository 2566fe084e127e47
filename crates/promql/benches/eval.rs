//! The evaluator on what a dashboard asks most. `cargo bench -p sidelight-promql --bench eval`.
//!
//! Budget: 50 ms for `sum by (x) (rate(m[5m]))` over 1,000 series of an hour at 15 s, at 241 steps.

#[path = "../tests/held/mod.rs"]
mod held;

use divan::{Bencher, black_box};
use held::Held;
use sidelight_promql::{Engine, Labels, Points, parse};

const SERIES: usize = 1_000;
const STEP: i64 = 15_000;
const HOUR: i64 = 3_600_000;

fn main() {
    divan::main();
}

/// Counters over an hour and the five minutes before it.
fn counters() -> Held {
    let series = |at: usize| {
        let labels = [
            ("__name__", "m".to_owned()),
            ("instance", at.to_string()),
            ("x", (at % 20).to_string()),
        ];
        let times = (-HOUR / 12..=HOUR).step_by(usize::try_from(STEP).unwrap_or(1));
        let floats = times.zip(0..).map(|(time, n)| (time, f64::from(n * 7))).collect();
        (Labels::new(labels), Points { floats, ..Points::default() })
    };
    Held((0..SERIES).map(series).collect())
}

#[divan::bench(args = [
    "m",
    "sum by (x) (rate(m[5m]))",
    "sum by (x) (max_over_time(m[5m]))",
    "histogram_quantile(0.9, label_replace(m, \"le\", \"$1\", \"x\", \"(.*)\"))",
    "topk(5, m)",
    "m / on (instance) m > 0",
])]
fn range(bencher: Bencher<'_, '_>, text: &str) {
    let held = counters();
    let expr = parse(text).unwrap_or_else(|error| panic!("{}", error.render(text)));
    let engine = Engine::default();
    bencher.bench_local(|| engine.range(black_box(&expr), 0, HOUR, STEP, &held));
}
