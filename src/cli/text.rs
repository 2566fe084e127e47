//! Rows of text: tables for people, CSV for programs, nothing that steers the terminal.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use crate::views::csv;

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people.
    Text,
    /// One document.
    Json,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Columns, for people.
    Table,
    /// One document.
    Json,
    /// A JSON object a line, one for each row.
    Ndjson,
    /// RFC 4180, with a heading.
    Csv,
}

/// Rows under headings; on a terminal no wider than it, else as wide as they are. `numbers` are the
/// columns aligned to the right.
pub(crate) fn table(
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

/// Rows as CSV. Texts that a spreadsheet would take for a formula are made harmless; numbers stay.
pub(crate) fn csv<Cell: AsRef<str>>(rows: impl IntoIterator<Item = Vec<Cell>>) -> String {
    let mut out = String::new();
    for row in rows {
        csv::line(
            &mut out,
            row.iter().map(|cell| match cell.as_ref() {
                number if number.parse::<f64>().is_ok() => number.into(),
                text => csv::harmless(text),
            }),
        );
    }
    out
}

/// Names come from whoever sends telemetry: nothing in them may steer the terminal.
pub(crate) fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        _ if c.is_control() => '\u{fffd}',
        _ => c,
    };
    text.chars().map(shown).collect()
}

/// Bytes with three significant digits and a binary unit.
#[expect(clippy::cast_precision_loss, reason = "a shown value")]
pub(crate) fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut units = ["B", "KiB", "MiB", "GiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    let digits = if unit == "B" || value >= 100.0 { 0 } else { usize::from(value < 10.0) + 1 };
    format!("{value:.digits$} {unit}")
}

/// Three significant digits in the unit that fits.
pub(crate) fn seconds(seconds: f64) -> String {
    let (value, unit) = match seconds.abs() {
        s if s >= 1.0 || s == 0.0 => (seconds, "s"),
        s if s >= 1e-3 => (seconds * 1e3, "ms"),
        s if s >= 1e-6 => (seconds * 1e6, "µs"),
        _ => (seconds * 1e9, "ns"),
    };
    match value.abs() {
        v if v >= 100.0 || v == 0.0 => format!("{value:.0} {unit}"),
        v if v >= 10.0 => format!("{value:.1} {unit}"),
        _ => format!("{value:.2} {unit}"),
    }
}

/// A time as its two largest units: `3 h 12 min`.
pub(crate) fn long_time(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
    let whole = seconds.clamp(0.0, 1e12) as u64;
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut parts = Vec::new();
    let mut rest = whole;
    for (length, unit) in units {
        let count = rest / length;
        rest %= length;
        if count > 0 {
            parts.push(format!("{count} {unit}"));
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits_and_a_unit() {
        let shown = [0, 1_023, 1_024, 1_536, 10_240, 512_000, 285 << 20, 3 << 30].map(size);
        assert_eq!(
            shown,
            ["0 B", "1023 B", "1.00 KiB", "1.50 KiB", "10.0 KiB", "500 KiB", "285 MiB", "3.00 GiB"]
        );
    }

    #[test]
    fn long_times_have_two_units() {
        let shown = [0.4, 59.0, 61.0, 3_600.0, 11_520.0, 90_000.0, 86_460.0].map(long_time);
        assert_eq!(shown, ["0 s", "59 s", "1 min 1 s", "1 h", "3 h 12 min", "1 d 1 h", "1 d"]);
    }

    #[test]
    fn texts_of_several_lines_are_shown_in_one_and_do_not_steer_the_terminal() {
        assert_eq!(printable("Traceback:\n\tat 1\r\u{1b}[31m"), "Traceback:  at 1 \u{fffd}[31m");
    }

    #[test]
    fn texts_that_look_like_formulas_are_none_in_csv_and_numbers_stay() {
        let rows = [vec!["=1+1", "-1.5"], vec!["a,b", "+Inf"]];
        assert_eq!(csv(rows), "'=1+1,-1.5\r\n\"a,b\",+Inf\r\n");
    }
}
