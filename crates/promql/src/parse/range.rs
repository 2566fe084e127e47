//! What may follow an expression: `[5m]`, `[1h:1m]`, `offset 5m`, `@ 12`.

use crate::ast::{At, BinaryOp, Duration, Expr, MatrixSelector, Span, Subquery};
use crate::parse::Parser;
use crate::parse::error::Failure;
use crate::parse::expr::{Node, Parsed};
use crate::parse::token::{Keyword, Token};

const DURATION: &str = "number, duration, step(), or range()";
const DURATION_OR_END: &str = "number, duration, step(), range(), or \"]\"";

impl Parser<'_> {
    /// Everything that modifies the expression before it, however much of it there is.
    pub(super) fn modifiers(&mut self, mut node: Box<Node>) -> Parsed {
        loop {
            let next = self.peek()?;
            match next.token {
                Token::LeftBracket => node = self.brackets(*node)?,
                Token::Keyword(Keyword::Offset) => self.offset(&mut node)?,
                Token::At => self.at(&mut node.expr)?,
                Token::Keyword(Keyword::Anchored | Keyword::Smoothed) => {
                    let word = self.text_of(next).to_ascii_lowercase();
                    let message = format!("{word} modifier is experimental and not enabled");
                    return Err(Failure::new(node.expr.span(), message));
                }
                _ => return Ok(node),
            }
        }
    }

    fn brackets(&mut self, node: Node) -> Parsed {
        let bracket = self.take()?.span;
        let (range, height) = self
            .positive_duration()
            .map_err(|failure| expected(failure, "subquery or range selector", DURATION))?;
        let node = Node { height: self.grown(node.height + height, bracket)?, ..node };
        match self.peek()?.token {
            Token::RightBracket => {
                self.take()?;
                Ok(Node::boxed(self.matrix(node.expr, range, bracket)?, node.height))
            }
            Token::Colon => {
                self.take()?;
                self.subquery(node, range)
            }
            _ => Err(self.unexpected_in("subquery or range", "\":\" or \"]\"")),
        }
    }

    fn matrix(&self, expr: Expr, range: Duration, bracket: Span) -> Result<Expr, Failure> {
        let failed = |message| Err(Failure::new(self.span_from(bracket.start), message));
        let Expr::Vector(selector) = expr else {
            return failed("ranges only allowed for vector selectors");
        };
        if !selector.offset.is_nothing() {
            return failed("no offset modifiers allowed before range");
        }
        if selector.at.is_some() {
            return failed("no @ modifiers allowed before range");
        }
        let span = self.span_from(selector.span.start);
        Ok(Expr::Matrix(MatrixSelector { selector, range, span }))
    }

    fn subquery(&mut self, node: Node, range: Duration) -> Parsed {
        let (step, height) = if self.peek()?.token == Token::RightBracket {
            (None, 0)
        } else {
            let (step, height) = self
                .positive_duration()
                .map_err(|failure| expected(failure, "subquery selector", DURATION_OR_END))?;
            if self.peek()?.token != Token::RightBracket {
                return Err(self.unexpected_in("subquery selector", "\"]\""));
            }
            (Some(step), height)
        };
        self.take()?;
        let span = self.span_from(node.expr.span().start);
        let height = self.grown(node.height + height + 1, span)?;
        let offset = Duration::Fixed(0);
        let subquery = Subquery { expr: node.expr, range, step, offset, at: None, span };
        Ok(Node::boxed(Expr::Subquery(Box::new(subquery)), height))
    }

    fn offset(&mut self, node: &mut Node) -> Result<(), Failure> {
        self.take()?;
        let span = node.expr.span();
        let (duration, height) =
            self.offset_duration().map_err(|failure| expected(failure, "offset", DURATION))?;
        let end = self.last_end;
        let (offset, whole) = match &mut node.expr {
            Expr::Vector(selector) => (&mut selector.offset, &mut selector.span),
            Expr::Matrix(matrix) => (&mut matrix.selector.offset, &mut matrix.span),
            Expr::Subquery(subquery) => (&mut subquery.offset, &mut subquery.span),
            _ => return Err(misplaced(span, "offset modifier")),
        };
        if !offset.is_nothing() {
            return Err(Failure::new(span, "offset may not be set multiple times"));
        }
        *offset = duration;
        whole.end = end;
        node.height = self.grown(node.height + height, span)?;
        Ok(())
    }

    fn at(&mut self, expr: &mut Expr) -> Result<(), Failure> {
        self.take()?;
        let span = expr.span();
        let time = self.time(span).map_err(|failure| expected(failure, "@", "timestamp"))?;
        let end = self.last_end;
        let (at, whole) = match expr {
            Expr::Vector(selector) => (&mut selector.at, &mut selector.span),
            Expr::Matrix(matrix) => (&mut matrix.selector.at, &mut matrix.span),
            Expr::Subquery(subquery) => (&mut subquery.at, &mut subquery.span),
            _ => return Err(misplaced(span, "@ modifier")),
        };
        if at.is_some() {
            return Err(Failure::new(span, "@ <timestamp> may not be set multiple times"));
        }
        *at = Some(time);
        whole.end = end;
        Ok(())
    }

    /// What follows `@` after the expression at `of`.
    fn time(&mut self, of: Span) -> Result<At, Failure> {
        let fixed = match self.peek()?.token {
            Token::Keyword(Keyword::Start) => At::Start,
            Token::Keyword(Keyword::End) => At::End,
            _ => {
                let negative = self.take_if(Token::Operator(BinaryOp::Sub))?;
                if !negative {
                    self.take_if(Token::Operator(BinaryOp::Add))?;
                }
                let lexeme = self.peek()?;
                if !matches!(lexeme.token, Token::Number | Token::Duration) {
                    return Err(self.unexpected());
                }
                self.take()?;
                let value = self.number(lexeme)?.value;
                return at_time(if negative { -value } else { value }, of);
            }
        };
        self.take()?;
        self.require(Token::LeftParen)?;
        self.require(Token::RightParen)?;
        Ok(fixed)
    }
}

fn at_time(seconds: f64, of: Span) -> Result<At, Failure> {
    if seconds.is_nan() || seconds.abs() >= i64::MAX as f64 {
        let value = match seconds {
            f64::INFINITY => "+Inf".to_owned(),
            f64::NEG_INFINITY => "-Inf".to_owned(),
            value => format!("{value:.6}"),
        };
        let message = format!("timestamp out of bounds for @ modifier: {value}");
        return Err(Failure::new(of, message));
    }
    Ok(At::Time((seconds * 1000.0).round() as i64))
}

fn misplaced(span: Span, what: &str) -> Failure {
    let selectors = "an instant vector selector or range vector selector or a subquery";
    Failure::new(span, format!("{what} must be preceded by {selectors}"))
}

fn expected(failure: Failure, context: &str, expected: &str) -> Failure {
    let open = failure.open;
    let mut failure = failure.within(context);
    if open {
        failure.message.push_str(", expected ");
        failure.message.push_str(expected);
    }
    failure
}
