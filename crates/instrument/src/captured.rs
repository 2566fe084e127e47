//! What tests of handles recorded: one at a time, since handles know one meter.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};

use crate::meter::{self, Installed};
use crate::{names, observe};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

pub(crate) struct Captured {
    provider: SdkMeterProvider,
    exporter: InMemoryMetricExporter,
    _installed: Installed,
    _alone: MutexGuard<'static, ()>,
}

/// No meter is installed while this is held.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn capture() -> Captured {
    let alone = alone();
    let exporter = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(exporter.clone()).build();
    let provider = SdkMeterProvider::builder().with_view(names::view).with_reader(reader).build();
    let installed = meter::install(provider.meter(names::SCOPE));
    Captured { provider, exporter, _installed: installed, _alone: alone }
}

impl Captured {
    /// All series, `name{key=value,..}` in the order of keys: the value, or of histograms the count.
    pub(crate) fn all(&self) -> BTreeMap<String, f64> {
        observe::refresh();
        self.collected()
    }

    /// The same of what was seen last.
    pub(crate) fn collected(&self) -> BTreeMap<String, f64> {
        self.exporter.reset();
        self.provider.force_flush().unwrap();
        let mut all = BTreeMap::new();
        for resource in self.exporter.get_finished_metrics().unwrap() {
            for metric in resource.scope_metrics().flat_map(|scope| scope.metrics()) {
                match metric.data() {
                    AggregatedMetrics::F64(data) => read(metric, data, &mut all, |value| value),
                    AggregatedMetrics::U64(data) => {
                        read(metric, data, &mut all, |value| value as f64)
                    }
                    AggregatedMetrics::I64(data) => {
                        read(metric, data, &mut all, |value| value as f64)
                    }
                }
            }
        }
        all
    }

    /// Of the series whose name begins so.
    pub(crate) fn of(&self, prefix: &str) -> Vec<(String, f64)> {
        self.all().into_iter().filter(|(name, _)| name.starts_with(prefix)).collect()
    }

    /// The bounds of a histogram's buckets.
    pub(crate) fn bounds(&self, name: &str) -> Vec<f64> {
        self.exporter.reset();
        self.provider.force_flush().unwrap();
        let resources = self.exporter.get_finished_metrics().unwrap();
        let mut metrics =
            resources.iter().flat_map(|of| of.scope_metrics()).flat_map(|scope| scope.metrics());
        let metric = metrics.find(|metric| metric.name() == name).unwrap();
        let AggregatedMetrics::F64(MetricData::Histogram(of)) = metric.data() else {
            panic!("{metric:?}")
        };
        of.data_points().flat_map(|at| at.bounds()).collect()
    }

    /// The value of a series; 0 where there is none.
    pub(crate) fn value(&self, series: &str) -> f64 {
        self.all().get(series).copied().unwrap_or_default()
    }
}

fn read<T: Copy>(
    metric: &Metric,
    data: &MetricData<T>,
    all: &mut BTreeMap<String, f64>,
    value: impl Fn(T) -> f64,
) {
    let mut add = |attributes: Vec<&KeyValue>, value| {
        let mut said: Vec<_> =
            attributes.iter().map(|of| format!("{}={}", of.key, of.value)).collect();
        said.sort();
        all.insert(format!("{}{{{}}}", metric.name(), said.join(",")), value);
    };
    match data {
        MetricData::Gauge(of) => {
            of.data_points().for_each(|at| add(at.attributes().collect(), value(at.value())));
        }
        MetricData::Sum(of) => {
            of.data_points().for_each(|at| add(at.attributes().collect(), value(at.value())));
        }
        MetricData::Histogram(of) => {
            of.data_points().for_each(|at| add(at.attributes().collect(), at.count() as f64));
        }
        MetricData::ExponentialHistogram(of) => {
            of.data_points().for_each(|at| add(at.attributes().collect(), at.count() as f64));
        }
    }
}
