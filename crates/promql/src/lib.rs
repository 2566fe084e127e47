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
mod arithmetic;
pub mod ast;
pub mod calendar;
pub mod duration;
pub mod engine;
mod error;
mod eval;
pub mod functions;
pub mod histogram;
mod kahan;
pub mod labels;
mod limits;
mod marker;
mod matcher;
pub mod memory;
pub mod notation;
mod options;
pub mod parse;
mod plan;
mod print;
pub mod quote;
pub mod source;
mod steps;
mod types;
pub mod value;

pub use annotations::Annotations;
pub use ast::Expr;
pub use engine::Engine;
pub use error::QueryError;
pub use histogram::Histogram;
pub use labels::{Label, Labels};
pub use limits::SAMPLE_BYTES;
pub use options::{Options, Stop};
pub use parse::{ParseError, parse, parse_selector, parse_with};
pub use source::{Each, Points, Queryable, Reads, Selection, SourceError, Warnings};
pub use value::{Answer, Sample, SampleValue, Series, Value};
