//! Functions of labels: `label_replace`, `label_join`.
//!
//! Limit: [`VALUE_MAX`] for what they may make of a value; each is part of the query's memory while the function runs.

use std::collections::HashMap;
use std::sync::Arc;

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
    let into = Arc::from(into.as_str());
    let none = Arc::from("");
    // Buckets share what they are of.
    let mut made: HashMap<Arc<str>, Option<Arc<str>>> = HashMap::new();
    for column in &mut columns {
        let text = column.labels.find(from).unwrap_or(&none);
        let value = match made.get(text) {
            Some(known) => known.clone(),
            None => {
                let value = match regex.captures(text) {
                    None => None,
                    Some(found) => {
                        // No part that is found is longer than the text.
                        let longest = references.saturating_mul(text.len());
                        fits(longest.saturating_add(replacement.len()), "label_replace")?;
                        let mut value = String::new();
                        found.expand(replacement, &mut value);
                        Some(shared(value, text, budget)?)
                    }
                };
                made.insert(text.clone(), value.clone());
                value
            }
        };
        if let Some(value) = value {
            set(column, &into, value);
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
    let into = Arc::from(into);
    for column in &mut columns {
        let values: Vec<&str> = from.iter().map(|name| column.labels.get(name)).collect();
        let bytes = values.iter().map(|value| value.len() + separator.len()).sum();
        fits(bytes, "label_join")?;
        budget.take(bytes / SAMPLE_BYTES)?;
        let value = values.join(separator);
        set(column, &into, value.into());
    }
    Ok(columns)
}

/// A value that was made of `text`: often it is that.
fn shared(value: String, text: &Arc<str>, budget: &Budget) -> Result<Arc<str>, QueryError> {
    if *value == **text {
        return Ok(text.clone());
    }
    budget.take(value.len() / SAMPLE_BYTES)?;
    Ok(value.into())
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

fn set(column: &mut Column, name: &Arc<str>, value: Arc<str>) {
    column.labels = names::with(&column.labels, name.clone(), value);
    if **name == *NAME {
        column.drop_name = false;
    }
}
