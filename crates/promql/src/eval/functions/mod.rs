//! Functions of what series are at a step.

mod bucket_quantile;
mod buckets;
mod calendar;
mod columns;
mod labels;
mod math;
mod natural;
mod order;

use super::column::Column;
use super::context::Context;
use super::names;
use super::output::Output;
use crate::error::QueryError;
use crate::functions::Id;
use crate::plan;
use crate::steps::{Steps, seconds};
use crate::types::Type;

/// The values of a function for the values of its arguments.
///
/// # Errors
/// An argument makes no sense, or the function is not known.
pub(crate) fn call(
    call: &plan::Call<'_>,
    args: Vec<Output>,
    steps: Steps,
    context: &Context<'_>,
) -> Result<Output, QueryError> {
    let mut args = Args(args.into_iter());
    if call.function.returns == Type::Scalar {
        return Ok(Output::Scalar(scalar(call.function.id, &mut args, steps)));
    }
    let columns = match call.function.id {
        Id::Vector => vec![Column::of_scalar(args.scalar())],
        Id::Absent => columns::absent(&args.columns(), &call.absent, steps.len),
        Id::Timestamp => columns::timestamp(args.columns(), steps),
        Id::Clamp => {
            let columns = args.columns();
            columns::clamp(columns, Some(&args.scalar()), Some(&args.scalar()))
        }
        Id::ClampMin => {
            let columns = args.columns();
            columns::clamp(columns, Some(&args.scalar()), None)
        }
        Id::ClampMax => {
            let columns = args.columns();
            columns::clamp(columns, None, Some(&args.scalar()))
        }
        Id::Round => {
            let columns = args.columns();
            columns::round(columns, args.next().map(Output::into_scalar).as_deref())
        }
        Id::LabelReplace => {
            let columns = args.columns();
            let texts = [args.text(), args.text(), args.text(), args.text()];
            names::unite(labels::replace(columns, &texts, &context.budget)?)?
        }
        Id::LabelJoin => {
            let columns = args.columns();
            let (into, separator) = (args.text(), args.text());
            let from: Vec<String> = args.texts();
            names::unite(labels::join(columns, &into, (&separator, &from), &context.budget)?)?
        }
        Id::Sort | Id::SortDesc | Id::SortByLabel | Id::SortByLabelDesc => {
            if steps.len > 1 {
                let message = "sort is ineffective for range queries since results are always ordered by labels";
                context.warn(message, call.span);
            }
            let columns = args.columns();
            order::sort(call.function.id, columns, &args.texts())
        }
        Id::HistogramQuantile
        | Id::HistogramQuantiles
        | Id::HistogramFraction
        | Id::HistogramAvg
        | Id::HistogramCount
        | Id::HistogramSum
        | Id::HistogramStddev
        | Id::HistogramStdvar => buckets::call(call, &mut args, steps, context)?,
        id => elementwise(id, &mut args, steps, call.function.name)?,
    };
    Ok(Output::Columns(columns))
}

/// A function that makes a float of a float.
fn elementwise(
    id: Id,
    args: &mut Args,
    steps: Steps,
    name: &str,
) -> Result<Vec<Column>, QueryError> {
    let f = math::find(id).or_else(|| calendar::find(id));
    let Some(f) = f else {
        return Err(QueryError::Execution(format!("unknown function with name \"{name}\"")));
    };
    let mut columns = match args.next() {
        Some(arg) => arg.into_columns(),
        None => vec![Column::of_scalar(steps.times().map(seconds).collect())],
    };
    for column in &mut columns {
        column.map(f);
        column.drop_name = true;
    }
    Ok(columns)
}

fn scalar(id: Id, args: &mut Args, steps: Steps) -> Vec<f64> {
    match id {
        Id::Time => steps.times().map(seconds).collect(),
        Id::Scalar => columns::scalar(&args.columns(), steps.len),
        Id::MinOf => pairs(args.scalar(), &args.scalar(), math::min),
        Id::MaxOf => pairs(args.scalar(), &args.scalar(), math::max),
        _ => vec![f64::NAN; steps.len],
    }
}

fn pairs(mut left: Vec<f64>, right: &[f64], f: fn(f64, f64) -> f64) -> Vec<f64> {
    for (left, right) in left.iter_mut().zip(right) {
        *left = f(*left, *right);
    }
    left
}

/// The arguments of a call, first to last. The parser has seen to their types.
struct Args(std::vec::IntoIter<Output>);

impl Args {
    fn next(&mut self) -> Option<Output> {
        self.0.next()
    }

    fn columns(&mut self) -> Vec<Column> {
        self.next().map(Output::into_columns).unwrap_or_default()
    }

    fn scalar(&mut self) -> Vec<f64> {
        self.next().map(Output::into_scalar).unwrap_or_default()
    }

    fn text(&mut self) -> String {
        self.next().and_then(text).unwrap_or_default()
    }

    fn texts(&mut self) -> Vec<String> {
        self.0.by_ref().filter_map(text).collect()
    }
}

fn text(output: Output) -> Option<String> {
    match output {
        Output::Text(text) => Some(text),
        Output::Scalar(_) | Output::Columns(_) => None,
    }
}
