//! Only the tracing layer: an application that has a subscriber of its own adds one line to it, and its spans and log
//! lines arrive where OTLP goes. Its output stays as it was.
//!
//! ```text
//! cargo run -p sidelight-example-layer      # beside a running agent, or with OTEL_TRACES_EXPORTER=console
//! ```

use std::error::Error;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let telemetry = sidelight::init("layer-example")
        .version(env!("CARGO_PKG_VERSION"))
        .without_subscriber()
        .start()?;
    tracing_subscriber::registry()
        .with(LevelFilter::INFO)
        .with(fmt::layer().compact())
        .with(telemetry.layer())
        .init();

    for order in 1..=3 {
        place(order).await;
    }
    telemetry.shutdown()?;
    Ok(())
}

#[tracing::instrument]
async fn place(order: u32) {
    charge(order).await;
    tracing::info!(order, "placed");
}

#[tracing::instrument(fields(otel.kind = "client"))]
async fn charge(order: u32) {
    tokio::task::yield_now().await;
    if order == 3 {
        tracing::warn!(order, "charged at the second try");
    }
}
