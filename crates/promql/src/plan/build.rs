//! From expression to plan.

use super::durations::Times;
use super::node::{
    Aggregate, Binary, Call, Node, OverTime, Query, Selector, Subquery, Window, WindowSource,
};
use super::{absent, names};
use crate::ast::{self, At, Expr, Span, VectorSelector};
use crate::error::QueryError;
use crate::functions::Id;
use crate::options::Options;
use crate::source::Reads;
use crate::steps::{Steps, seconds};
use crate::types::Type;
use crate::{Labels, arithmetic};

/// The plan of `expr` for a query at `steps`, which was asked for up to `end`.
///
/// # Errors
/// [`QueryError::BadData`]: it is nested too deep, or uses what is not allowed. [`QueryError::Expression`]: a duration
/// in it is none at these steps.
pub(crate) fn build<'a>(
    expr: &'a Expr,
    steps: Steps,
    end: i64,
    options: &Options<'_>,
) -> Result<Query<'a>, QueryError> {
    let times = Times { step: steps.step, range: end.saturating_sub(steps.start) };
    let parts = HistogramParts::Unknown;
    let mut builder = Builder { steps, end, times, options, parts, depth: 0 };
    if expr.value_type() == Type::Matrix {
        return Ok(Query::Window(builder.window(expr, Reads::Last)?.part));
    }
    Ok(Query::Node(builder.node(expr)?.once()))
}

struct Builder<'o> {
    steps: Steps,
    end: i64,
    times: Times,
    options: &'o Options<'o>,
    depth: usize,
    parts: HistogramParts,
}

/// What of native histograms the calls around an expression look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HistogramParts {
    /// There are none that say.
    Unknown,
    /// `histogram_count`, `histogram_sum` or `histogram_avg`.
    CountAndSum,
    /// A call further out looks at the buckets.
    All,
}

impl HistogramParts {
    /// What is looked at within a call of `function`.
    const fn within(self, function: Id) -> Self {
        match (self, function) {
            (Self::All, _)
            | (_, Id::HistogramQuantile | Id::HistogramQuantiles | Id::HistogramFraction) => {
                Self::All
            }
            (_, Id::HistogramCount | Id::HistogramSum | Id::HistogramAvg) => Self::CountAndSum,
            _ => self,
        }
    }
}

/// A part, and whether it is the same at every step.
struct Built<T> {
    part: T,
    constant: bool,
}

impl<'a> Built<Node<'a>> {
    /// Evaluated once if that is enough.
    fn once(self) -> Node<'a> {
        match self.part {
            Node::Number(_) | Node::Text(_) | Node::Once(_) => self.part,
            part if self.constant => Node::Once(Box::new(part)),
            part => part,
        }
    }

    /// As part of something that is the same at every step (`constant`) or not.
    fn within(self, constant: bool) -> Node<'a> {
        if constant { self.part } else { self.once() }
    }
}

impl Builder<'_> {
    fn node<'a>(&mut self, expr: &'a Expr) -> Result<Built<Node<'a>>, QueryError> {
        self.depth += 1;
        if self.depth > self.options.depth {
            let max = self.options.depth;
            return Err(QueryError::BadData(format!(
                "expression is nested more than {max} levels deep"
            )));
        }
        let built = self.part(expr);
        self.depth -= 1;
        built
    }

    fn part<'a>(&mut self, expr: &'a Expr) -> Result<Built<Node<'a>>, QueryError> {
        Ok(match expr {
            Expr::Number(number) => Built { part: Node::Number(number.value), constant: true },
            Expr::String(text) => match &text.invalid {
                None => Built { part: Node::Text(&text.value), constant: true },
                // Texts are names and values of labels, which are UTF-8.
                Some(quoted) => {
                    return Err(QueryError::Execution(format!("invalid label name {quoted}")));
                }
            },
            Expr::Vector(selector) => {
                let selector = self.selector(selector, Reads::Last)?;
                Built { part: Node::Select(selector), constant: selector.at.is_some() }
            }
            Expr::Paren(paren) => self.node(&paren.expr)?,
            Expr::Unary(unary) => {
                let built = self.node(&unary.expr)?;
                match built.part {
                    _ if !unary.negative => built,
                    Node::Number(value) => Built { part: Node::Number(-value), constant: true },
                    part => Built { part: Node::Negate(Box::new(part)), constant: built.constant },
                }
            }
            Expr::Binary(binary) => self.binary(binary)?,
            Expr::Aggregate(aggregate) => self.aggregate(aggregate)?,
            Expr::Call(call) => {
                let outer = self.parts;
                self.parts = outer.within(call.function.id);
                let built = self.call(call);
                self.parts = outer;
                built?
            }
            Expr::Matrix(_) | Expr::Subquery(_) => {
                let found = expr.value_type().name();
                return Err(QueryError::BadData(format!(
                    "expected type instant vector, got {found}"
                )));
            }
        })
    }

    fn selector<'a>(
        &self,
        selector: &'a VectorSelector,
        reads: Reads,
    ) -> Result<Selector<'a>, QueryError> {
        let at = self.at(selector.at);
        let offset = self.times.offset(&selector.offset)?;
        let buckets = self.parts != HistogramParts::CountAndSum;
        Ok(Selector { matchers: &selector.matchers, offset, at, reads, buckets })
    }

    fn at(&self, at: Option<At>) -> Option<i64> {
        at.map(|at| match at {
            At::Time(time) => time,
            At::Start => self.steps.start,
            At::End => self.end,
        })
    }

    fn window<'a>(
        &mut self,
        expr: &'a Expr,
        reads: Reads,
    ) -> Result<Built<Window<'a>>, QueryError> {
        match expr.inner() {
            Expr::Matrix(matrix) => {
                let range = self.times.positive(&matrix.range)?;
                let selector = self.selector(&matrix.selector, reads)?;
                let constant = selector.at.is_some();
                let source = WindowSource::Selector(selector);
                Ok(Built { part: Window { source, range, before: 0, span: matrix.span }, constant })
            }
            Expr::Subquery(subquery) => {
                let at = self.at(subquery.at);
                let offset = self.times.offset(&subquery.offset)?;
                let step = subquery.step.as_ref().map(|step| self.times.positive(step));
                let step = step.transpose()?.filter(|step| *step > 0);
                let step = step.unwrap_or(self.options.subquery_step).max(1);
                let range = self.times.positive(&subquery.range)?;
                // The samples before those of a subquery tell of resets, so that nothing is known of them.
                let outer = std::mem::replace(&mut self.parts, HistogramParts::All);
                let node = self.node(&subquery.expr);
                self.parts = outer;
                let node = node?.once();
                let source = WindowSource::Subquery(Subquery { node, step, offset, at });
                // Prometheus has forgotten the place of a subquery when it warns of its samples.
                let span = Span::default();
                let part = Window { source, range, before: 0, span };
                Ok(Built { part, constant: at.is_some() })
            }
            other => {
                let found = other.value_type().name();
                Err(QueryError::BadData(format!("expected type range vector, got {found}")))
            }
        }
    }

    fn binary<'a>(&mut self, binary: &'a ast::Binary) -> Result<Built<Node<'a>>, QueryError> {
        let trim = binary.op.is_trim();
        let is_scalar = |side: &Expr| side.value_type() == Type::Scalar;
        if trim && is_scalar(&binary.lhs) && is_scalar(&binary.rhs) {
            let op = binary.op.name();
            let message = format!("operator \"{op}\" not allowed for Scalar operations");
            return Err(QueryError::Execution(message));
        }
        let outer = self.parts;
        self.parts = if trim { HistogramParts::All } else { outer };
        let sides = self.node(&binary.lhs).and_then(|lhs| Ok((lhs, self.node(&binary.rhs)?)));
        self.parts = outer;
        let (lhs, rhs) = sides?;
        if let (Node::Number(left), Node::Number(right)) = (&lhs.part, &rhs.part) {
            let value = arithmetic::scalars(binary.op, *left, *right);
            return Ok(Built { part: Node::Number(value), constant: true });
        }
        let constant = lhs.constant && rhs.constant;
        let part = Node::Binary(Box::new(Binary {
            op: binary.op,
            lhs: lhs.within(constant),
            rhs: rhs.within(constant),
            matching: &binary.matching,
            return_bool: binary.return_bool,
            span: binary.span,
        }));
        Ok(Built { part, constant })
    }

    fn aggregate<'a>(
        &mut self,
        aggregate: &'a ast::Aggregate,
    ) -> Result<Built<Node<'a>>, QueryError> {
        if aggregate.op.is_experimental() && !self.options.experimental {
            return Err(QueryError::BadData(format!(
                "{}() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
                aggregate.op.name()
            )));
        }
        if let (ast::AggregateOp::CountValues, Some(param)) = (aggregate.op, &aggregate.param) {
            names::of_count_values(param)?;
        }
        let node = self.node(&aggregate.expr)?;
        let param = aggregate.param.as_ref().map(|param| self.node(param)).transpose()?;
        let constant = node.constant && param.as_ref().is_none_or(|param| param.constant);
        let mut grouping: Vec<&str> = aggregate.grouping.iter().map(String::as_str).collect();
        grouping.sort_unstable();
        grouping.dedup();
        let param_span = aggregate.param.as_ref().map_or(aggregate.span, |p| p.inner().span());
        let part = Node::Aggregate(Box::new(Aggregate {
            op: aggregate.op,
            param: param.map(|param| param.within(constant)),
            param_span,
            span: aggregate.span,
            node: node.within(constant),
            node_span: aggregate.expr.inner().span(),
            grouping,
            without: aggregate.without,
        }));
        Ok(Built { part, constant })
    }

    fn call<'a>(&mut self, call: &'a ast::Call) -> Result<Built<Node<'a>>, QueryError> {
        let function = call.function;
        if function.experimental && !self.options.experimental {
            return Err(QueryError::BadData(format!(
                "function \"{}\" is not enabled",
                function.name
            )));
        }
        if let Some(value) = self.number(function.id) {
            return Ok(Built { part: Node::Number(value), constant: true });
        }
        let absent = match (function.id, call.args.first()) {
            (Id::Absent | Id::AbsentOverTime, Some(arg)) => absent::labels(arg),
            _ => Labels::default(),
        };
        names::of_call(call)?;
        if function.args.contains(&Type::Matrix) {
            return self.over_time(call, absent);
        }
        if let (Id::Timestamp, Some(Expr::Vector(selector))) =
            (function.id, call.args.first().map(Expr::inner))
        {
            let selector = self.selector(selector, Reads::Last)?;
            let constant = selector.at.is_some();
            return Ok(Built { part: Node::Timestamps(selector), constant });
        }
        let mut args = Vec::with_capacity(call.args.len());
        for arg in &call.args {
            args.push(self.node(arg)?);
        }
        let constant = !depends_on_time(function.id, args.len()) && args.iter().all(|a| a.constant);
        let part = Node::Call(Call {
            function,
            args: args.into_iter().map(|arg| arg.within(constant)).collect(),
            arg_spans: call.args.iter().map(|arg| arg.inner().span()).collect(),
            span: call.span,
            absent,
        });
        Ok(Built { part, constant })
    }

    fn over_time<'a>(
        &mut self,
        call: &'a ast::Call,
        absent: Labels,
    ) -> Result<Built<Node<'a>>, QueryError> {
        let mut window = None;
        let mut params = Vec::new();
        for arg in &call.args {
            if arg.value_type() == Type::Matrix {
                window = Some(self.window(arg, reads(call.function.id))?);
            } else {
                params.push((self.node(arg)?, arg.inner().span()));
            }
        }
        let Some(mut window) = window else {
            return Err(QueryError::BadData(format!(
                "expected type range vector in call to function \"{}\"",
                call.function.name
            )));
        };
        if self.options.counts && call.function.id == Id::Increase {
            window.part.before = self.options.lookback;
        }
        let constant = window.constant
            && call.function.id != Id::PredictLinear
            && params.iter().all(|(param, _)| param.constant);
        let params = params.into_iter().map(|(param, span)| (param.within(constant), span));
        let part = Node::OverTime(Box::new(OverTime {
            function: call.function,
            window: window.part,
            params: params.collect(),
            absent,
        }));
        Ok(Built { part, constant })
    }

    /// The value of a function that depends on nothing but the query.
    fn number(&self, function: Id) -> Option<f64> {
        let steps = self.steps;
        let millis = match function {
            Id::Pi => return Some(std::f64::consts::PI),
            Id::Start => steps.start,
            Id::End => self.end,
            Id::Range => self.times.range,
            // As Prometheus has it for the function, unlike in a duration.
            Id::Step if self.times.range == 0 => 0,
            Id::Step => self.times.step,
            _ => return None,
        };
        Some(seconds(millis))
    }
}

/// Whether a function of `args` arguments gives other values at other times for the same arguments.
fn depends_on_time(function: Id, args: usize) -> bool {
    match function {
        Id::Time | Id::Timestamp => true,
        Id::DayOfMonth
        | Id::DayOfWeek
        | Id::DayOfYear
        | Id::DaysInMonth
        | Id::Hour
        | Id::Minute
        | Id::Month
        | Id::Year => args == 0,
        _ => false,
    }
}

/// What a range function makes of the samples.
pub(crate) const fn reads(function: Id) -> Reads {
    match function {
        Id::Rate | Id::Increase | Id::Irate => Reads::Increase,
        Id::Delta | Id::Deriv | Id::PredictLinear => Reads::Line,
        Id::MinOverTime => Reads::Min,
        Id::MaxOverTime => Reads::Max,
        Id::AvgOverTime => Reads::Average,
        Id::SumOverTime => Reads::Sum,
        Id::CountOverTime => Reads::Count,
        Id::Changes
        | Id::DoubleExponentialSmoothing
        | Id::Idelta
        | Id::MadOverTime
        | Id::QuantileOverTime
        | Id::Resets
        | Id::StddevOverTime
        | Id::StdvarOverTime
        | Id::TsOfMaxOverTime
        | Id::TsOfMinOverTime => Reads::Every,
        _ => Reads::Last,
    }
}
