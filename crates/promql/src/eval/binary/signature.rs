//! Which series of two vectors belong together: computed once per query, since labels do not change
//! from step to step.

use std::collections::HashMap;

use super::super::bits::Bits;
use super::super::column::Column;
use super::super::names;
use crate::Labels;
use crate::ast::Matching;
use crate::labels::NAME;

/// The columns of both sides that have the labels compared in common, by their position.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) left: Vec<usize>,
    pub(crate) right: Vec<usize>,
}

/// The groups of two vectors, in the order of the left side.
pub(crate) fn groups(matching: &Matching, left: &[Column], right: &[Column]) -> Vec<Group> {
    let mut by_signature: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    let mut group_of = |column: &Column, groups: &mut Vec<Group>| {
        *by_signature.entry(signature(matching, &column.labels)).or_insert_with(|| {
            groups.push(Group::default());
            groups.len() - 1
        })
    };
    for (at, column) in left.iter().enumerate() {
        let group = group_of(column, &mut groups);
        if let Some(group) = groups.get_mut(group) {
            group.left.push(at);
        }
    }
    for (at, column) in right.iter().enumerate() {
        let group = group_of(column, &mut groups);
        if let Some(group) = groups.get_mut(group) {
            group.right.push(at);
        }
    }
    groups
}

/// The labels of `labels` that are compared.
pub(crate) fn signature(matching: &Matching, labels: &Labels) -> Labels {
    let named = |name: &str| matching.labels.iter().any(|label| label == name);
    if matching.on {
        names::without(labels, |name| !named(name))
    } else {
        names::without(labels, |name| name == NAME || named(name))
    }
}

/// The steps at which any of the columns `at` has a sample.
pub(crate) fn presence(columns: &[Column], at: &[usize], len: usize) -> Bits {
    let mut bits = Bits::none(len);
    for column in at.iter().filter_map(|at| columns.get(*at)) {
        bits.union(&column.present);
    }
    bits
}
