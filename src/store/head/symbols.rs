//! Names and values of labels, each text once, as long as a series uses it.

use std::sync::Arc;

use hashbrown::HashTable;

use crate::store::fingerprint::hash_text;

/// A text of [`Symbols`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::store) struct Symbol(u32);

/// Texts by number and numbers by text. Bounded by the series that use them.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_text: HashTable<u32>,
    bytes: usize,
}

/// What a text takes besides its bytes: its slot, its number by text, and its entry in the postings.
const TEXT_BYTES: usize = 112;

#[derive(Debug)]
struct Slot {
    text: Arc<str>,
    uses: u32,
}

impl Symbols {
    /// The symbol of `text`, used once more.
    pub(super) fn intern(&mut self, text: &str) -> Symbol {
        let hash = hash_text(text);
        let slots = &mut self.slots;
        let same = |&at: &u32| slots.get(at as usize).is_some_and(|slot| *slot.text == *text);
        if let Some(&at) = self.by_text.find(hash, same) {
            if let Some(slot) = slots.get_mut(at as usize) {
                slot.uses += 1;
            }
            return Symbol(at);
        }
        self.bytes += text.len();
        let fresh = Slot { text: text.into(), uses: 1 };
        let at = self.free.pop().unwrap_or(slots.len() as u32);
        match slots.get_mut(at as usize) {
            Some(slot) => *slot = fresh,
            None => slots.push(fresh),
        }
        let of = |&at: &u32| slots.get(at as usize).map_or(0, |slot| hash_text(&slot.text));
        self.by_text.insert_unique(hash, at, of);
        Symbol(at)
    }

    /// Says that a use has ended.
    pub(super) fn release(&mut self, Symbol(at): Symbol) {
        let Some(slot) = self.slots.get_mut(at as usize) else { return };
        slot.uses = slot.uses.saturating_sub(1);
        if slot.uses == 0 {
            let text = std::mem::replace(&mut slot.text, Arc::from(""));
            self.bytes -= text.len();
            if let Ok(entry) = self.by_text.find_entry(hash_text(&text), |&known| known == at) {
                entry.remove();
                self.free.push(at);
            }
        }
    }

    /// The symbol of `text` if a series uses it.
    pub(super) fn find(&self, text: &str) -> Option<Symbol> {
        let same = |&at: &u32| self.slots.get(at as usize).is_some_and(|slot| *slot.text == *text);
        self.by_text.find(hash_text(text), same).map(|&at| Symbol(at))
    }

    /// The text of a symbol that is in use.
    pub(super) fn text(&self, Symbol(at): Symbol) -> &str {
        self.slots.get(at as usize).map_or("", |slot| &slot.text)
    }

    /// The same, shared.
    pub(super) fn shared(&self, Symbol(at): Symbol) -> Arc<str> {
        self.slots.get(at as usize).map_or_else(|| Arc::from(""), |slot| Arc::clone(&slot.text))
    }

    /// What the texts that are in use take, with their places in indexes. Cheap.
    pub(super) fn used_bytes(&self) -> usize {
        self.bytes + (self.slots.len() - self.free.len()) * TEXT_BYTES
    }

    /// What using `text` once more takes.
    pub(super) fn cost(&self, text: &str) -> usize {
        if self.find(text).is_some() { 0 } else { TEXT_BYTES + text.len() }
    }

    /// Memory held, estimated.
    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes + self.slots.capacity() * (size_of::<Slot>() + 16) + self.by_text.capacity() * 5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_once_and_as_long_as_it_is_used() {
        let mut symbols = Symbols::default();
        let a = symbols.intern("a");
        assert_eq!(symbols.intern("a"), a);
        let empty = symbols.intern("");
        assert_eq!((symbols.text(a), symbols.text(empty)), ("a", ""));
        symbols.release(a);
        assert_eq!(symbols.find("a"), Some(a));
        symbols.release(a);
        assert_eq!(symbols.find("a"), None);
        let b = symbols.intern("b");
        assert_eq!((b, symbols.text(b)), (a, "b"));
        assert_eq!(symbols.find(""), Some(empty));
    }
}
