//! Records beyond a limit of what is kept apart: counted, and told of in one log line.

use std::sync::atomic::{AtomicU64, Ordering};

static OVERFLOWED: AtomicU64 = AtomicU64::new(0);

/// How many records were beyond a limit.
pub(crate) fn overflowed() -> u64 {
    OVERFLOWED.load(Ordering::Relaxed)
}

/// Counts a record beyond a limit; `of` is what there were too many of.
#[cold]
pub(crate) fn overflow(of: &str) {
    if OVERFLOWED.fetch_add(1, Ordering::Relaxed) == 0 {
        tracing::warn!(
            target: "sidelight",
            "there are more {of} than are kept apart; what is beyond is recorded as `_OTHER` or otel.metric.overflow where a \
             series can be, and counted in sidelight.sdk.overflowed"
        );
    }
}
