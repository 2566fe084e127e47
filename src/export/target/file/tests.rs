//! The writer on a real file system: names, sizes, modes, and what failures leave behind.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn writer(path: &Path, max_size: u64, max_backups: usize) -> Writer {
    let config = FileConfig { max_size, max_backups, ..FileConfig::new(path) };
    Writer { config, open: None }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|_| "-".to_owned())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_directory_and_the_file_are_made_for_the_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/out.jsonl");
    writer(&path, 100, 1).append(b"x\n").unwrap();
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    assert_eq!(read(&path), "x\n");
}

#[test]
fn files_are_rotated_before_they_grow_too_large_and_the_newest_is_1() {
    for (max_backups, want) in [
        (0, ["5\n", "-", "-", "-"]),
        (1, ["5\n", "3\n4\n", "-", "-"]),
        (2, ["5\n", "3\n4\n", "1\n2\n", "-"]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let mut writer = writer(&path, 4, max_backups);
        for n in 1..=5 {
            writer.append(format!("{n}\n").as_bytes()).unwrap();
        }
        let found = [path.clone(), backup(&path, 1), backup(&path, 2), backup(&path, 3)];
        assert_eq!(found.map(|path| read(&path)), want, "{max_backups}");
    }
}

#[test]
fn a_batch_above_the_size_is_written_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let mut writer = writer(&path, 4, 9);
    for lines in ["1\n", "long line\n", "2\n"] {
        writer.append(lines.as_bytes()).unwrap();
    }
    let found = [path.clone(), backup(&path, 1), backup(&path, 2), backup(&path, 3)];
    assert_eq!(found.map(|path| read(&path)), ["2\n", "long line\n", "1\n", "-"]);
}

#[test]
fn a_gap_among_the_backups_is_filled_before_one_falls_off() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    fs::write(&path, "new").unwrap();
    fs::write(backup(&path, 2), "2").unwrap();
    fs::write(backup(&path, 3), "3").unwrap();
    rotate(&path, 3).unwrap();
    let found = [backup(&path, 1), backup(&path, 2), backup(&path, 3)];
    assert_eq!(found.map(|path| read(&path)), ["new", "2", "3"]);
}

#[test]
fn a_line_that_a_crash_cut_off_does_not_spoil_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    fs::write(&path, "whole\ncut o").unwrap();
    let mut writer = writer(&path, 100, 1);
    writer.append(b"next\n").unwrap();
    assert_eq!(read(&path), "whole\ncut o\nnext\n");
}

#[test]
fn a_file_that_was_moved_away_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let mut writer = writer(&path, 100, 1);
    writer.append(b"1\n").unwrap();
    fs::rename(&path, dir.path().join("moved")).unwrap();
    writer.append(b"2\n").unwrap();
    fs::remove_file(&path).unwrap();
    writer.append(b"3\n").unwrap();
    assert_eq!((read(&dir.path().join("moved")), read(&path)), ("1\n".into(), "3\n".into()));
}

#[test]
fn what_is_not_a_file_is_refused_with_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let error = writer(dir.path(), 100, 1).append(b"1\n").unwrap_err();
    assert_eq!(error.to_string(), format!("{} is not a file", dir.path().display()));
    let below = dir.path().join("file/out");
    fs::write(dir.path().join("file"), "").unwrap();
    let error = writer(&below, 100, 1).append(b"1\n").unwrap_err();
    assert!(error.to_string().contains(&below.display().to_string()), "{error}");
}
