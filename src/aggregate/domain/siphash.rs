//! SipHash-2-4 with 64 bits out: what names of users become before anything is kept. Source: Aumasson and Bernstein,
//! "SipHash: a fast short-input PRF", 2012.

/// A key of 128 bits.
pub type Key = [u8; 16];

/// The hash of `bytes` under a key.
#[must_use]
pub fn hash(key: &Key, bytes: &[u8]) -> u64 {
    let (low, high) = key.split_at(8);
    let [k0, k1] = [word(low), word(high)];
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        absorb(&mut v, word(chunk));
    }
    // The length stands in the last byte of the last word.
    absorb(&mut v, word(chunks.remainder()) | (bytes.len() as u64) << 56);
    v[2] ^= 0xff;
    (0..4).for_each(|_| round(&mut v));
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

/// Up to eight bytes, the first the lowest.
fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

fn absorb(v: &mut [u64; 4], word: u64) {
    v[3] ^= word;
    round(v);
    round(v);
    v[0] ^= word;
}

fn round([a, b, c, d]: &mut [u64; 4]) {
    *a = a.wrapping_add(*b);
    *b = b.rotate_left(13) ^ *a;
    *a = a.rotate_left(32);
    *c = c.wrapping_add(*d);
    *d = d.rotate_left(16) ^ *c;
    *a = a.wrapping_add(*d);
    *d = d.rotate_left(21) ^ *a;
    *c = c.wrapping_add(*b);
    *b = b.rotate_left(17) ^ *c;
    *c = c.rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_hash_of_the_paper() {
        let key: Key = std::array::from_fn(|at| at as u8);
        let bytes: Vec<u8> = (0..15).collect();
        // Appendix A of the paper.
        assert_eq!(hash(&key, &bytes), 0xa129_ca61_49be_45e5);
        // The first of the reference's vectors: no bytes.
        assert_eq!(hash(&key, &[]), 0x726f_db47_dd0e_0e31);
    }
}
