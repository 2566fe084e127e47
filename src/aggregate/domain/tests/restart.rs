//! A checkpoint gives the same samples, and a damaged one nothing.

use std::collections::BTreeMap;

use super::*;

/// What a run gives that is stopped after `cut` records, its state put back into another.
fn replayed(cut: usize) -> BTreeMap<String, String> {
    let requests: Vec<(Signal, &[u8])> = vec![
        (Signal::Traces, include_bytes!("../testdata/fastapi-traces.pb")),
        (Signal::Metrics, include_bytes!("../testdata/fastapi-metrics.pb")),
        (Signal::Logs, include_bytes!("../testdata/flask-logs.pb")),
        (Signal::Metrics, include_bytes!("../testdata/flask-metrics.pb")),
        (Signal::Traces, include_bytes!("../testdata/flask-traces.pb")),
        (Signal::Metrics, include_bytes!("../testdata/flask-metrics.pb")),
        (Signal::Traces, include_bytes!("../testdata/fastapi-traces.pb")),
        (Signal::Metrics, b""),
    ];
    let mut seen = Seen::new();
    for (at, (signal, payload)) in requests.into_iter().enumerate() {
        // A checkpoint after every record, and a crash after one of them.
        let state = seen.domain.encode();
        if at == cut {
            seen.domain = domain(&Registry::default());
            seen.domain.restore(&state);
        }
        seen.at(at as u64 * 7, signal, payload);
    }
    let shown = seen.kept.show();
    shown
        .lines()
        .map(|line| line.split_once("} ").unwrap())
        .map(|(l, s)| (l.into(), s.into()))
        .collect()
}

#[test]
fn a_restart_at_any_record_gives_the_same_samples() {
    let whole = replayed(usize::MAX);
    assert!(whole.len() > 40, "{}", whole.len());
    for cut in 1..8 {
        assert_eq!(replayed(cut), whole, "after {cut}");
    }
}

#[test]
fn no_state_makes_a_restart_panic() {
    let mut seen = Seen::new();
    seen.at(0, Signal::Traces, &include_bytes!("../testdata/fastapi-traces.pb")[..]);
    let state = seen.domain.encode();
    for cut in (0..state.len()).step_by(state.len() / 50) {
        domain(&Registry::default()).restore(&state[..cut]);
    }
}

#[test]
fn a_checkpoint_that_is_cut_anywhere_is_taken_up_as_nothing() {
    let mut seen = Seen::new();
    let asked = [("cache.name", "users"), ("sidelight.cache.result", "hit")];
    let attributes = asked.map(|(key, value)| text(key, value)).to_vec();
    let of = |id: u8| Span {
        trace_id: vec![id; 16],
        span_id: vec![id; 8],
        attributes: attributes.clone(),
        ..Span::default()
    };
    seen.at(0, Signal::Traces, spans("a", vec![of(1), of(2)]));
    let whole = seen.domain.encode();
    let registry = Registry::default();
    let again = |bytes: &[u8]| {
        let mut domain = domain(&registry);
        domain.restore(bytes);
        domain.encode()
    };
    assert_eq!(again(&whole), whole);
    let nothing = again(&[]);
    for end in 0..whole.len() {
        assert_eq!(again(&whole[..end]), nothing, "cut at {end} of {}", whole.len());
    }
}

/// They are in checkpoints: another may be added at the end, none may change.
#[test]
fn the_codes_of_sources_families_and_instruments_stay_as_they_are() {
    let sources = families::Source::ALL.map(|source| format!("{source:?}")).join(" ");
    let families = Family::ALL.map(|family| family.name()).join(" ");
    let instruments = Instrument::ALL.iter().map(|of| format!("{of:?}")).collect::<Vec<_>>();
    let of = [sources, families, instruments.join("\n")].join("\n");
    expect![[r#"
        Sidelight Stable Old Spans
        operation http http_rate_limited cache queue connection retry feature intent gen_ai
        HttpDuration
        HttpRequestSize
        HttpResponseSize
        RateLimited
        CacheRequests
        CacheDuration
        QueueOverflows
        RetryAttempts
        RetryRetries
        FeatureUses
        FeatureDuration
        FeatureUsers
        Intents
        LlmTokens
        LlmRequests
        LlmLastCall
        LogRecords
        LastSeen"#]]
    .assert_eq(&of);
}
