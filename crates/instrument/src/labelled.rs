//! Counters, gauges and histograms of an application's own, by the values of labels.
//!
//! One macro makes the five types, which differ in what they record.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{
    BoundCounter, BoundGauge, BoundHistogram, BoundUpDownCounter, Counter as OtelCounter,
    Gauge as OtelGauge, Histogram as OtelHistogram, UpDownCounter as OtelUpDown,
};

use crate::clock::Started;
use crate::family::Family;
use crate::meter::{Cell, Instruments};
use crate::names::{self, Kind, Metric};

const SERIES_MAX: usize = 256;

macro_rules! labelled {
    (
        $(#[$doc:meta])*
        $name:ident, $kind:ident, $otel:ident<$value:ty>, $bound:ident, $make:ident
    ) => {
        $(#[$doc])*
        ///
        /// Cost of a record (`benches/handles.rs`): 7 to 25 ns without labels, 34 ns more with them. No allocation but for a
        /// set of values that is new. Limit: [`series_max`](Self::series_max).
        #[derive(Debug)]
        pub struct $name<const N: usize> {
            metric: Metric,
            labels: [&'static str; N],
            on: AtomicBool,
            cell: Cell<Bound<N, $otel<$value>, $bound<$value>>>,
        }

        impl $name<0> {
            /// Defines an instrument; `name` is lowercase words separated by dots. One that is none of OpenTelemetry's (a letter,
            /// then letters, digits and `_ . - /`, 255 at most) records nothing.
            #[must_use]
            pub const fn new(name: &'static str) -> Self {
                Self::of(&Metric {
                    name,
                    kind: Kind::$kind,
                    unit: "",
                    description: "",
                    buckets: &[],
                    attributes: &[],
                    series_max: SERIES_MAX,
                })
            }

            /// The instrument of a metric that [`names`] defines.
            pub(crate) const fn of(metric: &Metric) -> Self {
                Self { metric: *metric, labels: [], on: AtomicBool::new(true), cell: Cell::new() }
            }

            /// Gives it labels; every record gives their values in this order.
            #[must_use]
            pub const fn labels<const N: usize>(self, labels: [&'static str; N]) -> $name<N> {
                let metric = self.metric;
                // Nothing is bound yet; a constant cannot drop what could be.
                std::mem::forget(self);
                $name { metric, labels, on: AtomicBool::new(true), cell: Cell::new() }
            }
        }

        impl<const N: usize> $name<N> {
            /// The unit, in UCUM: `s`, `By`, `{order}`.
            #[must_use]
            pub const fn unit(mut self, unit: &'static str) -> Self {
                self.metric.unit = unit;
                self
            }

            /// A sentence for those who read the exposition.
            #[must_use]
            pub const fn description(mut self, description: &'static str) -> Self {
                self.metric.description = description;
                self
            }

            /// How many sets of values have a series of their own, 256 if not said; what is beyond is recorded in one series,
            /// `otel.metric.overflow="true"`, and counted in `sidelight.sdk.overflowed`.
            #[must_use]
            pub const fn series_max(mut self, series_max: usize) -> Self {
                self.metric.series_max = series_max;
                self
            }

            /// Switches it on (as it is at first) or off.
            pub fn set_enabled(&self, on: bool) {
                self.on.store(on, Ordering::Relaxed);
            }

            #[inline]
            fn with(&self, values: [&str; N], then: impl FnOnce(&$bound<$value>)) {
                if self.on.load(Ordering::Relaxed) {
                    self.cell.with(
                        |instruments| self.bind(instruments),
                        |bound| bound.with(&self.labels, values, |bound| then(bound)),
                    );
                }
            }

            fn bind(&self, instruments: &Instruments) -> Bound<N, $otel<$value>, $bound<$value>> {
                if !names::ALL.iter().any(|metric| metric.name == self.metric.name) {
                    names::define(self.metric.name, self.metric.series_max);
                }
                let mut metric = self.metric;
                if metric.unit == "s" && metric.buckets.is_empty() {
                    metric.buckets = names::SECONDS;
                }
                let instrument = instruments.$make(&metric);
                let alone = (N == 0).then(|| instrument.bind(&[]));
                let family = Family::new(self.metric.series_max);
                Bound { instrument, alone, family, bind: |of, attributes| of.bind(attributes) }
            }
        }
    };
}

struct Bound<const N: usize, I, B> {
    instrument: I,
    /// Without labels there is one series.
    alone: Option<B>,
    family: Family<N, B>,
    bind: fn(&I, &[KeyValue]) -> B,
}

impl<const N: usize, I, B> Bound<N, I, B> {
    #[inline]
    fn with(&self, labels: &[&'static str; N], values: [&str; N], then: impl FnOnce(&B)) {
        match &self.alone {
            Some(bound) => then(bound),
            None => {
                let bind = |attributes: &[KeyValue]| (self.bind)(&self.instrument, attributes);
                then(self.family.get(&[], labels, values, bind));
            }
        }
    }
}

labelled! {
    /// A sum that only grows, of whole numbers.
    ///
    /// ```
    /// use sidelight::Counter;
    ///
    /// static ORDERS: Counter<2> = Counter::new("orders").labels(["kind", "region"]).unit("{order}");
    ///
    /// let region = String::from("eu");
    /// ORDERS.add(1, ["book", &region]);
    /// ```
    Counter, Counter, OtelCounter<u64>, BoundCounter, counter
}

impl<const N: usize> Counter<N> {
    /// Adds to the series of `values`, in the order of the labels. An empty value is no label.
    #[inline]
    pub fn add(&self, value: u64, values: [&str; N]) {
        self.with(values, |bound| bound.add(value));
    }
}

labelled! {
    /// A sum that only grows, of any numbers: money, seconds.
    ///
    /// ```
    /// use sidelight::FloatCounter;
    ///
    /// static COST: FloatCounter<1> = FloatCounter::new("shipping.cost").labels(["carrier"]).unit("{EUR}");
    ///
    /// COST.add(4.99, ["post"]);
    /// ```
    FloatCounter, Counter, OtelCounter<f64>, BoundCounter, sum
}

impl<const N: usize> FloatCounter<N> {
    /// Adds to the series of `values`, in the order of the labels. An empty value is no label. What is negative or not
    /// finite is not recorded.
    #[inline]
    pub fn add(&self, value: f64, values: [&str; N]) {
        if value >= 0.0 && value.is_finite() {
            self.with(values, |bound| bound.add(value));
        }
    }
}

labelled! {
    /// A sum that grows and shrinks.
    ///
    /// ```
    /// use sidelight::UpDownCounter;
    ///
    /// static SESSIONS: UpDownCounter<0> = UpDownCounter::new("sessions").unit("{session}");
    ///
    /// SESSIONS.add(1, []);
    /// SESSIONS.add(-1, []);
    /// ```
    UpDownCounter, UpDownCounter, OtelUpDown<i64>, BoundUpDownCounter, up_down
}

impl<const N: usize> UpDownCounter<N> {
    /// Adds to the series of `values`, in the order of the labels. An empty value is no label.
    #[inline]
    pub fn add(&self, value: i64, values: [&str; N]) {
        self.with(values, |bound| bound.add(value));
    }
}

labelled! {
    /// The last value.
    ///
    /// ```
    /// use sidelight::Gauge;
    ///
    /// static TEMPERATURE: Gauge<1> = Gauge::new("room.temperature").labels(["room"]).unit("Cel");
    ///
    /// TEMPERATURE.set(21.5, ["attic"]);
    /// ```
    Gauge, Gauge, OtelGauge<f64>, BoundGauge, gauge
}

impl<const N: usize> Gauge<N> {
    /// Sets the series of `values`, in the order of the labels. An empty value is no label.
    #[inline]
    pub fn set(&self, value: f64, values: [&str; N]) {
        self.with(values, |bound| bound.record(value));
    }
}

labelled! {
    /// A distribution of values.
    ///
    /// ```
    /// use sidelight::Histogram;
    ///
    /// static RENDERED: Histogram<1> =
    ///     Histogram::new("page.render.duration").labels(["page"]).unit("s").buckets(&[0.01, 0.1, 1.0]);
    ///
    /// {
    ///     let _timer = RENDERED.timer(["home"]);
    ///     // ... recorded when the timer goes.
    /// }
    /// RENDERED.record(0.3, ["cart"]);
    /// ```
    Histogram, Histogram, OtelHistogram<f64>, BoundHistogram, histogram
}

impl<const N: usize> Histogram<N> {
    /// Upper bounds of its buckets, ascending. Without them: [`names::SECONDS`] where the unit is `s`, else the SDK's, 0 to
    /// 10,000.
    ///
    /// ```
    /// use sidelight::{Histogram, names};
    ///
    /// static SIZE: Histogram<0> = Histogram::new("upload.size").unit("By").buckets(names::BYTES);
    ///
    /// SIZE.record(48_000.0, []);
    /// ```
    #[must_use]
    pub const fn buckets(mut self, buckets: &'static [f64]) -> Self {
        self.metric.buckets = buckets;
        self
    }

    /// Records a value in the series of `values`, in the order of the labels. An empty value is no label.
    #[inline]
    pub fn record(&self, value: f64, values: [&str; N]) {
        self.with(values, |bound| bound.record(value));
    }

    /// Records a duration, in seconds.
    ///
    /// ```
    /// use sidelight::Histogram;
    /// use std::time::Duration;
    ///
    /// static WAIT: Histogram<1> = Histogram::new("checkout.wait").labels(["shop"]).unit("s");
    ///
    /// WAIT.record_duration(Duration::from_millis(30), ["eu"]); // 0.03
    /// ```
    #[inline]
    pub fn record_duration(&self, duration: Duration, values: [&str; N]) {
        self.record(duration.as_secs_f64(), values);
    }

    /// Records the seconds until it is dropped.
    #[inline]
    pub fn timer<'a>(&'a self, values: [&'a str; N]) -> Timer<'a, N> {
        Timer { histogram: self, values, start: Started::now() }
    }
}

/// Records the seconds that passed until it is dropped; see [`Histogram::timer`].
///
/// ```
/// static PARSE: sidelight::Histogram<0> = sidelight::Histogram::new("parse.duration").unit("s");
///
/// let timer = PARSE.timer([]);
/// match "17".parse::<u32>() {
///     Ok(_) => drop(timer), // recorded
///     Err(_) => timer.discard(),
/// }
/// ```
#[derive(Debug)]
#[must_use = "it records when it is dropped"]
pub struct Timer<'a, const N: usize> {
    histogram: &'a Histogram<N>,
    values: [&'a str; N],
    start: Started,
}

impl<const N: usize> Timer<'_, N> {
    /// Records nothing.
    pub fn discard(mut self) {
        self.start = Started::NEVER;
    }
}

impl<const N: usize> Drop for Timer<'_, N> {
    fn drop(&mut self) {
        if let Some(elapsed) = self.start.elapsed_seconds() {
            self.histogram.record(elapsed, self.values);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captured::capture;

    #[test]
    fn a_histogram_of_seconds_has_buckets_for_seconds_unless_told_otherwise() {
        static SECONDS: Histogram<0> = Histogram::new("seconds").unit("s");
        static TOLD: Histogram<0> = Histogram::new("told").unit("s").buckets(&[0.5]);
        static BYTES: Histogram<0> = Histogram::new("bytes").unit("By");
        let captured = capture();
        [&SECONDS, &TOLD, &BYTES].iter().for_each(|one| one.record(0.3, []));
        assert_eq!(captured.bounds("seconds"), names::SECONDS);
        assert_eq!(captured.bounds("told"), [0.5]);
        assert_eq!(captured.bounds("bytes").last(), Some(&10_000.0), "the SDK's");
    }
}
