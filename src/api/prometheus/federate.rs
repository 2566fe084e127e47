//! `/federate`: the last samples as Prometheus text, with their times and without types. Native histograms have no form there
//! and are left out.
//!
//! Source: Prometheus 3.15 "Federation".

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::ControlFlow;

use http::StatusCode;
use sidelight_promql::engine::QueryError;
use sidelight_promql::source::is_stale;
use sidelight_promql::{Labels, Queryable, Reads, Selection};

use super::query::engine;
use super::written::{Written, line, once_each, pairs};
use crate::api::call::Call;
use crate::api::failure::Failure;
use crate::api::reply::{Reply, accepted};
use crate::telemetry::Escaping;
use crate::telemetry::escaping::{is_plain, quoted};
use crate::telemetry::exposition::Format;

/// The most series of a federation.
const FEDERATED_MAX: usize = 100_000;

const INSTANCE: &str = "instance";

/// The last sample of each matching series, with its own time. Every family is `untyped`: a selection need not hold
/// all the series that its type would need. Without `match[]` there are none, as in Prometheus.
pub(super) fn federate(call: &Call<'_>) -> Result<Reply, Failure> {
    let (format, escaping) = Format::negotiate(&accepted(call.headers), &[Format::Text]);
    let lookback = engine(call)?.options.lookback;
    let stop = || (call.stop)().is_some();
    let store = call.store.reading(&stop);
    let until = call.now_ms();
    let mut last: BTreeMap<Labels, (i64, f64)> = BTreeMap::new();
    for matchers in call.params.selectors()? {
        let (matchers, after, reads) = (&*matchers, until.saturating_sub(lookback), Reads::Last);
        let selection = Selection { matchers, after, until, step: 0, range: 0, lookback, reads };
        let selected = store.select(&selection, &mut |labels, points| {
            // A histogram after it is what the series is now.
            let histogram = points.histograms.last().map_or(i64::MIN, |(time, _)| *time);
            let newest = points.floats.last().filter(|(time, _)| *time > histogram);
            if let Some(&(time, value)) = newest.filter(|(_, value)| !is_stale(*value)) {
                last.insert(labels.clone(), (time, value));
            }
            let room = last.len() <= FEDERATED_MAX;
            if room { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        selected.map_err(|error| call.failure(QueryError::Source(error)))?;
    }
    if last.len() > FEDERATED_MAX {
        let why = format!("the selectors match more than {FEDERATED_MAX} series");
        return Err(Failure::Execution(why));
    }
    Ok(Reply::new(StatusCode::OK, format.content_type(escaping), untyped(&last, escaping)))
}

fn untyped(last: &BTreeMap<Labels, (i64, f64)>, escaping: Escaping) -> String {
    let named = last.iter().filter(|(labels, _)| !labels.metric_name().is_empty());
    let (mut series, samples): (Vec<_>, Vec<_>) = named
        .map(|(labels, sample)| {
            (Written::of(labels.metric_name(), pairs(labels), escaping), sample)
        })
        .unzip();
    for series in &mut series {
        // Else `honor_labels` would put the agent's own where there is none.
        if !series.labels.iter().any(|(name, _)| name == INSTANCE) {
            series.labels.push((Cow::Borrowed(INSTANCE), ""));
        }
    }
    let mut families: BTreeMap<&str, String> = BTreeMap::new();
    let kept = series.iter().zip(samples).zip(once_each(&series)).filter(|(_, kept)| *kept);
    for ((Written { name, labels, .. }, &(time, value)), _) in kept {
        let out = families.entry(name).or_default();
        line(out, name, labels, value);
        // Writing to a String cannot fail.
        let _ = writeln!(out, " {time}");
    }
    let mut out = String::new();
    for (name, lines) in families {
        let name =
            if is_plain(name, true) { Cow::Borrowed(name) } else { Cow::Owned(quoted(name)) };
        let _ = write!(out, "# TYPE {name} untyped\n{lines}");
    }
    out
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn federated_families_stand_together_and_names_beyond_ascii_are_quoted_for_who_asks() {
        let series = [
            (Labels::new([("__name__", "up"), ("Zone", "b")]), (1_000, 1.0)),
            (
                Labels::new([("__name__", "up"), ("a", "x\"\\\n"), ("instance", "i")]),
                (2_000, f64::NAN),
            ),
            (Labels::new([("__name__", "http.requests"), ("http.route", "/é")]), (3_000, 1e21)),
            (Labels::new([("__name__", "bare")]), (4_000, f64::NEG_INFINITY)),
        ];
        let series = series.into_iter().collect();
        expect![[r#"
            # TYPE bare untyped
            bare{instance=""} -Inf 4000
            # TYPE "http.requests" untyped
            {"http.requests","http.route"="/é",instance=""} 1e+21 3000
            # TYPE up untyped
            up{Zone="b",instance=""} 1 1000
            up{a="x\"\\\n",instance="i"} NaN 2000
        "#]]
        .assert_eq(&untyped(&series, Escaping::Utf8));
        for (escaping, expected) in [
            (Escaping::Underscores, r#"http_requests{http_route="/é",instance=""} 1e+21 3000"#),
            (Escaping::Dots, r#"http_dot_requests{http_dot_route="/é",instance=""} 1e+21 3000"#),
            (
                Escaping::Values,
                r#"U__http_2e_requests{U__http_2e_route="/é",instance=""} 1e+21 3000"#,
            ),
        ] {
            let text = untyped(&series, escaping);
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn what_escaping_makes_one_is_federated_once() {
        let series = [
            (Labels::new([("__name__", "a.b"), ("x", "1")]), (1, 1.0)),
            (Labels::new([("__name__", "a.b"), ("x", "2")]), (1, 2.0)),
            (Labels::new([("__name__", "a_b"), ("x", "1")]), (1, 3.0)),
            (Labels::new([("__name__", "c"), ("l-m", "1"), ("l.m", "2"), ("l1", "3")]), (1, 4.0)),
            (Labels::new([("__name__", "c"), ("l1", "3"), ("l_m", "1")]), (1, 5.0)),
            (Labels::new([("__name__", "d"), ("l.m", "2"), ("l_m", "1")]), (1, 6.0)),
            (Labels::new([("__name__", "e"), ("--name--", "f")]), (1, 7.0)),
        ];
        expect![[r#"
            # TYPE a_b untyped
            a_b{x="2",instance=""} 2 1
            a_b{x="1",instance=""} 3 1
            # TYPE c untyped
            c{l1="3",l_m="1",instance=""} 5 1
            # TYPE d untyped
            d{l_m="1",instance=""} 6 1
            # TYPE e untyped
            e{_name__="f",instance=""} 7 1
        "#]]
        .assert_eq(&untyped(&series.into_iter().collect(), Escaping::Underscores));
    }
}
