//! [`Record`]: the one thing that flows. A receiver makes it, the journal keeps it, readers get it.

use bytes::Bytes;

pub mod protobuf;
pub mod samples;

pub use samples::{Sample, Samples};
pub use sidelight_wire::Signal;

/// One accepted OTLP request, as its sender sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Which signal the payload carries.
    pub signal: Signal,
    /// Spans, data points, log records or profiles in the payload.
    pub items: u32,
    /// Properties found by validation that decide how the record may travel.
    pub flags: Flags,
    /// What of the request's surroundings travels with it.
    pub meta: Meta,
    /// The validated protobuf bytes of the export request.
    pub payload: Bytes,
}

impl Record {
    /// The payload as OTLP/JSON.
    ///
    /// # Errors
    /// It is not OTLP; what was validated is.
    pub fn to_json(&self) -> Result<String, sidelight_wire::json::Unreadable> {
        let mut json = Vec::with_capacity(self.payload.len().saturating_mul(5) / 2);
        sidelight_wire::json::from_protobuf(self.signal, &self.payload, &mut json)?;
        // What is written is UTF-8.
        Ok(String::from_utf8(json).unwrap_or_default())
    }

    /// Appends the payload as OTLP/JSON, of at most `len_max` bytes.
    ///
    /// # Errors
    /// It is longer, or not OTLP: then `json` is as it was.
    pub fn append_json(
        &self,
        len_max: usize,
        json: &mut Vec<u8>,
    ) -> Result<(), sidelight_wire::json::NotWritten> {
        sidelight_wire::json::from_protobuf_within(self.signal, &self.payload, len_max, json)
    }
}

/// The event that carries a sketch of a feature's users, in requests of such alone, which stay here.
pub const SKETCH: &[u8] = b"sidelight.feature.sketch";

/// Bits stored with a record (16 in the journal format).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u16);

impl Flags {
    /// Legal but odd (an id of odd length): travels alone, so that a strict backend that refuses it
    /// refuses nobody else's data.
    pub const ALONE: Self = Self(1);
    /// The agent's own telemetry: passing it on makes no more of it.
    pub const INTERNAL: Self = Self(2);
    /// [`Samples`] that the agent made itself: only local readers take them, and no count of what was accepted or
    /// delivered has them.
    pub const LOCAL: Self = Self(4);
    /// Series that the agent derived, as metrics for its destinations: local readers have them already and pass them over.
    pub const DERIVED: Self = Self(8);

    /// Whether every bit of `other` is set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The union of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Request metadata: a TLV list, opaque to the journal. Entries of unknown type are kept.
///
/// ```text
/// type u8 │ len u16 LE │ value … , repeated
/// type 1 = request header: name_len u8 │ name (lower case) │ value
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Meta(Bytes);

impl Meta {
    const HEADER: u8 = 1;

    /// Encodes the allow-listed request headers, in a canonical order, so that equal headers give
    /// equal bytes. A header that does not fit (name above 255 bytes, entry or total above
    /// 65,535 bytes) is left out and counted in the second value.
    #[must_use]
    pub fn from_headers<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> (Self, u32) {
        let mut sorted: Vec<_> = headers.into_iter().collect();
        sorted.sort_unstable();
        let mut tlv = Vec::new();
        let mut refused = 0;
        for (name, value) in sorted {
            let entry = 1 + name.len() + value.len();
            let lengths = (u8::try_from(name.len()), u16::try_from(entry));
            match lengths {
                (Ok(name_len), Ok(len)) if tlv.len() + 3 + entry <= usize::from(u16::MAX) => {
                    tlv.push(Self::HEADER);
                    tlv.extend_from_slice(&len.to_le_bytes());
                    tlv.push(name_len);
                    tlv.extend_from_slice(name.as_bytes());
                    tlv.extend_from_slice(value);
                }
                _ => refused += 1,
            }
        }
        (Self(tlv.into()), refused)
    }

    /// Wraps bytes read back from the journal. Nothing is checked: [`Meta::headers`] stops at the
    /// first entry that is cut short.
    #[must_use]
    pub const fn from_tlv(tlv: Bytes) -> Self {
        Self(tlv)
    }

    /// The encoded list, at most 65,535 bytes.
    #[must_use]
    pub fn as_tlv(&self) -> &[u8] {
        &self.0
    }

    /// The request headers that travel with the record.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            loop {
                let (&[kind, low, high], tail) = rest.split_first_chunk()?;
                let (value, tail) =
                    tail.split_at_checked(u16::from_le_bytes([low, high]).into())?;
                rest = tail;
                if kind == Self::HEADER {
                    let (&name_len, value) = value.split_first()?;
                    let (name, value) = value.split_at_checked(name_len.into())?;
                    return Some((std::str::from_utf8(name).ok()?, value));
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_survive_and_equal_headers_give_equal_bytes() {
        let (a, _) = Meta::from_headers([("x-tenant", &b"shop"[..]), ("a", b"")]);
        let (b, _) = Meta::from_headers([("a", &b""[..]), ("x-tenant", b"shop")]);
        assert_eq!(a, b);
        let back = Meta::from_tlv(Bytes::copy_from_slice(a.as_tlv()));
        assert_eq!(back.headers().collect::<Vec<_>>(), [("a", &b""[..]), ("x-tenant", b"shop")]);
    }

    #[test]
    fn a_header_that_does_not_fit_is_refused_and_counted() {
        let long = vec![b'v'; 70_000];
        let (meta, refused) = Meta::from_headers([("x", &long[..]), ("y", b"1")]);
        assert_eq!((meta.headers().count(), refused), (1, 1));
    }

    #[test]
    fn unknown_entries_are_skipped_and_cut_ones_end_the_list() {
        let (meta, _) = Meta::from_headers([("x", &b"1"[..])]);
        let mut tlv = vec![9, 2, 0, 7, 7];
        tlv.extend_from_slice(meta.as_tlv());
        tlv.extend_from_slice(&[1, 200, 0, 1]);
        let meta = Meta::from_tlv(tlv.into());
        assert_eq!(meta.headers().collect::<Vec<_>>(), [("x", &b"1"[..])]);
    }
}
