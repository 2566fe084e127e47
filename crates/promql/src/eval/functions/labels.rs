//! Functions of labels: `label_replace`, `label_join`.

use super::super::column::Column;
use super::super::names;
use crate::ast;
use crate::engine::QueryError;
use crate::labels::NAME;

/// Sets the label `into` to what `pattern` finds in the label `from`, in the words of `replacement`,
/// where it matches.
pub(super) fn replace(
    mut columns: Vec<Column>,
    [into, replacement, from, pattern]: &[String; 4],
) -> Result<Vec<Column>, QueryError> {
    let regex = ast::anchored(pattern).map_err(|_| {
        QueryError::Execution(format!("invalid regular expression in label_replace(): {pattern}"))
    })?;
    let mut value = String::new();
    for column in &mut columns {
        if let Some(found) = regex.captures(column.labels.get(from)) {
            value.clear();
            found.expand(replacement, &mut value);
            set(column, into, &value);
        }
    }
    Ok(columns)
}

/// Sets the label `into` to the values of the labels `from`, with `separator` between.
pub(super) fn join(
    mut columns: Vec<Column>,
    into: &str,
    separator: &str,
    from: &[String],
) -> Vec<Column> {
    for column in &mut columns {
        let values: Vec<&str> = from.iter().map(|name| column.labels.get(name)).collect();
        let value = values.join(separator);
        set(column, into, &value);
    }
    columns
}

fn set(column: &mut Column, name: &str, value: &str) {
    column.labels = names::with(&column.labels, name, value);
    if name == NAME {
        column.drop_name = false;
    }
}
