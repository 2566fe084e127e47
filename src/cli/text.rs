//! Rows of text: tables for people, CSV for programs, nothing that steers the terminal.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// How rows are written.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Format {
    Table,
    Json,
    Csv,
}

/// Rows under headings; on a terminal no wider than it, else as wide as they are. `numbers` are the
/// columns aligned to the right.
pub(super) fn table(
    headings: &[&str],
    numbers: &[usize],
    rows: impl IntoIterator<Item = Vec<String>>,
    width: Option<u16>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if let Some(width) = width {
        table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic);
    }
    table.set_header(headings);
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if numbers.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Rows as RFC 4180 has them.
pub(super) fn csv<Cell: AsRef<str>>(rows: impl IntoIterator<Item = Vec<Cell>>) -> String {
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| quoted(cell.as_ref())).collect();
        out += &cells.join(",");
        out += "\r\n";
    }
    out
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// Names come from whoever sends telemetry: nothing in them may steer the terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
