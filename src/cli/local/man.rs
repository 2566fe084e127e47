//! `sidelight man`: manual pages, made from the commands themselves.
//!
//! One page a command, named as git names its own: `sidelight-journal-stats.1`. Source: man(7).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Arg, Command};

use crate::cli::exit::{Exit, Failure};
use crate::cli::terminal::Terminal;

/// Where to.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sidelight man ~/.local/share/man/man1\n  sidelight man - | man -l -"
)]
pub(crate) struct Args {
    /// The directory for a page of every command; `-` writes the first page to standard output.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Writes the pages of `command` and of those below it.
pub(crate) fn execute(
    args: &Args,
    mut command: Command,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    command.build();
    if args.directory.as_os_str() == "-" {
        terminal.data(&page("sidelight", &command))?;
        return Ok(Exit::Ok);
    }
    let mut pages = Vec::new();
    pages_below("sidelight", &command, &mut pages);
    std::fs::create_dir_all(&args.directory).map_err(|error| refused(&args.directory, &error))?;
    for (name, page) in &pages {
        write(&args.directory.join(format!("{name}.1")), page)?;
    }
    let (count, shown) = (pages.len(), args.directory.display());
    terminal
        .note(&format!("wrote {count} pages to {shown}; man -M or MANPATH tells where they are"));
    Ok(Exit::Ok)
}

fn write(path: &Path, page: &str) -> Result<(), Failure> {
    std::fs::write(path, page).map_err(|error| refused(path, &error))
}

fn refused(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot write {}", path.display()))
        .because(error)
        .help("name a directory that this user may write to, or `-`")
}

fn pages_below(name: &str, command: &Command, pages: &mut Vec<(String, String)>) {
    pages.push((name.to_owned(), page(name, command)));
    for child in shown(command) {
        pages_below(&format!("{name}-{}", child.get_name()), child, pages);
    }
}

/// The commands below one that people are told of.
fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|child| !child.is_hide_set() && child.get_name() != "help")
}

fn page(name: &str, command: &Command) -> String {
    let text = |styled: Option<&clap::builder::StyledStr>| {
        styled.map(ToString::to_string).unwrap_or_default()
    };
    let about = text(command.get_about());
    let mut out = format!(
        ".TH {} 1 \"\" \"sidelight {}\" \"Sidelight\"\n.SH NAME\n{} \\- {}\n",
        name.to_uppercase(),
        env!("CARGO_PKG_VERSION"),
        escaped(name),
        escaped(about.trim_end_matches('.'))
    );
    let usage = command.clone().render_usage().to_string();
    let _ = write!(
        out,
        ".SH SYNOPSIS\n{}\n",
        escaped(usage.trim_start_matches("Usage: ")).replace('\n', "\n.br\n")
    );
    let long = command.get_long_about().map_or(about, ToString::to_string);
    let _ = write!(out, ".SH DESCRIPTION\n{}\n", escaped(&long).replace("\n\n", "\n.PP\n"));
    let mut children = shown(command).peekable();
    if children.peek().is_some() {
        out += ".SH COMMANDS\n";
    }
    for child in children {
        let page = format!("{name}-{}", child.get_name());
        let _ =
            write!(out, ".TP\n.BR {} (1)\n{}\n", escaped(&page), escaped(&text(child.get_about())));
    }
    let mut arguments =
        command.get_arguments().filter(|argument| !argument.is_hide_set()).peekable();
    if arguments.peek().is_some() {
        out += ".SH OPTIONS\n";
    }
    arguments.for_each(|argument| out += &option(argument));
    if let Some(after) = command.get_after_help() {
        let _ = write!(out, ".SH EXAMPLES AND NOTES\n.nf\n{}\n.fi\n", escaped(&after.to_string()));
    }
    out
}

fn option(argument: &Arg) -> String {
    let values = argument.get_value_names().into_iter().flatten().map(|name| name.as_str());
    let values = values.collect::<Vec<_>>().join(" ");
    let values = if argument.get_action().takes_values() { values } else { String::new() };
    let flags = [
        argument.get_short().map(|c| format!("-{c}")),
        argument.get_long().map(|long| format!("--{long}")),
    ];
    let flags = flags.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let help = argument
        .get_long_help()
        .or(argument.get_help())
        .map(ToString::to_string)
        .unwrap_or_default();
    let defaults = argument.get_default_values().iter().map(|value| value.to_string_lossy());
    let default =
        defaults.filter(|value| !value.is_empty() && argument.get_action().takes_values());
    let default: String = default.map(|value| format!(" [default: {value}]")).collect();
    format!(
        ".TP\n\\fB{}\\fR \\fI{}\\fR\n{}\n",
        escaped(&flags),
        escaped(&values),
        escaped(&(help + &default))
    )
}

/// A text in which nothing is a request or an escape of troff.
fn escaped(text: &str) -> String {
    let line = |line: &str| {
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
    };
    text.trim_end().lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_page_has_what_a_manual_has_and_no_text_is_a_request() {
        let child = Command::new("ls").about("List\n.them").arg(
            Arg::new("n")
                .short('n')
                .long("limit")
                .value_name("ROWS")
                .default_value("5")
                .help("At most \\ this."),
        );
        let mut command = Command::new("sidelight")
            .about("Agent.")
            .subcommand(child)
            .disable_help_subcommand(true);
        command.build();
        let mut pages = Vec::new();
        pages_below("sidelight", &command, &mut pages);
        let names: Vec<_> = pages.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["sidelight", "sidelight-ls"]);
        expect![[r#"
            .TH SIDELIGHT-LS 1 "" "sidelight VERSION" "Sidelight"
            .SH NAME
            sidelight\-ls \- List
            \&.them
            .SH SYNOPSIS
            sidelight ls [OPTIONS]
            .SH DESCRIPTION
            List
            \&.them
            .SH OPTIONS
            .TP
            \fB\-n, \-\-limit\fR \fIROWS\fR
            At most \e this. [default: 5]
            .TP
            \fB\-h, \-\-help\fR \fI\fR
            Print help
        "#]]
        .assert_eq(&pages[1].1.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    }

    #[test]
    fn a_page_that_cannot_be_written_is_said() {
        let failure = write(Path::new("/nowhere/x.1"), "").unwrap_err();
        assert!(failure.what.contains("/nowhere/x.1") && failure.help.is_some(), "{failure:?}");
    }
}
