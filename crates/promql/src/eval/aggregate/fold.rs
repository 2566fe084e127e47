//! Aggregations that make one sample of a group's: `sum`, `avg`, `min`, `max`, `count`, `group`, `stddev`, `stdvar`.
//!
//! Columns are folded as they come, so that those of a selector need not be there together. What has native histograms
//! is kept until the end, which looks at all of a group's.
//!
//! Cost: a pass over each column, and the hash of its labels; the memory of the groups.

use super::super::bits::Bits;
use super::super::column::Column;
use super::super::context::Context;
use super::grouping::Known;
use super::{Aggregation, histograms};
use crate::ast::AggregateOp;
use crate::kahan::{Mean, Sum};
use crate::value::SampleValue;

/// An aggregation on its way: one column per group, in the order in which they came.
pub(crate) struct Fold<'a> {
    aggregation: &'a Aggregation<'a>,
    len: usize,
    known: Known<'a>,
    groups: Vec<Group>,
    samples: usize,
}

/// What a group's columns made so far.
struct Group {
    /// The result, where `state` has none of its own.
    column: Column,
    state: State,
    /// Its columns from the first on that has histograms, and before them one with what floats there were.
    mixed: Vec<Column>,
}

/// The floats of each step.
enum State {
    Sum(Vec<Sum>),
    Mean(Vec<Mean>),
    Spread(Vec<Welford>),
    /// The result itself.
    Plain,
}

impl<'a> Fold<'a> {
    /// Of columns of `len` steps.
    pub(crate) fn new(aggregation: &'a Aggregation<'a>, len: usize) -> Self {
        let known = Known::new(aggregation.grouping, aggregation.without);
        Self { aggregation, len, known, groups: Vec::new(), samples: 0 }
    }

    /// How many samples' memory it takes.
    pub(crate) const fn samples(&self) -> usize {
        self.samples
    }

    /// How many groups there are.
    pub(crate) const fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Adds a column to its group.
    pub(crate) fn add(&mut self, column: Column) {
        let at = self.known.find(&column.labels, |at| Some(&self.groups.get(at)?.column.labels));
        if at == self.groups.len() {
            let labels = self.known.labels(&column.labels);
            let group = Group::new(self.aggregation.op, Column::empty(labels, self.len));
            self.samples += group.column.samples() + group.state.samples();
            self.groups.push(group);
        }
        let Some(group) = self.groups.get_mut(at) else { return };
        group.column.drop_name |= column.drop_name;
        let looks = !matches!(self.aggregation.op, AggregateOp::Group | AggregateOp::Count);
        if looks && !column.histograms.is_empty() && group.mixed.is_empty() {
            let mut before = Column::empty(Default::default(), self.len);
            before.present = group.column.present.clone();
            group.mixed.push(before);
        }
        group.add(self.aggregation.op, &column);
        if !group.mixed.is_empty() {
            self.samples += column.samples();
            group.mixed.push(column);
        }
    }

    /// The result, in the order in which groups came.
    pub(crate) fn finish(self, context: &Context<'_>) -> Vec<Column> {
        let Self { aggregation, groups, .. } = self;
        let finish = |group: Group| {
            let Group { mut column, state, mixed } = group;
            state.finish(aggregation.op, &mut column.values);
            if !mixed.is_empty() {
                with_histograms(aggregation, &mixed, &mut column, context);
            }
            column
        };
        groups.into_iter().map(finish).collect()
    }
}

impl Group {
    fn new(op: AggregateOp, column: Column) -> Self {
        let len = column.len();
        let state = match op {
            AggregateOp::Sum => State::Sum(vec![Sum::default(); len]),
            AggregateOp::Avg => State::Mean(vec![Mean::of(0.0); len]),
            AggregateOp::Stddev | AggregateOp::Stdvar => State::Spread(vec![Welford::of(0.0); len]),
            _ => State::Plain,
        };
        Self { column, state, mixed: Vec::new() }
    }

    fn add(&mut self, op: AggregateOp, member: &Column) {
        let Column { values, present, .. } = &mut self.column;
        match &mut self.state {
            State::Sum(sums) => each(member, present, sums, Sum::of, Sum::add),
            State::Mean(means) => each(member, present, means, Mean::of, Mean::add),
            State::Spread(spreads) => each(member, present, spreads, Welford::of, Welford::add),
            State::Plain => match op {
                AggregateOp::Min => each(
                    member,
                    present,
                    values,
                    |value| value,
                    |min, value| {
                        if *min > value || min.is_nan() {
                            *min = value;
                        }
                    },
                ),
                AggregateOp::Max => each(
                    member,
                    present,
                    values,
                    |value| value,
                    |max, value| {
                        if *max < value || max.is_nan() {
                            *max = value;
                        }
                    },
                ),
                AggregateOp::Group => {
                    present.union(&member.present);
                    values.fill(1.0);
                }
                // Counts are of histograms, too.
                _ => {
                    present.union(&member.present);
                    for step in member.present.ones() {
                        if let Some(count) = values.get_mut(step) {
                            *count += 1.0;
                        }
                    }
                }
            },
        }
    }
}

impl State {
    /// How many samples' memory it takes.
    const fn samples(&self) -> usize {
        match self {
            Self::Sum(sums) => sums.len(),
            Self::Mean(means) => 2 * means.len(),
            Self::Spread(spreads) => 2 * spreads.len(),
            Self::Plain => 0,
        }
    }

    fn finish(self, op: AggregateOp, values: &mut [f64]) {
        fn each<A>(values: &mut [f64], states: Vec<A>, result: impl Fn(A) -> f64) {
            for (value, state) in values.iter_mut().zip(states) {
                *value = result(state);
            }
        }
        match self {
            Self::Sum(sums) => each(values, sums, Sum::total),
            Self::Mean(means) => each(values, means, Mean::mean),
            Self::Spread(spreads) if op == AggregateOp::Stddev => {
                each(values, spreads, |spread| spread.variance().sqrt());
            }
            Self::Spread(spreads) => each(values, spreads, Welford::variance),
            Self::Plain => {}
        }
    }
}

/// Folds the floats of `member` at each step; `present` are the steps that have had one.
fn each<A>(
    member: &Column,
    present: &mut Bits,
    folds: &mut [A],
    first: impl Fn(f64) -> A,
    add: impl Fn(&mut A, f64),
) {
    if member.histograms.is_empty() && member.present.is_full() && present.is_full() {
        for (fold, value) in folds.iter_mut().zip(&member.values) {
            add(fold, *value);
        }
        return;
    }
    for step in member.present.ones() {
        let (Some(fold), Some(value)) = (folds.get_mut(step), member.float(step)) else {
            continue;
        };
        if present.get(step) {
            add(fold, value);
        } else {
            present.set(step);
            *fold = first(value);
        }
    }
}

/// Mean and squared distance from it, in plain arithmetic as Prometheus has it in aggregations.
#[derive(Clone, Copy)]
struct Welford {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Welford {
    fn of(value: f64) -> Self {
        let squares = if value.is_finite() { 0.0 } else { f64::NAN };
        Self { count: 1.0, mean: value, squares }
    }

    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (value - self.mean);
    }

    fn variance(self) -> f64 {
        self.squares / self.count
    }
}

/// Adds what the histograms of a group make.
fn with_histograms(
    aggregation: &Aggregation<'_>,
    members: &[Column],
    column: &mut Column,
    context: &Context<'_>,
) {
    let mut steps = Bits::none(column.len());
    for member in members.iter().filter(|member| !member.histograms.is_empty()) {
        member
            .present
            .ones()
            .filter(|step| member.histogram(*step).is_some())
            .for_each(|step| steps.set(step));
    }
    if !steps.any() {
        return;
    }
    match aggregation.op {
        AggregateOp::Sum | AggregateOp::Avg => {
            for step in steps.ones() {
                column.present.clear(step);
                if let Some(histogram) = histograms::fold(aggregation, members, step, context) {
                    column.set(step, SampleValue::Histogram(histogram));
                }
            }
        }
        _ => aggregation.ignored_histogram(context),
    }
}
