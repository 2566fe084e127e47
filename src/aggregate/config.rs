//! What the aggregator makes of spans, and its limits.

use std::time::Duration;

use super::exported;
use super::graph;
use super::metrics::Promotion;

/// `aggregate` in the configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The most series in all (`series_max`). Default 5,000; of an agent as [`Budget::span_series`](crate::memory::Budget).
    pub series_max: usize,
    /// The most series of one service. Default 500.
    pub series_per_service_max: usize,
    /// A series without a span for this long is removed (`series_ttl`). Default 15 min; zero keeps
    /// series for ever.
    pub series_ttl: Duration,
    /// Label values are cut to this many bytes. Default 1 KiB.
    pub label_value_bytes_max: usize,
    /// Resource attributes that become labels (`store.promote_resource_attributes`).
    pub promote: Promotion,
    /// Attributes of spans, or of their resources, that become labels besides the usual ones (`dimensions`), at most
    /// [`DIMENSIONS_MAX`]. Default none.
    pub dimensions: Vec<String>,
    /// Whether spans become exemplars of their latency (`exemplars`). Default true.
    pub exemplars: bool,
    /// The most of 15 s that the store is given (`exemplars_max`). Default 500.
    pub exemplars_max: usize,
    /// What counts as slow.
    pub thresholds: Thresholds,
    /// Operations that are not measured as such (`routes.exclude`); one that ends in `*` stands for all that begin so.
    pub routes_exclude: Vec<String>,
    /// The service graph.
    pub graph: graph::Config,
    /// Derived series for the destinations.
    pub export: exported::Config,
}

/// The most attributes that become labels besides the usual ones.
pub const DIMENSIONS_MAX: usize = 8;

/// How long operations may take: `aggregate.thresholds`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Unless an operation has its own. Default 2 s.
    pub default: Duration,
    /// The first that fits counts.
    pub operations: Vec<Threshold>,
}

/// How long some operations may take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Threshold {
    /// The service; any when empty.
    pub service: String,
    /// The operation; any when empty.
    pub operation: String,
    /// What is longer is a violation.
    pub threshold: Duration,
}

impl Thresholds {
    /// That of an operation.
    #[must_use]
    pub fn of(&self, service: &str, operation: &str) -> Duration {
        let fits = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
        let mut own = self.operations.iter();
        let own = own.find(|own| fits(&own.service, service) && fits(&own.operation, operation));
        own.map_or(self.default, |own| own.threshold)
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { default: Duration::from_secs(2), operations: Vec::new() }
    }
}

impl Config {
    /// Whether an operation is left out of what is measured by operation.
    #[must_use]
    pub fn excludes(&self, operation: &str) -> bool {
        self.routes_exclude.iter().any(|route| match route.strip_suffix('*') {
            Some(prefix) => operation.starts_with(prefix),
            None => operation == route,
        })
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            series_max: 5_000,
            series_per_service_max: 500,
            series_ttl: Duration::from_secs(15 * 60),
            label_value_bytes_max: 1 << 10,
            promote: Promotion::default(),
            dimensions: Vec::new(),
            exemplars: true,
            exemplars_max: 500,
            thresholds: Thresholds::default(),
            routes_exclude: ["/healthz", "/livez", "/readyz", "/metrics"].map(str::to_owned).into(),
            graph: graph::Config::default(),
            export: exported::Config::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_threshold_that_fits_holds() {
        let own = |service: &str, operation: &str, seconds| Threshold {
            service: service.to_owned(),
            operation: operation.to_owned(),
            threshold: Duration::from_secs(seconds),
        };
        let operations = vec![own("shop", "/pay", 5), own("", "/pay", 4), own("mail", "", 60)];
        let thresholds = Thresholds { operations, ..Thresholds::default() };
        let seconds = [("shop", "/pay"), ("bank", "/pay"), ("mail", "send"), ("shop", "/")]
            .map(|(service, operation)| thresholds.of(service, operation).as_secs());
        assert_eq!(seconds, [5, 4, 60, 2]);
    }

    #[test]
    fn excluded_routes_are_named_whole_or_by_their_beginning() {
        let routes_exclude = vec!["/healthz".to_owned(), "/internal/*".to_owned()];
        let config = Config { routes_exclude, ..Config::default() };
        let excluded = ["/healthz", "/healthz/x", "/internal/x", "/internal"];
        assert_eq!(excluded.map(|route| config.excludes(route)), [true, false, true, false]);
    }
}
