//! What a finished call adds to metrics, and what it cost.
//!
//! A call takes seconds: attributes are built for each, and for the chunks of a stream once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundHistogram, Counter, Gauge, Histogram};

use super::conventions::Conventions;
use super::{Provider, Usage};
use crate::interned::{Name, Names};
use crate::meter::{Cell, Instruments};
use crate::names;

static CALLS: Cell<Calls> = Cell::new();
static MODELS: Names = Names::new("models");
static PRICING: RwLock<Option<Arc<Pricing>>> = RwLock::new(None);

type Pricing = dyn Fn(&Priced<'_>) -> Option<Cost> + Send + Sync;

/// What a call cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// US dollars, 0 or more.
    pub usd: f64,
}

/// A call that is to be priced.
///
/// ```
/// sidelight::llm::pricing(|call| {
///     // Converse's answers name no model; what was asked for is known.
///     let per_token = match (call.provider.name(), call.model) {
///         ("aws.bedrock", "eu.anthropic.claude-sonnet-4-5") => 15e-6,
///         _ => return None,
///     };
///     Some(sidelight::llm::Cost { usd: call.usage.output as f64 * per_token })
/// });
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Priced<'a> {
    /// Who was asked.
    pub provider: Provider,
    /// `chat`, `generate_content` or `embeddings`.
    pub operation: &'static str,
    /// The model that answered, where the answer says it, else the one that was asked for.
    pub model: &'a str,
    /// What the provider counted.
    pub usage: &'a Usage,
}

/// Says what calls cost. A call that `price` knows no price for is counted as unpriced
/// (`sidelight.gen_ai.unpriced.requests`), never as free. The agent prices calls by a table of its own: this is for prices
/// that only the application knows.
///
/// # Example
/// ```
/// use sidelight::llm::{self, Cost};
///
/// llm::pricing(|call| match call.model {
///     "house-7b" => Some(Cost { usd: call.usage.output as f64 * 2e-7 }),
///     _ => None,
/// });
/// ```
pub fn pricing(price: impl Fn(&Priced<'_>) -> Option<Cost> + Send + Sync + 'static) {
    *PRICING.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(price));
}

/// The price of a call: outer none without pricing. A price that cannot be, or a pricing that panics, is no price.
fn price(over: &Over<'_>, usage: &Usage) -> Option<Option<Cost>> {
    let pricing = PRICING.read().unwrap_or_else(PoisonError::into_inner).clone()?;
    let model = usage.model.as_deref().unwrap_or(over.asked);
    let call = Priced { provider: over.provider, operation: over.operation, model, usage };
    let price = catch_unwind(AssertUnwindSafe(|| pricing(&call))).ok().flatten();
    Some(price.filter(|cost| cost.usd.is_finite() && cost.usd >= 0.0))
}

/// A model's name as a label.
pub(super) fn model(name: &str) -> Name {
    MODELS.intern(name)
}

/// A call that is over.
pub(super) struct Over<'a> {
    pub(super) provider: Provider,
    pub(super) operation: &'static str,
    pub(super) model: Name,
    /// The model as the application spells it, also where it is no label.
    pub(super) asked: &'a str,
    pub(super) duration: Option<Duration>,
    pub(super) first_chunk: Option<Duration>,
    pub(super) error: Option<&'static str>,
    /// None for a call that ended before it could have one.
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
    conventions: Conventions,
    usage: Tokens,
    duration: Histogram<f64>,
    /// Until the first chunk, and of each that follows.
    chunks: Option<[Histogram<f64>; 2]>,
}

/// Tokens by the conventions.
enum Tokens {
    ByType(Histogram<f64>),
    Named {
        /// Input, output, read from the cache, written to it, reasoning.
        sums: [Counter<u64>; 5],
        /// Input, output.
        sizes: [Histogram<f64>; 2],
    },
}

impl Calls {
    fn new(instruments: &Instruments) -> Self {
        let conventions = Conventions::chosen();
        let (usage, duration, chunks) = match conventions {
            Conventions::V1_36 => (Tokens::by_type(instruments), &names::GEN_AI_DURATION, None),
            Conventions::Development => (
                Tokens::by_type(instruments),
                &names::GEN_AI_DURATION,
                Some([&names::GEN_AI_FIRST_CHUNK, &names::GEN_AI_PER_CHUNK]),
            ),
            Conventions::Latest => (
                Tokens::named(instruments),
                &names::GEN_AI_INFERENCE_DURATION,
                Some([&names::GEN_AI_INFERENCE_FIRST_CHUNK, &names::GEN_AI_INFERENCE_PER_CHUNK]),
            ),
        };
        Self {
            tokens: instruments.counter(&names::GEN_AI_TOKENS),
            details: instruments.counter(&names::GEN_AI_TOKENS_DETAIL),
            requests: instruments.counter(&names::GEN_AI_REQUESTS),
            last_call: instruments.gauge(&names::GEN_AI_LAST_CALL),
            missing: instruments.counter(&names::GEN_AI_USAGE_MISSING),
            cost: instruments.sum(&names::GEN_AI_COST),
            unpriced: instruments.counter(&names::GEN_AI_UNPRICED),
            conventions,
            usage,
            duration: instruments.histogram(duration),
            chunks: chunks.map(|chunks| chunks.map(|metric| instruments.histogram(metric))),
        }
    }
}

impl Tokens {
    fn by_type(instruments: &Instruments) -> Self {
        Self::ByType(instruments.histogram(&names::GEN_AI_TOKEN_USAGE))
    }

    fn named(instruments: &Instruments) -> Self {
        let sums = [
            &names::GEN_AI_INFERENCE_INPUT,
            &names::GEN_AI_INFERENCE_OUTPUT,
            &names::GEN_AI_INFERENCE_CACHE_READ,
            &names::GEN_AI_INFERENCE_CACHE_WRITE,
            &names::GEN_AI_INFERENCE_REASONING,
        ];
        let sizes = [&names::GEN_AI_INFERENCE_INPUT_SIZE, &names::GEN_AI_INFERENCE_OUTPUT_SIZE];
        Self::Named {
            sums: sums.map(|metric| instruments.counter(metric)),
            sizes: sizes.map(|metric| instruments.histogram(metric)),
        }
    }

    fn record(&self, usage: &Usage, labels: &[KeyValue]) {
        match self {
            Self::ByType(histogram) => {
                for (kind, count) in [("input", usage.input), ("output", usage.output)] {
                    histogram.record(float(count), &labelled(labels, kind));
                }
            }
            Self::Named { sums, sizes } => {
                let Usage { input, output, cache_read, cache_write, reasoning, .. } = *usage;
                let counts = [input, output, cache_read, cache_write, reasoning];
                let counted = sums.iter().zip(counts).filter(|(_, count)| *count > 0);
                counted.for_each(|(sum, count)| sum.add(count, labels));
                let sizes = sizes.iter().zip([input, output]);
                sizes.for_each(|(size, count)| size.record(float(count), labels));
            }
        }
    }
}

fn labelled(labels: &[KeyValue], kind: &'static str) -> Vec<KeyValue> {
    let mut labels = labels.to_vec();
    labels.push(KeyValue::new("gen_ai.token.type", kind));
    labels
}

/// A label, unless there is nothing to say.
fn label(name: &'static str, value: Option<&'static str>) -> Option<KeyValue> {
    value.map(|value| KeyValue::new(name, value))
}

/// What the chunks of a stream after its first are recorded by, where the conventions have that. Which model answers is told
/// when it has.
pub(super) fn chunks(
    provider: Provider,
    operation: &'static str,
    model: Name,
) -> Option<BoundHistogram<f64>> {
    let bound = CALLS.with(Calls::new, |calls| {
        let [_, per_chunk] = calls.chunks.as_ref()?;
        let (attribute, provider) = calls.conventions.provider(provider.name());
        Some(per_chunk.bind(&[
            KeyValue::new(attribute, provider),
            KeyValue::new("gen_ai.request.model", model.text().unwrap_or("")),
            KeyValue::new("gen_ai.operation.name", operation),
        ]))
    });
    bound.flatten()
}

/// Counts a call.
pub(super) fn record(over: &Over<'_>) {
    CALLS.with(Calls::new, |calls| {
        let short = [
            KeyValue::new("gen_ai.provider.name", over.provider.name()),
            KeyValue::new("gen_ai.request.model", over.model.text().unwrap_or("")),
        ];
        let with = |more: KeyValue| [short[0].clone(), short[1].clone(), more];
        let outcome = if over.error.is_some() { "error" } else { "ok" };
        calls.requests.add(1, &with(KeyValue::new("outcome", outcome)));
        calls.last_call.record(unix_seconds(), &short);
        let usage = over.usage.as_ref().and_then(|usage| usage.ok());
        let answered = usage.and_then(|usage| usage.model.as_deref()).map(model);
        let (attribute, provider) = calls.conventions.provider(over.provider.name());
        let mut long = vec![
            KeyValue::new(attribute, provider),
            short[1].clone(),
            KeyValue::new("gen_ai.operation.name", over.operation),
        ];
        long.extend(label("gen_ai.response.model", answered.and_then(Name::text)));
        match (usage, &over.usage) {
            (Some(usage), _) => tokens(calls, over, usage, &short, &long),
            (None, Some(_)) => calls.missing.add(1, &short),
            (None, None) => {}
        }
        durations(calls, over, &mut long);
    });
}

fn tokens(calls: &Calls, over: &Over<'_>, usage: &Usage, short: &[KeyValue; 2], long: &[KeyValue]) {
    for (kind, count) in [("input", usage.input), ("output", usage.output)] {
        calls.tokens.add(count, &labelled(short, kind));
    }
    calls.usage.record(usage, long);
    let parts = [
        ("cache_read", usage.cache_read),
        ("cache_write", usage.cache_write),
        ("reasoning", usage.reasoning),
    ];
    for (kind, count) in parts.into_iter().filter(|(_, count)| *count > 0) {
        calls.details.add(count, &labelled(short, kind));
    }
    match price(over, usage) {
        Some(Some(cost)) => calls.cost.add(cost.usd, short),
        Some(None) => calls.unpriced.add(1, short),
        None => {}
    }
}

fn durations(calls: &Calls, over: &Over<'_>, labels: &mut Vec<KeyValue>) {
    if let (Some(first), Some([first_chunk, _])) = (over.first_chunk, &calls.chunks) {
        first_chunk.record(first.as_secs_f64(), labels);
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
