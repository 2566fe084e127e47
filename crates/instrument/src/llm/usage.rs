//! What a provider says that a call used, in one meaning for all providers.
//!
//! Invariants: `input` includes what was read from and written to the cache, `output` includes reasoning. OpenAI's record has
//! it so; Anthropic and Bedrock count the cache beside the input, and Gemini thoughts beside candidates and tool prompts beside
//! the prompt: their sums are made here.
//!
//! Source: the providers' API references; Anthropic's sum is normative in the OpenTelemetry GenAI conventions.

use std::borrow::Cow;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::Provider;

/// Why there is no usage.
///
/// ```
/// use sidelight::llm::{Provider, Usage, UsageError};
///
/// let nothing = Usage::from_json(Provider::OpenAi, "{}");
/// assert!(matches!(nothing, Err(UsageError::Missing)));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UsageError {
    /// The answer is no JSON object.
    #[error("the answer is not a JSON object")]
    Json(#[source] serde_json::Error),
    /// The answer has no usage record. A stream of OpenAI's has one only with `stream_options.include_usage`.
    #[error("the answer has no usage record")]
    Missing,
    /// The record has something else where a count should be.
    #[error("the usage record has no count of tokens in {field}")]
    Invalid {
        /// Which field.
        field: &'static str,
    },
}

/// Tokens of one call, as its provider counted them.
///
/// # Example
/// ```
/// use sidelight::llm::{Provider, Usage};
///
/// let body = r#"{"usage": {"input_tokens": 21, "cache_read_input_tokens": 1000, "output_tokens": 50}}"#;
/// let usage = Usage::from_json(Provider::Anthropic, body).unwrap();
/// assert_eq!((usage.input, usage.cache_read, usage.output), (1021, 1000, 50));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// The model that answered, where the answer says it.
    pub model: Option<String>,
    /// The provider's id of the answer.
    pub response_id: Option<String>,
    /// Tokens read by the model, cached ones included.
    pub input: u64,
    /// Of `input`: read from the provider's cache.
    pub cache_read: u64,
    /// Of `input`: written to the provider's cache.
    pub cache_write: u64,
    /// Of `cache_write`: kept for an hour, which costs more.
    pub cache_write_1h: u64,
    /// Of `input`: audio.
    pub input_audio: u64,
    /// Tokens written by the model, reasoning included.
    pub output: u64,
    /// Of `output`: reasoning that is not shown.
    pub reasoning: u64,
    /// Of `output`: audio.
    pub output_audio: u64,
    /// Searches of the web by the provider.
    pub web_searches: u64,
}

impl Usage {
    /// Reads the usage out of an answer: the body of a response, or an event of a stream that has a usage record.
    ///
    /// # Errors
    /// [`UsageError`] if there is none; give it to [`Call::finish`](super::Call::finish) all the same, which counts it.
    pub fn from_json(provider: Provider, body: impl AsRef<[u8]>) -> Result<Self, UsageError> {
        let answer = Answer::parse(body.as_ref())?;
        let record = answer.record(provider).ok_or(UsageError::Missing)?;
        let mut usage = Self::normalised(provider, record)?;
        (usage.model, usage.response_id) = answer.names();
        Ok(usage)
    }

    /// What a record means.
    pub(super) fn normalised(
        provider: Provider,
        record: &Map<String, Value>,
    ) -> Result<Self, UsageError> {
        let counts = Counts(Some(record));
        match provider {
            Provider::OpenAi | Provider::AzureOpenAi | Provider::OpenAiLike(_) => counts.openai(),
            Provider::Anthropic => counts.anthropic(),
            Provider::Gemini | Provider::VertexAi => counts.gemini(),
            Provider::Bedrock => counts.bedrock(),
        }
    }
}

/// The parts of an answer, or of an event of a stream, that are of interest. What else there is, is skipped unread.
#[derive(Debug, Default)]
pub(super) struct Answer {
    usage: Option<Map<String, Value>>,
    /// Where Bedrock has it. OpenAI repeats what the caller put there, an id of the caller's among it.
    of_metadata: Option<Map<String, Value>>,
    model: Option<String>,
    id: Option<String>,
}

impl Answer {
    pub(super) fn parse(body: &[u8]) -> Result<Self, UsageError> {
        serde_json::from_slice(body).map_err(UsageError::Json)
    }

    pub(super) fn record(&self, provider: Provider) -> Option<&Map<String, Value>> {
        let of_metadata = self.of_metadata.as_ref().filter(|_| provider == Provider::Bedrock);
        self.usage.as_ref().or(of_metadata)
    }

    /// Model and id.
    pub(super) fn names(self) -> (Option<String>, Option<String>) {
        (self.model, self.id)
    }

    /// Takes over what an inner object knows better or alone.
    fn within(&mut self, inner: Self) {
        self.usage = self.usage.take().or(inner.usage);
        self.model = self.model.take().or(inner.model);
        self.id = inner.id.or(self.id.take());
    }
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnswerVisitor)
    }
}

/// Takes any JSON: what is no object has nothing of interest.
struct AnswerVisitor;

macro_rules! nothing {
    ($($visit:ident($type:ty)),+) => {
        $(fn $visit<E>(self, _: $type) -> Result<Answer, E> {
            Ok(Answer::default())
        })+
    };
}

impl<'de> Visitor<'de> for AnswerVisitor {
    type Value = Answer;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    nothing!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));

    fn visit_unit<E>(self) -> Result<Answer, E> {
        Ok(Answer::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Answer, A::Error> {
        while values.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Answer::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Answer, A::Error> {
        let mut answer = Answer::default();
        let mut inner = Answer::default();
        while let Some(field) = fields.next_key::<Cow<'de, str>>()? {
            match &*field {
                "usage" | "usageMetadata" => {
                    if let Value::Object(record) = fields.next_value()? {
                        answer.usage = Some(record);
                    }
                }
                "model" | "modelVersion" => answer.model = text(fields.next_value()?),
                "id" | "responseId" => answer.id = text(fields.next_value()?),
                // Where events of streams have it: Anthropic's `message_start`, OpenAI's `response.completed`.
                "message" | "response" => inner.within(fields.next_value()?),
                "metadata" => {
                    let of: Self::Value = fields.next_value()?;
                    answer.of_metadata = of.usage;
                }
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        answer.within(inner);
        Ok(answer)
    }
}

fn text(value: Value) -> Option<String> {
    if let Value::String(text) = value { Some(text) } else { None }
}

/// A usage record.
struct Counts<'a>(Option<&'a Map<String, Value>>);

impl<'a> Counts<'a> {
    fn get(&self, field: &str) -> Option<&'a Value> {
        self.0?.get(field).filter(|value| !value.is_null())
    }

    /// The count in a field; 0 if there is none.
    fn of(&self, field: &'static str) -> Result<u64, UsageError> {
        match self.get(field) {
            None => Ok(0),
            Some(value) => whole(value).ok_or(UsageError::Invalid { field }),
        }
    }

    /// The count that has to be there, by one of its names.
    fn first(&self, fields: &[&'static str]) -> Result<u64, UsageError> {
        let there = fields.iter().find(|field| self.get(field).is_some());
        there.map_or(Err(UsageError::Missing), |field| self.of(field))
    }

    fn within(&self, fields: &[&'static str]) -> Counts<'a> {
        Counts(fields.iter().find_map(|field| self.get(field)?.as_object()))
    }

    fn openai(&self) -> Result<Usage, UsageError> {
        let read = self.within(&["prompt_tokens_details", "input_tokens_details"]);
        let written = self.within(&["completion_tokens_details", "output_tokens_details"]);
        // An embedding has no output.
        let output = self.first(&["completion_tokens", "output_tokens"]);
        Ok(Usage {
            input: self.first(&["prompt_tokens", "input_tokens"])?,
            cache_read: read.of("cached_tokens")?,
            cache_write: read.of("cache_write_tokens")?,
            input_audio: read.of("audio_tokens")?,
            output: if matches!(output, Err(UsageError::Missing)) { 0 } else { output? },
            reasoning: written.of("reasoning_tokens")?,
            output_audio: written.of("audio_tokens")?,
            ..Usage::default()
        })
    }

    fn anthropic(&self) -> Result<Usage, UsageError> {
        let (read, write) =
            (self.of("cache_read_input_tokens")?, self.of("cache_creation_input_tokens")?);
        Ok(Usage {
            input: self.first(&["input_tokens"])?.saturating_add(read).saturating_add(write),
            cache_read: read,
            cache_write: write,
            cache_write_1h: self.within(&["cache_creation"]).of("ephemeral_1h_input_tokens")?,
            output: self.of("output_tokens")?,
            reasoning: self.within(&["output_tokens_details"]).of("thinking_tokens")?,
            web_searches: self.within(&["server_tool_use"]).of("web_search_requests")?,
            ..Usage::default()
        })
    }

    fn gemini(&self) -> Result<Usage, UsageError> {
        let thoughts = self.of("thoughtsTokenCount")?;
        let tools = self.of("toolUsePromptTokenCount")?;
        Ok(Usage {
            input: self.first(&["promptTokenCount"])?.saturating_add(tools),
            cache_read: self.of("cachedContentTokenCount")?,
            input_audio: self.modality("promptTokensDetails", "AUDIO"),
            output: self.of("candidatesTokenCount")?.saturating_add(thoughts),
            reasoning: thoughts,
            output_audio: self.modality("candidatesTokensDetails", "AUDIO"),
            ..Usage::default()
        })
    }

    fn bedrock(&self) -> Result<Usage, UsageError> {
        let (read, write) = (self.of("cacheReadInputTokens")?, self.of("cacheWriteInputTokens")?);
        let details = self.get("cacheDetails").and_then(Value::as_array);
        let hour = details
            .into_iter()
            .flatten()
            .filter(|detail| detail.get("ttl").and_then(Value::as_str) == Some("1h"));
        Ok(Usage {
            input: self.first(&["inputTokens"])?.saturating_add(read).saturating_add(write),
            cache_read: read,
            cache_write: write,
            cache_write_1h: hour.filter_map(|detail| whole(detail.get("inputTokens")?)).sum(),
            output: self.of("outputTokens")?,
            ..Usage::default()
        })
    }

    /// Tokens of one modality, where the record tells them apart.
    fn modality(&self, field: &str, modality: &str) -> u64 {
        let details = self.get(field).and_then(Value::as_array);
        let of = details
            .into_iter()
            .flatten()
            .filter(|detail| detail.get("modality").and_then(Value::as_str) == Some(modality));
        of.filter_map(|detail| whole(detail.get("tokenCount")?)).fold(0, u64::saturating_add)
    }
}

/// A count: some write `12.0`.
fn whole(value: &Value) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be whole, positive and below 2^53"
    )]
    let exact = |number: f64| {
        (number.fract() == 0.0 && (0.0..9e15).contains(&number)).then_some(number as u64)
    };
    value.as_u64().or_else(|| exact(value.as_f64()?))
}

#[cfg(test)]
mod tests;
