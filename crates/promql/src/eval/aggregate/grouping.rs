//! Which columns form a group. Labels are made for groups only: a column's are looked at where they are.

use std::hash::{BuildHasher as _, Hash, Hasher, RandomState};
use std::ops::Range;

use hashbrown::HashTable;

use super::super::column::Column;
use super::super::names::{self, METADATA};
use crate::{Label, Labels};

/// Columns with the same grouping labels.
pub(super) struct Group {
    pub(super) labels: Labels,
    /// Whether any of them loses its name.
    pub(super) drop_name: bool,
    members: Range<usize>,
}

/// The groups of some columns, in order of their first.
#[derive(Default)]
pub(super) struct Groups {
    pub(super) groups: Vec<Group>,
    /// The positions of columns by group, each group's in order.
    members: Vec<usize>,
}

impl Groups {
    /// The groups of `columns`.
    pub(super) fn of(grouping: &[&str], without: bool, columns: &[Column]) -> Self {
        let mut known = Known::new(grouping, without);
        let mut groups: Vec<Group> = Vec::new();
        let mut of_column = Vec::with_capacity(columns.len());
        for column in columns {
            let at = known.find(&column.labels, |at| Some(&groups.get(at)?.labels));
            if at == groups.len() {
                let labels = labels(grouping, without, &column.labels);
                groups.push(Group { labels, drop_name: false, members: 0..0 });
            }
            if let Some(group) = groups.get_mut(at) {
                group.drop_name |= column.drop_name;
                group.members.end += 1;
            }
            of_column.push(at);
        }
        let mut before = 0;
        for group in &mut groups {
            let size = group.members.end;
            group.members = before..before;
            before += size;
        }
        let mut members = vec![0; columns.len()];
        for (column, at) in of_column.into_iter().enumerate() {
            let Some(group) = groups.get_mut(at) else { continue };
            if let Some(place) = members.get_mut(group.members.end) {
                *place = column;
                group.members.end += 1;
            }
        }
        Self { groups, members }
    }

    /// The positions of a group's columns, in order.
    pub(super) fn members(&self, of: &Group) -> &[usize] {
        self.members.get(of.members.clone()).unwrap_or_default()
    }
}

/// Which groups there are, by number, found with the labels of a column.
pub(super) struct Known<'a> {
    /// Sorted.
    grouping: &'a [&'a str],
    without: bool,
    numbers: HashTable<usize>,
    hasher: RandomState,
}

impl<'a> Known<'a> {
    pub(super) fn new(grouping: &'a [&'a str], without: bool) -> Self {
        Self { grouping, without, numbers: HashTable::new(), hasher: RandomState::new() }
    }

    /// The number of the group of a column with these labels; of a new one, how many there were. `labels_of` has those of
    /// the groups before it.
    pub(super) fn find<'l>(
        &mut self,
        labels: &'l Labels,
        labels_of: impl Fn(usize) -> Option<&'l Labels>,
    ) -> usize {
        let Self { grouping, without, ref hasher, .. } = *self;
        let kept = |of| Kept { grouping, without, of };
        let next = self.numbers.len();
        let same = |at: &usize| labels_of(*at).is_some_and(|of| kept(of) == kept(labels));
        let hash = |at: &usize| labels_of(*at).map_or(0, |of| hasher.hash_one(kept(of)));
        let of_column = hasher.hash_one(kept(labels));
        *self.numbers.entry(of_column, same, hash).or_insert(next).get()
    }

    /// The labels of the group of such a column.
    pub(super) fn labels(&self, of: &Labels) -> Labels {
        labels(self.grouping, self.without, of)
    }
}

/// The labels of the group that `labels` are of.
pub(super) fn labels(grouping: &[&str], without: bool, labels: &Labels) -> Labels {
    if without {
        names::without(labels, |name| !keeps(grouping, name))
    } else {
        labels.only(grouping)
    }
}

/// Whether a label is one of a group's that is without `grouping`.
fn keeps(grouping: &[&str], name: &str) -> bool {
    grouping.binary_search(&name).is_err() && !METADATA.contains(&name)
}

/// The labels of a column that are its group's.
struct Kept<'a> {
    grouping: &'a [&'a str],
    without: bool,
    of: &'a Labels,
}

impl Kept<'_> {
    fn others(&self) -> impl Iterator<Item = &Label> {
        self.of.iter().filter(|label| keeps(self.grouping, &label.name))
    }

    /// The value of each label that is grouped by; empty when absent.
    fn values(&self) -> impl Iterator<Item = &str> {
        self.grouping.iter().map(|name| self.of.get(name))
    }
}

impl PartialEq for Kept<'_> {
    fn eq(&self, other: &Self) -> bool {
        if self.without {
            self.others().eq(other.others())
        } else {
            self.values().eq(other.values())
        }
    }
}

impl Eq for Kept<'_> {}

impl Hash for Kept<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if self.without {
            self.others().for_each(|label| label.hash(state));
        } else {
            self.values().for_each(|value| value.hash(state));
        }
    }
}
