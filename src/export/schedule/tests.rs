use bytes::Bytes;

use super::*;
use crate::export::batch::{Headers, History, Piece};
use crate::net::retry::Policy;

const DOWN: Failure = Failure { held: false, asked: None, random: 0.5 };
const HELD: Failure = Failure { held: true, asked: None, random: 0.5 };
const S: fn(u64) -> Duration = Duration::from_secs;

fn batch(seqs: &[u64]) -> Batch {
    let payload = Bytes::from_static(b"x");
    let pieces: Vec<_> =
        seqs.iter().map(|&seq| Piece { seq, items: 1, payload: payload.clone() }).collect();
    Batch {
        headers: Headers::new(),
        bytes: pieces.len(),
        pieces,
        alone: false,
        internal: false,
        history: History::default(),
        body: None,
    }
}

fn schedule(ordered: bool) -> Schedule {
    let policy = Policy { multiplier: 2.0, ..Policy::default() };
    let policy = Retry { policy, ..Retry::default() };
    let mut schedule = Schedule::new(policy, ordered, 4);
    schedule.offer((1..=9).map(|seq| batch(&[seq])));
    schedule
}

fn taken(schedule: &mut Schedule, now: Instant) -> Vec<Batch> {
    std::iter::from_fn(|| schedule.take(now)).collect()
}

fn seqs(batches: &[Batch]) -> Vec<u64> {
    batches.iter().map(Batch::first_seq).collect()
}

#[test]
fn slots_are_filled_and_an_ordered_lane_has_one() {
    let now = Instant::now();
    assert_eq!(seqs(&taken(&mut schedule(false), now)), [1, 2, 3, 4]);
    let mut ordered = schedule(true);
    assert_eq!(seqs(&taken(&mut ordered, now)), [1]);
    ordered.delivered(now);
    assert_eq!(seqs(&taken(&mut ordered, now)), [2]);
}

#[test]
fn a_destination_that_is_down_gets_one_probe_at_a_growing_distance() {
    let mut lane = schedule(false);
    let mut now = Instant::now();
    for batch in taken(&mut lane, now) {
        assert!(matches!(lane.failed(now, batch, DOWN), Verdict::Waits));
    }
    assert_eq!(lane.outage().unwrap().failures, 1, "four at once are one failure");
    let mut distances = Vec::new();
    for _ in 0..7 {
        let until = lane.wake().unwrap();
        distances.push(until - now);
        assert!(lane.take(until - Duration::from_millis(1)).is_none());
        now = until;
        let probes = taken(&mut lane, now);
        assert_eq!(probes.len(), 1);
        assert!(lane.wake().is_none(), "no second probe while one is out");
        for probe in probes {
            let _ = lane.failed(now, probe, DOWN);
        }
    }
    assert_eq!(distances, [1, 2, 4, 8, 16, 30, 30].map(S));
    now = lane.wake().unwrap();
    let probe = taken(&mut lane, now);
    lane.delivered(now);
    drop(probe);
    assert_eq!(taken(&mut lane, now).len(), 4, "all slots again, at once");
    assert!(lane.outage().is_none());
}

#[test]
fn a_probe_that_fails_at_the_instant_of_a_late_failure_is_not_repeated_at_once() {
    let mut lane = schedule(false);
    let start = Instant::now();
    let mut under_way = taken(&mut lane, start);
    let _ = lane.failed(start, under_way.remove(0), DOWN);
    // Seen after the time of the first probe, which could not go out before.
    let late = start + S(10);
    for batch in under_way {
        let _ = lane.failed(late, batch, DOWN);
        assert!(lane.take(late).is_none());
    }
    let due = lane.wake().unwrap();
    assert!(due > late);
    let probe = lane.take(due).unwrap();
    let _ = lane.failed(due, probe, DOWN);
    assert!(lane.take(due).is_none() && lane.wake().unwrap() > due);
}

#[test]
fn an_ordered_lane_sends_the_failed_batch_again_before_any_other() {
    let mut lane = schedule(true);
    let mut now = Instant::now();
    for _ in 0..5 {
        let batch = lane.take(now).unwrap();
        assert_eq!(batch.first_seq(), 1);
        let _ = lane.failed(now, batch, DOWN);
        assert!(lane.take(now).is_none());
        now = lane.wake().unwrap();
    }
    let _ = lane.take(now).unwrap();
    lane.delivered(now);
    assert_eq!(lane.take(now).unwrap().first_seq(), 2);
}

#[test]
fn a_held_lane_looks_again_soon_and_then_probes_every_max_interval() {
    let mut lane = schedule(false);
    let mut now = Instant::now();
    for wait in [1, 30, 30] {
        let batch = lane.take(now).unwrap();
        let _ = lane.failed(now, batch, HELD);
        assert!(lane.outage().unwrap().held);
        assert!(lane.take(now).is_none());
        assert_eq!(lane.wake().unwrap() - now, S(wait));
        now = lane.wake().unwrap();
    }
}

fn of_tenant(tenant: &'static str, seqs: &[u64]) -> Batch {
    let tenant = Bytes::from_static(tenant.as_bytes());
    Batch { headers: vec![("x-tenant".to_owned(), tenant)], ..batch(seqs) }
}

/// A minute in which every second brings a batch of each tenant; `refused` says whose are.
fn a_minute_of(ordered: bool, refused: fn(&Batch) -> bool) -> Vec<(Duration, u64)> {
    let policy = Policy { multiplier: 2.0, ..Policy::default() };
    let policy = Retry { policy, ..Retry::default() };
    let mut lane = Schedule::new(policy, ordered, 4);
    let start = Instant::now();
    let mut journal = (1..=120).map(|seq| match seq % 2 {
        0 => of_tenant("good", &[seq]),
        _ => of_tenant("bad", &[seq]),
    });
    let mut delivered = Vec::new();
    for step in 0..600_u32 {
        let now = start + Duration::from_millis(100) * step;
        if step % 10 == 0 {
            journal.by_ref().take(2).for_each(|batch| {
                if lane.wants_more(now) || batch.headers == of_tenant("good", &[]).headers {
                    lane.offer([batch]);
                }
            });
        }
        while let Some(batch) = lane.take(now) {
            if refused(&batch) {
                let _ = lane.failed(now, batch, HELD);
            } else {
                delivered.push((now - start, batch.first_seq()));
                lane.delivered(now);
            }
        }
    }
    delivered
}

#[test]
fn a_tenant_that_is_refused_does_not_hold_the_others() {
    for ordered in [false, true] {
        let bad = |batch: &Batch| batch.first_seq() % 2 == 1;
        let delivered = a_minute_of(ordered, bad);
        assert_eq!(delivered.len(), 60, "{delivered:?}");
        for (at, seq) in delivered {
            let due = S((seq - 1) / 2);
            assert!(at <= due + S(1), "{seq} at {at:?}");
        }
    }
}

#[test]
fn credentials_that_are_refused_for_everybody_are_tried_once_each() {
    for ordered in [false, true] {
        let mut lane = Schedule::new(Retry::default(), ordered, 4);
        let now = Instant::now();
        for tenant in ["a", "b", "c", "d", "e", "f"] {
            lane.offer([of_tenant(tenant, &[1]), of_tenant(tenant, &[2])]);
        }
        let mut tried = 0;
        while let Some(batch) = lane.take(now) {
            tried += 1;
            let _ = lane.failed(now, batch, HELD);
        }
        assert_eq!(tried, 6);
        assert!(!lane.wants_more(now), "nothing more is read");
    }
}

#[test]
fn in_an_ordered_lane_a_tenants_batches_keep_their_order_and_pass_anothers() {
    let mut lane = Schedule::new(Retry::default(), true, 1);
    lane.offer([
        of_tenant("bad", &[1]),
        of_tenant("bad", &[2]),
        of_tenant("good", &[3]),
        of_tenant("bad", &[4]),
        of_tenant("good", &[5]),
    ]);
    let mut now = Instant::now();
    let (mut order, mut refusals) = (Vec::new(), 0);
    while order.len() < 5 {
        let Some(batch) = lane.take(now) else {
            now += S(1);
            continue;
        };
        if batch.first_seq() == 1 && refusals < 3 {
            refusals += 1;
            let _ = lane.failed(now, batch, HELD);
        } else {
            order.push(batch.first_seq());
            lane.delivered(now);
        }
    }
    assert_eq!(order, [3, 5, 1, 2, 4]);
}

#[test]
fn what_waited_for_the_destination_goes_at_once_when_it_refuses_a_batch_for_good() {
    let mut lane = schedule(false);
    let mut now = Instant::now();
    for batch in taken(&mut lane, now) {
        let _ = lane.failed(now, batch, Failure { asked: Some(S(500)), ..DOWN });
    }
    now = lane.wake().unwrap();
    let probe = taken(&mut lane, now);
    assert_eq!(probe.len(), 1);
    lane.waiting.iter_mut().for_each(|w| w.due = now + S(100));
    lane.ended(now);
    assert_eq!(seqs(&taken(&mut lane, now)), [1, 2, 3, 4]);
}

#[test]
fn a_delay_that_was_asked_for_is_kept_even_by_late_answers() {
    let mut lane = schedule(false);
    let now = Instant::now();
    let mut batches = taken(&mut lane, now);
    let (first, second) = (batches.remove(0), batches.remove(0));
    let _ = lane.failed(now, first, DOWN);
    let _ = lane.failed(now, second, Failure { asked: Some(S(50)), ..DOWN });
    assert_eq!(lane.outage().unwrap().until - now, S(50));
    let third = batches.remove(0);
    let _ = lane.failed(now, third, Failure { asked: Some(S(5)), ..DOWN });
    assert_eq!(lane.outage().unwrap().until - now, S(50), "and not shortened");
}

/// Runs a lane in which the batch of `poison` always fails, until that is given up.
fn run_poisoned(ordered: bool, poison: &[u64]) -> (Vec<u64>, Duration, Verdict) {
    let mut lane = schedule(ordered);
    let held = lane.ready.iter().position(|b| b.first_seq() == poison[0]).unwrap();
    lane.ready[held] = batch(poison);
    let start = Instant::now();
    let (mut now, mut delivered, mut next_seq) = (start, Vec::new(), 100);
    loop {
        while let Some(batch) = lane.take(now) {
            if batch.first_seq() != poison[0] {
                delivered.push(batch.first_seq());
                lane.delivered(now);
                continue;
            }
            match lane.failed(now, batch, DOWN) {
                Verdict::Waits => {}
                verdict => return (delivered, now - start, verdict),
            }
        }
        if lane.wants_more(now) {
            lane.offer([batch(&[next_seq])]);
            next_seq += 1;
        }
        now += S(1);
        assert!(now - start < S(7200), "{delivered:?}");
    }
}

#[test]
fn a_poisoned_batch_is_rejected_while_the_lane_goes_on() {
    for ordered in [false, true] {
        let (delivered, took, verdict) = run_poisoned(ordered, &[3]);
        assert!(matches!(verdict, Verdict::Rejected(_)), "{verdict:?}");
        assert!(took >= LONE_TIME_MIN && took < S(2400), "{took:?}");
        assert!(delivered.len() > 500, "{}", delivered.len());
        let mut sorted = delivered.clone();
        sorted.sort_unstable();
        assert_eq!(delivered, sorted);
    }
}

#[test]
fn a_poisoned_merged_batch_is_divided_first() {
    let (_, _, verdict) = run_poisoned(false, &[3, 30]);
    assert!(matches!(verdict, Verdict::Divided), "{verdict:?}");
}

#[test]
fn an_outage_alone_rejects_nothing() {
    let mut lane = schedule(false);
    let mut now = Instant::now();
    let start = now;
    while now - start < S(7200) {
        for batch in taken(&mut lane, now) {
            assert!(matches!(lane.failed(now, batch, DOWN), Verdict::Waits));
        }
        now = lane.wake().unwrap();
    }
    let probe = taken(&mut lane, now);
    assert_eq!(probe.len(), 1);
    lane.delivered(now);
    for batch in taken(&mut lane, now) {
        assert!(matches!(lane.failed(now, batch, DOWN), Verdict::Waits));
    }
}

/// A lane of 20 records a second, in which requests that hold a record of `poison` fail; how long after it came
/// each good one was delivered at the latest, and when which of the poison was given up.
fn a_lane_with_poison(ordered: bool, poison: &[u64]) -> (Duration, Vec<(Duration, u64)>) {
    const STEP: Duration = Duration::from_millis(50);
    let policy = Policy { max_interval: S(5), ..Policy::default() };
    let mut lane = Schedule::new(Retry { policy, ..Retry::default() }, ordered, 4);
    let (start, mut read, mut worst) = (Instant::now(), 0, Duration::ZERO);
    let (mut delivered, mut rejected) = (0, Vec::new());
    let records = 20 * 60 * 50;
    for came in 1..=records {
        let now = start + STEP * u32::try_from(came).unwrap();
        while let Some(mut batch) = lane.take(now) {
            if !batch.pieces.iter().any(|piece| poison.contains(&piece.seq)) {
                batch.pieces.drain(..).for_each(|piece| {
                    delivered += 1;
                    worst = worst.max(STEP * u32::try_from(came - piece.seq).unwrap());
                });
                lane.delivered(now);
            } else if let Verdict::Rejected(batch) = lane.failed(now, batch, DOWN) {
                rejected.push((now - start, batch.first_seq()));
            }
        }
        if lane.wants_more(now) && read < came {
            let until = if lane.searches() { read + 1 } else { came };
            lane.offer([batch(&(read + 1..=until).collect::<Vec<_>>())]);
            read = until;
        }
    }
    assert!(delivered + rejected.len() as u64 > records - 20, "{delivered} and {rejected:?}");
    (worst, rejected)
}

#[test]
fn a_few_poisoned_requests_do_not_stop_a_lane_whose_destination_is_healthy() {
    for poison in [&[300, 314][..], &[300, 314, 328, 342, 356], &[1, 2], &[1, 2, 3, 4, 5]] {
        let (worst, rejected) = a_lane_with_poison(false, poison);
        // Good records that were merged with one of them wait until their batch is divided.
        assert!(worst < S(20 * 60), "{poison:?}: {worst:?}");
        let mut seqs: Vec<_> = rejected.iter().map(|(_, seq)| *seq).collect();
        seqs.sort_unstable();
        assert_eq!(seqs, poison);
        for (at, seq) in rejected {
            assert!(at >= LONE_TIME_MIN && at < S(45 * 60), "{seq} at {at:?}");
        }
    }
}

#[test]
fn a_few_poisoned_requests_hold_an_ordered_lane_only_until_they_are_rejected() {
    for poison in [&[300, 314][..], &[300, 314, 328, 342, 356]] {
        let (worst, rejected) = a_lane_with_poison(true, poison);
        assert!(worst < S(45 * 60), "{poison:?}: {worst:?}");
        assert_eq!(rejected.len(), poison.len());
    }
}

#[test]
fn an_outage_is_probed_by_one_batch_at_a_time_and_holds_few_records() {
    let mut lane = Schedule::new(Retry::default(), false, 4);
    let mut now = Instant::now();
    lane.offer((1..=4).map(|seq| batch(&[seq])));
    for batch in taken(&mut lane, now) {
        let _ = lane.failed(now, batch, DOWN);
    }
    let (mut read, mut probes) = (4, 0);
    while probes < 500 {
        while lane.wants_more(now) {
            assert!(lane.searches() && probes >= 2, "a full batch is not read: {probes}");
            read += 1;
            lane.offer([batch(&[read])]);
        }
        now = lane.wake().unwrap();
        let batches = taken(&mut lane, now);
        assert_eq!(batches.len(), 1);
        probes += 1;
        for batch in batches {
            assert!(matches!(lane.failed(now, batch, DOWN), Verdict::Waits));
        }
    }
    assert_eq!(lane.waiting(), HELD_MAX);
}

#[test]
fn a_batch_expires_when_a_limit_is_set() {
    let policy = Retry { max_elapsed_time: S(10), ..Retry::default() };
    let mut lane = Schedule::new(policy, false, 1);
    lane.offer([batch(&[1])]);
    let mut now = Instant::now();
    let start = now;
    loop {
        let batch = lane.take(now).unwrap();
        match lane.failed(now, batch, DOWN) {
            Verdict::Waits => now = lane.wake().unwrap(),
            Verdict::Expired(_) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(now - start >= S(10));
    assert!(!lane.holds_any());
}

#[test]
fn what_was_divided_expires_with_its_batch() {
    let policy = Retry { max_elapsed_time: S(10), ..Retry::default() };
    let mut lane = Schedule::new(policy, false, 1);
    lane.offer([batch(&[1, 2])]);
    let start = Instant::now();
    let merged = lane.take(start).unwrap();
    lane.ended(start + S(9));
    lane.offer_first(merged.into_singles());
    for after in [9, 10] {
        let single = lane.take(start + S(9)).unwrap();
        let verdict = lane.failed(start + S(after), single, DOWN);
        assert_eq!(matches!(verdict, Verdict::Expired(_)), after == 10, "{verdict:?}");
        lane.outage = None;
    }
}

#[test]
fn refused_batches_come_back_in_front_as_singles() {
    let mut lane = Schedule::new(Retry::default(), true, 1);
    lane.offer([batch(&[1, 2, 3]), batch(&[4])]);
    let now = Instant::now();
    let merged = lane.take(now).unwrap();
    lane.ended(now);
    lane.offer_first(merged.into_singles());
    let mut order = Vec::new();
    while let Some(batch) = lane.take(now) {
        order.push(batch.first_seq());
        lane.delivered(now);
    }
    assert_eq!(order, [1, 2, 3, 4]);
}

#[test]
fn an_outage_waits_for_as_long_as_was_asked_up_to_a_limit() {
    let (mut lane, now) = (schedule(false), Instant::now());
    let first = taken(&mut lane, now).remove(0);
    lane.failed(now, first, Failure { asked: Some(S(99_999_999)), ..DOWN });
    assert_eq!(lane.outage().unwrap().wait(), ASKED_MAX);
}
