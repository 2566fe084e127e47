//! Text that becomes a label, kept once for the life of the process: routes, RPC methods, peers.
//!
//! Limits: [`NAMES_MAX`] texts a table; the next ones are all [`OTHER`], and counted. Cost: one hash to find a text that is
//! there, a leaked copy to add one.

use std::sync::OnceLock;

use crate::limits;
use crate::table::Table;

/// Texts in one table.
pub(crate) const NAMES_MAX: usize = 200;
/// What is past the limit of a table, or no value that is known.
pub(crate) const OTHER: &str = "_OTHER";

/// A text of a [`Names`] by its number: 0 is none, 1 is [`OTHER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) number: u16,
    text: &'static str,
}

impl Name {
    #[cfg(feature = "http")]
    pub(crate) const NONE: Self = Self { number: 0, text: "" };
    pub(crate) const OTHER: Self = Self { number: 1, text: OTHER };

    /// The text, unless it is none.
    pub(crate) fn text(self) -> Option<&'static str> {
        (self.number != 0).then_some(self.text)
    }
}

/// A table of texts.
pub(crate) struct Names {
    /// What they are, as a log line has it.
    of: &'static str,
    known: OnceLock<Table<&'static str, Name>>,
}

impl Names {
    pub(crate) const fn new(of: &'static str) -> Self {
        Self { of, known: OnceLock::new() }
    }

    fn table(&self) -> &Table<&'static str, Name> {
        self.known.get_or_init(|| Table::new(NAMES_MAX))
    }

    /// The text, if it is there.
    pub(crate) fn find(&self, text: &str) -> Option<Name> {
        let table = self.table();
        table.find(table.hash(&text), |known| *known == text).copied()
    }

    /// The text, added if there is room for it.
    pub(crate) fn intern(&self, text: &str) -> Name {
        self.find(text).or_else(|| self.add(text)).unwrap_or_else(|| {
            limits::overflow(self.of);
            Name::OTHER
        })
    }

    #[cold]
    fn add(&self, text: &str) -> Option<Name> {
        let table = self.table();
        if table.len() >= NAMES_MAX {
            return None;
        }
        let text: &'static str = Box::leak(text.into());
        let name = |before: usize, text: &&'static str| {
            let number = u16::try_from(before + 2).unwrap_or(u16::MAX);
            Name { number, text }
        };
        table.add(table.hash(&text), text, NAMES_MAX, name).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_once_and_the_table_ends() {
        let names = Names::new("routes");
        assert_eq!(names.find("/a"), None);
        let first = names.intern("/a");
        assert_eq!(first.text(), Some("/a"));
        assert!(std::ptr::eq(first.text().unwrap(), names.intern("/a").text().unwrap()));
        for number in 0..100_000 {
            names.intern(&format!("/orders/{number}"));
        }
        assert_eq!(names.intern("/z"), Name::OTHER);
        assert_eq!(names.intern("/a"), first);
        assert_eq!(names.table().len(), NAMES_MAX);
        assert_eq!(Name { number: 0, text: "" }.text(), None);
    }
}
