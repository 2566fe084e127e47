//! The request that the running task works on: its id, its route, and which attempt it is.
//!
//! `http::server` sets them; log lines, cache lookups and outgoing requests read them, also from sync
//! code. They live in thread locals that [`InRequest`] sets for the time of each poll and puts back after it, also when the poll
//! panics: so they follow a task from thread to thread, and a task spawned from the handler does not see them unless [`carry`]
//! takes them along.
//!
//! Cost: a read is a copy out of a const-initialised thread local, 16 bytes for the route and 129 for the id; a poll swaps
//! 160 bytes in and out. No allocation.
//! Source: UUID version 7 of RFC 9562 section 5.7.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use pin_project_lite::pin_project;

/// Of the longest request id that is taken from a caller.
const REQUEST_ID_BYTES_MAX: usize = 128;

thread_local! {
    static CURRENT: RefCell<Current> = const { RefCell::new(Current::NOTHING) };
}

/// Reads what the thread works on; nothing of an application runs meanwhile.
fn read<R: Default>(what: impl FnOnce(&Current) -> R) -> R {
    let read = |current: &RefCell<Current>| current.try_borrow().ok().map(|own| what(&own));
    CURRENT.try_with(read).ok().flatten().unwrap_or_default()
}

/// Names a request in logs, spans and headers: 1 to 128 visible ASCII characters.
///
/// # Example
/// ```
/// use sidelight::current::RequestId;
///
/// assert_eq!(RequestId::new("order-17").unwrap().as_str(), "order-17");
/// assert!(RequestId::new("two words").is_none());
/// // Without one from the caller: UUIDs in the order of time.
/// assert_eq!(RequestId::generate().as_str().len(), 36);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId {
    text: [u8; REQUEST_ID_BYTES_MAX],
    length: u8,
}

impl RequestId {
    /// An id from outside. None if it is empty, longer than 128 bytes, or has a character that is not visible ASCII.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        let length = u8::try_from(text.len()).ok().filter(|length| *length > 0)?;
        let mut own = [0; REQUEST_ID_BYTES_MAX];
        own.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        visible.then_some(Self { text: own, length })
    }

    /// A random UUID of version 7, which begins with the time in milliseconds.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "an id says when it was made by the wall clock; nothing is measured"
    )]
    pub fn generate() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::from_parts(u64::try_from(now.as_millis()).unwrap_or(0), fastrand::u128(..))
    }

    fn from_parts(unix_millis: u64, random: u128) -> Self {
        const VERSION: u128 = 7 << 76;
        const VARIANT: u128 = 2 << 62;
        const FIXED: u128 = (0xf << 76) | (3 << 62);
        let random = random & ((1 << 80) - 1) & !FIXED;
        let value = (u128::from(unix_millis) << 80) | random | VERSION | VARIANT;
        let mut id = Self { text: [0; REQUEST_ID_BYTES_MAX], length: 36 };
        let mut places = id.text.iter_mut();
        let mut put = |byte| _ = places.next().map(|place| *place = byte);
        for (at, byte) in value.to_be_bytes().into_iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                put(b'-');
            }
            put(digit(byte >> 4));
            put(digit(byte & 0xf));
        }
        id
    }

    /// The id as it stands in headers and logs.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let text = self.text.get(..usize::from(self.length)).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }
}

fn digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble }
}

impl fmt::Display for RequestId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "RequestId({self})")
    }
}

/// The id of the request that the caller works on. None outside of a request.
///
/// # Example
/// ```
/// assert!(sidelight::current::request_id().is_none());
/// ```
#[must_use]
pub fn request_id() -> Option<RequestId> {
    read(|current| current.request_id)
}

/// The route of the request that the caller works on, as `/orders/{id}`. None outside of a request and where no route matched.
///
/// ```
/// use sidelight::current::{self, Current};
///
/// let _entered = Current { route: Some("/orders/{id}"), ..Current::default() }.enter();
/// assert_eq!(current::route(), Some("/orders/{id}"));
/// assert_eq!(current::resends(), 0);
/// ```
#[must_use]
pub fn route() -> Option<&'static str> {
    read(|current| current.route)
}

/// How often what the caller does was tried before: 0 at first. What retries sets it, and outgoing requests carry it in
/// their span as `http.request.resend_count`.
#[must_use]
pub fn resends() -> u32 {
    read(|current| current.resends)
}

/// What a task works on, to be taken along to another.
///
/// ```
/// use sidelight::current::{self, Current, RequestId};
///
/// let job = Current { request_id: RequestId::new("job-17"), route: Some("/import"), ..Current::default() };
/// {
///     let _entered = job.enter();
///     assert_eq!(current::route(), Some("/import"));
/// }
/// assert_eq!(current::route(), None);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Current {
    /// The request's id.
    pub request_id: Option<RequestId>,
    /// The request's route.
    pub route: Option<&'static str>,
    /// How often it was tried before.
    pub resends: u32,
}

impl Current {
    const NOTHING: Self = Self { request_id: None, route: None, resends: 0 };

    /// What the caller works on.
    #[must_use]
    pub fn get() -> Self {
        read(|current| *current)
    }

    /// What the caller works on, in an attempt after so many failed ones.
    pub(crate) fn of_retry(retries: u32) -> Self {
        let current = Self::get();
        Self { resends: if retries > 0 { retries } else { current.resends }, ..current }
    }

    /// Makes this what the thread works on until the guard is dropped. Asynchronous code uses [`scope`](Self::scope): held over
    /// an `.await` the guard would let whatever else runs on the thread meanwhile work on this. It stays on its thread:
    ///
    /// ```compile_fail
    /// async fn import() {
    ///     let _entered = sidelight::current::Current::default().enter();
    ///     tokio::task::yield_now().await;
    /// }
    /// tokio::spawn(import());
    /// ```
    ///
    /// What works on it over an `.await` is within a scope:
    ///
    /// ```no_run
    /// async fn import() {
    ///     tokio::task::yield_now().await;
    /// }
    /// tokio::spawn(sidelight::current::Current::default().scope(import()));
    /// ```
    #[must_use = "it holds until the guard is dropped"]
    pub fn enter(self) -> Entered {
        let mut before = self;
        before.swap();
        Entered { before, _of_this_thread: PhantomData }
    }

    /// The same without a copy: meanwhile this is what was there before.
    #[inline]
    pub(crate) fn enter_here(&mut self) -> EnteredHere<'_> {
        self.swap();
        EnteredHere { before: self }
    }

    #[inline]
    fn swap(&mut self) {
        _ = CURRENT.try_with(|current| {
            if let Ok(mut own) = current.try_borrow_mut() {
                std::mem::swap(&mut *own, self);
            }
        });
    }

    /// Makes this what `future` works on, wherever it is polled.
    pub fn scope<F>(self, future: F) -> InRequest<F> {
        InRequest { future: Some(future), current: self }
    }
}

/// Puts back what was there before, when dropped.
#[derive(Debug)]
pub struct Entered {
    before: Current,
    /// On another thread it would put back what this one worked on.
    _of_this_thread: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.before.swap();
    }
}

/// The same where what was there before is kept in place of what was entered.
pub(crate) struct EnteredHere<'a> {
    before: &'a mut Current,
}

impl Drop for EnteredHere<'_> {
    #[inline]
    fn drop(&mut self) {
        self.before.swap();
    }
}

/// Takes the caller's request along into a future that is spawned: its id, its route, which attempt it is. The trace is not
/// among it: that is the span's, which [`Instrument`](tracing::Instrument) takes along.
///
/// # Example
/// ```no_run
/// use tracing::Instrument as _;
///
/// # async fn send_mail() {}
/// // The lines that send_mail logs have the request's id, and that of its trace.
/// tokio::spawn(sidelight::current::carry(send_mail()).in_current_span());
/// ```
pub fn carry<F>(future: F) -> InRequest<F> {
    Current::get().scope(future)
}

pin_project! {
    /// A future that works on a request: see [`carry`]. Dropped before its end it is dropped as part of the request: what it
    /// counts then has the request's route.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct InRequest<F> {
        // None while it is dropped.
        #[pin]
        future: Option<F>,
        current: Current,
    }

    impl<F> PinnedDrop for InRequest<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _entered = this.current.enter_here();
            this.future.set(None);
        }
    }
}

impl<F: Future> Future for InRequest<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = this.current.enter_here();
        match this.future.as_pin_mut() {
            Some(future) => future.poll(context),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::pin;
    use std::task::Waker;

    use super::*;

    fn of(id: &str) -> Current {
        Current { request_id: RequestId::new(id), route: Some("/orders/{id}"), resends: 2 }
    }

    #[test]
    fn ids_from_outside_are_short_and_visible() {
        assert_eq!(RequestId::new("a").unwrap().to_string(), "a");
        assert_eq!(RequestId::new(&"x".repeat(128)).unwrap().as_str().len(), 128);
        for refused in ["", "a b", "a\n", "a\u{7f}", "é", &"x".repeat(129), &"x".repeat(400)] {
            assert_eq!(RequestId::new(refused), None, "{refused:?}");
        }
    }

    #[test]
    fn generated_ids_are_uuids_of_version_7() {
        let id = RequestId::from_parts(0x0123_4567_89ab, u128::MAX);
        assert_eq!(id.as_str(), "01234567-89ab-7fff-bfff-ffffffffffff");
        let id = RequestId::from_parts(0x0123_4567_89ab, 0);
        assert_eq!(id.as_str(), "01234567-89ab-7000-8000-000000000000");
        assert_ne!(RequestId::generate(), RequestId::generate());
    }

    #[test]
    fn a_poll_sees_its_request_and_leaves_the_one_before() {
        let mut inner = pin!(of("inner").scope(poll_fn(|_| {
            Poll::Ready((request_id().unwrap().to_string(), route(), resends()))
        })));
        let _outer = of("outer").enter();
        let seen = inner.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(seen, Poll::Ready(("inner".to_owned(), Some("/orders/{id}"), 2)));
        assert_eq!(request_id().unwrap().as_str(), "outer");
    }

    #[test]
    fn a_poll_that_panics_leaves_the_one_before() {
        let panics = catch_unwind(AssertUnwindSafe(|| {
            let _entered = of("lost").enter();
            panic!("meant");
        }));
        assert!(panics.is_err());
        assert_eq!(request_id(), None);
        assert_eq!(resends(), 0);
    }

    #[test]
    fn a_future_that_is_dropped_is_dropped_within_its_request() {
        struct Asks<'a>(&'a std::cell::Cell<Option<RequestId>>);
        impl Drop for Asks<'_> {
            fn drop(&mut self) {
                self.0.set(request_id());
            }
        }
        let seen = std::cell::Cell::new(None);
        let asks = Asks(&seen);
        let mut cancelled = Box::pin(of("asked").scope(async move {
            let _asks = asks;
            std::future::pending::<()>().await;
        }));
        assert!(cancelled.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(cancelled);
        assert_eq!((seen.get(), request_id()), (RequestId::new("asked"), None));
    }

    #[test]
    fn a_carried_future_keeps_the_request_of_whoever_made_it() {
        let carried = {
            let _entered = of("asked").enter();
            carry(poll_fn(|_| Poll::Ready(request_id())))
        };
        assert_eq!(request_id(), None);
        let seen = pin!(carried).poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(seen, Poll::Ready(RequestId::new("asked")));
    }
}
