//! PromQL as Prometheus 3.15 defines it: text to expression and back, expression and series to an answer.
//!
//! ```text
//! text ─▶ lexer ─▶ parser ─▶ ast::Expr ─▶ plan ─▶ eval ─▶ Value
//!                             │  ▲                 │
//!                             ▼  └─ printer        └─ asks a `Queryable` for series
//! ```
//!
//! Pure: no I/O, no clock, no runtime. Times are milliseconds since the Unix epoch.

pub mod annotations;
pub mod ast;
pub mod calendar;
pub mod duration;
pub mod engine;
mod eval;
pub mod functions;
pub mod histogram;
mod kahan;
pub mod labels;
mod limits;
mod matcher;
pub mod memory;
pub mod notation;
pub mod parse;
mod plan;
mod print;
pub mod quote;
pub mod source;
pub mod value;

pub use annotations::Annotations;
pub use ast::Expr;
pub use engine::{Engine, Options, QueryError, Stop};
pub use histogram::Histogram;
pub use labels::{Label, Labels};
pub use parse::{ParseError, parse, parse_selector, parse_with};
pub use source::{Each, Points, Queryable, Reads, Selection, SourceError};
pub use value::{Answer, Sample, SampleValue, Series, Value};
