//! More models and features than are kept, in a process of its own: the tables are the process's.

#![expect(clippy::unwrap_used, reason = "tests")]

#[expect(dead_code, reason = "it is of many tests: spans are of no interest here")]
mod told;

use sidelight::llm::{self, Provider};
use sidelight::{Feature, FeatureKind};
use told::Told;

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
fn users_of_more_features_than_are_kept_are_counted() {
    let told = Told::new();
    let before = told.total("sidelight.sdk.overflowed", &[]);
    for number in 0..70 {
        let feature = Feature::new(format!("feature {number}").leak(), FeatureKind::Api);
        feature.user("ada");
    }
    assert_eq!(told.total("sidelight.sdk.overflowed", &[]) - before, 6.0);
}
