//! Whole configurations: what they resolve to, and what is said about bad ones.

use std::collections::BTreeSet;

use expect_test::expect;

use super::option::{Kind, Opt, Preset};
use super::{Findings, Inputs, Loaded, Style, load, refused, table};
use crate::export::config::Target;
use crate::journal::{Durability, WhenFull};
use crate::receive::Bind;
use crate::signal::Signal;

fn inputs(files: &[&str], variables: &[(&str, &str)], set: &[&str]) -> Inputs {
    let mut inputs = Inputs::default();
    for (i, text) in files.iter().enumerate() {
        let name = if i == 0 { "config.yaml".to_owned() } else { format!("{i}.yaml") };
        inputs.files.push((name, (*text).to_owned()));
    }
    let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    inputs.surroundings.variables = variables.collect();
    inputs.set = set.iter().map(|s| (*s).to_owned()).collect();
    inputs
}

fn loaded(files: &[&str], variables: &[(&str, &str)], set: &[&str]) -> Loaded {
    load(&inputs(files, variables, set))
        .unwrap_or_else(|f| panic!("{}", f.render(&Style::default())))
}

fn refused(text: &str) -> Findings {
    load(&inputs(&[text], &[], &[])).err().unwrap_or_else(|| panic!("accepted: {text}"))
}

fn messages(text: &str) -> Vec<String> {
    refused(text).list.into_iter().map(|f| f.message).collect()
}

#[test]
fn an_empty_file_is_the_documented_defaults() {
    let loaded = loaded(&[""], &[], &[]);
    let config = &loaded.config;
    let binds: Vec<&Bind> = config.receive.listeners.iter().map(|l| &l.bind).collect();
    assert_eq!(binds, [&Bind::Tcp("127.0.0.1:4317".into()), &Bind::Tcp("127.0.0.1:4318".into())]);
    assert_eq!(config.journal.durability, Durability::Fsync);
    assert_eq!(config.journal.directory.to_str(), Some("/var/lib/sidelight/journal"));
    assert_eq!(config.memory.total, 128 << 20);
    assert!(config.export.destinations.is_empty());
    assert!(loaded.warnings.is_empty() && loaded.origins().is_empty());
    assert_eq!(
        format!("{config:?}"),
        format!("{:?}", super::Config::with_surroundings(&Default::default()))
    );
}

#[test]
fn the_example_file_is_valid() {
    let text = include_str!("../../docs/config.example.yaml");
    let loaded = loaded(&[text], &[], &[]);
    assert!(loaded.warnings.is_empty());
    let names: Vec<&str> =
        loaded.config.export.destinations.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(names, ["otlp_grpc/tempo", "otlp_http/gateway"]);
    let tempo = &loaded.config.export.destinations[0];
    assert!(tempo.signals.contains(Signal::Traces) && !tempo.signals.contains(Signal::Logs));
}

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
fn flags_win_over_variables_over_files_in_order_over_defaults() {
    let files =
        ["journal: {durability: memory, group_window: 1ms}", "journal: {group_window: 2ms}"];
    let variables = [("SIDELIGHT__JOURNAL__GROUP_WINDOW", "3ms"), ("SIDELIGHT_OTHER", "x")];
    let all = loaded(&files, &variables, &["journal.group_window=5ms"]);
    assert_eq!(all.config.journal.group_window.as_millis(), 5);
    assert_eq!(all.config.journal.durability, Durability::Memory);
    assert_eq!(loaded(&files, &variables, &[]).config.journal.group_window.as_millis(), 3);
    assert_eq!(loaded(&files, &[], &[]).config.journal.group_window.as_millis(), 2);
    let origins: Vec<String> =
        all.origins().iter().map(|o| format!("{} = {} ({})", o.key, o.value, o.place)).collect();
    assert_eq!(
        origins,
        ["journal.durability = memory (config.yaml:1:23)", "journal.group_window = 5ms (--set)"]
    );
}

#[test]
fn lists_and_mappings_can_be_given_as_flags() {
    let set = [
        "exporters.otlp_http/b.endpoint=http://b:4318",
        "exporters.otlp_http/b.signals=[traces, logs]",
        "exporters.otlp_http/b.headers={a: x}",
    ];
    let loaded = loaded(&[], &[], &set);
    let it = &loaded.config.export.destinations[0];
    assert_eq!(it.signals.iter().count(), 2);
    let Target::Otlp(client) = &it.target else { panic!() };
    assert_eq!(client.headers[0].1.expose(), "x");
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
fn a_variable_in_a_file_is_a_value_and_never_yaml() {
    let text = "admin: {endpoint: '${env:HOST:-127.0.0.1}:${env:PORT}'}\n\
                exporters: {otlp_http: {endpoint: 'http://b', headers: {a: '${env:EVIL}', b: $$x}}}\n\
                receivers: {otlp: {auth: {bearer_token_file: '${env:NONE:-}'}}}\n";
    let loaded = loaded(&[text], &[("PORT", "9999"), ("EVIL", "{x: [1")], &[]);
    assert_eq!(loaded.config.api.endpoint, ([127, 0, 0, 1], 9999).into());
    let Target::Otlp(client) = &loaded.config.export.destinations[0].target else { panic!() };
    let values: Vec<&str> = client.headers.iter().map(|(_, v)| v.expose()).collect();
    assert_eq!(values, ["{x: [1", "$x"]);
    assert!(loaded.config.receive.listeners[0].auth.is_none());
}

#[test]
fn secrets_are_shown_nowhere() {
    let text = "exporters: {otlp_http: {endpoint: 'http://b', headers: {authorization: hunter2}}}";
    let loaded = loaded(&[text], &[], &[]);
    let shown = format!("{:?} {:?}", loaded.config, loaded.origins());
    assert!(!shown.contains("hunter2"), "{shown}");
    let shown = |bad: &super::Inputs| load(bad).unwrap_err().render(&Style::default());
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
          = help: known here: `compression`, `compression_params`, `encoding`, `endpoint`, `headers`, `headers_from_context`, `keepalive`, `logs_endpoint`, `metrics_endpoint`, `profiles_endpoint`, `retry_on_failure`, `sending_queue`, `signals`, `timeout`, `tls`, `traces_endpoint`
    "#]]
    .assert_eq(&refused(text).render(&Style::default()));
}

#[test]
fn shared_receiver_options_hold_for_every_protocol_unless_it_has_its_own() {
    let text = "receivers:\n  otlp:\n    tls: {cert_file: c, key_file: k}\n    \
                timeouts: {idle: 5s}\n    protocols:\n      http: {timeouts: {idle: 7s}}\n      \
                unix: {path: /tmp/s, mode: '0600'}\n";
    let config = loaded(&[text], &[], &[]).config.receive;
    let idle: Vec<u64> = config.listeners.iter().map(|l| l.timeouts.idle.as_secs()).collect();
    assert_eq!(idle, [5, 7, 5]);
    let tls: Vec<bool> = config.listeners.iter().map(|l| l.tls.is_some()).collect();
    assert_eq!(tls, [true, true, false]);
    assert_eq!(config.listeners[2].bind, Bind::Unix { path: "/tmp/s".into(), mode: 0o600 });
}

#[test]
fn the_journals_policy_is_every_exporters_default() {
    let text = "journal: {when_full: drop_oldest}\nexporters:\n  debug:\n  \
                debug/x: {sending_queue: {when_full: reject}}\n";
    let loaded = loaded(&[text], &[], &[]);
    let policies: Vec<WhenFull> =
        loaded.config.export.destinations.iter().map(|d| d.queue.when_full).collect();
    assert_eq!(policies, [WhenFull::DropOldest, WhenFull::Reject]);
}

#[test]
fn headers_that_exporters_pass_on_are_kept_by_the_receiver() {
    let text = "exporters:\n  debug: {headers_from_context: [X-Tenant]}\n  \
                debug/b: {headers_from_context: [x-tenant, a]}\n";
    let names = loaded(&[text], &[], &[]).config.receive.headers_from_context;
    assert_eq!(names, ["a", "x-tenant"]);
}

#[test]
fn what_needs_more_than_one_value_is_checked() {
    let cases = [
        ("admin: {endpoint: 127.0.0.1:4317}", "both 127.0.0.1:4317"),
        ("admin: {endpoint: 0.0.0.0:4318}", "both 0.0.0.0:4318"),
        ("exporters: {otlp_grpc: {endpoint: 'localhost:4317'}}", "this agent itself"),
        (
            "exporters: {otlp_http: {traces_endpoint: 'http://127.0.0.1:4318/x'}}",
            "this agent itself",
        ),
        (
            "receivers: {otlp: {protocols: {unix: {path: /s}}}}\n\
             exporters: {otlp_grpc: {endpoint: 'unix:///s'}}",
            "this agent itself",
        ),
        ("exporters: {otlp_grpc: {}}", "has no `endpoint`"),
        ("exporters: {file: {}}", "has no `path`"),
        ("exporters: {otlp_http: {endpoint: tempo}}", "`tempo` is not a URL"),
        ("exporters: {otlp_http: {endpoint: '[::1]'}}", "is not a URL"),
        ("exporters: {otlp_grpc: {endpoint: 'http://a:1/x'}}", "a gRPC endpoint has no path"),
        ("exporters: {debug: {signals: []}}", "gets no signals"),
        ("exporters: {file/a: {path: /a}, file/b: {path: /a}}", "writes to the same file"),
        ("exporters: {'debug/a b': {}}", "not an exporter name"),
        (
            "exporters: {debug: {sending_queue: {batch: {max_size: 32MiB}}}}",
            "above `batch.max_requ",
        ),
        ("exporters: {debug: {retry_on_failure: {initial_interval: 2m}}}", "above `max_interval`"),
        ("exporters: {otlp_grpc: {endpoint: 'a:1', tls: {cert_file: c}}}", "needs both"),
        (
            "exporters: {otlp_grpc: {endpoint: 'a:1', compression_params: {level: 12}}}",
            "level of gz",
        ),
        ("exporters: {otlp_grpc: {endpoint: 'a:1', headers: {content-type: x}}}", "itself"),
        ("receivers: {otlp: {tls: {key_file: k}}}", "needs both"),
        (
            "receivers: {otlp: {protocols: {http: {traces_url_path: v1}}}}",
            "does not begin with `/`",
        ),
        ("telemetry: {logs: {level: wran}}", "not a log level"),
        ("telemetry: {traces: {endpoint: garbage garbage}}", "own traces cannot be sent there"),
        ("telemetry: {metrics: {endpoint: 'https://a:4317'}}", "own metrics cannot be sent there"),
        ("telemetry: {metrics: {endpoint: 'a:4317'}}", "own metrics cannot be sent there"),
        ("telemetry: {logs: {level: 'a=b=c'}}", "not a log level"),
        ("journal: {memory_size: 100MiB}", "more than half"),
        ("journal: {max_size: 64MiB, retention: {size: 1GiB}}", "above `journal.max_size`"),
    ];
    for (text, expected) in cases {
        let found = messages(text);
        assert!(found.iter().any(|m| m.contains(expected)), "{text}: {found:?}");
    }
}

#[test]
fn what_works_but_is_probably_not_meant_is_a_warning() {
    let cases = [
        ("admin: {endpoint: 0.0.0.0:9464}", Some("may read `/metrics`")),
        ("receivers: {otlp: {protocols: {grpc: {endpoint: 0.0.0.0:4317}}}}", Some("may send")),
        (
            "receivers: {otlp: {auth: {bearer_token_file: /t}, \
             protocols: {grpc: {endpoint: 0.0.0.0:4317}}}}",
            None,
        ),
        (
            "receivers: {otlp: {protocols: {http: {max_request_body_size: 60MiB}}}}",
            Some("is lowered to"),
        ),
        ("journal: {memory_size: 10MiB}", Some("no effect")),
        ("limits: {memory: 40MiB}", Some("the program itself takes about 24 MiB")),
        ("limits: {memory: 64MiB}", None),
        (
            "exporters: {otlp_http: {endpoint: 'http://a:4318/v1/traces'}}",
            Some("requests would go to `/v1/traces/v1/traces`"),
        ),
        ("exporters: {otlp_http: {traces_endpoint: 'http://a:4318/v1/traces'}}", None),
        ("exporters: {otlp_http: {endpoint: 'http://a:4317'}}", Some("port 4317 takes gRPC")),
        ("exporters: {otlp_grpc: {endpoint: 'http://a:4318'}}", Some("port 4318 takes HTTP")),
        ("journal: {max_size: 32MiB, retention: {size: 1MiB}}", Some("no room for two messages")),
        (
            "exporters: {otlp_grpc: {endpoint: 'https://a', tls: {insecure_skip_verify: true}}}",
            Some("not verified"),
        ),
    ];
    for (text, expected) in cases {
        let warnings = loaded(&[text], &[], &[]).warnings;
        let found: Vec<&str> = warnings.iter().map(|f| f.message.as_str()).collect();
        assert_eq!(found.len(), usize::from(expected.is_some()), "{text}: {found:?}");
        assert!(expected.is_none_or(|e| found[0].contains(e)), "{text}: {found:?}");
    }
}

#[test]
fn files_that_are_named_and_not_there_are_warnings_beside_whatever_else_is_wrong() {
    let text = "receivers: {otlp: {tls: {cert_file: /none/c, key_file: /none/k}}}\n\
                exporters: {otlp_http: {endpoint: tempo}}";
    let now = Some(crate::time::UnixNano(1));
    let findings = load(&super::Inputs { now, ..inputs(&[text], &[], &[]) }).unwrap_err();
    let severities: Vec<_> = findings.list.iter().map(|f| f.severity.as_str()).collect();
    assert_eq!(severities, ["warning", "warning", "error"]);
    assert!(findings.list[0].message.starts_with("`/none/c` cannot be read: "));
}

#[test]
fn a_disabled_listener_is_not_there_and_clashes_with_nothing() {
    let text = "receivers: {otlp: {protocols: {grpc: {enabled: false}}}}\n\
                admin: {endpoint: 127.0.0.1:4317}";
    assert_eq!(loaded(&[text], &[], &[]).config.receive.listeners.len(), 1);
}

#[test]
fn what_later_versions_and_the_collector_have_is_refused_with_a_reason() {
    for (key, why) in refused::REFUSED {
        let depth = key.split('.').count();
        let key = key.replace('*', "otlp_grpc/a");
        let text = format!("{}1{}", format!("{{{key}: ").replace('.', ": {"), "}".repeat(depth));
        assert!(messages(&text).iter().any(|message| message.contains(why)), "{text}");
    }
}

#[test]
fn receivers_of_alerts_are_read_and_each_has_a_name() {
    let text = "alerting:\n  external_labels: {zone: b, cluster: '1'}\n  alertmanagers: [{url: http://am:9093/pre}]\n  \
                webhooks:\n  - url: https://hook.example/a?key=s3cret\n    headers: {authorization: s3cret}\n  \
                - url: https://hook.example/b\n    group_by: []\n  - {url: http://x, name: ops}\n";
    let loaded = loaded(&[text], &[], &[]);
    let notify = &loaded.config.notify;
    assert_eq!(notify.external_labels[0], ("cluster".to_owned(), "1".to_owned()));
    assert_eq!(notify.alertmanagers[0].name, "alertmanager/am:9093");
    let names: Vec<&str> = notify.webhooks.iter().map(|hook| hook.peer.name.as_str()).collect();
    assert_eq!(names, ["webhook/hook.example:443", "webhook/hook.example:443#2", "ops"]);
    assert!(notify.webhooks[1].grouping.by.is_empty());
    assert_eq!(notify.webhooks[0].peer.address(), "https://hook.example");
    let shown = format!("{notify:?} {:?}", loaded.origins());
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn what_no_receiver_of_alerts_can_be_is_refused_and_no_line_with_a_key_is_shown() {
    for (receivers, why) in [
        ("webhooks: [{name: x}]", "this webhook has no `url`"),
        ("alertmanagers: [{}]", "this alertmanager has no `url`"),
        ("webhooks: [{url: 'unix:///s3cret'}]", "is not one of HTTP"),
        ("webhooks: [{url: 'http://u:s3cret@h'}]", "an endpoint has no user"),
        ("webhooks: [{url: 'http://h/?a=s3cret b'}]", "holds a character that no URL has"),
        ("alertmanagers: [{url: 'http://h/api/v2/alerts'}]", "not the URL of an Alertmanager"),
        (
            "webhooks: [{url: 'http://h', name: a}, {url: 'http://i', name: a}]",
            "another receiver is called `a`",
        ),
        (
            "webhooks: [{url: 'http://h', tls: {cert_file: /x}}]",
            "needs both `cert_file` and `key_file`",
        ),
        ("webhooks: {url: 'http://h'}", "`alerting.webhooks` is a list of mappings, not a mapping"),
        ("webhooks: [1]", "is a mapping, not"),
        ("webhooks: [{uri: 'http://h'}]", "unknown key `uri`"),
        ("external_labels: {a-b: c}", "`a-b` is not a label name"),
    ] {
        let text = format!("alerting: {{{receivers}}}");
        let findings = refused(&text);
        let messages: Vec<&str> = findings.list.iter().map(|f| f.message.as_str()).collect();
        assert!(messages.iter().any(|message| message.contains(why)), "{text}: {messages:?}");
        let shown = findings.render(&Style::default());
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

#[test]
fn thresholds_are_read_by_operation_and_dimensions_make_labels() {
    let text = "aggregate:\n  thresholds:\n    default: 1s\n    operations:\n      \
                - {service: shop, operation: /pay, threshold: 300ms}\n      - {threshold: 5s}\n  \
                dimensions: [tenant]\n";
    let config = loaded(&[text], &[], &[]).config.aggregate;
    let millis =
        [("shop", "/pay"), ("shop", "/")].map(|(a, b)| config.thresholds.of(a, b).as_millis());
    assert_eq!((millis, config.dimensions), ([300, 5_000], vec!["tenant".to_owned()]));
    for (text, message) in [
        ("thresholds: {operations: [{service: shop}]}", "this operation has no `threshold`"),
        ("dimensions: [http.route]", "`http.route` in `aggregate.dimensions` is a label already"),
        ("dimensions: [a.b, a_b]", "`a_b` in `aggregate.dimensions` is there twice"),
        ("dimensions: ['日本']", "`日本` in `aggregate.dimensions` makes no label name"),
        (
            "dimensions: [a, b, c, d, e, f, g, h, i]",
            "`i` in `aggregate.dimensions` is one too many",
        ),
    ] {
        let found = messages(&format!("aggregate:\n  {text}\n"));
        assert!(found.iter().any(|found| found.contains(message)), "{text}: {found:?}");
    }
}

#[test]
fn objectives_are_read_and_what_they_lack_is_said() {
    let text = "slos:\n  - {name: pay, service: shop, operations: [/pay], objective: 99.5, latency: 300ms}\n  \
                - {name: all, service: shop}\n";
    let slos = loaded(&[text], &[], &[]).config.rules.slos;
    let read: Vec<_> = slos.iter().map(|slo| (&*slo.name, slo.objective, slo.latency)).collect();
    let latency = std::time::Duration::from_millis(300);
    assert_eq!(read, [("pay", 99.5, Some(latency)), ("all", 99.9, None)]);
    for (slos, message) in [
        ("[{service: a}]", "this objective has no `name`"),
        ("[{name: a}]", "this objective has no `service`"),
        ("[{name: a, service: a}, {name: a, service: b}]", "another objective is called `a`"),
        (
            "[{name: a, service: a, objective: 0.999}]",
            "`0.999` is out of range for `slos[0].objective`",
        ),
        ("[{name: a, service: a, objective: 100}]", "`100` is out of range"),
        ("[{name: a, service: a, latency: 300}]", "`300` is not a value of `slos[0].latency`"),
        ("[{name: \"a\\tb\", service: a}]", "holds a control character"),
    ] {
        let found = messages(&format!("slos: {slos}\n"));
        assert!(found.iter().any(|found| found.contains(message)), "{slos}: {found:?}");
    }
}

#[test]
fn a_reload_knows_what_needs_a_restart() {
    let old = loaded(&["shutdown_timeout: 1s"], &[], &[]);
    let text = "shutdown_timeout: 2s\njournal: {durability: os}\nexporters: {debug: }";
    assert_eq!(old.needs_restart(&loaded(&[text], &[], &[])), ["journal.durability"]);
    assert!(old.needs_restart(&old).is_empty());
}

/// A configuration with `option` at `place` set to `value`, and what it needs beside it.
pub(super) fn with(place: &str, option: &Opt, value: &str) -> String {
    if let Some(list) = place.strip_suffix("[]") {
        let required = match (list, option.key) {
            (_, "url" | "threshold") => "",
            ("slos", "name") => "service: shop, ",
            ("slos", "service") => "name: checkout, ",
            ("slos", _) => "name: checkout, service: shop, ",
            ("aggregate.thresholds.operations", _) => "threshold: 1s, ",
            _ => "url: 'http://a.example:1', ",
        };
        let keys: Vec<&str> = option.key.split('.').collect();
        let own = format!("{}: {value}{}", keys.join(": {"), "}".repeat(keys.len() - 1));
        let pair = match option.key {
            "tls.cert_file" => ", tls: {key_file: /pem}",
            "tls.key_file" => ", tls: {cert_file: /pem}",
            _ => "",
        };
        if list == "slos" {
            return format!("slos: [{{{required}{own}}}]");
        }
        // Two mappings of one name are one in YAML; the second file adds what the first lacks.
        let (section, name) = list.split_once('.').unwrap();
        let own = match pair.strip_prefix(", tls: {") {
            Some(rest) => own.replace('}', &format!(", {rest}")),
            None => own,
        };
        let nested = name
            .rsplit('.')
            .fold(format!("[{{{required}{own}}}]"), |inner, part| format!("{{{part}: {inner}}}"));
        return format!("{section}: {nested}");
    }
    let mut set = vec![(format!("{place}.{}", option.key), value.to_owned())];
    if place.starts_with("exporters.otlp") && !option.key.ends_with("endpoint") {
        set.push((format!("{place}.endpoint"), "'http://b.example:1'".to_owned()));
    }
    match (place, option.key) {
        ("exporters.file", key) if key != "path" => {
            set.push(("exporters.file.path".into(), "/x".into()));
        }
        ("receivers.otlp.protocols.unix", key) if key != "path" => {
            set.push(("receivers.otlp.protocols.unix.path".into(), "/s".into()));
        }
        ("journal", "when_full") => set.push(("exporters.debug.verbosity".into(), "basic".into())),
        ("journal", "memory_size") => set.push(("journal.durability".into(), "memory".into())),
        ("telemetry", key) if !key.starts_with("logs") && !key.ends_with("exporter") => {
            let signal = key.split('.').next().unwrap_or_default();
            set.push((format!("telemetry.{signal}.exporter"), "otlp".into()));
        }
        _ => {}
    }
    for (key, other) in [("tls.cert_file", "tls.key_file"), ("tls.key_file", "tls.cert_file")] {
        let others = ["tls.reload_interval", "tls.client_ca_file"];
        if option.key == key || (others.contains(&option.key) && key == "tls.cert_file") {
            set.push((format!("{place}.{other}"), "/pem".into()));
        }
        if others.contains(&option.key) && key == "tls.key_file" {
            set.push((format!("{place}.{other}"), "/pem".into()));
        }
    }
    set.sort();
    set.dedup();
    set.iter()
        .map(|(key, value)| {
            let keys: Vec<&str> = key.split('.').filter(|k| !k.is_empty()).collect();
            format!("{}: {value}{}", keys.join(": {"), "}".repeat(keys.len() - 1))
        })
        .collect::<Vec<_>>()
        .join("\u{0}")
}

/// Resolves configurations made of several single settings, as text of the whole `Config`.
fn resolved(settings: &str) -> String {
    let files: Vec<&str> = settings.split('\u{0}').collect();
    format!("{:?}", loaded(&files, &[], &[]).config)
}

pub(super) fn other_than_default(option: &Opt) -> &'static str {
    match (option.kind, option.default) {
        (Kind::Bool, Preset::Value("true")) => "false",
        (Kind::Bool, _) => "true",
        (Kind::Integer { .. }, _) => "7",
        (Kind::Float { .. }, Preset::Value("0.5")) => "0.25",
        (Kind::Float { .. }, _) => "2.5",
        (Kind::Size { min, .. }, _) if min > 32 << 20 => "64MiB",
        (Kind::Size { min, .. }, _) if min > 1 << 20 => "33MiB",
        (Kind::Size { min, .. }, _) if min == 1 << 20 => "5MiB",
        (Kind::Size { .. }, _) if option.key.ends_with("max_request_size") => "5MiB",
        (Kind::Size { .. }, _) => "48KiB",
        (Kind::Time { .. }, _) if option.key == "group_window" => "9ms",
        (Kind::Time { .. }, _) if option.key == "latency" => "300ms",
        (Kind::Time { .. }, _) => "17s",
        (Kind::Enum(words), Preset::Value(default)) => {
            words.iter().find(|word| **word != default).unwrap()
        }
        (Kind::Enum(words), _) => words.last().unwrap(),
        (Kind::Listen, _) => "127.0.0.1:777",
        (Kind::Endpoint, _) => "'http://other.example:1'",
        (Kind::Mode, _) => "'0600'",
        (Kind::List(Kind::Enum(_)), _) if option.key == "export.families" => "[cache]",
        (Kind::List(Kind::Enum(words)), _) => words.first().map_or("[]", |_| "[traces]"),
        (Kind::List(Kind::Integer { .. }), _) => "[418]",
        (Kind::List(_) | Kind::HeaderNames, _) => "[x-y]",
        (Kind::Headers, _) => "{x-y: z}",
        (Kind::Labels, _) => "{x_y: z}",
        (Kind::Url, _) => "'http://other.example:1/x'",
        (Kind::Text, _) if option.key == "logs.level" => "debug",
        (Kind::Text, _) if option.key.ends_with("path") => "/other",
        (Kind::Text, _) if option.key.ends_with("endpoint") => "http://other:4317",
        (Kind::Text | Kind::Path, _) => "/other",
    }
}

#[test]
fn every_option_changes_the_configuration_and_every_default_does_not() {
    let mut checked = BTreeSet::new();
    for section in table::SECTIONS {
        for (place, option) in
            section.places.iter().flat_map(|p| section.options.iter().map(move |o| (p, o)))
        {
            let name = format!("{place}.{}", option.key);
            let changed = with(place, option, other_than_default(option));
            let plain = with(place, option, "");
            assert!(resolved(&changed) != resolved_or_empty(&plain), "{name} has no effect");
            if let Preset::Value(default) = option.default {
                let quoted = format!("'{default}'");
                let text = if default.starts_with(['[', '{']) { default } else { &quoted };
                let written = with(place, option, text);
                assert_eq!(resolved(&written), resolved(&plain), "{name}: another default");
            }
            checked.insert(name);
        }
    }
    assert!(checked.len() > 150, "{}", checked.len());
}

/// As [`resolved`]; empty where the option is required.
fn resolved_or_empty(settings: &str) -> String {
    let files: Vec<&str> = settings.split('\u{0}').collect();
    load(&inputs(&files, &[], &[])).map_or_else(|_| String::new(), |l| format!("{:?}", l.config))
}

#[test]
fn no_bytes_make_the_loader_panic() {
    use proptest::prelude::*;
    proptest!(|(text in "[a-z:{}\\[\\],'\"\\n \\-&*$!|>#%\u{e9}]{0,200}")| {
        super::fuzz::any_bytes(text.as_bytes());
    });
    let example = include_str!("../../docs/config.example.yaml");
    proptest!(|(at in 0..example.len(), byte in any::<u8>(), cut in 0..40_usize)| {
        let mut bytes = example.as_bytes().to_vec();
        bytes[at] = byte;
        bytes.drain(at..(at + cut).min(bytes.len()));
        super::fuzz::any_bytes(&bytes);
    });
}
