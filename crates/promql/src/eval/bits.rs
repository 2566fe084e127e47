//! A bit per step: whether there is a sample.

/// A fixed number of bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bits {
    /// An instant query has one bit: it takes no allocation.
    first: u64,
    rest: Vec<u64>,
    len: usize,
}

impl Bits {
    /// `len` bits, none set.
    pub(crate) fn none(len: usize) -> Self {
        Self { first: 0, rest: vec![0; len.div_ceil(64).saturating_sub(1)], len }
    }

    /// `len` bits, all set.
    pub(crate) fn all(len: usize) -> Self {
        let mut bits = Self::none(len);
        bits.invert();
        bits
    }

    /// How many bits there are.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    fn words(&self) -> impl Iterator<Item = u64> {
        std::iter::once(self.first).chain(self.rest.iter().copied())
    }

    fn words_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        std::iter::once(&mut self.first).chain(&mut self.rest)
    }

    fn word_mut(&mut self, at: usize) -> Option<&mut u64> {
        match at.checked_sub(1) {
            None => Some(&mut self.first),
            Some(at) => self.rest.get_mut(at),
        }
    }

    pub(crate) fn get(&self, at: usize) -> bool {
        let word = match (at / 64).checked_sub(1) {
            None => self.first,
            Some(at) => self.rest.get(at).copied().unwrap_or_default(),
        };
        word >> (at % 64) & 1 == 1
    }

    pub(crate) fn set(&mut self, at: usize) {
        if let Some(word) = self.word_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    }

    pub(crate) fn clear(&mut self, at: usize) {
        if let Some(word) = self.word_mut(at / 64) {
            *word &= !(1 << (at % 64));
        }
    }

    /// Whether any is set.
    pub(crate) fn any(&self) -> bool {
        self.words().any(|word| word != 0)
    }

    /// Whether every one is set.
    pub(crate) fn is_full(&self) -> bool {
        self.count() == self.len
    }

    /// How many are set.
    pub(crate) fn count(&self) -> usize {
        self.words().map(|word| word.count_ones() as usize).sum()
    }

    /// Sets those that `other` has.
    pub(crate) fn union(&mut self, other: &Self) {
        for (word, other) in self.words_mut().zip(other.words()) {
            *word |= other;
        }
    }

    /// Clears those that `other` has not.
    pub(crate) fn intersect(&mut self, other: &Self) {
        for (word, other) in self.words_mut().zip(other.words()) {
            *word &= other;
        }
    }

    /// Clears those that `other` has.
    pub(crate) fn subtract(&mut self, other: &Self) {
        for (word, other) in self.words_mut().zip(other.words()) {
            *word &= !other;
        }
    }

    /// Whether any is set in both.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.words().zip(other.words()).any(|(word, other)| word & other != 0)
    }

    /// Turns every bit over.
    pub(crate) fn invert(&mut self) {
        for word in self.words_mut() {
            *word = !*word;
        }
        self.trim();
    }

    /// The positions of those set, ascending.
    pub(crate) fn ones(&self) -> impl Iterator<Item = usize> + '_ {
        self.words().enumerate().flat_map(|(at, word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros() as usize;
                let found = rest != 0;
                rest &= rest.wrapping_sub(1);
                found.then_some(at * 64 + bit)
            })
        })
    }

    fn trim(&mut self) {
        let over = self.len % 64;
        if (over != 0 || self.len == 0)
            && let Some(last) = self.word_mut(self.len / 64)
        {
            *last &= (1 << over) - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_past_the_end_are_never_set() {
        let mut bits = Bits::all(70);
        assert_eq!(bits.count(), 70);
        bits.invert();
        assert!(!bits.any());
        bits.set(0);
        bits.set(69);
        assert_eq!(bits.ones().collect::<Vec<_>>(), [0, 69]);
        bits.invert();
        assert_eq!(bits.count(), 68);
        assert!(!bits.get(69));
        for len in [0, 1, 63, 64, 65, 128, 129] {
            let all = Bits::all(len);
            assert!(all.is_full() && all.ones().eq(0..len), "{len}");
            assert!(!Bits::none(len).any(), "{len}");
        }
    }
}
