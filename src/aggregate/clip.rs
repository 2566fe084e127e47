//! Texts that are cut to what they may take.

/// At most `max` bytes of `text`, cut between characters.
#[inline]
pub(super) fn clip(text: &[u8], max: usize) -> &[u8] {
    let Some(next) = text.get(max) else { return text };
    let mut end = max;
    let mut first_left_out = *next;
    while first_left_out & 0xc0 == 0x80 && end > 0 {
        end -= 1;
        first_left_out = text.get(end).copied().unwrap_or(0);
    }
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_cut_between_characters() {
        assert_eq!(clip(b"abc", 3), b"abc");
        assert_eq!(clip(b"abcd", 3), b"abc");
        assert_eq!(clip("aé".as_bytes(), 2), b"a");
        assert_eq!(clip("aé".as_bytes(), 3), "aé".as_bytes());
        assert_eq!(clip(&[0x80; 9], 4), b"");
    }
}
