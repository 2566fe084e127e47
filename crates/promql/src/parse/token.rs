//! The words of PromQL.

use crate::ast::{AggregateOp, BinaryOp, Span};

/// A word and where it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Lexeme {
    pub(super) token: Token,
    pub(super) span: Span,
}

/// The kind of a word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token {
    End,
    Comma,
    Colon,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    /// `=`
    Assign,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
    At,
    Operator(BinaryOp),
    Number,
    Duration,
    String,
    Identifier,
    /// An identifier with a colon, which only metrics' names have.
    MetricIdentifier,
    Aggregate(AggregateOp),
    Keyword(Keyword),
}

/// A word with a meaning of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    Anchored,
    Bool,
    By,
    End,
    Fill,
    GroupLeft,
    GroupRight,
    Ignoring,
    MaxOf,
    MinOf,
    Offset,
    On,
    Range,
    Smoothed,
    Start,
    Step,
    Without,
}

impl Keyword {
    /// Whether it is a function as well.
    pub(super) fn is_function(self) -> bool {
        matches!(
            self,
            Self::Start | Self::End | Self::Step | Self::Range | Self::MaxOf | Self::MinOf
        )
    }
}

/// What `word` means outside of braces. Case does not count.
pub(super) fn classify(word: &str) -> Token {
    let lower = word.to_ascii_lowercase();
    if let Some(op) = AggregateOp::ALL.into_iter().find(|op| op.name() == lower) {
        return Token::Aggregate(op);
    }
    let keyword = match lower.as_str() {
        "inf" | "nan" => return Token::Number,
        "and" => return Token::Operator(BinaryOp::And),
        "or" => return Token::Operator(BinaryOp::Or),
        "unless" => return Token::Operator(BinaryOp::Unless),
        "atan2" => return Token::Operator(BinaryOp::Atan2),
        "anchored" => Keyword::Anchored,
        "bool" => Keyword::Bool,
        "by" => Keyword::By,
        "end" => Keyword::End,
        "fill" | "fill_left" | "fill_right" => Keyword::Fill,
        "group_left" => Keyword::GroupLeft,
        "group_right" => Keyword::GroupRight,
        "ignoring" => Keyword::Ignoring,
        "max_of" => Keyword::MaxOf,
        "min_of" => Keyword::MinOf,
        "offset" => Keyword::Offset,
        "on" => Keyword::On,
        "range" => Keyword::Range,
        "smoothed" => Keyword::Smoothed,
        "start" => Keyword::Start,
        "step" => Keyword::Step,
        "without" => Keyword::Without,
        _ if word.contains(':') => return Token::MetricIdentifier,
        _ => return Token::Identifier,
    };
    Token::Keyword(keyword)
}

impl Token {
    /// Whether it may be the name of a metric where one can stand.
    pub(super) fn is_metric_name(self) -> bool {
        match self {
            Self::Identifier | Self::MetricIdentifier | Self::Aggregate(_) => true,
            Self::Operator(op) => op.is_set(),
            Self::Keyword(keyword) => !matches!(
                keyword,
                Keyword::Bool
                    | Keyword::GroupLeft
                    | Keyword::GroupRight
                    | Keyword::Ignoring
                    | Keyword::On
            ),
            _ => false,
        }
    }

    /// Whether it may be a label where labels are listed.
    pub(super) fn is_label(self) -> bool {
        matches!(
            self,
            Self::Identifier
                | Self::MetricIdentifier
                | Self::Aggregate(_)
                | Self::Keyword(_)
                | Self::Operator(BinaryOp::And | BinaryOp::Or | BinaryOp::Unless | BinaryOp::Atan2)
        )
    }
}
