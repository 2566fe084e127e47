//! More models and features than are kept, in a process of its own: the tables are the process's.

#![expect(clippy::unwrap_used, reason = "tests")]

mod told;

use sidelight::llm::{self, Cost, Provider, Usage};
use sidelight::{Feature, FeatureKind};
use told::Told;

const ANSWER: &str = r#"{"usage": {"inputTokens": 30, "outputTokens": 6}}"#;

#[test]
fn models_past_the_limit_are_one() {
    let told = Told::new();
    for number in 0..1000 {
        llm::chat(Provider::OpenAiLike("vllm"), &format!("tuned-{number}")).start().fail("timeout");
    }
    assert!(told.series("sidelight.gen_ai.requests", &[]).len() <= 201);
    assert!(told.total("sidelight.gen_ai.requests", &["gen_ai.request.model=_OTHER"]) >= 800.0);
}

#[test]
fn a_model_past_the_limit_has_its_own_price_and_span() {
    let told = Told::new();
    for number in 0..200 {
        _ = llm::chat(Provider::OpenAiLike("vllm"), &format!("kept-{number}"));
    }
    llm::pricing(|call| {
        let known = call.model == "eu.late";
        known.then_some(Cost { usd: call.usage.output as f64 })
    });
    let usage = || Usage::from_json(Provider::Bedrock, ANSWER);
    let late = llm::chat(Provider::Bedrock, "eu.late");
    late.start().finish(usage());
    late.start().finish(usage());
    assert_eq!(told.total("sidelight.gen_ai.cost.usd", &["gen_ai.request.model=_OTHER"]), 12.0);
    let spans = told.spans();
    assert_eq!(spans[1].name, "chat eu.late");
    assert_eq!(Told::attribute(&spans[1], "gen_ai.request.model").as_deref(), Some("eu.late"));
}

#[test]
fn users_of_more_features_than_are_kept_are_counted() {
    let told = Told::new();
    let before = told.total("sidelight.sdk.overflowed", &[]);
    for number in 0..70 {
        let feature = Feature::new(format!("feature {number}").leak(), FeatureKind::Api);
        feature.user("ada");
    }
    assert_eq!(told.total("sidelight.sdk.overflowed", &[]) - before, 6.0);
}
