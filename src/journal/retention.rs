//! Which segment goes next. Pure: summaries and times in, a decision out.
//!
//! Delivered data is shed before anything else; then sealed segments are compacted; then readers
//! with `drop_oldest` lose their oldest; what a reader with `reject` holds is never touched, and
//! when nothing else is left the journal is full. Holes between segments are legal, so a segment
//! that is held never protects a younger one that is not, unless that one's name says where it ends
//! (`State::candidates`).

use std::time::Duration;

use crate::time::UnixNano;

/// A sealed segment as retention sees it, oldest first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) first_seq: u64,
    pub(super) size: u64,
    pub(super) last_received: UnixNano,
    /// Every durable reader settled all of its records in it.
    pub(super) free: bool,
    /// A reader with `reject` holds a record in it.
    pub(super) blocked: bool,
    /// Not compacted, and compaction was not tried in vain.
    pub(super) compressible: bool,
}

/// One step towards room; the segment's first sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Delete: delivered everywhere.
    Shed(u64),
    /// Rewrite as zstd blocks.
    Compact(u64),
    /// Delete, and count what readers held in it as dropped.
    DropOldest(u64),
}

/// The next step towards room under the cap; `None` when there is none: full.
pub(super) fn make_room(segments: &[Candidate]) -> Option<Step> {
    let find = |wanted: fn(&Candidate) -> bool| segments.iter().find(|s| wanted(s));
    if let Some(free) = find(|s| s.free) {
        return Some(Step::Shed(free.first_seq));
    }
    if let Some(plain) = find(|s| s.compressible) {
        return Some(Step::Compact(plain.first_seq));
    }
    find(|s| !s.blocked).map(|oldest| Step::DropOldest(oldest.first_seq))
}

/// Limits on delivered data.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// `None` while the clock is not to be trusted.
    pub(super) age: Option<Duration>,
    pub(super) size: u64,
}

/// Delivered segments that retention does not want any more.
pub(super) fn expired(segments: &[Candidate], now: UnixNano, limits: Limits) -> Vec<u64> {
    let mut kept: u64 = segments.iter().filter(|s| s.free).map(|s| s.size).sum();
    let mut gone = Vec::new();
    for segment in segments.iter().filter(|s| s.free) {
        let old = limits.age.is_some_and(|age| now.since(segment.last_received) > age);
        if old || kept > limits.size {
            kept -= segment.size;
            gone.push(segment.first_seq);
        }
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(first_seq: u64) -> Candidate {
        Candidate {
            first_seq,
            size: 10,
            last_received: UnixNano(first_seq * 1_000_000_000),
            free: false,
            blocked: true,
            compressible: false,
        }
    }

    #[test]
    fn delivered_goes_before_compaction_before_drops_before_full() {
        let mut segments = vec![
            held(1),
            Candidate { blocked: false, ..held(2) },
            Candidate { compressible: true, ..held(3) },
            Candidate { free: true, blocked: false, ..held(4) },
        ];
        let mut steps = Vec::new();
        while let Some(step) = make_room(&segments) {
            steps.push(step);
            match step {
                Step::Shed(s) | Step::DropOldest(s) => segments.retain(|c| c.first_seq != s),
                Step::Compact(s) => {
                    segments.iter_mut().for_each(|c| c.compressible &= c.first_seq != s);
                }
            }
        }
        assert_eq!(steps, [Step::Shed(4), Step::Compact(3), Step::DropOldest(2)]);
    }

    #[test]
    fn age_and_size_each_let_delivered_segments_go_oldest_first() {
        let segments: Vec<_> = (1..=5).map(|s| Candidate { free: s != 2, ..held(s) }).collect();
        let now = UnixNano(10_000_000_000);
        let age = |age| Limits { age, size: u64::MAX };
        assert_eq!(expired(&segments, now, age(Some(Duration::from_secs(6)))), [1, 3]);
        assert!(expired(&segments, now, age(None)).is_empty());
        assert_eq!(expired(&segments, now, Limits { age: None, size: 25 }), [1, 3]);
    }
}
