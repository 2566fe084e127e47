//! What was found, a row each: what is wrong always says what to do.

use serde_json::{Value, json};

use crate::config::Style;

/// How a row ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    Warning,
    Failed,
    /// There was nothing to look at.
    Skipped,
}

impl Verdict {
    const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) group: &'static str,
    /// What was looked at: stable, for programs.
    pub(super) name: &'static str,
    pub(super) verdict: Verdict,
    pub(super) text: String,
    /// What to do.
    pub(super) help: Option<String>,
}

/// The rows so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) checks: Vec<Check>,
}

/// Rows of one group.
pub(super) struct Group<'a> {
    report: &'a mut Report,
    name: &'static str,
}

impl Report {
    pub(super) const fn group(&mut self, name: &'static str) -> Group<'_> {
        Group { report: self, name }
    }

    pub(super) fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|check| check.verdict == verdict).count()
    }

    /// Rows below their groups, and the sum.
    pub(super) fn text(&self, style: &Style) -> String {
        let Style { error, warning, frame, reset, .. } = style;
        let mut out = String::new();
        let mut group = "";
        for check in &self.checks {
            if check.group != group {
                group = check.group;
                out += &format!("{group}\n");
            }
            let (colour, sign) = match check.verdict {
                Verdict::Passed => (frame, '√'),
                Verdict::Warning => (warning, '‼'),
                Verdict::Failed => (error, '×'),
                Verdict::Skipped => (reset, '-'),
            };
            out += &format!("  {colour}{sign}{reset} {}\n", check.text);
            for line in check.help.iter().flat_map(|help| help.lines()) {
                out += &format!("    try: {line}\n");
            }
        }
        out + &format!("{}\n", self.sum())
    }

    fn sum(&self) -> String {
        let warnings = self.count(Verdict::Warning);
        format!(
            "{} failed, {warnings} warning{}, {} passed",
            self.count(Verdict::Failed),
            if warnings == 1 { "" } else { "s" },
            self.count(Verdict::Passed),
        )
    }

    pub(super) fn document(&self) -> Value {
        let checks = self.checks.iter().map(|check| {
            json!({
                "group": check.group,
                "name": check.name,
                "verdict": check.verdict.name(),
                "text": check.text,
                "help": check.help,
            })
        });
        json!({
            "schema_version": 1,
            "failed": self.count(Verdict::Failed),
            "warnings": self.count(Verdict::Warning),
            "passed": self.count(Verdict::Passed),
            "checks": checks.collect::<Vec<_>>(),
        })
    }
}

impl Group<'_> {
    pub(super) fn passed(&mut self, name: &'static str, text: impl Into<String>) {
        self.add(name, Verdict::Passed, text.into(), None);
    }

    pub(super) fn skipped(&mut self, name: &'static str, text: impl Into<String>) {
        self.add(name, Verdict::Skipped, text.into(), None);
    }

    pub(super) fn warning(
        &mut self,
        name: &'static str,
        text: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(name, Verdict::Warning, text.into(), Some(help.into()));
    }

    pub(super) fn failed(
        &mut self,
        name: &'static str,
        text: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(name, Verdict::Failed, text.into(), Some(help.into()));
    }

    fn add(&mut self, name: &'static str, verdict: Verdict, text: String, help: Option<String>) {
        self.report.checks.push(Check { group: self.name, name, verdict, text, help });
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn rows_stand_below_their_group_with_what_to_do_and_their_sum() {
        let mut report = Report::default();
        let mut group = report.group("configuration");
        group.passed("valid", "config.yaml is valid");
        group.warning("exposed", "everybody can read", "set admin.token_file");
        let mut group = report.group("network");
        group.failed("port", "127.0.0.1:4317 is in use", "stop what has it\nor take another");
        group.skipped("agent", "no agent answers");
        expect![[r#"
            configuration
              √ config.yaml is valid
              ‼ everybody can read
                try: set admin.token_file
            network
              × 127.0.0.1:4317 is in use
                try: stop what has it
                try: or take another
              - no agent answers
            1 failed, 1 warning, 1 passed
        "#]]
        .assert_eq(&report.text(&Style::default()));
        assert_eq!(report.document()["checks"][2]["verdict"], "failed");
    }
}
