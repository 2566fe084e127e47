//! Rules of this repository that neither the compiler nor clippy checks. Every finding is reported at once,
//! as `path:line: what`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "tidy/circles.rs"]
mod circles;

/// Which modules of `src/` may be named by which, by layer: see ARCHITECTURE.md. Modules of one layer are
/// missing from each other's lists on purpose: they meet in `agent`. What is not listed may use everything.
const LAYERS: &[(&str, &[&str])] = &[
    ("signal", &[]),
    ("blocking", &[]),
    ("time", &[]),
    ("memory", &[]),
    ("alert", &["time"]),
    ("yaml", &[]),
    ("sqlite", &[]),
    ("telemetry", &["signal", "time", "memory"]),
    ("net", &["blocking", "time", "telemetry"]),
    ("journal", &["blocking", "signal", "time", "memory", "telemetry"]),
    ("store", &["signal", "time", "memory", "telemetry"]),
    ("receive", &["blocking", "signal", "time", "memory", "telemetry", "net", "journal"]),
    ("export", &["blocking", "signal", "time", "memory", "telemetry", "net", "journal"]),
    ("aggregate", &["signal", "time", "memory", "telemetry", "journal", "store"]),
    (
        "notify",
        &["blocking", "signal", "time", "memory", "telemetry", "alert", "sqlite", "net", "journal"],
    ),
    ("host", &["blocking", "signal", "time", "memory", "telemetry", "journal", "store"]),
    ("views", &[]),
    (
        "api",
        &["alert", "signal", "time", "memory", "telemetry", "net", "journal", "store", "views"],
    ),
    (
        "rules",
        &[
            "blocking",
            "signal",
            "time",
            "memory",
            "telemetry",
            "alert",
            "yaml",
            "sqlite",
            "journal",
            "store",
        ],
    ),
    (
        "config",
        &[
            "yaml",
            "alert",
            "notify",
            "rules",
            "signal",
            "time",
            "memory",
            "telemetry",
            "net",
            "journal",
            "store",
            "receive",
            "export",
            "aggregate",
            "api",
            "host",
        ],
    ),
    (
        "agent",
        &[
            "blocking",
            "alert",
            "yaml",
            "notify",
            "rules",
            "signal",
            "time",
            "memory",
            "telemetry",
            "net",
            "journal",
            "store",
            "receive",
            "export",
            "aggregate",
            "views",
            "api",
            "host",
            "config",
        ],
    ),
];

/// The crates of the workspace that each crate may name.
const CRATES: &[(&str, &[&str])] = &[
    ("embedded", &["agent"]),
    ("exphist", &[]),
    ("instrument", &["instrument_macros"]),
    ("instrument-macros", &[]),
    ("promql", &["exphist"]),
    ("wire", &[]),
];

/// Where files may be touched: the journal behind its `Fs`, and what reads or writes files that a person
/// named. Tests may touch any.
const FILES: &[&str] = &[
    "src/journal/fs",
    "src/store/disk/",
    "src/sqlite.rs",
    "src/rules/load.rs",
    "src/rules/glob.rs",
    "src/config/",
    "src/receive/",
    "src/net/tls.rs",
    "src/net/token.rs",
    "src/export/target/file",
    "src/telemetry/process.rs",
    "src/host/read.rs",
    "src/cli/",
    "src/agent",
];

/// Lines of code (without tests) that a file may have, and those that may have more: generated files, tables
/// that are one fact each, and nothing else. A number here is only ever lowered.
const LINES_MAX: usize = 500;
const LONGER: &[(&str, usize)] = &[
    ("crates/wire/src/tables.rs", usize::MAX),
    ("crates/wire/src/validate/messages.rs", usize::MAX),
    ("src/config/table.rs", 650),
];

/// rustfmt keeps code at 100 columns; comments and strings are held here.
const COLUMNS_MAX: usize = 130;

const BANNED: &[(&str, &str)] = &[
    ("FIXME", "finish it, or file an issue"),
    ("HACK:", "say why it is right, or make it so"),
    ("TODO", "finish it, or file an issue"),
    ("#[ignore", "a test that does not run proves nothing"),
    ("#[should_panic", "assert on the error instead"),
    ("#[allow(", "use #[expect(.., reason = \"..\")]"),
    ("unbounded_channel", "every queue has a capacity"),
];

const VAGUE: &[&str] =
    &["helper", "helpers", "util", "utils", "common", "misc", "manager", "info", "data"];

#[derive(Default)]
struct Findings(String);

impl Findings {
    fn add(&mut self, path: &str, line: usize, what: &str) {
        writeln!(self.0, "{path}:{line}: {what}").unwrap();
    }
}

struct Source {
    /// Relative to the repository, with forward slashes.
    path: String,
    text: String,
}

impl Source {
    fn is_test(&self) -> bool {
        let path = &self.path;
        path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
    }

    /// The lines that are not for tests only, with their numbers. Such an item begins with its attribute, and ends where
    /// rustfmt puts its brace; `mod tests;` is one line.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let whole = self.is_test();
        let mut in_test = false;
        let lines = self.text.lines().enumerate().map(|(index, line)| (index + 1, line));
        lines.filter(move |(_, line)| {
            let left_out = in_test || !whole && line.starts_with("#[cfg(test)]");
            let declared = line.starts_with(char::is_alphabetic) && line.ends_with(';');
            in_test = left_out && !line.starts_with('}') && !declared;
            !left_out
        })
    }

    /// The same without comments.
    fn statements(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code().filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

#[test]
fn every_source_file_keeps_the_rules() {
    let mut findings = Findings::default();
    let (mut items, mut seen) = (0, 0);
    for source in &sources() {
        header(source, &mut findings);
        lines(source, &mut findings);
        if !source.is_test() {
            length(source, &mut findings);
            layers(source, &mut findings);
            files(source, &mut findings);
            items += source.text.lines().filter(|line| is_item(line)).count();
            seen += source.code().filter(|(_, line)| is_item(line)).count();
        }
    }
    assert!(findings.0.is_empty(), "\n{}", findings.0);
    assert!(items > 8_000, "only {items} items found");
    assert!(seen * 100 > items * 99, "rules have seen {seen} of {items} items only");
}

/// Whether something begins that a whole file can use: in a test module such lines are indented.
fn is_item(line: &str) -> bool {
    let words = ["pub", "fn ", "impl", "struct ", "enum ", "const ", "use "];
    words.into_iter().any(|word| line.starts_with(word))
}

#[test]
fn what_follows_the_tests_of_a_file_is_under_its_rules_too() {
    let text =
        "mod a;\n#[cfg(test)]\nmod tests;\nuse b;\n#[cfg(test)]\nimpl C {\n    d;\n}\nfn e() {}";
    let source = Source { path: "src/f.rs".to_owned(), text: text.to_owned() };
    let seen: Vec<_> = source.code().collect();
    assert_eq!(seen, [(1, "mod a;"), (4, "use b;"), (9, "fn e() {}")]);
}

fn header(source: &Source, findings: &mut Findings) {
    if !source.is_test() && !source.text.starts_with("//!") {
        findings.add(
            &source.path,
            1,
            "a file opens with `//!`: what it is for, its invariants, its limits",
        );
    }
    let stem = source.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
    if VAGUE.contains(&stem) {
        findings.add(
            &source.path,
            1,
            "the name says nothing: use the field's word for what is inside",
        );
    }
}

fn lines(source: &Source, findings: &mut Findings) {
    // Recorded output is as wide as it is.
    let recorded = source.text.contains("expect![") || source.text.contains("r#\"{");
    for (number, line) in source.text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        let exempt = line.contains("://") || recorded && !line.trim_start().starts_with("//");
        if line.chars().count() > COLUMNS_MAX && !exempt {
            findings.add(&source.path, number, &format!("more than {COLUMNS_MAX} columns"));
        }
    }
    if source.path == "tests/tidy.rs" {
        return;
    }
    for (number, line) in source.code() {
        for (banned, instead) in BANNED {
            if line.contains(banned) {
                findings.add(&source.path, number, &format!("`{banned}`: {instead}"));
            }
        }
    }
}

fn length(source: &Source, findings: &mut Findings) {
    let max =
        LONGER.iter().find(|(path, _)| *path == source.path).map_or(LINES_MAX, |(_, max)| *max);
    let lines = source.code().count();
    if lines > max {
        findings.add(
            &source.path,
            1,
            &format!("{lines} lines without tests, at most {max}: split it"),
        );
    }
}

fn layers(source: &Source, findings: &mut Findings) {
    if let Some(inside) = source.path.strip_prefix("crates/") {
        let name = inside.split('/').next().unwrap_or_default();
        let allowed = CRATES.iter().find(|(from, _)| *from == name).map_or(&[][..], |(_, to)| to);
        for (number, line) in source.statements() {
            for other in names_after(line, "sidelight_") {
                if other != name && !allowed.contains(&other) {
                    findings.add(&source.path, number, &format!("{name} must not use {other}"));
                }
            }
        }
        return;
    }
    let Some(inside) = source.path.strip_prefix("src/") else { return };
    let module = inside.split(['/', '.']).next().unwrap_or_default();
    let Some((_, allowed)) = LAYERS.iter().find(|(from, _)| *from == module) else { return };
    for (number, line) in source.statements() {
        if line.contains("crate::{") {
            findings.add(&source.path, number, "one `use` per module keeps every edge greppable");
        }
        for other in names_after(line, "crate::") {
            if other != module && !allowed.contains(&other) {
                findings.add(&source.path, number, &format!("{module} must not use {other}"));
            }
        }
    }
}

/// The identifiers that follow each `prefix` in `line`, where the prefix is not itself part of a longer word.
fn names_after<'a>(line: &'a str, prefix: &str) -> Vec<&'a str> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut names = Vec::new();
    for (at, found) in line.match_indices(prefix) {
        if !line[..at].ends_with(|c: char| word(c) || c == '$') {
            let rest = &line[at + found.len()..];
            let name = rest.split(|c| !word(c)).next().unwrap_or_default();
            names.extend(Some(name).filter(|name| name.starts_with(|c: char| c.is_lowercase())));
        }
    }
    names
}

fn files(source: &Source, findings: &mut Findings) {
    if !source.path.starts_with("src/") || FILES.iter().any(|from| source.path.starts_with(from)) {
        return;
    }
    for (number, line) in source.statements() {
        if line.contains("std::fs") || line.contains("tokio::fs") {
            findings.add(
                &source.path,
                number,
                "touches files: only journal/fs and readers of named files do",
            );
        }
    }
}

#[test]
fn every_manifest_takes_its_versions_and_lints_from_the_workspace() {
    let mut findings = Findings::default();
    let manifests = manifests();
    assert!(manifests.len() >= 10, "only {} manifests found", manifests.len());
    for (path, text) in manifests {
        let document = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        let mut section = "";
        let mut lints = false;
        for (number, line) in document {
            if line.starts_with('[') {
                section = line;
            }
            lints |= section == "[lints]" && line == "workspace = true";
            let dependency =
                section.ends_with("dependencies]") && section != "[workspace.dependencies]";
            let taken = line.contains("workspace = true") || line.contains(".workspace");
            if dependency && line.contains('=') && !taken {
                findings.add(&path, number, "a version belongs into [workspace.dependencies]");
            }
        }
        if !lints {
            findings.add(&path, 1, "`[lints] workspace = true` is missing");
        }
    }
    assert!(findings.0.is_empty(), "\n{}", findings.0);
}

#[test]
fn every_example_configuration_is_yaml() {
    let mut paths = vec!["otel-collector.yaml".to_owned()];
    walk(&root().join("deploy"), &mut |path| {
        if path.ends_with(".yaml") || path.ends_with(".yml") {
            paths.push(path);
        }
    });
    assert!(paths.len() >= 3, "{paths:?}");
    for path in paths {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        let documents: Vec<serde_json::Value> =
            serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(documents.iter().all(serde_json::Value::is_object), "{path}: not a mapping");
    }
}

#[test]
fn every_configuration_of_ours_passes_our_own_check() {
    let own = ["docs/config.example.yaml", "src/cli/local/config/starter.yaml"];
    let mut paths = own.map(str::to_owned).to_vec();
    walk(&root().join("deploy"), &mut |path| {
        if path.ends_with("/config.yaml") {
            paths.push(path);
        }
    });
    assert!(paths.len() >= 6, "{paths:?}");
    for path in &paths {
        let checked = std::process::Command::new(env!("CARGO_BIN_EXE_sidelight"))
            .args(["check", "config", path])
            .current_dir(root())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{path}: {said}");
    }
}

/// The commands of the README that need neither an agent nor a file of the reader's.
#[test]
fn the_checks_of_the_readme_run_as_they_are_written() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let commands = ["sidelight check rules ", "sidelight test rules "];
    let shown =
        readme.lines().filter(|line| commands.iter().any(|command| line.starts_with(command)));
    let mut ran = 0;
    for line in shown {
        let words = line.split('#').next().unwrap().split_whitespace().skip(1);
        let run = std::process::Command::new(env!("CARGO_BIN_EXE_sidelight"))
            .args(words)
            .current_dir(root())
            .output()
            .unwrap();
        assert!(run.status.success(), "{line}: {}", String::from_utf8_lossy(&run.stderr));
        ran += 1;
    }
    assert_eq!(ran, commands.len());
}

/// Names that the collector has given up; each would stop it or warn at start.
#[test]
fn the_gateway_configuration_has_no_deprecated_keys() {
    let text = fs::read_to_string(root().join("otel-collector.yaml")).unwrap();
    let collector: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    for kind in ["receivers", "processors", "exporters", "extensions"] {
        for name in collector[kind].as_object().unwrap().keys() {
            let component = name.split('/').next().unwrap_or_default();
            let gone = [
                "otlp",
                "otlphttp",
                "logging",
                "batch",
                "memory_ballast",
                "loadbalancing",
                "spanmetrics",
            ];
            let allowed = kind == "receivers" && component == "otlp";
            assert!(allowed || !gone.contains(&component), "{kind}.{name}");
        }
    }
    let pipelines = collector["service"]["pipelines"].as_object().unwrap();
    for signal in ["traces", "metrics", "logs"] {
        let pipeline = &pipelines[signal];
        for kind in ["receivers", "processors", "exporters"] {
            for name in pipeline[kind].as_array().unwrap() {
                let name = name.as_str().unwrap();
                assert!(collector[kind].get(name).is_some(), "{signal}: {name} is not defined");
            }
        }
        assert_eq!(pipeline["processors"][0], "memory_limiter", "{signal}: it must come first");
    }
    assert!(collector["service"]["telemetry"]["metrics"].get("address").is_none());
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    walk(root(), &mut |path| {
        if path.ends_with(".rs") {
            let text = fs::read_to_string(root().join(&path)).unwrap();
            sources.push(Source { path, text });
        }
    });
    sources
}

/// The manifests of the workspace with their texts. What is a workspace of its own has nothing to take from it.
fn manifests() -> Vec<(String, String)> {
    let mut manifests = Vec::new();
    walk(root(), &mut |path| {
        if path == "Cargo.toml" || path.ends_with("/Cargo.toml") {
            let text = fs::read_to_string(root().join(&path)).unwrap();
            if path == "Cargo.toml" || !text.lines().any(|line| line == "[workspace]") {
                manifests.push((path, text));
            }
        }
    });
    manifests
}

/// Calls `visit` with every file below `dir` that somebody wrote, in order, as a path relative to the repository.
fn walk(dir: &Path, visit: &mut impl FnMut(String)) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let relative = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
        if !path.is_dir() {
            visit(relative);
        } else if !is_made(&relative) && !path.join("CACHEDIR.TAG").try_exists().unwrap() {
            walk(&path, visit);
        }
    }
}

/// Whether a directory is made by a tool. What Cargo makes is known by its place, since src/export/target is a module, and
/// elsewhere by the file that it puts there.
fn is_made(directory: &str) -> bool {
    let name = directory.rsplit('/').next().unwrap_or_default();
    let has_builds = directory.starts_with("examples/") || directory.starts_with("tests/");
    ["target", "fuzz/target", "fuzz/corpus", "fuzz/artifacts"].contains(&directory)
        || has_builds && name == "target"
        || name == "node_modules"
        || name.starts_with('.')
}

#[test]
fn a_module_called_target_is_under_every_rule() {
    assert!(sources().iter().any(|source| source.path.starts_with("src/export/target/")));
    assert!(["target", "fuzz/target", "examples/rust/shop/target"].into_iter().all(is_made));
}
