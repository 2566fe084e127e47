//! Whole configurations: what they resolve to, and what is said about bad ones.

mod checks;
mod findings;
pub(super) mod options;
mod sections;
mod sources;

use super::{Findings, Inputs, Loaded, Style, load, refused};
use crate::receive::Bind;

fn inputs(files: &[&str], variables: &[(&str, &str)], set: &[&str]) -> Inputs {
    let mut inputs = Inputs::default();
    for (i, text) in files.iter().enumerate() {
        let name = if i == 0 { "config.yaml".to_owned() } else { format!("{i}.yaml") };
        inputs.files.push((name, (*text).to_owned()));
    }
    let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    inputs.surroundings.variables = variables.collect();
    inputs.set = set.iter().map(|s| (*s).to_owned()).collect();
    inputs
}

fn loaded(files: &[&str], variables: &[(&str, &str)], set: &[&str]) -> Loaded {
    load(&inputs(files, variables, set))
        .unwrap_or_else(|f| panic!("{}", f.render(&Style::default())))
}

fn refused(text: &str) -> Findings {
    load(&inputs(&[text], &[], &[])).err().unwrap_or_else(|| panic!("accepted: {text}"))
}

/// That `text` is refused, and one of the reasons holds `why`.
fn assert_refused(text: &str, why: &str) {
    let found = messages(text);
    assert!(found.iter().any(|message| message.contains(why)), "{text}: {found:?}");
}

fn messages(text: &str) -> Vec<String> {
    refused(text).list.into_iter().map(|f| f.message).collect()
}
