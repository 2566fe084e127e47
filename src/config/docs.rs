//! docs/config.md, written from the table of options.

use std::fmt::Write as _;

use super::option::{Opt, Preset, Reload, Section};
use super::{refused, table};

const HEAD: &str = "\
<!-- Written by a test from src/config/table.rs: UPDATE_DOCS=1 cargo test --lib config::docs -->
# Configuration

Every option is optional; an empty file, and none at all, is a configuration. An example with what
is most often set is in [config.example.yaml](config.example.yaml).

```sh
sidelight run -c config.yaml --set journal.durability=os
sidelight check config config.yaml       # every finding at once; exit code 5 if there is one
sidelight config init                    # writes a commented config.yaml to begin with
sidelight config explain journal         # what an option, or everything below a key, is
sidelight config print -c config.yaml --origin    # every option as it holds, and where its value comes from
sidelight config schema                  # the JSON Schema, for completion in editors
```

## Where values come from

The last of these holds: the defaults below; files in the order of `-c`, or where there is none the
one that `SIDELIGHT_CONFIG` names; environment variables such as `SIDELIGHT__JOURNAL__DURABILITY=os`;
flags such as `--set journal.durability=os`. Mappings are merged key by key; lists and single values
are replaced. A variable or flag for a list or a mapping
is read as YAML where it begins with `[` or `{`; any other is taken as it is: `[::1]:9464`.

In files, `${env:NAME}` and `${env:NAME:-default}` stand for an environment variable, in values only
and never read as YAML; `$$` is a dollar sign. A value of which nothing is left counts as not given.

Sizes are written `64MiB` (also KiB, GiB, TiB, and KB, MB, GB, TB for powers of 1000), durations as
in Go and Prometheus: `4ms`, `1m30s`, `15d`. Files are YAML 1.2, one document, at most 1 MiB.

Unknown keys are refused with the nearest known one. Secrets are never values of options but files,
except `headers`, whose values can come from `${env:NAME}` and are never shown.

A reload (SIGHUP or `POST /-/reload`) takes up the options marked *reload*; it is refused as a whole
when the new configuration is not valid, and says which options need a restart.
";

/// The whole document.
#[must_use]
pub fn markdown() -> String {
    let mut out = HEAD.to_owned();
    for section in table::SECTIONS {
        section_markdown(section, &mut out);
    }
    out.push_str("\n## Not in this version\n\nRefused, so that nothing is silently ignored:\n\n");
    for (key, why) in refused::REFUSED {
        let _ = writeln!(out, "- `{key}`: {why}.");
    }
    out
}

fn section_markdown(section: &Section, out: &mut String) {
    let _ = writeln!(out, "\n## {}\n", section.title);
    let places = section.places.iter().filter(|place| !place.is_empty()).map(|place| {
        match place.strip_prefix("exporters.") {
            Some(kind) => format!("`exporters.{kind}[/name]`"),
            None => match place.strip_suffix("[]") {
                Some(list) => format!("each entry of `{list}`"),
                None => format!("`{place}`"),
            },
        }
    });
    let places: Vec<String> = places.collect();
    if !places.is_empty() {
        let _ = writeln!(out, "Under {}. {}\n", places.join(", "), section.intro);
    }
    out.push_str("| option | default | meaning |\n|---|---|---|\n");
    for option in section.options {
        let _ = writeln!(out, "{}", row(option));
    }
}

fn row(option: &Opt) -> String {
    let default = match option.default {
        Preset::Value(value) => format!("`{value}`"),
        Preset::Words(words) => words.to_owned(),
    };
    let reload = match option.reload {
        Reload::Live => " *reload*",
        Reload::Restart => "",
    };
    let kind = capitalised(&option.kind.describe());
    format!("| `{}` | {default} | {} {kind}.{reload} |", option.key, option.doc)
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_document_is_what_the_table_says() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config.md");
        let expected = super::markdown();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &expected).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == expected, "stale: run `UPDATE_DOCS=1 cargo test --lib config::docs`");
    }
}
