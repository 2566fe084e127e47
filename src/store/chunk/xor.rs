//! Numbers as the bits in which each differs from the one before. Any bits come back as they were.
//!
//! Source: "Gorilla: A Fast, Scalable, In-Memory Time Series Database", VLDB 2015, section 4.1.3.

use super::Corrupt;
use super::bits::{BitReader, BitWriter};

/// The numbers of a chunk so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Xor {
    last: u64,
    leading: u8,
    /// How many bits are written when the next number fits the place of the last; 0 before the first.
    width: u8,
}

impl Xor {
    #[inline]
    pub(super) fn put(&mut self, value: f64, bits: &mut BitWriter) {
        let differs = value.to_bits() ^ self.last;
        self.last = value.to_bits();
        if differs == 0 {
            bits.put(0, 1);
            return;
        }
        let (leading, trailing) = (differs.leading_zeros().min(31), differs.trailing_zeros());
        let end = 64_u32.saturating_sub(u32::from(self.leading) + u32::from(self.width));
        if self.width > 0 && leading >= u32::from(self.leading) && trailing >= end {
            bits.put(0b10, 2);
            bits.put(differs >> end, u32::from(self.width));
            return;
        }
        let width = 64 - leading - trailing;
        bits.put(0b11 << 11 | u64::from(leading) << 6 | u64::from(width - 1), 13);
        bits.put(differs >> trailing, width);
        self.leading = leading as u8;
        self.width = width as u8;
    }

    #[inline]
    pub(super) fn get(&mut self, bits: &mut BitReader<'_>) -> Result<f64, Corrupt> {
        if bits.get_bit()? {
            if bits.get_bit()? {
                self.leading = bits.get(5)? as u8;
                self.width = bits.get(6)? as u8 + 1;
            }
            let (leading, width) = (u32::from(self.leading), u32::from(self.width));
            let Some(end) = 64_u32.checked_sub(leading + width).filter(|_| width > 0) else {
                return Err(Corrupt("a number has more than 64 bits"));
            };
            self.last ^= bits.get(width)? << end;
        }
        Ok(f64::from_bits(self.last))
    }
}
