//! The same texts to another parser of PromQL, the crate `promql-parser`: both accept or both refuse.
//!
//! What the two are known to differ in is listed with who is right, by what Prometheus 3.15 does.

use promql_parser::parser as oracle;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use sidelight_promql::ParseError;
use sidelight_promql::parse::{Options, parse_with};

fn parse(text: &str) -> Result<sidelight_promql::Expr, ParseError> {
    // The other parser has no switch for experimental functions.
    parse_with(text, Options { experimental: true })
}

fn accepted(text: &str) -> bool {
    parse(text).is_ok()
}

fn leaf() -> impl Strategy<Value = String> {
    let fixed = [
        "up",
        "a:b",
        "{job=\"x\"}",
        "up{job=~\"x.*\",le!=\"1\"}",
        "{__name__!~\"y\", z=\"\"}",
        "sum",
        "by",
        "1",
        "0x1f",
        "1.5e3",
        "NaN",
        "-Inf",
        "5m",
        "'text'",
        "\"te\\\"xt\"",
        "`raw`",
        "{\"utf.8\"}",
        "{}",
        "time()",
        "up[5m]",
        "up[1h:1m]",
        "up[1h:]",
        "up offset 5m",
        "up @ 12.5",
        "up[5m] @ end()",
        "up @ start() offset -1d",
        "vector(1)",
    ];
    prop::sample::select(fixed.to_vec()).prop_map(str::to_owned)
}

fn expression() -> impl Strategy<Value = String> {
    leaf().prop_recursive(4, 12, 3, |inner| {
        let operators = [
            "+",
            "-",
            "*",
            "/",
            "%",
            "^",
            "atan2",
            "==",
            "!=",
            "<",
            ">= bool",
            "and",
            "or",
            "unless",
            "* on (job)",
            "/ ignoring (job, le)",
            "* on (job) group_left",
            "- on () group_right (x)",
            "and on (job)",
            "> bool on (job) group_left (x,)",
        ];
        let functions =
            ["rate", "abs", "absent", "scalar", "sum_over_time", "hour", "sort", "round"];
        let aggregations = ["sum", "max by (job)", "avg without (job, le)", "count", "group by ()"];
        let with_number = ["topk", "quantile by (job)", "bottomk without (le)"];
        prop_oneof![
            (inner.clone(), prop::sample::select(operators.to_vec()), inner.clone())
                .prop_map(|(lhs, op, rhs)| format!("{lhs} {op} {rhs}")),
            (prop::sample::select(functions.to_vec()), inner.clone())
                .prop_map(|(function, arg)| format!("{function}({arg})")),
            (prop::sample::select(aggregations.to_vec()), inner.clone())
                .prop_map(|(aggregation, expr)| format!("{aggregation} ({expr})")),
            (prop::sample::select(with_number.to_vec()), inner.clone(), inner.clone())
                .prop_map(|(aggregation, param, expr)| format!("{aggregation} ({param}, {expr})")),
            inner.clone().prop_map(|expr| format!("({expr})")),
            inner.clone().prop_map(|expr| format!("-{expr}")),
            inner.clone().prop_map(|expr| format!("({expr})[10m:1m]")),
            inner.prop_map(|expr| format!("sum({expr}) by (job)")),
        ]
    })
}

/// Whether the other parser accepts `text`. It panics on offsets that are not finite, which are no durations.
fn accepted_there(text: &str) -> bool {
    std::panic::catch_unwind(|| oracle::parse(text).is_ok()).unwrap_or(false)
}

/// What only one of the two accepts, and why.
const DIFFERENCES: &[(&str, bool, &str)] = &[
    ("1_000", true, "it knows no underscores in decimal numbers"),
    ("smoothed", true, "it takes no keyword of an experiment as a name"),
    ("sum by (anchored) (up)", true, "it takes no keyword of an experiment as a label"),
    ("a + fill(1) b", false, "an experiment of Prometheus that is off by default"),
    ("info(a, b)", false, "it does not check that the second argument has no name"),
    ("up[9.5e10]", false, "it does not check that a range fits in nanoseconds"),
    ("log10( - 10)", false, "it does not check the types of some arguments"),
    ("up offset + -1d", true, "it takes one sign only"),
    ("+'text'", false, "it does not check the type of what a sign stands before"),
    ("limitk(scalar, up)", false, "it does not check the parameter of limitk"),
];

#[test]
fn the_known_differences_are_those() {
    for (text, ours, why) in DIFFERENCES {
        assert_eq!((accepted(text), accepted_there(text)), (*ours, !ours), "{text}: {why}");
    }
}

fn words() -> Vec<&'static str> {
    include_str!("words.txt").split_whitespace().chain(["up", "start()"]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        // What else the other parser is wrong about should not come up by chance.
        rng_seed: RngSeed::Fixed(4),
        ..ProptestConfig::default()
    })]

    #[test]
    fn both_accept_or_refuse_an_expression(text in expression()) {
        prop_assert_eq!(accepted(&text), accepted_there(&text), "{}", text);
    }

    #[test]
    fn both_accept_or_refuse_an_expression_with_a_word_too_many_or_too_few(
        text in expression(),
        word in prop::sample::select(words()),
        place in any::<prop::sample::Index>(),
        remove in any::<bool>(),
    ) {
        let mut words: Vec<&str> = text.split(' ').collect();
        let place = place.index(words.len());
        if remove {
            words.remove(place);
        } else {
            words.insert(place, word);
        }
        let text = words.join(" ");
        // It does not check the type of what a sign stands before.
        let signed = parse(&text).is_err_and(|error| error.message.starts_with("unary expression"));
        prop_assume!(!signed);
        prop_assert_eq!(accepted(&text), accepted_there(&text), "{}", text);
    }
}
