//! What a finished call adds to metrics, and what it cost.
//!
//! A call takes seconds: attributes are built for each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram};

use super::Usage;
use crate::interned::{Name, Names};
use crate::meter::{Cell, Instruments};
use crate::names;

static CALLS: Cell<Calls> = Cell::new();
static MODELS: Names = Names::new();
static PRICING: RwLock<Option<Arc<Pricing>>> = RwLock::new(None);

type Pricing = dyn Fn(&Usage) -> Option<Cost> + Send + Sync;

/// What a call cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// US dollars, 0 or more.
    pub usd: f64,
}

/// Says what calls cost. A call that `price` knows no price for is counted as unpriced
/// (`sidelight.gen_ai.unpriced.requests`), never as free. The agent prices calls by a table of its own: this is for prices
/// that only the application knows.
///
/// # Example
/// ```
/// use sidelight::llm::{self, Cost};
///
/// llm::pricing(|usage| match usage.model.as_deref()? {
///     "house-7b" => Some(Cost { usd: usage.output as f64 * 2e-7 }),
///     _ => None,
/// });
/// ```
pub fn pricing(price: impl Fn(&Usage) -> Option<Cost> + Send + Sync + 'static) {
    *PRICING.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(price));
}

/// The price of a call: outer none without pricing. A price that cannot be, or a pricing that panics, is no price.
fn price(usage: &Usage) -> Option<Option<Cost>> {
    let pricing = PRICING.read().unwrap_or_else(PoisonError::into_inner).clone()?;
    let price = catch_unwind(AssertUnwindSafe(|| pricing(usage))).ok().flatten();
    Some(price.filter(|cost| cost.usd.is_finite() && cost.usd >= 0.0))
}

/// A model's name as a label.
pub(super) fn model(name: &str) -> Name {
    MODELS.intern(name)
}

/// A call that is over.
pub(super) struct Over<'a> {
    pub(super) provider: &'static str,
    pub(super) operation: &'static str,
    pub(super) model: Name,
    pub(super) duration: Option<Duration>,
    pub(super) first_chunk: Option<Duration>,
    pub(super) error: Option<&'static str>,
    /// None for a call that failed before it could have one.
    pub(super) usage: Option<Result<&'a Usage, ()>>,
}

struct Calls {
    tokens: Counter<u64>,
    details: Counter<u64>,
    requests: Counter<u64>,
    last_call: Gauge<f64>,
    missing: Counter<u64>,
    cost: Counter<f64>,
    unpriced: Counter<u64>,
    token_usage: Histogram<f64>,
    duration: Histogram<f64>,
    first_chunk: Histogram<f64>,
    per_chunk: Histogram<f64>,
}

impl Calls {
    fn new(instruments: &Instruments) -> Self {
        Self {
            tokens: instruments.counter(&names::GEN_AI_TOKENS),
            details: instruments.counter(&names::GEN_AI_TOKENS_DETAIL),
            requests: instruments.counter(&names::GEN_AI_REQUESTS),
            last_call: instruments.gauge(&names::GEN_AI_LAST_CALL),
            missing: instruments.counter(&names::GEN_AI_USAGE_MISSING),
            cost: instruments.sum(&names::GEN_AI_COST),
            unpriced: instruments.counter(&names::GEN_AI_UNPRICED),
            token_usage: instruments.histogram(&names::GEN_AI_TOKEN_USAGE),
            duration: instruments.histogram(&names::GEN_AI_DURATION),
            first_chunk: instruments.histogram(&names::GEN_AI_FIRST_CHUNK),
            per_chunk: instruments.histogram(&names::GEN_AI_PER_CHUNK),
        }
    }
}

/// A label, unless there is nothing to say.
fn label(name: &'static str, value: Option<&'static str>) -> Option<KeyValue> {
    value.map(|value| KeyValue::new(name, value))
}

/// Counts a call.
pub(super) fn record(over: &Over<'_>) {
    CALLS.with(Calls::new, |calls| {
        let short = [
            KeyValue::new("gen_ai.provider.name", over.provider),
            KeyValue::new("gen_ai.request.model", over.model.text().unwrap_or("")),
        ];
        let with = |more: KeyValue| [short[0].clone(), short[1].clone(), more];
        let outcome = if over.error.is_some() { "error" } else { "ok" };
        calls.requests.add(1, &with(KeyValue::new("outcome", outcome)));
        calls.last_call.record(unix_seconds(), &short);
        let usage = over.usage.as_ref().and_then(|usage| usage.ok());
        let answered = usage.and_then(|usage| usage.model.as_deref()).map(model);
        let mut long: Vec<KeyValue> =
            with(KeyValue::new("gen_ai.operation.name", over.operation)).into();
        long.extend(label("gen_ai.response.model", answered.and_then(Name::text)));
        match (usage, &over.usage) {
            (Some(usage), _) => tokens(calls, usage, &short, &long),
            (None, Some(_)) => calls.missing.add(1, &short),
            (None, None) => {}
        }
        durations(calls, over, usage, &mut long);
    });
}

fn tokens(calls: &Calls, usage: &Usage, short: &[KeyValue; 2], long: &[KeyValue]) {
    const TYPE: &str = "gen_ai.token.type";
    let labelled = |labels: &[KeyValue], kind: &'static str| {
        let mut labels = labels.to_vec();
        labels.push(KeyValue::new(TYPE, kind));
        labels
    };
    for (kind, count) in [("input", usage.input), ("output", usage.output)] {
        calls.tokens.add(count, &labelled(short, kind));
        calls.token_usage.record(float(count), &labelled(long, kind));
    }
    let parts = [
        ("cache_read", usage.cache_read),
        ("cache_write", usage.cache_write),
        ("reasoning", usage.reasoning),
    ];
    for (kind, count) in parts.into_iter().filter(|(_, count)| *count > 0) {
        calls.details.add(count, &labelled(short, kind));
    }
    match price(usage) {
        Some(Some(cost)) => calls.cost.add(cost.usd, short),
        Some(None) => calls.unpriced.add(1, short),
        None => {}
    }
}

fn durations(calls: &Calls, over: &Over<'_>, usage: Option<&Usage>, labels: &mut Vec<KeyValue>) {
    if let Some(first) = over.first_chunk {
        calls.first_chunk.record(first.as_secs_f64(), labels);
        // By tokens, since providers cut their chunks as they like.
        let rest = over.duration.and_then(|all| all.checked_sub(first));
        if let (Some(rest), Some(tokens @ 2..)) = (rest, usage.map(|usage| usage.output)) {
            calls.per_chunk.record(rest.as_secs_f64() / float(tokens - 1), labels);
        }
    }
    labels.extend(label("error.type", over.error));
    if let Some(duration) = over.duration {
        calls.duration.record(duration.as_secs_f64(), labels);
    }
}

#[expect(clippy::cast_precision_loss, reason = "tokens past 2^53 are not told apart")]
fn float(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::disallowed_methods,
    reason = "when a call ended is told by the wall clock; nothing is measured"
)]
fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
