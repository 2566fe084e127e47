//! Customers: they use the shop for a while, and say what they did.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;

const CUSTOMERS: u32 = 4;

/// How often each route was asked, and how it answered.
pub type Done = BTreeMap<String, u64>;

/// Sends requests for `time`, from four customers.
pub async fn run(shop: SocketAddr, time: Duration) -> Done {
    let end = Instant::now() + time;
    let customers: Vec<_> =
        (0..CUSTOMERS).map(|number| tokio::spawn(customer(shop, number, end))).collect();
    let mut all = Done::new();
    for customer in customers {
        for (what, count) in customer.await.unwrap_or_default() {
            *all.entry(what).or_default() += count;
        }
    }
    all
}

async fn customer(shop: SocketAddr, number: u32, end: Instant) -> Done {
    let client = reqwest::Client::new();
    let url = |path: String| format!("http://{shop}{path}");
    let mut done = Done::new();
    for round in 0_u32.. {
        if Instant::now() >= end {
            break;
        }
        let (route, request) = match round % 10 {
            0..=4 => {
                let article = 1 + (round * 7 + number) % 20;
                ("GET /articles/{id}", client.get(url(format!("/articles/{article}"))))
            }
            5 => ("GET /articles/{id}", client.get(url("/articles/404".to_owned()))),
            6 => {
                let order = json!({"user": format!("customer-{}", round / 10 % 40), "article": 1 + round / 10 % 20});
                ("POST /orders", client.post(url("/orders".to_owned())).json(&order))
            }
            7 => ("POST /ask", client.post(url("/ask".to_owned())).body("where is my order?")),
            8 if round % 50 == 8 => ("GET /report", client.get(url("/report".to_owned()))),
            8 => ("GET /coupons/{code}", client.get(url(format!("/coupons/{round}")))),
            _ => ("GET /nowhere", client.get(url(format!("/nowhere/{round}")))),
        };
        let request = request.header("x-request-id", format!("load-{number}-{round}"));
        let status = match request.send().await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                // To its last byte.
                let _body = answer.bytes().await;
                status
            }
            Err(_) => 0,
        };
        *done.entry(format!("{route} {status}")).or_default() += 1;
    }
    done
}
