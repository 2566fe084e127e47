//! What became of operations whose attempts are spans: whether another attempt came after one that failed, or none.
//!
//! A failed attempt waits for the next one of its trace and operation. When that comes, it was a retry; when none comes, the
//! operation gave up. The wait is [`WAIT_MS`] and three times the pause before it, since pauses double. Limits: [`OPEN_MAX`]
//! operations, those past it are counted and not followed; [`REASON_BYTES_MAX`]; names of operations are given as they are
//! shown. Cost: about 300 B each, beside the name; all are looked at once a second.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::resources::Found;
use super::traces::Trace;
use crate::aggregate::clip::clip;

const OPEN_MAX: usize = 4_096;
const WAIT_MS: i64 = 10_000;
const WAIT_MS_MAX: i64 = 300_000;
const LOOK_MS: i64 = 1_000;
const REASON_BYTES_MAX: usize = 128;

/// A trace of an instance, and an operation.
type Key = (Trace, Arc<str>);

/// A failed attempt.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) found: Found,
    pub(super) operation: Arc<str>,
    pub(super) reason: String,
    /// How many came before it.
    pub(super) retries: i64,
    pub(super) weight: f64,
}

/// The last attempt of an operation, and until when another may come.
#[derive(Debug)]
struct Open {
    attempt: Attempt,
    seen_ms: i64,
    until_ms: i64,
}

/// What is known of a failed attempt.
#[derive(Debug)]
pub(super) enum Became {
    /// Another came after it.
    Retried(Attempt),
    /// It was the last.
    GaveUp(Attempt),
}

/// Operations whose last attempt failed.
#[derive(Debug, Default)]
pub(super) struct Retries {
    open: BTreeMap<Key, Open>,
    looked_ms: i64,
    /// Operations that there was no room to follow.
    pub(super) refused: u64,
}

impl Retries {
    /// Takes in an attempt that failed; what that says of one before it. One of no usable trace waits for none.
    pub(super) fn failed(
        &mut self,
        trace: Option<Trace>,
        mut attempt: Attempt,
        now_ms: i64,
    ) -> Option<Became> {
        let kept = clip(attempt.reason.as_bytes(), REASON_BYTES_MAX).len();
        attempt.reason.truncate(kept);
        attempt.reason.shrink_to_fit();
        let Some(trace) = trace else { return Some(Became::Retried(attempt)) };
        let key = (trace, Arc::clone(&attempt.operation));
        let full = self.open.len() >= OPEN_MAX;
        let Some(open) = self.open.get_mut(&key) else {
            if full {
                self.refused += 1;
                return Some(Became::Retried(attempt));
            }
            let until_ms = now_ms + WAIT_MS;
            self.open.insert(key, Open { attempt, seen_ms: now_ms, until_ms });
            return None;
        };
        let pause = now_ms - open.seen_ms;
        let next = attempt.retries > open.attempt.retries;
        let before = std::mem::replace(&mut open.attempt, attempt);
        let wait = if next { WAIT_MS + 3 * pause } else { WAIT_MS };
        (open.seen_ms, open.until_ms) = (now_ms, now_ms + wait.min(WAIT_MS_MAX));
        Some(if next { Became::Retried(before) } else { Became::GaveUp(before) })
    }

    /// An attempt succeeded; the one that failed before it.
    pub(super) fn succeeded(&mut self, trace: Option<Trace>, operation: &str) -> Option<Became> {
        if self.open.is_empty() {
            return None;
        }
        let open = self.open.remove(&(trace?, operation.into()))?;
        Some(Became::Retried(open.attempt))
    }

    /// Those after which none came in time.
    pub(super) fn settle(&mut self, now_ms: i64) -> Vec<Became> {
        if self.open.is_empty() || (0..LOOK_MS).contains(&(now_ms - self.looked_ms)) {
            return Vec::new();
        }
        self.looked_ms = now_ms;
        let over = self.open.extract_if(.., |_, open| open.until_ms <= now_ms);
        over.map(|(_, open)| Became::GaveUp(open.attempt)).collect()
    }

    /// Forgets everything; all that wait have given up. For the end: what goes on after it is counted as two operations.
    pub(super) fn flush(&mut self) -> Vec<Became> {
        let open = std::mem::take(&mut self.open);
        self.looked_ms = 0;
        open.into_values().map(|open| Became::GaveUp(open.attempt)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::traces::id_of;
    use super::*;
    use crate::aggregate::metrics::cache::ROOT;
    use crate::aggregate::metrics::target::Target;

    fn attempt(retries: i64) -> Attempt {
        let found = Found { slot: ROOT, target: Arc::new(Target::default()), instance: 0 };
        let (operation, reason) = ("pay".into(), "503".to_owned());
        Attempt { found, operation, reason, retries, weight: 1.0 }
    }

    fn trace(n: usize) -> Option<Trace> {
        id_of(0, &(n as u128).to_be_bytes())
    }

    fn shown(became: impl IntoIterator<Item = Became>) -> Vec<(&'static str, i64)> {
        let one = |became| match became {
            Became::Retried(attempt) => ("retried", attempt.retries),
            Became::GaveUp(attempt) => ("gave up", attempt.retries),
        };
        became.into_iter().map(one).collect()
    }

    #[test]
    fn an_attempt_was_retried_when_another_came_and_the_last_when_none_did() {
        let mut retries = Retries::default();
        assert_eq!(shown(retries.failed(trace(1), attempt(1), 0)), []);
        assert_eq!(shown(retries.failed(trace(1), attempt(2), 8_000)), [("retried", 1)]);
        assert_eq!(shown(retries.failed(trace(2), attempt(1), 8_000)), []);
        assert_eq!(shown(retries.settle(18_000)), [("gave up", 1)]);
        assert_eq!(shown(retries.settle(41_000)), [], "the pause was 8 s: the next may be longer");
        assert_eq!(shown(retries.settle(42_000)), [("gave up", 2)]);
        assert_eq!(shown(retries.settle(90_000)), []);
    }

    #[test]
    fn an_operation_that_begins_again_ends_the_one_before_and_one_that_succeeds_did_not_give_up() {
        let mut retries = Retries::default();
        assert_eq!(shown(retries.failed(trace(1), attempt(3), 0)), []);
        assert_eq!(shown(retries.failed(trace(1), attempt(1), 1)), [("gave up", 3)]);
        assert_eq!(shown(retries.succeeded(trace(1), "pay")), [("retried", 1)]);
        assert_eq!(shown(retries.succeeded(trace(1), "pay")), []);
        assert_eq!(shown(retries.flush()), []);
    }

    #[test]
    fn what_there_is_no_room_to_follow_is_counted() {
        let mut retries = Retries::default();
        for n in 0..OPEN_MAX {
            assert_eq!(shown(retries.failed(trace(n), attempt(1), 0)), []);
        }
        assert_eq!(shown(retries.failed(trace(OPEN_MAX), attempt(1), 0)), [("retried", 1)]);
        assert_eq!(shown(retries.failed(None, attempt(1), 0)), [("retried", 1)]);
        assert_eq!((retries.refused, shown(retries.flush()).len()), (1, OPEN_MAX));
    }
}
