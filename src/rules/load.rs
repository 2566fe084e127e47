//! Rule files to groups: those that are named, and the one that comes with the agent.
//!
//! Limits: [`FILES_MAX`] files, [`FILE_BYTES_MAX`] bytes in each. A file is used whole or not at all.

use std::fs::File;
use std::io;
use std::io::Read as _;
use std::time::Duration;

use super::config::Config;
use super::file;
use super::file::{Kind, RuleFile};
use super::glob;
use super::group::{BUILTIN, Group};
use super::slo;
use crate::rules::BUILTIN as BUILTIN_TEXT;
use crate::yaml::{SourceKind, Sources, Style, render};

/// The most rule files.
pub const FILES_MAX: usize = 500;
/// The most bytes of a rule file.
pub const FILE_BYTES_MAX: u64 = 4 << 20;

/// How often the groups that come with the agent are evaluated.
const BUILTIN_INTERVAL: Duration = Duration::from_secs(5);

/// Groups that were never evaluated.
#[derive(Debug, Default)]
pub struct Loaded {
    /// In the order of the files.
    pub groups: Vec<Group>,
    /// What is wrong with a file that was left out, as text with places and carets; one per file.
    pub errors: Vec<String>,
    /// The paths of these files: what was known of their alerts is kept until they are used again.
    pub left_out: Vec<String>,
}

/// Reads every file. Those with an error are left out. Blocks on disk.
#[must_use]
pub fn load(config: &Config) -> Loaded {
    let mut loaded = Loaded::default();
    if config.builtin {
        match file::parse(BUILTIN_TEXT) {
            Ok(mut file) => {
                disable(&mut file, &config.builtin_disable);
                link(&mut file, &config.external_url);
                loaded.take(BUILTIN, &file, BUILTIN_INTERVAL);
            }
            Err(findings) => loaded.leave_out(BUILTIN, shown(BUILTIN, BUILTIN_TEXT, &findings)),
        }
    }
    if !config.slos.is_empty() {
        let text = slo::text(&config.slos);
        match file::parse(&text) {
            Ok(mut file) => {
                link(&mut file, &config.external_url);
                loaded.take(slo::FILE, &file, slo::INTERVAL);
            }
            Err(findings) => loaded.leave_out(slo::FILE, shown(slo::FILE, &text, &findings)),
        }
    }
    let mut files: Vec<String> = Vec::new();
    for pattern in &config.files {
        let found = glob::paths(pattern, FILES_MAX + 1);
        if found.is_empty() {
            tracing::warn!(pattern, "no rule file matches");
        }
        for path in found {
            let mut path = path.to_string_lossy().into_owned();
            // A file that is named as the one that comes with the agent is another all the same.
            if path == BUILTIN {
                path.insert_str(0, "./");
            }
            if !files.contains(&path) {
                files.push(path);
            }
        }
    }
    if files.len() > FILES_MAX {
        loaded.errors.push(format!("more than {FILES_MAX} rule files: the rest is left out"));
        loaded.left_out.extend(files.drain(FILES_MAX..));
    }
    for path in files {
        match read(&path) {
            Err(error) => {
                loaded.leave_out(&path, format!("cannot read the rule file {path}: {error}"));
            }
            Ok(text) => match file::parse(&text) {
                Err(findings) => loaded.leave_out(&path, shown(&path, &text, &findings)),
                Ok(file) => {
                    if !file.warnings.is_empty() {
                        tracing::warn!("{}", shown(&path, &text, &file.warnings));
                    }
                    loaded.take(&path, &file, config.evaluation_interval);
                }
            },
        }
    }
    loaded
}

/// The text of a rule file, if it is one: a pipe or a device may never end.
///
/// # Errors
/// It cannot be read, is no file or no text, or is too large.
pub fn read(path: &str) -> io::Result<String> {
    let refuse = |why: String| Err(io::Error::new(io::ErrorKind::InvalidData, why));
    if !std::fs::metadata(path)?.is_file() {
        return refuse("it is not a file".to_owned());
    }
    let mut text = String::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return refuse(format!("it has more than {FILE_BYTES_MAX} bytes"));
    }
    Ok(text)
}

impl Loaded {
    fn take(&mut self, path: &str, file: &RuleFile, interval: Duration) {
        self.groups.extend(file.groups.iter().map(|group| Group::new(path, group, interval)));
    }

    fn leave_out(&mut self, path: &str, error: String) {
        self.errors.push(error);
        self.left_out.push(path.to_owned());
    }
}

/// Has the runbooks of rules that come with the agent found where the agent serves them: a path alone leads nowhere.
fn link(file: &mut RuleFile, external_url: &str) {
    if external_url.is_empty() {
        return;
    }
    for rule in file.groups.iter_mut().flat_map(|group| &mut group.rules) {
        let Kind::Alerting(alerting) = &mut rule.kind else { continue };
        for pair in alerting.annotations.iter_mut().filter(|pair| pair.name == "runbook_url") {
            if pair.value.text.starts_with("docs/") {
                let base = external_url.trim_end_matches('/');
                pair.value.text = format!("{base}/{}", pair.value.text);
            }
        }
    }
}

/// Leaves out groups and alerts that are named.
fn disable(file: &mut RuleFile, names: &[String]) {
    file.groups.retain(|group| !names.contains(&group.name.text));
    for group in &mut file.groups {
        group.rules.retain(|rule| {
            matches!(rule.kind, Kind::Recording) || !names.contains(&rule.name.text)
        });
    }
}

fn shown(path: &str, text: &str, findings: &[crate::yaml::Finding]) -> String {
    let mut sources = Sources::default();
    sources.add(SourceKind::File, path, text.to_owned());
    render(&sources, findings, &Style::default())
}

#[cfg(test)]
mod tests {
    use super::super::config::Slo;
    use super::*;

    #[test]
    fn the_runbook_of_every_alert_that_comes_with_the_agent_is_where_the_agent_serves_it() {
        let slo = Slo { name: "x".to_owned(), service: "shop".to_owned(), ..Slo::default() };
        let config = Config {
            external_url: "http://agent:9464/".to_owned(),
            slos: vec![slo],
            ..Config::default()
        };
        let runbooks = include_str!("../../docs/runbooks.md").to_lowercase();
        let mut seen = 0;
        for rule in load(&config).groups.iter().flat_map(|group| &group.rules) {
            let Kind::Alerting(alerting) = &rule.spec.kind else { continue };
            let url = alerting.annotations.iter().find(|pair| pair.name == "runbook_url").unwrap();
            let place = url.value.text.strip_prefix("http://agent:9464/docs/runbooks.md#").unwrap();
            assert!(runbooks.contains(&format!("# {place}")), "{place}");
            seen += 1;
        }
        assert!(seen > 15, "{seen}");
    }
}
