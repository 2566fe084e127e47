//! What is looked at when metrics are collected, rather than recorded when it happens: one walk for all of it.
//!
//! Callbacks of the SDK cannot be unregistered, and one that panics ends the collection for good. So there is one walk of
//! ours over what is registered here; each piece of work runs under `catch_unwind`, and one that panicked is counted.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

type Work = Box<dyn FnMut() -> bool + Send>;

/// More is refused, and counted.
const WORK_MAX: usize = 4096;

static WORK: Mutex<Vec<Work>> = Mutex::new(Vec::new());
static REFUSED: AtomicU64 = AtomicU64::new(0);
static PANICS: AtomicU64 = AtomicU64::new(0);

/// Runs `work` at every collection until it returns `false` or panics.
pub fn each_collection(work: impl FnMut() -> bool + Send + 'static) {
    let mut registered = WORK.lock().unwrap_or_else(PoisonError::into_inner);
    if registered.len() < WORK_MAX {
        registered.push(Box::new(work));
    } else {
        REFUSED.fetch_add(1, Ordering::Relaxed);
    }
}

/// Looks at what must be seen more often than metrics are collected: lengths of queues. Init's thread calls this every
/// 100 ms.
pub fn tick() {}

pub(crate) fn collect() {
    // Work may register work: the lock is not held while it runs.
    let mut running = std::mem::take(&mut *WORK.lock().unwrap_or_else(PoisonError::into_inner));
    running.retain_mut(|work| match catch_unwind(AssertUnwindSafe(work)) {
        Ok(again) => again,
        Err(_) => {
            PANICS.fetch_add(1, Ordering::Relaxed);
            false
        }
    });
    let mut registered = WORK.lock().unwrap_or_else(PoisonError::into_inner);
    running.append(&mut registered);
    *registered = running;
}
