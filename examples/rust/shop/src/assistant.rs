//! The assistant: guesses what a customer wants, and has a language model answer.

use std::net::SocketAddr;

use reqwest_middleware::{ClientWithMiddleware, Error};
use serde_json::json;
use sidelight::llm::{self, Cost, Provider, Usage};
use tracing::Instrument;

const MODEL: &str = "house-7b";

/// Says what the model costs.
pub fn price() {
    llm::pricing(|call| Some(Cost { usd: call.usage.output as f64 * 2e-7 }));
}

/// The answer, as the provider's JSON.
pub async fn answer(
    client: &ClientWithMiddleware,
    provider: SocketAddr,
    question: &str,
) -> Result<String, Error> {
    let order = question.contains("order");
    sidelight::intent(if order { "track_order" } else { "other" }, if order { 0.9 } else { 0.3 });

    let asked = json!({"model": MODEL, "messages": [{"role": "user", "content": question}]});
    let call = llm::chat(Provider::OpenAi, MODEL).start();
    let request = client.post(format!("http://{provider}/v1/chat/completions")).json(&asked);
    let answered = async { Ok(request.send().await?.error_for_status()?.text().await?) };
    let answer: Result<String, Error> = answered.instrument(call.span().clone()).await;
    match &answer {
        Ok(body) => call.finish(Usage::from_json(Provider::OpenAi, body)),
        Err(_) => call.fail("unreachable"),
    }
    answer
}
