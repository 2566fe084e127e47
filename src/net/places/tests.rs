//! Who is evicted for whom. The clock moves only where a test says so.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Empty};

use super::super::arriving::Arriving;
use super::*;
use crate::time::ManualClock;

fn places(count: usize) -> (Places, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    (Places::new(count, clock.clone()), clock)
}

/// A body that never ends.
struct Endless;

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

fn take(places: &Places) -> (Place, Option<Doing>) {
    let Admitted { place, evicted } = places.take().unwrap();
    (place, evicted)
}

fn accepted(place: &Place) {
    place.pace().begin().accepted();
}

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn a_free_place_is_taken_and_one_that_is_left_is_free_again() {
    let (places, _) = places(2);
    let (first, second) = (take(&places), take(&places));
    assert_eq!((first.1, second.1), (None, None));
    accepted(&first.0);
    accepted(&second.0);
    assert!(places.take().is_none(), "nobody is overdue yet");
    drop(first);
    assert_eq!(take(&places).1, None);
}

#[test]
fn who_is_overdue_for_longest_is_evicted() {
    let (places, clock) = places(3);
    let [(idle, _), (silent, _), (slow, _)] = [take(&places), take(&places), take(&places)];
    accepted(&idle);
    accepted(&slow);
    let request = slow.pace().begin();
    let body = Arriving::new(Endless, Arc::clone(slow.pace()));
    clock.advance(ms(2_500));
    // Half a second was owed, and is paid: the other two are overdue.
    slow.pace().moved(1 << 10);
    let (a, evicted) = take(&places);
    assert_eq!((evicted, silent.pace().leave()), (Some(Doing::Silent), Some(Leave::Soon)));
    drop(silent);
    let (b, evicted) = take(&places);
    assert_eq!((evicted, idle.pace().leave()), (Some(Doing::Idle), Some(Leave::Soon)));
    drop(idle);
    accepted(&a);
    accepted(&b);
    clock.advance(ms(499));
    assert!(places.take().is_none(), "the body is paid for half a second more");
    clock.advance(ms(2));
    assert_eq!(take(&places).1, Some(Doing::Slow));
    drop((body, request));
}

#[test]
fn a_body_at_the_least_rate_keeps_its_place_and_one_below_does_not() {
    for (bytes, kept) in [(1, false), (900, false), (1 << 10, true), (100 << 10, true)] {
        let (places, clock) = places(1);
        let (place, _) = take(&places);
        accepted(&place);
        let _request = place.pace().begin();
        let _body = Arriving::new(Endless, Arc::clone(place.pace()));
        place.pace().moved(bytes);
        for _ in 0..20 {
            clock.advance(ms(1_000));
            place.pace().moved(bytes);
        }
        clock.advance(ms(900));
        assert_eq!(places.take().is_none(), kept, "{bytes} bytes a second");
    }
}

#[test]
fn what_came_fast_earns_five_seconds_of_silence_and_no_more() {
    let (places, clock) = places(1);
    let (place, _) = take(&places);
    accepted(&place);
    place.pace().moved(64 << 20);
    clock.advance(ms(5_000));
    assert!(places.take().is_none());
    clock.advance(ms(1));
    assert!(places.take().is_some());
}

#[test]
fn a_crowd_of_newcomers_makes_room_for_one_another_and_nobody_else_does() {
    fastrand::seed(1);
    let (places, clock) = places(16);
    let proven = take(&places).0;
    accepted(&proven);
    let large = take(&places).0;
    let _request = large.pace().begin();
    let _body = Arriving::new(Endless, Arc::clone(large.pace()));
    // The youngest last.
    let mut crowd: Vec<_> = (0..14).map(|_| take(&places).0).collect();
    let (mut turned_away, mut ages) = (0, Vec::new());
    for turn in 0..1_500 {
        if turn % 100 == 0 {
            clock.advance(ms(100));
            large.pace().moved(100 << 10);
            accepted(&proven);
        }
        let Some(Admitted { place, evicted }) = places.take() else {
            turned_away += 1;
            continue;
        };
        assert_eq!(evicted, Some(Doing::Beginning));
        let left = crowd.iter().rposition(|place| place.pace().leave().is_some()).unwrap();
        ages.push(crowd.len() - left);
        crowd.remove(left);
        place.pace().moved(200);
        crowd.push(place);
    }
    assert_eq!([proven.pace().leave(), large.pace().leave()], [None; 2]);
    // One of 15 at random: the newcomer is a hundred times the one, and each of the others as often.
    assert!((70..130).contains(&turned_away), "{turned_away} were turned away");
    for age in 1..=14 {
        let count = ages.iter().filter(|&&at| at == age).count();
        assert!((70..130).contains(&count), "{count} left with {age} in line");
    }
}

#[test]
fn who_is_overdue_goes_before_who_is_new() {
    let (places, clock) = places(2);
    let idle = take(&places).0;
    accepted(&idle);
    clock.advance(ms(2_001));
    let new = take(&places).0;
    assert_eq!(take(&places).1, Some(Doing::Idle));
    assert_eq!((idle.pace().leave(), new.pace().leave()), (Some(Leave::Soon), None));
}

#[test]
fn four_seconds_in_advance_keep_who_is_new_as_if_something_was_accepted() {
    for (bytes, kept) in [(3 << 10, true), ((3 << 10) - 2, false)] {
        let (places, _) = places(1);
        let place = take(&places).0;
        place.pace().moved(bytes);
        // Each newcomer is as likely as the other to go.
        let mut newcomers = (0..64).map(|_| places.take());
        assert_eq!(newcomers.all(|newcomer| newcomer.is_none()), kept, "{bytes} bytes");
    }
}

#[tokio::test]
async fn a_whole_request_is_never_evicted_before_its_answer() {
    let (places, clock) = places(1);
    let (place, _) = take(&places);
    let request = place.pace().begin();
    let mut body = Arriving::new(Empty::<Bytes>::new(), Arc::clone(place.pace()));
    assert!(body.frame().await.is_none());
    clock.advance(ms(3_600_000));
    assert!(places.take().is_none());
    // Neither while its body is gone already.
    drop(body);
    assert!(places.take().is_none());
    request.accepted();
    drop(request);
    clock.advance(ms(999));
    assert!(places.take().is_none(), "an accepted request pays for a second, whatever was owed");
    clock.advance(ms(2));
    assert_eq!(take(&places).1, Some(Doing::Idle));
}

#[test]
fn one_slow_body_beside_others_that_move_is_not_the_connections_end() {
    let (places, clock) = places(1);
    let (place, _) = take(&places);
    let _slow = (place.pace().begin(), Arriving::new(Endless, Arc::clone(place.pace())));
    for _ in 0..100 {
        accepted(&place);
        clock.advance(ms(900));
        assert!(places.take().is_none());
    }
}

#[tokio::test]
async fn a_body_that_stands_still_ends_when_its_connection_is_evicted() {
    let (places, clock) = places(1);
    let (place, _) = take(&places);
    let _request = place.pace().begin();
    let mut body = Arriving::new(Endless, Arc::clone(place.pace()));
    let reading = tokio::spawn(async move { body.frame().await });
    tokio::task::yield_now().await;
    clock.advance(ms(1_001));
    let newcomer = take(&places);
    assert_eq!(newcomer.1, Some(Doing::Slow));
    let error = reading.await.unwrap().unwrap().unwrap_err();
    assert!(Evicted::is_behind(&error), "{error}");
    assert_eq!(place.pace().evicted().await, Leave::Soon, "told also who asks later");
    let mut late = Arriving::new(Endless, Arc::clone(place.pace()));
    assert!(late.frame().await.unwrap().is_err());
}

#[test]
fn a_quarter_more_is_open_at_most_whoever_does_not_leave() {
    let (places, clock) = places(16);
    let mut held: Vec<_> = (0..16).map(|_| take(&places).0).collect();
    clock.advance(ms(1_001));
    held.extend((0..4).map(|_| take(&places).0));
    let leave: Vec<_> = held.iter().filter_map(|place| place.pace().leave()).collect();
    assert_eq!(leave, [Leave::Soon, Leave::Soon, Leave::Now, Leave::Now], "the oldest four");
    assert!(places.take().is_none(), "twelve are overdue, but nobody has left");
    drop(held.remove(0));
    assert!(places.take().is_some());
}

#[test]
fn requests_that_are_refused_or_cancelled_pay_no_more_than_their_bytes() {
    let (places, clock) = places(2);
    let held = [take(&places).0, take(&places).0];
    held.iter().for_each(accepted);
    for _ in 0..3 {
        clock.advance(ms(900));
        for place in &held {
            place.pace().moved(27);
            drop(place.pace().begin());
        }
    }
    let newcomers = [take(&places), take(&places)];
    assert_eq!([newcomers[0].1, newcomers[1].1], [Some(Doing::Idle); 2]);
}

#[test]
fn who_sends_a_byte_now_and_then_goes_before_who_sends_a_batch_and_then_nothing() {
    let (places, clock) = places(2);
    let [(batches, _), (trickle, _)] = [take(&places), take(&places)];
    for tenth in 0..600 {
        if tenth % 100 == 0 {
            batches.pace().moved(10 << 10);
            accepted(&batches);
        }
        trickle.pace().moved(1);
        clock.advance(ms(100));
    }
    let newcomer = take(&places);
    assert!(newcomer.1.is_some() && trickle.pace().leave().is_some());
    assert_eq!(batches.pace().leave(), None);
}

#[test]
fn a_minute_is_owed_at_most_and_nothing_after_a_request_that_was_accepted() {
    let (places, clock) = places(1);
    let (place, _) = take(&places);
    accepted(&place);
    clock.advance(ms(3_600_000));
    // All that is owed, and two seconds more.
    place.pace().moved(62 << 10);
    clock.advance(ms(2_000));
    assert!(places.take().is_none());
    clock.advance(ms(3_600_000));
    place.pace().moved(0);
    accepted(&place);
    clock.advance(ms(1_000));
    assert!(places.take().is_none());
    clock.advance(ms(1));
    assert!(places.take().is_some());
}

#[tokio::test(start_paused = true)]
async fn who_leaves_is_cut_once_its_whole_requests_are_answered_and_after_ten_seconds_at_most() {
    let (places, clock) = places(1);
    let (place, _) = take(&places);
    let pace = Arc::clone(place.pace());
    clock.advance(ms(1_001));
    let newcomer = take(&places);
    assert!(!pace.owes_answer());
    let cut_after = async |pace: &Pace| {
        let begun = tokio::time::Instant::now();
        pace.cut().await;
        begun.elapsed().as_millis()
    };
    assert_eq!(cut_after(&pace).await, 100);
    let body = (pace.begin(), Arriving::new(Endless, Arc::clone(&pace)));
    assert_eq!(cut_after(&pace).await, 100, "a body on its way is not waited for");
    drop(body);
    let request = pace.begin();
    let answer = async {
        tokio::time::sleep(ms(250)).await;
        request.accepted();
        drop(request);
    };
    assert_eq!(tokio::join!(cut_after(&pace), answer).0, 400, "and as long again to send it");
    let _hangs = pace.begin();
    assert_eq!(cut_after(&pace).await, 10_000);
    drop(newcomer);
}
