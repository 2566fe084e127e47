//! What `--help` says of every command, what documents tell people to type, and docs/cli.md.

use std::fmt::Write as _;
use std::path::Path;

use clap::error::ErrorKind;
use clap::{Arg, Command, CommandFactory as _, Parser as _};

use super::super::{Typed, refuse_both};

/// Every command that can be typed, with its words.
fn commands() -> Vec<(String, Command)> {
    fn below(words: &str, command: &Command, all: &mut Vec<(String, Command)>) {
        for child in command
            .get_subcommands()
            .filter(|child| child.get_name() != "help" && !child.is_hide_set())
        {
            let words = format!("{words} {}", child.get_name());
            all.push((words.clone(), child.clone()));
            below(&words, child, all);
        }
    }
    let mut root = Typed::command();
    root.build();
    let mut all = vec![("sidelight".to_owned(), root.clone())];
    below("sidelight", &root, &mut all);
    all
}

/// The commands of a line as a shell splits them: `;`, `|`, `&` and redirections end one, `#` begins a comment.
fn typed(line: &str) -> Vec<Vec<String>> {
    let (mut all, mut words, mut word, mut quote) = (Vec::new(), Vec::new(), None::<String>, None);
    for c in line.trim_start_matches("$ ").chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, ' ' | ';' | '|' | '&' | '>' | '(' | ')') => {
                words.extend(word.take());
                if c != ' ' {
                    all.push(std::mem::take(&mut words));
                }
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    all.push(words);
    all.retain(|words| words.first().is_some_and(|program| program == "sidelight"));
    all
}

/// Why it cannot be typed; what only lacks an argument names a command.
fn refusal(words: &[String]) -> Option<String> {
    let error = Typed::try_parse_from(words).and_then(refuse_both).err()?;
    let unfinished = [
        ErrorKind::DisplayHelp,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
        ErrorKind::DisplayVersion,
        ErrorKind::MissingRequiredArgument,
        ErrorKind::MissingSubcommand,
    ];
    (!unfinished.contains(&error.kind())).then(|| format!("{}: {error}", words.join(" ")))
}

#[test]
fn every_command_and_every_argument_has_help() {
    let all = commands();
    assert!(all.len() > 40, "{}", all.len());
    for (words, mut command) in all {
        assert!(command.get_about().is_some_and(|about| !about.to_string().is_empty()), "{words}");
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(!help.is_empty(), "{words} {}", argument.get_id());
        }
        let help = command.render_long_help().to_string();
        assert!(help.contains("Usage:"), "{words}: {help}");
    }
}

#[test]
fn every_example_in_help_can_be_typed_and_is_of_its_command() {
    let mut examples = 0;
    for (words, command) in commands() {
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in after.lines().filter(|line| line.trim_start().starts_with("sidelight ")) {
            for example in typed(line.trim()) {
                examples += 1;
                assert!(example.join(" ").starts_with(&words), "{words}: {line}");
                assert_eq!(refusal(&example), None);
            }
        }
    }
    assert!(examples > 10, "{examples}");
}

/// The lines of a page's blocks that begin with `fence`.
fn lines_of_blocks<'a>(page: &'a str, fence: &'static str) -> impl Iterator<Item = &'a str> {
    page.split(fence).skip(1).filter_map(|rest| rest.split("```").next()).flat_map(str::lines)
}

#[test]
fn every_command_that_a_document_shows_can_be_typed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let below = |directory: &str| {
        std::fs::read_dir(root.join(directory)).unwrap().map(|entry| entry.unwrap().path())
    };
    let mut pages = vec![root.join("README.md")];
    pages.extend(below("docs"));
    let places = ["deploy", "examples", "examples/rust"].into_iter().flat_map(below);
    pages.extend(places.map(|place| place.join("README.md")).filter(|page| page.is_file()));
    let mut shown = 0;
    for page in
        pages.iter().filter(|page| page.extension().is_some_and(|extension| extension == "md"))
    {
        let text = std::fs::read_to_string(page).unwrap();
        let scripts = lines_of_blocks(&text, "```sh\n");
        // The other lines are what is answered.
        let sessions = lines_of_blocks(&text, "```console\n").filter(|line| line.starts_with("$ "));
        // What is called by a command's name, that is: other things begin with this word, too.
        let inline = text.split('`').skip(1).step_by(2).filter(|code| {
            let name = code.strip_prefix("sidelight ").and_then(|rest| rest.split(' ').next());
            name.is_some_and(|name| Typed::command().find_subcommand(name).is_some())
        });
        let inline = inline.filter(|code| !code.contains('\n'));
        for line in scripts.chain(sessions).chain(inline) {
            for words in typed(line) {
                shown += 1;
                assert_eq!(refusal(&words), None, "{}", page.display());
            }
        }
    }
    assert!(shown > 100, "{shown}");
}

const HEAD: &str = "\
<!-- Written by a test from the commands: UPDATE_DOCS=1 cargo test --lib cli:: -->
# Command line

Without a command the agent runs, as `sidelight run` does. Commands that show something of the running agent ask its admin
API ([api.md](api.md)) at `--url` or `SIDELIGHT_URL`; `check`, `test`, `config` and `doctor` need no agent.

`journal` and `db stats` ask it as well, and read the files of this machine instead where they are named, with `-c` or
`--directory`; or where nobody listens and no address was given: then the files of the configuration are read, and that is
said. An agent that is slow or breaks off is there. `source` in their JSON tells which, `agent` or `files`. `journal rejected rm`
changes files only where they are named; `journal rejected resend`, `db rotate` and `db vacuum` work on the files that a
configuration names.

What is for programs goes to standard output, what is for people to standard error. `-o` is `table` (for people), `json`
(one document, with `schema_version`, whose keys are added to and never change their meaning; `query`, `series` and `labels`
give the answer of the Prometheus API as it is), `ndjson` (a JSON object a line, one a row) or `csv` (RFC 4180, numbers in
full, the unit in the column's name). Tables fit the terminal, and are as wide as they need where there is none. What is no
list (`check`, `config explain`, `doctor`, `gen`, `health`, `sink`, `version`) is `text` or `json`, and `config print` `yaml`
or `json`. Colours heed `--color`, `NO_COLOR`, `FORCE_COLOR` and `TERM=dumb`.

| exit code | meaning |
|---|---|
| 0 | it did what was asked |
| 1 | the operation, or what was checked, failed |
| 2 | what was typed is wrong |
| 3 | there are findings at or above the level that was asked for |
| 4 | the agent does not answer, or not in time |
| 5 | the configuration is not valid |
| 6 | the agent asks for a token, or for another one |
| 130, 143 | interrupted, terminated, a second time |
";

fn page() -> String {
    let mut out = HEAD.to_owned();
    let all = commands();
    out += "\n## Commands\n\n| command | does |\n|---|---|\n";
    for (words, command) in all.iter().skip(1).filter(|(_, command)| !command.has_subcommands()) {
        let _ = writeln!(out, "| [`{words}`](#{}) | {} |", words.replace(' ', "-"), about(command));
    }
    for (words, command) in all.iter().filter(|(_, command)| !command.has_subcommands()) {
        let _ = write!(out, "\n## {words}\n\n{}\n", about(command));
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ").replace("Usage: ", "");
        let _ = write!(out, "\n```text\n{}\n```\n", usage.trim());
        let arguments: Vec<&Arg> = command
            .get_arguments()
            .filter(|argument| !argument.is_hide_set() && !argument.is_global_set())
            .filter(|argument| !["help", "version"].contains(&argument.get_id().as_str()))
            .collect();
        if !arguments.is_empty() {
            out += "\n| argument | default | meaning |\n|---|---|---|\n";
        }
        for argument in arguments {
            out += &row(argument);
        }
        if let Some(after) = command.get_after_help() {
            let after = after.to_string();
            let examples = after.lines().filter(|line| line.starts_with("  "));
            let examples: Vec<_> = examples.map(str::trim).collect();
            if !examples.is_empty() {
                let _ = write!(out, "\n```sh\n{}\n```\n", examples.join("\n"));
            }
        }
    }
    out
}

fn about(command: &Command) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let full = about.ends_with(['.', '`', ')']);
    if full { about } else { format!("{about}.") }
}

fn row(argument: &Arg) -> String {
    let value =
        argument.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str());
    let takes = argument.get_action().takes_values();
    let name = match (argument.get_short(), argument.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (None, Some(long)) => format!("--{long}"),
        (Some(short), None) => format!("-{short}"),
        (None, None) => String::new(),
    };
    let name = match value {
        "" => name,
        _ if !takes => name,
        // Only with the sign: without it what follows is something else.
        value if argument.is_require_equals_set() => format!("{name}[={value}]"),
        value => format!("{name} {value}"),
    };
    let defaults = argument.get_default_values().iter().map(|value| value.to_string_lossy());
    let default =
        defaults.filter(|value| takes && !value.is_empty()).map(|value| format!("`{value}`"));
    let default: Vec<String> = default.collect();
    let words = argument.get_possible_values();
    let words: Vec<String> = words.iter().map(|word| format!("`{}`", word.get_name())).collect();
    let words = if takes && !words.is_empty() {
        format!(" One of {}.", words.join(", "))
    } else {
        String::new()
    };
    let help = argument
        .get_long_help()
        .or(argument.get_help())
        .map(ToString::to_string)
        .unwrap_or_default();
    let help = help.replace('\n', " ").replace('|', "\\|");
    let help = help.trim_end_matches('.');
    format!("| `{}` | {} | {help}.{words} |\n", name.trim(), default.join(" "))
}

#[test]
fn the_page_of_commands_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page(), "docs/cli.md is stale: run with UPDATE_DOCS=1");
}
