//! Every template of `table.json` gives the text that Prometheus' own package gives, which wrote it:
//! `./check prometheus` does so again.

use std::fmt::Write as _;

use sidelight_promql::{Labels, SampleValue};

use super::*;

fn sample(value: f64, labels: &[(&str, &str)]) -> Sample {
    let labels = Labels::new(labels.iter().copied());
    Sample { labels, time: 0, value: SampleValue::Float(value) }
}

fn answer(expr: &str) -> Result<Vec<Sample>, String> {
    match expr {
        "up" => Ok(vec![
            sample(1.0, &[("__name__", "up"), ("instance", "b:2"), ("job", "x")]),
            sample(0.0, &[("__name__", "up"), ("instance", "a:1"), ("job", "y")]),
            sample(
                2.5,
                &[("__name__", "up"), ("__value__", "text"), ("instance", "c:3"), ("job", "x")],
            ),
        ]),
        "none" => Ok(Vec::new()),
        other => Err(format!("no such expression: {other}")),
    }
}

fn given() -> Vec<(String, String)> {
    [
        ("empty", ""),
        ("instance", "db-1.example.org:9100"),
        ("job", "api"),
        ("number", "1234.5"),
        ("path", "/a b?c=<d>&e='f'"),
        ("quote", r#"say "hi" \o/"#),
        ("unicode", "größe ★"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

fn expanded(text: &str) -> String {
    let external = [("region", "eu"), ("zone", "b")];
    let external = external.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let context = Context {
        labels: &given(),
        external_labels: &external,
        external_url: "https://example.org:9090/sidecar/one%20two",
        value: &SampleValue::Float(1234.5678),
        now: UnixNano(1_700_000_000_123_000_000),
        query: &answer,
    };
    expand("__alert_Test", text, &context)
}

#[test]
fn every_template_of_the_table_gives_the_text_that_prometheus_gives() {
    let table: Vec<(String, String)> = serde_json::from_str(include_str!("table.json")).unwrap();
    assert!(table.len() > 1000);
    let mut different = String::new();
    for (template, text) in &table {
        let ours = expanded(template);
        if ours != *text {
            writeln!(different, "{template:?}\n  theirs {text:?}\n  ours   {ours:?}").unwrap();
        }
    }
    assert_eq!(different, "");
}

#[test]
fn mistakes_are_found_with_their_place() {
    for (text, offset, message) in [
        ("ab {{ foo 1 }}", 6, "function \"foo\" not defined"),
        ("{{ $nope }}", 3, "undefined variable \"$nope\""),
        ("{{ $x = 1 }}", 3, "undefined variable \"$x\""),
        ("{{ if true }}a", 14, "unexpected EOF"),
        ("ü {{ 1", 7, "unclosed action"),
        ("a {{ 1x }}", 5, "illegal number syntax: \"1x\""),
        ("{{ \"a }}", 3, "unterminated quoted string"),
        ("{{ define \"t\" }}{{ $labels.job }}{{ end }}", 19, "undefined variable \"$labels\""),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!((error.offset, error.message.as_str()), (offset, message), "{text}");
    }
    assert_eq!(like("humanise"), Some("humanize"));
    assert_eq!(like("no such function"), None);
}

#[test]
fn a_template_cannot_run_away() {
    let nested = |open: &str, close: &str, times| open.repeat(times) + "1" + &close.repeat(times);
    for (text, why) in [
        (
            "{{ define \"t\" }}{{ template \"t\" }}{{ end }}{{ template \"t\" }}",
            "maximum template depth",
        ),
        (
            "{{ define \"t\" }}{{ tmpl \"t\" 1 }}{{ end }}{{ tmpl \"t\" 1 }}",
            "maximum template depth",
        ),
        ("{{ range 1000000000 }}{{ end }}", "more than 100000 steps"),
        ("{{ range 1000000000 }}0123456789{{ end }}", "the text has more than 65536 bytes"),
        (
            "{{ $x := \"0123456789\" }}{{ range 50 }}{{ $x = print $x $x }}{{ end }}",
            "more than 65536 bytes",
        ),
        ("{{ range 5000 }}{{ $x := printf \"%4000s\" 1 }}{{ end }}", "more than"),
        ("{{ printf \"%99999999s%4096d%4096d%4096d\" 1 }}", "%!d(MISSING)"),
        (&format!("{{{{ {} }}}}", nested("(", ")", 5000)), "max expression depth exceeded"),
        (&nested("{{ if true }}", "{{ end }}", 5000), "max expression depth exceeded"),
        (
            &("{{ if 0 }}".to_owned() + &"{{ else if 0 }}".repeat(5000) + "{{ end }}"),
            "max expression depth exceeded",
        ),
        ("{{ match \"(a{1000}){1000}\" \"a\" }}", "no regular expression"),
        ("{{ $x := 1 }}{{ range 33000 }}{{ $x = args $x }}{{ end }}", "more than 100 values"),
        (
            "{{ $x := 1 }}{{ range 40 }}{{ $x = args $x $x }}{{ end }}{{ $x }}",
            "more than 100 values",
        ),
    ] {
        let text = expanded(text);
        assert!(text.contains(why), "{why}: {}", text.get(..200).unwrap_or(&text));
        assert!(text.len() <= OUTPUT_MAX + 1000, "{}", text.len());
    }
}

#[test]
fn no_text_is_too_odd_to_be_expanded() {
    let parts = [
        "{{",
        "}}",
        "{{- ",
        " -}}",
        " ",
        "\n",
        "if ",
        "range ",
        "with ",
        "end",
        "else ",
        "define ",
        "template ",
        "\"x\"",
        "$x",
        "$labels",
        ".job",
        ".",
        ":=",
        "=",
        ",",
        "|",
        "(",
        ")",
        "1",
        "-1.5",
        "'ü'",
        "printf ",
        "\"%*d%[9]s%.3f\" ",
        "query ",
        "\"up\"",
        "first",
        "index ",
        "slice ",
        "nil",
        "block ",
        "break",
        "/*",
        "*/",
        "ü",
        "`",
        "toTime ",
        ".Format ",
    ];
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let count = random.usize(1..20);
        let text: String = (0..count).filter_map(|_| random.choice(parts)).collect();
        let expanded = expanded(&text);
        assert!(expanded.len() <= OUTPUT_MAX + 1000, "{text}");
    }
}
