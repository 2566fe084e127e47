//! More routes than are kept, in a process of its own: the table of routes is the process's.

#![expect(clippy::unwrap_used, reason = "tests")]

#[expect(dead_code, reason = "it is of many tests: spans are of no interest here")]
mod told;

use std::convert::Infallible;

use axum::body::Body;
use axum::http::{Request, Response};
use told::Told;
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

#[test]
fn a_hundred_thousand_routes_are_two_hundred_and_one_series() {
    let told = Told::new();
    let service = sidelight::http::server().layer(service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(Body::empty()))
    }));
    let _unseen = tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::new());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for number in 0..100_000 {
            let mut asked = Request::get("/").body(()).unwrap();
            let route: &'static str = format!("/{number}/{{id}}").leak();
            asked.extensions_mut().insert(sidelight::http::Route(route));
            service.clone().oneshot(asked).await.unwrap();
        }
    });
    let series = told.series("http.server.request.duration", &["http.response.status_code=200"]);
    assert_eq!(series.len(), 201);
    assert_eq!(series.iter().map(|(_, count)| count).sum::<f64>(), 100_000.0);
    let other = told.total("http.server.request.duration", &["http.route=_OTHER"]);
    assert_eq!(other, 99_800.0);
    assert_eq!(told.total("sidelight.sdk.overflowed", &[]), 99_800.0);
}
