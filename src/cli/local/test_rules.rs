//! `sidelight test rules`: unit tests of rule files in promtool's format.

use std::path::{Path, PathBuf};

use crate::cli::exit::{Exit, Failure};
use crate::cli::terminal::Terminal;
use crate::config;
use crate::rules::file::RuleFile;
use crate::rules::load::FILES_MAX;
use crate::rules::{file, paths, unittest};
use crate::yaml::{Finding, SourceKind, Sources};

/// What is tested.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum What {
    /// Run unit tests of rules, in promtool's format.
    Rules(Args),
}

/// Which tests and how their results are said.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files of tests; the rule files that they name are relative to them.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Only tests with a name that this finds; may be given again.
    #[arg(long, value_name = "REGEX")]
    run: Vec<regex::Regex>,
    /// Where to write the results as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Show every sample of every test.
    #[arg(long)]
    debug: bool,
    /// Show what is different, and not what is expected and found.
    #[arg(long)]
    diff: bool,
}

pub(crate) fn execute(what: &What, terminal: &Terminal) -> Result<Exit, Failure> {
    let What::Rules(args) = what;
    let mut suites = Vec::new();
    let mut failed = false;
    for path in &args.files {
        let name = path.display().to_string();
        let options = unittest::Options { run: &args.run, diff: args.diff, debug: args.debug };
        let Some((tests, rules)) = read(path, terminal)? else {
            failed = true;
            continue;
        };
        let cases = unittest::run(&tests, &rules, &options);
        let bad = cases.iter().filter(|case| !case.failures.is_empty()).count();
        for case in &cases {
            if let Some(dump) = &case.dump {
                terminal.say(&format!("{name}: {}: every sample:\n{dump}", case.name));
            }
            for failure in &case.failures {
                terminal.say(&format!("{name}: {}: FAILED\n{failure}\n", case.name));
            }
        }
        failed |= bad > 0;
        terminal.note(&format!("{name}: {} passed, {bad} failed", cases.len() - bad));
        suites.push((name, cases));
    }
    if let Some(path) = &args.junit {
        std::fs::write(path, unittest::junit::document(&suites)).map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot write {}", path.display())).because(&error)
        })?;
    }
    if !args.run.is_empty() && !failed && suites.iter().all(|(_, cases)| cases.is_empty()) {
        return Err(Failure::new(Exit::Failed, "no test has a name that `--run` asks for")
            .help("`--run` is a regular expression that is looked for in the `name` of tests"));
    }
    Ok(if failed { Exit::Failed } else { Exit::Ok })
}

type Read = (unittest::TestFile, Vec<(String, RuleFile)>);

/// The tests of `path` and the rules that they are of; `None` where that has been refused.
fn read(path: &Path, terminal: &Terminal) -> Result<Option<Read>, Failure> {
    let text = text(path)?;
    let tests = match unittest::parse(&text) {
        Ok(tests) => tests,
        Err(findings) => {
            say(path, &text, &findings, terminal);
            return Ok(None);
        }
    };
    let tests_in = path;
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut rules = Vec::new();
    for pattern in &tests.rule_files {
        let pattern = directory.join(pattern);
        let found = paths(&pattern.to_string_lossy(), FILES_MAX);
        if found.is_empty() {
            let (tests, pattern) = (path.display(), pattern.display());
            terminal.say(&format!("{tests}: no rule file matches {pattern}\n"));
        }
        for path in found {
            let text = self::text(&path).map_err(|failure| named_in(tests_in, failure))?;
            match file::parse(&text) {
                Ok(file) => rules.push((path.display().to_string(), file)),
                Err(findings) => {
                    say(&path, &text, &findings, terminal);
                    return Ok(None);
                }
            }
        }
    }
    Ok(Some((tests, rules)))
}

/// With the file of tests that names what cannot be read.
fn named_in(tests: &Path, failure: Failure) -> Failure {
    let help = format!(
        "{} names it in `rule_files`, relative to itself; name an existing file in UTF-8 that this user may read",
        tests.display()
    );
    failure.help(help)
}

fn text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot read {}", path.display()))
            .because(&error)
            .help("name an existing file in UTF-8 that this user may read")
    })
}

fn say(path: &Path, text: &str, findings: &[Finding], terminal: &Terminal) {
    let mut sources = Sources::default();
    sources.add(SourceKind::File, &path.display().to_string(), text.to_owned());
    terminal.say(&config::render(&sources, findings, &terminal.style()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ColourChoice;

    #[test]
    fn a_rule_file_that_is_missing_is_said_with_the_file_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tests.yaml");
        std::fs::write(&path, "rule_files: [gone.yaml]\ntests: []\n").unwrap();
        let terminal = Terminal::of_process(true, ColourChoice::Never);
        let failure = read(&path, &terminal).err().unwrap();
        assert!(failure.what.contains("gone.yaml"), "{failure:?}");
        assert!(failure.help.unwrap().contains("tests.yaml names it"));
    }
}
