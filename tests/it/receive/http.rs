//! Catalogue rows "HTTP" and, over HTTP, "Wire and framing".

use hyper_util::rt::TokioIo;
use prost::Message as _;
use sidelight_agent::journal::AppendError;
use sidelight_agent::receive::InvalidUtf8;
use sidelight_agent::signal::{Flags, Signal};
use sidelight_agent::telemetry::desc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    JSON, PROTOBUF, Response, RpcStatus, Server, gzip, h2c, post, send, traces, traces_bytes,
};

fn status(response: &Response) -> RpcStatus {
    assert_eq!(response.headers()["content-type"], "application/x-protobuf");
    RpcStatus::decode(&response.body()[..]).unwrap()
}

#[tokio::test]
async fn every_signal_is_taken_over_http_1_and_h2c() {
    let server = Server::plain().await;
    let mut sender = h2c(server.connect().await).await;
    for path in ["/v1/traces", "/v1/metrics", "/v1/logs", "/v1development/profiles"] {
        let response = send(&server, post(path, "", &[PROTOBUF])).await;
        assert_eq!((response.status().as_u16(), response.body().len()), (200, 0), "{path}");
        assert_eq!(response.headers()["content-type"], "application/x-protobuf");
        let request = post(&format!("http://localhost{path}"), "", &[PROTOBUF]);
        assert_eq!(sender.send_request(request).await.unwrap().status(), 200, "{path} over h2c");
    }
    let body = traces_bytes(3);
    assert_eq!(send(&server, post("/v1/traces", body.clone(), &[PROTOBUF])).await.status(), 200);
    let record = &server.journal.records()[0];
    assert_eq!((record.signal, record.items, &record.payload[..]), (Signal::Traces, 3, &body[..]));
    assert_eq!(server.count(&desc::RECEIVER_ACCEPTED_SPANS, &["otlp", "http"]), 3);
}

#[tokio::test]
async fn a_small_request_that_is_kept_holds_no_buffer_of_its_connection() {
    let server = Server::plain().await;
    let stream = TokioIo::new(server.connect().await);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..3 {
        sender.ready().await.unwrap();
        let request = post("/v1/traces", traces_bytes(1), &[PROTOBUF]);
        assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
    }
    // The connection is open, and has its read buffer still.
    let records = std::mem::take(&mut *server.journal.records.lock().unwrap());
    assert_eq!(records.len(), 3);
    for record in records {
        assert!(record.payload.is_unique());
        let bytes = record.payload.len();
        assert_eq!(record.payload.try_into_mut().unwrap().capacity(), bytes);
    }
}

#[tokio::test]
async fn paths_are_as_configured() {
    let server =
        Server::start(|listener, _| listener.paths.traces = "/otlp/spans".to_owned()).await;
    assert_eq!(send(&server, post("/otlp/spans", "", &[PROTOBUF])).await.status(), 200);
    assert_eq!(send(&server, post("/v1/traces", "", &[PROTOBUF])).await.status(), 404);
}

#[tokio::test]
async fn what_is_not_served_is_refused_with_a_status_in_the_body() {
    let server = Server::plain().await;
    let mut get = post("/v1/traces", "", &[]);
    *get.method_mut() = ::http::Method::GET;
    let response = send(&server, get).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["allow"]),
        (405, &"POST".parse().unwrap())
    );
    assert_eq!(status(&response).code, 12);
    for path in ["/v1/trace", "/v1/traces/", "/", "/v1/TRACES"] {
        let response = send(&server, post(path, "", &[PROTOBUF])).await;
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(status(&response).code, 12, "{path}");
    }
    for headers in [&[][..], &[("content-type", "text/plain")], &[("content-type", "")]] {
        let response = send(&server, post("/v1/logs", traces_bytes(1), headers)).await;
        assert_eq!(response.status(), 415, "{headers:?}");
        assert!(!status(&response).message.is_empty());
    }
    let headers = [PROTOBUF, ("content-encoding", "snappy")];
    let response = send(&server, post("/v1/traces", traces_bytes(1), &headers)).await;
    assert_eq!(response.status(), 415);
    assert_eq!(response.headers()["accept-encoding"], "gzip, zstd, identity");
}

#[tokio::test]
async fn header_bytes_that_are_not_ascii_are_only_an_unknown_type() {
    let server = Server::plain().await;
    let mut stream = server.connect().await;
    stream
        .write_all(
            b"POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: \xe9\xff\r\ncontent-length: 0\r\n\
              connection: close\r\n\r\n",
        )
        .await
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 415 "), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn every_encoding_is_inflated_and_none_is_guessed() {
    let server = Server::plain().await;
    let body = traces_bytes(3);
    let zstd = zstd::bulk::compress(&body, 1).unwrap();
    // A request may be cut anywhere: concatenation is merging.
    let members = [gzip(&traces_bytes(1)), gzip(&traces_bytes(2))].concat();
    for (encoding, body, expected) in [
        ("gzip", gzip(&body), 200),
        ("GZIP", gzip(&body), 200),
        ("x-gzip", gzip(&body), 200),
        ("zstd", zstd, 200),
        ("identity", body.clone(), 200),
        ("", body.clone(), 200),
        ("gzip", members, 200),
        ("", gzip(&body), 400),
        ("gzip", body.clone(), 400),
        ("zstd", gzip(&body), 400),
    ] {
        let headers = [PROTOBUF, ("content-encoding", encoding)];
        let response = send(&server, post("/v1/traces", body, &headers)).await;
        assert_eq!(response.status(), expected, "{encoding:?}");
    }
    let items: Vec<_> = server.journal.records().iter().map(|record| record.items).collect();
    assert_eq!(items, [3; 7]);
}

#[tokio::test]
async fn envelopes_without_items_succeed_and_are_not_kept() {
    let server = Server::plain().await;
    for path in ["/v1/traces", "/v1/metrics", "/v1/logs"] {
        for body in [&b"\x0a\x00"[..], b"\x0a\x02\x0a\x00", b"\x0a\x02\x12\x00"] {
            let response = send(&server, post(path, body, &[PROTOBUF])).await;
            assert_eq!((response.status().as_u16(), response.body().len()), (200, 0), "{path}");
        }
        let json = r#"{"resourceSpans":[{}],"resourceMetrics":[{}],"resourceLogs":[{}]}"#;
        let response = send(&server, post(path, json, &[JSON])).await;
        assert_eq!((response.status().as_u16(), &response.body()[..]), (200, &b"{}"[..]), "{path}");
    }
    assert_eq!(server.journal.records().len(), 0);
}

#[tokio::test]
async fn a_wrong_or_broken_body_is_a_bad_request_with_its_place() {
    let server = Server::plain().await;
    let mut deep = vec![];
    for _ in 0..200 {
        // kvlist or array, alternating by field number 5: AnyValue { array_value { values … } }
        deep = [&[0x0a], &varint(deep.len())[..], &deep].concat();
        deep = [&[0x2a], &varint(deep.len())[..], &deep].concat();
    }
    let value = [&[0x12], &varint(deep.len())[..], &deep].concat();
    let attribute = [&[0x0a], &varint(value.len())[..], &value].concat();
    let resource = [&[0x0a], &varint(attribute.len())[..], &attribute].concat();
    let too_deep = [&[0x0a], &varint(resource.len())[..], &resource].concat();
    for body in [b"\x0a\x05abc".to_vec(), b"\x08\x01".to_vec(), too_deep] {
        let response = send(&server, post("/v1/traces", body, &[PROTOBUF])).await;
        assert_eq!(response.status(), 400);
        assert_eq!(status(&response).kinds(), ["BadRequest"]);
    }
    assert_eq!(server.journal.records().len(), 0);
}

fn varint(mut n: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while n >= 128 {
        out.push(u8::try_from(n % 128).unwrap() | 128);
        n /= 128;
    }
    out.push(u8::try_from(n).unwrap());
    out
}

#[tokio::test]
async fn an_unknown_field_is_forwarded_as_it_came() {
    let server = Server::plain().await;
    let body = [&traces_bytes(1)[..], b"\xfa\x7f\x03abc", b"\xf8\x7f\x05"].concat();
    let response = send(&server, post("/v1/traces", body.clone(), &[PROTOBUF])).await;
    assert_eq!(response.status(), 200);
    assert_eq!(server.journal.records()[0].payload, body);
}

#[tokio::test]
async fn text_that_is_not_utf8_is_repaired_in_place_or_refused() {
    let mut request = traces(1);
    request.resource_spans[0].scope_spans[0].spans[0].name = "caf#".into();
    let mut body = request.encode_to_vec();
    let at = body.windows(4).position(|window| window == b"caf#").unwrap() + 3;
    body[at] = 0xe9;
    let server = Server::plain().await;
    let response = send(&server, post("/v1/traces", body.clone(), &[PROTOBUF])).await;
    assert_eq!(response.status(), 200);
    let mut repaired = body.clone();
    repaired[at] = b'?';
    assert_eq!(server.journal.records()[0].payload, repaired);
    assert_eq!(server.count(&desc::RECEIVER_REPAIRED_UTF8_BYTES, &["otlp"]), 1);
    let strict = Server::start(|listener, _| listener.invalid_utf8 = InvalidUtf8::Reject).await;
    let response = send(&strict, post("/v1/traces", body, &[PROTOBUF])).await;
    assert_eq!(response.status(), 400);
}

#[tokio::test]
async fn ids_of_odd_length_travel_alone() {
    let mut request = traces(2);
    request.resource_spans[0].scope_spans[0].spans[0].trace_id = vec![1; 7];
    let server = Server::plain().await;
    let body = request.encode_to_vec();
    assert_eq!(send(&server, post("/v1/traces", body, &[PROTOBUF])).await.status(), 200);
    assert!(server.journal.records()[0].flags.contains(Flags::ALONE));
    assert_eq!(server.count(&desc::RECEIVER_ODD_IDS, &["otlp"]), 1);
}

#[tokio::test]
async fn a_full_journal_is_503_with_a_delay_in_the_encoding_of_the_request() {
    let server = Server::plain().await;
    server.journal.refuse(AppendError::Full);
    let response = send(&server, post("/v1/traces", traces_bytes(1), &[PROTOBUF])).await;
    assert_eq!(response.status(), 503);
    let seconds: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=5).contains(&seconds), "{seconds}");
    assert_eq!((status(&response).code, status(&response).kinds()), (14, vec!["RetryInfo"]));
}

#[tokio::test]
async fn an_error_to_a_json_request_is_a_json_status() {
    let server = Server::plain().await;
    for content_type in ["application/json", "Application/JSON; charset=UTF-8"] {
        let headers = [("content-type", content_type)];
        let response = send(&server, post("/v1/trace", "{}", &headers)).await;
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()["content-type"], "application/json");
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body["code"], 12);
    }
}

#[tokio::test]
async fn pages_may_not_send_unless_their_origin_is_listed() {
    let origin = ("origin", "https://shop.example");
    let preflight = || {
        let asks = [origin, ("access-control-request-method", "POST")];
        let mut request = post("/v1/traces", "", &asks);
        *request.method_mut() = ::http::Method::OPTIONS;
        request
    };
    let closed = Server::plain().await;
    let response = send(&closed, preflight()).await;
    assert_eq!(response.status(), 405);
    assert!(!response.headers().contains_key("access-control-allow-origin"));
    let open = Server::start(|listener, _| {
        listener.cors.allowed_origins = vec!["https://*.example".into()];
    })
    .await;
    let response = send(&open, preflight()).await;
    assert_eq!(response.status(), 204);
    assert_eq!(response.headers()["access-control-allow-origin"], "https://shop.example");
    let response = send(&open, post("/v1/traces", traces_bytes(1), &[PROTOBUF, origin])).await;
    assert_eq!(response.headers()["access-control-allow-origin"], "https://shop.example");
    let elsewhere = ("origin", "https://shop.evil");
    let response = send(&open, post("/v1/traces", traces_bytes(1), &[PROTOBUF, elsewhere])).await;
    assert!(!response.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn only_listed_headers_travel_with_a_record() {
    let server = Server::start(|_, config| {
        config.headers_from_context = vec!["x-scope-orgid".parse().unwrap()];
    })
    .await;
    let headers = [PROTOBUF, ("X-Scope-OrgID", "shop"), ("authorization", "Bearer secret")];
    send(&server, post("/v1/traces", traces_bytes(1), &headers)).await;
    let record = &server.journal.records()[0];
    let travelling: Vec<_> = record.meta.headers().collect();
    assert_eq!(travelling, [("x-scope-orgid", &b"shop"[..])]);
    server.handle.context_headers().set(Vec::new());
    send(&server, post("/v1/traces", traces_bytes(1), &headers)).await;
    assert_eq!(server.journal.records()[1].meta.headers().count(), 0, "after a reload");
}

#[tokio::test]
async fn json_becomes_the_same_protobuf_and_is_answered_in_json() {
    let server = Server::plain().await;
    let trace_id = "01".repeat(16);
    let json = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{trace_id}",
        "spanId":"0101010101010101","name":"span 0","unknown":[1]}}]}}]}}]}}"#
    );
    for headers in [
        &[JSON][..],
        &[("content-type", "Application/JSON; charset=UTF-8")],
        &[JSON, ("content-encoding", "gzip")],
    ] {
        let zipped = headers.len() > 1;
        let body = if zipped { gzip(json.as_bytes()) } else { json.clone().into() };
        let response = send(&server, post("/v1/traces", body, headers)).await;
        assert_eq!((response.status().as_u16(), &response.body()[..]), (200, &b"{}"[..]));
        assert_eq!(response.headers()["content-type"], "application/json");
    }
    let records = server.journal.records();
    assert_eq!(records.len(), 3);
    let decode = |bytes: &[u8]| {
        opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest::decode(bytes)
    };
    for record in records {
        assert_eq!(decode(&record.payload).unwrap(), traces(1));
    }
    let envelope = send(&server, post("/v1/traces", "{}", &[JSON])).await;
    assert_eq!((envelope.status().as_u16(), &envelope.body()[..]), (200, &b"{}"[..]));
}

#[tokio::test]
async fn broken_json_is_a_bad_request_with_its_place() {
    let server = Server::plain().await;
    for body in ["{", "[]", "{}x", r#"{"resourceSpans":7}"#, "\u{feff}{}"] {
        let response = send(&server, post("/v1/traces", body, &[JSON])).await;
        assert_eq!(response.status(), 400, "{body}");
        let status: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(status["code"], 3, "{body}");
        assert!(status["message"].as_str().unwrap().contains("line 1"), "{status}");
    }
    let path = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":"SERVER"}]}]}]}"#;
    let response = send(&server, post("/v1/traces", path, &[JSON])).await;
    let status: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    let field = &status["details"][0]["fieldViolations"][0]["field"];
    assert_eq!(field, "resourceSpans[0].scopeSpans[0].spans[0].kind");
}

#[tokio::test]
async fn json_of_another_signal_is_a_bad_request_and_snake_case_is_understood() {
    let server = Server::plain().await;
    let span = r#"{"trace_id":"0102030405060708090a0b0c0d0e0f10","span_id":"0102030405060708"}"#;
    let snake = format!(r#"{{"resource_spans":[{{"scope_spans":[{{"spans":[{span}]}}]}}]}}"#);
    for (body, expected) in [
        (r#"{"resourceLogs":[{}]}"#, 400),
        (r#"{"resource_logs":[]}"#, 400),
        (r#"{"later":1,"resourceSpans":[]}"#, 200),
        ("{}", 200),
        (&snake, 200),
    ] {
        let response = send(&server, post("/v1/traces", body.to_owned(), &[JSON])).await;
        assert_eq!(response.status(), expected, "{body}");
        let said = String::from_utf8_lossy(response.body());
        assert_eq!(said.contains("the body of another signal?"), expected == 400, "{said}");
    }
    let items: Vec<_> = server.journal.records().iter().map(|record| record.items).collect();
    assert_eq!(items, [1]);
}

#[tokio::test]
async fn json_that_grows_beyond_the_limit_is_413_and_below_it_is_taken() {
    let bounds = "0,".repeat(10_000);
    let json = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"m","histogram":
        {{"dataPoints":[{{"explicitBounds":[{bounds}0]}}]}}}}]}}]}}]}}"#
    );
    let large = Server::start(|listener, _| listener.message_bytes_max = 100_000).await;
    assert_eq!(send(&large, post("/v1/metrics", json.clone(), &[JSON])).await.status(), 200);
    assert!(large.journal.records()[0].payload.len() > 80_000);
    let small = Server::start(|listener, _| listener.message_bytes_max = 50_000).await;
    assert_eq!(send(&small, post("/v1/metrics", json, &[JSON])).await.status(), 413);
    assert_eq!((large.in_flight.used(), small.in_flight.used()), (0, 0));
}

#[tokio::test]
async fn an_empty_json_body_has_a_defined_answer() {
    let server = Server::plain().await;
    let response = send(&server, post("/v1/traces", "", &[JSON])).await;
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()["content-type"], "application/json");
    let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(body["code"], 3);
}
