//! A submessage that may have been written in several parts, and its fields in one sequence.
//!
//! Every singular submessage of OTLP is at most two levels below an element of a repeated field, which is
//! contiguous: so a split one is named by that element and a path of two field numbers, without allocation.

use crate::field::{Fields, RawField, key};
use crate::schema::WireType;

/// A message: one slice, or several found again by their path.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Message<'a> {
    Whole(&'a [u8]),
    Split {
        root: &'a [u8],
        path: [u32; 2],
        /// Parts before these were replaced by another member of their `oneof`.
        skip: u32,
    },
}

impl Default for Message<'_> {
    fn default() -> Self {
        Self::Whole(&[])
    }
}

impl<'a> Message<'a> {
    /// The fields of all parts.
    #[inline]
    pub(crate) fn fields(self) -> MessageFields<'a> {
        match self {
            Self::Whole(bytes) => MessageFields { current: Fields::new(bytes, 0), parts: None },
            Self::Split { root, path, skip } => {
                let mut parts = Parts::new(root, path);
                for _ in 0..skip {
                    parts.next();
                }
                MessageFields { current: Fields::new(&[], 0), parts: Some(parts) }
            }
        }
    }

    /// The elements of the repeated submessage `number`.
    #[inline]
    pub(crate) fn elements(self, number: u32) -> Elements<'a> {
        Elements { fields: self.fields(), number }
    }

    /// The singular submessage `number`, merged from all its parts; `None` if there is none.
    pub(crate) fn child(self, number: u32) -> Option<Self> {
        let mut parts = self.elements(number);
        let first = parts.next()?;
        let more = parts.next().is_some();
        Some(if more { self.split(number, 0, first) } else { Self::Whole(first) })
    }

    /// The submessage `number` in parts, of which the first `skip` do not count.
    pub(crate) fn split(self, number: u32, skip: u32, otherwise: &'a [u8]) -> Self {
        match self {
            Self::Whole(root) => Self::Split { root, path: [number, 0], skip },
            Self::Split { root, path: [outer, 0], skip: 0 } => {
                Self::Split { root, path: [outer, number], skip }
            }
            // OTLP has no third level.
            Self::Split { .. } => Self::Whole(otherwise),
        }
    }
}

/// The parts of a split message.
#[derive(Clone, Debug)]
struct Parts<'a> {
    outer: Fields<'a>,
    inner: Fields<'a>,
    path: [u32; 2],
}

impl<'a> Parts<'a> {
    const fn new(root: &'a [u8], path: [u32; 2]) -> Self {
        Self { outer: Fields::new(root, 0), inner: Fields::new(&[], 0), path }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let [outer, inner] = self.path;
        loop {
            if let Some(part) = next_numbered(&mut self.inner, inner) {
                return Some(part);
            }
            let part = next_numbered(&mut self.outer, outer)?;
            if inner == 0 {
                return Some(part);
            }
            self.inner = Fields::new(part, 0);
        }
    }
}

fn next_numbered<'a>(fields: &mut Fields<'a>, number: u32) -> Option<&'a [u8]> {
    fields.by_ref().filter(|field| field.number == number).find_map(|field| field.value.bytes())
}

/// The fields of a message, part after part.
#[derive(Clone, Debug)]
pub(crate) struct MessageFields<'a> {
    current: Fields<'a>,
    parts: Option<Parts<'a>>,
}

impl<'a> Iterator for MessageFields<'a> {
    type Item = RawField<'a>;

    #[inline]
    fn next(&mut self) -> Option<RawField<'a>> {
        loop {
            if let Some(field) = self.current.next() {
                return Some(field);
            }
            self.current = Fields::new(self.parts.as_mut()?.next()?, 0);
        }
    }
}

/// The elements of a repeated submessage, each contiguous.
#[derive(Clone, Debug)]
pub(crate) struct Elements<'a> {
    fields: MessageFields<'a>,
    number: u32,
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        if let Some(bytes) = self.fields.current.next_content(key(self.number, WireType::Len)) {
            return Some(bytes);
        }
        self.next_after_others()
    }
}

impl<'a> Elements<'a> {
    #[inline(never)]
    fn next_after_others(&mut self) -> Option<&'a [u8]> {
        loop {
            let field = self.fields.next()?;
            if field.number == self.number
                && let Some(bytes) = field.value.bytes()
            {
                return Some(bytes);
            }
        }
    }
}

/// From the first to the last occurrence of a repeated field, so that iterating passes over little else.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Run {
    start: u32,
    end: u32,
}

impl Run {
    #[inline(always)]
    pub(crate) fn extend(&mut self, field: &RawField<'_>) {
        self.extend_to(field.start, field.end);
    }

    #[inline(always)]
    pub(crate) fn extend_to(&mut self, start: usize, end: usize) {
        if self.end == 0 {
            self.start = position(start);
        }
        self.end = position(end);
    }

    #[inline]
    pub(crate) fn within(self, bytes: &[u8]) -> Message<'_> {
        let range = self.start as usize..self.end as usize;
        Message::Whole(bytes.get(range).unwrap_or_default())
    }
}

/// A position within one item: an item beyond 4 GiB, which no limit admits, shows nothing there.
#[inline(always)]
fn position(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(0)
}
