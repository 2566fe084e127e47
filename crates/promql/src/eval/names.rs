//! Removal of metric names, and label sets that become the same by it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::column::Column;
use crate::Labels;
use crate::error::QueryError;
use crate::labels::NAME;
use crate::options::Options;

/// The labels that tell what a metric is, not whose: they go when its meaning changes.
pub(crate) const METADATA: [&str; 3] = [NAME, "__type__", "__unit__"];

/// `labels` without those that tell what the metric is.
pub(crate) fn without_metadata(labels: &Labels) -> Labels {
    without(labels, |name| name.starts_with("__") && METADATA.contains(&name))
}

/// `labels` without those whose name is `unwanted`.
pub(crate) fn without(labels: &Labels, unwanted: impl Fn(&str) -> bool) -> Labels {
    labels.without(unwanted)
}

/// `labels` with `name` set to `value`, or without it if that is empty.
pub(crate) fn with(
    labels: &Labels,
    name: impl Into<Arc<str>>,
    value: impl Into<Arc<str>>,
) -> Labels {
    let name = name.into();
    let others = labels.iter().filter(|label| label.name != name);
    let others = others.map(|label| (label.name.clone(), label.value.clone()));
    Labels::new(others.chain([(name.clone(), value.into())]))
}

/// Says that two samples of a step have the same labels.
pub(crate) fn same_labels() -> QueryError {
    QueryError::Execution("vector cannot contain metrics with the same labelset".into())
}

/// Removes the names that are to go, and puts columns together that are one series then.
///
/// # Errors
/// Two samples of a step have the same labels.
pub(crate) fn settle(mut columns: Vec<Column>) -> Result<Vec<Column>, QueryError> {
    for column in &mut columns {
        if std::mem::take(&mut column.drop_name) {
            column.labels = without_metadata(&column.labels);
        }
    }
    unite(columns)
}

/// The same at the end of a query, where what was removed on the way made columns different already.
///
/// # Errors
/// Two samples of a step have the same labels.
pub(crate) fn finish(
    columns: Vec<Column>,
    options: &Options<'_>,
) -> Result<Vec<Column>, QueryError> {
    let removed = !options.delayed_name_removal && !columns.iter().any(|column| column.drop_name);
    if removed { Ok(columns) } else { settle(columns) }
}

/// The same for columns of different labels: those of one metric are still different without its name.
///
/// # Errors
/// Two samples of a step have the same labels.
pub(crate) fn settle_different(mut columns: Vec<Column>) -> Result<Vec<Column>, QueryError> {
    let mut removed = false;
    for column in &mut columns {
        if std::mem::take(&mut column.drop_name) {
            column.labels = without_metadata(&column.labels);
            removed = true;
        }
    }
    // Those of a selector come sorted, and stay so without a name that they share.
    if !removed || columns.is_sorted_by(|a, b| a.labels < b.labels) {
        return Ok(columns);
    }
    unite(columns)
}

/// Puts columns with the same labels together.
///
/// # Errors
/// Two samples of a step have the same labels.
pub(crate) fn unite(columns: Vec<Column>) -> Result<Vec<Column>, QueryError> {
    let mut united = Union::default();
    for column in columns {
        united.add(column)?;
    }
    Ok(united.columns)
}

/// Columns, each label set once.
#[derive(Default)]
pub(crate) struct Union {
    by_labels: HashMap<Labels, usize>,
    pub(crate) columns: Vec<Column>,
}

impl Union {
    /// Adds a column, or its samples to the one of the same labels.
    ///
    /// # Errors
    /// Two samples of a step have the same labels.
    pub(crate) fn add(&mut self, column: Column) -> Result<(), QueryError> {
        match self.by_labels.entry(column.labels.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(self.columns.len());
                self.columns.push(column);
            }
            Entry::Occupied(entry) => {
                let known = self.columns.get_mut(*entry.get());
                let Some(known) = known else { return Ok(()) };
                if known.present.overlaps(&column.present) {
                    return Err(same_labels());
                }
                known.fill_from(&column);
            }
        }
        Ok(())
    }
}
