//! What a template is made of.

use std::collections::BTreeMap;

/// A template and those it defines by name.
#[derive(Debug, PartialEq)]
pub(super) struct Tree {
    pub(super) main: Vec<Step>,
    pub(super) defined: BTreeMap<String, Vec<Step>>,
}

/// One part of a template.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Bytes of the source that are written as they are.
    Text {
        at: usize,
        end: usize,
    },
    /// `{{pipe}}`: writes the value, unless it declares a variable.
    Action(Pipe),
    If {
        pipe: Pipe,
        then: Vec<Step>,
        otherwise: Vec<Step>,
    },
    With {
        pipe: Pipe,
        then: Vec<Step>,
        otherwise: Vec<Step>,
    },
    Range {
        pipe: Pipe,
        body: Vec<Step>,
        otherwise: Vec<Step>,
    },
    /// `{{template "name" pipe}}`.
    Template {
        place: Place,
        name: String,
        pipe: Option<Pipe>,
    },
    Break,
    Continue,
}

/// Where something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The byte that errors name.
    pub(super) at: usize,
    /// The first byte and the one after the last, for errors to quote.
    pub(super) from: usize,
    pub(super) end: usize,
}

/// `$x, $y := command | command`.
#[derive(Debug, PartialEq)]
pub(super) struct Pipe {
    pub(super) place: Place,
    pub(super) variables: Vec<String>,
    /// `=` and not `:=`.
    pub(super) assigns: bool,
    /// At least one.
    pub(super) commands: Vec<Command>,
}

/// A function or value, and what it is given.
#[derive(Debug, PartialEq)]
pub(super) struct Command {
    pub(super) place: Place,
    pub(super) first: Operand,
    pub(super) arguments: Vec<Operand>,
}

/// One word of a command.
#[derive(Debug, PartialEq)]
pub(super) struct Operand {
    pub(super) place: Place,
    pub(super) term: Term,
    /// `.a.b` behind it; of a [`Term::Dot`] also what makes it `.a.b`.
    pub(super) fields: Vec<String>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Term {
    Function(String),
    Dot,
    Nil,
    /// With its `$`.
    Variable(String),
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Pipe(Box<Pipe>),
}
