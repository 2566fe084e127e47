//! Texts that are to become names of labels: any UTF-8 but the empty one.

use crate::ast::{self, Expr};
use crate::error::QueryError;
use crate::functions::Id;

/// Looks at the label names that a function is given.
///
/// # Errors
/// One is none.
pub(super) fn of_call(call: &ast::Call) -> Result<(), QueryError> {
    let name = call.function.name;
    let check = |at: usize, which: &str| match call.args.get(at).and_then(invalid) {
        Some(text) => {
            Err(QueryError::Execution(format!("invalid {which} label name in {name}(): {text}")))
        }
        None => Ok(()),
    };
    match call.function.id {
        Id::LabelReplace => check(1, "destination"),
        Id::LabelJoin => {
            (3..call.args.len()).try_for_each(|at| check(at, "source"))?;
            check(1, "destination")
        }
        _ => Ok(()),
    }
}

/// Looks at the label name that `count_values` is given.
///
/// # Errors
/// It is none.
pub(super) fn of_count_values(param: &Expr) -> Result<(), QueryError> {
    match invalid(param) {
        Some("") => Err(QueryError::Execution("invalid label name \"\"".into())),
        Some(text) => Err(QueryError::Execution(format!("invalid label name {text}"))),
        None => Ok(()),
    }
}

/// The text, in quotes unless it is empty, if it is no name.
fn invalid(expr: &Expr) -> Option<&str> {
    let Expr::String(text) = expr.inner() else { return None };
    if text.value.is_empty() {
        return Some("");
    }
    text.invalid.as_deref()
}
