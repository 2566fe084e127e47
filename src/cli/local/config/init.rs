//! `sidelight config init`: a file to begin with. What a file holds already is never lost.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

use crate::cli::exit::{Exit, Failure};
use crate::cli::terminal::Terminal;

/// The file: options that are commented out stand behind a `#` without a space.
const STARTER: &str = include_str!("starter.yaml");

/// Where it is written.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file; `-` is standard output.
    #[arg(value_name = "FILE", default_value = "config.yaml")]
    file: PathBuf,
    /// Replace a file that is there.
    #[arg(long)]
    force: bool,
}

pub(super) fn execute(args: &Args, terminal: &Terminal) -> Result<Exit, Failure> {
    if args.file.as_os_str() == "-" {
        terminal.data(STARTER)?;
        return Ok(Exit::Ok);
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(!args.force).create(args.force).truncate(args.force);
    let written = options.open(&args.file).and_then(|mut file| file.write_all(STARTER.as_bytes()));
    let shown = args.file.display();
    match written {
        Ok(()) => {
            terminal.note(&format!("wrote {shown}; next: sidelight run -c {shown}"));
            Ok(Exit::Ok)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(Failure::new(Exit::Failed, format!("{shown} is there already"))
                .help("name another file, `-` for standard output, or replace it with `--force`"))
        }
        Err(error) => Err(Failure::new(Exit::Failed, format!("cannot write {shown}"))
            .because(&error)
            .help("name a file in a directory that is there and that this user may write to")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ColourChoice;
    use crate::config::{Inputs, Loaded, Style, load};

    fn loaded(text: &str) -> Loaded {
        let files = vec![("config.yaml".to_owned(), text.to_owned())];
        load(&Inputs { files, ..Inputs::default() })
            .unwrap_or_else(|findings| panic!("{}", findings.render(&Style::default())))
    }

    #[test]
    fn the_starter_is_the_defaults_and_so_is_each_of_its_comments_but_what_it_adds() {
        let starter = loaded(STARTER);
        assert!(starter.warnings.is_empty());
        let config = |loaded: &Loaded| format!("{:?}", loaded.config);
        assert_eq!(config(&starter), config(&loaded("")));
        let uncommented = STARTER.lines().map(|line| match line.trim_start().strip_prefix('#') {
            Some(rest) if !rest.starts_with([' ', '#']) && !rest.is_empty() => {
                line.replacen('#', "", 1)
            }
            _ => line.to_owned(),
        });
        let uncommented: Vec<String> = uncommented.collect();
        let all = loaded(&uncommented.join("\n"));
        assert!(all.warnings.is_empty(), "{:?}", all.warnings);
        assert_eq!(all.config.export.destinations.len(), 2);
        assert!(all.origins().len() > 15, "{:?}", all.origins());
    }

    #[test]
    fn a_file_that_is_there_stays_unless_forced_and_a_place_that_is_not_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.yaml");
        let terminal = Terminal::of_process(true, ColourChoice::Never);
        let init = |file: &std::path::Path, force| {
            execute(&Args { file: file.to_owned(), force }, &terminal)
        };
        std::fs::write(&file, "mine").unwrap();
        let refused = init(&file, false).unwrap_err();
        assert!(refused.what.ends_with("is there already"), "{refused:?}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
        assert_eq!(init(&file, true), Ok(Exit::Ok));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), STARTER);
        let nowhere = init(&directory.path().join("a/b.yaml"), false).unwrap_err();
        assert!(nowhere.what.starts_with("cannot write") && nowhere.help.is_some(), "{nowhere:?}");
    }
}
