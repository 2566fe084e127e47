//! Calls of language models: how long, how many tokens, at what cost.
//!
//! Tokens are those of the provider's own usage record, never an estimate: an answer without one is counted as such
//! (`sidelight.gen_ai.usage.missing`). Providers count differently; [`Usage`] has one meaning for all of them. A call is
//! counted when it is made: a retry is another call, and costs another time.
//!
//! Which of OpenTelemetry's names they have is a choice: [`Conventions`].
//!
//! Limits: 200 models as labels (spans and prices know all), a line of a stream of 1 MiB. Source: OpenTelemetry GenAI
//! conventions (`gen_ai.client.*`), and the documented usage records of the providers.
//!
//! # Example
//! ```
//! use sidelight::llm::{self, Provider, Usage};
//!
//! # fn ask() -> &'static str { r#"{"model":"gpt-5-mini","usage":{"prompt_tokens":12,"completion_tokens":3}}"# }
//! let call = llm::chat(Provider::OpenAi, "gpt-5-mini").start();
//! let body = call.enter(|| ask());
//! call.finish(Usage::from_json(Provider::OpenAi, body));
//! ```

mod call;
mod conventions;
mod record;
mod stream;
mod usage;

pub use call::{Call, Request, chat, embeddings, generate_content};
pub use conventions::{Conventions, conventions};
pub use record::{Cost, Priced, pricing};
pub use stream::UsageStream;
pub use usage::{Usage, UsageError};

/// Whose API is called, and thereby how its usage record reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Provider {
    /// OpenAI, and whoever speaks its chat completions or responses.
    OpenAi,
    /// Azure's OpenAI.
    AzureOpenAi,
    /// Anthropic's messages.
    Anthropic,
    /// Gemini by its developer API.
    Gemini,
    /// Gemini by Vertex AI.
    VertexAi,
    /// Amazon Bedrock's Converse.
    Bedrock,
    /// Another that speaks OpenAI's API, by the name that `gen_ai.provider.name` has: `groq`, `deepseek`, `mistral_ai`.
    OpenAiLike(&'static str),
}

impl Provider {
    /// The value of `gen_ai.provider.name`.
    ///
    /// # Example
    /// ```
    /// assert_eq!(sidelight::llm::Provider::Bedrock.name(), "aws.bedrock");
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::AzureOpenAi => "azure.ai.openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gcp.gemini",
            Self::VertexAi => "gcp.vertex_ai",
            Self::Bedrock => "aws.bedrock",
            Self::OpenAiLike(name) => name,
        }
    }
}
