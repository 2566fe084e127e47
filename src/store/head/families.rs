//! What is known of metric families beside their samples, for as many as there is room for.
//!
//! A family that comes when there is no room takes that of those that have no series in the head. It is looked for them
//! at most once between two checkpoints, and not among those that no checkpoint has, whose series may be on the way, nor
//! among the agent's own.

use std::collections::BTreeMap;

use super::Symbols;
use crate::store::metadata::Metadata;

/// What a family takes without its texts.
const FAMILY_BYTES: usize = 160;
/// What follows a family's name in the names of its series.
const SUFFIXES: [&str; 4] = ["", "_bucket", "_sum", "_count"];

/// How the names begin of what the agent makes.
const OWN: [&str; 3] = ["sidelight", "traces_spanmetrics", "traces_service_graph"];

/// Metadata by family.
#[derive(Debug, Default)]
pub(in crate::store) struct Families {
    /// With whether a checkpoint lacks it.
    known: BTreeMap<String, (Metadata, bool)>,
    bytes: usize,
    /// Those that a checkpoint has and that are not known any more.
    gone: Vec<String>,
    swept: bool,
}

impl Families {
    /// Keeps what is known of a family; false when there is no room.
    pub(super) fn describe(
        &mut self,
        name: &str,
        metadata: Metadata,
        (count_max, bytes_max): (usize, usize),
        symbols: &Symbols,
    ) -> bool {
        let known = self.known.get(name);
        if known.is_some_and(|(known, _)| *known == metadata) {
            return true;
        }
        let (more, before) = known.map_or((1, 0), |(known, _)| (0, cost(name, known)));
        let cost = cost(name, &metadata);
        let fits =
            |of: &Self| of.bytes - before + cost <= bytes_max && of.known.len() + more <= count_max;
        if !fits(self) {
            self.sweep(name, symbols);
        }
        if !fits(self) {
            return false;
        }
        self.bytes = self.bytes - before + cost;
        self.known.insert(name.to_owned(), (metadata, true));
        true
    }

    /// Lets go of those without series, but for `wanted`.
    fn sweep(&mut self, wanted: &str, symbols: &Symbols) {
        if std::mem::replace(&mut self.swept, true) {
            return;
        }
        let lives = |name: &str| {
            SUFFIXES.iter().any(|suffix| symbols.find(&[name, suffix].concat()).is_some())
        };
        let (bytes, gone) = (&mut self.bytes, &mut self.gone);
        self.known.retain(|name, (metadata, changed)| {
            // The agent says once what its own are.
            let own = OWN.iter().any(|prefix| name.starts_with(prefix));
            let stays = *changed || own || name == wanted || lives(name);
            if !stays {
                *bytes -= cost(name, metadata);
                gone.push(name.clone());
            }
            stays
        });
    }

    /// What it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What is known of a family.
    pub(in crate::store) fn get(&self, name: &str) -> Option<(&String, &Metadata)> {
        self.known.get_key_value(name).map(|(name, (known, _))| (name, known))
    }

    /// What is known, by name.
    pub(in crate::store) fn iter(&self) -> impl Iterator<Item = (&String, &Metadata)> {
        self.known.iter().map(|(name, (known, _))| (name, known))
    }

    /// What the last checkpoint lacks: `all`, or what changed; and what it has and is not known any more.
    pub(in crate::store) fn unsaved(&self, all: bool) -> (Vec<(String, Metadata)>, Vec<String>) {
        let changed = self.known.iter().filter(|(_, (_, changed))| *changed || all);
        let changed = changed.map(|(name, (known, _))| (name.clone(), known.clone())).collect();
        let gone = self.gone.iter().filter(|name| !self.known.contains_key(*name));
        (changed, gone.cloned().collect())
    }

    /// Says that a checkpoint has all of it.
    pub(in crate::store) fn saved(&mut self) {
        self.known.values_mut().for_each(|(_, changed)| *changed = false);
        self.gone.clear();
        self.swept = false;
    }
}

fn cost(name: &str, known: &Metadata) -> usize {
    FAMILY_BYTES + name.len() + known.help.len() + known.unit.len()
}
