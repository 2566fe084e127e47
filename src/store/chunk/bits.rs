//! Bits in bytes, the first in the highest place.

use super::Corrupt;

/// Writes bits. Cost: one word of arithmetic per call, one push of eight bytes per word.
#[derive(Clone, Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// The bits after `bytes`, at the top.
    word: u64,
    used: u32,
}

/// Room is added in these steps: doubling would waste half of what 20,000 open chunks take.
const GROWTH: usize = 64;

impl BitWriter {
    /// Writes the lowest `bits` (at most 64) of `value`, in which no other bit is set.
    #[inline]
    pub(super) fn put(&mut self, value: u64, bits: u32) {
        if bits == 0 {
            return;
        }
        let free = 64 - self.used;
        if bits < free {
            self.word |= value << (free - bits);
            self.used += bits;
            return;
        }
        let rest = bits - free;
        self.word |= value >> rest;
        if self.bytes.len() + 8 > self.bytes.capacity() {
            self.bytes.reserve_exact(GROWTH);
        }
        self.bytes.extend_from_slice(&self.word.to_be_bytes());
        self.word = if rest == 0 { 0 } else { value << (64 - rest) };
        self.used = rest;
    }

    #[inline]
    pub(super) fn put_bit(&mut self, bit: bool) {
        self.put(u64::from(bit), 1);
    }

    /// Writes a number that is small most of the time: 1 bit for 0, 5 up to ±3, 9 up to ±31, and so on.
    #[inline]
    pub(super) fn put_small(&mut self, value: i64) {
        let folded = zigzag(value);
        let needed = 64 - folded.leading_zeros();
        let (class, bits) = CLASSES
            .iter()
            .enumerate()
            .find_map(|(class, &bits)| (needed <= bits).then_some((class, bits)))
            .unwrap_or((CLASSES.len() - 1, 64));
        let class = u32::try_from(class).unwrap_or(LAST_CLASS);
        // As many ones as the class, then a zero unless it is the last class.
        let ones = (1 << class) - 1;
        if class == LAST_CLASS {
            self.put(ones, class);
        } else {
            self.put(ones << 1, class + 1);
        }
        self.put(folded, bits);
    }

    /// Bytes so far, the last one filled up.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() + self.used.div_ceil(8) as usize
    }

    /// Memory held beyond the struct.
    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Appends what is written to `out`.
    pub(super) fn copy_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes);
        let last = self.word.to_be_bytes();
        out.extend(last.iter().take(self.used.div_ceil(8) as usize));
    }
}

/// Bits of a small number by class.
const CLASSES: [u32; 9] = [0, 3, 6, 9, 12, 18, 25, 56, 64];
const LAST_CLASS: u32 = 8;

/// Reads what [`BitWriter`] wrote. What is called for every sample is always inlined: results would go through memory.
#[derive(Clone, Debug)]
pub(super) struct BitReader<'a> {
    rest: &'a [u8],
    /// The next bits, at the top; zeros below.
    word: u64,
    have: u32,
}

/// As many bits are there after [`BitReader::fill`], unless the bytes end.
const FILLED: u32 = 56;

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, word: 0, have: 0 }
    }

    /// The next `bits`, at most 64.
    #[inline(always)]
    pub(super) fn get(&mut self, bits: u32) -> Result<u64, Corrupt> {
        if bits > FILLED {
            return self.get_long(bits);
        }
        self.want(bits)?;
        let value = self.word >> 1 >> (63 - bits);
        self.take(bits);
        Ok(value)
    }

    #[cold]
    fn get_long(&mut self, bits: u32) -> Result<u64, Corrupt> {
        let high = self.get(bits - 32)?;
        Ok(high << 32 | self.get(32)?)
    }

    #[inline(always)]
    pub(super) fn get_bit(&mut self) -> Result<bool, Corrupt> {
        self.want(1)?;
        let bit = self.word >> 63 == 1;
        self.take(1);
        Ok(bit)
    }

    #[inline(always)]
    pub(super) fn get_small(&mut self) -> Result<i64, Corrupt> {
        if !self.get_bit()? {
            return Ok(0);
        }
        if self.have < LAST_CLASS {
            self.fill();
        }
        // The first of the ones is read.
        let ones = self.word.leading_ones().min(LAST_CLASS - 1);
        self.get(if ones + 1 == LAST_CLASS { ones } else { ones + 1 })?;
        let bits = CLASSES.get(ones as usize + 1).copied().unwrap_or_default();
        Ok(unzigzag(self.get(bits)?))
    }

    /// Sees to it that the next `bits`, at most [`FILLED`], are there.
    #[inline(always)]
    fn want(&mut self, bits: u32) -> Result<(), Corrupt> {
        if self.have < bits {
            self.fill();
            if self.have < bits {
                return Err(Corrupt("it ends early"));
            }
        }
        Ok(())
    }

    /// Lets go of bits that are there, at most [`FILLED`].
    #[inline(always)]
    fn take(&mut self, bits: u32) {
        self.word <<= bits;
        self.have -= bits;
    }

    /// Takes as many bytes as there is room for, or are left.
    #[cold]
    fn fill(&mut self) {
        if let Some(next) = self.rest.first_chunk()
            && self.have <= FILLED
        {
            let bits = (64 - self.have) / 8 * 8;
            let whole = u64::MAX << (64 - bits);
            self.word |= (u64::from_be_bytes(*next) & whole) >> self.have;
            self.have += bits;
            self.rest = self.rest.get(bits as usize / 8..).unwrap_or_default();
            return;
        }
        while self.have <= FILLED
            && let Some((&byte, rest)) = self.rest.split_first()
        {
            self.word |= u64::from(byte) << (FILLED - self.have);
            self.have += 8;
            self.rest = rest;
        }
    }
}

/// Signed to unsigned so that small stays small.
#[inline]
pub(super) fn zigzag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

/// The inverse of [`zigzag`].
#[inline]
pub(super) fn unzigzag(folded: u64) -> i64 {
    (folded >> 1).cast_signed() ^ -(folded & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bits_and_small_numbers_are_read_as_written(
            written in prop::collection::vec((any::<u64>(), 0_u32..=64, any::<i64>(), 0_u32..64), 0..200)
        ) {
            let mut writer = BitWriter::default();
            let cut = |value: u64, bits: u32| if bits == 0 { 0 } else { value >> (64 - bits) };
            for &(value, bits, small, shift) in &written {
                writer.put(cut(value, bits), bits);
                writer.put_small(small >> shift);
            }
            let mut bytes = Vec::new();
            writer.copy_to(&mut bytes);
            prop_assert_eq!(bytes.len(), writer.len());
            let mut reader = BitReader::new(&bytes);
            for &(value, bits, small, shift) in &written {
                prop_assert_eq!(reader.get(bits).unwrap(), cut(value, bits));
                prop_assert_eq!(reader.get_small().unwrap(), small >> shift);
            }
            prop_assert!(reader.get(8).is_err());
        }
    }
}
