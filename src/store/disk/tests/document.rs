//! `docs/store-format.md` says what the code does.

use super::super::file::{APPLICATION_ID, Role, SCHEMA_VERSION};
use super::super::read::ROWS;
use crate::store::Kind;
use crate::store::chunk::Encoding;

const DOCUMENT: &str = include_str!("../../../../docs/store-format.md");

/// Statements without what is only layout.
fn statements(sql: &str) -> Vec<String> {
    let statements = sql.split(';').map(|one| one.split_whitespace().collect::<Vec<_>>().join(" "));
    statements.filter(|one| !one.is_empty()).collect()
}

#[test]
fn the_schemas_are_the_code_s() {
    let blocks = DOCUMENT.split("```sql\n").skip(1);
    let mut written: Vec<_> =
        blocks.flat_map(|block| statements(block.split("```").next().unwrap())).collect();
    let roles = [Role::State, Role::Samples, Role::Rows];
    let mut code: Vec<_> = roles.into_iter().flat_map(|role| statements(&role.schema())).collect();
    written.sort();
    written.dedup();
    code.sort();
    code.dedup();
    assert_eq!(written, code);
    assert!(DOCUMENT.contains(&format!("Schema version {SCHEMA_VERSION}.")));
    assert!(DOCUMENT.contains(&format!("`0x{APPLICATION_ID:x}`")));
}

#[test]
fn the_codes_are_the_code_s() {
    let section = DOCUMENT.split_once("\n## Codes\n").unwrap().1;
    let section = section.split("\n## ").next().unwrap();
    let codes =
        section.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse().ok());
    let codes: Vec<u8> = codes.collect();
    let kinds = Kind::ALL.map(|kind| kind as u8);
    let encodings = Encoding::ALL.map(|encoding| encoding as u8);
    assert_eq!(codes, [&kinds[..], &encodings[..], &[ROWS]].concat());
}
