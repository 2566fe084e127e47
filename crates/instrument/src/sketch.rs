//! HyperLogLog with 2^12 registers: how many different hashes there were, to 1.6 %, in 4 KiB.
//!
//! ```text
//! version u8 = 1 │ precision u8 = 12 │ key id u32 LE │ form u8
//! form 0, sparse  count u16 LE │ (register u16 LE, rank u8) × count, registers ascending
//! form 1, dense   4096 ranks u8
//! ```
//! The register is the hash's 12 highest bits, the rank one more than the zeros that lead the other 52. Inserting is one
//! comparison. Sources: Flajolet et al. 2007; Ertl, "New cardinality estimation algorithms", 2017, for the estimate.

const PRECISION: u32 = 12;
const REGISTERS: usize = 1 << PRECISION;
/// Of the 52 bits besides the register: all of them zero.
const RANK_MAX: usize = 53;
/// More would take more bytes than all registers.
const SPARSE_MAX: usize = REGISTERS / 4;
const VERSION: u8 = 1;

/// A set of hashes of which only the size can be told.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Sketch(Box<[u8]>);

impl Default for Sketch {
    fn default() -> Self {
        Self(vec![0; REGISTERS].into_boxed_slice())
    }
}

impl Sketch {
    #[inline]
    pub(crate) fn insert(&mut self, hash: u64) {
        let register = (hash >> (64 - PRECISION)) as usize;
        let rank = ((hash << PRECISION) | (1 << (PRECISION - 1))).leading_zeros() as u8 + 1;
        if let Some(known) = self.0.get_mut(register) {
            *known = rank.max(*known);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(known, rank)| *known = (*known).max(*rank));
    }

    pub(crate) fn clear(&mut self) {
        self.0.fill(0);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|rank| *rank == 0)
    }

    /// How many different hashes were inserted, about.
    pub(crate) fn estimate(&self) -> f64 {
        let mut by_rank = [0.0_f64; RANK_MAX + 1];
        for rank in &self.0 {
            if let Some(count) = by_rank.get_mut(usize::from(*rank)) {
                *count += 1.0;
            }
        }
        let m = REGISTERS as f64;
        let [empty, between @ .., full] = by_rank;
        let last = m * tau(1.0 - full / m);
        let sum = between.iter().rev().fold(last, |sum, count| 0.5 * (sum + count));
        let estimate = m * m / (2.0 * std::f64::consts::LN_2 * (sum + m * sigma(empty / m)));
        if estimate.is_finite() { estimate } else { 0.0 }
    }

    /// The bytes of the layout above.
    pub(crate) fn encode(&self, key_id: u32) -> Vec<u8> {
        let occupied = || self.0.iter().enumerate().filter(|(_, rank)| **rank > 0);
        let count = occupied().count();
        let mut out = vec![VERSION, PRECISION as u8];
        out.extend_from_slice(&key_id.to_le_bytes());
        if count > SPARSE_MAX {
            out.push(1);
            out.extend_from_slice(&self.0);
            return out;
        }
        out.push(0);
        out.extend_from_slice(&(count as u16).to_le_bytes());
        for (register, rank) in occupied() {
            out.extend_from_slice(&(register as u16).to_le_bytes());
            out.push(*rank);
        }
        out
    }
}

/// The sum of `x^(2^k) 2^(k-1)` that corrects for registers that are empty, `x` their share.
fn sigma(share: f64) -> f64 {
    if share >= 1.0 {
        return f64::INFINITY;
    }
    let (mut power, mut weight, mut sum) = (share, 1.0, share);
    loop {
        power *= power;
        let next = sum + power * weight;
        if next <= sum {
            return sum;
        }
        (sum, weight) = (next, weight * 2.0);
    }
}

/// The same for registers that are full; `share` is that of the others.
fn tau(share: f64) -> f64 {
    if share <= 0.0 || share >= 1.0 {
        return 0.0;
    }
    let (mut root, mut weight, mut rest) = (share, 1.0, 1.0 - share);
    loop {
        root = root.sqrt();
        weight *= 0.5;
        let next = rest - (1.0 - root).powi(2) * weight;
        if next >= rest {
            return rest / 3.0;
        }
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use siphasher::sip::SipHasher24;
    use std::hash::Hasher as _;

    fn of(users: std::ops::Range<u64>) -> Sketch {
        let mut sketch = Sketch::default();
        for user in users {
            let mut hasher = SipHasher24::new_with_key(&[7; 16]);
            hasher.write(&user.to_le_bytes());
            sketch.insert(hasher.finish());
        }
        sketch
    }

    #[test]
    fn an_estimate_is_within_five_percent() {
        assert_eq!(of(0..0).estimate(), 0.0);
        for count in [1, 10, 100, 1_000, 5_000, 50_000, 400_000] {
            let estimate = of(0..count).estimate();
            assert!((estimate / count as f64 - 1.0).abs() < 0.05, "{count}: {estimate}");
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_layout() {
        let mut sketch = Sketch::default();
        sketch.insert(0x0020_0000_0000_0001);
        sketch.insert(0x8008_0000_0000_0000);
        let expected = [1, 12, 4, 3, 2, 1, 0, 2, 0, 2, 0, 52, 0, 8, 1];
        assert_eq!(sketch.encode(0x0102_0304), expected);
        let dense = of(0..50_000).encode(1);
        assert_eq!((dense.get(6), dense.len()), (Some(&1), 7 + 4096));
    }

    #[test]
    fn a_merge_is_the_sketch_of_both() {
        let mut merged = of(0..3_000);
        merged.merge(&of(2_000..9_000));
        assert!(merged == of(0..9_000));
    }
}
