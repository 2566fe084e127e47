//! From expression to text, as Prometheus prints it: on one line, or over several where it is long.
//!
//! What is printed parses to the same expression. Matchers come out sorted, `@` before `offset`.

use std::fmt::{self, Display, Formatter};

use crate::ast::{
    Aggregate, At, Binary, Call, Cardinality, Duration, DurationExpr, DurationKind, Expr, Matcher,
    MatrixSelector, NumberLiteral, Subquery, VectorSelector,
};
use crate::duration;
use crate::labels::NAME;
use crate::quote::quote;

/// The longest line that [`Expr::pretty`] leaves as it is.
const LINE_BYTES_MAX: usize = 100;

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::String(string) => match &string.invalid {
                Some(quoted) => f.write_str(quoted),
                None => f.write_str(&quote(&string.value)),
            },
            Self::Vector(selector) => selector.fmt(f),
            Self::Matrix(matrix) => matrix.fmt(f),
            Self::Subquery(subquery) => write!(f, "{}{}", subquery.expr, SubqueryEnd(subquery)),
            Self::Call(call) => call.fmt(f),
            Self::Aggregate(aggregate) => aggregate.fmt(f),
            Self::Binary(binary) => {
                write!(f, "{} {} {}", binary.lhs, Operator(binary), binary.rhs)
            }
            Self::Unary(unary) => {
                f.write_str(if unary.negative { "-" } else { "+" })?;
                unary.expr.fmt(f)
            }
            Self::Paren(paren) => write!(f, "({})", paren.expr),
        }
    }
}

impl Display for NumberLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.value {
            value if self.duration => {
                f.write_str(&duration::format((value * 1000.0).round() as i64))
            }
            f64::INFINITY => f.write_str("+Inf"),
            f64::NEG_INFINITY => f.write_str("-Inf"),
            value => value.fmt(f),
        }
    }
}

impl Display for Duration {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(milliseconds) => f.write_str(&duration::format(*milliseconds)),
            Self::Computed(expr) => expr.fmt(f),
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.wrapped { "(" } else { "" })?;
        match &self.kind {
            DurationKind::Number(number) => number.fmt(f),
            DurationKind::Step => f.write_str("step()"),
            DurationKind::Range => f.write_str("range()"),
            DurationKind::MinOf(sides) => {
                let [lhs, rhs] = &**sides;
                write!(f, "min_of({lhs}, {rhs})")
            }
            DurationKind::MaxOf(sides) => {
                let [lhs, rhs] = &**sides;
                write!(f, "max_of({lhs}, {rhs})")
            }
            DurationKind::Signed { negative, of } => {
                write!(f, "{}{of}", if *negative { "-" } else { "" })
            }
            DurationKind::Binary { op, sides } => {
                let [lhs, rhs] = &**sides;
                write!(f, "{lhs} {} {rhs}", op.name())
            }
        }?;
        f.write_str(if self.wrapped { ")" } else { "" })
    }
}

impl Display for Matcher {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        LabelName(&self.name).fmt(f)?;
        f.write_str(self.op.name())?;
        f.write_str(&quote(&self.value))
    }
}

impl Display for VectorSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Matchers(self), Time { at: self.at, offset: &self.offset })
    }
}

impl Display for MatrixSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let time = Time { at: self.selector.at, offset: &self.selector.offset };
        write!(f, "{}[{}]{time}", Matchers(&self.selector), self.range)
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.function.name)?;
        for (index, arg) in self.args.iter().enumerate() {
            f.write_str(if index > 0 { ", " } else { "" })?;
            arg.fmt(f)?;
        }
        f.write_str(")")
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", AggregateStart(self))?;
        if let Some(param) = &self.param {
            write!(f, "{param}, ")?;
        }
        write!(f, "{})", self.expr)
    }
}

/// The name and the matchers of a selector, without its times.
struct Matchers<'a>(&'a VectorSelector);

impl Display for Matchers<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(selector) = self;
        let name = selector.name.as_deref().unwrap_or_default();
        f.write_str(name)?;
        let others = selector.matchers.iter().filter(|matcher| {
            let is_name = matcher.name == NAME && matcher.op == crate::ast::MatchOp::Equal;
            !is_name || matcher.value != name || name.is_empty()
        });
        let mut others: Vec<String> = others.map(Matcher::to_string).collect();
        others.sort();
        if others.is_empty() && !name.is_empty() {
            return Ok(());
        }
        write!(f, "{{{}}}", others.join(","))
    }
}

/// ` @ 12.000 offset 5m`
struct Time<'a> {
    at: Option<At>,
    offset: &'a Duration,
}

impl Display for Time<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.at {
            None => {}
            Some(At::Start) => f.write_str(" @ start()")?,
            Some(At::End) => f.write_str(" @ end()")?,
            Some(At::Time(time)) => {
                let (sign, time) = (if time < 0 { "-" } else { "" }, time.unsigned_abs());
                write!(f, " @ {sign}{}.{:03}", time / 1000, time % 1000)?;
            }
        }
        match self.offset {
            offset if offset.is_nothing() => Ok(()),
            Duration::Computed(expr) if !is_one_offset(expr) => write!(f, " offset ({expr})"),
            offset => write!(f, " offset {offset}"),
        }
    }
}

/// Whether all of what is printed for `expr` is read as the offset again. Prometheus loses the second sign of
/// `offset - +step() * 2` and prints what multiplies the samples.
fn is_one_offset(expr: &DurationExpr) -> bool {
    let is_operand = |expr: &DurationExpr| {
        let operator =
            matches!(expr.kind, DurationKind::Binary { .. } | DurationKind::Signed { .. });
        expr.wrapped || !operator
    };
    match &expr.kind {
        _ if is_operand(expr) => true,
        DurationKind::Signed { of, .. } if is_operand(of) => true,
        _ => {
            let text = expr.to_string();
            text.starts_with('(') || text.starts_with("--")
        }
    }
}

/// ` [1h:1m] @ end() offset 5m`
struct SubqueryEnd<'a>(&'a Subquery);

impl Display for SubqueryEnd<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(subquery) = self;
        let step = subquery.step.as_ref().map(Duration::to_string).unwrap_or_default();
        let time = Time { at: subquery.at, offset: &subquery.offset };
        write!(f, "[{}:{step}]{time}", subquery.range)
    }
}

/// `sum by (job) `
struct AggregateStart<'a>(&'a Aggregate);

impl Display for AggregateStart<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(aggregate) = self;
        f.write_str(aggregate.op.name())?;
        match (aggregate.without, aggregate.grouping.is_empty()) {
            (false, true) => Ok(()),
            (true, _) => write!(f, " without ({}) ", LabelNames(&aggregate.grouping)),
            (false, false) => write!(f, " by ({}) ", LabelNames(&aggregate.grouping)),
        }
    }
}

/// `== bool on (job) group_left (instance)`
struct Operator<'a>(&'a Binary);

impl Display for Operator<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(Binary { op, matching, return_bool, .. }) = self;
        f.write_str(op.name())?;
        f.write_str(if *return_bool { " bool" } else { "" })?;
        let group = match matching.cardinality {
            Cardinality::ManyToOne => Some("group_left"),
            Cardinality::OneToMany => Some("group_right"),
            Cardinality::OneToOne | Cardinality::ManyToMany => None,
        };
        if matching.on || !matching.labels.is_empty() || group.is_some() {
            let how = if matching.on { "on" } else { "ignoring" };
            write!(f, " {how} ({})", LabelNames(&matching.labels))?;
        }
        match group {
            Some(group) => write!(f, " {group} ({})", LabelNames(&matching.include)),
            None => Ok(()),
        }
    }
}

struct LabelNames<'a>(&'a [String]);

impl Display for LabelNames<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            f.write_str(if index > 0 { ", " } else { "" })?;
            LabelName(name).fmt(f)?;
        }
        Ok(())
    }
}

/// A label's name, in quotes unless it is a word.
struct LabelName<'a>(&'a str);

impl Display for LabelName<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if self.0.chars().all(word) && self.0.starts_with(|c: char| !c.is_ascii_digit()) {
            f.write_str(self.0)
        } else {
            f.write_str(&quote(self.0))
        }
    }
}

impl Expr {
    /// The expression over as many lines as it takes that none with something to split in it is longer than
    /// 100 bytes; what is within something else is indented by two spaces.
    #[must_use]
    pub fn pretty(&self) -> String {
        let mut text = String::new();
        self.push_pretty(&mut text, 0);
        text
    }

    fn push_pretty(&self, to: &mut String, level: usize) {
        let line = self.to_string();
        let indent = "  ".repeat(level);
        if line.len() <= LINE_BYTES_MAX {
            // A subquery that fits is not indented by Prometheus either.
            if !matches!(self, Self::Subquery(_)) {
                to.push_str(&indent);
            }
            to.push_str(&line);
            return;
        }
        match self {
            Self::Subquery(subquery) => {
                subquery.expr.push_pretty(to, level);
                to.push_str(&SubqueryEnd(subquery).to_string());
            }
            Self::Call(call) => {
                to.extend([indent.as_str(), call.function.name, "("]);
                push_lines(to, call.args.iter(), level);
            }
            Self::Aggregate(aggregate) => {
                to.extend([indent.as_str(), &AggregateStart(aggregate).to_string(), "("]);
                push_lines(to, aggregate.param.iter().chain([&aggregate.expr]), level);
            }
            Self::Paren(paren) => {
                to.extend([indent.as_str(), "("]);
                push_lines(to, [&paren.expr].into_iter(), level);
            }
            Self::Binary(binary) => {
                binary.lhs.push_pretty(to, level + 1);
                to.extend(["\n", &indent, &Operator(binary).to_string(), "\n"]);
                binary.rhs.push_pretty(to, level + 1);
            }
            Self::Unary(unary) => {
                let mut inner = String::new();
                unary.expr.push_pretty(&mut inner, level);
                to.extend([indent.as_str(), if unary.negative { "-" } else { "+" }, inner.trim()]);
            }
            Self::Number(_) | Self::String(_) | Self::Vector(_) | Self::Matrix(_) => {
                to.extend([indent, line]);
            }
        }
    }
}

/// Writes expressions each on its line, one level in, up to the closing parenthesis.
fn push_lines<'a>(to: &mut String, exprs: impl Iterator<Item = &'a Expr>, level: usize) {
    for (index, expr) in exprs.enumerate() {
        to.push_str(if index > 0 { ",\n" } else { "\n" });
        expr.push_pretty(to, level + 1);
    }
    to.extend(["\n", &"  ".repeat(level), ")"]);
}
