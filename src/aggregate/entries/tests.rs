use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use prost::Message as _;

use super::*;
use crate::signal::Meta;

const T0: u64 = 1_700_000_000;

fn at(seconds: u64) -> UnixNano {
    UnixNano((T0 + seconds) * 1_000_000_000)
}

fn pairs(attributes: &[(&str, any_value::Value)]) -> Vec<KeyValue> {
    let pair = |(key, value): &(&str, any_value::Value)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue { value: Some(value.clone()) }),
        ..KeyValue::default()
    };
    attributes.iter().map(pair).collect()
}

fn text(value: &str) -> any_value::Value {
    any_value::Value::StringValue(value.to_owned())
}

fn int(value: i64) -> any_value::Value {
    any_value::Value::IntValue(value)
}

fn shop() -> Option<Resource> {
    let attributes = pairs(&[("service.name", text("shop"))]);
    Some(Resource { attributes, ..Resource::default() })
}

fn a_span(name: &str, kind: i32, attributes: &[(&str, any_value::Value)]) -> Span {
    Span {
        name: name.to_owned(),
        kind,
        trace_id: vec![7; 16],
        start_time_unix_nano: at(0).0,
        end_time_unix_nano: at(2).0,
        attributes: pairs(attributes),
        ..Span::default()
    }
}

fn record(signal: Signal, payload: Vec<u8>) -> Record {
    let (flags, meta) = (Flags::default(), Meta::default());
    Record { signal, items: 1, flags, meta, payload: payload.into() }
}

fn traces(spans: Vec<Span>) -> Record {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let of = ResourceSpans { resource: shop(), scope_spans, ..ResourceSpans::default() };
    let request = ExportTraceServiceRequest { resource_spans: vec![of] };
    record(Signal::Traces, request.encode_to_vec())
}

fn logs(log_records: Vec<LogRecord>) -> Record {
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let of = ResourceLogs { resource: shop(), scope_logs, ..ResourceLogs::default() };
    record(Signal::Logs, ExportLogsServiceRequest { resource_logs: vec![of] }.encode_to_vec())
}

fn entries(change: impl FnOnce(&mut Config)) -> Entries {
    let mut config = Config::default();
    change(&mut config);
    Entries::new(config, Some([1; 16]), &Registry::default())
}

fn shown(entries: &Entries, parameters: &[(&str, &str)]) -> Vec<String> {
    let filter = Filter::of(parameters.iter().copied(), at(100)).unwrap();
    let line = |entry: Entry| format!("{} {} {}", entry.family.name(), entry.name, entry.outcome);
    let mut lines: Vec<_> = entries.list(&filter).into_iter().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn spans_become_entries_of_the_family_that_their_attributes_say() {
    let entries = entries(|_| {});
    let failed = Some(Status { code: 2, ..Status::default() });
    let route = [("http.route", text("/cart")), ("http.request.method", text("GET"))];
    let key = [("feature_flag.key", text("new-cart"))];
    let event = span::Event {
        name: "feature_flag.evaluation".to_owned(),
        attributes: pairs(&key),
        ..span::Event::default()
    };
    let spans = vec![
        Span { status: failed, events: vec![event], ..a_span("GET /cart", 2, &route) },
        a_span("chat", 3, &[("gen_ai.request.model", text("m1"))]),
        a_span(
            "get",
            3,
            &[("cache.name", text("users")), ("cache.hit", any_value::Value::BoolValue(true))],
        ),
        a_span(
            "GET",
            3,
            &[("http.request.method", text("GET")), ("http.request.resend_count", int(2))],
        ),
        a_span("send", 4, &[("messaging.destination.name", text("orders"))]),
        a_span("connect", 3, &[("db.system", text("postgresql"))]),
        a_span("render", 1, &[]),
        a_span("GET /cart http send", 1, &[("asgi.event.type", text("http.response.body"))]),
    ];
    entries.observe(&traces(spans), at(3));
    let expected = [
        "cache users hit",
        "connection postgresql ok",
        "error /cart error",
        "feature new-cart error",
        "http /cart error",
        "llm m1 ok",
        "operation render ok",
        "queue orders ok",
        "retry GET <unmatched> ok",
    ];
    assert_eq!(shown(&entries, &[]), expected);
    let http = entries.list(&Filter { family: Some(Family::Http), ..Filter::default() }).remove(0);
    assert_eq!((http.service.as_str(), http.trace_id), ("shop", Some([7; 16])));
    assert_eq!((http.time, http.duration), (at(2), Some(Duration::from_secs(2))));
    assert_eq!(http.attributes[0], ("http.route".to_owned(), "/cart".to_owned()));
}

#[test]
fn log_records_become_entries_and_an_event_says_its_family_itself() {
    let entries = entries(|_| {});
    let event = |name: &str, severity_number, attributes: &[(&str, any_value::Value)]| LogRecord {
        event_name: name.to_owned(),
        severity_number,
        time_unix_nano: at(1).0,
        attributes: pairs(attributes),
        ..LogRecord::default()
    };
    let own = [
        ("entry.family", text("queue")),
        ("entry.name", text("jobs")),
        ("entry.outcome", text("overflow")),
        ("entry.duration", any_value::Value::DoubleValue(0.5)),
    ];
    let unknown = [("entry.family", text("nonsense"))];
    let alert = |name, state| [("alert.name", text(name)), ("alert.state", text(state))];
    let records = vec![
        event("sidelight.entry", 9, &own),
        event("sidelight.entry", 9, &unknown),
        // As the agent's own records say them: a warning's severity is below that of errors.
        event("sidelight.alert", 13, &alert("HighErrorRate", "firing")),
        event("sidelight.alert", 9, &alert("ServiceSilent", "resolved")),
        event("", 17, &[("exception.type", text("ValueError"))]),
        event("", 9, &[]),
        event("feature_flag", 9, &[("feature_flag.key", text("dark"))]),
    ];
    entries.observe(&logs(records), at(3));
    let expected = [
        "alert HighErrorRate firing",
        "alert ServiceSilent resolved",
        "error ValueError error",
        "feature dark ok",
        "queue jobs overflow",
    ];
    assert_eq!(shown(&entries, &[]), expected);
    let queue = entries.list(&Filter { family: Some(Family::Queue), ..Filter::default() });
    assert_eq!(queue[0].duration, Some(Duration::from_millis(500)));
}

#[test]
fn what_names_a_person_is_a_hash_and_long_texts_are_cut() {
    let entries = entries(|_| {});
    let long = "ü".repeat(1_000);
    let mut attributes = vec![("user.email", text("ann@example.org")), ("enduser.id", text("ann"))];
    attributes.push(("long", text(&long)));
    let more: Vec<String> = (0..40).map(|n| format!("k{n}")).collect();
    attributes.extend(more.iter().map(|key| (&**key, int(1))));
    entries.observe(&traces(vec![a_span("x", 1, &attributes)]), at(3));
    let entry = entries.list(&Filter::default()).remove(0);
    assert_eq!(entry.attributes.len(), ATTRIBUTES_MAX);
    let values: Vec<_> = entry.attributes.iter().map(|(_, value)| value.as_str()).collect();
    assert!(values[0].starts_with("hash:") && values[1].starts_with("hash:"), "{values:?}");
    assert!(!format!("{entry:?}").contains("ann"), "{entry:?}");
    assert_eq!(values[2].len(), TEXT_BYTES_MAX);
}

#[test]
fn the_oldest_go_past_the_cap_the_bytes_and_their_time() {
    let small = entries(|config| config.entries_max = 10);
    let one = |name: String| traces(vec![a_span(&name, 1, &[])]);
    for n in 0..9 {
        small.observe(&one(format!("op{n}")), at(n));
    }
    let warning = small.stats().warning.unwrap();
    assert!(warning.ends_with("operation"), "{warning}");
    for n in 9..15 {
        small.observe(&one(format!("op{n}")), at(n));
    }
    let stats = small.stats();
    assert_eq!((stats.total, stats.families[1].evicted), (10, 5));
    assert_eq!(shown(&small, &[("limit", "1"), ("name", "op5")]), ["operation op5 ok"]);
    assert!(shown(&small, &[("name", "op4")]).is_empty());

    let bytes = entries(|config| config.bytes_max = 2_000);
    for n in 0..100 {
        bytes.observe(&one(format!("op{n}")), at(n));
    }
    let stats = bytes.stats();
    assert!(stats.families[1].bytes <= 2_000 && stats.total > 2, "{stats:?}");

    let short = entries(|config| config.ttl = Duration::from_secs(60));
    short.observe(&one("old".to_owned()), at(0));
    short.observe(&one("new".to_owned()), at(61));
    assert_eq!(shown(&short, &[]), ["operation new ok"]);
    assert_eq!(short.stats().total, 2, "shown is not what is kept");
    assert_eq!((short.cleanup(), short.cleanup(), short.stats().total), (1, 0, 1));
    // By itself once in an interval of received time.
    short.observe(&one("later".to_owned()), at(61 + 3_600));
    assert_eq!(short.stats().total, 1);
}

#[test]
fn filters_say_what_is_wrong_with_them() {
    let of = |name, value| Filter::of([(name, value)], at(100));
    assert_eq!(of("since", "90s").unwrap().since, Some(at(10)));
    assert_eq!(of("since", "1700000010").unwrap().since, Some(at(10)));
    assert_eq!(of("family", "").unwrap(), Filter::default());
    assert!(of("family", "x").unwrap_err().to_string().contains("http, operation, llm"));
    for (name, value) in [("since", "soon"), ("since", "-5"), ("limit", "0"), ("limit", "99999")] {
        assert!(of(name, value).is_err(), "{name}={value}");
    }
}

#[test]
fn a_checkpoint_keeps_them_and_damage_keeps_what_is_before_it() {
    let first = entries(|_| {});
    for n in 0..5 {
        first.observe(&traces(vec![a_span(&format!("op{n}"), 1, &[("a", int(1))])]), at(n));
    }
    let bytes = first.encode();
    let second = entries(|_| {});
    second.restore(&bytes);
    assert_eq!(second.list(&Filter::default()), first.list(&Filter::default()));
    for len in 0..bytes.len() {
        let cut = entries(|_| {});
        cut.restore(&bytes[..len]);
        assert!(cut.stats().total < 5, "{len}");
    }
}

#[test]
fn a_flood_is_looked_at_up_to_a_bound_and_the_rest_is_counted() {
    let registry = Registry::default();
    let config = Config { entries_max: 10_000, ..Config::default() };
    let entries = Entries::new(config, Some([1; 16]), &registry);
    entries.observe(&traces(vec![a_span("x", 1, &[]); 1_500]), at(0));
    assert_eq!(entries.stats().total, 1_000);
    assert_eq!(entries.lock().skipped(), 500);
    entries.observe(&traces(vec![a_span("x", 1, &[]); 10]), at(1));
    assert_eq!(entries.stats().total, 1_010);
}
