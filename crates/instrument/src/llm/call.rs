//! One call of a model, from its start to its last chunk.
//!
//! Invariant: every call is recorded once; one that is dropped unfinished was cancelled.
//! Source: OpenTelemetry GenAI conventions, spans and metrics of clients.

use std::time::Duration;

use opentelemetry::metrics::BoundHistogram;
use tracing::field::Empty;
use tracing::{Span, info_span};

use super::conventions::Conventions;
use super::record::{self, Over};
use super::{Provider, Usage, UsageError, UsageStream};
use crate::clock::Started;
use crate::interned::Name;

/// A call of a chat model, about to be made.
///
/// # Example
/// ```
/// use sidelight::llm::{self, Provider};
///
/// let call = llm::chat(Provider::Anthropic, "claude-sonnet-4-5").start();
/// // Dropped before it was finished: counted with `error.type="cancelled"`.
/// drop(call);
/// ```
#[must_use]
pub fn chat(provider: Provider, model: &str) -> Request {
    Request::new(provider, model, "chat")
}

/// The same for Gemini's `generateContent`.
#[must_use]
pub fn generate_content(provider: Provider, model: &str) -> Request {
    Request::new(provider, model, "generate_content")
}

/// The same for embeddings.
#[must_use]
pub fn embeddings(provider: Provider, model: &str) -> Request {
    Request::new(provider, model, "embeddings")
}

/// A call about to be made: see [`chat`].
///
/// ```
/// use sidelight::llm::{self, Provider};
///
/// let request = llm::embeddings(Provider::OpenAi, "text-embedding-3-small");
/// request.start().fail("rate_limited"); // the first attempt
/// drop(request.start()); // and the second, a call of its own
/// ```
#[derive(Clone, Debug)]
pub struct Request {
    provider: Provider,
    model: Name,
    /// The model where it has no label of its own.
    unlabelled: Option<Box<str>>,
    operation: &'static str,
}

impl Request {
    fn new(provider: Provider, model: &str, operation: &'static str) -> Self {
        let asked = model;
        let model = record::model(asked);
        let unlabelled = (model == Name::OTHER).then(|| asked.into());
        Self { provider, model, unlabelled, operation }
    }

    fn model(&self) -> &str {
        self.unlabelled.as_deref().or(self.model.text()).unwrap_or("")
    }

    /// Begins the call, and its span: `chat gpt-5-mini`, a child of the present one.
    #[must_use = "a call is over when this is dropped"]
    pub fn start(&self) -> Call {
        let model = self.model();
        let span = info_span!(
            target: "sidelight::llm",
            "gen_ai client",
            otel.name = Empty,
            otel.kind = "client",
            otel.status_code = Empty,
            gen_ai.operation.name = self.operation,
            gen_ai.provider.name = Empty,
            gen_ai.system = Empty,
            gen_ai.request.model = model,
            gen_ai.response.model = Empty,
            gen_ai.response.id = Empty,
            gen_ai.response.time_to_first_chunk = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            gen_ai.usage.cache_read.input_tokens = Empty,
            gen_ai.usage.cache_creation.input_tokens = Empty,
            gen_ai.usage.cache_write.input_tokens = Empty,
            gen_ai.usage.reasoning.output_tokens = Empty,
            error.type = Empty,
        );
        if !span.is_disabled() {
            let (attribute, provider) = Conventions::chosen().provider(self.provider.name());
            span.record(attribute, provider);
            span.record("otel.name", format!("{} {model}", self.operation));
        }
        Call {
            request: self.clone(),
            span,
            started: Started::now(),
            first_chunk: None,
            chunks: None,
            stream: None,
            over: false,
        }
    }
}

/// A call under way. Dropped unfinished it counts as cancelled.
///
/// ```
/// use sidelight::llm::{self, Provider, Usage};
///
/// let embedding = llm::embeddings(Provider::OpenAi, "text-embedding-3-small").start();
/// let answer = embedding.enter(|| r#"{"model": "text-embedding-3-small", "usage": {"prompt_tokens": 8}}"#);
/// embedding.finish(Usage::from_json(Provider::OpenAi, answer));
///
/// llm::generate_content(Provider::Gemini, "gemini-2.5-flash").start().fail("timeout");
/// ```
#[derive(Debug)]
pub struct Call {
    request: Request,
    span: Span,
    started: Started,
    first_chunk: Option<Duration>,
    chunks: Option<Chunks>,
    stream: Option<Box<UsageStream>>,
    over: bool,
}

/// The chunks of a stream, since its first.
#[derive(Debug)]
struct Chunks {
    last: Duration,
    recorded: Option<BoundHistogram<f64>>,
}

impl Call {
    /// The call's span, to be the parent of what is done for it: `future.instrument(call.span().clone())`.
    #[must_use]
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Runs `then` within the call's span.
    pub fn enter<R>(&self, then: impl FnOnce() -> R) -> R {
        self.span.in_scope(then)
    }

    /// Says that the answer has begun to arrive. [`received`](Self::received) does it too.
    pub fn first_chunk(&mut self) {
        if self.first_chunk.is_none() {
            self.first_chunk = self.started.elapsed();
        }
    }

    /// Takes the bytes of a streamed answer as they arrive, and looks for usage in them. Each time after the first is a chunk of
    /// `gen_ai.client.operation.time_per_output_chunk`. Bedrock's stream is binary: say
    /// [`first_chunk`](Self::first_chunk), give the JSON of its `metadata` event to
    /// [`UsageStream::event`](super::UsageStream::event), and [`finish`](Self::finish) with the usage of that.
    ///
    /// # Example
    /// ```
    /// use sidelight::llm::{self, Provider};
    ///
    /// let mut call = llm::chat(Provider::OpenAi, "gpt-5-mini").start();
    /// for bytes in [&b"data: {\"usage\":{\"prompt_tokens\":9,"[..], b"\"completion_tokens\":1}}\n\n"] {
    ///     call.received(bytes);
    /// }
    /// call.finish_stream();
    /// ```
    pub fn received(&mut self, bytes: &[u8]) {
        self.chunk();
        let provider = self.request.provider;
        self.stream.get_or_insert_with(|| Box::new(UsageStream::new(provider))).received(bytes);
    }

    fn chunk(&mut self) {
        let Some(last) = self.started.elapsed() else { return };
        self.first_chunk.get_or_insert(last);
        let Request { provider, operation, model, .. } = self.request;
        match &mut self.chunks {
            Some(chunks) => {
                let since = last.saturating_sub(std::mem::replace(&mut chunks.last, last));
                if let Some(recorded) = &chunks.recorded {
                    recorded.record(since.as_secs_f64());
                }
            }
            None => {
                let recorded = record::chunks(provider, operation, model);
                self.chunks = Some(Chunks { last, recorded });
            }
        }
    }

    /// Ends a call whose answer was streamed. A stream without usage is counted as one whose usage is missing.
    pub fn finish_stream(mut self) {
        let usage = self.stream.take().map_or(Err(UsageError::Missing), |stream| stream.usage());
        self.finish(usage);
    }

    /// Ends the call with what it used. An error of [`Usage::from_json`] is counted, and logged at debug.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "made for this call, as `Usage::from_json` gives it"
    )]
    pub fn finish(mut self, usage: Result<Usage, UsageError>) {
        if let Err(error) = &usage {
            tracing::debug!(target: "sidelight::llm", parent: &self.span, "no usage of a model's call: {error}");
        }
        self.end(None, Some(usage.as_ref().map_err(|_| ())));
    }

    /// Ends the call in failure: `error_type` is a word of few, as `timeout` or `rate_limited`, or the status. What a stream
    /// had said of its usage until then is counted, for it is paid.
    pub fn fail(mut self, error_type: &'static str) {
        self.give_up(error_type);
    }

    /// A stream that had begun has usage, or misses it; what never answered has none.
    fn give_up(&mut self, error_type: &'static str) {
        let usage = self.stream.take().map(|stream| stream.usage());
        self.end(Some(error_type), usage.as_ref().map(|usage| usage.as_ref().map_err(|_| ())));
    }

    fn end(&mut self, error: Option<&'static str>, usage: Option<Result<&Usage, ()>>) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        let over = Over {
            provider: self.request.provider,
            operation: self.request.operation,
            model: self.request.model,
            asked: self.request.model(),
            duration: self.started.elapsed(),
            first_chunk: self.first_chunk,
            error,
            usage,
        };
        record::record(&over);
        if !self.span.is_disabled() {
            self.describe(&over);
        }
        self.span = Span::none();
    }

    fn describe(&self, over: &Over<'_>) {
        if let Some(first) = over.first_chunk {
            self.span.record("gen_ai.response.time_to_first_chunk", first.as_secs_f64());
        }
        if let Some(error) = over.error {
            self.span.record("error.type", error);
            self.span.record("otel.status_code", "ERROR");
        }
        let Some(Ok(usage)) = over.usage else { return };
        if let Some(model) = usage.model.as_deref() {
            self.span.record("gen_ai.response.model", model);
        }
        if let Some(id) = usage.response_id.as_deref() {
            self.span.record("gen_ai.response.id", id);
        }
        self.span.record("gen_ai.usage.input_tokens", usage.input);
        self.span.record("gen_ai.usage.output_tokens", usage.output);
        let written = match Conventions::chosen() {
            Conventions::V1_36 => return,
            Conventions::Development => "gen_ai.usage.cache_creation.input_tokens",
            Conventions::Latest => "gen_ai.usage.cache_write.input_tokens",
        };
        let parts = [
            ("gen_ai.usage.cache_read.input_tokens", usage.cache_read),
            (written, usage.cache_write),
            ("gen_ai.usage.reasoning.output_tokens", usage.reasoning),
        ];
        for (name, count) in parts.into_iter().filter(|(_, count)| *count > 0) {
            self.span.record(name, count);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.over {
            self.give_up(if std::thread::panicking() { "panic" } else { "cancelled" });
        }
    }
}
