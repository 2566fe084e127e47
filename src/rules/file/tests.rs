//! Rule files as people write them, right and wrong.

use expect_test::{Expect, expect};

use super::*;
use crate::yaml::{SourceKind, Sources, Style, render};

fn findings(text: &str) -> String {
    let mut sources = Sources::default();
    sources.add(SourceKind::File, "rules.yaml", text.to_owned());
    match parse(text) {
        Ok(file) => render(&sources, &file.warnings, &Style::default()),
        Err(findings) => render(&sources, &findings, &Style::default()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the macro makes a value")]
fn check(text: &str, expected: Expect) {
    expected.assert_eq(&findings(text));
}

#[test]
fn a_whole_file_is_read() {
    let file = parse(
        "groups:\n- name: web\n  interval: 30s\n  query_offset: 1m\n  limit: 10\n  labels: {team: a, tier: 1}\n  rules:\n  \
         - record: job:up:sum\n    expr: sum by (job) (up)\n    labels: {team: b}\n  - alert: Down\n    \
         expr: |\n      up\n        == 0\n    for: 1h30m\n    keep_firing_for: 5m\n    labels: {severity: page}\n    \
         annotations: {summary: 'it is {{ $value }}'}\n",
    )
    .unwrap();
    let group = &file.groups[0];
    assert_eq!(group.interval, Some(Duration::from_secs(30)));
    assert_eq!(group.query_offset, Some(Duration::from_secs(60)));
    assert_eq!((group.limit, group.rules.len()), (10, 2));
    let labels = |rule: &Rule| -> Vec<(String, String)> {
        rule.labels.iter().map(|pair| (pair.name.clone(), pair.value.text.clone())).collect()
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(labels(&group.rules[0]), [pair("team", "b"), pair("tier", "1")]);
    assert_eq!(
        labels(&group.rules[1]),
        [pair("severity", "page"), pair("team", "a"), pair("tier", "1")]
    );
    let Kind::Alerting(alerting) = &group.rules[1].kind else { panic!() };
    assert_eq!(alerting.hold, Duration::from_secs(5400));
    assert_eq!(alerting.annotations[0].value.text, "it is {{ $value }}");
}

#[test]
fn an_empty_file_and_empty_groups_are_fine() {
    assert!(parse("").unwrap().groups.is_empty());
    assert!(parse("groups:\n").unwrap().groups.is_empty());
    assert!(parse("groups: [{name: x}]\n").unwrap().groups[0].rules.is_empty());
}

#[test]
fn every_mistake_of_a_file_is_found_at_once() {
    check(
        "groups:\n- name: a\n  intervall: 5s\n  rules:\n  - alert: X\n    exp: up\n    fore: 5m\n  \
         - alert: Y\n    expr: sum(up) by (\n    for: 5\n  - record: z\n    expr: rat(foo[5m])\n    for: 1m\n\
         - name: a\n  limit: many\n  rules: {}\n",
        expect![[r#"
            rules.yaml:3:3: error: unknown field `intervall`
              |
            3 |   intervall: 5s
              |   ^^^^^^^^^
              = help: did you mean `interval`?

            rules.yaml:5:5: error: field 'expr' must be set in rule
              |
            5 |   - alert: X
              |     ^

            rules.yaml:6:5: error: unknown field `exp`
              |
            6 |     exp: up
              |     ^^^
              = help: did you mean `expr`?

            rules.yaml:7:5: error: unknown field `fore`
              |
            7 |     fore: 5m
              |     ^^^^
              = help: did you mean `for`?

            rules.yaml:9:23: error: could not parse expression: unclosed left parenthesis
              |
            9 |     expr: sum(up) by (
              |                       ^

            rules.yaml:10:10: error: not a valid duration string: "5"
               |
            10 |     for: 5
               |          ^
               = help: give the unit: `5s`

            rules.yaml:12:11: error: could not parse expression: unknown function with name "rat"
               |
            12 |     expr: rat(foo[5m])
               |           ^^^
               = help: did you mean `rate`?

            rules.yaml:13:5: error: invalid field 'for' in recording rule
               |
            13 |     for: 1m
               |     ^^^
               = help: it belongs to alerting rules

            rules.yaml:14:9: error: groupname: "a" is repeated in the same file
               |
            14 | - name: a
               |         ^
               = help: the first one is in line 2

            rules.yaml:15:10: error: `many` is not a limit: a whole number is
               |
            15 |   limit: many
               |          ^^^^

            rules.yaml:16:10: error: `rules` is a list, not a mapping
               |
            16 |   rules: {}
               |          ^
               = help: begin each with `- `
        "#]],
    );
}

#[test]
fn errors_of_promql_point_into_the_file() {
    check(
        "groups:\n- name: a\n  rules:\n  - record: a\n    expr: |\n      sum(\n        rat(foo[5m])\n      )\n  \
         - record: b\n    expr: \"foo{bar=\\\"x\\\"} +* 1\"\n  - record: c\n    expr: sum(foo\n  - record: d\n    expr: foo[5m]\n",
        expect![[r#"
            rules.yaml:7:9: error: could not parse expression: unknown function with name "rat"
              |
            7 |         rat(foo[5m])
              |         ^^^
              = help: did you mean `rate`?

            rules.yaml:10:28: error: could not parse expression: unexpected <op:*>
               |
            10 |     expr: "foo{bar=\"x\"} +* 1"
               |                            ^

            rules.yaml:12:18: error: could not parse expression: unclosed left parenthesis
               |
            12 |     expr: sum(foo
               |                  ^

            rules.yaml:14:11: error: the expression is a range vector, and a rule needs an instant vector or a scalar
               |
            14 |     expr: foo[5m]
               |           ^^^^^^^
        "#]],
    );
}

#[test]
fn fields_that_do_not_go_together_are_refused() {
    check(
        "groups:\n- rules: []\n- name: b\n  rules:\n  - {record: a, alert: b, expr: up}\n  - {expr: up}\n  \
         - {record: 'a{b=\"c\"}', expr: up}\n  - {record: a, expr: up, annotations: {x: y}, keep_firing_for: 1m}\n  \
         - {alert: a, expr: up, labels: {__name__: x}}\n  - {alert: a, expr: up, labels: [x]}\n  - {alert: a, expr: [up]}\n  -\n",
        expect![[r#"
            rules.yaml:2:3: error: groupname must not be empty
              |
            2 | - rules: []
              |   ^

            rules.yaml:5:24: error: only one of 'record' and 'alert' must be set
              |
            5 |   - {record: a, alert: b, expr: up}
              |                        ^
              = help: write two rules

            rules.yaml:6:5: error: one of 'record' or 'alert' must be set
              |
            6 |   - {expr: up}
              |     ^

            rules.yaml:7:14: error: braces present in the recording rule name; should it be in expr?: a{b="c"}
              |
            7 |   - {record: 'a{b="c"}', expr: up}
              |              ^^^^^^^^^^
              = help: labels are set under `labels`

            rules.yaml:8:27: error: invalid field 'annotations' in recording rule
              |
            8 |   - {record: a, expr: up, annotations: {x: y}, keep_firing_for: 1m}
              |                           ^^^^^^^^^^^
              = help: it belongs to alerting rules

            rules.yaml:8:48: error: invalid field 'keep_firing_for' in recording rule
              |
            8 |   - {record: a, expr: up, annotations: {x: y}, keep_firing_for: 1m}
              |                                                ^^^^^^^^^^^^^^^
              = help: it belongs to alerting rules

            rules.yaml:9:35: error: invalid label name: __name__
              |
            9 |   - {alert: a, expr: up, labels: {__name__: x}}
              |                                   ^^^^^^^^

            rules.yaml:10:34: error: `labels` is a mapping of names to values, not a list
               |
            10 |   - {alert: a, expr: up, labels: [x]}
               |                                  ^

            rules.yaml:11:22: error: a single value belongs here, not a list
               |
            11 |   - {alert: a, expr: [up]}
               |                      ^

            rules.yaml:12:4: error: a rule is a mapping, not nothing
               |
            12 |   -
               |    ^
        "#]],
    );
}

#[test]
fn a_limit_with_a_fraction_is_cut_and_said() {
    check(
        "groups: [{name: a, limit: 1.5}]\n",
        expect![[r#"
        rules.yaml:1:27: warning: a limit is a whole number: 1 is used
          |
        1 | groups: [{name: a, limit: 1.5}]
          |                           ^^^
    "#]],
    );
    assert_eq!(parse("groups: [{name: a, limit: 1.5}]\n").unwrap().groups[0].limit, 1);
}

#[test]
fn a_template_that_cannot_be_read_is_refused_with_its_place_as_prometheus_does() {
    let text = "\
groups:
  - name: a
    rules:
      - alert: X
        expr: up == 0
        annotations: {summary: 'down: {{ $labels.instance | humanise }}'}
      - alert: Y
        expr: up == 0
        labels: {x: '{{ $nope }}'}
";
    let findings = parse(text).unwrap_err();
    let line = |finding: &Finding| {
        let Span { line, column, length, .. } = finding.span;
        let help = finding.help.as_deref().unwrap_or("-");
        format!("{line}:{column}+{length} {} | {help}", finding.message)
    };
    assert_eq!(
        findings.iter().map(line).collect::<Vec<_>>(),
        [
            "6:61+8 not a template: function \"humanise\" not defined | did you mean `humanize`?",
            "9:25+5 not a template: undefined variable \"$nope\" | -",
        ]
    );
    let recording = text.replace("alert: Y", "record: y").replace("humanise", "humanize");
    parse(&recording).unwrap();
}
