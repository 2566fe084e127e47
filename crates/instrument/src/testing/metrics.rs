//! Assertions on a metric's series.

use std::fmt::Write;

use super::sinks::Point;

/// The series of a metric that have certain attributes.
///
/// ```
/// use sidelight::Histogram;
///
/// static SIZE: Histogram<1> = Histogram::new("page.size").labels(["page"]).unit("By");
///
/// let captured = sidelight::testing::capture();
/// SIZE.record(300.0, ["home"]);
/// SIZE.record(500.0, ["cart"]);
/// assert_eq!(captured.metric("page.size").series(), 2);
/// let cart = captured.metric("page.size").attr("page", "cart");
/// cart.assert_eq(500.0);
/// cart.assert_count(1);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a match asserts nothing by itself"]
pub struct MetricMatch {
    name: String,
    all: Vec<Point>,
    series: Vec<Point>,
    wanted: Vec<(String, String)>,
}

impl MetricMatch {
    pub(super) fn new(name: &str, points: Vec<Point>) -> Self {
        let series = points.iter().filter(|point| point.metric == name).cloned().collect();
        Self { name: name.to_owned(), all: points, series, wanted: Vec::new() }
    }

    /// Only the series with this attribute; numbers and truth values as they are printed.
    pub fn attr(mut self, key: &str, value: &str) -> Self {
        let has = |point: &Point| {
            point
                .attributes
                .iter()
                .any(|one| one.key.as_str() == key && one.value.as_str() == value)
        };
        self.series.retain(has);
        self.wanted.push((key.to_owned(), value.to_owned()));
        self
    }

    /// The sum over the series: of counters and gauges their values, of histograms what was recorded.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.series.iter().map(|point| point.value).sum()
    }

    /// How many series there are.
    #[must_use]
    pub fn series(&self) -> usize {
        self.series.len()
    }

    /// How often something was recorded into a histogram.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.series.iter().map(|point| point.count).sum()
    }

    /// That the sum over the series is `expected`.
    ///
    /// # Panics
    ///
    /// If it is not, with what was recorded.
    #[track_caller]
    pub fn assert_eq(&self, expected: impl Into<f64>) {
        let (value, expected) = (self.value(), expected.into());
        assert!(
            (value - expected).abs() < 1e-9,
            "{} is {value}, not {expected}\n{}",
            self.asked(),
            self.recorded()
        );
    }

    /// That so much was recorded into a histogram.
    ///
    /// # Panics
    ///
    /// If it was not, with what was recorded.
    #[track_caller]
    pub fn assert_count(&self, expected: u64) {
        let count = self.count();
        assert!(
            count == expected,
            "{} has {count} values, not {expected}\n{}",
            self.asked(),
            self.recorded()
        );
    }

    fn asked(&self) -> String {
        let attributes: Vec<String> =
            self.wanted.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!("{}{{{}}}", self.name, attributes.join(", "))
    }

    fn recorded(&self) -> String {
        let mut shown = String::from("recorded:");
        let own: Vec<&Point> = self.all.iter().filter(|point| point.metric == self.name).collect();
        for point in &own {
            let attributes: Vec<String> = point
                .attributes
                .iter()
                .map(|one| format!("{}={}", one.key, one.value.as_str()))
                .collect();
            _ = write!(shown, "\n  {}{{{}}} {}", point.metric, attributes.join(", "), point.value);
        }
        if own.is_empty() {
            let mut names: Vec<&str> = self.all.iter().map(|point| point.metric.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            _ = write!(shown, " nothing of that name, but {}", names.join(", "));
        }
        shown
    }
}
