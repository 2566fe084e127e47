//! Lengths of time as written: fixed, or computed from the step and the range of the query.

use super::{BinaryOp, NumberLiteral, Span};

/// A range, a step or an offset.
#[derive(Clone, Debug, PartialEq)]
pub enum Duration {
    /// `5m`, `300`: milliseconds.
    Fixed(i64),
    /// `(5m)`, `2 * step()`: known once the query's times are.
    Computed(Box<DurationExpr>),
}

impl Duration {
    /// Its milliseconds, if they are the same in every query.
    #[must_use]
    pub fn fixed(&self) -> Option<i64> {
        match self {
            Self::Fixed(milliseconds) => Some(*milliseconds),
            Self::Computed(_) => None,
        }
    }

    /// Whether it is fixed and nothing, as an offset that is not written.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.fixed() == Some(0)
    }
}

/// What computes a duration in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct DurationExpr {
    /// What it is.
    pub kind: DurationKind,
    /// Whether it is in parentheses; of several only one pair is kept.
    pub wrapped: bool,
    /// Where it stands as Prometheus says it: of an operator or function from its first operand to its last.
    pub span: Span,
}

impl DurationExpr {
    /// The number that it is, if it is not in parentheses.
    #[must_use]
    pub fn literal(&self) -> Option<&NumberLiteral> {
        match &self.kind {
            DurationKind::Number(literal) if !self.wrapped => Some(literal),
            _ => None,
        }
    }
}

/// The kinds of [`DurationExpr`].
#[derive(Clone, Debug, PartialEq)]
pub enum DurationKind {
    /// `5m`, `-30`.
    Number(NumberLiteral),
    /// `step()`: from one step of the query to the next.
    Step,
    /// `range()`: from the first step of the query to the last.
    Range,
    /// `min_of(5m, step())`.
    MinOf(Box<[DurationExpr; 2]>),
    /// `max_of(5m, step())`.
    MaxOf(Box<[DurationExpr; 2]>),
    /// `-step()`, `+step()`.
    Signed {
        /// Whether it is `-`.
        negative: bool,
        /// Of what.
        of: Box<DurationExpr>,
    },
    /// `step() + 5m`.
    Binary {
        /// `+`, `-`, `*`, `/`, `%` or `^`.
        op: BinaryOp,
        /// The left and the right side.
        sides: Box<[DurationExpr; 2]>,
    },
}
