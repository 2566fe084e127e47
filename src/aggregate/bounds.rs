//! The bounds of histograms that are made here: of spans, and of exponential histograms that rules and views read as ones with
//! bounds.

/// Tempo's bounds of span metrics: 2 ms × 2^n. Exact, see [`UNIT`](super::measured::UNIT).
pub(super) const CLASSIC: [f64; 14] = [
    0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192,
    16.384,
];

/// The bounds that semantic conventions advise for `http.server.request.duration`. Wrong by at most one bucket of the
/// exponential histogram that the counts come from.
pub(super) const HTTP: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Lookups, which are faster than requests, in seconds.
pub(super) const FAST: [f64; 14] =
    [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// Retries of an operation.
pub(super) const RETRIES: [f64; 6] = [0.0, 1.0, 2.0, 3.0, 5.0, 10.0];
/// Ages of connections at their close, in seconds.
pub(super) const AGES: [f64; 13] = [
    1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 28_800.0,
    43_200.0,
];

/// The histograms of which the shipped rules and views read `_bucket`, `_sum` or `_count`, which an exponential
/// one has not.
const READ: [(&str, &[f64]); 9] = [
    ("http.server.request.duration", &HTTP),
    ("sidelight.operation.duration", &HTTP),
    ("sidelight.queue.item.wait.duration", &HTTP),
    ("sidelight.retry.backoff.duration", &HTTP),
    ("sidelight.cache.request.duration", &FAST),
    ("sidelight.retry.operation.retries", &RETRIES),
    ("sidelight.connection.duration", &AGES),
    ("http.client.connection.duration", &AGES),
    ("kestrel.connection.duration", &AGES),
];

/// The bounds by which an exponential histogram is stored as well, where it is read as one that has some.
pub(super) fn of_exponential(metric: &str) -> Option<&'static [f64]> {
    READ.iter().find(|(name, _)| *name == metric).map(|(_, bounds)| *bounds)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn exactly_the_histograms_that_rules_and_views_read_are_stored_with_bounds() {
        let readers =
            [include_str!("../../deploy/rules/sidelight.yaml"), include_str!("../views/table.rs")];
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let words = readers.iter().flat_map(|text| text.split(|c| !is_part(c)));
        let read = words.filter_map(|word| {
            let (histogram, of) = word.rsplit_once('_')?;
            // What ends in `_count` may be a level, of connections for one.
            let named = match of {
                "bucket" | "sum" => true,
                "count" => histogram.ends_with("_seconds"),
                _ => false,
            };
            let histogram = histogram.strip_suffix("_seconds").unwrap_or(histogram);
            named.then(|| histogram.replace('_', "."))
        });
        let read: BTreeSet<String> = read.collect();
        let stored: BTreeSet<String> = READ.map(|(name, _)| name.to_owned()).into();
        assert_eq!(read, stored);
    }
}
