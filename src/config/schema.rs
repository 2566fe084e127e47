//! The table of options as the tree of everything that may be written.
//!
//! From it come the check of what is written and suggestions for what is misspelt.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::option::Opt;
use super::table;

/// The tree of everything that may be written.
#[derive(Debug)]
pub(super) enum Schema {
    Group(BTreeMap<&'static str, Schema>),
    /// A list of groups.
    List(Box<Schema>),
    Option(&'static Opt),
}

/// The whole tree. Below `exporters` stand the types; a part of a place that ends in `[]` is a list of groups.
pub(super) fn schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
        let mut root = Schema::Group(BTreeMap::new());
        for section in table::SECTIONS {
            for place in section.places {
                for option in section.options {
                    root.insert(place.split('.').filter(|p| !p.is_empty()), option);
                }
            }
        }
        root
    });
    &SCHEMA
}

impl Schema {
    fn insert(&mut self, place: impl Iterator<Item = &'static str>, option: &'static Opt) {
        let mut node = self;
        for part in place.chain(option.key.split('.')) {
            let Self::Group(children) = node else {
                debug_assert!(false, "{part} stands below an option");
                return;
            };
            let group = || Self::Group(BTreeMap::new());
            node = match part.strip_suffix("[]") {
                None => children.entry(part).or_insert_with(group),
                Some(name) => {
                    match children.entry(name).or_insert_with(|| Self::List(Box::new(group()))) {
                        Self::List(each) => each,
                        other => other,
                    }
                }
            };
        }
        *node = Self::Option(option);
    }

    /// The option at the end of `keys`; below `exporters` the type of an entry counts, not its name.
    pub(super) fn option(&self, keys: &[&str]) -> Option<&'static Opt> {
        let mut node = self;
        for (depth, &key) in keys.iter().enumerate() {
            let is_exporter = depth == 1 && keys.first() == Some(&"exporters");
            let key = if is_exporter { key.split('/').next().unwrap_or_default() } else { key };
            node = node.child(key)?;
        }
        if let Self::Option(option) = node { Some(*option) } else { None }
    }

    /// The names that may stand here.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        let children = if let Self::Group(children) = self { Some(children) } else { None };
        children.into_iter().flat_map(|children| children.keys().copied())
    }

    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        if let Self::Group(children) = self { children.get(name) } else { None }
    }
}
