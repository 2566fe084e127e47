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
    /// Of a warning: what it is about stops a start here, though not on another machine.
    pub stops_start: bool,
    /// Of a warning: the agent starts here, and its peers refuse what it shows them, or it them.
    pub refuses_peers: bool,
}

impl Finding {
    /// An error at `span`.
    #[must_use]
    pub fn error(span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            span,
            message: message.into(),
            help: None,
            stops_start: false,
            refuses_peers: false,
        }
    }

    /// A warning at `span`.
    #[must_use]
    pub fn warning(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, message) }
    }

    /// The same, where it stops a start on this machine.
    #[must_use]
    pub fn stops_start(self, stops_start: bool) -> Self {
        Self { stops_start, ..self }
    }

    /// The same, where the agent starts and yet no peer can speak with it.
    #[must_use]
    pub fn refuses_peers(self, refuses_peers: bool) -> Self {
        Self { refuses_peers, ..self }
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

/// One text that configuration was read from. It may hold secrets: debugging shows its length.
#[derive(Clone)]
pub struct Source {
    /// What kind of source it is.
    pub kind: SourceKind,
    /// A path, `environment` or `--set`.
    pub name: String,
    /// The whole text; of variables and flags `NAME=value`.
    pub text: String,
    hidden: Hidden,
}

/// What of a text is never shown.
#[derive(Clone, Debug)]
enum Hidden {
    /// Secrets, where they stand.
    Spans(Vec<Span>),
    /// Whatever stands behind the first key of a line: nobody knows where the secrets are.
    Values,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format_args!("{} bytes", self.text.len());
        let mut shown = f.debug_struct("Source");
        shown.field("kind", &self.kind).field("name", &self.name).field("text", &text);
        shown.finish_non_exhaustive()
    }
}

/// Every text that was read, in order of precedence: the last one wins.
#[derive(Clone, Debug, Default)]
pub struct Sources(Vec<Source>);

impl Sources {
    /// Adds a text; what spans in it name.
    pub fn add(&mut self, kind: SourceKind, name: &str, text: String) -> SourceId {
        self.0.push(Source {
            kind,
            name: name.to_owned(),
            text,
            hidden: Hidden::Spans(Vec::new()),
        });
        SourceId(self.0.len() - 1)
    }

    /// Never shows what stands at `span`, whatever a finding is about.
    pub fn hide(&mut self, span: Span) {
        if let Some(Source { hidden: Hidden::Spans(spans), .. }) = self.0.get_mut(span.source.0) {
            spans.push(span);
        }
    }

    /// Shows no value of a text: for one that could not be parsed, or in which a secret stands over several lines.
    pub fn hide_values(&mut self, source: SourceId) {
        if let Some(source) = self.0.get_mut(source.0) {
            source.hidden = Hidden::Values;
        }
    }

    /// The files, or `-`, in order of precedence.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|source| source.kind == SourceKind::File).map(|file| &*file.name)
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
    if let Some((line, column, length)) = sources.of(span).and_then(|source| source.shown(span)) {
        let number = span.line.to_string();
        let gutter = " ".repeat(number.len());
        let (line, column) = window(&line, column);
        let room = line.chars().count().saturating_sub(column - 1).max(1);
        let caret = "^".repeat(length.clamp(1, room));
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

/// What stands for a secret.
pub const REDACTED: &str = "[redacted]";

impl Source {
    /// The line of `span` without secrets, and column and length of what `span` is in it; `None` where nothing of the line
    /// may be shown.
    fn shown(&self, span: Span) -> Option<(String, usize, usize)> {
        let line = self.text.lines().nth(span.line.saturating_sub(1))?;
        let mut hidden = match &self.hidden {
            Hidden::Values => {
                let end = line.find([':', '='])?;
                // Else it may be the rest of a value that began in another line.
                let legal = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
                let name = line.get(..end)?.trim_start_matches([' ', '-', '{']);
                if !name.trim_matches(['"', '\'']).chars().all(legal) {
                    return None;
                }
                let key = line.get(..=end)?;
                return Some((
                    key.to_owned(),
                    span.column.min(key.chars().count() + 1),
                    span.length,
                ));
            }
            Hidden::Spans(spans) => {
                spans.iter().filter(|s| s.line == span.line).collect::<Vec<_>>()
            }
        };
        hidden.sort_unstable();
        let mut hidden = hidden.into_iter().peekable();
        let (mut out, mut count, mut redacted) = (String::new(), 0, 0);
        let (mut from, mut to) = (None, None);
        for (column, c) in (1..).zip(line.chars()) {
            if column == span.column {
                from = Some(count);
            }
            if column == span.column.saturating_add(span.length) {
                to = Some(count);
            }
            while hidden.next_if(|s| s.column.saturating_add(s.length) <= column).is_some() {}
            match hidden.peek() {
                Some(secret) if secret.column <= column => {
                    if redacted <= secret.column {
                        out += REDACTED;
                        count += REDACTED.len();
                    }
                    redacted = column + 1;
                }
                _ => {
                    out.push(c);
                    count += 1;
                }
            }
        }
        let from = from.unwrap_or(count + span.column.saturating_sub(line.chars().count() + 1));
        Some((out, from + 1, to.map_or(span.length, |to| to.saturating_sub(from))))
    }
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
    fn a_secret_is_not_shown_beside_another_finding_in_its_line() {
        let mut sources = sources("authorization: hunter2, x: y\n");
        let span = Span { source: SourceId::FIRST, line: 1, column: 25, length: 1 };
        sources.hide(Span { column: 16, length: 7, ..span });
        let finding = Finding::error(span, "bad header");
        expect_test::expect![[r#"
            config.yaml:1:25: error: bad header
              |
            1 | authorization: [redacted], x: y
              |                            ^
        "#]]
        .assert_eq(&render(&sources, std::slice::from_ref(&finding), &Style::default()));
        sources.hide_values(SourceId::FIRST);
        assert!(!render(&sources, &[finding], &Style::default()).contains("hunter2"));
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
