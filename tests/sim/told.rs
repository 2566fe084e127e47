//! What senders know: what they sent, and what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use sidelight_agent::signal::Signal;

/// What senders know.
#[derive(Debug, Default)]
pub struct Told {
    pub sent: BTreeMap<String, Signal>,
    /// Items that an agent was given: it took them or did not.
    pub offered: BTreeMap<Signal, u64>,
    pub acknowledged: BTreeSet<String>,
    /// Acknowledged before the agent ended in a way that its mode promises nothing about, or in what a sync lied about when
    /// the power went.
    pub forgiven: BTreeSet<String>,
    /// Acknowledged before that: what the journal counts of it may be gone, which is more than what it held.
    uncounted: BTreeSet<String>,
    /// What the agent said it never takes, and why: all that is sent is valid.
    pub refused: Vec<String>,
    /// Requests acknowledged, per sender.
    pub acks: BTreeMap<usize, u64>,
}

impl Told {
    pub fn offer(&mut self, signal: Signal, names: &[String]) {
        self.sent.extend(names.iter().map(|name| (name.clone(), signal)));
        *self.offered.entry(signal).or_default() += names.len() as u64;
    }

    /// Items acknowledged that the journal counts, of one signal.
    pub fn counted(&self, signal: Signal) -> u64 {
        let names = self.acknowledged.difference(&self.uncounted);
        names.filter(|name| self.sent.get(*name) == Some(&signal)).count() as u64
    }

    /// Whether the journal still counts what it did with this item.
    pub fn counts(&self, name: &str) -> bool {
        !self.uncounted.contains(name)
    }

    /// Whether it still counts all that was acknowledged.
    pub fn is_counted(&self) -> bool {
        self.uncounted.is_empty()
    }

    pub fn acknowledge(&mut self, sender: usize, names: Vec<String>) {
        self.acknowledged.extend(names);
        *self.acks.entry(sender).or_default() += 1;
    }

    /// What was acknowledged so far may be gone.
    pub fn forgive(&mut self) {
        self.forgiven.clone_from(&self.acknowledged);
        self.uncounted.clone_from(&self.acknowledged);
    }

    /// What has these `ids` may be gone, and what was counted with it.
    pub fn forgive_lied_about(&mut self, ids: &BTreeSet<String>) {
        let named = |id: &String| self.acknowledged.range(id.clone()..).next().cloned();
        let names = ids.iter().filter_map(|id| named(id).filter(|name| name.starts_with(id)));
        self.forgiven.extend(names);
        self.uncounted.clone_from(&self.acknowledged);
    }
}
