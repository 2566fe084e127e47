//! Which configuration a command is about: the flags of `run` and what they load.

use std::path::PathBuf;

use super::exit::{Exit, Failure};
use super::terminal::Terminal;
use crate::config::{self, Finding, LoadError, Loaded, ReadError, Recipe, Sources, Style};

/// The variable that names the file where no flag does. The container image sets it, so that a command in a container reads what
/// its agent does.
const USUAL: &str = "SIDELIGHT_CONFIG";

fn usual() -> Option<PathBuf> {
    std::env::var_os(USUAL).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// Which configuration.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Configured {
    /// A configuration file; `-` is standard input. Repeatable: later files win. Default: the one that `SIDELIGHT_CONFIG`
    /// names, if that is set.
    #[arg(short, long = "config", value_name = "FILE")]
    config: Vec<PathBuf>,
    /// An option that wins over files and the environment, such as `journal.durability=os`.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Configured {
    /// With files and options of the command's own.
    pub(crate) const fn of(config: Vec<PathBuf>, set: Vec<String>) -> Self {
        Self { config, set }
    }

    /// With `option`, which gives way to a flag that sets the same.
    pub(crate) fn unless_set(mut self, option: &str) -> Self {
        self.set.insert(0, option.to_owned());
        self
    }

    /// Whether anything was typed.
    pub(crate) const fn any(&self) -> bool {
        !self.config.is_empty() || !self.set.is_empty()
    }

    /// Whether a configuration file was named, by a flag or the variable.
    pub(crate) fn names_a_file(&self) -> bool {
        !self.config.is_empty() || usual().is_some()
    }

    /// How to load it, now and again.
    ///
    /// # Errors
    /// A [`Failure`] when standard input cannot be read.
    pub(crate) fn recipe(&self) -> Result<Recipe, Failure> {
        let usual = usual().filter(|_| self.config.is_empty());
        let files = usual.as_ref().map_or(&self.config[..], std::slice::from_ref);
        Recipe::new(files, self.set.clone()).map_err(|error| unreadable(&error))
    }

    /// Loads it, and says what is odd about it.
    ///
    /// # Errors
    /// A [`Failure`] after every finding was said.
    pub(crate) fn load(&self, terminal: &Terminal) -> Result<Loaded, Failure> {
        load(&self.recipe()?, terminal)
    }
}

/// Loads what `recipe` names, and says what is odd about it.
///
/// # Errors
/// A [`Failure`] after every finding was said.
pub(crate) fn load(recipe: &Recipe, terminal: &Terminal) -> Result<Loaded, Failure> {
    let loaded = read(recipe, terminal)?;
    warn(&loaded, terminal);
    Ok(loaded)
}

/// Says what is odd about a configuration.
pub(crate) fn warn(loaded: &Loaded, terminal: &Terminal) {
    let Loaded { sources, warnings, .. } = loaded;
    if !warnings.is_empty() {
        terminal.note(&rendered(sources, warnings, &terminal.style()));
    }
}

/// Findings as text. Of several at one place, as those in a rule file that a configuration names, the place is shown once.
pub(crate) fn rendered(sources: &Sources, findings: &[Finding], style: &Style) -> String {
    let alike =
        |a: &Finding, b: &Finding| (a.span, a.severity, &a.help) == (b.span, b.severity, &b.help);
    let shown = findings.chunk_by(alike).filter_map(|all| {
        let messages: Vec<&str> = all.iter().map(|finding| finding.message.as_str()).collect();
        let finding = Finding { message: messages.join("\n  "), ..all.first()?.clone() };
        Some(config::render(sources, &[finding], style))
    });
    shown.collect::<Vec<_>>().join("\n")
}

/// Loads what `recipe` names; what is odd about it is the caller's to say.
///
/// # Errors
/// A [`Failure`] after every finding was said.
pub(crate) fn read(recipe: &Recipe, terminal: &Terminal) -> Result<Loaded, Failure> {
    match recipe.load() {
        Ok(loaded) => Ok(loaded),
        Err(LoadError::Read(error)) => Err(unreadable(&error)),
        Err(LoadError::Findings(findings)) => {
            terminal.say(&findings.render(&terminal.style()));
            Err(Failure::new(Exit::InvalidConfiguration, findings.to_string())
                .help("`sidelight config explain KEY` says what an option takes; docs/config.md"))
        }
    }
}

/// A file that cannot be read is no valid configuration.
pub(crate) fn unreadable(error: &ReadError) -> Failure {
    let failure =
        Failure::new(Exit::InvalidConfiguration, error.to_string()).because(&error.source);
    if usual().is_some_and(|path| path.to_string_lossy() == error.name) {
        return failure.help(format!(
            "the variable {USUAL} names it; `-c FILE` names another, and with the variable empty none is read"
        ));
    }
    failure
        .help("name an existing file in UTF-8 that this user may read, or `-` for standard input")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Inputs, load};

    #[test]
    fn a_place_that_several_findings_are_about_is_shown_once() {
        let text = "rules: {files: [/nowhere/a.yaml]}".to_owned();
        let files = vec![("config.yaml".to_owned(), text)];
        let loaded = load(&Inputs { files, ..Inputs::default() }).unwrap();
        let span = loaded.span("rules.files").unwrap();
        let about = |message: &str| Finding::warning(span, message).help("mend it");
        let findings = [about("one"), about("two"), Finding::warning(span, "other")];
        expect_test::expect![[r"
            config.yaml:1:16: warning: one
              two
              |
            1 | rules: {files: [/nowhere/a.yaml]}
              |                ^
              = help: mend it

            config.yaml:1:16: warning: other
              |
            1 | rules: {files: [/nowhere/a.yaml]}
              |                ^
        "]]
        .assert_eq(&rendered(&loaded.sources, &findings, &Style::default()));
    }
}
