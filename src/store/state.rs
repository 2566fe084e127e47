//! Named state in a checkpoint: what those who write to the store need after a restart, in pieces.
//!
//! A piece is a row: `key`, `key#1`, `key#2`, … A state that has fewer pieces than before has empty ones in
//! place of the others. Only one piece is in memory while a checkpoint is written; a start has all of them until each
//! was read.

use std::collections::BTreeMap;

use super::StoreError;
use super::disk::Commit;

/// Pieces by key, in order.
type States = BTreeMap<String, Vec<Vec<u8>>>;

/// The pieces of each state, and how many it has.
pub(super) fn sorted(rows: Vec<(String, Vec<u8>)>) -> (States, BTreeMap<String, usize>) {
    let mut numbered: Vec<_> = rows
        .into_iter()
        .filter(|(_, bytes)| !bytes.is_empty())
        .map(|(name, bytes)| {
            let (key, nth) = name.split_once('#').unwrap_or((&name, "0"));
            (key.to_owned(), nth.parse().unwrap_or(usize::MAX), bytes)
        })
        .collect();
    numbered.sort_unstable_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    let mut states = States::new();
    for (key, _, bytes) in numbered {
        states.entry(key).or_default().push(bytes);
    }
    let counts = states.iter().map(|(key, pieces)| (key.clone(), pieces.len()));
    let counts = counts.collect();
    (states, counts)
}

fn name(key: &str, nth: usize) -> String {
    if nth == 0 { key.to_owned() } else { format!("{key}#{nth}") }
}

/// State on its way into a checkpoint.
#[derive(Debug)]
pub(super) struct Pieces<'a, 'b> {
    commit: &'a mut Commit<'b>,
    written: BTreeMap<String, usize>,
}

impl<'a, 'b> Pieces<'a, 'b> {
    pub(super) fn new(commit: &'a mut Commit<'b>) -> Self {
        Self { commit, written: BTreeMap::new() }
    }

    /// Writes the next piece of a state.
    pub(super) fn put(&mut self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let written = self.written.entry(key.to_owned()).or_default();
        self.commit.state(&name(key, *written), bytes)?;
        *written += 1;
        Ok(())
    }

    /// Empties what was written `before` and is not now. How many pieces each state has.
    pub(super) fn finish(
        self,
        before: &BTreeMap<String, usize>,
    ) -> Result<BTreeMap<String, usize>, StoreError> {
        for (key, &had) in before {
            for nth in self.written.get(key).copied().unwrap_or(0)..had {
                self.commit.state(&name(key, nth), &[])?;
            }
        }
        Ok(self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_in_the_order_of_their_numbers() {
        let rows = (0..12).rev().map(|nth| (name("k", nth), vec![nth as u8 + 1]));
        let rows = rows.chain([("k#12".to_owned(), Vec::new()), ("j".to_owned(), vec![0])]);
        let (states, counts) = sorted(rows.collect());
        assert_eq!(states["k"].concat(), (1..=12).collect::<Vec<u8>>());
        assert_eq!((counts["k"], counts["j"]), (12, 1));
    }
}
