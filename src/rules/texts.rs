//! The series that rules keep from one evaluation to the next, their names and values in memory once.
//!
//! What a query gives has texts of its own: rules by route keep the routes as often as there are rules, and where senders
//! make many long ones up that is most of what the agent holds.

use std::collections::HashSet;
use std::sync::Arc;

use sidelight_promql::{Label, Labels};

/// Names and values of labels, each once.
#[derive(Debug, Default)]
pub(super) struct Texts(HashSet<Arc<str>>);

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
        if again < before.len() {
            self.forget();
        }
        kept
    }

    fn shared(&mut self, labels: &Labels) -> Labels {
        let labels = labels
            .iter()
            .map(|label| Label { name: self.one(&label.name), value: self.one(&label.value) });
        Labels::sorted(labels)
    }

    fn one(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        // A copy: what a query made lies between what it forgets, and would hold on to that memory.
        let text = Arc::<str>::from(text);
        self.0.insert(Arc::clone(&text));
        text
    }

    /// Forgets what nobody has any more, but for the series that were there before, which go after this.
    fn forget(&mut self) {
        self.0.retain(|text| Arc::strong_count(text) > 1);
        self.0.shrink_to(2 * self.0.len());
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
        assert_eq!(texts.0.len(), 5);
    }

    #[test]
    fn what_was_there_before_stays_and_what_is_gone_is_forgotten() {
        let mut texts = Texts::default();
        let first = texts.kept(series(&["b", "d", "f"]), &[]);
        let second = texts.kept(series(&["a", "d", "e"]), &first);
        assert_eq!(second, series(&["a", "d", "e"]));
        assert_eq!(value(&second[1], 1), value(&first[1], 1));
        drop(first);
        let third = texts.kept(series(&["e"]), &second);
        drop(second);
        assert_eq!(texts.kept(series(&["e"]), &third), third);
        assert_eq!(texts.kept(Vec::new(), &third), []);
        drop(third);
        assert_eq!(texts.kept(Vec::new(), &series(&["z"])), []);
        assert_eq!(texts.0.len(), 0);
    }
}
