//! What is understood, once: families, the spellings of each, and the series that are derived from them.
//!
//! docs/signals.md is written from these tables. A family of one instance has one source, the best that it sends:
//! see [`Source`]. Source: OpenTelemetry semantic conventions 1.44 and what Python instrumentation 0.66 and JavaScript
//! instrumentation 0.223 were seen to write.

/// A set of series that say one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// What routes and consumers do.
    Operation,
    /// Requests of HTTP servers.
    Http,
    /// Requests that HTTP servers refused with 429.
    RateLimited,
    /// Lookups in caches.
    Cache,
    /// Queues.
    Queue,
    /// Connections and their pools.
    Connection,
    /// Attempts.
    Retry,
    /// Uses of features.
    Feature,
    /// Intents.
    Intent,
    /// Tokens and requests of language models.
    Llm,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 10] = [
        Self::Operation,
        Self::Http,
        Self::RateLimited,
        Self::Cache,
        Self::Queue,
        Self::Connection,
        Self::Retry,
        Self::Feature,
        Self::Intent,
        Self::Llm,
    ];

    /// The name in labels and documentation.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operation => "operation",
            Self::Http => "http",
            Self::RateLimited => "http_rate_limited",
            Self::Cache => "cache",
            Self::Queue => "queue",
            Self::Connection => "connection",
            Self::Retry => "retry",
            Self::Feature => "feature",
            Self::Intent => "intent",
            Self::Llm => "gen_ai",
        }
    }
}

/// Where a family of an instance comes from, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Metrics under Sidelight's own names.
    Sidelight,
    /// Metrics of the stable or present semantic conventions.
    Stable,
    /// Metrics of older conventions.
    Old,
    /// Spans and events, weighted by what sampling left out.
    Spans,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 4] = [Self::Sidelight, Self::Stable, Self::Old, Self::Spans];

    /// As documentation has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sidelight => "`sidelight.*` metric",
            Self::Stable => "metric",
            Self::Old => "older metric",
            Self::Spans => "span, event",
        }
    }
}

/// What becomes of a spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It is stored under the name that queries ask for.
    AsIs,
    /// It is stored as it is; the built-in rules give it the common name.
    Rule,
    /// The agent counts or converts it into the series of the second table.
    Derived,
}

/// One way to say something of a family.
#[derive(Clone, Copy, Debug)]
pub struct Spelling {
    /// What of.
    pub family: Family,
    /// How good a source it is.
    pub source: Source,
    /// A metric's name, or a span's attribute or event. One that ends in `.` stands for all that begin so.
    pub name: &'static str,
    /// What becomes of it.
    pub how: How,
    /// What else has to be known.
    pub note: &'static str,
}

const fn spelling(
    family: Family,
    source: Source,
    name: &'static str,
    how: How,
    note: &'static str,
) -> Spelling {
    Spelling { family, source, name, how, note }
}

/// Every spelling, by family and the best source first.
pub const SPELLINGS: &[Spelling] = {
    use Family::{
        Cache, Connection, Feature, Http, Intent, Llm, Operation, Queue, RateLimited, Retry,
    };
    use How::{AsIs, Derived, Rule};
    use Source::{Old, Sidelight, Spans, Stable};
    &[
        spelling(Operation, Sidelight, "sidelight.operation.", AsIs, ""),
        spelling(
            Operation,
            Spans,
            "SERVER, CONSUMER",
            Derived,
            "the operation is the route, the RPC method, or operation and destination",
        ),
        spelling(Http, Stable, "http.server.request.duration", AsIs, "s"),
        spelling(
            Http,
            Old,
            "http.server.duration",
            Derived,
            "ms, divided by 1000; the route is `http.target` where that is a template",
        ),
        spelling(Http, Old, "http.server.request.size", Derived, "By"),
        spelling(Http, Old, "http.server.response.size", Derived, "By"),
        spelling(Http, Spans, "http.request.method", Derived, "of SERVER spans; `http.method` too"),
        spelling(RateLimited, Sidelight, "sidelight.http.rate_limited", AsIs, ""),
        spelling(
            RateLimited,
            Stable,
            "http.server.request.duration",
            Derived,
            "points with status 429",
        ),
        spelling(RateLimited, Old, "http.server.duration", Derived, "points with status 429"),
        spelling(
            RateLimited,
            Spans,
            "http.response.status_code",
            Derived,
            "429 of SERVER spans; `http.status_code` too",
        ),
        spelling(Cache, Sidelight, "sidelight.cache.", AsIs, ""),
        spelling(Cache, Stable, "cache.gets", Rule, "Micrometer; `result` is the result"),
        spelling(
            Cache,
            Spans,
            "sidelight.cache.result",
            Derived,
            "with `sidelight.cache.name` and `.type`; the route is that of the nearest SERVER span above it",
        ),
        spelling(Cache, Spans, "cache.hit", Derived, "boolean, with `cache.name`"),
        spelling(Queue, Sidelight, "sidelight.queue.", AsIs, ""),
        spelling(Queue, Stable, "db.client.connection.pending_requests", Rule, ""),
        spelling(Queue, Stable, "kestrel.queued_requests", Rule, ""),
        spelling(Queue, Stable, "dotnet.thread_pool.queue.length", Rule, ""),
        spelling(Queue, Stable, "executor.queued", Rule, "Micrometer"),
        spelling(Connection, Sidelight, "sidelight.connection.", AsIs, ""),
        spelling(
            Connection,
            Stable,
            "db.client.connection.count",
            Rule,
            "and `.max`, `.idle.*`, `.timeouts`, `.wait_time`, `.use_time`, `.create_time`",
        ),
        spelling(Connection, Stable, "hikaricp.connections", Rule, "Micrometer"),
        spelling(Connection, Stable, "kestrel.connection.duration", Rule, "the age at close"),
        spelling(Connection, Stable, "http.client.connection.duration", Rule, "the age at close"),
        spelling(
            Connection,
            Old,
            "db.client.connections.usage",
            Rule,
            "by `pool.name` and `state`; what SQLAlchemy's instrumentation writes",
        ),
        spelling(Retry, Sidelight, "sidelight.retry.", AsIs, ""),
        spelling(
            Retry,
            Spans,
            "http.request.resend_count",
            Derived,
            "a span is an attempt; `http.resend_count` too",
        ),
        spelling(Retry, Spans, "celery.retries", Derived, ""),
        spelling(Feature, Sidelight, "sidelight.feature.", AsIs, ""),
        spelling(
            Feature,
            Spans,
            "feature_flag.evaluation",
            Derived,
            "event of a span or log event, with `feature_flag.key`; `feature_flag` too. \
             Users from `user.id`, `enduser.id`, `enduser.pseudo.id` or `user.hash` of the event or its span, hashed",
        ),
        spelling(Intent, Sidelight, "sidelight.intent.", AsIs, ""),
        spelling(
            Intent,
            Spans,
            "sidelight.intent",
            Derived,
            "event of a span or log event, with `intent.type` and `confidence`: \
             a word, or a number of which 0.8 is high and 0.5 medium",
        ),
        spelling(Llm, Sidelight, "sidelight.gen_ai.", AsIs, ""),
        spelling(
            Llm,
            Spans,
            "gen_ai.usage.input_tokens",
            Derived,
            "and `gen_ai.usage.output_tokens`, with `gen_ai.provider.name` (or `gen_ai.system`) and the model; \
             by `gen_ai.operation.name` and `gen_ai.response.id` a call counts once",
        ),
    ]
};

/// The family and source of a metric's name, where it has one. A metric may be of two.
pub fn of_metric(name: &str) -> impl Iterator<Item = &'static Spelling> + '_ {
    SPELLINGS.iter().filter(move |known| {
        known.source != Source::Spans
            && match known.name.strip_suffix('.') {
                Some(_) => name.starts_with(known.name),
                None => name == known.name,
            }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_told_by_their_names() {
        let found = |name| of_metric(name).map(|s| (s.family, s.source)).collect::<Vec<_>>();
        assert_eq!(found("sidelight.cache.requests"), [(Family::Cache, Source::Sidelight)]);
        assert_eq!(
            found("http.server.duration"),
            [(Family::Http, Source::Old), (Family::RateLimited, Source::Old)]
        );
        // An attribute's name is no metric's.
        assert_eq!(found("http.request.method"), []);
        assert_eq!(found("sidelight.cachet"), []);
    }

    #[test]
    fn spellings_are_in_the_order_in_which_they_win() {
        assert!(SPELLINGS.is_sorted_by_key(|known| (known.family, known.source)));
    }
}
