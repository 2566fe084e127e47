use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{Span, Status, span};
use proptest::prelude::*;
use prost::Message as _;
use sidelight_wire::view::traces::Span as View;

use super::*;

impl PartialEq for Fields<'_> {
    fn eq(&self, other: &Self) -> bool {
        let asked = |fields: &Self| {
            let texts = fields.texts.iter().zip(&fields.ranks).filter(|of| *of.1 > 0);
            let numbers = fields.numbers.iter().zip(&fields.ranks[TEXTS..]);
            let numbers = numbers.filter(|of| *of.1 > 0).map(|(number, _)| *number);
            let texts: Vec<_> = texts.map(|(text, _)| text.to_vec()).collect();
            (fields.ranks, texts, numbers.collect::<Vec<_>>(), fields.says)
        };
        let own = |fields: &Self| {
            let Fields { size, kind, status, .. } = *fields;
            (size, kind, status, fields.start_unix_nano, fields.end_unix_nano)
        };
        let ids = |fields: &Self| {
            let Fields { trace_id, span_id, parent_span_id, trace_state, name, .. } = *fields;
            [trace_id, span_id, parent_span_id, trace_state, name].map(<[u8]>::to_vec)
        };
        asked(self) == asked(other) && own(self) == own(other) && ids(self) == ids(other)
    }
}

fn any_attribute() -> impl Strategy<Value = KeyValue> {
    let keys = [
        "http.route",
        "http.request.method",
        "http.method",
        "x",
        "ten.chars.",
        "",
        "http.response.status_code",
        "http.status_code",
        "rpc.method",
        "rpc.service",
        "rpc.grpc.status_code",
        "rpc.response.status_code",
        "messaging.operation.name",
        "messaging.operation",
        "messaging.destination.name",
        "messaging.destination",
        "service.peer.name",
        "peer.service",
        "db.namespace",
        "db.name",
        "db.system.name",
        "db.system",
        "server.address",
        "net.peer.name",
        "cache.name",
        "gen_ai.usage.completion_tokens",
    ];
    let value = prop_oneof![
        3 => "[a-z]{0,200}".prop_map(any_value::Value::StringValue),
        1 => "[0-9]{0,4}".prop_map(any_value::Value::StringValue),
        1 => any::<bool>().prop_map(any_value::Value::BoolValue),
        1 => any::<i64>().prop_map(any_value::Value::IntValue),
    ];
    (prop::sample::select(keys.to_vec()), prop::option::of(prop::option::of(value))).prop_map(
        |(key, value)| KeyValue {
            key: key.to_owned(),
            value: value.map(|value| AnyValue { value }),
            ..KeyValue::default()
        },
    )
}

fn any_span() -> impl Strategy<Value = Span> {
    let attributes = prop::collection::vec(any_attribute(), 0..6);
    let status = prop::option::of(("[a-z]{0,150}", -1..300_i32));
    let times = any::<(u64, u64)>();
    // As SDKs write them, mostly.
    let name = prop_oneof![3 => "[a-z]{1,127}", 1 => "[a-z]{0,200}"];
    let kind = prop_oneof![3 => 1..6, 1 => -1..300_i32];
    let ids = (
        prop_oneof![4 => Just(8), 1 => 0..10_usize],
        prop_oneof![4 => Just(8), 4 => Just(0), 1 => 0..10_usize],
    );
    let more = prop_oneof![4 => Just(0), 1 => 0..3_usize];
    (name, kind, times, attributes, status, any::<u32>(), more, ids).prop_map(
        |(name, kind, (start, end), attributes, status, flags, more, (id, parent))| Span {
            trace_id: vec![7; 16],
            span_id: vec![8; id],
            parent_span_id: vec![9; parent],
            trace_state: if more > 1 { "ot=th:8".to_owned() } else { String::new() },
            name,
            kind,
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            attributes,
            status: status.map(|(message, code)| Status { message, code }),
            flags,
            dropped_attributes_count: flags >> 3,
            events: vec![span::Event { time_unix_nano: 1, ..span::Event::default() }; more],
            links: vec![span::Link { trace_id: vec![1; 16], ..span::Link::default() }; more],
            ..Span::default()
        },
    )
}

proptest! {
    #[test]
    fn a_span_is_read_as_the_view_reads_it(span in any_span(), again in any::<bool>()) {
        let mut bytes = span.encode_to_vec();
        if again {
            // Every field twice: the last of scalars holds, submessages merge.
            bytes.extend_from_within(..);
        }
        let by_view = Fields::of_view(&View::new(&bytes));
        prop_assert_eq!(Fields::of(&bytes), by_view);
    }

    #[test]
    fn a_damaged_span_is_read_as_the_view_reads_it_or_left_to_it(
        span in any_span(), at in any::<prop::sample::Index>(), with in any::<u8>(),
    ) {
        let mut bytes = span.encode_to_vec();
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = with;
        }
        if sidelight_wire::validate(
            sidelight_wire::Signal::Traces,
            &request_of(&bytes),
            &sidelight_wire::Limits::default(),
        ).is_ok() {
            prop_assert_eq!(Fields::of(&bytes), Fields::of_view(&View::new(&bytes)));
        } else {
            let _ = Fields::of(&bytes);
        }
    }
}

fn request_of(span: &[u8]) -> Vec<u8> {
    let nest = |field: u8, content: &[u8]| {
        let mut outer = vec![field << 3 | 2];
        prost::encoding::encode_varint(content.len() as u64, &mut outer);
        outer.extend_from_slice(content);
        outer
    };
    nest(1, &nest(2, &nest(2, span)))
}

#[test]
fn what_an_sdk_writes_is_in_the_usual_form() {
    let value = AnyValue { value: Some(any_value::Value::StringValue("/cart".to_owned())) };
    let route =
        KeyValue { key: "http.route".to_owned(), value: Some(value), ..KeyValue::default() };
    let value = AnyValue { value: Some(any_value::Value::IntValue(503)) };
    let key = "http.response.status_code".to_owned();
    let code = KeyValue { key, value: Some(value), ..KeyValue::default() };
    let agent = AnyValue { value: Some(any_value::Value::StringValue("some agent".to_owned())) };
    let key = "user_agent.original".to_owned();
    let agent = KeyValue { key, value: Some(agent), ..KeyValue::default() };
    let span = Span {
        trace_id: vec![7; 16],
        span_id: vec![8; 8],
        parent_span_id: vec![9; 8],
        start_time_unix_nano: 1_000,
        end_time_unix_nano: 2_000,
        name: "GET /cart".to_owned(),
        kind: 2,
        attributes: vec![route, code, agent],
        status: Some(Status { message: "no".to_owned(), code: 2 }),
        flags: 0x101,
        ..Span::default()
    };
    let bytes = span.encode_to_vec();
    let (_, behind) = Start::usual(&bytes).expect("it begins as usual");
    let after = Span { status: span.status.clone(), flags: span.flags, ..Span::default() };
    let attributes = &behind[..behind.len() - after.encoded_len()];
    assert_eq!(Fields::default().read_attributes(attributes), [0; 0], "each is as usual");
    let mut fields = Fields::default();
    fields.read_usual(&bytes).unwrap();
    assert_eq!((fields.name, fields.route()), (&b"GET /cart"[..], Some(&b"/cart"[..])));
    assert_eq!((fields.kind, fields.status), (2, 2));
    assert_eq!((fields.http_status(), fields.size), (Some(503), bytes.len()));
}

#[test]
fn a_span_takes_the_place_of_another_as_if_that_had_not_been() {
    let mut fields = Fields::default();
    let of = |span: &Span| span.encode_to_vec();
    let key = "db.system".to_owned();
    let value = AnyValue { value: Some(any_value::Value::StringValue("x".to_owned())) };
    let attributes = vec![KeyValue { key, value: Some(value), ..KeyValue::default() }];
    let events = vec![span::Event::default()];
    let (full, bare) = (of(&Span { attributes, events, ..Span::default() }), of(&Span::default()));
    fields.read(&full);
    assert!(fields.database() && fields.of_family() && fields.peer() == Some(b"x"));
    fields.read(&bare);
    assert!(!fields.database() && !fields.of_family() && fields.peer().is_none());
    assert_eq!(fields, Fields::of(&bare));
}
