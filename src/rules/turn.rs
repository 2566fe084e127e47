//! Work on a disk that may hang: on a thread of its own, one piece at a time, and nobody waits for it for long.
//!
//! ```text
//! run ─ free? ─▶ thread: work ─▶ answer, for as long as the patience lasts ─ then ─▶ late: whoever comes is refused at once
//!         ▲                └─ done, however late ─┐
//!         └───────────────────────────────────────┘
//! ```
//! Work that nobody waits for any more goes on, and nothing else begins before it is done: what is written stays in order.
//!
//! Limits: one thread, and twice the patience: for those before, and for the work itself.

use std::io;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Whose turn it is.
#[derive(Debug)]
pub(super) struct Turn {
    place: Arc<Place>,
    patience: Duration,
}

/// Work that was not done in time, or not at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// It takes too long, or what was begun before it does.
    #[error("the disk took longer than {0:?}")]
    Late(Duration),
    /// There is no thread for it.
    #[error("no thread can be started")]
    Thread(#[source] io::Error),
}

impl Turn {
    /// Everyone waits no longer than that.
    pub(super) fn new(patience: Duration) -> Self {
        Self { place: Arc::default(), patience }
    }

    /// Does `work`, and waits for it.
    ///
    /// # Errors
    /// [`Refused::Late`]: it may have been begun, and then is done some time. [`Refused::Thread`]: it is not.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let taken = self.take().ok_or(Refused::Late(self.patience))?;
        let (tell, told) = sync_channel(1);
        let thread = thread::Builder::new().name("alerts".to_owned());
        let begun = thread.spawn(move || {
            // Whoever waited may have gone on. Told before the place is free: what occupies it is not done.
            let _ = tell.send(work());
            drop(taken);
        });
        begun.map_err(Refused::Thread)?;
        told.recv_timeout(self.patience).or_else(|_| {
            let mut occupied = self.place.lock();
            // Done meanwhile: the place may be another's.
            if let Ok(done) = told.try_recv() {
                return Ok(done);
            }
            if *occupied == Occupied::Yes {
                *occupied = Occupied::TooLong;
            }
            drop(occupied);
            self.place.changed.notify_all();
            Err(Refused::Late(self.patience))
        })
    }

    /// Waits for the place, but not for one who is late already.
    fn take(&self) -> Option<Taken> {
        let busy = |occupied: &mut Occupied| *occupied == Occupied::Yes;
        let waited = self.place.changed.wait_timeout_while(self.place.lock(), self.patience, busy);
        let (mut occupied, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *occupied != Occupied::No {
            return None;
        }
        *occupied = Occupied::Yes;
        Some(Taken(Arc::clone(&self.place)))
    }
}

#[derive(Debug, Default)]
struct Place {
    occupied: Mutex<Occupied>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Occupied {
    #[default]
    No,
    Yes,
    /// Nobody waits for the work any more.
    TooLong,
}

impl Place {
    fn lock(&self) -> MutexGuard<'_, Occupied> {
        self.occupied.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place, until this is dropped.
struct Taken(Arc<Place>);

impl Drop for Taken {
    fn drop(&mut self) {
        *self.0.lock() = Occupied::No;
        self.0.changed.notify_all();
    }
}

/// Waits until it is so, for a minute at most.
#[cfg(test)]
pub(super) fn until(mut is_so: impl FnMut() -> bool) {
    use crate::time::Clock as _;
    let clock = crate::time::SystemClock::new();
    let end = clock.monotonic() + Duration::from_secs(60);
    while !is_so() {
        assert!(clock.monotonic() < end, "it is not so after a minute");
        thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_hangs_is_waited_for_once_and_what_comes_after_it_is_done_after_it() {
        let patient = Turn::new(Duration::from_secs(3_600));
        assert_eq!(patient.run(|| 1).unwrap(), 1);
        let turn = Turn { place: Arc::clone(&patient.place), patience: Duration::from_millis(20) };
        let (end, ended) = sync_channel::<()>(0);
        let late = |refused| matches!(refused, Err(Refused::Late(_)));
        assert!(late(turn.run(move || ended.recv().map_or(0, |()| 2))));
        // Whoever comes does not wait: a patience of an hour would be noticed.
        assert!(late(patient.run(|| 3)));
        end.send(()).unwrap();
        until(|| patient.run(|| 4).is_ok_and(|next| next == 4));
    }
}
