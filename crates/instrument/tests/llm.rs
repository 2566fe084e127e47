//! Calls of language models: what they tell when they answer, stream, fail, or are given up.

#![expect(clippy::unwrap_used, reason = "tests")]

mod told;

use opentelemetry::trace::{SpanKind, Status};
use sidelight::llm::{self, Cost, Provider, Usage};
use told::Told;

const MODEL: &str = "gen_ai.request.model=gpt-5-mini";
const ANSWER: &str = r#"{"id": "c-1", "model": "gpt-5-mini-2025", "usage": {"prompt_tokens": 2006, "completion_tokens": 300,
    "prompt_tokens_details": {"cached_tokens": 1920}, "completion_tokens_details": {"reasoning_tokens": 128}}}"#;

#[test]
fn a_call_is_counted_with_the_tokens_of_its_provider() {
    let told = Told::new();
    llm::pricing(|call| {
        let known = call.model.starts_with("gpt-5-mini-2025");
        known.then(|| Cost { usd: call.usage.output as f64 / 1000.0 })
    });
    let call = llm::chat(Provider::OpenAi, "gpt-5-mini").start();
    call.finish(Usage::from_json(Provider::OpenAi, ANSWER));
    let call = llm::chat(Provider::Anthropic, "claude").start();
    call.finish(Usage::from_json(
        Provider::Anthropic,
        r#"{"usage": {"input_tokens": 1, "output_tokens": 2}}"#,
    ));

    let of = |kind: &'static str| ["gen_ai.provider.name=openai", MODEL, kind];
    assert_eq!(told.total("sidelight.gen_ai.tokens", &of("gen_ai.token.type=input")), 2006.0);
    assert_eq!(told.total("sidelight.gen_ai.tokens", &of("gen_ai.token.type=output")), 300.0);
    assert_eq!(
        told.total("sidelight.gen_ai.tokens", &[MODEL]),
        2306.0,
        "parts are not added to the whole"
    );
    assert_eq!(
        told.total("sidelight.gen_ai.tokens.detail", &of("gen_ai.token.type=cache_read")),
        1920.0
    );
    assert_eq!(
        told.total("sidelight.gen_ai.tokens.detail", &of("gen_ai.token.type=reasoning")),
        128.0
    );
    assert_eq!(told.total("sidelight.gen_ai.requests", &of("outcome=ok")), 1.0);
    assert_eq!(told.total("sidelight.gen_ai.cost.usd", &[MODEL]), 0.3);
    assert_eq!(told.total("sidelight.gen_ai.cost.usd", &["gen_ai.request.model=claude"]), 0.0);
    assert_eq!(
        told.total("sidelight.gen_ai.unpriced.requests", &["gen_ai.request.model=claude"]),
        1.0
    );
    assert_eq!(
        told.total("gen_ai.client.token.usage", &of("gen_ai.response.model=gpt-5-mini-2025")),
        2.0
    );
    assert_eq!(
        told.total("gen_ai.client.operation.duration", &of("gen_ai.operation.name=chat")),
        1.0
    );
    assert!(told.total("sidelight.gen_ai.last_call.timestamp", &[MODEL]) > 1.7e9);

    let spans = told.spans();
    assert_eq!(
        (spans[0].name.as_ref(), &spans[0].span_kind),
        ("chat gpt-5-mini", &SpanKind::Client)
    );
    assert_eq!(Told::attribute(&spans[0], "gen_ai.usage.input_tokens").as_deref(), Some("2006"));
    assert_eq!(
        Told::attribute(&spans[0], "gen_ai.usage.cache_read.input_tokens").as_deref(),
        Some("1920")
    );
    assert_eq!(Told::attribute(&spans[0], "gen_ai.response.id").as_deref(), Some("c-1"));
    assert_eq!(spans[0].status, Status::Unset);
}

#[test]
fn a_stream_is_timed_by_each_of_its_chunks_and_counted_by_its_last() {
    let told = Told::new();
    let mut call = llm::chat(Provider::OpenAi, "gpt-5-mini").start();
    for bytes in [
        "data: {\"choices\":[]}\n\n",
        "data: {\"usage\":{\"prompt_tokens\":9,",
        "\"completion_tokens\":4}}\n\n",
    ] {
        call.received(bytes.as_bytes());
    }
    call.finish_stream();
    assert_eq!(told.total("sidelight.gen_ai.tokens", &[MODEL]), 13.0);
    assert_eq!(told.total("gen_ai.client.operation.time_to_first_chunk", &[MODEL]), 1.0);
    assert_eq!(told.total("gen_ai.client.operation.time_per_output_chunk", &[MODEL]), 2.0);
    assert!(Told::attribute(&told.spans()[0], "gen_ai.response.time_to_first_chunk").is_some());
}

#[test]
fn usage_that_is_not_there_is_counted_and_not_guessed() {
    let told = Told::new();
    llm::chat(Provider::OpenAi, "gpt-5-mini")
        .start()
        .finish(Usage::from_json(Provider::OpenAi, r#"{"choices": []}"#));
    let mut unasked = llm::chat(Provider::OpenAi, "gpt-5-mini").start();
    unasked.received(
        b"data: {\"choices\":[{\"delta\":{\"content\":\"many words\"}}]}\n\ndata: [DONE]\n\n",
    );
    unasked.finish_stream();
    assert_eq!(told.total("sidelight.gen_ai.usage.missing", &[MODEL]), 2.0);
    assert_eq!(told.total("sidelight.gen_ai.requests", &[MODEL, "outcome=ok"]), 2.0);
    assert!(told.series("sidelight.gen_ai.tokens", &[]).is_empty());
    assert!(told.series("gen_ai.client.token.usage", &[]).is_empty());
}

#[test]
fn calls_that_fail_or_are_given_up_are_errors_without_usage() {
    let told = Told::new();
    llm::chat(Provider::Gemini, "gemini-2.5-flash").start().fail("rate_limited");
    drop(llm::chat(Provider::Gemini, "gemini-2.5-flash").start());
    let panics = std::panic::catch_unwind(|| {
        let _call = llm::chat(Provider::Gemini, "gemini-2.5-flash").start();
        panic!("meant");
    });
    assert!(panics.is_err());
    for error in ["error.type=rate_limited", "error.type=cancelled", "error.type=panic"] {
        assert_eq!(told.total("gen_ai.client.operation.duration", &[error]), 1.0, "{error}");
    }
    assert_eq!(told.total("sidelight.gen_ai.requests", &["outcome=error"]), 3.0);
    assert!(told.series("sidelight.gen_ai.usage.missing", &[]).is_empty());
    assert!(told.spans().iter().all(|span| matches!(span.status, Status::Error { .. })));
}

#[test]
fn what_a_stream_said_before_it_was_given_up_is_counted() {
    let told = Told::new();
    let begun = || {
        let mut call = llm::chat(Provider::Anthropic, "claude-begun").start();
        call.received(b"data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":");
        call.received(b"21,\"output_tokens\":1}}}\n\n");
        call
    };
    begun().fail("overloaded");
    drop(begun());
    let mut silent = llm::chat(Provider::OpenAi, "gpt-begun").start();
    silent.received(b"data: {\"choices\":[]}\n\n");
    drop(silent);
    let of = |kind: &'static str| ["gen_ai.request.model=claude-begun", kind];
    assert_eq!(told.total("sidelight.gen_ai.tokens", &of("gen_ai.token.type=input")), 42.0);
    assert_eq!(told.total("sidelight.gen_ai.tokens", &of("gen_ai.token.type=output")), 2.0);
    assert_eq!(told.total("sidelight.gen_ai.requests", &of("outcome=error")), 2.0);
    let missing = told.series("sidelight.gen_ai.usage.missing", &[]);
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert!(missing[0].0.contains("gpt-begun"));
}

#[test]
fn a_call_whose_answer_names_no_model_is_priced_by_what_was_asked_for() {
    let told = Told::new();
    llm::pricing(|call| {
        let known = (call.provider, call.operation, call.model);
        let known = known == (Provider::Bedrock, "chat", "eu.claude");
        known.then_some(Cost { usd: call.usage.output as f64 })
    });
    let answer = r#"{"usage": {"inputTokens": 30, "outputTokens": 6}}"#;
    llm::chat(Provider::Bedrock, "eu.claude")
        .start()
        .finish(Usage::from_json(Provider::Bedrock, answer));
    assert_eq!(told.total("sidelight.gen_ai.cost.usd", &["gen_ai.request.model=eu.claude"]), 6.0);
}

#[test]
fn a_pricing_that_panics_is_no_price() {
    let told = Told::new();
    llm::pricing(|_| panic!("meant"));
    llm::chat(Provider::OpenAi, "gpt-5-mini")
        .start()
        .finish(Usage::from_json(Provider::OpenAi, ANSWER));
    llm::pricing(|_| Some(Cost { usd: f64::NAN }));
    llm::chat(Provider::OpenAi, "gpt-5-mini")
        .start()
        .finish(Usage::from_json(Provider::OpenAi, ANSWER));
    assert_eq!(told.total("sidelight.gen_ai.unpriced.requests", &[MODEL]), 2.0);
    assert!(told.series("sidelight.gen_ai.cost.usd", &[]).is_empty());
}
