//! The parts of a plan.

use crate::Labels;
use crate::ast::{AggregateOp, BinaryOp, Matcher, Matching, Span};
use crate::functions::Function;
use crate::source::Reads;

/// A whole query.
#[derive(Debug)]
pub(crate) enum Query<'a> {
    /// One value per label set and step, or a text.
    Node(Node<'a>),
    /// The samples of a window, which only an instant query may ask for.
    Window(Window<'a>),
}

/// A part that gives one value per label set and step, or a text.
#[derive(Debug)]
pub(crate) enum Node<'a> {
    Number(f64),
    Text(&'a str),
    Select(Selector<'a>),
    /// `timestamp(selector)`: the times of the samples themselves.
    Timestamps(Selector<'a>),
    Call(Call<'a>),
    OverTime(Box<OverTime<'a>>),
    Aggregate(Box<Aggregate<'a>>),
    Binary(Box<Binary<'a>>),
    Negate(Box<Node<'a>>),
    /// The same at every step: evaluated at the first.
    Once(Box<Node<'a>>),
}

impl<'a> Node<'a> {
    /// The first selector within, in the order of the text.
    pub(crate) fn first_selector(&self) -> Option<Selector<'a>> {
        match self {
            Self::Number(_) | Self::Text(_) => None,
            Self::Select(selector) | Self::Timestamps(selector) => Some(*selector),
            Self::Call(call) => call.args.iter().find_map(Node::first_selector),
            Self::OverTime(call) => match &call.window.source {
                WindowSource::Selector(selector) => Some(*selector),
                WindowSource::Subquery(subquery) => subquery.node.first_selector(),
            },
            Self::Aggregate(aggregate) => aggregate.node.first_selector(),
            Self::Binary(binary) => {
                binary.lhs.first_selector().or_else(|| binary.rhs.first_selector())
            }
            Self::Negate(node) | Self::Once(node) => node.first_selector(),
        }
    }
}

/// An instant selector, or the series of a range selector.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selector<'a> {
    pub(crate) matchers: &'a [Matcher],
    /// Milliseconds back.
    pub(crate) offset: i64,
    /// A fixed time instead of that of the step.
    pub(crate) at: Option<i64>,
    /// What is made of the samples.
    pub(crate) reads: Reads,
    /// Whether anything looks at the buckets of native histograms.
    pub(crate) buckets: bool,
}

impl Selector<'_> {
    /// The time that samples are looked up for, at a step of `time`.
    pub(crate) fn reference(&self, time: i64) -> i64 {
        self.at.unwrap_or(time).saturating_sub(self.offset)
    }
}

/// A function of each series' value at the step, or of several such.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) function: &'static Function,
    pub(crate) args: Vec<Node<'a>>,
    /// Where the arguments stand.
    pub(crate) arg_spans: Vec<Span>,
    pub(crate) span: Span,
    /// The labels of `absent`.
    pub(crate) absent: Labels,
}

/// A function of each series' samples in a window before the step.
#[derive(Debug)]
pub(crate) struct OverTime<'a> {
    pub(crate) function: &'static Function,
    pub(crate) window: Window<'a>,
    /// The other arguments, which are numbers, and where they stand.
    pub(crate) params: Vec<(Node<'a>, Span)>,
    /// The labels of `absent_over_time`.
    pub(crate) absent: Labels,
}

/// Samples of a stretch of time before each step.
#[derive(Debug)]
pub(crate) struct Window<'a> {
    pub(crate) source: WindowSource<'a>,
    /// How long, in milliseconds: the samples after the reference less this, up to and with it.
    pub(crate) range: i64,
    /// How far before that the sample is looked for from which growth is counted, in milliseconds.
    pub(crate) before: i64,
    pub(crate) span: Span,
}

/// Whose samples.
#[derive(Debug)]
pub(crate) enum WindowSource<'a> {
    Selector(Selector<'a>),
    Subquery(Subquery<'a>),
}

/// An expression evaluated at steps of its own.
#[derive(Debug)]
pub(crate) struct Subquery<'a> {
    pub(crate) node: Node<'a>,
    pub(crate) step: i64,
    pub(crate) offset: i64,
    pub(crate) at: Option<i64>,
}

impl Subquery<'_> {
    /// The end of the window at a step of `time`.
    pub(crate) fn reference(&self, time: i64) -> i64 {
        self.at.unwrap_or(time).saturating_sub(self.offset)
    }
}

/// An aggregation.
#[derive(Debug)]
pub(crate) struct Aggregate<'a> {
    pub(crate) op: AggregateOp,
    pub(crate) param: Option<Node<'a>>,
    pub(crate) param_span: Span,
    pub(crate) span: Span,
    pub(crate) node: Node<'a>,
    pub(crate) node_span: Span,
    /// Sorted, each once.
    pub(crate) grouping: Vec<&'a str>,
    pub(crate) without: bool,
}

/// A binary operator.
#[derive(Debug)]
pub(crate) struct Binary<'a> {
    pub(crate) op: BinaryOp,
    pub(crate) lhs: Node<'a>,
    pub(crate) rhs: Node<'a>,
    pub(crate) matching: &'a Matching,
    pub(crate) return_bool: bool,
    pub(crate) span: Span,
}
