//! Labels as bytes in files: each name and value with its length before it. Pure.

use std::collections::HashSet;
use std::sync::Arc;

use sidelight_promql::{Label, Labels};

/// The bytes of `labels`, appended to `out`.
pub(super) fn encode(labels: &Labels, out: &mut Vec<u8>) {
    for label in labels {
        for text in [&label.name, &label.value] {
            let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
            out.extend_from_slice(&len.to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        }
    }
}

/// Labels of bytes, or `None` when they are none.
pub(super) fn decode(bytes: &[u8]) -> Option<Labels> {
    let mut pairs = Vec::new();
    decode_pairs(bytes, &mut pairs)?;
    Some(Labels::new(pairs))
}

/// Names and values, each held once for all series that are decoded with it: it holds the series of one query.
#[derive(Debug, Default)]
pub(super) struct Texts(HashSet<Arc<str>>);

impl Texts {
    /// The same as [`decode`].
    pub(super) fn decode(&mut self, bytes: &[u8]) -> Option<Labels> {
        let mut pairs = Vec::new();
        decode_pairs(bytes, &mut pairs)?;
        let label = |(name, value)| Label { name: self.shared(name), value: self.shared(value) };
        Some(Labels::sorted(pairs.into_iter().map(label)))
    }

    fn shared(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = text.into();
        self.0.insert(Arc::clone(&text));
        text
    }
}

/// The names and values in bytes, appended to `pairs`; `None` when they are none.
pub(super) fn decode_pairs<'a>(
    mut bytes: &'a [u8],
    pairs: &mut Vec<(&'a str, &'a str)>,
) -> Option<()> {
    while !bytes.is_empty() {
        pairs.push((text(&mut bytes)?, text(&mut bytes)?));
    }
    Some(())
}

fn text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let (len, rest) = bytes.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
    *bytes = rest;
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_back_and_garbage_does_not() {
        for pairs in [vec![], vec![("__name__", "up"), ("é", "\u{0}\u{10ffff}")]] {
            let labels = Labels::new(pairs);
            let mut bytes = Vec::new();
            encode(&labels, &mut bytes);
            assert_eq!(decode(&bytes), Some(labels));
            for end in 1..bytes.len() {
                assert_ne!(decode(&bytes[..end]).as_ref(), decode(&bytes).as_ref());
            }
        }
        assert_eq!(decode(&[255; 9]), None);
    }
}
