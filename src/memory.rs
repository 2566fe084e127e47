//! The declared memory ceiling, split once into budgets, and the in-flight budget that enforces it.
//!
//! `limits.memory` (M) = min(128 MiB, 75 % of the cgroup's limit) unless configured. The split is:
//! transport M/8, in flight 3M/8, journal tail M/8, export 3M/16, `memory` journal M/4; the rest is
//! the program itself, which takes 24 MiB however little it may hold: below 128 MiB the parts are those of the M
//! that leaves as much. A reservation never waits: it succeeds or the request is refused at once.
//!
//! The metric store has limits of its own, [`StoreBudget`], 85/128 of M with every one of them reached. Ordinary
//! senders reach none: 20,000 series take about a fifth of the default M. Where hostile ones do, the resident set shows
//! it and the in-flight budget gives way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// What each part of the agent may hold, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// M, the whole.
    pub total: usize,
    /// Connection windows: bounds how many connections are served at once.
    pub transport: usize,
    /// Request bytes (wire, inflated and transcoded) from the first byte until durable.
    pub in_flight: usize,
    /// The largest single message, on the wire and inflated.
    pub message: usize,
    /// The journal's newest records, kept as `Bytes` for readers that keep up.
    pub tail: usize,
    /// Batches being sent or waiting for a retry, over all destinations.
    pub export: usize,
    /// The ring of a `memory` journal.
    pub memory_journal: usize,
    /// What one query of the API holds, of which there are two at once, and its answer beside it. M/8, 16 MB at most.
    pub query: usize,
    /// What one rule holds, of which there are three at once. M/8, 64 MB at most.
    pub rule: usize,
    /// What the metric store and the way to it keep.
    pub store: StoreBudget,
}

/// What each part of the metric store may hold, in bytes, estimated within a quarter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreBudget {
    /// Series: labels, indexes and bounds of histograms. 3M/16: 1.2 KiB for each of 20,000 at the default M. Three eighths of
    /// it beside for the agent's own, and a quarter for labels that are kept for queries.
    pub series: usize,
    /// Chunks that take more. M/16. Past it those above an equal share are sealed early.
    pub open_chunks: usize,
    /// Sealed chunks that wait for a checkpoint. M/8, 16 MiB at most.
    pub pending: usize,
    /// What is remembered of data points, to find their series. 3M/32.
    pub caches: usize,
    /// Totals of delta histograms. M/16.
    pub totals: usize,
    /// Types, helps and units. M/128.
    pub metadata: usize,
    /// Exemplars. M/128.
    pub exemplars: usize,
}

impl StoreBudget {
    /// The store's part of `total` bytes.
    #[must_use]
    pub const fn of(total: usize) -> Self {
        let pending = total / 8;
        Self {
            series: total / 16 * 3,
            open_chunks: total / 16,
            pending: if pending < 16 << 20 { pending } else { 16 << 20 },
            caches: total / 32 * 3,
            totals: total / 16,
            metadata: total / 128,
            exemplars: total / 128,
        }
    }
}

impl Default for StoreBudget {
    /// That of 128 MiB.
    fn default() -> Self {
        Self::of(128 << 20)
    }
}

/// The most that a query holds, however much memory there is: its answer is written as a text of several times its length.
const QUERY_MAX: usize = 16_000_000;

/// The most that a rule holds.
const RULE_MAX: usize = 64_000_000;

/// What a rule that comes with the agent holds for each series of span metrics, in samples: 15 buckets by route, and as many
/// by operation.
const SAMPLES_PER_SPAN_SERIES: usize = 800;

/// The fewest and the most series of span metrics.
const SPAN_SERIES: (usize, usize) = (100, 5_000);

/// What the program takes under load beside the parts: code, stacks, and what the allocator keeps.
pub const PROGRAM_BYTES: usize = 24 << 20;

/// The least that `limits.memory` may be. The program without anything to do has 20 to 23 MiB resident: under less than this
/// it is always near its ceiling, and ordinary requests are refused without end.
pub const TOTAL_MIN: usize = 32 << 20;

impl Budget {
    /// How many samples a query of the API holds.
    #[must_use]
    pub const fn query_samples(&self) -> usize {
        self.query / sidelight_promql::SAMPLE_BYTES
    }

    /// How many samples a rule holds.
    #[must_use]
    pub const fn rule_samples(&self) -> usize {
        self.rule / sidelight_promql::SAMPLE_BYTES
    }

    /// How many series are made of spans, unless configured: no more than rules can look at. What is above goes to one
    /// overflow series, where a rule would fail for all.
    #[must_use]
    pub fn span_series(&self) -> usize {
        let (least, most) = SPAN_SERIES;
        (self.rule_samples() / SAMPLES_PER_SPAN_SERIES).clamp(least, most)
    }

    /// Splits `total` bytes.
    #[must_use]
    pub fn split(total: usize) -> Self {
        // 3/16 are the program's. Where that is too little, the parts share what is left, but never less than a quarter.
        let left = total.saturating_sub(PROGRAM_BYTES) / 13 * 16;
        let shared = if total / 16 * 3 < PROGRAM_BYTES { left.max(total / 4) } else { total };
        Self {
            total,
            transport: shared / 8,
            in_flight: shared / 8 * 3,
            message: (64 << 20).min(shared / 4).next_multiple_of(1 << 10),
            tail: shared / 8,
            export: shared / 16 * 3,
            memory_journal: shared / 4,
            query: (shared / 8).min(QUERY_MAX),
            rule: (shared / 8).min(RULE_MAX),
            store: StoreBudget::of(shared),
        }
    }
}

/// The in-flight budget: bytes of requests that are not yet durable.
///
/// Shared by every connection of every receiver. The limit can be lowered while the process is
/// above its ceiling and raised again after.
#[derive(Clone, Debug)]
pub struct InFlight {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    used: AtomicUsize,
    limit: AtomicUsize,
    /// What small reservations hold, and what they may hold whatever the limit is.
    small: AtomicUsize,
    small_max: usize,
    /// What one reservation can hold while there is no other.
    one_max: usize,
    /// Something was reserved since [`InFlight::grown`] returned.
    grown: AtomicBool,
    growing: Notify,
}

impl InFlight {
    /// A budget of `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let (used, small, grown, growing) = (0.into(), 0.into(), false.into(), Notify::new());
        let one_max = (limit - limit / 8).max(SMALL.min(limit));
        let (small_max, limit) = (limit / LEAST, limit.into());
        Self { state: Arc::new(State { used, limit, small, small_max, one_max, grown, growing }) }
    }

    /// An empty reservation, to be grown as bytes arrive.
    #[must_use]
    pub fn reserve_none(&self) -> Reservation {
        Reservation { state: Arc::clone(&self.state), bytes: 0, small: true }
    }

    /// Bytes reserved now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.state.used.load(Ordering::Relaxed)
    }

    /// Bytes that may be reserved.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.state.limit.load(Ordering::Relaxed)
    }

    /// Waits until something was reserved since it last returned. For one caller.
    async fn grown(&self) {
        while !self.state.grown.swap(false, Ordering::Relaxed) {
            self.state.growing.notified().await;
        }
    }

    /// Changes the limit; reservations already made stay.
    pub fn set_limit(&self, limit: usize) {
        self.state.limit.store(limit, Ordering::Relaxed);
    }
}

/// Bytes of a reservation up to which it may take the last of the budget.
const SMALL: usize = 64 << 10;
/// Of the whole budget the part that is always there: for small ones, and for all where memory is short.
const LEAST: usize = 16;

/// Bytes taken from an [`InFlight`] budget; given back when dropped.
#[derive(Debug)]
pub struct Reservation {
    state: Arc<State>,
    bytes: usize,
    /// Whether it has never been larger than [`SMALL`].
    small: bool,
}

/// The in-flight budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the in-flight budget is used up")]
pub struct OverBudget;

impl Reservation {
    /// Adds `more` bytes. The last eighth of the budget is for reservations of up to [`SMALL`], and these have a sixteenth of
    /// the whole budget also where it was lowered below what others hold: large bodies that are slow to arrive leave ordinary
    /// requests their room.
    ///
    /// # Errors
    /// [`OverBudget`] when they do not fit; what was reserved before stays reserved. Refuse the
    /// request and let the sender retry, unless it comes to more than [`Self::bytes_max`].
    pub fn grow(&mut self, more: usize) -> Result<(), OverBudget> {
        let limit = self.state.limit.load(Ordering::Relaxed);
        let small = self.small && self.bytes.saturating_add(more) <= SMALL;
        let limit = if small { limit } else { limit - limit / 8 };
        let state = &self.state;
        let kept = small && state.small.load(Ordering::Relaxed) + more <= state.small_max;
        state
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(more).filter(|&sum| kept || sum <= limit)
            })
            .map_err(|_| OverBudget)?;
        if small {
            state.small.fetch_add(more, Ordering::Relaxed);
        } else if self.small {
            state.small.fetch_sub(self.bytes, Ordering::Relaxed);
        }
        self.small = small;
        self.bytes += more;
        let grown = &self.state.grown;
        if !grown.load(Ordering::Relaxed) && !grown.swap(true, Ordering::Relaxed) {
            self.state.growing.notify_one();
        }
        Ok(())
    }

    /// Gives `less` bytes back early, for example when a wire buffer is dropped after inflating.
    pub fn shrink(&mut self, less: usize) {
        let less = less.min(self.bytes);
        self.bytes -= less;
        self.state.used.fetch_sub(less, Ordering::Relaxed);
        if self.small {
            self.state.small.fetch_sub(less, Ordering::Relaxed);
        }
    }

    /// Bytes held.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What it can hold of the whole budget at best: what is above never fits, however long its sender waits.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        self.state.one_max
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

/// The in-flight budget while the process holds `rss` bytes: whole below three quarters of the
/// ceiling, then falling in a straight line to a sixteenth at fifteen sixteenths of it and above. What arrives
/// between two samples, and what the allocator keeps, needs the last quarter.
///
/// Never zero: an allocator may keep what was freed, and an agent that takes nothing can never show
/// that it has room again.
#[must_use]
pub fn limit_for(rss: u64, budget: &Budget) -> usize {
    let rss = usize::try_from(rss).unwrap_or(usize::MAX);
    let soft = budget.total / 4 * 3;
    let least = budget.in_flight / LEAST;
    let over = rss.saturating_sub(soft);
    let span = (budget.total / 16 * 3).max(1);
    let cut = (budget.in_flight - least).saturating_mul(over.min(span)) / span;
    budget.in_flight - cut
}

/// How often the resident memory is sampled while requests come. As fast as senders can, it grows by about 0.3 MiB a
/// millisecond: what comes between two samples must fit above the line at which the budget begins to fall. A sample takes
/// some microseconds.
pub const SAMPLE_INTERVAL: std::time::Duration = std::time::Duration::from_millis(20);

/// How often it is sampled otherwise: rules and queries take memory too, and /readyz tells of it.
pub const IDLE_SAMPLE_INTERVAL: std::time::Duration = std::time::Duration::from_secs(5);

/// The least time between two warnings of one ceiling.
const WARN_INTERVAL: std::time::Duration = std::time::Duration::from_secs(60);

/// Keeps `in_flight` at what [`limit_for`] allows, for as long as it is polled: samples `rss` every
/// [`SAMPLE_INTERVAL`] while bytes are reserved or the limit is lowered, and every [`IDLE_SAMPLE_INTERVAL`] otherwise. A
/// sample that cannot be read leaves the limit.
pub async fn hold_ceiling(budget: Budget, in_flight: InFlight, rss: impl Fn() -> Option<u64>) {
    let mut warned = None;
    loop {
        let now = tokio::time::Instant::now();
        if let Some(limit) = rss().map(|rss| limit_for(rss, &budget)) {
            // Resident memory hovers around the line for as long as the load does.
            let silent = warned.is_some_and(|at| now - at < WARN_INTERVAL);
            if limit < budget.in_flight && !silent {
                warned = Some(now);
                tracing::warn!(
                    limit,
                    "near the memory ceiling: taking in less until there is room"
                );
            }
            in_flight.set_limit(limit);
        }
        tokio::time::sleep(SAMPLE_INTERVAL).await;
        if in_flight.limit() >= budget.in_flight {
            let _ = tokio::time::timeout(IDLE_SAMPLE_INTERVAL, in_flight.grown()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_reservations_leave_the_last_eighth_to_small_ones() {
        let budget = InFlight::new(8 << 20);
        let mut large = budget.reserve_none();
        large.grow(7 << 20).unwrap();
        assert_eq!(large.grow(1), Err(OverBudget));
        assert_eq!(budget.reserve_none().grow(SMALL + 1), Err(OverBudget));
        let small: Vec<_> = (0..16)
            .map(|_| {
                let mut one = budget.reserve_none();
                one.grow(SMALL).map(|()| one)
            })
            .collect();
        assert!(small.iter().all(Result::is_ok));
        assert_eq!(budget.used(), 8 << 20);
    }

    #[test]
    fn small_reservations_have_a_part_also_where_the_limit_is_lowered_below_what_large_ones_hold() {
        let budget = InFlight::new(16 << 20);
        let mut large = budget.reserve_none();
        // Small at first, as every body.
        large.grow(SMALL).unwrap();
        large.grow(12 << 20).unwrap();
        budget.set_limit(4 << 20);
        assert_eq!(budget.reserve_none().grow(SMALL + 1), Err(OverBudget));
        let mut small: Vec<_> = (0..16)
            .map(|_| {
                let mut one = budget.reserve_none();
                one.grow(SMALL).map(|()| one)
            })
            .collect();
        assert!(small.iter().all(Result::is_ok));
        assert_eq!(budget.reserve_none().grow(1), Err(OverBudget), "that is a sixteenth");
        small.truncate(15);
        assert_eq!(budget.reserve_none().grow(SMALL), Ok(()));
        drop((large, small));
        assert_eq!(budget.used(), 0);
        budget.reserve_none().grow(SMALL).unwrap();
    }

    #[test]
    fn a_reservation_is_refused_at_the_limit_and_given_back_on_drop() {
        let budget = InFlight::new(100);
        let mut a = budget.reserve_none();
        a.grow(60).unwrap();
        let mut b = budget.reserve_none();
        assert_eq!(b.grow(41), Err(OverBudget));
        b.grow(40).unwrap();
        a.shrink(10);
        assert_eq!(budget.used(), 90);
        drop((a, b));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_lowered_limit_refuses_new_bytes_only() {
        let budget = InFlight::new(100);
        let mut a = budget.reserve_none();
        a.grow(80).unwrap();
        budget.set_limit(50);
        assert_eq!(a.grow(1), Err(OverBudget));
        assert_eq!(a.bytes(), 80);
    }

    #[test]
    fn the_parts_of_a_budget_stay_below_the_whole() {
        let b = Budget::split(128 << 20);
        assert!(b.transport + b.in_flight + b.tail + b.export < b.total);
        assert_eq!(b.message, 32 << 20);
    }

    #[test]
    fn there_are_no_more_series_of_spans_than_a_rule_can_look_at() {
        let series = [32, 64, 96, 128, 1024].map(|mib| Budget::split(mib << 20).span_series());
        assert_eq!(series, [100, 504, 907, 1_310, 5_000]);
        for mebibytes in 32..2_048 {
            let b = Budget::split(mebibytes << 20);
            // 23 and 27 samples for each of the 15 buckets of both metrics.
            assert!(b.span_series() * 15 * (23 + 27) <= b.rule_samples(), "{mebibytes}");
        }
    }

    #[test]
    fn the_program_keeps_its_room_under_a_small_ceiling() {
        for mebibytes in [40, 48, 64, 96, 127, 128, 256] {
            let b = Budget::split(mebibytes << 20);
            let parts = b.transport + b.in_flight + b.tail + b.export;
            assert!(parts + PROGRAM_BYTES <= b.total + 64, "{mebibytes}: {parts}");
            assert!(b.message <= b.in_flight - b.in_flight / 8, "{mebibytes}");
        }
        assert!(Budget::split(16 << 20).in_flight > 1 << 20);
    }

    #[test]
    fn under_the_least_ceiling_an_idle_agent_leaves_ordinary_requests_their_room() {
        let budget = Budget::split(TOTAL_MIN);
        assert_eq!(limit_for(23 << 20, &budget), budget.in_flight);
        assert!(budget.in_flight > 2 << 20, "{budget:?}");
        // What the least is for.
        let less = Budget::split(24 << 20);
        assert!(limit_for(23 << 20, &less) < less.in_flight / 2);
    }

    #[test]
    fn the_in_flight_budget_shrinks_above_three_quarters_of_the_ceiling_and_never_to_zero() {
        let budget = Budget::split(160 << 20);
        let limit_at = |percent: u64| limit_for((160 << 20) * percent / 100, &budget);
        assert_eq!(limit_at(0), budget.in_flight);
        assert_eq!(limit_at(75), budget.in_flight);
        assert!(limit_at(84) < budget.in_flight && limit_at(84) > budget.in_flight / 2);
        assert_eq!(limit_at(94), budget.in_flight / 16);
        assert_eq!(limit_at(100), budget.in_flight / 16);
        assert_eq!(limit_for(u64::MAX, &budget), budget.in_flight / 16);
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_follows_the_resident_memory_down_and_up_again() {
        let budget = Budget::split(160 << 20);
        let in_flight = InFlight::new(budget.in_flight);
        let rss = Arc::new(std::sync::atomic::AtomicU64::new(160 << 20));
        let sample = Arc::clone(&rss);
        let task =
            hold_ceiling(budget, in_flight.clone(), move || Some(sample.load(Ordering::Relaxed)));
        let watch = async {
            tokio::time::sleep(SAMPLE_INTERVAL / 2).await;
            assert_eq!(in_flight.limit(), budget.in_flight / 16);
            rss.store(1 << 20, Ordering::Relaxed);
            tokio::time::sleep(SAMPLE_INTERVAL).await;
            assert_eq!(in_flight.limit(), budget.in_flight);
        };
        tokio::select! { () = task => {}, () = watch => {} }
    }

    #[tokio::test(start_paused = true)]
    async fn the_resident_memory_is_sampled_seldom_while_nothing_is_reserved() {
        let budget = Budget::split(160 << 20);
        let in_flight = InFlight::new(budget.in_flight);
        let samples = std::cell::Cell::new(0);
        let count = || {
            samples.set(samples.get() + 1);
            Some(1)
        };
        let task = hold_ceiling(budget, in_flight.clone(), count);
        let watch = async {
            tokio::time::sleep(IDLE_SAMPLE_INTERVAL).await;
            assert_eq!(samples.get(), 1);
            let mut reservation = in_flight.reserve_none();
            for expected in 2..10 {
                reservation.grow(1).unwrap();
                tokio::time::sleep(SAMPLE_INTERVAL).await;
                assert_eq!(samples.get(), expected);
            }
            tokio::time::sleep(IDLE_SAMPLE_INTERVAL + SAMPLE_INTERVAL).await;
            assert_eq!(samples.get(), 10);
        };
        tokio::select! { () = task => {}, () = watch => {} }
    }
}
