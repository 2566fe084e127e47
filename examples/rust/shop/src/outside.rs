//! What the shop depends on and does not own: a warehouse that fails now and then, and a provider of language models.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

/// Starts both on a port of their own.
pub async fn start() -> std::io::Result<SocketAddr> {
    let asked = Arc::new(AtomicU64::new(0));
    let router = Router::new()
        .route("/stock/{article}", get(stock).with_state(asked))
        .route("/v1/chat/completions", post(chat));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

/// Every fifth time it is not there at once.
async fn stock(Path(article): Path<u32>, State(asked): State<Arc<AtomicU64>>) -> Response {
    if asked.fetch_add(1, Ordering::Relaxed) % 5 == 4 {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    Json(json!({"article": article, "left": 100 - article % 100})).into_response()
}

/// Always the same answer and the same usage, as events where asked for.
async fn chat(Json(asked): Json<Value>) -> Response {
    tokio::time::sleep(Duration::from_millis(20)).await;
    let usage = json!({
        "prompt_tokens": 2006, "completion_tokens": 300, "total_tokens": 2306,
        "prompt_tokens_details": {"cached_tokens": 1920}, "completion_tokens_details": {"reasoning_tokens": 128},
    });
    let model = &asked["model"];
    if asked["stream"] != true {
        let message = json!({"role": "assistant", "content": "It is on its way."});
        return Json(json!({"model": model, "choices": [{"message": message}], "usage": usage}))
            .into_response();
    }
    let chunk = json!({"model": model, "choices": [{"delta": {"content": "It is on its way."}}], "usage": null});
    let last = json!({"model": model, "choices": [], "usage": usage});
    let events = format!("data: {chunk}\n\ndata: {last}\n\ndata: [DONE]\n\n");
    Response::builder()
        .header("content-type", "text/event-stream")
        .body(Body::from(events))
        .unwrap_or_default()
}
