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
    // Half a second was owed, and is paid.
    slow.pace().moved(1 << 10);
    accepted(&idle);
    let (a, evicted) = take(&places);
    assert_eq!((evicted, silent.pace().leave()), (Some(Doing::Silent), Some(Leave::Soon)));
    accepted(&a);
    a.pace().moved(4 << 10);
    drop(silent);
    clock.advance(ms(499));
    assert!(places.take().is_none(), "the body is paid for half a second, the request for one");
    clock.advance(ms(2));
    let (b, evicted) = take(&places);
    assert_eq!((evicted, slow.pace().leave()), (Some(Doing::Slow), Some(Leave::Soon)));
    accepted(&b);
    b.pace().moved(4 << 10);
    drop((body, request, slow));
    clock.advance(ms(500));
    assert_eq!(take(&places).1, Some(Doing::Idle));
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
fn a_crowd_of_newcomers_makes_room_for_one_more_in_the_order_in_which_it_came() {
    let (places, clock) = places(16);
    let proven = take(&places).0;
    accepted(&proven);
    let upload = take(&places).0;
    let mut crowd: Vec<_> = (0..14).map(|_| take(&places).0).collect();
    for turn in 0..100 {
        if turn % 10 == 0 {
            clock.advance(ms(100));
            upload.pace().moved(100 << 10);
            accepted(&proven);
        }
        let (newcomer, evicted) = take(&places);
        newcomer.pace().moved(200);
        assert_eq!(evicted, Some(Doing::Silent));
        assert_eq!(crowd.remove(0).pace().leave(), Some(Leave::Soon), "{turn}");
        crowd.push(newcomer);
    }
    assert_eq!([proven.pace().leave(), upload.pace().leave()], [None; 2]);
    for place in &crowd {
        accepted(place);
    }
    assert!(places.take().is_none(), "a large body from who is new is not given up either");
    clock.advance(ms(1_001));
    for place in crowd.iter().chain([&proven]) {
        accepted(place);
    }
    assert!(places.take().is_some() && upload.pace().leave().is_some(), "until it stops");
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
    for _ in 0..2 {
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
