//! Comma-separated values as RFC 4180 has them, with nothing that a spreadsheet takes for a formula.

use std::borrow::Cow;

/// A text that no spreadsheet takes for a formula: values come from telemetry.
#[must_use]
pub fn harmless(text: &str) -> Cow<'_, str> {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if formula { format!("'{text}").into() } else { text.into() }
}

/// Adds one line. Quotes what needs it; texts of others are made [`harmless`] first.
pub fn line(out: &mut String, cells: impl IntoIterator<Item: AsRef<str>>) {
    for (nth, cell) in cells.into_iter().enumerate() {
        let cell = cell.as_ref();
        if nth > 0 {
            out.push(',');
        }
        if cell.contains([',', '"', '\r', '\n']) {
            out.push('"');
            out.push_str(&cell.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(cell);
        }
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_looks_like_a_formula_is_one_in_no_spreadsheet() {
        for formula in ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(harmless(formula), format!("'{formula}"));
        }
        assert_eq!(["/a=b", "", "'x", "1-2"].map(harmless), ["/a=b", "", "'x", "1-2"]);
    }

    #[test]
    fn what_would_end_a_cell_is_quoted() {
        let mut out = String::new();
        line(&mut out, ["a", "b,c", "d\"e", "f\ng", ""]);
        assert_eq!(out, "a,\"b,c\",\"d\"\"e\",\"f\ng\",\r\n");
    }
}
