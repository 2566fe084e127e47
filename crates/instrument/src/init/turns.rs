//! Who flushes when: one flush of a signal at a time, and one at a time of those that panics ask for.
//!
//! The SDK's flush of metrics waits without a bound for the exporter. A thread that hangs there is left behind, but never
//! more than one a signal: the next flush waits for its turn until its own deadline. A panic that comes while a flush is on
//! its way adds one more to follow, however many there are.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Of one signal.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    taken: Mutex<bool>,
    given_back: Condvar,
}

/// A turn, until dropped.
pub(crate) struct Taken<'a>(&'a Turn);

impl Turn {
    /// Waits for it at most that long.
    pub(crate) fn take(&self, wait: Duration) -> Option<Taken<'_>> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let free = self.given_back.wait_timeout_while(taken, wait, |taken| *taken);
        let (mut taken, timeout) = free.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            return None;
        }
        *taken = true;
        Some(Taken(self))
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.given_back.notify_one();
    }
}

const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const AGAIN: u8 = 2;

/// Whether a flush was asked for, by those who do not wait for it.
#[derive(Debug, Default)]
pub(crate) struct Asked(AtomicU8);

impl Asked {
    /// Lets a thread flush, unless one is at it: that one does it once more.
    pub(crate) fn ask(self: &Arc<Self>, flush: impl Fn() + Send + 'static) {
        if self.0.swap(AGAIN, Ordering::AcqRel) != IDLE {
            return;
        }
        let asked = Arc::clone(self);
        let thread = thread::Builder::new().name("sidelight-flush".to_owned()).spawn(move || {
            loop {
                asked.0.store(RUNNING, Ordering::Release);
                flush();
                let done =
                    asked.0.compare_exchange(RUNNING, IDLE, Ordering::AcqRel, Ordering::Acquire);
                if done.is_ok() {
                    return;
                }
            }
        });
        if thread.is_err() {
            self.0.store(IDLE, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn a_turn_is_waited_for_and_given_back() {
        let turn = Turn::default();
        let taken = turn.take(Duration::ZERO).unwrap();
        assert!(turn.take(Duration::from_millis(1)).is_none());
        thread::scope(|scope| {
            let next = scope.spawn(|| turn.take(Duration::from_secs(60)).is_some());
            drop(taken);
            assert!(next.join().unwrap());
        });
        assert!(turn.take(Duration::ZERO).is_some());
    }

    #[test]
    fn a_hundred_panics_while_a_flush_hangs_are_one_more_flush() {
        let asked = Arc::<Asked>::default();
        let (begin, begun) = sync_channel(200);
        let (go, gone) = sync_channel::<()>(200);
        let gone = Mutex::new(gone);
        let flush = move || {
            begin.send(()).unwrap();
            gone.lock().unwrap().recv().unwrap();
        };
        asked.ask(flush);
        begun.recv().unwrap();
        for _ in 0..100 {
            asked.ask(|| unreachable!("one is at it"));
        }
        go.send(()).unwrap();
        begun.recv().unwrap();
        go.send(()).unwrap();
        assert!(begun.recv().is_err(), "its thread has ended, and flushed twice");
        // Idle again, the next who asks is heard.
        let (begin, begun) = sync_channel(1);
        asked.ask(move || _ = begin.send(()));
        begun.recv().unwrap();
    }
}
