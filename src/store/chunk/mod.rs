//! Chunks: the samples of one series over some time, as bytes.
//!
//! A chunk stands for itself: its bytes say how many samples of what they hold. Cut at 120 samples,
//! 512 B (histograms 2 KiB, since one stands for many series) or 2 h.

use std::sync::Arc;

use crate::store::samples::Samples;

/// Samples in one piece, never changed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The time of the first sample, in milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// The time of the last one.
    pub end_ms: i64,
    /// How many there are; at least 1.
    pub samples: u16,
    /// How `bytes` are to be read.
    pub encoding: u8,
    /// The samples.
    pub bytes: Arc<[u8]>,
}

/// Bytes that are no chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the chunk is corrupt: {0}")]
pub struct Corrupt(pub &'static str);

/// Appends the samples in `bytes` to `into`. What was appended before an error stays.
///
/// # Errors
/// [`Corrupt`]: the bytes end early, or the encoding is unknown.
pub fn decode(encoding: u8, _bytes: &[u8], _into: &mut Samples) -> Result<(), Corrupt> {
    let _ = encoding;
    Err(Corrupt("unknown encoding"))
}

/// Encodes samples anew, for rollups: of `samples` the list that is not empty, in as few chunks as the
/// limits allow.
#[must_use]
pub fn encode(samples: &Samples) -> Vec<Chunk> {
    let _ = samples;
    Vec::new()
}
