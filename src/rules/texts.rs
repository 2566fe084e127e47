//! The series that rules keep from one evaluation to the next, their names and values in memory once.
//!
//! What a query gives has texts of its own: rules by route keep the routes as often as there are rules, and where senders
//! make many long ones up that is most of what the agent holds.

use std::collections::HashSet;
use std::sync::Arc;

use sidelight_promql::{Label, Labels};

/// Names and values of labels, each once.
#[derive(Debug, Default)]
pub(super) struct Texts {
    all: HashSet<Arc<str>>,
    /// Series ended that had some of them.
    some_ended: bool,
}

impl Texts {
    /// The series of an evaluation, after those `before` it: what was there stays where it is, and what is new has these texts.
    /// Both are sorted.
    pub(super) fn kept(&mut self, returned: Vec<Labels>, before: &[Labels]) -> Vec<Labels> {
        let mut known = before.iter().peekable();
        let mut again = 0;
        let mut kept = Vec::with_capacity(returned.len());
        for labels in returned {
            while known.next_if(|known| **known < labels).is_some() {}
            kept.push(match known.next_if(|known| **known == labels) {
                Some(known) => {
                    again += 1;
                    known.clone()
                }
                None => self.shared(&labels),
            });
        }
        self.some_ended |= again < before.len();
        kept
    }

    fn shared(&mut self, labels: &Labels) -> Labels {
        let labels = labels
            .iter()
            .map(|label| Label { name: self.one(&label.name), value: self.one(&label.value) });
        Labels::sorted(labels)
    }

    fn one(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.all.get(text) {
            return Arc::clone(known);
        }
        // A copy: what a query made lies between what it forgets, and would hold on to that memory.
        let text = Arc::<str>::from(text);
        self.all.insert(Arc::clone(&text));
        text
    }

    /// Forgets what nobody has any more: after series ended, once what ended them is in the journal.
    pub(super) fn forget(&mut self) {
        if std::mem::take(&mut self.some_ended) {
            self.all.retain(|text| Arc::strong_count(text) > 1);
            self.all.shrink_to(2 * self.all.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(names: &[&str]) -> Vec<Labels> {
        names.iter().map(|name| Labels::new([("job", "a"), ("name", *name)])).collect()
    }

    fn value(labels: &Labels, at: usize) -> *const u8 {
        labels.iter().nth(at).unwrap().value.as_ptr()
    }

    #[test]
    fn a_text_is_there_once_however_many_rules_have_it() {
        let mut texts = Texts::default();
        let one = texts.kept(series(&["x", "y"]), &[]);
        let other = texts.kept(series(&["y"]), &[]);
        assert_eq!(value(&one[1], 1), value(&other[0], 1));
        assert_eq!(value(&one[0], 0), value(&other[0], 0));
        assert_eq!(texts.all.len(), 5);
    }

    #[test]
    fn what_was_there_before_stays_and_what_is_gone_is_forgotten() {
        let mut texts = Texts::default();
        let first = texts.kept(series(&["b", "d", "f"]), &[]);
        let second = texts.kept(series(&["a", "d", "e"]), &first);
        assert_eq!(second, series(&["a", "d", "e"]));
        assert_eq!(value(&second[1], 1), value(&first[1], 1));
        drop(first);
        texts.forget();
        // `job`, `name`, `a`, `d` and `e`.
        assert_eq!(texts.all.len(), 5);
        drop(second);
        texts.forget();
        assert_eq!(texts.all.len(), 5, "nobody said that a series ended");
        let third = texts.kept(Vec::new(), &series(&["z"]));
        assert!(third.is_empty());
        texts.forget();
        assert_eq!(texts.all.len(), 0);
    }
}
