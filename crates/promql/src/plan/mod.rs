//! The plan of a query: the expression with its times resolved, its constants folded, and what is the
//! same at every step marked so that it is evaluated once.

mod absent;
mod build;
mod durations;
mod names;
mod node;

pub(crate) use build::{build, reads};
pub(crate) use node::{
    Aggregate, Binary, Call, Node, OverTime, Query, Selector, Subquery, Window, WindowSource,
};
