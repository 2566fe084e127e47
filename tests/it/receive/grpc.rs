//! Catalogue rows "gRPC" and, over gRPC, "Wire and framing".

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use prost::Message as _;
use sidelight_agent::journal::AppendError;
use sidelight_agent::signal::Signal;
use sidelight_agent::telemetry::desc;
use tonic::codec::CompressionEncoding;

use super::{Server, TRACES, call, framed, gzip, h2c, post, send, traces, traces_bytes};

fn metrics() -> ExportMetricsServiceRequest {
    let point = NumberDataPoint {
        time_unix_nano: 1,
        value: Some(number_data_point::Value::AsDouble(1.5)),
        ..NumberDataPoint::default()
    };
    let data = metric::Data::Gauge(Gauge { data_points: vec![point.clone(), point] });
    let metric = Metric { name: "m".into(), data: Some(data), ..Metric::default() };
    let scope = ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() };
    let resource = ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![resource] }
}

fn logs() -> ExportLogsServiceRequest {
    let record = LogRecord { time_unix_nano: 1, ..LogRecord::default() };
    let scope = ScopeLogs { log_records: vec![record], ..ScopeLogs::default() };
    let resource = ResourceLogs { scope_logs: vec![scope], ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![resource] }
}

#[tokio::test]
async fn a_tonic_client_reaches_the_three_services_with_every_compression() {
    let server = Server::plain().await;
    let address = format!("http://{}", server.address());
    let channel = tonic::transport::Endpoint::new(address).unwrap().connect().await.unwrap();
    let mut sent = Vec::new();
    for compression in [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)] {
        let mut trace_client = TraceServiceClient::new(channel.clone());
        let mut metrics_client = MetricsServiceClient::new(channel.clone());
        let mut logs_client = LogsServiceClient::new(channel.clone());
        if let Some(compression) = compression {
            trace_client = trace_client.send_compressed(compression);
            metrics_client = metrics_client.send_compressed(compression);
            logs_client = logs_client.send_compressed(compression);
        }
        let answer = trace_client.export(traces(3)).await.unwrap().into_inner();
        assert_eq!(answer.partial_success, None);
        sent.push((Signal::Traces, 3, traces_bytes(3)));
        metrics_client.export(metrics()).await.unwrap();
        sent.push((Signal::Metrics, 2, metrics().encode_to_vec()));
        logs_client.export(logs()).await.unwrap();
        sent.push((Signal::Logs, 1, logs().encode_to_vec()));
    }
    let records = server.journal.records();
    let received: Vec<_> =
        records.iter().map(|r| (r.signal, r.items, r.payload.to_vec())).collect();
    assert_eq!(received, sent);
    assert_eq!(server.count(&desc::RECEIVER_ACCEPTED_SPANS, &["otlp", "grpc"]), 9);
    assert_eq!(server.in_flight.used(), 0);
}

#[tokio::test]
async fn a_request_larger_than_every_window_arrives_whole() {
    let server = Server::plain().await;
    let mut request = traces(1);
    request.resource_spans[0].schema_url = "x".repeat(9 << 20);
    let address = format!("http://{}", server.address());
    let mut client = TraceServiceClient::connect(address).await.unwrap();
    client.export(request.clone()).await.unwrap();
    assert_eq!(server.journal.records()[0].payload, request.encode_to_vec());
}

#[tokio::test]
async fn an_empty_request_of_each_service_succeeds_without_partial_success() {
    let server = Server::plain().await;
    let mut sender = h2c(server.connect().await).await;
    for service in ["trace.v1.Trace", "metrics.v1.Metrics", "logs.v1.Logs"] {
        let path = format!("/opentelemetry.proto.collector.{service}Service/Export");
        for body in [&b""[..], b"\x0a\x00", b"\x0a\x02\x12\x00"] {
            let answer = call(&mut sender, &path, framed(false, body), &[]).await;
            assert_eq!((answer.code, &answer.message[..]), (0, &[0; 5][..]), "{path}");
        }
    }
    assert_eq!(server.journal.records().len(), 0, "nothing to keep");
}

#[tokio::test]
async fn profiles_are_taken_as_they_are() {
    let server = Server::plain().await;
    let mut sender = h2c(server.connect().await).await;
    let path = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export";
    // resource_profiles { scope_profiles { profiles {} } }
    let body = b"\x0a\x04\x12\x02\x12\x00";
    assert_eq!(call(&mut sender, path, framed(false, body), &[]).await.code, 0);
    let records = server.journal.records();
    assert_eq!((records[0].signal, &records[0].payload[..]), (Signal::Profiles, &body[..]));
    // A dictionary alone counts no profile: like an empty request of any signal, it is nothing to deliver.
    assert_eq!(call(&mut sender, path, framed(false, b"\x12\x02\x2a\x00"), &[]).await.code, 0);
    assert_eq!(server.journal.records().len(), 1);
}

#[tokio::test]
async fn one_byte_above_the_limit_is_exhausted_for_good() {
    let body = traces_bytes(3);
    let limit = body.len() - 1;
    let server = Server::start(|listener, _| listener.message_bytes_max = limit).await;
    let mut sender = h2c(server.connect().await).await;
    for (message, encoding) in [
        (framed(false, &body), "identity"),
        (framed(true, &gzip(&body)), "gzip"),
        (framed(true, &zstd::bulk::compress(&body, 1).unwrap()), "zstd"),
    ] {
        let answer = call(&mut sender, TRACES, message, &[("grpc-encoding", encoding)]).await;
        assert_eq!((answer.code, answer.details.code), (8, 8), "{encoding}");
        assert!(answer.details.kinds().is_empty(), "{encoding}: without RetryInfo");
    }
    assert_eq!(server.journal.records().len(), 0);
    assert_eq!(server.refused_by_limit("message_bytes"), 3);
    assert_eq!(server.in_flight.used(), 0);
}

#[tokio::test]
async fn a_health_request_that_holds_more_than_a_name_is_refused_at_its_header() {
    let server = Server::plain().await;
    let mut sender = h2c(server.connect().await).await;
    for method in ["Check", "Watch"] {
        let path = format!("/grpc.health.v1.Health/{method}");
        let long = framed(false, &[&[0x0a, 0xfe, 0x07][..], &[b'x'; 1022]].concat());
        let answer = call(&mut sender, &path, long.clone(), &[]).await;
        assert_eq!((answer.code, answer.details.code), (8, 8), "{method}");
        // Of one above the limit, nothing but its header is waited for.
        let answer = call(&mut sender, &path, long[..100].to_vec(), &[]).await;
        assert_eq!(answer.code, 8, "{method}");
    }
    assert_eq!(server.refused_by_limit("message_bytes"), 4);
    assert_eq!(server.in_flight.used(), 0);
}

#[tokio::test]
async fn grpc_over_http_1_is_no_success_to_who_reads_the_http_status() {
    let server = Server::plain().await;
    let message = framed(false, &traces_bytes(1));
    let headers = [("content-type", "application/grpc")];
    let response = send(&server, post(TRACES, message, &headers)).await;
    assert_eq!(response.status(), 415);
    assert_eq!(response.headers()["grpc-status"], "12");
}

#[tokio::test]
async fn garbage_is_an_invalid_argument_that_says_where() {
    let server = Server::plain().await;
    let mut sender = h2c(server.connect().await).await;
    for body in [
        framed(false, b"\xff\xff\xff"),
        framed(false, b"\x0a\x05abc"),
        framed(false, b"\x08\x01"),
        framed(true, &gzip(&traces_bytes(1))[..20]),
        framed(true, &traces_bytes(1)),
        framed(false, &traces_bytes(1))[..9].to_vec(),
        [framed(false, b""), framed(false, b"")].concat(),
        vec![7, 0, 0, 0, 0],
        Vec::new(),
    ] {
        let answer = call(&mut sender, TRACES, body.clone(), &[("grpc-encoding", "gzip")]).await;
        assert_eq!(answer.code, 3, "{body:?}");
        assert_eq!(answer.details.kinds(), ["BadRequest"], "{body:?}");
    }
    let compressed_without_encoding = framed(true, &gzip(&traces_bytes(1)));
    assert_eq!(call(&mut sender, TRACES, compressed_without_encoding, &[]).await.code, 3);
    assert_eq!(server.journal.records().len(), 0);
}

#[tokio::test]
async fn another_signals_body_is_an_invalid_argument() {
    let server = Server::plain().await;
    let mut sender = h2c(server.connect().await).await;
    let path = |name: &str| format!("/opentelemetry.proto.collector.{name}Service/Export");
    for (service, body) in [
        ("trace.v1.Trace", logs().encode_to_vec()),
        ("trace.v1.Trace", metrics().encode_to_vec()),
        ("metrics.v1.Metrics", traces_bytes(2)),
        ("metrics.v1.Metrics", logs().encode_to_vec()),
        ("logs.v1.Logs", traces_bytes(2)),
        ("logs.v1.Logs", metrics().encode_to_vec()),
    ] {
        let answer = call(&mut sender, &path(service), framed(false, &body), &[]).await;
        assert_eq!(answer.code, 3, "{service}");
    }
}

#[tokio::test]
async fn unknown_methods_and_encodings_are_unimplemented() {
    let server = Server::plain().await;
    let mut sender = h2c(server.connect().await).await;
    let body = framed(false, &traces_bytes(1));
    for path in [
        "/opentelemetry.proto.collector.trace.v1.TraceService/Import",
        "/opentelemetry.proto.collector.trace.v2.TraceService/Export",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/v1/traces",
    ] {
        assert_eq!(call(&mut sender, path, body.clone(), &[]).await.code, 12, "{path}");
    }
    let answer = call(&mut sender, TRACES, body.clone(), &[("grpc-encoding", "snappy")]).await;
    assert_eq!(answer.code, 12);
    assert_eq!(answer.headers["grpc-accept-encoding"], "gzip,zstd,identity");
    let answer = call(&mut sender, TRACES, body, &[("grpc-encoding", "")]).await;
    assert_eq!(answer.code, 0, "an empty value is identity");
}

#[tokio::test]
async fn a_journal_that_is_full_failing_or_closing_is_unavailable_with_a_delay() {
    let disk = AppendError::Disk(std::io::Error::from_raw_os_error(5).into());
    for (error, reason) in
        [(AppendError::Full, "queue_full"), (disk, "disk"), (AppendError::Closing, "draining")]
    {
        let server = Server::plain().await;
        server.journal.refuse(error);
        let mut sender = h2c(server.connect().await).await;
        let answer = call(&mut sender, TRACES, framed(false, &traces_bytes(4)), &[]).await;
        assert_eq!((answer.code, answer.details.kinds()), (14, vec!["RetryInfo"]), "{reason}");
        let refused = server.count(&desc::RECEIVER_REFUSED_SPANS, &["otlp", "grpc", reason]);
        assert_eq!(refused, 4, "{reason}");
    }
}

#[tokio::test]
async fn the_deadline_of_the_sender_is_kept() {
    let server = Server::plain().await;
    let _gate = server.journal.hold();
    let mut sender = h2c(server.connect().await).await;
    let body = framed(false, &traces_bytes(1));
    let answer = call(&mut sender, TRACES, body, &[("grpc-timeout", "20m")]).await;
    assert_eq!(answer.code, 4);
    assert_eq!(server.in_flight.used(), 0);
}

#[tokio::test]
async fn health_is_answered_for_the_server_and_each_service() {
    let server = Server::plain().await;
    let mut sender = h2c(server.connect().await).await;
    let name = "opentelemetry.proto.collector.trace.v1.TraceService";
    let named = [&[0x0a, u8::try_from(name.len()).unwrap()], name.as_bytes()].concat();
    for request in [&b""[..], &named] {
        let answer =
            call(&mut sender, "/grpc.health.v1.Health/Check", framed(false, request), &[]).await;
        assert_eq!((answer.code, &answer.message[..]), (0, &[0, 0, 0, 0, 2, 8, 1][..]));
    }
    // Channels that compress by default compress this, too.
    let zipped = framed(true, &gzip(&named));
    let headers = [("grpc-encoding", "gzip")];
    let answer = call(&mut sender, "/grpc.health.v1.Health/Check", zipped, &headers).await;
    assert_eq!((answer.code, &answer.message[..]), (0, &[0, 0, 0, 0, 2, 8, 1][..]));
    let bomb = framed(true, &gzip(&vec![0; 100 << 10]));
    let answer = call(&mut sender, "/grpc.health.v1.Health/Check", bomb, &headers).await;
    assert_eq!((answer.code, server.in_flight.used()), (8, 0));
    let unknown = framed(false, b"\x0a\x03foo");
    assert_eq!(call(&mut sender, "/grpc.health.v1.Health/Check", unknown, &[]).await.code, 5);
    server.handle.set_serving(false);
    let answer = call(&mut sender, "/grpc.health.v1.Health/Check", framed(false, b""), &[]).await;
    assert_eq!((answer.code, &answer.message[..]), (0, &[0, 0, 0, 0, 2, 8, 2][..]));
}
