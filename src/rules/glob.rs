//! Paths by pattern: `*`, `?` and `[a-z]` within a part of a path, as shells and Go's `filepath.Glob` have them.

use std::fs;
use std::path::{Path, PathBuf};

/// The paths that match `pattern`, sorted; the pattern itself where nothing in it is special. At most `max`.
pub fn paths(pattern: &str, max: usize) -> Vec<PathBuf> {
    if !pattern.contains(['*', '?', '[']) {
        return vec![PathBuf::from(pattern)];
    }
    let start = if pattern.starts_with('/') { PathBuf::from("/") } else { PathBuf::new() };
    let mut found = vec![start];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let special = part.contains(['*', '?', '[']);
        let mut next = Vec::new();
        for base in &found {
            if special {
                next.extend(matching(base, part));
            } else if fs::symlink_metadata(base.join(part)).is_ok() {
                next.push(base.join(part));
            }
        }
        next.sort();
        next.truncate(max);
        found = next;
    }
    found
}

/// The entries of a directory that match; none where it cannot be read.
fn matching(base: &Path, part: &str) -> Vec<PathBuf> {
    let directory = if base.as_os_str().is_empty() { Path::new(".") } else { base };
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let shown = |name: &String| !name.starts_with('.') || part.starts_with('.');
    let pattern: Vec<char> = part.chars().collect();
    let fits = |name: &String| is_match(&pattern, &name.chars().collect::<Vec<_>>());
    names.filter(shown).filter(fits).map(|name| base.join(name)).collect()
}

/// Whether the whole of `text` is what `pattern` says. A star takes as little as it can, and more where that fails.
fn is_match(pattern: &[char], text: &[char]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    let mut back: Option<(&[char], &[char])> = None;
    loop {
        let step = match (pattern, text) {
            ([], []) => return true,
            (['*', rest @ ..], _) => {
                back = Some((rest, text));
                pattern = rest;
                continue;
            }
            (['?', rest @ ..], [_, tail @ ..]) => Some((rest, tail)),
            (['[', rest @ ..], [c, tail @ ..]) => class(rest, *c).map(|rest| (rest, tail)),
            (['\\', wanted, rest @ ..], [c, tail @ ..]) if wanted == c => Some((rest, tail)),
            ([wanted, rest @ ..], [c, tail @ ..]) if wanted == c && *wanted != '\\' => {
                Some((rest, tail))
            }
            _ => None,
        };
        if let Some(next) = step {
            (pattern, text) = next;
            continue;
        }
        let Some((after_star, [_, tail @ ..])) = back else { return false };
        back = Some((after_star, tail));
        (pattern, text) = (after_star, tail);
    }
}

/// What is left of a pattern after a class that `c` is in.
fn class(pattern: &[char], c: char) -> Option<&[char]> {
    let (negated, mut rest) = match pattern {
        ['^' | '!', rest @ ..] => (true, rest),
        _ => (false, pattern),
    };
    let mut found = false;
    loop {
        rest = match rest {
            [low, '-', high, tail @ ..] if *high != ']' => {
                found |= (*low..=*high).contains(&c);
                tail
            }
            [']', tail @ ..] => return (found != negated).then_some(tail),
            [one, tail @ ..] => {
                found |= *one == c;
                tail
            }
            [] => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_a_shell() {
        let fits = |pattern: &str, text: &str| {
            let (pattern, text): (Vec<_>, Vec<_>) =
                (pattern.chars().collect(), text.chars().collect());
            is_match(&pattern, &text)
        };
        for (pattern, text, expected) in [
            ("*.yaml", "a.yaml", true),
            ("*.yaml", "a.yml", false),
            ("*.y*ml", "a.yyml", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x[!0-9]", "bxq", true),
            ("[a-c]x[!0-9]", "bx1", false),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("[", "x", false),
            ("*a*b*c*", "xxaxxbxxcxx", true),
            ("*a*b*c*", "xxaxxcxxbxx", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn files_are_found_in_every_directory_that_matches() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["a/x.yaml", "b/y.yaml", "b/z.txt", "b/.hidden.yaml"] {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let root = directory.path().to_str().unwrap();
        let found = paths(&format!("{root}/*/*.yaml"), 100);
        let expected = ["a/x.yaml", "b/y.yaml"].map(|name| directory.path().join(name));
        assert_eq!(found, expected);
        assert_eq!(paths(&format!("{root}/*/*.yaml"), 1).len(), 1);
        assert_eq!(paths("plain/path.yaml", 1), [PathBuf::from("plain/path.yaml")]);
        assert!(paths(&format!("{root}/none*/x"), 9).is_empty());
    }
}
