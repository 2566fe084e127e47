//! Files of tests over rules that are wrong or right, and the shipped ones.

use std::path::Path;

use super::run::{Case, Options, run};
use super::{junit, parse};
use crate::rules::file;

const RULES: &str = "
groups:
  - name: g
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
      - alert: Down
        expr: up == 0
        for: 2m
        labels: {severity: critical}
        annotations: {summary: '{{ $labels.job }} is down'}
";

/// Two tests: what is true, and what is not.
const TESTS: &str = r#"
rule_files: [rules.yaml]
evaluation_interval: 1m
tests:
  - name: what is so
    interval: 1m
    input_series:
      - {series: 'up{job="a"}', values: '1 0x5'}
    alert_rule_test:
      - {eval_time: 2m, alertname: Down}
      - eval_time: 3m
        alertname: Down
        exp_alerts:
          - exp_labels: {severity: critical, job: a}
            exp_annotations: {summary: a is down}
    promql_expr_test:
      - expr: job:up:sum
        eval_time: 0m
        exp_samples: [{labels: 'job:up:sum{job="a"}', value: 1}]
  - name: what is <not> so
    interval: 1m
    input_series:
      - {series: 'up{job="a"}', values: '0x5'}
    alert_rule_test:
      - {eval_time: 3m, alertname: Down}
    promql_expr_test:
      - expr: job:up:sum
        eval_time: 1m
        exp_samples: [{labels: 'job:up:sum{job="a"}', value: 7}]
"#;

fn cases(options: &Options<'_>) -> Vec<Case> {
    let rules = file::parse(RULES).unwrap();
    run(&parse(TESTS).unwrap(), &[("rules.yaml".to_owned(), rules)], options)
}

#[test]
fn a_test_passes_where_alerts_and_samples_are_as_expected_and_says_what_is_not() {
    let cases = cases(&Options::default());
    let failures: Vec<usize> = cases.iter().map(|case| case.failures.len()).collect();
    assert_eq!(failures, [0, 2], "{cases:?}");
    let [_, wrong] = &cases[..] else { panic!("{cases:?}") };
    let all = wrong.failures.join("\n");
    for part in ["alertname: Down, time: 3m", "exp:[]", "a is down", "job:up:sum", "7"] {
        assert!(all.contains(part), "{part}: {all}");
    }
}

/// The failures of a file's tests of one group.
fn failures(rules: &str, tests: &str) -> Vec<String> {
    let rules = file::parse(&format!("groups:\n- name: g\n  rules:\n{rules}")).unwrap();
    let tests = parse(&format!("rule_files: [rules.yaml]\n{tests}")).unwrap();
    let cases = run(&tests, &[("rules.yaml".to_owned(), rules)], &Options::default());
    cases.into_iter().flat_map(|case| case.failures).collect()
}

#[test]
fn a_rule_and_a_test_have_the_same_step_where_a_subquery_names_none() {
    let failures = failures(
        "  - {record: n, expr: 'count_over_time(vector(1)[5m:])'}\n",
        "evaluation_interval: 15s\ntests:\n  - interval: 1m\n    promql_expr_test:\n      \
         - {expr: n, eval_time: 5m, exp_samples: [{labels: n, value: 20}]}\n      \
         - {expr: 'count_over_time(vector(1)[5m:])', eval_time: 5m, exp_samples: [{labels: '{}', value: 20}]}\n",
    );
    assert_eq!(failures, [""; 0]);
}

#[test]
fn the_value_of_an_alert_on_a_native_histogram_is_the_histogram() {
    let failures = failures(
        "  - {alert: A, expr: h, annotations: {v: '{{ $value }} {{ if .Value }}{{ . }}{{ end }}'}}\n",
        "tests:\n  - interval: 1m\n    input_series:\n      \
         - {series: h, values: '{{schema:0 sum:23 count:25 buckets:[1 24] offset:1}}x2'}\n    alert_rule_test:\n      \
         - {eval_time: 1m, alertname: A, exp_alerts: [{exp_annotations: {v: '{count:25, sum:23, (1,2]:1, (2,4]:24} \
         {map[__name__:h] map[]  {count:25, sum:23, (1,2]:1, (2,4]:24}}'}}]}\n",
    );
    assert_eq!(failures, [""; 0]);
}

#[test]
fn only_tests_that_are_asked_for_run() {
    let wanted = [regex::Regex::new("^what is so$").unwrap()];
    let cases = cases(&Options { run: &wanted, ..Options::default() });
    let names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names, ["what is so"]);
}

#[test]
fn results_are_well_formed_xml_for_test_runners() {
    let text = junit::document(&[("a&b.yaml".to_owned(), cases(&Options::default()))]);
    for part in [
        r#"<testsuite name="a&amp;b.yaml" tests="2" failures="1" errors="0">"#,
        r#"<testcase name="what is so"/>"#,
        r#"<testcase name="what is &lt;not&gt; so">"#,
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(text.matches("<failure>").count(), 2, "{text}");
    assert!(text.ends_with("</testsuites>\n"), "{text}");
}

#[test]
fn everything_that_is_wrong_with_a_file_has_its_place() {
    let text = "rule_files: [a.yaml]\ntests:\n  - interval: 1m\n    input_sries: []\n    promql_expr_test:\n      \
                - {expr: 'sum(', eval_time: 1m}\n";
    let findings = parse(text).unwrap_err();
    let lines: Vec<usize> = findings.iter().map(|finding| finding.span.line).collect();
    assert_eq!(lines, [4, 6], "{findings:?}");
    assert!(findings[0].message.contains("input_sries"), "{findings:?}");
}

#[test]
fn the_tests_of_the_shipped_rules_pass() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/rules/tests");
    let files = std::fs::read_dir(directory).unwrap();
    let paths: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    assert!(paths.len() >= 12, "{paths:?}");
    let results = std::thread::scope(|scope| {
        let threads: Vec<_> = paths.iter().map(|path| scope.spawn(|| shipped(path))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    for (path, cases) in paths.iter().zip(results) {
        assert!(!cases.is_empty(), "{}", path.display());
        for case in cases {
            assert!(
                case.failures.is_empty(),
                "{}: {}: {:#?}",
                path.display(),
                case.name,
                case.failures
            );
        }
    }
}

fn shipped(path: &Path) -> Vec<Case> {
    let rules = file::parse(crate::rules::BUILTIN).unwrap();
    let tests = parse(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(tests.rule_files, ["../sidelight.yaml"]);
    run(&tests, &[("sidelight.yaml".to_owned(), rules)], &Options::default())
}
