//! The identity of a stored series on disk: 64 bits of its labels and kind.
//!
//! Stable: it is a key in files. Two live series never share one: the second is refused. Among 10^5 series
//! over all days the chance of a clash is 3e-10.

use super::Kind;

/// Identifies a stored series in the head and in every file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u64);

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const FACTOR: u64 = 0xa076_1d64_78bd_642f;

impl Fingerprint {
    /// The fingerprint of labels in the order of names.
    #[must_use]
    pub fn of<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>, kind: Kind) -> Self {
        let state = labels.into_iter().fold(SEED, |state, (name, value)| {
            text(text(state, name.as_bytes()), value.as_bytes())
        });
        Self(fold(state ^ kind as u64, FACTOR))
    }

    /// That of a text by itself.
    #[must_use]
    pub fn of_text(of: &str) -> Self {
        Self(hash_text(of))
    }

    /// As `SQLite` keeps it: the same bits.
    #[must_use]
    pub const fn to_i64(self) -> i64 {
        self.0.cast_signed()
    }

    /// Back from `SQLite`.
    #[must_use]
    pub const fn from_i64(bits: i64) -> Self {
        Self(bits.cast_unsigned())
    }
}

/// The hash of a text.
pub(super) fn hash_text(of: &str) -> u64 {
    text(SEED, of.as_bytes())
}

/// Mixes a text and its length into `state`, eight bytes at a time.
fn text(state: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut state =
        words.iter().fold(state, |state, word| fold(state ^ u64::from_le_bytes(*word), FACTOR));
    let mut last = [0; 8];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    state = fold(state ^ u64::from_le_bytes(last), FACTOR);
    fold(state ^ bytes.len() as u64, SEED)
}

/// Both halves of the product: every bit of the input reaches every bit of the output.
#[expect(clippy::cast_possible_truncation, reason = "the two halves of 128 bits")]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ SEED) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64) ^ a.rotate_left(32)
}
