//! `memory` mode: the same interface on a bounded ring of chunks. Survives nothing.
//!
//! A chunk is a segment without a file, a sixteenth of `memory_size`; the rules of retention are
//! those of the disk, so delivered records stay until room is needed.

use super::retention::{self, Step};
use super::segment::Segment;
use super::shared::Shared;
use super::state::State;
use super::{AppendError, Entry, tail};
use crate::signal::Record;

/// Gives an empty state its first chunk.
pub(super) fn prepare(state: &mut State) {
    let mut chunk = Segment::starting_at(state.next_seq);
    chunk.file.incompressible = true;
    state.segments.push_back(chunk);
}

/// Appends at once, on the caller's thread.
pub(super) fn append(shared: &Shared, record: Record) -> Result<u64, AppendError> {
    let appended = try_append(shared, record);
    if let Err(AppendError::Full | AppendError::TooLarge { .. }) = appended {
        shared.metrics.refused.add(1);
    }
    appended
}

fn try_append(shared: &Shared, record: Record) -> Result<u64, AppendError> {
    let limit = shared.config.memory_size;
    let now = shared.deps.clock.unix_nano();
    let mut state = shared.lock();
    if state.closed {
        return Err(AppendError::Closing);
    }
    let entry = state.number(0, now, record);
    let cost = tail::cost(&entry);
    if cost > limit / 2 {
        return Err(AppendError::TooLarge { bytes: cost, max: limit / 2 });
    }
    let room = make_room(shared, &mut state, cost as u64, limit as u64);
    let chunk = (limit / 16) as u64;
    state.full = room.is_err() || state.is_full(limit as u64, chunk);
    room?;
    let seq = entry.seq;
    publish(&mut state, entry, limit);
    state.progress = shared.deps.clock.monotonic();
    let progress = state.progress;
    state.rate.add(cost as u64, progress);
    let bells = state.bells();
    drop(state);
    bells.iter().for_each(|bell| bell.notify_one());
    Ok(seq)
}

fn publish(state: &mut State, entry: Entry, limit: usize) {
    let chunk = (limit / 16) as u64;
    if state.segments.back().is_some_and(|active| active.size >= chunk) {
        rotate(state);
    }
    state.commit(entry, true);
}

fn rotate(state: &mut State) {
    if let Some(active) = state.segments.back_mut() {
        active.file.sealed = true;
    }
    prepare(state);
}

fn make_room(shared: &Shared, state: &mut State, cost: u64, limit: u64) -> Result<(), AppendError> {
    while state.size() + cost > limit {
        let step = retention::make_room(&state.candidates());
        let Some(Step::Shed(chunk) | Step::DropOldest(chunk)) = step else {
            return Err(AppendError::Full);
        };
        // One that goes at once is all that ends before it is full: else the ring would crumble.
        if state.segments.back().is_some_and(|active| active.first_seq == chunk) {
            rotate(state);
        }
        drop(state.remove(chunk));
        shared.metrics.shed.add(1);
    }
    Ok(())
}
