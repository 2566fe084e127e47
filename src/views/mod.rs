//! Views: what people look at, as tables whose cells are PromQL.
//!
//! ```text
//! View ─ columns ─▶ PromQL ─┐
//!                           ├─▶ evaluated over the asked window ─▶ joined by the view's keys ─▶ Rows
//! Definitions (rules) ──────┘
//! ```
//! What a number means is said once, in the rule file: a column names a recording rule, and the rule's
//! expression is evaluated again, over the window that is asked for, with the rules that it names. So the API,
//! the command line and a dashboard that reads the recorded series agree.
//!
//! Pure but for the store that is asked. Limits: those of a query, for each column and rule; [`ROWS_MAX`].

pub mod csv;
mod definitions;
mod overlay;
mod rows;
mod table;
#[cfg(test)]
mod tests;

pub use definitions::Definition;
pub use rows::{Cell, ROWS_MAX, Row, Rows, Times, evaluate};
pub use table::VIEWS;

/// A table.
#[derive(Debug)]
pub struct View {
    /// Its name, the last part of its path.
    pub name: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// The labels that tell its rows apart.
    pub keys: &'static [&'static str],
    /// What is told of each.
    pub columns: &'static [Column],
    /// Over what time.
    pub window: Window,
    /// The column it is sorted by; `-` before it: the largest first.
    pub sort: &'static str,
}

/// A column.
#[derive(Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// In what it is measured.
    pub unit: &'static str,
    /// What it is.
    pub help: &'static str,
    /// An expression with at most one sample for a row.
    pub expr: &'static str,
    /// What of the sample is shown.
    pub shows: Shows,
}

/// What of a sample is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// Its value.
    Value,
    /// The value of a label.
    Label(&'static str),
    /// The name at the value's place, from 0 on.
    Name(&'static [&'static str]),
}

/// The time that a view is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The one asked for: every range in an expression becomes it.
    Asked,
    /// As the expressions have it.
    Own,
    /// A row for each step of the one asked for, over that step.
    Steps,
}

impl View {
    /// The view called `name`.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        VIEWS.iter().find(|view| view.name == name)
    }
}
