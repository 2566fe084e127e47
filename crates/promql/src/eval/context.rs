//! What every part of an evaluation needs: the times, the limits, where to say something.

use std::cell::RefCell;
use std::fmt::Display;

use crate::ast::Span;
use crate::engine::{Options, QueryError, Stop};
use crate::limits::Budget;
use crate::{Annotations, Queryable};

/// The times of an evaluation, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Steps {
    /// The first.
    pub(crate) start: i64,
    /// From one to the next; 0 for an instant query.
    pub(crate) step: i64,
    /// How many.
    pub(crate) len: usize,
}

impl Steps {
    /// The time of step `at`.
    pub(crate) const fn time(self, at: usize) -> i64 {
        self.start.saturating_add(self.step.saturating_mul(at.cast_signed() as i64))
    }

    /// Every time.
    pub(crate) fn times(self) -> impl Iterator<Item = i64> {
        (0..self.len).map(move |at| self.time(at))
    }

    /// The last time.
    pub(crate) const fn end(self) -> i64 {
        self.time(self.len.saturating_sub(1))
    }

    /// The earlier and the later half.
    pub(crate) const fn halves(self) -> (Self, Self) {
        let first = self.len / 2;
        let second = Self { start: self.time(first), step: self.step, len: self.len - first };
        (Self { len: first, ..self }, second)
    }

    /// The first time alone.
    pub(crate) const fn first(self) -> Self {
        Self { start: self.start, step: 0, len: 1 }
    }
}

/// A query while it is evaluated.
pub(crate) struct Context<'a> {
    /// How.
    pub(crate) options: &'a Options<'a>,
    /// Where series come from.
    pub(crate) source: &'a dyn Queryable,
    /// What there is to say.
    pub(crate) annotations: RefCell<Annotations>,
    /// What is in memory.
    pub(crate) budget: Budget,
}

impl Context<'_> {
    /// Warns of something at `span`.
    pub(crate) fn warn(&self, message: impl Display, span: Span) {
        self.annotations.borrow_mut().warn(message, self.position(span));
    }

    /// Notes something at `span`.
    pub(crate) fn info(&self, message: impl Display, span: Span) {
        self.annotations.borrow_mut().info(message, self.position(span));
    }

    /// Where a span starts: line and column, from 1.
    fn position(&self, span: Span) -> impl Display {
        let start = span.start as usize;
        let before = self.options.text.get(..start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = start - before.rfind('\n').map_or(0, |at| at + 1) + 1;
        std::fmt::from_fn(move |f| write!(f, "{line}:{column}"))
    }

    /// Ends the evaluation if it is to end.
    ///
    /// # Errors
    /// It is.
    pub(crate) fn proceed(&self) -> Result<(), QueryError> {
        match (self.options.stop)() {
            None => Ok(()),
            Some(Stop::Timeout) => Err(QueryError::Timeout),
            Some(Stop::Canceled) => Err(QueryError::Canceled),
        }
    }

    /// Everything that was said.
    pub(crate) fn into_annotations(self) -> Annotations {
        self.annotations.into_inner()
    }
}
