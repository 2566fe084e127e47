//! The application that the generator plays: a web shop of six services, its routes, what each route calls,
//! and how long that takes.
//!
//! Latencies are log-normal around a median, with one call in a hundred 5 to 30 times slower; calls fail
//! now and then, and what failed is tried once more. The mix is about half HTTP spans, a third database
//! and cache, the rest model calls; a span has about ten attributes and 550 bytes.

use std::time::Duration;

use super::protobuf::{Attributes, Value};

/// One of the shop's processes.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    pub(super) language: &'static str,
}

pub(super) const SERVICES: [Service; 6] = [
    Service { name: "storefront", version: "2.14.0", language: "nodejs" },
    Service { name: "catalog", version: "1.9.3", language: "python" },
    Service { name: "cart", version: "0.31.1", language: "go" },
    Service { name: "checkout", version: "4.2.0", language: "java" },
    Service { name: "payment", version: "1.0.7", language: "rust" },
    Service { name: "assistant", version: "0.8.2", language: "python" },
];

/// Indices into [`SERVICES`].
pub(super) mod service {
    pub(in super::super) const STOREFRONT: usize = 0;
    pub(in super::super) const CATALOG: usize = 1;
    pub(in super::super) const CART: usize = 2;
    pub(in super::super) const CHECKOUT: usize = 3;
    pub(in super::super) const PAYMENT: usize = 4;
    pub(in super::super) const ASSISTANT: usize = 5;
}

/// An HTTP route and what serving it does.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) service: usize,
    pub(super) method: &'static str,
    pub(super) route: &'static str,
    /// The median of the service's own work, in milliseconds.
    pub(super) own_ms: f64,
    /// Failures of its own per thousand requests.
    pub(super) failures: u32,
    pub(super) calls: &'static [Call],
}

/// Something that a route does while it serves a request.
#[derive(Debug)]
pub(super) enum Call {
    /// An HTTP request to another service, by index into [`ROUTES`].
    Http(usize),
    /// A statement: operation, table, median in milliseconds.
    Sql(&'static str, &'static str, f64),
    /// A look into Redis.
    Cache(&'static str),
    /// A chat completion: model and median in milliseconds.
    Chat(&'static str, f64),
}

use Call::{Cache, Chat, Http, Sql};

pub(super) const ROUTES: [Route; 13] = [
    route(service::STOREFRONT, "GET", "/", 6.0, 6, &[Http(6), Http(8)]),
    route(service::STOREFRONT, "GET", "/products/{id}", 5.0, 9, &[Http(7), Http(8)]),
    route(service::STOREFRONT, "GET", "/search", 8.0, 15, &[Http(6)]),
    route(service::STOREFRONT, "POST", "/cart/items", 4.0, 9, &[Http(9)]),
    route(service::STOREFRONT, "POST", "/checkout", 11.0, 24, &[Http(8), Http(10)]),
    route(service::STOREFRONT, "POST", "/assistant", 7.0, 18, &[Http(11)]),
    route(
        service::CATALOG,
        "GET",
        "/products",
        4.0,
        9,
        &[Cache("list"), Sql("SELECT", "products", 7.0)],
    ),
    route(
        service::CATALOG,
        "GET",
        "/products/{product_id}",
        2.0,
        6,
        &[Cache("product"), Sql("SELECT", "products", 2.5), Sql("SELECT", "prices", 1.5)],
    ),
    route(service::CART, "GET", "/carts/{cart_id}", 1.5, 3, &[Cache("cart")]),
    route(
        service::CART,
        "POST",
        "/carts/{cart_id}/items",
        1.8,
        12,
        &[Cache("cart"), Sql("INSERT", "cart_items", 3.5)],
    ),
    route(
        service::CHECKOUT,
        "POST",
        "/orders",
        12.0,
        27,
        &[Sql("SELECT", "stock", 3.0), Http(12), Sql("INSERT", "orders", 5.0)],
    ),
    route(
        service::ASSISTANT,
        "POST",
        "/conversations/{conversation_id}/messages",
        9.0,
        30,
        &[
            Sql("SELECT", "embeddings", 12.0),
            Chat("gpt-5-mini", 900.0),
            Chat("claude-haiku-4-5", 700.0),
        ],
    ),
    route(service::PAYMENT, "POST", "/charges", 45.0, 120, &[Sql("INSERT", "charges", 4.0)]),
];

/// How often each of the storefront's routes is asked for, of 100.
const POPULARITY: [u32; 6] = [30, 24, 12, 14, 8, 12];

const fn route(
    service: usize,
    method: &'static str,
    route: &'static str,
    own_ms: f64,
    failures: u32,
    calls: &'static [Call],
) -> Route {
    Route { service, method, route, own_ms, failures, calls }
}

/// The route of a visitor's next request.
pub(super) fn visit(random: &mut fastrand::Rng) -> &'static Route {
    let mut draw = random.u32(0..100);
    let [first, ..] = &ROUTES;
    for (route, share) in ROUTES.iter().zip(POPULARITY) {
        if draw < share {
            return route;
        }
        draw -= share;
    }
    first
}

/// A log-normal duration around `median_ms`, with a slow tail.
pub(super) fn latency(random: &mut fastrand::Rng, median_ms: f64) -> Duration {
    let (a, b) = (1.0 - random.f64(), random.f64());
    let normal = (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos();
    let tail = if random.u32(..100) == 0 { random.f64().mul_add(25.0, 5.0) } else { 1.0 };
    Duration::from_secs_f64(median_ms / 1e3 * (0.35 * normal).exp() * tail)
}

/// What identifies one instance of a service.
pub(super) fn resource(service: &Service, instance: u32) -> Attributes {
    let name = service.name;
    vec![
        ("service.name", name.into()),
        ("service.namespace", "shop".into()),
        ("service.version", service.version.into()),
        ("service.instance.id", format!("{name}-7c9f6d5b48-{instance:05x}").into()),
        ("deployment.environment.name", "demo".into()),
        ("host.name", format!("node-{}", instance % 3).into()),
        ("k8s.namespace.name", "shop".into()),
        ("k8s.pod.name", format!("{name}-7c9f6d5b48-{instance:05x}").into()),
        ("telemetry.sdk.name", "opentelemetry".into()),
        ("telemetry.sdk.language", service.language.into()),
        ("process.command_args", Value::Texts(vec!["serve", "--port", "8080"])),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_of_a_route_names_a_route_of_another_service() {
        for route in &ROUTES {
            for call in route.calls {
                if let Http(index) = call {
                    assert_ne!(ROUTES[*index].service, route.service, "{route:?}");
                }
            }
        }
        assert_eq!(POPULARITY.iter().sum::<u32>(), 100);
    }

    #[test]
    fn latencies_keep_their_median_and_have_a_slow_tail() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut drawn: Vec<_> = (0..10_000).map(|_| latency(&mut random, 10.0)).collect();
        drawn.sort_unstable();
        let median = drawn[5_000].as_secs_f64();
        assert!((0.0095..0.0105).contains(&median), "{median}");
        assert!(drawn[9_980] > drawn[5_000] * 4, "{:?}", drawn[9_980]);
    }
}
