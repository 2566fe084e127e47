//! A shop, with everything that Sidelight tells of a service: the example to copy from.
//!
//! An axum server with a database behind a pool, a cache, a queue of mails, a warehouse that is asked again when it fails, a
//! feature behind a flag, and an assistant that asks a language model. `tests/shop/run.py` runs it against the agent.
//!
//! ```text
//! shop [--port 8080] [--load 30]     --load: sends itself requests for as many seconds, and logs what it sent
//! ```

mod assistant;
mod database;
mod load;
mod outside;
mod warehouse;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use reqwest_middleware::ClientWithMiddleware;
use serde::Deserialize;
use serde_json::json;
use sidelight::{Cache, Counter, Feature, FeatureKind, Queue, QueueKind, channel, current};
use sqlx::sqlite::SqlitePool;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

static ARTICLES: Cache = Cache::new("articles");
static MAILS: Queue = Queue::new("mails").kind(QueueKind::Task);
static EXPRESS: Feature = Feature::new("express", FeatureKind::Flag);
static SOLD: Counter<1> = Counter::new("shop.articles.sold").labels(["delivery"]);

struct Shop {
    database: SqlitePool,
    articles: moka::future::Cache<u32, String>,
    mails: channel::Sender<Mail>,
    client: ClientWithMiddleware,
    outside: SocketAddr,
}

struct Mail {
    to: String,
    about: current::Current,
}

#[derive(Deserialize)]
struct Order {
    user: String,
    article: u32,
}

/// What a handler could not do: a 500.
struct Failed(Box<dyn Error + Send + Sync>);

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        tracing::error!("{}", self.0);
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

async fn article(Path(id): Path<u32>, State(shop): State<Arc<Shop>>) -> Result<Response, Failed> {
    let mut lookup = ARTICLES.lookup();
    if let Some(name) = shop.articles.get(&id).await {
        lookup.hit();
        return Ok(name.into_response());
    }
    let Some(name) = database::article(&shop.database, id).await? else {
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    drop(lookup);
    shop.articles.insert(id, name.clone()).await;
    Ok(name.into_response())
}

async fn order(
    State(shop): State<Arc<Shop>>,
    Json(order): Json<Order>,
) -> Result<StatusCode, Failed> {
    warehouse::reserve(&shop.client, shop.outside, order.article).await?;
    database::order(&shop.database, &order.user, order.article).await?;
    let express = order.article % 2 == 0;
    if express {
        let _used = EXPRESS.used().by(&order.user);
    }
    SOLD.add(1, [if express { "express" } else { "standard" }]);
    info!(order.article, "ordered");
    shop.mails.send(Mail { to: order.user, about: current::Current::get() }).await?;
    Ok(StatusCode::CREATED)
}

async fn send(mail: Mail) {
    tokio::time::sleep(Duration::from_millis(2)).await;
    let _request = mail.about.enter();
    info!(mail.to, "mail sent");
}

async fn ask(State(shop): State<Arc<Shop>>, question: String) -> Result<Response, Failed> {
    Ok(assistant::answer(&shop.client, shop.outside, &question).await?.into_response())
}

#[sidelight::op(name = "report.build", threshold = "50ms")]
async fn report() -> &'static str {
    tokio::time::sleep(Duration::from_millis(80)).await;
    "all is well"
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let _telemetry = sidelight::init("shop").version(env!("CARGO_PKG_VERSION")).start()?;
    assistant::price();
    let (port, load) = options()?;
    let outside = outside::start().await?;
    let client = reqwest_middleware::ClientBuilder::new(reqwest::Client::new())
        .with(sidelight::http::Reqwest)
        .build();
    let evictions = sidelight::moka::evictions(&ARTICLES);
    let articles =
        moka::future::Cache::builder().max_capacity(12).eviction_listener(evictions).build();
    let (mails, mut outbox) = channel::bounded(&MAILS, 64);
    let shop =
        Arc::new(Shop { database: database::open().await?, articles, mails, client, outside });
    ARTICLES.observe(&shop, |shop| (shop.articles.entry_count() as usize, 12));
    let mailer = tokio::spawn(async move {
        while let Some(mail) = outbox.recv().await {
            send(mail).await;
        }
    });

    let router = Router::new()
        .route("/articles/{id}", get(article))
        .route("/orders", post(order))
        .route("/ask", post(ask))
        .route("/report", get(report))
        .route("/coupons/{code}", get(async || StatusCode::TOO_MANY_REQUESTS))
        .with_state(shop)
        .layer(sidelight::http::server());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    info!(%address, "open");
    if let Some(time) = load {
        tokio::spawn(async move {
            let done = load::run(address, time).await;
            info!(done = %json!(done), "load");
        });
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let closing = async move { terminate.recv().await.unwrap_or_default() };
    axum::serve(listener, router).with_graceful_shutdown(closing).await?;
    mailer.await?;
    info!("closed");
    Ok(())
}

/// The port, and for how long to send requests to itself.
fn options() -> Result<(u16, Option<Duration>), String> {
    let (mut port, mut load) = (8080, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().and_then(|value| value.parse::<u16>().ok());
        match (name.as_str(), value) {
            ("--port", Some(value)) => port = value,
            ("--load", Some(seconds)) => load = Some(Duration::from_secs(seconds.into())),
            _ => return Err("usage: shop [--port PORT] [--load SECONDS]".to_owned()),
        }
    }
    Ok((port, load))
}
