//! Sections whose options mean more than their own value.

use super::*;
use crate::journal::WhenFull;

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
        assert_refused(&format!("aggregate:\n  {text}\n"), message);
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
        assert_refused(&format!("slos: {slos}\n"), message);
    }
}
