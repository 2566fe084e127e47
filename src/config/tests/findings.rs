//! What is said of a bad configuration, as it is shown, and what is shown of none.

use expect_test::expect;

use super::*;

#[test]
#[expect(clippy::too_many_lines, reason = "one golden text, best read whole")]
fn every_finding_is_shown_at_once_with_its_place_and_help() {
    let text = r#"
receivers:
  otlp:
    protocols:
      grpc: {endpoint: ":4317", max_recv_msg_size: 2GiB}
      htp: {}
journal:
  durabilty: os
  group_window: 4
  when_full: drop_oldst
  retention: [1, 2]
exporters:
  otlp/tempo: {endpoint: "http://tempo:4317"}
  otlp_grpc/loop: {endpoint: "http://localhost:4317"}
  otlp_http/b:
    endpoint: ftp://b
    headers: {authorization: "Bearer ${env:NO_SUCH_TOKEN}"}
    retry_on_failure: {enabled: yes}
connectors: {}
durability: os
"#;
    expect![[r#"
        config.yaml:5:24: error: `:4317` is not a value of `receivers.otlp.protocols.grpc.endpoint`
          |
        5 |       grpc: {endpoint: ":4317", max_recv_msg_size: 2GiB}
          |                        ^^^^^^^
          = help: for every interface write `0.0.0.0:4317`; expected an IP address and a port, such as `127.0.0.1:4317`

        config.yaml:5:52: error: `2GiB` is out of range for `receivers.otlp.protocols.grpc.max_recv_msg_size`
          |
        5 |       grpc: {endpoint: ":4317", max_recv_msg_size: 2GiB}
          |                                                    ^^^^
          = help: expected a size such as `64MiB`, from 1KiB to 64MiB

        config.yaml:6:7: error: unknown key `htp`
          |
        6 |       htp: {}
          |       ^^^
          = help: did you mean `http`?

        config.yaml:8:3: error: unknown key `durabilty`
          |
        8 |   durabilty: os
          |   ^^^^^^^^^
          = help: did you mean `durability`?

        config.yaml:9:17: error: `4` is not a value of `journal.group_window`
          |
        9 |   group_window: 4
          |                 ^
          = help: give the unit: `4s` or `4ms`; expected a duration such as `1m30s`, from 0s to 1s

        config.yaml:10:14: error: `drop_oldst` is not a value of `journal.when_full`
           |
        10 |   when_full: drop_oldst
           |              ^^^^^^^^^^
           = help: did you mean `drop_oldest`? expected one of `reject`, `drop_oldest`

        config.yaml:11:14: error: `journal.retention` is a mapping, not a list
           |
        11 |   retention: [1, 2]
           |              ^
           = help: known here: `age`, `size`

        config.yaml:13:3: error: unknown exporter type `otlp`
           |
        13 |   otlp/tempo: {endpoint: [redacted]}
           |   ^^^^^^^^^^
           = help: did you mean `otlp_grpc`? known here: `debug`, `file`, `otlp_grpc`, `otlp_http`

        config.yaml:14:30: error: `otlp_grpc/loop` exports to this agent itself (localhost:4317)
           |
        14 |   otlp_grpc/loop: {endpoint: "http://localhost:4317"}
           |                              ^^^^^^^^^^^^^^^^^^^^^^^
           = help: everything would go round for ever: name the backend or collector behind it

        config.yaml:16:15: error: unknown scheme `ftp`: use http, https or unix
           |
        16 |     endpoint: ftp://b
           |               ^^^^^^^
           = help: expected an endpoint: `http://host:port`, `https://host:port`, `unix:///path` or `host:port`

        config.yaml:17:30: error: the environment variable `NO_SUCH_TOKEN` is not set
           |
        17 |     headers: {authorization: [redacted]}
           |                              ^^^^^^^^^^
           = help: set it, or give a default: `${env:NO_SUCH_TOKEN:-default}`

        config.yaml:18:33: error: `yes` is not a value of `exporters.otlp_http/b.retry_on_failure.enabled`
           |
        18 |     retry_on_failure: {enabled: yes}
           |                                 ^^^
           = help: `yes` is text in YAML 1.2; expected `true` or `false`

        config.yaml:19:1: error: `connectors` cannot be set: there are no connectors: span metrics are on the `admin` endpoint's /metrics
           |
        19 | connectors: {}
           | ^^^^^^^^^^
           = help: remove it

        config.yaml:20:1: error: unknown key `durability`
           |
        20 | durability: os
           | ^^^^^^^^^^
           = help: `durability` is known as `journal.durability`; known here: `admin`, `aggregate`, `alerting`, `exporters`, `journal`, `limits`, `receivers`, `rules`, `shutdown_timeout`, `slos`, `store`, `telemetry`
    "#]]
    .assert_eq(&refused(text).render(&Style::default()));
}

#[test]
fn a_bad_variable_or_flag_is_named() {
    let bad = inputs(
        &[],
        &[("SIDELIGHT__JOURNAL__DURABILITY", "oss")],
        &["journal.group_window", "exporters.otlp_http.signals=[tracs]", "limits.memoy=1GiB"],
    );
    expect![[r#"
        SIDELIGHT__JOURNAL__DURABILITY: error: `oss` is not a value of `journal.durability`
          |
        1 | SIDELIGHT__JOURNAL__DURABILITY=oss
          |                                ^^^
          = help: did you mean `os`? expected one of `fsync`, `os`, `memory`

        --set: error: this is not an assignment
          |
        1 | journal.group_window
          | ^^^^^^^^^^^^^^^^^^^^
          = help: write `--set key.of.option=value`, for example `--set journal.durability=os`

        --set: error: `otlp_http` has no `endpoint`
          |
        1 | exporters.otlp_http.signals=[tracs]
          |           ^^^^^^^^^
          = help: add one, for example `endpoint: http://127.0.0.1:14317`

        --set: error: `tracs` is not a value of `exporters.otlp_http.signals`
          |
        1 | exporters.otlp_http.signals=[tracs]
          |                              ^^^^^
          = help: did you mean `traces`? expected one of `traces`, `metrics`, `logs`, `profiles`

        --set: error: unknown key `memoy`
          |
        1 | limits.memoy=1GiB
          |        ^^^^^
          = help: did you mean `memory`?
    "#]]
    .assert_eq(&load(&bad).unwrap_err().render(&Style::default()));
}

#[test]
fn an_ipv6_address_without_brackets_is_told_where_they_go() {
    for (set, help) in [
        ("admin.endpoint=::1:22464", "an IPv6 address stands in brackets: `[::1]:22464`; "),
        ("admin.endpoint=fd00::7:9464", "an IPv6 address stands in brackets: `[fd00::7]:9464`; "),
        ("admin.endpoint=::1", "expected an IP address and a port"),
        (
            "exporters.otlp_grpc.endpoint=http://fd00::7:4317",
            "an IPv6 address stands in brackets: `http://[fd00::7]:4317`; ",
        ),
    ] {
        let found = load(&inputs(&[], &[], &[set])).unwrap_err().list;
        let said: Vec<&str> = found.iter().filter_map(|f| f.help.as_deref()).collect();
        assert!(said.iter().any(|said| said.starts_with(help)), "{set}: {said:?}");
    }
}

#[test]
fn a_store_that_would_take_nothing_or_only_write_is_refused() {
    let bad = inputs(&[], &[], &["store.series_ttl=0s", "store.checkpoint_interval=0s"]);
    let shown = load(&bad).unwrap_err().render(&Style::default());
    for option in ["series_ttl", "checkpoint_interval"] {
        assert!(shown.contains(&format!("`0s` is out of range for `store.{option}`")), "{shown}");
    }
}

#[test]
fn secrets_are_shown_nowhere() {
    let text = "exporters: {otlp_http: {endpoint: 'http://b', headers: {authorization: hunter2}}}";
    let loaded = loaded(&[text], &[], &[]);
    let shown = format!("{:?} {:?}", loaded.config, loaded.origins());
    assert!(!shown.contains("hunter2"), "{shown}");
    let shown = |bad: &Inputs| load(bad).unwrap_err().render(&Style::default());
    for bad in [
        r#"exporters: {otlp_http: {endpoint: 'http://b', headers: {a: "hunter2\n"}}}"#,
        // Beside another finding in the same line.
        "exporters: {otlp_http: {endpoint: 'http://b', headers: {a: hunter2}, nokey: 1}}",
        "exporters: {otlp_http: {endpoint: 'http://b', headers: 'a: hunter2'}}",
        "exporters: {otlp_http: {endpoint: 'http://b', headers: {a hunter2}}}",
        "exporters: {otlp_http: {endpoint: 'http://b', heders: {a: hunter2}}}",
        "exporters: {otlphttp: {endpoint: 'http://b', headers: {a: hunter2}}}",
        "exporters: {otlp_http: {endpoint: 'http://b', headers: {a: '${hunter2}'}}}",
        "exporters: {otlp_http: {endpoint: 'http://u:hunter2@b'}, nokey: {}}",
        "exporters: {otlp_http: {traces_endpoint: 'http://b?hunter2'}}",
        "telemetry: {traces: {endpoint: 'http://u:hunter2@b', nokey: 1}}",
        "alerting: {webhooks: [{url: 'https://b/hunter2', nokey: 1}]}",
        "alerting: {webhooks: [{url: 'ftp://b/hunter2'}]}",
        // Text that is not YAML, or of which a part is in no tree.
        "exporters: {otlp_http: {headers: {a: hunter2, a: x}}}",
        "exporters: {otlp_http: {headers: {a: x, a: hunter2}, a: }}}",
        "headers:\n  a: Bearer hunter2: x\n",
        "headers:\n  a: \"Bearer\n hunter2\n",
        "exporters: {otlp_http: {nokey: 1, headers: {a: 'x\n  hunter2', b: hunter2}, nokey: 1}}",
    ] {
        let shown = shown(&inputs(&[bad], &[], &[]));
        assert!(!shown.contains("hunter2"), "{bad}: {shown}");
    }
    for (name, value) in [
        ("SIDELIGHT__ALERTING__WEBHOOKS", "[{url: 'https://b/hunter2', nokey: 1}]"),
        ("SIDELIGHT__ALERTING__WEBHOOKS", "[{url: 'https://b/hunter2', nokey: 1}"),
        ("SIDELIGHT__ALERTING__WEBHOOK", "hunter2"),
    ] {
        let shown = shown(&inputs(&[], &[(name, value)], &[]));
        assert!(!shown.contains("hunter2"), "{name}: {shown}");
    }
    for set in [
        "exporters={otlp_http/a: {endpoint: 'http://b', headers: {a: hunter2}, nokey: 1}}",
        "exporters={otlp_http/a: {headers: {a: hunter2}",
        "exporters.otlp_http/a.headers: hunter2",
        "exporters.otlp_http/a.heders.a=hunter2",
    ] {
        let shown = shown(&inputs(&[], &[], &[set]));
        assert!(!shown.contains("hunter2"), "{set}: {shown}");
    }
}

#[test]
fn a_line_with_a_secret_shows_the_rest_of_it() {
    let text = "exporters: {otlp_http/a: {endpoint: \"http://a:1\", headers: {authorization: \"Bearer s3cr3t\"}, nokey: 1}}";
    expect![[r#"
        config.yaml:1:94: error: unknown key `nokey`
          |
        1 | : {otlp_http/a: {endpoint: "http://a:1", headers: {authorization: [redacted]}, nokey: 1}}
          |                                                                                ^^^^^
          = help: known here: `auth`, `compression`, `compression_params`, `encoding`, `endpoint`, `headers`, `headers_from_context`, `keepalive`, `logs_endpoint`, `metrics_endpoint`, `profiles_endpoint`, `retry_on_failure`, `sending_queue`, `signals`, `timeout`, `tls`, `traces_endpoint`
    "#]]
    .assert_eq(&refused(text).render(&Style::default()));
}

#[test]
fn no_bytes_make_the_loader_panic() {
    use proptest::prelude::*;
    proptest!(|(text in "[a-z:{}\\[\\],'\"\\n \\-&*$!|>#%\u{e9}]{0,200}")| {
        crate::config::fuzz::any_bytes(text.as_bytes());
    });
    let example = include_str!("../../../docs/config.example.yaml");
    proptest!(|(at in 0..example.len(), byte in any::<u8>(), cut in 0..40_usize)| {
        let mut bytes = example.as_bytes().to_vec();
        bytes[at] = byte;
        bytes.drain(at..(at + cut).min(bytes.len()));
        crate::config::fuzz::any_bytes(&bytes);
    });
}

#[test]
fn a_key_that_is_given_twice_hides_secrets_and_no_other_value() {
    let text = "journal: {durability: os}\nlimits: {memory: 1KiB}\njournal: {durability: fsync}\n\
                exporters: {otlp_grpc: {endpoint: 'http://a:1', headers: {a: hunter22}, headers: {a: hunter23}}}\n";
    let shown = refused(text).render(&Style::default());
    assert!(shown.contains("`journal` is given twice"), "{shown}");
    assert!(shown.contains("3 | journal: {durability: fsync}"), "{shown}");
    assert!(shown.contains("2 | limits: {memory: 1KiB}"), "{shown}");
    assert!(shown.contains("`headers` is given twice") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn an_option_whose_variable_is_not_set_is_not_called_missing_as_well() {
    let endpoint = "exporters: {otlp_grpc/a: {endpoint: '${env:NOPE}'}}";
    assert_eq!(messages(endpoint), ["the environment variable `NOPE` is not set"]);
    let path = "exporters: {file: {path: '${env:NOPE}'}}";
    assert_eq!(messages(path), ["the environment variable `NOPE` is not set"]);
}
