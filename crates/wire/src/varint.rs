//! Base-128 integers of up to 10 bytes, as protobuf writes lengths, keys and integers.
//!
//! Overlong forms are accepted; an eleventh byte, or bits beyond the 64th, are not: the set that prost and Go's
//! `protowire` accept.

/// The longest encoding of a 64-bit integer, in bytes.
pub const LEN_MAX: usize = 10;

/// Reads one integer at `pos`: its value and the position after it, or `None` if `bytes` ends first or
/// the value does not fit 64 bits.
#[inline]
#[must_use]
pub fn read(bytes: &[u8], pos: usize) -> Option<(u64, usize)> {
    match bytes.get(pos) {
        Some(&byte) if byte < 0x80 => Some((u64::from(byte), pos + 1)),
        // The length of a span.
        Some(&low) => match bytes.get(pos + 1) {
            Some(&high @ ..0x80) => Some((u64::from(low & 0x7f) | u64::from(high) << 7, pos + 2)),
            _ => read_long(bytes, pos),
        },
        None => None,
    }
}

fn read_long(bytes: &[u8], pos: usize) -> Option<(u64, usize)> {
    let mut value = 0;
    let mut shift = 0;
    for (index, &byte) in bytes.get(pos..)?.iter().take(LEN_MAX).enumerate() {
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            let fits = index + 1 < LEN_MAX || byte < 2;
            return fits.then_some((value, pos + index + 1));
        }
        shift += 7;
    }
    None
}

/// Appends `value` to `out` in its shortest form.
#[inline]
pub fn write(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The length of `value` in its shortest form, 1 to 10 bytes.
#[inline]
#[must_use]
pub const fn len(value: u64) -> usize {
    ((64 - (value | 1).leading_zeros()) as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_at_every_length() {
        for bits in 0..64 {
            for value in [1_u64 << bits, (1_u64 << bits) - 1, u64::MAX >> bits] {
                let mut out = vec![0xff];
                write(value, &mut out);
                assert_eq!(out.len() - 1, len(value));
                assert_eq!(read(&out, 1), Some((value, out.len())));
                assert_eq!(prost::encoding::decode_varint(&mut &out[1..]), Ok(value));
            }
        }
    }

    #[test]
    fn the_tenth_byte_may_hold_one_bit() {
        let mut bytes = [0xff; 10];
        bytes[9] = 1;
        assert_eq!(read(&bytes, 0), Some((u64::MAX, 10)));
        bytes[9] = 2;
        assert_eq!(read(&bytes, 0), None);
        bytes[9] = 0x80;
        assert_eq!(read(&bytes, 0), None);
    }

    #[test]
    fn overlong_forms_are_read_and_truncated_ones_are_not() {
        assert_eq!(read(&[0x81, 0x80, 0x00], 0), Some((1, 3)));
        assert_eq!(read(&[0x81, 0x80], 0), None);
        assert_eq!(read(&[], 0), None);
    }
}
