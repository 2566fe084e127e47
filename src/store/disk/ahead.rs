//! Reading ahead: what several files hold of several series, by a few threads at once.
//!
//! A page of a file that is not in memory takes a disk 0.1 to 0.2 ms, and a query of ninety days wants hundreds, in 16
//! files. One thread that asks for one after the other waits all that time; [`THREADS`] have as many under way, and
//! what `SQLite` does for a look-up runs on every core. Each file is read in one transaction, since a transaction is
//! four calls of the system.
//!
//! Limits: [`THREADS`] of them, the caller's among them, that end with the call; [`Room`] of bytes. What does not fit is
//! read one at a time. Cost: 50 µs for each thread.

use std::collections::HashMap;
use std::ops::{ControlFlow, Range};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rusqlite::{Connection, OptionalExtension as _};

use super::Opened;
use super::layout::FileKey;
use crate::store::Fingerprint;

/// Threads of one query: more have little more under way.
pub(super) const THREADS: usize = 4;
/// Series that are read ahead at a time: 90 days of hourly rows are 1 MiB.
pub(in crate::store) const SERIES: usize = 32;
/// Bytes that are read ahead at a time.
const BYTES_MAX: usize = 2 << 20;

/// A chunk of samples or rows, as it is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) encoding: u8,
    pub(super) bytes: &'a [u8],
}

/// What a file holds of some series.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    /// Where in `pieces`. A series that was not looked for is not there.
    series: HashMap<Fingerprint, Range<usize>>,
    pieces: Vec<(i64, i64, u8, Range<usize>)>,
    bytes: Vec<u8>,
}

impl Chunks {
    /// Reads the chunks of `series` that begin in `(starts.0, starts.1]`, of as many series as there is room for.
    pub(super) fn read(
        connection: &Connection,
        series: &[Fingerprint],
        starts: (i64, i64),
        room: &Room,
    ) -> rusqlite::Result<Self> {
        let mut chunks = Self::default();
        let transaction = connection.unchecked_transaction()?;
        for &fingerprint in series {
            let (from, bytes) = (chunks.pieces.len(), chunks.bytes.len());
            let flow = pieces(connection, fingerprint, starts, &mut |piece| {
                if !room.take(piece.bytes.len()) {
                    return ControlFlow::Break(());
                }
                chunks.add(piece);
                ControlFlow::Continue(())
            })?;
            if flow.is_break() {
                room.give_back(chunks.bytes.len() - bytes);
                chunks.pieces.truncate(from);
                chunks.bytes.truncate(bytes);
                break;
            }
            chunks.series.insert(fingerprint, from..chunks.pieces.len());
        }
        transaction.finish()?;
        Ok(chunks)
    }

    fn add(&mut self, piece: Piece<'_>) {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(piece.bytes);
        let bytes = from..self.bytes.len();
        self.pieces.push((piece.start, piece.end, piece.encoding, bytes));
    }

    /// The chunks of a series, in the order of their starts; `None` when it was not looked for.
    pub(super) fn of(&self, fingerprint: Fingerprint) -> Option<impl Iterator<Item = Piece<'_>>> {
        let pieces = self.pieces.get(self.series.get(&fingerprint)?.clone())?;
        Some(pieces.iter().map(|(start, end, encoding, bytes)| {
            let (start, end, encoding) = (*start, *end, *encoding);
            Piece { start, end, encoding, bytes: self.bytes.get(bytes.clone()).unwrap_or_default() }
        }))
    }
}

/// Bytes that may be read ahead, by all threads together.
#[derive(Debug)]
pub(super) struct Room(AtomicUsize);

impl Default for Room {
    fn default() -> Self {
        Self::with(BYTES_MAX)
    }
}

impl Room {
    pub(super) const fn with(bytes: usize) -> Self {
        Self(AtomicUsize::new(bytes))
    }

    fn take(&self, bytes: usize) -> bool {
        let left = |left: usize| left.checked_sub(bytes);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Hands the chunks of a series that begin in `(starts.0, starts.1]` to `take`, in the order of their starts, until it
/// breaks.
pub(super) fn pieces(
    connection: &Connection,
    fingerprint: Fingerprint,
    starts: (i64, i64),
    take: &mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
) -> rusqlite::Result<ControlFlow<()>> {
    let sql = "SELECT id FROM series WHERE fingerprint = ?";
    let id = connection
        .prepare_cached(sql)?
        .query_row([fingerprint.to_i64()], |row| row.get::<_, i64>(0));
    let Some(id) = id.optional()? else { return Ok(ControlFlow::Continue(())) };
    let sql = "SELECT start, \"end\", encoding, bytes FROM chunk \
               WHERE series = ? AND start > ? AND start <= ? ORDER BY start";
    let mut statement = connection.prepare_cached(sql)?;
    let mut chunks = statement.query((id, starts.0, starts.1))?;
    while let Some(chunk) = chunks.next()? {
        let (start, end, encoding) = (chunk.get(0)?, chunk.get(1)?, chunk.get(2)?);
        let bytes = chunk.get_ref(3)?.as_blob()?;
        if take(Piece { start, end, encoding, bytes }).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// A file, the connection to it if there is one, and what was made of it.
pub(super) type Done<T> = (FileKey, Option<Opened>, Option<T>);

/// Does something with each file, some at once. A thread that cannot be had is done without.
pub(super) fn together<T: Send>(
    files: Vec<(FileKey, Option<Opened>)>,
    with: &(dyn Fn(FileKey, &mut Option<Opened>) -> Option<T> + Sync),
) -> Vec<Done<T>> {
    let threads = files.len().min(THREADS);
    let left = Mutex::new(files.into_iter());
    let done = Mutex::new(Vec::new());
    let work = || {
        loop {
            let next = left.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((key, mut open)) = next else { return };
            let result = with(key, &mut open);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((key, open, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            let _ = thread::Builder::new().name("read".to_owned()).spawn_scoped(scope, work);
        }
        work();
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}
