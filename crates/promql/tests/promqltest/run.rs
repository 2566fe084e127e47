//! Runs a file and counts.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use sidelight_promql::engine::{Engine, Options};
use sidelight_promql::value::Sample;
use sidelight_promql::{Answer, Expr, Value, parse, parse_with};

use super::check;
use super::memory::Memory;
use super::pin::pinned;
use super::script::{self, Action, Eval, Expected, Range, When};
use sidelight_promql::notation;

/// How many queries there are and how many answered as expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: usize,
    pub(crate) total: usize,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.passed, self.total)
    }
}

/// What came of a file.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Queries of what every Prometheus has.
    pub(crate) plain: Count,
    /// Queries that read or answer with native histograms.
    pub(crate) histograms: Count,
    /// Queries with what Prometheus has behind a flag.
    pub(crate) experimental: Count,
    /// The line of each query that failed, and why.
    pub(crate) failures: Vec<(usize, String)>,
}

impl Report {
    pub(crate) fn all(&self) -> Count {
        let counts = [self.plain, self.histograms, self.experimental];
        Count {
            passed: counts.iter().map(|count| count.passed).sum(),
            total: counts.iter().map(|count| count.total).sum(),
        }
    }
}

/// Runs the file that `text` is.
pub(crate) fn run(text: &str) -> Report {
    let mut report = Report::default();
    let commands = match script::parse(text) {
        Ok(commands) => commands,
        Err((line, error)) => {
            report.failures.push((line, format!("the file cannot be read: {error}")));
            return report;
        }
    };
    let mut memory = Memory::default();
    for command in &commands {
        match &command.action {
            Action::Clear => memory.clear(),
            Action::Load(load) => memory.load(load),
            Action::Eval(eval) => {
                memory.histograms_read.set(false);
                let asked = catch_unwind(AssertUnwindSafe(|| ask(eval, &memory)));
                let outcome = asked.unwrap_or_else(|_| Err("it panicked".to_owned()));
                let count = kind(eval, &memory, &mut report);
                count.total += 1;
                match outcome {
                    Ok(()) => count.passed += 1,
                    Err(error) => {
                        report.failures.push((command.line, format!("{}\n    {error}", eval.text)));
                    }
                }
            }
        }
    }
    report
}

/// Where a query counts, once it was asked.
fn kind<'a>(eval: &Eval, memory: &Memory, report: &'a mut Report) -> &'a mut Count {
    let mut values = eval.expected.series.iter().flat_map(|line| &line.values);
    let histogram =
        |value: &Option<notation::Value>| matches!(value, Some(notation::Value::Histogram { .. }));
    if parse(&eval.text).is_err() {
        &mut report.experimental
    } else if memory.histograms_read.get() || values.any(histogram) {
        &mut report.histograms
    } else {
        &mut report.plain
    }
}

fn engine() -> Engine<'static> {
    Engine::new(Options { delayed_name_removal: true, experimental: true, ..Options::default() })
}

fn read(text: &str) -> Result<Expr, String> {
    let options = sidelight_promql::parse::Options { experimental: true };
    parse_with(text, options).map_err(|error| error.to_string())
}

fn ask(eval: &Eval, memory: &Memory) -> Result<(), String> {
    let expr = read(&eval.text)?;
    let time = match (eval.when, eval.expected.range_vector) {
        (When::Range(range), _) => return ask_range(&expr, range, &eval.expected, memory),
        (When::Instant(_), Some(range)) => range.end,
        (When::Instant(time), None) => time,
    };
    ask_instant(&expr, time, &eval.expected, memory)?;
    let Some(pinned) = pinned(&expr, time) else { return Ok(()) };
    let printed = pinned.to_string();
    let pinned = read(&printed).map_err(|error| format!("{printed}: {error}"))?;
    let times: &[i64] =
        if time == 0 { &[-1000, 0, 1000] } else { &[-10 * time, 0, time / 5, time, 10 * time] };
    for time in times {
        ask_instant(&pinned, *time, &eval.expected, memory)
            .map_err(|error| format!("{printed} at {time}: {error}"))?;
    }
    Ok(())
}

/// Whether what came of a query is already known to be as expected, or not.
fn outcome(
    result: Result<Answer, sidelight_promql::QueryError>,
    expected: &Expected,
) -> Result<Option<Answer>, String> {
    match (result, &expected.fail) {
        (Ok(answer), None) => Ok(Some(answer)),
        (Ok(_), Some(_)) => Err("it did not fail".to_owned()),
        (Err(error), Some(wanted)) if wanted.is_met(&error.to_string()) => Ok(None),
        (Err(error), Some(wanted)) => Err(format!("it failed with {error}, expected {wanted:?}")),
        (Err(error), None) => Err(format!("it failed: {error}")),
    }
}

fn ask_range(
    expr: &Expr,
    Range { start, end, step }: Range,
    expected: &Expected,
    memory: &Memory,
) -> Result<(), String> {
    let Some(answer) = outcome(engine().range(expr, start, end, step, memory), expected)? else {
        return Ok(());
    };
    check::annotations(expected, &answer.annotations)?;
    check::answer(expected, Some(Range { start, end, step }), &answer.value)
}

fn ask_instant(expr: &Expr, time: i64, expected: &Expected, memory: &Memory) -> Result<(), String> {
    let Some(answer) = outcome(engine().instant(expr, time, memory), expected)? else {
        return Ok(());
    };
    check::annotations(expected, &answer.annotations)?;
    check::answer(expected, expected.range_vector, &answer.value)?;
    let text = expr.to_string();
    let depends = ["start()", "end()", "range()", "step()"].iter().any(|call| text.contains(call));
    if depends || expected.range_vector.is_some() || expected.string.is_some() {
        return Ok(());
    }
    const MINUTE: i64 = 60_000;
    let range = engine().range(expr, time - MINUTE, time + MINUTE, MINUTE, memory);
    let range = range.map_err(|error| format!("as a range it failed: {error}"))?;
    if expected.ordered {
        return Ok(());
    }
    check::answer(expected, None, &step_at(range.value, time, &answer.value))
        .map_err(|error| format!("as a step of a range: {error}"))
}

/// The answer at one step of a range query, as that of an instant query, which was `instant`.
fn step_at(value: Value, time: i64, instant: &Value) -> Value {
    match (value, instant) {
        (Value::Matrix(series), Value::Scalar(_)) => {
            let mut values = series.iter().flat_map(|series| &series.floats);
            Value::Scalar(*values.find(|(at, _)| *at == time).expect("a number at every step"))
        }
        (Value::Matrix(series), _) => {
            let samples = series.iter().filter_map(|series| {
                let value = check::points(series).remove(&time)?;
                Some(Sample { labels: series.labels.clone(), time, value })
            });
            Value::Vector(samples.collect())
        }
        (other, _) => other,
    }
}
