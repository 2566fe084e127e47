use expect_test::expect;

use super::send::Tally;
use super::*;

fn tally() -> Tally {
    let mut tally = Tally {
        requests: 12,
        items: 1200,
        bytes: 600_000,
        acknowledged_requests: 9,
        acknowledged_items: 900,
        answered: true,
        ..Tally::default()
    };
    tally.latency.record(0.002);
    tally
}

#[test]
fn the_summary_tells_what_was_lost_and_why() {
    let mut tally = tally();
    tally.rejected_items = 3;
    tally.refused.insert("INVALID_ARGUMENT".to_owned(), (1, 100));
    tally.given_up.insert("UNAVAILABLE".to_owned(), (2, 200));
    tally.retried.insert("UNAVAILABLE".to_owned(), 17);
    tally.words.insert("UNAVAILABLE".to_owned(), "UNAVAILABLE: the journal is full".to_owned());
    expect![[r"
        sent          12 requests, 1200 items in 2.0 s (600 items/s, 0.3 MB/s uncompressed)
        acknowledged  9 requests, 900 items
        rejected      3 items of acknowledged requests
        refused       1 requests, 100 items: INVALID_ARGUMENT
        given up      2 requests, 200 items: UNAVAILABLE
        sent again    17 times after: UNAVAILABLE
                      for example: UNAVAILABLE: the journal is full
        latency       p50 2.0 ms, p99 2.0 ms, max 2.0 ms
    "]]
    .assert_eq(&report::text(&tally, Duration::from_secs(2)));
    assert_eq!(tally.exit(), Exit::Failed);
}

#[test]
fn all_acknowledged_is_success_even_after_retries_and_silence_has_its_own_code() {
    let mut tally = tally();
    tally.retried.insert("UNAVAILABLE".to_owned(), 1);
    assert_eq!(tally.exit(), Exit::Ok);
    let silent = Tally { requests: 1, ..Tally::default() };
    assert_eq!(silent.exit(), Exit::Unreachable);
}

#[test]
fn a_rate_is_a_positive_number_or_max() {
    assert_eq!(rate("max"), Ok(Rate(None)));
    assert_eq!(rate("10_000"), Ok(Rate(Some(10_000.0))));
    for wrong in ["0", "-1", "NaN", "inf", "fast", ""] {
        assert!(rate(wrong).is_err(), "{wrong}");
    }
}

const TO_NOBODY: send::Plan = send::Plan {
    round: What::Traces.round(),
    batch: 1,
    items_per_second: None,
    time: None,
    count: None,
    connections: 1,
    in_flight: 2,
    retry_for: Duration::from_millis(1),
    template_spans: 10,
    seed: 1,
};

fn to_nobody(plan: send::Plan) -> Arc<Load> {
    let endpoint =
        Endpoint::parse("http://127.0.0.1:1", true, Protocol::Grpc.default_port()).unwrap();
    let client = ClientConfig::new(Protocol::Grpc, endpoint);
    Arc::new(Load::new(plan, &client, None, Arc::new(SystemClock::new())).unwrap())
}

#[tokio::test]
async fn where_nobody_answers_it_ends_after_the_first_request_that_is_given_up() {
    let load = to_nobody(send::Plan { count: Some(1_000_000), ..TO_NOBODY });
    load.run().await;
    let tally = load.tally();
    assert_eq!(tally.exit(), Exit::Unreachable);
    assert!(tally.requests < 10, "{}", tally.requests);
}

#[tokio::test]
async fn where_nobody_answers_it_takes_no_longer_than_it_was_to_and_says_why_at_once() {
    let hour = Duration::from_secs(3600);
    let load = to_nobody(send::Plan {
        time: Some(Duration::from_millis(400)),
        retry_for: hour,
        ..TO_NOBODY
    });
    // An hour of attempts would not end.
    let (words, ()) = tokio::join!(load.first_refusal(), load.run());
    assert!(words.contains("refused"), "{words}");
    assert_eq!(load.tally().exit(), Exit::Unreachable);
}
