//! Values that are good alone and not together, and those that are warned of or refused.

use super::*;

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
        ("limits: {memory: 24MiB}", "is out of range for `limits.memory`"),
        ("journal: {max_size: 64MiB, retention: {size: 1GiB}}", "above `journal.max_size`"),
        (
            "exporters: {otlp_http: {endpoint: 'http://a', headers: {Authorization: x}, auth: {bearer_token_file: /t}}}",
            "`headers` has an `authorization` as well",
        ),
        (
            "exporters: {otlp_http: {endpoint: 'http://a', headers_from_context: [Authorization], auth: {bearer_token_file: /t}}}",
            "`authorization` of senders would be passed on",
        ),
    ];
    for (text, expected) in cases {
        assert_refused(text, expected);
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
        ("limits: {memory: 32MiB}", Some("the program itself takes about 24 MiB")),
        ("limits: {memory: 40MiB}", Some("the program itself takes about 24 MiB")),
        ("limits: {memory: 64MiB}", None),
        ("journal: {directory: ~/x}", Some("`~` in `journal.directory` is a directory of that")),
        ("rules: {files: ['~/*.yaml']}", Some("`~` in `rules.files` is a directory of that name")),
        ("journal: {directory: /a/~/x}", None),
        (
            "receivers: {otlp: {protocols: {grpc: {enabled: false}, http: {enabled: false}}}}",
            Some("no receiver is left"),
        ),
        (
            "receivers: {otlp: {protocols: {grpc: {enabled: false}, http: {enabled: false}, unix: {path: /s}}}}",
            None,
        ),
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
fn one_value_for_a_list_is_told_how_a_list_is_written() {
    for (set, help) in [
        ("exporters.debug.signals=traces", "write `[traces]`"),
        ("rules.files=a,b", "write `[a, b]`"),
        ("exporters.debug.headers_from_context=x-a", "write `[x-a]`"),
    ] {
        let found = load(&inputs(&[], &[], &[set])).unwrap_err().list;
        assert!(found.iter().any(|f| f.help.as_deref() == Some(help)), "{set}: {found:?}");
    }
}

#[test]
fn files_that_are_named_and_not_there_are_warnings_beside_whatever_else_is_wrong() {
    let text = "receivers: {otlp: {tls: {cert_file: /none/c, key_file: /none/k}}}\n\
                exporters: {otlp_http: {endpoint: tempo}}";
    let now = Some(crate::time::UnixNano(1));
    let findings = load(&Inputs { now, ..inputs(&[text], &[], &[]) }).unwrap_err();
    let severities: Vec<_> = findings.list.iter().map(|f| f.severity.as_str()).collect();
    assert_eq!(severities, ["warning", "warning", "error"]);
    assert!(findings.list[0].message.starts_with("`/none/c` cannot be read: "));
}

#[test]
fn a_memory_limit_that_is_not_understood_is_a_warning() {
    for (value, is_odd) in
        [("abc", true), ("128Mi", true), ("134217728", false), ("0", false), ("", false)]
    {
        let loaded = loaded(&[], &[("SIDELIGHT_MEMORY_LIMIT", value)], &[]);
        let places = loaded.warnings.iter().map(|found| loaded.sources.place(found.span));
        let wanted: &[&str] = if is_odd { &["SIDELIGHT_MEMORY_LIMIT"] } else { &[] };
        assert_eq!(places.collect::<Vec<_>>(), wanted, "{value}");
    }
}

#[test]
fn the_path_of_a_socket_is_as_short_as_the_system_wants_it() {
    let text = |bytes: usize| {
        let path = "s".repeat(bytes - 1);
        format!("receivers: {{otlp: {{protocols: {{unix: {{path: '/{path}'}}}}}}}}")
    };
    assert_eq!(loaded(&[&text(105)], &[], &[]).config.receive.listeners.len(), 3);
    assert_refused(&text(106), "has at most 105 bytes");
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
        assert_refused(&text, why);
    }
}
