//! Expressions as written, with the place of everything in the text.

mod duration;

pub use crate::matcher::{MatchOp, Matcher, RegexError, anchored};
pub use crate::types::Type;
pub use duration::{Duration, DurationExpr, DurationKind};

/// A range of bytes of the expression's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// `1.5`, `0x1f`, `Inf`, `5m` where a number stands.
    Number(NumberLiteral),
    /// `"text"`.
    String(StringLiteral),
    /// `metric{label="value"} offset 5m @ 12`.
    Vector(VectorSelector),
    /// `metric[5m]`.
    Matrix(MatrixSelector),
    /// `expr[1h:1m]`.
    Subquery(Box<Subquery>),
    /// `rate(...)`.
    Call(Call),
    /// `sum by (job) (...)`.
    Aggregate(Box<Aggregate>),
    /// `a + on (job) b`.
    Binary(Box<Binary>),
    /// `-a`, `+a`.
    Unary(Box<Unary>),
    /// `(a)`.
    Paren(Box<Paren>),
}

impl Expr {
    /// What it gives.
    #[must_use]
    pub fn value_type(&self) -> Type {
        match self {
            Self::Number(_) => Type::Scalar,
            Self::String(_) => Type::String,
            Self::Vector(_) | Self::Aggregate(_) => Type::Vector,
            Self::Matrix(_) | Self::Subquery(_) => Type::Matrix,
            Self::Call(call) => call.function.returns,
            Self::Binary(binary) => match (binary.lhs.value_type(), binary.rhs.value_type()) {
                (Type::Scalar, Type::Scalar) => Type::Scalar,
                _ => Type::Vector,
            },
            Self::Unary(unary) => unary.expr.value_type(),
            Self::Paren(paren) => paren.expr.value_type(),
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Self::Number(number) => number.span,
            Self::String(string) => string.span,
            Self::Vector(selector) => selector.span,
            Self::Matrix(selector) => selector.span,
            Self::Subquery(subquery) => subquery.span,
            Self::Call(call) => call.span,
            Self::Aggregate(aggregate) => aggregate.span,
            Self::Binary(binary) => binary.span,
            Self::Unary(unary) => unary.span,
            Self::Paren(paren) => paren.span,
        }
    }

    /// Hands every part to `each`, the outer before the inner.
    pub fn walk<'e>(&'e self, each: &mut dyn FnMut(&'e Self)) {
        each(self);
        match self {
            Self::Number(_) | Self::String(_) | Self::Vector(_) | Self::Matrix(_) => {}
            Self::Subquery(subquery) => subquery.expr.walk(each),
            Self::Call(call) => call.args.iter().for_each(|arg| arg.walk(each)),
            Self::Aggregate(aggregate) => {
                aggregate.param.iter().for_each(|param| param.walk(each));
                aggregate.expr.walk(each);
            }
            Self::Binary(binary) => {
                binary.lhs.walk(each);
                binary.rhs.walk(each);
            }
            Self::Unary(unary) => unary.expr.walk(each),
            Self::Paren(paren) => paren.expr.walk(each),
        }
    }

    /// Hands every selector within it to `each`, with its range if it has one.
    pub fn selectors<'e>(&'e self, each: &mut dyn FnMut(&'e VectorSelector, Option<&'e Duration>)) {
        self.walk(&mut |part| match part {
            Self::Vector(vector) => each(vector, None),
            Self::Matrix(matrix) => each(&matrix.selector, Some(&matrix.range)),
            _ => {}
        });
    }

    /// [`Expr::walk`], to change the parts.
    pub fn walk_mut(&mut self, each: &mut dyn FnMut(&mut Self)) {
        each(self);
        match self {
            Self::Number(_) | Self::String(_) | Self::Vector(_) | Self::Matrix(_) => {}
            Self::Subquery(subquery) => subquery.expr.walk_mut(each),
            Self::Call(call) => call.args.iter_mut().for_each(|arg| arg.walk_mut(each)),
            Self::Aggregate(aggregate) => {
                aggregate.param.iter_mut().for_each(|param| param.walk_mut(each));
                aggregate.expr.walk_mut(each);
            }
            Self::Binary(binary) => {
                binary.lhs.walk_mut(each);
                binary.rhs.walk_mut(each);
            }
            Self::Unary(unary) => unary.expr.walk_mut(each),
            Self::Paren(paren) => paren.expr.walk_mut(each),
        }
    }

    /// The expression within any parentheses.
    #[must_use]
    pub fn inner(&self) -> &Self {
        let mut expr = self;
        while let Self::Paren(paren) = expr {
            expr = &paren.expr;
        }
        expr
    }
}

/// A number as written.
#[derive(Clone, Debug, PartialEq)]
pub struct NumberLiteral {
    /// Its value; of a duration the seconds.
    pub value: f64,
    /// Whether it was written as a duration.
    pub duration: bool,
    /// Where it stands.
    pub span: Span,
}

/// A text as written.
#[derive(Clone, Debug, PartialEq)]
pub struct StringLiteral {
    /// Without quotes and escapes; where escapes made bytes that are no UTF-8 they are U+FFFD.
    pub value: String,
    /// The text quoted byte for byte, if it is not UTF-8: such a text is never a label.
    pub invalid: Option<String>,
    /// Where it stands.
    pub span: Span,
}

/// A modifier of time: `@ 12.5`, `@ start()`, `@ end()`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum At {
    /// Milliseconds since the Unix epoch.
    Time(i64),
    /// The start of the query.
    Start,
    /// The end of the query.
    End,
}

/// `metric{label="value"} offset 5m @ 12`.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSelector {
    /// The name before the braces, if any. It is among `matchers` too.
    pub name: Option<String>,
    /// Every condition, that of the name included.
    pub matchers: Vec<Matcher>,
    /// How far back; negative is ahead.
    pub offset: Duration,
    /// A fixed time.
    pub at: Option<At>,
    /// Where it stands.
    pub span: Span,
}

/// `metric[5m]`. Offset and `@` are the selector's.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSelector {
    /// Whose samples.
    pub selector: VectorSelector,
    /// How far back; positive.
    pub range: Duration,
    /// Where it stands.
    pub span: Span,
}

/// `expr[1h:1m]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    /// What is evaluated again and again.
    pub expr: Expr,
    /// How far back; positive.
    pub range: Duration,
    /// The distance of two evaluations; `None` is the evaluator's default.
    pub step: Option<Duration>,
    /// How far back; negative is ahead.
    pub offset: Duration,
    /// A fixed time.
    pub at: Option<At>,
    /// Where it stands.
    pub span: Span,
}

/// `rate(...)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Its name as in the table of functions.
    pub function: &'static crate::functions::Function,
    /// Its arguments.
    pub args: Vec<Expr>,
    /// Where it stands.
    pub span: Span,
}

/// `sum by (job) (...)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// What it does.
    pub op: AggregateOp,
    /// The parameter of topk, bottomk, limitk, limit_ratio, quantile and count_values.
    pub param: Option<Expr>,
    /// What is aggregated.
    pub expr: Expr,
    /// The labels named, in the order written.
    pub grouping: Vec<String>,
    /// Whether the labels named are those that go.
    pub without: bool,
    /// Where it stands.
    pub span: Span,
}

/// An aggregation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the keyword of its name")]
pub enum AggregateOp {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    Quantile,
    CountValues,
    Limitk,
    LimitRatio,
}

impl AggregateOp {
    /// Every aggregation.
    pub const ALL: [Self; 14] = [
        Self::Sum,
        Self::Avg,
        Self::Min,
        Self::Max,
        Self::Count,
        Self::Group,
        Self::Stddev,
        Self::Stdvar,
        Self::Topk,
        Self::Bottomk,
        Self::Quantile,
        Self::CountValues,
        Self::Limitk,
        Self::LimitRatio,
    ];

    /// As written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Count => "count",
            Self::Group => "group",
            Self::Stddev => "stddev",
            Self::Stdvar => "stdvar",
            Self::Topk => "topk",
            Self::Bottomk => "bottomk",
            Self::Quantile => "quantile",
            Self::CountValues => "count_values",
            Self::Limitk => "limitk",
            Self::LimitRatio => "limit_ratio",
        }
    }

    /// The type of its parameter, if it has one.
    #[must_use]
    pub fn param(self) -> Option<Type> {
        match self {
            Self::Topk | Self::Bottomk | Self::Quantile | Self::Limitk | Self::LimitRatio => {
                Some(Type::Scalar)
            }
            Self::CountValues => Some(Type::String),
            _ => None,
        }
    }

    /// Whether Prometheus has it behind `--enable-feature=promql-experimental-functions`.
    #[must_use]
    pub fn is_experimental(self) -> bool {
        matches!(self, Self::Limitk | Self::LimitRatio)
    }
}

/// A binary operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the operator of its name")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    TrimUpper,
    TrimLower,
    And,
    Or,
    Unless,
}

impl BinaryOp {
    /// As written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::TrimUpper => "</",
            Self::TrimLower => ">/",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
        }
    }

    /// Whether it compares.
    #[must_use]
    pub fn is_comparison(self) -> bool {
        use BinaryOp::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        matches!(self, Equal | NotEqual | Less | LessOrEqual | Greater | GreaterOrEqual)
    }

    /// Whether it cuts what is above or below a number off a native histogram.
    #[must_use]
    pub fn is_trim(self) -> bool {
        matches!(self, Self::TrimUpper | Self::TrimLower)
    }

    /// Whether it is `and`, `or` or `unless`.
    #[must_use]
    pub fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }

    /// How strongly it binds: more is stronger. Only `^` binds to the right.
    #[must_use]
    pub fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            op if op.is_comparison() || op.is_trim() => 3,
            Self::Add | Self::Sub => 4,
            Self::Pow => 6,
            _ => 5,
        }
    }
}

/// Which side of a match may have many partners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cardinality {
    /// Neither.
    #[default]
    OneToOne,
    /// The left: `group_left`.
    ManyToOne,
    /// The right: `group_right`.
    OneToMany,
    /// Both: set operators.
    ManyToMany,
}

/// How the series of two vectors find each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matching {
    /// Which side may have many partners.
    pub cardinality: Cardinality,
    /// Whether `labels` are those compared (`on`) or those left out (`ignoring`, and the default).
    pub on: bool,
    /// The labels named, in the order written.
    pub labels: Vec<String>,
    /// The labels that `group_left` or `group_right` takes from the one side.
    pub include: Vec<String>,
}

/// `a + on (job) b`.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// What it does.
    pub op: BinaryOp,
    /// The left side.
    pub lhs: Expr,
    /// The right side.
    pub rhs: Expr,
    /// How series match; of no meaning unless both sides are vectors.
    pub matching: Matching,
    /// Whether a comparison gives 0 or 1 instead of filtering.
    pub return_bool: bool,
    /// Where it stands.
    pub span: Span,
}

/// `-a`, `+a`.
#[derive(Clone, Debug, PartialEq)]
pub struct Unary {
    /// Whether it is `-`.
    pub negative: bool,
    /// Of what.
    pub expr: Expr,
    /// Where it stands.
    pub span: Span,
}

/// `(a)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Paren {
    /// What is in it.
    pub expr: Expr,
    /// Where it stands.
    pub span: Span,
}
