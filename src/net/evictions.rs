//! Evicted connections, counted, and said at most once a minute: who opens many is closed often.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::places::Doing;

/// The least time between two lines.
const SAID_EVERY: Duration = Duration::from_mins(1);

/// Those that were not said yet.
#[derive(Debug, Default)]
pub struct Evictions(Mutex<Unsaid>);

#[derive(Debug, Default)]
struct Unsaid {
    counts: [u64; Doing::ALL.len()],
    /// When the last line was, monotonic.
    said: Option<Duration>,
}

impl Evictions {
    /// Counts one at `now` (monotonic). Gives what to say, if it is time: `3 idle, 129 slow`.
    pub fn note(&self, doing: Doing, now: Duration) -> Option<String> {
        let mut unsaid = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = unsaid.counts.get_mut(doing as usize)?;
        *count += 1;
        if unsaid.said.is_some_and(|at| now.saturating_sub(at) < SAID_EVERY) {
            return None;
        }
        unsaid.said = Some(now);
        let counts = std::mem::take(&mut unsaid.counts);
        let mut line = String::new();
        for (doing, count) in Doing::ALL.iter().zip(counts).filter(|(_, count)| *count > 0) {
            let comma = if line.is_empty() { "" } else { ", " };
            // Writing to a string cannot fail.
            let _ = write!(line, "{comma}{count} {}", doing.name());
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_a_minute_that_counts_all_of_it() {
        let evictions = Evictions::default();
        let at = Duration::from_secs;
        let said = |doing, second| evictions.note(doing, at(second));
        assert_eq!(said(Doing::Idle, 0).as_deref(), Some("1 idle"));
        assert_eq!(said(Doing::Slow, 1), None);
        assert_eq!(said(Doing::Idle, 59), None);
        assert_eq!(said(Doing::Slow, 60).as_deref(), Some("1 idle, 2 slow"));
        assert_eq!(said(Doing::Silent, 200).as_deref(), Some("1 silent"));
    }
}
