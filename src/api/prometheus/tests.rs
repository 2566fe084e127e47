//! The Prometheus API over a real socket, with a store of a few series.

use std::cell::Cell;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use expect_test::{Expect, expect};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use sidelight_promql::engine::{Options, Stop};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{ROUTES, exposition, federate};
use crate::api::call::Call;
use crate::api::failure::Failure;
use crate::api::params::Params;
use crate::api::route::Answer;
use crate::api::tests::{Running, ask, sources, start_with, text};
use crate::store::{Classic, Config, Deps, Kind, Metadata, MetricKind, Store};
use crate::telemetry::exposition::Format;
use crate::telemetry::{Exposition, Registry, desc};
use crate::time::SystemClock;

/// 2026-11-21T00:00:00Z.
const T: i64 = 1_795_219_200_000;

fn store(directory: &std::path::Path) -> Store {
    let deps = Deps { clock: Arc::new(SystemClock::new()), registry: Registry::default() };
    let (store, mut writer, _) = Store::open(Config::new(directory.into()), deps).unwrap();
    writer.set_now(T);
    let up = [("__name__", "up"), ("job", "shop \"é\"")];
    let up = writer.series(&up, Kind::Float);
    writer.append(up, T, 1.5).unwrap();
    writer.append(up, T + 15_000, f64::INFINITY).unwrap();
    let requests = writer.series(&[("__name__", "requests_total"), ("job", "shop")], Kind::Float);
    writer.append(requests, T, 3.0).unwrap();
    let sizes = writer.series(&[("__name__", "sizes"), ("größe", "10")], Kind::Float);
    writer.append(sizes, T, 1.0).unwrap();
    let seconds = writer.series(&[("__name__", "seconds"), ("job", "shop")], Kind::Classic);
    let value = Classic { bounds: &[0.5, 1.0], counts: &[1, 2, 3], sum: Some(9.5), count: 6 };
    writer.append_classic(seconds, T, &value).unwrap();
    for (family, kind) in
        [("requests_total", MetricKind::Counter), ("seconds", MetricKind::Histogram)]
    {
        let metadata = Metadata { kind, help: "Help.".to_owned(), unit: "s".to_owned() };
        writer.describe(family, metadata);
    }
    store
}

async fn started(directory: &tempfile::TempDir) -> Running {
    start_with(|_| {}, None, Some(store(directory.path()))).await
}

async fn check(running: &Running, path: &str, expected: Expect) {
    let (status, _, body) = ask(&running.api, &format!("GET {path}"), "").await;
    expected.assert_eq(&format!("{status} {}", text(body)));
}

#[tokio::test]
async fn a_query_is_answered_in_prometheus_envelope() {
    let directory = tempfile::tempdir().unwrap();
    let running = started(&directory).await;
    check(&running, "/api/v1/query?query=up&time=1795219200", expect![[r#"200 {"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"shop \"é\""},"value":[1795219200,"1.5"]}]}}"#]]).await;
    check(
        &running,
        "/api/v1/query?query=1%2B1&time=4",
        expect![[r#"200 {"status":"success","data":{"resultType":"scalar","result":[4,"2"]}}"#]],
    )
    .await;
    check(&running, "/api/v1/query_range?query=up&start=1795219200&end=1795219220.5&step=15s", expect![[r#"200 {"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"up","job":"shop \"é\""},"values":[[1795219200,"1.5"],[1795219215,"+Inf"]]}]}}"#]]).await;
    check(&running, "/api/v1/query?query=seconds_bucket&time=1795219200&limit=1", expect![[r#"200 {"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"seconds_bucket","job":"shop","le":"+Inf"},"value":[1795219200,"6"]}]},"warnings":["results truncated due to limit"]}"#]]).await;
    check(&running, "/api/v1/query?query=rate(up[1m])&time=1795219215", expect![[r#"200 {"status":"success","data":{"resultType":"vector","result":[{"metric":{"job":"shop \"é\""},"value":[1795219215,"+Inf"]}]},"infos":["PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"up\" (1:6)"]}"#]]).await;
}

#[tokio::test]
async fn an_answer_over_a_day_whose_file_is_damaged_has_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    drop(store(directory.path()));
    std::fs::write(directory.path().join("metrics-20261119.db"), [0x5a; 5000]).unwrap();
    let running = started(&directory).await;
    let asked = "/api/v1/query_range?query=up&step=1h&end=1795219215&start=";
    check(&running, &format!("{asked}1795136400"), expect![[r#"200 {"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"up","job":"shop \"é\""},"values":[[1795219200,"1.5"]]}]}}"#]]).await;
    check(&running, &format!("{asked}1795046400"), expect![[r#"200 {"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"up","job":"shop \"é\""},"values":[[1795219200,"1.5"]]}]},"warnings":["without what damaged files of the store held: metrics-20261119.db.corrupt-1 (not an SQLite file)"]}"#]]).await;
}

#[tokio::test]
async fn a_range_of_one_step_is_a_matrix_whatever_it_is_of() {
    let directory = tempfile::tempdir().unwrap();
    let running = started(&directory).await;
    for query in ["1", "time()"] {
        check(
            &running,
            &format!("/api/v1/query_range?query={query}&start=1&end=2&step=60"),
            expect![[r#"200 {"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"]]}]}}"#]],
        )
        .await;
    }
    check(&running, "/api/v1/query_range?query=%22a%22&start=1&end=2&step=60", expect![[r#"400 {"error":"invalid parameter \"query\": invalid expression type \"string\" for range query, must be Scalar or instant Vector","errorType":"bad_data","status":"error"}"#]]).await;
}

#[tokio::test]
async fn what_was_not_there_yet_is_not_listed() {
    let directory = tempfile::tempdir().unwrap();
    let running = started(&directory).await;
    let nothing = r#"200 {"status":"success","data":[]}"#;
    for path in ["series?match[]=up&", "labels?", "label/job/values?"] {
        let path = format!("/api/v1/{path}start=1&end=2");
        let (status, _, body) = ask(&running.api, &format!("GET {path}"), "").await;
        assert_eq!(format!("{status} {}", text(body)), nothing, "{path}");
    }
    let path = "/api/v1/label/job/values?start=1795219200&end=1795219200";
    check(&running, path, expect![[r#"200 {"status":"success","data":["shop","shop \"é\""]}"#]])
        .await;
}

#[tokio::test]
async fn what_cannot_be_answered_says_why_with_prometheus_status() {
    let directory = tempfile::tempdir().unwrap();
    let running = started(&directory).await;
    check(&running, "/api/v1/query?query=up{", expect![[r#"400 {"error":"invalid parameter \"query\": 1:4: parse error: unexpected end of input inside braces","errorType":"bad_data","status":"error"}"#]]).await;
    check(&running, "/api/v1/query?query=up&time=soon", expect![[r#"400 {"error":"invalid parameter \"time\": cannot parse \"soon\" to a valid timestamp","errorType":"bad_data","status":"error"}"#]]).await;
    check(&running, "/api/v1/query_range?query=up&start=2&end=1&step=1", expect![[r#"400 {"error":"invalid parameter \"end\": end timestamp must not be before start time","errorType":"bad_data","status":"error"}"#]]).await;
    check(&running, "/api/v1/query_range?query=up&start=0&end=20000&step=1", expect![[r#"400 {"error":"exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)","errorType":"bad_data","status":"error"}"#]])
        .await;
    check(&running, "/api/v1/query_range?query=up&start=0&end=1&step=0", expect![[r#"400 {"error":"invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer","errorType":"bad_data","status":"error"}"#]]).await;
    check(
        &running,
        "/api/v1/query?query=up%2Bon(job)group_left()up&time=1795219200&timeout=x",
        expect![[r#"400 {"error":"invalid parameter \"timeout\": cannot parse \"x\" to a valid duration","errorType":"bad_data","status":"error"}"#]],
    )
    .await;
    check(&running, "/api/v1/series", expect![[r#"400 {"error":"no match[] parameter provided","errorType":"bad_data","status":"error"}"#]]).await;
    check(&running, "/api/v1/series?match[]={}", expect![[r#"400 {"error":"invalid parameter \"match[]\": match[] must contain at least one non-empty matcher","errorType":"bad_data","status":"error"}"#]]).await;
    check(&running, "/api/v1/labels?match[]={}", expect![[r#"400 {"error":"match[] must contain at least one non-empty matcher","errorType":"bad_data","status":"error"}"#]]).await;
    check(&running, "/api/v1/query?query=1&timeout=0", expect![[r#"503 {"error":"query timed out in query execution","errorType":"timeout","status":"error"}"#]]).await;
    check(&running, "/api/v1/labels?limit=-1", expect![[r#"400 {"error":"invalid parameter \"limit\": limit must be a number, 0 or more","errorType":"bad_data","status":"error"}"#]]).await;
    check(
        &running,
        "/api/v1/query?query=label_replace(up,%22a%22,%22%22,%22b%22,%22(%22)&time=1795219200",
        expect![[r#"422 {"error":"invalid regular expression in label_replace(): (","errorType":"execution","status":"error"}"#]],
    )
    .await;
}

#[tokio::test]
async fn what_is_stored_is_listed() {
    let directory = tempfile::tempdir().unwrap();
    let running = started(&directory).await;
    check(
        &running,
        "/api/v1/labels",
        expect![[r#"200 {"status":"success","data":["__name__","größe","job","le"]}"#]],
    )
    .await;
    check(&running, "/api/v1/label/__name__/values", expect![[r#"200 {"status":"success","data":["requests_total","seconds_bucket","seconds_count","seconds_sum","sizes","up"]}"#]]).await;
    check(
        &running,
        "/api/v1/label/U__job/values?match[]=up",
        expect![[r#"200 {"status":"success","data":["shop \"é\""]}"#]],
    )
    .await;
    check(
        &running,
        "/api/v1/label/%6Ao%62/values?match[]=up",
        expect![[r#"200 {"status":"success","data":["shop \"é\""]}"#]],
    )
    .await;
    check(
        &running,
        "/api/v1/label/gr%C3%B6%C3%9Fe/values",
        expect![[r#"200 {"status":"success","data":["10"]}"#]],
    )
    .await;
    for name in ["gr%C3", "%4", "%zz"] {
        let asked = format!("GET /api/v1/label/{name}/values");
        assert_eq!(ask(&running.api, &asked, "").await.0, 400, "{name}");
    }
    check(
        &running,
        "/api/v1/series?match[]=%7Bjob=%22shop%22%7D&start=0&end=1795219300&limit=2",
        expect![[r#"200 {"status":"success","data":[{"__name__":"requests_total","job":"shop"},{"__name__":"seconds_bucket","job":"shop","le":"0.5"}],"warnings":["results truncated due to limit"]}"#]],
    )
    .await;
    check(&running, "/api/v1/metadata?metric=seconds", expect![[r#"200 {"status":"success","data":{"seconds":[{"help":"Help.","type":"histogram","unit":"s"}]}}"#]]).await;
    check(
        &running,
        "/api/v1/query_exemplars?query=test&start=1795219200000&end=1795219300000",
        expect![[r#"200 {"status":"success","data":[]}"#]],
    )
    .await;
    check(&running, "/api/v1/status/buildinfo", expect![[r#"200 {"status":"success","data":{"branch":"","buildDate":"","buildUser":"","goVersion":"","revision":"sidelight-0.1.0","version":"3.15.0"}}"#]]).await;
    check(
        &running,
        "/api/v1/format_query?query=sum%20by(job)(up)",
        expect![[r#"200 {"status":"success","data":"sum by (job) (up)"}"#]],
    )
    .await;
    check(
        &running,
        "/api/v1/parse_query?query=up%20offset%205m%20%3E%20bool%201",
        expect![[r#"200 {"status":"success","data":{"bool":true,"lhs":{"anchored":false,"matchers":[{"name":"__name__","type":"=","value":"up"}],"name":"up","offset":300000,"offsetExpr":null,"smoothed":false,"startOrEnd":null,"timestamp":null,"type":"vectorSelector"},"matching":null,"op":">","rhs":{"type":"numberLiteral","val":"1"},"type":"binaryExpr"}}"#]],
    )
    .await;
    check(
        &running,
        "/api/v1/parse_query?query=up%5Bmax_of(5m,step()*2)%5D%20offset%20-(5m)",
        expect![[r#"200 {"status":"success","data":{"anchored":false,"matchers":[{"name":"__name__","type":"=","value":"up"}],"name":"up","offset":0,"offsetExpr":{"lhs":null,"op":"-","rhs":{"lhs":null,"op":"+","rhs":{"duration":true,"type":"numberLiteral","val":"300"},"type":"durationExpr","wrapped":true},"type":"durationExpr","wrapped":false},"range":0,"rangeExpr":{"lhs":{"duration":true,"type":"numberLiteral","val":"300"},"op":"max_of","rhs":{"lhs":{"lhs":null,"op":"step","rhs":null,"type":"durationExpr","wrapped":false},"op":"*","rhs":{"duration":false,"type":"numberLiteral","val":"2"},"type":"durationExpr","wrapped":false},"type":"durationExpr","wrapped":false},"smoothed":false,"startOrEnd":null,"timestamp":null,"type":"matrixSelector"}}"#]],
    )
    .await;
    check(
        &running,
        "/api/v1/parse_query?query=up%5B5m:step()%5D%20offset%20%2Bstep()",
        expect![[r#"200 {"status":"success","data":{"expr":{"anchored":false,"matchers":[{"name":"__name__","type":"=","value":"up"}],"name":"up","offset":0,"offsetExpr":null,"smoothed":false,"startOrEnd":null,"timestamp":null,"type":"vectorSelector"},"offset":0,"offsetExpr":{"lhs":null,"op":"+","rhs":{"lhs":null,"op":"step","rhs":null,"type":"durationExpr","wrapped":false},"type":"durationExpr","wrapped":false},"range":300000,"rangeExpr":null,"startOrEnd":null,"step":0,"stepExpr":{"lhs":null,"op":"step","rhs":null,"type":"durationExpr","wrapped":false},"timestamp":null,"type":"subquery"}}"#]],
    )
    .await;
    check(&running, "/api/v1/query?query=up%5B5m:step()%5D", expect![[r#"400 {"error":"invalid parameter \"query\": 6:12: duration must be greater than 0","errorType":"bad_data","status":"error"}"#]]).await;
}

#[tokio::test]
async fn a_form_asks_as_a_query_string_does() {
    let directory = tempfile::tempdir().unwrap();
    let running = started(&directory).await;
    let form = "query=up%20%2B%201&time=1795219200";
    let headers = format!(
        "content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    );
    let (status, _, body) = ask(&running.api, "POST /api/v1/query", &headers).await;
    assert_eq!(status, 200);
    assert!(text(body).ends_with(r#""value":[1795219200,"2.5"]}]}}"#));
}

#[tokio::test]
async fn a_form_of_parts_is_refused_and_not_taken_for_empty() {
    let directory = tempfile::tempdir().unwrap();
    let running = started(&directory).await;
    let headers = "content-type: Multipart/Form-Data; boundary=x\r\ncontent-length: 0\r\n";
    let (status, _, body) = ask(&running.api, "POST /api/v1/query", headers).await;
    expect![[r#"400 {"error":"multipart/form-data is not read: send application/x-www-form-urlencoded","errorType":"bad_data","status":"error"}"#]]
        .assert_eq(&format!("{status} {}", text(body)));
}

#[tokio::test]
async fn a_subquery_without_a_step_has_the_one_of_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let running = started(&directory).await;
    for (path, times, expected) in [
        ("query", "time=1795219200", r#""value":[1795219200,"20"]"#),
        (
            "query_range",
            "start=1795219200&end=1795219201&step=5",
            r#""values":[[1795219200,"20"]]"#,
        ),
    ] {
        let asked = format!("GET /api/v1/{path}?query=count_over_time(vector(1)[5m:])&{times}");
        let (status, _, body) = ask(&running.api, &asked, "").await;
        let body = text(body);
        assert!(status == 200 && body.contains(expected), "{path}: {status} {body}");
    }
}

#[tokio::test]
async fn lists_of_a_time_that_ends_before_it_begins_are_empty() {
    let directory = tempfile::tempdir().unwrap();
    let running = started(&directory).await;
    for path in ["series?match[]=up&", "labels?", "label/job/values?"] {
        let asked = format!("GET /api/v1/{path}start=1795219210&end=1795219200");
        let (status, _, body) = ask(&running.api, &asked, "").await;
        let said = format!("{status} {}", text(body));
        assert_eq!(said, r#"200 {"status":"success","data":[]}"#, "{path}");
    }
    check(&running, "/api/v1/query_exemplars?query=up&start=2&end=1", expect![[r#"400 {"error":"end timestamp must not be before start timestamp","errorType":"bad_data","status":"error"}"#]]).await;
}

#[tokio::test]
async fn limits_of_metadata_are_numbers_and_negative_ones_are_none() {
    let directory = tempfile::tempdir().unwrap();
    let running = started(&directory).await;
    for name in ["limit", "limit_per_metric"] {
        for (of, expected) in [("abc", 400), ("-x", 400), ("1.5", 400), ("-1", 200), ("1", 200)] {
            let asked = format!("GET /api/v1/metadata?{name}={of}");
            let (status, _, body) = ask(&running.api, &asked, "").await;
            assert_eq!(status, expected, "{asked}");
            let said = text(body).contains(&format!(r#""error":"{name} must be a number""#));
            assert_eq!(said, expected == 400, "{asked}");
        }
    }
}

#[tokio::test]
async fn without_a_store_the_api_says_that_there_is_none() {
    let running = start_with(|_| {}, None, None).await;
    check(&running, "/api/v1/query?query=up", expect![[r#"503 {"error":"no metrics are kept here: store.enabled is false","errorType":"unavailable","status":"error"}"#]]).await;
}

/// The paths whose handlers walk over series and read no samples.
const SHORT: &[&str] = &["/api/v1/status/runtimeinfo", "/api/v1/status/tsdb"];

#[tokio::test]
async fn every_long_read_ends_when_its_client_has_gone() {
    let directory = tempfile::tempdir().unwrap();
    let (sources, _control) = sources(Some(store(directory.path())));
    let store = (sources.store)().unwrap();
    let query = "query=sum(up)&match[]=up&start=1795219000&end=1795219300&step=15&time=1795219300";
    let params = Params::new(Some(query), b"");
    let mut ended = 0;
    for route in ROUTES.iter().filter(|route| !SHORT.contains(&route.path)) {
        let Answer::Query(handler) = route.answer else { continue };
        for (stop, expected) in [(Stop::Canceled, "canceled"), (Stop::Timeout, "timeout")] {
            let asked = Cell::new(0);
            let stop = || {
                asked.set(asked.get() + 1);
                Some(stop)
            };
            let (now, sources, store, params) =
                (sources.clock.unix_nano(), &sources, &store, &params);
            let (path, open, headers) = (route.path, "job", &HeaderMap::new());
            let call = Call { sources, store, params, headers, path, open, now, stop: &stop };
            let said = match handler(&call) {
                Err(Failure::Canceled(_)) => "canceled",
                Err(Failure::Timeout(_)) => "timeout",
                Err(other) => panic!("{path}: {other}"),
                Ok(_) => "answered",
            };
            assert_eq!(said, expected, "{path}");
            assert!(asked.get() > 0, "{path}");
        }
        ended += 1;
    }
    assert_eq!(ended, 7);
}

/// The content type and page of a federation.
async fn federated(query: Option<&str>, accept: &'static str) -> (String, String) {
    let directory = tempfile::tempdir().unwrap();
    let (sources, _control) = sources(Some(store(directory.path())));
    let store = &(sources.store)().unwrap();
    let at = crate::time::UnixNano((T + 60_000).unsigned_abs() * 1_000_000);
    let (sources, params) = (&sources, &Params::new(query, b""));
    let headers = &HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
    let (path, open, stop) = ("/federate", "", &|| None);
    let call = Call { sources, store, params, headers, path, open, now: at, stop };
    let response = federate::federate(&call).unwrap().into_response(None);
    let content_type = response.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    (content_type, text(body.to_vec()))
}

#[tokio::test]
async fn federated_samples_have_the_time_that_they_were_taken_at() {
    let query = "match[]=up&match[]=requests_total&match[]=seconds_sum";
    let (content_type, body) = federated(Some(query), "").await;
    assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
    expect![[r#"
        # TYPE requests_total untyped
        requests_total{job="shop",instance=""} 3 1795219200000
        # TYPE seconds_sum untyped
        seconds_sum{job="shop",instance=""} 9.5 1795219200000
        # TYPE up untyped
        up{job="shop \"é\"",instance=""} +Inf 1795219215000
    "#]]
    .assert_eq(&body);
}

#[tokio::test]
async fn a_federation_has_its_names_as_they_are_asked_for_and_no_series_without_a_selector() {
    let scrape =
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;q=0.3";
    for (accept, escaping, label) in [
        ("*/*", "underscores", "gr__e"),
        (scrape, "allow-utf-8", "\"größe\""),
        ("text/plain;escaping=values", "values", "U__gr_f6__df_e"),
    ] {
        let (content_type, body) = federated(Some("match[]=sizes"), accept).await;
        assert_eq!(
            content_type,
            format!("text/plain; version=0.0.4; charset=utf-8; escaping={escaping}")
        );
        let line = format!("sizes{{{label}=\"10\",instance=\"\"}} 1 1795219200000\n");
        assert_eq!(body, format!("# TYPE sizes untyped\n{line}"));
    }
    let (content_type, body) = federated(None, "").await;
    assert!(content_type.starts_with("text/plain") && body.is_empty(), "{content_type} {body}");
}

#[tokio::test]
async fn stored_series_are_not_exposed_for_a_client_that_has_gone() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let at = crate::time::UnixNano(T.unsigned_abs() * 1_000_000);
    let mut out = Exposition::new(Format::Text);
    exposition::expose(&store, at, Options::default(), &mut out).unwrap();
    assert!(out.finish().contains("requests_total"));
    let mut out = Exposition::new(Format::Text);
    let options = Options { stop: &|| Some(Stop::Canceled), ..Options::default() };
    let stopped = exposition::expose(&store, at, options, &mut out);
    assert!(stopped.is_err() && !out.finish().contains("requests_total"));
}

#[tokio::test]
async fn a_client_that_goes_ends_its_read_and_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let running = started(&directory).await;
    let (begun, has_begun) = mpsc::sync_channel(1);
    let (go_on, may_go_on) = mpsc::sync_channel::<()>(1);
    let may_go_on = std::sync::Mutex::new(may_go_on);
    running.registry.collect(move |_| {
        let _test_is_over = begun.send(());
        let _sender_gone = may_go_on.lock().unwrap().recv();
    });
    let mut client = TcpStream::connect(running.api.address()).await.unwrap();
    client.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    tokio::task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();
    drop(client);
    let gone = running.registry.counter(&desc::API_REQUESTS, &["/metrics", "499"]);
    let seen = async {
        while gone.get() == 0 {
            tokio::task::yield_now().await;
        }
    };
    let seen = tokio::time::timeout(Duration::from_secs(20), seen).await;
    assert!(seen.is_ok(), "that the client went was not seen");
    drop(go_on);
}
