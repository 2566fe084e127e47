//! The newest names of calls of language models, where they were asked for: in a process of its own, since they are chosen once.

#![cfg(all(feature = "llm", feature = "macros", feature = "testing"))]

use sidelight::llm::{self, Conventions, Provider, Usage};
use sidelight::testing::Capture;

#[sidelight::test]
fn calls_have_the_names_that_were_chosen(captured: &Capture) {
    assert!(llm::conventions(Conventions::Latest));
    let call = llm::chat(Provider::Anthropic, "claude").start();
    let usage = r#"{"model": "claude-9", "usage": {"input_tokens": 10, "output_tokens": 5,
        "cache_read_input_tokens": 100, "cache_creation_input_tokens": 30}}"#;
    call.finish(Usage::from_json(Provider::Anthropic, usage));
    let of = |name: &str| {
        let metric = captured.metric(&format!("gen_ai.client.inference.{name}"));
        metric.attr("gen_ai.provider.name", "anthropic").attr("gen_ai.response.model", "claude-9")
    };
    of("usage.input_tokens").assert_eq(140);
    of("usage.output_tokens").assert_eq(5);
    of("usage.cache_read.input_tokens").assert_eq(100);
    of("usage.cache_write.input_tokens").assert_eq(30);
    of("operation.input_tokens").assert_eq(140);
    of("operation.output_tokens").assert_count(1);
    of("duration").assert_count(1);
    assert_eq!(captured.metric("gen_ai.client.token.usage").series(), 0);
    assert_eq!(captured.metric("gen_ai.client.operation.duration").series(), 0);
    captured.metric("sidelight.gen_ai.tokens").attr("gen_ai.token.type", "input").assert_eq(140);
    let span = captured.span("chat claude");
    span.attr("gen_ai.usage.cache_write.input_tokens", "30").assert_count(1);
}
