//! Whether two short texts are equal, which is asked several times a span.

/// Whether two texts are equal, without a call for most.
#[inline(always)]
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len()
        && match a.len() {
            16..=32 => same_ends::<16>(a, b),
            8..16 => same_ends::<8>(a, b),
            _ => a == b,
        }
}

/// Whether the first and the last `LEN` bytes are equal.
#[inline(always)]
fn same_ends<const LEN: usize>(a: &[u8], b: &[u8]) -> bool {
    a.first_chunk::<LEN>() == b.first_chunk() && a.last_chunk::<LEN>() == b.last_chunk()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_the_same_when_no_byte_differs() {
        for len in 0..40 {
            let text: Vec<u8> = (0..len).collect();
            assert!(same(&text, &text.clone()));
            assert!(!same(&text, &[&text[..], &[0]].concat()));
            for at in 0..text.len() {
                let mut other = text.clone();
                other[at] ^= 1;
                assert!(!same(&text, &other), "{len} {at}");
            }
        }
    }
}
