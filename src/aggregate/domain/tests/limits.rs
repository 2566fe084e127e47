//! Series, instances and counters past their limits.

use super::*;

#[test]
fn series_past_the_limit_are_one_and_every_use_is_in_it() {
    let mut seen = Seen::new();
    let many = board::SERIES_MAX + 30;
    let route = |n: usize| limited(1, &format!("/{n}"), "");
    seen.at(0, Signal::Traces, spans("a", (0..many).map(route).collect()));
    seen.at(80, Signal::Metrics, Bytes::new());
    let shown = seen.kept.show();
    let limited = || shown.lines().filter(|line| line.starts_with("sidelight_http_rate_limited"));
    assert_eq!(limited().count(), board::SERIES_MAX + 1);
    let overflow = limited().find(|line| line.contains("otel_metric_overflow=true")).unwrap();
    assert!(overflow.contains(" 30@"), "{overflow}");
}

#[test]
fn instances_past_the_limit_are_refused_and_counted() {
    let mut seen = Seen::new();
    for n in 0..resources::INSTANCES_MAX + 5 {
        seen.at(0, Signal::Traces, spans(&n.to_string(), vec![served(1, "/")]));
    }
    assert_eq!(seen.registry.counter(&desc::AGGREGATE_REFUSED_RESOURCES, &[]).get(), 5);
}

#[test]
fn counters_past_the_limit_are_left_out_and_counted() {
    let mut seen = Seen::new();
    let starts: Vec<_> = (0..board::COUNTERS_MAX as u64 / 2 + 3).map(|n| ("http", n, 1)).collect();
    seen.at(1, Signal::Metrics, metrics_of("a", vec![older(&starts)]));
    let refused = seen.registry.counter(&desc::AGGREGATE_REFUSED_STATES, &["counters"]).get();
    // A point is in two series.
    assert_eq!(refused, 6);
}

#[test]
fn an_instance_in_the_place_of_another_has_nothing_of_it() {
    let mut seen = Seen::new();
    let full = |instance: &str| {
        let named = || vec![text("queue.name", "mails"), text("queue.type", "task")];
        let size = gauge("sidelight.queue.size", 9.0, named());
        let capacity = gauge("sidelight.queue.capacity", 10.0, named());
        metrics_of(instance, vec![capacity, size])
    };
    seen.at(0, Signal::Metrics, full("first"));
    for n in 1..resources::INSTANCES_MAX {
        seen.at(901, Signal::Traces, spans(&n.to_string(), Vec::new()));
    }
    // The first was silent for the TTL: the last is in its place, and there is none when it comes back.
    seen.at(902, Signal::Metrics, full("last"));
    seen.at(1_000, Signal::Metrics, full("first"));
    let labels = [("job", "shop"), ("instance", "last")];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let last = seen.domain.resources.by_labels(&labels).unwrap().exported_ms;
    assert_eq!(last, i64::try_from(START).unwrap() + 902_000);
    assert_eq!(seen.registry.counter(&desc::AGGREGATE_REFUSED_RESOURCES, &[]).get(), 1);
    let shown = seen.kept.show();
    let of_last = |line: &&str| line.starts_with("sidelight_queue") && line.contains("=last");
    let overflows = shown.lines().find(of_last).unwrap();
    assert!(overflows.contains(" 1@"), "{overflows}");
}

#[test]
fn where_series_never_end_no_instance_is_in_the_place_of_another() {
    let mut seen = Seen::new();
    let metrics = metrics::Config::default();
    let entries = Default::default();
    let config = Config { metrics, ttl_ms: 0, user_key: Some([3; 16]), entries };
    seen.domain = Domain::new(config, &seen.registry);
    for n in 0..resources::INSTANCES_MAX {
        seen.at(0, Signal::Traces, spans(&n.to_string(), Vec::new()));
    }
    seen.at(90_000, Signal::Traces, spans("last", Vec::new()));
    assert_eq!(seen.registry.counter(&desc::AGGREGATE_REFUSED_RESOURCES, &[]).get(), 1);
}
