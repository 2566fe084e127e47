//! A view's rows: its columns evaluated, and joined by its keys.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use sidelight_promql::parse::{Options as Dialect, parse_with};
use sidelight_promql::{Engine, Expr, Labels, Options, QueryError, Queryable, SampleValue, Value};

use super::definitions::{self, Definition};
use super::overlay::Overlay;
use super::{Column, Shows, View, Window};

/// The most rows of a view.
pub const ROWS_MAX: usize = 10_000;

/// When, in milliseconds since the Unix epoch, and over what time.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Where the window ends.
    pub end: i64,
    /// How long it is.
    pub range: i64,
    /// The distance of rows of a view of steps.
    pub step: i64,
}

/// What is told of one thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The end of its step, in a view of steps.
    pub time: Option<i64>,
    /// The values of the view's keys.
    pub keys: Vec<String>,
    /// A cell for each column.
    pub cells: Vec<Cell>,
}

/// What a column says.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Nothing: there is no data.
    Empty,
    /// A number, never NaN or infinite.
    Number(f64),
    /// A word.
    Text(String),
}

/// A view's rows, in no order.
#[derive(Debug)]
pub struct Rows {
    /// What it is a view of.
    pub view: &'static View,
    /// The rows.
    pub rows: Vec<Row>,
    /// Whether there were more than [`ROWS_MAX`].
    pub cut: bool,
}

/// Evaluates a view, under the limits of `options`.
///
/// # Errors
/// [`QueryError`]: the store cannot answer, a limit is reached, or it was ended.
pub fn evaluate(
    view: &'static View,
    all: &[Definition],
    store: &dyn Queryable,
    times: Times,
    options: Options<'_>,
) -> Result<Rows, QueryError> {
    let window = match view.window {
        Window::Asked => Some(times.range),
        Window::Steps => Some(times.step),
        Window::Own => None,
    };
    let engine = Engine::new(Options { experimental: true, counts: true, ..options });
    let ask = |expr: &Expr, from: &dyn Queryable| {
        let answer = if view.window == Window::Steps {
            // The first step is whole.
            let start = times.end - ((times.range / times.step).max(1) - 1) * times.step;
            engine.range(expr, start, times.end, times.step, from)
        } else {
            engine.instant(expr, times.end, from)
        };
        answer.map(|answer| answer.value)
    };
    let mut columns = Vec::with_capacity(view.columns.len());
    for column in view.columns {
        let parsed = parse_with(column.expr, Dialect { experimental: true });
        let parsed = parsed.map_err(|error| QueryError::BadData(error.to_string()))?;
        columns.push(definitions::over(&parsed, window));
    }
    let mut overlay = Overlay::over(store);
    // As they were recorded, where nothing about them is asked anew.
    let all = if view.window == Window::Own { &[] } else { all };
    for (definition, expr) in definitions::needed(&columns, all, window) {
        let value = ask(&expr, &overlay)?;
        overlay.add(definition, value);
    }
    let mut joined = Joined { view, rows: BTreeMap::new(), cut: false };
    for (at, (column, windowed)) in view.columns.iter().zip(&columns).enumerate() {
        joined.add(at, column, ask(&windowed.expr, &overlay)?);
    }
    let Joined { rows, cut, .. } = joined;
    let rows = rows.into_iter().map(|((keys, time), cells)| Row { time, keys, cells }).collect();
    Ok(Rows { view, rows, cut })
}

struct Joined {
    view: &'static View,
    rows: BTreeMap<(Vec<String>, Option<i64>), Vec<Cell>>,
    cut: bool,
}

impl Joined {
    fn add(&mut self, at: usize, column: &Column, value: Value) {
        match value {
            Value::Vector(samples) => {
                for sample in samples {
                    if let SampleValue::Float(value) = sample.value {
                        self.put(at, column, &sample.labels, (None, value));
                    }
                }
            }
            Value::Matrix(series) => {
                for series in series {
                    for (time, value) in series.floats {
                        self.put(at, column, &series.labels, (Some(time), value));
                    }
                }
            }
            Value::Scalar(_) | Value::String(_) => {}
        }
    }

    fn put(
        &mut self,
        at: usize,
        column: &Column,
        labels: &Labels,
        (time, value): (Option<i64>, f64),
    ) {
        let keys: Vec<String> =
            self.view.keys.iter().map(|key| labels.get(key).to_owned()).collect();
        // A sample that names nothing is of no row.
        if keys.iter().all(String::is_empty) {
            return;
        }
        let cell = match column.shows {
            Shows::Value if value.is_finite() => Cell::Number(value),
            Shows::Label(label) => Cell::Text(labels.get(label).to_owned()),
            Shows::Name(names) => named(names, value),
            Shows::Value => Cell::Empty,
        };
        let full = self.rows.len() >= ROWS_MAX;
        let key = (keys, time);
        if full && !self.rows.contains_key(&key) {
            self.cut = true;
            return;
        }
        let columns = self.view.columns.len();
        let row = self.rows.entry(key).or_insert_with(|| vec![Cell::Empty; columns]);
        if let Some(place) = row.get_mut(at) {
            *place = cell;
        }
    }
}

/// The name at the place of `value`.
fn named(names: &[&str], value: f64) -> Cell {
    let at = (0..names.len()).zip(0_u32..).find(|(_, place)| f64::from(*place) == value);
    at.and_then(|(at, _)| names.get(at)).map_or(Cell::Empty, |name| Cell::Text((*name).to_owned()))
}

impl Rows {
    /// Only rows of this service.
    pub fn of_service(&mut self, service: &str) {
        let Some(at) = self.view.keys.iter().position(|key| *key == "service_name") else { return };
        self.rows.retain(|row| row.keys.get(at).is_some_and(|value| value == service));
    }

    /// Sorts by a column or key; `-` before its name: the largest first. Rows without it come last, equal
    /// ones in the order of their keys. False when there is no such column.
    pub fn sort(&mut self, by: &str) -> bool {
        let (name, descending) = by.strip_prefix('-').map_or((by, false), |name| (name, true));
        let column = self.view.columns.iter().position(|column| column.name == name);
        let key = self.view.keys.iter().position(|key| *key == name);
        let directed = |order: Ordering| if descending { order.reverse() } else { order };
        let rest = |a: &Row, b: &Row| (&a.keys, a.time).cmp(&(&b.keys, b.time));
        match (column, key) {
            (Some(at), _) => self.rows.sort_by(|a, b| {
                let cells = [a, b].map(|row| row.cells.get(at).unwrap_or(&Cell::Empty));
                compare(cells, descending).then_with(|| rest(a, b))
            }),
            (None, Some(at)) => self.rows.sort_by(|a, b| {
                directed(a.keys.get(at).cmp(&b.keys.get(at))).then_with(|| rest(a, b))
            }),
            (None, None) => return false,
        }
        true
    }
}

fn compare([a, b]: [&Cell; 2], descending: bool) -> Ordering {
    let order = match (a, b) {
        (Cell::Number(a), Cell::Number(b)) => a.total_cmp(b),
        (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
        (Cell::Number(_), Cell::Text(_)) => Ordering::Less,
        (Cell::Text(_), Cell::Number(_)) => Ordering::Greater,
        (Cell::Empty, Cell::Empty) => return Ordering::Equal,
        (Cell::Empty, _) => return Ordering::Greater,
        (_, Cell::Empty) => return Ordering::Less,
    };
    if descending { order.reverse() } else { order }
}
