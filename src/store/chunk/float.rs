//! Chunks of numbers: decimals ([`super::decimal`]) as long as they do, bits ([`super::xor`]) otherwise.
//!
//! ```text
//! samples u16 LE │ places u8 (decimals only) │ per sample: time, number
//! ```

use super::bits::{BitReader, BitWriter};
use super::decimal::{self, Decimal};
use super::time::Times;
use super::xor::Xor;
use super::{Corrupt, Encoding};

/// A chunk of numbers that takes more.
#[derive(Clone, Debug)]
pub(in crate::store) struct FloatChunk {
    bits: BitWriter,
    times: Times,
    numbers: Numbers,
}

#[derive(Clone, Copy, Debug)]
enum Numbers {
    Decimal(Decimal),
    Xor(Xor),
}

impl FloatChunk {
    /// A chunk that is to begin with `value`.
    pub(super) fn new(value: f64) -> Self {
        let odd = decimal::is_odd(value).then_some(0);
        odd.or_else(|| decimal::places(value, 0)).map_or_else(Self::xor, Self::decimal)
    }

    fn decimal(places: u8) -> Self {
        let mut bits = BitWriter::default();
        bits.put(u64::from(places), 8);
        Self { bits, times: Times::default(), numbers: Numbers::Decimal(Decimal::new(places)) }
    }

    fn xor() -> Self {
        let bits = BitWriter::default();
        Self { bits, times: Times::default(), numbers: Numbers::Xor(Xor::default()) }
    }

    pub(super) fn encoding(&self) -> Encoding {
        match self.numbers {
            Numbers::Decimal(_) => Encoding::Decimal,
            Numbers::Xor(_) => Encoding::Xor,
        }
    }

    pub(super) fn bits(&self) -> &BitWriter {
        &self.bits
    }

    /// Writes a sample after the `samples` that are there.
    #[inline]
    pub(super) fn push(&mut self, samples: u16, time: i64, value: f64) {
        match &mut self.numbers {
            Numbers::Xor(xor) => {
                self.times.put(time, &mut self.bits);
                xor.put(value, &mut self.bits);
            }
            Numbers::Decimal(decimal) => {
                if decimal.fits(value) {
                    self.times.put(time, &mut self.bits);
                    decimal.put(value, &mut self.bits);
                } else {
                    self.rewrite(samples, time, value);
                }
            }
        }
    }

    /// Starts anew with more places, or with bits: at most ten times in the life of a chunk.
    #[cold]
    fn rewrite(&mut self, samples: u16, time: i64, value: f64) {
        let mut written = Vec::with_capacity(usize::from(samples) + 1);
        let mut bytes = Vec::with_capacity(self.bits.len());
        self.bits.copy_to(&mut bytes);
        let read = decode(self.encoding(), &mut BitReader::new(&bytes), samples, &mut written);
        debug_assert!(read.is_ok(), "{read:?}");
        written.push((time, value));
        let least = match self.numbers {
            Numbers::Decimal(decimal) => decimal.places,
            Numbers::Xor(_) => decimal::PLACES_MAX,
        };
        let says = |places: u8| {
            let says = |&(_, value): &(i64, f64)| Decimal::new(places).fits(value);
            written.iter().all(says).then_some(places)
        };
        let places = decimal::places(value, least).and_then(says);
        *self = places.map_or_else(Self::xor, Self::decimal);
        for (time, value) in written {
            self.times.put(time, &mut self.bits);
            match &mut self.numbers {
                Numbers::Decimal(decimal) => decimal.put(value, &mut self.bits),
                Numbers::Xor(xor) => xor.put(value, &mut self.bits),
            }
        }
    }
}

/// Appends the samples of a chunk of numbers.
pub(super) fn decode(
    encoding: Encoding,
    bits: &mut BitReader<'_>,
    samples: u16,
    into: &mut Vec<(i64, f64)>,
) -> Result<(), Corrupt> {
    let mut times = Times::default();
    into.reserve(usize::from(samples));
    if encoding == Encoding::Xor {
        let mut xor = Xor::default();
        for _ in 0..samples {
            into.push((times.get(bits)?, xor.get(bits)?));
        }
        return Ok(());
    }
    let mut decimal = Decimal::new(bits.get(8)? as u8);
    for _ in 0..samples {
        into.push((times.get(bits)?, decimal.get(bits)?));
    }
    Ok(())
}
