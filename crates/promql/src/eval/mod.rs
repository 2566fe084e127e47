//! Evaluation of a plan: each part gives its values at every step at once, as columns.
//!
//! Labels do not change from step to step, so groups and matches are found once per query, and what is
//! left are loops over `[f64]`. The other files of this module are functions of columns; only this one
//! knows the plan as a whole.

mod aggregate;
mod binary;
pub(crate) mod bits;
pub(crate) mod column;
pub(crate) mod context;
mod functions;
pub(crate) mod histograms;

mod metadata;
pub(crate) mod names;
pub(crate) mod output;
pub(crate) mod parts;
mod quantile;
mod range;
mod selector;
mod window;

use aggregate::{Aggregation, Fold};
use binary::pairs::Pairs;
use binary::scalar::WithScalar;
use binary::sets;
use column::Column;
use context::Context;
use output::Output;
use range::OverTime;
use selector::Take;
use window::{Samples, histogram_samples};

use crate::arithmetic;
use crate::ast::{MatchOp, Matcher};
use crate::error::QueryError;
use crate::functions::Id;
use crate::labels::NAME;
use crate::plan::{self, Node, Subquery, WindowSource};
use crate::steps::Steps;
use crate::value::Series;
use names::METADATA;

/// The values of `node` at `steps`.
///
/// # Errors
/// [`QueryError`]: why there are none.
pub(crate) fn evaluate(
    node: &Node<'_>,
    steps: Steps,
    context: &Context<'_>,
) -> Result<Output, QueryError> {
    let base = context.budget.used();
    let mut output = part(node, steps, context)?;
    if let Output::Columns(columns) = &mut output {
        columns.retain(|column| column.present.any());
    }
    context.budget.settle(base, output.samples())?;
    context.proceed()?;
    Ok(output)
}

fn part(node: &Node<'_>, steps: Steps, context: &Context<'_>) -> Result<Output, QueryError> {
    Ok(match node {
        Node::Number(value) => {
            context.budget.take(steps.len)?;
            Output::Scalar(vec![*value; steps.len])
        }
        Node::Text(text) => Output::Text((*text).into()),
        Node::Once(node) => {
            let once = evaluate(node, steps.first(), context)?;
            context.budget.take(once.width().saturating_mul(steps.len))?;
            once.repeat(steps.len)
        }
        Node::Select(selector) => {
            Output::Columns(selector::instant(selector, Take::Value, steps, context)?)
        }
        Node::Timestamps(selector) => Output::Columns(dropped_each(
            selector::instant(selector, Take::Time, steps, context)?,
            context,
        )?),
        Node::Negate(node) => match evaluate(node, steps, context)? {
            Output::Columns(mut columns) => {
                for column in &mut columns {
                    column.negate();
                    column.drop_name = true;
                }
                Output::Columns(dropped_each(columns, context)?)
            }
            Output::Scalar(values) => {
                Output::Scalar(values.into_iter().map(|value| -value).collect())
            }
            Output::Text(text) => Output::Text(text),
        },
        Node::Binary(binary) => operator(binary, steps, context)?,
        Node::Call(call) if call.function.id == Id::Info => {
            let (columns, wanted) = info_args(call, steps, context)?;
            let of = call.args.first().and_then(Node::first_selector);
            Output::Columns(metadata::enrich(columns, wanted, of, steps, context)?)
        }
        Node::Call(call) => {
            let mut args = Vec::with_capacity(call.args.len());
            for arg in &call.args {
                args.push(evaluate(arg, steps, context)?);
            }
            match functions::call(call, args, steps, context)? {
                Output::Columns(columns) => Output::Columns(dropped(columns, context)?),
                other => other,
            }
        }
        Node::OverTime(call) => {
            let over_time = over_time(call, steps, context)?;
            let samples = samples(&call.window, steps, context)?;
            Output::Columns(dropped_each(over_time.apply(samples, steps, context)?, context)?)
        }
        Node::Aggregate(aggregate) => {
            let columns = aggregate_of(aggregate, steps, context)?;
            Output::Columns(dropped_each(columns, context)?)
        }
    })
}

fn over_time<'a>(
    call: &'a plan::OverTime<'_>,
    steps: Steps,
    context: &Context<'_>,
) -> Result<OverTime<'a>, QueryError> {
    let mut params = Vec::with_capacity(call.params.len());
    for (param, span) in &call.params {
        params.push((evaluate(param, steps, context)?.into_scalar(), *span));
    }
    Ok(OverTime { function: call.function, params, absent: &call.absent, span: call.window.span })
}

/// The series that `info` is to enrich, and which labels it is to add: its second argument is no vector.
fn info_args<'a>(
    call: &plan::Call<'a>,
    steps: Steps,
    context: &Context<'_>,
) -> Result<(Vec<Column>, &'a [Matcher]), QueryError> {
    let mut args = call.args.iter();
    let columns = match args.next() {
        Some(series) => evaluate(series, steps, context)?.into_columns(),
        None => Vec::new(),
    };
    let wanted = match args.next() {
        Some(Node::Select(selector)) => selector.matchers,
        _ => &[],
    };
    Ok((columns, wanted))
}

/// The samples of a window, by series.
///
/// # Errors
/// [`QueryError`]: why there are none.
pub(crate) fn window(
    window: &plan::Window<'_>,
    steps: Steps,
    context: &Context<'_>,
) -> Result<Vec<Series>, QueryError> {
    let mut series = Vec::new();
    samples(window, steps, context)?.each(steps, context, &mut |samples| {
        let Some(window) = samples.windows(steps).next() else { return Ok(()) };
        context.budget.take(window.floats.len() + histogram_samples(window.histograms))?;
        let found = Series {
            labels: samples.labels.clone(),
            floats: window.floats.to_vec(),
            histograms: window.histograms.to_vec(),
        };
        if !found.floats.is_empty() || !found.histograms.is_empty() {
            series.push(found);
        }
        Ok(())
    })?;
    Ok(series)
}

/// Where the samples of a window come from: those of a subquery are evaluated.
fn samples<'a>(
    window: &'a plan::Window<'a>,
    steps: Steps,
    context: &Context<'_>,
) -> Result<Samples<'a>, QueryError> {
    match &window.source {
        WindowSource::Selector(selector) => {
            Ok(Samples::Selector { selector, range: window.range, before: window.before })
        }
        WindowSource::Subquery(subquery) => {
            let inner = inner_steps(subquery, window.range, steps);
            // Only a subquery has as many steps as it asks for.
            context.budget.fits(inner.len)?;
            let columns = match evaluate(&subquery.node, inner, context)? {
                Output::Columns(columns) => columns,
                Output::Scalar(values) => vec![Column::of_scalar(values)],
                Output::Text(_) => Vec::new(),
            };
            Ok(Samples::Subquery { subquery, columns, inner, range: window.range })
        }
    }
}

/// The steps of a subquery: multiples of its step, whatever the steps of the query.
fn inner_steps(subquery: &Subquery<'_>, range: i64, steps: Steps) -> Steps {
    let after = subquery.reference(steps.start).saturating_sub(range);
    let until = subquery.reference(steps.end());
    let first = after.div_euclid(subquery.step).saturating_add(1);
    let start = first.saturating_mul(subquery.step);
    let len = if start > until {
        0
    } else {
        (until.saturating_sub(start) / subquery.step).saturating_add(1)
    };
    Steps { start, step: subquery.step, len: usize::try_from(len).unwrap_or(usize::MAX) }
}

fn operator(
    binary: &plan::Binary<'_>,
    steps: Steps,
    context: &Context<'_>,
) -> Result<Output, QueryError> {
    let left = evaluate(&binary.lhs, steps, context)?;
    let right = evaluate(&binary.rhs, steps, context)?;
    let plan::Binary { op, return_bool, span, matching, .. } = *binary;
    let columns = match (left, right) {
        (Output::Scalar(mut left), Output::Scalar(right)) => {
            for (left, right) in left.iter_mut().zip(right) {
                *left = arithmetic::scalars(op, *left, right);
            }
            return Ok(Output::Scalar(left));
        }
        (Output::Columns(columns), Output::Scalar(scalar)) => {
            let scalar = &scalar;
            let with = WithScalar { op, scalar, scalar_left: false, return_bool, span };
            with_scalar(with, columns, context)
        }
        (Output::Scalar(scalar), Output::Columns(columns)) => {
            let scalar = &scalar;
            let with = WithScalar { op, scalar, scalar_left: true, return_bool, span };
            with_scalar(with, columns, context)
        }
        (Output::Columns(left), Output::Columns(right)) if op.is_set() => {
            sets::apply(op, matching, left, right, steps.len)?
        }
        (Output::Columns(left), Output::Columns(right)) => {
            let pairs = Pairs { op, matching, return_bool, span };
            pairs.apply(&left, &right, steps.len, context)?
        }
        (Output::Text(_), _) | (_, Output::Text(_)) => Vec::new(),
    };
    Ok(Output::Columns(dropped(columns, context)?))
}

fn aggregate_of(
    aggregate: &plan::Aggregate<'_>,
    steps: Steps,
    context: &Context<'_>,
) -> Result<Vec<Column>, QueryError> {
    let (param, label) = match &aggregate.param {
        None => (Vec::new(), String::new()),
        Some(param) => match evaluate(param, steps, context)? {
            Output::Scalar(values) => (values, String::new()),
            Output::Text(text) => (Vec::new(), text),
            Output::Columns(_) => (Vec::new(), String::new()),
        },
    };
    let aggregation = Aggregation {
        op: aggregate.op,
        grouping: &aggregate.grouping,
        without: aggregate.without,
        param,
        label,
        param_span: aggregate.param_span,
        span: aggregate.span,
        node_span: aggregate.node_span,
    };
    if aggregation.folds() && is_of_one_metric(&aggregate.node, context) {
        return folded(&aggregation, &aggregate.node, steps, context);
    }
    let columns = evaluate(&aggregate.node, steps, context)?.into_columns();
    aggregation.apply(columns, steps.len, context)
}

/// Whether the series of `node` are those of one metric in a store, which differ whether they have its name or not.
fn is_of_one_metric(node: &Node<'_>, context: &Context<'_>) -> bool {
    let selector = match node {
        Node::Select(selector) => selector,
        Node::OverTime(call) => match &call.window.source {
            WindowSource::Selector(selector) => selector,
            WindowSource::Subquery(_) => return false,
        },
        _ => return false,
    };
    let named = |matcher: &Matcher| matcher.name == NAME && matcher.op == MatchOp::Equal;
    !context.options.type_and_unit_labels && selector.matchers.iter().any(named)
}

/// The aggregation of what [`is_of_one_metric`], a series at a time: there may be many where its groups are few. Sorted by
/// labels.
fn folded(
    aggregation: &Aggregation<'_>,
    node: &Node<'_>,
    steps: Steps,
    context: &Context<'_>,
) -> Result<Vec<Column>, QueryError> {
    let base = context.budget.used();
    let mut fold = Fold::new(aggregation, steps.len);
    let mut different = true;
    let mut add = |mut column: Column| {
        if !context.options.delayed_name_removal && std::mem::take(&mut column.drop_name) {
            let [_, others @ ..] = METADATA;
            different &= others.iter().all(|name| column.labels.get(name).is_empty());
            column.labels = names::without_metadata(&column.labels);
        }
        fold.add(column);
        context.budget.settle(base, fold.samples())
    };
    match node {
        Node::OverTime(call) => {
            let over_time = over_time(call, steps, context)?;
            let samples = samples(&call.window, steps, context)?;
            over_time.each(samples, steps, context, &mut add)?;
        }
        Node::Select(selector) => {
            selector::each_instant(selector, Take::Value, steps, context, &mut add)?;
        }
        other => evaluate(other, steps, context)?.into_columns().into_iter().try_for_each(add)?,
    }
    if !different {
        // They may be the same without what tells their metrics apart.
        let columns = evaluate(node, steps, context)?.into_columns();
        return aggregation.apply(columns, steps.len, context);
    }
    let mut columns = fold.finish(context);
    columns.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(columns)
}

fn with_scalar(
    with: WithScalar<'_>,
    mut columns: Vec<Column>,
    context: &Context<'_>,
) -> Vec<Column> {
    for column in &mut columns {
        with.apply(column, context);
    }
    columns
}

/// The same for what has a column for each of another operand's, or for each group of them.
fn dropped_each(columns: Vec<Column>, context: &Context<'_>) -> Result<Vec<Column>, QueryError> {
    if context.options.delayed_name_removal {
        Ok(columns)
    } else {
        names::settle_different(columns)
    }
}

/// Removes names at once unless that is done at the end of the query.
fn dropped(columns: Vec<Column>, context: &Context<'_>) -> Result<Vec<Column>, QueryError> {
    if context.options.delayed_name_removal { Ok(columns) } else { names::settle(columns) }
}
