//! Which columns form a group. Labels are made for groups only: a column's are looked at where they are.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use super::super::column::Column;
use super::super::names::{self, METADATA};
use crate::{Label, Labels};

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
    let mut known: HashMap<Kept<'_>, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let kept = Kept { grouping, without, of: &column.labels };
        let group = *known.entry(kept).or_insert_with(|| {
            let labels = labels(grouping, without, &column.labels);
            groups.push(Group { labels, drop_name: false, members: Vec::new() });
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
    names::without(labels, |name| !keeps(grouping, without, name))
}

/// Whether a label is one of the group's.
fn keeps(grouping: &[&str], without: bool, name: &str) -> bool {
    let named = grouping.binary_search(&name).is_ok();
    if without { !named && !METADATA.contains(&name) } else { named }
}

/// The labels of a column that are its group's.
struct Kept<'a> {
    grouping: &'a [&'a str],
    without: bool,
    of: &'a Labels,
}

impl Kept<'_> {
    fn labels(&self) -> impl Iterator<Item = &Label> {
        self.of.iter().filter(|label| keeps(self.grouping, self.without, &label.name))
    }
}

impl PartialEq for Kept<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.labels().eq(other.labels())
    }
}

impl Eq for Kept<'_> {}

impl Hash for Kept<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.labels().for_each(|label| label.hash(state));
    }
}
