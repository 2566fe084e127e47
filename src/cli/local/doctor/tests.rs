use super::*;
use crate::cli::ColourChoice;

#[tokio::test]
async fn a_configuration_that_is_not_valid_has_its_exit_code_and_one_that_cannot_be_read_too() {
    let terminal = Terminal::of_process(true, ColourChoice::Never);
    let args = |set: &[&str], files: &[&str]| {
        let line = ["doctor", "--output", "json", "--url", "http://127.0.0.1:1"].map(str::to_owned);
        let set = set.iter().flat_map(|set| ["--set".to_owned(), (*set).to_owned()]);
        let files = files.iter().flat_map(|file| ["-c".to_owned(), (*file).to_owned()]);
        Typed::try_parse_from(line.into_iter().chain(set).chain(files)).unwrap().args
    };
    let bad = args(&["journal.durability=disk"], &[]);
    assert_eq!(execute(&bad, &terminal).await, Ok(Exit::InvalidConfiguration));
    let failure = execute(&args(&[], &["/nowhere.yaml"]), &terminal).await.unwrap_err();
    assert_eq!(failure.exit, Exit::InvalidConfiguration);
}

#[derive(clap::Parser)]
struct Typed {
    #[command(flatten)]
    args: Args,
}

use clap::Parser as _;
