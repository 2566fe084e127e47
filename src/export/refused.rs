//! What a destination refused for good, for people who ask why: the last requests, and whole records to keep.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use bytes::Bytes;
use serde::{Serialize, Serializer};

use super::batch::Batch;
use crate::journal::Rejected;
use crate::signal::{Flags, Meta, Record, Signal};
use crate::time::UnixNano;

/// Samples kept per lane.
pub const SAMPLES_MAX: usize = 50;
/// Bytes of a refused payload kept with its sample.
pub const PAYLOAD_BYTES_MAX: usize = 1024;
/// Bytes of a destination's own words that are kept, logged and shown.
pub const MESSAGE_BYTES_MAX: usize = 1024;

/// One refused record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// When it was refused, in nanoseconds since 1970.
    pub at_unix_nano: u64,
    /// Its sequence number in the journal.
    pub seq: u64,
    /// Items in it.
    pub items: u32,
    /// The status, or `partial success`.
    pub status: String,
    /// The destination's words, escaped and cut.
    pub message: String,
    /// The size of the payload.
    pub payload_bytes: usize,
    /// The beginning of the payload, in base64.
    #[serde(serialize_with = "as_base64")]
    pub payload_head: Bytes,
}

fn as_base64<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(bytes))
}

/// A ring of [`SAMPLES_MAX`] samples.
#[derive(Debug, Default)]
pub struct Refused {
    samples: Mutex<VecDeque<Sample>>,
}

impl Refused {
    /// Keeps `sample`, for the oldest one if need be.
    pub fn push(&self, sample: Sample) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() == SAMPLES_MAX {
            samples.pop_front();
        }
        samples.push_back(sample);
    }

    /// The samples, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Sample> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// A destination's words made safe to log: control characters escaped, at most
/// [`MESSAGE_BYTES_MAX`] bytes.
#[must_use]
pub fn escaped(message: &str) -> String {
    let mut out = String::new();
    for c in message.chars() {
        let before = out.len();
        if c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}') {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        if out.len() > MESSAGE_BYTES_MAX {
            out.truncate(before);
            break;
        }
    }
    out
}

/// The copy of a payload's beginning that a sample keeps, so that it does not hold the whole.
#[must_use]
pub fn payload_head(payload: &[u8]) -> Bytes {
    Bytes::copy_from_slice(payload.get(..PAYLOAD_BYTES_MAX).unwrap_or(payload))
}

/// What is said of records that are kept in `journal/rejected/`.
#[derive(Debug)]
pub struct Rejection<'a> {
    /// Who refused them.
    pub exporter: &'a str,
    /// In what words.
    pub status: &'a str,
    /// What they are.
    pub signal: Signal,
    /// When.
    pub at: UnixNano,
}

impl Rejection<'_> {
    /// Every piece of a batch as a record of its own, with the headers that went along.
    pub fn of(&self, batch: &Batch) -> impl Iterator<Item = Rejected> {
        let headers = batch.headers.iter().map(|(name, value)| (name.as_str(), &value[..]));
        let (meta, _) = Meta::from_headers(headers);
        batch.pieces.iter().map(move |piece| Rejected {
            exporter: self.exporter.to_owned(),
            status: self.status.to_owned(),
            seq: piece.seq,
            at: self.at,
            record: Record {
                signal: self.signal,
                items: piece.items,
                flags: Flags::ALONE,
                meta: meta.clone(),
                payload: piece.payload.clone(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_fifty_are_kept() {
        let refused = Refused::default();
        for seq in 0..60 {
            refused.push(Sample {
                at_unix_nano: seq,
                seq,
                items: 1,
                status: String::new(),
                message: String::new(),
                payload_bytes: 0,
                payload_head: Bytes::new(),
            });
        }
        let seqs: Vec<_> = refused.list().iter().map(|s| s.seq).collect();
        assert_eq!(seqs, (10..60).collect::<Vec<_>>());
    }

    #[test]
    fn a_message_cannot_forge_log_lines_or_fill_the_log() {
        assert_eq!(escaped("a\nb\u{1b}[31m"), "a\\nb\\u{1b}[31m");
        assert!(escaped(&"\n".repeat(5000)).len() <= MESSAGE_BYTES_MAX);
        assert_eq!(escaped("größer"), "größer");
    }
}
