//! How full queues are, to count how often one becomes too full: above 80 %, and again after it was below 70 %.
//!
//! Limit: [`QUEUES_MAX`] queues, each let go when nothing was said of it for the TTL; one past it is not followed, and
//! counted.

use std::collections::BTreeMap;

use crate::aggregate::codec::{self, Read};

const QUEUES_MAX: usize = 1_000;
const FULL: f64 = 0.8;
const AT_EASE: f64 = 0.7;

#[derive(Clone, Copy, Debug, Default)]
struct Queue {
    size: f64,
    capacity: f64,
    is_full: bool,
    seen_ms: i64,
}

/// Queues by instance and name.
#[derive(Debug, Default)]
pub(super) struct Queues {
    queues: BTreeMap<(usize, String), Queue>,
    /// Instances that count for themselves, and when they last did.
    left: BTreeMap<usize, i64>,
    /// How much was said of queues that are not followed, for the one who reports it.
    pub(super) refused: u64,
}

impl Queues {
    /// An instance counts for itself.
    pub(super) fn leave(&mut self, instance: usize, now_ms: i64) {
        self.forget(instance);
        self.left.insert(instance, now_ms);
    }

    /// Another instance has this place.
    pub(super) fn forget(&mut self, instance: usize) {
        self.queues.retain(|(of, _), _| *of != instance);
        self.left.remove(&instance);
    }

    /// Lets go what nothing was heard of since a time.
    pub(super) fn forget_before(&mut self, ms: i64) {
        self.queues.retain(|_, queue| queue.seen_ms >= ms);
        self.left.retain(|_, seen_ms| *seen_ms >= ms);
    }

    /// Takes note of the size or the capacity of a queue. Whether it became too full; `None` when that is not for here to
    /// say.
    pub(super) fn note(
        &mut self,
        (instance, name): (usize, &str),
        now_ms: i64,
        is_size: bool,
        value: f64,
    ) -> Option<bool> {
        if self.left.contains_key(&instance) {
            return None;
        }
        let key = (instance, name.to_owned());
        if self.queues.len() >= QUEUES_MAX && !self.queues.contains_key(&key) {
            self.refused += 1;
            return None;
        }
        let queue = self.queues.entry(key).or_default();
        queue.seen_ms = now_ms;
        if is_size {
            queue.size = value;
        } else {
            queue.capacity = value;
        }
        if queue.capacity <= 0.0 {
            return None;
        }
        let share = queue.size / queue.capacity;
        let overflows = share > FULL && !queue.is_full;
        queue.is_full = overflows || (queue.is_full && share >= AT_EASE);
        Some(overflows)
    }

    /// Everything, for the checkpoint; `names` tells instances apart.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        codec::put(out, self.queues.len() as u64);
        for ((instance, name), queue) in &self.queues {
            codec::put(out, *instance as u64);
            codec::put_bytes(out, name.as_bytes());
            codec::put_float(out, queue.size);
            codec::put_float(out, queue.capacity);
            out.push(u8::from(queue.is_full));
            codec::put(out, queue.seen_ms.unsigned_abs());
        }
        codec::put(out, self.left.len() as u64);
        for (instance, seen_ms) in &self.left {
            codec::put(out, *instance as u64);
            codec::put(out, seen_ms.unsigned_abs());
        }
    }

    /// What [`Queues::encode`] wrote.
    pub(super) fn restore(&mut self, read: &mut Read<'_>) -> Option<()> {
        let mut restored = Self::default();
        for _ in 0..read.number()? {
            let key = (usize::try_from(read.number()?).ok()?, read.text()?);
            let (size, capacity) = (read.float()?, read.float()?);
            let is_full = read.byte()? == 1;
            let seen_ms = read.number()?.cast_signed();
            restored.queues.insert(key, Queue { size, capacity, is_full, seen_ms });
        }
        for _ in 0..read.number()? {
            let instance = usize::try_from(read.number()?).ok()?;
            restored.left.insert(instance, read.number()?.cast_signed());
        }
        *self = restored;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overflow_is_a_crossing_and_is_counted_again_after_a_rest() {
        let mut queues = Queues::default();
        assert_eq!(queues.note((0, "q"), 0, true, 9.0), None, "without a capacity");
        assert_eq!(queues.note((0, "q"), 0, false, 10.0), Some(true));
        for (size, expected) in
            [(9.0, false), (7.5, false), (9.0, false), (6.0, false), (8.0, false), (8.5, true)]
        {
            assert_eq!(queues.note((0, "q"), 0, true, size), Some(expected), "{size}");
        }
        assert_eq!(queues.note((1, "q"), 0, false, 10.0), Some(false), "another instance's");
        queues.leave(0, 0);
        assert_eq!(queues.note((0, "q"), 0, true, 10.0), None);
    }

    #[test]
    fn queues_that_are_gone_make_room_and_those_past_the_limit_are_counted() {
        let mut queues = Queues::default();
        let full = |queues: &mut Queues, name: &str, now_ms| {
            queues.note((0, name), now_ms, false, 10.0);
            queues.note((0, name), now_ms, true, 9.0)
        };
        for name in 0..QUEUES_MAX {
            assert_eq!(full(&mut queues, &name.to_string(), 5), Some(true));
        }
        assert_eq!((full(&mut queues, "more", 6), queues.refused), (None, 2));
        queues.forget_before(6);
        assert_eq!(full(&mut queues, "more", 6), Some(true));
        queues.leave(0, 7);
        assert!(queues.queues.is_empty());
        queues.forget(0);
        assert_eq!(full(&mut queues, "more", 8), Some(true), "of another instance");
        let mut bytes = Vec::new();
        queues.encode(&mut bytes);
        let mut again = Queues::default();
        again.restore(&mut Read(&bytes)).unwrap();
        assert_eq!(again.note((0, "more"), 9, true, 9.0), Some(false));
    }
}
