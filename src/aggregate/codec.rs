//! Bytes of the aggregator's state in a checkpoint: numbers, bytes, histograms.
//!
//! ```text
//! number     LEB128, at most 10 bytes          bytes     their number, bytes
//! float      8 bytes, little-endian            histogram as sidelight_exphist encodes it
//! ```
//! Reading never panics: what is cut short or contradicts itself is `None`, and the state is begun anew.

use sidelight_exphist::Histogram;

use crate::store::StoreError;

/// Writes a number.
pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes a float.
pub(super) fn put_float(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

/// Writes bytes after their number.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A piece of state is put when it has as many bytes.
pub(super) const PIECE_BYTES: usize = 256 << 10;

/// Writes entries one after another and puts them away a piece at a time; an empty piece when there is none.
pub(super) fn in_pieces<T>(
    entries: impl Iterator<Item = T>,
    put: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) -> Result<(), StoreError> {
    let mut piece = Vec::new();
    let mut none = true;
    for entry in entries {
        write(&mut piece, entry);
        if piece.len() >= PIECE_BYTES {
            put(&piece)?;
            piece.clear();
            none = false;
        }
    }
    if none || !piece.is_empty() { put(&piece) } else { Ok(()) }
}

/// Reads what was written, in the same order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read<'a>(pub(super) &'a [u8]);

impl<'a> Read<'a> {
    pub(super) fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    pub(super) fn float(&mut self) -> Option<f64> {
        Some(f64::from_bits(u64::from_le_bytes(self.array()?)))
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    /// A text, unless it is not UTF-8.
    pub(super) fn text(&mut self) -> Option<String> {
        Some(std::str::from_utf8(self.bytes()?).ok()?.to_owned())
    }

    pub(super) fn histogram(&mut self) -> Option<Histogram> {
        Histogram::decode(&mut self.0).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_bytes_and_floats_read_back() {
        let mut out = Vec::new();
        for value in [0, 1, 127, 128, u64::MAX] {
            put(&mut out, value);
        }
        put_float(&mut out, -0.0);
        put_bytes(&mut out, "é".as_bytes());
        let mut read = Read(&out);
        assert_eq!([(); 5].map(|()| read.number().unwrap()), [0, 1, 127, 128, u64::MAX]);
        assert_eq!(read.float().unwrap().to_bits(), (-0.0_f64).to_bits());
        assert_eq!(read.bytes().unwrap(), "é".as_bytes());
        assert_eq!((read.number(), read.0.len()), (None, 0));
    }

    #[test]
    fn no_bytes_make_it_panic_or_take_much_memory() {
        for seed in 0..2_000_u64 {
            let mut random = fastrand::Rng::with_seed(seed);
            let bytes: Vec<u8> = (0..random.usize(0..60)).map(|_| random.u8(..)).collect();
            let _ = Read(&bytes).histogram();
            let _ = Read(&bytes).bytes();
        }
    }
}
