//! Spans to the series of families: refused requests, lookups in caches, attempts, language models, and their events.

use std::borrow::Cow;

use sidelight_wire::view::traces::{Request, Span};

use super::Domain;
use super::board::Place;
use super::facts::Facts;
use super::families::{Family, Source};
use super::instruments::Instrument;
use super::resources::{Claim, Found};
use super::traces::Lookup;
use crate::aggregate::metrics::sink::Sink;
use crate::aggregate::weight;

const SERVER: i32 = 2;
const STATUS_ERROR: i32 = 2;

/// A span and what it says.
pub(super) struct Seen<'a> {
    span: Span<'a>,
    facts: Facts<'a>,
    seconds: Option<f64>,
    weight: f64,
    failed: bool,
}

impl<'a> Seen<'a> {
    fn of(span: Span<'a>) -> Self {
        let facts = Facts::of(span.attributes());
        let nanos = span.end_time_unix_nano.checked_sub(span.start_time_unix_nano);
        let status = facts.status.unwrap_or(0);
        // What a client did wrong is no error of the server.
        let failed = span.status.code == STATUS_ERROR
            || status >= 500
            || (status >= 400 && span.kind != SERVER);
        let seconds = nanos.map(|nanos| nanos as f64 / 1e9);
        Self { span, facts, seconds, weight: weight::of(span.trace_state.as_bytes()), failed }
    }

    const fn outcome(&self) -> &'static str {
        if self.failed { "error" } else { "ok" }
    }

    fn reason(&self) -> Cow<'_, str> {
        match (&self.facts.error_type, self.facts.status) {
            (Some(reason), _) => Cow::Borrowed(reason.as_ref()),
            (None, Some(status)) if status >= 400 => Cow::Owned(status.to_string()),
            _ => Cow::Borrowed("error"),
        }
    }
}

impl<Id: Copy + Eq> Domain<Id> {
    /// Counts what the spans of a traces request say.
    pub(super) fn spans<S: Sink<Id = Id>>(&mut self, _sink: &mut S, request: &[u8]) {
        for resource in Request::new(request).resources() {
            let Some(found) = self.enter(resource.resource()) else { continue };
            let all = || resource.scope_spans().flat_map(|scope| scope.spans());
            for span in all() {
                self.span(&found, &Seen::of(span));
            }
            // Ancestors end, and are sent, after what they are above of: the whole request is known here.
            if self.traces.follows(found.instance) {
                for span in all() {
                    self.traces.link(found.instance, &span, self.now_ms);
                }
            }
        }
        let settled = self.traces.settle(self.now_ms);
        self.count_lookups(settled);
    }

    fn span(&mut self, found: &Found, seen: &Seen<'_>) {
        let Seen { span, facts, .. } = seen;
        if span.kind == SERVER && facts.method.is_some() {
            self.http(found, seen);
        }
        if let (Some(name), Some(result)) = (&facts.cache_name, &facts.cache_result)
            && self.holds(found, Family::Cache)
        {
            let known = facts.cache_type.as_deref().unwrap_or_default();
            let lookup = Lookup {
                name: name.to_string(),
                kind: known.to_owned(),
                result: result_word(result),
                weight: seen.weight,
                found: found.clone(),
            };
            if let Some(seconds) = seen.seconds.filter(|_| span.kind != SERVER) {
                let values = [name.as_ref(), known, lookup.result];
                let record = (seconds, seen.weight);
                self.board.record(Instrument::CacheDuration, place(found), &values, record);
            }
            let left_out = self.traces.wait(lookup, span, self.now_ms);
            self.count_lookups(left_out);
        }
        if facts.resends.is_some() {
            self.attempt(found, seen);
        }
        if facts.input_tokens.is_some() || facts.output_tokens.is_some() {
            self.model_call(found, seen);
        }
        for event in span.events() {
            self.event(found, event.name.as_bytes(), &Facts::of(event.attributes()), Some(seen));
        }
    }

    fn http(&mut self, found: &Found, seen: &Seen<'_>) {
        if seen.facts.status == Some(429) && self.holds(found, Family::RateLimited) {
            let route = seen.facts.route.as_deref().unwrap_or_default();
            self.board.add(Instrument::RateLimited, place(found), &[route], seen.weight);
        }
    }

    fn attempt(&mut self, found: &Found, seen: &Seen<'_>) {
        if !self.holds(found, Family::Retry) {
            return;
        }
        let operation = seen.facts.operation(&seen.span);
        if seen.failed {
            let values = [&*operation, &*seen.reason(), "retry"];
            self.board.add(Instrument::RetryAttempts, place(found), &values, seen.weight);
            return;
        }
        let values = [&*operation, "", "success"];
        self.board.add(Instrument::RetryAttempts, place(found), &values, seen.weight);
        let retries = seen.facts.resends.unwrap_or(0).max(0) as f64;
        let record = (retries, seen.weight);
        self.board.record(Instrument::RetryRetries, place(found), &[&*operation, "ok"], record);
    }

    fn model_call(&mut self, found: &Found, seen: &Seen<'_>) {
        if !self.holds(found, Family::Llm) {
            return;
        }
        let facts = &seen.facts;
        let provider = facts.provider.as_deref().unwrap_or_default();
        let model = facts.model.as_deref().unwrap_or_default();
        let place = place(found);
        for (kind, tokens) in [("input", facts.input_tokens), ("output", facts.output_tokens)] {
            if let Some(tokens) = tokens.filter(|tokens| *tokens > 0) {
                let amount = tokens as f64 * seen.weight;
                self.board.add(Instrument::LlmTokens, place, &[provider, model, kind], amount);
            }
        }
        let values = [provider, model, seen.outcome()];
        self.board.add(Instrument::LlmRequests, place, &values, seen.weight);
        let ended = (seen.span.end_time_unix_nano / 1_000_000_000) as f64;
        self.board.set(Instrument::LlmLastCall, place, &[provider, model], ended);
    }

    /// Counts an event of a span or of a log record.
    pub(super) fn event(
        &mut self,
        found: &Found,
        name: &[u8],
        facts: &Facts<'_>,
        span: Option<&Seen<'_>>,
    ) {
        let weight = span.map_or(1.0, |span| span.weight);
        match name {
            b"feature_flag.evaluation" | b"feature_flag" => {
                let Some(flag) = facts.flag.as_deref() else { return };
                let user = facts.user.as_deref().or(span.and_then(|s| s.facts.user.as_deref()));
                if let Some(user) = user {
                    self.users.note(&found.target, flag, user, self.now_ms);
                }
                if !self.holds(found, Family::Feature) {
                    return;
                }
                let failed = facts.error_type.is_some();
                let outcome = if failed { "error" } else { span.map_or("ok", Seen::outcome) };
                let usage = facts.usage.as_deref().unwrap_or("direct");
                let values = [flag, "flag", usage, outcome];
                self.board.add(Instrument::FeatureUses, place(found), &values, weight);
                if let Some(seconds) = span.and_then(|span| span.seconds) {
                    let record = (seconds, weight);
                    let values = [flag, outcome];
                    self.board.record(Instrument::FeatureDuration, place(found), &values, record);
                }
            }
            b"sidelight.intent" => {
                let Some(intent) = facts.intent.as_deref() else { return };
                if self.holds(found, Family::Intent) {
                    let values = [intent, facts.confidence.as_deref().unwrap_or_default()];
                    self.board.add(Instrument::Intents, place(found), &values, weight);
                }
            }
            _ => {}
        }
    }

    /// Whether spans are the source of a family; what they say is counted as suppressed where they are not.
    fn holds(&mut self, found: &Found, family: Family) -> bool {
        self.claim(found, family, Source::Spans) != Claim::Lost
    }

    pub(super) fn count_lookups(&mut self, lookups: Vec<(Lookup, String)>) {
        for (of, route) in lookups {
            let values = [of.name.as_str(), of.kind.as_str(), of.result, route.as_str()];
            self.board.add(Instrument::CacheRequests, place(&of.found), &values, of.weight);
        }
    }
}

pub(super) fn place(found: &Found) -> Place<'_> {
    Place { slot: found.slot, target: &found.target }
}

fn result_word(result: &str) -> &'static str {
    ["hit", "miss", "stale"].into_iter().find(|known| *known == result).unwrap_or("error")
}
