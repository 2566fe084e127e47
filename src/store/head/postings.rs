//! Which series have which label: for every name and value the series, ascending.

use std::collections::{BTreeMap, HashMap};

use super::symbols::Symbol;

/// Series of one sort by label. Bounded by the series in it.
#[derive(Debug, Default)]
pub(super) struct Postings {
    all: Vec<u32>,
    names: HashMap<Symbol, HashMap<Symbol, List>>,
}

/// Ascending; most labels that tell series apart have one.
#[derive(Clone, Debug)]
enum List {
    One(u32),
    Many(Vec<u32>),
}

impl List {
    fn as_slice(&self) -> &[u32] {
        match self {
            Self::One(series) => std::slice::from_ref(series),
            Self::Many(series) => series,
        }
    }
}

fn insert(list: &mut Vec<u32>, series: u32) {
    match list.last() {
        Some(&last) if last >= series => {
            if let Err(at) = list.binary_search(&series) {
                list.insert(at, series);
            }
        }
        _ => list.push(series),
    }
}

/// Takes `gone` (ascending) out of `list` in one pass.
fn remove(list: &mut Vec<u32>, gone: &[u32]) {
    list.retain(|series| gone.binary_search(series).is_err());
}

impl Postings {
    /// Adds a series with its labels.
    pub(super) fn insert(&mut self, series: u32, labels: &[(Symbol, Symbol)]) {
        insert(&mut self.all, series);
        for &(name, value) in labels {
            let values = self.names.entry(name).or_default();
            let list = values.entry(value).or_insert(List::One(series));
            match list {
                List::One(only) if *only == series => {}
                List::One(only) => {
                    *list = List::Many(vec![series.min(*only), series.max(*only)]);
                }
                List::Many(many) => insert(many, series),
            }
        }
    }

    /// Takes series out: `gone` with their labels, ascending.
    pub(super) fn remove(&mut self, gone: &[(u32, &[(Symbol, Symbol)])]) {
        let mut by_label: BTreeMap<(Symbol, Symbol), Vec<u32>> = BTreeMap::new();
        for (series, labels) in gone {
            for &label in *labels {
                by_label.entry(label).or_default().push(*series);
            }
        }
        let ids: Vec<u32> = gone.iter().map(|(series, _)| *series).collect();
        remove(&mut self.all, &ids);
        for ((name, value), ids) in by_label {
            let Some(values) = self.names.get_mut(&name) else { continue };
            let empty = match values.get_mut(&value) {
                Some(List::Many(many)) => {
                    remove(many, &ids);
                    many.is_empty()
                }
                Some(List::One(_)) => true,
                None => false,
            };
            if empty {
                values.remove(&value);
            }
            if values.is_empty() {
                self.names.remove(&name);
            }
        }
    }

    /// Every series.
    pub(super) fn all(&self) -> &[u32] {
        &self.all
    }

    /// The series with this label.
    pub(super) fn get(&self, name: Symbol, value: Symbol) -> &[u32] {
        let values = self.names.get(&name);
        values.and_then(|values| values.get(&value)).map_or(&[], List::as_slice)
    }

    /// Every value of label `name`, with the number of series that have it.
    pub(super) fn values(&self, name: Symbol) -> impl Iterator<Item = (Symbol, usize)> {
        let values = self.names.get(&name).into_iter().flatten();
        values.map(|(value, list)| (*value, list.as_slice().len()))
    }

    /// Every label with the number of series that have it.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (Symbol, Symbol, usize)> {
        self.names.iter().flat_map(|(&name, values)| {
            values.iter().map(move |(&value, list)| (name, value, list.as_slice().len()))
        })
    }

    /// Memory held, estimated.
    pub(super) fn heap_bytes(&self) -> usize {
        let list = |list: &List| match list {
            List::One(_) => 0,
            List::Many(many) => many.capacity() * 4,
        };
        let values = |values: &HashMap<Symbol, List>| {
            values.capacity() * (size_of::<(Symbol, List)>() + 1)
                + values.values().map(list).sum::<usize>()
        };
        self.all.capacity() * 4 + self.names.values().map(values).sum::<usize>()
    }
}
