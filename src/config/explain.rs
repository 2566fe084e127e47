//! One option, or what stands below a key, as the table has it: what `sidelight config explain` shows.

use super::check::join;
use super::option::{Kind, Opt, Preset, Reload};
use super::schema::{Schema, schema};
use super::{VARIABLE_PREFIX, refused, table};
use crate::yaml::nearest;

/// What a key is.
#[derive(Debug)]
pub enum Found {
    /// An option.
    Option(Box<Explained>),
    /// A place below which options stand.
    Group(Vec<Explained>),
}

/// An option, explained.
#[derive(Clone, Debug)]
pub struct Explained {
    /// Where it stands, written as in a file: `exporters.otlp_grpc.endpoint`, `alerting.webhooks[].url`.
    pub key: String,
    /// The other places where it may stand.
    pub also: Vec<String>,
    /// What it does.
    pub doc: &'static str,
    /// Its type and range.
    pub expects: String,
    /// What holds when it is not given; a value, or words.
    pub default: &'static str,
    /// Whether that is a value.
    pub default_is_value: bool,
    /// Whether a reload takes up a change.
    pub reload: bool,
    /// The environment variable that sets it; `None` where a name of one's own stands in the key.
    pub variable: Option<String>,
    /// A value it may have.
    pub example: String,
}

/// A key that is none.
#[derive(Debug, thiserror::Error)]
#[error("there is no option `{key}`{}", .why.map_or_else(String::new, |why| format!(": {why}")))]
pub struct Unknown {
    /// As asked.
    pub key: String,
    /// What there is in its place, of a key that other agents have.
    pub why: Option<&'static str>,
    /// Keys that may be meant, the likeliest first.
    pub meant: Vec<String>,
}

/// Explains `key`. Names of exporters and places in lists may be in it or left out.
///
/// # Errors
/// [`Unknown`], with what may be meant.
pub fn explain(key: &str) -> Result<Found, Unknown> {
    let plain = generic(key);
    let below = |full: &str| {
        plain.is_empty() || full.strip_prefix(&plain).is_some_and(|rest| rest.starts_with('.'))
    };
    let all = every();
    if let Some(option) = all.iter().find(|option| generic(&option.key) == plain) {
        return Ok(Found::Option(Box::new(option.clone())));
    }
    let group: Vec<_> = all.iter().filter(|option| below(&generic(&option.key))).cloned().collect();
    if !group.is_empty() {
        return Ok(Found::Group(group));
    }
    let above = std::iter::successors(Some(&*plain), |key| Some(key.rsplit_once('.')?.0));
    let why = { above }.find_map(refused::why);
    let meant = if why.is_some() { Vec::new() } else { meant(&plain, &all) };
    Err(Unknown { key: key.to_owned(), why, meant })
}

/// Every option at every place of its own, in the order of the documentation.
fn every() -> Vec<Explained> {
    let mut all: Vec<Explained> = Vec::new();
    for section in table::SECTIONS {
        let full = |place: &str, option: &Opt| join(place, option.key);
        for place in section.places {
            for option in section.options {
                let others = section.places.iter().filter(|other| *other != place);
                all.push(explained(
                    full(place, option),
                    others.map(|other| full(other, option)).collect(),
                    option,
                ));
            }
        }
    }
    all
}

fn explained(key: String, also: Vec<String>, option: &Opt) -> Explained {
    let named = key.contains("[]") || key.starts_with("exporters.");
    let variable = key.to_ascii_uppercase().replace('.', "__");
    let (default, default_is_value) = match option.default {
        Preset::Value(value) => (value, true),
        Preset::Words(words) => (words, false),
    };
    Explained {
        also,
        doc: option.doc,
        expects: option.kind.describe(),
        default,
        default_is_value,
        reload: option.reload == Reload::Live,
        variable: (!named).then(|| format!("{VARIABLE_PREFIX}{variable}")),
        example: example(&key, option),
        key,
    }
}

/// The key without names of exporters and places in lists.
fn generic(key: &str) -> String {
    let key = key.trim().trim_matches('.');
    let parts = key.split('.').enumerate().map(|(nth, part)| {
        let part = part.split('[').next().unwrap_or_default();
        let exporter = nth == 1 && key.starts_with("exporters.");
        if exporter { part.split('/').next().unwrap_or_default() } else { part }
    });
    parts.collect::<Vec<_>>().join(".")
}

/// The nearest keys: those that end in what was asked, else the first part that is unknown, corrected.
fn meant(asked: &str, all: &[Explained]) -> Vec<String> {
    const SHOWN: usize = 5;
    let tail = format!(".{asked}");
    let ends: Vec<String> = all
        .iter()
        .filter(|option| generic(&option.key).ends_with(&tail))
        .map(|option| option.key.clone())
        .take(SHOWN)
        .collect();
    if !ends.is_empty() {
        return ends;
    }
    let mut node = schema();
    let mut right = String::new();
    let mut whole = true;
    for part in asked.split('.') {
        let each = if let Schema::List(each) = node { each } else { node };
        let corrected = each.child(part).map(|_| part).or_else(|| nearest(part, each.names()));
        let Some((name, child)) = corrected.and_then(|name| Some((name, each.child(name)?))) else {
            whole = false;
            break;
        };
        right = join(&right, name);
        node = child;
    }
    if whole && explain(&right).is_ok() {
        return vec![right];
    }
    // The last part may be right, and what stands before it too short.
    let last = asked.rsplit('.').next().unwrap_or(asked);
    let leaf = |option: &Explained| option.key.rsplit('.').next().unwrap_or_default().to_owned();
    let below = format!("{right}.");
    let near =
        all.iter().filter(|option| right.is_empty() || generic(&option.key).starts_with(&below));
    let leaves: Vec<String> = near.clone().map(leaf).collect();
    match nearest(last, leaves.iter().map(String::as_str)) {
        Some(found) => near
            .filter(|option| leaf(option) == found)
            .map(|option| option.key.clone())
            .take(SHOWN)
            .collect(),
        None if right.is_empty() => Vec::new(),
        None => vec![right],
    }
}

/// A value that the option may have, other than its default where there is a choice.
fn example(key: &str, option: &Opt) -> String {
    let default = match option.default {
        Preset::Value(value) => value,
        Preset::Words(_) => "",
    };
    let leaf = key.rsplit('.').next().unwrap_or(key);
    match option.kind {
        Kind::Bool => (default != "true").to_string(),
        Kind::Enum(words) => words
            .iter()
            .find(|word| **word != default)
            .map_or_else(String::new, |w| (*w).to_owned()),
        Kind::Text if leaf == "level" => "debug".to_owned(),
        Kind::Text if leaf.ends_with("url_path") => {
            format!("/otlp/{}", leaf.split('_').next().unwrap_or(leaf))
        }
        Kind::Text if leaf.ends_with("endpoint") => "http://collector:4317".to_owned(),
        Kind::Text => "shop".to_owned(),
        Kind::Path if leaf.ends_with("_file") => {
            format!("/etc/sidelight/{}", leaf.replace("_file", ".pem"))
        }
        Kind::Path if leaf == "directory" => {
            let whose = key.rsplit('.').nth(1).unwrap_or(leaf);
            format!("/var/lib/sidelight/{whose}")
        }
        Kind::Path => format!("/var/lib/sidelight/{leaf}"),
        Kind::Listen => {
            let port = default.rsplit(':').next().filter(|port| !port.is_empty()).unwrap_or("4317");
            format!("0.0.0.0:{port}")
        }
        Kind::Endpoint if key.contains("otlp_http") => "http://collector:4318".to_owned(),
        Kind::Endpoint => "http://collector:4317".to_owned(),
        Kind::Mode => "\"0600\"".to_owned(),
        Kind::HeaderNames => "[x-scope-orgid]".to_owned(),
        Kind::Headers => "{x-scope-orgid: \"${env:TENANT:-shop}\"}".to_owned(),
        Kind::Labels => "{cluster: eu-1}".to_owned(),
        Kind::Url => "https://hooks.example/oncall".to_owned(),
        Kind::List(Kind::Enum(words)) => format!("[{}]", words.first().unwrap_or(&"")),
        Kind::List(Kind::Integer { .. }) => "[500]".to_owned(),
        Kind::List(_) if leaf == "files" => "[/etc/sidelight/rules/*.yaml]".to_owned(),
        Kind::List(_) => "[shop, cart]".to_owned(),
        Kind::Integer { .. } | Kind::Float { .. } | Kind::Size { .. } | Kind::Time { .. }
            if !default.is_empty() =>
        {
            default.to_owned()
        }
        Kind::Size { .. } => "64MiB".to_owned(),
        Kind::Time { .. } => "500ms".to_owned(),
        Kind::Integer { min, .. } => min.max(10).to_string(),
        Kind::Float { min, .. } => min.to_string(),
    }
}

impl Explained {
    /// The example as a configuration file of its own: with what the option cannot be without.
    #[must_use]
    pub fn snippet(&self) -> String {
        let all = every();
        let beside = beside(&self.key);
        let beside = all.iter().filter(|option| beside.contains(&option.key));
        let mut out = String::new();
        let mut before: Vec<&str> = Vec::new();
        for Self { key, example, .. } in beside.chain([self]) {
            let parts: Vec<&str> = key.split('.').collect();
            let shared =
                parts.iter().zip(&before).take_while(|(part, other)| part == other).count();
            let (mut indent, mut dash) = (0, false);
            for (nth, part) in parts.iter().enumerate() {
                let (name, list) =
                    part.strip_suffix("[]").map_or((*part, false), |name| (name, true));
                // What stands behind a dash is indented by it.
                indent += usize::from(dash);
                if nth >= shared {
                    let new = if dash && nth > shared { "- " } else { "" };
                    let indent = indent - usize::from(!new.is_empty());
                    let value =
                        if nth + 1 == parts.len() { format!(" {example}") } else { String::new() };
                    out += &format!("{}{new}{name}:{value}\n", "  ".repeat(indent));
                }
                indent += 1;
                dash = list;
            }
            before = parts;
        }
        out
    }
}

/// The options that have to be given with the one at `key`.
fn beside(key: &str) -> Vec<String> {
    let all_of: [(&str, &[&str]); 7] = [
        ("exporters.otlp_grpc.", &["endpoint"]),
        ("exporters.otlp_http.", &["endpoint"]),
        ("exporters.file.", &["path"]),
        ("alerting.alertmanagers[].", &["url"]),
        ("alerting.webhooks[].", &["url"]),
        ("aggregate.thresholds.operations[].", &["threshold"]),
        ("slos[].", &["name", "service"]),
    ];
    let of_part = all_of.iter().find(|(part, _)| key.starts_with(part));
    let of_part =
        of_part.into_iter().flat_map(|(part, keys)| keys.iter().map(move |key| (*part, *key)));
    // A certificate is nothing without its key.
    let files = ["tls.cert_file", "tls.key_file", "tls.client_ca_file"];
    let place = files.iter().find_map(|file| key.strip_suffix(file));
    let of_place =
        place.into_iter().flat_map(|place| [(place, "tls.cert_file"), (place, "tls.key_file")]);
    let keys = of_part.chain(of_place).map(|(place, other)| format!("{place}{other}"));
    keys.filter(|other| other != key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Inputs, Style, load};

    #[test]
    fn every_example_is_a_configuration_by_itself() {
        let mut refused = Vec::new();
        for option in every() {
            let files = vec![("example.yaml".to_owned(), option.snippet())];
            if let Err(findings) = load(&Inputs { files, ..Inputs::default() }) {
                refused.push(format!(
                    "{}\n{}",
                    option.snippet(),
                    findings.render(&Style::default())
                ));
            }
        }
        assert!(refused.is_empty(), "{}", refused.join("\n"));
    }

    #[test]
    fn an_example_has_what_its_option_cannot_be_without() {
        for (key, expected) in [
            ("journal.durability", "journal:\n  durability: os\n"),
            (
                "exporters.otlp_grpc.tls.key_file",
                "exporters:\n  otlp_grpc:\n    endpoint: http://collector:4317\n    tls:\n      \
                 cert_file: /etc/sidelight/cert.pem\n      key_file: /etc/sidelight/key.pem\n",
            ),
            ("slos[].service", "slos:\n  - name: shop\n    service: shop\n"),
        ] {
            let Ok(Found::Option(found)) = explain(key) else { panic!("{key}") };
            assert_eq!(found.snippet(), expected, "{key}");
        }
    }

    #[test]
    fn every_option_is_found_by_its_key_also_with_names_of_ones_own() {
        for option in every() {
            let Ok(Found::Option(found)) = explain(&option.key) else { panic!("{}", option.key) };
            assert_eq!(found.key, option.key);
        }
        for (asked, key) in [
            ("exporters.otlp_grpc/tempo.endpoint", "exporters.otlp_grpc.endpoint"),
            ("alerting.webhooks[3].url", "alerting.webhooks[].url"),
            ("alerting.webhooks.url", "alerting.webhooks[].url"),
        ] {
            let Ok(Found::Option(found)) = explain(asked) else { panic!("{asked}") };
            assert_eq!(found.key, key);
        }
        let Ok(Found::Group(group)) = explain("journal.retention") else { panic!() };
        assert_eq!(group.len(), 2);
        assert!(matches!(explain(""), Ok(Found::Group(all)) if all.len() > 150));
    }

    #[test]
    fn an_unknown_key_comes_with_what_may_be_meant() {
        for (asked, meant) in [
            ("journal.durabilty", "journal.durability"),
            ("jurnal.max_size", "journal.max_size"),
            ("durability", "journal.durability"),
            ("retention.age", "journal.retention.age"),
            ("jurnal", "journal"),
            ("exporters.otlp_grcp.endpoint", "exporters.otlp_grpc.endpoint"),
            ("journal.nothing.like.it", "journal"),
            (
                "exporters.otlp_grpc.max_elapsed_tim",
                "exporters.otlp_grpc.retry_on_failure.max_elapsed_time",
            ),
        ] {
            let unknown = explain(asked).unwrap_err();
            assert_eq!(
                unknown.meant.first().map(String::as_str),
                Some(meant),
                "{asked}: {unknown:?}"
            );
        }
        assert!(explain("zzzzzzzzzz").unwrap_err().meant.is_empty());
    }

    #[test]
    fn a_key_that_other_agents_have_is_told_what_there_is_in_its_place() {
        for (asked, why) in [
            ("processors", "processors are not in this version"),
            ("processors.batch.timeout", "processors are not in this version"),
            ("receivers.prometheus", "the only receiver is `otlp`"),
            ("exporters.otlp_grpc/a.sending_queue.queue_size", "the journal is the queue"),
        ] {
            let said = explain(asked).unwrap_err().to_string();
            assert!(said.starts_with(&format!("there is no option `{asked}`: {why}")), "{said}");
        }
    }

    #[test]
    fn a_directory_of_an_example_is_called_for_what_is_in_it() {
        for of in ["journal", "store"] {
            let Ok(Found::Option(found)) = explain(&format!("{of}.directory")) else {
                panic!("{of}")
            };
            assert_eq!(found.example, format!("/var/lib/sidelight/{of}"));
        }
    }
}
