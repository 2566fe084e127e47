//! Token usage of LLM calls, out of the provider's own answer.
