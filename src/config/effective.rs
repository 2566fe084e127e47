//! Every option as it holds, with where it comes from: what `sidelight config print` shows.
//!
//! An option that stands at several places is shown at the first, and at the others where it was written: there
//! it would win. Secrets are redacted; apart from them the YAML is a configuration that resolves to the same.

use super::Config;
use super::check::{Values, join};
use super::load::Loaded;
use super::option::{Opt, Preset, Section};
use super::value::show_byte_size;
use super::{table, written};
use crate::yaml::SourceKind;

/// One option as it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// The full key, for example `journal.durability` or `alerting.webhooks[0].url`.
    pub key: String,
    /// The value for people, `None` where nothing stands for it; secrets are redacted.
    pub value: Option<String>,
    /// The value as YAML, or what holds when there is none, in words.
    pub yaml: String,
    /// Where it comes from.
    pub origin: SourceKind,
    /// `file:line:column`, the name of the variable, `--set` or `default`.
    pub place: String,
}

impl Loaded {
    /// Every option as it holds, in the order of the documentation.
    #[must_use]
    pub fn effective(&self) -> Vec<Effective> {
        let mut all = Vec::new();
        for section in table::SECTIONS {
            for path in section.places.iter().flat_map(|place| stands_at(place, self.values())) {
                let options = section.options.iter();
                all.extend(options.filter_map(|option| self.holds(section, option, &path)));
            }
        }
        all
    }

    fn holds(&self, section: &Section, option: &Opt, path: &str) -> Option<Effective> {
        let key = join(path, option.key);
        if let Some(given) = self.values().given.get(&key) {
            let source = self.sources.of(given.span);
            return Some(Effective {
                key,
                value: Some(written::shown(&option.kind, &given.value)),
                yaml: written::yaml(&option.kind, &given.value),
                origin: source.map_or(SourceKind::Default, |source| source.kind),
                place: self.sources.place(given.span),
            });
        }
        let first = section.places.first().copied().unwrap_or_default();
        let shared = !first.is_empty() && path != first && path.starts_with(&format!("{first}."));
        if shared {
            return None;
        }
        let preset = match option.default {
            Preset::Value(text) => Ok(text.to_owned()),
            Preset::Words(words) => Err(words),
        };
        let preset = resolved(&self.config, &key).map_or(preset, Ok);
        let (value, yaml) = match preset {
            Ok(text) => {
                let flow = text.starts_with(['[', '{']);
                let yaml = if flow { text.clone() } else { written::preset(&option.kind, &text) };
                (Some(text), yaml)
            }
            Err(words) => (None, words.to_owned()),
        };
        let (origin, place) = (SourceKind::Default, "default".to_owned());
        Some(Effective { key, value, yaml, origin, place })
    }
}

/// The paths that a place of the table has in this configuration.
fn stands_at(place: &str, values: &Values) -> Vec<String> {
    if let Some(kind) = place.strip_prefix("exporters.") {
        let named = values.exporters.iter().filter(|exporter| exporter.kind == kind);
        return named.map(|exporter| format!("exporters.{}", exporter.name)).collect();
    }
    if let Some(list) = place.strip_suffix("[]") {
        let entries = values.lists.get(list).map_or(0, Vec::len);
        return (0..entries).map(|index| format!("{list}[{index}]")).collect();
    }
    let unused_socket =
        place.ends_with(".unix") && !values.given.contains_key(&join(place, "path"));
    if unused_socket { Vec::new() } else { vec![place.to_owned()] }
}

/// Defaults that depend on what is around the process.
fn resolved(config: &Config, key: &str) -> Option<String> {
    let path = |path: &std::path::Path| Some(path.display().to_string());
    match key {
        "journal.directory" => path(&config.journal.directory),
        "store.directory" => path(&config.store.as_ref()?.directory),
        "store.enabled" => Some(config.store.is_some().to_string()),
        "limits.memory" => Some(show_byte_size(config.memory.total as u64)),
        "limits.connections_max" => Some(config.receive.connections_max.to_string()),
        _ => None,
    }
}

/// Options as one YAML document; with `origins`, each says where it comes from.
#[must_use]
pub fn yaml(options: &[Effective], origins: bool) -> String {
    let mut root = Tree::default();
    for option in options {
        root.insert(parts(&option.key), option);
    }
    let mut out = String::new();
    root.write(&mut out, 0, origins);
    out
}

/// `alerting.webhooks[0].url` as `alerting`, `webhooks`, `[0]`, `url`.
fn parts(key: &str) -> impl Iterator<Item = &str> {
    key.split('.')
        .flat_map(|part| match part.find('[') {
            Some(at) => [part.get(..at), part.get(at..)],
            None => [Some(part), None],
        })
        .flatten()
}

#[derive(Default)]
struct Tree<'a> {
    children: Vec<(&'a str, Tree<'a>)>,
    leaf: Option<&'a Effective>,
}

impl<'a> Tree<'a> {
    fn insert(&mut self, mut path: impl Iterator<Item = &'a str>, leaf: &'a Effective) {
        let Some(name) = path.next() else {
            self.leaf = Some(leaf);
            return;
        };
        // A trait object, since each level would otherwise be a type of its own.
        let path: &mut dyn Iterator<Item = &'a str> = &mut path;
        match self.children.iter_mut().find(|(known, _)| *known == name) {
            Some((_, child)) => child.insert(path, leaf),
            None => {
                let mut child = Self::default();
                child.insert(path, leaf);
                self.children.push((name, child));
            }
        }
    }

    fn write(&self, out: &mut String, depth: usize, origins: bool) {
        for (name, child) in &self.children {
            let indent = "  ".repeat(depth);
            if name.starts_with('[') {
                // The first key of an entry stands behind its dash.
                let mut entry = String::new();
                child.write(&mut entry, depth + 1, origins);
                let mut dashed = false;
                for line in entry.lines() {
                    let bare = line.trim_start();
                    if dashed || bare.starts_with('#') {
                        out.push_str(line);
                    } else {
                        dashed = true;
                        *out += &format!("{indent}- {bare}");
                    }
                    out.push('\n');
                }
                continue;
            }
            let name = written::scalar(name);
            *out += &match child.leaf {
                None => format!("{indent}{name}:\n"),
                Some(Effective { value: None, yaml, .. }) => format!("{indent}# {name}: {yaml}\n"),
                Some(Effective { yaml, place, .. }) if origins => {
                    format!("{indent}{name}: {yaml}  # {place}\n")
                }
                Some(Effective { yaml, .. }) => format!("{indent}{name}: {yaml}\n"),
            };
            child.write(out, depth + 1, origins);
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::config::{Inputs, Style, load};

    fn loaded(text: &str, set: &[&str]) -> Loaded {
        let files = vec![("config.yaml".to_owned(), text.to_owned())];
        let set = set.iter().map(|flag| (*flag).to_owned()).collect();
        load(&Inputs { files, set, ..Inputs::default() })
            .unwrap_or_else(|findings| panic!("{}", findings.render(&Style::default())))
    }

    const RICH: &str = "\
receivers: {otlp: {timeouts: {idle: 30s}, protocols: {http: {timeouts: {idle: 20s}}, unix: {path: /s}}}}
journal: {max_size: 256MiB, retention: {size: 1MiB}}
exporters:
  otlp_grpc/a: {endpoint: 'https://tempo.example:4317', signals: [traces]}
  file: {path: '/var/out $$x'}
aggregate: {thresholds: {operations: [{operation: 'GET /a: b', threshold: 1s}, {service: yes, threshold: 2s}]}}
slos: [{name: checkout, service: shop}]
alerting: {webhooks: [{url: 'https://hooks.example'}], external_labels: {a: 'b, c'}}
";

    #[test]
    fn what_is_printed_is_a_configuration_that_resolves_to_the_same() {
        for text in ["", RICH] {
            let first = loaded(text, &["journal.durability=os"]);
            let printed = yaml(&first.effective(), true);
            let again = loaded(&printed, &[]);
            let config = |loaded: &Loaded| format!("{:?}", loaded.config);
            let redacted = config(&first).replace("/[redacted]", "");
            assert_eq!(config(&again).replace("/[redacted]", ""), redacted, "{printed}");
            assert!(again.warnings.is_empty(), "{:?}\n{printed}", again.warnings);
        }
    }

    #[test]
    fn every_value_says_where_it_comes_from_and_secrets_are_not_shown() {
        let text = "exporters: {otlp_http: {endpoint: 'http://a:1', headers: {authorization: hunter2}}}\n\
                    alerting: {webhooks: [{url: 'https://hooks.example/hunter2'}]}\n";
        let mut options = loaded(text, &["journal.durability=os"]).effective();
        assert!(options.len() > 100, "{}", options.len());
        let keys: std::collections::BTreeSet<_> =
            options.iter().map(|option| &option.key).collect();
        assert_eq!(keys.len(), options.len(), "each once");
        options.retain(|option| {
            option.origin != SourceKind::Default || option.key.starts_with("journal.")
        });
        expect![[r#"
            journal:
              directory: /var/lib/sidelight/journal  # default
              durability: os  # --set
              group_window: 4ms  # default
              # max_size: 10 % of the free disk or what the journal has already, at least 32MiB and at most 512MiB
              when_full: reject  # default
              retention:
                age: 24h  # default
                size: 256MiB  # default
              # memory_size: a quarter of `limits.memory`
            exporters:
              otlp_http:
                endpoint: http://a:1  # config.yaml:1:35
                headers: {authorization: "[redacted]"}  # config.yaml:1:58
            alerting:
              webhooks:
                - url: "https://hooks.example/[redacted]"  # config.yaml:2:29
        "#]]
        .assert_eq(&yaml(&options, true));
    }
}
