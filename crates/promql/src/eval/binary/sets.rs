//! `and`, `or`, `unless`: whether a series is there where its partners are.

use super::super::column::Column;
use super::super::names;
use super::signature;
use crate::ast::{BinaryOp, Matching};
use crate::error::QueryError;

/// The result of a set operator.
///
/// # Errors
/// Two samples of a step have the same labels.
pub(crate) fn apply(
    op: BinaryOp,
    matching: &Matching,
    mut left: Vec<Column>,
    mut right: Vec<Column>,
    len: usize,
) -> Result<Vec<Column>, QueryError> {
    for group in signature::groups(matching, &left, &right) {
        if op == BinaryOp::Or {
            let known = signature::presence(&left, &group.left, len);
            for at in group.right {
                if let Some(column) = right.get_mut(at) {
                    column.present.subtract(&known);
                }
            }
            continue;
        }
        let partners = signature::presence(&right, &group.right, len);
        for at in group.left {
            match left.get_mut(at) {
                Some(column) if op == BinaryOp::And => column.present.intersect(&partners),
                Some(column) => column.present.subtract(&partners),
                None => {}
            }
        }
    }
    if op == BinaryOp::Or {
        right.retain(|column| column.present.any());
        left.append(&mut right);
        return names::unite(left);
    }
    Ok(left)
}
