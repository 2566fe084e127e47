//! The layers of HTTP and gRPC around real services: what they tell of requests that go well, badly, or nowhere.

#![expect(clippy::unwrap_used, reason = "tests")]

mod told;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use axum::routing::get;
use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt;
use opentelemetry::propagation::TextMapCompositePropagator;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use sidelight::current::{self, RequestId};
use told::Told;
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;

const DURATION: &str = "http.server.request.duration";

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn request(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn shop() -> Router {
    Router::new()
        .route("/orders/{id}", get(|Path(id): Path<u32>| async move { format!("order {id}") }))
        .route("/missing", get(|| async { StatusCode::NOT_FOUND }))
        .route("/broken", get(|| async { StatusCode::BAD_GATEWAY }))
        .route("/busy", get(|| async { StatusCode::TOO_MANY_REQUESTS }))
        .route(
            "/me",
            get(|request: Request<Body>| async move {
                let id = request.extensions().get::<RequestId>().unwrap().to_string();
                assert_eq!(request.headers()["x-request-id"], id);
                assert_eq!(current::request_id().unwrap().as_str(), id);
                format!("{} {}", id, current::route().unwrap())
            }),
        )
        .layer(sidelight::http::server())
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[test]
fn requests_are_counted_by_route_and_status() {
    let told = Told::new();
    run(async {
        for path in ["/orders/1", "/orders/2", "/missing", "/broken", "/busy", "/busy", "/nowhere"]
        {
            text(shop().oneshot(request(path)).await.unwrap()).await;
        }
    });
    let orders = told.series(DURATION, &["http.route=/orders/{id}"]);
    assert_eq!(
        orders,
        [(
            "http.request.method=GET,http.response.status_code=200,http.route=/orders/{id},\
             network.protocol.version=1.1,url.scheme=http"
                .to_owned(),
            2.0
        )]
    );
    assert_eq!(
        told.total(DURATION, &["http.route=/missing", "http.response.status_code=404"]),
        1.0
    );
    assert_eq!(told.total(DURATION, &["http.route=/broken", "error.type=502"]), 1.0);
    assert_eq!(
        told.total(DURATION, &["error.type=404"]),
        0.0,
        "what a client did wrong is no error of the server"
    );
    assert_eq!(told.total("sidelight.http.rate_limited", &["http.route=/busy"]), 2.0);
    assert_eq!(told.total("http.server.response.body.size", &["http.route=/orders/{id}"]), 2.0);
    let under_way = told.series("http.server.active_requests", &["http.request.method=GET"]);
    assert_eq!(under_way, [("http.request.method=GET,url.scheme=http".to_owned(), 0.0)]);
}

#[test]
fn a_hundred_thousand_paths_that_nobody_serves_are_one_series() {
    let told = Told::new();
    let service = sidelight::http::server().layer(service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::builder().status(404).body(Body::empty()).unwrap())
    }));
    let _unseen = tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::new());
    run(async {
        for number in 0..100_000 {
            let asked = Request::get(format!("/{number}.php")).body(()).unwrap();
            service.clone().oneshot(asked).await.unwrap();
        }
    });
    assert_eq!(told.series(DURATION, &[]).len(), 1);
    assert_eq!(told.total(DURATION, &["http.response.status_code=404"]), 100_000.0);
}

#[test]
fn a_request_under_way_is_taken_off_again_whatever_was_switched_meanwhile() {
    let told = Told::new();
    let under_way = || told.total("http.server.active_requests", &["http.request.method=PATCH"]);
    let never = sidelight::http::server().layer(service_fn(async |_: Request<Body>| {
        std::future::pending::<Result<Response<Body>, Infallible>>().await
    }));
    let begin = || {
        let asked = Request::patch("/").body(Body::empty()).unwrap();
        let mut answer = Box::pin(never.clone().oneshot(asked));
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(answer.as_mut().poll(&mut context).is_pending());
        answer
    };
    let answer = begin();
    assert_eq!(under_way(), 1.0);
    sidelight::set_enabled(false);
    drop(answer);
    sidelight::set_enabled(true);
    assert_eq!(under_way(), 0.0);

    sidelight::set_enabled(false);
    let answer = begin();
    sidelight::set_enabled(true);
    assert_eq!(under_way(), 1.0);
    drop(answer);
    assert_eq!(under_way(), 0.0);
}

#[test]
fn what_a_cancelled_handler_drops_belongs_to_its_request() {
    struct Asks(Arc<Mutex<Option<String>>>);
    impl Drop for Asks {
        fn drop(&mut self) {
            *self.0.lock().unwrap() = current::request_id().map(|id| id.to_string());
        }
    }
    let _told = Told::new();
    let seen = Arc::new(Mutex::new(None));
    let asks = Arc::clone(&seen);
    let handler = service_fn(move |_: Request<Body>| {
        let asks = Asks(Arc::clone(&asks));
        async move {
            let _asks = asks;
            std::future::pending::<Result<Response<Body>, Infallible>>().await
        }
    });
    run(async {
        let mut asked = request("/");
        asked.headers_mut().insert("x-request-id", HeaderValue::from_static("r-7"));
        let mut answer = Box::pin(sidelight::http::server().layer(handler).oneshot(asked));
        let _pending = futures_poll(answer.as_mut()).await;
        drop(answer);
    });
    assert_eq!(seen.lock().unwrap().as_deref(), Some("r-7"));
}

#[test]
fn the_request_id_goes_in_and_out_and_into_the_handler() {
    let told = Told::new();
    run(async {
        let mut asked = request("/me");
        asked.headers_mut().insert("x-request-id", HeaderValue::from_static("order-17"));
        let answer = shop().oneshot(asked).await.unwrap();
        assert_eq!(answer.headers()["x-request-id"], "order-17");
        assert_eq!(text(answer).await, "order-17 /me");

        for odd in [&b"caf\xc3\xa9"[..], b"two words", b"", &[b'x'; 129]] {
            let mut asked = request("/me");
            asked.headers_mut().insert("x-request-id", HeaderValue::from_bytes(odd).unwrap());
            let answer = shop().oneshot(asked).await.unwrap();
            assert_eq!(answer.headers()["x-request-id"].len(), 36, "a new one instead of {odd:?}");
        }
        assert!(current::request_id().is_none());
    });
    let spans = told.spans();
    assert_eq!(Told::attribute(&spans[0], "request_id").as_deref(), Some("order-17"));
}

#[test]
fn what_strangers_say_is_not_taken_over_where_they_are_not_trusted() {
    let told = Told::new();
    let router =
        Router::new().route("/", get(|| async {})).layer(sidelight::http::server().untrusted());
    run(async {
        let mut asked = request("/");
        asked.headers_mut().insert("x-request-id", HeaderValue::from_static("mine"));
        asked.headers_mut().insert("traceparent", HeaderValue::from_static(TRACEPARENT));
        let answer = router.oneshot(asked).await.unwrap();
        assert_ne!(answer.headers()["x-request-id"], "mine");
    });
    let spans = told.spans();
    assert_ne!(spans[0].span_context.trace_id().to_string(), TRACEPARENT[3..35]);
}

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn a_trace_goes_through_a_server_and_its_client() {
    let told = Told::new();
    let asked = std::sync::Arc::new(std::sync::Mutex::new(HeaderMap::new()));
    let seen = asked.clone();
    let stock = sidelight::http::client().layer(service_fn(move |request: Request<Body>| {
        *seen.lock().unwrap() = request.headers().clone();
        async {
            Ok::<_, Infallible>(Response::builder().status(404).body(Body::from("none")).unwrap())
        }
    }));
    let router = Router::new()
        .route(
            "/orders/{id}",
            get(move || async move {
                let mut request = request("http://stock.local:8080/articles/3");
                request.extensions_mut().insert(sidelight::http::Route("/articles/{id}"));
                request.extensions_mut().insert(sidelight::http::Resend(2));
                text(Response::new(Body::new(stock.oneshot(request).await.unwrap().into_body())))
                    .await
            }),
        )
        .layer(sidelight::http::server());
    run(async {
        let mut request = request("/orders/1");
        request.headers_mut().insert("traceparent", HeaderValue::from_static(TRACEPARENT));
        request.headers_mut().insert("x-request-id", HeaderValue::from_static("r-1"));
        assert_eq!(text(router.oneshot(request).await.unwrap()).await, "none");
    });
    let spans = told.spans();
    let [client, server] = &spans[..] else { panic!("two spans, not {}", spans.len()) };
    assert_eq!((server.name.as_ref(), &server.span_kind), ("GET /orders/{id}", &SpanKind::Server));
    assert_eq!(server.span_context.trace_id().to_string(), TRACEPARENT[3..35]);
    assert_eq!(server.parent_span_id.to_string(), TRACEPARENT[36..52]);
    assert_eq!(Told::attribute(server, "http.response.status_code").as_deref(), Some("200"));
    assert_eq!(Told::attribute(server, "http.response.body.size").as_deref(), Some("4"));
    assert_eq!(
        (client.name.as_ref(), &client.span_kind),
        ("GET /articles/{id}", &SpanKind::Client)
    );
    assert_eq!(client.parent_span_id, server.span_context.span_id());
    let url = Told::attribute(client, "url.full");
    assert_eq!(url.as_deref(), Some("http://stock.local:8080/articles/3"));
    assert_eq!(Told::attribute(client, "http.request.resend_count").as_deref(), Some("2"));
    assert_eq!(Told::attribute(client, "error.type").as_deref(), Some("404"));
    assert!(matches!(client.status, Status::Error { .. }));
    assert_eq!(server.status, Status::Unset);

    let asked = asked.lock().unwrap();
    let (trace, span) = (client.span_context.trace_id(), client.span_context.span_id());
    assert_eq!(asked["traceparent"], format!("00-{trace}-{span}-01"));
    assert_eq!(asked["x-request-id"], "r-1");
    let labels = [
        "server.address=stock.local",
        "server.port=8080",
        "error.type=404",
        "url.template=/articles/{id}",
    ];
    assert_eq!(told.total("http.client.request.duration", &labels), 1.0);
    assert_eq!(told.total("http.client.response.body.size", &labels), 1.0);
    assert_eq!(
        told.total("http.client.request.body.size", &labels),
        0.0,
        "nobody said how long it is"
    );
    assert_eq!(told.total("http.client.active_requests", &["server.address=stock.local"]), 0.0);
}

#[test]
fn the_url_of_a_request_is_told_without_its_user_and_its_query() {
    let told = Told::new();
    let client = sidelight::http::client().layer(service_fn(async |_: Request<Body>| {
        Ok::<_, Infallible>(Response::new(Body::empty()))
    }));
    let mut by_host = request("/articles/3?token=secret");
    by_host.headers_mut().insert("host", HeaderValue::from_static("stock.local"));
    run(async {
        let asked = request("https://ada:secret@stock.local:8443/articles?token=secret");
        client.clone().oneshot(asked).await.unwrap();
        client.clone().oneshot(by_host).await.unwrap();
        client.clone().oneshot(request("/nowhere")).await.unwrap();
    });
    let urls: Vec<_> = told
        .spans()
        .iter()
        .map(|span| Told::attribute(span, "url.full").unwrap_or_default())
        .collect();
    assert_eq!(urls, ["https://stock.local:8443/articles", "http://stock.local/articles/3", ""]);
    assert!(!format!("{:?}", told.spans()).contains("secret"));
}

#[test]
fn a_method_that_nobody_knows_is_told_as_it_was_sent() {
    let told = Told::new();
    let answer =
        || service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty())));
    let with =
        |method: &str| Request::builder().method(method).uri("/").body(Body::empty()).unwrap();
    run(async {
        for method in ["PURGE", "GET", &"X".repeat(100)] {
            sidelight::http::server().layer(answer()).oneshot(with(method)).await.unwrap();
            sidelight::http::client().layer(answer()).oneshot(with(method)).await.unwrap();
        }
    });
    let original = |span| Told::attribute(span, "http.request.method_original");
    let told: Vec<_> = told.spans().iter().map(original).collect();
    let (purge, cut) = (Some("PURGE".to_owned()), Some("X".repeat(64)));
    assert_eq!(told, [purge.clone(), purge, None, None, cut.clone(), cut]);
}

#[test]
fn baggage_goes_through_also_where_no_trace_comes_with_it() {
    let told = Told::new();
    opentelemetry::global::set_text_map_propagator(TextMapCompositePropagator::new(vec![
        Box::new(TraceContextPropagator::new()),
        Box::new(BaggagePropagator::new()),
    ]));
    let stock = sidelight::http::client().layer(service_fn(async |request: Request<Body>| {
        let baggage = request.headers().get("baggage").cloned();
        let baggage = baggage.unwrap_or(HeaderValue::from_static("none"));
        Ok::<_, Infallible>(Response::new(Body::from(baggage.to_str().unwrap().to_owned())))
    }));
    let router = Router::new()
        .route("/", get(move || stock.oneshot(request("http://stock.local/"))))
        .layer(sidelight::http::server());
    let ask = || {
        let mut asked = request("/");
        asked.headers_mut().insert("baggage", HeaderValue::from_static("tenant=a"));
        let around = tracing::info_span!("around");
        let router = router.clone();
        run(async { text(router.oneshot(asked).await.unwrap()).await }.instrument(around))
    };
    assert_eq!(ask(), "tenant=a");
    let spans = told.spans();
    let [_client, server, around] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!(server.parent_span_id, around.span_context.span_id(), "what is around stays around");
    // Without a span, as a filter leaves it.
    let _unseen = tracing::subscriber::set_default(tracing_subscriber::registry().with(
        tracing_subscriber::filter::Targets::new().with_target("shop", tracing::Level::INFO),
    ));
    assert_eq!(ask(), "tenant=a");
}

#[test]
fn a_filter_that_leaves_out_the_spans_of_requests_does_not_break_the_trace() {
    let told = Told::new();
    let filter =
        tracing_subscriber::filter::Targets::new().with_target("shop", tracing::Level::INFO);
    let spans = sidelight::layer::trimmed(&told.traces, false);
    let subscriber = tracing_subscriber::registry().with(filter).with(spans);
    let _default = tracing::subscriber::set_default(subscriber);
    let stock = sidelight::http::client().layer(service_fn(async |request: Request<Body>| {
        let trace = request.headers()["traceparent"].to_str().unwrap().to_owned();
        Ok::<_, Infallible>(Response::new(Body::from(trace)))
    }));
    let router = Router::new().route(
        "/orders",
        get(move || {
            let asked = stock.oneshot(request("http://stock.local/"));
            asked.instrument(tracing::info_span!(target: "shop", "work"))
        }),
    );
    let sent = run(async {
        let mut request = request("/orders");
        request.headers_mut().insert("traceparent", HeaderValue::from_static(TRACEPARENT));
        text(router.layer(sidelight::http::server()).oneshot(request).await.unwrap()).await
    });
    let spans = told.spans();
    let [work] = &spans[..] else { panic!("{spans:?}") };
    let (trace, span) = (work.span_context.trace_id(), work.span_context.span_id());
    assert_eq!(sent, format!("00-{trace}-{span}-01"), "the service asked continues the trace");
    assert_eq!(trace.to_string(), TRACEPARENT[3..35], "and so does this one");
    assert_eq!(work.parent_span_id.to_string(), TRACEPARENT[36..52]);
}

/// Sends parts that never end.
struct Endless;

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"tick")))))
    }
}

fn answers<B: http_body::Body>(
    answer: impl Fn() -> Response<B> + Clone,
) -> impl tower::Service<
    Request<Body>,
    Response = Response<sidelight::http::ResponseBody<B>>,
    Error = Infallible,
> {
    sidelight::http::server().layer(service_fn(move |_| {
        let answer = answer();
        async move { Ok::<_, Infallible>(answer) }
    }))
}

#[test]
fn an_answer_ends_with_its_last_byte_and_was_cancelled_before_that() {
    let told = Told::new();
    run(async {
        // Some of it was read.
        let answer = answers(|| Response::new(Endless)).oneshot(request("/")).await.unwrap();
        let mut body = answer.into_body();
        body.frame().await;
        assert_eq!(told.total(DURATION, &[]), 0.0);
        drop(body);
        assert_eq!(told.total(DURATION, &["error.type=cancelled"]), 1.0);
        // None of it was asked for.
        drop(answers(|| Response::new(Endless)).oneshot(request("/")).await.unwrap());
        assert_eq!(told.total(DURATION, &["error.type=cancelled"]), 2.0);
        // The handler was given up.
        let slow = service_fn(|_: Request<Body>| {
            std::future::pending::<Result<Response<Body>, Infallible>>()
        });
        let mut slow = Box::pin(sidelight::http::server().layer(slow).oneshot(request("/")));
        let _pending = futures_poll(slow.as_mut()).await;
        drop(slow);
        assert_eq!(told.total(DURATION, &["error.type=cancelled"]), 3.0);
    });
    assert_eq!(told.total("http.server.active_requests", &[]), 0.0);
}

async fn futures_poll<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

#[test]
fn bodies_that_servers_do_not_ask_for_are_whole() {
    let told = Told::new();
    run(async {
        let head = Request::head("/").body(Body::empty()).unwrap();
        drop(answers(|| Response::new(Endless)).oneshot(head).await.unwrap());
        for status in [204, 304, 101] {
            let answer = move || Response::builder().status(status).body(Endless).unwrap();
            drop(answers(answer).oneshot(request("/")).await.unwrap());
        }
        // All that was announced was read, but not the end.
        let announced = || Response::builder().header("content-length", 4).body(Endless).unwrap();
        answers(announced).oneshot(request("/")).await.unwrap().into_body().frame().await;
    });
    assert_eq!(told.total(DURATION, &[]), 5.0);
    assert_eq!(told.total(DURATION, &["error.type=cancelled"]), 0.0);
}

#[test]
fn a_handler_that_panics_is_counted_whoever_catches_it() {
    let told = Told::new();
    let panics = || {
        sidelight::http::server().layer(service_fn(
            async |_: Request<Body>| -> Result<Response<Body>, Infallible> { panic!("meant") },
        ))
    };
    run(async {
        assert!(tokio::spawn(panics().oneshot(request("/"))).await.is_err());
    });
    assert_eq!(told.total(DURATION, &["error.type=panic"]), 1.0);
    assert_eq!(told.total("http.server.active_requests", &[]), 0.0);
    assert!(current::request_id().is_none());
}

#[test]
fn a_call_of_grpc_is_counted_by_the_status_of_its_trailers() {
    let told = Told::new();
    let call = |path: &str, status: &'static str| {
        let asked = Request::post(path)
            .header("content-type", "application/grpc")
            .body(Body::empty())
            .unwrap();
        let service = service_fn(move |_: Request<Body>| {
            let trailers = [("grpc-status".parse().unwrap(), HeaderValue::from_static(status))];
            let body = http_body_util::Full::new(Bytes::from_static(b"reply"));
            let body =
                body.with_trailers(std::future::ready(Some(Ok(HeaderMap::from_iter(trailers)))));
            let answer = Response::builder().header("content-type", "application/grpc");
            let answer = answer.body(body).unwrap();
            async { Ok::<_, Infallible>(answer) }
        });
        async move {
            let answer = sidelight::http::server().layer(service).oneshot(asked).await.unwrap();
            answer.into_body().collect().await.unwrap();
        }
    };
    run(async {
        call("/shop.Orders/Place", "0").await;
        call("/shop.Orders/Place", "14").await;
        call("/shop.Orders/Guessed", "12").await;
    });
    const CALLS: &str = "rpc.server.call.duration";
    assert_eq!(
        told.total(CALLS, &["rpc.method=shop.Orders/Place", "rpc.response.status_code=OK"]),
        1.0
    );
    assert_eq!(told.total(CALLS, &["rpc.method=shop.Orders/Place", "error.type=UNAVAILABLE"]), 1.0);
    assert_eq!(told.total(CALLS, &["rpc.method=_OTHER", "error.type=UNIMPLEMENTED"]), 1.0);
    assert_eq!(told.total(DURATION, &[]), 0.0);
    let spans = told.spans();
    assert_eq!(spans[0].name, "shop.Orders/Place");
    assert_eq!(Told::attribute(&spans[0], "rpc.method").as_deref(), Some("shop.Orders/Place"));
    assert_eq!(spans[2].name, "grpc", "a method that nobody implements is no name");
    assert_eq!(
        Told::attribute(&spans[1], "rpc.response.status_code").as_deref(),
        Some("UNAVAILABLE")
    );
    let method = Told::attribute(&spans[0], "http.request.method");
    assert_eq!(method, None, "a server span with one is taken for HTTP");
}

#[test]
fn a_subscription_that_its_caller_ends_has_the_name_of_its_method() {
    let told = Told::new();
    let call = |path: &str| {
        let asked = Request::post(path).header("content-type", "application/grpc");
        asked.body(Body::empty()).unwrap()
    };
    let ticks = || Response::builder().header("content-type", "application/grpc").body(Endless);
    run(async {
        let answer = answers(move || ticks().unwrap()).oneshot(call("/shop.Orders/Watch")).await;
        answer.unwrap().into_body().frame().await;
        // Nobody has said that there is such a method.
        let silent = service_fn(|_: Request<Body>| {
            std::future::pending::<Result<Response<Body>, Infallible>>()
        });
        let silent = sidelight::http::server().layer(silent);
        let mut silent = Box::pin(silent.oneshot(call("/shop.Orders/Unanswered")));
        let _pending = futures_poll(silent.as_mut()).await;
    });
    const CALLS: &str = "rpc.server.call.duration";
    let watched = ["rpc.method=shop.Orders/Watch", "error.type=cancelled"];
    assert_eq!(told.total(CALLS, &watched), 1.0);
    assert_eq!(told.total(CALLS, &["rpc.method=_OTHER", "error.type=cancelled"]), 1.0);
    let spans = told.spans();
    let names: Vec<_> = spans.iter().map(|span| span.name.as_ref()).collect();
    assert_eq!(names, ["shop.Orders/Watch", "grpc"]);
    assert_eq!(Told::attribute(&spans[0], "rpc.method").as_deref(), Some("shop.Orders/Watch"));
}

#[test]
fn what_only_its_caller_calls_grpc_is_counted_as_http() {
    let told = Told::new();
    let router = Router::new()
        .route("/orders/{id}", get(|| async { "an order" }).post(|| async { "placed" }))
        .layer(sidelight::http::server());
    let post = |path: String| {
        Request::post(path).header("content-type", "application/grpc").body(Body::empty()).unwrap()
    };
    run(async {
        for number in 0..250 {
            let asked = post(format!("/junk/{number}"));
            text(router.clone().oneshot(asked).await.unwrap()).await;
        }
        text(router.clone().oneshot(post("/orders/1".to_owned())).await.unwrap()).await;
    });
    assert_eq!(told.series("rpc.server.call.duration", &[]).len(), 0);
    assert_eq!(told.total(DURATION, &["http.response.status_code=404"]), 250.0);
    let orders = ["http.route=/orders/{id}", "http.response.status_code=200"];
    assert_eq!(told.total(DURATION, &orders), 1.0);
    assert_eq!(told.total("http.server.active_requests", &[]), 0.0);
    let spans = told.spans();
    assert_eq!(spans[0].name, "POST");
    let order = spans.last().unwrap();
    assert_eq!(order.name, "POST /orders/{id}");
    assert_eq!(Told::attribute(order, "http.route").as_deref(), Some("/orders/{id}"));
    assert_eq!(Told::attribute(order, "http.request.method").as_deref(), Some("POST"));
    assert_eq!(Told::attribute(order, "http.response.status_code").as_deref(), Some("200"));
    assert_eq!(Told::attribute(order, "rpc.system.name"), None);
}

/// Says its route itself.
fn an_article() -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    answer.extensions_mut().insert(sidelight::http::Route("/articles/{id}"));
    answer
}

#[test]
fn a_route_that_the_answer_tells_of_is_the_metrics_and_the_spans() {
    let told = Told::new();
    run(async {
        let answer = answers(an_article).oneshot(request("/articles/7")).await.unwrap();
        answer.into_body().collect().await.unwrap();
    });
    assert_eq!(told.total(DURATION, &["http.route=/articles/{id}"]), 1.0);
    let spans = told.spans();
    assert_eq!(spans[0].name, "GET /articles/{id}");
    assert_eq!(Told::attribute(&spans[0], "http.route").as_deref(), Some("/articles/{id}"));
}

#[test]
fn a_route_that_the_answer_corrects_is_told_once() {
    let told = Told::new();
    run(async {
        let mut asked = request("/articles/7");
        asked.extensions_mut().insert(sidelight::http::Route("/{*rest}"));
        answers(an_article).oneshot(asked).await.unwrap().into_body().collect().await.unwrap();
    });
    let spans = told.spans();
    let attributes = spans[0].attributes.iter();
    let routes = attributes.filter(|attribute| attribute.key.as_str() == "http.route");
    let routes: Vec<_> = routes.map(|route| route.value.to_string()).collect();
    assert_eq!(routes, ["/articles/{id}"]);
    assert_eq!(spans[0].name, "GET /articles/{id}");
}

#[test]
fn a_client_that_gets_no_answer_is_counted() {
    let told = Told::new();
    let fails = service_fn(async |_: Request<Body>| {
        Err::<Response<Body>, _>(std::io::Error::other("refused"))
    });
    run(async {
        let failed = sidelight::http::client()
            .layer(fails)
            .oneshot(request("http://user:secret@stock/"))
            .await;
        assert!(failed.is_err());
    });
    let series =
        told.series("http.client.request.duration", &["error.type=_OTHER", "server.address=stock"]);
    assert_eq!(series.len(), 1);
    assert!(!series[0].0.contains("secret"));
}

#[test]
fn without_telemetry_requests_go_through() {
    let _alone = told::alone();
    run(async {
        let answer = shop().oneshot(request("/me")).await.unwrap();
        assert!(text(answer).await.ends_with(" /me"));
    });
}

#[test]
fn reqwest_sends_the_trace_along_and_counts_every_answer() {
    let told = Told::new();
    run(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let echo = async |headers: HeaderMap| headers["traceparent"].to_str().unwrap().to_owned();
        tokio::spawn(
            async move { axum::serve(listener, Router::new().route("/", get(echo))).await },
        );
        let client =
            reqwest_middleware::ClientBuilder::new(reqwest_middleware::reqwest::Client::new());
        let client = client.with(sidelight::http::Reqwest).build();
        let sent =
            client.get(format!("http://{address}/")).send().await.unwrap().text().await.unwrap();
        assert_eq!(
            client.get(format!("http://{address}/none")).send().await.unwrap().status(),
            404
        );
        assert!(client.get("http://127.0.0.1:1/").send().await.is_err());

        let spans = told.spans();
        assert_eq!(
            sent,
            format!(
                "00-{}-{}-01",
                spans[0].span_context.trace_id(),
                spans[0].span_context.span_id()
            )
        );
        let port = format!("server.port={}", address.port());
        const CALLS: &str = "http.client.request.duration";
        assert_eq!(
            told.total(
                CALLS,
                &["server.address=127.0.0.1", &port, "http.response.status_code=200"]
            ),
            1.0
        );
        assert_eq!(told.total(CALLS, &[&port, "error.type=404"]), 1.0);
        assert_eq!(told.total(CALLS, &["server.port=1", "error.type=connect"]), 1.0);
    });
}
