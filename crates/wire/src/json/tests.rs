//! What the transcoder accepts, refuses and writes, as tables.

use super::*;
use crate::{Limits, Signal, validate};

/// Transcodes, checks that the validator accepts the result, and gives its JSON.
fn rewritten(signal: Signal, json: &str, options: &JsonOptions) -> String {
    let mut protobuf = Vec::new();
    if let Err(error) = to_protobuf(signal, json.as_bytes(), &mut protobuf, options) {
        panic!("{error}\n{json}");
    }
    let limits =
        Limits { refuse_without_ids: false, refuse_invalid_utf8: true, ..Limits::default() };
    if let Err(error) = validate(signal, &protobuf, &limits) {
        panic!("{error}\n{json}");
    }
    let mut written = Vec::new();
    from_protobuf(signal, &protobuf, &mut written).unwrap();
    String::from_utf8(written).unwrap()
}

fn refusal(signal: Signal, json: &[u8], options: &JsonOptions) -> JsonError {
    let mut out = b"before".to_vec();
    let error = to_protobuf(signal, json, &mut out, options).unwrap_err();
    assert_eq!(out, b"before", "an error leaves the output as it was");
    error
}

fn span(members: &str) -> String {
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{members}}}]}}]}}]}}"#)
}

fn value(members: &str) -> String {
    span(&format!(r#""attributes":[{{"key":"k","value":{members}}}]"#))
}

fn point(members: &str) -> String {
    let metric = format!(r#"{{"gauge":{{"dataPoints":[{{{members}}}]}}}}"#);
    format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{metric}]}}]}}]}}"#)
}

fn histogram(members: &str) -> String {
    let metric = format!(r#"{{"histogram":{{"dataPoints":[{{{members}}}]}}}}"#);
    format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{metric}]}}]}}]}}"#)
}

/// Each left side means what the right side says in the transcoder's own spelling.
fn check(wrap: fn(&str) -> String, signal: Signal, cases: &[(&str, &str)]) {
    for (given, expected) in cases {
        let written = rewritten(signal, &wrap(given), &JsonOptions::default());
        assert_eq!(written, wrap(expected), "{given}");
        let again = rewritten(signal, &written, &JsonOptions::default());
        assert_eq!(again, written, "what is written is read back");
    }
}

#[test]
fn ids_are_hex_in_either_case_and_of_any_even_length() {
    check(
        span,
        Signal::Traces,
        &[
            (
                r#""traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174""#,
                r#""traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174""#,
            ),
            (r#""traceId":"5b8e","spanId":"""#, r#""traceId":"5b8e""#),
            (r#""traceId":"\u0035b8e""#, r#""traceId":"5b8e""#),
            (
                r#""links":[{"traceId":"0A","spanId":"0b"}],"parentSpanId":"00""#,
                r#""parentSpanId":"00","links":[{"traceId":"0a","spanId":"0b"}]"#,
            ),
        ],
    );
    check(
        point,
        Signal::Metrics,
        &[(
            r#""exemplars":[{"traceId":"AB","spanId":"CD"}]"#,
            r#""exemplars":[{"spanId":"cd","traceId":"ab"}]"#,
        )],
    );
}

#[test]
fn integers_are_numbers_or_strings_in_any_whole_spelling() {
    let now = r#""startTimeUnixNano":"1544712660300000000""#;
    check(
        span,
        Signal::Traces,
        &[
            (now, now),
            (r#""startTimeUnixNano":1544712660300000000"#, now),
            (r#""startTimeUnixNano":1.5447126603e18"#, now),
            (r#""startTimeUnixNano":"1.5447126603E+18""#, now),
            (
                r#""startTimeUnixNano":"1544712660300000000\u0030""#,
                r#""startTimeUnixNano":"15447126603000000000""#,
            ),
            (
                r#""kind":2.0,"droppedEventsCount":"4294967295""#,
                r#""kind":2,"droppedEventsCount":4294967295"#,
            ),
            (r#""kind":0,"flags":0,"startTimeUnixNano":"0","name":"""#, ""),
            (r#""flags":257"#, r#""flags":257"#),
            (r#""kind":-5"#, r#""kind":-5"#),
        ],
    );
    check(
        value,
        Signal::Traces,
        &[
            (r#"{"intValue":5893}"#, r#"{"intValue":"5893"}"#),
            (r#"{"intValue":"5893"}"#, r#"{"intValue":"5893"}"#),
            (r#"{"intValue":0}"#, r#"{"intValue":"0"}"#),
            (r#"{"intValue":-9223372036854775808}"#, r#"{"intValue":"-9223372036854775808"}"#),
            (r#"{"intValue":9007199254740993}"#, r#"{"intValue":"9007199254740993"}"#),
        ],
    );
    check(
        point,
        Signal::Metrics,
        &[(r#""asInt":7"#, r#""asInt":"7""#), (r#""asInt":"-7""#, r#""asInt":"-7""#)],
    );
}

#[test]
fn doubles_are_numbers_or_strings_and_have_names_beyond_the_finite() {
    check(
        point,
        Signal::Metrics,
        &[
            (r#""asDouble":1"#, r#""asDouble":1"#),
            (r#""asDouble":"1.50""#, r#""asDouble":1.5"#),
            (r#""asDouble":-0"#, r#""asDouble":-0.0"#),
            (r#""asDouble":"NaN""#, r#""asDouble":"NaN""#),
            (r#""asDouble":"Infinity""#, r#""asDouble":"Infinity""#),
            (r#""asDouble":"-Infinity""#, r#""asDouble":"-Infinity""#),
            (r#""asDouble":4.9406564584124654e-324"#, r#""asDouble":5e-324"#),
        ],
    );
    check(
        histogram,
        Signal::Metrics,
        &[
            (
                r#""count":"2","sum":0,"bucketCounts":["1",1,"0"],"explicitBounds":[0.5,"1",2e0],"min":0"#,
                r#""count":"2","sum":0,"bucketCounts":["1","1","0"],"explicitBounds":[0.5,1,2],"min":0"#,
            ),
            (r#""bucketCounts":[],"explicitBounds":[]"#, ""),
        ],
    );
}

#[test]
fn any_values_may_be_empty_null_bytes_or_nested() {
    check(
        value,
        Signal::Traces,
        &[
            ("{}", "{}"),
            (r#"{"stringValue":null}"#, "{}"),
            (r#"{"stringValue":""}"#, r#"{"stringValue":""}"#),
            (r#"{"boolValue":false}"#, r#"{"boolValue":false}"#),
            (r#"{"bytesValue":"-_8"}"#, r#"{"bytesValue":"+/8="}"#),
            (r#"{"bytesValue":"+\/8="}"#, r#"{"bytesValue":"+/8="}"#),
            (r#"{"bytesValue":""}"#, r#"{"bytesValue":""}"#),
            (r#"{"arrayValue":{}}"#, r#"{"arrayValue":{}}"#),
            (r#"{"arrayValue":{"values":[]}}"#, r#"{"arrayValue":{}}"#),
            (
                r#"{"arrayValue":{"values":[null,{},{"intValue":1}]}}"#,
                r#"{"arrayValue":{"values":[{},{},{"intValue":"1"}]}}"#,
            ),
            (
                r#"{"kvlistValue":{"values":[{"key":"a","value":{"boolValue":true}}]}}"#,
                r#"{"kvlistValue":{"values":[{"key":"a","value":{"boolValue":true}}]}}"#,
            ),
            (r#"{"stringValue":null,"intValue":1}"#, r#"{"intValue":"1"}"#),
        ],
    );
    check(
        span,
        Signal::Traces,
        &[(r#""attributes":[{"key":"k","value":null}]"#, r#""attributes":[{"key":"k"}]"#)],
    );
}

#[test]
fn null_is_absent_and_empty_objects_are_present() {
    check(
        span,
        Signal::Traces,
        &[
            (r#""name":null,"kind":null,"attributes":null,"status":null,"traceId":null"#, ""),
            (r#""status":{}"#, r#""status":{}"#),
            (r#""events":[{}, {} ]"#, r#""events":[{},{}]"#),
        ],
    );
}

#[test]
fn the_last_of_a_key_given_twice_counts_whatever_it_is() {
    check(
        span,
        Signal::Traces,
        &[
            (r#""name":"a","name":"b""#, r#""name":"b""#),
            (r#""name":"a","kind":1,"name":null"#, r#""kind":1"#),
            (r#""kind":3,"name":"a","kind":0"#, r#""name":"a""#),
            (
                r#""attributes":[{"key":"a"},{"key":"b"}],"name":"n","attributes":[{"key":"c"}]"#,
                r#""name":"n","attributes":[{"key":"c"}]"#,
            ),
            (r#""status":{"code":2,"message":"m"},"status":{"code":1}"#, r#""status":{"code":1}"#),
            (r#""status":{"code":2},"status":{}"#, r#""status":{}"#),
        ],
    );
    check(
        value,
        Signal::Traces,
        &[
            (r#"{"intValue":1,"intValue":2}"#, r#"{"intValue":"2"}"#),
            (r#"{"intValue":1,"intValue":null}"#, "{}"),
            (r#"{"intValue":1,"intValue":null,"boolValue":true}"#, r#"{"boolValue":true}"#),
        ],
    );
    check(
        histogram,
        Signal::Metrics,
        &[(
            r#""bucketCounts":[1,2],"count":1,"bucketCounts":[3]"#,
            r#""count":"1","bucketCounts":["3"]"#,
        )],
    );
}

#[test]
fn unknown_fields_are_skipped_at_any_depth() {
    let junk = r#"{"a":[1,-2.5e3,true,false,null,"\ud800\n",{"b":{},"c":[[],[[]]]}],"name":"x"}"#;
    check(
        span,
        Signal::Traces,
        &[
            (&format!(r#""zzz":{junk},"name":"n""#), r#""name":"n""#),
            (&format!(r#""status":{{"code":1,"x":{junk}}},"y":{junk}"#), r#""status":{"code":1}"#),
            (r#""trace-id":"not looked at","start_time_unix__nano":[]"#, ""),
            (r#""Name":"case matters""#, ""),
        ],
    );
}

#[test]
fn a_request_of_which_no_key_is_known_is_foreign() {
    for (json, foreign) in [
        (r#"{"resourceLogs":[{}]}"#, true),
        (r#"{"ResourceSpans":[],"b":{"resourceSpans":[]}}"#, true),
        (r#"{"resourceLogs":[],"resourceSpans":[],"later":1}"#, false),
        (r#"{"later":1,"resource_spans":[]}"#, false),
        (r#"{"resourceSpans":[{"later":1}]}"#, false),
        ("{}", false),
    ] {
        let mut out = Vec::new();
        let met = to_protobuf(Signal::Traces, json.as_bytes(), &mut out, &JsonOptions::default());
        assert_eq!(met, Ok(Transcoded { foreign, invalid_utf8: 0 }), "{json}");
    }
}

#[test]
fn keys_may_be_spelled_as_in_the_proto_files() {
    let options = JsonOptions::default();
    let given = span(r#""trace_id":"0a","start_time_unix_nano":"7","kind":3,"name":"n""#)
        .replace("resourceSpans", "resource_spans");
    let expected = span(r#""traceId":"0a","name":"n","kind":3,"startTimeUnixNano":"7""#);
    assert_eq!(rewritten(Signal::Traces, &given, &options), expected);
    let twice = span(r#""trace_id":"0a","traceId":"0b""#);
    assert_eq!(rewritten(Signal::Traces, &twice, &options), span(r#""traceId":"0b""#));
}

#[test]
fn text_with_escapes_keeps_its_characters_at_every_length() {
    for len in (0..300).chain([16_380, 16_390]) {
        let text = format!("{}\\u65e5\\\"\\n", "x".repeat(len));
        let expected = format!("{}日\\\"\\n", "x".repeat(len));
        let name = |text| span(&format!(r#""name":"{text}","flags":1"#));
        assert_eq!(rewritten(Signal::Traces, &name(text), &JsonOptions::default()), name(expected));
    }
}

#[test]
fn text_that_is_not_unicode_is_repaired_or_refused() {
    for (bytes, repaired, reason, at) in [
        (&b"a\xff\xfe"[..], "a??", Reason::InvalidUtf8, 1),
        (b"\\n\xe6\x97!", "\n??!", Reason::InvalidUtf8, 2),
        (b"x\\ud800y", "x\u{fffd}y", Reason::LoneSurrogate, 1),
    ] {
        let mut json = br#"{"resourceSpans":[{"schemaUrl":""#.to_vec();
        let start = json.len();
        json.extend_from_slice(bytes);
        json.extend_from_slice(br#""}]}"#);
        let mut out = Vec::new();
        let met = to_protobuf(Signal::Traces, &json, &mut out, &JsonOptions::default()).unwrap();
        assert_eq!(met.invalid_utf8, 1);
        assert!(
            validate(
                Signal::Traces,
                &out,
                &Limits { refuse_invalid_utf8: true, ..Limits::default() }
            )
            .is_ok()
        );
        assert!(out.ends_with(repaired.as_bytes()));
        let refuse = JsonOptions { invalid_text: InvalidText::Refuse, ..JsonOptions::default() };
        let error = refusal(Signal::Traces, &json, &refuse);
        assert_eq!((error.reason, error.offset), (reason, start + at));
    }
    let refuse = JsonOptions { invalid_text: InvalidText::Refuse, ..JsonOptions::default() };
    for skipped in [&b"{\"x\":\"\xff\"}"[..], b"{\"\xff\":1}", b"{\"x\":{\"\\ud800\":1}}"] {
        assert!(
            to_protobuf(Signal::Logs, skipped, &mut Vec::new(), &JsonOptions::default()).is_ok()
        );
        refusal(Signal::Logs, skipped, &refuse);
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_its_remedy() {
    for (given, expected) in [
        (
            "",
            "empty body at line 1, column 1 (byte 0), at the end of the input; send {} for an empty request",
        ),
        (
            " \n ",
            "empty body at line 2, column 2 (byte 3), at the end of the input; send {} for an empty request",
        ),
        (
            "\u{feff}{}",
            "byte order mark at line 1, column 1 (byte 0), found `\u{feff}{}`; send UTF-8 without a byte order mark",
        ),
        (
            "[]",
            "expected an object at line 1, column 1 (byte 0), found `[]`; write an object, {...}",
        ),
        (
            "null",
            "expected an object at line 1, column 1 (byte 0), found `null`; write an object, {...}",
        ),
        (
            "{}{}",
            "bytes after the request at line 1, column 3 (byte 2), found `{}`; send one JSON object per request",
        ),
        (
            "{\"resourceSpans\":\n  [{},\n  5]}",
            "expected an object at line 3, column 3 (byte 27), in resourceSpans[1], found `5]}`; write an object, {...}",
        ),
        (
            r#"{"resourceSpans":{}}"#,
            "expected an array at line 1, column 18 (byte 17), in resourceSpans, found `{}}`; write an array, [...], even for one element",
        ),
        (
            r#"{"resourceSpans":[{"resource":[]}]}"#,
            "expected an object at line 1, column 31 (byte 30), in resourceSpans[0].resource, found `[]}]}`; write an object, {...}",
        ),
        (
            r#"{"resourceSpans":[{},]}"#,
            "expected a value at line 1, column 22 (byte 21), in resourceSpans[1], found `]}`; write a JSON value, and no comma after the last element",
        ),
        (
            r#"{"resourceSpans":[],}"#,
            "expected a key in double quotes at line 1, column 21 (byte 20), in resourceSpans, found `}`; write the key in double quotes, and no comma after the last member",
        ),
        (
            r#"{"resourceSpans":[{"#,
            "unexpected end at line 1, column 20 (byte 19), in resourceSpans[0], at the end of the input; the body was cut short, or a quote or bracket is not closed",
        ),
        (
            r#"{"resourceSpans" []}"#,
            "expected a colon after the key at line 1, column 18 (byte 17), found `[]}`; write \"key\": value",
        ),
        (
            r#"{"a":01}"#,
            "malformed number at line 1, column 6 (byte 5), found `01}`; write a JSON number",
        ),
        (
            r#"{"a":nul}"#,
            "expected a value at line 1, column 6 (byte 5), found `nul}`; write a JSON value, and no comma after the last element",
        ),
    ] {
        let error = refusal(Signal::Traces, given.as_bytes(), &JsonOptions::default());
        assert_eq!(error.to_string(), expected, "{given}");
    }
}

const UNSIGNED_64: &str =
    "write a whole number from 0 to 18446744073709551615, as a string or a number";

/// Members of a span, the path to what is wrong in them, why, and the remedy.
const WRONG_VALUES: &[(&str, &str, Reason, &str)] = &[
    (r#""startTimeUnixNano":"12x""#, "startTimeUnixNano", Reason::MalformedNumber, UNSIGNED_64),
    (r#""startTimeUnixNano":-1"#, "startTimeUnixNano", Reason::OutOfRange, UNSIGNED_64),
    (r#""startTimeUnixNano":1.5"#, "startTimeUnixNano", Reason::NotWhole, UNSIGNED_64),
    (r#""startTimeUnixNano":"""#, "startTimeUnixNano", Reason::MalformedNumber, UNSIGNED_64),
    (r#""startTimeUnixNano":true"#, "startTimeUnixNano", Reason::ExpectedInteger, UNSIGNED_64),
    (
        r#""flags":4294967296"#,
        "flags",
        Reason::OutOfRange,
        "write a whole number from 0 to 4294967295",
    ),
    (
        r#""kind":2147483648"#,
        "kind",
        Reason::OutOfRange,
        "write a whole number from -2147483648 to 2147483647",
    ),
    (
        r#""kind":"SPAN_KIND_SERVER""#,
        "kind",
        Reason::EnumName,
        "write the enum as an integer: OTLP/JSON has no enum names",
    ),
    (
        r#""traceId":"W47/95gDgQPSabYzgT/GDA==""#,
        "traceId",
        Reason::MalformedHex,
        "ids are hex digits in pairs, never base64",
    ),
    (
        r#""traceId":"abc""#,
        "traceId",
        Reason::MalformedHex,
        "ids are hex digits in pairs, never base64",
    ),
    (
        r#""traceId":17"#,
        "traceId",
        Reason::ExpectedString,
        "write the id as a string of hex digits",
    ),
    (r#""name":["a"]"#, "name", Reason::ExpectedString, "write a string in double quotes"),
    ("\"name\":\"a\nb\"", "name", Reason::ControlCharacter, "escape it: \\n, \\t or \\u00XX"),
    (
        r#""name":"\x""#,
        "name",
        Reason::MalformedEscape,
        "only \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\uXXXX are escapes",
    ),
    (
        r#""name":'a'"#,
        "name",
        Reason::ExpectedValue,
        "write a JSON value, and no comma after the last element",
    ),
    (
        r#""attributes":[{"key":"k","value":{"stringValue":"a","intValue":1}}]"#,
        "attributes[0].value.intValue",
        Reason::TwoOfOneof,
        "give exactly one of them",
    ),
    (
        r#""attributes":[{"value":{"bytesValue":"A"}}]"#,
        "attributes[0].value.bytesValue",
        Reason::MalformedBase64,
        "write base64, standard or URL-safe",
    ),
    (
        r#""attributes":[{"value":{"boolValue":"true"}}]"#,
        "attributes[0].value.boolValue",
        Reason::ExpectedBool,
        "write true or false without quotes",
    ),
    (
        r#""attributes":[{"value":{"doubleValue":1e999}}]"#,
        "attributes[0].value.doubleValue",
        Reason::OutOfRange,
        "write a number, or one of \"NaN\", \"Infinity\", \"-Infinity\"",
    ),
    (
        r#""attributes":[{"value":{"doubleValue":"nan"}}]"#,
        "attributes[0].value.doubleValue",
        Reason::MalformedNumber,
        "write a number, or one of \"NaN\", \"Infinity\", \"-Infinity\"",
    ),
    (
        r#""attributes":[{"value":{"intValue":9223372036854775808}}]"#,
        "attributes[0].value.intValue",
        Reason::OutOfRange,
        "write a whole number from -9223372036854775808 to 9223372036854775807, as a string or a number",
    ),
    (
        r#""events":[{},{"name":5}]"#,
        "events[1].name",
        Reason::ExpectedString,
        "write a string in double quotes",
    ),
    (
        r#""name":"a" "kind":1"#,
        "name",
        Reason::ExpectedCommaOrBrace,
        "separate members by commas and close the object with }",
    ),
    (
        r#""links":[{} {}]"#,
        "links[0]",
        Reason::ExpectedCommaOrBracket,
        "separate elements by commas and close the array with ]",
    ),
];

#[test]
fn a_wrong_value_is_refused_with_what_its_field_takes() {
    let prefix = "resourceSpans[0].scopeSpans[0].spans[0].";
    for (given, path, reason, mend) in WRONG_VALUES {
        let error = refusal(Signal::Traces, span(given).as_bytes(), &JsonOptions::default());
        assert_eq!(error.path, format!("{prefix}{path}"), "{given}");
        assert_eq!((error.reason, error.mend), (*reason, *mend), "{given}");
    }
    let error = refusal(
        Signal::Metrics,
        histogram(r#""bucketCounts":[1,null]"#).as_bytes(),
        &JsonOptions::default(),
    );
    assert_eq!(error.reason, Reason::NullElement);
    assert!(error.path.ends_with("bucketCounts[1]"), "{}", error.path);
}

#[test]
fn the_output_limit_holds_at_every_value() {
    let json = histogram(r#""count":"3","explicitBounds":[0,0,0,0,0,0,0,0,0,0],"attributes":[{"key":"k","value":{"stringValue":"a\nb"}}]"#.replace('\n', "\\n").as_str());
    let mut whole = Vec::new();
    to_protobuf(Signal::Metrics, json.as_bytes(), &mut whole, &JsonOptions::default()).unwrap();
    for output_bytes_max in 0..=whole.len() {
        let options = JsonOptions { output_bytes_max, ..JsonOptions::default() };
        let mut out = Vec::new();
        match to_protobuf(Signal::Metrics, json.as_bytes(), &mut out, &options) {
            Ok(_) => assert_eq!(out, whole),
            Err(error) => assert_eq!(error.reason, Reason::TooLarge),
        }
        assert!(out.len() <= output_bytes_max);
    }
}

/// Arrays within arrays: each level is two messages, `AnyValue` and `ArrayValue`.
fn nested(levels: usize) -> String {
    let open = r#"{"arrayValue":{"values":["#.repeat(levels);
    value(&format!("{open}{}", "]}}".repeat(levels)))
}

#[test]
fn messages_nest_as_deep_as_the_validator_allows_and_no_deeper() {
    // The request holds resourceSpans, scopeSpans, spans and attributes: 4 messages before the first value.
    rewritten(Signal::Traces, &nested(40), &JsonOptions::default());
    rewritten(Signal::Traces, &nested(48), &JsonOptions::default());
    for levels in [49, 200, 100_000] {
        let error = refusal(Signal::Traces, nested(levels).as_bytes(), &JsonOptions::default());
        assert_eq!(error.reason, Reason::TooDeep);
    }
    let skipped =
        |levels: usize| format!(r#"{{"x":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
    rewritten(Signal::Logs, &skipped(100), &JsonOptions::default());
    for levels in [102, 1_000_000] {
        let error = refusal(Signal::Logs, skipped(levels).as_bytes(), &JsonOptions::default());
        assert_eq!(error.reason, Reason::TooDeep);
    }
}

#[test]
fn keys_given_twice_cost_a_bounded_amount_of_work() {
    let many = r#""scope":{},"#.repeat(10_000);
    let spans = "{},".repeat(10_000);
    let json = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}{{}}],{many}"schemaUrl":""}}]}}]}}"#
    );
    let error = refusal(Signal::Traces, json.as_bytes(), &JsonOptions::default());
    assert_eq!(error.reason, Reason::TooManyDuplicates);
}

#[test]
fn protobuf_in_any_order_and_in_parts_is_one_message_in_json() {
    let field =
        |number: u8, content: &[u8]| [&[number << 3 | 2, content.len() as u8], content].concat();
    let name = |text: &[u8]| field(5, text);
    let attribute = |key: &[u8]| field(9, &field(1, key));
    let status_code = field(15, &[3 << 3, 2]);
    let status_message = field(15, &field(2, b"m"));
    let span_bytes = [
        status_code.clone(),
        attribute(b"a"),
        name(b"first"),
        status_message,
        attribute(b"b"),
        name(b"last"),
        vec![0xf8, 0x7f, 1],
        vec![6 << 3, 2],
        attribute(b"c"),
        vec![6 << 3, 3],
    ]
    .concat();
    let (early, late) = span_bytes.split_at(status_code.len());
    // `scope_spans` twice is two elements; `resource` twice is one message.
    let scope = field(2, &field(2, &[early, late].concat()));
    let resource = |dropped: u8| field(1, &[2 << 3, dropped]);
    let request = field(1, &[resource(9), scope, resource(4)].concat());
    let mut written = Vec::new();
    from_protobuf(Signal::Traces, &request, &mut written).unwrap();
    assert_eq!(
        String::from_utf8(written).unwrap(),
        concat!(
            r#"{"resourceSpans":[{"resource":{"droppedAttributesCount":4},"scopeSpans":[{"spans":["#,
            r#"{"name":"last","kind":3,"attributes":[{"key":"a"},{"key":"b"},{"key":"c"}],"#,
            r#""status":{"message":"m","code":2}}]}]}]}"#
        )
    );
}

#[test]
fn the_last_member_of_a_oneof_counts_and_packed_is_as_good_as_unpacked() {
    let mut written = Vec::new();
    // string_value "a", int_value 5, string_value "b", then array_value twice, which merges.
    let value = |fields: &[u8]| {
        let attribute = [&[0x12, fields.len() as u8], fields].concat();
        let resource = [&[0x0a, attribute.len() as u8], attribute.as_slice()].concat();
        let outer = [&[0x0a, resource.len() as u8], resource.as_slice()].concat();
        [&[0x0a, outer.len() as u8], outer.as_slice()].concat()
    };
    for (fields, expected) in [
        (&b"\x0a\x01a\x18\x05"[..], r#"{"intValue":"5"}"#),
        (b"\x0a\x01a\x18\x05\x0a\x01b", r#"{"stringValue":"b"}"#),
        (
            b"\x2a\x04\x0a\x02\x18\x01\x2a\x04\x0a\x02\x18\x02",
            r#"{"arrayValue":{"values":[{"intValue":"1"},{"intValue":"2"}]}}"#,
        ),
        (
            b"\x2a\x04\x0a\x02\x18\x01\x10\x01\x2a\x04\x0a\x02\x18\x02",
            r#"{"arrayValue":{"values":[{"intValue":"2"}]}}"#,
        ),
    ] {
        written.clear();
        from_protobuf(Signal::Logs, &value(fields), &mut written).unwrap();
        let expected = format!(
            r#"{{"resourceLogs":[{{"resource":{{"attributes":[{{"value":{expected}}}]}}}}]}}"#
        );
        assert_eq!(String::from_utf8_lossy(&written), expected);
    }
    let dictionary = b"\x12\x0c\x3a\x0a\x0a\x02\x01\x02\x08\x03\x0a\x02\x04\x05";
    written.clear();
    from_protobuf(Signal::Profiles, dictionary, &mut written).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&written),
        r#"{"dictionary":{"stackTable":[{"locationIndices":[1,2,3,4,5]}]}}"#
    );
}

#[test]
fn malformed_protobuf_is_refused_without_a_trace() {
    for bytes in
        [&b"\x0a"[..], b"\x0a\x05", b"\x08\x01", b"\x0a\x02\x0a", b"\x0b", b"\x0a\x03\x12\x01\xff"]
    {
        let mut out = b"before".to_vec();
        assert!(from_protobuf(Signal::Traces, bytes, &mut out).is_err());
        assert_eq!(out, b"before");
    }
}

#[test]
fn every_field_of_a_message_has_a_bit_to_be_seen_by() {
    assert!(crate::tables::MESSAGES.iter().all(|message| message.fields.len() <= 64));
}

#[test]
fn json_within_a_length_is_the_same_or_none() {
    use super::{NotWritten, from_protobuf_within};
    // A text of control characters, of others and of bytes that are no UTF-8; many empty messages; and packed numbers.
    let text = |bytes: &[u8]| {
        let mut request = vec![0x0a, u8::try_from(bytes.len() + 2).unwrap(), 0x1a];
        request.push(u8::try_from(bytes.len()).unwrap());
        request.extend_from_slice(bytes);
        request
    };
    let mut inputs = vec![text(&[1; 90]), text(b"plain \"and\" not\n"), text(&[0xff; 20])];
    inputs.push([0x0a, 0x00].repeat(40));
    for input in inputs {
        let mut whole = Vec::new();
        from_protobuf(Signal::Traces, &input, &mut whole).unwrap();
        for len_max in 0..whole.len() + 20 {
            let mut out = b"before".to_vec();
            let written = from_protobuf_within(Signal::Traces, &input, len_max, &mut out);
            if len_max < whole.len() {
                assert_eq!((written, &*out), (Err(NotWritten::TooLong), &b"before"[..]));
            } else if len_max > whole.len() + 8 {
                assert_eq!((written, &out[6..]), (Ok(()), &*whole));
            }
        }
    }
}
