//! No two files need each other. What a file is made of can then be read from the ground up, and each file without those above.
//!
//! A file needs another if it names something that is defined there, wherever it was handed on from. One that stands within
//! another (`a/b.rs` in `a.rs` or `a/mod.rs`) may name what is there: it is a part of it. What a macro is given is not read.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::Visit;

use super::{Source, sources};

/// A place in a crate: the crate's directory and the names of modules from its root.
type Place = (String, Vec<String>);

/// The files of every crate by their places.
type Files = BTreeMap<Place, File>;

/// A file of code, as far as it names others.
#[derive(Default)]
struct File {
    path: String,
    /// What is declared here, but for modules.
    own: BTreeSet<String>,
    /// What is imported, by the name that it has here.
    imports: BTreeMap<String, Vec<String>>,
    /// Paths of more than one name in code, and imports.
    paths: BTreeSet<Vec<String>>,
}

#[test]
fn no_two_files_need_each_other() {
    let files = files(&sources());
    assert!(files.len() > 500, "only {} files found", files.len());
    let needs = needs(&files);
    let found: usize = needs.values().map(BTreeMap::len).sum();
    assert!(found > 1_500, "only {found} needs found");
    let circles = circles(&needs);
    assert!(circles.is_empty(), "\n{}", circles.join("\n\n"));
}

#[test]
fn a_circle_is_found_through_what_hands_on_and_a_part_may_name_what_it_is_in() {
    let crate_of = |b: &str| {
        [
            ("src/lib.rs", "mod a;\nmod b;\nmod c;\npub use a::{A, c::Deep};"),
            ("src/a/mod.rs", "pub mod c;\npub struct A;\nuse super::b;\nfn f() { b::g(); }"),
            ("src/a/c.rs", "use super::A;\npub struct Deep(A);"),
            ("src/b.rs", b),
            ("src/c.rs", "#[cfg(test)]\nmod tests {\n    use super::super::b::g;\n}"),
        ]
        .map(|(path, text)| Source { path: path.to_owned(), text: text.to_owned() })
    };
    let circles_of = |b: &str| circles(&needs(&files(&crate_of(b))));
    assert_eq!(circles_of("pub fn g() {}"), [""; 0]);
    assert_eq!(circles_of("use crate::c;\npub fn g() {}"), [""; 0]);
    for naming in ["use crate::A;\npub fn g(_: A) {}", "pub fn g(_: super::A) {}"] {
        let expected = "src/a/mod.rs -> src/b.rs: b, g\nsrc/b.rs -> src/a/mod.rs: A";
        let found = circles_of(naming);
        assert_eq!(found, [expected], "{naming}");
    }
    // That part of it needs nothing of `b`.
    assert_eq!(circles_of("use crate::Deep;\npub fn g(_: Deep) {}").len(), 0);
}

/// Every file but tests.
fn files(sources: &[Source]) -> Files {
    let mut files = Files::new();
    let mut left_out = BTreeSet::new();
    for source in sources.iter().filter(|source| !source.is_test()) {
        let Some(place) = place(&source.path) else { continue };
        let syntax = syn::parse_file(&source.text)
            .unwrap_or_else(|error| panic!("{}: {error}", source.path));
        let mut reading = Reading::default();
        reading.visit_file(&syntax);
        let Reading { mut file, tests } = reading;
        let declared = tests.into_iter().map(|name| within(&place, name));
        left_out.extend(declared);
        file.path.clone_from(&source.path);
        files.insert(place, file);
    }
    files.retain(|(of, names), _| {
        let above = |end| left_out.contains(&(of.clone(), names[..end].to_vec()));
        !(0..=names.len()).any(above)
    });
    files
}

/// `src/a/b.rs` and `src/a/b/mod.rs` are `a::b` of the crate in `src`.
fn place(path: &str) -> Option<Place> {
    let at = path.find("src/").filter(|at| *at == 0 || path.starts_with("crates/"))? + "src/".len();
    let (of, inside) = path.split_at(at);
    let mut names: Vec<String> =
        inside.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    names.pop_if(|last| last == "mod" || last == "lib");
    (inside != "main.rs").then(|| (of.to_owned(), names))
}

fn within((of, names): &Place, name: String) -> Place {
    (of.clone(), names.iter().cloned().chain([name]).collect())
}

/// Reads one file.
#[derive(Default)]
struct Reading {
    file: File,
    /// Modules that are declared for tests.
    tests: Vec<String>,
}

impl Reading {
    fn import(&mut self, tree: &syn::UseTree, before: &[String]) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.import(&path.tree, &with(&path.ident)),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.import(tree, before));
            }
            syn::UseTree::Name(name) if name.ident == "self" => self.take(before.to_vec(), None),
            syn::UseTree::Name(name) => self.take(with(&name.ident), None),
            syn::UseTree::Rename(rename) => {
                self.take(with(&rename.ident), Some(rename.rename.to_string()));
            }
            // What of it is used is not to be seen: all of the module.
            syn::UseTree::Glob(_) => self.take(before.to_vec(), Some("*".to_owned())),
        }
    }

    fn take(&mut self, path: Vec<String>, renamed: Option<String>) {
        let Some(name) = renamed.or_else(|| path.last().cloned()) else { return };
        self.file.imports.insert(name, path);
    }
}

impl<'a> Visit<'a> for Reading {
    fn visit_item(&mut self, item: &'a syn::Item) {
        let (attributes, name) = match item {
            syn::Item::Const(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Enum(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
            syn::Item::Impl(item) => (&item.attrs, None),
            syn::Item::Mod(item) => (&item.attrs, None),
            syn::Item::Static(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Struct(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Trait(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Type(item) => (&item.attrs, Some(&item.ident)),
            syn::Item::Use(item) => (&item.attrs, None),
            _ => return syn::visit::visit_item(self, item),
        };
        if attributes.iter().any(is_for_tests) {
            if let syn::Item::Mod(module) = item {
                self.tests.push(module.ident.to_string());
            }
            return;
        }
        self.file.own.extend(name.map(ToString::to_string));
        match item {
            syn::Item::Use(import) => self.import(&import.tree, &[]),
            _ => syn::visit::visit_item(self, item),
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let names = path.segments.iter().map(|segment| segment.ident.to_string());
        self.file.paths.insert(names.collect());
        syn::visit::visit_path(self, path);
    }
}

fn is_for_tests(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string().contains("test"))
}

/// The names that a file takes of others, by their paths; by its own path.
type Needs = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

fn needs(files: &Files) -> Needs {
    let mut needs = Needs::new();
    for (place, file) in files {
        let own = needs.entry(file.path.clone()).or_default();
        // What is imported and not named is handed on, or a trait whose methods are called.
        let named = file.imports.iter().filter(|(name, path)| {
            let by = |used: &Vec<String>| used.first() == Some(name);
            file.paths.iter().any(by) || path.last().is_some_and(|last| last != *name)
        });
        let imported = named.map(|(_, path)| path);
        for path in file.paths.iter().chain(imported) {
            let Some(to) = defined(files, place, path, 0) else { continue };
            let is_part = place.0 == to.0 && place.1.starts_with(&to.1);
            if let Some(other) = files.get(&to).filter(|_| !is_part) {
                own.entry(other.path.clone()).or_default().extend(path.last().cloned());
            }
        }
    }
    needs
}

/// Where what `path` names in the file at `from` is defined.
fn defined(files: &Files, from: &Place, path: &[String], depth: usize) -> Option<Place> {
    let (first, rest) = path.split_first()?;
    let (of, names) = from;
    let start = match &**first {
        "crate" => (of.clone(), Vec::new()),
        "self" => from.clone(),
        "super" => (of.clone(), names.split_last()?.1.to_vec()),
        _ => return found(files, from, path, depth),
    };
    match rest.first().map(String::as_str) {
        Some("super") => defined(files, &start, rest, depth),
        _ => found(files, &start, rest, depth),
    }
}

/// Where what `path` names within the module `at` is defined.
fn found(files: &Files, at: &Place, path: &[String], depth: usize) -> Option<Place> {
    let Some((name, rest)) = path.split_first() else { return Some(at.clone()) };
    let child = within(at, name.clone());
    if files.contains_key(&child) {
        return found(files, &child, rest, depth);
    }
    let file = files.get(at)?;
    if file.own.contains(name) || depth > 8 {
        return Some(at.clone());
    }
    let handed = |path: &Vec<String>| defined(files, at, &[path, rest].concat(), depth + 1);
    file.imports.get(name).and_then(handed)
}

/// The files of each circle, with what ties them, a line each.
fn circles(needs: &Needs) -> Vec<String> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        needs.keys().map(|from| (&**from, reached(needs, from))).collect();
    let mut circles = BTreeSet::new();
    for from in needs.keys() {
        let around: BTreeSet<&str> =
            reached[&**from].iter().copied().filter(|to| reached[to].contains(&**from)).collect();
        if !around.is_empty() {
            circles.insert(around);
        }
    }
    let line = |from: &str, to: &str, names: &BTreeSet<String>| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        format!("{from} -> {to}: {}", names.join(", "))
    };
    let told = circles.iter().map(|circle| {
        let ties = circle.iter().flat_map(|from| needs[*from].iter().map(move |tie| (from, tie)));
        let ties = ties.filter(|(_, (to, _))| circle.contains(&***to));
        let lines: Vec<String> = ties.map(|(from, (to, names))| line(from, to, names)).collect();
        lines.join("\n")
    });
    told.collect()
}

/// What a file needs, and what that needs.
fn reached<'a>(needs: &'a Needs, from: &'a str) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(next) = open.pop() {
        let Some(next) = needs.get(next) else { continue };
        open.extend(next.keys().map(String::as_str).filter(|to| seen.insert(*to)));
    }
    seen
}
