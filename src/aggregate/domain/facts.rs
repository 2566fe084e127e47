//! What a span, an event or a log record says of the families besides what every span is counted by
//! ([`super::super::usual::Fields`]). One walk over its attributes; only of those that say any of it.

use std::borrow::Cow;

use sidelight_wire::view::{Attributes, Text, Value};

/// Attributes by what they say, whichever convention spelled them; the first of a name holds.
#[derive(Clone, Debug, Default)]
pub(in crate::aggregate) struct Facts<'a> {
    pub(in crate::aggregate) error_type: Option<Cow<'a, str>>,
    pub(in crate::aggregate) cache_name: Option<Cow<'a, str>>,
    pub(in crate::aggregate) cache_type: Option<Cow<'a, str>>,
    pub(in crate::aggregate) cache_result: Option<Cow<'a, str>>,
    pub(in crate::aggregate) resends: Option<i64>,
    pub(in crate::aggregate) user: Option<Cow<'a, str>>,
    pub(in crate::aggregate) provider: Option<Cow<'a, str>>,
    pub(in crate::aggregate) model: Option<Cow<'a, str>>,
    pub(in crate::aggregate) model_operation: Option<Cow<'a, str>>,
    /// The id that a provider gave its answer.
    pub(in crate::aggregate) answer: Option<Cow<'a, str>>,
    pub(in crate::aggregate) input_tokens: Option<i64>,
    pub(in crate::aggregate) output_tokens: Option<i64>,
    pub(in crate::aggregate) flag: Option<Cow<'a, str>>,
    pub(in crate::aggregate) usage: Option<Cow<'a, str>>,
    pub(in crate::aggregate) intent: Option<Cow<'a, str>>,
    pub(in crate::aggregate) confidence: Option<&'static str>,
}

fn text<'a>(slot: &mut Option<Cow<'a, str>>, value: Value<'a>) {
    if slot.is_none() {
        *slot = value.text().map(Text::to_string_lossy);
    }
}

/// A whole number, as some write it in text.
fn whole(slot: &mut Option<i64>, value: Value<'_>) {
    if slot.is_none() {
        *slot = match value {
            Value::Int(number) => Some(number),
            Value::String(text) => text.to_string_lossy().parse().ok(),
            _ => None,
        };
    }
}

impl<'a> Facts<'a> {
    /// What these attributes say.
    pub(in crate::aggregate) fn of(attributes: Attributes<'a>) -> Self {
        let mut facts = Self::default();
        for attribute in attributes {
            facts.note(attribute.key.as_bytes(), || attribute.value.get());
        }
        facts
    }

    fn note(&mut self, key: &[u8], value: impl Fn() -> Value<'a>) {
        match key {
            b"error.type" => text(&mut self.error_type, value()),
            b"sidelight.cache.name" | b"cache.name" => text(&mut self.cache_name, value()),
            b"sidelight.cache.type" => text(&mut self.cache_type, value()),
            b"sidelight.cache.result" => text(&mut self.cache_result, value()),
            b"cache.hit" => {
                if let (None, Value::Bool(hit)) = (&self.cache_result, value()) {
                    self.cache_result = Some(Cow::Borrowed(if hit { "hit" } else { "miss" }));
                }
            }
            b"http.request.resend_count" | b"http.resend_count" | b"celery.retries" => {
                whole(&mut self.resends, value());
            }
            b"user.id" | b"enduser.id" | b"enduser.pseudo.id" | b"user.hash" => {
                text(&mut self.user, value());
            }
            b"gen_ai.provider.name" | b"gen_ai.system" => text(&mut self.provider, value()),
            b"gen_ai.request.model" => text(&mut self.model, value()),
            b"gen_ai.operation.name" => text(&mut self.model_operation, value()),
            b"gen_ai.response.id" => text(&mut self.answer, value()),
            b"gen_ai.usage.input_tokens" | b"gen_ai.usage.prompt_tokens" => {
                whole(&mut self.input_tokens, value());
            }
            b"gen_ai.usage.output_tokens" | b"gen_ai.usage.completion_tokens" => {
                whole(&mut self.output_tokens, value());
            }
            b"feature_flag.key" => text(&mut self.flag, value()),
            b"sidelight.usage.pattern" => text(&mut self.usage, value()),
            b"intent.type" => text(&mut self.intent, value()),
            b"confidence" => self.confidence = confidence(value()),
            _ => {}
        }
    }
}

/// High from 0.8, medium from 0.5; a word stays a word.
fn confidence(value: Value<'_>) -> Option<&'static str> {
    let number = match value {
        Value::Double(number) => number,
        Value::Int(number) => number as f64,
        Value::String(text) => {
            let words = ["high", "medium", "low"];
            return words.into_iter().find(|word| word.as_bytes() == text.as_bytes());
        }
        _ => return None,
    };
    Some(match number {
        0.8.. => "high",
        0.5.. => "medium",
        _ => "low",
    })
}
