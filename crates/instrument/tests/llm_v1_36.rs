//! The old names of calls of language models, where they were asked for: in a process of its own, since they are chosen once.

#![cfg(all(feature = "llm", feature = "macros", feature = "testing"))]

use sidelight::llm::{self, Conventions, Provider, Usage};
use sidelight::testing::Capture;

#[sidelight::test]
fn calls_have_the_names_that_were_chosen(captured: &Capture) {
    assert!(llm::conventions(Conventions::V1_36));
    let mut call = llm::chat(Provider::AzureOpenAi, "gpt-5").start();
    call.first_chunk();
    let usage = r#"{"usage": {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 8}}}"#;
    call.finish(Usage::from_json(Provider::AzureOpenAi, usage));
    let usage = captured.metric("gen_ai.client.token.usage").attr("gen_ai.system", "az.ai.openai");
    usage.assert_eq(13);
    assert_eq!(captured.metric("gen_ai.client.operation.time_to_first_chunk").series(), 0);
    let span = captured.span("chat gpt-5").attr("gen_ai.system", "az.ai.openai");
    span.attr("gen_ai.usage.input_tokens", "9").assert_count(1);
    captured.span("chat gpt-5").attr("gen_ai.usage.cache_read.input_tokens", "8").assert_count(0);
    captured
        .metric("sidelight.gen_ai.requests")
        .attr("gen_ai.provider.name", "azure.ai.openai")
        .assert_eq(1);
}
