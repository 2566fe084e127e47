//! Which columns form a group.

use std::collections::HashMap;

use super::super::column::Column;
use super::super::names::{self, METADATA};
use crate::Labels;

/// Columns with the same grouping labels.
pub(super) struct Group {
    pub(super) labels: Labels,
    /// Whether any of them loses its name.
    pub(super) drop_name: bool,
    /// Their positions, in order.
    pub(super) members: Vec<usize>,
}

/// The groups of `columns`, in order of their first.
pub(super) fn groups(grouping: &[&str], without: bool, columns: &[Column]) -> Vec<Group> {
    let mut known: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let labels = labels(grouping, without, &column.labels);
        let group = *known.entry(labels).or_insert_with_key(|labels| {
            groups.push(Group { labels: labels.clone(), drop_name: false, members: Vec::new() });
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(group) {
            group.drop_name |= column.drop_name;
            group.members.push(at);
        }
    }
    groups
}

/// The labels of the group that `labels` are of.
pub(super) fn labels(grouping: &[&str], without: bool, labels: &Labels) -> Labels {
    let named = |name: &str| grouping.binary_search(&name).is_ok();
    if without {
        names::without(labels, |name| METADATA.contains(&name) || named(name))
    } else {
        names::without(labels, |name| !named(name))
    }
}
