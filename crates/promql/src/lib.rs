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
pub mod functions;
pub mod histogram;
pub mod labels;
pub mod source;

pub use annotations::Annotations;
pub use ast::Expr;
pub use histogram::Histogram;
pub use labels::{Label, Labels};
pub use source::{Points, Queryable, Reads, Selection, SourceError};
