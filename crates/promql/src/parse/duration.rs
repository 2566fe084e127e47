//! Durations, and what computes them: `5m`, `step() * 2`, `max_of(5m, step())`.
//!
//! The grammar of Prometheus 3.15, also where it surprises: after `offset` an operator belongs to the offset
//! only behind a parenthesis or two signs, so that `a offset 5m + b` adds, and `a offset (5m) + b` is an error.

use crate::ast::{BinaryOp, Duration, DurationExpr, DurationKind, NumberLiteral, Span};
use crate::duration::SECONDS_MAX;
use crate::parse::Parser;
use crate::parse::error::Failure;
use crate::parse::token::{Keyword, Lexeme, Token};

/// What computes a duration, and how many such are within each other in it.
struct Length {
    expr: DurationExpr,
    height: u32,
}

type Parsed = Result<Box<Length>, Failure>;

impl Length {
    fn boxed(kind: DurationKind, span: Span, height: u32) -> Box<Self> {
        Box::new(Self { expr: DurationExpr { kind, wrapped: false, span }, height })
    }

    fn number(literal: NumberLiteral) -> Box<Self> {
        let span = literal.span;
        Self::boxed(DurationKind::Number(literal), span, 1)
    }
}

impl Parser<'_> {
    /// A range or step, and by how much it makes higher what has it.
    pub(super) fn positive_duration(&mut self) -> Result<(Duration, u32), Failure> {
        let length = self.duration(0)?;
        let Some(literal) = length.expr.literal() else { return Ok(computed(*length)) };
        if literal.value <= 0.0 {
            return Err(Failure::new(literal.span, "duration must be greater than 0"));
        }
        match milliseconds(literal.value) {
            0 => Err(Failure::new(literal.span, "duration must be at least 1ms")),
            milliseconds => Ok((Duration::Fixed(milliseconds), 0)),
        }
    }

    /// What follows `offset`, and by how much it makes higher what has it.
    pub(super) fn offset_duration(&mut self) -> Result<(Duration, u32), Failure> {
        let sign = self.sign()?;
        let length = match (sign, self.peek()?.token) {
            (Some(sign), Token::Number | Token::Duration) => {
                let literal = self.duration_literal(sign.span)?;
                self.signed_duration(sign, Length::number(literal))?
            }
            (Some(sign), Token::Operator(BinaryOp::Add | BinaryOp::Sub)) => {
                let operand = self.duration(BinaryOp::Pow.precedence())?;
                let signed = self.signed_duration(sign, operand)?;
                self.duration_operators(signed, 0)?
            }
            (Some(sign), Token::LeftParen) => {
                let operand = self.duration_operand()?;
                self.signed_duration(sign, operand)?
            }
            (Some(sign), _) => {
                let operand = self.duration_operand()?;
                self.sign_node(sign, *operand)?
            }
            (None, Token::LeftParen) => {
                let operand = self.duration_operand()?;
                self.duration_operators(operand, 0)?
            }
            (None, _) => self.duration_operand()?,
        };
        match length.expr.literal() {
            Some(literal) if literal.value.is_nan() => {
                Err(Failure::new(literal.span, "duration out of range"))
            }
            Some(literal) => Ok((Duration::Fixed(milliseconds(literal.value)), 0)),
            None => Ok(computed(*length)),
        }
    }

    /// A duration whose operators bind at least as strongly as `floor`.
    fn duration(&mut self, floor: u8) -> Parsed {
        self.depth += 1;
        let start = self.peek()?.span;
        self.grown(self.depth, start)?;
        let first = match self.sign()? {
            None => self.duration_operand()?,
            Some(sign) => {
                let operand = self.duration(BinaryOp::Pow.precedence())?;
                self.signed_duration(sign, operand)?
            }
        };
        let whole = self.duration_operators(first, floor)?;
        self.depth -= 1;
        Ok(whole)
    }

    /// What follows `lhs` of operators that bind at least as strongly as `floor`.
    fn duration_operators(&mut self, mut lhs: Box<Length>, floor: u8) -> Parsed {
        while let Token::Operator(op) = self.peek()?.token
            && is_arithmetic(op)
            && op.precedence() >= floor
        {
            let place = self.take()?.span;
            let tighter = if op == BinaryOp::Pow { op.precedence() } else { op.precedence() + 1 };
            let rhs = self.duration(tighter)?;
            let divisor = rhs.expr.literal();
            if divisor.is_some_and(|divisor| divisor.value == 0.0) {
                match op {
                    BinaryOp::Div => return Err(Failure::new(place, "division by zero")),
                    BinaryOp::Mod => return Err(Failure::new(place, "modulo by zero")),
                    _ => {}
                }
            }
            lhs = self.pair(*lhs, *rhs, |sides| DurationKind::Binary { op, sides })?;
        }
        Ok(lhs)
    }

    fn pair(
        &self,
        lhs: Length,
        rhs: Length,
        kind: impl FnOnce(Box<[DurationExpr; 2]>) -> DurationKind,
    ) -> Parsed {
        let span = Span { start: lhs.expr.span.start, end: rhs.expr.span.end };
        let height = self.grown(lhs.height.max(rhs.height) + 1, span)?;
        Ok(Length::boxed(kind(Box::new([lhs.expr, rhs.expr])), span, height))
    }

    /// A number, a function, or anything in parentheses.
    fn duration_operand(&mut self) -> Parsed {
        let first = self.peek()?;
        match first.token {
            Token::Number | Token::Duration => {
                Ok(Length::number(self.duration_literal(first.span)?))
            }
            Token::LeftParen => self.duration_in_parens(),
            Token::Keyword(keyword @ (Keyword::Step | Keyword::Range)) => {
                self.take()?;
                self.require(Token::LeftParen)?;
                self.require(Token::RightParen)?;
                let kind = match keyword {
                    Keyword::Step => DurationKind::Step,
                    _ => DurationKind::Range,
                };
                Ok(Length::boxed(kind, self.span_from(first.span.start), 1))
            }
            Token::Keyword(keyword @ (Keyword::MaxOf | Keyword::MinOf)) => {
                self.take()?;
                self.require(Token::LeftParen)?;
                let lhs = self.duration(0)?;
                self.require(Token::Comma)?;
                let rhs = self.duration(0)?;
                self.require(Token::RightParen)?;
                self.pair(*lhs, *rhs, |sides| match keyword {
                    Keyword::MaxOf => DurationKind::MaxOf(sides),
                    _ => DurationKind::MinOf(sides),
                })
            }
            _ => Err(self.unexpected()),
        }
    }

    fn duration_in_parens(&mut self) -> Parsed {
        let paren = self.take()?.span;
        let mut inner = self.duration(0)?;
        self.require(Token::RightParen)?;
        if inner.expr.literal().is_some() {
            inner.expr.span.start = paren.start;
        }
        inner.expr.wrapped = true;
        Ok(inner)
    }

    /// A number without its sign. One that is too great is reported at `place`.
    fn duration_literal(&mut self, place: Span) -> Result<NumberLiteral, Failure> {
        let lexeme = self.take()?;
        let literal = self.number(lexeme)?;
        if literal.value.abs() > SECONDS_MAX {
            return Err(Failure::new(place, "duration out of range"));
        }
        Ok(literal)
    }

    fn sign(&mut self) -> Result<Option<Lexeme>, Failure> {
        match self.peek()?.token {
            Token::Operator(BinaryOp::Add | BinaryOp::Sub) => self.take().map(Some),
            _ => Ok(None),
        }
    }

    /// A sign belongs to a number; `+` is forgotten.
    fn signed_duration(&self, sign: Lexeme, mut operand: Box<Length>) -> Parsed {
        let negative = sign.token == Token::Operator(BinaryOp::Sub);
        if operand.expr.literal().is_some()
            && let DurationKind::Number(literal) = &mut operand.expr.kind
        {
            literal.value = if negative { -literal.value } else { literal.value };
            literal.span.start = sign.span.start;
            operand.expr.span = literal.span;
            return Ok(operand);
        }
        if negative { self.sign_node(sign, *operand) } else { Ok(operand) }
    }

    fn sign_node(&self, sign: Lexeme, operand: Length) -> Parsed {
        let negative = sign.token == Token::Operator(BinaryOp::Sub);
        let span = Span { start: sign.span.start, end: operand.expr.span.end };
        let height = self.grown(operand.height + 1, span)?;
        let of = Box::new(operand.expr);
        Ok(Length::boxed(DurationKind::Signed { negative, of }, span, height))
    }
}

fn is_arithmetic(op: BinaryOp) -> bool {
    use BinaryOp::{Add, Div, Mod, Mul, Pow, Sub};
    matches!(op, Add | Sub | Mul | Div | Mod | Pow)
}

fn computed(length: Length) -> (Duration, u32) {
    (Duration::Computed(Box::new(length.expr)), length.height)
}

/// Seconds to whole milliseconds by way of nanoseconds, as Prometheus does.
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1e9).round() as i64 / 1_000_000
}
