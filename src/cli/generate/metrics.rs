//! Metric requests: every series of as many instances as give the wanted number of data points, cumulative,
//! growing from request to request.
//!
//! The time of each point is unique within a run and serves as its id, see [`crate::cli::ids`].

use bytes::Bytes;
use sidelight_exphist::{Histogram, MAX_BUCKETS};

use super::protobuf::{Attributes, Value, Writer};
use super::shop::{Call, ROUTES, SERVICES, latency, resource};

/// The boundaries that the semantic conventions advise for durations in seconds.
const SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const CUMULATIVE: u64 = 2;

/// All series of one run.
#[derive(Debug)]
pub(super) struct Metrics {
    /// When counting began, Unix time in nanoseconds.
    start: u64,
    instances: Vec<Instance>,
    random: fastrand::Rng,
}

#[derive(Debug)]
struct Instance {
    service: usize,
    number: u32,
    metrics: Vec<Metric>,
}

#[derive(Debug)]
struct Metric {
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    series: Vec<Series>,
}

#[derive(Debug)]
struct Series {
    attributes: Attributes,
    state: State,
}

#[derive(Debug)]
enum State {
    Counter(u64),
    UpDown(i64),
    Gauge(f64),
    /// Count per bucket, sum, and the median of what is recorded in milliseconds.
    Explicit([u64; SECONDS.len() + 1], f64, f64),
    Exponential(Box<Histogram>, f64),
}

impl Metrics {
    /// Exactly `points` series.
    pub(super) fn new(points: usize, start: u64, random: fastrand::Rng) -> Self {
        let mut instances = Vec::new();
        let mut left = points;
        for number in 0_u32.. {
            for service in 0..SERVICES.len() {
                let mut metrics = metrics_of(service);
                for metric in &mut metrics {
                    metric.series.truncate(left);
                    left -= metric.series.len();
                }
                metrics.retain(|metric| !metric.series.is_empty());
                instances.push(Instance { service, number, metrics });
                if left == 0 {
                    return Self { start, instances, random };
                }
            }
        }
        Self { start, instances, random }
    }

    /// The next collection: every series has moved; times count up from `first_time`.
    pub(super) fn collect(&mut self, first_time: u64) -> Bytes {
        let mut writer = Writer::default();
        let mut time = first_time;
        for instance in &mut self.instances {
            let Some(service) = SERVICES.get(instance.service) else { continue };
            writer.message(1, |w| {
                w.message(1, |w| w.attributes(1, &resource(service, instance.number)));
                w.message(2, |w| {
                    w.message(1, |w| w.text(1, "shop.metrics"));
                    for metric in &mut instance.metrics {
                        w.message(2, |w| metric.write(w, self.start, &mut time, &mut self.random));
                    }
                });
            });
        }
        writer.bytes.into()
    }
}

/// What one instance of a service measures.
fn metrics_of(service: usize) -> Vec<Metric> {
    let routes = || ROUTES.iter().filter(move |route| route.service == service);
    let of_route = |state: &dyn Fn(f64) -> State| {
        let series = routes().map(|route| Series {
            attributes: vec![
                ("http.request.method", route.method.into()),
                ("http.route", route.route.into()),
                ("http.response.status_code", Value::Int(200)),
            ],
            state: state(route.own_ms),
        });
        series.collect::<Vec<_>>()
    };
    let statements = routes().flat_map(|route| route.calls).filter_map(|call| match call {
        Call::Sql(operation, table, median) => Some(Series {
            attributes: vec![
                ("db.operation.name", (*operation).into()),
                ("db.collection.name", (*table).into()),
            ],
            state: State::Exponential(Box::new(Histogram::new(8, MAX_BUCKETS)), *median),
        }),
        _ => None,
    });
    let single = |state: State| vec![Series { attributes: Vec::new(), state }];
    let metric = |name, unit, description, series| Metric { name, unit, description, series };
    vec![
        metric(
            "http.server.request.duration",
            "s",
            "Duration of HTTP server requests.",
            of_route(&|median| State::Explicit([0; SECONDS.len() + 1], 0.0, median)),
        ),
        metric(
            "db.client.operation.duration",
            "s",
            "Duration of database client operations.",
            statements.collect(),
        ),
        metric("shop.requests", "{request}", "Requests served.", of_route(&|_| State::Counter(0))),
        metric("http.server.active_requests", "{request}", "", single(State::UpDown(2))),
        metric("shop.queue.depth", "{task}", "Tasks that wait.", single(State::Gauge(5.0))),
        metric("process.memory.usage", "By", "Memory in use.", single(State::UpDown(120 << 20))),
        metric("process.cpu.utilization", "1", "", single(State::Gauge(0.2))),
    ]
}

impl Metric {
    fn write(&mut self, w: &mut Writer, start: u64, time: &mut u64, random: &mut fastrand::Rng) {
        w.text(1, self.name);
        if !self.description.is_empty() {
            w.text(2, self.description);
        }
        w.text(3, self.unit);
        let (field, monotonic) = match self.series.first().map(|series| &series.state) {
            Some(State::Counter(_)) => (7, true),
            Some(State::UpDown(_)) => (7, false),
            Some(State::Explicit(..)) => (9, false),
            Some(State::Exponential(..)) => (10, false),
            Some(State::Gauge(_)) | None => (5, false),
        };
        w.message(field, |w| {
            for series in &mut self.series {
                series.state.advance(random);
                w.message(1, |w| series.write(w, start, *time));
                *time += 1;
            }
            if field != 5 {
                w.varint(2, CUMULATIVE);
            }
            if monotonic {
                w.varint(3, 1);
            }
        });
    }
}

impl Series {
    fn write(&self, w: &mut Writer, start: u64, time: u64) {
        if !matches!(self.state, State::Gauge(_)) {
            w.fixed64(2, start);
        }
        w.fixed64(3, time);
        match &self.state {
            State::Counter(value) => w.fixed64(6, *value),
            State::UpDown(value) => w.fixed64(6, value.cast_unsigned()),
            State::Gauge(value) => w.double(4, *value),
            State::Explicit(buckets, sum, _) => {
                w.fixed64(4, buckets.iter().sum());
                w.double(5, *sum);
                w.packed_fixed64(6, buckets.iter().copied());
                w.packed_fixed64(7, SECONDS.iter().map(|bound| bound.to_bits()));
            }
            State::Exponential(histogram, _) => write_exponential(w, histogram),
        }
        let field = match self.state {
            State::Counter(_) | State::UpDown(_) | State::Gauge(_) => 7,
            State::Explicit(..) => 9,
            State::Exponential(..) => 1,
        };
        w.attributes(field, &self.attributes);
    }
}

fn write_exponential(w: &mut Writer, histogram: &Histogram) {
    let parts = histogram.to_parts();
    w.fixed64(4, parts.count);
    w.double(5, parts.sum.unwrap_or(0.0));
    w.zigzag(6, parts.scale.into());
    w.fixed64(7, parts.zero_count);
    let (offset, counts) = parts.positive;
    w.message(8, |w| {
        w.zigzag(1, offset.into());
        w.packed_varint(2, counts.iter().copied());
    });
    w.double(12, parts.min.unwrap_or(0.0));
    w.double(13, parts.max.unwrap_or(0.0));
}

impl State {
    /// What happens between two collections.
    fn advance(&mut self, random: &mut fastrand::Rng) {
        match self {
            Self::Counter(value) => *value += random.u64(..40),
            Self::UpDown(value) => *value = (*value + random.i64(-3..=3)).max(0),
            Self::Gauge(value) => *value = (*value * (0.8 + 0.4 * random.f64())).max(0.01),
            Self::Explicit(buckets, sum, median) => {
                for _ in 0..random.u32(1..6) {
                    let seconds = latency(random, *median).as_secs_f64();
                    let index = SECONDS.partition_point(|bound| *bound < seconds);
                    buckets.get_mut(index).into_iter().for_each(|bucket| *bucket += 1);
                    *sum += seconds;
                }
            }
            Self::Exponential(histogram, median) => {
                for _ in 0..random.u32(1..6) {
                    histogram.record(latency(random, *median).as_secs_f64());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use prost::Message as _;
    use sidelight_wire::{Limits, Signal, validate};

    use super::*;

    #[test]
    fn a_request_has_exactly_the_points_that_were_asked_for() {
        for points in [1, 7, 100, 1_000] {
            let mut metrics = Metrics::new(points, 5, fastrand::Rng::with_seed(1));
            let summary = validate(Signal::Metrics, &metrics.collect(9), &Limits::default());
            assert_eq!(summary.unwrap().items as usize, points);
        }
    }

    #[test]
    fn histograms_add_up_and_grow() {
        let mut metrics = Metrics::new(60, 5, fastrand::Rng::with_seed(1));
        let mut counts = Vec::new();
        for time in [100, 1_000] {
            let request = ExportMetricsServiceRequest::decode(metrics.collect(time)).unwrap();
            let all = request.resource_metrics.into_iter().flat_map(|r| r.scope_metrics);
            let mut count = 0;
            for metric in all.flat_map(|s| s.metrics) {
                match metric.data.unwrap() {
                    Data::Histogram(histogram) => {
                        for point in histogram.data_points {
                            assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
                            assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
                            count += point.count;
                        }
                    }
                    Data::ExponentialHistogram(histogram) => {
                        for point in histogram.data_points {
                            let buckets = point.positive.unwrap().bucket_counts;
                            assert_eq!(buckets.iter().sum::<u64>(), point.count);
                            assert!(point.time_unix_nano >= time);
                            count += point.count;
                        }
                    }
                    _ => {}
                }
            }
            counts.push(count);
        }
        assert!(counts[0] > 0 && counts[1] > counts[0], "{counts:?}");
    }
}
