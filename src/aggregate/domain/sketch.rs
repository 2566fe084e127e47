//! HyperLogLog with 2^12 registers: how many different hashes there were, to 1.6 %, in at most 4 KiB.
//!
//! ```text
//! version u8 = 1 │ precision u8 = 12 │ key id u32 LE │ form u8
//! form 0, sparse  count u16 LE │ (register u16 LE, rank u8) × count, registers ascending
//! form 1, dense   4096 ranks u8
//! ```
//! The register is the hash's 12 highest bits, the rank one more than the zeros that lead the other 52. Two sketches of
//! one key are merged by the greater rank of each register; sketches of different keys have nothing to do with each
//! other. Sources: Flajolet et al. 2007; Ertl, "New cardinality estimation algorithms", 2017, for the estimate.

const PRECISION: u32 = 12;
const REGISTERS: usize = 1 << PRECISION;
const RANK_MAX: u8 = 53;
/// More would take more bytes than all registers.
const SPARSE_MAX: usize = REGISTERS / 4;
const VERSION: u8 = 1;

/// A set of hashes of which only the size can be told, and what is merged.
#[derive(Clone, Debug, PartialEq)]
pub struct Sketch(Form);

#[derive(Clone, Debug, PartialEq)]
enum Form {
    /// Registers that are not 0, ascending.
    Sparse(Vec<(u16, u8)>),
    Dense(Box<[u8]>),
}

impl Default for Sketch {
    fn default() -> Self {
        Self(Form::Sparse(Vec::new()))
    }
}

impl Sketch {
    /// Adds a hash.
    pub fn insert(&mut self, hash: u64) {
        let register = (hash >> (64 - PRECISION)) as u16;
        let rank = ((hash << PRECISION) | 1 << (PRECISION - 1)).leading_zeros() as u8 + 1;
        self.raise(register, rank);
    }

    fn raise(&mut self, register: u16, rank: u8) {
        match &mut self.0 {
            Form::Dense(ranks) => {
                if let Some(known) = ranks.get_mut(usize::from(register)) {
                    *known = rank.max(*known);
                }
            }
            Form::Sparse(entries) => {
                match entries.binary_search_by_key(&register, |entry| entry.0) {
                    Ok(at) => {
                        if let Some((_, known)) = entries.get_mut(at) {
                            *known = rank.max(*known);
                        }
                    }
                    Err(at) => entries.insert(at, (register, rank)),
                }
                if entries.len() > SPARSE_MAX {
                    let mut ranks = vec![0; REGISTERS].into_boxed_slice();
                    for (register, rank) in &*entries {
                        if let Some(slot) = ranks.get_mut(usize::from(*register)) {
                            *slot = *rank;
                        }
                    }
                    self.0 = Form::Dense(ranks);
                }
            }
        }
    }

    /// Adds all hashes of another sketch of the same key.
    pub fn merge(&mut self, other: &Self) {
        for (register, rank) in other.entries() {
            self.raise(register, rank);
        }
    }

    fn entries(&self) -> Box<dyn Iterator<Item = (u16, u8)> + '_> {
        match &self.0 {
            Form::Sparse(entries) => Box::new(entries.iter().copied()),
            Form::Dense(ranks) => {
                let all = ranks.iter().enumerate().map(|(at, rank)| (at as u16, *rank));
                Box::new(all.filter(|(_, rank)| *rank > 0))
            }
        }
    }

    /// How many different hashes were added, about.
    #[must_use]
    pub fn estimate(&self) -> f64 {
        let mut histogram = [0.0_f64; RANK_MAX as usize + 1];
        let mut occupied = 0;
        for (_, rank) in self.entries() {
            occupied += 1;
            if let Some(count) = histogram.get_mut(usize::from(rank)) {
                *count += 1.0;
            }
        }
        let m = REGISTERS as f64;
        let [_, between @ .., full] = histogram;
        let mut z = m * tau((m - full) / m);
        for count in between.iter().rev() {
            z = 0.5 * (z + count);
        }
        z += m * sigma((REGISTERS - occupied) as f64 / m);
        let estimate = m * m / (2.0 * std::f64::consts::LN_2 * z);
        if estimate.is_finite() { estimate } else { 0.0 }
    }

    /// The bytes of the layout above.
    pub fn encode(&self, key_id: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(&[VERSION, PRECISION as u8]);
        out.extend_from_slice(&key_id.to_le_bytes());
        match &self.0 {
            Form::Sparse(entries) => {
                out.push(0);
                out.extend_from_slice(&(entries.len() as u16).to_le_bytes());
                for (register, rank) in entries {
                    out.extend_from_slice(&register.to_le_bytes());
                    out.push(*rank);
                }
            }
            Form::Dense(ranks) => {
                out.push(1);
                out.extend_from_slice(ranks);
            }
        }
    }

    /// A sketch and the id of its key; `None` for bytes that are none.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<(u32, Self)> {
        let (&[version, precision, a, b, c, d, form], rest) = bytes.split_first_chunk()?;
        if (version, u32::from(precision)) != (VERSION, PRECISION) {
            return None;
        }
        let key_id = u32::from_le_bytes([a, b, c, d]);
        let mut sketch = Self::default();
        if form == 0 {
            let (count, entries) = rest.split_first_chunk()?;
            let (entries, odd) = entries.as_chunks::<3>();
            if entries.len() != usize::from(u16::from_le_bytes(*count)) || !odd.is_empty() {
                return None;
            }
            for [low, high, rank] in entries {
                let register = u16::from_le_bytes([*low, *high]);
                let valid = usize::from(register) < REGISTERS && (1..=RANK_MAX).contains(rank);
                if !valid {
                    return None;
                }
                sketch.raise(register, *rank);
            }
        } else if form == 1 && rest.len() == REGISTERS {
            for (register, rank) in rest.iter().enumerate().filter(|(_, rank)| **rank > 0) {
                if *rank > RANK_MAX {
                    return None;
                }
                sketch.raise(register as u16, *rank);
            }
        } else {
            return None;
        }
        Some((key_id, sketch))
    }
}

/// Of the share of registers that are 0.
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z <= before {
            return z;
        }
    }
}

/// Of the share of registers that are not full.
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if z >= before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::siphash;
    use super::*;

    fn of(users: std::ops::Range<u64>) -> Sketch {
        let mut sketch = Sketch::default();
        users.for_each(|user| sketch.insert(siphash::hash(&[7; 16], &user.to_le_bytes())));
        sketch
    }

    #[test]
    fn an_estimate_is_within_five_percent() {
        assert_eq!(of(0..0).estimate(), 0.0);
        for count in [1, 10, 100, 1_000, 5_000, 50_000, 400_000] {
            let estimate = of(0..count).estimate();
            let error = (estimate / count as f64 - 1.0).abs();
            assert!(error < 0.05, "{count}: {estimate}");
        }
    }

    #[test]
    fn a_merge_is_the_sketch_of_both_whichever_form_they_have() {
        for (a, b) in [(0..50, 20..90), (0..20, 0..3_000), (0..3_000, 2_000..9_000)] {
            let mut merged = of(a.clone());
            merged.merge(&of(b.clone()));
            assert_eq!(merged, of(a.start..b.end));
            let mut other_way = of(b.clone());
            other_way.merge(&of(a));
            assert_eq!(merged, other_way);
        }
    }

    #[test]
    fn what_is_written_reads_back_and_other_bytes_are_refused() {
        for sketch in [of(0..0), of(0..30), of(0..5_000)] {
            let mut bytes = Vec::new();
            sketch.encode(0xdead_beef, &mut bytes);
            assert_eq!(Sketch::decode(&bytes), Some((0xdead_beef, sketch)));
            bytes.pop();
            assert_eq!(Sketch::decode(&bytes), None);
        }
        assert_eq!(Sketch::decode(&[1, 12, 0, 0, 0, 0, 0, 1, 0, 0, 16, 1]), None, "register 4096");
        assert_eq!(Sketch::decode(&[1, 12, 0, 0, 0, 0, 0, 1, 0, 0, 0, 54]), None, "rank 54");
        assert_eq!(Sketch::decode(&[2, 12, 0, 0, 0, 0, 0, 0, 0]), None, "version 2");
    }
}
