//! A list in a JSON document as a table, as CSV, as a line of JSON each: every command that shows rows writes them
//! here, so that each has every format and the JSON is what the agent sent.

use std::time::Duration;

use serde_json::Value;

use super::exit::{Exit, Failure};
use super::terminal::Terminal;
use super::text::{Format, csv, table};
use crate::time::{UnixNano, rfc3339};

/// How a list is shown.
pub(crate) struct Shape {
    /// Where the list stands in the document.
    pub(crate) list: &'static str,
    pub(crate) columns: &'static [Column],
    /// What is said when it is empty.
    pub(crate) none: &'static str,
}

/// A column: its heading, and what stands below it.
pub(crate) struct Column {
    heading: &'static str,
    right: bool,
    shown: fn(&Value) -> String,
    /// For programs, where that is something else.
    plain: Option<Plain>,
}

/// A column for programs: its name, which says the unit, and what stands below it in full.
#[derive(Clone, Copy)]
struct Plain {
    name: &'static str,
    /// The row's member of that name where there is none.
    cell: Option<fn(&Value) -> String>,
}

impl Column {
    pub(crate) const fn text(heading: &'static str, shown: fn(&Value) -> String) -> Self {
        Self { heading, right: false, shown, plain: None }
    }

    pub(crate) const fn number(heading: &'static str, shown: fn(&Value) -> String) -> Self {
        Self { heading, right: true, shown, plain: None }
    }

    /// For programs it is this member of the row, as the JSON has it.
    pub(crate) const fn member(self, name: &'static str) -> Self {
        Self { plain: Some(Plain { name, cell: None }), ..self }
    }

    /// For programs it has this name and cell.
    pub(crate) const fn plain(self, name: &'static str, cell: fn(&Value) -> String) -> Self {
        Self { plain: Some(Plain { name, cell: Some(cell) }), ..self }
    }

    fn name(&self) -> String {
        let named = self.plain.map(|plain| plain.name.to_owned());
        named.unwrap_or_else(|| self.heading.to_lowercase().replace(' ', "_"))
    }

    fn cell(&self, row: &Value) -> String {
        match self.plain {
            None => (self.shown)(row),
            Some(Plain { name, cell: None }) => text(row, name),
            Some(Plain { cell: Some(cell), .. }) => cell(row),
        }
    }
}

impl Shape {
    /// Writes the list of `document`.
    ///
    /// # Errors
    /// That of writing.
    pub(crate) fn show(
        &self,
        document: &Value,
        format: Format,
        terminal: &Terminal,
    ) -> Result<(), Failure> {
        terminal.data(&self.shown(document, format, terminal))
    }

    /// What is written; where that is nothing, it is said.
    pub(crate) fn shown(&self, document: &Value, format: Format, terminal: &Terminal) -> String {
        if rows(document, self.list).is_empty() && format == Format::Table {
            terminal.note(self.none);
            return String::new();
        }
        self.text(document, format, terminal.width())
    }

    fn text(&self, document: &Value, format: Format, width: Option<u16>) -> String {
        let rows = rows(document, self.list);
        let headings: Vec<&str> = self.columns.iter().map(|column| column.heading).collect();
        match format {
            Format::Json => format!("{document}\n"),
            Format::Ndjson => rows.iter().map(|row| format!("{row}\n")).collect(),
            Format::Csv => {
                let head: Vec<String> = self.columns.iter().map(Column::name).collect();
                let cells =
                    |row: &Value| self.columns.iter().map(|column| column.cell(row)).collect();
                csv(std::iter::once(head).chain(rows.iter().map(cells)))
            }
            Format::Table => {
                let cells =
                    |row: &Value| self.columns.iter().map(|column| (column.shown)(row)).collect();
                let right = self.columns.iter().enumerate().filter(|(_, column)| column.right);
                let right: Vec<usize> = right.map(|(nth, _)| nth).collect();
                table(&headings, &right, rows.iter().map(cells), width)
            }
        }
    }

    /// The table, for tests.
    #[cfg(test)]
    pub(crate) fn table(&self, document: &Value) -> String {
        self.text(document, Format::Table, None)
    }
}

/// The list `name` of a document.
pub(crate) fn rows<'a>(document: &'a Value, name: &str) -> &'a [Value] {
    document.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// What a row has under `key`, as text.
pub(crate) fn text(row: &Value, key: &str) -> String {
    row.get(key).map_or_else(String::new, plain)
}

/// A value as text: strings without quotes, nothing for null.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A time of the API, seconds since 1970, for people.
pub(crate) fn time(row: &Value, key: &str) -> String {
    let seconds = row.get(key).and_then(Value::as_f64);
    let at = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    at.map_or_else(String::new, |at| rfc3339(UnixNano::default().after(at)))
}

/// The same of nanoseconds.
pub(crate) fn time_of_nanos(row: &Value, key: &str) -> String {
    let nanos = row.get(key).and_then(Value::as_u64);
    nanos.map_or_else(String::new, |nanos| rfc3339(UnixNano(nanos)))
}

/// The most rows: at least one.
///
/// # Errors
/// It is no such number.
pub(crate) fn limit(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|limit| *limit > 0);
    number.ok_or_else(|| "expected a whole number, at least 1".to_owned())
}

/// A document of the agent's.
///
/// # Errors
/// A [`Failure`] when it is none.
pub(crate) fn parsed(body: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(body).map_err(|error| unreadable(&error))
}

/// An answer that is not what this version expects.
pub(crate) fn unreadable(error: &serde_json::Error) -> Failure {
    Failure::new(Exit::Failed, "the agent's answer cannot be read")
        .because(error)
        .help("is this agent of another version? `sidelight version` tells this one's")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_has_every_format() {
        const SHAPE: Shape = Shape {
            list: "files",
            columns: &[
                Column::text("NAME", |row| text(row, "name")),
                Column::number("MEAN SIZE", |row| format!("{} B", text(row, "bytes")))
                    .plain("mean_bytes", |row| text(row, "bytes")),
                Column::text("IN USE", |_| "yes".to_owned()),
            ],
            none: "none",
        };
        let document = json!({"schema_version": 1, "files": [{"name": "a", "bytes": 7}, {"name": null, "bytes": 12}]});
        let shown = |format| SHAPE.text(&document, format, None);
        let table = "NAME  MEAN SIZE  IN USE\na           7 B  yes\n           12 B  yes\n";
        assert_eq!(shown(Format::Table), table);
        assert_eq!(shown(Format::Csv), "name,mean_bytes,in_use\r\na,7,yes\r\n,12,yes\r\n");
        assert_eq!(
            shown(Format::Ndjson),
            "{\"bytes\":7,\"name\":\"a\"}\n{\"bytes\":12,\"name\":null}\n"
        );
        assert_eq!(shown(Format::Json), format!("{document}\n"));
    }
}
