//! What head and disk say to each other.
//!
//! ```text
//! checkpoint:  Disk::begin(seq, now) ─▶ Commit::series(Record) per series ─▶ removed, state, family ─▶ finish
//! start:       Disk::open ─▶ Restored, then Disk::each_live ─▶ Live per series: what `finish` last made durable
//! query:       Disk::reader ─▶ Reader::series (those the head does not have) ─▶ Reader::read per series
//! ```
//!
//! - A sealed chunk is given once and never changes. A chunk belongs to each day (UTC) that it
//!   has a sample of.
//! - An open chunk is not given as a chunk: it is in `Record::live`, opaque bytes that come back at the
//!   start in [`Live::state`]. Day files hold sealed chunks only.
//! - Chunks first, then the head's state with the journal's sequence: the state is what counts. After a crash
//!   between the two the same records give the same chunks again; writing one again replaces it (key:
//!   fingerprint and start).
//! - Where old samples are further apart than a query looks, the disk puts floats where it looks. Floats
//!   that are made of histograms get the same from [`Sparse::fill`](super::disk::Sparse::fill).
//! - For a query the head wins: of a series that the head has chunks of, the disk gives samples before
//!   the head's first only (`before_ms`).

use std::path::PathBuf;

use hashbrown::HashMap;
use sidelight_promql::{Labels, Reads, Selection};

use super::chunk::Chunk;
use super::metadata::Metadata;
use super::{Fingerprint, Kind};

/// One series in a checkpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    /// Its identity.
    pub(super) fingerprint: Fingerprint,
    /// Its kind.
    pub(super) kind: Kind,
    /// Its labels.
    pub(super) labels: &'a Labels,
    /// Chunks sealed since the last finished checkpoint, oldest first.
    pub(super) sealed: &'a [Chunk],
    /// Its state in the head, to be given back at the start; replaces what was given before. Empty: as
    /// it was.
    pub(super) live: &'a [u8],
}

/// What the last finished checkpoint held.
#[derive(Debug, Default)]
pub(super) struct Restored {
    /// Its sequence; `None` when there is none.
    pub(super) journal_seq: Option<u64>,
    /// The time it was made at, in milliseconds since the Unix epoch.
    pub(super) now_ms: i64,
    /// Named state.
    pub(super) states: Vec<(String, Vec<u8>)>,
    /// Metadata by family.
    pub(super) families: Vec<(String, Metadata)>,
    /// When there is none, but there are samples: the time of the newest that a series has on disk.
    pub(super) ends: HashMap<Fingerprint, i64>,
    /// Series that are on disk and not in the head have no sample after this.
    pub(super) departed_ms: i64,
    /// Files set aside.
    pub(super) quarantined: Vec<PathBuf>,
}

/// A series of the head, as a checkpoint kept it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Live<'a> {
    /// Its identity.
    pub(super) fingerprint: Fingerprint,
    /// Its kind.
    pub(super) kind: Kind,
    /// Names and values of its labels, in the order of names.
    pub(super) labels: &'a [(&'a str, &'a str)],
    /// [`Record::live`].
    pub(super) state: &'a [u8],
}

/// The time and resolution that a query wants; see [`sidelight_promql::Selection`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    /// Samples after this, in milliseconds since the Unix epoch …
    pub(super) after: i64,
    /// … up to and with this.
    pub(super) until: i64,
    /// The distance of evaluations; 0 for an instant.
    pub(super) step: i64,
    /// The length of a range selector; 0 for an instant selector.
    pub(super) range: i64,
    /// How far an instant selector looks back; 0 for a range selector.
    pub(super) lookback: i64,
    /// What is made of the samples: rows of old samples give what is meant.
    pub(super) reads: Reads,
}

impl Window {
    /// What `selection` wants.
    pub(super) const fn of(selection: &Selection<'_>) -> Self {
        let Selection { after, until, step, range, lookback, reads, .. } = *selection;
        Self { after, until, step, range, lookback, reads }
    }
}

/// A series on disk.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Its identity.
    pub(super) fingerprint: Fingerprint,
    /// Its kind.
    pub(super) kind: Kind,
    /// Its labels.
    pub(super) labels: Labels,
}
