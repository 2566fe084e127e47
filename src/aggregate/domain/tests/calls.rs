//! Spans that tell of calls to language models.

use super::*;

/// A span of trace `trace` that reports 10 tokens in and 1 out.
fn call(trace: u8, operation: &str, answer: &str) -> Span {
    let int = any_value::Value::IntValue;
    let mut attributes = vec![
        text("gen_ai.operation.name", operation),
        text("gen_ai.provider.name", "anthropic"),
        attribute("gen_ai.usage.input_tokens", int(10)),
        attribute("gen_ai.usage.output_tokens", int(1)),
    ];
    if !answer.is_empty() {
        attributes.push(text("gen_ai.response.id", answer));
    }
    Span { trace_id: vec![trace; 16], ..span(1, 0, 3, attributes) }
}

fn check(requests: &[(&str, Vec<Span>)], calls: u64) {
    let mut seen = Seen::new();
    for (instance, of) in requests {
        seen.at(0, Signal::Traces, spans(instance, of.clone()));
    }
    seen.at(80, Signal::Traces, spans("a", Vec::new()));
    let all = seen.kept.show();
    let counts = |name: &str| {
        let line = all.lines().find(|line| line.contains(name));
        line.and_then(|line| line.rsplit(' ').next()?.split('@').next()?.parse().ok())
    };
    let found = ["gen_ai_requests", "type=input", "type=output"].map(counts);
    assert_eq!(found, [calls, 10 * calls, calls].map(Some), "{all}");
}

#[test]
fn an_answer_that_two_spans_tell_of_is_one_call() {
    // The SDK of the provider beside the instrumentation, in one request and in two.
    check(&[("a", vec![call(1, "chat", "msg_1"), call(1, "chat", "msg_1")])], 1);
    check(&[("a", vec![call(1, "chat", "msg_1")]), ("a", vec![call(1, "chat", "msg_1")])], 1);
    check(&[("a", vec![call(1, "chat", "msg_1"), call(1, "chat", "msg_2")])], 2);
    check(&[("a", vec![call(1, "chat", ""), call(1, "chat", "")])], 2);
}

#[test]
fn an_agent_around_calls_that_were_counted_is_none_itself() {
    let [first, second] = [call(1, "chat", "msg_1"), call(1, "chat", "msg_2")];
    let (agent, workflow) = (call(1, "invoke_agent", ""), call(1, "invoke_workflow", ""));
    check(&[("a", vec![first.clone(), second, agent.clone(), workflow.clone()])], 2);
    // Nobody tells of what is within.
    check(&[("a", vec![agent.clone()])], 1);
    check(&[("a", vec![agent.clone(), workflow])], 1);
    // Within another trace.
    check(&[("a", vec![first, Span { trace_id: vec![2; 16], ..agent }])], 2);
}

#[test]
fn only_the_last_answers_are_known() {
    let many = (0..5_000).map(|n| call(1, "chat", &format!("msg_{n}"))).collect();
    let again = vec![call(1, "chat", "msg_4999"), call(1, "chat", "msg_0")];
    check(&[("a", many), ("a", again)], 5_001);
}
