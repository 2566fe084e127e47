use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric, NumberDataPoint};
use prost::Message as _;

use super::super::derived;
use super::super::domain::instruments::Instrument;
use super::*;
use crate::store::MetricKind;

/// A sink that keeps nothing and numbers series by their labels.
#[derive(Default)]
struct Store {
    series: Vec<String>,
    /// Numbers that are no more.
    gone: Vec<usize>,
    stream: Stream,
}

impl Sink for Store {
    type Id = usize;

    fn set_now(&mut self, _: i64) {}

    fn series(&mut self, _: Rank, labels: &[(&str, &str)], _: Kind) -> Option<usize> {
        let text = format!("{labels:?}");
        let mut there = self.series.iter().enumerate().filter(|(id, _)| !self.gone.contains(id));
        let known = there.find(|(_, known)| **known == text).map(|(id, _)| id);
        Some(known.unwrap_or_else(|| {
            self.series.push(text);
            self.series.len() - 1
        }))
    }

    fn fingerprint(&self, id: usize) -> Option<u64> {
        Some(BuildHasherDefault::<DefaultHasher>::default().hash_one(&self.series[id]))
    }

    fn by_fingerprint(&self, _: u64) -> Option<usize> {
        None
    }

    fn append(&mut self, id: usize, _: i64, value: f64) -> Result<(), Refused> {
        if self.gone.contains(&id) {
            return Err(Refused::Gone);
        }
        if value == 666.0 { Err(Refused::OutOfOrder) } else { Ok(()) }
    }

    fn append_native(&mut self, _: usize, _: i64, _: &Histogram) -> Result<(), Refused> {
        Ok(())
    }

    fn append_classic(&mut self, _: usize, _: i64, _: &Classic<'_>) -> Result<(), Refused> {
        Ok(())
    }

    fn stale(&mut self, _: usize, _: i64) {}

    fn stream(&mut self, _: usize) -> &mut Stream {
        &mut self.stream
    }

    fn describe(&mut self, _: &str, _: Metadata) {}

    fn exemplar(&mut self, _: usize, _: Exemplar) {}
}

const T: i64 = 1_700_000_040_000;

struct World {
    store: Store,
    exported: Exported<usize>,
    batches: Batches,
    registry: Registry,
}

impl World {
    fn new(families: &[&str]) -> Self {
        let registry = Registry::default();
        let families = families.iter().map(|family| (*family).to_owned()).collect();
        let config = Config { enabled: true, families, interval: Duration::from_secs(60) };
        let own = Origin { job: "sidelight".to_owned(), instance: "host".to_owned() };
        let (sender, batches) = batches(config.interval);
        let exported = Exported::new(config, own, sender, &registry);
        Self { store: Store::default(), exported, batches, registry }
    }

    fn tap(&mut self) -> Tap<'_, Store> {
        Tap::new(&mut self.store, Some(&mut self.exported))
    }

    fn count(&mut self, labels: &[(&str, &str)], time_ms: i64, value: f64) -> usize {
        let mut tap = self.tap();
        let id = tap.series(Rank::Derived, labels, Kind::Float).unwrap();
        let _ = tap.append(id, time_ms, value);
        id
    }

    /// What leaves at this time.
    fn flush(&mut self, received_ms: i64) -> Vec<(String, Metric)> {
        self.exported.flush(received_ms);
        let Ok(batch) = self.batches.next() else { return Vec::new() };
        let mut found = Vec::new();
        for (items, request) in batch.requests {
            let limits = sidelight_wire::Limits::default();
            let valid = sidelight_wire::validate(crate::signal::Signal::Metrics, &request, &limits);
            assert_eq!(valid.unwrap().items, items);
            let request = ExportMetricsServiceRequest::decode(&request[..]).unwrap();
            for of in request.resource_metrics {
                let text = |a: &opentelemetry_proto::tonic::common::v1::KeyValue| {
                    format!("{}={}", a.key, string(a.value.as_ref()))
                };
                let resource: Vec<String> =
                    of.resource.unwrap().attributes.iter().map(text).collect();
                let metrics = of.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
                found.extend(metrics.map(|metric| (resource.join(","), metric)));
            }
        }
        found
    }
}

fn string(value: Option<&opentelemetry_proto::tonic::common::v1::AnyValue>) -> String {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        other => format!("{other:?}"),
    }
}

fn sum(metric: &Metric) -> &NumberDataPoint {
    match metric.data.as_ref().unwrap() {
        Data::Sum(sum) => {
            assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
            &sum.data_points[0]
        }
        other => panic!("{other:?}"),
    }
}

fn seconds(nanos: u64) -> i64 {
    i64::try_from(nanos / 1_000_000).unwrap() - T
}

const CALLS: &[(&str, &str)] = &[
    ("__name__", "traces_spanmetrics_calls_total"),
    ("instance", "7"),
    ("job", "web/shop"),
    ("span_name", "GET /"),
];

#[test]
fn a_count_is_a_cumulative_sum_from_its_zero_on_with_job_and_instance_as_its_resource() {
    let mut world = World::new(&[]);
    let kind = MetricKind::Counter;
    let metadata = Metadata { kind, help: "Calls.".to_owned(), unit: String::new() };
    world.tap().describe("traces_spanmetrics_calls_total", metadata);
    world.count(CALLS, T - 5_000, 0.0);
    world.count(CALLS, T, 3.0);
    let found = world.flush(T + 61_000);
    let [(resource, metric)] = &found[..] else { panic!("{found:?}") };
    assert_eq!(resource, "service.name=shop,service.namespace=web,service.instance.id=7");
    assert_eq!((&*metric.name, &*metric.description), (CALLS[0].1, "Calls."));
    let point = sum(metric);
    assert_eq!(point.value, Some(Number::AsDouble(3.0)));
    let times = (seconds(point.start_time_unix_nano), seconds(point.time_unix_nano));
    assert_eq!(times, (-5_000, 60_000));
    let attributes: Vec<_> =
        point.attributes.iter().map(|a| (&*a.key, string(a.value.as_ref()))).collect();
    assert_eq!(attributes, [("span_name", "GET /".to_owned())]);
    assert!(world.flush(T + 119_000).is_empty(), "once in an interval");
    assert_eq!(
        sum(&world.flush(T + 121_000)[0].1).start_time_unix_nano,
        point.start_time_unix_nano
    );
}

#[test]
fn a_histogram_has_its_bounds_and_one_that_begins_anew_another_start() {
    let mut world = World::new(&[]);
    let labels = [("__name__", "http_server_request_duration_seconds"), ("job", "shop")];
    let put = |world: &mut World, time_ms: i64, counts: &[u64; 3]| {
        let mut tap = world.tap();
        let id = tap.series(Rank::Derived, &labels, Kind::Classic).unwrap();
        let count = counts.iter().sum();
        let value = Classic { bounds: &[0.1, 1.0], counts, sum: Some(2.5), count };
        tap.append_classic(id, time_ms, &value).unwrap();
    };
    put(&mut world, T - 5_000, &[0, 0, 0]);
    put(&mut world, T, &[4, 2, 1]);
    let histogram = |metric: &Metric| -> HistogramDataPoint {
        match metric.data.clone().unwrap() {
            Data::Histogram(histogram) => {
                assert_eq!((histogram.aggregation_temporality, &*metric.unit), (2, "s"));
                histogram.data_points[0].clone()
            }
            other => panic!("{other:?}"),
        }
    };
    let point = histogram(&world.flush(T + 1)[0].1);
    assert_eq!((point.count, point.sum), (7, Some(2.5)));
    assert_eq!((point.bucket_counts, point.explicit_bounds), (vec![4, 2, 1], vec![0.1, 1.0]));
    assert_eq!(seconds(point.start_time_unix_nano), -5_000);
    put(&mut world, T + 30_000, &[1, 0, 0]);
    let point = histogram(&world.flush(T + 60_000)[0].1);
    assert_eq!((point.count, seconds(point.start_time_unix_nano)), (1, 0));
}

#[test]
fn a_level_leaves_while_it_has_values_and_what_ended_once_more_without_one() {
    let mut world = World::new(&[]);
    let last_seen = [("__name__", "sidelight_resource_last_seen_timestamp_seconds")];
    world.count(&last_seen, T, 12.0);
    let id = world.count(CALLS, T, 1.0);
    let found = world.flush(T);
    assert_eq!(found[0].0, "service.name=sidelight,service.instance.id=host", "it names no job");
    assert!(matches!(found[0].1.data, Some(Data::Gauge(_))));
    world.tap().stale(id, T + 5_000);
    let found = world.flush(T + 60_000);
    let [(_, metric)] = &found[..] else { panic!("{found:?}") };
    assert_eq!((sum(metric).flags, sum(metric).value), (1, None));
    assert!(world.flush(T + 120_000).is_empty());
}

#[test]
fn a_restart_is_no_reset_and_a_refused_sample_is_not_sent() {
    let mut world = World::new(&[]);
    world.count(CALLS, T - 5_000, 0.0);
    world.count(CALLS, T, 3.0);
    let kept = world.exported.encode();
    let mut world = World::new(&[]);
    world.exported.restore(&kept);
    world.count(CALLS, T + 60_000, 5.0);
    world.count(CALLS, T + 61_000, 666.0);
    let found = world.flush(T + 60_000);
    let point = sum(&found[0].1);
    assert_eq!(point.value, Some(Number::AsDouble(5.0)));
    assert_eq!(seconds(point.start_time_unix_nano), -5_000);
    assert_eq!(world.exported.encode(), kept, "it is kept for the next restart");
}

#[test]
fn only_the_families_that_are_wanted_leave_and_what_is_past_a_limit_is_counted() {
    let mut world = World::new(&["cache", "log"]);
    world.count(CALLS, T, 1.0);
    for n in 0..=SERIES_MAX {
        let labels = [("__name__", "sidelight_cache_requests_total"), ("n", &*n.to_string())];
        world.count(&labels, T, 1.0);
    }
    let found = world.flush(T);
    let points: usize = found
        .iter()
        .map(|(_, metric)| match &metric.data {
            Some(Data::Sum(sum)) => sum.data_points.len(),
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!((found.len(), points), (SERIES_MAX.div_ceil(1_000), SERIES_MAX));
    assert_eq!(world.registry.counter(&desc::AGGREGATE_EXPORT_REFUSED_SERIES, &[]).get(), 1);
    for n in 1..=3 {
        world.exported.flush(T + n * 60_000);
    }
    let dropped = world.registry.counter(&desc::AGGREGATE_EXPORT_DROPPED_POINTS, &["queue_full"]);
    assert_eq!(dropped.get(), SERIES_MAX as u64, "two wait, the third finds no room");
}

#[test]
fn a_series_that_had_no_room_is_found_again_when_another_has_ended() {
    let mut world = World::new(&[]);
    for n in 0..SERIES_MAX {
        let labels = [("__name__", "sidelight_cache_requests_total"), ("n", &*n.to_string())];
        world.count(&labels, T, 1.0);
    }
    let late = world.count(CALLS, T, 1.0);
    world.tap().stale(0, T + 5_000);
    assert_eq!(world.tap().append(late, T + 5_000, 2.0), Ok(()), "it has not left yet");
    world.flush(T + 60_000);
    for _ in 0..2 {
        let looks = world.tap().append(late, T + 60_000, 3.0);
        assert_eq!(looks, Err(Refused::Gone), "until it is found");
    }
    assert_eq!(world.count(CALLS, T + 60_000, 3.0), late);
    assert_eq!(world.tap().append(late, T + 65_000, 4.0), Ok(()));
    let found = world.flush(T + 120_000);
    assert!(found.iter().any(|(_, metric)| metric.name == CALLS[0].1));
    assert_eq!(world.registry.counter(&desc::AGGREGATE_EXPORT_REFUSED_SERIES, &[]).get(), 1);
}

#[test]
fn a_series_that_the_store_let_go_of_leaves_once_and_began_when_it_did() {
    let mut world = World::new(&[]);
    world.count(CALLS, T - 5_000, 0.0);
    let before = world.count(CALLS, T, 3.0);
    world.store.gone.push(before);
    assert_eq!(world.tap().append(before, T + 5_000, 4.0), Err(Refused::Gone));
    assert_ne!(world.count(CALLS, T + 5_000, 4.0), before);
    let found = world.flush(T + 60_000);
    let [(_, metric)] = &found[..] else { panic!("{found:?}") };
    let Some(Data::Sum(all)) = &metric.data else { panic!("{metric:?}") };
    assert_eq!(all.data_points.len(), 1);
    assert_eq!(sum(metric).value, Some(Number::AsDouble(4.0)));
    assert_eq!(seconds(sum(metric).start_time_unix_nano), -5_000);
}

#[test]
fn everything_that_is_derived_is_of_a_family() {
    let instruments = Instrument::ALL.iter().map(|instrument| instrument.series_name());
    let spans = derived::FAMILIES.iter().map(|desc| desc.name.to_owned());
    let http = desc::HTTP_SERVER_DURATION.name.to_owned();
    for name in instruments.chain(spans).chain([http]) {
        assert!(family(&name).is_some(), "{name}");
    }
}
