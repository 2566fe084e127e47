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
use super::group::Group;
use super::slo;
use crate::rules::BUILTIN as BUILTIN_TEXT;
use crate::yaml::{SourceKind, Sources, Style, render};

/// The most rule files.
pub const FILES_MAX: usize = 500;
/// The most bytes of a rule file.
pub const FILE_BYTES_MAX: u64 = 4 << 20;

/// The name of the file that comes with the agent.
pub const BUILTIN: &str = "builtin/sidelight.yaml";
/// How often its groups are evaluated.
const BUILTIN_INTERVAL: Duration = Duration::from_secs(5);

/// Groups that were never evaluated.
#[derive(Debug, Default)]
pub struct Loaded {
    /// In the order of the files.
    pub groups: Vec<Group>,
    /// What is wrong with a file that was left out, as text with places and carets; one per file.
    pub errors: Vec<String>,
}

/// Reads every file. Those with an error are left out. Blocks on disk.
#[must_use]
pub fn load(config: &Config) -> Loaded {
    let mut loaded = Loaded::default();
    if config.builtin {
        match file::parse(BUILTIN_TEXT) {
            Ok(mut file) => {
                disable(&mut file, &config.builtin_disable);
                loaded.take(BUILTIN, &file, BUILTIN_INTERVAL);
            }
            Err(findings) => loaded.errors.push(shown(BUILTIN, BUILTIN_TEXT, &findings)),
        }
    }
    if !config.slos.is_empty() {
        let text = slo::text(&config.slos);
        match file::parse(&text) {
            Ok(file) => loaded.take(slo::FILE, &file, slo::INTERVAL),
            Err(findings) => loaded.errors.push(shown(slo::FILE, &text, &findings)),
        }
    }
    let mut files: Vec<String> = Vec::new();
    for pattern in &config.files {
        let found = glob::paths(pattern, FILES_MAX + 1);
        if found.is_empty() {
            tracing::warn!(pattern, "no rule file matches");
        }
        for path in found {
            let path = path.to_string_lossy().into_owned();
            if !files.contains(&path) {
                files.push(path);
            }
        }
    }
    if files.len() > FILES_MAX {
        loaded.errors.push(format!("more than {FILES_MAX} rule files: the rest is left out"));
        files.truncate(FILES_MAX);
    }
    for path in files {
        match read(&path) {
            Err(error) => loaded.errors.push(format!("cannot read the rule file {path}: {error}")),
            Ok(text) => match file::parse(&text) {
                Err(findings) => loaded.errors.push(shown(&path, &text, &findings)),
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
