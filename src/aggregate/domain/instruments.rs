//! The series that are derived: names, units, labels, bounds.
//!
//! Each is written as an application would make the instrument, and named by the same translation as what applications
//! send: so a series is called the same whether it was received or derived.

use crate::aggregate::bounds;
use crate::aggregate::metrics::names;
use crate::store::{Kind as Stored, MetricKind};

/// Sizes, in bytes.
const BYTES: &[f64] = &[128.0, 1024.0, 8192.0, 65536.0, 524_288.0, 4_194_304.0, 33_554_432.0];

/// What an instrument's series hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Holds {
    /// A number that grows.
    Count,
    /// A number.
    Level,
    /// Counts by upper bound, unless what it is converted from has its own.
    Buckets(&'static [f64]),
}

/// An instrument as an application would make it.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its name.
    pub name: &'static str,
    /// Its unit in UCUM.
    pub unit: &'static str,
    /// What its series hold.
    pub holds: Holds,
    /// Attributes, in the order in which values are given.
    pub attributes: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// Declares the instruments.
macro_rules! instruments {
    ($($(#[$doc:meta])* $instrument:ident = $name:literal, $unit:literal, $holds:expr, $attributes:expr, $help:literal;)*) => {
        /// What is derived.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Instrument {
            $($(#[$doc])* $instrument,)*
        }

        impl Instrument {
            /// Every instrument.
            pub const ALL: &[Self] = &[$(Self::$instrument),*];

            /// How it is made.
            #[must_use]
            pub const fn spec(self) -> Spec {
                match self {
                    $(Self::$instrument => Spec {
                        name: $name, unit: $unit, holds: $holds, attributes: $attributes, help: $help,
                    },)*
                }
            }
        }
    };
}

instruments! {
    /// S12.
    HttpDuration = "http.server.request.duration", "s", Holds::Buckets(&bounds::HTTP),
        &["http.route", "http.request.method", "http.response.status_code"],
        "Duration of requests that an HTTP server answered.";
    /// S12.
    HttpRequestSize = "http.server.request.body.size", "By", Holds::Buckets(BYTES),
        &["http.route", "http.request.method", "http.response.status_code"],
        "Size of the bodies of requests.";
    /// S12.
    HttpResponseSize = "http.server.response.body.size", "By", Holds::Buckets(BYTES),
        &["http.route", "http.request.method", "http.response.status_code"],
        "Size of the bodies of responses.";
    /// S12.
    RateLimited = "sidelight.http.rate_limited", "{request}", Holds::Count, &["http.route"],
        "Requests answered with 429.";
    /// S3.
    CacheRequests = "sidelight.cache.requests", "{request}", Holds::Count,
        &["cache.name", "cache.type", "cache.result", "http.route"],
        "Lookups by result: hit, miss, stale, error.";
    /// S3.
    CacheDuration = "sidelight.cache.request.duration", "s", Holds::Buckets(&bounds::FAST),
        &["cache.name", "cache.type", "cache.result"],
        "Duration of lookups, of spans that are one.";
    /// S4.
    QueueOverflows = "sidelight.queue.overflows", "{overflow}", Holds::Count,
        &["queue.name", "queue.type"],
        "Times that a queue became fuller than 80 %, counted again once it was below 70 %.";
    /// S8.
    RetryAttempts = "sidelight.retry.attempts", "{attempt}", Holds::Count,
        &["operation.name", "reason", "attempt.result"],
        "Attempts by result: success, retry for one that failed and was followed by another, exhausted for one that was not.";
    /// S8.
    RetryRetries = "sidelight.retry.operation.retries", "{retry}", Holds::Buckets(&bounds::RETRIES),
        &["operation.name", "outcome"],
        "Retries that an operation took until it succeeded, or gave up.";
    /// S9.
    FeatureUses = "sidelight.feature.uses", "{use}", Holds::Count,
        &["feature.name", "feature.type", "usage.pattern", "outcome"],
        "Uses of features.";
    /// S9.
    FeatureDuration = "sidelight.feature.use.duration", "s", Holds::Buckets(&bounds::HTTP),
        &["feature.name", "outcome"],
        "Duration of the spans in which a feature was used.";
    /// S9.
    FeatureUsers = "sidelight.feature.user.estimate", "{user}", Holds::Level,
        &["feature.name", "window"],
        "Unique users of a feature within a window, estimated to 1.6 %.";
    /// S11.
    Intents = "sidelight.intent.detections", "{detection}", Holds::Count,
        &["intent.type", "confidence"],
        "Intents detected.";
    /// S6.
    LlmTokens = "sidelight.gen_ai.tokens", "{token}", Holds::Count,
        &["gen_ai.provider.name", "gen_ai.request.model", "gen_ai.token.type"],
        "Tokens of language models, as spans or metrics report them.";
    /// S6.
    LlmRequests = "sidelight.gen_ai.requests", "{request}", Holds::Count,
        &["gen_ai.provider.name", "gen_ai.request.model", "outcome"],
        "Requests to language models.";
    /// S6.
    LlmLastCall = "sidelight.gen_ai.last_call.timestamp", "s", Holds::Level,
        &["gen_ai.provider.name", "gen_ai.request.model"],
        "When the last request to a language model ended.";
    /// Logs to counters.
    LogRecords = "sidelight.log.records", "{record}", Holds::Count, &["severity"],
        "Log records by severity: trace, debug, info, warn, error, fatal, unspecified.";
    /// For the silence of a service.
    LastSeen = "sidelight.resource.last_seen.timestamp", "s", Holds::Level, &["service.name"],
        "When telemetry of a service was last received.";
}

impl Instrument {
    /// What [`Instrument::ALL`] has at this place.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// The name of its series.
    #[must_use]
    pub fn series_name(self) -> String {
        let spec = self.spec();
        let kind = match spec.holds {
            Holds::Count => names::Kind::Counter,
            Holds::Level => names::Kind::Gauge,
            Holds::Buckets(_) => names::Kind::Other,
        };
        names::metric_name(spec.name, spec.unit, kind).unwrap_or_default()
    }

    pub(super) const fn shown_as(self) -> MetricKind {
        match self.spec().holds {
            Holds::Count => MetricKind::Counter,
            Holds::Level => MetricKind::Gauge,
            Holds::Buckets(_) => MetricKind::Histogram,
        }
    }

    pub(super) const fn stored_as(self) -> Stored {
        match self.spec().holds {
            Holds::Count | Holds::Level => Stored::Float,
            Holds::Buckets(_) => Stored::Classic,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_have_the_names_that_queries_ask_for() {
        for (instrument, expected) in [
            (Instrument::HttpDuration, "http_server_request_duration_seconds"),
            (Instrument::RateLimited, "sidelight_http_rate_limited_total"),
            (Instrument::CacheRequests, "sidelight_cache_requests_total"),
            (Instrument::CacheDuration, "sidelight_cache_request_duration_seconds"),
            (Instrument::RetryRetries, "sidelight_retry_operation_retries"),
            (Instrument::FeatureUsers, "sidelight_feature_user_estimate"),
            (Instrument::LlmLastCall, "sidelight_gen_ai_last_call_timestamp_seconds"),
            (Instrument::LogRecords, "sidelight_log_records_total"),
            (Instrument::LastSeen, "sidelight_resource_last_seen_timestamp_seconds"),
        ] {
            assert_eq!(instrument.series_name(), expected);
        }
    }

    #[test]
    fn a_code_is_the_place_in_the_table() {
        for (at, &instrument) in Instrument::ALL.iter().enumerate() {
            assert_eq!(instrument as usize, at);
        }
    }
}
