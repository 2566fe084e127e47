//! Lists that others make as JSON documents, as CSV: `/api/sidelight/v1/{alerts,entries,storage}.csv`.
//!
//! A list has one line for each of its rows, with columns of its own; what is itself a document in a row, such as its labels, is
//! JSON in one cell. A document without a list has one line for each of its values.

use http::StatusCode;
use serde_json::Value;

use super::reply::Reply;
use crate::views::csv;

pub(super) const ALERTS: &[&str] = &[
    "state",
    "activeAt",
    "startsAt",
    "endsAt",
    "value",
    "silencedBy",
    "fingerprint",
    "labels",
    "annotations",
];
pub(super) const ENTRIES: &[&str] = &[
    "time_unix_seconds",
    "family",
    "service",
    "name",
    "duration_seconds",
    "outcome",
    "trace_id",
    "attributes",
];

/// A sheet as a reply.
pub(super) fn reply(sheet: String) -> Reply {
    Reply::new(StatusCode::OK, "text/csv; charset=utf-8; header=present", sheet)
}

/// The list `of` a document, by `columns`.
pub(super) fn list(document: &str, of: &str, columns: &[&str]) -> String {
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    let rows = document.get(of).and_then(Value::as_array).into_iter().flatten();
    let mut out = String::new();
    csv::line(&mut out, columns);
    for row in rows {
        let cells = columns.iter().map(|column| row.get(column).map(cell).unwrap_or_default());
        csv::line(&mut out, cells);
    }
    out
}

/// Every value of a document, by where it is: `retention_seconds.raw`.
pub(super) fn values(document: &Value) -> String {
    let mut out = String::new();
    csv::line(&mut out, ["name", "value"]);
    add("", document, &mut out);
    out
}

fn add(name: &str, value: &Value, out: &mut String) {
    let below = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
    match value {
        Value::Object(members) => members.iter().for_each(|(key, of)| add(&below(key), of, out)),
        Value::Array(all) => {
            for (nth, of) in all.iter().enumerate() {
                add(&below(&nth.to_string()), of, out);
            }
        }
        value => csv::line(out, [csv::harmless(name).into_owned(), cell(value)]),
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => csv::harmless(text).into_owned(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_is_a_line_for_each_row_and_a_label_is_no_formula() {
        let document = json!({ "schema_version": 1, "entries": [
            { "family": "http", "name": "=1+1", "duration_seconds": 0.25, "attributes": { "a": "b" } },
            { "family": "cache", "trace_id": null },
        ] });
        assert_eq!(
            list(
                &document.to_string(),
                "entries",
                &["family", "name", "duration_seconds", "trace_id", "attributes"]
            )
            .replace("\r\n", "\n"),
            "family,name,duration_seconds,trace_id,attributes\nhttp,'=1+1,0.25,,\"{\"\"a\"\":\"\"b\"\"}\"\ncache,,,,\n"
        );
    }

    #[test]
    fn a_document_is_a_line_for_each_of_its_values() {
        let document = json!({ "series": 2, "retention_seconds": { "raw": 3 }, "files": [{ "file": "a.db" }] });
        assert_eq!(
            values(&document).replace("\r\n", "\n"),
            "name,value\nfiles.0.file,a.db\nretention_seconds.raw,3\nseries,2\n"
        );
    }
}
