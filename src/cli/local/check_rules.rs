//! `sidelight check rules`: rule files with every finding at once, and what a running agent's series say about them.

use std::collections::BTreeSet;
use std::io::Read;
use std::time::Duration;

use serde::Deserialize;

use super::findings::{document, finding};
use crate::cli::exit::{Exit, Failure};
use crate::cli::read::client::{self, Connection};
use crate::cli::terminal::Terminal;
use crate::cli::text::ReportFormat;
use crate::config;
use crate::config::{Finding, Severity};
use crate::rules::file::{RuleFile, parse};
use crate::rules::lint;
use crate::rules::lint::{Metric, Seen};
use crate::rules::load;
use crate::rules::load::{FILE_BYTES_MAX, FILES_MAX};
use crate::rules::paths;
use crate::yaml::{SourceKind, Sources};

/// The most metrics that the agent is asked about.
const METRICS_MAX: usize = 500;

/// What is checked and how it is said.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Rule files, or patterns of their paths such as `rules/*.yaml`; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// End with 3 where there is only something to look at.
    #[arg(long)]
    lint_fatal: bool,
    /// The time between evaluations of groups that name none.
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = client::duration)]
    evaluation_interval: Duration,
    /// The format: for people on standard error, or JSON on standard output.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: ReportFormat,
    #[command(flatten)]
    connection: Connection,
}

/// A file, what it says and what is wrong with it.
struct Checked {
    sources: Sources,
    text: String,
    file: Option<RuleFile>,
    findings: Vec<Finding>,
}

pub(crate) async fn execute(args: &Args, terminal: &Terminal) -> Result<Exit, Failure> {
    let (typed, files): (Vec<_>, Vec<_>) = args.files.iter().cloned().partition(|it| it == "-");
    let (mut checked, mut unread) = read_all(&files);
    if !typed.is_empty() {
        match read_from(std::io::stdin().lock()) {
            Ok(read) => checked.insert(0, read),
            Err(failure) => unread.insert(0, failure),
        }
    }
    for failure in &unread {
        terminal.failure(failure);
    }
    let files = || checked.iter().filter_map(|checked| checked.file.as_ref());
    let recorded: BTreeSet<String> =
        files().flat_map(|file| lint::recorded(file).map(str::to_owned)).collect();
    let seen = if args.connection.is_named() {
        let asked: BTreeSet<String> = files().flat_map(lint::asked).collect();
        Some(seen(&args.connection, asked.difference(&recorded), terminal).await?)
    } else {
        None
    };
    for one in &mut checked {
        let Some(file) = &one.file else { continue };
        one.findings = file.warnings.clone();
        let interval = args.evaluation_interval;
        one.findings.extend(lint::lint(&one.text, file, interval, seen.as_ref(), &recorded));
        one.findings.sort_by_key(|finding| finding.span);
    }
    let exit = report(args, &checked, unread.is_empty(), terminal)?;
    Ok(if unread.is_empty() { exit } else { Exit::Failed })
}

/// The files that patterns stand for, and why others cannot be read.
fn read_all(patterns: &[String]) -> (Vec<Checked>, Vec<Failure>) {
    let (mut checked, mut unread) = (Vec::new(), Vec::new());
    for pattern in patterns {
        let found = paths(pattern, FILES_MAX);
        if found.is_empty() {
            unread.push(Failure::new(Exit::Failed, format!("no rule file matches {pattern}")));
        }
        for path in found {
            match read(&path) {
                Ok(read) => checked.push(read),
                Err(failure) => unread.push(failure),
            }
        }
    }
    (checked, unread)
}

/// How many rule files a configuration names, and what is wrong with them, a line each.
pub(super) fn configured(patterns: &[String]) -> (usize, Vec<String>) {
    let (checked, unread) = read_all(patterns);
    let unread = unread.into_iter().map(|failure| {
        std::iter::once(failure.what).chain(failure.why).collect::<Vec<_>>().join(": ")
    });
    let wrong = checked.iter().flat_map(|one| {
        one.findings.iter().map(|it| format!("{}: {}", one.sources.place(it.span), it.message))
    });
    (checked.len(), unread.chain(wrong).collect())
}

fn read(path: &std::path::Path) -> Result<Checked, Failure> {
    let name = path.display().to_string();
    let text = load::read(&name).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot read the rule file {name}"))
            .because(&error)
            .help("name an existing file in UTF-8 that this user may read")
    })?;
    Ok(checked(&name, text))
}

/// A rule file from standard input: what is in it, not what it names.
fn read_from(input: impl Read) -> Result<Checked, Failure> {
    let refused = || Failure::new(Exit::Failed, "cannot read rules from standard input");
    let mut text = String::new();
    let read = input.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| refused().because(&error))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(refused().help(format!("a rule file has at most {FILE_BYTES_MAX} bytes")));
    }
    Ok(checked("<stdin>", text))
}

fn checked(name: &str, text: String) -> Checked {
    let mut sources = Sources::default();
    sources.add(SourceKind::File, name, text.clone());
    let (file, findings) = match parse(&text) {
        Ok(file) => (Some(file), Vec::new()),
        Err(findings) => (None, findings),
    };
    Checked { sources, text, file, findings }
}

fn report(
    args: &Args,
    checked: &[Checked],
    all_read: bool,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let all = || checked.iter().flat_map(|checked| &checked.findings);
    let errors = all().filter(|finding| finding.severity == Severity::Error).count();
    let warnings = all().count() - errors;
    let valid = errors == 0 && all_read;
    match args.output {
        ReportFormat::Json => {
            let list = checked
                .iter()
                .flat_map(|one| one.findings.iter().map(|it| finding(&one.sources, it)));
            terminal.data(&document(valid, &list.collect::<Vec<_>>()))?;
        }
        ReportFormat::Text => {
            for one in checked.iter().filter(|checked| !checked.findings.is_empty()) {
                let (sources, findings) = (&one.sources, &one.findings);
                terminal.say(&config::render(sources, findings, &terminal.style()));
            }
            let files = checked.iter().filter_map(|checked| checked.file.as_ref());
            let rules: usize =
                files.flat_map(|file| &file.groups).map(|group| group.rules.len()).sum();
            let verdict = if valid { "valid" } else { "not valid" };
            let mut summary = format!("{rules} rules: {verdict}");
            if errors + warnings > 0 {
                summary += &format!(": {errors} to fix, {warnings} to look at");
            }
            terminal.note(&summary);
        }
    }
    Ok(match (errors, warnings) {
        (0, 0) => Exit::Ok,
        (0, _) if args.lint_fatal => Exit::Findings,
        (0, _) => Exit::Ok,
        _ => Exit::Failed,
    })
}

#[derive(Deserialize)]
struct Document<T> {
    data: T,
}

#[derive(Deserialize)]
struct Matrix {
    result: Vec<Range>,
}

#[derive(Deserialize)]
struct Range {
    #[serde(default)]
    values: Vec<(f64, serde_json::Value)>,
    #[serde(default)]
    histograms: Vec<(f64, serde_json::Value)>,
}

/// What the agent has of the metrics `asked` for.
async fn seen(
    connection: &Connection,
    asked: impl Iterator<Item = &String>,
    terminal: &Terminal,
) -> Result<Seen, Failure> {
    let names: Document<BTreeSet<String>> =
        answer(connection, "/api/v1/label/__name__/values").await?;
    let mut seen = Seen { names: names.data, ..Seen::default() };
    let asked: Vec<&String> = asked.collect();
    if asked.len() > METRICS_MAX {
        terminal
            .note(&format!("only the first {METRICS_MAX} metrics are compared with the agent's"));
    }
    for name in asked.into_iter().take(METRICS_MAX) {
        let escaped: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
        let selector = format!("%7B__name__%3D%22{escaped}%22%7D");
        let series: Document<Vec<std::collections::BTreeMap<String, String>>> =
            answer(connection, &format!("/api/v1/series?limit=1000&match%5B%5D={selector}"))
                .await?;
        if series.data.is_empty() {
            continue;
        }
        let labels = series.data.into_iter().flat_map(std::collections::BTreeMap::into_keys);
        let path = format!("/api/v1/query?query={selector}%5B10m%5D");
        let recent: Document<Matrix> = answer(connection, &path).await?;
        let metric = Metric { labels: labels.collect(), interval: interval(&recent.data) };
        seen.metrics.insert(name.clone(), metric);
    }
    Ok(seen)
}

async fn answer<T: serde::de::DeserializeOwned>(
    connection: &Connection,
    path: &str,
) -> Result<T, Failure> {
    let body = connection.document(path).await?;
    serde_json::from_slice(&body).map_err(|error| {
        Failure::new(Exit::Failed, "the agent's answer is not understood").because(&error)
    })
}

/// The median distance of two samples.
fn interval(matrix: &Matrix) -> Option<Duration> {
    let mut distances: Vec<f64> = Vec::new();
    for range in &matrix.result {
        let times = || range.values.iter().chain(&range.histograms).map(|(time, _)| *time);
        distances.extend(times().zip(times().skip(1)).map(|(one, next)| next - one));
    }
    distances.sort_by(f64::total_cmp);
    let median = distances.get(distances.len() / 2).filter(|distance| **distance > 0.0)?;
    Duration::try_from_secs_f64(*median).ok()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::ColourChoice;

    #[derive(clap::Parser)]
    struct Typed {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn what_is_read_as_a_rule_file_is_found_in_by_line() {
        let read = read_from(GOOD.as_bytes()).unwrap();
        assert!(read.file.is_some() && read.findings.is_empty());
        let wrong = read_from(&b"groups: [{name: a, rules: [{}]}]"[..]).unwrap();
        let place = wrong.sources.place(wrong.findings.first().unwrap().span);
        assert!(place.starts_with("<stdin>:1:"), "{place}");
        assert!(read_from(&[0xff][..]).is_err());
    }

    const GOOD: &str = "groups: [{name: a, rules: [{record: 'a:b', expr: 'up'}]}]\n";

    #[tokio::test]
    async fn patterns_are_files_and_one_that_cannot_be_read_hides_no_other() {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in [("a.yaml", GOOD), ("b.yaml", "groups: [{name: a, rules: [{}]}]\n")] {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let (checked, unread) = read_all(&[path("none.yaml"), path("*.yaml")]);
        assert_eq!((checked.len(), unread.len()), (2, 1));
        assert!(checked.iter().any(|one| !one.findings.is_empty()));
        let terminal = Terminal::of_process(true, ColourChoice::Never);
        for (name, exit) in [("a.*", Exit::Ok), ("*.yaml", Exit::Failed), ("c*.yaml", Exit::Failed)]
        {
            let args = Typed::parse_from(["check", &path(name)]).args;
            assert_eq!(execute(&args, &terminal).await, Ok(exit), "{name}");
        }
        let (files, wrong) = configured(&[path("a.yaml"), path("none.yaml"), path("x*")]);
        assert_eq!((files, wrong.len()), (1, 2), "{wrong:?}");
    }
}
