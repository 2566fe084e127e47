//! Numbers with few decimal places, as whole numbers of the last place: 1 B for most counters, where
//! their bits would take 5 to 8.
//!
//! Each is written as its distance from the one before, less what the distances so far foretell (a moving
//! average), in as many bits as the last one took:
//!
//! ```text
//! 0                      as foretold
//! 10  width bits         off by this
//! 11  6 bits: width      the same with another width
//!     62                 the staleness marker
//!     63  64 bits        any other number, as it is
//! ```

use sidelight_promql::source::{STALE_BITS, is_stale};

use super::Corrupt;
use super::bits::{BitReader, BitWriter, unzigzag, zigzag};

const POWERS: [f64; 10] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
/// The most decimal places.
pub(super) const PLACES_MAX: u8 = 9;
/// Whole numbers below it are exact.
pub(super) const EXACT: f64 = 9_007_199_254_740_992.0;

const STALE: u64 = 62;
const RAW: u64 = 63;
/// A width that is this much too large is given up.
const SLACK: u32 = 5;
/// What the moving average is kept in.
const FRACTION: i64 = 16;

/// `value` in units of the `places`-th decimal place, if that says it exactly.
#[inline]
pub(super) fn scaled(value: f64, places: u8) -> Option<i64> {
    let power = *POWERS.get(usize::from(places))?;
    let units = (value * power).round();
    if units.abs() >= EXACT || units.is_nan() {
        return None;
    }
    let units = units as i64;
    (unscaled(units, power).to_bits() == value.to_bits()).then_some(units)
}

#[inline]
fn unscaled(units: i64, power: f64) -> f64 {
    units as f64 / power
}

/// The fewest places, from `least` on, that say `value` exactly.
pub(super) fn places(value: f64, least: u8) -> Option<u8> {
    (least..=PLACES_MAX).find(|&places| scaled(value, places).is_some())
}

/// Whether `value` is written as it is without giving up on decimals: no number of places would do.
#[inline]
pub(super) fn is_odd(value: f64) -> bool {
    !value.is_finite() || value == 0.0
}

/// A bound of a histogram: places and units, or as it is.
pub(super) fn put_bound(bound: f64, bits: &mut BitWriter) {
    let found = places(bound, 0);
    match found.and_then(|places| Some((places, scaled(bound, places)?))) {
        Some((places, units)) => {
            bits.put(u64::from(places), 4);
            bits.put_small(units);
        }
        None => {
            bits.put(15, 4);
            bits.put(bound.to_bits(), 64);
        }
    }
}

pub(super) fn get_bound(bits: &mut BitReader<'_>) -> Result<f64, Corrupt> {
    match POWERS.get(bits.get(4)? as usize) {
        Some(&power) => Ok(unscaled(bits.get_small()?, power)),
        None => Ok(f64::from_bits(bits.get(64)?)),
    }
}

/// The numbers of a chunk so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal {
    pub(super) places: u8,
    width: u8,
    seen: Seen,
    last: i64,
    foretold: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    None,
    One,
    More,
}

impl Decimal {
    pub(super) fn new(places: u8) -> Self {
        let places = places.min(PLACES_MAX);
        Self { places, width: 0, seen: Seen::None, last: 0, foretold: 0 }
    }

    /// Whether these decimals say the number.
    #[inline]
    pub(super) fn fits(&self, value: f64) -> bool {
        scaled(value, self.places).is_some() || is_odd(value)
    }

    /// Writes a number that fits; one that does not costs nine bytes.
    #[inline]
    pub(super) fn put(&mut self, value: f64, bits: &mut BitWriter) {
        if let Some(units) = scaled(value, self.places) {
            self.put_units(units, bits);
        } else if is_stale(value) {
            bits.put(0b11 << 6 | STALE, 8);
        } else {
            bits.put(0b11 << 6 | RAW, 8);
            bits.put(value.to_bits(), 64);
        }
    }

    #[inline]
    fn put_units(&mut self, units: i64, bits: &mut BitWriter) {
        let folded = zigzag(units - self.last - self.foretold / FRACTION);
        let needed = 64 - folded.leading_zeros();
        let width = u32::from(self.width);
        if needed == 0 {
            bits.put(0, 1);
        } else if needed <= width && width <= needed + SLACK {
            bits.put(0b10, 2);
            bits.put(folded, width);
        } else {
            bits.put(0b11 << 6 | u64::from(needed), 8);
            bits.put(folded, needed);
            self.width = needed as u8;
        }
        self.see(units);
    }

    #[inline(always)]
    fn see(&mut self, units: i64) {
        let distance = units.wrapping_sub(self.last).wrapping_mul(FRACTION);
        match self.seen {
            Seen::None => self.seen = Seen::One,
            Seen::One => {
                self.seen = Seen::More;
                self.foretold = distance;
            }
            Seen::More => {
                let off = distance.wrapping_sub(self.foretold) / 4;
                self.foretold = self.foretold.wrapping_add(off);
            }
        }
        self.last = units;
    }

    #[inline(always)]
    pub(super) fn get(&mut self, bits: &mut BitReader<'_>) -> Result<f64, Corrupt> {
        if !bits.get_bit()? {
            return self.got(0);
        }
        if bits.get_bit()? {
            match bits.get(6)? {
                STALE => return Ok(f64::from_bits(STALE_BITS)),
                RAW => return Ok(f64::from_bits(bits.get(64)?)),
                width => self.width = width as u8,
            }
        }
        let folded = bits.get(u32::from(self.width))?;
        self.got(unzigzag(folded))
    }

    #[inline(always)]
    fn got(&mut self, off: i64) -> Result<f64, Corrupt> {
        let power = *POWERS.get(usize::from(self.places)).ok_or(Corrupt("too many places"))?;
        let units = self.last.wrapping_add(self.foretold / FRACTION).wrapping_add(off);
        self.see(units);
        Ok(unscaled(units, power))
    }
}
