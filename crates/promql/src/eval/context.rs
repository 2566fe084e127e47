//! What every part of an evaluation needs: the options, the limits, the store, where to say something.

use std::cell::RefCell;
use std::fmt::Display;

use crate::ast::Span;
use crate::error::QueryError;
use crate::limits::Budget;
use crate::options::{Options, Stop};
use crate::{Annotations, Queryable, Warnings};

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

    /// Warns of what the store has lost.
    pub(crate) fn lack(&self, warnings: Warnings) {
        warnings.into_iter().for_each(|warning| self.annotations.borrow_mut().lack(warning));
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
