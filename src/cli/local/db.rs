//! `sidelight db`: the metric store's files.
//!
//! `stats`, and `--dry-run` of the others, only look and may do so beside a running agent; `rotate` and
//! `vacuum` take the store's lock, which a running agent has. The store is that of the configuration.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::cli::configured::Configured;
use crate::cli::exit::{Exit, Failure};
use crate::cli::rows::{Column, Shape, text};
use crate::cli::terminal::Terminal;
use crate::cli::text::{Format, size};
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
    Rotate(Rotate),
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

/// What is rotated.
#[derive(Debug, clap::Args)]
pub(crate) struct Rotate {
    /// Drop files also where no configuration file says how long they are kept.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    change: Change,
}

pub(crate) fn execute(what: &What, terminal: &Terminal) -> Result<Exit, Failure> {
    let deps = Deps { clock: Arc::new(SystemClock::new()), registry: Registry::default() };
    let refused =
        |error: StoreError| Failure::new(Exit::Failed, "cannot read the store").because(&error);
    match what {
        What::Stats(args) => {
            let config = store(args, terminal)?;
            let files = offline::files(&config).map_err(refused)?;
            show_stats(args, &config, &files, terminal)
        }
        What::Rotate(Rotate { yes, change: Change { dry_run, args } }) => {
            let config = made(args, terminal)?;
            let now = deps.clock.unix_nano();
            let mut rotation = offline::rotation(&config, now).map_err(refused)?;
            if !dry_run {
                may_drop(&rotation, *yes || args.configured.names_a_file())?;
                let store = Offline::open(&config, &deps).map_err(|error| unopened(&error))?;
                rotation = store.rotate(now).map_err(refused)?;
            }
            let document = rotation_document(&rotation, *dry_run);
            if args.output == Format::Table {
                terminal.data(&rotation_text(&rotation, *dry_run))?;
            } else {
                DROPPED.show(&document, args.output, terminal)?;
            }
            Ok(Exit::Ok)
        }
        What::Vacuum(Change { dry_run, args }) => {
            let config = made(args, terminal)?;
            let compactions = if *dry_run {
                offline::compactions(&config).map_err(refused)?
            } else {
                let store = Offline::open(&config, &deps).map_err(|error| unopened(&error))?;
                store.vacuum().map_err(refused)?
            };
            COMPACTED.show(&vacuum_document(&compactions, *dry_run), args.output, terminal)?;
            Ok(Exit::Ok)
        }
    }
}

/// Refuses to drop what only the defaults call too old.
fn may_drop(rotation: &Rotation, told: bool) -> Result<(), Failure> {
    if rotation.drop.is_empty() || told {
        return Ok(());
    }
    let count = rotation.drop.len();
    let what =
        format!("no configuration file says how long to keep {count} files that would be dropped");
    Err(Failure::new(Exit::Usage, what).help(
        "name the agent's configuration with `-c`; `--dry-run` shows the files, `--yes` drops them by the defaults",
    ))
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
            Err(Failure::new(Exit::Failed, what)
                .because(&error)
                .help("name the agent's configuration with `-c`"))
        }
    }
}

/// The same, and a store has to be in it: a change makes none.
fn made(args: &Args, terminal: &Terminal) -> Result<Config, Failure> {
    let config = store(args, terminal)?;
    let files = offline::files(&config)
        .map_err(|error| Failure::new(Exit::Failed, "cannot read the store").because(&error))?;
    if files.is_empty() {
        let what = format!("there is no store in {}", config.directory.display());
        return Err(
            Failure::new(Exit::Failed, what).help("name the agent's configuration with `-c`")
        );
    }
    Ok(config)
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

const FILES: Shape = Shape {
    list: "files",
    columns: &[
        Column::text("FILE", |row| text(row, "name")),
        Column::text("HOLDS", |row| text(row, "holds")),
        Column::text("DAYS", |row| {
            let (first, last) = (text(row, "first_day"), text(row, "last_day"));
            if first == last { first } else { format!("{first} to {last}") }
        }),
        Column::number("SIZE", |row| bytes(row, "bytes")).member("bytes"),
        Column::number("SERIES", |row| text(row, "series")),
        Column::number("CHUNKS", |row| text(row, "chunks")),
        Column::number("SAMPLES", |row| text(row, "samples")),
    ],
    none: "the store has no files yet",
};

const DROPPED: Shape = Shape {
    list: "dropped",
    columns: &[
        Column::text("FILE", |row| text(row, "name")),
        Column::number("SIZE", |row| bytes(row, "bytes")).member("bytes"),
        Column::text("REASON", |row| text(row, "reason")),
    ],
    none: "nothing to drop",
};

const COMPACTED: Shape = Shape {
    list: "files",
    columns: &[
        Column::text("FILE", |row| text(row, "name")),
        Column::number("BEFORE", |row| bytes(row, "bytes_before")).member("bytes_before"),
        Column::number("AFTER", |row| bytes(row, "bytes_after")).member("bytes_after"),
    ],
    none: "the store has no files yet",
};

fn bytes(row: &Value, key: &str) -> String {
    row.get(key).and_then(Value::as_u64).map_or_else(String::new, size)
}

/// Shows every file, then what is wrong with some.
fn show_stats(
    args: &Args,
    config: &Config,
    files: &[FileReport],
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let list = FILES.shown(&stats_document(config, files), args.output, terminal);
    let head = match args.output {
        Format::Table => {
            let (all, most) = (total(files), config.max_size);
            let (directory, count) = (config.directory.display(), files.len());
            format!(
                "store  {directory}\nsize   {} of {} in {count} files\n\n",
                size(all),
                size(most)
            )
        }
        Format::Json | Format::Ndjson | Format::Csv => String::new(),
    };
    terminal.data(&format!("{head}{list}"))?;
    for file in files.iter().filter(|file| file.held) {
        terminal.note(&format!("{}: a running agent holds it", file.name));
    }
    let problems = files.iter().filter_map(|file| Some((&file.name, file.problem.as_ref()?)));
    let problems: Vec<_> =
        problems.map(|(name, problem)| terminal.say(&format!("{name}: {problem}"))).collect();
    Ok(if problems.is_empty() { Exit::Ok } else { Exit::Failed })
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
            "held": file.held,
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

    #[test]
    fn nothing_is_dropped_by_the_defaults_alone() {
        let rotation = Rotation {
            drop: vec![("metrics-20261118.db".to_owned(), 3 << 20, "age")],
            ..Rotation::default()
        };
        assert_eq!(may_drop(&rotation, false).unwrap_err().exit, Exit::Usage);
        assert_eq!(may_drop(&rotation, true), Ok(()));
        assert_eq!(may_drop(&Rotation::default(), false), Ok(()));
    }

    #[test]
    fn a_file_that_cannot_be_read_fails_and_one_that_is_held_does_not() {
        let terminal = Terminal::of_process(true, crate::cli::ColourChoice::Never);
        let directory = tempfile::tempdir().unwrap();
        let config = Config::new(directory.path().to_owned());
        let shown = |file| show_stats(&args(directory.path()), &config, &[file], &terminal);
        let problem = Some("damaged".to_owned());
        let bad = FileReport { problem, ..FileReport::default() };
        assert_eq!(shown(bad), Ok(Exit::Failed));
        assert_eq!(shown(FileReport { held: true, ..FileReport::default() }), Ok(Exit::Ok));
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
        let terminal = Terminal::of_process(true, crate::cli::ColourChoice::Never);
        let failure = store(&args(&absent), &terminal).unwrap_err();
        assert!(failure.what.contains("there is no store in"), "{failure:?}");
        assert!(!absent.try_exists().unwrap());

        let other = directory.path().join("other");
        std::fs::create_dir(&other).unwrap();
        let change = || Change { dry_run: false, args: args(&other) };
        let rotate = What::Rotate(Rotate { yes: true, change: change() });
        for what in [rotate, What::Vacuum(change())] {
            let failure = execute(&what, &terminal).unwrap_err();
            assert!(failure.what.contains("there is no store in"), "{failure:?}");
        }
        assert_eq!(std::fs::read_dir(&other).unwrap().count(), 0, "nothing is made there");

        let config = Config::new(directory.path().join("store"));
        let deps = Deps { clock: Arc::new(SystemClock::new()), registry: Registry::default() };
        let held = Offline::open(&config, &deps).unwrap();
        let change = || Change { dry_run: false, args: args(&config.directory) };
        let rotate = || What::Rotate(Rotate { yes: true, change: change() });
        for what in [rotate(), What::Vacuum(change())] {
            let failure = execute(&what, &terminal).unwrap_err();
            assert!(failure.help.unwrap().contains("stop the agent first"));
        }
        drop(held);
        for what in [rotate(), What::Vacuum(change()), What::Stats(change().args)] {
            assert_eq!(execute(&what, &terminal), Ok(Exit::Ok));
        }
    }
}
