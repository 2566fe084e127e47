//! The table against requests made by a foreign encoder, and against a naive model.

mod exposed;
mod limits;
mod model;
mod replayed;
mod stored;

use std::time::Duration;

use expect_test::expect;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;

use super::derived::Derived;
use super::metrics::tests::Kept;
use super::*;
use crate::telemetry::Exposition;
use crate::telemetry::exposition::Format;
use crate::time::UnixNano;

const START: UnixNano = UnixNano(1_700_000_000_000_000_000);

fn at(seconds: u64) -> UnixNano {
    UnixNano(START.0 + seconds * 1_000_000_000)
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn span(name: &str, kind: i32, nanos: i64, attributes: &[(&str, &str)]) -> Span {
    Span {
        name: name.to_owned(),
        kind,
        start_time_unix_nano: START.0,
        end_time_unix_nano: START.0.wrapping_add_signed(nanos),
        attributes: attributes.iter().map(|(k, v)| attribute(k, v)).collect(),
        ..Span::default()
    }
}

fn request(service: &str, spans: Vec<Span>) -> Vec<u8> {
    let attributes = vec![attribute("host.name", "a"), attribute("service.name", service)];
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource = Some(Resource { attributes, ..Resource::default() });
    let resource_spans = ResourceSpans { resource, scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec()
}

fn table(change: impl FnOnce(&mut Config)) -> Table {
    let mut config = Config::default();
    change(&mut config);
    Table::new(config, START)
}

fn metrics(table: &Table, format: Format) -> String {
    let mut out = Exposition::new(format);
    table.snapshot().expose(&mut out);
    out.finish()
}

/// Samples the table into `kept`, when that is due, before a request is observed.
fn step(
    (derived, kept): (&mut Derived<usize>, &mut Kept),
    table: &mut Table,
    received: UnixNano,
    request: &[u8],
) {
    let received_ms = i64::try_from(received.0 / 1_000_000).unwrap();
    if derived.is_due(received_ms) {
        derived.sample(kept, table, received_ms, &mut |_, _| true);
    }
    table.observe(request, received);
    table.expire();
}

/// The samples of series whose names begin so.
fn only(kept: &mut Kept, name: &str) -> String {
    kept.ids.retain(|labels, _| labels.starts_with(name));
    kept.show().replace(&format!("{}", START.0 / 1_000_000_000 / 1_000), "")
}

fn http(route: &str, status: &str, nanos: i64) -> Span {
    let attributes = [("http.route", route), ("http.request.method", "GET")];
    let mut span = span(&format!("GET {route}"), 2, nanos, &attributes);
    span.attributes.push(attribute("http.response.status_code", status));
    span.trace_id = vec![1; 16];
    span.span_id = nanos.to_be_bytes().to_vec();
    span
}
