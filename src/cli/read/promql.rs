//! What the PromQL commands share: an expression checked before it is sent, and labels as PromQL writes them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use sidelight_promql::ParseError;

use crate::cli::exit::{Exit, Failure};
use crate::cli::terminal::Terminal;

/// Says where and why `expr` is no PromQL, with a caret below the place.
///
/// # Errors
/// It is none, and that was said.
pub(crate) fn check(expr: &str, terminal: &Terminal) -> Result<(), Failure> {
    match sidelight_promql::parse(expr) {
        Ok(_) => Ok(()),
        Err(error) => {
            terminal.say(&shown(&error, expr));
            Err(Failure::said(Exit::Usage))
        }
    }
}

/// What is wrong with `expr`, and where; what is empty has no place.
pub(crate) fn shown(error: &ParseError, expr: &str) -> String {
    if expr.trim().is_empty() { "the expression is empty".to_owned() } else { error.render(expr) }
}

/// A label set as the API gives it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Labels(BTreeMap<String, String>);

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |name: &str| {
            !name.starts_with(|c: char| c.is_ascii_digit())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
        };
        let name = self.0.get("__name__").filter(|name| plain(name));
        f.write_str(name.map_or("", String::as_str))?;
        let mut rest = self.0.iter().filter(|(known, _)| name.is_none() || *known != "__name__");
        let mut separator = "{";
        rest.try_for_each(|(name, value)| {
            f.write_str(std::mem::replace(&mut separator, ", "))?;
            if plain(name) {
                write!(f, "{name}={value:?}")
            } else {
                write!(f, "{name:?}={value:?}")
            }
        })?;
        match (separator, name) {
            ("{", Some(_)) => Ok(()),
            ("{", None) => f.write_str("{}"),
            _ => f.write_str("}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_written_as_a_selector() {
        for (json, expected) in [
            (r#"{"__name__":"up","job":"a\"b"}"#, r#"up{job="a\"b"}"#),
            (r#"{"__name__":"up"}"#, "up"),
            ("{}", "{}"),
            (
                r#"{"__name__":"http.requests","x.y":"1"}"#,
                r#"{__name__="http.requests", "x.y"="1"}"#,
            ),
        ] {
            let labels: Labels = serde_json::from_str(json).unwrap();
            assert_eq!(labels.to_string(), expected);
        }
    }
}
