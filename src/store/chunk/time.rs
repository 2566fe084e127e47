//! Times: the first whole, then the change of the distance from one to the next. 1 bit while samples come
//! at fixed intervals, about 6 with some milliseconds of jitter.

use super::Corrupt;
use super::bits::{BitReader, BitWriter};

/// The times of a chunk so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    last: i64,
    distance: i64,
    begun: bool,
}

impl Times {
    #[inline]
    pub(super) fn put(&mut self, time: i64, bits: &mut BitWriter) {
        if self.begun {
            let distance = time.wrapping_sub(self.last);
            bits.put_small(distance.wrapping_sub(self.distance));
            self.distance = distance;
        } else {
            bits.put(time.cast_unsigned(), 64);
            self.begun = true;
        }
        self.last = time;
    }

    #[inline(always)]
    pub(super) fn get(&mut self, bits: &mut BitReader<'_>) -> Result<i64, Corrupt> {
        if self.begun {
            self.distance = self.distance.wrapping_add(bits.get_small()?);
            self.last = self.last.wrapping_add(self.distance);
        } else {
            self.last = bits.get(64)?.cast_signed();
            self.begun = true;
        }
        Ok(self.last)
    }
}
