//! Traces of the shop: visits told as spans, parents before their children.
//!
//! Times are nanoseconds from the start of the visit; [`Span::root`] and [`Span::parent`] are positions in
//! the list, so that the list can be cut after any span and still make sense.

use std::time::Duration;

use super::protobuf::{Attributes, Value};
use super::shop::{Call, ROUTES, Route, latency, service, visit};

/// `Span.SpanKind`.
pub(super) mod kind {
    pub(in super::super) const SERVER: u64 = 2;
    pub(in super::super) const CLIENT: u64 = 3;
}

const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0";

/// One span.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) service: usize,
    pub(super) scope: &'static str,
    pub(super) name: String,
    pub(super) kind: u64,
    pub(super) root: u32,
    pub(super) parent: Option<u32>,
    /// The root of an earlier trace.
    pub(super) link: Option<u32>,
    pub(super) start: u64,
    pub(super) end: u64,
    /// From the end of the visit to the time at which the request is made.
    pub(super) age: u64,
    pub(super) attributes: Attributes,
    pub(super) events: Vec<(u64, &'static str, Attributes)>,
    /// The description of an error.
    pub(super) error: Option<&'static str>,
}

/// Spans of as many visits as it takes, exactly `count` of them.
pub(super) fn tell(count: usize, random: &mut fastrand::Rng) -> Vec<Span> {
    let mut teller = Teller { spans: Vec::with_capacity(count + 40), root: 0, random };
    while teller.spans.len() < count {
        teller.one_visit();
    }
    teller.spans.truncate(count);
    teller.spans
}

struct Teller<'a> {
    spans: Vec<Span>,
    root: u32,
    random: &'a mut fastrand::Rng,
}

impl Teller<'_> {
    fn one_visit(&mut self) {
        let first = self.spans.len();
        let earlier = self.root;
        self.root = position(first);
        let route = visit(self.random);
        let (end, _) = self.serve(route, None, 0);
        let age = self.random.u64(..200_000_000);
        for span in self.spans.iter_mut().skip(first) {
            // Times become distances to the end of the visit.
            (span.start, span.end) = (end - span.start, end - span.end.min(end));
            span.age = age;
            span.events.iter_mut().for_each(|(at, ..)| *at = end - (*at).min(end));
        }
        if self.random.u32(..4) == 0
            && earlier != self.root
            && let Some(span) = self.spans.get_mut(first)
        {
            span.link = Some(earlier);
        }
    }

    /// A request served: its own work, then its calls one after the other.
    fn serve(&mut self, route: &'static Route, parent: Option<u32>, start: u64) -> (u64, bool) {
        let id = self.open(route.service, kind::SERVER, parent, start);
        let own = nanos(latency(self.random, route.own_ms));
        let mut at = start + own / 2;
        let mut failed = self.random.u32(..1000) < route.failures;
        for call in route.calls {
            let (end, call_failed) = self.call(route.service, call, id, at);
            at = end;
            failed |= call_failed;
            if failed {
                break;
            }
        }
        let end = at + own / 2;
        let status = match (failed, route.method) {
            (true, _) if self.random.bool() => 503,
            (true, _) => 500,
            (false, "POST") => 201,
            (false, _) => 200,
        };
        let path = route.route.replace(['{', '}'], "");
        let attributes = vec![
            ("http.request.method", route.method.into()),
            ("http.route", route.route.into()),
            ("http.response.status_code", Value::Int(status)),
            ("url.path", format!("{path}/{}", self.random.u32(1000..9999)).into()),
            ("url.scheme", "https".into()),
            ("server.address", "shop.example".into()),
            ("client.address", format!("203.0.113.{}", self.random.u8(1..250)).into()),
            ("network.protocol.version", "1.1".into()),
            ("server.port", Value::Int(443)),
            ("user_agent.original", USER_AGENT.into()),
            ("code.function.name", format!("shop.handlers.{}", path.replace('/', ".")).into()),
        ];
        let name = format!("{} {}", route.method, route.route);
        self.close(id, name, "http.server", end, attributes, failed.then_some("request failed"));
        self.maybe_events(id, start, end);
        (end, failed)
    }

    fn call(&mut self, from: usize, call: &Call, parent: u32, at: u64) -> (u64, bool) {
        match call {
            Call::Http(index) => match ROUTES.get(*index) {
                Some(route) => self.request(from, route, parent, at),
                None => (at, false),
            },
            Call::Sql(operation, table, median) => {
                self.sql(from, operation, table, *median, parent, at)
            }
            Call::Cache(name) => self.cache(from, name, parent, at),
            Call::Chat(model, median) => self.chat(model, *median, parent, at),
        }
    }

    /// An HTTP request to another service, sent once more when it fails.
    fn request(
        &mut self,
        from: usize,
        route: &'static Route,
        parent: u32,
        start: u64,
    ) -> (u64, bool) {
        let mut at = start;
        for resend in 0..2 {
            let id = self.open(from, kind::CLIENT, Some(parent), at);
            let wire = self.random.u64(200_000..900_000);
            let (served, failed) = self.serve(route, Some(id), at + wire);
            let end = served + wire;
            let mut attributes: Attributes = vec![
                ("http.request.method", route.method.into()),
                ("http.response.status_code", Value::Int(if failed { 503 } else { 200 })),
                ("url.full", format!("http://shop:8080{}", route.route).into()),
                ("server.address", "shop".into()),
                ("server.port", Value::Int(8080)),
                ("network.peer.address", format!("10.0.3.{}", route.service + 10).into()),
                ("network.peer.port", Value::Int(8080)),
                ("network.protocol.version", "2".into()),
                ("user_agent.original", "shop-client/3.1 (internal; keep-alive)".into()),
                ("url.template", route.route.into()),
            ];
            if resend > 0 {
                attributes.push(("http.request.resend_count", Value::Int(resend)));
            }
            let error = failed.then_some("503 Service Unavailable");
            self.close(id, route.method.to_owned(), "http.client", end, attributes, error);
            if !failed {
                return (end, false);
            }
            at = end + 50_000_000;
        }
        (at, true)
    }

    fn sql(
        &mut self,
        from: usize,
        operation: &'static str,
        table: &'static str,
        median: f64,
        parent: u32,
        at: u64,
    ) -> (u64, bool) {
        let id = self.open(from, kind::CLIENT, Some(parent), at);
        let end = at + nanos(latency(self.random, median));
        let failed = self.random.u32(..1000) < 2;
        let statement = match operation {
            "SELECT" => format!(
                "SELECT id, name, price, currency, updated_at FROM {table} WHERE id = $1 AND \
                 tenant = $2 ORDER BY updated_at DESC LIMIT 50"
            ),
            _ => format!(
                "INSERT INTO {table} (id, tenant, quantity, created_at) VALUES ($1, $2, $3, now()) \
                 ON CONFLICT (id) DO UPDATE SET quantity = excluded.quantity"
            ),
        };
        let attributes = vec![
            ("db.system.name", "postgresql".into()),
            ("db.namespace", "shop".into()),
            ("db.operation.name", operation.into()),
            ("db.collection.name", table.into()),
            ("db.query.text", statement.into()),
            ("db.response.returned_rows", Value::Int(self.random.i64(0..40))),
            ("server.address", "postgres".into()),
            ("server.port", Value::Int(5432)),
            ("network.peer.address", "10.0.7.2".into()),
            ("db.client.connection.pool.name", "orders-primary".into()),
        ];
        let error = failed.then_some("deadlock detected");
        self.close(id, format!("{operation} {table}"), "db.postgres", end, attributes, error);
        (end, failed)
    }

    fn cache(&mut self, from: usize, name: &'static str, parent: u32, at: u64) -> (u64, bool) {
        let id = self.open(from, kind::CLIENT, Some(parent), at);
        let end = at + nanos(latency(self.random, 0.4));
        let hit = self.random.u32(..10) < 8;
        let attributes = vec![
            ("db.system.name", "redis".into()),
            ("db.operation.name", "GET".into()),
            ("db.query.text", format!("GET {name}:?").into()),
            ("cache.name", name.into()),
            ("cache.hit", Value::Bool(hit)),
            ("network.peer.address", "10.0.8.4".into()),
            ("network.peer.port", Value::Int(6379)),
            ("server.address", "redis".into()),
            ("server.port", Value::Int(6379)),
        ];
        self.close(id, "GET".to_owned(), "db.redis", end, attributes, None);
        (end, false)
    }

    fn chat(&mut self, model: &'static str, median: f64, parent: u32, at: u64) -> (u64, bool) {
        let id = self.open(service::ASSISTANT, kind::CLIENT, Some(parent), at);
        let end = at + nanos(latency(self.random, median));
        let failed = self.random.u32(..1000) < 15;
        let provider = if model.starts_with("claude") { "anthropic" } else { "openai" };
        let input = self.random.i64(200..6000);
        let attributes = vec![
            ("gen_ai.operation.name", "chat".into()),
            ("gen_ai.provider.name", provider.into()),
            ("gen_ai.request.model", model.into()),
            ("gen_ai.response.model", model.into()),
            ("gen_ai.response.id", format!("resp_{:016x}", self.random.u64(..)).into()),
            ("gen_ai.usage.input_tokens", Value::Int(input)),
            ("gen_ai.usage.output_tokens", Value::Int(self.random.i64(20..900))),
            ("gen_ai.usage.cache_read.input_tokens", Value::Int(input / 2)),
            ("gen_ai.request.temperature", Value::Double(0.2)),
            ("gen_ai.response.finish_reasons", Value::Texts(vec!["stop"])),
        ];
        let error = failed.then_some("rate limited");
        self.close(id, format!("chat {model}"), "gen_ai.client", end, attributes, error);
        self.maybe_events(id, at, end);
        (end, failed)
    }

    fn open(&mut self, service: usize, kind: u64, parent: Option<u32>, start: u64) -> u32 {
        self.spans.push(Span {
            service,
            scope: "",
            name: String::new(),
            kind,
            root: self.root,
            parent,
            link: None,
            start,
            end: start,
            age: 0,
            attributes: Vec::new(),
            events: Vec::new(),
            error: None,
        });
        position(self.spans.len() - 1)
    }

    fn close(
        &mut self,
        id: u32,
        name: String,
        scope: &'static str,
        end: u64,
        mut attributes: Attributes,
        error: Option<&'static str>,
    ) {
        let Some(span) = self.spans.get_mut(id as usize) else { return };
        if error.is_some() {
            attributes.push(("error.type", "unavailable".into()));
            let exception = vec![
                ("exception.type", "ServiceError".into()),
                ("exception.message", error.unwrap_or_default().into()),
                ("exception.stacktrace", "at handle (server:118)\nat dispatch (router:52)".into()),
            ];
            span.events.push((end, "exception", exception));
        }
        (span.name, span.scope, span.end, span.attributes, span.error) =
            (name, scope, end, attributes, error);
    }

    /// Gives one span in five three events.
    fn maybe_events(&mut self, id: u32, start: u64, end: u64) {
        if self.random.u32(..3) > 0 {
            return;
        }
        let step = (end - start) / 4;
        let Some(span) = self.spans.get_mut(id as usize) else { return };
        for (number, name) in (1_i64..).zip(["queue.left", "handler.started", "response.written"]) {
            let attributes =
                vec![("worker.id", Value::Int(number * 3)), ("queue.name", "requests".into())];
            span.events.push((start + step * number.cast_unsigned(), name, attributes));
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_and_roots_come_before_their_children_and_outlast_them() {
        let spans = tell(5_000, &mut fastrand::Rng::with_seed(3));
        assert_eq!(spans.len(), 5_000);
        for (index, span) in spans.iter().enumerate() {
            assert!(span.root as usize <= index && span.link.is_none_or(|link| link < span.root));
            assert!(span.start >= span.end, "times are distances to the visit's end: {span:?}");
            if let Some(parent) = span.parent {
                let parent = &spans[parent as usize];
                assert_eq!(parent.root, span.root);
                assert!(parent.start >= span.start && parent.end <= span.end, "{span:?}");
            }
        }
    }

    #[test]
    fn the_mix_is_that_of_a_shop_with_a_few_errors_and_retries() {
        let spans = tell(20_000, &mut fastrand::Rng::with_seed(4));
        let share = |wanted: &dyn Fn(&Span) -> bool| {
            spans.iter().filter(|span| wanted(span)).count() * 1000 / spans.len()
        };
        let errors = share(&|span| span.error.is_some());
        let sql = share(&|span| span.scope.starts_with("db."));
        let resent = share(&|span| {
            span.attributes.iter().any(|(key, _)| *key == "http.request.resend_count")
        });
        assert!((10..60).contains(&errors), "{errors} in a thousand are errors");
        assert!((250..450).contains(&sql), "{sql} in a thousand are statements");
        assert!((1..20).contains(&resent), "{resent} in a thousand are retries");
        assert!(share(&|span| span.scope == "gen_ai.client") >= 15);
        assert!(share(&|span| !span.events.is_empty()) >= 100);
    }
}
