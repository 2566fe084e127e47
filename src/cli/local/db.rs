//! `sidelight db`: the metric store's files.
//!
//! `stats`, and `--dry-run` of the others, only look and may do so beside a running agent; `rotate` and
//! `vacuum` take the store's lock, which a running agent has. The store is that of the configuration.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::cli::configured::Configured;
use crate::cli::exit::{Exit, Failure};
use crate::cli::terminal::Terminal;
use crate::cli::text::{size, table};
use crate::store::offline::{self, Compaction, FileReport, Offline, Rotation};
use crate::store::{Config, Deps, OpenError, StoreError};
use crate::telemetry::Registry;
use crate::time::SystemClock;

/// What is done with the files.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum What {
    /// Every file: what it holds, its size, series, chunks and samples.
    Stats(Args),
    /// Roll up days that are over and drop what is older or larger than configured, as the agent does.
    Rotate(Change),
    /// Write every file anew without the free space in it.
    Vacuum(Change),
}

/// Which store, and how it is shown.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    configured: Configured,
    /// The format.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

/// Which store is changed.
#[derive(Debug, clap::Args)]
pub(crate) struct Change {
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    args: Args,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Table,
    Json,
}

pub(crate) fn execute(what: &What, terminal: &Terminal) -> Result<Exit, Failure> {
    let (What::Stats(args) | What::Rotate(Change { args, .. }) | What::Vacuum(Change { args, .. })) =
        what;
    let config = store(args, terminal)?;
    let deps = Deps { clock: Arc::new(SystemClock::new()), registry: Registry::default() };
    let refused =
        |error: StoreError| Failure::new(Exit::Failed, "cannot read the store").because(&error);
    let open = || Offline::open(&config, &deps).map_err(|error| unopened(&error));
    match what {
        What::Stats(args) => {
            let files = offline::files(&config).map_err(refused)?;
            show(args, terminal, &stats_document(&config, &files), || {
                stats_table(&files, terminal)
            })?;
            note_problems(&files, terminal);
        }
        What::Rotate(Change { dry_run, args }) => {
            let now = deps.clock.unix_nano();
            let rotation = if *dry_run {
                offline::rotation(&config, now).map_err(refused)?
            } else {
                open()?.rotate(now).map_err(refused)?
            };
            let document = rotation_document(&rotation, *dry_run);
            show(args, terminal, &document, || rotation_text(&rotation, *dry_run))?;
        }
        What::Vacuum(Change { dry_run, args }) => {
            let compactions = if *dry_run {
                offline::compactions(&config).map_err(refused)?
            } else {
                open()?.vacuum().map_err(refused)?
            };
            let document = vacuum_document(&compactions, *dry_run);
            show(args, terminal, &document, || vacuum_table(&compactions, terminal))?;
        }
    }
    Ok(Exit::Ok)
}

/// The store that the configuration names; it has to be there.
fn store(args: &Args, terminal: &Terminal) -> Result<Config, Failure> {
    let loaded = args.configured.load(terminal)?;
    let Some(config) = loaded.config.store else {
        return Err(Failure::new(Exit::Failed, "the configuration has no metric store")
            .help("set `store.directory`, or `store.enabled: true`"));
    };
    let found = std::fs::metadata(&config.directory);
    match found {
        Ok(_) => Ok(config),
        Err(error) => {
            let what = format!("there is no store in {}", config.directory.display());
            Err(Failure::new(Exit::Failed, what).because(&error).help(
                "name the agent's configuration with `-c`, or the directory with `--set store.directory=...`",
            ))
        }
    }
}

fn unopened(error: &OpenError) -> Failure {
    let failure = Failure::new(Exit::Failed, "cannot open the store").because(error);
    match error {
        OpenError::InUse { .. } => failure.help(
            "stop the agent first; it rotates by itself, and `--dry-run` and `db stats` work beside it",
        ),
        _ => failure,
    }
}

fn show(
    args: &Args,
    terminal: &Terminal,
    document: &Value,
    text: impl FnOnce() -> String,
) -> Result<(), Failure> {
    match args.output {
        Format::Json => terminal.data(&format!("{document}\n")),
        Format::Table => terminal.data(&text()),
    }
}

fn stats_document(config: &Config, files: &[FileReport]) -> Value {
    let list = files.iter().map(|file| {
        json!({
            "name": file.name,
            "holds": file.holds,
            "first_day": file.days.as_ref().map(|(first, _)| first),
            "last_day": file.days.as_ref().map(|(_, last)| last),
            "bytes": file.bytes,
            "free_bytes": file.free_bytes,
            "series": file.series,
            "chunks": file.chunks,
            "samples": file.samples,
            "problem": file.problem,
        })
    });
    json!({
        "schema_version": 1,
        "directory": config.directory,
        "bytes": total(files),
        "max_size_bytes": config.max_size,
        "files": list.collect::<Vec<_>>(),
    })
}

fn total(files: &[FileReport]) -> u64 {
    files.iter().map(|file| file.bytes).sum()
}

fn stats_table(files: &[FileReport], terminal: &Terminal) -> String {
    let count = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let rows = files.iter().map(|file| {
        let days = file.days.as_ref().map_or_else(
            || "-".to_owned(),
            |(first, last)| {
                if first == last { first.clone() } else { format!("{first} to {last}") }
            },
        );
        vec![
            file.name.clone(),
            file.holds.to_owned(),
            days,
            size(file.bytes),
            count(file.series),
            count(file.chunks),
            count(file.samples),
        ]
    });
    let sum = ["total", "", "", &size(total(files)), "", "", ""].map(str::to_owned).to_vec();
    let headings = ["FILE", "HOLDS", "DAYS", "SIZE", "SERIES", "CHUNKS", "SAMPLES"];
    table(&headings, &[3, 4, 5, 6], rows.chain([sum]), terminal.width())
}

fn note_problems(files: &[FileReport], terminal: &Terminal) {
    for file in files {
        if let Some(problem) = &file.problem {
            terminal.note(&format!("{}: {problem}", file.name));
        }
    }
}

fn rotation_document(rotation: &Rotation, dry_run: bool) -> Value {
    let dropped = rotation
        .drop
        .iter()
        .map(|(name, bytes, reason)| json!({"name": name, "bytes": bytes, "reason": reason}));
    json!({
        "schema_version": 1,
        "dry_run": dry_run,
        "rolled_up": rotation.roll,
        "dropped": dropped.collect::<Vec<_>>(),
        "excess_bytes": rotation.excess,
    })
}

fn rotation_text(rotation: &Rotation, dry_run: bool) -> String {
    let would = if dry_run { "would " } else { "" };
    let past = |verb: &str, done: &str| if dry_run { verb.to_owned() } else { done.to_owned() };
    let (roll, drop) = (past("roll up", "rolled up"), past("drop", "dropped"));
    let mut lines: Vec<String> =
        rotation.roll.iter().map(|day| format!("{would}{roll} {day}")).collect();
    lines.extend(rotation.drop.iter().map(|(name, bytes, reason)| {
        format!("{would}{drop} {name}, {}, for its {reason}", size(*bytes))
    }));
    if rotation.excess > 0 {
        lines.push(format!("{} above store.max_size even then", size(rotation.excess)));
    }
    if lines.is_empty() {
        lines.push("nothing to roll up and nothing to drop".to_owned());
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn vacuum_document(compactions: &[Compaction], dry_run: bool) -> Value {
    let files = compactions.iter().map(|Compaction { name, before, after }| {
        json!({"name": name, "bytes_before": before, "bytes_after": after})
    });
    json!({"schema_version": 1, "dry_run": dry_run, "files": files.collect::<Vec<_>>()})
}

fn vacuum_table(compactions: &[Compaction], terminal: &Terminal) -> String {
    let rows = compactions
        .iter()
        .map(|Compaction { name, before, after }| vec![name.clone(), size(*before), size(*after)]);
    table(&["FILE", "BEFORE", "AFTER"], &[1, 2], rows, terminal.width())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_rotation_says_what_it_did_or_would_do() {
        let rotation = Rotation {
            roll: vec!["2026-11-20".to_owned()],
            drop: vec![("metrics-20261118.db".to_owned(), 3 << 20, "age")],
            excess: 5_000,
        };
        expect![[r#"
            would roll up 2026-11-20
            would drop metrics-20261118.db, 3.00 MiB, for its age
            4.88 KiB above store.max_size even then
        "#]]
        .assert_eq(&rotation_text(&rotation, true));
        expect![[r#"
            rolled up 2026-11-20
            dropped metrics-20261118.db, 3.00 MiB, for its age
            4.88 KiB above store.max_size even then
        "#]]
        .assert_eq(&rotation_text(&rotation, false));
        let nothing = rotation_text(&Rotation::default(), true);
        assert_eq!(nothing, "nothing to roll up and nothing to drop\n");
    }

    fn args(directory: &std::path::Path) -> Args {
        let set = vec![format!("store.directory={}", directory.display())];
        let configured = Configured::of(Vec::new(), set);
        Args { configured, output: Format::Json }
    }

    #[test]
    fn a_directory_without_a_store_and_one_that_is_locked_are_said_and_not_made() {
        let directory = tempfile::tempdir().unwrap();
        let absent = directory.path().join("absent");
        let terminal = Terminal::of_process(true, false, crate::cli::ColourChoice::Never);
        let failure = store(&args(&absent), &terminal).unwrap_err();
        assert!(failure.what.contains("there is no store in"), "{failure:?}");
        assert!(!absent.try_exists().unwrap());

        let config = Config::new(directory.path().join("store"));
        let deps = Deps { clock: Arc::new(SystemClock::new()), registry: Registry::default() };
        let held = Offline::open(&config, &deps).unwrap();
        let change = || Change { dry_run: false, args: args(&config.directory) };
        for what in [What::Rotate(change()), What::Vacuum(change())] {
            let failure = execute(&what, &terminal).unwrap_err();
            assert!(failure.help.unwrap().contains("stop the agent first"));
        }
        drop(held);
        for what in [What::Rotate(change()), What::Vacuum(change()), What::Stats(change().args)] {
            assert_eq!(execute(&what, &terminal), Ok(Exit::Ok));
        }
    }
}
