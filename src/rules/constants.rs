//! Numbers of the configuration as series, so that a rule compares with what a user may change without touching an
//! expression: `sidelight_threshold{name}`, `sidelight_health_weight{part}`, `sidelight_expected_service{service_name}`,
//! `sidelight_agent_start_timestamp_seconds`, and `sidelight_route_excluded`: once without a route, so that a list which is
//! empty is a list, and once for every route that a pattern of it stands for.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sidelight_promql::ast::Matcher;
use sidelight_promql::labels::NAME;
use sidelight_promql::{Queryable, Reads, Selection};

use super::config::Config;
use crate::signal::{Sample, Samples};
use crate::time::UnixNano;

/// The series of thresholds.
pub const THRESHOLD: &str = "sidelight_threshold";
/// The series of the weights in the health score.
const HEALTH_WEIGHT: &str = "sidelight_health_weight";

/// The series, one each, of services that must be heard of.
pub(super) const EXPECTED_SERVICE: &str = "sidelight_expected_service";

/// When the agent began to listen.
pub const START: &str = "sidelight_agent_start_timestamp_seconds";
/// Routes that are left out; without a route: that the agent says which.
pub const ROUTE_EXCLUDED: &str = "sidelight_route_excluded";

/// The most routes that patterns stand for.
const ROUTES_MAX: usize = 200;

/// The weights of the parts of the health score; absent parts leave theirs to the others.
const HEALTH_WEIGHTS: &[(&str, f64)] = &[("latency", 40.0), ("cache", 30.0), ("errors", 30.0)];

/// The series at `now`, of an agent that started at `started` and to which `excluded` are the routes that patterns leave out.
#[must_use]
pub fn samples(
    config: &Config,
    excluded: &BTreeSet<String>,
    started: UnixNano,
    now: UnixNano,
) -> Samples {
    let t_ms = now.as_ms();
    let one = |name: &str, labels: &[(&str, &str)], value| Sample::float(name, labels, t_ms, value);
    let thresholds = &config.thresholds;
    let thresholds =
        thresholds.iter().map(|(name, value)| one(THRESHOLD, &[("name", name)], *value));
    let weights =
        HEALTH_WEIGHTS.iter().map(|(of, weight)| one(HEALTH_WEIGHT, &[("part", of)], *weight));
    let expected = config.expected_services.iter();
    let expected = expected.map(|service| one(EXPECTED_SERVICE, &[("service_name", service)], 1.0));
    let excluded = excluded.iter().map(|route| one(ROUTE_EXCLUDED, &[("http_route", route)], 1.0));
    let said = [one(START, &[], started.as_seconds_f64()), one(ROUTE_EXCLUDED, &[], 1.0)];
    Samples(thresholds.chain(weights).chain(expected).chain(said).chain(excluded).collect())
}

/// The routes among `known` that the patterns of `exclude`, those that end in `*`, stand for; at most [`ROUTES_MAX`].
pub(super) fn excluded(exclude: &[String], known: &BTreeSet<String>) -> BTreeSet<String> {
    let begun: Vec<&str> = exclude.iter().filter_map(|route| route.strip_suffix('*')).collect();
    let is = |route: &&String| begun.iter().any(|begun| route.starts_with(begun));
    known.iter().filter(is).take(ROUTES_MAX).cloned().collect()
}

/// Whether `source` has a threshold of `t_ms` or later; also where it cannot answer.
pub(super) fn newest(source: &dyn Queryable, t_ms: i64) -> bool {
    let matchers = [Matcher::equal(NAME, THRESHOLD)];
    let selection = Selection {
        matchers: &matchers,
        after: t_ms - 1,
        until: i64::MAX / 2,
        step: 0,
        range: 0,
        lookback: 0,
        reads: Reads::Last,
    };
    let mut found = false;
    let answered = source.select(&selection, &mut |_, points| {
        found |= !points.floats.is_empty();
        if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    found || answered.is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::samples::Value;

    #[test]
    fn what_is_configured_is_a_series_each() {
        let config = Config {
            thresholds: vec![("error_ratio_critical".to_owned(), 0.5)],
            expected_services: vec!["shop".to_owned()],
            ..Config::default()
        };
        let routes = ["/internal/a", "/internal", "/x"].map(str::to_owned).into();
        let routes = excluded(&["/internal/*".to_owned(), "/x".to_owned()], &routes);
        let samples = samples(&config, &routes, UnixNano(3_000_000_000), UnixNano(5_000_000));
        let of = |name: &str| samples.0.iter().filter(|s| s.labels.metric_name() == name).count();
        assert_eq!((of(ROUTE_EXCLUDED), of(START)), (2, 1), "that it is said, and a route");
        let value = |wanted: &str| {
            let found =
                samples.0.iter().find(|s| s.labels.iter().any(|label| *label.value == *wanted));
            found.map(|sample| sample.value.clone())
        };
        assert_eq!(value("error_ratio_critical"), Some(Value::Float(0.5)));
        assert_eq!(value("cache"), Some(Value::Float(30.0)));
        assert_eq!(value("shop"), Some(Value::Float(1.0)));
        assert_eq!(value("/internal/a"), Some(Value::Float(1.0)));
        assert_eq!(value(START), Some(Value::Float(3.0)));
        assert!(samples.0.iter().all(|sample| sample.t_ms == 5));
    }
}
