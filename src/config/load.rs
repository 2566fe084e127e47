//! From texts to a resolved configuration: parse, overlay in order of precedence, check, resolve.
//!
//! Precedence, the last wins: defaults, files in order, `SIDELIGHT__A__B` variables, `--set a.b=c`.
//! Mappings are merged key by key, lists and single values are replaced.

use std::io::Read as _;
use std::path::Path;

use super::check::{Values, check};
use super::option::Reload;
use super::schema::schema;
use super::surroundings::Surroundings;
use super::{Config, resolve, secrets};
use crate::time::{Clock as _, SystemClock, UnixNano};
use crate::yaml::{self, Entry, Node, Value};
use crate::yaml::{Finding, Findings, Severity, SourceKind, Sources, Span, Style};

/// The prefix of variables that set options.
pub const VARIABLE_PREFIX: &str = "SIDELIGHT__";

/// What a configuration is made from.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// Names and texts of files, in order.
    pub files: Vec<(String, String)>,
    /// `a.b=c`, in order.
    pub set: Vec<String>,
    /// The process around it.
    pub surroundings: Surroundings,
    /// The time at which the certificates, keys and tokens that are named are looked at; absent, no file is.
    pub now: Option<UnixNano>,
}

/// A configuration file that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the configuration `{name}`")]
pub struct ReadError {
    /// The path, or `-`.
    pub name: String,
    /// Why.
    #[source]
    pub source: std::io::Error,
}

/// How a configuration was asked for, so that a reload can ask again.
#[derive(Clone, Debug, Default)]
pub struct Recipe {
    files: Vec<Wanted>,
    set: Vec<String>,
}

#[derive(Clone, Debug)]
enum Wanted {
    File(std::path::PathBuf),
    /// Standard input, which can be read once.
    Text(String, String),
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What was read is not valid.
    #[error(transparent)]
    Findings(#[from] Findings),
}

impl LoadError {
    /// All of it as text: every finding, or why a file cannot be read.
    #[must_use]
    pub fn told(&self) -> String {
        match self {
            Self::Read(error) => format!("{error}: {}", error.source),
            Self::Findings(findings) => findings.render(&Style::default()),
        }
    }
}

impl Recipe {
    /// Files in order, of which `-` is standard input, and `a.b=c` that win over them.
    ///
    /// # Errors
    /// [`ReadError`] when standard input or a pipe cannot be read; files are read by [`Recipe::load`].
    pub fn new(files: &[std::path::PathBuf], set: Vec<String>) -> Result<Self, ReadError> {
        let wanted = |path: &std::path::PathBuf| {
            // A pipe, as `<(command)` makes one, is empty when it is read again.
            let once =
                std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir());
            if once || path == Path::new("-") {
                let (name, text) = read_file(path)?;
                return Ok(Wanted::Text(name, text));
            }
            Ok(Wanted::File(path.clone()))
        };
        Ok(Self { files: files.iter().map(wanted).collect::<Result<_, _>>()?, set })
    }

    /// Reads the files and makes the configuration in this process's surroundings.
    ///
    /// # Errors
    /// [`LoadError`]: show it; on a reload keep the configuration that runs.
    pub fn load(&self) -> Result<Loaded, LoadError> {
        let file = |wanted: &Wanted| match wanted {
            Wanted::File(path) => read_file(path),
            Wanted::Text(name, text) => Ok((name.clone(), text.clone())),
        };
        let files = self.files.iter().map(file).collect::<Result<_, _>>()?;
        let surroundings = Surroundings::of_process();
        let now = Some(SystemClock::new().unix_nano());
        Ok(load(&Inputs { files, set: self.set.clone(), surroundings, now })?)
    }
}

/// Reads the file at `path`, or standard input for `-`, as (name, text).
///
/// # Errors
/// [`ReadError`] when it cannot be read or is not UTF-8. Files above 1 MiB are cut just after it, and
/// refused when loaded.
pub fn read_file(path: &Path) -> Result<(String, String), ReadError> {
    let stdin = path == Path::new("-");
    let name = if stdin { "<stdin>".to_owned() } else { path.display().to_string() };
    let limit = yaml::TEXT_BYTES_MAX as u64 + 4;
    let mut text = String::new();
    let read = if stdin {
        std::io::stdin().lock().take(limit).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_string(&mut text))
    };
    match read {
        Ok(_) => Ok((name, text)),
        Err(source) => Err(ReadError { name, source }),
    }
}

/// A configuration that can be used, and where it came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The resolved configuration.
    pub config: Config,
    /// Everything that was read.
    pub sources: Sources,
    /// What works but is probably not meant.
    pub warnings: Vec<Finding>,
    values: Values,
}

/// One value that is not a default, and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The full key, for example `journal.durability`.
    pub key: String,
    /// The value; secrets are redacted.
    pub value: String,
    /// `file:line:column`, the name of the variable, or `--set`.
    pub place: String,
}

impl Loaded {
    /// Every value that was written somewhere, by key.
    #[must_use]
    pub fn origins(&self) -> Vec<Origin> {
        let origin = |(key, given): (&String, &super::check::Given)| Origin {
            key: key.clone(),
            value: super::written::shown(&given.option.kind, &given.value),
            place: self.sources.place(given.span),
        };
        self.values.given.iter().map(origin).collect()
    }

    /// Where an option was written.
    #[must_use]
    pub fn span(&self, key: &str) -> Option<Span> {
        self.values.given.get(key).map(|given| given.span)
    }

    /// What was written, typed.
    pub(super) const fn values(&self) -> &Values {
        &self.values
    }

    /// Keys that differ between this configuration, which runs, and `newer`, and that a reload cannot
    /// take up.
    #[must_use]
    pub fn needs_restart(&self, newer: &Self) -> Vec<String> {
        let (old, new) = (&self.values.given, &newer.values.given);
        let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let changed = |key: &&&String| {
            let (before, after) = (old.get(**key), new.get(**key));
            let fixed = before.or(after).is_some_and(|g| g.option.reload == Reload::Restart);
            fixed && before.map(|g| &g.value) != after.map(|g| &g.value)
        };
        keys.iter().filter(changed).map(|key| (*key).clone()).collect()
    }
}

/// Makes a configuration.
///
/// # Errors
/// [`Findings`]: everything that is wrong, at once.
pub fn load(inputs: &Inputs) -> Result<Loaded, Findings> {
    let mut sources = Sources::default();
    let mut findings = Vec::new();
    let start = Span { source: yaml::SourceId::FIRST, line: 1, column: 1, length: 0 };
    let mut root = Node { span: start, value: Value::Mapping(Vec::new()) };
    for (name, text) in &inputs.files {
        let source = sources.add(SourceKind::File, name, text.clone());
        let parsed = yaml::parse_repeated(text, source, &mut findings);
        if !parsed.as_ref().is_some_and(|parsed| parsed.whole) {
            sources.hide_values(source);
        }
        if let Some(yaml::Repeated { root: mut node, .. }) = parsed {
            // A secret may stand behind a key that is given twice.
            secrets::hide(&node, &mut sources);
            node.drop_repeated();
            overlay(&mut root, node, &mut findings);
        }
    }
    let variables = &inputs.surroundings.variables;
    for (name, value) in variables {
        if let Some(path) = name.strip_prefix(VARIABLE_PREFIX) {
            let path = path.to_ascii_lowercase();
            let assignment = Assignment {
                kind: SourceKind::Environment,
                name,
                keys: path.split("__").collect(),
                separator: 2,
                offset: VARIABLE_PREFIX.len(),
                text: format!("{name}={value}"),
                value,
            };
            assignment.apply(&mut root, &mut sources, &mut findings);
        }
    }
    for flag in &inputs.set {
        let (path, value) = flag.split_once('=').unwrap_or((flag, ""));
        let assignment = Assignment {
            kind: SourceKind::Flag,
            name: "--set",
            keys: path.split('.').collect(),
            separator: 1,
            offset: 0,
            text: flag.clone(),
            value,
        };
        assignment.apply(&mut root, &mut sources, &mut findings);
    }
    findings.extend(inputs.surroundings.misread(&mut sources));
    let values = check(&root, &sources, variables, &mut findings);
    let config = resolve::resolve(&values, &inputs.surroundings, &mut findings);
    if let Some(now) = inputs.now {
        findings.extend(super::files::look(&values, &config, now));
    }
    findings.sort_by_key(|finding| finding.span);
    findings.dedup();
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return Err(Findings { sources, list: findings });
    }
    Ok(Loaded { config, sources, warnings: findings, values })
}

/// A variable or a flag: one value at one path.
struct Assignment<'a> {
    kind: SourceKind,
    name: &'a str,
    keys: Vec<&'a str>,
    /// Characters between two keys.
    separator: usize,
    /// Characters before the first key.
    offset: usize,
    /// `NAME=value`, for messages.
    text: String,
    value: &'a str,
}

impl Assignment<'_> {
    fn apply(self, root: &mut Node, sources: &mut Sources, findings: &mut Vec<Finding>) {
        let column = self.text.chars().take_while(|c| *c != '=').count() + 1;
        let whole = self.text.chars().count();
        let is_assignment = self.text.contains('=');
        let has_value = is_assignment || self.text.contains([':', ' ']);
        let source = sources.add(self.kind, self.name, self.text);
        if !is_assignment || self.keys.iter().any(|key| key.is_empty()) {
            // More than a key was written.
            if has_value {
                sources.hide_values(source);
            }
            let span = Span { source, line: 1, column: 1, length: whole };
            let message = "this is not an assignment";
            let help =
                "write `--set key.of.option=value`, for example `--set journal.durability=os`";
            return findings.push(Finding::error(span, message).help(help));
        }
        let length = self.value.chars().count();
        let span = Span { source, line: 1, column: column + 1, length };
        // A list or mapping is written as YAML; anything else is taken as it is, also `[::1]:4317` for an address.
        let is_scalar = schema().option(&self.keys).is_some_and(|option| option.kind.is_scalar());
        let mut node = if self.value.starts_with(['[', '{']) && !is_scalar {
            let mut own = Vec::new();
            let parsed = yaml::parse(self.value, source, &mut own);
            if !own.is_empty() {
                sources.hide_values(source);
            }
            findings.extend(own.into_iter().map(|f| Finding { span, ..f }));
            let Some(mut node) = parsed else { return };
            shift(&mut node, column);
            node
        } else {
            Node { span, value: Value::Scalar(self.value.to_owned()) }
        };
        let mut column = column.saturating_sub(1);
        for key in self.keys.iter().rev() {
            let length = key.chars().count();
            column = column.saturating_sub(length);
            let key_span = Span { source, line: 1, column: column + 1, length };
            let entry = Entry { key: (*key).to_owned(), key_span, node };
            node = Node { span: key_span, value: Value::Mapping(vec![entry]) };
            column = column.saturating_sub(self.separator).max(self.offset);
        }
        secrets::hide(&node, sources);
        overlay(root, node, findings);
    }
}

/// Moves everything right by `by` columns, where it stands in `NAME=value`.
fn shift(node: &mut Node, by: usize) {
    node.span.column += by;
    match &mut node.value {
        Value::Null | Value::Scalar(_) => {}
        Value::Sequence(nodes) => nodes.iter_mut().for_each(|node| shift(node, by)),
        Value::Mapping(entries) => {
            for entry in entries {
                entry.key_span.column += by;
                shift(&mut entry.node, by);
            }
        }
    }
}

/// Puts `over` on `base`: mappings merge, anything else replaces; what is not set changes nothing.
fn overlay(base: &mut Node, over: Node, findings: &mut Vec<Finding>) {
    match (&mut base.value, over.value) {
        (_, Value::Null) => {}
        (Value::Mapping(entries), Value::Mapping(more)) => {
            base.span = over.span;
            for entry in more {
                match entries.iter_mut().find(|e| e.key == entry.key) {
                    Some(below) => {
                        below.key_span = entry.key_span;
                        overlay(&mut below.node, entry.node, findings);
                    }
                    None => entries.push(entry),
                }
            }
        }
        (Value::Mapping(entries), other) if !entries.is_empty() => {
            let message = format!("this is {}; a mapping stands below it", other.kind());
            findings.push(Finding::error(over.span, message));
        }
        (value, other) => {
            *value = other;
            base.span = over.span;
        }
    }
}
