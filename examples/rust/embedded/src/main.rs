//! The agent inside an application's process: no sidecar, the same API, PromQL, alerts and journal.
//!
//! ```text
//! cargo run -p sidelight-example-embedded                  # then open http://127.0.0.1:9464
//! cargo run -p sidelight-example-embedded -- agent.yaml    # with a configuration of the agent
//! ```
//! It records an order a second until enter is pressed or its input ends.

use std::error::Error;
use std::io::BufRead;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use sidelight::{Cache, CacheKind, Counter};

static ORDERS: Counter<1> = Counter::new("shop.orders").labels(["kind"]);
static PRICES: Cache = Cache::new("prices").kind(CacheKind::Application);

fn main() -> Result<(), Box<dyn Error>> {
    let mut described = sidelight_embedded::agent();
    for file in std::env::args().skip(1) {
        described = described.config(file);
    }
    let agent = described.start()?;
    let telemetry = sidelight::init("embedded-example").deliver(agent.ingest()).start()?;
    tracing::info!("its API is at http://{}; press enter to end", agent.admin());

    let (tell, told) = sync_channel(1);
    std::thread::spawn(move || {
        let ended = std::io::stdin().lock().lines().next();
        tell.send(ended.is_some())
    });
    let mut order = 0_u64;
    while told.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
        order += 1;
        place(order);
    }
    telemetry.shutdown()?;
    agent.stop()?;
    Ok(())
}

#[tracing::instrument]
fn place(order: u64) {
    let kind = if order.is_multiple_of(5) { "gold" } else { "plain" };
    let price = PRICES.get(|| (!order.is_multiple_of(3)).then_some(order * 100));
    ORDERS.add(1, [kind]);
    tracing::info!(order, kind, price, "placed");
}
