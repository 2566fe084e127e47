//! Templates of labels and annotations: Go's `text/template` with Prometheus' functions.
//!
//! ```text
//! text ─▶ lex ─▶ parse ─▶ Template ─▶ exec ─▶ text
//! ```
//!
//! What differs from Go: mistakes with variables and numbers are found when the template is parsed; complex
//! and hexadecimal floating-point numbers are neither read nor written; a few errors name the place itself
//! where Go names the one before; a pattern that is no regular expression is said in our words; `tmpl` is
//! known, and of the methods of times and durations those that [`calendar`] has.
//!
//! A template that fails never fails its rule: the text says what went wrong, as Prometheus words it.
//!
//! Limits: [`OUTPUT_MAX`] bytes; depth and steps in [`exec`] and [`parse`](mod@parse).
//!
//! Source: the Go packages `text/template` and `fmt`; Prometheus 3.15, "Template reference".

mod ast;
mod builtin;
mod calendar;
mod exec;
mod functions;
mod humanize;
mod lex;
mod link;
mod number;
mod parse;
mod printf;
#[cfg(test)]
mod tests;
mod value;

use std::fmt;

use sidelight_promql::{Expr, Sample, SampleValue};

use crate::time::UnixNano;

/// The longest text that a template may give, and the longest it may work with, in bytes.
pub const OUTPUT_MAX: usize = 64 * 1024;

/// What a template is expanded with.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The labels of the sample: `$labels`.
    pub labels: &'a [(String, String)],
    /// `$externalLabels`.
    pub external_labels: &'a [(String, String)],
    /// `$externalURL`.
    pub external_url: &'a str,
    /// The value of the sample: `$value`.
    pub value: &'a SampleValue,
    /// The time of the evaluation.
    pub now: UnixNano,
    /// Answers the PromQL of the function `query` at that time.
    pub query: &'a dyn Fn(&str) -> Result<Vec<Sample>, String>,
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("labels", &self.labels)
            .field("value", &self.value)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// A template that was parsed.
#[derive(Debug, PartialEq)]
pub struct Template {
    text: String,
    /// `None` for a text without an action, which stands for itself.
    tree: Option<ast::Tree>,
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// The byte at which it stops being one.
    pub offset: usize,
    /// What is wrong, in Go's words.
    pub message: String,
}

/// Parses `text`. Which functions and variables there are is checked, types are not.
///
/// # Errors
/// The first mistake.
pub fn parse(text: &str) -> Result<Template, TemplateError> {
    let tree = if text.contains("{{") { Some(parse::parse(text)?) } else { None };
    Ok(Template { text: text.to_owned(), tree })
}

/// The name of the function most like `name`, for a suggestion.
#[must_use]
pub fn like(name: &str) -> Option<&'static str> {
    let near = functions::names().map(|known| (strsim::osa_distance(known, name), known));
    near.filter(|(distance, _)| *distance <= 2).min().map(|(_, known)| known)
}

/// Where an expression's table is, below the external URL: what `tableLink` gives.
pub(super) fn table_link(expr: &Expr) -> String {
    link::graph(&expr.to_string(), 1)
}

impl Template {
    /// The text for `context`, or what went wrong. Places are named by `name`.
    #[must_use]
    pub fn expand(&self, name: &str, context: &Context<'_>) -> String {
        let Some(tree) = &self.tree else { return self.text.clone() };
        exec::execute(name, &self.text, tree, context)
            .unwrap_or_else(|error| failed(&format!("error executing template {name}: {error}")))
    }
}

/// Parses and expands `text`: its text for `context`, or `<error expanding template: …>`. Places in it are
/// named by `name`; Prometheus gives `__alert_` and the alert's name.
#[must_use]
pub fn expand(name: &str, text: &str, context: &Context<'_>) -> String {
    match parse(text) {
        Ok(template) => template.expand(name, context),
        Err(error) => {
            let before = text.get(..error.offset).unwrap_or(text);
            let line = 1 + before.matches('\n').count();
            let message = error.message;
            failed(&format!("error parsing template {name}: template: {name}:{line}: {message}"))
        }
    }
}

fn failed(why: &str) -> String {
    format!("<error expanding template: {why}>")
}
