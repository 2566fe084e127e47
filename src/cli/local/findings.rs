//! Findings for programs: one JSON document for whatever was checked.

use serde_json::{Value, json};

use crate::config::{Finding, Sources};

/// A finding for programs.
pub(super) fn finding(sources: &Sources, finding: &Finding) -> Value {
    let span = finding.span;
    json!({
        "severity": finding.severity.as_str(),
        "source": sources.of(span).map(|source| source.name.as_str()),
        "line": span.line,
        "column": span.column,
        "length": span.length,
        "message": finding.message,
        "help": finding.help,
    })
}

pub(super) fn document(valid: bool, findings: &[Value]) -> String {
    format!("{}\n", json!({"schema_version": 1, "valid": valid, "findings": findings}))
}
