//! Traffic as services send it, about 550 bytes a span: 50 % HTTP servers, 30 % database calls, 20 % language model calls; 10
//! attributes each; 20 % of spans have 3 events of 2 attributes, 5 % a link, 2 % an error.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use super::Rng;

/// A request of `count` spans from one service.
pub fn traces(rng: &mut Rng, count: usize) -> ExportTraceServiceRequest {
    let resource = Resource {
        attributes: vec![
            text("service.name", "checkout"),
            text("service.namespace", "shop"),
            text("service.version", "2.14.0"),
            text("service.instance.id", "7f9c2d3e-8b0a-4c55-9a77-0d2f6f4f1b3a"),
            text("deployment.environment.name", "production"),
            text("host.name", "ip-10-1-42-7.eu-central-1.compute.internal"),
            text("telemetry.sdk.language", "rust"),
            text("telemetry.sdk.name", "opentelemetry"),
            text("telemetry.sdk.version", "0.33.0"),
        ],
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: "opentelemetry-instrumentation-http".to_owned(),
        version: "0.33.0".to_owned(),
        ..InstrumentationScope::default()
    };
    let spans = (0..count).map(|_| span(rng)).collect();
    let schema_url = "https://opentelemetry.io/schemas/1.37.0".to_owned();
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, schema_url: String::new() }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans, schema_url }],
    }
}

fn span(rng: &mut Rng) -> Span {
    let start = 1_790_000_000_000_000_000 + rng.next() % 1_000_000_000_000;
    let (name, kind, attributes) = match rng.below(10) {
        0..5 => http(rng),
        5..8 => database(rng),
        _ => generative(rng),
    };
    let error = rng.below(50) == 0;
    Span {
        trace_id: id(rng, 16),
        span_id: id(rng, 8),
        parent_span_id: if rng.one_in(4) { Vec::new() } else { id(rng, 8) },
        flags: 0x101,
        name,
        kind,
        start_time_unix_nano: start,
        end_time_unix_nano: start + rng.next() % 800_000_000,
        attributes,
        events: if rng.one_in(5) { (1..4).map(|i| event(rng, start, i)).collect() } else { vec![] },
        links: if rng.one_in(20) { vec![link(rng)] } else { vec![] },
        status: Some(Status {
            code: if error { 2 } else { 0 },
            message: if error { "upstream connect error".to_owned() } else { String::new() },
        }),
        ..Span::default()
    }
}

fn http(rng: &mut Rng) -> (String, i32, Vec<KeyValue>) {
    const ROUTES: [&str; 4] = [
        "/api/v1/orders/{id}",
        "/api/v1/carts/{cart}/items",
        "/healthz",
        "/api/v1/users/{user}/profile",
    ];
    const METHODS: [&str; 3] = ["GET", "POST", "PUT"];
    let (route, method) = (ROUTES[rng.below(4)], METHODS[rng.below(3)]);
    let attributes = vec![
        text("http.request.method", method),
        text("http.route", route),
        int("http.response.status_code", [200, 201, 404, 500][rng.below(4)]),
        text("url.path", &format!("/api/v1/orders/{}", rng.next() % 1_000_000)),
        text("url.scheme", "https"),
        text("server.address", "shop.example.com"),
        int("server.port", 443),
        text(
            "client.address",
            &format!("10.{}.{}.{}", rng.below(255), rng.below(255), rng.below(255)),
        ),
        text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101"),
        text("network.protocol.version", "1.1"),
    ];
    (format!("{method} {route}"), 2, attributes)
}

fn database(rng: &mut Rng) -> (String, i32, Vec<KeyValue>) {
    let attributes = vec![
        text("db.system.name", "postgresql"),
        text("db.namespace", "shop"),
        text("db.operation.name", "SELECT"),
        text("db.collection.name", "orders"),
        text(
            "db.query.text",
            "SELECT id, total, state FROM orders WHERE customer = $1 ORDER BY id",
        ),
        text("server.address", "orders-db.internal"),
        int("server.port", 5432),
        int("db.response.returned_rows", rng.next() as i64 & 0xfff),
        text("network.peer.address", "10.0.7.21"),
        flag("db.client.pooled", true),
    ];
    ("SELECT orders".to_owned(), 3, attributes)
}

fn generative(rng: &mut Rng) -> (String, i32, Vec<KeyValue>) {
    let attributes = vec![
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.provider.name", "anthropic"),
        text("gen_ai.request.model", "claude-sonnet-4-5"),
        text("gen_ai.response.model", "claude-sonnet-4-5-20250929"),
        int("gen_ai.usage.input_tokens", rng.next() as i64 & 0x3fff),
        int("gen_ai.usage.output_tokens", rng.next() as i64 & 0xfff),
        double("gen_ai.request.temperature", 0.7),
        text("gen_ai.response.id", &format!("msg_{:016x}", rng.next())),
        int("gen_ai.request.max_tokens", 4096),
        text("gen_ai.conversation.id", &format!("conv-{:016x}", rng.next())),
    ];
    ("chat claude-sonnet-4-5".to_owned(), 3, attributes)
}

fn event(rng: &mut Rng, start: u64, index: u64) -> Event {
    Event {
        time_unix_nano: start + index * 1_000_000,
        name: "message.received".to_owned(),
        attributes: vec![
            int("message.id", index as i64),
            int("message.size", rng.next() as i64 & 0xffff),
        ],
        dropped_attributes_count: 0,
    }
}

fn link(rng: &mut Rng) -> Link {
    let attributes = vec![text("messaging.batch", "orders")];
    Link { trace_id: id(rng, 16), span_id: id(rng, 8), attributes, ..Link::default() }
}

fn id(rng: &mut Rng, len: usize) -> Vec<u8> {
    (0..len).map(|_| rng.next() as u8 | 1).collect()
}

fn key_value(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    key_value(key, Value::StringValue(value.to_owned()))
}

fn int(key: &str, value: i64) -> KeyValue {
    key_value(key, Value::IntValue(value))
}

fn double(key: &str, value: f64) -> KeyValue {
    key_value(key, Value::DoubleValue(value))
}

fn flag(key: &str, value: bool) -> KeyValue {
    key_value(key, Value::BoolValue(value))
}
