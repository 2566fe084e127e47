//! The same query with its time written into it.

use sidelight_promql::Expr;
use sidelight_promql::ast::At;
use sidelight_promql::functions::Id;

/// `expr` with `@ time` on everything that has no time of its own, so that its answer is the same whenever it
/// is asked; `None` if it uses a function that depends on the time of the query.
pub(crate) fn pinned(expr: &Expr, time: i64) -> Option<Expr> {
    let mut pinned = expr.clone();
    pin(&mut pinned, time).then_some(pinned)
}

/// Whether `expr` can be pinned.
fn pin(expr: &mut Expr, time: i64) -> bool {
    match expr {
        Expr::Number(_) | Expr::String(_) => true,
        Expr::Vector(selector) => {
            fix(&mut selector.at, time);
            true
        }
        Expr::Matrix(matrix) => {
            fix(&mut matrix.selector.at, time);
            true
        }
        // What is within has its time from the subquery.
        Expr::Subquery(subquery) => {
            fix(&mut subquery.at, time);
            is_timeless(&subquery.expr)
        }
        Expr::Call(call) => {
            let timeless = !depends_on_time(call.function.id);
            call.args.iter_mut().fold(timeless, |all, arg| pin(arg, time) && all)
        }
        Expr::Aggregate(aggregate) => {
            let param = aggregate.param.as_mut().is_none_or(|param| pin(param, time));
            pin(&mut aggregate.expr, time) && param
        }
        Expr::Binary(binary) => {
            let lhs = pin(&mut binary.lhs, time);
            pin(&mut binary.rhs, time) && lhs
        }
        Expr::Unary(unary) => pin(&mut unary.expr, time),
        Expr::Paren(paren) => pin(&mut paren.expr, time),
    }
}

fn fix(at: &mut Option<At>, time: i64) {
    if !matches!(at, Some(At::Time(_))) {
        *at = Some(At::Time(time));
    }
}

fn is_timeless(expr: &Expr) -> bool {
    pin(&mut expr.clone(), 0)
}

fn depends_on_time(id: Id) -> bool {
    use Id::{
        DayOfMonth, DayOfWeek, DayOfYear, DaysInMonth, End, Hour, Minute, Month, PredictLinear,
        Range, Start, Step, Time, Timestamp, Year,
    };
    matches!(
        id,
        DayOfMonth
            | DayOfWeek
            | DayOfYear
            | DaysInMonth
            | End
            | Hour
            | Minute
            | Month
            | PredictLinear
            | Range
            | Start
            | Step
            | Time
            | Timestamp
            | Year
    )
}
