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

/// Whether every byte of `text` is below 0x80, by overlapping blocks so that no length needs a byte loop.
#[inline]
pub(crate) fn is_ascii(text: &[u8]) -> bool {
    if let (Some(first), Some(last)) = (text.first_chunk::<WINDOW>(), text.last_chunk::<WINDOW>()) {
        let mut fine = is_ascii_window(first) & is_ascii_window(last);
        if text.len() > 2 * WINDOW {
            let (windows, _) = text.as_chunks::<WINDOW>();
            fine &= windows.iter().fold(true, |fine, window| fine & is_ascii_window(window));
        }
        return fine;
    }
    is_ascii_short(text)
}

/// As [`is_ascii`], for less than a window.
#[inline(never)]
fn is_ascii_short(text: &[u8]) -> bool {
    if let Some(last) = text.last_chunk::<16>() {
        let (words, _) = text.as_chunks::<16>();
        let seen = words.iter().fold(0, |seen, word| seen | u128::from_le_bytes(*word));
        return (seen | u128::from_le_bytes(*last)) & HIGH_BITS == 0;
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

#[inline(always)]
fn is_ascii_window(window: &[u8; WINDOW]) -> bool {
    window.iter().fold(0, |seen, byte| seen | byte) < 0x80
}

/// As [`is_ascii`] of `bytes[start..end]`, without a branch that depends on the length where it is at most
/// 64 and 64 bytes follow `start`: lengths of telemetry text defeat branch prediction.
#[inline(always)]
pub(crate) fn is_ascii_within(bytes: &[u8], start: usize, end: usize) -> bool {
    let Some(rest) = bytes.get(start..) else { return false };
    let len = end.wrapping_sub(start);
    match rest.first_chunk() {
        Some(window) if len <= WINDOW => is_ascii_prefix(window, len),
        _ => rest.get(..len).is_some_and(is_ascii),
    }
}

/// Whether the first `len` bytes of `window`, at most all, are below 0x80.
#[inline(always)]
pub(crate) fn is_ascii_prefix(window: &[u8; WINDOW], len: usize) -> bool {
    let mask = WINDOW.checked_sub(len).and_then(|skip| MASKS.get(skip..));
    let Some(mask) = mask.and_then(<[u8]>::first_chunk::<WINDOW>) else { return false };
    window.iter().zip(mask).fold(0, |seen, (byte, mask)| seen | (byte & mask)) == 0
}

/// How far one look reaches: nearly every attribute fits.
pub(crate) const WINDOW: usize = 64;

/// High bits for `WINDOW` bytes, then nothing: read from `WINDOW - len`, it selects the first `len` bytes.
static MASKS: [u8; 2 * WINDOW] = {
    let mut masks = [0; 2 * WINDOW];
    let (selected, _) = masks.split_at_mut(WINDOW);
    let mut rest = selected;
    while let Some((first, others)) = rest.split_first_mut() {
        *first = 0x80;
        rest = others;
    }
    masks
};

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
    fn a_high_bit_outside_the_range_is_not_seen() {
        for total in [10, 64, 65, 130, 200] {
            let mut bytes = vec![b'a'; total];
            for start in 0..total {
                for end in [start, start + 1, start + 17, start + 64, start + 65, total] {
                    if end > total || end < start {
                        continue;
                    }
                    for (position, expected) in [
                        (start.wrapping_sub(1), true),
                        (end, true),
                        (start, false),
                        (end.wrapping_sub(1), false),
                    ] {
                        let Some(byte) = bytes.get_mut(position) else { continue };
                        *byte = 0xff;
                        let empty = start == end;
                        assert_eq!(is_ascii_within(&bytes, start, end), expected || empty);
                        bytes[position] = b'a';
                    }
                }
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
