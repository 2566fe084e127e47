//! The order of an instant vector: `sort`, `sort_desc`, `sort_by_label`, `sort_by_label_desc`.

use std::cmp::Ordering;

use super::super::column::Column;
use super::super::quantile::{ascending_nan_last, descending_nan_last};
use super::natural;
use crate::functions::Id;

/// `columns` in order. By value only floats have one; the histograms go.
pub(super) fn sort(id: Id, mut columns: Vec<Column>, labels: &[String]) -> Vec<Column> {
    let value = |column: &Column| column.values.first().copied().unwrap_or(f64::NAN);
    match id {
        Id::Sort | Id::SortDesc => {
            for column in &mut columns {
                column.drop_histograms();
            }
            let order = if id == Id::Sort { ascending_nan_last } else { descending_nan_last };
            columns.sort_by(|a, b| order(value(a), value(b)));
        }
        Id::SortByLabelDesc => columns.sort_by(|a, b| by_label(b, a, labels)),
        _ => columns.sort_by(|a, b| by_label(a, b, labels)),
    }
    columns
}

/// Compares by each of `labels`, then by all labels.
fn by_label(a: &Column, b: &Column, labels: &[String]) -> Ordering {
    let named = labels.iter().map(|name| natural::compare(a.labels.get(name), b.labels.get(name)));
    named.fold(Ordering::Equal, Ordering::then).then_with(|| a.labels.cmp(&b.labels))
}
