//! The warehouse, which is asked again when it is busy.

use std::net::SocketAddr;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest_middleware::{ClientWithMiddleware, Error};
use sidelight::Retry;
use sidelight::http::Route;

static RESERVE: Retry = Retry::new("stock.reserve");

/// Reserves an article.
pub async fn reserve(
    client: &ClientWithMiddleware,
    warehouse: SocketAddr,
    article: u32,
) -> Result<(), Error> {
    let ask = || async {
        let request = client.get(format!("http://{warehouse}/stock/{article}"));
        request.with_extension(Route("/stock/{article}")).send().await?.error_for_status()?;
        Ok(())
    };
    let mut attempts = RESERVE.start();
    let waits =
        ExponentialBuilder::default().with_min_delay(Duration::from_millis(5)).with_max_times(4);
    let reserved = ask.retry(waits).notify(attempts.notify(reason)).await;
    attempts.ended(&reserved, reason);
    reserved
}

fn reason(error: &Error) -> &'static str {
    match error.status() {
        Some(reqwest::StatusCode::SERVICE_UNAVAILABLE) => "busy",
        _ => "unreachable",
    }
}
