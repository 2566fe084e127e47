//! `sidelight db`: the metric store's files.
//!
//! `stats` asks the running agent, or reads the files ([`beside`](super::beside)). `--dry-run` of the others only looks, too,
//! and may do so beside an agent; `rotate` and `vacuum` take the store's lock, which a running agent has. Their store is that of
//! the configuration.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::cli::configured::Configured;
use crate::cli::exit::{Exit, Failure};
use crate::cli::local::beside::{agent_or_files, of_source};
use crate::cli::read::client::Connection;
use crate::cli::rows::{self, Column, Shape, text};
use crate::cli::terminal::Terminal;
use crate::cli::text::{Format, size};
use crate::store::offline::{self, Compaction, Offline, Rotation};
use crate::store::{Config, Deps, OpenError, StoreError};
use crate::telemetry::Registry;
use crate::time::SystemClock;

/// What is done with the files.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum What {
    /// Every file: what it holds, its size, series, chunks and samples.
    Stats(Stats),
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

/// The store of the running agent, or files, and how it is shown.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without a configuration the running agent is asked; if nobody listens there, the files are read."
)]
pub(crate) struct Stats {
    #[command(flatten)]
    args: Args,
    #[command(flatten)]
    connection: Connection,
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

pub(crate) async fn execute(what: &What, terminal: &Terminal) -> Result<Exit, Failure> {
    let deps = Deps { clock: Arc::new(SystemClock::new()), registry: Registry::default() };
    match what {
        What::Stats(args) => stats(args, terminal).await,
        What::Rotate(Rotate { yes, change: Change { dry_run, args } }) => {
            let config = made(args, terminal)?;
            let now = deps.clock.unix_nano();
            let mut rotation = offline::rotation(&config, now).map_err(|error| refused(&error))?;
            if !dry_run {
                may_drop(&rotation, *yes || args.configured.names_a_file())?;
                let store = Offline::open(&config, &deps).map_err(|error| unopened(&error))?;
                rotation = store.rotate(now).map_err(|error| refused(&error))?;
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
                offline::compactions(&config).map_err(|error| refused(&error))?
            } else {
                let store = Offline::open(&config, &deps).map_err(|error| unopened(&error))?;
                store.vacuum().map_err(|error| refused(&error))?
            };
            COMPACTED.show(&vacuum_document(&compactions, *dry_run), args.output, terminal)?;
            Ok(Exit::Ok)
        }
    }
}

async fn stats(Stats { args, connection }: &Stats, terminal: &Terminal) -> Result<Exit, Failure> {
    let agent = async || {
        let body = connection.document("/api/sidelight/v1/storage/files").await?;
        Ok(of_source(rows::parsed(&body)?, "agent"))
    };
    let files = || {
        let config = store(args, terminal)?;
        let files = offline::files(&config).map_err(|error| refused(&error))?;
        Ok((of_source(offline::document(&config, &files), "files"), config.directory))
    };
    let named = args.configured.any();
    let document = agent_or_files(connection, named, terminal, agent, files).await?;
    show_stats(args.output, &document, terminal)
}

fn refused(error: &StoreError) -> Failure {
    Failure::new(Exit::Failed, "cannot read the store").because(error)
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
    let files = offline::files(&config).map_err(|error| refused(&error))?;
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
fn show_stats(output: Format, document: &Value, terminal: &Terminal) -> Result<Exit, Failure> {
    let files = rows::rows(document, FILES.list);
    let list = FILES.shown(document, output, terminal);
    let head = match output {
        Format::Table => {
            let (directory, count) = (text(document, "directory"), files.len());
            let (all, most) = (bytes(document, "bytes"), bytes(document, "max_size_bytes"));
            format!("store  {directory}\nsize   {all} of {most} in {count} files\n\n")
        }
        Format::Json | Format::Ndjson | Format::Csv => String::new(),
    };
    terminal.data(&format!("{head}{list}"))?;
    let held = |file: &&Value| file.get("held").and_then(Value::as_bool) == Some(true);
    for file in files.iter().filter(held) {
        terminal.note(&format!("{}: a running agent holds it", text(file, "name")));
    }
    let problems = files.iter().filter(|file| !text(file, "problem").is_empty());
    let said = |file| terminal.say(&format!("{}: {}", text(file, "name"), text(file, "problem")));
    Ok(if problems.map(said).count() == 0 { Exit::Ok } else { Exit::Failed })
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
    use clap::Parser as _;
    use expect_test::expect;

    use super::*;
    use crate::store::offline::FileReport;

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
        let shown =
            |file| show_stats(Format::Json, &offline::document(&config, &[file]), &terminal);
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

    #[derive(clap::Parser)]
    struct Typed {
        #[command(subcommand)]
        what: What,
    }

    #[tokio::test]
    async fn a_directory_without_a_store_and_one_that_is_locked_are_said_and_not_made() {
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
            let failure = execute(&what, &terminal).await.unwrap_err();
            assert!(failure.what.contains("there is no store in"), "{failure:?}");
        }
        assert_eq!(std::fs::read_dir(&other).unwrap().count(), 0, "nothing is made there");

        let config = Config::new(directory.path().join("store"));
        let deps = Deps { clock: Arc::new(SystemClock::new()), registry: Registry::default() };
        let held = Offline::open(&config, &deps).unwrap();
        let change = || Change { dry_run: false, args: args(&config.directory) };
        let rotate = || What::Rotate(Rotate { yes: true, change: change() });
        for what in [rotate(), What::Vacuum(change())] {
            let failure = execute(&what, &terminal).await.unwrap_err();
            assert!(failure.help.unwrap().contains("stop the agent first"));
        }
        drop(held);
        let line =
            ["x", "stats", "--set", &format!("store.directory={}", config.directory.display())];
        let stats = Typed::try_parse_from(line).unwrap().what;
        for what in [rotate(), What::Vacuum(change()), stats] {
            assert_eq!(execute(&what, &terminal).await, Ok(Exit::Ok));
        }
    }
}
