//! Spans to the series of families: refused requests, lookups in caches, attempts, language models, and their events.

use std::borrow::Cow;

use sidelight_wire::view::traces::{ResourceSpans, Span};

use super::Domain;
use super::board::Place;
use super::facts::Facts;
use super::families::{Family, Source};
use super::instruments::Instrument;
use super::resources::{Claim, Found};
use super::retries::{Attempt, Became};
use super::traces::{Lookup, Settled, id_of};
use crate::aggregate::operation;
use crate::aggregate::operation::SERVER;
use crate::aggregate::usual::Fields;
use crate::aggregate::walk;
use crate::aggregate::walk::Visit;
use crate::aggregate::weight;

const TOO_MANY_REQUESTS: i64 = 429;

/// Counts what the spans of a traces request say.
#[derive(Debug)]
pub(in crate::aggregate) struct Counting<'a, Id> {
    domain: &'a mut Domain<Id>,
    /// The resource at hand, and whether its spans are followed.
    of: Option<(Found, bool)>,
}

impl<Id: Copy + Eq> Domain<Id> {
    /// Who counts the spans of a request.
    pub(in crate::aggregate) const fn counting(&mut self) -> Counting<'_, Id> {
        Counting { domain: self, of: None }
    }
}

impl<'r, Id: Copy + Eq> Visit<'r> for Counting<'_, Id> {
    fn begin(&mut self, resource: ResourceSpans<'r>) {
        let found = self.domain.enter(resource.resource());
        self.of = found.map(|found| {
            let follows = self.domain.traces.follows(found.instance);
            (found, follows)
        });
    }

    fn spans(&mut self, spans: &[walk::Span<'r>]) {
        let Some((found, follows)) = &self.of else { return };
        if *follows {
            let now_ms = self.domain.now_ms;
            let traces = &mut self.domain.traces;
            spans.iter().for_each(|span| traces.link(found.instance, &span.fields, now_ms));
        }
        for walk::Span { bytes, fields } in spans {
            if fields.http_status() == Some(TOO_MANY_REQUESTS) {
                self.domain.rate_limited(found, fields);
            }
            if fields.of_family() {
                self.domain.span(found, bytes, fields);
            }
        }
    }

    fn end(&mut self, resource: ResourceSpans<'r>) {
        let Some((found, false)) = &self.of else { return };
        // The first lookups of an instance may have come after what is above them.
        if self.domain.traces.follows(found.instance) {
            for span in resource.scope_spans().flat_map(|scope| scope.span_bytes()) {
                let fields = Fields::of(span);
                self.domain.traces.link(found.instance, &fields, self.domain.now_ms);
            }
        }
    }

    fn finish(&mut self) {
        let settled = self.domain.traces.settle(self.domain.now_ms);
        self.domain.count_lookups(settled);
        self.domain.note_refused();
    }
}

/// A span and what it says.
pub(super) struct Seen<'a> {
    span: &'a Fields<'a>,
    facts: Facts<'a>,
    seconds: Option<f64>,
    weight: f64,
    failed: bool,
}

impl<'a> Seen<'a> {
    fn of(span: &'a Fields<'a>, facts: Facts<'a>) -> Self {
        let nanos = span.end_unix_nano.checked_sub(span.start_unix_nano);
        let seconds = nanos.map(|nanos| nanos as f64 / 1e9);
        let (weight, failed) = (weight::of(span.trace_state), operation::span_failed(span));
        Self { span, facts, seconds, weight, failed }
    }

    const fn outcome(&self) -> &'static str {
        if self.failed { "error" } else { "ok" }
    }

    fn reason(&self) -> Cow<'_, str> {
        match (&self.facts.error_type, self.span.http_status()) {
            (Some(reason), _) => Cow::Borrowed(reason.as_ref()),
            (None, Some(status)) if status >= 400 => Cow::Owned(status.to_string()),
            _ => Cow::Borrowed("error"),
        }
    }
}

impl<Id: Copy + Eq> Domain<Id> {
    fn rate_limited(&mut self, found: &Found, fields: &Fields<'_>) {
        let of_http = fields.kind == i32::from(SERVER) && fields.method().is_some();
        if of_http && self.holds(found, Family::RateLimited) {
            let route = String::from_utf8_lossy(fields.route().unwrap_or_default());
            let weight = weight::of(fields.trace_state);
            self.board.add(Instrument::RateLimited, place(found), &[&route], weight);
        }
    }

    fn span(&mut self, found: &Found, bytes: &[u8], fields: &Fields<'_>) {
        let span = Span::new(bytes);
        let seen = Seen::of(fields, Facts::of(span.attributes()));
        if let (Some(name), Some(result)) = (&seen.facts.cache_name, &seen.facts.cache_result)
            && self.holds(found, Family::Cache)
        {
            self.lookup(found, &seen, name, result_word(result));
        }
        if seen.facts.resends.is_some() {
            self.attempt(found, &seen);
        }
        if seen.facts.input_tokens.is_some() || seen.facts.output_tokens.is_some() {
            self.model_call(found, &seen);
        }
        for event in span.events() {
            let name = event.name.as_bytes();
            if is_event(name) {
                self.event(found, name, &Facts::of(event.attributes()), Some(&seen));
            }
        }
    }

    fn lookup(&mut self, found: &Found, seen: &Seen<'_>, name: &str, result: &'static str) {
        // What waits is no longer than what is shown of it.
        let kind = seen.facts.cache_type.as_deref().unwrap_or_default();
        let (name, kind) = (self.board.cut(name), self.board.cut(kind));
        if let Some(seconds) = seen.seconds.filter(|_| seen.span.kind != i32::from(SERVER)) {
            let record = (seconds, seen.weight);
            let values = [name, kind, result];
            self.board.record(Instrument::CacheDuration, place(found), &values, record);
        }
        let (name, kind) = (name.to_owned(), kind.to_owned());
        let lookup = Lookup { name, kind, result, weight: seen.weight, found: found.clone() };
        let left_out = self.traces.wait(lookup, seen.span, self.now_ms);
        self.count_lookups(left_out);
    }

    fn attempt(&mut self, found: &Found, seen: &Seen<'_>) {
        if !self.holds(found, Family::Retry) {
            return;
        }
        let operation = operation::of(seen.span);
        let operation = self.board.cut(&operation);
        let trace = id_of(found.instance, seen.span.trace_id);
        let retries = seen.facts.resends.unwrap_or(0).max(0);
        if seen.failed {
            let attempt = Attempt {
                found: found.clone(),
                operation: operation.into(),
                reason: seen.reason().into_owned(),
                retries,
                weight: seen.weight,
            };
            let before = self.retries.failed(trace, attempt, self.now_ms);
            return self.count_attempts(before);
        }
        let before = self.retries.succeeded(trace, operation);
        self.count_attempts(before);
        let values = [operation, "", "success"];
        self.board.add(Instrument::RetryAttempts, place(found), &values, seen.weight);
        let record = (retries as f64, seen.weight);
        self.board.record(Instrument::RetryRetries, place(found), &[operation, "ok"], record);
    }

    /// Counts attempts that failed.
    pub(super) fn count_attempts(&mut self, became: impl IntoIterator<Item = Became>) {
        for became in became {
            let (of, result) = match &became {
                Became::Retried(of) => (of, "retry"),
                Became::GaveUp(of) => (of, "exhausted"),
            };
            let (at, operation) = (place(&of.found), &*of.operation);
            let values = [operation, &of.reason, result];
            self.board.add(Instrument::RetryAttempts, at, &values, of.weight);
            if result == "exhausted" {
                let record = (of.retries as f64, of.weight);
                self.board.record(Instrument::RetryRetries, at, &[operation, "error"], record);
            }
        }
    }

    fn model_call(&mut self, found: &Found, seen: &Seen<'_>) {
        let facts = &seen.facts;
        let trace = id_of(found.instance, seen.span.trace_id);
        if !self.holds(found, Family::Llm) || !self.calls.is_new(found.instance, trace, facts) {
            return;
        }
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
        let ended = (seen.span.end_unix_nano / 1_000_000_000) as f64;
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
                    let values = [intent, facts.confidence.unwrap_or_default()];
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

    pub(super) fn count_lookups(&mut self, lookups: Vec<Settled>) {
        for (of, route) in lookups {
            let route = route.as_deref().unwrap_or_default();
            let values = [of.name.as_str(), of.kind.as_str(), of.result, route];
            self.board.add(Instrument::CacheRequests, place(&of.found), &values, of.weight);
        }
    }
}

pub(super) fn place(found: &Found) -> Place<'_> {
    Place { slot: found.slot, target: &found.target }
}

/// Whether an event of this name is counted.
pub(super) fn is_event(name: &[u8]) -> bool {
    matches!(name, b"feature_flag.evaluation" | b"feature_flag" | b"sidelight.intent")
}

fn result_word(result: &str) -> &'static str {
    ["hit", "miss", "stale"].into_iter().find(|known| *known == result).unwrap_or("error")
}
