//! Which names calls of models are recorded under: OpenTelemetry's conventions for generative AI are not settled yet.
//!
//! | | [`V1_36`](Conventions::V1_36) | [`Development`](Conventions::Development) | [`Latest`](Conventions::Latest) |
//! |---|---|---|---|
//! | provider | `gen_ai.system` | `gen_ai.provider.name` | `gen_ai.provider.name` |
//! | written to the cache (span) | | `gen_ai.usage.cache_creation.input_tokens` | `gen_ai.usage.cache_write.input_tokens` |
//! | read from it, reasoning (span) | | `gen_ai.usage.cache_read.input_tokens`, `.reasoning.output_tokens` | the same |
//! | tokens (metrics) | `gen_ai.client.token.usage` | the same | `gen_ai.client.inference.usage.*`, `.operation.*` |
//! | durations | `gen_ai.client.operation.duration` | the same, and of chunks | `gen_ai.client.inference.*` |
//!
//! Source: semantic conventions 1.36 and 1.41, and semantic-conventions-genai with its proposals 374, 440 and 521.

use std::sync::OnceLock;

/// The variable that asks for the newest names, by `gen_ai_latest_experimental` among others.
const VARIABLE: &str = "OTEL_SEMCONV_STABILITY_OPT_IN";

static CHOSEN: OnceLock<Conventions> = OnceLock::new();

/// Names of the metrics and attributes of calls. What begins with `sidelight.gen_ai.` is there under all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conventions {
    /// Those of 1.36, which instrumentations before 2025 have.
    V1_36,
    /// Those of 1.41.
    #[default]
    Development,
    /// Those that are proposed to come next, which may change in any version: `OTEL_SEMCONV_STABILITY_OPT_IN` with
    /// `gen_ai_latest_experimental`.
    Latest,
}

/// Chooses the names that calls are recorded under, in place of what the environment asks for. To be called once, before the
/// first call of a model: says whether it was.
///
/// ```
/// use sidelight::llm::{self, Conventions};
///
/// assert!(llm::conventions(Conventions::Latest));
/// assert!(!llm::conventions(Conventions::V1_36), "it is chosen already");
/// ```
pub fn conventions(chosen: Conventions) -> bool {
    CHOSEN.set(chosen).is_ok()
}

impl Conventions {
    /// What was chosen, else what the environment asks for.
    pub(super) fn chosen() -> Self {
        *CHOSEN.get_or_init(|| Self::asked(std::env::var(VARIABLE).ok().as_deref()))
    }

    fn asked(opt_in: Option<&str>) -> Self {
        let mut words = opt_in.unwrap_or("").split(',');
        let latest = words.any(|word| word.trim() == "gen_ai_latest_experimental");
        if latest { Self::Latest } else { Self::default() }
    }

    /// The attribute that has the provider, and what it is called there.
    pub(super) fn provider(self, name: &'static str) -> (&'static str, &'static str) {
        match (self, name) {
            (Self::V1_36, "azure.ai.openai") => ("gen_ai.system", "az.ai.openai"),
            (Self::V1_36, name) => ("gen_ai.system", name),
            (_, name) => ("gen_ai.provider.name", name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_asks_for_the_newest_names_among_others() {
        assert_eq!(Conventions::asked(None), Conventions::Development);
        assert_eq!(Conventions::asked(Some("http/dup,database")), Conventions::Development);
        let both = Some("http, gen_ai_latest_experimental");
        assert_eq!(Conventions::asked(both), Conventions::Latest);
    }
}
