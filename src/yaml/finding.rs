//! What is wrong with a configuration, where, and how it is shown.
//!
//! ```text
//! config.yaml:3:5: unknown key `durabilty`
//!   |
//! 3 |     durabilty: os
//!   |     ^^^^^^^^^
//!   = help: did you mean `durability`?
//! ```

use std::fmt::Write as _;

/// Which of the [`Sources`] something stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceId(usize);

impl SourceId {
    /// The first source of a list.
    pub const FIRST: Self = Self(0);
}

/// A place in a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The source.
    pub source: SourceId,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// Characters, all in one line; 0 where there is nothing to underline.
    pub length: usize,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration is not used.
    Error,
    /// The configuration works, but probably not as meant.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it can be lived with.
    pub severity: Severity,
    /// Where.
    pub span: Span,
    /// What, lowercase, without a full stop.
    pub message: String,
    /// Why, or how to fix it.
    pub help: Option<String>,
    /// The line holds a secret and must not be shown.
    pub secret: bool,
}

impl Finding {
    /// An error at `span`.
    #[must_use]
    pub fn error(span: Span, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { severity: Severity::Error, span, message, help: None, secret: false }
    }

    /// A warning at `span`.
    #[must_use]
    pub fn warning(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, message) }
    }

    /// The same with why, or how to fix it.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// Where a configuration value can come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// Not written anywhere: the documented default.
    Default,
    /// A file, or standard input.
    File,
    /// A `SIDELIGHT__…` environment variable.
    Environment,
    /// A `--set` flag.
    Flag,
}

/// One text that configuration was read from.
#[derive(Clone, Debug)]
pub struct Source {
    /// What kind of source it is.
    pub kind: SourceKind,
    /// A path, `environment` or `--set`.
    pub name: String,
    /// The whole text; of variables and flags `NAME=value`.
    pub text: String,
}

/// Every text that was read, in order of precedence: the last one wins.
#[derive(Clone, Debug, Default)]
pub struct Sources(Vec<Source>);

impl Sources {
    /// Adds a text; what spans in it name.
    pub fn add(&mut self, kind: SourceKind, name: &str, text: String) -> SourceId {
        self.0.push(Source { kind, name: name.to_owned(), text });
        SourceId(self.0.len() - 1)
    }

    /// The source that `span` is in.
    #[must_use]
    pub fn of(&self, span: Span) -> Option<&Source> {
        self.0.get(span.source.0)
    }

    /// `file:line:column`, or the name of the variable or flag.
    #[must_use]
    pub fn place(&self, span: Span) -> String {
        match self.of(span) {
            Some(Source { kind: SourceKind::File, name, .. }) => {
                format!("{name}:{}:{}", span.line, span.column)
            }
            Some(source) => source.name.clone(),
            None => "defaults".to_owned(),
        }
    }
}

/// Everything that is wrong with a configuration, at least one error, in the order of the sources.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the configuration is not valid: {} to fix", self.counted())]
pub struct Findings {
    /// What was read.
    pub sources: Sources,
    /// What is wrong.
    pub list: Vec<Finding>,
}

impl Findings {
    /// `1 error` or `10 errors`.
    #[must_use]
    pub fn counted(&self) -> String {
        let errors = self.list.iter().filter(|f| f.severity == Severity::Error).count();
        if errors == 1 { "1 error".to_owned() } else { format!("{errors} errors") }
    }

    /// All of them as text, an empty line between two.
    #[must_use]
    pub fn render(&self, style: &Style) -> String {
        render(&self.sources, &self.list, style)
    }
}

/// Findings as text, an empty line between two.
#[must_use]
pub fn render(sources: &Sources, findings: &[Finding], style: &Style) -> String {
    let shown: Vec<String> = findings.iter().map(|f| render_one(sources, f, style)).collect();
    shown.join("\n")
}

/// Escape sequences around the parts of a finding; all empty without colour.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// Before the word `error` and its carets.
    pub error: &'static str,
    /// Before the word `warning` and its carets.
    pub warning: &'static str,
    /// Before line numbers and bars.
    pub frame: &'static str,
    /// After each.
    pub reset: &'static str,
}

impl Style {
    /// For a terminal with colours.
    pub const COLOUR: Self = Self {
        error: "\u{1b}[1;31m",
        warning: "\u{1b}[1;33m",
        frame: "\u{1b}[1;34m",
        reset: "\u{1b}[0m",
    };
}

/// The longest part of a line that is shown, in characters.
const LINE_CHARS_MAX: usize = 160;

fn render_one(sources: &Sources, finding: &Finding, style: &Style) -> String {
    let Style { error, warning, frame, reset } = *style;
    let severe = if finding.severity == Severity::Error { error } else { warning };
    let span = finding.span;
    let (place, word) = (sources.place(span), finding.severity.as_str());
    let mut out = format!("{place}: {severe}{word}{reset}: {}\n", finding.message);
    let line = sources.of(span).and_then(|s| s.text.lines().nth(span.line.saturating_sub(1)));
    if let Some(line) = line.filter(|_| !finding.secret) {
        let number = span.line.to_string();
        let gutter = " ".repeat(number.len());
        let (line, column) = window(line, span.column);
        let room = line.chars().count().saturating_sub(column - 1).max(1);
        let caret = "^".repeat(span.length.clamp(1, room));
        let before = " ".repeat(column - 1);
        let _ = writeln!(out, "{frame}{gutter} |{reset}");
        let _ = writeln!(out, "{frame}{number} |{reset} {line}");
        let _ = writeln!(out, "{frame}{gutter} |{reset} {before}{severe}{caret}{reset}");
    }
    if let Some(help) = &finding.help {
        let gutter = " ".repeat(span.line.to_string().len());
        let _ = writeln!(out, "{frame}{gutter} ={reset} help: {help}");
    }
    out
}

/// The part of `line` around `column` that is shown, and the column within it. Control characters
/// are shown as spaces, so that carets stand right and nothing steers the terminal.
fn window(line: &str, column: usize) -> (String, usize) {
    let column = column.max(1);
    let skip = column.saturating_sub(LINE_CHARS_MAX / 2);
    let shown = line.chars().skip(skip).take(LINE_CHARS_MAX);
    let shown = shown.map(|c| if c.is_control() { ' ' } else { c }).collect();
    (shown, column - skip)
}

/// The candidate nearest to `name`, if one is near enough to be meant.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_ascii_lowercase();
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(&lower, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(text: &str) -> Sources {
        let mut sources = Sources::default();
        sources.add(SourceKind::File, "config.yaml", text.to_owned());
        sources
    }

    #[test]
    fn a_finding_shows_its_line_a_caret_and_help() {
        let sources = sources("journal:\n  durabilty: os\n");
        let span = Span { source: SourceId::FIRST, line: 2, column: 3, length: 9 };
        let finding = Finding::error(span, "unknown key `durabilty`").help("did you mean it?");
        expect_test::expect![[r#"
            config.yaml:2:3: error: unknown key `durabilty`
              |
            2 |   durabilty: os
              |   ^^^^^^^^^
              = help: did you mean it?
        "#]]
        .assert_eq(&render(&sources, &[finding], &Style::default()));
    }

    #[test]
    fn a_line_with_a_secret_is_not_shown() {
        let sources = sources("authorization: hunter2\n");
        let span = Span { source: SourceId::FIRST, line: 1, column: 16, length: 7 };
        let finding = Finding { secret: true, ..Finding::error(span, "bad header") };
        let shown = render(&sources, &[finding], &Style::COLOUR);
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn long_lines_and_columns_outside_the_line_do_not_matter() {
        let sources = sources(&"x".repeat(5000));
        for column in [1, 80, 81, 4000, 9000] {
            let span = Span { source: SourceId::FIRST, line: 1, column, length: 7000 };
            let shown = render(&sources, &[Finding::error(span, "m")], &Style::default());
            assert!(shown.len() < 700, "{}", shown.len());
        }
    }
}
