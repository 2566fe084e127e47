//! Results as JUnit XML, which test runners read.

use std::fmt::Write as _;

use super::run::Case;

/// The results of files by name.
#[must_use]
pub fn document(suites: &[(String, Vec<Case>)]) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (name, cases) in suites {
        let failures = cases.iter().filter(|case| !case.failures.is_empty()).count();
        let (name, tests) = (escaped(name), cases.len());
        // Writing to a text does not fail.
        let _ = writeln!(
            text,
            "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">"
        );
        for case in cases {
            let name = escaped(&case.name);
            if case.failures.is_empty() {
                let _ = writeln!(text, "    <testcase name=\"{name}\"/>");
                continue;
            }
            let _ = writeln!(text, "    <testcase name=\"{name}\">");
            for failure in &case.failures {
                let _ = writeln!(text, "      <failure>{}</failure>", escaped(failure));
            }
            let _ = writeln!(text, "    </testcase>");
        }
        let _ = writeln!(text, "  </testsuite>");
    }
    text + "</testsuites>\n"
}

/// Without what has a meaning in XML, or no place in it.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\n' => escaped += "&#xA;",
            '\t' => escaped.push('\t'),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
