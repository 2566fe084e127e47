//! What the attribute macros write into functions; not for other use.
//!
//! Which trait answers is decided by how often the receiver must be borrowed, the least first: an error that tells its kind,
//! one of a named type, an erased one, anything.

use std::error::Error;
use std::fmt;
use std::future::Future;

use tracing::instrument::{Instrument as _, Instrumented};

use crate::layer;
use crate::outcome::{ErrorKind, error_kind, kind_of};

#[doc(hidden)]
pub use crate::outcome::OTHER;

#[doc(hidden)]
pub use tracing;

#[derive(Debug)]
pub struct Probe<'a, E: ?Sized>(pub &'a E);

pub trait Told {
    fn kind(&self) -> &'static str;
}

impl<E: ErrorKind + ?Sized> Told for &&&Probe<'_, E> {
    fn kind(&self) -> &'static str {
        self.0.error_kind()
    }
}

pub trait Named {
    fn kind(&self) -> &'static str;
}

impl<E: Error + 'static> Named for &&Probe<'_, E> {
    fn kind(&self) -> &'static str {
        kind_of(self.0)
    }
}

pub trait Erased {
    fn kind(&self) -> &'static str;
}

impl Erased for &Probe<'_, Box<dyn Error>> {
    fn kind(&self) -> &'static str {
        error_kind(self.0.as_ref())
    }
}

impl Erased for &Probe<'_, Box<dyn Error + Send>> {
    fn kind(&self) -> &'static str {
        error_kind(self.0.as_ref())
    }
}

impl Erased for &Probe<'_, Box<dyn Error + Send + Sync>> {
    fn kind(&self) -> &'static str {
        error_kind(self.0.as_ref())
    }
}

pub trait Anything {
    fn kind(&self) -> &'static str {
        OTHER
    }
}

impl<E: ?Sized> Anything for Probe<'_, E> {}

/// Runs a closure that may give out what it has taken.
pub fn once<R>(body: impl FnOnce() -> R) -> R {
    body()
}

pub fn in_span<F: Future>(future: F, span: tracing::Span) -> Instrumented<F> {
    future.instrument(span)
}

/// Whether a predicate holds of a result; its argument's type is that of the result.
pub fn holds<R: ?Sized>(result: &R, is: impl FnOnce(&R) -> bool) -> bool {
    is(result)
}

/// A span that can be told of a failure.
pub trait Fails {
    fn failed(&mut self, kind: &'static str);
}

impl Fails for tracing::Span {
    fn failed(&mut self, kind: &'static str) {
        self.record("otel.status_code", "ERROR");
        self.record("error.type", kind);
    }
}

impl Fails for layer::Span {
    fn failed(&mut self, kind: &'static str) {
        self.fail(kind);
    }
}

/// Tells a span how what it is about ended, also where that is by a panic or by being dropped.
#[derive(Debug)]
pub struct Ends<S: Fails> {
    span: S,
    /// What begins while a panic unwinds does not panic itself.
    panicking: bool,
    failure: Option<&'static str>,
}

impl<S: Fails> Ends<S> {
    pub fn of(span: S) -> Self {
        Self { span, panicking: std::thread::panicking(), failure: None }
    }

    pub(crate) fn span(&self) -> &S {
        &self.span
    }

    /// The kind of failure that it ends with unless told otherwise.
    pub fn with(&mut self, failure: Option<&'static str>) {
        self.failure = failure;
    }
}

impl<S: Fails> Drop for Ends<S> {
    fn drop(&mut self) {
        let panicked = !self.panicking && std::thread::panicking();
        if let Some(kind) = if panicked { Some("panic") } else { self.failure } {
            self.span.failed(kind);
        }
    }
}

/// What never is.
#[derive(Debug)]
pub enum Never {}

impl fmt::Display for Never {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

pub trait CanFail {
    type Error;
    fn failure(&self) -> Option<Self::Error>;
}

impl<'a, T, E> CanFail for &Probe<'a, Result<T, E>> {
    type Error = &'a E;
    fn failure(&self) -> Option<&'a E> {
        self.0.as_ref().err()
    }
}

pub trait CannotFail {
    fn failure(&self) -> Option<&'static Never> {
        None
    }
}

impl<R: ?Sized> CannotFail for Probe<'_, R> {}

/// Whether to try again, and why.
pub trait Again {
    fn reason(self, kind: impl FnOnce() -> &'static str) -> Option<&'static str>;
}

impl Again for bool {
    fn reason(self, kind: impl FnOnce() -> &'static str) -> Option<&'static str> {
        self.then(kind)
    }
}

impl Again for Option<&'static str> {
    fn reason(self, _: impl FnOnce() -> &'static str) -> Self {
        self
    }
}
