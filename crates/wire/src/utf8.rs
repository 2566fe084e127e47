//! Whether string fields hold UTF-8, and what to do with those that do not.
//!
//! Nearly all telemetry text is short ASCII, so the first question is whether any byte has its high bit
//! set, asked 16 bytes at a time; only then does a real decoder look. Cost: about 1 ns for 16 bytes of ASCII.

const HIGH_BITS: u128 = 0x8080_8080_8080_8080_8080_8080_8080_8080;

/// Whether `text` is UTF-8.
#[inline]
#[must_use]
pub fn is_valid(text: &[u8]) -> bool {
    is_ascii(text) || is_valid_beyond_ascii(text)
}

#[inline(never)]
fn is_valid_beyond_ascii(text: &[u8]) -> bool {
    simdutf8::basic::from_utf8(text).is_ok()
}

/// Whether every byte of `text` is below 0x80, by overlapping words so that no length needs a byte loop.
#[inline]
pub(crate) fn is_ascii(text: &[u8]) -> bool {
    if let (Some(first), Some(last)) = (text.first_chunk::<16>(), text.last_chunk::<16>()) {
        let mut seen = u128::from_le_bytes(*first) | u128::from_le_bytes(*last);
        if text.len() > 32 {
            let (words, _) = text.as_chunks::<16>();
            for word in words {
                seen |= u128::from_le_bytes(*word);
            }
        }
        return seen & HIGH_BITS == 0;
    }
    if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        let seen = u64::from_le_bytes(*first) | u64::from_le_bytes(*last);
        return seen & HIGH_BITS as u64 == 0;
    }
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        let seen = u32::from_le_bytes(*first) | u32::from_le_bytes(*last);
        return seen & HIGH_BITS as u32 == 0;
    }
    text.iter().fold(0, |seen, byte| seen | byte) < 0x80
}

/// Replaces every byte that is not part of a UTF-8 sequence by `?`, keeping the length, and returns how many
/// were replaced.
pub fn repair(text: &mut [u8]) -> u32 {
    let mut replaced = 0;
    let mut rest = text;
    while let Err(error) = std::str::from_utf8(rest) {
        let (_, tail) = std::mem::take(&mut rest).split_at_mut(error.valid_up_to());
        let bad_len = error.error_len().unwrap_or(tail.len());
        let (bad, tail) = tail.split_at_mut(bad_len);
        bad.fill(b'?');
        replaced += u32::try_from(bad_len).unwrap_or(u32::MAX);
        rest = tail;
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_high_bit_is_found_at_every_position_of_every_length() {
        for len in 0..100 {
            let mut text = vec![b'a'; len];
            assert!(is_ascii(&text));
            for position in 0..len {
                text[position] = 0x80;
                assert!(!is_ascii(&text), "{position} of {len}");
                assert!(!is_valid(&text));
                text[position] = b'a';
            }
        }
    }

    #[test]
    fn repair_replaces_only_the_bytes_that_no_character_owns() {
        for (text, expected, replaced) in [
            (&b"plain"[..], "plain", 0),
            ("grüße 日本".as_bytes(), "grüße 日本", 0),
            (b"a\xffb", "a?b", 1),
            (b"\xe6\x97", "??", 2),
            (b"\xe6\x97a\xc3\xa9", "??a\u{e9}", 2),
            (b"\xed\xa0\x80", "???", 3),
            (b"\xc0\xaf.", "??.", 2),
        ] {
            let mut bytes = text.to_vec();
            assert_eq!(repair(&mut bytes), replaced);
            assert_eq!(std::str::from_utf8(&bytes), Ok(expected));
        }
    }
}
