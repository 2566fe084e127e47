use super::*;

/// input, read, written, output, reasoning
fn counted(provider: Provider, body: &str) -> (u64, u64, u64, u64, u64) {
    let usage = Usage::from_json(provider, body).unwrap();
    (usage.input, usage.cache_read, usage.cache_write, usage.output, usage.reasoning)
}

#[test]
fn openai_counts_the_cache_within_the_input_in_both_of_its_apis() {
    let chat = r#"{"id": "chatcmpl-1", "model": "gpt-4o-2024-08-06", "choices": [{"message": {"content": "hi"}}],
        "usage": {"prompt_tokens": 2006, "completion_tokens": 300, "total_tokens": 2306,
        "prompt_tokens_details": {"cached_tokens": 1920, "cache_write_tokens": 40, "audio_tokens": 7},
        "completion_tokens_details": {"reasoning_tokens": 128}}}"#;
    assert_eq!(counted(Provider::OpenAi, chat), (2006, 1920, 40, 300, 128));
    let usage = Usage::from_json(Provider::AzureOpenAi, chat).unwrap();
    assert_eq!(usage.model.as_deref(), Some("gpt-4o-2024-08-06"));
    assert_eq!(usage.response_id.as_deref(), Some("chatcmpl-1"));
    assert_eq!(usage.input_audio, 7);

    let responses = r#"{"usage": {"input_tokens": 2006, "input_tokens_details": {"cached_tokens": 1920},
        "output_tokens": 300, "output_tokens_details": {"reasoning_tokens": 128}, "total_tokens": 2306}}"#;
    assert_eq!(counted(Provider::OpenAi, responses), (2006, 1920, 0, 300, 128));
    let embedding = r#"{"usage": {"prompt_tokens": 8, "total_tokens": 8}}"#;
    assert_eq!(counted(Provider::OpenAiLike("groq"), embedding), (8, 0, 0, 0, 0));
}

#[test]
fn anthropic_counts_the_cache_beside_the_input() {
    let body = r#"{"id": "msg_1", "model": "claude-sonnet-4-5", "usage": {"input_tokens": 21,
        "cache_creation_input_tokens": 1253, "cache_read_input_tokens": 128955,
        "cache_creation": {"ephemeral_5m_input_tokens": 1000, "ephemeral_1h_input_tokens": 253},
        "output_tokens": 503, "server_tool_use": {"web_search_requests": 2}}}"#;
    assert_eq!(counted(Provider::Anthropic, body), (130_229, 128_955, 1253, 503, 0));
    let usage = Usage::from_json(Provider::Anthropic, body).unwrap();
    assert_eq!((usage.cache_write_1h, usage.web_searches), (253, 2));
}

#[test]
fn gemini_counts_thoughts_beside_candidates_and_tools_beside_the_prompt() {
    let body = r#"{"modelVersion": "gemini-2.5-flash", "responseId": "r", "usageMetadata": {"promptTokenCount": 1200,
        "cachedContentTokenCount": 1000, "candidatesTokenCount": 250, "thoughtsTokenCount": 400,
        "toolUsePromptTokenCount": 50, "totalTokenCount": 1900,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1100}, {"modality": "AUDIO", "tokenCount": 100}]}}"#;
    assert_eq!(counted(Provider::Gemini, body), (1250, 1000, 0, 650, 400));
    let usage = Usage::from_json(Provider::VertexAi, body).unwrap();
    assert_eq!(usage.model.as_deref(), Some("gemini-2.5-flash"));
    assert_eq!((usage.response_id.as_deref(), usage.input_audio), (Some("r"), 100));
}

#[test]
fn bedrock_counts_the_cache_beside_the_input() {
    let body = r#"{"usage": {"inputTokens": 30, "outputTokens": 628, "totalTokens": 1358,
        "cacheReadInputTokens": 500, "cacheWriteInputTokens": 200,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 150}, {"ttl": "5m", "inputTokens": 50}]}}"#;
    assert_eq!(counted(Provider::Bedrock, body), (730, 500, 200, 628, 0));
    assert_eq!(Usage::from_json(Provider::Bedrock, body).unwrap().cache_write_1h, 150);
}

#[test]
fn no_usage_is_an_error_and_never_an_estimate() {
    let error = |provider, body: &str| Usage::from_json(provider, body).unwrap_err().to_string();
    let missing = "the answer has no usage record";
    assert_eq!(error(Provider::OpenAi, r#"{"choices": []}"#), missing);
    assert_eq!(error(Provider::OpenAi, r#"{"usage": null}"#), missing);
    assert_eq!(error(Provider::OpenAi, r#"{"usage": {}}"#), missing);
    // The record of another provider.
    assert_eq!(error(Provider::Gemini, r#"{"usage": {"prompt_tokens": 1}}"#), missing);
    assert_eq!(error(Provider::OpenAi, "upstream timed out"), "the answer is not a JSON object");
    assert_eq!(error(Provider::OpenAi, ""), "the answer is not a JSON object");
    for odd in ["-1", "1.5", "\"many\"", "[]"] {
        let body = format!(r#"{{"usage": {{"prompt_tokens": {odd}}}}}"#);
        let told = error(Provider::OpenAi, &body);
        assert_eq!(told, "the usage record has no count of tokens in prompt_tokens", "{odd}");
    }
    let whole = r#"{"usage": {"prompt_tokens": 12.0, "completion_tokens": 3}}"#;
    assert_eq!(counted(Provider::OpenAi, whole), (12, 0, 0, 3, 0));
}

#[test]
fn counts_near_the_end_of_their_range_do_not_overflow() {
    let most = u64::MAX;
    let body = format!(
        r#"{{"usage": {{"input_tokens": {most}, "cache_read_input_tokens": {most}, "output_tokens": {most}}}}}"#
    );
    assert_eq!(counted(Provider::Anthropic, &body), (most, most, 0, most, 0));
}

#[test]
fn what_a_caller_put_into_metadata_is_neither_the_id_nor_the_usage_of_the_answer() {
    let body = r#"{"id": "resp_1", "model": "gpt-5", "metadata": {"id": "order-7", "model": "mine", "usage": {"input_tokens": 9}},
        "usage": {"input_tokens": 10, "output_tokens": 4}}"#;
    let usage = Usage::from_json(Provider::OpenAi, body).unwrap();
    assert_eq!(usage.response_id.as_deref(), Some("resp_1"));
    assert_eq!((usage.model.as_deref(), usage.input), (Some("gpt-5"), 10));
    let without = r#"{"metadata": {"usage": {"input_tokens": 9, "output_tokens": 1}}}"#;
    assert!(matches!(Usage::from_json(Provider::OpenAi, without), Err(UsageError::Missing)));
}
