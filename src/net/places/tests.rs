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

fn answered(place: &Place) {
    drop(place.pace().begin());
}

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn a_free_place_is_taken_and_one_that_is_left_is_free_again() {
    let (places, _) = places(2);
    let (first, second) = (take(&places), take(&places));
    assert_eq!((first.1, second.1), (None, None));
    assert!(places.take().is_none(), "nobody is overdue yet");
    drop(first);
    assert_eq!(take(&places).1, None);
}

#[test]
fn who_is_overdue_for_longest_is_evicted() {
    let (places, clock) = places(3);
    let [(idle, _), (silent, _), (slow, _)] = [take(&places), take(&places), take(&places)];
    answered(&idle);
    let request = slow.pace().begin();
    let body = Arriving::new(Endless, Arc::clone(slow.pace()));
    clock.advance(ms(1_500));
    // Half a second each, from now on.
    slow.pace().moved(512);
    clock.advance(ms(2));
    let (a, evicted) = take(&places);
    assert_eq!((evicted, silent.pace().leave()), (Some(Doing::Silent), Some(Leave::Soon)));
    a.pace().moved(1 << 10);
    drop(silent);
    let (b, evicted) = take(&places);
    assert_eq!((evicted, idle.pace().leave()), (Some(Doing::Idle), Some(Leave::Soon)));
    b.pace().moved(1 << 10);
    drop(idle);
    assert!(places.take().is_none(), "the body is paid for half a second");
    clock.advance(ms(500));
    assert_eq!(take(&places).1, Some(Doing::Slow));
    drop((body, request));
}

#[test]
fn a_body_at_the_least_rate_keeps_its_place_and_one_below_does_not() {
    for (bytes, kept) in [(1, false), (900, false), (1 << 10, true), (100 << 10, true)] {
        let (places, clock) = places(1);
        let (place, _) = take(&places);
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
    place.pace().moved(64 << 20);
    clock.advance(ms(5_000));
    assert!(places.take().is_none());
    clock.advance(ms(1));
    assert!(places.take().is_some());
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
    drop(request);
    clock.advance(ms(999));
    assert!(places.take().is_none(), "an answer pays for a second");
    clock.advance(ms(2));
    assert_eq!(take(&places).1, Some(Doing::Idle));
}

#[test]
fn one_slow_body_beside_others_that_move_is_not_the_connections_end() {
    let (places, clock) = places(1);
    let (place, _) = take(&places);
    let _slow = (place.pace().begin(), Arriving::new(Endless, Arc::clone(place.pace())));
    for _ in 0..100 {
        answered(&place);
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
    clock.advance(ms(1));
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
    clock.advance(ms(1));
    held.extend((0..4).map(|_| take(&places).0));
    let leave: Vec<_> = held.iter().filter_map(|place| place.pace().leave()).collect();
    assert_eq!(leave, [Leave::Soon, Leave::Soon, Leave::Now, Leave::Now], "the oldest four");
    assert!(places.take().is_none(), "twelve are overdue, but nobody has left");
    drop(held.remove(0));
    assert!(places.take().is_some());
}
