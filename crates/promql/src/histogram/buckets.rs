//! Lists of counts by ascending index: reduced, joined, found equal.

use super::Buckets;
use crate::kahan;

impl Buckets {
    /// Whether both have the same buckets with the same counts, bit by bit.
    pub(super) fn same(&self, other: &Self) -> bool {
        let key = |&(index, count): &(i32, f64)| (index, count.to_bits());
        self.0.iter().map(key).eq(other.0.iter().map(key))
    }
}

/// The index of a bucket when the schema is lowered `by`.
pub(super) fn reduced_index(index: i32, by: u32) -> i32 {
    (index.saturating_sub(1) >> by.min(31)) + 1
}

/// The buckets at a schema that is lower `by`: neighbours that fall together are added.
pub(super) fn reduced<C: Tally>(
    buckets: &[(i32, C)],
    by: u32,
) -> impl Iterator<Item = (i32, C)> + '_ {
    let mut rest = buckets.iter().map(move |&(i, count)| (reduced_index(i, by), count)).peekable();
    std::iter::from_fn(move || {
        let (index, mut count) = rest.next()?;
        while let Some((_, more)) = rest.next_if(|&(next, _)| next == index) {
            count.join(more);
        }
        Some((index, count))
    })
}

/// Adds the buckets of `other`, ascending, to those of `own`.
pub(super) fn join<C: Tally>(own: &mut Vec<(i32, C)>, other: impl Iterator<Item = (i32, C)>) {
    let mut at = 0;
    let mut missing = Vec::new();
    for (index, count) in other {
        while own.get(at).is_some_and(|&(i, _)| i < index) {
            at += 1;
        }
        match own.get_mut(at) {
            Some((i, sum)) if *i == index => sum.join(count),
            _ => missing.push((index, count)),
        }
    }
    if !missing.is_empty() {
        own.append(&mut missing);
        own.sort_by_key(|&(index, _)| index);
    }
}

/// What a bucket holds while a sum is made: a number, or one with what rounding lost of it.
pub(super) trait Tally: Copy {
    /// Adds `other`.
    fn join(&mut self, other: Self);
}

impl Tally for f64 {
    fn join(&mut self, other: Self) {
        *self += other;
    }
}

impl Tally for kahan::Sum {
    fn join(&mut self, other: Self) {
        self.add(other.value);
        self.lost += other.lost;
    }
}
