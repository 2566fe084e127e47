//! Functions of labels: `label_replace`, `label_join`.
//!
//! Limit: [`VALUE_MAX`] for what they may make of a value; each is part of the query's memory while the function runs.

use super::super::column::Column;
use super::super::names;
use crate::ast;
use crate::error::QueryError;
use crate::labels::NAME;
use crate::limits::{Budget, SAMPLE_BYTES};

/// The longest value that is made, in bytes: calls within calls would double it each.
const VALUE_MAX: usize = 64 << 10;

/// Sets the label `into` to what `pattern` finds in the label `from`, in the words of `replacement`,
/// where it matches.
pub(super) fn replace(
    mut columns: Vec<Column>,
    [into, replacement, from, pattern]: &[String; 4],
    budget: &Budget,
) -> Result<Vec<Column>, QueryError> {
    let regex = ast::anchored(pattern).map_err(|_| {
        QueryError::Execution(format!("invalid regular expression in label_replace(): {pattern}"))
    })?;
    let references = replacement.matches('$').count();
    let mut value = String::new();
    for column in &mut columns {
        let text = column.labels.get(from);
        if let Some(found) = regex.captures(text) {
            // No part that is found is longer than the text.
            let longest = references.saturating_mul(text.len()).saturating_add(replacement.len());
            fits(longest, "label_replace")?;
            value.clear();
            found.expand(replacement, &mut value);
            budget.take(value.len() / SAMPLE_BYTES)?;
            set(column, into, &value);
        }
    }
    Ok(columns)
}

/// Sets the label `into` to the values of the labels `from`, with `separator` between.
pub(super) fn join(
    mut columns: Vec<Column>,
    into: &str,
    (separator, from): (&str, &[String]),
    budget: &Budget,
) -> Result<Vec<Column>, QueryError> {
    for column in &mut columns {
        let values: Vec<&str> = from.iter().map(|name| column.labels.get(name)).collect();
        let bytes = values.iter().map(|value| value.len() + separator.len()).sum();
        fits(bytes, "label_join")?;
        budget.take(bytes / SAMPLE_BYTES)?;
        let value = values.join(separator);
        set(column, into, &value);
    }
    Ok(columns)
}

/// Whether a value may have so many bytes.
fn fits(bytes: usize, function: &str) -> Result<(), QueryError> {
    if bytes > VALUE_MAX {
        return Err(QueryError::Execution(format!(
            "{function}() may make a label value of more than {VALUE_MAX} bytes"
        )));
    }
    Ok(())
}

fn set(column: &mut Column, name: &str, value: &str) {
    column.labels = names::with(&column.labels, name, value);
    if name == NAME {
        column.drop_name = false;
    }
}
