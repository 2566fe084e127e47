//! What is accepted, what is refused in which words, and that no text does harm. The wordings were compared
//! with those of Prometheus 3.15.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::{DEPTH_MAX, Options, REGEXES_MAX, TEXT_BYTES_MAX, parse, parse_selector, parse_with};
use crate::ast::Duration::Fixed;
use crate::ast::{At, BinaryOp, Cardinality, Expr};
use crate::types::Type;

#[track_caller]
fn refused(text: &str, message: &str) {
    match parse(text) {
        Ok(expr) => panic!("{text} was parsed as {expr}"),
        Err(error) => assert_eq!(error.to_string(), message, "{text}"),
    }
}

/// How operators group, in parentheses.
fn grouped(expr: &Expr) -> String {
    match expr {
        Expr::Binary(binary) => {
            let (lhs, rhs) = (grouped(&binary.lhs), grouped(&binary.rhs));
            format!("({lhs} {} {rhs})", binary.op.name())
        }
        Expr::Unary(unary) => format!("(-{})", grouped(&unary.expr)),
        other => other.to_string(),
    }
}

#[test]
fn operators_bind_as_strongly_as_they_should() {
    for (text, wanted) in [
        ("a + b * c", "(a + (b * c))"),
        ("a - b - c", "((a - b) - c)"),
        ("a ^ b ^ c", "(a ^ (b ^ c))"),
        ("-a ^ b", "(-(a ^ b))"),
        ("-a * b", "((-a) * b)"),
        ("a ^ -b ^ c * d", "((a ^ (-(b ^ c))) * d)"),
        ("a * b atan2 c % d", "(((a * b) atan2 c) % d)"),
        ("a or b and c unless d", "(a or ((b and c) unless d))"),
        ("a + b == c or d", "(((a + b) == c) or d)"),
        ("a > b == c", "((a > b) == c)"),
        ("a </ b + c >/ d and e", "(((a </ (b + c)) >/ d) and e)"),
        ("- -a", "(-(-a))"),
        ("--1 ^ 2", "(-(-(1 ^ 2)))"),
        ("a + b offset 5m", "(a + b offset 5m)"),
        ("a offset -2 ^ 2", "(a offset -2s ^ 2)"),
        ("a offset step() + 1", "(a offset step() + 1)"),
        ("a offset -(1m) * 2", "(a offset -(1m) * 2)"),
        ("a offset -max_of(1, 2) ^ b", "(a offset -max_of(1, 2) ^ b)"),
        ("a offset (1m) * 2", "a offset (1m) * 2"),
        ("a offset - -1 ^ 2", "a offset --1 ^ 2"),
    ] {
        assert_eq!(grouped(&parse(text).unwrap()), wanted, "{text}");
    }
}

#[test]
fn a_selector_has_its_matchers_times_and_place() {
    let Expr::Vector(selector) = parse(" up{job=\"x\",} offset -5m @ -1.5 ").unwrap() else {
        panic!()
    };
    assert_eq!(selector.name.as_deref(), Some("up"));
    let matchers: Vec<_> = selector.matchers.iter().map(ToString::to_string).collect();
    assert_eq!(matchers, ["job=\"x\"", "__name__=\"up\""]);
    assert_eq!((selector.offset, selector.at), (Fixed(-300_000), Some(At::Time(-1500))));
    assert_eq!((selector.span.start, selector.span.end), (1, 31));

    let Expr::Subquery(subquery) = parse("up[1h:] @ end() offset 1d").unwrap() else { panic!() };
    assert_eq!((subquery.range, subquery.step), (Fixed(3_600_000), None));
    assert_eq!((subquery.offset, subquery.at), (Fixed(86_400_000), Some(At::End)));
    let Expr::Matrix(matrix) = parse("up[90] @ start()").unwrap() else { panic!() };
    assert_eq!((matrix.range, matrix.selector.at), (Fixed(90_000), Some(At::Start)));
}

#[test]
fn a_match_of_vectors_says_how() {
    let binary = |text: &str| match parse(text).unwrap() {
        Expr::Binary(binary) => *binary,
        other => panic!("{other:?}"),
    };
    let many = binary("a == bool on(x, by) group_left(y,) b");
    assert_eq!((many.op, many.return_bool), (BinaryOp::Equal, true));
    assert_eq!(many.matching.cardinality, Cardinality::ManyToOne);
    assert_eq!((many.matching.on, many.matching.labels), (true, vec!["x".into(), "by".into()]));
    assert_eq!(many.matching.include, ["y"]);
    assert_eq!(binary("a and b").matching.cardinality, Cardinality::ManyToMany);
    assert!(!binary("1 + on() a").matching.on, "nothing is matched with a number");
    assert_eq!(binary("1 + 2").lhs.value_type(), Type::Scalar);
}

#[test]
fn words_may_be_names_where_they_mean_nothing_else() {
    for text in [
        "sum",
        "by + offset",
        "and and and",
        "start + end",
        "max_of",
        "fill - fill_left",
        "SUM{by=\"x\"}",
        "sum by (on, bool, group_left, atan2, start, a:b) (x)",
        "rate",
        "foo{inf=\"1\",offset!=\"\"}",
        "anchored * smoothed",
        "infx",
        "INF",
        "sum(start) without (by)",
    ] {
        assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
    }
    for text in ["bool", "on", "ignoring", "group_left", "atan2", "sum by (inf) (x)"] {
        assert!(parse(text).is_err(), "{text}");
    }
}

const SYNTAX: &[(&str, &str)] = &[
    ("", "unknown position: parse error: no expression found in input"),
    (" # none", "1:1: parse error: no expression found in input"),
    ("1 +", "1:4: parse error: unexpected end of input"),
    ("1 5", "1:3: parse error: unexpected number \"5\""),
    ("a\n  b", "2:3: parse error: unexpected identifier \"b\""),
    ("a 'very long text'", "1:3: parse error: unexpected string \"'very long\"..."),
    ("a bool b", "1:3: parse error: unexpected <bool>"),
    ("sum(a + )", "1:9: parse error: unexpected \")\" in aggregation"),
    (
        "sum by a (b)",
        "1:8: parse error: unexpected identifier \"a\" in grouping opts, expected \"(\"",
    ),
    (
        "sum by (1) (b)",
        "1:9: parse error: unexpected number \"1\" in grouping opts, expected label",
    ),
    (
        "sum by (a b) (c)",
        "1:11: parse error: unexpected identifier \"b\" in grouping opts, expected \",\" or \")\"",
    ),
    ("sum()", "1:1: parse error: no arguments for aggregate expression provided"),
    (
        "topk(a)",
        "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1",
    ),
    ("rate(a[5m],)", "1:11: parse error: trailing commas not allowed in function call args"),
    ("(1", "1:3: parse error: unclosed left parenthesis"),
    ("1)", "1:3: parse error: unexpected right parenthesis ')'"),
    (
        "a{b}",
        "1:4: parse error: unexpected \"}\" in label matching, expected label matching operator",
    ),
    ("a{b=c}", "1:5: parse error: unexpected identifier \"c\" in label matching, expected string"),
    (
        "a{b=\"c\" d}",
        "1:9: parse error: unexpected identifier \"d\" in label matching, expected \",\" or \"}\"",
    ),
    ("a{,}", "1:3: parse error: unexpected \",\" in label matching, expected identifier or \"}\""),
    ("a{b", "1:4: parse error: unexpected end of input inside braces"),
    ("a{b!c}", "1:4: parse error: unexpected character after '!' inside braces: 'c'"),
    ("a[5]b", "1:5: parse error: unexpected identifier \"b\""),
    ("a[5m", "1:5: parse error: unclosed left bracket"),
    (
        "a[]",
        "1:3: parse error: unexpected \"]\" in subquery or range selector, expected number, duration, step(), or range()",
    ),
    ("a[5m:1m:1m]", "1:8: parse error: unexpected colon ':'"),
    ("a[x]", "1:3: parse error: unexpected character in duration expression: 'x'"),
    ("a[-5m]", "1:3: parse error: duration must be greater than 0"),
    ("a[300y]", "1:3: parse error: duration out of range"),
    ("a </ bool 2", "1:3: parse error: bool modifier can only be used on comparison operators"),
    ("a > / 2", "1:5: parse error: unexpected <op:/>"),
    (
        "a[1m </ 2]",
        "1:6: parse error: unexpected <op:</> in subquery or range, expected \":\" or \"]\"",
    ),
    ("a[-1e10]", "1:4: parse error: duration out of range"),
    ("a offset +1e10", "1:10: parse error: duration out of range"),
    ("a offset NaN", "1:10: parse error: duration out of range"),
    ("a[1m/0]", "1:5: parse error: division by zero"),
    ("a[1m % 0s]", "1:6: parse error: modulo by zero"),
    ("a[step():1m]", "1:10: parse error: unexpected colon before duration in duration expression"),
    (
        "a[max_of(1m)]",
        "1:12: parse error: unexpected \")\" in subquery or range selector, expected number, duration, step(), or range()",
    ),
    (
        "a[1m:step]",
        "1:10: parse error: unexpected \"]\" in subquery selector, expected number, duration, step(), range(), or \"]\"",
    ),
    // An operator behind a parenthesis is the offset's.
    (
        "a offset (5m) + b",
        "1:17: parse error: unexpected identifier \"b\" in offset, expected number, duration, step(), or range()",
    ),
    ("a offset (5m) offset 1", "1:1: parse error: offset may not be set multiple times"),
    ("a offset (5m)[1m]", "1:14: parse error: no offset modifiers allowed before range"),
    ("a offset 1 offset 2", "1:1: parse error: offset may not be set multiple times"),
    ("a @ 1 @ 2", "1:1: parse error: @ <timestamp> may not be set multiple times"),
    ("a @ inf", "1:1: parse error: timestamp out of bounds for @ modifier: +Inf"),
    ("a @ b", "1:5: parse error: unexpected identifier \"b\" in @, expected timestamp"),
    (
        "a offset b",
        "1:10: parse error: unexpected identifier \"b\" in offset, expected number, duration, step(), or range()",
    ),
    (
        "1 offset 5m",
        "1:1: parse error: offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
    ),
    ("a offset 5m[1m]", "1:12: parse error: no offset modifiers allowed before range"),
    ("a @ 1 [1m]", "1:7: parse error: no @ modifiers allowed before range"),
    ("(a)[1m]", "1:4: parse error: ranges only allowed for vector selectors"),
    ("a[1m] anchored", "1:1: parse error: anchored modifier is experimental and not enabled"),
    ("a + fill(0) b", "1:1: parse error: binop fill modifiers are experimental and not enabled"),
    ("0b11", "1:1: parse error: bad number or duration syntax: \"0\""),
    ("5mm", "1:1: parse error: bad number or duration syntax: \"5mm\""),
    ("'\\q'", "1:1: parse error: unknown escape sequence U+0071 'q'"),
    ("\"a", "1:1: parse error: unterminated quoted string"),
    ("`a", "1:1: parse error: unterminated raw string"),
    ("a =~ b", "1:3: parse error: unexpected character after '=': '~'"),
    ("a $ b", "1:3: parse error: unexpected character: '$'"),
    ("rat(a)", "1:1: parse error: unknown function with name \"rat\""),
    ("info(a)", "1:1: parse error: function \"info\" is not enabled"),
    (
        "limitk(1, a)",
        "1:1: parse error: limitk() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
    ),
];

#[test]
fn what_is_wrong_is_worded_as_prometheus_does() {
    for (text, message) in SYNTAX {
        refused(text, message);
    }
}

const TYPES: &[(&str, &str)] = &[
    (
        "rate(a)",
        "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector",
    ),
    ("abs(1, 2)", "1:1: parse error: expected 1 argument(s) in call to \"abs\", got 2"),
    ("round()", "1:1: parse error: expected at least 1 argument(s) in call to \"round\", got 0"),
    ("hour(a, b)", "1:1: parse error: expected at most 1 argument(s) in call to \"hour\", got 2"),
    (
        "label_join(a, 'b')",
        "1:1: parse error: expected at least 3 argument(s) in call to \"label_join\", got 2",
    ),
    (
        "label_join(a, 'b', '', 'c', 1)",
        "1:29: parse error: expected type string in call to function \"label_join\", got scalar",
    ),
    (
        "sum(1)",
        "1:5: parse error: expected type instant vector in aggregation expression, got scalar",
    ),
    (
        "topk(a, b)",
        "1:6: parse error: expected type scalar in aggregation parameter, got instant vector",
    ),
    (
        "count_values(1, b)",
        "1:14: parse error: expected type string in aggregation parameter, got scalar",
    ),
    ("1 == 2", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
    ("a + bool b", "1:3: parse error: bool modifier can only be used on comparison operators"),
    (
        "a + 'x'",
        "1:5: parse error: binary expression must contain only scalar and instant vector types",
    ),
    ("1 and a", "1:1: parse error: set operator \"and\" not allowed in binary scalar expression"),
    ("1 + on(x) a", "1:1: parse error: vector matching only allowed between instant vectors"),
    ("a or on(x) group_left b", "1:1: parse error: no grouping allowed for \"or\" operation"),
    (
        "a + on(x) group_left(x) b",
        "1:3: parse error: label \"x\" must not occur in ON and GROUP clause at once",
    ),
    (
        "-'x'",
        "1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got \"string\"",
    ),
    ("1[5m:]", "1:1: parse error: subquery is only allowed on instant vector, got scalar instead"),
    (
        "a[5m][5m:]",
        "1:1: parse error: subquery is only allowed on instant vector, got matrix instead",
    ),
    ("{a=\"\"}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
    (
        "{a=~\".*\"}",
        "1:1: parse error: vector selector must contain at least one non-empty matcher",
    ),
    ("a{__name__=\"b\"}", "1:1: parse error: metric name must not be set twice: \"a\" or \"b\""),
    ("a{\"b\"}", "1:1: parse error: metric name must not be set twice: \"a\" or \"b\""),
];

#[test]
fn types_are_checked_and_worded_as_prometheus_does() {
    for (text, message) in TYPES {
        refused(text, message);
    }
}

#[test]
fn experimental_functions_are_accepted_where_they_are_enabled() {
    let parse = |text| parse_with(text, Options { experimental: true }).map_err(|e| e.to_string());
    for text in [
        "limitk(1, a)",
        "sort_by_label(a)",
        "step() + end()",
        "info(a, {b=~\".*\"})",
        "max_of(1, 2)",
    ] {
        assert!(parse(text).is_ok(), "{text}");
    }
    let message = "1:9: parse error: expected label selectors only, got vector selector instead";
    assert_eq!(parse("info(a, b)").unwrap_err(), message);
}

#[test]
fn a_selector_of_an_api_may_match_everything() {
    assert_eq!(parse_selector("{}").unwrap(), []);
    assert_eq!(parse_selector("a{b!=\"c\"}").unwrap().len(), 2);
    assert!(parse_selector("a + b").is_err());
    assert!(parse_selector("").is_err());
}

#[test]
fn what_is_printed_is_what_prometheus_prints() {
    for (text, printed) in [
        ("SUM(a)BY(b)", "sum by (b) (a)"),
        ("sum by () (a)", "sum(a)"),
        ("sum without () (a)", "sum without () (a)"),
        ("sum by (\"a b\", c) (a)", "sum by (\"a b\", c) (a)"),
        ("topk(5,a)", "topk(5, a)"),
        ("a+ignoring()group_left b", "a + ignoring () group_left () b"),
        ("a==bool on()b", "a == bool on () b"),
        ("a{z=\"1\",b='2'}", "a{b=\"2\",z=\"1\"}"),
        ("{__name__=\"a\"}", "{__name__=\"a\"}"),
        ("{\"a.b\", \"c d\"=~`e`}", "{\"c d\"=~\"e\",__name__=\"a.b\"}"),
        ("a[90m] offset -1h30m @ 1.5", "a[1h30m] @ 1.500 offset -1h30m"),
        ("a[1h:] @ start()", "a[1h:] @ start()"),
        ("a[1m*2+ -STEP()]", "a[1m * 2 + -step()]"),
        ("a[((90s))]", "a[(1m30s)]"),
        ("a[+(2 ^3)]", "a[(2 ^ 3)]"),
        (
            "a[min_of(5m,range()):2*step()] offset (1+1) @ end()",
            "a[min_of(5m, range()):2 * step()] @ end() offset (1 + 1)",
        ),
        ("a offset +step()", "a offset step()"),
        ("a offset - -5m", "a offset 5m"),
        ("1e3 + 5m + Inf + -.5", "1000 + 5m + +Inf + -0.5"),
        ("'\\u00e9\"'", "\"é\\\"\""),
        ("-(a)", "-(a)"),
        ("a</on(b)group_left c>/2", "a </ on (b) group_left () c >/ 2"),
    ] {
        assert_eq!(parse(text).unwrap().to_string(), printed);
    }
}

/// What Prometheus prints for these is something else.
#[test]
fn a_computed_offset_is_printed_as_what_is_one() {
    for (text, printed) in [
        ("a offset - +step() * 2", "a offset (-step() * 2)"),
        ("a offset - +2 ^ 2", "a offset (-2 ^ 2)"),
        ("a offset - -5m * 2", "a offset (5m * 2)"),
        ("a offset - +(2) ^ 2", "a offset (-(2) ^ 2)"),
    ] {
        assert_eq!(parse(text).unwrap().to_string(), printed);
        assert_eq!(parse(printed).unwrap().to_string(), printed);
    }
}

#[test]
fn durations_within_durations_have_a_limit() {
    let many = |count: usize| format!("a[{}5m{}]", "(".repeat(count), ")".repeat(count));
    assert!(parse(&many(200)).is_ok());
    let deep = format!("more than {DEPTH_MAX} expressions within each other");
    for text in
        [many(300), format!("a[1{}]", "+1".repeat(300)), format!("a[{}1]", "-(".repeat(300))]
    {
        assert!(parse(&text).unwrap_err().message.contains(&deep), "{text}");
    }
    let long = format!("a offset (1{})", "*1".repeat(250));
    assert!(
        parse(&long).is_ok()
            && parse(&format!("{}{long}{}", "-(".repeat(9), ")".repeat(9))).is_err()
    );
}

#[test]
fn a_long_expression_is_laid_out_over_lines() {
    let text = "sum by (job) (rate(http_request_duration_seconds_bucket{job=\"api\"}[5m])) / on (job) \
        group_left () (sum(rate(http_request_duration_seconds_count[5m])) + 1)";
    let pretty = parse(text).unwrap().pretty();
    expect![[r#"
          sum by (job) (rate(http_request_duration_seconds_bucket{job="api"}[5m]))
        / on (job) group_left ()
          (sum(rate(http_request_duration_seconds_count[5m])) + 1)"#]]
    .assert_eq(&pretty);
    assert_eq!(parse(&pretty).unwrap().to_string(), parse(text).unwrap().to_string());
}

#[test]
fn an_error_is_shown_below_its_line() {
    let check = |text: &str, wanted: Expect| {
        wanted.assert_eq(&parse(text).unwrap_err().render(text));
    };
    check(
        "sum(\n\trat(é[5m])\n)",
        expect![[r#"
            2:6: parse error: unexpected character: 'é'
              |
            2 | 	rat(é[5m])
              | 	    ^"#]],
    );
    check(
        "1 + rat(a[5m])",
        expect![[r#"
            1:5: parse error: unknown function with name "rat"
              |
            1 | 1 + rat(a[5m])
              |     ^^^ did you mean "rate"?"#]],
    );
    check(
        "a +",
        expect![[r#"
            1:4: parse error: unexpected end of input
              |
            1 | a +
              |    ^"#]],
    );
}

#[test]
fn deep_and_long_expressions_are_refused_and_no_stack_runs_out() {
    let deep = format!("more than {DEPTH_MAX} expressions within each other");
    let nested = |open: &str, middle: &str, close: &str, count: usize| {
        format!("{}{middle}{}", open.repeat(count), close.repeat(count))
    };
    for (open, middle, close) in [
        ("(", "a", ")"),
        ("-", "a", ""),
        ("a ^ ", "a", ""),
        ("a + ", "a", ""),
        ("sum(", "a", ")"),
        ("abs(", "a", ")"),
        ("sum_over_time(", "a", "[5m:])"),
        ("a + (", "a", ")"),
    ] {
        let error = parse(&nested(open, middle, close, 10_000)).unwrap_err();
        assert_eq!(error.message, deep, "{open}");
        // What is accepted can be walked, even where the stack is small.
        let accepted = nested(open, middle, close, 120);
        let walk = move || parse(&accepted).map(|expr| (expr.pretty(), expr.clone() == expr));
        let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(walk).unwrap();
        assert!(thread.join().unwrap().unwrap().1, "{open}");
    }
    let long = " ".repeat(TEXT_BYTES_MAX + 1);
    assert_eq!(parse(&long).unwrap_err().message, "expression is longer than 1048576 bytes");
    let regexes = "a=~\"b.\",".repeat(REGEXES_MAX as usize + 1);
    assert!(
        parse(&format!("{{{regexes}}}")).unwrap_err().message.contains("64 regular expressions")
    );
}

/// Words of the language, those of `tests/oracle.rs` and some that only this parser is asked about.
fn words() -> Vec<&'static str> {
    let own = [
        "0x1f", "1e3", ".5", "foo", "topk", "start", "end", "'\\xff'", "`z`", "#", "\n", "é",
        "\u{fffd}", "</", "step", "fill(1)",
    ];
    include_str!("../../tests/words.txt").split_whitespace().chain(own).collect()
}

proptest! {
    #[test]
    fn no_text_does_harm(text in "\\PC{0,60}") {
        if let Err(error) = parse(&text) {
            prop_assert!(error.render(&text).contains('^'));
        }
    }

    #[test]
    fn no_row_of_words_does_harm_and_what_is_printed_parses_to_the_same(
        words in prop::collection::vec(prop::sample::select(words()), 0..12),
        glue in prop::sample::select(&["", " "][..]),
    ) {
        let text = words.join(glue);
        match parse_with(&text, Options { experimental: true }) {
            Ok(expr) => {
                for printed in [expr.to_string(), expr.pretty()] {
                    let again = parse_with(&printed, Options { experimental: true }).unwrap();
                    prop_assert_eq!(again.to_string(), expr.to_string());
                }
            }
            Err(error) => {
                prop_assert!(error.render(&text).contains('^'));
            }
        }
    }
}
