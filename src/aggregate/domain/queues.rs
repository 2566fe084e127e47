//! How full queues are, to count how often one becomes too full: above 80 %, and again after it was below 70 %.
//!
//! Limit: [`QUEUES_MAX`] queues; one past it is not followed.

use std::collections::{HashMap, HashSet};

use crate::aggregate::codec::{self, Read};

const QUEUES_MAX: usize = 1_000;
const FULL: f64 = 0.8;
const AT_EASE: f64 = 0.7;

#[derive(Clone, Copy, Debug, Default)]
struct Queue {
    size: f64,
    capacity: f64,
    is_full: bool,
}

/// Queues by instance and name.
#[derive(Debug, Default)]
pub(super) struct Queues {
    queues: HashMap<(usize, String), Queue>,
    /// Instances that count for themselves.
    left: HashSet<usize>,
}

impl Queues {
    /// An instance counts for itself.
    pub(super) fn leave(&mut self, instance: usize) {
        self.left.insert(instance);
    }

    /// Takes note of the size or the capacity of a queue. Whether it became too full; `None` when that is not for here to
    /// say.
    pub(super) fn note(
        &mut self,
        instance: usize,
        name: &str,
        is_size: bool,
        value: f64,
    ) -> Option<bool> {
        if self.left.contains(&instance) {
            return None;
        }
        let key = (instance, name.to_owned());
        if self.queues.len() >= QUEUES_MAX && !self.queues.contains_key(&key) {
            return None;
        }
        let queue = self.queues.entry(key).or_default();
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
        }
        codec::put(out, self.left.len() as u64);
        self.left.iter().for_each(|instance| codec::put(out, *instance as u64));
    }

    /// What [`Queues::encode`] wrote.
    pub(super) fn restore(&mut self, read: &mut Read<'_>) -> Option<()> {
        for _ in 0..read.number()? {
            let key = (usize::try_from(read.number()?).ok()?, read.text()?);
            let (size, capacity) = (read.float()?, read.float()?);
            let is_full = read.byte()? == 1;
            self.queues.insert(key, Queue { size, capacity, is_full });
        }
        for _ in 0..read.number()? {
            self.left.insert(usize::try_from(read.number()?).ok()?);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overflow_is_a_crossing_and_is_counted_again_after_a_rest() {
        let mut queues = Queues::default();
        assert_eq!(queues.note(0, "q", true, 9.0), None, "without a capacity");
        assert_eq!(queues.note(0, "q", false, 10.0), Some(true));
        for (size, expected) in
            [(9.0, false), (7.5, false), (9.0, false), (6.0, false), (8.0, false), (8.5, true)]
        {
            assert_eq!(queues.note(0, "q", true, size), Some(expected), "{size}");
        }
        assert_eq!(queues.note(1, "q", false, 10.0), Some(false), "another instance's");
        queues.leave(0);
        assert_eq!(queues.note(0, "q", true, 10.0), None);
    }
}
