//! The files that rules come from, and the page of those that are shipped.

use super::*;

#[test]
fn more_rule_files_than_there_may_be_are_said_where_a_pattern_matches_them() {
    let directory = tempfile::tempdir().unwrap();
    for n in 0..=load::FILES_MAX {
        std::fs::write(directory.path().join(format!("{n}.yaml")), "groups: []\n").unwrap();
    }
    let files = vec![format!("{}/*.yaml", directory.path().display())];
    let loaded = load(&Config { files, builtin: false, ..Config::default() });
    assert_eq!(loaded.errors, ["more than 500 rule files: the rest is left out"]);
    // In the order of their names.
    assert_eq!(loaded.left_out, [directory.path().join("99.yaml").display().to_string()]);
}

#[test]
fn a_rule_file_that_is_too_long_or_no_file_is_left_out_and_said() {
    let directory = tempfile::tempdir().unwrap();
    let long = directory.path().join("long.yaml");
    let length = usize::try_from(load::FILE_BYTES_MAX).unwrap() + 1;
    std::fs::write(&long, "#".repeat(length)).unwrap();
    let files = [long.as_path(), directory.path()].map(|path| path.display().to_string());
    let config = Config { files: files.clone().into(), builtin: false, ..Config::default() };
    let loaded = load(&config);
    assert_eq!(loaded.left_out, files);
    assert_eq!(loaded.errors.len(), 2, "{:?}", loaded.errors);
    assert!(loaded.errors[0].ends_with("it has more than 4194304 bytes"), "{:?}", loaded.errors);
    assert!(loaded.errors[1].ends_with("it is not a file"), "{:?}", loaded.errors);
}

#[test]
fn every_series_that_the_shipped_rules_record_is_in_their_page() {
    let page = include_str!("../../../docs/rules.md");
    // `a_{b,c}_d` stands for `a_b_d` and `a_c_d`.
    let mut named = std::collections::BTreeSet::new();
    for word in page.split('`').filter(|word| word.starts_with("sidelight:")) {
        let braces = word.split_once("_{").and_then(|(before, rest)| {
            rest.split_once('}').map(|(parts, after)| (before, parts, after))
        });
        match braces {
            Some((before, parts, after)) => {
                named.extend(parts.split(',').map(|part| format!("{before}_{part}{after}")));
            }
            None => drop(named.insert(word.to_owned())),
        }
    }
    let file = file::parse(crate::rules::BUILTIN).unwrap();
    let rules = file.groups.iter().flat_map(|group| &group.rules);
    let recorded: Vec<&str> = rules
        .filter(|rule| matches!(rule.kind, file::Kind::Recording))
        .map(|rule| &*rule.name.text)
        .filter(|name| !named.contains(*name))
        .collect();
    assert!(recorded.is_empty(), "{recorded:?}");
}
