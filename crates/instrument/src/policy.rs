//! Retries of tower services: a policy around the one that decides, which counts what that decides.
//!
//! tower clones the policy for each request, so what is counted of a request lives in its clone. A request that cannot be
//! cloned is never tried again, and its policy never asked: it is not counted. Nor is one that was dropped before its first
//! answer. Cost: that of [`Attempts`], and two readings of the clock for each wait.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower::retry::Policy as Decides;

use crate::clock::Started;
use crate::outcome::OTHER;
use crate::{Attempts, Retry};

impl Retry {
    /// A policy for tower's retries that decides as `inner` does, and counts attempts and the waits between them.
    ///
    /// ```
    /// use sidelight::Retry;
    /// use std::future::{Ready, ready};
    /// use tower::retry::{Policy, RetryLayer};
    ///
    /// #[derive(Clone)]
    /// struct Thrice(u32);
    ///
    /// impl<B: Clone, A, E> Policy<http::Request<B>, http::Response<A>, E> for Thrice {
    ///     type Future = Ready<()>;
    ///
    ///     fn retry(&mut self, _: &mut http::Request<B>, result: &mut Result<http::Response<A>, E>) -> Option<Ready<()>> {
    ///         let failed = result.as_ref().map_or(true, |response| response.status().is_server_error());
    ///         self.0 += 1;
    ///         (failed && self.0 < 3).then(|| ready(()))
    ///     }
    ///
    ///     fn clone_request(&mut self, request: &http::Request<B>) -> Option<http::Request<B>> {
    ///         Some(request.clone())
    ///     }
    /// }
    ///
    /// static STOCK: Retry = Retry::new("stock.fetch");
    ///
    /// let layer = RetryLayer::new(STOCK.policy(Thrice(0)).http());
    /// # _ = layer;
    /// ```
    pub const fn policy<P>(&'static self, inner: P) -> Policy<P> {
        Policy { retry: self, inner, reason: Unnamed, tells: Nothing, attempts: None }
    }
}

/// A policy that counts what another one decides: see [`Retry::policy`]. A request after whose last attempt there was an `Ok`
/// succeeded, else its attempts were exhausted; the first attempt, if there was no other, was `permanent`.
#[derive(Debug)]
pub struct Policy<P, R = Unnamed, T = Nothing> {
    retry: &'static Retry,
    inner: P,
    reason: R,
    tells: T,
    /// Of the request that this clone is for, once it was answered.
    attempts: Option<Attempts<'static>>,
}

/// Errors are `_OTHER`, responses `response`.
#[derive(Clone, Copy, Debug)]
pub struct Unnamed;

/// Errors and responses by a function's word.
#[derive(Clone, Copy, Debug)]
pub struct Named<F>(F);

/// Requests are sent again as they are.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

/// Requests that are sent again have a `http::Resend` among their extensions.
#[derive(Clone, Copy, Debug)]
pub struct Resent;

impl<P, R, T> Policy<P, R, T> {
    /// Names why an attempt was not the last: by one of few words.
    ///
    /// ```
    /// # fn example<P>(policy: sidelight::policy::Policy<P>) {
    /// let policy = policy.reason(|result: &Result<http::Response<()>, std::io::Error>| match result {
    ///     Ok(_) => "server_error",
    ///     Err(_) => "unreachable",
    /// });
    /// # }
    /// ```
    pub fn reason<A, E, F>(self, reason: F) -> Policy<P, Named<F>, T>
    where
        F: Fn(&Result<A, E>) -> &'static str + Clone,
    {
        let Self { retry, inner, tells, attempts, .. } = self;
        Policy { retry, inner, reason: Named(reason), tells, attempts }
    }

    /// Tells a request of HTTP how often it was sent before, by a [`Resend`](crate::http::Resend): with
    /// [`http::client`](crate::http::client) below, the span of each attempt has `http.request.resend_count`.
    #[cfg(feature = "http")]
    pub fn http(self) -> Policy<P, R, Resent> {
        let Self { retry, inner, reason, attempts, .. } = self;
        Policy { retry, inner, reason, tells: Resent, attempts }
    }
}

/// The clone is for another request.
impl<P: Clone, R: Clone, T: Clone> Clone for Policy<P, R, T> {
    fn clone(&self) -> Self {
        Self {
            retry: self.retry,
            inner: self.inner.clone(),
            reason: self.reason.clone(),
            tells: self.tells.clone(),
            attempts: None,
        }
    }
}

/// Names why an attempt was not the last.
pub trait Reason<A, E> {
    #[doc(hidden)]
    fn of(&self, result: &Result<A, E>) -> &'static str;
}

impl<A, E> Reason<A, E> for Unnamed {
    fn of(&self, result: &Result<A, E>) -> &'static str {
        if result.is_ok() { "response" } else { OTHER }
    }
}

impl<A, E, F: Fn(&Result<A, E>) -> &'static str> Reason<A, E> for Named<F> {
    fn of(&self, result: &Result<A, E>) -> &'static str {
        (self.0)(result)
    }
}

/// Tells a request how often it was sent before.
pub trait Tells<Q> {
    #[doc(hidden)]
    fn tell(&self, request: &mut Q, resends: u32);
}

impl<Q> Tells<Q> for Nothing {
    fn tell(&self, _: &mut Q, _: u32) {}
}

#[cfg(feature = "http")]
impl<B> Tells<http::Request<B>> for Resent {
    fn tell(&self, request: &mut http::Request<B>, resends: u32) {
        request.extensions_mut().insert(crate::http::Resend(resends));
    }
}

impl<P, R, T, Q, A, E> Decides<Q, A, E> for Policy<P, R, T>
where
    P: Decides<Q, A, E>,
    R: Reason<A, E>,
    T: Tells<Q>,
{
    type Future = Wait<P::Future>;

    fn retry(&mut self, request: &mut Q, result: &mut Result<A, E>) -> Option<Wait<P::Future>> {
        let reason = self.reason.of(result);
        let again = self.inner.retry(request, result);
        let mut attempts = self.attempts.take().unwrap_or_else(|| self.retry.start());
        let Some(wait) = again else {
            match (result.is_ok(), attempts.retries()) {
                (true, _) => attempts.succeeded(),
                (false, 0) => attempts.permanent(reason),
                (false, _) => attempts.exhausted(reason),
            }
            return None;
        };
        let retry = attempts.retries();
        attempts.failed(reason);
        self.tells.tell(request, attempts.retries());
        self.attempts = Some(attempts);
        Some(Wait { wait, of: self.retry, reason, retry, since: Started::now() })
    }

    fn clone_request(&mut self, request: &Q) -> Option<Q> {
        self.inner.clone_request(request)
    }
}

pin_project! {
    /// The wait before another attempt, recorded when it is over.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Wait<F> {
        #[pin]
        wait: F,
        of: &'static Retry,
        reason: &'static str,
        retry: u32,
        since: Started,
    }
}

impl<F: Future<Output = ()>> Future for Wait<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        ready!(this.wait.poll(context));
        if let Some(waited) = this.since.elapsed() {
            this.of.waited(this.reason, *this.retry, waited);
        }
        Poll::Ready(())
    }
}
